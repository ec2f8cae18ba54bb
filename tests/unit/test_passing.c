/* Reports among the mails that pass, through a session. */
#include <glib.h>
#include <string.h>

#include "milter/passing.h"
#include "milter/session.h"
#include "mime/headers.h"
#include "tests/support/unit.h"
#include "tests/unit/session_steps.h"

static struct milter_shared *shared;
static GString *report; /* the last mail that may be one */
static unsigned envelopes, limits;
static int answer; /* of the hook */

static int observed(void *ctx, const struct observation *seen, bool wait)
{
	(void)ctx;
	(void)wait;
	envelopes += seen->kind == OBSERVATION_ENVELOPE;
	return answer;
}

static int64_t now(void *ctx)
{
	(void)ctx;
	return 1460989507000;
}

static void counted(void *ctx, const char *counter)
{
	(void)ctx;
	limits += strcmp(counter, "milter_report_limit") == 0;
}

static bool report_address(void *ctx, const char *address)
{
	(void)ctx;
	return g_str_has_prefix(address, "bounces+");
}

static void reported(void *ctx, GString *mail)
{
	(void)ctx;
	if (report != NULL)
		g_string_free(report, TRUE);
	report = mail;
}

static void begin(struct milter_config config)
{
	static const struct milter_hooks hooks = {
	        .observed = observed,
	        .now = now,
	        .report_address = report_address,
	        .report = reported,
	        .count = counted,
	        .decode_text = mime_decode_text,
	        .first_address = mime_first_address,
	        .first_name = mime_first_name,
	        .each_address = mime_each_address,
	};
	struct error err = {0};

	mime_init();
	answer = 0;
	envelopes = limits = 0;
	config.node = "mx1";
	shared = milter_shared_new(&config, &hooks, &err);
	ck_assert_msg(shared != NULL, "%s", err.text);
	session = milter_session_new(shared);
}

static void end(void)
{
	milter_session_free(&session);
	milter_shared_free(&shared);
	reported(NULL, NULL);
}

static bool body(const char *text)
{
	return milter_session_body(session, slice_str(text));
}

/* Whether a mail of that sender, recipient and content type is kept. */
static bool is_kept(const char *from, const char *to, const char *type)
{
	reported(NULL, NULL);
	mail_from(from);
	rcpt_to(to);
	header("From", "x@far.example");
	header("Content-Type", type);
	bool more = body("first ");
	bool kept = more && body("second");
	ck_assert_int_eq(finish("4NtLMR"), 0);
	ck_assert_int_eq(kept, report != NULL);
	return kept;
}

START_TEST(a_mail_that_may_be_a_report_is_kept_as_it_would_lie_in_a_mailbox)
{
	begin((struct milter_config){.reports = true});
	milter_session_connect(session, "mx.far.example", "192.0.2.7", 4000);
	milter_session_helo(session, "far.example");
	ck_assert(is_kept("<>", "<shop@example.com>", "text/plain"));
	ck_assert_str_eq(report->str,
	        "Return-Path: <>\n"
	        "Received: from far.example ([192.0.2.7]) by mx1; Mon, 18 Apr 2016 14:25:07 +0000\n"
	        "X-Original-To: shop@example.com\nFrom: x@far.example\n"
	        "Content-Type: text/plain\n\nfirst second");
	/* The mail itself is recorded like any other. */
	ck_assert_uint_eq(envelopes, 1);
	end();
}
END_TEST

START_TEST(sender_content_type_or_recipient_make_a_mail_one_that_may_be_a_report)
{
	begin((struct milter_config){.reports = true});
	ck_assert(!is_kept("<x@far.example>", "<shop@example.com>", "text/plain"));
	ck_assert(!is_kept("<x@far.example>", "<shop@example.com>", "multipart/mixed"));
	ck_assert(is_kept("<x@far.example>", "<shop@example.com>",
	        "Multipart/Report; report-type=feedback-report"));
	ck_assert(is_kept("<x@far.example>", "<shop@example.com>", "\n\tmultipart/report"));
	ck_assert(is_kept("<x@far.example>", "<bounces+a=b.c@example.com>", "text/plain"));
	ck_assert(is_kept("<>", "<shop@example.com>", "text/plain"));
	end();
}
END_TEST

START_TEST(what_our_own_users_send_is_no_report_unless_it_is_addressed_so)
{
	static const char *const argv[] = {"<>", NULL};
	static const char *const to[] = {"<friend@far.example>", "<bounces+a=b.c@example.com>"};

	begin((struct milter_config){.reports = true});
	for (int i = 0; i < 2; i++) {
		milter_session_mail(session, argv, NULL, "user", "PLAIN", NULL, NULL);
		rcpt_to(to[i]);
		header("Content-Type", "multipart/report");
		ck_assert_int_eq(body("x"), i == 1);
		ck_assert_int_eq(finish("4NtLMR"), 0);
	}
	milter_session_connect(session, "localhost", "127.0.0.1", 0);
	ck_assert(!is_kept("", "friend@far.example", "multipart/report"));
	end();
}
END_TEST

START_TEST(a_mail_of_a_header_alone_and_one_after_another_are_told_apart)
{
	begin((struct milter_config){.reports = true});
	mail_from("<>");
	rcpt_to("<shop@example.com>");
	header("Subject", "one");
	milter_session_abort(session);
	mail_from("<>");
	rcpt_to("<shop@example.com>");
	header("Subject", "two\r\n folded");
	ck_assert_int_eq(finish("4NtLMR"), 0);
	ck_assert_ptr_nonnull(strstr(report->str, "Subject: two\r\n folded\n"));
	ck_assert_ptr_null(strstr(report->str, "one"));
	end();
}
END_TEST

START_TEST(no_word_of_the_envelope_makes_a_line_of_its_own)
{
	begin((struct milter_config){.reports = true});
	milter_session_helo(session, "x\nSubject: forged");
	mail_from("<>");
	rcpt_to("<a\nSubject: forged@example.com>");
	ck_assert_int_eq(finish("4NtLMR"), 0);
	ck_assert_ptr_null(strstr(report->str, "\nSubject"));
	end();
}
END_TEST

START_TEST(a_report_is_cut_at_its_limit_and_so_are_all_together)
{
	g_autofree char *chunk = g_strnfill(65535, 'x');
	struct milter_session *many[20];
	size_t kept = 0;
	const char *argv[] = {"<>", NULL};
	unsigned remove;

	begin((struct milter_config){.reports = true});
	mail_from("<>");
	rcpt_to("<shop@example.com>");
	while (body(chunk))
		kept += 65535;
	ck_assert_int_eq(finish("4NtLMR"), 0);
	ck_assert_uint_gt(kept, PASSING_BYTES_MAX - 2 * 65536);
	ck_assert_uint_eq(report->len, PASSING_BYTES_MAX);
	/* Sessions that send at the same time. */
	kept = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(many); i++) {
		many[i] = milter_session_new(shared);
		milter_session_mail(many[i], argv, NULL, NULL, NULL, NULL, NULL);
		while (milter_session_body(many[i], slice_str(chunk)))
			kept += 65535;
	}
	ck_assert_uint_gt(kept, PASSING_TOTAL_MAX / 2);
	ck_assert_uint_le(kept, PASSING_TOTAL_MAX);
	ck_assert_int_eq(milter_session_end(many[19], "Q", NULL, &remove), 0);
	ck_assert_uint_eq(limits, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(many); i++)
		milter_session_free(&many[i]);
	/* They gave back what they had. */
	ck_assert(is_kept("<>", "<shop@example.com>", "text/plain"));
	end();
}
END_TEST

START_TEST(where_reports_are_not_asked_for_no_mail_is_kept)
{
	begin((struct milter_config){0});
	ck_assert(!is_kept("<>", "<bounces+a=b.c@example.com>", "multipart/report"));
	end();
}
END_TEST

START_TEST(a_mail_that_is_answered_451_is_taken_when_it_comes_again)
{
	begin((struct milter_config){.reports = true, .on_failure = MILTER_TEMPFAIL});
	answer = -1;
	mail_from("<>");
	rcpt_to("<shop@example.com>");
	body("x");
	ck_assert_int_eq(finish("4NtLMR"), -1);
	ck_assert_ptr_null(report);
	end();
}
END_TEST

UNIT_MAIN("passing", a_mail_that_may_be_a_report_is_kept_as_it_would_lie_in_a_mailbox,
        sender_content_type_or_recipient_make_a_mail_one_that_may_be_a_report,
        what_our_own_users_send_is_no_report_unless_it_is_addressed_so,
        a_mail_of_a_header_alone_and_one_after_another_are_told_apart,
        no_word_of_the_envelope_makes_a_line_of_its_own,
        a_report_is_cut_at_its_limit_and_so_are_all_together,
        where_reports_are_not_asked_for_no_mail_is_kept,
        a_mail_that_is_answered_451_is_taken_when_it_comes_again)
