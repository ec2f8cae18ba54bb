#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/check-private.h"
#include "store/file.h"
#include "store/outbox.h"
#include "store/private.h"
#include "store/spool.h"

#define COPY ".new"   /* end of the name of the control file until all is copied */
#define DB_PAGES (-1) /* all in one read transaction: a snapshot */

struct backup {
	struct store *store;
	const char *to;
	struct store_backup *result;
	struct error *err;
};

/* Pages in the order of the file, the log's included. */
static int copy_pages(struct sql *from, struct sql *to, struct error *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");

	if (backup == NULL)
		return sql_error(to, err);
	int step = sqlite3_backup_step(backup, DB_PAGES);
	int done = sqlite3_backup_finish(backup);
	if (step == SQLITE_DONE && done == SQLITE_OK)
		return 0;
	/* What went wrong is said by the side that it went wrong on. */
	if (sqlite3_errcode(to->db) != SQLITE_OK)
		return sql_error(to, err);
	if (sqlite3_errcode(from->db) != SQLITE_OK)
		return sql_error(from, err);
	return error_set(err, "cannot copy %s: %s", from->path, sqlite3_errstr(step));
}

static int copy_database(const char *from, const char *to, struct error *err)
{
	struct sql in, out;

	if (sql_open(&in, from, SQLITE_OPEN_READONLY, err) < 0)
		return -1;
	int result = sql_open(&out, to, SQLITE_OPEN_READWRITE, err);
	if (result == 0) {
		/* It counts only when it was synced as a whole. */
		result = sql_exec(&out, "PRAGMA synchronous = OFF", err) < 0
		                 ? -1
		                 : copy_pages(&in, &out, err);
		sql_close(&out);
	}
	sql_close(&in);
	return result;
}

/* What others may do with the original they may do with the copy. `own`: the owner writes it. */
static mode_t mode_of(const char *from, mode_t own)
{
	struct stat st;

	return stat(from, &st) < 0 ? own : (st.st_mode & 0777) | own;
}

/* With the owner of the store where root makes it. One that is there is taken. */
static int make_directory(struct backup *b, const char *from, const char *path)
{
	if (mkdir(path, mode_of(from, 0700)) < 0)
		return errno == EEXIST ? 0 : error_errno(b->err, errno, "cannot create %s", path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(b->err, errno, "cannot open %s", path);
	int result = file_give_to_owner(b->store, fd, b->err);
	close(fd);
	return result;
}

/* Makes the file of the copy, with the owner of the store where root copies it. */
static int make(struct backup *b, const char *from, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode_of(from, 0600));

	if (fd < 0)
		return error_errno(b->err, errno, "cannot create %s", path);
	int result = file_give_to_owner(b->store, fd, b->err);
	close(fd);
	return result;
}

/* 1, 0 when there is no such file any more (retention), -1. */
static int copy(struct backup *b, const char *name, const char *copy_name)
{
	g_autofree char *from = g_build_filename(b->store->dir, name, NULL);
	g_autofree char *to = g_build_filename(b->to, copy_name, NULL);
	struct error cause = {0};

	if (access(from, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (make(b, from, to) < 0)
		return -1;
	if (copy_database(from, to, &cause) < 0) {
		unlink(to);
		if (access(from, F_OK) < 0 && errno == ENOENT)
			return 0;
		if (b->err != NULL && !b->err->set)
			*b->err = cause;
		return -1;
	}
	struct stat st;
	if (stat(to, &st) == 0)
		b->result->bytes += (uint64_t)st.st_size;
	return file_sync(to, 0, b->err) < 0 ? -1 : 1;
}

/* What lies beside the database files: batches of which the control file knows, each written once
 * under another name. One that went meanwhile is needed no more. */
static int copy_batch(struct backup *b, const char *from, const char *to)
{
	struct error cause = {0};

	if (access(to, F_OK) == 0)
		return 0;
	if (make(b, from, to) < 0)
		return -1;
	if (file_copy(from, to, false, &cause) == 0 && file_sync(to, 0, &cause) == 0)
		return 0;
	unlink(to);
	if (access(from, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (b->err != NULL && !b->err->set)
		*b->err = cause;
	return -1;
}

static int copy_directory(struct backup *b, const char *name)
{
	g_autofree char *from = g_build_filename(b->store->dir, name, NULL);
	g_autofree char *to = g_build_filename(b->to, name, NULL);
	g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
	const char *file;

	if (dir == NULL)
		return 0;
	if (make_directory(b, from, to) < 0)
		return -1;
	while ((file = g_dir_read_name(dir)) != NULL) {
		g_autofree char *in = g_build_filename(from, file, NULL);
		g_autofree char *out = g_build_filename(to, file, NULL);
		if (!g_str_has_suffix(file, COPY) && copy_batch(b, in, out) < 0)
			return -1;
	}
	return file_sync(to, O_DIRECTORY, b->err);
}

/* Before the control file and after it: so there is each file that it knows of, although new ones
 * come and others go. */
static int copy_directories(struct backup *b)
{
	return copy_directory(b, OUTBOX_DIR) < 0 || copy_directory(b, SPOOL_DIRECTORY) < 0 ? -1 : 0;
}

/* ---- the record ---- */

/* One line; a path that would break it is made harmless. */
static char *record_line(const char *to, int64_t now)
{
	g_autofree char *path = g_canonicalize_filename(to, NULL);
	char time[CLOCK_TEXT_MAX];

	clock_format(now, CLOCK_ZULU, time);
	for (char *c = path; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	return g_strdup_printf("%s %s\n", time, path);
}

static int append(struct backup *b, const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* Nothing can be erased from what nobody can write. */
	if (fd < 0 && errno == EROFS)
		return 0;
	if (fd < 0)
		return error_errno(b->err, errno, "cannot note the backup in %s", path);
	int result = file_give_to_owner(b->store, fd, b->err);
	if (result == 0 && (file_write(fd, slice_str(line)) < 0 || fsync(fd) < 0))
		result = error_errno(b->err, errno, "cannot note the backup in %s", path);
	close(fd);
	return result < 0 ? -1 : file_sync(b->store->dir, O_DIRECTORY, b->err);
}

/* Here and in the copy, which may take the place of the store one day. */
static int record(struct backup *b, int64_t now)
{
	g_autofree char *path = g_build_filename(b->store->dir, BACKUPS_NAME, NULL);
	g_autofree char *copy_path = g_build_filename(b->to, BACKUPS_NAME, NULL);
	g_autofree char *line = record_line(b->to, now);

	if (append(b, path, line) < 0)
		return -1;
	return access(path, F_OK) < 0 ? 0 : copy_batch(b, path, copy_path);
}

int store_each_backup(struct store *store,
        void (*backup)(void *ctx, struct slice time, struct slice path, bool there), void *ctx,
        struct error *err)
{
	g_autofree char *file = g_build_filename(store->dir, BACKUPS_NAME, NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;

	if (!g_file_get_contents(file, &text, NULL, &error))
		return g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)
		               ? 0
		               : error_set(err, "%s", error->message);
	struct slice rest = slice_str(text);
	while (rest.n > 0) {
		struct slice path = slice_cut(&rest, '\n'), time = slice_cut(&path, ' ');
		g_autofree char *dir = slice_dup(path);
		g_autofree char *control =
		        g_build_filename(dir != NULL ? dir : "", CONTROL_NAME, NULL);
		if (path.n > 0)
			backup(ctx, time, path, access(control, F_OK) == 0);
	}
	return 0;
}

/* ---- all of it ---- */

/* The days that there are when the control file has been copied: all that it knows of. */
static int copy_days(struct backup *b)
{
	g_autoptr(GArray) days = store_list_days(b->store, b->err);

	for (guint i = 0; days != NULL && i < days->len; i++) {
		g_autofree char *path = store_day_path(b->store, g_array_index(days, gint64, i));
		g_autofree char *name = g_path_get_basename(path);
		int result = copy(b, name, name);
		if (result < 0)
			return -1;
		b->result->days += (uint64_t)result;
	}
	return days != NULL ? 0 : -1;
}

static int finish(struct backup *b)
{
	g_autofree char *from = g_build_filename(b->to, CONTROL_NAME COPY, NULL);
	g_autofree char *to = g_build_filename(b->to, CONTROL_NAME, NULL);

	if (rename(from, to) < 0)
		return error_errno(b->err, errno, "cannot rename %s", from);
	return file_sync(b->to, O_DIRECTORY, b->err);
}

static int make_top(struct backup *b)
{
	g_autoptr(GDir) dir = NULL;

	if (make_directory(b, b->store->dir, b->to) < 0)
		return -1;
	dir = g_dir_open(b->to, 0, NULL);
	if (dir == NULL)
		return error_errno(b->err, errno, "cannot read %s", b->to);
	if (g_dir_read_name(dir) != NULL)
		return error_set(
		        b->err, "%s is not empty: a backup needs a directory of its own", b->to);
	return 0;
}

int store_backup(const char *from, const char *to, int64_t now, struct store_backup *result,
        struct error *err)
{
	struct backup b = {.to = to, .result = result, .err = err};
	int done = -1;

	*result = (struct store_backup){0};
	if (store_open_days(&b.store, from, err) < 0)
		return -1;
	g_autofree char *control = g_build_filename(from, CONTROL_NAME, NULL);
	if (access(control, F_OK) < 0)
		error_errno(err, errno, "there is no store in %s", from);
	else if (make_top(&b) == 0 && record(&b, now) == 0 && copy_directories(&b) == 0 &&
	         copy(&b, CONTROL_NAME, CONTROL_NAME COPY) == 1 && copy_directories(&b) == 0 &&
	         copy_days(&b) == 0 && finish(&b) == 0)
		done = 0;
	store_close(&b.store);
	return done;
}
