/* What vanished of a log while nobody followed it, and the gap that tells so. */
#include "tests/support/log_box_unit.h"

#include <string.h>

/* 200 lines of 13 bytes, all read and committed, and the daemon killed. */
static void many_lines_killed(void)
{
	log_box_open(&box);
	for (int i = 0; i < 200; i++) {
		g_autofree char *line = g_strdup_printf("%03d and more\n", 100 + i);
		log_box_append(&box, NULL, line);
	}
	start_and_run();
	ck_assert_uint_eq(box.given->len, 200);
	log_box_commit(&box);
	log_box_kill(&box);
}

START_TEST(a_log_that_lost_its_end_is_read_again_also_when_it_was_rotated_since)
{
	for (int rotated = 0; rotated < 2; rotated++) {
		many_lines_killed();
		log_box_truncate(&box, 150 * 13);
		log_box_append(&box, NULL, "400 new\n");
		if (rotated) {
			log_box_rename(&box, NULL, "mail.log.1");
			log_box_append(&box, NULL, "401 newer\n");
		}
		start_and_run();
		ck_assert_uint_eq(box.given->len, 151 + (guint)rotated);
		ck_assert_str_eq(box.given->pdata[150], "400 new");
		ck_assert_uint_eq(box.gaps->len, 1);
		ck_assert_int_eq(strncmp(box.gaps->pdata[0], "-1 ", 3), 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(a_gap_before_a_line_that_is_read_again_ends_now)
{
	gint64 now = g_get_real_time() / 1000;

	many_lines_killed();
	log_box_truncate(&box, 150 * 13);
	start_and_run();
	ck_assert_uint_eq(box.gaps->len, 1);
	ck_assert_int_eq(box.gap_from, 299000);
	ck_assert_int_ge(box.gap_to, now);
	log_box_close(&box);
}
END_TEST

START_TEST(each_copytruncate_while_down_is_a_gap)
{
	many_lines_killed();
	log_box_copytruncate(&box, "mail.log.2");
	log_box_append(&box, NULL, "400 new\n");
	log_box_copytruncate(&box, "mail.log.1");
	log_box_append(&box, NULL, "401 newer\n");
	start_and_run();
	ck_assert_uint_eq(box.given->len, 2);
	ck_assert_uint_eq(box.gaps->len, 2);
	ck_assert_int_eq(box.gap_from, 400000);
	ck_assert_int_eq(box.gap_to, 401000);
	log_box_close(&box);
}
END_TEST

START_TEST(a_copytruncate_is_a_gap_also_when_the_log_was_renamed_since)
{
	many_lines_killed();
	log_box_copytruncate(&box, "mail.log.2");
	log_box_append(&box, NULL, "400 new\n");
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "401 newer\n");
	start_and_run();
	ck_assert_uint_eq(box.given->len, 2);
	ck_assert_uint_eq(box.gaps->len, 1);
	ck_assert_int_eq(box.gap_from, 299000);
	ck_assert_int_eq(box.gap_to, 400000);
	log_box_close(&box);
}
END_TEST

START_TEST(a_copytruncate_is_a_gap_also_when_the_daemon_is_killed_within_the_copy)
{
	many_lines_killed();
	log_box_append(&box, NULL, "300 unread\n");
	log_box_copytruncate(&box, "mail.log.1");
	start_and_run();
	ck_assert_uint_eq(box.given->len, 1);
	log_box_commit(&box);
	log_box_kill(&box);
	log_box_append(&box, NULL, "400 new\n");
	start_and_run();
	ck_assert_uint_eq(box.given->len, 1);
	ck_assert_uint_eq(box.gaps->len, 1);
	ck_assert_int_eq(box.gap_from, 300000);
	log_box_close(&box);
}
END_TEST

UNIT_MAIN("what vanished of a followed log",
        a_log_that_lost_its_end_is_read_again_also_when_it_was_rotated_since,
        a_gap_before_a_line_that_is_read_again_ends_now, each_copytruncate_while_down_is_a_gap,
        a_copytruncate_is_a_gap_also_when_the_log_was_renamed_since,
        a_copytruncate_is_a_gap_also_when_the_daemon_is_killed_within_the_copy)
