#include "capture/erase.h"

#include <errno.h>

#include "base/clock.h"
#include "store/outbox.h"

/* Somebody who reads a file, as a backup does, is waited for outside of the writer's thread. */
#define BUSY_FIRST (100 * G_TIME_SPAN_MILLISECOND)
#define BUSY_LAST G_TIME_SPAN_SECOND
#define BUSY_IN_ALL G_TIME_SPAN_MINUTE

struct erasing {
	struct capture *capture;
	struct store *store;
	struct erasure *erasure;
	bool (*stop)(void *ctx);
	void *ctx;
	struct tombstones *stones;
	GString *text;
	struct erased_day *day;
};

/* ---- what runs in the writer's thread ---- */

struct beginning {
	struct store *store;
	enum tombstone_kind kind;
	struct slice name;
	int64_t *id;
};

static int begin_job(void *ctx, struct error *err)
{
	const struct beginning *b = ctx;

	return store_erase_begin(b->store, b->kind, b->name, clock_now(), b->id, err);
}

static int switch_job(void *ctx, struct error *err)
{
	struct erasing *e = ctx;

	return store_erase_switch(e->store, e->erasure, &e->day, err);
}

struct setting_aside {
	struct store *store;
	int64_t day;
	const struct error *cause;
};

static int aside_job(void *ctx, struct error *err)
{
	const struct setting_aside *aside = ctx;

	return store_erase_set_aside(aside->store, aside->day, aside->cause, err);
}

static int end_job(void *ctx, struct error *err)
{
	struct erasing *e = ctx;

	return store_erase_end(e->store, e->erasure, clock_now(), err);
}

/* ---- steps ---- */

static bool is_held(void *ctx, struct slice text)
{
	struct erasing *e = ctx;

	return store_erase_finds(e->store, e->stones, INT64_MIN, text, e->text);
}

static bool is_stopped(const struct erasing *e)
{
	return e->stop != NULL && e->stop(e->ctx);
}

/* Uploads cut nothing meanwhile: what they read of the old file is known before it goes. */
static int switch_day(struct erasing *e, struct error *err)
{
	store_outbox_hold(e->store);
	int result = capture_run(e->capture, switch_job, e, err);
	store_outbox_release(e->store);
	return result;
}

/* 1 as switch_day. */
static int end(struct erasing *e, struct error *err)
{
	int result = capture_run(e->capture, end_job, e, err);

	return result < 0 && err->number == EBUSY ? 1 : result;
}

/* Tries a step again while it is 1: what came before it took long, and is done. */
static int when_free(
        struct erasing *e, int (*step)(struct erasing *e, struct error *err), struct error *err)
{
	gint64 until = g_get_monotonic_time() + BUSY_IN_ALL, pause = BUSY_FIRST;
	struct error cause = {0};
	int result;

	while ((result = step(e, &cause)) == 1 && !is_stopped(e) &&
	        g_get_monotonic_time() < until) {
		error_clear(&cause);
		g_usleep((gulong)pause);
		pause = MIN(pause * 2, BUSY_LAST);
	}
	if (result != 0 && err != NULL && !err->set)
		*err = cause;
	return result == 0 ? 0 : -1;
}

/* A file that is damaged is set aside, and what can be read of it saved later; one that the disk
 * does not give is named, and the others are done. */
static int end_unread(
        struct erasing *e, int64_t number, const struct error *cause, struct error *err)
{
	struct setting_aside aside = {e->store, number, cause};
	char date[CLOCK_TEXT_MAX];

	if (cause->number == EBADMSG)
		return capture_run(e->capture, aside_job, &aside, err);
	if (cause->number == EIO) {
		clock_format(number * CLOCK_DAY, CLOCK_DATE, date);
		erasure_name_rest(e->erasure,
		        "the file of %s cannot be read and was left as it is: move it away", date);
		return 0;
	}
	if (cause->set && err != NULL)
		*err = *cause;
	return -1;
}

static int erase_day(struct erasing *e, int64_t number, struct error *err)
{
	struct error cause = {0};
	int result =
	        store_erase_day(e->store, e->erasure, number, e->stop, e->ctx, &e->day, &cause);

	if (result == 1)
		result = when_free(e, switch_day, &cause);
	if (result == 0)
		return 0;
	/* The writer ended before it took the new file. */
	if (e->day != NULL)
		store_erase_drop(&e->day);
	return end_unread(e, number, &cause, err);
}

static int erase_days(struct erasing *e, struct error *err)
{
	g_autoptr(GArray) days = store_erase_days(e->store, err);

	if (days == NULL)
		return -1;
	for (guint i = 0; i < days->len; i++)
		if (is_stopped(e) || erase_day(e, g_array_index(days, gint64, i), err) < 0)
			return -1;
	return 0;
}

static int run_job(void *ctx, store_job *job, void *job_ctx, struct error *err)
{
	const struct erasing *e = ctx;

	return capture_run(e->capture, job, job_ctx, err);
}

static bool is_asked_to_stop(void *ctx)
{
	return is_stopped(ctx);
}

static int erase_files(struct erasing *e, struct error *err)
{
	const struct erase_how how = {run_job, is_asked_to_stop, e};

	return store_erase_files(e->store, e->erasure, &how, err);
}

static int carry_out(struct erasing *e, struct error *err)
{
	uint64_t forgotten = 0;

	e->stones = store_erase_stones(e->store, e->erasure);
	e->text = g_string_new(NULL);
	int result = capture_forget(e->capture, is_held, e, &forgotten, err);
	e->erasure->open += forgotten;
	if (result == 0)
		result = erase_days(e, err);
	if (result == 0)
		result = erase_files(e, err);
	if (result == 0)
		result = when_free(e, end, err);
	tombstones_free(&e->stones);
	g_string_free(e->text, TRUE);
	return result;
}

int capture_erase_begin(struct capture *capture, struct store *store, enum tombstone_kind kind,
        struct slice name, int64_t *id, struct error *err)
{
	struct beginning beginning = {store, kind, name, id};

	return capture_run(capture, begin_job, &beginning, err);
}

int capture_erase_pending(struct capture *capture, struct store *store, bool (*stop)(void *ctx),
        void *ctx, struct error *err)
{
	g_autoptr(GArray) erasures = store_erasures(store, err);
	int result = erasures != NULL ? 0 : -1;

	for (guint i = 0; result == 0 && i < erasures->len; i++) {
		struct erasing erasing = {.capture = capture,
		        .store = store,
		        .erasure = &g_array_index(erasures, struct erasure, i),
		        .stop = stop,
		        .ctx = ctx};
		if (erasing.erasure->ended == 0)
			result = carry_out(&erasing, err);
	}
	return result;
}
