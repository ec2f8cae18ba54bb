#include "store/outbox.h"

#include <errno.h>

#include "store/batch-private.h"
#include "store/private.h"
#include "store/search.h"

#define OUTBOX_VERSION 2 /* of the control file: those before have no outbox */

const char *const outbox_state_names[OUTBOX_STATES] = {
        [OUTBOX_READY] = "ready",
        [OUTBOX_SENT] = "sent",
        [OUTBOX_ACCEPTED] = "accepted",
        [OUTBOX_PARTLY] = "partly",
        [OUTBOX_PARKED] = "parked",
        [OUTBOX_UNKNOWN] = "unknown",
        [OUTBOX_DROPPED] = "dropped",
};

struct outbox_batch *outbox_batch_new(const char *destination)
{
	struct outbox_batch *batch = g_new0(struct outbox_batch, 1);

	batch->id = g_uuid_string_random();
	batch->destination = g_strdup(destination);
	batch->remote = g_strdup("");
	batch->answer = g_strdup("");
	return batch;
}

void outbox_batch_free(struct outbox_batch *batch)
{
	if (batch == NULL)
		return;
	g_free(batch->id);
	g_free(batch->destination);
	g_free(batch->remote);
	g_free(batch->answer);
	g_free(batch);
}

void outbox_destination_free(struct outbox_destination *destination)
{
	if (destination == NULL)
		return;
	g_free(destination->name);
	g_free(destination->trouble);
	g_free(destination);
}

bool outbox_has_bytes(const struct outbox_batch *batch)
{
	return batch->state == OUTBOX_READY || batch->state == OUTBOX_SENT ||
	       batch->state == OUTBOX_PARKED;
}

/* ---- writing ---- */

void store_batch_outbox(struct store_batch *batch, const struct outbox_batch *row)
{
	const int64_t before_hash[] = {row->state, row->doubt, (int64_t)row->since,
	        (int64_t)row->until, (int64_t)row->events, (int64_t)row->bytes};
	const int64_t after_hash[] = {
	        row->oldest, row->created, row->sent, row->next, (int64_t)row->tries};
	const int64_t verdict[] = {
	        (int64_t)row->succeeded, (int64_t)row->failed, (int64_t)row->duplicates};

	batch_op(batch, OP_PUT_OUTBOX);
	batch_op_text(batch, slice_str(row->id));
	batch_op_text(batch, slice_str(row->destination));
	for (size_t i = 0; i < G_N_ELEMENTS(before_hash); i++)
		batch_op_number(batch, before_hash[i]);
	batch_op_blob(batch, slice_make((const char *)row->hash, sizeof(row->hash)));
	for (size_t i = 0; i < G_N_ELEMENTS(after_hash); i++)
		batch_op_number(batch, after_hash[i]);
	batch_op_text(batch, slice_str(row->remote));
	batch_op_text(batch, slice_str(row->answer));
	for (size_t i = 0; i < G_N_ELEMENTS(verdict); i++)
		batch_op_number(batch, verdict[i]);
}

void store_batch_destination(struct store_batch *batch, const struct outbox_destination *row)
{
	const uint64_t numbers[] = {row->arrival, row->accepted, row->failed, row->invalid,
	        row->too_old, row->lost, (uint64_t)row->max_age};

	batch_op(batch, OP_PUT_DESTINATION);
	batch_op_text(batch, slice_str(row->name));
	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		batch_op_number(batch, (int64_t)numbers[i]);
	batch_op_text(batch, slice_str(row->trouble));
}

void store_batch_failure(struct store_batch *batch, const struct outbox_failure *failure)
{
	batch_op(batch, OP_ADD_FAILURE);
	batch_op_text(batch, failure->destination);
	batch_op_text(batch, failure->batch);
	batch_op_number(batch, failure->time);
	batch_op_text(batch, failure->cause);
	batch_op_text(batch, failure->line);
	/* Ids have no holes but at the old end. */
	batch_op(batch, OP_DROP_FAILURE);
	batch_op_number(batch, OUTBOX_FAILURES);
}

void store_batch_outbox_trim(struct store_batch *batch, int64_t time)
{
	batch_op(batch, OP_TRIM_OUTBOX);
	batch_op_number(batch, time);
	batch_op(batch, OP_TRIM_FAILURES);
	batch_op_number(batch, time);
}

/* ---- reading ---- */

struct reading {
	struct control *control;
	sqlite3_stmt *stmt;
};

/* 1: go on with end(); 0: the file has no outbox yet. */
static int start(struct reading *reading, struct store *store, const char *text, struct error *err)
{
	struct sql *sql = &store->control.reader;
	int64_t version = 0;
	int result = -1;

	reading->control = &store->control;
	pthread_mutex_lock(&reading->control->lock);
	if (sql_number(sql, "PRAGMA user_version", 0, &version, err) == 0 &&
	        version < OUTBOX_VERSION)
		result = 0;
	else if (sqlite3_prepare_v2(sql->db, text, -1, &reading->stmt, NULL) == SQLITE_OK)
		return 1;
	else
		sql_error(sql, err);
	pthread_mutex_unlock(&reading->control->lock);
	return result;
}

static int next(struct reading *reading, struct error *err)
{
	return sql_step(&reading->control->reader, reading->stmt, err);
}

static void end(struct reading *reading)
{
	sqlite3_finalize(reading->stmt);
	pthread_mutex_unlock(&reading->control->lock);
}

static char *column_text(sqlite3_stmt *stmt, int at)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	return g_strdup(text != NULL ? text : "");
}

#define BATCH_COLUMNS \
	"id, destination, state, doubt, since, until, events, bytes, hash, oldest, created, " \
	"sent, " \
	"next, tries, remote, answer, succeeded, failed, duplicates"

static struct outbox_batch *read_batch(sqlite3_stmt *stmt)
{
	struct outbox_batch *batch = g_new0(struct outbox_batch, 1);
	struct slice hash = sql_column(stmt, 8);
	int state = sqlite3_column_int(stmt, 2);

	batch->id = column_text(stmt, 0);
	batch->destination = column_text(stmt, 1);
	batch->state =
	        state >= 0 && state < OUTBOX_STATES ? (enum outbox_state)state : OUTBOX_UNKNOWN;
	batch->doubt = sqlite3_column_int(stmt, 3) != 0;
	batch->since = (uint64_t)sqlite3_column_int64(stmt, 4);
	batch->until = (uint64_t)sqlite3_column_int64(stmt, 5);
	batch->events = (uint64_t)sqlite3_column_int64(stmt, 6);
	batch->bytes = (uint64_t)sqlite3_column_int64(stmt, 7);
	memcpy(batch->hash, hash.p, MIN(hash.n, sizeof(batch->hash)));
	batch->oldest = sqlite3_column_int64(stmt, 9);
	batch->created = sqlite3_column_int64(stmt, 10);
	batch->sent = sqlite3_column_int64(stmt, 11);
	batch->next = sqlite3_column_int64(stmt, 12);
	batch->tries = (unsigned)sqlite3_column_int(stmt, 13);
	batch->remote = column_text(stmt, 14);
	batch->answer = column_text(stmt, 15);
	batch->succeeded = (uint64_t)sqlite3_column_int64(stmt, 16);
	batch->failed = (uint64_t)sqlite3_column_int64(stmt, 17);
	batch->duplicates = (uint64_t)sqlite3_column_int64(stmt, 18);
	return batch;
}

static void free_batch(gpointer batch)
{
	outbox_batch_free(batch);
}

static GPtrArray *read_batches(
        struct store *store, const char *text, const char *key, struct error *err)
{
	GPtrArray *batches = g_ptr_array_new_with_free_func(free_batch);
	struct reading reading;
	int result = start(&reading, store, text, err);

	if (result == 1) {
		if (key != NULL)
			sqlite3_bind_text(reading.stmt, 1, key, -1, SQLITE_STATIC);
		while ((result = next(&reading, err)) == 1)
			g_ptr_array_add(batches, read_batch(reading.stmt));
		end(&reading);
	}
	if (result < 0)
		g_clear_pointer(&batches, g_ptr_array_unref);
	return batches;
}

GPtrArray *store_outbox(struct store *store, const char *destination, struct error *err)
{
	return destination == NULL
	               ? read_batches(store,
	                         "SELECT " BATCH_COLUMNS " FROM outbox ORDER BY destination, until",
	                         NULL, err)
	               : read_batches(store,
	                         "SELECT " BATCH_COLUMNS
	                         " FROM outbox WHERE destination = ?1 ORDER BY until",
	                         destination, err);
}

int store_outbox_find(
        struct store *store, const char *id, struct outbox_batch **batch_r, struct error *err)
{
	g_autoptr(GPtrArray) found = NULL;

	*batch_r = NULL;
	if (*id == '\0')
		return 0;
	found = read_batches(store,
	        "SELECT " BATCH_COLUMNS " FROM outbox "
	        "WHERE substr(id, 1, length(?1)) = ?1 OR substr(remote, 1, length(?1)) = ?1 LIMIT "
	        "2",
	        id, err);
	if (found == NULL)
		return -1;
	if (found->len > 1) {
		error_set(err, "%s: several batches begin so: give more of the id", id);
		if (err != NULL)
			err->number = EINVAL;
		return -1;
	}
	if (found->len == 0)
		return 0;
	*batch_r = g_ptr_array_steal_index(found, 0);
	return 1;
}

static void free_destination(gpointer destination)
{
	outbox_destination_free(destination);
}

static struct outbox_destination *read_destination(sqlite3_stmt *stmt)
{
	struct outbox_destination *row = g_new0(struct outbox_destination, 1);

	row->name = column_text(stmt, 0);
	row->arrival = (uint64_t)sqlite3_column_int64(stmt, 1);
	row->accepted = (uint64_t)sqlite3_column_int64(stmt, 2);
	row->failed = (uint64_t)sqlite3_column_int64(stmt, 3);
	row->invalid = (uint64_t)sqlite3_column_int64(stmt, 4);
	row->too_old = (uint64_t)sqlite3_column_int64(stmt, 5);
	row->lost = (uint64_t)sqlite3_column_int64(stmt, 6);
	row->max_age = sqlite3_column_int64(stmt, 7);
	row->trouble = column_text(stmt, 8);
	return row;
}

GPtrArray *store_destinations(struct store *store, struct error *err)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func(free_destination);
	struct reading reading;
	int result = start(&reading, store,
	        "SELECT name, arrival, accepted, failed, invalid, too_old, lost, max_age, "
	        "trouble "
	        "FROM destination ORDER BY name",
	        err);

	if (result == 1) {
		while ((result = next(&reading, err)) == 1)
			g_ptr_array_add(rows, read_destination(reading.stmt));
		end(&reading);
	}
	if (result < 0)
		g_clear_pointer(&rows, g_ptr_array_unref);
	return rows;
}

static void keep_time(void *ctx, const struct event *event)
{
	*(int64_t *)ctx = event->time;
}

/* In arrival order, which is nearly that of time, the first is the oldest. */
static int64_t first_time(struct store *store, uint64_t since)
{
	struct search search = {.from = INT64_MIN / 2, .to = INT64_MAX / 2, .limit = 1};
	int64_t time = INT64_MAX;
	uint64_t next;

	store_arrivals(store, &search, since, keep_time, &time, &next, NULL);
	return time;
}

void store_outbox_waiting(struct store *store, const struct outbox_destination *destination,
        const GPtrArray *batches, int64_t now, uint64_t *events, int64_t *expiring)
{
	uint64_t mark = store_mark(store);
	int64_t oldest = INT64_MAX;

	*events = mark > destination->arrival ? mark - destination->arrival : 0;
	*expiring = INT64_MAX;
	if (destination->max_age == 0)
		return;
	if (*events > 0)
		oldest = first_time(store, destination->arrival);
	for (guint i = 0; i < batches->len; i++) {
		const struct outbox_batch *batch = batches->pdata[i];
		if ((batch->state == OUTBOX_READY || batch->state == OUTBOX_PARKED) &&
		        strcmp(batch->destination, destination->name) == 0)
			oldest = MIN(oldest, batch->oldest);
	}
	if (oldest != INT64_MAX)
		*expiring = oldest + destination->max_age - now;
}

/* Texts of failures, copied: they are handed out without the lock. */
enum { FAILURE_DESTINATION, FAILURE_BATCH, FAILURE_CAUSE, FAILURE_LINE, FAILURE_TEXTS };

struct failure_row {
	char *text[FAILURE_TEXTS];
	int64_t time;
};

static void clear_failure(gpointer p)
{
	struct failure_row *row = p;

	for (int i = 0; i < FAILURE_TEXTS; i++)
		g_free(row->text[i]);
}

static int read_failures(
        struct store *store, const char *batch, unsigned limit, GArray *rows, struct error *err)
{
	struct reading reading;
	int result = start(&reading, store,
	        "SELECT destination, batch, cause, line, time FROM outbox_failure "
	        "WHERE ?1 IS NULL OR batch = ?1 ORDER BY id DESC LIMIT ?2",
	        err);

	if (result <= 0)
		return result;
	if (batch != NULL)
		sqlite3_bind_text(reading.stmt, 1, batch, -1, SQLITE_STATIC);
	sqlite3_bind_int64(reading.stmt, 2, limit);
	while ((result = next(&reading, err)) == 1) {
		struct failure_row row = {
		        .time = sqlite3_column_int64(reading.stmt, FAILURE_TEXTS)};
		for (int i = 0; i < FAILURE_TEXTS; i++)
			row.text[i] = column_text(reading.stmt, i);
		g_array_append_val(rows, row);
	}
	end(&reading);
	return result;
}

int store_each_failure(struct store *store, const char *batch, unsigned limit,
        void (*each)(void *ctx, const struct outbox_failure *failure), void *ctx, struct error *err)
{
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct failure_row));

	g_array_set_clear_func(rows, clear_failure);
	if (read_failures(store, batch, limit, rows, err) < 0)
		return -1;
	for (guint i = 0; i < rows->len; i++) {
		const struct failure_row *row = &g_array_index(rows, struct failure_row, i);
		const struct outbox_failure failure = {
		        .destination = slice_str(row->text[FAILURE_DESTINATION]),
		        .batch = slice_str(row->text[FAILURE_BATCH]),
		        .time = row->time,
		        .cause = slice_str(row->text[FAILURE_CAUSE]),
		        .line = slice_str(row->text[FAILURE_LINE]),
		};
		each(ctx, &failure);
	}
	return 0;
}
