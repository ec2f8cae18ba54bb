/* Reports joined to the mails that they are about. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/clock.h"
#include "capture/report.h"
#include "store/search.h"
#include "tests/support/unit.h"
#include "trace/domains.h"

static const char *const lines[] = {
        "Nov 20 10:00:00 mx postfix/smtpd[10]: 4A1B2C3D4E: client=c.example[192.0.2.1]",
        "Nov 20 10:00:00 mx postfix/cleanup[11]: 4A1B2C3D4E: message-id=<one@lab.example>",
        "Nov 20 10:00:00 mx postfix/qmgr[12]: 4A1B2C3D4E: from=<shop@lab.example>, size=400, "
        "nrcpt=2 (queue active)",
        "Nov 20 10:00:01 mx postfix/smtp[13]: 4A1B2C3D4E: to=<anna@far.example>, "
        "relay=mx.far.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 "
        "2.0.0 Ok)",
        "Nov 20 10:00:01 mx postfix/smtp[13]: 4A1B2C3D4E: to=<berta@far.example>, "
        "relay=mx.far.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
        "(host mx.far.example[192.0.2.9] said: 550 5.1.1 no (in reply to RCPT TO command))",
        "Nov 20 10:00:01 mx postfix/qmgr[12]: 4A1B2C3D4E: removed",
};

static char *dir;
static struct store *store;
static struct capture *capture;
static struct domains *inbound; /* NULL = all mail is outbound */

static void feed_log(void)
{
	const struct line_reader_config reader = {
	        .zone = "UTC", .not_after = clock_days(2026, 11, 22) * CLOCK_DAY};
	struct error err = {0};
	struct capture_source *source =
	        capture_source_new(capture_live(capture), "log", &reader, &err);

	ck_assert_msg(source != NULL, "%s", err.text);
	capture_begin(source);
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		capture_line(source, slice_str(lines[i]), (int64_t)i, false);
	ck_assert_int_eq(capture_wait(capture, capture_end(source, SLICE("end")), 10000), 1);
	capture_source_free(&source);
}

static void open_all(void)
{
	const struct capture_config config = {
	        .trace = {.log_followed = true, .inbound = inbound}, .keep_days = -1};
	struct error err = {0};

	dir = g_dir_make_tmp("postwake-report-XXXXXX", NULL);
	ck_assert_msg(store_open(&store, dir, STORE_WRITE, NULL, &err) == 0 &&
	                      capture_open(&capture, store, &config, &err) == 0,
	        "%s", err.text);
	feed_log();
}

static void close_all(void)
{
	struct error err = {0};
	const char *name;

	ck_assert_msg(capture_close(&capture, &err) == 0, "%s", err.text);
	store_close(&store);
	GDir *list = g_dir_open(dir, 0, NULL);
	while ((name = g_dir_read_name(list)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		g_unlink(path);
	}
	g_dir_close(list);
	g_rmdir(dir);
	g_free(dir);
}

struct mail {
	const char *to, *id, *mta, *recipient, *original;
};

/* A bounce of the usual form. */
static char *make_bounce(const struct mail *mail)
{
	return g_strdup_printf("Return-Path: <>\nDate: Fri, 20 Nov 2026 10:05:00 +0000\n"
	                       "From: MAILER-DAEMON@far.example\nTo: %s\nSubject: Undelivered\n"
	                       "Message-ID: <%s@far.example>\nMIME-Version: 1.0\n"
	                       "Content-Type: multipart/report; report-type=delivery-status; "
	                       "boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
	                       "Reporting-MTA: dns; %s\n\nFinal-Recipient: rfc822; %s\n"
	                       "Action: failed\nStatus: 5.2.2\n"
	                       "Diagnostic-Code: smtp; 552 5.2.2 full\n\n"
	                       "--b\nContent-Type: text/rfc822-headers\n\n%s\n\n--b--\n",
	        mail->to != NULL ? mail->to : "shop@lab.example", mail->id,
	        mail->mta != NULL ? mail->mta : "mx.far.example", mail->recipient, mail->original);
}

static struct reports *settings(const char *verp)
{
	const struct reports_config config = {.verp = verp};
	struct error err = {0};
	struct reports *reports = reports_new(&config, &err);

	ck_assert_msg(reports != NULL, "%s", err.text);
	return reports;
}

static void take(const char *verp, const char *text, unsigned want, unsigned want_new)
{
	struct reports *reports = settings(verp);
	struct error err = {0};
	unsigned found, fresh;

	ck_assert_msg(
	        reports_take(reports, capture, store, slice_str(text), &found, &fresh, &err) == 0,
	        "%s", err.text);
	ck_assert_uint_eq(found, want);
	ck_assert_uint_eq(fresh, want_new);
	reports_free(&reports);
}

static void take_bounce(const char *verp, const struct mail *mail, unsigned want)
{
	g_autofree char *text = make_bounce(mail);

	take(verp, text, want, want);
}

static void copy_fields(void *ctx, const struct event *event)
{
	char **fields = ctx;

	for (int i = 0; i < FIELDS; i++)
		if (event_has(event, (enum field)i)) {
			g_free(fields[i]);
			fields[i] = slice_dup(event->field[i]);
		}
}

/* The fields of the one event of a type in the store. */
static char **only(const char *type)
{
	const char *const types[] = {type, NULL};
	struct search search = {.to = INT64_MAX, .limit = 10};
	char **fields = g_new0(char *, FIELDS);
	struct error err = {0};
	uint64_t total;

	search.values[SEARCH_EVENT] = types;
	ck_assert_msg(store_search(store, &search, copy_fields, fields, &total, &err) == 0, "%s",
	        err.text);
	ck_assert_uint_eq(total, 1);
	return fields;
}

static void free_fields(char **fields)
{
	for (int i = 0; i < FIELDS; i++)
		g_free(fields[i]);
	g_free(fields);
}

/* It is an out_of_band of the mail in the log, with what that knew. */
static void check_joined(void)
{
	char **fields = only("out_of_band");

	ck_assert_str_eq(fields[FIELD_RCPT_TO], "anna@far.example");
	ck_assert_str_eq(fields[FIELD_QUEUE_ID], "4A1B2C3D4E");
	ck_assert_str_eq(fields[FIELD_MSG_FROM], "shop@lab.example");
	ck_assert_str_eq(fields[FIELD_IP_ADDRESS], "192.0.2.9");
	ck_assert_ptr_nonnull(fields[FIELD_MESSAGE_ID]);
	ck_assert_str_eq(fields[FIELD_RAW_REASON], "552 5.2.2 full");
	ck_assert_str_eq(fields[FIELD_DSN], "5.2.2");
	ck_assert_str_eq(fields[FIELD_BOUNCE_CLASS], "22");
	free_fields(fields);
}

START_TEST(a_bounce_joins_its_mail_by_message_id)
{
	const struct mail mail = {.id = "a",
	        .recipient = "Anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};

	open_all();
	take_bounce(NULL, &mail, 1);
	check_joined();
	close_all();
}
END_TEST

START_TEST(a_bounce_joins_its_mail_by_the_queue_id_in_the_returned_header)
{
	const struct mail mail = {.id = "a",
	        .recipient = "anna@far.example",
	        .original = "Received: from x by mx.lab.example (Postfix)\n"
	                    "\twith ESMTP id 4A1B2C3D4E; today"};

	open_all();
	take_bounce(NULL, &mail, 1);
	check_joined();
	close_all();
}
END_TEST

START_TEST(a_queue_id_of_another_server_joins_nothing_when_the_recipient_differs)
{
	const struct mail mail = {.id = "a",
	        .recipient = "zoe@far.example",
	        .original = "Received: from x by mx.lab.example (Postfix)\n"
	                    "\twith ESMTP id 4A1B2C3D4E; today"};

	open_all();
	take_bounce(NULL, &mail, 1);
	char **fields = only("out_of_band");
	ck_assert_ptr_null(fields[FIELD_MESSAGE_ID]);
	ck_assert_str_eq(fields[FIELD_RCPT_TO], "zoe@far.example");
	free_fields(fields);
	close_all();
}
END_TEST

START_TEST(a_verp_address_tells_mail_and_recipient_where_the_report_does_not)
{
	open_all();
	char **fields = only("delivery");
	g_autofree char *to =
	        g_strdup_printf("bounce-%s-anna=far.example@lab.example", fields[FIELD_MESSAGE_ID]);
	const struct mail mail = {.to = to,
	        .id = "a",
	        .recipient = "hidden@inner.example",
	        .original = "Subject: gone"};
	free_fields(fields);
	take_bounce("x@y bounce-{message_id}-{recipient}@lab.example", &mail, 1);
	check_joined();
	close_all();
}
END_TEST

START_TEST(what_matches_no_mail_is_stored_with_what_it_has)
{
	const struct mail mail = {.id = "a",
	        .recipient = "nobody@far.example",
	        .original = "Message-ID: <other@lab.example>\nFrom: shop@lab.example\n"
	                    "Subject: Hello"};

	open_all();
	take_bounce(NULL, &mail, 1);
	char **fields = only("out_of_band");
	ck_assert_ptr_null(fields[FIELD_MESSAGE_ID]);
	ck_assert_str_eq(fields[FIELD_HEADER_MESSAGE_ID], "other@lab.example");
	ck_assert_str_eq(fields[FIELD_SUBJECT], "Hello");
	ck_assert_str_eq(fields[FIELD_FRIENDLY_FROM], "shop@lab.example");
	ck_assert_str_eq(fields[FIELD_RECIPIENT_DOMAIN], "far.example");
	free_fields(fields);
	close_all();
}
END_TEST

START_TEST(the_same_report_again_adds_nothing)
{
	const struct mail mail = {.id = "a",
	        .recipient = "anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};
	g_autofree char *text = make_bounce(&mail);
	/* Another way to us: other trace lines, another stamp. */
	g_autofree char *again =
	        g_strconcat("Received: from a by b; Fri, 20 Nov 2026 11:11:11 +0000\n", text, NULL);

	open_all();
	take(NULL, text, 1, 1);
	take(NULL, text, 1, 0);
	take(NULL, again, 1, 0);
	check_joined();
	close_all();
}
END_TEST

/* A bounce of our own server that the log told makes no event. */
static void check_own_bounce(void)
{
	const struct mail own = {.id = "a",
	        .mta = "mx.lab.example",
	        .recipient = "berta@far.example",
	        .original = "Message-ID: <one@lab.example>"};
	const struct mail late = {.id = "b",
	        .mta = "mx.lab.example",
	        .recipient = "anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};

	open_all();
	take_bounce(NULL, &own, 0);
	take_bounce(NULL, &late, 1);
	check_joined();
	close_all();
}

START_TEST(a_bounce_of_our_own_server_that_the_log_told_makes_no_event)
{
	check_own_bounce();
}
END_TEST

START_TEST(nor_does_one_of_inbound_mail)
{
	inbound = domains_new();
	ck_assert_int_eq(domains_add(inbound, SLICE("far.example"), DOMAINS_EXACT, false, NULL), 0);
	check_own_bounce();
	domains_free(&inbound);
}
END_TEST

START_TEST(a_complaint_has_the_campaign_data_of_its_mail_and_who_reports)
{
	open_all();
	take(NULL,
	        "From: fbl@far.example\nTo: fbl@lab.example\nMessage-ID: <c@far.example>\n"
	        "Date: Fri, 20 Nov 2026 12:00:00 +0000\n"
	        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
	        "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
	        "User-Agent: Lab/1\nOriginal-Rcpt-To: anna@far.example\n\n"
	        "--b\nContent-Type: message/rfc822\n\nMessage-ID: <one@lab.example>\n\nx\n--b--\n",
	        1, 1);
	char **fields = only("spam_complaint");
	ck_assert_str_eq(fields[FIELD_FBTYPE], "abuse");
	ck_assert_str_eq(fields[FIELD_REPORT_BY], "far.example");
	ck_assert_str_eq(fields[FIELD_REPORT_TO], "lab.example");
	ck_assert_str_eq(fields[FIELD_USER_STR], "Lab/1");
	ck_assert_str_eq(fields[FIELD_QUEUE_ID], "4A1B2C3D4E");
	ck_assert_ptr_null(fields[FIELD_RAW_REASON]);
	free_fields(fields);
	close_all();
}
END_TEST

START_TEST(an_ordinary_mail_makes_no_event)
{
	open_all();
	take(NULL, "From: anna@far.example\nTo: shop@lab.example\nSubject: Thanks\n\nGreat.\n", 0,
	        0);
	close_all();
}
END_TEST

START_TEST(patterns_with_unknown_braces_are_refused)
{
	static const char *const wrong[] = {"bounce+{who}@x", "{", "{recipient}{recipient}@x"};

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		const struct reports_config config = {.verp = wrong[i]};
		struct error err = {0};
		ck_assert_ptr_null(reports_new(&config, &err));
		ck_assert(err.set);
	}
}
END_TEST

UNIT_MAIN("capture_report", a_bounce_joins_its_mail_by_message_id,
        a_bounce_joins_its_mail_by_the_queue_id_in_the_returned_header,
        a_queue_id_of_another_server_joins_nothing_when_the_recipient_differs,
        a_verp_address_tells_mail_and_recipient_where_the_report_does_not,
        what_matches_no_mail_is_stored_with_what_it_has, the_same_report_again_adds_nothing,
        a_bounce_of_our_own_server_that_the_log_told_makes_no_event, nor_does_one_of_inbound_mail,
        a_complaint_has_the_campaign_data_of_its_mail_and_who_reports,
        an_ordinary_mail_makes_no_event, patterns_with_unknown_braces_are_refused)
