/* Positions committed before a line was read: where does a log go on that was known only as empty?
 */
#include "logtail/follow.h"
#include "tests/support/log_box_unit.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Starts on the empty log, commits the first position, and is killed. */
static void known_as_empty(void)
{
	start_and_run();
	commit_and_kill();
}

/* One, which begins with these bytes. */
static void assert_gap(const char *bytes)
{
	ck_assert_uint_eq(box.gaps->len, 1);
	ck_assert(g_str_has_prefix(box.gaps->pdata[0], bytes));
}

START_TEST(a_log_known_only_as_empty_is_found_wherever_it_was_rotated_to)
{
	static const struct {
		const char *older;          /* a rotated file that was there before */
		const char *first, *second; /* names after the first and the second rotation */
		const char *pack;
	} rows[] = {
	        {NULL, "mail.log-20260102", NULL, NULL},
	        {NULL, "mail.log-20260102", NULL, "gzip"},
	        {NULL, "mail.log-20260102", "mail.log-20260103", NULL},
	        {NULL, "mail.log-20260102", "mail.log-20260103", "xz"},
	        {"mail.log-20260101", "mail.log-20260102", NULL, NULL},
	        {"mail.log-20260101", "mail.log-20260102", NULL, "gzip"},
	        {"mail.log-20260101", "mail.log-20260102", "mail.log-20260103", NULL},
	        {"mail.log-20260101", "mail.log-20260102", "mail.log-20260103", "zstd"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		log_box_open(&box);
		if (rows[i].older != NULL)
			log_box_append(&box, rows[i].older, "1 old\n");
		log_box_append(&box, NULL, "");
		known_as_empty();
		log_box_append(&box, NULL, "2 a\n3 b\n");
		log_box_rename(&box, NULL, rows[i].first);
		log_box_append(&box, NULL, "4 c\n");
		if (rows[i].second != NULL)
			log_box_rename(&box, NULL, rows[i].second);
		log_box_append(&box, NULL, "5 d\n");
		if (rows[i].pack != NULL)
			log_box_pack(&box, rows[i].first, rows[i].pack);
		start_and_run();
		ASSERT_LINES("2 a|3 b|4 c|5 d");
		ck_assert_uint_eq(box.again->len, 0);
		/* Whether something was deleted before what was compressed nobody can know. */
		if (rows[i].pack != NULL && rows[i].older == NULL)
			assert_gap("0 ");
		else
			ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

/* Rotated with few files kept. */
START_TEST(a_log_known_only_as_empty_that_was_deleted_is_a_gap_although_younger_ones_are_there)
{
	static const struct {
		const char *older; /* an empty file that was rotated before: it would go first */
		const char *pack;
		const char *gap; /* how it begins; NULL = none */
	} rows[] = {
	        {NULL, NULL, "-1 "},
	        {NULL, "gzip", "0 "},
	        {"mail.log-20260101", "gzip", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		log_box_open(&box);
		if (rows[i].older != NULL)
			log_box_append(&box, rows[i].older, "");
		g_usleep(10000);
		log_box_append(&box, NULL, "");
		known_as_empty();
		log_box_append(&box, NULL, "2 a\n");
		log_box_remove(&box, NULL);
		log_box_append(&box, "mail.log-20260102", "3 b\n");
		if (rows[i].pack != NULL)
			log_box_pack(&box, "mail.log-20260102", rows[i].pack);
		log_box_append(&box, NULL, "4 c\n");
		start_and_run();
		ASSERT_LINES("3 b|4 c");
		if (rows[i].gap != NULL)
			assert_gap(rows[i].gap);
		else
			ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

/* As cp -p and a clock that was set back leave it. */
START_TEST(a_log_known_only_as_empty_is_found_although_its_time_is_older)
{
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	g_autofree char *rotated = NULL;

	log_box_open(&box);
	log_box_append(&box, NULL, "");
	known_as_empty();
	log_box_append(&box, NULL, "2 a\n");
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "3 b\n");
	rotated = g_build_filename(box.folder, "mail.log.1", NULL);
	ck_assert_int_eq(utimensat(AT_FDCWD, rotated, old, 0), 0);
	start_and_run();
	ASSERT_LINES("2 a|3 b");
	log_box_close(&box);
}
END_TEST

START_TEST(a_log_known_only_as_empty_that_was_copied_and_truncated_is_read_from_the_copy)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "");
	known_as_empty();
	log_box_append(&box, NULL, "2 a\n3 b\n");
	log_box_copytruncate(&box, "mail.log.1");
	log_box_append(&box, NULL, "4 c\n");
	start_and_run();
	ASSERT_LINES("2 a|3 b|4 c");
	log_box_close(&box);
}
END_TEST

START_TEST(a_log_known_only_as_empty_that_is_nowhere_is_a_gap)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "");
	known_as_empty();
	log_box_append(&box, NULL, "2 a\n");
	log_box_remove(&box, NULL);
	log_box_append(&box, NULL, "3 b\n");
	start_and_run();
	ASSERT_LINES("3 b");
	ck_assert_uint_eq(box.gaps->len, 1);
	log_box_close(&box);
}
END_TEST

START_TEST(a_log_that_is_empty_still_after_a_restart_is_no_gap)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "");
	known_as_empty();
	known_as_empty();
	log_box_append(&box, NULL, "2 a\n");
	start_and_run();
	ASSERT_LINES("2 a");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

/* The writer has the renamed file open until it is told to reopen: its last lines come after the
 * new log was made. */
START_TEST(what_was_rotated_before_the_first_start_is_not_read_however_late_it_was_written)
{
	for (int restart = 0; restart < 2; restart++) {
		log_box_open(&box);
		log_box_append(&box, NULL, "1 old\n");
		log_box_rename(&box, NULL, "mail.log.1");
		log_box_append(&box, NULL, "");
		g_usleep(10000);
		log_box_append(&box, "mail.log.1", "2 late\n");
		log_box_start(&box, TRUE);
		run();
		if (restart) {
			log_box_commit(&box);
			log_box_kill(&box);
			log_box_start(&box, TRUE);
		}
		/* Behind the start it is new. */
		log_box_append(&box, "mail.log.1", "3 very late\n");
		log_box_append(&box, NULL, "4 a\n");
		run();
		log_box_commit(&box);
		log_box_kill(&box);
		log_box_append(&box, NULL, "5 b\n");
		start_and_run();
		ASSERT_LINES("3 very late|4 a|5 b");
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(a_log_that_was_there_but_not_read_before_the_kill_is_found_after_a_rotation)
{
	struct error err = {0};

	log_box_open(&box);
	log_box_append(&box, "mail.log.2", "1 old\n");
	log_box_append(&box, NULL, "2 a\n3 b\n");
	log_box_start(&box, TRUE);
	ck_assert_int_eq(follow_run(box.follow, 0, &err), 1);
	log_box_commit(&box);
	log_box_kill(&box);
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "4 c\n");
	start_and_run();
	ASSERT_LINES("2 a|3 b|4 c");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

UNIT_MAIN("first position of a followed log",
        a_log_known_only_as_empty_is_found_wherever_it_was_rotated_to,
        a_log_known_only_as_empty_that_was_deleted_is_a_gap_although_younger_ones_are_there,
        a_log_known_only_as_empty_is_found_although_its_time_is_older,
        a_log_known_only_as_empty_that_was_copied_and_truncated_is_read_from_the_copy,
        a_log_known_only_as_empty_that_is_nowhere_is_a_gap,
        a_log_that_is_empty_still_after_a_restart_is_no_gap,
        what_was_rotated_before_the_first_start_is_not_read_however_late_it_was_written,
        a_log_that_was_there_but_not_read_before_the_kill_is_found_after_a_rotation)
