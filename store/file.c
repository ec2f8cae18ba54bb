#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/private.h"

#define MAKING ".new" /* end of the name of a file that is being made */
#define HEADER 100    /* bytes of a database header, sqlite.org/fileformat2.html 1.3 */
#define HEADER_USER_VERSION 60
#define COPY_BYTES (1 << 16)
#define BLOCK 4096       /* what a disk gives or does not */
#define STEP_PAGES "100" /* moved by one transaction */

static const char *const beside[] = {"-wal", "-shm", "-journal"};

void file_unlink_beside(const char *path)
{
	for (size_t i = 0; i < G_N_ELEMENTS(beside); i++) {
		g_autofree char *name = g_strconcat(path, beside[i], NULL);
		unlink(name);
	}
}

static void unlink_all(const char *path)
{
	unlink(path);
	file_unlink_beside(path);
}

int file_is_wal(struct sql *sql, bool *wal, struct error *err)
{
	int64_t tables, is = 0;
	/* A connection knows the mode that it found when it read the last time. */
	int result = sql_number(sql, "SELECT count(*) FROM sqlite_schema", 0, &tables, err);

	if (result == 0)
		result = sql_number(
		        sql, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 0, &is, err);
	*wal = is == 1;
	return result;
}

/* The mode stands in the first page, which SQLite changes by a rollback journal. With the journal
 * in memory nothing is left of it, and the change is one write of two bytes. */
int file_use_wal(struct sql *sql, struct error *err)
{
	bool wal;

	if (file_is_wal(sql, &wal, err) < 0)
		return -1;
	if (wal)
		return 0;
	if (sql_exec(sql, "PRAGMA journal_mode = MEMORY", err) < 0 ||
	        sql_exec(sql, "PRAGMA journal_mode = WAL", err) < 0 ||
	        file_is_wal(sql, &wal, err) < 0)
		return -1;
	return wal ? 0 : error_set(err, "store file %s: there is no WAL", sql->path);
}

int file_use_no_wal(struct sql *sql, struct error *err)
{
	return sql_exec(sql, "PRAGMA journal_mode = MEMORY", err);
}

int file_shrink(struct sql *sql, bool (*stop)(void *ctx), void *ctx, struct error *err)
{
	int64_t before = INT64_MAX, left = 0;

	while (sql_number(sql, "SELECT freelist_count FROM pragma_freelist_count", 0, &left, err) ==
	                0 &&
	        left > 0 && left < before && !stop(ctx)) {
		before = left;
		if (sql_exec(sql, "PRAGMA incremental_vacuum(" STEP_PAGES ")", err) < 0)
			return -1;
	}
	return left == 0 ? 0 : -1;
}

/* Without syncs: the file counts only when it has its name. */
static int fill(const char *path, int version, const char *schema, struct error *err)
{
	struct sql sql;

	if (sql_open(&sql, path, SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	int result = sql_exec(&sql, "PRAGMA page_size = 8192", err) < 0 ||
	                             sql_exec(&sql, "PRAGMA auto_vacuum = INCREMENTAL", err) < 0 ||
	                             sql_exec(&sql, "PRAGMA synchronous = OFF", err) < 0 ||
	                             sql_exec(&sql, "PRAGMA journal_mode = MEMORY", err) < 0 ||
	                             sql_version(&sql, version, schema, err) < 0 ||
	                             file_use_wal(&sql, err) < 0
	                     ? -1
	                     : 0;
	sql_close(&sql);
	return result;
}

int file_write(int fd, struct slice bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes = slice_from(bytes, (size_t)n);
	}
	return 0;
}

int file_sync(const char *path, int flags, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	int result = fd >= 0 ? fsync(fd) : -1;

	/* A file system that cannot sync directories says EINVAL. */
	if (result < 0 && errno != EINVAL)
		sql_trouble(err, errno, "cannot sync %s", path);
	else
		result = 0;
	if (fd >= 0)
		close(fd);
	return result;
}

/* What the disk gives of COPY_BYTES, and zeros for the blocks that it does not give. */
static ssize_t read_past(int in, char *bytes, off_t at, off_t end)
{
	size_t size = (size_t)MIN((off_t)COPY_BYTES, end - at);

	memset(bytes, 0, size);
	for (size_t done = 0; done < size; done += BLOCK)
		if (pread(in, bytes + done, MIN(BLOCK, size - done), at + (off_t)done) < 0 &&
		        errno != EIO)
			return -1;
	return (ssize_t)size;
}

int file_copy(const char *from, const char *to, bool past_errors, struct error *err)
{
	g_autofree char *bytes = g_malloc(COPY_BYTES);
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = in >= 0 ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640) : -1;
	off_t end = out >= 0 ? lseek(in, 0, SEEK_END) : 0;
	ssize_t n = out >= 0 ? 0 : -1;

	for (off_t at = 0; at < end && n >= 0; at += n) {
		n = pread(in, bytes, COPY_BYTES, at);
		if (n < 0 && errno == EIO && past_errors)
			n = read_past(in, bytes, at, end);
		if (n == 0)
			break; /* it became shorter */
		if (n > 0 && pwrite(out, bytes, (size_t)n, at) != n)
			n = -1;
	}
	if (n < 0)
		error_errno(err, errno, "cannot copy %s to %s", from, to);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return n < 0 ? -1 : 0;
}

int file_give_to_owner(struct store *store, int fd, struct error *err)
{
	struct stat dir;

	if (geteuid() != 0)
		return 0;
	if (stat(store->dir, &dir) < 0)
		return error_errno(err, errno, "cannot look at %s", store->dir);
	if (dir.st_uid != 0 && fchown(fd, dir.st_uid, dir.st_gid) < 0)
		return error_errno(err, errno, "cannot give a file to the owner of %s", store->dir);
	return 0;
}

/* Under the name that nobody looks for. SQLite gives its files beside to the owner of the file. All
 * descriptors are closed again: one that is closed later would take SQLite's locks of the file with
 * it. */
static int make(
        struct store *store, const char *making, int version, const char *schema, struct error *err)
{
	g_autofree char *log = g_strconcat(making, beside[0], NULL);

	unlink_all(making);
	int fd = open(making, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return sql_trouble(err, errno, "cannot create %s", making);
	int given = file_give_to_owner(store, fd, err);
	close(fd);
	if (given < 0 || fill(making, version, schema, err) < 0)
		return -1;
	/* The last one to close a file copies its log into it. */
	if (access(log, F_OK) == 0)
		return error_set(err, "store file %s could not be written", making);
	return file_sync(making, 0, err);
}

static int give_name(struct store *store, const char *making, const char *path, struct error *err)
{
	if (store_fault_at(store, "made", err) < 0)
		return -1;
	/* The log of an earlier file of this name would be played into the new one. */
	file_unlink_beside(path);
	if (store_fault_at(store, "rename", err) < 0)
		return -1;
	if (rename(making, path) < 0)
		return sql_trouble(err, errno, "cannot rename %s", making);
	return store_fault_at(store, "renamed", err) < 0 ? -1
	                                                 : file_sync(store->dir, O_DIRECTORY, err);
}

int file_make(
        struct store *store, const char *path, int version, const char *schema, struct error *err)
{
	g_autofree char *making = g_strconcat(path, MAKING, NULL);

	if (make(store, making, version, schema, err) == 0 &&
	        give_name(store, making, path, err) == 0)
		return 0;
	unlink_all(making);
	return -1;
}

bool file_is_empty(const char *path)
{
	struct sql sql;
	int64_t tables = 1;

	if (sql_open(&sql, path, SQLITE_OPEN_READWRITE, NULL) < 0)
		return false;
	bool empty =
	        sql_number(&sql, "SELECT count(*) FROM sqlite_schema", 1, &tables, NULL) == 0 &&
	        tables == 0;
	sql_close(&sql);
	return empty;
}

/* True for a file that may be half-made: no schema version, or a journal beside it. */
static bool is_suspect(const char *path)
{
	g_autofree char *journal = g_strconcat(path, "-journal", NULL);
	char header[HEADER];
	uint32_t version = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (pread(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header))
		memcpy(&version, header + HEADER_USER_VERSION, sizeof(version));
	close(fd);
	return version == 0 || access(journal, F_OK) == 0;
}

/* Whoever reads a file that has a hot journal rolls it back, if he may write. What cannot be
 * mended is told when it is used. */
static void mend(const char *path)
{
	if (is_suspect(path) && file_is_empty(path))
		unlink_all(path);
}

static bool is_leftover(const char *name)
{
	static const char *const ends[] = {STORE_DROPPED, MAKING, MAKING "-wal", MAKING "-shm",
	        MAKING "-journal", STORE_ERASED, STORE_ERASED "-wal", STORE_ERASED "-shm",
	        STORE_ERASED "-journal"};

	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++)
		if (g_str_has_suffix(name, ends[i]))
			return true;
	return false;
}

void file_mend_all(struct store *store)
{
	g_autoptr(GDir) dir = g_dir_open(store->dir, 0, NULL);
	const char *name;

	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(store->dir, name, NULL);
		gint64 day;
		if (is_leftover(name))
			unlink(path);
		else if (store_day_of_name(name, &day) || strcmp(name, CONTROL_NAME) == 0)
			mend(path);
	}
}
