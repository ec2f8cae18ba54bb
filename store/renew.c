#include "store/renew.h"

#include "store/index.h"
#include "store/private.h"
#include "store/record.h"
#include "store/rollup.h"
#include "store/row.h"
#include "store/terms.h"

struct renewing {
	struct store *store;
	store_renewer *renew;
	void *ctx;
	struct store_renewed *result;
	uint64_t changed; /* of the day at work */
	GByteArray *record, *body;
	GArray *terms; /* guint64 */
	struct error *err;
};

static int put_row(struct renewing *r, struct day_writer *writer, int64_t row,
        const struct event *event, struct row_texts *texts)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_EVENT_SET];

	g_byte_array_set_size(r->body, 0);
	if (row_pack_event(r->body, writer, event, texts, r->err) < 0)
		return -1;
	sqlite3_bind_int64(stmt, 1, row);
	sql_bind_slice(stmt, 2, slice_make((const char *)r->body->data, r->body->len));
	return sql_run(&writer->sql, stmt, r->err);
}

static int put_index(struct renewing *r, struct day_writer *writer, int64_t row,
        const struct event *after, const struct row_texts *texts)
{
	if (index_drop(writer->tail, &writer->sql, row, r->err) < 0)
		return -1;
	g_array_set_size(r->terms, 0);
	terms_of(r->terms, after, texts, writer->day->key);
	return index_add(writer->tail, &writer->sql, row, r->terms, r->err);
}

static int renew_row(struct renewing *r, struct day_writer *writer, struct day_reader *reader,
        const struct row *row)
{
	struct row_texts texts;
	struct event before, after;

	g_byte_array_set_size(r->record, 0);
	if (row_unpack(r->record, reader, writer->day, row, &texts, r->err) < 0)
		return -1;
	record_get(r->record, 0, &before);
	after = before;
	r->result->events++;
	if (!r->renew(r->ctx, &after))
		return 0;
	r->changed++;
	return put_row(r, writer, row->id, &after, &texts) < 0 ||
	                       put_index(r, writer, row->id, &after, &texts) < 0 ||
	                       rollup_move(writer, row->id, &before, &after, r->err) < 0
	               ? -1
	               : 0;
}

/* Rows in ascending order, since the index takes them best so. The reader sees the day as it was
 * before the writer's transaction. */
static int renew_rows(struct renewing *r, struct day_writer *writer, struct day_reader *reader)
{
	sqlite3_stmt *stmt = reader->sql.stmt[DAY_ARRIVED];
	int result;

	sqlite3_bind_int64(stmt, 1, 0);
	sqlite3_bind_int64(stmt, 2, DAY_ROWS);
	sqlite3_bind_int64(stmt, 3, 0);
	sqlite3_bind_int64(stmt, 4, INT64_MAX);
	while ((result = sql_step(&reader->sql, stmt, r->err)) == 1) {
		struct row row = {.id = sqlite3_column_int64(stmt, 0),
		        .arrival = (uint64_t)sqlite3_column_int64(stmt, 1),
		        .body = sql_column(stmt, 2)};
		if (sqlite3_column_type(stmt, 3) != SQLITE_NULL)
			row.message = sql_column(stmt, 3);
		if (renew_row(r, writer, reader, &row) < 0) {
			result = -1;
			break;
		}
	}
	sqlite3_reset(stmt);
	return result;
}

static int renew_open_day(struct renewing *r, struct day_writer *writer, struct day_reader *reader)
{
	if (sql_begin(&writer->sql, r->err) < 0 ||
	        index_tail_load(writer->tail, &writer->sql, r->err) < 0 ||
	        renew_rows(r, writer, reader) < 0 || rollup_tidy(writer, r->err) < 0 ||
	        day_writer_flush(writer, r->err) < 0 ||
	        store_fault_at(r->store, "renew", r->err) < 0)
		return -1;
	if (r->changed > 0)
		return sql_commit(&writer->sql, r->err);
	sql_rollback(&writer->sql);
	return 0;
}

static int renew_day(struct renewing *r, int64_t number)
{
	struct day_writer *writer = day_writer_get(r->store, number, r->err);
	struct day_reader *reader = writer != NULL ? day_reader_get(writer->day, r->err) : NULL;
	int result = -1;

	r->changed = 0;
	if (reader != NULL) {
		result = renew_open_day(r, writer, reader);
		day_reader_put(writer->day, reader);
	}
	if (result < 0)
		r->changed = 0;
	r->result->changed += r->changed;
	r->result->days += r->changed > 0;
	/* Its caches know strings that were not committed. */
	if (writer != NULL)
		day_writer_drop(r->store, number);
	return result;
}

int store_renew(struct store *store, store_renewer *renew, void *ctx, struct store_renewed *result,
        struct error *err)
{
	struct renewing r = {.store = store,
	        .renew = renew,
	        .ctx = ctx,
	        .result = result,
	        .record = g_byte_array_new(),
	        .body = g_byte_array_new(),
	        .terms = g_array_new(FALSE, FALSE, sizeof(guint64)),
	        .err = err};
	g_autoptr(GArray) days = NULL;
	int done = 0;

	*result = (struct store_renewed){0};
	if (store->mode == STORE_WRITE)
		days = store_list_days(store, err);
	else
		error_set(err, "the store %s is open for reading only", store->dir);
	for (guint i = 0; days != NULL && i < days->len && done == 0; i++)
		done = renew_day(&r, g_array_index(days, gint64, i));
	g_byte_array_unref(r.record);
	g_byte_array_unref(r.body);
	g_array_unref(r.terms);
	return days != NULL ? done : -1;
}
