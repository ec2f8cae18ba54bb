/* The bytes of batches: a file each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "store/file.h"
#include "store/outbox.h"
#include "store/private.h"

#define OUTBOX_END ".gz"
#define BYTES_MAX (64 * 1024 * 1024) /* no batch has so many */

static char *path_of(struct store *store, const char *id, const char *end)
{
	g_autofree char *name = g_strconcat(id, end, NULL);

	return g_build_filename(store->dir, OUTBOX_DIR, name, NULL);
}

/* A name of ours is a UUID: no row can lead out of the directory. */
static int check_id(const struct outbox_batch *batch, struct error *err)
{
	return g_uuid_string_is_valid(batch->id)
	               ? 0
	               : error_set(err, "outbox: the batch has a bad id: %s", batch->id);
}

static int make_dir(struct store *store, struct error *err)
{
	g_autofree char *dir = g_build_filename(store->dir, OUTBOX_DIR, NULL);

	if (mkdir(dir, 0750) < 0)
		return errno == EEXIST ? 0 : error_errno(err, errno, "cannot create %s", dir);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? error_errno(err, errno, "cannot open %s", dir)
	                    : file_give_to_owner(store, fd, err);
	if (fd >= 0)
		close(fd);
	return result;
}

static int fill(struct store *store, const char *path, struct slice bytes, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return error_errno(err, errno, "cannot create %s", path);
	int result = file_give_to_owner(store, fd, err);
	if (result == 0 && (file_write(fd, bytes) < 0 || fsync(fd) < 0))
		result = error_errno(err, errno, "cannot write %s", path);
	close(fd);
	return result;
}

int store_outbox_write(
        struct store *store, struct outbox_batch *batch, struct slice bytes, struct error *err)
{
	g_autofree char *path = path_of(store, batch->id, OUTBOX_END);
	g_autofree char *making = path_of(store, batch->id, OUTBOX_END ".new");
	g_autofree char *dir = g_path_get_dirname(path);

	if (check_id(batch, err) < 0 || make_dir(store, err) < 0)
		return -1;
	if (fill(store, making, bytes, err) < 0) {
		unlink(making);
		return -1;
	}
	if (rename(making, path) < 0)
		return error_errno(err, errno, "cannot rename %s", making);
	batch->bytes = bytes.n;
	digest_of(bytes, batch->hash);
	return file_sync(dir, O_DIRECTORY, err);
}

static int read_all(int fd, GByteArray *bytes, const char *path, struct error *err)
{
	guint8 buffer[65536];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", path);
		g_byte_array_append(bytes, buffer, (guint)n);
		if (bytes->len > BYTES_MAX)
			break;
	}
	return 0;
}

int store_outbox_read(
        struct store *store, const struct outbox_batch *batch, GByteArray *bytes, struct error *err)
{
	g_autofree char *path = path_of(store, batch->id, OUTBOX_END);
	guint8 hash[OUTBOX_HASH_LEN];

	g_byte_array_set_size(bytes, 0);
	if (check_id(batch, err) < 0)
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot open %s", path);
	int result = read_all(fd, bytes, path, err);
	close(fd);
	if (result < 0)
		return -1;
	digest_of(slice_make((const char *)bytes->data, bytes->len), hash);
	return memcmp(hash, batch->hash, sizeof(hash)) == 0;
}

void store_outbox_unlink(struct store *store, const struct outbox_batch *batch)
{
	g_autofree char *path = path_of(store, batch->id, OUTBOX_END);

	if (check_id(batch, NULL) == 0)
		unlink(path);
}

void store_outbox_hold(struct store *store)
{
	pthread_mutex_lock(&store->outbox_lock);
}

void store_outbox_release(struct store *store)
{
	pthread_mutex_unlock(&store->outbox_lock);
}

int store_outbox_sweep(struct store *store, struct error *err)
{
	g_autofree char *path = g_build_filename(store->dir, OUTBOX_DIR, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	g_autoptr(GHashTable) wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) rows = dir != NULL ? store_outbox(store, NULL, err) : NULL;
	const char *name;

	if (dir == NULL)
		return 0;
	if (rows == NULL)
		return -1;
	for (guint i = 0; i < rows->len; i++) {
		const struct outbox_batch *batch = rows->pdata[i];
		if (outbox_has_bytes(batch))
			g_hash_table_add(wanted, g_strconcat(batch->id, OUTBOX_END, NULL));
	}
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *file = g_build_filename(path, name, NULL);
		if (!g_hash_table_contains(wanted, name))
			unlink(file);
	}
	return 0;
}
