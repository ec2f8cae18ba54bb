/* What logrotate's options make of a log beside renaming it: copies, empty files, shredded ones. */
#include "tests/support/log_box_unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copies up to `size` bytes, but not those that are there already. */
static void copy(const char *from, const char *to, gsize size)
{
	g_autofree char *path = g_build_filename(box.folder, from, NULL), *bytes = NULL;
	g_autofree char *target = g_build_filename(box.folder, to, NULL);
	struct stat st = {0};
	gsize n, there = stat(target, &st) == 0 ? (gsize)st.st_size : 0;

	ck_assert(g_file_get_contents(path, &bytes, &n, NULL));
	n = MIN(n, size);
	log_box_write(&box, to, bytes + there, n - there);
}

#define LINES 200

/* Lines of 13 bytes, all read. */
static void many_lines(void)
{
	log_box_open(&box);
	for (int i = 0; i < LINES; i++) {
		g_autofree char *line = g_strdup_printf("%03d and more\n", 100 + i);
		log_box_append(&box, NULL, line);
	}
	start_and_run();
	ck_assert_uint_eq(box.given->len, LINES);
}

/* renamecopy; mv to another file system. */
START_TEST(a_file_that_is_moved_by_copying_it_is_not_read_again)
{
	for (int pack = 0; pack < 2; pack++) {
		many_lines();
		log_box_rename(&box, NULL, "mail.log.tmp");
		log_box_append(&box, NULL, "");
		run();
		g_usleep(10000);
		/* A part of it can be seen. */
		copy("mail.log.tmp", "mail.log.1", 1500);
		run();
		copy("mail.log.tmp", "mail.log.1", G_MAXSIZE);
		run();
		log_box_remove(&box, "mail.log.tmp");
		if (pack)
			log_box_pack(&box, "mail.log.1", "gzip");
		log_box_append(&box, NULL, "300 new\n");
		run();
		ck_assert_uint_eq(box.given->len, LINES + 1);
		ck_assert_str_eq(box.given->pdata[LINES], "300 new");
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

/* compress with delaycompress. What was written late makes the file before it the younger one. */
START_TEST(an_empty_file_that_is_compressed_while_it_is_open_does_not_lead_back)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "");
	g_usleep(10000);
	log_box_append(&box, "mail.log.1", "2 late\n");
	run();
	log_box_rename(&box, "mail.log.1", "mail.log.2");
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "");
	run();
	log_box_pack(&box, "mail.log.2", "gzip");
	run();
	log_box_rename(&box, "mail.log.2.gz", "mail.log.3.gz");
	log_box_rename(&box, "mail.log.1", "mail.log.2");
	log_box_append(&box, NULL, "3 b\n");
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "4 c\n");
	log_box_pack(&box, "mail.log.2", "gzip");
	run();
	ASSERT_LINES("1 a|2 late|3 b|4 c");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

/* olddir, for the target of the link. */
START_TEST(what_a_link_points_to_is_looked_for_in_the_other_directory_too)
{
	log_box_open(&box);
	g_autofree char *real = g_build_filename(box.folder, "real", NULL);
	g_autofree char *folder = g_build_filename(box.folder, "old", NULL);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	log_box_append(&box, "real", "1 a\n");
	ck_assert_int_eq(symlink(real, box.path), 0);
	start_and_run();
	commit_and_kill();
	log_box_append(&box, "real", "2 b\n");
	log_box_rename(&box, "real", "old/real.1");
	log_box_append(&box, "real", "3 c\n");
	log_box_start(&box, TRUE);
	follow_rotated(box.follow, "old");
	run();
	ASSERT_LINES("1 a|2 b|3 c");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_remove(&box, "old/real.1");
	log_box_close(&box);
}
END_TEST

/* As shred does: over the whole file, rounded up to a block. */
static void shred(const char *name)
{
	g_autofree char *path = g_build_filename(box.folder, name, NULL);
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);
	guint32 noise[1024];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(noise); i++)
		noise[i] = g_rand_int(rand);
	ck_assert_int_eq(write(fd, noise, sizeof(noise)), sizeof(noise));
	close(fd);
}

static void pack_and_shred(void)
{
	g_autofree char *path = g_build_filename(box.folder, "mail.log.1", NULL);
	g_autofree char *command = g_strdup_printf("gzip -k %s", path);

	ck_assert_int_eq(system(command), 0);
	g_usleep(10000);
	shred("mail.log.1");
}

START_TEST(a_file_that_is_shredded_is_read_from_the_compressed_one)
{
	for (int down = 0; down < 2; down++) {
		many_lines();
		if (down)
			commit_and_kill();
		log_box_append(&box, NULL, "300 unread\n");
		log_box_rename(&box, NULL, "mail.log.1");
		pack_and_shred();
		if (down)
			log_box_start(&box, TRUE);
		run();
		shred("mail.log.1");
		run();
		log_box_remove(&box, "mail.log.1");
		log_box_append(&box, NULL, "301 new\n");
		run();
		ck_assert_uint_eq(box.given->len, down ? 2 : LINES + 2);
		ck_assert_str_eq(box.given->pdata[box.given->len - 2], "300 unread");
		ck_assert_str_eq(box.given->pdata[box.given->len - 1], "301 new");
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

/* A plain file beside an old compressed one of its name: compress was taken out of the
 * configuration. */
START_TEST(a_compressed_file_of_an_earlier_time_does_not_hide_the_plain_one)
{
	log_box_open(&box);
	log_box_append(&box, "mail.log.1", "1 long ago\n");
	log_box_pack(&box, "mail.log.1", "gzip");
	g_usleep(10000);
	log_box_append(&box, NULL, "2 a\n");
	start_and_run();
	commit_and_kill();
	log_box_append(&box, NULL, "3 b\n");
	log_box_rename(&box, NULL, "mail.log.1");
	log_box_append(&box, NULL, "4 c\n");
	start_and_run();
	ASSERT_LINES("2 a|3 b|4 c");
	ck_assert_uint_eq(box.gaps->len, 0);
	log_box_close(&box);
}
END_TEST

/* copy, before anything was read of the log. */
START_TEST(a_log_known_only_as_empty_that_was_copied_is_read_once)
{
	static const char *const programs[] = {NULL, "gzip"};

	for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
		log_box_open(&box);
		log_box_append(&box, NULL, "");
		start_and_run();
		commit_and_kill();
		log_box_append(&box, NULL, "2 a\n");
		copy("mail.log", "mail.log.2", G_MAXSIZE);
		log_box_append(&box, NULL, "3 b\n");
		copy("mail.log", "mail.log.1", G_MAXSIZE);
		if (programs[i] != NULL)
			log_box_pack(&box, "mail.log.2", programs[i]);
		log_box_append(&box, NULL, "4 c\n");
		start_and_run();
		ASSERT_LINES("2 a|3 b|4 c");
		ck_assert_uint_eq(box.gaps->len, 0);
		log_box_close(&box);
	}
}
END_TEST

START_TEST(a_log_known_only_as_empty_that_was_truncated_after_the_last_copy_is_read_from_both)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "");
	start_and_run();
	commit_and_kill();
	log_box_copytruncate(&box, "mail.log.2");
	log_box_append(&box, NULL, "2 a\n");
	log_box_copytruncate(&box, "mail.log.1");
	log_box_append(&box, NULL, "3 b\n");
	start_and_run();
	ASSERT_LINES("2 a|3 b");
	log_box_close(&box);
}
END_TEST

/* Else they would count as other lines of the same text. */
START_TEST(lines_that_were_given_again_are_not_given_again_once_more)
{
	log_box_open(&box);
	log_box_append(&box, NULL, "1 a\n");
	start_and_run();
	commit_and_kill();
	start_and_run();
	ck_assert_uint_eq(box.again->len, 1);
	/* It could have been copied and truncated: it is looked for. */
	g_usleep(10000);
	copy("mail.log", "mail.log.1", G_MAXSIZE);
	log_box_append(&box, NULL, "1 b\n");
	run();
	ASSERT_LINES("1 a|1 b");
	ck_assert_uint_eq(box.again->len, 1);
	/* The next start gives all of them again. */
	log_box_commit(&box);
	log_box_kill(&box);
	start_and_run();
	ck_assert_uint_eq(box.again->len, 2);
	log_box_close(&box);
}
END_TEST

UNIT_MAIN("what logrotate makes of a followed log",
        a_file_that_is_moved_by_copying_it_is_not_read_again,
        an_empty_file_that_is_compressed_while_it_is_open_does_not_lead_back,
        what_a_link_points_to_is_looked_for_in_the_other_directory_too,
        a_file_that_is_shredded_is_read_from_the_compressed_one,
        a_compressed_file_of_an_earlier_time_does_not_hide_the_plain_one,
        a_log_known_only_as_empty_that_was_copied_is_read_once,
        a_log_known_only_as_empty_that_was_truncated_after_the_last_copy_is_read_from_both,
        lines_that_were_given_again_are_not_given_again_once_more)
