/* Files of the spool without who was erased. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "store/erase_line.h"
#include "store/file.h"
#include "store/private.h"
#include "store/spool-private.h"

#define LOOK_AGAIN_US 10000

struct cleaning {
	const struct tombstones *stones;
	const char *path;
	bool numbered; /* a line that goes leaves a blank one */
	bool found;
	gzFile gz; /* NULL: only looking */
	GString *text;
};

void spool_hold(struct store *store)
{
	pthread_mutex_lock(&store->spool_turn);
	pthread_mutex_lock(&store->spool_lock);
	pthread_mutex_unlock(&store->spool_turn);
}

/* A validation may take minutes. With the turn, who has a next batch at once does not come first.
 */
bool spool_hold_unless(struct store *store, bool (*stop)(void *ctx), void *ctx)
{
	bool held;

	pthread_mutex_lock(&store->spool_turn);
	while (!(held = pthread_mutex_trylock(&store->spool_lock) == 0) && !stop(ctx))
		g_usleep(LOOK_AGAIN_US);
	pthread_mutex_unlock(&store->spool_turn);
	return held;
}

void spool_release(struct store *store)
{
	pthread_mutex_unlock(&store->spool_lock);
}

/* ---- lines ---- */

static int put(struct cleaning *c, struct slice text, struct error *err)
{
	if (text.n == 0 || gzwrite(c->gz, text.p, (unsigned)text.n) == (int)text.n)
		return 0;
	return error_errno(err, errno != 0 ? errno : EIO, "cannot write %s", c->path);
}

static int look_at_line(void *ctx, struct slice line, struct error *err)
{
	struct cleaning *c = ctx;

	(void)err;
	c->found = c->found || erase_line(c->stones, line, c->text) != LINE_KEPT;
	return 0;
}

static int copy_line(void *ctx, struct slice line, struct error *err)
{
	struct cleaning *c = ctx;
	enum erased_line fate = erase_line(c->stones, line, c->text);

	if (fate == LINE_KEPT)
		return put(c, line, err) < 0 ? -1 : put(c, SLICE("\n"), err);
	if (!c->numbered)
		return 0;
	if (fate == LINE_CLEANED && put(c, slice_make(c->text->str, c->text->len), err) < 0)
		return -1;
	return put(c, SLICE("\n"), err);
}

/* ---- a file: what stands before the lines, and they as gzip ---- */

static int copy_lines(struct cleaning *c, int fd, struct slice packed, struct error *err)
{
	int copy = dup(fd);

	c->gz = copy >= 0 ? gzdopen(copy, "wb") : NULL;
	if (c->gz == NULL) {
		if (copy >= 0)
			close(copy);
		return error_errno(err, errno, "cannot write %s", c->path);
	}
	int result = erase_each_line(packed, copy_line, c, err);
	if (gzclose(c->gz) != Z_OK && result == 0)
		result = error_errno(err, errno != 0 ? errno : EIO, "cannot write %s", c->path);
	c->gz = NULL;
	return result;
}

static int write_anew(struct cleaning *c, struct store *store, struct slice head,
        struct slice packed, struct error *err)
{
	g_autofree char *making = g_strconcat(c->path, SPOOL_MAKING, NULL);
	g_autofree char *dir = g_path_get_dirname(c->path);
	int fd = open(making, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	if (fd < 0)
		return error_errno(err, errno, "cannot create %s", making);
	int result = file_give_to_owner(store, fd, err);
	if (result == 0 && file_write(fd, head) < 0)
		result = error_errno(err, errno, "cannot write %s", making);
	if (result == 0)
		result = copy_lines(c, fd, packed, err);
	if (result == 0 && fsync(fd) < 0)
		result = error_errno(err, errno, "cannot write %s", making);
	close(fd);
	if (result == 0 && rename(making, c->path) < 0)
		result = error_errno(err, errno, "cannot rename %s", making);
	if (result < 0)
		unlink(making);
	return result < 0 ? -1 : file_sync(dir, O_DIRECTORY, err);
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* `drop`: a file in which nothing can be read goes. That can be no sealed one: it goes when it is
 * validated, and no event of who was erased comes out of it. */
static int clean_file(struct store *store, struct cleaning *c, bool drop, struct error *err)
{
	g_autofree char *bytes = NULL;
	gsize n;

	if (!g_file_get_contents(c->path, &bytes, &n, NULL))
		return access(c->path, F_OK) < 0 && errno == ENOENT
		               ? 0
		               : error_errno(err, errno, "cannot read %s", c->path);
	struct slice packed = slice_make(bytes, n), head = SLICE_NONE;
	if (c->numbered) {
		head = slice_cut(&packed, '\n');
		head.n += head.n < n;
	}
	bool read = erase_each_line(packed, look_at_line, c, NULL) == 0;
	int result = 0;
	if (!read)
		result = drop ? unlink(c->path) == 0 : 0;
	else if (c->found)
		result = write_anew(c, store, head, packed, err) < 0 ? -1 : 1;
	uint64_t left = size_of(c->path);
	store->spool_freed += n - MIN(left, n);
	return result;
}

int spool_clean(struct store *store, const char *id, const struct tombstones *stones,
        bool validated, struct error *err)
{
	g_autoptr(GString) text = g_string_new(NULL);
	static const char *const ends[] = {SPOOL_BATCH, SPOOL_FAILURES};
	int changed = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
		g_autofree char *path =
		        g_strdup_printf("%s/" SPOOL_DIRECTORY "/%s%s", store->dir, id, ends[i]);
		struct cleaning c = {
		        .stones = stones, .path = path, .numbered = i == 0, .text = text};
		int result = clean_file(store, &c, validated, err);
		if (result < 0)
			return -1;
		changed |= result;
	}
	return changed;
}

/* ---- which there are ---- */

GPtrArray *spool_ids(struct store *store, struct error *err)
{
	g_autofree char *path = g_build_filename(store->dir, SPOOL_DIRECTORY, NULL);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	if (dir == NULL && errno != ENOENT) {
		error_errno(err, errno, "cannot list %s", path);
		return NULL;
	}
	GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		char *id = g_strndup(name, INGEST_ID_SIZE - 1);
		if (!spool_is_id(slice_str(id)))
			g_free(id);
		else if (g_hash_table_add(seen, id))
			g_ptr_array_add(ids, g_strdup(id));
	}
	return ids;
}
