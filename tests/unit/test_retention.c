/* Retention by days and by size, over weeks of a clock that the test moves. */
#include "daemon/retention.h"

#include "base/clock.h"

#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define WEEKS 6
#define NOON (CLOCK_DAY / 2)

static char *dir;
static struct store *store;
static struct capture *capture;
static uint64_t next_id;

static void setup(void)
{
	const struct capture_config config = {.trace = {.log_followed = true}, .keep_days = -1};

	dir = scratch_make();
	store = open_store(dir, STORE_WRITE);
	next_id = 0;
	ck_assert_int_eq(capture_open(&capture, store, &config, NULL), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(capture_close(&capture, NULL), 0);
	store_close(&store);
	scratch_remove(&dir);
}

/* Mails of one day; each has a subject of its own, of about 200 bytes. */
static void mails(int64_t day, unsigned n)
{
	uint64_t ticket = 0;
	char subject[256];

	for (unsigned i = 0; i < n; i++) {
		next_id++;
		int used = g_snprintf(subject, sizeof(subject), "%" G_GUINT64_FORMAT, next_id);
		for (; used < 200; used++)
			subject[used] = (char)('a' + (next_id * 31 + (unsigned)used * 7) % 26);
		subject[used] = '\0';
		struct event event = make_event(EVENT_DELIVERY, day * CLOCK_DAY + NOON + i, next_id,
		        subject, "user@example.com");
		set_field(&event, FIELD_SUBJECT, subject);
		ticket = capture_add(capture, &event);
	}
	ck_assert_int_eq(capture_wait(capture, ticket, 60000), 1);
}

/* What the daemon does each second; it looks each minute. `boot`: the clock that nobody sets. */
static void look_when(
        struct retention *retention, const struct config *config, int64_t day, int64_t boot)
{
	int64_t now = day * CLOCK_DAY + NOON;

	retention_run(retention, config, store, capture, NULL, now, boot);
	retention_run(retention, config, store, capture, NULL, now + 2 * CLOCK_MINUTE,
	        boot + 2 * CLOCK_MINUTE);
}

/* The days have passed. */
static void look(struct retention *retention, const struct config *config, int64_t day)
{
	look_when(retention, config, day, day * CLOCK_DAY - DAY1 + CLOCK_DAY);
}

static GArray *days_left(int64_t *oldest, uint64_t *bytes)
{
	GArray *days = store_days(store, NULL, NULL);

	*bytes = 0;
	ck_assert_ptr_nonnull(days);
	ck_assert_uint_gt(days->len, 0);
	*oldest = g_array_index(days, struct store_day, 0).day;
	for (guint i = 0; i < days->len; i++)
		*bytes += g_array_index(days, struct store_day, i).bytes;
	return days;
}

START_TEST(each_day_the_one_that_is_too_old_goes)
{
	const struct config config = {.keep_days = 10};
	struct retention retention = {0};
	int64_t first = DAY1 / CLOCK_DAY, oldest;
	uint64_t bytes;

	for (int64_t day = first; day < first + WEEKS * 7; day++) {
		mails(day, 3);
		look(&retention, &config, day);
		g_autoptr(GArray) days = days_left(&oldest, &bytes);
		ck_assert_int_eq(oldest, MAX(first, day - 10));
		ck_assert_uint_eq(days->len, (guint)(day - oldest + 1));
		ck_assert(!retention.full);
	}
	/* What is left is all there. */
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "user@example.com"), 11 * 3);
}
END_TEST

START_TEST(days_without_mail_make_others_no_older)
{
	const struct config config = {.keep_days = 10};
	struct retention retention = {0};
	int64_t first = DAY1 / CLOCK_DAY, oldest;
	uint64_t bytes;

	for (int64_t day = first; day < first + WEEKS * 7; day += 7) {
		mails(day, 1);
		look(&retention, &config, day);
		g_autoptr(GArray) days = days_left(&oldest, &bytes);
		ck_assert_uint_le(days->len, 2);
		ck_assert_int_ge(oldest, day - 10);
	}
}
END_TEST

START_TEST(the_store_keeps_to_its_size_for_weeks)
{
	const struct config config = {.keep_days = 1000, .max_size = 4};
	struct retention retention = {0};
	int64_t first = DAY1 / CLOCK_DAY, oldest, before = first;
	uint64_t bytes;
	unsigned dropped = 0;

	for (int64_t day = first; day < first + WEEKS * 7; day++) {
		mails(day, 300 + (unsigned)(day % 7) * 100);
		look(&retention, &config, day);
		g_autoptr(GArray) days = days_left(&oldest, &bytes);
		/* The helper may be at a day meanwhile, whose log counts too. */
		ck_assert_uint_le(bytes, (UINT64_C(4) * 1024 + 512) * 1024);
		/* The oldest first, and no day out of the middle. */
		ck_assert_uint_eq(days->len, (guint)(day - oldest + 1));
		ck_assert_int_ge(oldest, before);
		dropped += (unsigned)(oldest - before);
		before = oldest;
		ck_assert(!retention.full);
	}
	ck_assert_uint_gt(dropped, WEEKS * 7 / 2);
	ck_assert_int_lt(oldest, first + WEEKS * 7 - 2);
}
END_TEST

/* Small days go by their age, large ones by the size, whichever comes first. */
START_TEST(the_narrower_of_both_limits_counts)
{
	const struct config config = {.keep_days = 10, .max_size = 4};
	struct retention retention = {0};
	int64_t first = DAY1 / CLOCK_DAY, oldest;
	unsigned by_age = 0, by_size = 0;
	uint64_t bytes;

	for (int64_t day = first; day < first + WEEKS * 7; day++) {
		bool busy = (day - first) / 14 % 2 == 1;
		mails(day, busy ? 900 : 3);
		look(&retention, &config, day);
		g_autoptr(GArray) days = days_left(&oldest, &bytes);
		ck_assert_uint_le(bytes, (UINT64_C(4) * 1024 + 512) * 1024);
		ck_assert_int_ge(oldest, MAX(first, day - 10));
		ck_assert_uint_eq(days->len, (guint)(day - oldest + 1));
		by_age += oldest > first && oldest == day - 10;
		by_size += oldest > MAX(first, day - 10);
		ck_assert(!retention.full);
	}
	ck_assert_uint_gt(by_age, 7);
	ck_assert_uint_gt(by_size, 7);
}
END_TEST

START_TEST(a_day_that_is_too_large_alone_holds_the_logs_until_the_next)
{
	const struct config config = {.keep_days = 1000, .max_size = 1};
	struct retention retention = {0};
	int64_t day = DAY1 / CLOCK_DAY, oldest;
	uint64_t bytes;

	mails(day, 50);
	mails(day + 1, 6000);
	look(&retention, &config, day + 1);
	ck_assert(retention.full);
	g_array_unref(days_left(&oldest, &bytes));
	ck_assert_uint_gt(bytes, 1024 * 1024);
	/* The milter's events still get in. */
	mails(day + 1, 10);
	look(&retention, &config, day + 2);
	ck_assert(!retention.full);
	mails(day + 2, 5);
	g_array_unref(days_left(&oldest, &bytes));
	ck_assert_int_eq(oldest, day + 2);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "user@example.com"), 5);
}
END_TEST

START_TEST(the_size_is_looked_at_each_second_in_which_something_comes)
{
	const struct config config = {.keep_days = 1000, .max_size = 1};
	struct retention retention = {0};
	int64_t day = DAY1 / CLOCK_DAY, now = day * CLOCK_DAY + NOON, oldest;
	uint64_t bytes;

	retention_run(&retention, &config, store, capture, NULL, now, CLOCK_DAY);
	mails(day - 1, 2500);
	mails(day, 5);
	retention_run(&retention, &config, store, capture, NULL, now + CLOCK_SECOND, CLOCK_DAY);
	g_array_unref(days_left(&oldest, &bytes));
	ck_assert_int_eq(oldest, day);
	ck_assert(!retention.full);
	mails(day, 2500);
	retention_run(&retention, &config, store, capture, NULL, now + 2 * CLOCK_SECOND, CLOCK_DAY);
	ck_assert(retention.full);
}
END_TEST

/* ---- a clock that leaps ---- */

#define DAYS 5
#define FIRST (DAY1 / CLOCK_DAY)
#define LAST (FIRST + DAYS - 1)
#define AHEAD (LAST + 20)
#define BOOT_OF_LAST (DAYS * CLOCK_DAY)

/* Seen while the clock was right; and one more, with the stamps of the wrong clock. */
static void right_days_and_a_wrong_one(struct retention *retention, const struct config *config)
{
	for (int64_t day = FIRST; day <= LAST; day++) {
		mails(day, 3);
		look(retention, config, day);
	}
	mails(AHEAD, 3);
}

static void assert_days(const struct retention *retention, bool doubt, guint n, int64_t first)
{
	int64_t oldest;
	uint64_t bytes;
	g_autoptr(GArray) days = days_left(&oldest, &bytes);

	ck_assert_uint_eq(days->len, n);
	ck_assert_int_eq(oldest, first);
	g_autofree char *text = retention_doubt(store);
	ck_assert(retention->doubt == doubt && (text != NULL) == doubt);
}

START_TEST(a_clock_that_leaps_ahead_drops_nothing_before_it_has_been_so_for_a_day)
{
	const struct config config = {.keep_days = 10};
	struct retention retention = {0};

	right_days_and_a_wrong_one(&retention, &config);
	for (int hour = 1; hour <= 24; hour++) {
		look_when(&retention, &config, AHEAD, BOOT_OF_LAST + hour * CLOCK_HOUR);
		assert_days(&retention, true, DAYS + 1, FIRST);
	}
	look_when(&retention, &config, AHEAD, BOOT_OF_LAST + 25 * CLOCK_HOUR);
	assert_days(&retention, false, 1, AHEAD);
}
END_TEST

START_TEST(a_clock_that_is_set_right_has_dropped_nothing_and_its_day_goes_in_its_time)
{
	const struct config config = {.keep_days = 10};
	struct retention retention = {0};

	right_days_and_a_wrong_one(&retention, &config);
	look_when(&retention, &config, AHEAD, BOOT_OF_LAST + CLOCK_HOUR);
	assert_days(&retention, true, DAYS + 1, FIRST);
	look_when(&retention, &config, LAST, BOOT_OF_LAST + 2 * CLOCK_HOUR);
	assert_days(&retention, false, DAYS + 1, FIRST);
	look(&retention, &config, FIRST + 13);
	assert_days(&retention, false, 3, FIRST + 3);
	look(&retention, &config, AHEAD + 10);
	assert_days(&retention, false, 1, AHEAD);
	mails(AHEAD + 11, 1);
	look(&retention, &config, AHEAD + 11);
	assert_days(&retention, false, 1, AHEAD + 11);
}
END_TEST

/* While it is believed that the right time is the other one, days still grow older. */
START_TEST(in_doubt_days_go_by_the_time_that_passes)
{
	const struct config config = {.keep_days = 4};
	struct retention retention = {0};

	right_days_and_a_wrong_one(&retention, &config);
	look_when(&retention, &config, AHEAD, BOOT_OF_LAST + CLOCK_HOUR);
	assert_days(&retention, true, DAYS + 1, FIRST);
	look_when(&retention, &config, AHEAD, BOOT_OF_LAST + 13 * CLOCK_HOUR);
	assert_days(&retention, true, DAYS, FIRST + 1);
}
END_TEST

static void begin_anew(struct retention *retention)
{
	const struct capture_config config = {.trace = {.log_followed = true}, .keep_days = -1};

	ck_assert_int_eq(capture_close(&capture, NULL), 0);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	ck_assert_int_eq(capture_open(&capture, store, &config, NULL), 0);
	*retention = (struct retention){0};
}

/* With the wrong clock of a machine that was started again, or after a month off: nobody knows. */
START_TEST(a_restart_forgets_neither_the_time_nor_for_how_long_another_has_been_seen)
{
	const struct config config = {.keep_days = 10};
	struct retention retention = {0};

	right_days_and_a_wrong_one(&retention, &config);
	begin_anew(&retention);
	for (int hour = 1; hour <= 13; hour++) {
		look_when(&retention, &config, AHEAD, hour * CLOCK_HOUR);
		assert_days(&retention, true, DAYS + 1, FIRST);
	}
	begin_anew(&retention);
	for (int hour = 1; hour <= 12; hour++) {
		look_when(&retention, &config, AHEAD, hour * CLOCK_HOUR);
		assert_days(&retention, true, DAYS + 1, FIRST);
	}
	look_when(&retention, &config, AHEAD, 13 * CLOCK_HOUR);
	assert_days(&retention, false, 1, AHEAD);
}
END_TEST

START_TEST(a_night_off_is_no_leap)
{
	const struct config config = {.keep_days = 10};
	struct retention retention = {0};

	right_days_and_a_wrong_one(&retention, &config);
	begin_anew(&retention);
	look_when(&retention, &config, LAST + 1, CLOCK_MINUTE);
	assert_days(&retention, false, DAYS + 1, FIRST);
}
END_TEST

START_TEST(a_clock_that_was_back_for_a_while_is_believed_when_it_is_right)
{
	const struct config config = {.keep_days = 10};
	struct retention retention = {0};

	right_days_and_a_wrong_one(&retention, &config);
	begin_anew(&retention);
	/* 1970, as boards without a battery have it. */
	look_when(&retention, &config, 0, CLOCK_MINUTE);
	assert_days(&retention, false, DAYS + 1, FIRST);
	look_when(&retention, &config, LAST, 3 * CLOCK_MINUTE);
	assert_days(&retention, false, DAYS + 1, FIRST);
	look_when(&retention, &config, LAST + 7, 7 * CLOCK_DAY);
	assert_days(&retention, false, DAYS, FIRST + 1);
}
END_TEST

START_TEST(the_store_keeps_to_its_size_also_when_the_clock_is_wrong)
{
	const struct config config = {.keep_days = 10}, small = {.keep_days = 10, .max_size = 1};
	struct retention retention = {0};
	int64_t oldest;
	uint64_t bytes;

	right_days_and_a_wrong_one(&retention, &config);
	mails(FIRST, 4000);
	mails(LAST, 4000);
	look_when(&retention, &small, AHEAD, BOOT_OF_LAST + CLOCK_HOUR);
	ck_assert(retention.doubt && !retention.full);
	g_array_unref(days_left(&oldest, &bytes));
	ck_assert_int_gt(oldest, FIRST);
	ck_assert_uint_le(bytes, (1024 + 512) * 1024);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {each_day_the_one_that_is_too_old_goes,
	        days_without_mail_make_others_no_older, the_store_keeps_to_its_size_for_weeks,
	        the_narrower_of_both_limits_counts,
	        a_day_that_is_too_large_alone_holds_the_logs_until_the_next,
	        the_size_is_looked_at_each_second_in_which_something_comes,
	        a_clock_that_leaps_ahead_drops_nothing_before_it_has_been_so_for_a_day,
	        a_clock_that_is_set_right_has_dropped_nothing_and_its_day_goes_in_its_time,
	        in_doubt_days_go_by_the_time_that_passes,
	        a_restart_forgets_neither_the_time_nor_for_how_long_another_has_been_seen,
	        a_night_off_is_no_leap,
	        a_clock_that_was_back_for_a_while_is_believed_when_it_is_right,
	        the_store_keeps_to_its_size_also_when_the_clock_is_wrong, NULL};

	return run_store_tests("retention", setup, teardown, tests);
}
