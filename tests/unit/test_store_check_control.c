/* What a check finds in a control file whose pages are good, and what becomes of it. */
#include "tests/support/unit.h"
#include "tests/unit/store_damage.h"

/* Counts of a source, which the gap keeps; another one's stay. */
static const char *const ledgers[] = {
        "5, 0, 0, 0, 0, 4", "5, -1, 0, 0, 0, 9", "0, 0, 0, 0, -7, 0", "1, 1, 1, 1, 1, -3"};

static void keep_gap(void *ctx, const struct store_gap *gap)
{
	g_string_append_printf(ctx, "%.*s;", SLICE_ARG(gap->text));
}

START_TEST(a_ledger_that_does_not_add_up_starts_anew_and_is_told)
{
	g_autofree char *text =
	        g_strdup_printf("INSERT INTO ledger VALUES (x'612e6c6f67', %s), (x'62', 3, 1, 0, "
	                        "2, 0, 4)",
	                ledgers[_i]);
	g_autoptr(GString) gaps = g_string_new(NULL);

	make_store();
	run("control.sqlite", text);
	expect_found("control.sqlite", "ledger of 1 source(s) does not add up: `postwake check");
	repair();
	ck_assert_ptr_nonnull(strstr(told->str, "the line counts of a.log did not add up"));
	expect_good();
	struct store *store = open_store(dir, STORE_READ);
	g_autoptr(GArray) sources = store_ledger(store, NULL);
	g_autoptr(GHashTable) counters = store_counters(store, NULL);
	ck_assert_uint_eq(sources->len, 2);
	ck_assert_uint_eq(g_array_index(sources, struct store_source, 0).lines, 0);
	ck_assert_uint_eq(g_array_index(sources, struct store_source, 0).events, 0);
	ck_assert_uint_eq(g_array_index(sources, struct store_source, 1).lines, 6);
	ck_assert_int_eq(*(gint64 *)g_hash_table_lookup(counters, "ledger_damaged"), 1);
	ck_assert_int_eq(store_each_gap(store, 10, keep_gap, gaps, NULL), 0);
	ck_assert_ptr_nonnull(strstr(gaps->str, "counts of a.log"));
	ck_assert_ptr_null(strstr(strstr(gaps->str, "counts of"), ";counts of"));
	store_close(&store);
	repair();
	ck_assert_str_eq(told->str, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store check control");
	TCase *cases = tcase_create("store check control");

	tcase_set_timeout(cases, 120);
	tcase_add_checked_fixture(cases, damage_setup, damage_teardown);
	tcase_add_loop_test(cases, a_ledger_that_does_not_add_up_starts_anew_and_is_told, 0,
	        (int)G_N_ELEMENTS(ledgers));
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
