#include "query/zone.h"

#include "base/clock.h"
#include "tests/support/unit.h"

static GTimeZone *zone(const char *name, const char *spelling)
{
	GTimeZone *found = NULL;
	const char *got = NULL;

	ck_assert_msg(zone_find(slice_str(name), &found, &got), "no zone %s", name);
	ck_assert_str_eq(got, spelling);
	return found;
}

static int64_t at(int year, int month, int day, int hour, int minute)
{
	return clock_days(year, month, day) * CLOCK_DAY + hour * CLOCK_HOUR + minute * CLOCK_MINUTE;
}

static void check_instant(
        GTimeZone *tz, int64_t local, enum zone_side side, int64_t want, bool want_gap)
{
	char got_text[CLOCK_TEXT_MAX], want_text[CLOCK_TEXT_MAX];
	bool gap;
	int64_t got = zone_instant(tz, local, side, &gap);

	clock_format(got, CLOCK_ZULU, got_text);
	clock_format(want, CLOCK_ZULU, want_text);
	ck_assert_str_eq(got_text, want_text);
	ck_assert_int_eq(gap, want_gap);
}

START_TEST(names_are_found_whatever_their_case)
{
	g_time_zone_unref(zone("america/los_angeles", "America/Los_Angeles"));
	g_time_zone_unref(zone("EUROPE/BERLIN", "Europe/Berlin"));
	g_time_zone_unref(zone("utc", "UTC"));
	g_time_zone_unref(zone("Etc/UTC", "Etc/UTC"));
}
END_TEST

START_TEST(links_are_names_too)
{
	g_autoptr(GTimeZone) tz = zone("asia/calcutta", "Asia/Calcutta");

	check_instant(tz, at(2026, 1, 1, 5, 30), ZONE_FIRST, at(2026, 1, 1, 0, 0), false);
}
END_TEST

START_TEST(hostile_names_reach_no_file)
{
	static const char *const names[] = {"", " ", "../../etc/passwd", "/etc/localtime",
	        "Europe/../Europe/Berlin", "Europe", "Europe/Berlin ", " UTC",
	        "posix/Europe/Berlin", "+01:00", "CET-1CEST", "Europe/Atlantis", "localtime",
	        "tzdata.zi", ":UTC"};
	GTimeZone *found;
	const char *name;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		ck_assert_msg(!zone_find(slice_str(names[i]), &found, &name), "%s", names[i]);
	ck_assert(!zone_find(slice_make("UTC\0x", 5), &found, &name));
	ck_assert(!zone_find(SLICE_NONE, &found, &name));
	g_autofree char *longest = g_strnfill(4000, 'A');
	ck_assert(!zone_find(slice_str(longest), &found, &name));
}
END_TEST

START_TEST(a_gap_is_the_instant_of_the_change)
{
	g_autoptr(GTimeZone) berlin = zone("Europe/Berlin", "Europe/Berlin");
	g_autoptr(GTimeZone) york = zone("America/New_York", "America/New_York");

	/* 2026-03-29 02:00 CET -> 03:00 CEST at 01:00Z */
	check_instant(berlin, at(2026, 3, 29, 1, 59), ZONE_FIRST, at(2026, 3, 29, 0, 59), false);
	check_instant(berlin, at(2026, 3, 29, 2, 0), ZONE_FIRST, at(2026, 3, 29, 1, 0), true);
	check_instant(berlin, at(2026, 3, 29, 2, 30), ZONE_SECOND, at(2026, 3, 29, 1, 0), true);
	check_instant(berlin, at(2026, 3, 29, 2, 59), ZONE_FIRST, at(2026, 3, 29, 1, 0), true);
	check_instant(berlin, at(2026, 3, 29, 3, 0), ZONE_FIRST, at(2026, 3, 29, 1, 0), false);
	/* 2026-03-08 02:00 EST -> 03:00 EDT at 07:00Z */
	check_instant(york, at(2026, 3, 8, 2, 15), ZONE_FIRST, at(2026, 3, 8, 7, 0), true);
	check_instant(york, at(2026, 3, 8, 3, 15), ZONE_FIRST, at(2026, 3, 8, 7, 15), false);
}
END_TEST

START_TEST(an_overlap_has_a_first_and_a_second_occurrence)
{
	g_autoptr(GTimeZone) berlin = zone("Europe/Berlin", "Europe/Berlin");
	g_autoptr(GTimeZone) york = zone("America/New_York", "America/New_York");

	/* 2026-10-25 03:00 CEST -> 02:00 CET at 01:00Z */
	check_instant(berlin, at(2026, 10, 25, 2, 30), ZONE_FIRST, at(2026, 10, 25, 0, 30), false);
	check_instant(berlin, at(2026, 10, 25, 2, 30), ZONE_SECOND, at(2026, 10, 25, 1, 30), false);
	check_instant(
	        berlin, at(2026, 10, 25, 1, 59), ZONE_SECOND, at(2026, 10, 24, 23, 59), false);
	check_instant(berlin, at(2026, 10, 25, 3, 0), ZONE_FIRST, at(2026, 10, 25, 2, 0), false);
	/* 2026-11-01 02:00 EDT -> 01:00 EST at 06:00Z */
	check_instant(york, at(2026, 11, 1, 1, 0), ZONE_FIRST, at(2026, 11, 1, 5, 0), false);
	check_instant(york, at(2026, 11, 1, 1, 0), ZONE_SECOND, at(2026, 11, 1, 6, 0), false);
}
END_TEST

START_TEST(a_half_hour_change_and_a_skipped_day_are_found)
{
	g_autoptr(GTimeZone) howe = zone("Australia/Lord_Howe", "Australia/Lord_Howe");
	g_autoptr(GTimeZone) apia = zone("Pacific/Apia", "Pacific/Apia");

	/* 2026-10-04 02:00 +10:30 -> 02:30 +11 at 2026-10-03T15:30Z */
	check_instant(howe, at(2026, 10, 4, 2, 10), ZONE_FIRST, at(2026, 10, 3, 15, 30), true);
	check_instant(howe, at(2026, 10, 4, 2, 30), ZONE_FIRST, at(2026, 10, 3, 15, 30), false);
	/* Samoa had no 2011-12-30: -10 -> +14 at 10:00Z of that day */
	check_instant(apia, at(2011, 12, 30, 12, 0), ZONE_FIRST, at(2011, 12, 30, 10, 0), true);
	check_instant(apia, at(2011, 12, 29, 23, 59), ZONE_FIRST, at(2011, 12, 30, 9, 59), false);
	check_instant(apia, at(2011, 12, 31, 0, 0), ZONE_FIRST, at(2011, 12, 30, 10, 0), false);
}
END_TEST

START_TEST(local_time_and_instant_are_inverse_all_year)
{
	g_autoptr(GTimeZone) berlin = zone("Europe/Berlin", "Europe/Berlin");
	bool gap;

	for (int64_t t = at(2026, 1, 1, 0, 7); t < at(2027, 1, 1, 0, 0); t += 3 * CLOCK_HOUR) {
		int64_t local = zone_local(berlin, t);
		int64_t first = zone_instant(berlin, local, ZONE_FIRST, &gap);
		int64_t second = zone_instant(berlin, local, ZONE_SECOND, &gap);

		ck_assert(!gap);
		ck_assert(first == t || second == t);
	}
}
END_TEST

START_TEST(times_far_off_are_no_trouble)
{
	g_autoptr(GTimeZone) berlin = zone("Europe/Berlin", "Europe/Berlin");
	bool gap;

	zone_instant(berlin, at(1, 1, 1, 0, 0), ZONE_FIRST, &gap);
	zone_instant(berlin, at(9999, 12, 31, 23, 59), ZONE_SECOND, &gap);
	check_instant(berlin, at(1969, 12, 31, 0, 0), ZONE_FIRST, at(1969, 12, 30, 23, 0), false);
}
END_TEST

UNIT_MAIN("zone", names_are_found_whatever_their_case, links_are_names_too,
        hostile_names_reach_no_file, a_gap_is_the_instant_of_the_change,
        an_overlap_has_a_first_and_a_second_occurrence,
        a_half_hour_change_and_a_skipped_day_are_found, local_time_and_instant_are_inverse_all_year,
        times_far_off_are_no_trouble)
