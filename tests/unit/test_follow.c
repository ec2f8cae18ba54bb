#include "logtail/follow.h"
#include "tests/support/log_box_unit.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ten lines, of which `read` were committed before the daemon was killed. */
static void ten_lines_killed_after(unsigned read)
{
	log_box_open(&box);
	for (int i = 0; i < 10; i++) {
		g_autofree char *line = g_strdup_printf("%d line\n", 10 + i);
		log_box_append(&box, NULL, line);
	}
	log_box_start(&box, TRUE);
	box.refuse_after = read;
	struct error err = {0};
	ck_assert_int_ge(follow_run(box.follow, 1000, &err), 0);
	ck_assert_uint_eq(box.given->len, read);
	log_box_commit(&box);
	log_box_kill(&box);
	box.refuse_after = 0;
}

#define TEN "10 line|11 line|12 line|13 line|14 line|15 line|16 line|17 line|18 line|19 line"

START_TEST(a_line_waits_for_its_newline)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 whole\n2 pa");
	start_and_run();
	ASSERT_LINES("1 whole");
	log_box_append(&box, NULL, "rt\n");
	run();
	ASSERT_LINES("1 whole|2 part");
	log_box_close(&box);
}
END_TEST

START_TEST(without_a_position_it_starts_at_the_end_behind_the_last_whole_line)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 old\n2 half");
	log_box_start(&box, FALSE);
	run();
	log_box_append(&box, NULL, " and half\n3 new\n");
	run();
	ASSERT_LINES("2 half and half|3 new");
	log_box_close(&box);
}
END_TEST

START_TEST(a_missing_file_and_folder_are_waited_for)
{
	struct stat st;

	log_box_open(&box);
	ck_assert_int_eq(rmdir(box.folder), 0);
	log_box_start(&box, FALSE);
	run();
	log_box_commit(&box);
	ck_assert_int_ne(stat(box.folder, &st), 0);
	ck_assert_int_eq(mkdir(box.folder, 0700), 0);
	run();
	log_box_append(&box, NULL, "1 first\n");
	run();
	ASSERT_LINES("1 first");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

START_TEST(a_file_that_came_and_was_rotated_while_nobody_looked_is_read)
{
	log_box_open(&box);
	log_box_append(&box, "mail.log.2", "1 long ago\n");
	g_usleep(50000);
	log_box_start(&box, FALSE);
	run();
	log_box_commit(&box);
	log_box_kill(&box);
	g_usleep(10000);
	log_box_append(&box, "mail.log.1", "2 first\n");
	log_box_append(&box, NULL, "3 second\n");
	start_and_run();
	ASSERT_LINES("2 first|3 second");
	log_box_close(&box);
}
END_TEST

START_TEST(a_position_is_gone_on_from_after_each_line)
{
	for (unsigned read = 1; read < 10; read++) {
		ten_lines_killed_after(read);
		start_and_run();
		ASSERT_LINES(TEN);
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(lines_before_a_step_back_of_the_clock_are_given_again)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "17 a\n18 b\n19 c\n2 d\n2 e\n");
	start_and_run();
	log_box_commit(&box);
	log_box_kill(&box);
	log_box_append(&box, NULL, "2 f\n");
	start_and_run();
	ck_assert_uint_eq(box.again->len, 3);
	ck_assert_str_eq(box.again->pdata[0], "19 c");
	ASSERT_LINES("17 a|18 b|19 c|2 d|2 e|2 f");
	log_box_close(&box);
}
END_TEST

START_TEST(lines_of_the_last_seconds_are_given_again)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n2 b\n3 c\n3 d\n2 late\n3 e\n");
	start_and_run();
	log_box_commit(&box);
	log_box_kill(&box);
	log_box_append(&box, NULL, "3 f\n");
	start_and_run();
	/* From the first line of second 2: neighbouring seconds come mixed. */
	ck_assert_uint_eq(box.again->len, 5);
	ck_assert_str_eq(box.again->pdata[0], "2 b");
	ASSERT_LINES("1 a|2 b|3 c|3 d|2 late|3 e|3 f");
	/* And with a new line of the same second the beginning of that second is not forgotten. */
	log_box_commit(&box);
	log_box_kill(&box);
	start_and_run();
	ck_assert_uint_eq(box.again->len, 6);
	log_box_close(&box);
}
END_TEST

START_TEST(a_rename_is_followed_while_running)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_rename(&box, NULL, "mail.log.1");
	run();
	/* The writer has the renamed file open until it is told to reopen. */
	log_box_append(&box, "mail.log.1", "2 b\n");
	run();
	log_box_append(&box, NULL, "");
	run();
	log_box_append(&box, "mail.log.1", "3 c\n");
	log_box_append(&box, NULL, "4 d\n");
	run();
	ASSERT_LINES("1 a|2 b|3 c|4 d");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

START_TEST(a_renamed_file_is_read_on_for_a_grace_while_the_new_one_exists)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	log_box_start(&box, TRUE);
	follow_grace(box.follow, 100);
	run();
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "3 c\n");
	run();
	ASSERT_LINES("1 a");
	log_box_append(&box, "mail.log.1", "2 b\n");
	run();
	ASSERT_LINES("1 a|2 b");
	/* The descriptor wakes when the grace is over. */
	struct pollfd polled = {.fd = follow_fd(box.follow), .events = POLLIN};
	for (int i = 0; i < 5 && box.given->len < 3; i++) {
		ck_assert_int_eq(poll(&polled, 1, 2000), 1);
		run();
	}
	ASSERT_LINES("1 a|2 b|3 c");
	log_box_close(&box);
}
END_TEST

START_TEST(a_rename_while_down_is_found_at_each_point)
{
	for (unsigned read = 1; read <= 10; read++) {
		ten_lines_killed_after(read);
		log_box_rename(&box, NULL, "mail.log.1");
		log_box_append(&box, NULL, "20 new\n");
		start_and_run();
		ASSERT_LINES(TEN "|20 new");
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(dated_names_are_found)
{
	static const char *const names[] = {"mail.log-20260131", "mail.log-2026-01-31",
	        "mail.log.20260131-235959", "mail.log_20260131", "mail-20260131.log", "mail.1.log",
	        "mail.log.0", "mail.log-1769900000"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		ten_lines_killed_after(5);
		log_box_rename(&box, NULL, names[i]);
		log_box_append(&box, NULL, "20 new\n");
		start_and_run();
		ASSERT_LINES(TEN "|20 new");
		log_box_close(&box);
	}
}
END_TEST

START_TEST(files_that_only_look_like_rotated_ones_are_left_alone)
{
	static const char *const names[] = {"mail.log.bak", "mail.log1", "mail.logs-20260131",
	        "mail.log.1.swp", "mail.log-", "other.log.1", "mail.log.1.orig.gz"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		ten_lines_killed_after(5);
		log_box_rename(&box, NULL, names[i]);
		log_box_append(&box, NULL, "20 new\n");
		start_and_run();
		ASSERT_LINES("10 line|11 line|12 line|13 line|14 line|20 new");
		ck_assert_uint_eq(box.gaps->len, 1);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(files_that_were_rotated_into_another_directory_are_found_where_it_is_named)
{
	for (unsigned named = 0; named <= 1; named++) {
		ten_lines_killed_after(5);
		g_autofree char *folder = g_build_filename(box.folder, "old", NULL);
		ck_assert_int_eq(mkdir(folder, 0700), 0);
		log_box_rename(&box, NULL, "old/mail.log.2");
		log_box_append(&box, NULL, "20 new\n");
		log_box_rename(&box, NULL, "old/mail.log.1");
		log_box_pack(&box, "old/mail.log.2", "gzip");
		log_box_append(&box, NULL, "21 newer\n");
		log_box_start(&box, TRUE);
		if (named)
			follow_rotated(box.follow, "old");
		run();
		if (named)
			ASSERT_LINES(TEN "|20 new|21 newer");
		ck_assert_uint_eq(box.gaps->len, named ? 0 : 1);
		g_autofree char *clean = g_strdup_printf("rm -r %s", folder);
		ck_assert_int_eq(system(clean), 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(a_compressed_file_is_found_at_each_point)
{
	static const char *const programs[] = {"gzip", "bzip2", "xz", "zstd"};

	for (unsigned read = 1; read <= 10; read++) {
		ten_lines_killed_after(read);
		log_box_rename(&box, NULL, "mail.log.1");
		log_box_pack(&box, "mail.log.1", programs[read % 4]);
		log_box_append(&box, NULL, "20 new\n");
		start_and_run();
		ASSERT_LINES(TEN "|20 new");
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(a_position_within_a_compressed_file_is_gone_on_from)
{
	ten_lines_killed_after(2);
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_pack(&box, "mail.log.1", "gzip");
	log_box_append(&box, NULL, "20 new\n");
	struct error err = {0};
	while (box.kept->len < 11) {
		log_box_start(&box, TRUE);
		/* Two lines are given again, then one new. */
		for (int i = 0; i < 10 && box.given->len == 0; i++)
			ck_assert_int_ge(follow_run(box.follow, 1, &err), 0);
		ck_assert_uint_eq(box.given->len, 1);
		log_box_commit(&box);
		log_box_kill(&box);
	}
	ASSERT_LINES(TEN "|20 new");
	log_box_close(&box);
}
END_TEST

START_TEST(a_copytruncate_is_found_at_each_point)
{
	for (unsigned read = 1; read <= 10; read++) {
		ten_lines_killed_after(read);
		log_box_copytruncate(&box, "mail.log.1");
		log_box_append(&box, NULL, "20 new\n");
		start_and_run();
		ASSERT_LINES(TEN "|20 new");
		/* What was written between copy and truncation cannot be known. */
		ck_assert_uint_eq(box.gaps->len, 1);
		ck_assert_int_eq(strncmp(box.gaps->pdata[0], "0 ", 2), 0);
		ck_assert_int_eq(box.gap_from, 19000);
		ck_assert_int_eq(box.gap_to, 20000);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(a_copytruncate_while_running_gives_the_unread_rest_of_the_copy)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n2 b");
	start_and_run();
	log_box_append(&box, NULL, "\n3 c\n");
	log_box_copytruncate(&box, "mail.log.1");
	run();
	ASSERT_LINES("1 a|2 b|3 c");
	log_box_append(&box, NULL, "4 d\n");
	run();
	ASSERT_LINES("1 a|2 b|3 c|4 d");
	log_box_close(&box);
}
END_TEST

START_TEST(a_copytruncated_file_that_has_grown_larger_again_is_noticed)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_append(&box, NULL, "2 b\n");
	log_box_copytruncate(&box, "mail.log.1");
	log_box_append(&box, NULL, "3 much longer than all that was in it before\n");
	run();
	ASSERT_LINES("1 a|2 b|3 much longer than all that was in it before");
	log_box_close(&box);
}
END_TEST

START_TEST(lines_read_before_the_copy_was_made_shorter_are_not_given_twice)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n2 b\n");
	log_box_append(&box, "mail.log.1", "1 a\n2 b\n");
	log_box_append(&box, NULL, "3 written after the copy\n");
	start_and_run();
	log_box_truncate(&box, 0);
	log_box_append(&box, NULL, "4 d\n");
	run();
	ASSERT_LINES("1 a|2 b|3 written after the copy|4 d");
	log_box_close(&box);
}
END_TEST

START_TEST(a_truncation_is_a_gap)
{
	for (unsigned read = 1; read <= 10; read++) {
		ten_lines_killed_after(read);
		log_box_truncate(&box, 0);
		log_box_append(&box, NULL, "20 new\n");
		start_and_run();
		ck_assert_str_eq(box.given->pdata[box.given->len - 1], "20 new");
		ck_assert_uint_eq(box.given->len, 1);
		ck_assert_uint_eq(box.gaps->len, 1);
		ck_assert_int_eq(strncmp(box.gaps->pdata[0], "-1 ", 3), 0);
		ck_assert_int_eq(box.gap_from, (9 + (int)read) * 1000);
		ck_assert_int_eq(box.gap_to, 20000);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(a_truncation_while_running_is_a_gap_that_is_told_with_the_next_line)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n2 half");
	start_and_run();
	log_box_truncate(&box, 0);
	run();
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_append(&box, NULL, "3 c\n");
	run();
	ASSERT_LINES("1 a|3 c");
	ck_assert_uint_eq(box.gaps->len, 1);
	/* More can have come behind the half line before it went. */
	ck_assert_int_eq(strncmp(box.gaps->pdata[0], "-1 ", 3), 0);
	log_box_close(&box);
}
END_TEST

START_TEST(a_gap_is_told_again_when_the_daemon_is_killed_before_the_line_behind_it)
{
	ten_lines_killed_after(5);
	log_box_truncate(&box, 0);
	start_and_run();
	log_box_commit(&box);
	log_box_kill(&box);
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_append(&box, NULL, "20 new\n");
	start_and_run();
	ck_assert_uint_eq(box.gaps->len, 1);
	log_box_commit(&box);
	log_box_kill(&box);
	start_and_run();
	ck_assert_uint_eq(box.gaps->len, 1);
	log_box_close(&box);
}
END_TEST

START_TEST(delete_and_create_while_running_loses_nothing)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_append(&box, NULL, "2 b\n");
	log_box_remove(&box, NULL);
	run();
	log_box_append(&box, NULL, "3 c\n");
	run();
	ASSERT_LINES("1 a|2 b|3 c");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

START_TEST(delete_and_create_while_down_is_a_gap_even_with_the_inode_used_again)
{
	for (unsigned read = 1; read <= 10; read++) {
		ten_lines_killed_after(read);
		log_box_remove(&box, NULL);
		log_box_append(
		        &box, NULL, "20 new and of the same length as the old\n21 and more\n");
		log_box_append(&box, NULL, "22 so that no size gives it away, only the content\n");
		start_and_run();
		ck_assert_uint_eq(box.given->len, 3);
		ck_assert_uint_eq(box.gaps->len, 1);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(two_rotations_while_down_are_read_in_order)
{
	for (unsigned read = 1; read <= 10; read++) {
		ten_lines_killed_after(read);
		log_box_rename(&box, NULL, "mail.log.1");
		log_box_append(&box, NULL, "20 second\n");
		log_box_rename(&box, "mail.log.1", "mail.log.2");
		log_box_rename(&box, NULL, "mail.log.1");
		log_box_append(&box, NULL, "30 third\n");
		if (read % 2 == 0)
			log_box_pack(&box, "mail.log.2", "gzip");
		if (read % 3 == 0)
			log_box_pack(&box, "mail.log.1", "xz");
		start_and_run();
		ASSERT_LINES(TEN "|20 second|30 third");
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(two_rotations_between_two_looks_are_read_in_order)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_append(&box, NULL, "2 b\n");
	log_box_rename(&box, NULL, "mail.log-20260101");
	log_box_append(&box, NULL, "3 c\n");
	log_box_rename(&box, NULL, "mail.log-20260102");
	log_box_pack(&box, "mail.log-20260101", "gzip");
	run();
	ASSERT_LINES("1 a|2 b|3 c");
	log_box_append(&box, NULL, "4 d\n");
	run();
	ASSERT_LINES("1 a|2 b|3 c|4 d");
	log_box_close(&box);
}
END_TEST

START_TEST(two_copytruncates_while_down_are_read_in_order)
{
	for (unsigned read = 1; read <= 10; read++) {
		ten_lines_killed_after(read);
		log_box_copytruncate(&box, "mail.log.1");
		log_box_append(&box, NULL, "20 second\n");
		log_box_rename(&box, "mail.log.1", "mail.log.2");
		log_box_pack(&box, "mail.log.2", "gzip");
		log_box_copytruncate(&box, "mail.log.1");
		log_box_append(&box, NULL, "30 third\n");
		start_and_run();
		ASSERT_LINES(TEN "|20 second|30 third");
		log_box_close(&box);
	}
}
END_TEST

START_TEST(when_the_file_is_gone_the_newer_rotated_ones_are_read_and_the_older_not)
{
	log_box_open(&box);
	log_box_append(&box, "mail.log.3", "1 read long ago\n");
	g_usleep(10000);
	log_box_append(&box, NULL, "2 a\n");
	start_and_run();
	log_box_commit(&box);
	log_box_kill(&box);
	g_usleep(10000);
	log_box_remove(&box, NULL);
	log_box_append(&box, "mail.log.1", "4 c\n");
	log_box_append(&box, NULL, "5 d\n");
	start_and_run();
	ASSERT_LINES("2 a|4 c|5 d");
	ck_assert_uint_eq(box.gaps->len, 1);
	log_box_close(&box);
}
END_TEST

START_TEST(a_second_that_spans_two_files_is_given_again_from_the_first)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n5 b\n");
	start_and_run();
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "5 c\n5 d\n");
	run();
	log_box_commit(&box);
	log_box_kill(&box);
	log_box_pack(&box, "mail.log.1", "gzip");
	log_box_append(&box, NULL, "5 e\n");
	start_and_run();
	ASSERT_LINES("1 a|5 b|5 c|5 d|5 e");
	ck_assert_uint_eq(box.again->len, 3);
	ck_assert_str_eq(box.again->pdata[0], "5 b");
	log_box_close(&box);
}
END_TEST

START_TEST(an_unfinished_last_line_is_given_when_its_file_is_left)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n2 cut o");
	start_and_run();
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "3 c\n");
	run();
	ASSERT_LINES("1 a|2 cut o|3 c");
	log_box_close(&box);
}
END_TEST

START_TEST(nul_bytes_are_taken_out_and_a_hole_is_a_gap)
{
	static const char hole[4000];

	log_box_open(&box);
	log_box_write(&box, NULL, "1 a\0b\n2 cut by the cra", 22);
	log_box_write(&box, NULL, hole, sizeof(hole));
	log_box_append(&box, NULL, "3 after the crash\n");
	start_and_run();
	ASSERT_LINES("1 ab|2 cut by the cra|3 after the crash");
	ck_assert_uint_eq(box.gaps->len, 1);
	ck_assert_int_eq(box.gap_bytes, 4000);
	log_box_close(&box);
}
END_TEST

START_TEST(a_hole_at_the_position_is_told_with_the_line_behind_it)
{
	static const char hole[4000];

	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_commit(&box);
	log_box_write(&box, NULL, hole, sizeof(hole));
	for (int i = 0; i < 3; i++) {
		log_box_kill(&box);
		start_and_run();
		log_box_commit(&box);
		ck_assert_uint_eq(box.gaps->len, 0);
	}
	log_box_append(&box, NULL, "2 b\n");
	run();
	ASSERT_LINES("1 a|2 b");
	ck_assert_int_eq(box.gap_bytes, 4000);
	ck_assert_int_eq(box.gap_to, 2000);
	log_box_commit(&box);
	log_box_kill(&box);
	start_and_run();
	ck_assert_uint_eq(box.gaps->len, 1);
	log_box_close(&box);
}
END_TEST

START_TEST(a_writer_that_goes_on_at_its_old_offset_after_a_truncation_is_read)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_copytruncate(&box, "mail.log.1");
	log_box_truncate(&box, 5000000);
	log_box_append(&box, NULL, "2 b\n");
	run();
	ASSERT_LINES("1 a|2 b");
	ck_assert_int_eq(box.gap_bytes, 0);
	log_box_close(&box);
}
END_TEST

START_TEST(a_line_over_64_kib_is_cut_and_its_rest_skipped)
{
	GString *text = g_string_new("1 ");

	log_box_open(&box);
	while (text->len < 700000)
		g_string_append_c(text, 'x');
	log_box_append(&box, NULL, text->str);
	start_and_run();
	ck_assert_uint_eq(box.given->len, 0);
	log_box_append(&box, NULL, "end\n2 b\n");
	run();
	ck_assert_uint_eq(box.given->len, 2);
	ck_assert_uint_eq(strlen(box.given->pdata[0]), 65536);
	ck_assert_str_eq(box.given->pdata[1], "2 b");
	log_box_commit(&box);
	log_box_kill(&box);
	log_box_append(&box, NULL, "3 c\n");
	start_and_run();
	ck_assert_uint_eq(box.given->len, 1);
	ck_assert_uint_eq(box.gaps->len, 0);
	g_string_free(text, TRUE);
	log_box_close(&box);
}
END_TEST

START_TEST(bytes_that_are_not_utf_8_pass_unchanged)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 \xff\xc3(\r\n");
	start_and_run();
	ASSERT_LINES("1 \xff\xc3(\r");
	log_box_close(&box);
}
END_TEST

START_TEST(a_refused_line_is_given_again_and_the_position_stays_before_it)
{
	struct error err = {0};

	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n2 b\n3 c\n");
	log_box_start(&box, TRUE);
	box.refuse_after = 2;
	ck_assert_int_eq(follow_run(box.follow, 100, &err), 1);
	log_box_commit(&box);
	ck_assert_ptr_nonnull(strstr(box.position, " offset=8 "));
	box.refuse_after = 0;
	run();
	ASSERT_LINES("1 a|2 b|3 c");
	log_box_close(&box);
}
END_TEST

START_TEST(no_more_than_the_asked_number_of_lines_is_given)
{
	struct error err = {0};

	ten_lines_killed_after(1);
	log_box_start(&box, TRUE);
	ck_assert_int_eq(follow_run(box.follow, 4, &err), 1);
	ck_assert_uint_eq(box.given->len + box.again->len, 4);
	log_box_close(&box);
}
END_TEST

START_TEST(a_log_behind_a_symbolic_link_is_followed_with_its_rotation)
{
	log_box_open(&box);
	g_autofree char *real = g_build_filename(box.folder, "real", NULL);
	log_box_append(&box, "real", "1 a\n2 b\n");
	ck_assert_int_eq(symlink(real, box.path), 0);
	log_box_start(&box, TRUE);
	struct error err = {0};
	ck_assert_int_eq(follow_run(box.follow, 1, &err), 1);
	log_box_commit(&box);
	log_box_kill(&box);
	log_box_rename(&box, "real", "real.1");
	log_box_append(&box, "real", "3 c\n");
	start_and_run();
	ASSERT_LINES("1 a|2 b|3 c");
	log_box_rename(&box, "real", "real.0");
	log_box_append(&box, "real", "4 d\n");
	run();
	ASSERT_LINES("1 a|2 b|3 c|4 d");
	log_box_close(&box);
}
END_TEST

START_TEST(what_is_no_regular_file_is_an_error_that_goes_away)
{
	struct error err = {0};

	log_box_open(&box);
	ck_assert_int_eq(mkdir(box.path, 0700), 0);
	log_box_start(&box, TRUE);
	ck_assert_int_eq(follow_run(box.follow, 100, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "is a directory and no regular file"));
	ck_assert_int_eq(rmdir(box.path), 0);
	ck_assert_int_eq(mkfifo(box.path, 0600), 0);
	error_clear(&err);
	ck_assert_int_eq(follow_run(box.follow, 100, &err), -1);
	log_box_remove(&box, NULL);
	log_box_append(&box, NULL, "1 a\n");
	run();
	ASSERT_LINES("1 a");
	log_box_close(&box);
}
END_TEST

/* A device never ends, and has no size; nor has a FIFO, whose writer must not take us for its
 * reader.
 */
START_TEST(what_takes_the_place_of_the_log_and_is_no_file_is_told_at_once_and_not_opened)
{
	struct error err = {0};

	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, "mail.log.1", "2 b\n");
	ck_assert_int_eq(symlink("/dev/zero", box.path), 0);
	ck_assert_int_eq(follow_run(box.follow, 100, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "mail.log is a device and no regular file"));
	ASSERT_LINES("1 a|2 b");
	log_box_remove(&box, NULL);
	ck_assert_int_eq(mkfifo(box.path, 0600), 0);
	int keep = open(box.path, O_RDWR | O_NONBLOCK);
	ck_assert_int_eq(write(keep, "3 c\n", 4), 4);
	error_clear(&err);
	ck_assert_int_eq(follow_run(box.follow, 100, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "mail.log is a FIFO"));
	int left = 0;
	ck_assert_int_eq(ioctl(keep, FIONREAD, &left), 0);
	ck_assert_int_eq(left, 4);
	close(keep);
	log_box_remove(&box, NULL);
	log_box_append(&box, NULL, "4 d\n");
	g_usleep(1100000); /* the grace of the renamed one */
	run();
	ASSERT_LINES("1 a|2 b|4 d");
	log_box_close(&box);
}
END_TEST

START_TEST(a_damaged_archive_gives_what_is_readable_and_a_gap)
{
	ten_lines_killed_after(5);
	log_box_rename(&box, NULL, "mail.log.2");
	g_autoptr(GString) noise = g_string_new(NULL);
	for (int i = 0; i < 20000; i++)
		g_string_append_printf(noise, "20 %08x\n", (guint)i * 2654435761u);
	log_box_append(&box, "mail.log.1", noise->str);
	log_box_pack(&box, "mail.log.1", "gzip");
	g_autofree char *packed = g_build_filename(box.folder, "mail.log.1.gz", NULL);
	ck_assert_int_eq(truncate(packed, 40000), 0);
	log_box_append(&box, NULL, "30 after\n");
	start_and_run();
	ck_assert_uint_gt(box.given->len, 1000);
	ck_assert_str_eq(box.given->pdata[box.given->len - 1], "30 after");
	ck_assert_uint_eq(box.gaps->len, 1);
	ck_assert_ptr_nonnull(strstr(box.gaps->pdata[0], "damaged"));
	log_box_close(&box);
}
END_TEST

START_TEST(an_archive_with_a_wrong_crc_gives_nothing_and_a_gap)
{
	g_autofree char *bytes = NULL;
	gsize n;

	ten_lines_killed_after(5);
	log_box_rename(&box, NULL, "mail.log.2");
	log_box_append(&box, "mail.log.1", "20 not to be trusted\n");
	log_box_pack(&box, "mail.log.1", "gzip");
	g_autofree char *packed = g_build_filename(box.folder, "mail.log.1.gz", NULL);
	ck_assert(g_file_get_contents(packed, &bytes, &n, NULL));
	bytes[n - 8] ^= 1;
	ck_assert(g_file_set_contents(packed, bytes, (gssize)n, NULL));
	log_box_append(&box, NULL, "30 after\n");
	start_and_run();
	ASSERT_LINES(TEN "|30 after");
	ck_assert_uint_eq(box.gaps->len, 1);
	ck_assert_ptr_nonnull(strstr(box.gaps->pdata[0], "incorrect data check"));
	log_box_close(&box);
}
END_TEST

START_TEST(a_file_being_compressed_is_read_from_the_plain_one)
{
	ten_lines_killed_after(5);
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, "mail.log.1.gz", "\x1f\x8b half");
	log_box_append(&box, NULL, "20 new\n");
	start_and_run();
	ASSERT_LINES(TEN "|20 new");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

START_TEST(the_descriptor_wakes_for_writes_renames_and_new_files)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	struct pollfd polled = {.fd = follow_fd(box.follow), .events = POLLIN};
	ck_assert_int_eq(poll(&polled, 1, 50), 0);
	log_box_append(&box, NULL, "2 b\n");
	ck_assert_int_eq(poll(&polled, 1, 1000), 1);
	run();
	log_box_rename(&box, NULL, "mail.log.1");
	ck_assert_int_eq(poll(&polled, 1, 1000), 1);
	run();
	log_box_append(&box, NULL, "3 c\n");
	ck_assert_int_eq(poll(&polled, 1, 1000), 1);
	run();
	ASSERT_LINES("1 a|2 b|3 c");
	log_box_append(&box, NULL, "4 d\n");
	ck_assert_int_eq(poll(&polled, 1, 1000), 1);
	run();
	ASSERT_LINES("1 a|2 b|3 c|4 d");
	log_box_close(&box);
}
END_TEST

START_TEST(several_followers_do_not_disturb_each_other)
{
	struct log_box other;

	log_box_open(&box);
	log_box_open(&other);
	log_box_start(&box, TRUE);
	log_box_start(&other, TRUE);
	log_box_append(&box, NULL, "1 mine\n");
	log_box_append(&other, NULL, "1 yours\n");
	run();
	log_box_run(&other, 10);
	ASSERT_LINES("1 mine");
	ck_assert_str_eq(other.given->pdata[0], "1 yours");
	log_box_close(&other);
	log_box_close(&box);
}
END_TEST

START_TEST(a_position_that_is_no_position_is_refused)
{
	static const char *const texts[] = {"v=2 offset=1", "v=1 offset=", "v=1 offset=-1",
	        "v=1 offset=99999999999999999999", "v=1 head=1025:0", "v=1 head=1",
	        "v=1 head=-1:00", "v=1 dev=xyz", "v=1 ino=00000000000000000",
	        "v=1 offset=3 tail=4:00", "garbage"};
	const struct follow_hooks hooks = {0};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		struct error err = {0};
		ck_assert_ptr_null(follow_new("/x", slice_str(texts[i]), TRUE, &hooks, &err));
		ck_assert_ptr_nonnull(strstr(err.text, "not understood"));
	}
}
END_TEST

UNIT_MAIN("follow", a_line_waits_for_its_newline,
        without_a_position_it_starts_at_the_end_behind_the_last_whole_line,
        a_missing_file_and_folder_are_waited_for,
        a_file_that_came_and_was_rotated_while_nobody_looked_is_read,
        a_position_is_gone_on_from_after_each_line, lines_of_the_last_seconds_are_given_again,
        lines_before_a_step_back_of_the_clock_are_given_again, a_rename_is_followed_while_running,
        a_renamed_file_is_read_on_for_a_grace_while_the_new_one_exists,
        a_rename_while_down_is_found_at_each_point, dated_names_are_found,
        files_that_only_look_like_rotated_ones_are_left_alone,
        files_that_were_rotated_into_another_directory_are_found_where_it_is_named,
        a_compressed_file_is_found_at_each_point,
        a_position_within_a_compressed_file_is_gone_on_from, a_copytruncate_is_found_at_each_point,
        a_copytruncate_while_running_gives_the_unread_rest_of_the_copy,
        a_copytruncated_file_that_has_grown_larger_again_is_noticed,
        lines_read_before_the_copy_was_made_shorter_are_not_given_twice, a_truncation_is_a_gap,
        a_truncation_while_running_is_a_gap_that_is_told_with_the_next_line,
        a_gap_is_told_again_when_the_daemon_is_killed_before_the_line_behind_it,
        delete_and_create_while_running_loses_nothing,
        delete_and_create_while_down_is_a_gap_even_with_the_inode_used_again,
        two_rotations_while_down_are_read_in_order,
        two_rotations_between_two_looks_are_read_in_order,
        two_copytruncates_while_down_are_read_in_order,
        when_the_file_is_gone_the_newer_rotated_ones_are_read_and_the_older_not,
        a_second_that_spans_two_files_is_given_again_from_the_first,
        an_unfinished_last_line_is_given_when_its_file_is_left,
        nul_bytes_are_taken_out_and_a_hole_is_a_gap,
        a_hole_at_the_position_is_told_with_the_line_behind_it,
        a_writer_that_goes_on_at_its_old_offset_after_a_truncation_is_read,
        a_line_over_64_kib_is_cut_and_its_rest_skipped, bytes_that_are_not_utf_8_pass_unchanged,
        a_refused_line_is_given_again_and_the_position_stays_before_it,
        no_more_than_the_asked_number_of_lines_is_given,
        a_log_behind_a_symbolic_link_is_followed_with_its_rotation,
        what_is_no_regular_file_is_an_error_that_goes_away,
        what_takes_the_place_of_the_log_and_is_no_file_is_told_at_once_and_not_opened,
        a_damaged_archive_gives_what_is_readable_and_a_gap,
        an_archive_with_a_wrong_crc_gives_nothing_and_a_gap,
        a_file_being_compressed_is_read_from_the_plain_one,
        the_descriptor_wakes_for_writes_renames_and_new_files,
        several_followers_do_not_disturb_each_other, a_position_that_is_no_position_is_refused)
