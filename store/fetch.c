#include "store/fetch.h"

#include <errno.h>

#include "store/index.h"
#include "store/plan.h"
#include "store/record.h"
#include "store/rollup.h"
#include "store/row.h"

#define MINUTE_ROWS ((int64_t)CLOCK_MINUTE << DAY_ORDER_BITS)
#define MAX_RESULTS (1 << 30) /* bytes of one answer */
#define LOOK_EVERY 256        /* rows of a scan between two looks at the clock */

void results_init(struct results *results)
{
	results->bytes = g_byte_array_new();
	results->at = g_array_new(FALSE, FALSE, sizeof(size_t));
}

void results_clear(struct results *results)
{
	g_clear_pointer(&results->bytes, g_byte_array_unref);
	g_clear_pointer(&results->at, g_array_unref);
}

void results_each(const struct results *results, search_found *found, void *ctx)
{
	struct event event;

	for (guint i = 0; i < results->at->len; i++) {
		record_get(results->bytes, g_array_index(results->at, size_t, i), &event);
		found(ctx, &event);
	}
}

static struct row row_of(sqlite3_stmt *stmt)
{
	struct row row = {
	        .id = sqlite3_column_int64(stmt, 0),
	        .arrival = (uint64_t)sqlite3_column_int64(stmt, 1),
	        .body = sql_column(stmt, 2),
	};

	if (sqlite3_column_type(stmt, 3) != SQLITE_NULL)
		row.message = sql_column(stmt, 3);
	return row;
}

int results_take(struct results *results, struct day *day, struct day_reader *reader,
        sqlite3_stmt *stmt, struct match *match, bool patterns, struct error *err)
{
	struct row row = row_of(stmt);
	struct row_texts texts;
	struct event event;
	size_t at = results->bytes->len;

	if (at > MAX_RESULTS)
		return error_errno(err, EFBIG, "the answer is too large: ask for fewer events");
	if (row_unpack(results->bytes, reader, day, &row, &texts, err) < 0)
		return -1;
	record_get(results->bytes, at, &event);
	if (patterns ? match_event(match, &event) : match_values(match, &event)) {
		g_array_append_val(results->at, at);
		return 1;
	}
	g_byte_array_set_size(results->bytes, (guint)at);
	return 0;
}

static void drop_last(struct results *results)
{
	guint last = results->at->len - 1;

	g_byte_array_set_size(results->bytes, (guint)g_array_index(results->at, size_t, last));
	g_array_set_size(results->at, last);
}

/* A day at work: what day_search_run and its parts share. */
struct run {
	struct day_search *search;
	struct day_reader *reader;
	struct plan plan;
	GArray *late; /* ranges of rows that hold what arrived after as_of; gint64 low, high, … */
	struct error *err;
};

static const char *expression_of(const struct run *run)
{
	return run->plan.expression->len > 0 ? run->plan.expression->str : NULL;
}

/* The ranges of commits that came after as_of, put together where they meet. Commits are mostly
 * later and higher, so that one comparison with the last range joins most. */
static int find_late(struct run *run)
{
	sqlite3_stmt *stmt = run->reader->sql.stmt[DAY_COMMITS];
	int result;

	sqlite3_bind_int64(stmt, 1, (int64_t)run->search->as_of);
	while ((result = sql_step(&run->reader->sql, stmt, run->err)) == 1) {
		gint64 low = sqlite3_column_int64(stmt, 2), high = sqlite3_column_int64(stmt, 3);
		guint n = run->late->len;
		/* Ranges must not overlap, or rows would be counted twice. */
		while (n > 0 && g_array_index(run->late, gint64, n - 1) >= low - 1) {
			low = MIN(low, g_array_index(run->late, gint64, n - 2));
			high = MAX(high, g_array_index(run->late, gint64, n - 1));
			n -= 2;
		}
		g_array_set_size(run->late, n);
		g_array_append_val(run->late, low);
		g_array_append_val(run->late, high);
	}
	sqlite3_reset(stmt);
	return result;
}

static int count_plain(
        struct run *run, enum day_statement statement, int64_t low, int64_t high, uint64_t *count)
{
	sqlite3_stmt *stmt = run->reader->sql.stmt[statement];

	sqlite3_bind_int64(stmt, 2, low);
	sqlite3_bind_int64(stmt, 3, high);
	if (statement == DAY_EVENT_LATE)
		sqlite3_bind_int64(stmt, 4, (int64_t)run->search->as_of);
	int result = sql_step(&run->reader->sql, stmt, run->err);
	*count = result == 1 ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

/* Adds the matches between two rows, whenever they arrived. */
static int add_range(struct run *run, int64_t low, int64_t high, uint64_t *total)
{
	uint64_t count = 0;

	if (low > high)
		return 0;
	int result =
	        expression_of(run) != NULL
	                ? index_count(run->reader, expression_of(run), low, high, &count, run->err)
	                : count_plain(run, DAY_EVENT_COUNT, low, high, &count);
	*total += count;
	return result;
}

static int subtract_late(struct run *run, int64_t low, int64_t high, uint64_t *total)
{
	for (guint i = 0; i + 1 < run->late->len; i += 2) {
		int64_t from = MAX(low, g_array_index(run->late, gint64, i));
		int64_t to = MIN(high, g_array_index(run->late, gint64, i + 1));
		uint64_t count = 0;
		if (from > to)
			continue;
		int result = expression_of(run) != NULL
		                     ? index_count_late(run->reader, expression_of(run), from, to,
		                               run->search->as_of, &count, run->err)
		                     : count_plain(run, DAY_EVENT_LATE, from, to, &count);
		if (result < 0)
			return -1;
		*total -= count;
	}
	return 0;
}

/* Number of matches between two rows: whole minutes by the roll-up where it knows them. */
static int count_matches(struct run *run, int64_t low, int64_t high, uint64_t *total)
{
	int64_t first = (low + MINUTE_ROWS - 1) / MINUTE_ROWS, end = (high + 1) / MINUTE_ROWS;

	*total = 0;
	if (low > high)
		return 0;
	if (!rollup_knows(run->search->match) || first >= end)
		return add_range(run, low, high, total) < 0 ? -1
		                                            : subtract_late(run, low, high, total);
	if (rollup_count(run->reader, run->search->match, first, end - 1, total, run->err) < 0 ||
	        add_range(run, low, first * MINUTE_ROWS - 1, total) < 0 ||
	        add_range(run, end * MINUTE_ROWS, high, total) < 0)
		return -1;
	return subtract_late(run, low, high, total);
}

static sqlite3_stmt *page_statement(struct run *run, int64_t high, int64_t limit, int64_t offset)
{
	const char *expression = expression_of(run);
	sqlite3_stmt *stmt =
	        run->reader->sql.stmt[expression != NULL ? DAY_MATCH_PAGE : DAY_EVENT_PAGE];

	if (expression != NULL)
		sqlite3_bind_text(stmt, 1, expression, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, run->search->low);
	sqlite3_bind_int64(stmt, 3, high);
	sqlite3_bind_int64(stmt, 4, (int64_t)run->search->as_of);
	sqlite3_bind_int64(stmt, 5, limit);
	sqlite3_bind_int64(stmt, 6, offset);
	return stmt;
}

/* *read_r: rows that the index gave, before their values were verified. */
static int fetch_page(struct run *run, uint64_t offset, uint64_t *read)
{
	struct day_search *search = run->search;
	sqlite3_stmt *stmt =
	        page_statement(run, search->page_high, (int64_t)search->want, (int64_t)offset);
	int result;

	*read = 0;
	while ((result = sql_step(&run->reader->sql, stmt, run->err)) == 1) {
		int taken = results_take(search->results, search->day, run->reader, stmt,
		        search->match, false, run->err);
		if (taken < 0) {
			result = -1;
			break;
		}
		search->found += (uint64_t)taken;
		++*read;
	}
	sqlite3_reset(stmt);
	return result;
}

/* PLAN_ALL and PLAN_MATCH. */
static int run_match(struct run *run)
{
	struct day_search *search = run->search;
	bool cut = search->page_high < search->high;
	uint64_t reach = 0, read = 0;

	if (search->skip > 0) {
		if (count_matches(run, search->low, search->page_high, &reach) < 0)
			return -1;
		search->skipped = MIN(reach, search->skip);
	}
	bool page = search->want > 0 && (search->skip == 0 || reach > search->skip);
	if (page && fetch_page(run, search->skip, &read) < 0)
		return -1;
	if (search->skip > 0 && !cut)
		search->count = reach;
	else if (!search->need_count || (page && !cut && read < search->want))
		search->count = search->skipped + search->found;
	else
		return count_matches(run, search->low, search->high, &search->count);
	return 0;
}

static bool is_late(const struct run *run, gint64 row)
{
	for (guint i = 0; i + 1 < run->late->len; i += 2)
		if (row >= g_array_index(run->late, gint64, i) &&
		        row <= g_array_index(run->late, gint64, i + 1))
			return true;
	return false;
}

/* Fetches one row: 1 taken, 0 it does not match or came after as_of, -1. */
static int fetch_row(struct run *run, gint64 row)
{
	struct day_search *search = run->search;
	sqlite3_stmt *stmt = run->reader->sql.stmt[DAY_EVENT_BY_ID];

	sqlite3_bind_int64(stmt, 1, row);
	int result = sql_step(&run->reader->sql, stmt, run->err);
	if (result == 1 && (uint64_t)sqlite3_column_int64(stmt, 1) > search->as_of)
		result = 0;
	else if (result == 1)
		result = results_take(search->results, search->day, run->reader, stmt,
		        search->match, true, run->err);
	sqlite3_reset(stmt);
	return result;
}

/* PLAN_ROWS. A row is read when it is part of the page, or when its match is in doubt. */
static int run_rows(struct run *run)
{
	struct day_search *search = run->search;

	for (guint i = 0; i < run->plan.rows->len; i++) {
		gint64 row = g_array_index(run->plan.rows, gint64, i);
		bool in_page = row <= search->page_high && search->found < search->want;
		bool skip = in_page && search->skipped < search->skip;
		bool doubt = run->plan.verify || is_late(run, row);
		if (in_page && !skip)
			doubt = true;
		int result = doubt ? fetch_row(run, row) : 1;
		if (result < 0)
			return -1;
		if (result == 0)
			continue;
		search->count++;
		search->skipped += skip;
		if (in_page && !skip)
			search->found++;
		else if (doubt)
			drop_last(search->results);
		if (!search->need_count && search->found == search->want)
			break;
	}
	return 0;
}

static int too_long(struct run *run)
{
	return error_errno(run->err, ETIME,
	        "the filter is too broad to be answered in time: narrow the window");
}

/* PLAN_SCAN. */
static int run_scan(struct run *run)
{
	struct day_search *search = run->search;
	sqlite3_stmt *stmt = page_statement(run, search->high, -1, 0);
	unsigned rows = 0;
	int result;

	while ((result = sql_step(&run->reader->sql, stmt, run->err)) == 1) {
		if (++rows % LOOK_EVERY == 0 && g_get_monotonic_time() > search->deadline) {
			result = too_long(run);
			break;
		}
		result = results_take(search->results, search->day, run->reader, stmt,
		        search->match, true, run->err);
		if (result < 0)
			break;
		if (result == 0)
			continue;
		bool in_page = sqlite3_column_int64(stmt, 0) <= search->page_high &&
		               search->found < search->want;
		bool skip = in_page && search->skipped < search->skip;
		search->count++;
		search->skipped += skip;
		if (in_page && !skip)
			search->found++;
		else
			drop_last(search->results);
		if (!search->need_count && search->found == search->want)
			break;
	}
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

static int run_plan(struct run *run)
{
	uint64_t mark;

	if (day_mark(run->reader, &mark, run->err) < 0 ||
	        plan_make(&run->plan, run->search->day, run->reader, run->search->match,
	                run->search->low, run->search->high, run->err) < 0)
		return -1;
	if (run->plan.kind == PLAN_NOTHING)
		return 0;
	if (mark > run->search->as_of && find_late(run) < 0)
		return -1;
	switch (run->plan.kind) {
	case PLAN_ROWS:
		return run_rows(run);
	case PLAN_SCAN:
		return run_scan(run);
	default:
		return run_match(run);
	}
}

int day_search_run(struct day_search *search, struct error *err)
{
	struct run run = {.search = search, .err = err};
	int result = -1;

	search->count = search->skipped = search->found = 0;
	run.reader = day_reader_get(search->day, err);
	if (run.reader == NULL)
		return -1;
	run.late = g_array_new(FALSE, FALSE, sizeof(gint64));
	/* One snapshot for page and count. */
	if (sql_exec(&run.reader->sql, "BEGIN", err) == 0) {
		result = run_plan(&run);
		sql_rollback(&run.reader->sql);
	}
	plan_clear(&run.plan);
	g_array_unref(run.late);
	day_reader_put(search->day, run.reader);
	return result;
}
