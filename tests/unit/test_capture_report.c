/* Reports joined to the mails that they are about. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/clock.h"
#include "capture/report.h"
#include "event/ingest_check.h"
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

static void take_by(const struct reports_config *config, const char *text, enum reports_way way,
        unsigned want, unsigned want_new)
{
	struct error err = {0};
	struct reports *reports = reports_new(config, &err);
	unsigned found, fresh;

	ck_assert_msg(reports != NULL, "%s", err.text);

	ck_assert_msg(reports_take(reports, capture, store, slice_str(text), way, &found, &fresh,
	                      &err) == 0,
	        "%s", err.text);
	ck_assert_uint_eq(found, want);
	ck_assert_uint_eq(fresh, want_new);
	reports_free(&reports);
}

static void take(const char *verp, const char *text, unsigned want, unsigned want_new)
{
	const struct reports_config config = {.verp = verp};

	take_by(&config, text, REPORTS_BROUGHT, want, want_new);
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

/* What Events Ingest documents as required is in every report's event, whatever the original
 * tells. */
START_TEST(events_of_reports_have_what_an_upload_needs)
{
	const struct mail bounce = {.id = "a",
	        .recipient = "nobody@far.example",
	        .original = "Message-ID: <other@lab.example>"};
	static const char *const types[] = {"out_of_band", "spam_complaint", "list_unsubscribe"};

	open_all();
	take_bounce(NULL, &bounce, 1);
	take(NULL,
	        "From: fbl@far.example\nTo: fbl@lab.example\nMessage-ID: <c@far.example>\n"
	        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
	        "--b\nContent-Type: message/feedback-report\n\nUser-Agent: Lab/1\n\n"
	        "--b\nContent-Type: message/rfc822\n\nMessage-ID: "
	        "<other@lab.example>\n\nx\n--b--\n",
	        1, 1);
	take(NULL,
	        "From: anna@far.example\nTo: shop@lab.example\nMessage-ID: <u@far.example>\n"
	        "Subject: unsubscribe\n\nunsubscribe\n",
	        1, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		char **fields = only(types[i]);
		enum event_type type = event_type_by_name(slice_str(types[i]));
		for (int f = FIELD_MESSAGE_ID + 1; f < FIELDS; f++)
			if (ingest_flags(type, (enum field)f) & INGEST_REQUIRED)
				ck_assert_msg(fields[f] != NULL && *fields[f] != '\0', "%s: %s",
				        types[i], field_catalogue[f].name);
		free_fields(fields);
	}
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

/* The class of a bounce that says "552 5.2.2 full", by rules of the user. */
static void check_class(const char *rules, const char *want)
{
	const struct mail mail = {.id = "a",
	        .recipient = "anna@far.example\nRemote-MTA: dns; mx.far.example",
	        .original = "Message-ID: <one@lab.example>"};
	g_autofree char *text = make_bounce(&mail);
	g_autofree char *path = g_build_filename(dir, "rules", NULL);
	struct error err = {0};

	ck_assert(g_file_set_contents(path, rules, -1, NULL));
	struct classifier *classifier = classifier_new(path, NULL, &err);
	ck_assert_msg(classifier != NULL, "%s", err.text);
	const struct reports_config config = {.classifier = classifier};
	take_by(&config, text, REPORTS_BROUGHT, 1, 1);
	char **fields = only("out_of_band");
	ck_assert_str_eq(fields[FIELD_BOUNCE_CLASS], want);
	/* `postwake reclassify` comes to the same. */
	struct event event = {.type = EVENT_OUT_OF_BAND};
	g_autoptr(GString) scratch = g_string_new(NULL);
	for (int i = 0; i < FIELDS; i++)
		event.field[i] = slice_str(fields[i]);
	ck_assert(!classifier_renew(classifier, &event, scratch));
	free_fields(fields);
	classifier_free(&classifier);
}

START_TEST(rules_of_the_user_decide_the_class_of_a_report)
{
	open_all();
	check_class("ours 51 /full/\n", "51");
	close_all();
	open_all();
	check_class("ours 52 mx=*.far.example\n", "52");
	close_all();
}
END_TEST

START_TEST(a_bounce_joins_its_mail_by_an_envelope_id_that_is_one_of_its_ids)
{
	static const char *const ids[] = {"one@lab.example", "4A1B2C3D4E"};

	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		g_autofree char *mta =
		        g_strdup_printf("mx.far.example\nOriginal-Envelope-Id: %s", ids[i]);
		const struct mail mail = {.id = "a",
		        .mta = mta,
		        .recipient = "anna@far.example",
		        .original = "X-Nothing: of use"};
		open_all();
		take_bounce(NULL, &mail, 1);
		check_joined();
		close_all();
	}
}
END_TEST

START_TEST(what_the_returned_header_tells_of_a_mail_that_nobody_knows_is_in_the_event)
{
	const struct mail mail = {.id = "a",
	        .recipient = "Zoe@far.example",
	        .original = "X-MSYS-API: {\"campaign_id\": \"spring, sale\",\n"
	                    " \"metadata\": {\"order\": 7}, \"tags\": [\"news\"],\n"
	                    " \"options\": {\"transactional\": true, \"ip_pool\": \"warm\"},\n"
	                    " \"transmission_id\": \"42\", \"recipients\": [{\"address\":\n"
	                    "  \"zoe@far.example\", \"metadata\": {\"name\": \"Zoe\"}}]}\n"
	                    "X-Acme-Tag: blue\nMessage-ID: <other@lab.example>"};
	const struct reports_config config = {.header_map = "default X-Acme-Tag=tag"};
	g_autofree char *text = make_bounce(&mail);

	open_all();
	take_by(&config, text, REPORTS_BROUGHT, 1, 1);
	char **fields = only("out_of_band");
	ck_assert_str_eq(fields[FIELD_CAMPAIGN_ID], "spring, sale");
	ck_assert_str_eq(fields[FIELD_RCPT_META], "{\"name\":\"Zoe\",\"order\":7}");
	ck_assert_str_eq(fields[FIELD_RCPT_TAGS], "[\"news\",\"blue\"]");
	ck_assert_str_eq(fields[FIELD_TRANSACTIONAL], "1");
	ck_assert_str_eq(fields[FIELD_IP_POOL], "warm");
	ck_assert_str_eq(fields[FIELD_TRANSMISSION_ID], "42");
	ck_assert_str_eq(fields[FIELD_TEMPLATE_ID], "smtp_42");
	ck_assert_str_eq(fields[FIELD_SUBACCOUNT_ID], "0");
	free_fields(fields);
	close_all();
}
END_TEST

START_TEST(a_broken_x_msys_api_in_the_returned_header_loses_nothing_else)
{
	const struct mail mail = {.id = "a",
	        .recipient = "zoe@far.example",
	        .original = "X-MSYS-API: {\"campaign_id\": \nX-MSYS-API: [1]\nSubject: Hello"};

	open_all();
	take_bounce(NULL, &mail, 1);
	char **fields = only("out_of_band");
	ck_assert_str_eq(fields[FIELD_SUBJECT], "Hello");
	ck_assert_ptr_null(fields[FIELD_CAMPAIGN_ID]);
	free_fields(fields);
	close_all();
}
END_TEST

#define ANSWER \
	"Return-Path: <>\nX-Original-To: %s\nFrom: anna@far.example\nTo: shop@lab.example\n" \
	"Auto-Submitted: auto-replied\nMessage-ID: <v@far.example>\nSubject: Out of office\n" \
	"In-Reply-To: <one@lab.example>\n\nI am away.\n"

START_TEST(in_passing_an_answer_counts_only_at_an_address_of_the_configuration)
{
	const struct reports_config config = {
	        .verp = "bounces+{recipient}@lab.example", .feedback = "fbl@lab.example"};
	g_autofree char *passing = g_strdup_printf(ANSWER, "friend@else.example");
	g_autofree char *ours = g_strdup_printf(ANSWER, "bounces+anna=far.example@lab.example");
	const struct mail mail = {.id = "a",
	        .recipient = "anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};
	g_autofree char *bounce = make_bounce(&mail);

	open_all();
	take_by(&config, passing, REPORTS_IN_PASSING, 0, 0);
	take_by(&config, bounce, REPORTS_IN_PASSING, 1, 1);
	check_joined();
	take_by(&config, passing, REPORTS_BROUGHT, 1, 1);
	take_by(&config, ours, REPORTS_IN_PASSING, 1, 0);
	close_all();
}
END_TEST

START_TEST(a_returned_message_at_a_feedback_address_is_a_complaint)
{
	static const char text[] =
	        "From: loop@far.example\nTo: fbl@lab.example\nMessage-ID: <f@far.example>\n"
	        "Subject: Fw: see below\nContent-Type: message/rfc822\n\n"
	        "Message-ID: <one@lab.example>\nTo: anna@far.example\nSubject: x\n\nx\n";
	const struct reports_config config = {.feedback = "fbl@lab.example"};

	open_all();
	take(NULL, text, 0, 0);
	take_by(&config, text, REPORTS_IN_PASSING, 1, 1);
	char **fields = only("spam_complaint");
	ck_assert_str_eq(fields[FIELD_RCPT_TO], "anna@far.example");
	ck_assert_str_eq(fields[FIELD_QUEUE_ID], "4A1B2C3D4E");
	free_fields(fields);
	close_all();
}
END_TEST

struct twice {
	struct reports *reports;
	const char *text;
	gint fresh;
};

static gpointer take_one(gpointer data)
{
	struct twice *twice = data;
	struct error err = {0};
	unsigned found, fresh;

	ck_assert_int_eq(reports_take(twice->reports, capture, store, slice_str(twice->text),
	                         REPORTS_BROUGHT, &found, &fresh, &err),
	        0);
	g_atomic_int_add(&twice->fresh, (gint)fresh);
	return NULL;
}

START_TEST(a_report_that_comes_by_several_ways_at_once_is_one_event)
{
	const struct reports_config config = {0};
	const struct mail mail = {.id = "a",
	        .recipient = "anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};
	struct error err = {0};
	GThread *threads[8];

	open_all();
	struct twice twice[8];
	struct reports *reports = reports_new(&config, &err);
	g_autofree char *text = make_bounce(&mail);
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	gint fresh = 0;
	for (int i = 0; i < 8; i++) {
		/* Each was stamped in another second. */
		g_ptr_array_add(texts,
		        g_strdup_printf(
		                "Received: by b; Fri, 20 Nov 2026 11:11:%02d +0000\n%s", i, text));
		twice[i] = (struct twice){.reports = reports, .text = texts->pdata[i]};
		threads[i] = g_thread_new("take", take_one, &twice[i]);
	}
	for (int i = 0; i < 8; i++) {
		g_thread_join(threads[i]);
		fresh += twice[i].fresh;
	}
	ck_assert_int_eq(fresh, 1);
	check_joined();
	reports_free(&reports);
	close_all();
}
END_TEST

START_TEST(a_bounce_of_where_an_alias_led_joins_by_the_address_that_was_written)
{
	const struct mail known = {.id = "a",
	        .recipient = "inner@deep.example\nOriginal-Recipient: rfc822;Anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};
	const struct mail unknown = {.id = "b",
	        .recipient = "inner@deep.example\nOriginal-Recipient: rfc822;zoe@far.example",
	        .original = "X-Nothing: of use"};

	open_all();
	take_bounce(NULL, &known, 1);
	check_joined();
	close_all();
	open_all();
	take_bounce(NULL, &unknown, 1);
	char **fields = only("out_of_band");
	ck_assert_str_eq(fields[FIELD_RCPT_TO], "inner@deep.example");
	ck_assert_str_eq(fields[FIELD_ORIG_RCPT_TO], "zoe@far.example");
	free_fields(fields);
	close_all();
}
END_TEST

static void check_kept(const struct reports_config *config, const char *text, const char *want)
{
	open_all();
	take_by(config, text, REPORTS_BROUGHT, 1, 1);
	char **fields = only("out_of_band");
	if (want == NULL)
		ck_assert_ptr_null(fields[FIELD_REPORT_MIME]);
	else
		ck_assert_str_eq(fields[FIELD_REPORT_MIME], want);
	free_fields(fields);
	close_all();
}

START_TEST(a_report_is_kept_as_it_came_only_where_it_is_wanted)
{
	const struct reports_config keep = {.keep = true}, not = {.keep = false};
	const struct mail mail = {.id = "a",
	        .recipient = "anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};
	g_autofree char *text = make_bounce(&mail);

	check_kept(&keep, text, text);
	check_kept(&not, text, NULL);
}
END_TEST

START_TEST(of_a_long_report_the_start_is_kept)
{
	const struct reports_config keep = {.keep = true};
	const struct mail mail = {.id = "a",
	        .recipient = "anna@far.example",
	        .original = "Message-ID: <one@lab.example>"};
	g_autofree char *text = make_bounce(&mail);
	g_autofree char *filler = g_strnfill(REPORTS_KEPT_MAX, '\xe9');
	g_autofree char *all = g_strconcat(text, filler, NULL);
	g_autofree char *start = g_strndup(all, REPORTS_KEPT_MAX);

	check_kept(&keep, all, start);
}
END_TEST

struct kept {
	unsigned events;
	size_t bytes;
};

static void add_kept(void *ctx, const struct event *event)
{
	struct kept *kept = ctx;

	kept->events++;
	kept->bytes += event->field[FIELD_REPORT_MIME].n;
}

START_TEST(the_events_of_a_report_of_many_recipients_keep_a_bounded_part)
{
	const struct reports_config config = {.keep = true};
	g_autoptr(GString) recipients = g_string_new("zoe@far.example");
	struct error err = {0};
	struct kept kept = {0};

	for (int i = 0; i < 99; i++)
		g_string_append_printf(recipients,
		        "\nAction: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; "
		        "zoe%d@far.example",
		        i);
	const struct mail mail = {.id = "a", .recipient = recipients->str, .original = "X-A: b"};
	g_autofree char *text = make_bounce(&mail);
	g_autofree char *filler = g_strnfill(REPORTS_KEPT_MAX, 'x');
	g_autofree char *all = g_strconcat(text, filler, NULL);
	struct reports *reports = reports_new(&config, &err);
	ck_assert_int_eq(reports_read(reports, slice_str(all), REPORTS_BROUGHT, NULL, 1, add_kept,
	                         &kept, &err),
	        100);
	ck_assert_uint_eq(kept.events, 100);
	ck_assert_uint_le(kept.bytes, REPORTS_KEPT_ALL);
	ck_assert_uint_gt(kept.bytes, REPORTS_KEPT_ALL * 99 / 100);
	reports_free(&reports);
}
END_TEST

START_TEST(a_kept_report_ends_before_a_nul)
{
	static const char nul[] = "From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\nHi. "
	                          "This is the qmail-send program.\n"
	                          "\n<zoe@far.example>:\nuser unknown\n\0rest";
	const struct reports_config config = {.keep = true};
	struct error err = {0};
	struct kept kept = {0};
	struct reports *reports = reports_new(&config, &err);

	ck_assert_int_eq(reports_read(reports, slice_make(nul, sizeof(nul) - 1), REPORTS_BROUGHT,
	                         NULL, 1, add_kept, &kept, &err),
	        1);
	ck_assert_uint_eq(kept.bytes, strlen(nul));
	reports_free(&reports);
}
END_TEST

UNIT_MAIN("capture_report", a_bounce_joins_its_mail_by_message_id,
        a_bounce_joins_its_mail_by_the_queue_id_in_the_returned_header,
        a_queue_id_of_another_server_joins_nothing_when_the_recipient_differs,
        a_verp_address_tells_mail_and_recipient_where_the_report_does_not,
        what_matches_no_mail_is_stored_with_what_it_has, the_same_report_again_adds_nothing,
        a_bounce_of_our_own_server_that_the_log_told_makes_no_event, nor_does_one_of_inbound_mail,
        a_complaint_has_the_campaign_data_of_its_mail_and_who_reports,
        events_of_reports_have_what_an_upload_needs, an_ordinary_mail_makes_no_event,
        patterns_with_unknown_braces_are_refused, rules_of_the_user_decide_the_class_of_a_report,
        a_bounce_joins_its_mail_by_an_envelope_id_that_is_one_of_its_ids,
        what_the_returned_header_tells_of_a_mail_that_nobody_knows_is_in_the_event,
        a_broken_x_msys_api_in_the_returned_header_loses_nothing_else,
        in_passing_an_answer_counts_only_at_an_address_of_the_configuration,
        a_returned_message_at_a_feedback_address_is_a_complaint,
        a_report_that_comes_by_several_ways_at_once_is_one_event,
        a_bounce_of_where_an_alias_led_joins_by_the_address_that_was_written,
        a_report_is_kept_as_it_came_only_where_it_is_wanted, of_a_long_report_the_start_is_kept,
        the_events_of_a_report_of_many_recipients_keep_a_bounded_part,
        a_kept_report_ends_before_a_nul)
