#include "cli/filter.h"
#include "cli/print.h"
#include "cli/sse.h"
#include "cli/when.h"

#include "base/clock.h"
#include "tests/support/unit.h"

static gint64 at(int year, int month, int day, int hour, int minute, int second)
{
	return clock_days(year, month, day) * CLOCK_DAY + hour * CLOCK_HOUR +
	       minute * CLOCK_MINUTE + second * CLOCK_SECOND;
}

START_TEST(times_are_taken_as_people_write_them)
{
	struct error err = {0};
	g_autoptr(GTimeZone) berlin = when_zone("Europe/Berlin", &err);
	gint64 now = at(2026, 11, 22, 12, 0, 0), ms;
	const struct {
		const char *text;
		gint64 ms;
	} rows[] = {{"2h", now - 2 * CLOCK_HOUR}, {"90s", now - 90 * CLOCK_SECOND},
	        {"3d", now - 3 * CLOCK_DAY}, {"1w", now - 7 * CLOCK_DAY}, {"now", now},
	        {"today", at(2026, 11, 21, 23, 0, 0)}, {"yesterday", at(2026, 11, 20, 23, 0, 0)},
	        {"09:30", at(2026, 11, 22, 8, 30, 0)}, {"2026-07-01", at(2026, 6, 30, 22, 0, 0)},
	        {"2026-07-01 10:15", at(2026, 7, 1, 8, 15, 0)},
	        {"2026-07-01T10:15:20", at(2026, 7, 1, 8, 15, 20)},
	        {"2026-07-01T10:15:20Z", at(2026, 7, 1, 10, 15, 20)}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		ck_assert_msg(
		        when_parse(rows[i].text, berlin, now, &ms, &err) == 0, "%s", rows[i].text);
		ck_assert_msg(ms == rows[i].ms, "%s", rows[i].text);
	}
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *const rows[] = {"", "2", "h", "2x", "25:00", "2026-13-01", "2026-02-30",
	        "2026-07-01 10", "2026-07-01 10:15 x", "tomorrow", "-2h", "99999999999h"};
	g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
	gint64 ms;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		ck_assert_msg(when_parse(rows[i], utc, 0, &ms, NULL) == -1, "%s", rows[i]);
	struct error err = {0};
	ck_assert_ptr_null(when_zone("Mars/Olympus", &err));
	ck_assert(err.set);
}
END_TEST

START_TEST(a_time_stamp_is_shown_in_the_zone_of_the_reader)
{
	g_autoptr(GTimeZone) berlin = when_zone("Europe/Berlin", NULL);
	gint64 ms = when_of("2026-07-01T10:15:20.042+00:00");
	g_autofree char *text = when_format(ms, berlin);

	ck_assert_int_eq(ms, at(2026, 7, 1, 10, 15, 20) + 42);
	ck_assert_str_eq(text, "2026-07-01 12:15:20");
}
END_TEST

START_TEST(foreign_text_cannot_drive_the_terminal)
{
	g_autofree char *escape = print_safe("a\x1b[2Jb\x07"
	                                     "c\nd");
	g_autofree char *c1 = print_safe("x\xc2\x9b"
	                                 "31m");
	g_autofree char *bidi = print_safe("a\xe2\x80\xae"
	                                   "b");
	g_autofree char *bytes = print_safe("a\xff");

	ck_assert_str_eq(escape, "a\\u001b[2Jb\\u0007c d");
	ck_assert_str_eq(c1, "x\\u009b31m");
	ck_assert_str_eq(bidi, "a\\u202eb");
	ck_assert_str_eq(bytes, "a\xef\xbf\xbd");
}
END_TEST

START_TEST(a_csv_field_is_quoted_and_no_formula)
{
	static const char *const rows[][2] = {{"a,b", "\"a,b\""},
	        {"say \"x\"", "\"say \"\"x\"\"\""}, {"=1+1", "\"'=1+1\""},
	        {"@SUM(A1)", "\"'@SUM(A1)\""}, {"-2", "\"'-2\""}, {"+1", "\"'+1\""}, {"", "\"\""},
	        {" =1", "\"' =1\""}, {"\n=1", "\"' =1\""}, {"\t1", "\" 1\""}, {"\t=1", "\"' =1\""},
	        {"\xc2\xa0@a", "\"'\xc2\xa0@a\""},
	        {"\xef\xbc\x9d"
	         "1",
	                "\"'\xef\xbc\x9d"
	                "1\""},
	        /* Where a list is parted by semicolons, and a quote opens and ends there. */
	        {"Hi;=cmd|' /C calc'!A0;", "\"Hi;'=cmd|' /C calc'!A0;\""},
	        {"a;b; +1;\t@x;-", "\"a;b;' +1;' @x;'-\""}, {"a;\"=1\"", "\"a;'\"\"=1\"\"\""},
	        {"text/plain; charset=a;", "\"text/plain; charset=a;\""}, {";", "\";\""},
	        /* What shows nothing: soft hyphen, joiner, mark, fillers, braille, unassigned. */
	        {"\xc2\xad=1", "\"'\xc2\xad=1\""}, {"\xcd\x8f=1", "\"'\xcd\x8f=1\""},
	        {"\xcc\x81=1", "\"'\xcc\x81=1\""}, {"\xe1\x85\x9f=1", "\"'\xe1\x85\x9f=1\""},
	        {"\xe3\x85\xa4=1", "\"'\xe3\x85\xa4=1\""},
	        {"\xef\xbe\xa0=1", "\"'\xef\xbe\xa0=1\""},
	        {"\xe2\xa0\x80=1", "\"'\xe2\xa0\x80=1\""},
	        {"\xef\xb8\x8f=1", "\"'\xef\xb8\x8f=1\""},
	        {"\xf3\xa0\x84\x80=1", "\"'\xf3\xa0\x84\x80=1\""}, {"\xc2\xad", "\"\xc2\xad\""},
	        {"\xef\xbb\xbf=1", "\"\\ufeff=1\""}, {" a=b", "\" a=b\""},
	        {"\xff", "\"\xef\xbf\xbd\""},
	        {"a\x1b]0;t\x07\xc2\x9b", "\"a\\u001b]0;t\\u0007\\u009b\""}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *field = print_csv_field(rows[i][0]);
		ck_assert_str_eq(field, rows[i][1]);
	}
}
END_TEST

START_TEST(values_with_commas_get_another_delimiter)
{
	char *campaigns[] = {(char *)"a,b", (char *)"c", NULL};
	GOptionEntry entries[FILTERS];
	struct filter filter = {0};
	g_autoptr(GString) uri = g_string_new("/x");

	filter_entries(&filter, entries);
	for (int i = 0; i < FILTERS; i++)
		if (g_strcmp0(entries[i].long_name, "campaign") == 0)
			*(char ***)entries[i].arg_data = campaigns;
	filter_parameters(&filter, uri);
	ck_assert_str_eq(uri->str, "/x?campaign_ids=a%2Cb%3Bc&delimiter=%3B");
}
END_TEST

START_TEST(an_empty_value_is_no_filter_that_finds_everything)
{
	char *recipients[] = {(char *)"", NULL};
	GOptionEntry entries[FILTERS];
	struct filter filter = {0};
	struct error err = {0};

	filter_entries(&filter, entries);
	ck_assert_int_eq(filter_check(&filter, &err), 0);
	*(char ***)entries[0].arg_data = recipients;
	ck_assert_int_eq(filter_check(&filter, &err), -1);
	ck_assert_str_eq(err.text, "--recipient: the value is empty");
}
END_TEST

static void note_data(void *ctx, struct slice data)
{
	g_string_append_printf(ctx, "[%.*s]", SLICE_ARG(data));
}

START_TEST(a_stream_is_read_whatever_pieces_it_comes_in)
{
	static const char text[] = "retry: 1000\nid: 7\n\n:\n\nid: 8\ndata: {\"a\":1}\n\n"
	                           "data:two\r\ndata: lines\r\n\r\nid: 9\n\nid: 10\ndata: cut off";

	for (size_t step = 1; step < sizeof(text); step++) {
		g_autoptr(GString) got = g_string_new(NULL);
		struct sse sse;
		sse_init(&sse, note_data, got);
		for (size_t at = 0; at < sizeof(text) - 1; at += step)
			sse_feed(&sse, slice_make(text + at, MIN(step, sizeof(text) - 1 - at)));
		ck_assert_str_eq(got->str, "[{\"a\":1}][two\nlines]");
		/* The event that was cut off is not told, but asked for again. */
		ck_assert_str_eq(sse.id->str, "9");
		sse_restart(&sse);
		sse_feed(&sse, SLICE("data: next\nid: 11\n\n"));
		ck_assert_str_eq(got->str, "[{\"a\":1}][two\nlines][next]");
		ck_assert_str_eq(sse.id->str, "11");
		sse_clear(&sse);
	}
}
END_TEST

UNIT_MAIN("cli", a_stream_is_read_whatever_pieces_it_comes_in,
        an_empty_value_is_no_filter_that_finds_everything, times_are_taken_as_people_write_them,
        what_is_no_time_is_refused, a_time_stamp_is_shown_in_the_zone_of_the_reader,
        foreign_text_cannot_drive_the_terminal, a_csv_field_is_quoted_and_no_formula,
        values_with_commas_get_another_delimiter)
