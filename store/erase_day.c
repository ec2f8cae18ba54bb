/* A day file without what was erased: a new one, made of what stays. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/erase-private.h"
#include "store/file.h"
#include "store/index.h"
#include "store/put.h"
#include "store/record.h"
#include "store/row.h"

#define STEP_MS CLOCK_HOUR /* of the day, read in one transaction */
#define STEP_EVENTS 20000  /* written in one */

struct erased_day {
	int64_t number;
	char *path; /* of the new file */
	struct day_writer *writer;
	struct day_put put;
	struct tombstones *stones;
	GHashTable *messages; /* message_ids of events that go */
	GArray *arrivals;     /* guint64, of the same and of those that change */
	GString *text;
	uint64_t mark; /* up to this arrival number it is done */
	uint64_t events, changed;
	unsigned step; /* events of the transaction at work */
};

/* Reads rows of a day that arrived from `first` to `last`, ascending. */
struct sweep {
	struct erased_day *to;
	struct day *day;
	struct day_reader *reader;
	uint64_t first, last;
	int (*row)(struct sweep *sweep, int64_t row, struct event *event);
	bool (*stop)(void *ctx);
	void *ctx;
	bool found; /* something that goes or changes */
	GByteArray *record;
	struct error *err;
};

void store_erase_drop(struct erased_day **day_r)
{
	struct erased_day *day = *day_r;

	if (day == NULL)
		return;
	if (day->writer != NULL)
		day_writer_free(day->writer);
	if (day->path != NULL) {
		unlink(day->path);
		file_unlink_beside(day->path);
	}
	tombstones_free(&day->stones);
	day_put_clear(&day->put);
	g_hash_table_unref(day->messages);
	g_array_unref(day->arrivals);
	g_string_free(day->text, TRUE);
	g_free(day->path);
	g_clear_pointer(day_r, g_free);
}

static struct erased_day *erased_day_new(
        struct store *store, const struct erasure *erasure, int64_t number)
{
	struct erased_day *day = g_new0(struct erased_day, 1);

	day->number = number;
	day->stones = store_erase_stones(store, erasure);
	day->messages = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	day->arrivals = g_array_new(FALSE, FALSE, sizeof(guint64));
	day->text = g_string_new(NULL);
	day->mark = store_mark(store);
	day_put_init(&day->put);
	return day;
}

/* ---- reading ---- */

static int sweep_row(struct sweep *sweep, sqlite3_stmt *stmt)
{
	struct row row = {.id = sqlite3_column_int64(stmt, 0),
	        .arrival = (uint64_t)sqlite3_column_int64(stmt, 1),
	        .body = sql_column(stmt, 2)};
	struct row_texts texts;
	struct event event;

	if (sqlite3_column_type(stmt, 3) != SQLITE_NULL)
		row.message = sql_column(stmt, 3);
	g_byte_array_set_size(sweep->record, 0);
	if (row_unpack(sweep->record, sweep->reader, sweep->day, &row, &texts, sweep->err) < 0)
		return -1;
	record_get(sweep->record, 0, &event);
	return sweep->row(sweep, row.id, &event);
}

static int sweep_step(struct sweep *sweep, int64_t ms)
{
	sqlite3_stmt *stmt = sweep->reader->sql.stmt[DAY_ARRIVED];
	int result;

	sqlite3_bind_int64(stmt, 1, day_row(ms));
	sqlite3_bind_int64(stmt, 2, day_row(ms + STEP_MS) - 1);
	sqlite3_bind_int64(stmt, 3, (int64_t)sweep->first);
	sqlite3_bind_int64(stmt, 4, (int64_t)sweep->last);
	while ((result = sql_step(&sweep->reader->sql, stmt, sweep->err)) == 1)
		if (sweep_row(sweep, stmt) < 0) {
			result = -1;
			break;
		}
	sqlite3_reset(stmt);
	return result;
}

/* In steps, so that no log of a day in use grows for the reader's sake. */
static int sweep_run(struct sweep *sweep)
{
	int result = 0;

	sweep->record = g_byte_array_new();
	sweep->reader = day_reader_get(sweep->day, sweep->err);
	if (sweep->reader == NULL)
		result = -1;
	for (int64_t ms = 0; ms < CLOCK_DAY && result == 0; ms += STEP_MS)
		result =
		        sweep->stop != NULL && sweep->stop(sweep->ctx) ? -1 : sweep_step(sweep, ms);
	if (sweep->reader != NULL)
		day_reader_put(sweep->day, sweep->reader);
	g_byte_array_unref(sweep->record);
	return result;
}

/* ---- what goes ---- */

static void note_gone(struct erased_day *to, const struct event *event)
{
	char *message = slice_dup(event->field[FIELD_MESSAGE_ID]);

	if (message != NULL)
		g_hash_table_add(to->messages, message);
	g_array_append_val(to->arrivals, event->arrival);
	to->events++;
}

static int look_at_row(struct sweep *sweep, int64_t row, struct event *event)
{
	struct erased_day *to = sweep->to;

	(void)row;
	if (tombstones_take(to->stones, event)) {
		note_gone(to, event);
		sweep->found = true;
	} else if (!sweep->found) {
		sweep->found = tombstones_clean_event(to->stones, false, event, to->text);
	}
	return 0;
}

/* ---- what stays ---- */

static int begin_step(struct erased_day *to, struct error *err)
{
	struct day_writer *writer = to->writer;

	to->step = 0;
	rollup_start(&to->put.rollup);
	return sql_begin(&writer->sql, err) < 0 ||
	                       index_tail_load(writer->tail, &writer->sql, err) < 0
	               ? -1
	               : 0;
}

static int end_step(struct erased_day *to, struct error *err)
{
	struct day_writer *writer = to->writer;

	return rollup_end(&to->put.rollup, writer, err) < 0 || day_writer_flush(writer, err) < 0 ||
	                       sql_commit(&writer->sql, err) < 0
	               ? -1
	               : 0;
}

static int copy_row(struct sweep *sweep, int64_t row, struct event *event)
{
	struct erased_day *to = sweep->to;

	if (tombstones_take(to->stones, event))
		return 0;
	g_autofree char *message = slice_dup(event->field[FIELD_MESSAGE_ID]);
	bool close = message != NULL && g_hash_table_contains(to->messages, message);
	if (tombstones_clean_event(to->stones, close, event, to->text)) {
		to->changed++;
		g_array_append_val(to->arrivals, event->arrival);
	}
	if (day_put_event(&to->put, to->writer, row, event->arrival, event, sweep->err) < 0)
		return -1;
	if (++to->step < STEP_EVENTS)
		return 0;
	return end_step(to, sweep->err) < 0 ? -1 : begin_step(to, sweep->err);
}

static int copy_rows(struct sweep *sweep)
{
	sweep->row = copy_row;
	if (begin_step(sweep->to, sweep->err) == 0 && sweep_run(sweep) == 0 &&
	        end_step(sweep->to, sweep->err) == 0)
		return 0;
	sql_rollback(&sweep->to->writer->sql);
	return -1;
}

/* Without log and syncs: the file counts only when it has its name. */
static int open_new(struct store *store, struct erased_day *to, struct error *err)
{
	g_autofree char *path = store_day_path(store, to->number);
	struct day *day;

	to->path = g_strconcat(path, STORE_ERASED, NULL);
	if (day_make_apart(store, to->number, to->path, &day, err) < 0)
		return -1;
	day_close_idle(day);
	to->writer = day_writer_new(day, err);
	if (to->writer == NULL) {
		day_release(day);
		return -1;
	}
	return file_use_no_wal(&to->writer->sql, err) < 0 ||
	                       sql_exec(&to->writer->sql, "PRAGMA synchronous = OFF", err) < 0 ||
	                       sql_exec(&to->writer->sql, DAY_SET_ERASED, err) < 0
	               ? -1
	               : 0;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static int merge_new(struct sweep *sweep)
{
	struct erased_day *to = sweep->to;
	struct sql *sql = &to->writer->sql;
	struct error *err = sweep->err;

	if (sql_begin(sql, err) < 0 || index_tail_load(to->writer->tail, sql, err) < 0 ||
	        index_seal(to->writer->tail, sql, err) < 0 || sql_commit(sql, err) < 0 ||
	        index_merge(sql, true, sweep->stop, sweep->ctx, err) < 0) {
		sql_rollback(sql);
		return -1;
	}
	file_shrink(sql, never, NULL, NULL);
	return 0;
}

static int build(struct store *store, struct sweep *sweep)
{
	return open_new(store, sweep->to, sweep->err) < 0 || copy_rows(sweep) < 0 ||
	                       merge_new(sweep) < 0
	               ? -1
	               : 0;
}

int store_erase_day(struct store *store, const struct erasure *erasure, int64_t number,
        bool (*stop)(void *ctx), void *ctx, struct erased_day **day_r, struct error *err)
{
	struct day *day;
	int result = day_acquire(store, number, &day, err);

	*day_r = NULL;
	if (result <= 0)
		return result;
	struct erased_day *to = erased_day_new(store, erasure, number);
	struct sweep sweep = {.to = to,
	        .day = day,
	        .last = to->mark,
	        .row = look_at_row,
	        .stop = stop,
	        .ctx = ctx,
	        .err = err};
	result = sweep_run(&sweep);
	if (result == 0 && sweep.found)
		result = build(store, &sweep) == 0 ? 1 : -1;
	day_release(day);
	if (result == 1)
		*day_r = to;
	else
		store_erase_drop(&to);
	return result;
}

/* ---- the change ---- */

static int copy_commits(struct erased_day *to, struct day_reader *reader, struct error *err)
{
	sqlite3_stmt *from = reader->sql.stmt[DAY_COMMITS];
	sqlite3_stmt *stmt = to->writer->sql.stmt[DAY_COMMIT_ADD];
	int result;

	if (sql_begin(&to->writer->sql, err) < 0)
		return -1;
	sqlite3_bind_int64(from, 1, 0);
	while ((result = sql_step(&reader->sql, from, err)) == 1) {
		/* first, last, low, high, missed there; last, first, low, high, missed here. */
		static const int order[] = {1, 0, 2, 3, 4};
		for (int i = 0; i < 5; i++)
			sqlite3_bind_int64(stmt, 1 + i, sqlite3_column_int64(from, order[i]));
		if (sql_run(&to->writer->sql, stmt, err) < 0) {
			result = -1;
			break;
		}
	}
	sqlite3_reset(from);
	return result == 0 ? sql_commit(&to->writer->sql, err) : -1;
}

/* What arrived while the new file was made. Nobody commits meanwhile. */
static int catch_up(struct store *store, struct erased_day *to, struct day *day, struct error *err)
{
	struct sweep sweep = {.to = to,
	        .day = day,
	        .first = to->mark + 1,
	        .last = store_mark(store),
	        .row = look_at_row,
	        .err = err};

	if (sweep_run(&sweep) < 0 || copy_rows(&sweep) < 0)
		return -1;
	struct day_reader *reader = day_reader_get(day, err);
	int result = reader != NULL ? copy_commits(to, reader, err) : -1;
	if (reader != NULL)
		day_reader_put(day, reader);
	return result;
}

/* Who opens the old file until it is gone must find all in it: its log goes first. */
static int empty_log(const char *path, struct error *err)
{
	struct sql sql;
	int64_t tables;

	if (sql_open(&sql, path, SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	sqlite3_busy_timeout(sql.db, SQL_LOG_BUSY_MS);
	int result = sql_number(&sql, "SELECT count(*) FROM sqlite_schema", 0, &tables, err);
	if (result == 0 && sqlite3_wal_checkpoint_v2(
	                           sql.db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL) != SQLITE_OK)
		result = sql_error(&sql, err);
	sql_close(&sql);
	return result;
}

static int sync_file(const char *path, int flags, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	int result = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL)
	                     ? 0
	                     : error_errno(err, errno, "cannot sync %s", path);

	if (fd >= 0)
		close(fd);
	return result;
}

static int take_place(struct store *store, struct erased_day *to, struct error *err)
{
	g_autofree char *path = store_day_path(store, to->number);

	day_writer_free(g_steal_pointer(&to->writer));
	if (sync_file(to->path, 0, err) < 0 || store_fault_at(store, "erased", err) < 0)
		return -1;
	file_unlink_beside(path);
	if (rename(to->path, path) < 0)
		return error_errno(err, errno, "cannot rename %s", to->path);
	file_unlink_beside(path);
	day_replaced(store, to->number);
	return sync_file(store->dir, O_DIRECTORY, err) < 0 ||
	                       store_fault_at(store, "replaced", err) < 0
	               ? -1
	               : 0;
}

/* Once a day: where the switch is cut off before the rename, it comes again with the same. */
static void count(struct erasure *erasure, const struct erased_day *to)
{
	char date[CLOCK_TEXT_MAX];

	clock_format(to->number * CLOCK_DAY, CLOCK_DATE, date);
	if (strstr(erasure->days->str, date) != NULL)
		return;
	erasure->events += to->events;
	erasure->changed += to->changed;
	g_string_append_printf(erasure->days, "%s%s", erasure->days->len > 0 ? " " : "", date);
}

int store_erase_set_aside(
        struct store *store, int64_t number, const struct error *cause, struct error *err)
{
	helper_drain(store->helper);
	return aside_day(store, number, cause, err);
}

/* Afterwards nothing would tell any more what was there. */
static int replace(
        struct store *store, struct erasure *erasure, struct erased_day *to, struct error *err)
{
	count(erasure, to);
	return store_erase_note(store, erasure, err) < 0 || take_place(store, to, err) < 0 ? -1 : 0;
}

int store_erase_switch(
        struct store *store, struct erasure *erasure, struct erased_day **day_r, struct error *err)
{
	struct erased_day *to = *day_r;
	struct error busy = {0};
	struct day *day;

	/* Nobody else may write to the file now, and no log of it be copied. */
	day_writer_drop(store, to->number);
	helper_drain(store->helper);
	int result = day_acquire(store, to->number, &day, err);
	if (result == 1) {
		bool done = empty_log(day->path, &busy) == 0 &&
		            catch_up(store, to, day, err) == 0 &&
		            erase_name_batches(store, erasure, to->arrivals, err) == 0;
		day_release(day);
		result = done ? replace(store, erasure, to, err) : -1;
	}
	if (busy.set && err != NULL && !err->set)
		*err = busy;
	if (busy.number == EBUSY)
		return 1;
	store_erase_drop(day_r);
	return result;
}
