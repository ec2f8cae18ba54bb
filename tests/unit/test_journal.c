/* Journals are made by systemd-journal-remote from text in the export format
 * (https://systemd.io/JOURNAL_EXPORT_FORMATS/). */
#include "logtail/journal.h"
#include "config.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REMOTE "/lib/systemd/systemd-journal-remote"
#define START G_GINT64_CONSTANT(1769900000000000) /* microseconds */

struct box {
	char *folder, *path;
	GString *export;
	int entries;
	struct journal *journal;
	char *position;
	GString *given, *again, *gaps;
	struct syslog_line last;
	gint64 gap_from, gap_to;
	int refuse; /* so many more entries are taken; -1 = all */
};

static struct box box;

static int box_entry(void *ctx, const struct syslog_line *line, gboolean again)
{
	(void)ctx;
	if (box.refuse == 0)
		return -1;
	if (box.refuse > 0)
		box.refuse--;
	box.last = *line;
	g_string_append_printf(again ? box.again : box.given, "%.*s|", SLICE_ARG(line->text));
	return 0;
}

static void box_gap(void *ctx, gint64 from, gint64 to, gint64 bytes, const char *what)
{
	(void)ctx;
	ck_assert_int_eq(bytes, -1);
	box.gap_from = from;
	box.gap_to = to;
	g_string_append_printf(box.gaps, "%s|", what);
}

static gboolean begin(void)
{
#ifndef HAVE_SYSTEMD
	puts("skipped: built without libsystemd");
	return FALSE;
#endif
	if (access(REMOTE, X_OK) != 0) {
		puts("skipped: no " REMOTE);
		return FALSE;
	}
	box = (struct box){.folder = g_dir_make_tmp("pw-journal-XXXXXX", NULL), .refuse = -1};
	box.path = g_build_filename(box.folder, "x.journal", NULL);
	box.export = g_string_new(NULL);
	box.given = g_string_new(NULL);
	box.again = g_string_new(NULL);
	box.gaps = g_string_new(NULL);
	return TRUE;
}

static void stop(void)
{
	journal_free(&box.journal);
	g_string_truncate(box.again, 0);
}

static void end(void)
{
	g_autofree char *command = g_strdup_printf("rm -r '%s'", box.folder);

	stop();
	ck_assert_int_eq(system(command), 0);
	g_string_free(box.export, TRUE);
	g_string_free(box.given, TRUE);
	g_string_free(box.again, TRUE);
	g_string_free(box.gaps, TRUE);
	g_free(box.path);
	g_free(box.folder);
	g_free(box.position);
}

/* An entry `second` s after START; `fields` come first. */
static void entry(int second, const char *fields, const char *message)
{
	g_string_append_printf(box.export,
	        "__REALTIME_TIMESTAMP=%" G_GINT64_FORMAT "\n__MONOTONIC_TIMESTAMP=%d\n"
	        "_BOOT_ID=00000000000000000000000000000001\n"
	        "_MACHINE_ID=00000000000000000000000000000002\n_HOSTNAME=mx1.example.com\n%s"
	        "MESSAGE=%s\n\n",
	        START + second * G_USEC_PER_SEC + box.entries, box.entries * 1000, fields, message);
	box.entries++;
}

#define SMTP "SYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postfix/smtp\nSYSLOG_PID=77\n_PID=78\n"
#define TRUSTED SMTP "_UID=0\n"

/* Adds the entries so far to the journal. */
static void make(void)
{
	g_autofree char *file = g_build_filename(box.folder, "export", NULL);
	g_autofree char *command =
	        g_strdup_printf(REMOTE " -o '%s' '%s' >/dev/null 2>&1", box.path, file);

	ck_assert(g_file_set_contents(file, box.export->str, (gssize)box.export->len, NULL));
	ck_assert_int_eq(system(command), 0);
	g_string_truncate(box.export, 0);
}

static void start(const struct journal_config *config)
{
	const struct journal_hooks hooks = {.entry = box_entry, .gap = box_gap};
	struct error err = {0};

	box.journal = journal_new(config, slice_str(box.position), &hooks, &err);
	ck_assert_msg(box.journal != NULL, "%s", err.text);
}

static void start_here(gboolean unchecked)
{
	const struct journal_config config = {
	        .path = box.path, .from_start = TRUE, .unchecked = unchecked};

	start(&config);
}

static void run(void)
{
	struct error err = {0};
	int more = 1;

	for (int i = 0; more > 0 && i < 1000 && box.refuse != 0; i++)
		more = journal_run(box.journal, 2, &err);
	ck_assert_msg(more >= 0, "%s", err.text);
}

static void commit(void)
{
	GString *position = g_string_new(NULL);

	journal_position(box.journal, position);
	g_free(box.position);
	box.position = g_string_free(position, FALSE);
}

START_TEST(the_fields_of_an_entry_become_those_of_a_line)
{
	if (!begin())
		return;
	entry(0, TRUSTED "_SOURCE_REALTIME_TIMESTAMP=1769899999123456\n", "hello");
	make();
	start_here(FALSE);
	run();
	ck_assert_str_eq(box.given->str, "hello|");
	ck_assert_int_eq(box.last.time, 1769899999123);
	ck_assert_uint_eq(box.last.repeat, 1);
	ck_assert_uint_eq(box.last.host.n, strlen("mx1.example.com"));
	ck_assert_uint_eq(box.last.program.n, strlen("postfix/smtp"));
	ck_assert_uint_eq(box.last.pid.n, 2);
	end();
}
END_TEST

START_TEST(without_a_source_time_the_time_of_arrival_counts)
{
	if (!begin())
		return;
	entry(5, TRUSTED, "hello");
	make();
	start_here(FALSE);
	run();
	ck_assert_int_eq(box.last.time, START / 1000 + 5000);
	end();
}
END_TEST

START_TEST(only_root_and_the_users_of_the_mta_are_believed)
{
	if (!begin())
		return;
	entry(0, SMTP "_UID=0\n", "root");
	entry(1, SMTP "_UID=4242\n", "forged by logger -t postfix/smtp");
	entry(2, SMTP, "nobody vouches");
	entry(3, SMTP "_UID=0x0\n", "not a number");
	entry(4, SMTP "_UID=8\n", "mail");
	make();
	const struct journal_config config = {
	        .path = box.path, .from_start = TRUE, .users = "mail  no-such-user"};
	start(&config);
	run();
	ck_assert_str_eq(box.given->str, "root|mail|");
	ck_assert_uint_eq(journal_untrusted(box.journal), 3);
	end();
}
END_TEST

START_TEST(entries_without_uid_are_taken_from_a_file_when_asked_for)
{
	if (!begin())
		return;
	entry(0, SMTP, "from an export");
	entry(1, SMTP "_UID=4242\n", "forged all the same");
	make();
	start_here(TRUE);
	run();
	ck_assert_str_eq(box.given->str, "from an export|");
	end();
}
END_TEST

START_TEST(what_is_not_mail_is_not_read)
{
	if (!begin())
		return;
	entry(0, "SYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=cron\n_UID=0\n", "cron");
	entry(1, "SYSLOG_FACILITY=16\nSYSLOG_IDENTIFIER=sm-mta\n_UID=0\n", "sendmail on local0");
	entry(2, "SYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=mx-out/smtpd\n_UID=0\n", "instance");
	make();
	start_here(FALSE);
	run();
	ck_assert_str_eq(box.given->str, "sendmail on local0|instance|");
	ck_assert_uint_eq(journal_untrusted(box.journal), 0);
	end();
}
END_TEST

START_TEST(a_position_is_gone_on_from_after_each_entry)
{
	if (!begin())
		return;
	for (int i = 0; i < 6; i++) {
		g_autofree char *text = g_strdup_printf("%d", i);
		entry(i * 10, TRUSTED, text);
	}
	make();
	for (int i = 0; i < 6; i++) {
		start_here(FALSE);
		box.refuse = 1;
		run();
		/* The last entry only is of the last second, and is given again. */
		g_autofree char *again = i > 0 ? g_strdup_printf("%d|", i - 1) : g_strdup("");
		box.refuse = i > 0 ? 1 : 0;
		run();
		ck_assert_str_eq(box.again->str, again);
		commit();
		stop();
	}
	ck_assert_str_eq(box.given->str, "0|1|2|3|4|5|");
	ck_assert_uint_eq(box.gaps->len, 0);
	end();
}
END_TEST

START_TEST(entries_of_the_last_seconds_are_given_again)
{
	if (!begin())
		return;
	entry(0, TRUSTED, "a");
	entry(10, TRUSTED, "b");
	entry(11, TRUSTED, "c");
	entry(11, TRUSTED, "d");
	make();
	start_here(FALSE);
	run();
	commit();
	stop();
	entry(11, TRUSTED, "e");
	make();
	start_here(FALSE);
	run();
	ck_assert_str_eq(box.again->str, "b|c|d|");
	ck_assert_str_eq(box.given->str, "a|b|c|d|e|");
	ck_assert_uint_eq(box.gaps->len, 0);
	end();
}
END_TEST

START_TEST(a_refused_entry_is_given_again)
{
	if (!begin())
		return;
	entry(0, TRUSTED, "a");
	entry(1, TRUSTED, "b");
	make();
	start_here(FALSE);
	struct error err = {0};
	box.refuse = 1;
	ck_assert_int_eq(journal_run(box.journal, 100, &err), 1);
	ck_assert_int_eq(journal_run(box.journal, 100, &err), 1);
	box.refuse = -1;
	ck_assert_int_eq(journal_run(box.journal, 100, &err), 0);
	ck_assert_str_eq(box.given->str, "a|b|");
	ck_assert_str_eq(box.again->str, "");
	end();
}
END_TEST

START_TEST(a_position_that_was_vacuumed_is_a_gap)
{
	if (!begin())
		return;
	entry(0, TRUSTED, "a");
	make();
	start_here(FALSE);
	run();
	commit();
	stop();
	ck_assert_int_eq(unlink(box.path), 0);
	entry(100, TRUSTED, "b");
	make();
	start_here(FALSE);
	run();
	ck_assert_str_eq(box.given->str, "a|b|");
	ck_assert_ptr_nonnull(strstr(box.gaps->str, "vacuumed"));
	ck_assert_int_eq(box.gap_from, START / 1000);
	ck_assert_int_eq(box.gap_to, START / 1000 + 100000);
	end();
}
END_TEST

START_TEST(suppressed_messages_of_the_mta_are_a_gap_told_once)
{
#define NOTICE \
	"SYSLOG_IDENTIFIER=systemd-journald\nMESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\n_UID=" \
	"0\n"
	if (!begin())
		return;
	entry(0, TRUSTED, "a");
	entry(5, NOTICE, "Suppressed 17 messages from postfix@-.service");
	entry(6, NOTICE, "Suppressed 9 messages from cups.service");
	make();
	start_here(FALSE);
	run();
	commit();
	stop();
	ck_assert_str_eq(box.gaps->str,
	        "journald's rate limit: Suppressed 17 messages from postfix@-.service|");
	ck_assert_int_eq(box.gap_to, START / 1000 + 5000);
	start_here(FALSE);
	run();
	ck_assert_str_eq(box.given->str, "a|");
	ck_assert_uint_eq(strlen(box.gaps->str), strlen("journald's rate limit: Suppressed 17 "
	                                                "messages from postfix@-.service|"));
	end();
}
END_TEST

START_TEST(without_a_position_it_starts_behind_the_last_entry)
{
	if (!begin())
		return;
	entry(0, TRUSTED, "old");
	make();
	const struct journal_config config = {.path = box.path};
	start(&config);
	run();
	commit();
	stop();
	entry(1, TRUSTED, "new");
	make();
	start(&config);
	run();
	ck_assert_str_eq(box.given->str, "new|");
	end();
}
END_TEST

START_TEST(a_folder_of_journals_is_read)
{
	if (!begin())
		return;
	entry(0, TRUSTED, "a");
	make();
	const struct journal_config config = {.path = box.folder, .from_start = TRUE};
	start(&config);
	run();
	ck_assert_str_eq(box.given->str, "a|");
	end();
}
END_TEST

START_TEST(what_cannot_be_opened_or_understood_is_an_error)
{
	static const char *const positions[] = {"v=2 stamp=1 at=x again=x", "garbage",
	        "v=1 stamp=1", "v=1 stamp=x at=a again=b", "v=1 at=a again=b"};
	const struct journal_config config = {.path = "/nonexistent"};
	const struct journal_hooks hooks = {.entry = box_entry};
	struct error err = {0};

	if (!begin())
		return;
	ck_assert_ptr_null(journal_new(&config, SLICE_NONE, &hooks, &err));
	ck_assert_str_eq(err.text, "cannot open journal /nonexistent: No such file or directory");
	for (size_t i = 0; i < G_N_ELEMENTS(positions); i++) {
		error_clear(&err);
		ck_assert_ptr_null(journal_new(&config, slice_str(positions[i]), &hooks, &err));
		ck_assert_ptr_nonnull(strstr(err.text, "not understood"));
	}
	end();
}
END_TEST

UNIT_MAIN("journal", the_fields_of_an_entry_become_those_of_a_line,
        without_a_source_time_the_time_of_arrival_counts,
        only_root_and_the_users_of_the_mta_are_believed,
        entries_without_uid_are_taken_from_a_file_when_asked_for, what_is_not_mail_is_not_read,
        a_position_is_gone_on_from_after_each_entry, entries_of_the_last_seconds_are_given_again,
        a_refused_entry_is_given_again, a_position_that_was_vacuumed_is_a_gap,
        suppressed_messages_of_the_mta_are_a_gap_told_once,
        without_a_position_it_starts_behind_the_last_entry, a_folder_of_journals_is_read,
        what_cannot_be_opened_or_understood_is_an_error)
