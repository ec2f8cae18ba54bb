#include "store/search.h"

#include <errno.h>

#include "store/fetch.h"
#include "store/private.h"
#include "store/pseudonym.h"

#define DEFAULT_DEADLINE_MS 10000
#define LAST_TIME (INT64_MAX >> 17) /* ms that a row id can hold, with room to spare */

/* The last row of a day before an absolute row id; -1: all are behind it. */
static int64_t row_before(uint64_t row, int64_t start)
{
	int64_t ms = (int64_t)(row >> 16) - start;
	int64_t order = MIN((int64_t)(row & 0xffff), DAY_ORDERS);

	if (ms < 0)
		return -1;
	return ms >= CLOCK_DAY ? DAY_ROWS - 1 : day_row(ms) + order - 1;
}

/* The part of a day that a search looks at: false when it is none. */
static bool window(const struct search *search, int64_t number, struct day_search *day)
{
	int64_t start = number * CLOCK_DAY, end = start + CLOCK_DAY;
	int64_t from = MAX(search->from, start), to = MIN(MIN(search->to, LAST_TIME), end);

	if (from >= to)
		return false;
	day->low = day_row(from - start);
	day->high = day_row(to - start) - 1;
	day->page_high = day->high;
	if (search->before != 0)
		day->page_high = MIN(day->high, row_before(search->before, start));
	return true;
}

struct searching {
	struct store *store;
	struct search *search;
	struct match *match;
	void *ctx; /* of `found` */
	struct results results;
	gint64 deadline;
	uint64_t skip, want, total;
};

/* 0, also when the day has gone meanwhile, or -1. */
static int search_day(struct searching *s, int64_t number, struct error *err)
{
	struct day_search day = {
	        .match = s->match,
	        .as_of = s->search->as_of,
	        .skip = s->skip,
	        .want = s->want,
	        .need_count = !s->search->no_total,
	        .deadline = s->deadline,
	        .search = s->search,
	        .results = &s->results,
	};

	if (!window(s->search, number, &day))
		return 0;
	if (day.page_high < 0 && !day.need_count)
		return 0;
	int result = day_acquire(s->store, number, &day.day, err);
	if (result <= 0)
		return result;
	result = day_search_run(&day, err);
	day_release(day.day);
	s->deadline = day.deadline;
	s->skip -= day.skipped;
	s->want -= day.found;
	s->total += day.count;
	return result;
}

static int search_or_pass(struct searching *s, int64_t number, struct error *err)
{
	struct error cause = {0};

	if (search_day(s, number, &cause) == 0 ||
	        (s->search->pass != NULL && s->search->pass(s->ctx, number, &cause)))
		return 0;
	if (err != NULL && !err->set)
		*err = cause;
	return -1;
}

static int search_days(struct searching *s, struct error *err)
{
	g_autoptr(GArray) days = store_list_days(s->store, err);

	if (days == NULL)
		return -1;
	for (guint i = days->len; i-- > 0;) {
		if (s->search->no_total && s->want == 0)
			break;
		s->deadline += search_breathe(s->search);
		if (search_or_pass(s, g_array_index(days, gint64, i), err) < 0)
			return -1;
	}
	return 0;
}

int store_search(struct store *store, struct search *search, search_found *found, void *ctx,
        uint64_t *total, struct error *err)
{
	struct searching s = {
	        .store = store,
	        .search = search,
	        .match = match_new(search, store->pseudonyms),
	        .ctx = ctx,
	        .skip = search->offset,
	        .want = search->limit,
	};
	int64_t time = search->deadline_ms > 0 ? search->deadline_ms : DEFAULT_DEADLINE_MS;
	uint64_t mark = store_mark(store);
	int result = pseudonym_check(store, search, err);

	results_init(&s.results);
	search_take_turn(search);
	s.deadline = g_get_monotonic_time() + time * G_TIME_SPAN_MILLISECOND;
	if (search->as_of == 0 || search->as_of > mark)
		search->as_of = mark;
	if (result == 0 && !match_nothing(s.match))
		result = search_days(&s, err);
	match_free(&s.match);
	if (total != NULL)
		*total = s.total;
	if (result == 0)
		results_each(&s.results, found, ctx);
	results_clear(&s.results);
	search_give_turn(search);
	return result;
}
