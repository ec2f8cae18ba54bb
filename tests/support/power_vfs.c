#include "tests/support/power_vfs.h"

#include <check.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#define SECTOR 512

/* What was done to a file since it was synced. */
struct operation {
	sqlite3_int64 at;
	GBytes *bytes; /* NULL: it was cut off there */
};

struct track {
	char *path;
	ino_t inode;
	GByteArray *synced; /* as it is on the disk for certain */
	GPtrArray *since;   /* of struct operation */
	bool there;         /* on the disk: false until the first sync of a new file */
	bool deleted;       /* and nobody said that this is on the disk */
};

struct power_file {
	sqlite3_file base;
	struct track *track; /* NULL: of no interest */
	sqlite3_file *real;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sqlite3_vfs *real_vfs, power_vfs;
static GHashTable *tracks; /* path -> struct track */
static GRand *chance;
static uint64_t operations, last;
static char *after;
static bool off, liar;

static void free_operation(gpointer p)
{
	struct operation *operation = p;

	if (operation->bytes != NULL)
		g_bytes_unref(operation->bytes);
	g_free(operation);
}

static void free_track(gpointer p)
{
	struct track *track = p;

	g_free(track->path);
	g_byte_array_unref(track->synced);
	g_ptr_array_unref(track->since);
	g_free(track);
}

/* ---- what the disk holds ---- */

static void put(GByteArray *image, sqlite3_int64 at, const uint8_t *bytes, size_t n)
{
	guint end = (guint)(at + (sqlite3_int64)n), had = image->len;

	if (end > had) {
		g_byte_array_set_size(image, end);
		memset(image->data + had, 0, end - had);
	}
	memcpy(image->data + at, bytes, n);
}

/* All of it, or the sectors that `keep` says. */
static void apply(GByteArray *image, const struct operation *operation, bool torn)
{
	gsize n = 0;

	if (operation->bytes == NULL) {
		if (image->len > operation->at)
			g_byte_array_set_size(image, (guint)operation->at);
		return;
	}
	const uint8_t *bytes = g_bytes_get_data(operation->bytes, &n);
	for (gsize from = 0, step; from < n; from += step) {
		step = MIN(n - from, SECTOR - (gsize)(operation->at + (gint64)from) % SECTOR);
		if (!torn || g_rand_boolean(chance))
			put(image, operation->at + (gint64)from, bytes + from, step);
	}
}

static void forget_operations(struct track *track)
{
	g_ptr_array_set_size(track->since, 0);
}

static void sync_track(struct track *track)
{
	for (guint i = 0; i < track->since->len; i++)
		apply(track->synced, g_ptr_array_index(track->since, i), false);
	forget_operations(track);
	track->there = true;
}

static void shuffle(GPtrArray *array)
{
	for (guint i = array->len; i > 1; i--) {
		guint k = (guint)g_rand_int_range(chance, 0, (gint32)i);
		gpointer turn = array->pdata[i - 1];
		array->pdata[i - 1] = array->pdata[k];
		array->pdata[k] = turn;
	}
}

/* Of each write all, nothing or a part comes to the disk; with luck in their order. */
static void lose(struct track *track)
{
	int mood = g_rand_int_range(chance, 0, 4);

	if (mood == 0)
		shuffle(track->since);
	for (guint i = 0; i < track->since->len; i++) {
		int kept = mood == 1 ? 0 : g_rand_int_range(chance, 0, 3);
		if (kept > 0)
			apply(track->synced, g_ptr_array_index(track->since, i), kept == 2);
	}
}

static void save_track(struct track *track)
{
	g_autofree char *name = g_path_get_basename(track->path);
	g_autofree char *path = g_build_filename(after, name, NULL);

	bool guess = g_rand_boolean(chance);
	if ((!track->there || track->deleted) && guess)
		return;
	lose(track);
	ck_assert(g_file_set_contents(
	        path, (const char *)track->synced->data, track->synced->len, NULL));
}

/* What no connection has had open was made by other means, which sync it before it counts. */
static void save_others(const char *dir)
{
	g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
	const char *name;

	while (list != NULL && (name = g_dir_read_name(list)) != NULL) {
		g_autofree char *from = g_build_filename(dir, name, NULL);
		g_autofree char *to = g_build_filename(after, name, NULL);
		g_autofree char *bytes = NULL;
		gsize n;
		if (!g_hash_table_contains(tracks, from) && !g_str_has_suffix(name, "-shm") &&
		        g_file_get_contents(from, &bytes, &n, NULL))
			ck_assert(g_file_set_contents(to, bytes, (gssize)n, NULL));
	}
}

static void go_dark(const char *dir)
{
	GHashTableIter iter;
	struct track *track;

	off = true;
	save_others(dir);
	g_hash_table_iter_init(&iter, tracks);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&track))
		save_track(track);
}

/* Counts an operation; true when there is no power for it. Locked. */
static bool is_dark(const struct track *track)
{
	if (!off && ++operations == last) {
		g_autofree char *dir = g_path_get_dirname(track->path);
		go_dark(dir);
	}
	return off;
}

/* ---- files ---- */

static struct power_file *power_of(sqlite3_file *file)
{
	return (struct power_file *)file;
}

#define REAL(file) (power_of(file)->real)
#define CALL(file, method, ...) (REAL(file)->pMethods->method(REAL(file), ##__VA_ARGS__))

static void note(struct track *track, sqlite3_int64 at, const void *bytes, int n)
{
	struct operation *operation = g_new0(struct operation, 1);

	operation->at = at;
	if (bytes != NULL)
		operation->bytes = g_bytes_new(bytes, (gsize)n);
	g_ptr_array_add(track->since, operation);
}

static int power_close(sqlite3_file *file)
{
	return CALL(file, xClose);
}

static int power_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
	return CALL(file, xRead, bytes, n, at);
}

static int power_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	struct track *track = power_of(file)->track;
	int result = SQLITE_IOERR_WRITE;

	pthread_mutex_lock(&lock);
	if (track == NULL || !is_dark(track)) {
		if (track != NULL)
			note(track, at, bytes, n);
		result = CALL(file, xWrite, bytes, n, at);
	}
	pthread_mutex_unlock(&lock);
	return result;
}

static int power_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct track *track = power_of(file)->track;
	int result = SQLITE_IOERR_TRUNCATE;

	pthread_mutex_lock(&lock);
	if (track == NULL || !is_dark(track)) {
		if (track != NULL)
			note(track, size, NULL, 0);
		result = CALL(file, xTruncate, size);
	}
	pthread_mutex_unlock(&lock);
	return result;
}

/* The machine that runs the test keeps its power: nothing needs to be synced. */
static int power_sync(sqlite3_file *file, int flags)
{
	struct track *track = power_of(file)->track;
	int result = SQLITE_IOERR_FSYNC;

	(void)flags;
	pthread_mutex_lock(&lock);
	if (track == NULL || !is_dark(track)) {
		if (track != NULL && !liar)
			sync_track(track);
		result = SQLITE_OK;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

static int power_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return CALL(file, xFileSize, size);
}

static int power_lock(sqlite3_file *file, int level)
{
	return CALL(file, xLock, level);
}

static int power_unlock(sqlite3_file *file, int level)
{
	return CALL(file, xUnlock, level);
}

static int power_check(sqlite3_file *file, int *locked)
{
	return CALL(file, xCheckReservedLock, locked);
}

static int power_control(sqlite3_file *file, int what, void *arg)
{
	return CALL(file, xFileControl, what, arg);
}

static int power_sector(sqlite3_file *file)
{
	return CALL(file, xSectorSize);
}

static int power_device(sqlite3_file *file)
{
	return CALL(file, xDeviceCharacteristics);
}

static int power_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **p)
{
	return CALL(file, xShmMap, page, size, extend, p);
}

static int power_shm_lock(sqlite3_file *file, int at, int n, int flags)
{
	return CALL(file, xShmLock, at, n, flags);
}

static void power_shm_barrier(sqlite3_file *file)
{
	CALL(file, xShmBarrier);
}

static int power_shm_unmap(sqlite3_file *file, int drop)
{
	return CALL(file, xShmUnmap, drop);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = power_close,
        .xRead = power_read,
        .xWrite = power_write,
        .xTruncate = power_truncate,
        .xSync = power_sync,
        .xFileSize = power_size,
        .xLock = power_lock,
        .xUnlock = power_unlock,
        .xCheckReservedLock = power_check,
        .xFileControl = power_control,
        .xSectorSize = power_sector,
        .xDeviceCharacteristics = power_device,
        .xShmMap = power_shm_map,
        .xShmLock = power_shm_lock,
        .xShmBarrier = power_shm_barrier,
        .xShmUnmap = power_shm_unmap,
};

/* Files that are being made are synced by other means, and count only then. */
static struct track *track_of(const char *path, bool new)
{
	struct stat st;

	if (path == NULL || strstr(path, ".new") != NULL || stat(path, &st) < 0)
		return NULL;
	struct track *track = g_hash_table_lookup(tracks, path);
	if (track != NULL && track->inode == st.st_ino && !track->deleted)
		return track;
	g_autofree char *bytes = NULL;
	gsize n = 0;
	track = g_new0(struct track, 1);
	track->path = g_strdup(path);
	track->inode = st.st_ino;
	track->synced = g_byte_array_new();
	track->since = g_ptr_array_new_with_free_func(free_operation);
	track->there = !new;
	if (!new &&g_file_get_contents(path, &bytes, &n, NULL))
		g_byte_array_append(track->synced, (const guint8 *)bytes, (guint)n);
	g_hash_table_replace(tracks, track->path, track);
	return track;
}

static int power_open(
        sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_r)
{
	struct power_file *power = power_of(file);
	struct stat st;

	(void)vfs;
	pthread_mutex_lock(&lock);
	bool new = path != NULL &&stat(path, &st) < 0;
	power->real = (sqlite3_file *)(power + 1);
	power->base.pMethods = NULL;
	int result = real_vfs->xOpen(real_vfs, path, power->real, flags, flags_r);
	if (result == SQLITE_OK) {
		power->track = track_of(path, new);
		power->base.pMethods = &methods;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

static int power_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
	int result = SQLITE_IOERR_DELETE;

	(void)vfs;
	pthread_mutex_lock(&lock);
	struct track *track = g_hash_table_lookup(tracks, path);
	if (track == NULL || !is_dark(track)) {
		if (track != NULL)
			track->deleted = true;
		result = real_vfs->xDelete(real_vfs, path, 0);
		if (track != NULL && sync != 0)
			track->there = false;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

void power_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	power_vfs = *real_vfs;
	power_vfs.zName = "power";
	power_vfs.szOsFile = (int)sizeof(struct power_file) + real_vfs->szOsFile;
	power_vfs.pNext = NULL;
	power_vfs.xOpen = power_open;
	power_vfs.xDelete = power_delete;
	tracks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_track);
	sqlite3_vfs_register(&power_vfs, 1);
}

void power_start(uint64_t n, uint32_t seed, const char *dir, bool lies)
{
	pthread_mutex_lock(&lock);
	g_hash_table_remove_all(tracks);
	g_clear_pointer(&chance, g_rand_free);
	chance = g_rand_new_with_seed(seed);
	g_free(after);
	after = g_strdup(dir);
	operations = 0;
	last = n;
	off = false;
	liar = lies;
	pthread_mutex_unlock(&lock);
}

uint64_t power_operations(void)
{
	pthread_mutex_lock(&lock);
	uint64_t n = operations;
	pthread_mutex_unlock(&lock);
	return n;
}

bool power_is_off(void)
{
	pthread_mutex_lock(&lock);
	bool is = off;
	pthread_mutex_unlock(&lock);
	return is;
}
