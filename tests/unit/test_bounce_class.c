#include "event/bounce_class.h"

#include <glib.h>

#include "tests/support/unit.h"

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

/* clang-format off */
UNIT_MAIN("bounce_class",
	all_twenty_classes_are_known_by_code,
	other_codes_are_no_class)
