/* Commit of a batch: one transaction for each day that it touches, oldest first, then one for the
 * control file. Arrival numbers ascend in that order, so that the highest number found in any day
 * file tells what is complete. */
#include <errno.h>

#include "event/catalogue.h"
#include "store/aside.h"
#include "store/batch-private.h"
#include "store/index.h"
#include "store/private.h"
#include "store/put.h"
#include "store/record.h"

/* Times outside are mistakes of the source: before 1970, after 2999. */
#define TIME_END INT64_C(32503680000000)

/* An event that found its row. */
struct placed {
	int64_t row;
	guint event; /* index in the batch */
};

struct committing {
	struct store *store;
	const struct store_batch *batch;
	int64_t oldest;
	uint64_t arrival;    /* the last number given */
	bool *fresh;         /* for each event: new, or there but not counted yet */
	GHashTable *counted; /* ids of the latter: a line may be there twice; NULL: none */
	uint64_t too_old, bad_time;
	GArray *placed; /* of the day at work */
	struct day_put put;
	struct error *err;
};

int store_fault_at(struct store *store, const char *place, struct error *err)
{
	if (store->fault == NULL || store->fault(store->fault_ctx, place) == 0)
		return 0;
	return error_errno(err, EIO, "made to fail at %s", place);
}

static const struct batch_event *event_at(const struct committing *c, guint i)
{
	return &g_array_index(c->batch->events, struct batch_event, i);
}

static bool takes(const struct committing *c, const struct batch_event *event)
{
	return event->time >= c->oldest && event->time > 0 && event->time < TIME_END;
}

static gint compare_days(gconstpointer a, gconstpointer b)
{
	gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

	return (x > y) - (x < y);
}

/* The days that the batch touches, ascending; counts what belongs to none. */
static GArray *days_of(struct committing *c)
{
	GArray *days = g_array_new(FALSE, FALSE, sizeof(gint64));

	for (guint i = 0; i < c->batch->events->len; i++) {
		const struct batch_event *event = event_at(c, i);
		gint64 day = clock_day_of(event->time);
		bool seen = false;
		if (!takes(c, event)) {
			if (event->time > 0 && event->time < c->oldest)
				c->too_old++;
			else
				c->bad_time++;
			continue;
		}
		/* The last one first: most events follow one of their day. */
		for (guint k = days->len; k-- > 0 && !seen;)
			seen = g_array_index(days, gint64, k) == day;
		if (!seen)
			g_array_append_val(days, day);
	}
	g_array_sort(days, compare_days);
	return days;
}

/* Whether the event is of somebody who was erased since: then it is not taken again. */
static bool is_erased(const struct committing *c, const struct batch_event *entry)
{
	struct event event;

	if (!tombstones_after(c->store->erase.stones, entry->time))
		return false;
	record_get(c->batch->bytes, entry->at, &event);
	if (tombstones_take(c->store->erase.stones, &event))
		return true;
	/* Somebody may have been erased by the name that stands for them. */
	store_hide(c->store, &event, c->store->plainless);
	return tombstones_take(c->store->erase.stones, &event);
}

/* Whether an event that is there is counted by this commit. */
static bool count_now(struct committing *c, const uint64_t *id)
{
	if (!g_hash_table_contains(c->store->uncounted, id))
		return false;
	if (c->counted == NULL)
		c->counted = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	return g_hash_table_add(c->counted, g_memdup2(id, sizeof(*id)));
}

/* Finds rows for the events of a day, in the order of the batch, which is that of the log. */
static int place_all(struct committing *c, struct day_writer *writer)
{
	int64_t start = writer->day->number * CLOCK_DAY;

	g_array_set_size(c->placed, 0);
	for (guint i = 0; i < c->batch->events->len; i++) {
		const struct batch_event *event = event_at(c, i);
		struct placed placed = {.event = i};
		if (!takes(c, event) || event->time < start || event->time >= start + CLOCK_DAY ||
		        is_erased(c, event))
			continue;
		int result =
		        seconds_place(writer, event->time - start, event->id, &placed.row, c->err);
		if (result < 0)
			return -1;
		if (result == 1)
			g_array_append_val(c->placed, placed);
		else
			c->fresh[i] |= count_now(c, &event->id);
	}
	return 0;
}

static gint compare_rows(gconstpointer a, gconstpointer b)
{
	const struct placed *x = a, *y = b;

	return (x->row > y->row) - (x->row < y->row);
}

static int put_event(struct committing *c, struct day_writer *writer, const struct placed *placed)
{
	struct event event;

	record_get(c->batch->bytes, event_at(c, placed->event)->at, &event);
	store_hide(c->store, &event, c->store->plainless);
	tombstones_clean_event(c->store->erase.stones, false, &event, c->store->erase.text);
	return day_put_event(&c->put, writer, placed->row, ++c->arrival, &event, c->err);
}

/* Of the events that a day file is given: those mails that the milter missed. */
static uint64_t count_missed(const struct committing *c)
{
	uint64_t n = 0;

	for (guint i = 0; i < c->placed->len; i++)
		n += event_at(c, g_array_index(c->placed, struct placed, i).event)->missed;
	return n;
}

static int put_commit(struct committing *c, struct day_writer *writer)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_COMMIT_ADD];
	guint n = c->placed->len;

	sqlite3_bind_int64(stmt, 1, (int64_t)c->arrival);
	sqlite3_bind_int64(stmt, 2, (int64_t)(c->arrival - n + 1));
	sqlite3_bind_int64(stmt, 3, g_array_index(c->placed, struct placed, 0).row);
	sqlite3_bind_int64(stmt, 4, g_array_index(c->placed, struct placed, n - 1).row);
	sqlite3_bind_int64(stmt, 5, (int64_t)count_missed(c));
	return sql_run(&writer->sql, stmt, c->err);
}

/* Within the transaction. Rows ascend as arrival numbers do. */
static int write_day(struct committing *c, struct day_writer *writer)
{
	if (index_tail_load(writer->tail, &writer->sql, c->err) < 0 || place_all(c, writer) < 0)
		return -1;
	g_array_sort(c->placed, compare_rows);
	rollup_start(&c->put.rollup);
	for (guint i = 0; i < c->placed->len; i++)
		if (put_event(c, writer, &g_array_index(c->placed, struct placed, i)) < 0)
			return -1;
	if (c->placed->len == 0)
		return 0;
	return rollup_end(&c->put.rollup, writer, c->err) < 0 || put_commit(c, writer) < 0 ||
	                       day_writer_flush(writer, c->err) < 0 ||
	                       store_fault_at(c->store, "day", c->err) < 0
	               ? -1
	               : 0;
}

static int commit_day(struct committing *c, int64_t number)
{
	struct day_writer *writer = day_writer_get(c->store, number, c->err);

	if (writer == NULL || wal_sound(&writer->day->wal, &writer->sql, c->err) < 0)
		return -1;
	wal_bound(&writer->day->wal, &writer->sql);
	seconds_trim(&writer->seconds);
	if (sql_begin(&writer->sql, c->err) < 0 || write_day(c, writer) < 0 ||
	        sql_commit(&writer->sql, c->err) < 0) {
		/* With the connection go its caches, which know what was not committed. */
		day_writer_drop(c->store, number);
		return -1;
	}
	if (writer->tail->merge_due)
		day_merge(writer);
	for (guint i = 0; i < c->placed->len; i++)
		c->fresh[g_array_index(c->placed, struct placed, i).event] = true;
	if (c->placed->len > 0) {
		store_set_day_mark(c->store, number, c->arrival);
		c->store->mark = c->arrival;
		c->store->missed += count_missed(c);
	}
	return store_fault_at(c->store, "day committed", c->err);
}

/* A file that is damaged would stop all capture: it is set aside, and a new one taken. */
static int commit_day_anyhow(struct committing *c, int64_t number)
{
	struct error *err = c->err, cause = {0};

	c->err = &cause;
	int result = commit_day(c, number);
	if (result == 0)
		aside_is_good(c->store, number);
	if (result < 0 && (cause.number == SQL_DAMAGED || aside_is_bad(c->store, number, &cause))) {
		c->err = err;
		if (aside_day(c->store, number, &cause, err) < 0)
			return -1;
		c->arrival = c->store->mark;
		return commit_day(c, number);
	}
	c->err = err;
	if (result < 0 && err != NULL && !err->set)
		*err = cause;
	return result;
}

static int commit_days(struct committing *c)
{
	g_autoptr(GArray) days = days_of(c);

	for (guint i = 0; i < days->len; i++) {
		c->arrival = c->store->mark;
		if (commit_day_anyhow(c, g_array_index(days, gint64, i)) < 0)
			return -1;
	}
	return 0;
}

/* The ids that stay uncounted when this batch is counted; NULL where there were none. */
static GHashTable *still_uncounted(const struct committing *c)
{
	GHashTable *ids;
	GHashTableIter iter;
	const gint64 *id;

	if (g_hash_table_size(c->store->uncounted) == 0)
		return NULL;
	ids = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	g_hash_table_iter_init(&iter, c->store->uncounted);
	while (g_hash_table_iter_next(&iter, (gpointer *)&id, NULL))
		g_hash_table_add(ids, g_memdup2(id, sizeof(*id)));
	for (guint i = 0; i < c->batch->events->len; i++)
		if (c->fresh[i])
			g_hash_table_remove(ids, &event_at(c, i)->id);
	return ids;
}

/* What the day files have got and the control file not: it is counted when the batch comes again.
 */
static void remember_uncounted(const struct committing *c)
{
	for (guint i = 0; i < c->batch->events->len; i++)
		if (c->fresh[i])
			g_hash_table_add(c->store->uncounted,
			        g_memdup2(&event_at(c, i)->id, sizeof(uint64_t)));
}

static int commit_control(struct committing *c)
{
	GHashTable *uncounted = still_uncounted(c);
	struct control_news news = {
	        .new_event = c->fresh,
	        .missed = c->store->missed,
	        .too_old = c->too_old,
	        .bad_time = c->bad_time,
	        .oldest = c->oldest,
	        .mark = c->store->mark,
	        .uncounted = uncounted,
	};
	int result = control_commit(c->store, c->batch, &news, c->err);

	if (result == 0)
		c->store->missed = 0;
	if (uncounted != NULL && result == 0) {
		g_hash_table_unref(c->store->uncounted);
		c->store->uncounted = uncounted;
	} else if (uncounted != NULL) {
		g_hash_table_unref(uncounted);
	}
	return result;
}

int store_commit(struct store *store, const struct store_batch *batch, int64_t oldest,
        struct store_commit_result *result, struct error *err)
{
	struct committing c = {
	        .store = store,
	        .batch = batch,
	        .oldest = oldest,
	        .fresh = g_new0(bool, batch->events->len + 1),
	        .placed = g_array_new(FALSE, FALSE, sizeof(struct placed)),
	        .err = err,
	};
	int done = -1;

	day_put_init(&c.put);
	*result = (struct store_commit_result){0};
	if (store->mode != STORE_WRITE)
		error_set(err, "the store %s is open for reading only", store->dir);
	else if (commit_days(&c) == 0 && commit_control(&c) == 0)
		done = 0;
	else
		remember_uncounted(&c);
	for (guint i = 0; i < batch->events->len; i++)
		result->inserted += c.fresh[i];
	result->too_old = c.too_old;
	result->known = batch->events->len - result->inserted - c.too_old - c.bad_time;
	result->mark = store->mark;
	day_writers_idle(store, clock_now());
	day_put_clear(&c.put);
	g_array_unref(c.placed);
	g_clear_pointer(&c.counted, g_hash_table_unref);
	g_free(c.fresh);
	return done;
}
