#include "store/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include "store/file.h"
#include "store/private.h"
#include "store/pseudonym.h"
#include "store/spool-private.h"

#define BATCH SPOOL_BATCH
#define FAILURES SPOOL_FAILURES
#define MAKING SPOOL_MAKING
/* The first line of a batch: when it came and what its sender may write. */
#define HEAD "postwake-batch"
#define SEALED_HEAD "postwake-sealed" /* the same, where its bytes are */

#define TRY_SPARE 256 /* blocks that a try leaves to others */

struct spool {
	struct store *store;
	char *dir;
	uint64_t most;
	pthread_mutex_t lock; /* of what follows, and of making room */
	uint64_t used;        /* bytes of all files */
};

struct spool_failures {
	struct spool *spool;
	char *path, *making;
	gzFile gz;
};

static char *path_of(const char *dir, const char *id, const char *end)
{
	return g_strdup_printf("%s/%s%s", dir, id, end);
}

static char *path_in(struct store *store, const char *id, const char *end)
{
	g_autofree char *dir = g_build_filename(store->dir, SPOOL_DIRECTORY, NULL);

	return path_of(dir, id, end);
}

bool spool_is_id(struct slice text)
{
	static const char form[] = "00000000-0000-0000-0000-000000000000";

	if (text.n != strlen(form))
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (form[i] == '-' ? text.p[i] != '-'
		                   : !g_ascii_isxdigit(text.p[i]) || g_ascii_isupper(text.p[i]))
			return false;
	return true;
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void add_used(struct spool *spool, uint64_t more, uint64_t less)
{
	pthread_mutex_lock(&spool->lock);
	spool->used = spool->used + more - MIN(less, spool->used + more);
	pthread_mutex_unlock(&spool->lock);
}

/* Removes a file; how many bytes it had. */
static uint64_t remove_file(const char *path)
{
	uint64_t size = size_of(path);

	return unlink(path) == 0 ? size : 0;
}

/* ---- opening ---- */

/* What was not finished goes; the rest is counted. */
static void take_stock(struct spool *spool)
{
	g_autoptr(GDir) dir = g_dir_open(spool->dir, 0, NULL);
	const char *name;

	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(spool->dir, name, NULL);
		if (g_str_has_suffix(name, MAKING))
			unlink(path);
		else
			spool->used += size_of(path);
	}
}

/* Somebody may delete it under a running daemon: what was in it is gone, and what comes finds room.
 */
static int make_dir(struct spool *spool, struct error *err)
{
	if (mkdir(spool->dir, 0750) < 0)
		return errno == EEXIST ? 0
		                       : error_errno(err, errno, "cannot create %s", spool->dir);
	pthread_mutex_lock(&spool->lock);
	spool->used = 0;
	pthread_mutex_unlock(&spool->lock);
	return file_sync(spool->store->dir, O_DIRECTORY, err);
}

struct spool *spool_open(struct store *store, uint64_t most, struct error *err)
{
	struct spool *spool = g_new0(struct spool, 1);

	spool->store = store;
	spool->most = most;
	spool->dir = g_build_filename(store->dir, SPOOL_DIRECTORY, NULL);
	pthread_mutex_init(&spool->lock, NULL);
	store->spool_freed = 0;
	if (make_dir(spool, err) < 0)
		spool_free(&spool);
	else
		take_stock(spool);
	return spool;
}

void spool_free(struct spool **spool)
{
	if (*spool == NULL)
		return;
	pthread_mutex_destroy(&(*spool)->lock);
	g_free((*spool)->dir);
	g_clear_pointer(spool, g_free);
}

/* ---- taking a batch ---- */

static int write_file(const char *making, struct slice head, struct slice bytes, struct error *err)
{
	int fd = open(making, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd < 0)
		return error_errno(err, errno, "cannot create %s", making);
	int result =
	        file_write(fd, head) < 0 || file_write(fd, bytes) < 0 || fsync(fd) < 0 ? -1 : 0;
	if (result < 0)
		error_errno(err, errno, "cannot write %s", making);
	close(fd);
	return result;
}

struct making_room {
	struct spool *spool;
	GPtrArray *ids;
};

static bool note_id(void *ctx, const struct ingest_record *record)
{
	struct making_room *room = ctx;

	g_ptr_array_add(room->ids, slice_dup(record->id));
	return true;
}

/* Bytes of what is validated go, oldest first. Locked. */
static int make_room(struct spool *spool, uint64_t more, struct error *err)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	struct making_room room = {spool, ids};

	if (spool->used + more <= spool->most)
		return 0;
	if (store_each_ingest(spool->store, 0, INT64_MAX, note_id, &room, err) < 0)
		return -1;
	for (guint i = ids->len; i-- > 0 && spool->used + more > spool->most;) {
		g_autofree char *batch = path_of(spool->dir, ids->pdata[i], BATCH);
		g_autofree char *failures = path_of(spool->dir, ids->pdata[i], FAILURES);
		uint64_t freed = remove_file(batch) + remove_file(failures);
		spool->used -= MIN(freed, spool->used);
	}
	if (spool->used + more <= spool->most)
		return 0;
	return error_set(err,
	        "the batches that wait for their validation fill %s: they go when they are "
	        "validated; raise ingest_max_size where more come together",
	        spool->dir);
}

static int reserve(struct spool *spool, uint64_t bytes, struct error *err)
{
	pthread_mutex_lock(&spool->lock);
	uint64_t freed = atomic_exchange(&spool->store->spool_freed, 0);
	spool->used -= MIN(freed, spool->used);
	int result = make_room(spool, bytes, err);
	if (result == 0)
		spool->used += bytes;
	pthread_mutex_unlock(&spool->lock);
	return result;
}

int spool_put(struct spool *spool, const char *who, const struct search_scope *scope,
        int64_t received, struct slice bytes, char id[INGEST_ID_SIZE], struct error *err)
{
	g_autofree char *uuid = g_uuid_string_random();
	g_autofree char *path = path_of(spool->dir, uuid, BATCH);
	g_autofree char *making = g_strconcat(path, MAKING, NULL);
	g_autoptr(GString) head = g_string_new(NULL), sealed = g_string_new(NULL);

	bytes = pseudonym_seal(spool->store, bytes, sealed);
	g_string_printf(head, "%s %" G_GINT64_FORMAT " ",
	        store_pseudonymised(spool->store) != 0 ? SEALED_HEAD : HEAD, received);
	ingest_scope_write(head, who, scope);
	g_string_append_c(head, '\n');
	uint64_t size = head->len + bytes.n;
	if (make_dir(spool, err) < 0 || reserve(spool, size, err) < 0)
		return -1;
	int result = write_file(making, slice_make(head->str, head->len), bytes, err);
	if (result == 0 && rename(making, path) < 0)
		result = error_errno(err, errno, "cannot rename %s", making);
	if (result == 0)
		result = file_sync(spool->dir, O_DIRECTORY, err);
	if (result < 0) {
		unlink(making);
		unlink(path);
		add_used(spool, 0, size);
		return -1;
	}
	memcpy(id, uuid, INGEST_ID_SIZE);
	return 0;
}

int spool_try(struct spool *spool, size_t size, struct error *err)
{
	g_autofree char *making = path_of(spool->dir, "try", MAKING);
	g_autofree char *zeros = g_malloc0(size);
	struct statvfs disk;

	if (make_dir(spool, err) < 0)
		return -1;
	/* What is left is for others, who would find none while we write. */
	if (statvfs(spool->dir, &disk) == 0 && disk.f_bavail < size / disk.f_frsize + TRY_SPARE)
		return error_errno(err, ENOSPC, "%s has no room", spool->dir);
	if (reserve(spool, size, err) < 0)
		return -1;
	int result = write_file(making, SLICE_NONE, slice_make(zeros, size), err);
	unlink(making);
	add_used(spool, 0, size);
	return result;
}

/* ---- reading ---- */

/* What GLib says of a file as errno; 0 where nobody could do something about it. */
static int number_of(const GError *error)
{
	static const int numbers[][2] = {{G_FILE_ERROR_IO, EIO}, {G_FILE_ERROR_ACCES, EACCES},
	        {G_FILE_ERROR_PERM, EPERM}, {G_FILE_ERROR_ISDIR, EISDIR},
	        {G_FILE_ERROR_NOTDIR, ENOTDIR}};

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		if (error->code == numbers[i][0])
			return numbers[i][1];
	return 0;
}

/* Appends a file: 1, 0 where there is none, -1 failed. */
static int read_file(const char *path, GString *out, struct error *err)
{
	g_autoptr(GError) error = NULL;
	char *bytes;
	gsize n;

	if (!g_file_get_contents(path, &bytes, &n, &error)) {
		if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			return 0;
		struct error cause = {0};
		error_set(&cause, "%s", error->message);
		cause.number = number_of(error);
		if (err != NULL && !err->set)
			*err = cause;
		return -1;
	}
	g_string_append_len(out, bytes, (gssize)n);
	g_free(bytes);
	return 1;
}

/* Takes the first line off. 1 it is followed by sealed bytes, 0, -1. */
static int read_head(struct spool_batch *batch, const char *path, struct error *err)
{
	struct slice bytes = slice_make(batch->bytes->str, batch->bytes->len);
	struct slice rest = bytes, line = slice_cut(&rest, '\n');
	gsize head = line.n + 1;

	struct slice word = slice_cut(&line, ' ');
	bool sealed = slice_eq(word, SLICE(SEALED_HEAD));
	if ((!sealed && !slice_eq(word, SLICE(HEAD))) ||
	        !slice_int(slice_cut(&line, ' '), &batch->received))
		return error_errno(err, EBADMSG, "%s is no batch", path);
	batch->scope = slice_dup(line);
	g_string_erase(batch->bytes, 0, (gssize)MIN(head, bytes.n));
	return sealed;
}

static int unseal(
        struct store *store, struct spool_batch *batch, const char *path, struct error *err)
{
	return pseudonym_unseal(store, batch->bytes)
	               ? 1
	               : error_errno(err, ENOKEY,
	                         "%s was sealed with another key of the pseudonyms", path);
}

int spool_read(struct store *store, const char *id, struct spool_batch *batch, struct error *err)
{
	g_autofree char *path = path_in(store, id, BATCH);

	*batch = (struct spool_batch){.bytes = g_string_new(NULL)};
	int result = read_file(path, batch->bytes, err);
	if (result != 1)
		return result;
	result = read_head(batch, path, err);
	return result == 1 ? unseal(store, batch, path, err) : result < 0 ? -1 : 1;
}

void spool_batch_clear(struct spool_batch *batch)
{
	if (batch->bytes != NULL)
		g_string_free(batch->bytes, TRUE);
	g_free(batch->scope);
	*batch = (struct spool_batch){0};
}

int spool_read_failures(struct store *store, const char *id, GString *bytes, struct error *err)
{
	g_autofree char *path = path_in(store, id, FAILURES);

	return read_file(path, bytes, err);
}

struct waiting {
	int64_t received;
	char *id;
};

static gint compare(gconstpointer a, gconstpointer b)
{
	const struct waiting *x = a, *y = b;

	return x->received != y->received ? (x->received > y->received ? 1 : -1)
	                                  : strcmp(x->id, y->id);
}

/* Whether the validation of a batch has not ended: 1, 0, -1. */
static int is_pending(struct spool *spool, const char *id, struct error *err)
{
	g_autoptr(GString) bytes = g_string_new(NULL);
	struct ingest_record record;
	int found = store_ingest(spool->store, slice_str(id), &record, bytes, err);

	return found < 0 ? -1 : found == 0 || record.time == 0;
}

/* When a batch came; 0 where that cannot be read: its validation tells. */
static int64_t received_of(struct spool *spool, const char *id)
{
	g_autofree char *path = path_of(spool->dir, id, BATCH);
	char head[sizeof(SEALED_HEAD) + 32];
	int64_t received = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, head, sizeof(head)) : 0;

	if (fd >= 0)
		close(fd);
	struct slice rest = slice_make(head, n > 0 ? (size_t)n : 0);
	slice_cut(&rest, ' ');
	return slice_int(slice_cut(&rest, ' '), &received) ? received : 0;
}

static int list_pending(struct spool *spool, GDir *dir, GArray *found, struct error *err)
{
	const char *name;

	while ((name = g_dir_read_name(dir)) != NULL) {
		if (!g_str_has_suffix(name, BATCH))
			continue;
		g_autofree char *id = g_strndup(name, strlen(name) - strlen(BATCH));
		int pending = spool_is_id(slice_str(id)) ? is_pending(spool, id, err) : 0;
		if (pending < 0)
			return -1;
		struct waiting one = {received_of(spool, id), id};
		if (pending == 1) {
			g_steal_pointer(&id);
			g_array_append_val(found, one);
		}
	}
	return 0;
}

GPtrArray *spool_pending(struct spool *spool, struct error *err)
{
	g_autoptr(GDir) dir = g_dir_open(spool->dir, 0, NULL);
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct waiting));
	GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);

	if (dir == NULL)
		error_errno(err, errno, "cannot list %s", spool->dir);
	int result = dir != NULL ? list_pending(spool, dir, found, err) : -1;
	g_array_sort(found, compare);
	for (guint i = 0; i < found->len; i++)
		g_ptr_array_add(ids, g_array_index(found, struct waiting, i).id);
	if (result < 0)
		g_clear_pointer(&ids, g_ptr_array_unref);
	return ids;
}

/* ---- refused lines ---- */

struct spool_failures *spool_failures_begin(struct spool *spool, const char *id, struct error *err)
{
	struct spool_failures *failures = g_new0(struct spool_failures, 1);

	failures->spool = spool;
	failures->path = path_of(spool->dir, id, FAILURES);
	failures->making = g_strconcat(failures->path, MAKING, NULL);
	int result = make_dir(spool, err);
	if (result == 0 && (failures->gz = gzopen(failures->making, "wbe")) == NULL)
		result = error_errno(err, errno, "cannot create %s", failures->making);
	if (result < 0)
		spool_failures_end(&failures, false, NULL);
	return failures;
}

int spool_failures_add(struct spool_failures *failures, struct slice bytes, struct error *err)
{
	if (bytes.n == 0 || gzwrite(failures->gz, bytes.p, (unsigned)bytes.n) == (int)bytes.n)
		return 0;
	return error_errno(err, errno != 0 ? errno : EIO, "cannot write %s", failures->making);
}

/* Gives a closed file its name. */
static int failures_name(struct spool_failures *failures, struct error *err)
{
	uint64_t before = size_of(failures->path);

	if (file_sync(failures->making, 0, err) < 0)
		return -1;
	if (rename(failures->making, failures->path) < 0)
		return error_errno(err, errno, "cannot rename %s", failures->making);
	if (file_sync(failures->spool->dir, O_DIRECTORY, err) < 0)
		return -1;
	add_used(failures->spool, size_of(failures->path), before);
	return 0;
}

int spool_failures_end(struct spool_failures **failures, bool keep, struct error *err)
{
	struct spool_failures *f = *failures;
	int result = 0;

	if (f == NULL)
		return 0;
	if (f->gz != NULL && gzclose(f->gz) != Z_OK && keep)
		result = error_errno(err, errno != 0 ? errno : EIO, "cannot write %s", f->making);
	if (keep && result == 0)
		result = failures_name(f, err);
	unlink(f->making);
	g_free(f->making);
	g_free(f->path);
	g_clear_pointer(failures, g_free);
	return result;
}

/* ---- removing ---- */

void spool_drop(struct spool *spool, const char *id)
{
	g_autofree char *batch = path_of(spool->dir, id, BATCH);
	g_autofree char *failures = path_of(spool->dir, id, FAILURES);

	add_used(spool, 0, remove_file(batch) + remove_file(failures));
}

void spool_drop_bytes(struct spool *spool, const char *id)
{
	g_autofree char *batch = path_of(spool->dir, id, BATCH);

	add_used(spool, 0, remove_file(batch));
}

struct expiring {
	GPtrArray *ids;
	int64_t now;
	int64_t newest;
};

static bool note_expired(void *ctx, const struct ingest_record *record)
{
	struct expiring *expiring = ctx;

	expiring->newest = MAX(expiring->newest, record->number);
	if (record->expires <= expiring->now || record->number <= expiring->newest - INGEST_KEEP)
		g_ptr_array_add(expiring->ids, slice_dup(record->id));
	return true;
}

GPtrArray *spool_expire(struct spool *spool, int64_t now, struct error *err)
{
	struct expiring expiring = {g_ptr_array_new_with_free_func(g_free), now, 0};

	if (store_each_ingest(spool->store, 0, INT64_MAX, note_expired, &expiring, err) < 0)
		g_clear_pointer(&expiring.ids, g_ptr_array_unref);
	for (guint i = 0; expiring.ids != NULL && i < expiring.ids->len; i++)
		spool_drop(spool, expiring.ids->pdata[i]);
	return expiring.ids;
}
