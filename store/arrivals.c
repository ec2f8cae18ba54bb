/* Reading in the order of arrival: what followers, streams and uploads go by. */
#include "store/fetch.h"
#include "store/private.h"
#include "store/pseudonym.h"
#include "store/search.h"

#define DEFAULT_LIMIT 1000
#define DEFAULT_BYTES (32 * 1024 * 1024)
#define DEFAULT_DEADLINE_MS 10000
#define LOOK_EVERY 256 /* rows between two looks at the clock */

/* One commit to one day file. */
struct span {
	int64_t day;
	int64_t first, last; /* arrival numbers */
	int64_t low, high;   /* rows */
};

struct arriving {
	struct store *store;
	const struct search *search;
	struct match *match;
	uint64_t since, mark;
	unsigned limit;
	size_t bytes;
	GArray *spans;
	struct results results;
	uint64_t next;
	gint64 deadline; /* monotonic, us */
	unsigned rows;   /* read so far */
	bool late;       /* the deadline has passed */
	struct error *err;
};

/* Whether a day may hold what is looked for, as far as that is known without a look at it. */
static bool may_hold(struct arriving *a, int64_t number)
{
	int64_t start = number * CLOCK_DAY;
	bool may = true;

	if (start >= a->search->to || start + CLOCK_DAY <= a->search->from)
		return false;
	pthread_mutex_lock(&a->store->days_lock);
	const uint64_t *mark = g_hash_table_lookup(a->store->day_mark, &number);
	if (mark != NULL)
		may = *mark > a->since;
	pthread_mutex_unlock(&a->store->days_lock);
	return may;
}

static int add_spans(struct arriving *a, int64_t number)
{
	struct day *day;
	int result = day_acquire(a->store, number, &day, a->err);

	if (result <= 0)
		return result;
	struct day_reader *reader = day_reader_get(day, a->err);
	if (reader != NULL) {
		sqlite3_stmt *stmt = reader->sql.stmt[DAY_COMMITS];
		sqlite3_bind_int64(stmt, 1, (int64_t)a->since);
		while ((result = sql_step(&reader->sql, stmt, a->err)) == 1) {
			struct span span = {number, sqlite3_column_int64(stmt, 0),
			        sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2),
			        sqlite3_column_int64(stmt, 3)};
			if (span.first > (int64_t)a->mark)
				break; /* so are those behind it */
			g_array_append_val(a->spans, span);
		}
		sqlite3_reset(stmt);
		day_reader_put(day, reader);
	}
	day_release(day);
	return reader == NULL || result < 0 ? -1 : 0;
}

static gint by_arrival(gconstpointer x, gconstpointer y)
{
	const struct span *a = x, *b = y;

	return (a->first > b->first) - (a->first < b->first);
}

static bool full(const struct arriving *a)
{
	return a->results.at->len >= a->limit || a->results.bytes->len >= a->bytes;
}

/* Whether to stop before the next row. Some rows are read in any case, so that whoever comes again
 * gets on. */
static bool enough(struct arriving *a)
{
	if (++a->rows % LOOK_EVERY == 0) {
		a->deadline += search_breathe(a->search);
		a->late = g_get_monotonic_time() > a->deadline;
	}
	return a->late || full(a);
}

/* The matches among the rows of a commit; within it rows ascend as arrival numbers do. */
static int read_rows(
        struct arriving *a, const struct span *span, struct day *day, struct day_reader *reader)
{
	sqlite3_stmt *stmt = reader->sql.stmt[DAY_ARRIVED];
	int result;

	sqlite3_bind_int64(stmt, 1, span->low);
	sqlite3_bind_int64(stmt, 2, span->high);
	sqlite3_bind_int64(stmt, 3, MAX(span->first, (int64_t)a->since + 1));
	sqlite3_bind_int64(stmt, 4, MIN(span->last, (int64_t)a->mark));
	while ((result = sql_step(&reader->sql, stmt, a->err)) == 1) {
		int64_t time = day->start + day_row_ms(sqlite3_column_int64(stmt, 0));
		if (enough(a))
			break;
		a->next = (uint64_t)sqlite3_column_int64(stmt, 1);
		if (time < a->search->from || time >= a->search->to)
			continue;
		if (results_take(&a->results, day, reader, stmt, a->match, true, a->err) < 0) {
			result = -1;
			break;
		}
	}
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

static int read_span(struct arriving *a, const struct span *span)
{
	struct day *day;
	int result = day_acquire(a->store, span->day, &day, a->err);

	if (result <= 0)
		return result;
	struct day_reader *reader = day_reader_get(day, a->err);
	result = reader != NULL ? read_rows(a, span, day, reader) : -1;
	if (reader != NULL)
		day_reader_put(day, reader);
	day_release(day);
	return result;
}

static int read_arrivals(struct arriving *a)
{
	g_autoptr(GArray) days = store_list_days(a->store, a->err);

	if (days == NULL)
		return -1;
	for (guint i = 0; i < days->len; i++) {
		int64_t day = g_array_index(days, gint64, i);
		if (may_hold(a, day) && add_spans(a, day) < 0)
			return -1;
	}
	g_array_sort(a->spans, by_arrival);
	for (guint i = 0; i < a->spans->len && !a->late && !full(a); i++)
		if (read_span(a, &g_array_index(a->spans, struct span, i)) < 0)
			return -1;
	if (!a->late && !full(a))
		a->next = a->mark;
	return 0;
}

int store_arrivals(struct store *store, const struct search *search, uint64_t since,
        search_found *found, void *ctx, uint64_t *next, struct error *err)
{
	struct arriving a = {
	        .store = store,
	        .search = search,
	        .since = since,
	        .mark = store_mark(store),
	        .limit = search->limit > 0 ? search->limit : DEFAULT_LIMIT,
	        .bytes = search->bytes > 0 ? search->bytes : DEFAULT_BYTES,
	        .next = since,
	        .err = err,
	};
	int64_t time = search->deadline_ms > 0 ? search->deadline_ms : DEFAULT_DEADLINE_MS;
	int result = 0;

	if (search->as_of != 0 && search->as_of < a.mark)
		a.mark = search->as_of;
	*next = since;
	if (a.mark <= since)
		return 0;
	if (pseudonym_check(store, search, err) < 0)
		return -1;
	search_take_turn(search);
	a.deadline = g_get_monotonic_time() + time * G_TIME_SPAN_MILLISECOND;
	results_init(&a.results);
	a.spans = g_array_new(FALSE, FALSE, sizeof(struct span));
	a.match = match_new(search, store->pseudonyms);
	if (match_nothing(a.match))
		a.next = a.mark;
	else
		result = read_arrivals(&a);
	if (result == 0) {
		*next = a.next;
		results_each(&a.results, found, ctx);
	}
	match_free(&a.match);
	g_array_unref(a.spans);
	results_clear(&a.results);
	search_give_turn(search);
	return result;
}
