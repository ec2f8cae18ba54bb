/* Index and roll-up of a day anew from its rows. */
#include "store/check-private.h"
#include "store/index.h"
#include "store/private.h"
#include "store/record.h"
#include "store/rollup.h"
#include "store/row.h"
#include "store/terms.h"

#define EMPTY \
	"DELETE FROM tail; DELETE FROM segment; DELETE FROM piece; DELETE FROM fence; " \
	"DELETE FROM dead; DELETE FROM rollup;"

struct rebuilding {
	struct day_writer *writer;
	struct day_reader *reader; /* sees the rows as they were */
	struct rollup rollup;
	GByteArray *record;
	GArray *terms;
	struct error *err;
};

static int add_row(struct rebuilding *r, const struct row *row)
{
	struct day_writer *writer = r->writer;
	struct row_texts texts;
	struct event event;

	g_byte_array_set_size(r->record, 0);
	if (row_unpack(r->record, r->reader, writer->day, row, &texts, r->err) < 0)
		return -1;
	record_get(r->record, 0, &event);
	g_array_set_size(r->terms, 0);
	terms_of(r->terms, &event, &texts, writer->day->key);
	return index_add(writer->tail, &writer->sql, row->id, r->terms, r->err) < 0
	               ? -1
	               : rollup_add(&r->rollup, writer, row->id, &event, r->err);
}

static int add_rows(struct rebuilding *r)
{
	sqlite3_stmt *stmt = r->reader->sql.stmt[DAY_ARRIVED];
	int result;

	sqlite3_bind_int64(stmt, 1, 0);
	sqlite3_bind_int64(stmt, 2, DAY_ROWS);
	sqlite3_bind_int64(stmt, 3, 0);
	sqlite3_bind_int64(stmt, 4, INT64_MAX);
	while ((result = sql_step(&r->reader->sql, stmt, r->err)) == 1) {
		struct row row = {.id = sqlite3_column_int64(stmt, 0),
		        .arrival = (uint64_t)sqlite3_column_int64(stmt, 1),
		        .body = sql_column(stmt, 2)};
		if (sqlite3_column_type(stmt, 3) != SQLITE_NULL)
			row.message = sql_column(stmt, 3);
		if (add_row(r, &row) < 0) {
			result = -1;
			break;
		}
	}
	sqlite3_reset(stmt);
	return result;
}

static int rebuild(struct rebuilding *r)
{
	struct sql *sql = &r->writer->sql;

	rollup_start(&r->rollup);
	return sql_begin(sql, r->err) < 0 || sql_exec(sql, EMPTY, r->err) < 0 ||
	                       index_tail_load(r->writer->tail, sql, r->err) < 0 ||
	                       add_rows(r) < 0 || rollup_end(&r->rollup, r->writer, r->err) < 0 ||
	                       day_writer_flush(r->writer, r->err) < 0 ||
	                       sql_commit(sql, r->err) < 0
	               ? -1
	               : 0;
}

int rebuild_day(struct store *store, int64_t number, struct error *err)
{
	struct rebuilding r = {.err = err, .writer = day_writer_get(store, number, err)};
	int result = -1;

	if (r.writer == NULL)
		return -1;
	r.record = g_byte_array_new();
	r.terms = g_array_new(FALSE, FALSE, sizeof(guint64));
	r.reader = day_reader_get(r.writer->day, err);
	if (r.reader != NULL) {
		result = rebuild(&r);
		day_reader_put(r.writer->day, r.reader);
	}
	rollup_clear(&r.rollup);
	g_byte_array_unref(r.record);
	g_array_unref(r.terms);
	day_writer_drop(store, number);
	return result;
}
