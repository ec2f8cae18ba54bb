#include "store/index.h"

static int put(struct day_writer *writer, enum day_statement statement, int64_t row,
        const GString *terms, struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[statement];

	sqlite3_bind_int64(stmt, 1, row);
	sqlite3_bind_text(stmt, 2, terms->str, (int)terms->len, SQLITE_STATIC);
	return sql_run(&writer->sql, stmt, err);
}

int index_add(struct day_writer *writer, int64_t row, const GString *terms, struct error *err)
{
	return put(writer, DAY_INDEX_ADD, row, terms, err);
}

int index_drop(struct day_writer *writer, int64_t row, const GString *terms, struct error *err)
{
	return put(writer, DAY_INDEX_DROP, row, terms, err);
}

void index_group(GString *expression, const char *const *terms, size_t n)
{
	g_string_append(expression, expression->len > 0 ? " AND (" : "(");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			g_string_append(expression, " OR ");
		g_string_append(expression, terms[i]);
	}
	g_string_append_c(expression, ')');
}

static sqlite3_stmt *bind(struct day_reader *reader, enum day_statement statement,
        const char *expression, int64_t low, int64_t high)
{
	sqlite3_stmt *stmt = reader->sql.stmt[statement];

	sqlite3_bind_text(stmt, 1, expression, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, low);
	sqlite3_bind_int64(stmt, 3, high);
	return stmt;
}

int index_rows(struct day_reader *reader, const char *expression, int64_t low, int64_t high,
        int64_t limit, GArray *rows, struct error *err)
{
	sqlite3_stmt *stmt = bind(reader, DAY_MATCH_IDS, expression, low, high);
	int result;

	sqlite3_bind_int64(stmt, 4, limit);
	while ((result = sql_step(&reader->sql, stmt, err)) == 1) {
		gint64 row = sqlite3_column_int64(stmt, 0);
		g_array_append_val(rows, row);
	}
	sqlite3_reset(stmt);
	return result;
}

static int count(
        struct day_reader *reader, sqlite3_stmt *stmt, uint64_t *count_r, struct error *err)
{
	int result = sql_step(&reader->sql, stmt, err);

	*count_r = result == 1 ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

int index_count(struct day_reader *reader, const char *expression, int64_t low, int64_t high,
        uint64_t *count_r, struct error *err)
{
	return count(reader, bind(reader, DAY_MATCH_COUNT, expression, low, high), count_r, err);
}

int index_count_late(struct day_reader *reader, const char *expression, int64_t low, int64_t high,
        uint64_t as_of, uint64_t *count_r, struct error *err)
{
	sqlite3_stmt *stmt = bind(reader, DAY_MATCH_LATE, expression, low, high);

	sqlite3_bind_int64(stmt, 4, (int64_t)as_of);
	return count(reader, stmt, count_r, err);
}

int index_merge(struct sql *sql, bool first, struct error *err)
{
	/* Pages of one step: a commit that comes meanwhile waits for no more than that. */
	int before = sqlite3_total_changes(sql->db);

	if (sql_exec(sql,
	            first ? "INSERT INTO ix (ix, rank) VALUES ('merge', -200)"
	                  : "INSERT INTO ix (ix, rank) VALUES ('merge', 200)",
	            err) < 0)
		return -1;
	/* fts5(1), "The 'merge' command": a step that changed less than two rows did nothing. */
	return sqlite3_total_changes(sql->db) - before >= 2;
}
