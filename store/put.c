#include "store/put.h"

#include "store/index.h"
#include "store/row.h"
#include "store/terms.h"

void day_put_init(struct day_put *put)
{
	*put = (struct day_put){
	        .body = g_byte_array_new(),
	        .terms = g_array_new(FALSE, FALSE, sizeof(guint64)),
	};
}

void day_put_clear(struct day_put *put)
{
	rollup_clear(&put->rollup);
	g_byte_array_unref(put->body);
	g_array_unref(put->terms);
}

/* The row of what the event tells of its message: 0 = nothing, -1 = failed. */
static int64_t put_message(struct day_put *put, struct day_writer *writer,
        const struct event *event, struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_MESSAGE_ADD];

	if (!row_has_message(event))
		return 0;
	uint64_t hash = row_message_hash(event, writer);
	int64_t id = cache_get(&writer->message, hash);
	if (id > 0)
		return id;
	g_byte_array_set_size(put->body, 0);
	if (row_pack_message(put->body, writer, event, err) < 0)
		return -1;
	sql_bind_slice(stmt, 1, slice_make((const char *)put->body->data, put->body->len));
	if (sql_run(&writer->sql, stmt, err) < 0)
		return -1;
	id = sqlite3_last_insert_rowid(writer->sql.db);
	cache_put(&writer->message, hash, id);
	return id;
}

static int put_index(struct day_put *put, struct day_writer *writer, int64_t row,
        const struct event *event, struct row_texts *texts, struct error *err)
{
	texts->subject = 0;
	if (event_has(event, FIELD_SUBJECT))
		texts->subject = dict_id(writer, DICT_SUBJECT, event->field[FIELD_SUBJECT], 0, err);
	if (texts->subject < 0)
		return -1;
	g_array_set_size(put->terms, 0);
	terms_of(put->terms, event, texts, writer->day->key);
	return index_add(writer->tail, &writer->sql, row, put->terms, err);
}

int day_put_event(struct day_put *put, struct day_writer *writer, int64_t row, uint64_t arrival,
        const struct event *event, struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_EVENT_ADD];
	int64_t message = put_message(put, writer, event, err);
	struct row_texts texts;

	g_byte_array_set_size(put->body, 0);
	if (message < 0 || row_pack_event(put->body, writer, event, &texts, err) < 0)
		return -1;
	sqlite3_bind_int64(stmt, 1, row);
	sqlite3_bind_int64(stmt, 2, (int64_t)arrival);
	if (message > 0)
		sqlite3_bind_int64(stmt, 3, message);
	else
		sqlite3_bind_null(stmt, 3);
	sql_bind_slice(stmt, 4, slice_make((const char *)put->body->data, put->body->len));
	return sql_run(&writer->sql, stmt, err) < 0 ||
	                       put_index(put, writer, row, event, &texts, err) < 0 ||
	                       rollup_add(&put->rollup, writer, row, event, err) < 0
	               ? -1
	               : 0;
}
