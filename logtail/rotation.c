#include "logtail/rotation.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "logtail/generation.h"

#define NUMBER_DIGITS 5 /* up to so many digits are a number, more a date */

static const char *const suffixes[] = {
        ".gz", ".bz2", ".xz", ".zst", ".zstd", ".lzma", ".lz4", ".lz", ".Z"};

static void rotated_free(void *data)
{
	struct rotated *rotated = data;

	g_free(rotated->path);
	g_free(rotated->key);
	g_free(rotated);
}

static struct slice strip_suffix(struct slice name, gboolean *packed_r)
{
	*packed_r = FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
		struct slice suffix = slice_str(suffixes[i]);
		if (slice_ends(name, suffix)) {
			*packed_r = TRUE;
			return slice_head(name, name.n - suffix.n);
		}
	}
	return name;
}

static gboolean is_mark(struct slice mark)
{
	gboolean digit = FALSE;

	if (mark.n < 2 || strchr(".-_", mark.p[0]) == NULL)
		return FALSE;
	for (size_t i = 1; i < mark.n; i++) {
		if (g_ascii_isdigit(mark.p[i]))
			digit = TRUE;
		else if (strchr(".-_:T", mark.p[i]) == NULL || mark.p[i] == '\0')
			return FALSE;
	}
	return digit;
}

struct slice rotation_mark(struct slice base, struct slice name, gboolean *packed_r)
{
	struct slice rest = strip_suffix(name, packed_r);
	ptrdiff_t dot = slice_rchr(base, '.');
	struct slice mark = rest;

	if (slice_skip(&mark, base) && is_mark(mark))
		return mark;
	/* logrotate's "extension .log": mail.log becomes mail.1.log or mail-20260131.log. */
	if (dot <= 0 || !slice_ends(rest, slice_from(base, (size_t)dot)))
		return SLICE_NONE;
	mark = slice_head(rest, rest.n - (base.n - (size_t)dot));
	if (slice_skip(&mark, slice_head(base, (size_t)dot)) && is_mark(mark))
		return mark;
	return SLICE_NONE;
}

static char *mark_digits(struct slice mark)
{
	GString *digits = g_string_new(NULL);

	for (size_t i = 0; i < mark.n; i++)
		if (g_ascii_isdigit(mark.p[i]))
			g_string_append_c(digits, mark.p[i]);
	return g_string_free(digits, FALSE);
}

static void rotation_add(GPtrArray *rotation, const char *folder, const char *base,
        const char *name, const struct stat *self)
{
	gboolean packed;
	struct slice mark = rotation_mark(slice_str(base), slice_str(name), &packed);
	struct stat st;

	if (mark.p == NULL)
		return;
	g_autofree char *path = g_build_filename(folder, name, NULL);
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_dev == self->st_dev && st.st_ino == self->st_ino)
		return;
	struct rotated *rotated = g_new0(struct rotated, 1);
	rotated->path = g_steal_pointer(&path);
	rotated->packed = packed;
	rotated->key = mark_digits(mark);
	rotated->numbered = strlen(rotated->key) <= NUMBER_DIGITS;
	rotated->dev = st.st_dev;
	rotated->ino = st.st_ino;
	rotated->mtime = (gint64)st.st_mtim.tv_sec * G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
	rotated->size = st.st_size;
	g_ptr_array_add(rotation, rotated);
}

static int rotation_read_folder(GPtrArray *rotation, const char *folder, const char *base,
        const struct stat *self, struct error *err)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);

	if (dir == NULL) {
		if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			return 0;
		return error_set(err, "cannot look for rotated logs: %s", error->message);
	}
	for (const char *name = g_dir_read_name(dir); name != NULL; name = g_dir_read_name(dir))
		rotation_add(rotation, folder, base, name, self);
	return 0;
}

static int rotated_compare(const void *left, const void *right)
{
	const struct rotated *a = *(struct rotated *const *)left;
	const struct rotated *b = *(struct rotated *const *)right;

	if (a->numbered && b->numbered) {
		int na = atoi(a->key), nb = atoi(b->key);
		if (na != nb)
			return na > nb ? -1 : 1;
	}
	if (!a->numbered && !b->numbered) {
		int order = strcmp(a->key, b->key);
		if (order != 0)
			return order;
	}
	if (a->mtime != b->mtime)
		return a->mtime < b->mtime ? -1 : 1;
	return strcmp(a->path, b->path);
}

/* shred begins when the compressed file is complete and has got the time of the plain one. */
static gboolean is_shredded(const struct rotated *plain, const struct rotated *packed)
{
	return plain->mtime > packed->mtime && generation_is_noise(plain->path);
}

/* Leaves out compressed files whose plain file is still there, or that one where shred is at it,
 * and files seen under two names. */
static void rotation_drop_doubles(GPtrArray *rotation)
{
	g_autoptr(GHashTable) plain = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) left_out = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < rotation->len; i++) {
		struct rotated *rotated = rotation->pdata[i];
		if (!rotated->packed)
			g_hash_table_insert(plain, rotated->path, rotated);
	}
	for (guint i = 0; i < rotation->len; i++) {
		struct rotated *rotated = rotation->pdata[i];
		gboolean packed;
		g_autofree char *stem = slice_dup(strip_suffix(slice_str(rotated->path), &packed));
		struct rotated *other = packed ? g_hash_table_lookup(plain, stem) : NULL;
		if (other != NULL)
			g_hash_table_add(left_out, is_shredded(other, rotated) ? other : rotated);
		if (rotation_index(rotation, rotated->dev, rotated->ino) != (int)i)
			g_hash_table_add(left_out, rotated);
	}
	for (guint i = rotation->len; i-- > 0;)
		if (g_hash_table_contains(left_out, rotation->pdata[i]))
			g_ptr_array_remove_index(rotation, i);
}

/* What is rotated beside `path`, and in `olddir` as seen from there. */
static int rotation_read_beside(GPtrArray *rotation, const char *path, const char *olddir,
        const struct stat *self, struct error *err)
{
	g_autofree char *folder = g_path_get_dirname(path);
	g_autofree char *base = g_path_get_basename(path);

	if (rotation_read_folder(rotation, folder, base, self, err) != 0)
		return -1;
	if (olddir == NULL)
		return 0;
	g_autofree char *old = g_canonicalize_filename(olddir, folder);
	return rotation_read_folder(rotation, old, base, self, err);
}

GPtrArray *rotation_scan(const char *path, const char *olddir, struct error *err)
{
	g_autoptr(GPtrArray) rotation = g_ptr_array_new_with_free_func(rotated_free);
	char *real = realpath(path, NULL);
	struct stat self = {0};

	/* The log itself is none of them, although a link can make it look like one. */
	if (stat(path, &self) != 0)
		self.st_ino = 0;
	int failed = rotation_read_beside(rotation, path, olddir, &self, err);
	if (failed == 0 && real != NULL && strcmp(real, path) != 0)
		failed = rotation_read_beside(rotation, real, olddir, &self, err);
	free(real);
	if (failed != 0)
		return NULL;
	g_ptr_array_sort(rotation, rotated_compare);
	rotation_drop_doubles(rotation);
	return g_steal_pointer(&rotation);
}

int rotation_index(const GPtrArray *rotation, guint64 dev, guint64 ino)
{
	for (guint i = 0; i < rotation->len; i++) {
		const struct rotated *rotated = rotation->pdata[i];
		if (rotated->dev == dev && rotated->ino == ino)
			return (int)i;
	}
	return -1;
}
