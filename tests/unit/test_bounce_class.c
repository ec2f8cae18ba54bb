#include "event/bounce_class.h"

#include <glib.h>

#include "tests/support/unit.h"

static int class_of(const char *dsn, const char *code)
{
	return bounce_class_of(slice_str(dsn), slice_str(code));
}

START_TEST(all_twenty_classes_are_known_by_code)
{
	static const int codes[] = {
	        1, 10, 20, 21, 22, 23, 24, 25, 30, 40, 50, 51, 52, 53, 54, 60, 70, 80, 90, 100};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		const struct bounce_class *class = bounce_class_by_code(codes[i]);
		ck_assert_ptr_nonnull(class);
		ck_assert_int_eq(class->code, codes[i]);
	}
	ck_assert_str_eq(bounce_class_by_code(10)->name, "Invalid Recipient");
	ck_assert_str_eq(bounce_class_by_code(10)->category, "Hard");
	ck_assert_str_eq(bounce_class_by_code(30)->name, "Generic Bounce: No RCPT");
	ck_assert_str_eq(bounce_class_by_code(25)->category, "Admin");
}
END_TEST

START_TEST(other_codes_are_no_class)
{
	static const int codes[] = {-1, 0, 2, 11, 55, 101};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		ck_assert_ptr_null(bounce_class_by_code(codes[i]));
}
END_TEST

/* Pairs of class and status that the service itself published, and the sense of RFC 3463. */
START_TEST(the_enhanced_status_code_decides)
{
	static const struct {
		const char *dsn, *code;
		int want;
	} rows[] = {
	        {"5.1.1", "550", 10},
	        {"4.4.4", "454", 21},
	        {"4.4.1", "451", 24},
	        {"5.4.7", "554", 24},
	        {"5.2.2", "552", 22},
	        {"5.1.2", "550", 21},
	        {"5.4.4", NULL, 21},
	        {"4.4.3", NULL, 21},
	        {"5.3.4", "552", 23},
	        {"5.2.3", "552", 23},
	        {"4.2.2", "452", 22},
	        {"4.4.7", NULL, 24},
	        {"5.7.1", "554", 50},
	        {"5.7.26", "550", 50},
	        {"5.7.13", "550", 10},
	        {"5.1.10", "556", 10},
	        {"4.0.0", NULL, 70},
	        {"4.7.1", "451", 70},
	        {"4.999.999", NULL, 70},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		ck_assert_msg(class_of(rows[i].dsn, rows[i].code) == rows[i].want, "%s gives %d",
		        rows[i].dsn, class_of(rows[i].dsn, rows[i].code));
}
END_TEST

START_TEST(the_reply_code_decides_where_the_status_says_nothing)
{
	ck_assert_int_eq(class_of(NULL, "421"), 70);
	ck_assert_int_eq(class_of(NULL, "552"), 22);
	ck_assert_int_eq(class_of("5.0.0", "551"), 10);
	ck_assert_int_eq(class_of("5.9.9", "421"), 70);
	ck_assert_int_eq(class_of("", "530"), 54);
}
END_TEST

START_TEST(what_says_nothing_is_undetermined)
{
	ck_assert_int_eq(class_of(NULL, NULL), 1);
	ck_assert_int_eq(class_of("5.0.0", "554"), 1);
	ck_assert_int_eq(class_of(NULL, "550"), 1);
	ck_assert_int_eq(class_of("2.0.0", "250"), 1);
}
END_TEST

START_TEST(text_that_is_no_status_is_not_guessed)
{
	static const char *const texts[] = {"5", "5.", "5.1", "5.1.", "5..1", "5.1.1.1", "5.1.1 ",
	        " 5.1.1", "5.-1.1", "5.1.1234", "55.1.1", "5,1,1", "x.1.1", "6.1.1", "5.1.x"};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		ck_assert_msg(class_of(texts[i], NULL) == 1, "\"%s\"", texts[i]);
	ck_assert_int_eq(class_of(NULL, "99999999999999999999"), 1);
	ck_assert_int_eq(class_of(NULL, "421 "), 1);
	ck_assert_int_eq(bounce_class_of(slice_make("5.\0.1", 5), SLICE_NONE), 1);
}
END_TEST

/* clang-format off */
UNIT_MAIN("bounce_class",
	all_twenty_classes_are_known_by_code,
	other_codes_are_no_class,
	the_enhanced_status_code_decides,
	the_reply_code_decides_where_the_status_says_nothing,
	what_says_nothing_is_undetermined,
	text_that_is_no_status_is_not_guessed)
