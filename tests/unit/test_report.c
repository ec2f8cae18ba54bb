/* What no sample mail shows: broken, cut off, hostile. The forms are in tests/golden/reports. */
#include <glib.h>
#include <string.h>

#include "mime/headers.h"
#include "mime/report.h"
#include "tests/support/unit.h"

static const char dsn[] =
        "Return-Path: <>\nFrom: MAILER-DAEMON@far.example\nTo: shop@lab.example\n"
        "Subject: Undelivered\nMessage-ID: <r1@far.example>\nMIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        "--b\nContent-Type: text/plain\n\nSorry.\n\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.far.example\n\n"
        "Final-Recipient: rfc822; anna@far.example\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 nobody\n\n"
        "--b\nContent-Type: message/rfc822\n\nMessage-ID: <one@lab.example>\n"
        "Received: by lab.example (Postfix) with ESMTP id 4A1B2C3D4E; today\n"
        "From: shop@lab.example\nTo: anna@far.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\n"
        "Hello.\n--b--\n";

static struct report *read_text(const char *text)
{
	mime_init();
	return report_parse(slice_str(text), NULL);
}

static const struct report_recipient *recipient_of(const struct report *report, guint i)
{
	ck_assert_uint_lt(i, report->recipients->len);
	return report->recipients->pdata[i];
}

START_TEST(a_delivery_status_tells_recipient_status_reply_and_original)
{
	struct report *report = read_text(dsn);
	const struct report_recipient *recipient = recipient_of(report, 0);

	ck_assert_int_eq(report->kind, REPORT_BOUNCE);
	ck_assert_str_eq(recipient->address, "anna@far.example");
	ck_assert_str_eq(recipient->status, "5.1.1");
	ck_assert_str_eq(recipient->code, "550");
	ck_assert_str_eq(recipient->diagnostic, "550 5.1.1 nobody");
	ck_assert_str_eq(report->text[REPORT_ID], "r1@far.example");
	ck_assert_str_eq(report->text[REPORT_RETURN_PATH], "");
	ck_assert_str_eq(report->text[REPORT_MTA], "mx.far.example");
	ck_assert_str_eq(report->text[REPORT_ORIGINAL_ID], "one@lab.example");
	ck_assert_str_eq(report->text[REPORT_ORIGINAL_FROM], "shop@lab.example");
	ck_assert_str_eq(report->text[REPORT_ORIGINAL_SUBJECT], "Grüße");
	ck_assert_uint_eq(report->original_queue_ids->len, 1);
	ck_assert_str_eq(report->original_queue_ids->pdata[0], "4A1B2C3D4E");
	report_free(&report);
	ck_assert_ptr_null(report);
}
END_TEST

START_TEST(a_report_may_be_cut_off_at_any_byte)
{
	mime_init();
	for (size_t n = 0; n < sizeof(dsn); n++) {
		struct report *report = report_parse(slice_make(dsn, n), NULL);
		if (report->kind == REPORT_BOUNCE && report->recipients->len > 0 &&
		        recipient_of(report, 0)->address != NULL)
			ck_assert_msg(g_str_has_prefix(
			                      "anna@far.example", recipient_of(report, 0)->address),
			        "%zu: %s", n, recipient_of(report, 0)->address);
		report_free(&report);
	}
}
END_TEST

START_TEST(each_of_a_thousand_groups_gets_the_words_that_name_it)
{
	g_autoptr(GString) mail = g_string_new(
	        "From: MAILER-DAEMON@far.example\nSubject: x\nMIME-Version: 1.0\n"
	        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
	        "--b\nContent-Type: text/plain\n\n");

	for (unsigned i = 0; i < REPORT_RECIPIENTS_MAX; i += 2)
		g_string_append_printf(mail, "<u%u@far.example>: 550 5.1.%u no\n", i, i % 7 + 1);
	g_string_append(mail, "\n--b\nContent-Type: message/delivery-status\n\n");
	for (unsigned i = 0; i < REPORT_RECIPIENTS_MAX; i++)
		g_string_append_printf(mail,
		        "Final-Recipient: rfc822;u%u@far.example\nAction: failed\n"
		        "Status: 5.0.0\n\n",
		        i);
	g_string_append(mail, "--b--\n");
	struct report *report = read_text(mail->str);
	ck_assert_uint_eq(report->recipients->len, REPORT_RECIPIENTS_MAX);
	for (guint i = 0; i < REPORT_RECIPIENTS_MAX; i++) {
		g_autofree char *status =
		        i % 2 == 0 ? g_strdup_printf("5.1.%u", i % 7 + 1) : g_strdup("5.0.0");
		ck_assert_str_eq(recipient_of(report, i)->status, status);
	}
	report_free(&report);
}
END_TEST

START_TEST(an_empty_mail_and_one_of_nothing_but_a_header_mean_nothing)
{
	static const char *const mails[] = {"", "\n", "From x\n", "Subject: x\n", "a",
	        ":\n\n:", "Content-Type: multipart/report; boundary=\n\n--\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(mails); i++) {
		struct report *report = read_text(mails[i]);
		ck_assert_int_eq(report->kind, REPORT_NONE);
		report_free(&report);
	}
}
END_TEST

START_TEST(parts_that_are_nested_a_thousand_times_are_not_followed)
{
	g_autoptr(GString) mail =
	        g_string_new("From: MAILER-DAEMON@far.example\nSubject: failure\n");

	for (int i = 0; i < 1500; i++)
		g_string_append_printf(
		        mail, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
	g_string_append(mail, "Content-Type: text/plain\n\n<anna@far.example>: no\n");
	struct report *report = read_text(mail->str);
	report_free(&report);
}
END_TEST

START_TEST(reports_in_reports_end)
{
	g_autoptr(GString) mail = g_string_new(NULL);

	for (int i = 0; i < 300; i++)
		g_string_append_printf(mail,
		        "From: MAILER-DAEMON@far.example\nSubject: failure\n"
		        "Content-Type: multipart/report; boundary=b%d\n\n--b%d\n"
		        "Content-Type: message/rfc822\n\n",
		        i, i);
	struct report *report = read_text(mail->str);
	report_free(&report);
}
END_TEST

START_TEST(a_report_names_no_more_than_a_thousand_recipients)
{
	g_autoptr(GString) mail = g_string_new("From: MAILER-DAEMON@far.example\n"
	                                       "Subject: failure notice\n\n");

	for (int i = 0; i < 2500; i++)
		g_string_append_printf(mail, "<user%d@far.example>: no such user\n", i);
	struct report *report = read_text(mail->str);
	ck_assert_int_eq(report->kind, REPORT_BOUNCE);
	ck_assert_uint_eq(report->recipients->len, REPORT_RECIPIENTS_MAX);
	report_free(&report);
}
END_TEST

START_TEST(lines_without_end_are_read_in_no_time)
{
	static const char *const fillers[] = {"a", "<", "@", "<a@", "a@b", " ", "5", "550 ",
	        "5.1.1 ", "could not be ", "user ", "=?", "\\x{", "&lt;", "<p"};

	for (size_t i = 0; i < G_N_ELEMENTS(fillers); i++) {
		g_autoptr(GString) mail =
		        g_string_new("From: MAILER-DAEMON@far.example\n"
		                     "Subject: failure notice\nContent-Type: text/html\n\n");
		while (mail->len < 300 * 1024)
			g_string_append(mail, fillers[i]);
		gint64 start = g_get_monotonic_time();
		struct report *report = read_text(mail->str);
		report_free(&report);
		/* Seconds with sanitizers on a busy machine; minutes if anything were
		 * quadratic. */
		ck_assert_msg(
		        g_get_monotonic_time() - start < 20 * G_USEC_PER_SEC, "%s", fillers[i]);
	}
}
END_TEST

START_TEST(many_lines_are_read_in_no_time)
{
	g_autoptr(GString) mail = g_string_new("From: MAILER-DAEMON@far.example\n"
	                                       "Subject: failure notice\n\n");

	while (mail->len < 2 * 1024 * 1024)
		g_string_append(
		        mail, "550 5.1.1 could not be delivered to user@far.example, sorry\n");
	gint64 start = g_get_monotonic_time();
	struct report *report = read_text(mail->str);
	ck_assert_uint_eq(report->recipients->len, 1);
	report_free(&report);
	ck_assert(g_get_monotonic_time() - start < 20 * G_USEC_PER_SEC);
}
END_TEST

START_TEST(who_reports_and_who_sent_are_no_recipients)
{
	struct report *report =
	        read_text("From: postmaster@far.example\nTo: shop@lab.example\n"
	                  "Subject: Delivery failure\n\n"
	                  "Your message could not be delivered to anna@far.example.\n"
	                  "shop@lab.example wrote it; postmaster@far.example can help.\n");

	ck_assert_uint_eq(report->recipients->len, 1);
	ck_assert_str_eq(recipient_of(report, 0)->address, "anna@far.example");
	report_free(&report);
}
END_TEST

START_TEST(configured_addresses_alone_take_requests_to_unsubscribe)
{
	static const char *const patterns[] = {"leave-*@lists.lab.example", NULL};
	const struct report_config config = {.unsubscribe = patterns};
	const char *mine =
	        "From: anna@far.example\nTo: Leave-42@lists.lab.example\nSubject: x\n\nx";
	const char *other = "From: anna@far.example\nTo: unsubscribe@lab.example\nSubject: x\n\nx";

	mime_init();
	struct report *report = report_parse(slice_str(mine), &config);
	ck_assert_int_eq(report->kind, REPORT_UNSUBSCRIBE);
	ck_assert_str_eq(recipient_of(report, 0)->address, "anna@far.example");
	report_free(&report);
	report = report_parse(slice_str(other), &config);
	ck_assert_int_eq(report->kind, REPORT_NONE);
	report_free(&report);
}
END_TEST

START_TEST(the_stamp_of_our_own_server_is_the_time)
{
	struct report *report = read_text("Received: from a by b; Fri, 20 Nov 2026 10:05:00 +0000\n"
	                                  "Received: from c by a; Fri, 20 Nov 1999 10:05:00 +0000\n"
	                                  "Date: Fri, 20 Nov 2037 10:05:00 +0000\n\nx");

	ck_assert_int_eq(report->time, G_GINT64_CONSTANT(1795169100000));
	report_free(&report);
}
END_TEST

UNIT_MAIN("report", a_delivery_status_tells_recipient_status_reply_and_original,
        a_report_may_be_cut_off_at_any_byte, each_of_a_thousand_groups_gets_the_words_that_name_it,
        an_empty_mail_and_one_of_nothing_but_a_header_mean_nothing,
        parts_that_are_nested_a_thousand_times_are_not_followed, reports_in_reports_end,
        a_report_names_no_more_than_a_thousand_recipients, lines_without_end_are_read_in_no_time,
        many_lines_are_read_in_no_time, who_reports_and_who_sent_are_no_recipients,
        configured_addresses_alone_take_requests_to_unsubscribe,
        the_stamp_of_our_own_server_is_the_time)
