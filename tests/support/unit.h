/* Frame of a unit test program: one test case for each module, test names that read as sentences.
 *
 *	START_TEST(a_cut_line_waits_for_its_rest) { … } END_TEST
 *	UNIT_MAIN("follow", a_cut_line_waits_for_its_rest, …)
 *
 * CK_FORK=no in the environment runs all in one process (for a debugger). */
#ifndef PW_TESTS_UNIT_H
#define PW_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

#define UNIT_MAIN(NAME, ...) \
	int main(void) \
	{ \
		const TTest *const tests[] = {__VA_ARGS__}; \
		Suite *suite = suite_create(NAME); \
		TCase *cases = tcase_create(NAME); \
		tcase_set_timeout(cases, 120); \
		for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) \
			tcase_add_test(cases, tests[i]); \
		suite_add_tcase(suite, cases); \
		SRunner *runner = srunner_create(suite); \
		srunner_run_all(runner, CK_NORMAL); \
		int failed = srunner_ntests_failed(runner); \
		srunner_free(runner); \
		return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE; \
	}

#endif
