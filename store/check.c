#include "store/check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "event/catalogue.h"
#include "store/aside.h"
#include "store/check-private.h"
#include "store/file.h"
#include "store/ids.h"
#include "store/private.h"
#include "store/record.h"
#include "store/rollup.h"
#include "store/row.h"
#include "store/terms.h"

#define MOST_LINES "10" /* of SQLite's check of a file */

static const char *const mends[] = {
        [CHECK_TOLD] = "see the manual page",
        [CHECK_RECOUNT] = "`postwake check --repair` lets its counts start anew, and keeps them in "
                          "a capture gap",
        [CHECK_REBUILD] = "`postwake check --repair` makes it anew from the rows",
        [CHECK_SALVAGE] = "`postwake check --repair` saves what can be read",
};

void check_tell(struct checking *c, const char *path, enum check_need need, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	c->findings++;
	c->need = MAX(c->need, need);
	if (c->found != NULL)
		c->found(c->ctx, &(struct store_finding){path, text, mends[need]});
}

int check_file(struct checking *c, struct sql *sql)
{
	struct error err = {0};
	sqlite3_stmt *stmt = NULL;
	int result, lines = 0;

	if (sqlite3_prepare_v2(sql->db, "PRAGMA integrity_check(" MOST_LINES ")", -1, &stmt,
	            NULL) != SQLITE_OK)
		result = sql_error(sql, &err);
	else
		while ((result = sql_step(sql, stmt, &err)) == 1) {
			const char *line = (const char *)sqlite3_column_text(stmt, 0);
			if (line == NULL || strcmp(line, "ok") == 0)
				continue;
			check_tell(c, sql->path, CHECK_SALVAGE, "%s", line);
			lines++;
		}
	sqlite3_finalize(stmt);
	if (result < 0)
		check_tell(c, sql->path, CHECK_SALVAGE, "%s", err.text);
	return result < 0 || lines > 0 ? -1 : 0;
}

/* A day at work. */
struct looking {
	struct checking *c;
	struct day *day;
	struct day_reader *reader;
	GByteArray *record;
	GArray *terms;        /* guint64, of the row at work */
	struct check_sum sum; /* what the index must be */
	GHashTable *cells;    /* of the roll-up: gint64 key -> gint64 count */
	struct ids ids;       /* of all events */
	GArray *arrivals;     /* struct arrival */
	uint64_t bad, twice, first_twice;
	struct error first; /* of the bad rows */
};

struct arrival {
	int64_t number, row;
};

static int64_t cell_key(int64_t minute, int64_t type, int64_t class)
{
	return minute << 40 | type << 20 | (class + 1);
}

static void add_cell(GHashTable *cells, int64_t key, int64_t n)
{
	int64_t *count = g_hash_table_lookup(cells, &key);

	if (count == NULL) {
		int64_t *cell = g_new(int64_t, 2);
		cell[0] = key;
		count = &cell[1];
		*count = 0;
		g_hash_table_insert(cells, cell, count);
	}
	*count += n;
}

static void look_row(struct looking *l, const struct row *row)
{
	struct error err = {0};
	struct row_texts texts;
	struct event event;
	struct arrival arrival = {(int64_t)row->arrival, row->id};

	g_array_append_val(l->arrivals, arrival);
	g_byte_array_set_size(l->record, 0);
	if (row_unpack(l->record, l->reader, l->day, row, &texts, &err) < 0) {
		if (l->bad++ == 0)
			l->first = err;
		return;
	}
	record_get(l->record, 0, &event);
	if (!ids_add(&l->ids, event.id) && l->twice++ == 0)
		l->first_twice = event.id;
	g_array_set_size(l->terms, 0);
	terms_of(l->terms, &event, &texts, l->day->key);
	check_sum_add(&l->sum, row->id, l->terms);
	add_cell(l->cells,
	        cell_key(day_row_ms(row->id) / CLOCK_MINUTE, event_catalogue[event.type].number,
	                rollup_class(&event)),
	        1);
}

static int look_rows(struct looking *l, struct error *err)
{
	sqlite3_stmt *stmt = l->reader->sql.stmt[DAY_ARRIVED];
	int result;

	sqlite3_bind_int64(stmt, 1, INT64_MIN);
	sqlite3_bind_int64(stmt, 2, INT64_MAX);
	sqlite3_bind_int64(stmt, 3, INT64_MIN);
	sqlite3_bind_int64(stmt, 4, INT64_MAX);
	while ((result = sql_step(&l->reader->sql, stmt, err)) == 1) {
		struct row row = {.id = sqlite3_column_int64(stmt, 0),
		        .arrival = (uint64_t)sqlite3_column_int64(stmt, 1),
		        .body = sql_column(stmt, 2)};
		if (sqlite3_column_type(stmt, 3) != SQLITE_NULL)
			row.message = sql_column(stmt, 3);
		look_row(l, &row);
	}
	sqlite3_reset(stmt);
	return result;
}

static void tell(struct looking *l, enum check_need need, const char *what)
{
	check_tell(l->c, l->day->path, need, "%s", what);
}

/* A number that should be 0. */
static void look_none(struct looking *l, const char *query, enum check_need need, const char *what)
{
	struct error err = {0};
	int64_t n;

	if (sql_number(&l->reader->sql, query, 0, &n, &err) < 0)
		tell(l, CHECK_SALVAGE, err.text);
	else if (n > 0)
		check_tell(l->c, l->day->path, need, "%lld %s", (long long)n, what);
}

static void look_columns(struct looking *l)
{
	look_none(l, "SELECT count(*) FROM event WHERE id < 0 OR id >= 86400000 << 15",
	        CHECK_SALVAGE, "event(s) lie outside of the day");
	look_none(l,
	        "SELECT count(*) FROM event e LEFT JOIN message m ON m.id = e.message "
	        "WHERE e.message IS NOT NULL AND m.id IS NULL",
	        CHECK_SALVAGE, "event(s) have lost the row of their message");
}

static void add_hash(struct looking *l, struct check_sum *sum, int64_t id, uint64_t hash)
{
	guint64 term = hash;

	g_array_set_size(l->terms, 0);
	g_array_append_val(l->terms, term);
	check_sum_add(sum, id, l->terms);
}

static int sum_hashes(
        struct looking *l, enum dict_kind kind, struct check_sum *sum, struct error *err)
{
	static const char *const queries[DICT_KINDS] = {
	        "SELECT hash, id FROM word_hash",
	        "SELECT hash, id FROM reason_hash",
	        "SELECT hash, id FROM subject_hash",
	        "SELECT hash, id FROM shape_hash",
	};
	struct sql *sql = &l->reader->sql;
	sqlite3_stmt *stmt = NULL;
	int result;

	if (sqlite3_prepare_v2(sql->db, queries[kind], -1, &stmt, NULL) != SQLITE_OK)
		return sql_error(sql, err);
	while ((result = sql_step(sql, stmt, err)) == 1)
		add_hash(l, sum, sqlite3_column_int64(stmt, 1),
		        (uint64_t)sqlite3_column_int64(stmt, 0));
	sqlite3_finalize(stmt);
	return result;
}

/* What a dictionary's strings and its hashes come to: the same where each belongs to the other. */
static int look_dictionary(struct looking *l, enum dict_kind kind, struct error *err)
{
	struct dict_all all = dict_all_start(l->reader, kind, err);
	struct dict_string string;
	struct check_sum strings = {0}, hashes = {0};
	int64_t next = 1;
	int result;

	while ((result = dict_all_next(&all)) == 1) {
		if (all.row != next)
			result = dict_all_damaged(&all);
		while (result == 1 && (result = dict_block_next(&all.block, &string)) == 1)
			add_hash(l, &strings, string.id,
			        dict_hash(l->day->key, string.text, string.of) >> DICT_HASH_SHIFT);
		if (result < 0)
			break;
		next = all.block.id;
	}
	if (result < 0)
		dict_all_damaged(&all);
	dict_all_end(&all);
	if (result < 0 || sum_hashes(l, kind, &hashes, err) < 0)
		return -1;
	return memcmp(&strings, &hashes, sizeof(strings)) != 0;
}

static void look_strings(struct looking *l)
{
	struct error err = {0};
	int bad = 0;

	for (int kind = 0; kind < DICT_KINDS && !err.set; kind++)
		bad += look_dictionary(l, (enum dict_kind)kind, &err) == 1;
	if (err.set)
		tell(l, CHECK_SALVAGE, err.text);
	if (bad > 0)
		check_tell(l->c, l->day->path, CHECK_SALVAGE,
		        "strings of %d of the dictionaries are not what was written", bad);
}

static void look_index(struct looking *l)
{
	struct check_sum sum;
	struct error err = {0};

	look_none(l,
	        "SELECT count(*) FROM segment s WHERE live AND "
	        "dead <> (SELECT count(*) FROM dead WHERE segment = s.id)",
	        CHECK_REBUILD, "segment(s) of the index count their dead rows wrong");
	if (check_index(l->reader, &sum, &err) < 0)
		tell(l, CHECK_REBUILD, err.text);
	else if (l->bad == 0 && memcmp(&sum, &l->sum, sizeof(sum)) != 0)
		check_tell(l->c, l->day->path, CHECK_REBUILD,
		        "the index has %llu events with %llu terms that are not those of the %llu "
		        "events with %llu terms in the rows",
		        (unsigned long long)sum.docs, (unsigned long long)sum.terms,
		        (unsigned long long)l->sum.docs, (unsigned long long)l->sum.terms);
}

static void look_rollup(struct looking *l)
{
	struct sql *sql = &l->reader->sql;
	struct error err = {0};
	sqlite3_stmt *stmt = NULL;
	GHashTableIter iter;
	const int64_t *count;
	int64_t differ = 0;

	if (sqlite3_prepare_v2(sql->db, "SELECT minute, type, class, count FROM rollup", -1, &stmt,
	            NULL) != SQLITE_OK)
		sql_error(sql, &err);
	while (stmt != NULL && sql_step(sql, stmt, &err) == 1)
		add_cell(l->cells,
		        cell_key(sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
		                sqlite3_column_int64(stmt, 2)),
		        -sqlite3_column_int64(stmt, 3));
	sqlite3_finalize(stmt);
	if (err.set) {
		tell(l, CHECK_REBUILD, err.text);
		return;
	}
	g_hash_table_iter_init(&iter, l->cells);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&count))
		differ += *count != 0;
	if (differ > 0 && l->bad == 0)
		check_tell(l->c, l->day->path, CHECK_REBUILD,
		        "the roll-up counts other events than there are, in %lld place(s)",
		        (long long)differ);
}

static gint by_number(gconstpointer a, gconstpointer b)
{
	const struct arrival *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* Whether a commit's numbers are there, each once, and its rows between its bounds. An erasure
 * takes some of them away (`holes`). */
static bool span_is_whole(
        const GArray *arrivals, guint *at, const struct check_span *span, bool holes)
{
	for (int64_t number = span->first; number <= span->last; number++) {
		const struct arrival *arrival =
		        *at < arrivals->len ? &g_array_index(arrivals, struct arrival, *at) : NULL;
		bool there = arrival != NULL && arrival->number == number;
		if (there ? arrival->row < span->low || arrival->row > span->high : !holes)
			return false;
		*at += there;
	}
	return true;
}

static void look_arrivals(struct looking *l)
{
	sqlite3_stmt *stmt = l->reader->sql.stmt[DAY_COMMITS];
	struct error err = {0};
	bool whole = true;
	guint at = 0;
	int64_t erased = 0;
	int result;

	sql_number(&l->reader->sql, DAY_IS_ERASED, 0, &erased, NULL);
	g_array_sort(l->arrivals, by_number);
	sqlite3_bind_int64(stmt, 1, INT64_MIN);
	while ((result = sql_step(&l->reader->sql, stmt, &err)) == 1) {
		struct check_span span = {l->day->number, sqlite3_column_int64(stmt, 0),
		        sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2),
		        sqlite3_column_int64(stmt, 3)};
		g_array_append_val(l->c->spans, span);
		whole = whole && span_is_whole(l->arrivals, &at, &span, erased != 0);
	}
	sqlite3_reset(stmt);
	if (result < 0)
		tell(l, CHECK_SALVAGE, err.text);
	else if (!whole || at != l->arrivals->len)
		tell(l, CHECK_SALVAGE, "the arrival numbers are not those that commits gave");
}

static void look_parts(struct looking *l)
{
	struct error err = {0};

	look_columns(l);
	look_strings(l);
	if (look_rows(l, &err) < 0) {
		tell(l, CHECK_SALVAGE, err.text);
		return;
	}
	if (l->bad > 0)
		check_tell(l->c, l->day->path, CHECK_SALVAGE,
		        "%llu event(s) cannot be read, the first: %s", (unsigned long long)l->bad,
		        l->first.text);
	if (l->twice > 0)
		check_tell(l->c, l->day->path, CHECK_SALVAGE,
		        "%llu event(s) are there twice, the first: %llu",
		        (unsigned long long)l->twice, (unsigned long long)l->first_twice);
	look_index(l);
	look_rollup(l);
	look_arrivals(l);
}

static void look(struct looking *l)
{
	l->record = g_byte_array_new();
	l->terms = g_array_new(FALSE, FALSE, sizeof(guint64));
	l->cells = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	ids_init(&l->ids);
	l->arrivals = g_array_new(FALSE, FALSE, sizeof(struct arrival));
	look_parts(l);
	g_byte_array_unref(l->record);
	g_array_unref(l->terms);
	g_hash_table_unref(l->cells);
	ids_clear(&l->ids);
	g_array_unref(l->arrivals);
}

void check_day(struct checking *c, int64_t number)
{
	g_autofree char *path = store_day_path(c->store, number);
	struct looking l = {.c = c};
	struct error err = {0};

	c->need = CHECK_GOOD;
	int result = day_acquire(c->store, number, &l.day, &err);
	if (result == 1)
		l.reader = day_reader_get(l.day, &err);
	if (l.reader != NULL && sql_exec(&l.reader->sql, "BEGIN", &err) == 0) {
		/* What SQLite finds to be damaged is not looked at more closely. */
		if (check_file(c, &l.reader->sql) == 0)
			look(&l);
		sql_rollback(&l.reader->sql);
	}
	if (err.set)
		check_tell(c, path,
		        err.number == SQL_DAMAGED || err.number == EIO ? CHECK_SALVAGE : CHECK_TOLD,
		        "%s", err.text);
	else if (result == 0 && access(path, F_OK) == 0 && !file_is_empty(path))
		check_tell(c, path, CHECK_SALVAGE, "it has no version");
	if (l.reader != NULL)
		day_reader_put(l.day, l.reader);
	if (l.day != NULL)
		day_release(l.day);
}

/* ---- the store ---- */

static gint by_first(gconstpointer a, gconstpointer b)
{
	const struct check_span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static void check_spans(struct checking *c)
{
	g_array_sort(c->spans, by_first);
	for (guint i = 1; i < c->spans->len; i++) {
		const struct check_span *last = &g_array_index(c->spans, struct check_span, i - 1);
		const struct check_span *span = &g_array_index(c->spans, struct check_span, i);
		g_autofree char *path = store_day_path(c->store, span->day);
		if (span->first <= last->last)
			check_tell(c, path, CHECK_TOLD,
			        "arrival number %lld was given twice, in this day and in another",
			        (long long)span->first);
	}
}

static bool open_control(struct checking *c, const char *path, struct sql *sql)
{
	struct error err = {0};
	int result = sql_open_reader(sql, path, CONTROL_VERSION, &err);

	if (result == 0 && access(path, F_OK) == 0 && !file_is_empty(path))
		check_tell(c, path, CHECK_SALVAGE, "it has no version");
	else if (result == 0)
		check_tell(c, path, CHECK_TOLD, "is not there: postwaked makes a new one");
	else if (result < 0)
		check_tell(c, path, CHECK_SALVAGE, "%s", err.text);
	return result > 0;
}

/* The control file is read before the days: its mark lags, then, or is the same. */
static void check_control(struct checking *c, int64_t *mark, int64_t *dropped)
{
	g_autofree char *path = g_build_filename(c->store->dir, CONTROL_NAME, NULL);
	struct error err = {0};
	struct sql sql;
	int64_t version, wrong = 0;

	*mark = *dropped = -1;
	if (!open_control(c, path, &sql))
		return;
	/* One of an earlier version gets the rest when a writer opens it. */
	if (check_file(c, &sql) == 0 &&
	        sql_number(&sql, "PRAGMA user_version", 0, &version, &err) == 0 &&
	        (version < CONTROL_VERSION || control_sound(&sql, &err) == 0) &&
	        sql_number(&sql, "SELECT value FROM meta WHERE name = 'mark'", -1, mark, &err) ==
	                0 &&
	        sql_number(&sql, "SELECT value FROM meta WHERE name = 'dropped'", -1, dropped,
	                &err) == 0 &&
	        sql_number(&sql, "SELECT count(*) FROM ledger WHERE " CONTROL_LEDGER_WRONG, 0,
	                &wrong, &err) == 0 &&
	        wrong > 0)
		check_tell(c, path, CHECK_RECOUNT,
		        "the line ledger of %lld source(s) does not add up", (long long)wrong);
	if (err.set)
		check_tell(c, path, CHECK_SALVAGE, "%s", err.text);
	sql_close(&sql);
}

static void check_mark(struct checking *c, int64_t mark, int64_t dropped)
{
	g_autofree char *path = g_build_filename(c->store->dir, CONTROL_NAME, NULL);
	int64_t highest = dropped;

	for (guint i = 0; i < c->spans->len; i++)
		highest = MAX(highest, g_array_index(c->spans, struct check_span, i).last);
	if (mark > MAX(highest, 0))
		check_tell(c, path, CHECK_TOLD,
		        "the mark is %lld and the last event %lld: events are gone, read their "
		        "logs again (postwake import)",
		        (long long)mark, (long long)MAX(highest, 0));
}

static void check_asides(struct checking *c)
{
	g_autoptr(GArray) asides = store_asides(c->store, NULL);

	for (guint i = 0; asides != NULL && i < asides->len; i++) {
		const struct store_aside *aside = &g_array_index(asides, struct store_aside, i);
		g_autofree char *path = g_build_filename(c->store->dir, aside->name, NULL);
		if (!aside->saved && aside->day != STORE_NO_DAY)
			check_tell(c, path, CHECK_SALVAGE, "was damaged and set aside");
	}
}

int store_check(
        const char *dir, store_found *found, void *ctx, uint64_t *findings, struct error *err)
{
	struct checking c = {.found = found, .ctx = ctx};
	int64_t mark, dropped;
	int result = -1;

	if (store_open_days(&c.store, dir, err) < 0)
		return -1;
	g_autoptr(GArray) days = store_list_days(c.store, err);
	c.spans = g_array_new(FALSE, FALSE, sizeof(struct check_span));
	if (days != NULL) {
		result = 0;
		check_control(&c, &mark, &dropped);
		for (guint i = 0; i < days->len; i++)
			check_day(&c, g_array_index(days, gint64, i));
		check_spans(&c);
		check_mark(&c, mark, dropped);
		check_asides(&c);
	}
	*findings = c.findings;
	g_array_unref(c.spans);
	store_close(&c.store);
	return result;
}
