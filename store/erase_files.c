/* What an erasure does in the files beside the days: damaged ones that were set aside, batches that
 * go out, batches that came in. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "store/aside.h"
#include "store/check-private.h"
#include "store/erase-private.h"
#include "store/erase_line.h"
#include "store/file.h"
#include "store/ingest.h"
#include "store/outbox.h"
#include "store/spool.h"

#define HELD_US (100 * 1000) /* of validations, at one time */

struct filing {
	struct store *store;
	struct erasure *erasure;
	const struct erase_how *how;
	struct tombstones *stones;
	struct error *err;
};

static bool is_stopped(const struct filing *f)
{
	return f->how->stop != NULL && f->how->stop(f->how->ctx);
}

static int note_job(void *ctx, struct error *err)
{
	const struct filing *f = ctx;

	return store_erase_note(f->store, f->erasure, err);
}

/* What is named must be on the disk before the file goes: afterwards nobody would name it. */
static int note(struct filing *f)
{
	return f->how->run(f->how->ctx, note_job, f, f->err);
}

/* ---- damaged files ---- */

struct saving {
	struct filing *f;
	struct store_batch *batch;
	struct store_commit_result result;
};

static int save_job(void *ctx, struct error *err)
{
	struct saving *saving = ctx;

	return store_commit(saving->f->store, saving->batch, 0, &saving->result, err);
}

static int save(
        void *ctx, struct store_batch *batch, struct store_commit_result *result, struct error *err)
{
	struct filing *f = ctx;
	struct saving saving = {f, batch, {0}};

	if (is_stopped(f))
		return error_errno(err, ECANCELED, "stopped");
	int done = f->how->run(f->how->ctx, save_job, &saving, err);
	*result = saving.result;
	return done;
}

/* What can be read of it is taken into the store as from a log, without who was erased. What cannot
 * be read may hold them: the file goes. */
static int drop_aside(struct filing *f, const struct store_aside *aside)
{
	g_autofree char *path = g_build_filename(f->store->dir, aside->name, NULL);
	uint64_t saved = 0, lost = 0;

	if (aside->day != STORE_NO_DAY && !aside->saved &&
	        salvage_day(f->store, aside->name, aside->day, save, f, &saved, &lost, f->err) < 0)
		return -1;
	erasure_name_rest(f->erasure,
	        "the damaged file %s was removed: %" G_GUINT64_FORMAT
	        " event(s) of it are in the store, %" G_GUINT64_FORMAT
	        " could not be read or were known before",
	        aside->name, saved, lost);
	if (note(f) < 0)
		return -1;
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(f->err, errno, "cannot remove %s", path);
	file_unlink_beside(path);
	return 0;
}

static int drop_asides(struct filing *f)
{
	g_autoptr(GArray) asides = store_asides(f->store, f->err);

	for (guint i = 0; asides != NULL && i < asides->len; i++)
		if (is_stopped(f) ||
		        drop_aside(f, &g_array_index(asides, struct store_aside, i)) < 0)
			return -1;
	return asides != NULL ? 0 : -1;
}

/* ---- batches that go out ---- */

struct looking {
	const struct filing *f;
	GString *text;
	bool found;
};

static int look_at_line(void *ctx, struct slice line, struct error *err)
{
	struct looking *looking = ctx;

	(void)err;
	looking->found =
	        looking->found || erase_line(looking->f->stones, line, looking->text) != LINE_KEPT;
	return 0;
}

/* What is no gzip is of no use, and may hold anything. */
static bool holds(const struct filing *f, struct slice packed)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct looking looking = {f, text, false};

	return erase_each_line(packed, look_at_line, &looking, NULL) < 0 || looking.found;
}

void erase_name_batch(struct erasure *erasure, const struct outbox_batch *batch)
{
	bool sent = batch->tries > 0 || batch->doubt || batch->state == OUTBOX_SENT ||
	            batch->state == OUTBOX_ACCEPTED || batch->state == OUTBOX_PARTLY;

	if (sent)
		erasure_name_rest(erasure, "batch %s was sent to %s%s%s: ask there for the erasure",
		        batch->id, batch->destination, *batch->remote != '\0' ? " as " : "",
		        batch->remote);
}

/* The bytes that held it go, if they are still those. A batch that was never sent is cut anew from
 * the store; one that may have got there cannot be sent again, and ends as unknown. */
static int drop_bytes(struct filing *f, const char *id, struct slice bytes)
{
	struct outbox_batch *batch = NULL, gone = {.id = (char *)id};
	guint8 hash[OUTBOX_HASH_LEN];
	int found = store_outbox_find(f->store, id, &batch, f->err);

	if (found < 0)
		return -1;
	digest_of(bytes, hash);
	bool same = found == 1 && memcmp(hash, batch->hash, sizeof(hash)) == 0;
	if (same)
		erase_name_batch(f->erasure, batch);
	int result = same ? note(f) : 0;
	/* Bytes that are not those of the row are damaged, or were cut anew since: nobody sends the
	 * first, and the second are cut once more. */
	if (result == 0)
		store_outbox_unlink(f->store, found == 1 ? batch : &gone);
	outbox_batch_free(batch);
	return result;
}

static int clean_outgoing(struct filing *f, const char *path, const char *id)
{
	g_autofree char *bytes = NULL;
	gsize n;

	if (!g_file_get_contents(path, &bytes, &n, NULL)) {
		/* One that has ended meanwhile is gone. */
		if (access(path, F_OK) == 0)
			erasure_name_rest(f->erasure, "%s cannot be read: move it away", path);
		return 0;
	}
	if (!holds(f, slice_make(bytes, n)))
		return 0;
	store_outbox_hold(f->store);
	int result = drop_bytes(f, id, slice_make(bytes, n));
	store_outbox_release(f->store);
	return result;
}

/* What is written from here on was read after the days were cleaned. */
static int clean_outbox(struct filing *f)
{
	g_autofree char *path = g_build_filename(f->store->dir, OUTBOX_DIR, NULL);
	const char *name;
	int result = 0;

	store_outbox_hold(f->store);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	store_outbox_release(f->store);
	if (dir == NULL)
		return 0;
	while (result == 0 && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *file = g_build_filename(path, name, NULL);
		g_autofree char *id = g_strndup(name, OUTBOX_ID_LEN);
		if (is_stopped(f))
			return -1;
		if (g_uuid_string_is_valid(id))
			result = clean_outgoing(f, file, id);
	}
	return result == 0 ? file_sync(path, O_DIRECTORY, f->err) : -1;
}

/* ---- batches that came in ---- */

static bool is_asked_to_stop(void *ctx)
{
	return is_stopped(ctx);
}

static bool hold_spool(struct filing *f)
{
	return spool_hold_unless(f->store, is_asked_to_stop, f);
}

/* Held. */
static int clean_incoming(struct filing *f, const char *id)
{
	g_autoptr(GString) bytes = g_string_new(NULL);
	struct ingest_record record;
	int found = store_ingest(f->store, slice_str(id), &record, bytes, f->err);

	if (found < 0 ||
	        spool_clean(f->store, id, f->stones, found == 1 && record.time != 0, f->err) < 0)
		return -1;
	return 0;
}

/* Held, and held again: what is validated must not wait for thousands of batches. */
static int clean_all_incoming(struct filing *f, const GPtrArray *ids, bool *held)
{
	gint64 since = g_get_monotonic_time();

	for (guint i = 0; i < ids->len; i++) {
		if (g_get_monotonic_time() - since >= HELD_US) {
			spool_release(f->store);
			*held = hold_spool(f);
			since = g_get_monotonic_time();
		}
		if (!*held || is_stopped(f) || clean_incoming(f, ids->pdata[i]) < 0)
			return -1;
	}
	return 0;
}

/* Batches that come from here on are cleaned when they are validated. */
static int clean_spool(struct filing *f)
{
	bool held = hold_spool(f);

	if (!held)
		return -1;
	g_autoptr(GPtrArray) ids = spool_ids(f->store, f->err);
	int result = ids != NULL ? clean_all_incoming(f, ids, &held) : -1;
	if (held)
		spool_release(f->store);
	return result;
}

int store_erase_files(struct store *store, struct erasure *erasure, const struct erase_how *how,
        struct error *err)
{
	struct error cause = {0};
	struct filing f = {store, erasure, how, store_erase_stones(store, erasure), &cause};
	int result = drop_asides(&f) < 0 || clean_outbox(&f) < 0 || clean_spool(&f) < 0 ? -1 : 0;

	if (result < 0 && cause.set && cause.number != ECANCELED && err != NULL && !err->set)
		*err = cause;
	tombstones_free(&f.stones);
	return result;
}
