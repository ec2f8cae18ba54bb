#include <unistd.h>

#include "base/glob.h"
#include "base/log.h"
#include "base/visible.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/slice.h"
#include "tests/support/unit.h"

static bool is_config(GFileError code)
{
	struct error err = {0};
	g_autoptr(GError) error = g_error_new_literal(G_FILE_ERROR, (gint)code, "why");

	ck_assert_int_eq(error_config_file(&err, "rules", error), -1);
	ck_assert_str_eq(err.text, "rules: why");
	return err.config;
}

START_TEST(a_file_that_is_not_there_is_a_fault_of_the_configuration_and_a_disk_that_fails_is_none)
{
	struct error err = {0};

	ck_assert(is_config(G_FILE_ERROR_NOENT) && is_config(G_FILE_ERROR_ACCES));
	ck_assert(!is_config(G_FILE_ERROR_IO) && !is_config(G_FILE_ERROR_MFILE));
	error_set(&err, "the disk is full");
	ck_assert_int_eq(error_config(&err, "later"), -1);
	ck_assert(!err.config);
}
END_TEST

START_TEST(the_first_error_wins)
{
	struct error err = {0};

	ck_assert_int_eq(error_errno(&err, 2, "cannot open %s", "x"), -1);
	ck_assert_int_eq(error_set(&err, "later"), -1);
	ck_assert_str_eq(err.text, "cannot open x: No such file or directory");
	ck_assert_int_eq(err.number, 2);
	ck_assert_int_eq(error_set(NULL, "nobody cares"), -1);
}
END_TEST

START_TEST(a_slice_is_cut_at_a_byte_once)
{
	struct slice rest = SLICE("a,b"), head = slice_cut(&rest, ',');

	ck_assert(slice_eq(head, SLICE("a")) && slice_eq(rest, SLICE("b")));
	head = slice_cut(&rest, ',');
	ck_assert(slice_eq(head, SLICE("b")) && rest.n == 0);
}
END_TEST

START_TEST(numbers_are_digits_and_nothing_else)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} rows[] = {{"0", true, 0}, {"-17", true, -17},
	        {"999999999999999999", true, 999999999999999999}, {"", false, 0}, {"-", false, 0},
	        {"1a", false, 0}, {" 1", false, 0}, {"1000000000000000000", false, 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t value = 0;
		ck_assert_msg(slice_int(slice_str(rows[i].text), &value) == rows[i].ok, "%s",
		        rows[i].text);
		ck_assert_int_eq(value, rows[i].value);
	}
}
END_TEST

START_TEST(texts_are_found_and_trimmed)
{
	ck_assert_int_eq(slice_find(SLICE("abcabd"), SLICE("abd")), 3);
	ck_assert_int_eq(slice_find(SLICE("ab"), SLICE("abc")), -1);
	ck_assert(slice_starts(SLICE_NONE, SLICE("")) && slice_ends(SLICE_NONE, SLICE_NONE));
	ck_assert_int_eq(slice_rchr(SLICE("a/b/c"), '/'), 3);
	ck_assert(slice_eq(slice_trim(SLICE(" \t x y\n")), SLICE("x y")));
	ck_assert(slice_eq_case(SLICE("MiXed"), SLICE("mIxED")));
	ck_assert(slice_eq_case(SLICE("a\0B"), SLICE("A\0b")));
	ck_assert(!slice_eq_case(SLICE("a\0b"), SLICE("a\0c")));
	ck_assert(!slice_eq_case(SLICE("ab"), SLICE("a")));
}
END_TEST

START_TEST(time_is_written_in_the_forms_of_the_api)
{
	char text[CLOCK_TEXT_MAX];
	int64_t ms =
	        clock_days(2016, 4, 18) * CLOCK_DAY + 14 * CLOCK_HOUR + 25 * CLOCK_MINUTE + 7042;

	clock_format(ms, CLOCK_OFFSET, text);
	ck_assert_str_eq(text, "2016-04-18T14:25:07.042+00:00");
	clock_format(ms, CLOCK_ZULU, text);
	ck_assert_str_eq(text, "2016-04-18T14:25:07.042Z");
	clock_format(ms, CLOCK_MINUTES, text);
	ck_assert_str_eq(text, "2016-04-18T14:25");
	ck_assert_uint_eq(clock_format(-1, CLOCK_DATE, text), 10);
	ck_assert_str_eq(text, "1969-12-31");
}
END_TEST

START_TEST(days_and_dates_agree_over_leap_years)
{
	for (int64_t day = clock_days(1899, 1, 1); day < clock_days(2105, 1, 1); day++) {
		int y, m, d;
		clock_civil(day, &y, &m, &d);
		ck_assert_int_eq(clock_days(y, m, d), day);
	}
	ck_assert_int_eq(clock_days(2000, 3, 1) - clock_days(2000, 2, 28), 2);
	ck_assert_int_eq(clock_days(1900, 3, 1) - clock_days(1900, 2, 28), 1);
}
END_TEST

START_TEST(what_a_terminal_obeys_is_masked_byte_by_byte)
{
	static const char *const rows[][2] = {{"plain, caf\xc3\xa9", "plain, caf\xc3\xa9"},
	        {"a\x1b[2J\n\x7f", "a?[2J??"},
	        {"\xc2\x9b"
	         "1m",
	                "??1m"},
	        {"\x9b"
	         "1m\xff\xc3",
	                "?1m??"},
	        {"\xe2\x80\xae|\xe2\x80\x8b|\xf3\xa0\x81\x81", "???|???|????"},
	        {"\xc0\xaf\xed\xa0\x80", "?????"}, {"", ""}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strdup(rows[i][0]);
		visible_mask(text);
		ck_assert_str_eq(text, rows[i][1]);
	}
}
END_TEST

START_TEST(a_log_message_that_quotes_foreign_text_is_one_harmless_line)
{
	char text[200];
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	int saved = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	log_error("id", "said \"%s\"", "a\x1b[2J\nfake: line\xc2\x9b\xe2\x80\xae");
	dup2(saved, STDERR_FILENO);
	ssize_t n = read(ends[0], text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_str_eq(text, "postwake: id: said \"a?[2J?fake: line?????\"\n");
}
END_TEST

START_TEST(a_glob_fits_the_whole_of_a_text_and_either_may_be_any_bytes)
{
	static const struct {
		struct slice glob, text;
		bool fits;
	} rows[] = {
	        {SLICE("5.?.*"), SLICE("5.1.10"), true},
	        {SLICE("5.?.*"), SLICE("x5.1.1"), false},
	        {SLICE("m*-?.far.example"), SLICE("mx-1.far.example"), true},
	        {SLICE("m*-?.far.example"), SLICE("mx-1.far.example\xc3\xc3"), false},
	        {SLICE("?.m*mtp\xc3\xc3\xc3"), SLICE("x.mtp"), false},
	        {SLICE("?.m*mtp\xc3\xc3\xc3"), SLICE("\xff.mmtp\xc3\xc3\xc3"), true},
	        {SLICE("a?"), SLICE("a\0"), true},
	        {SLICE(""), SLICE(""), true},
	        {SLICE("*"), SLICE_NONE, true},
	        {SLICE("?"), SLICE(""), false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GPatternSpec) glob = glob_new(rows[i].glob);
		ck_assert_msg(glob_fits(glob, rows[i].text) == rows[i].fits, "row %zu", i);
		g_autofree char *padding = g_strnfill(200, 'x');
		ck_assert(!glob_fits(glob, slice_str(padding)) || rows[i].glob.n == 1);
	}
}
END_TEST

UNIT_MAIN("base", a_glob_fits_the_whole_of_a_text_and_either_may_be_any_bytes,
        what_a_terminal_obeys_is_masked_byte_by_byte,
        a_log_message_that_quotes_foreign_text_is_one_harmless_line, the_first_error_wins,
        a_file_that_is_not_there_is_a_fault_of_the_configuration_and_a_disk_that_fails_is_none,
        a_slice_is_cut_at_a_byte_once, numbers_are_digits_and_nothing_else,
        texts_are_found_and_trimmed, time_is_written_in_the_forms_of_the_api,
        days_and_dates_agree_over_leap_years)
