/* Stored events that a changed rule renews: rows, index, roll-up; and when it fails half-way. */
#include <errno.h>

#include "store/private.h"
#include "store/renew.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

static char *dir;

static void setup(void)
{
	dir = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
}

static struct event failure(int64_t time, uint64_t id, const char *class, const char *reason)
{
	struct event event = make_event(EVENT_BOUNCE, time, id, "m", "a@b.example");

	set_field(&event, FIELD_BOUNCE_CLASS, class);
	set_field(&event, FIELD_REASON, reason);
	set_field(&event, FIELD_RAW_REASON, "550 raw");
	set_field(&event, FIELD_DSN, "5.1.1");
	return event;
}

/* Two days; the first has two bounces in one minute, and a delivery. */
static void fill(struct store *store, const char *class, const char *reason)
{
	struct event events[] = {
	        failure(DAY1 + 1000, 1, class, reason),
	        failure(DAY1 + 2000, 2, "22", "kept"),
	        make_event(EVENT_DELIVERY, DAY1 + 3000, 3, "m", "a@b.example"),
	        failure(DAY2 + 1000, 4, class, reason),
	};

	ck_assert_uint_eq(commit_events(store, events, G_N_ELEMENTS(events)), 4);
}

/* Class 1 becomes 10, reason "old" becomes "new". */
static bool one_is_ten(void *ctx, struct event *event)
{
	(void)ctx;
	if (!slice_eq(event->field[FIELD_BOUNCE_CLASS], SLICE("1")))
		return false;
	set_field(event, FIELD_BOUNCE_CLASS, "10");
	set_field(event, FIELD_REASON, "new");
	return true;
}

static uint64_t count_reason(struct store *store, const char *pattern)
{
	const char *const reasons[] = {pattern, NULL};
	struct search search = SEARCH_ALL;
	uint64_t total;

	search.reasons = reasons;
	g_array_unref(search_ids(store, &search, &total));
	return total;
}

/* By the roll-up, by the index beside another filter, and by the rows. */
static void check_class(struct store *store, const char *class, uint64_t want)
{
	const char *const classes[] = {class, NULL}, *const recipients[] = {"a@b.example", NULL};
	struct search search = SEARCH_ALL;
	uint64_t total;

	search.values[SEARCH_BOUNCE_CLASS] = classes;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_msg(total == want, "class %s: %u by roll-up", class, (unsigned)total);
	search = SEARCH_ALL;
	search.values[SEARCH_BOUNCE_CLASS] = classes;
	search.values[SEARCH_RECIPIENT] = recipients;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_msg(total == want, "class %s: %u by index", class, (unsigned)total);
	ck_assert_uint_eq(count_key(store, SEARCH_BOUNCE_CLASS, class), want);
}

static void check_renewed(struct store *store)
{
	check_class(store, "1", 0);
	check_class(store, "10", 2);
	check_class(store, "22", 1);
	ck_assert_uint_eq(count_reason(store, "%old%"), 0);
	ck_assert_uint_eq(count_reason(store, "%new%"), 2);
	ck_assert_uint_eq(count_reason(store, "%kept%"), 1);
	ck_assert_uint_eq(count_reason(store, "%raw%"), 3);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "a@b.example"), 4);
}

START_TEST(rows_index_and_roll_up_tell_the_new_class_and_reason)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_renewed done;
	struct error err = {0};

	fill(store, "1", "old");
	check_class(store, "1", 2);
	ck_assert_int_eq(store_renew(store, one_is_ten, NULL, &done, &err), 0);
	ck_assert_uint_eq(done.events, 4);
	ck_assert_uint_eq(done.changed, 2);
	ck_assert_uint_eq(done.days, 2);
	check_renewed(store);
	store_close(&store);
	store = open_store(dir, STORE_READ);
	check_renewed(store);
	store_close(&store);
}
END_TEST

START_TEST(a_second_time_there_is_nothing_to_do)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_renewed done;
	struct error err = {0};

	fill(store, "1", "old");
	ck_assert_int_eq(store_renew(store, one_is_ten, NULL, &done, &err), 0);
	ck_assert_int_eq(store_renew(store, one_is_ten, NULL, &done, &err), 0);
	ck_assert_uint_eq(done.changed, 0);
	ck_assert_uint_eq(done.days, 0);
	check_renewed(store);
	store_close(&store);
}
END_TEST

START_TEST(events_come_in_as_before_afterwards)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_renewed done;
	struct error err = {0};

	fill(store, "1", "old");
	ck_assert_int_eq(store_renew(store, one_is_ten, NULL, &done, &err), 0);
	struct event more = failure(DAY1 + 1500, 9, "10", "new");
	struct event again = failure(DAY1 + 1000, 1, "1", "old");
	ck_assert_uint_eq(commit_events(store, &more, 1), 1);
	ck_assert_uint_eq(commit_events(store, &again, 1), 0);
	check_class(store, "10", 3);
	store_close(&store);
}
END_TEST

static int fail_second(void *ctx, const char *place)
{
	int *left = ctx;

	return strcmp(place, "renew") == 0 && --*left == 0 ? -1 : 0;
}

START_TEST(a_day_that_fails_stays_as_it_was_and_the_days_before_are_done)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_renewed done;
	struct error err = {0};
	int left = 2;

	fill(store, "1", "old");
	store->fault = fail_second;
	store->fault_ctx = &left;
	ck_assert_int_eq(store_renew(store, one_is_ten, NULL, &done, &err), -1);
	ck_assert(err.set);
	ck_assert_uint_eq(done.changed, 1);
	check_class(store, "10", 1);
	check_class(store, "1", 1);
	store->fault = NULL;
	error_clear(&err);
	ck_assert_int_eq(store_renew(store, one_is_ten, NULL, &done, &err), 0);
	ck_assert_uint_eq(done.changed, 1);
	check_renewed(store);
	store_close(&store);
}
END_TEST

START_TEST(a_reader_may_not_renew)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_renewed done;
	struct error err = {0};

	fill(store, "1", "old");
	store_close(&store);
	store = open_store(dir, STORE_READ);
	ck_assert_int_eq(store_renew(store, one_is_ten, NULL, &done, &err), -1);
	ck_assert(err.set);
	store_close(&store);
}
END_TEST

/* Every class against every other, many rows: what the index forgets must be what it knew. */
static bool next_class(void *ctx, struct event *event)
{
	static const char *const classes[] = {"1", "10", "22", "50", "70"};
	unsigned *seed = ctx;

	if (event->field[FIELD_BOUNCE_CLASS].p == NULL)
		return false;
	*seed = *seed * 1103515245 + 12345;
	set_field(event, FIELD_BOUNCE_CLASS, classes[(*seed >> 16) % G_N_ELEMENTS(classes)]);
	return true;
}

START_TEST(after_many_changes_index_rows_and_roll_up_agree)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_renewed done;
	struct error err = {0};
	struct event events[500];
	unsigned seed = 1;

	for (unsigned i = 0; i < G_N_ELEMENTS(events); i++)
		events[i] = failure(DAY1 + i * 700, i + 1, "1", "old");
	ck_assert_uint_eq(commit_events(store, events, G_N_ELEMENTS(events)), 500);
	for (unsigned round = 0; round < 5; round++)
		ck_assert_int_eq(store_renew(store, next_class, &seed, &done, &err), 0);
	uint64_t sum = 0;
	static const char *const classes[] = {"1", "10", "22", "50", "70"};
	for (unsigned i = 0; i < G_N_ELEMENTS(classes); i++) {
		uint64_t n = count_key(store, SEARCH_BOUNCE_CLASS, classes[i]);
		check_class(store, classes[i], n);
		sum += n;
	}
	ck_assert_uint_eq(sum, 500);
	store_close(&store);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	        rows_index_and_roll_up_tell_the_new_class_and_reason,
	        a_second_time_there_is_nothing_to_do,
	        events_come_in_as_before_afterwards,
	        a_day_that_fails_stays_as_it_was_and_the_days_before_are_done,
	        a_reader_may_not_renew,
	        after_many_changes_index_rows_and_roll_up_agree,
	        NULL,
	};

	return run_store_tests("store_renew", setup, teardown, tests);
}
