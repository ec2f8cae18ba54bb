#include "store/fetch.h"

#include <errno.h>

#include "store/index.h"
#include "store/plan.h"
#include "store/record.h"
#include "store/row.h"

#define MAX_RESULTS (128 << 20) /* bytes of the events of one answer */
#define LOOK_EVERY 256          /* rows of a scan between two looks at the clock */

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

/* A day at work: what day_search_run and its parts share. */
struct run {
	struct day_search *search;
	struct day_reader *reader;
	struct plan plan;
	struct index_hits *hits; /* of the window, where the index is asked */
	GArray *late; /* ranges of rows that hold what arrived after as_of; gint64 low, high, … */
	struct error *err;
};

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

/* All rows of a range that arrived after as_of. */
static int count_all_late(struct run *run, int64_t low, int64_t high, uint64_t *count)
{
	sqlite3_stmt *stmt = run->reader->sql.stmt[DAY_EVENT_LATE];

	sqlite3_bind_int64(stmt, 1, low);
	sqlite3_bind_int64(stmt, 2, high);
	sqlite3_bind_int64(stmt, 3, (int64_t)run->search->as_of);
	int result = sql_step(&run->reader->sql, stmt, run->err);
	*count = result == 1 ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

/* Lets `hits` be those of a range of the window. */
static int find_between(struct run *run, int64_t low, int64_t high, struct index_hits **hits)
{
	*hits = index_find(&run->reader->sql, run->plan.query, low, high, run->err);
	return *hits != NULL ? 0 : -1;
}

/* Whenever they arrived. */
static int count_hits(struct run *run, int64_t low, int64_t high, uint64_t *count)
{
	struct index_hits *hits = run->hits;
	bool window = hits != NULL && low == run->search->low && high == run->search->high;

	if (!window && find_between(run, low, high, &hits) < 0)
		return -1;
	int result = index_count(hits, count);
	if (!window)
		index_hits_free(&hits);
	return result;
}

/* 1 when a row arrived after as_of, or is not there. */
static int arrived_late(struct run *run, int64_t row)
{
	sqlite3_stmt *stmt = run->reader->sql.stmt[DAY_EVENT_ARRIVAL];

	sqlite3_bind_int64(stmt, 1, row);
	int result = sql_step(&run->reader->sql, stmt, run->err);
	bool late = result != 1 || (uint64_t)sqlite3_column_int64(stmt, 0) > run->search->as_of;
	sqlite3_reset(stmt);
	return result < 0 ? -1 : late;
}

/* The matches of a range that arrived after as_of. */
static int count_late(struct run *run, int64_t low, int64_t high, uint64_t *count)
{
	struct index_hits *hits;
	int64_t row;
	int more, late = 0;

	if (run->plan.kind != PLAN_MATCH)
		return count_all_late(run, low, high, count);
	if (find_between(run, low, high, &hits) < 0)
		return -1;
	more = index_start(hits, high);
	while (more == 0 && late >= 0 && (more = index_next(hits, &row)) == 1) {
		late = arrived_late(run, row);
		*count += late == 1;
		more = 0;
	}
	index_hits_free(&hits);
	return more < 0 || late < 0 ? -1 : 0;
}

static int subtract_late(struct run *run, int64_t low, int64_t high, uint64_t *total)
{
	for (guint i = 0; i + 1 < run->late->len; i += 2) {
		int64_t from = MAX(low, g_array_index(run->late, gint64, i));
		int64_t to = MIN(high, g_array_index(run->late, gint64, i + 1));
		uint64_t count = 0;
		if (from > to)
			continue;
		if (count_late(run, from, to, &count) < 0)
			return -1;
		*total -= count;
	}
	return 0;
}

/* Number of matches between two rows, as of the snapshot. */
static int count_matches(struct run *run, int64_t low, int64_t high, uint64_t *total)
{
	*total = 0;
	if (low > high)
		return 0;
	return count_hits(run, low, high, total) < 0 || subtract_late(run, low, high, total) < 0
	               ? -1
	               : 0;
}

static bool is_late(const struct run *run, gint64 row)
{
	for (guint i = 0; i + 1 < run->late->len; i += 2)
		if (row >= g_array_index(run->late, gint64, i) &&
		        row <= g_array_index(run->late, gint64, i + 1))
			return true;
	return false;
}

static void drop_last(struct results *results)
{
	guint last = results->at->len - 1;

	g_byte_array_set_size(results->bytes, (guint)g_array_index(results->at, size_t, last));
	g_array_set_size(results->at, last);
}

/* Fetches one row: 1 taken, 0 it does not match or came after as_of, -1. */
static int fetch_row(struct run *run, int64_t row, bool patterns)
{
	struct day_search *search = run->search;
	sqlite3_stmt *stmt = run->reader->sql.stmt[DAY_EVENT_BY_ID];

	sqlite3_bind_int64(stmt, 1, row);
	int result = sql_step(&run->reader->sql, stmt, run->err);
	if (result == 1 && (uint64_t)sqlite3_column_int64(stmt, 1) > search->as_of)
		result = 0;
	else if (result == 1)
		result = results_take(search->results, search->day, run->reader, stmt,
		        search->match, patterns, run->err);
	sqlite3_reset(stmt);
	return result;
}

/* Fills the page from the index. Rows that are skipped are looked at only where they may have come
 * after as_of: their values stand for themselves. *end_r: the matches went out. */
static int page_of_hits(struct run *run, bool *end)
{
	struct day_search *search = run->search;
	int64_t row;
	int more;

	*end = false;
	if (index_start(run->hits, search->page_high) < 0)
		return -1;
	while (search->found < search->want) {
		more = index_next(run->hits, &row);
		if (more <= 0) {
			*end = true;
			return more;
		}
		bool skip = search->skipped < search->skip;
		int counts = skip ? !is_late(run, row) || arrived_late(run, row) == 0
		                  : fetch_row(run, row, false);
		if (counts < 0)
			return -1;
		*(skip ? &search->skipped : &search->found) += counts == 1;
	}
	return 0;
}

static sqlite3_stmt *page_statement(struct run *run, int64_t high, int64_t limit, int64_t offset)
{
	sqlite3_stmt *stmt = run->reader->sql.stmt[DAY_EVENT_PAGE];

	sqlite3_bind_int64(stmt, 1, run->search->low);
	sqlite3_bind_int64(stmt, 2, high);
	sqlite3_bind_int64(stmt, 3, (int64_t)run->search->as_of);
	sqlite3_bind_int64(stmt, 4, limit);
	sqlite3_bind_int64(stmt, 5, offset);
	return stmt;
}

/* Fills the page from all rows. */
static int page_of_rows(struct run *run, uint64_t offset, bool *end)
{
	struct day_search *search = run->search;
	sqlite3_stmt *stmt =
	        page_statement(run, search->page_high, (int64_t)search->want, (int64_t)offset);
	int result;

	while ((result = sql_step(&run->reader->sql, stmt, run->err)) == 1) {
		int taken = results_take(search->results, search->day, run->reader, stmt,
		        search->match, false, run->err);
		if (taken < 0) {
			result = -1;
			break;
		}
		search->found += taken == 1;
	}
	sqlite3_reset(stmt);
	*end = search->found < search->want;
	return result < 0 ? -1 : 0;
}

/* PLAN_ALL: what is skipped as a whole is counted as a whole. */
static int run_all(struct run *run, bool *end)
{
	struct day_search *search = run->search;
	uint64_t reach = 0;

	if (search->skip > 0 && count_matches(run, search->low, search->page_high, &reach) < 0)
		return -1;
	search->skipped = MIN(search->skip, reach);
	*end = true;
	if (search->skip > 0 && reach <= search->skip)
		return 0;
	return page_of_rows(run, search->skip, end);
}

/* PLAN_MATCH and PLAN_ALL: a page, and how many there are. A page that the matches did not fill is
 * its own count. */
static int run_match(struct run *run)
{
	struct day_search *search = run->search;
	bool page = search->want > 0 && search->page_high >= search->low, end = false;
	bool whole = page && search->page_high == search->high;

	if (page &&
	        (run->plan.kind == PLAN_MATCH ? page_of_hits(run, &end) : run_all(run, &end)) < 0)
		return -1;
	search->count = search->skipped + search->found;
	if (!search->need_count || (whole && end))
		return 0;
	return count_matches(run, search->low, search->high, &search->count);
}

static int too_long(struct run *run)
{
	return error_errno(run->err, ETIME,
	        "the filter is too broad to be answered in time: narrow the window");
}

/* Puts a row that matches where it belongs: on the page, or to those that are only counted. */
static void place(struct run *run, int64_t row)
{
	struct day_search *search = run->search;
	bool in_page = row <= search->page_high && search->found < search->want;
	bool skip = in_page && search->skipped < search->skip;

	search->count++;
	search->skipped += skip;
	if (in_page && !skip)
		search->found++;
	else
		drop_last(search->results);
}

/* The next row that may match, taken if it does: 1 taken, 0 not, 2 there is none, -1. */
static int scan_next(struct run *run, sqlite3_stmt *rows, int64_t *row)
{
	int more = run->hits != NULL ? index_next(run->hits, row)
	                             : sql_step(&run->reader->sql, rows, run->err);

	if (more <= 0)
		return more < 0 ? -1 : 2;
	if (run->hits != NULL)
		return fetch_row(run, *row, true);
	*row = sqlite3_column_int64(rows, 0);
	return results_take(run->search->results, run->search->day, run->reader, rows,
	        run->search->match, true, run->err);
}

/* PLAN_SCAN. */
static int run_scan(struct run *run)
{
	struct day_search *search = run->search;
	sqlite3_stmt *stmt = page_statement(run, search->high, -1, 0);
	unsigned rows = 0;
	int64_t row = 0;
	int result = run->hits != NULL ? index_start(run->hits, search->high) : 0;

	while (result == 0 || result == 1) {
		if (++rows % LOOK_EVERY == 0)
			search->deadline += search_breathe(search->search);
		if (rows % LOOK_EVERY == 0 && g_get_monotonic_time() > search->deadline) {
			result = too_long(run);
			break;
		}
		result = scan_next(run, stmt, &row);
		if (result == 1)
			place(run, row);
		if (!search->need_count && search->found == search->want)
			break;
	}
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

static int run_plan(struct run *run)
{
	struct day_search *search = run->search;
	uint64_t mark;

	if (day_mark(run->reader, &mark, run->err) < 0 ||
	        plan_make(&run->plan, search->day, run->reader, search->match, run->err) < 0)
		return -1;
	if (run->plan.kind == PLAN_NOTHING)
		return 0;
	if (run->plan.query->groups->len > 0 &&
	        find_between(run, search->low, search->high, &run->hits) < 0)
		return -1;
	if (mark > search->as_of && find_late(run) < 0)
		return -1;
	return run->plan.kind == PLAN_SCAN ? run_scan(run) : run_match(run);
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
	index_hits_free(&run.hits);
	plan_clear(&run.plan);
	g_array_unref(run.late);
	day_reader_put(search->day, run.reader);
	return result;
}
