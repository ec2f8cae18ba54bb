#include "logtail/syslog.h"

#include <glib.h>

#include "tests/support/unit.h"

static struct syslog_clock *stamps;

static void make_clock(void)
{
	stamps = syslog_clock_new("UTC", INT64_C(1795348800000), NULL); /* 2026-11-22T12:00:00 */
}

static void check_slice(const char *line, const char *what, struct slice got, const char *want)
{
	ck_assert_msg(slice_eq(got, slice_str(want)), "%s: %s is \"%.*s\", not \"%s\"", line, what,
	        SLICE_ARG(got), want);
}

struct row {
	const char *line, *host, *program, *pid, *text;
};

static void check_row(const struct row *row)
{
	/* Memory of just its length, so that ASan sees every step too far. */
	size_t n = strlen(row->line);
	g_autofree char *copy = g_memdup2(row->line, n);
	struct syslog_line out;

	ck_assert_msg(syslog_parse(stamps, slice_make(copy, n), &out) == 1, "%s", row->line);
	check_slice(row->line, "host", out.host, row->host);
	check_slice(row->line, "program", out.program, row->program);
	check_slice(row->line, "pid", out.pid, row->pid);
	check_slice(row->line, "text", out.text, row->text);
}

static const struct row rows[] = {
        /* RFC 3164 */
        {"Nov 22 00:57:52 mx postfix/smtpd[5397]: connect from x[1.2.3.4]", "mx", "postfix/smtpd",
                "5397", "connect from x[1.2.3.4]"},
        {"<22>Nov 22 00:57:52 mx.example.com postfix/qmgr[1]: A: removed", "mx.example.com",
                "postfix/qmgr", "1", "A: removed"},
        {"Nov 22 00:57:52 mx postfix/submission/smtpd[5]: x", "mx", "postfix/submission/smtpd", "5",
                "x"},
        {"Nov 22 00:57:52 mx postfix-out/smtp/smtp[5]: x", "mx", "postfix-out/smtp/smtp", "5", "x"},
        {"Nov 22 00:57:52 mx postfix/smtpd: without pid", "mx", "postfix/smtpd", "", "without pid"},
        {"Nov 22 00:57:52 mx postfix/smtpd[7] no colon", "mx", "postfix/smtpd", "7", "no colon"},
        {"Nov 22 00:57:52 mx postfix/smtpd[7]:", "mx", "postfix/smtpd", "7", ""},
        {"Nov 22 00:57:52 mx postfix/smtpd[7]:no blank", "mx", "postfix/smtpd", "7", "no blank"},
        {"Nov 22 00:57:52 mx postfix/smtpd[7]:  two blanks", "mx", "postfix/smtpd", "7",
                " two blanks"},
        {"Nov 22 00:57:52 mx -- MARK --", "mx", "", "", "-- MARK --"},
        {"Nov 22 00:57:52 mx ", "mx", "", "", ""},
        {"Nov 22 00:57:52 mx", "mx", "", "", ""},
        {"Nov 22 00:57:52 postfix/smtpd[7]: no host", "", "postfix/smtpd", "7", "no host"},
        {"Nov 22 00:57:52 sendmail: no host", "", "sendmail", "", "no host"},
        {"Nov 22 00:57:52 2001:db8::1 postfix/smtpd[7]: x", "2001:db8::1", "postfix/smtpd", "7",
                "x"},
        /* busybox, FreeBSD -v, Solaris */
        {"Nov 22 00:57:52 mx mail.info postfix/smtpd[7]: x", "mx", "postfix/smtpd", "7", "x"},
        {"Nov 22 00:57:52 mx user.notice root: x", "mx", "root", "", "x"},
        {"Nov 22 00:57:52 mx some.thing root: x", "mx", "", "", "some.thing root: x"},
        {"Nov 22 00:57:52 <mail.info> mx postfix/smtpd[7]: x", "mx", "postfix/smtpd", "7", "x"},
        {"Nov 22 00:57:52 mx postfix/smtpd[7]: [ID 197553 mail.info] connect from x[::1]", "mx",
                "postfix/smtpd", "7", "connect from x[::1]"},
        {"Nov 22 00:57:52 mx postfix/smtpd[7]: [ID 197553 mail.info", "mx", "postfix/smtpd", "7",
                "[ID 197553 mail.info"},
        /* RFC 3339 stamp, old header */
        {"2026-11-22T01:25:02.381645+00:00 mx postfix/qmgr[1]: A: removed", "mx", "postfix/qmgr",
                "1", "A: removed"},
        {"<22>2026-11-22T01:25:02Z mx postfix/qmgr[1]: A: removed", "mx", "postfix/qmgr", "1",
                "A: removed"},
        /* RFC 5424 */
        {"<22>1 2026-11-22T01:25:02.381645+00:00 mx postfix 7818 - -  A: removed", "mx", "postfix",
                "7818", "A: removed"},
        {"1 2026-11-22T01:25:02Z mx postfix/qmgr 7818 - - A: removed", "mx", "postfix/qmgr", "7818",
                "A: removed"},
        {"<22>1 2026-11-22T01:25:02Z - postfix/qmgr - ID47 - \xEF\xBB\xBF"
         "A: removed",
                "", "postfix/qmgr", "", "A: removed"},
        {"<22>1 2026-11-22T01:25:02Z mx app 1 - [a@1 k=\"v ] \\\" \\]\"][b x=\"\"] text", "mx",
                "app", "1", "text"},
        {"<22>1 2026-11-22T01:25:02Z mx app 1 - -", "mx", "app", "1", ""},
};

START_TEST(every_form_of_header_is_taken_apart)
{
	make_clock();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check_row(&rows[i]);
	syslog_clock_free(&stamps);
}
END_TEST

START_TEST(a_line_without_header_is_refused)
{
	static const char *const lines[] = {"", "\n", "text", "<22>", "<22>1 ", "<>Nov 22",
	        "[17-Feb-2022 10:00:00 America/Boise] PHP Warning", "Nov 22 00:57:52",
	        "<22>1 - mx postfix/qmgr 1 - - A: removed",
	        "<22>1 2026-11-22T01:25:02Z mx app 1 - [unterminated text",
	        "<22>1 2026-11-22T01:25:02Z mx app", "Nov 22 00:57:52mx postfix/qmgr[1]: x"};
	struct syslog_line out;

	make_clock();
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		ck_assert_msg(syslog_parse(stamps, slice_str(lines[i]), &out) == 0, "%s", lines[i]);
	syslog_clock_free(&stamps);
}
END_TEST

START_TEST(repetitions_are_told_with_their_text)
{
	static const struct {
		const char *line;
		unsigned repeat;
		bool last;
		const char *text;
	} cases[] = {
	        {"Nov 22 00:57:52 mx postfix/smtpd[7]: message repeated 3 times: [ connect from "
	         "x[::1]]",
	                3, false, "connect from x[::1]"},
	        {"Nov 22 00:57:52 mx postfix/smtpd[7]: message repeated 2 times: [ cut off", 2,
	                false, "cut off"},
	        {"Nov 22 00:57:52 mx postfix/smtpd[7]: message repeated x times: [ a]", 1, false,
	                "message repeated x times: [ a]"},
	        {"Nov 22 00:57:52 mx postfix/smtpd[7]: message repeated 0 times: [ a]", 1, false,
	                "message repeated 0 times: [ a]"},
	        {"Nov 22 00:57:52 mx postfix/smtpd[7]: message repeated -2 times: [ a]", 1, false,
	                "message repeated -2 times: [ a]"},
	        {"Nov 22 00:57:52 mx last message repeated 5 times", 5, true, ""},
	        {"Nov 22 00:57:52 mx --- last message repeated 1 time ---", 1, true, ""},
	        {"Nov 22 00:57:52 mx last message repeated many times", 1, false,
	                "last message repeated many times"},
	};
	struct syslog_line out;

	make_clock();
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		ck_assert_int_eq(syslog_parse(stamps, slice_str(cases[i].line), &out), 1);
		ck_assert_msg(out.repeat == cases[i].repeat, "%s: %u", cases[i].line, out.repeat);
		ck_assert_msg(out.repeats_last == cases[i].last, "%s", cases[i].line);
		check_slice(cases[i].line, "text", out.text, cases[i].text);
	}
	syslog_clock_free(&stamps);
}
END_TEST

START_TEST(a_cut_line_is_read_without_going_too_far)
{
	struct syslog_line out;

	make_clock();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		for (size_t n = 0; n <= strlen(rows[i].line); n++) {
			g_autofree char *copy = g_memdup2(rows[i].line, n);
			syslog_parse(stamps, slice_make(copy, n), &out);
		}
	}
	syslog_clock_free(&stamps);
}
END_TEST

UNIT_MAIN("syslog", every_form_of_header_is_taken_apart, a_line_without_header_is_refused,
        repetitions_are_told_with_their_text, a_cut_line_is_read_without_going_too_far)
