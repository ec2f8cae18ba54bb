/* What a check finds in a control file whose pages are good, and what becomes of it. */
#include <stdio.h>
#include <unistd.h>

#include "store/control.h"
#include "store/day.h"
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

/* ---- versions that no postwake wrote: a bit of the known one changed ---- */

static const int bits[] = {0, 1, 2, 3, 26, 31};

static char *flipped(int version, int bit)
{
	return g_strdup_printf(
	        "PRAGMA user_version = %d", (int)((unsigned)version ^ UINT32_C(1) << bit));
}

START_TEST(a_control_file_with_a_bit_of_its_version_changed_is_set_right)
{
	g_autofree char *text = flipped(CONTROL_VERSION, bits[_i]);
	g_autoptr(GString) gaps = g_string_new(NULL);

	make_store();
	run("control.sqlite", text);
	run("control.sqlite", "INSERT INTO position VALUES (x'61', x'62')");
	expect_found("control.sqlite", "`postwake check --repair` saves");
	ck_assert_ptr_null(strstr(told->str, "newer"));
	g_string_truncate(told, 0);
	struct store *store = open_noticing();
	ck_assert_ptr_nonnull(strstr(told->str, "control.sqlite was damaged: it had version"));
	fill(store, DAY2, 200, 100);
	g_autoptr(GArray) asides = store_asides(store, NULL);
	ck_assert_uint_eq(asides->len, 0);
	ck_assert_int_eq(store_each_gap(store, 10, keep_gap, gaps, NULL), 0);
	ck_assert_ptr_nonnull(strstr(gaps->str, "it had version"));
	store_close(&store);
	ck_assert_int_eq(ask("control.sqlite", "SELECT count(*) FROM position"), 1);
	expect_good();
	expect_events(EVENTS + 300);
}
END_TEST

/* No event comes behind it. */
START_TEST(what_a_repair_did_to_the_control_file_is_a_gap)
{
	static const char *const damage[] = {"PRAGMA user_version = 6", "DROP TABLE api_key"};
	static const char *const text[] = {"it had version 6", "column api_key."};
	g_autoptr(GString) gaps = g_string_new(NULL);

	make_store();
	run("control.sqlite", damage[_i]);
	repair();
	ck_assert_ptr_nonnull(strstr(told->str, text[_i]));
	struct store *store = open_store(dir, STORE_READ);
	ck_assert_int_eq(store_each_gap(store, 10, keep_gap, gaps, NULL), 0);
	ck_assert_ptr_nonnull(strstr(gaps->str, text[_i]));
	store_close(&store);
	expect_good();
}
END_TEST

START_TEST(a_day_with_a_bit_of_its_version_changed_is_damaged_and_loses_nothing)
{
	g_autofree char *text = flipped(DAY_VERSION, bits[_i]);

	make_store();
	run(DAY1_NAME, text);
	expect_found(DAY1_NAME, "`postwake check --repair` saves");
	ck_assert_ptr_null(strstr(told->str, "newer"));
	ck_assert_ptr_null(strstr(told->str, "unreleased"));
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.saved, EVENTS);
	ck_assert_uint_eq(result.lost, 0);
	expect_good();
	expect_events(EVENTS + 200);
}
END_TEST

/* A file without a sign is of an earlier postwake, or its sign is damaged too. */
START_TEST(a_version_that_may_be_newer_is_refused_and_both_remedies_are_told)
{
	static const char *const signs[] = {"0", "7", "0x50570007"};
	static const char *const names[] = {DAY1_NAME, "control.sqlite"};

	make_store();
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *text = g_strdup_printf(
		        "PRAGMA user_version = 7; PRAGMA application_id = %s", signs[_i]);
		struct error err = {0};
		struct store *store;
		run(names[i], text);
		ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, NULL, &err), -1);
		ck_assert_ptr_nonnull(strstr(err.text, "use a newer postwake"));
		ck_assert_ptr_nonnull(strstr(err.text, "move the file away and import"));
		/* Which works. */
		g_autofree char *path = file(names[i]), *away = file("away");
		ck_assert_int_eq(rename(path, away), 0);
		store = open_store(dir, STORE_WRITE);
		fill(store, DAY1, 0, EVENTS);
		store_close(&store);
		expect_good();
		expect_events(EVENTS + 200);
		unlink(away);
	}
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
	tcase_add_loop_test(cases, a_control_file_with_a_bit_of_its_version_changed_is_set_right, 0,
	        (int)G_N_ELEMENTS(bits));
	tcase_add_loop_test(cases, what_a_repair_did_to_the_control_file_is_a_gap, 0, 2);
	tcase_add_loop_test(cases,
	        a_day_with_a_bit_of_its_version_changed_is_damaged_and_loses_nothing, 0,
	        (int)G_N_ELEMENTS(bits));
	tcase_add_loop_test(
	        cases, a_version_that_may_be_newer_is_refused_and_both_remedies_are_told, 0, 3);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
