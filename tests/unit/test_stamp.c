#include "logtail/stamp.h"

#include <glib.h>

#include "base/clock.h"
#include "tests/support/unit.h"

/* UTC milliseconds of a text such as 2026-11-22T01:02:03.456 */
static int64_t utc(const char *text)
{
	g_autofree char *zoned = g_strconcat(text, "Z", NULL);
	g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(zoned, NULL);

	ck_assert_msg(date != NULL, "bad date in the test: %s", text);
	return g_date_time_to_unix(date) * 1000 + g_date_time_get_microsecond(date) / 1000;
}

static struct syslog_clock *clock_in(const char *zone, const char *not_after)
{
	struct syslog_clock *clock = syslog_clock_new(zone, utc(not_after), NULL);

	ck_assert_ptr_nonnull(clock);
	return clock;
}

/* Reads a stamp from memory of just its length, so that ASan sees every step too far. */
static size_t read_exact(struct syslog_clock *clock, const char *text, size_t n, int64_t *ms_r)
{
	g_autofree char *copy = g_memdup2(text, n);

	return stamp_read(clock, slice_make(copy, n), ms_r);
}

static void expect(struct syslog_clock *clock, const char *text, const char *want)
{
	g_autofree char *line = g_strconcat(text, " mx postfix/qmgr[1]: x", NULL);
	char got[CLOCK_TEXT_MAX];
	int64_t ms = 0;
	size_t n = read_exact(clock, line, strlen(line), &ms);

	ck_assert_msg(n == strlen(text), "%s: length %zu", text, n);
	clock_format(ms, CLOCK_ZULU, got);
	ck_assert_msg(ms == utc(want), "%s: %s, not %s", text, got, want);
	ck_assert_int_eq(syslog_clock_last(clock), ms);
}

START_TEST(the_first_stamp_is_the_latest_date_not_after_the_given_one)
{
	static const struct {
		const char *not_after, *stamp, *want;
	} rows[] = {
	        {"2026-11-22T12:00:00", "Nov 22 11:59:59", "2026-11-22T11:59:59"},
	        {"2026-11-22T12:00:00", "Nov 23 00:00:00", "2025-11-23T00:00:00"},
	        {"2026-11-22T12:00:00", "Dec 31 23:59:59", "2025-12-31T23:59:59"},
	        {"2026-01-01T00:00:00", "Dec 31 23:59:59", "2025-12-31T23:59:59"},
	        {"2026-11-22T12:00:00", "Feb 29 10:00:00", "2024-02-29T10:00:00"},
	        {"2028-02-29T12:00:00", "Feb 29 10:00:00", "2028-02-29T10:00:00"},
	        {"2028-02-29T09:00:00", "Feb 29 10:00:00", "2024-02-29T10:00:00"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct syslog_clock *clock = clock_in("UTC", rows[i].not_after);
		expect(clock, rows[i].stamp, rows[i].want);
		syslog_clock_free(&clock);
	}
}
END_TEST

START_TEST(a_year_passes_at_new_year_forward_and_back)
{
	struct syslog_clock *clock = clock_in("UTC", "2026-12-31T23:00:00");

	/* The file grew while it was read. */
	expect(clock, "Dec 31 22:59:59", "2026-12-31T22:59:59");
	expect(clock, "Jan  1 00:00:00", "2027-01-01T00:00:00");
	expect(clock, "Dec 31 23:59:59", "2026-12-31T23:59:59");
	expect(clock, "Jan  1 00:00:01", "2027-01-01T00:00:01");
	syslog_clock_free(&clock);
	clock = clock_in("UTC", "2027-07-01T00:00:00");
	syslog_clock_set_last(clock, utc("2027-01-01T00:00:01"));
	expect(clock, "Jun 30 00:00:00", "2027-06-30T00:00:00");
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(a_leap_day_belongs_to_the_leap_year_nearest_to_the_line_before)
{
	struct syslog_clock *clock = clock_in("UTC", "2024-02-28T23:59:59");

	expect(clock, "Feb 28 23:59:59", "2024-02-28T23:59:59");
	expect(clock, "Feb 29 00:00:00", "2024-02-29T00:00:00");
	expect(clock, "Mar  1 00:00:00", "2024-03-01T00:00:00");
	syslog_clock_free(&clock);
	clock = clock_in("UTC", "2104-12-01T00:00:00");
	syslog_clock_set_last(clock, utc("2101-03-01T00:00:00"));
	expect(clock, "Feb 29 00:00:00", "2104-02-29T00:00:00");
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(no_stamp_without_a_year_is_later_than_the_file)
{
	struct syslog_clock *clock = clock_in("UTC", "2026-11-22T12:00:00");

	expect(clock, "Feb 28 23:59:59", "2026-02-28T23:59:59");
	expect(clock, "Feb 29 00:00:00", "2024-02-29T00:00:00");
	expect(clock, "Mar  1 00:00:00", "2024-03-01T00:00:00");
	syslog_clock_set_last(clock, utc("2026-11-22T11:00:00"));
	expect(clock, "Feb 29 00:00:00", "2024-02-29T00:00:00");
	syslog_clock_set_last(clock, utc("2026-11-22T11:00:00"));
	expect(clock, "Nov 24 00:00:00", "2025-11-24T00:00:00");
	syslog_clock_free(&clock);
	/* The present, where no time is given. */
	clock = syslog_clock_new("UTC", 0, NULL);
	syslog_clock_set_last(clock, clock_now());
	int64_t ms = 0;
	ck_assert_uint_eq(stamp_read(clock, SLICE("Feb 29 00:00:00"), &ms), 15);
	ck_assert_int_le(ms, clock_now() + INT64_C(86400000));
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(after_a_restart_the_year_is_that_of_the_position)
{
	struct syslog_clock *clock = clock_in("UTC", "2026-11-22T12:00:00");

	expect(clock, "Nov 20 00:00:00", "2026-11-20T00:00:00");
	syslog_clock_set_last(clock, utc("2019-11-19T00:00:00"));
	expect(clock, "Nov 20 00:00:00", "2019-11-20T00:00:00");
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(the_overlap_hour_is_the_one_nearest_to_the_line_before)
{
	struct syslog_clock *clock = clock_in("Europe/Berlin", "2026-10-26T00:00:00");

	expect(clock, "Oct 25 01:59:59", "2026-10-24T23:59:59");
	expect(clock, "Oct 25 02:00:00", "2026-10-25T00:00:00");
	expect(clock, "Oct 25 02:30:00", "2026-10-25T00:30:00");
	expect(clock, "Oct 25 02:59:59", "2026-10-25T00:59:59");
	expect(clock, "Oct 25 02:00:00", "2026-10-25T01:00:00");
	expect(clock, "Oct 25 02:25:00", "2026-10-25T01:25:00");
	expect(clock, "Oct 25 02:50:00", "2026-10-25T01:50:00");
	expect(clock, "Oct 25 02:59:59", "2026-10-25T01:59:59");
	expect(clock, "Oct 25 03:00:00", "2026-10-25T02:00:00");
	/* A step back over the end of the hour. */
	expect(clock, "Oct 25 02:59:59", "2026-10-25T01:59:59");
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(a_time_in_the_gap_counts_with_the_offset_before_it)
{
	struct syslog_clock *clock = clock_in("Europe/Berlin", "2026-03-30T00:00:00");

	expect(clock, "Mar 29 01:59:59", "2026-03-29T00:59:59");
	expect(clock, "Mar 29 02:00:01", "2026-03-29T01:00:01");
	expect(clock, "Mar 29 03:00:02", "2026-03-29T01:00:02");
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(zones_of_both_hemispheres_hold_through_the_year)
{
	struct syslog_clock *clock = clock_in("Australia/Lord_Howe", "2026-12-31T23:00:00");

	expect(clock, "2026-01-15T12:00:00", "2026-01-15T01:00:00");
	expect(clock, "2026-07-15T12:00:00", "2026-07-15T01:30:00");
	expect(clock, "2026-01-15 12:00:00.25", "2026-01-15T01:00:00.250");
	syslog_clock_free(&clock);
	clock = clock_in("America/St_Johns", "2026-12-31T23:00:00");
	expect(clock, "Jul  1 00:00:00", "2026-07-01T02:30:00");
	expect(clock, "Dec  1 00:00:00", "2026-12-01T03:30:00");
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(stamps_with_a_year_and_an_offset_mean_what_they_say)
{
	static const struct {
		const char *stamp, *want;
	} rows[] = {
	        {"2026-11-22T01:25:02.381645+00:00", "2026-11-22T01:25:02.381"},
	        {"2026-11-22T01:25:02Z", "2026-11-22T01:25:02"},
	        {"2026-11-22t01:25:02z", "2026-11-22T01:25:02"},
	        {"2026-11-22T01:25:02.5+05:30", "2026-11-21T19:55:02.500"},
	        {"2026-11-22T01:25:02,123456789-0800", "2026-11-22T09:25:02.123"},
	        {"2026-11-22T01:25:02+01", "2026-11-22T00:25:02"},
	        {"2026-11-22T23:59:60Z", "2026-11-23T00:00:00"},
	        {"1999-02-28T00:00:00.000Z", "1999-02-28T00:00:00"},
	        {"Nov 22 2026 01:25:02", "2026-11-22T01:25:02"},
	        {"2026 Nov 22 01:25:02", "2026-11-22T01:25:02"},
	        {"Nov  2 01:25:02", "2026-11-02T01:25:02"},
	        {"Nov 2 01:25:02", "2026-11-02T01:25:02"},
	        {"Nov 02 01:25:02", "2026-11-02T01:25:02"},
	        {"Nov 22 01:25:02.75", "2026-11-22T01:25:02.750"},
	};
	struct syslog_clock *clock = clock_in("UTC", "2026-11-22T12:00:00");

	/* Twice: the second time the date is remembered. */
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
			expect(clock, rows[i].stamp, rows[i].want);
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(what_is_no_date_is_no_stamp)
{
	static const char *const rows[] = {"", " ", "Nov", "Nov 31 00:00:00 x",
	        "Feb 29 2025 00:00:00 x", "Nov  0 00:00:00 x", "Nov 22 24:00:00 x",
	        "Nov 22 00:60:00 x", "Nov 22 00:00:61 x", "nov 22 00:00:00 x", "Xyz 22 00:00:00 x",
	        "Nov 22 1:00:00 xxxx", "2026-13-01T00:00:00Z x", "2026-11-31T00:00:00Z x",
	        "2026-11-22T24:00:00Z x", "2026-11-22 x", "0000-01-01T00:00:00Z x",
	        "2026-11-22X00:00:00Z x", "[17-Feb-2022 00:00:00 x",
	        "1700000000 mx postfix/smtpd[1]: x"};
	struct syslog_clock *clock = clock_in("UTC", "2026-11-22T12:00:00");
	int64_t ms;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		ck_assert_msg(read_exact(clock, rows[i], strlen(rows[i]), &ms) == 0, "%s", rows[i]);
	ck_assert_int_eq(syslog_clock_last(clock), 0);
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(zero_bytes_do_not_match_a_stamp_that_was_never_seen)
{
	static const char zeros[32] = "\0\0\0\0\0\0\0\0\0\0T00:00:00Z   x";
	static const char more[20] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0 x";
	struct syslog_clock *clock = clock_in("UTC", "2026-11-22T12:00:00");
	int64_t ms;

	ck_assert_uint_eq(read_exact(clock, zeros, sizeof(zeros), &ms), 0);
	ck_assert_uint_eq(read_exact(clock, more, sizeof(more), &ms), 0);
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(a_cut_stamp_is_read_without_going_too_far)
{
	static const char *const rows[] = {"Nov 22 2026 01:25:02.123 mx", "Nov  2 01:25:02 mx",
	        "2026-11-22T01:25:02.381645+00:00 mx", "2026 Nov 22 01:25:02 mx"};
	struct syslog_clock *clock = clock_in("UTC", "2026-11-22T12:00:00");
	int64_t ms;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		for (size_t n = 0; n <= strlen(rows[i]); n++)
			ck_assert_uint_le(read_exact(clock, rows[i], n, &ms), n);
	syslog_clock_free(&clock);
}
END_TEST

START_TEST(an_unknown_zone_is_an_error_and_no_zone_is_that_of_the_system)
{
	struct error err = {0};

	ck_assert_ptr_null(syslog_clock_new("Europe/Atlantis", 0, &err));
	ck_assert(err.set);
	ck_assert_ptr_nonnull(strstr(err.text, "Europe/Atlantis"));
	struct syslog_clock *clock = syslog_clock_new(NULL, 0, NULL);
	ck_assert_ptr_nonnull(clock);
	ck_assert_int_eq(syslog_clock_last(clock), 0);
	syslog_clock_free(&clock);
	ck_assert_ptr_null(clock);
	syslog_clock_free(&clock);
	syslog_clock_free(NULL);
}
END_TEST

START_TEST(without_a_latest_date_the_present_counts)
{
	struct syslog_clock *clock = syslog_clock_new("UTC", 0, NULL);
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *stamp = g_date_time_format(now, "%b %e %H:%M:%S");
	int64_t ms = 0;

	ck_assert_uint_eq(stamp_read(clock, slice_str(stamp), &ms), 15);
	ck_assert_int_le(llabs(ms - clock_now()), 5000);
	syslog_clock_free(&clock);
}
END_TEST

UNIT_MAIN("stamp", the_first_stamp_is_the_latest_date_not_after_the_given_one,
        a_year_passes_at_new_year_forward_and_back,
        a_leap_day_belongs_to_the_leap_year_nearest_to_the_line_before,
        no_stamp_without_a_year_is_later_than_the_file,
        after_a_restart_the_year_is_that_of_the_position,
        the_overlap_hour_is_the_one_nearest_to_the_line_before,
        a_time_in_the_gap_counts_with_the_offset_before_it,
        zones_of_both_hemispheres_hold_through_the_year,
        stamps_with_a_year_and_an_offset_mean_what_they_say, what_is_no_date_is_no_stamp,
        zero_bytes_do_not_match_a_stamp_that_was_never_seen,
        a_cut_stamp_is_read_without_going_too_far,
        an_unknown_zone_is_an_error_and_no_zone_is_that_of_the_system,
        without_a_latest_date_the_present_counts)
