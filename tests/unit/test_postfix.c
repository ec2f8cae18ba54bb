#include "logtail/postfix.h"

#include <glib.h>

#include "tests/support/unit.h"

static struct observation read_as(const char *daemon, const char *text)
{
	struct observation seen = OBSERVATION_INIT;
	struct syslog_line line = {.text = slice_str(text), .repeat = 1};

	struct dialect_line in = {.line = &line, .daemon = slice_str(daemon)};
	ck_assert_msg(!postfix_dialect.read(&in, &seen), "%s: tells more", text);
	return seen;
}

static void same(const char *text, const char *what, struct slice got, const char *want)
{
	if (want == NULL)
		ck_assert_msg(got.p == NULL, "%s: %s is \"%.*s\", not absent", text, what,
		        SLICE_ARG(got));
	else
		ck_assert_msg(got.p != NULL && slice_eq(got, slice_str(want)),
		        "%s: %s is \"%.*s\", not \"%s\"", text, what, SLICE_ARG(got), want);
}

/* Attempts. */

struct attempt {
	const char *text;
	enum attempt_status status;
	const char *queue_id, *to, *orig_to, *host, *ip, *port, *dsn, *code, *reason;
	int64_t delay_ms;
};

static const struct attempt attempts[] = {
        {"9795DAAC0AF: to=<a@ok.example>, relay=127.0.0.1[127.0.0.1]:11001, delay=0.07, "
         "delays=0.04/0.03/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
                ATTEMPT_SENT, "9795DAAC0AF", "a@ok.example", NULL, "127.0.0.1", "127.0.0.1",
                "11001", "2.0.0", "250", "250 2.0.0 Ok", 70},
        {"4jX9fR2v28z1dLQC: to=<a@b>, orig_to=<c@d>, relay=x.example[2001:db8::1]:25, conn_use=2, "
         "delay=151541, delays=1/2/3/4, tls=may?, dsn=4.7.1, status=deferred (host "
         "x.example[2001:db8::1] "
         "said: 454 4.7.1 <a@b>: Relay access denied (in reply to RCPT TO command))",
                ATTEMPT_DEFERRED, "4jX9fR2v28z1dLQC", "a@b", "c@d", "x.example", "2001:db8::1",
                "25", "4.7.1", "454",
                "host x.example[2001:db8::1] said: 454 4.7.1 <a@b>: Relay access denied (in reply "
                "to "
                "RCPT TO command)",
                151541000},
        {"AD6E41CDC05C: to=<a@b>, relay=mx.b[private/dovecot-lmtp], delay=0.15, dsn=2.0.0, "
         "status=sent "
         "(250 2.0.0 <a@b> q Saved)",
                ATTEMPT_SENT, "AD6E41CDC05C", "a@b", NULL, "mx.b", NULL, NULL, "2.0.0", "250",
                "250 2.0.0 <a@b> q Saved", 150},
        {"AD6E41CDC05C: to=<a@b>, relay=mx.b[/var/run/dovecot/lmtp], delay=1, dsn=2.0.0, "
         "status=sent (250)",
                ATTEMPT_SENT, "AD6E41CDC05C", "a@b", NULL, "mx.b", NULL, NULL, "2.0.0", "250",
                "250", 1000},
        {"AD6E41CDC05C: to=<a@b>, relay=none, delay=0.57, delays=0.57/0/0/0, dsn=5.4.6, "
         "status=bounced "
         "(mail for b loops back to myself)",
                ATTEMPT_BOUNCED, "AD6E41CDC05C", "a@b", NULL, NULL, NULL, NULL, "5.4.6", NULL,
                "mail for b loops back to myself", 570},
        {"AD6E41CDC05C: to=<a@b>, relay=local, delay=2.5, dsn=5.1.1, status=bounced (unknown user: "
         "\"b\")",
                ATTEMPT_BOUNCED, "AD6E41CDC05C", "a@b", NULL, NULL, NULL, NULL, "5.1.1", NULL,
                "unknown user: \"b\"", 2500},
        /* Before 2.3, with a destination that has no address. */
        {"AD6E41: to=<a@b>, relay=sample.net, delay=26541, status=deferred (conversation timed "
         "out)",
                ATTEMPT_DEFERRED, "AD6E41", "a@b", NULL, "sample.net", NULL, NULL, NULL, NULL,
                "conversation timed out", 26541000},
        {"AD6E41: to=<>, relay=none, delay=1, status=bounced (x)", ATTEMPT_BOUNCED, "AD6E41", "",
                NULL, NULL, NULL, NULL, NULL, NULL, "x", 1000},
        /* Without brackets. */
        {"AD6E41: to=a@b, orig_to=root, relay=local, delay=0, dsn=2.0.0, status=sent (delivered)",
                ATTEMPT_SENT, "AD6E41", "a@b", "root", NULL, NULL, NULL, "2.0.0", NULL, "delivered",
                0},
        {"AD6E41: to=<a@b>, relay=x[1.2.3.4]:25, delay=1, dsn=4.0.0, status=deferred (host "
         "x[1.2.3.4] "
         "refused to talk to me: 421 4.0.0 bye)",
                ATTEMPT_DEFERRED, "AD6E41", "a@b", NULL, "x", "1.2.3.4", "25", "4.0.0", "421",
                "host x[1.2.3.4] refused to talk to me: 421 4.0.0 bye", 1000},
        {"AD6E41: to=<a@b>, relay=none, delay=1, dsn=4.0.0, status=deferred (delivery temporarily "
         "suspended: host x[1.2.3.4] refused to talk to me: 421 4.0.0 bye)",
                ATTEMPT_DEFERRED, "AD6E41", "a@b", NULL, NULL, NULL, NULL, "4.0.0", "421",
                "delivery temporarily suspended: host x[1.2.3.4] refused to talk to me: 421 4.0.0 "
                "bye",
                1000},
        {"AD6E41: to=<a@b>, relay=x[1.2.3.4]:25, delay=1, dsn=5.7.26, status=bounced (host "
         "x[1.2.3.4] said: "
         "550-5.7.26 This mail 550 5.7.26 is bad (in reply to end of DATA command))",
                ATTEMPT_BOUNCED, "AD6E41", "a@b", NULL, "x", "1.2.3.4", "25", "5.7.26", "550",
                "host x[1.2.3.4] said: 550-5.7.26 This mail 550 5.7.26 is bad (in reply to end of "
                "DATA "
                "command)",
                1000},
        /* Cut by syslog. */
        {"AD6E41: to=<a@b>, relay=none, delay=1, dsn=4.4.1, status=deferred (connect to "
         "x[1.2.3.4]:25: Con",
                ATTEMPT_DEFERRED, "AD6E41", "a@b", NULL, NULL, NULL, NULL, "4.4.1", NULL,
                "connect to x[1.2.3.4]:25: Con", 1000},
        {"AD6E41: to=<a@b>, relay=none, delay=1, dsn=4.4.1, status=deferred", ATTEMPT_DEFERRED,
                "AD6E41", "a@b", NULL, NULL, NULL, NULL, "4.4.1", NULL, NULL, 1000},
        /* Values that are none stay absent. */
        {"AD6E41: to=<a@b>, relay=x[unknown], delay=soon, dsn=none, status=sent (ok)", ATTEMPT_SENT,
                "AD6E41", "a@b", NULL, "x", NULL, NULL, NULL, NULL, "ok", -1},
        /* Probes. */
        {"AD6E41: to=<a@b>, relay=x[1.2.3.4]:25, delay=0, dsn=2.1.5, status=deliverable (250 2.1.5 "
         "Ok)",
                ATTEMPT_PROBE, "AD6E41", "a@b", NULL, "x", "1.2.3.4", "25", "2.1.5", "250",
                "250 2.1.5 Ok", 0},
        {"AD6E41: to=<a@b>, relay=none, delay=0, dsn=5.1.1, status=undeliverable-but-not-cached "
         "(no)",
                ATTEMPT_PROBE, "AD6E41", "a@b", NULL, NULL, NULL, NULL, "5.1.1", NULL, "no", 0},
        /* An anonymiser's queue id. */
        {"XXXXXXXXX: to=<a@b>, relay=none, delay=0, dsn=5.1.1, status=bounced (no)",
                ATTEMPT_BOUNCED, "XXXXXXXXX", "a@b", NULL, NULL, NULL, NULL, "5.1.1", NULL, "no",
                0},
        /* Hostile: a quoted local part, a reply, both posing as fields. */
        {"AD6E41: to=<\"ok.x>, relay=none, status=sent (x\"@py.example>, relay=x[1.2.3.4]:25, "
         "delay=1, "
         "dsn=5.1.1, status=bounced (no)",
                ATTEMPT_BOUNCED, "AD6E41", "\"ok.x>, relay=none, status=sent (x\"@py.example", NULL,
                "x", "1.2.3.4", "25", "5.1.1", NULL, "no", 1000},
        {"AD6E41: to=<\"a\\\">, status=sent (\"@b>, relay=none, delay=1, dsn=5.1.1, status=bounced "
         "(no)",
                ATTEMPT_BOUNCED, "AD6E41", "\"a\\\">, status=sent (\"@b", NULL, NULL, NULL, NULL,
                "5.1.1", NULL, "no", 1000},
        {"AD6E41: to=<a@b>, relay=x[1.2.3.4]:25, delay=1, dsn=5.1.1, status=bounced (host "
         "x[1.2.3.4] said: "
         "550 5.1.1 <x>: to=<victim@ok.example>, relay=none, delay=0, dsn=2.0.0, status=sent (250 "
         "ok) (in "
         "reply to RCPT TO command))",
                ATTEMPT_BOUNCED, "AD6E41", "a@b", NULL, "x", "1.2.3.4", "25", "5.1.1", "550",
                "host x[1.2.3.4] said: 550 5.1.1 <x>: to=<victim@ok.example>, relay=none, delay=0, "
                "dsn=2.0.0, status=sent (250 ok) (in reply to RCPT TO command)",
                1000},
        {"AD6E41: to=<a@b>, relay=x[1.2.3.4]:25, delay=1, dsn=5.7.1, status=bounced (host "
         "x[1.2.3.4] said: "
         "550 5.7.1 Denied (see (nested) parens)) and \"quotes\", status=sent (in reply to RCPT TO "
         "command))",
                ATTEMPT_BOUNCED, "AD6E41", "a@b", NULL, "x", "1.2.3.4", "25", "5.7.1", "550",
                "host x[1.2.3.4] said: 550 5.7.1 Denied (see (nested) parens)) and \"quotes\", "
                "status=sent (in reply to RCPT TO command)",
                1000},
};

START_TEST(attempts_are_read_in_the_order_of_their_fields)
{
	for (size_t i = 0; i < G_N_ELEMENTS(attempts); i++) {
		const struct attempt *want = &attempts[i];
		struct observation seen = read_as("smtp", want->text);
		ck_assert_msg(
		        seen.kind == OBSERVATION_ATTEMPT, "%s: kind %d", want->text, seen.kind);
		ck_assert_msg(
		        seen.status == want->status, "%s: status %d", want->text, seen.status);
		same(want->text, "queue id", seen.queue_id, want->queue_id);
		same(want->text, "to", seen.to, want->to);
		same(want->text, "orig_to", seen.orig_to, want->orig_to);
		same(want->text, "host", seen.relay_host, want->host);
		same(want->text, "ip", seen.relay_ip, want->ip);
		same(want->text, "port", seen.relay_port, want->port);
		same(want->text, "dsn", seen.dsn, want->dsn);
		same(want->text, "code", seen.code, want->code);
		same(want->text, "reason", seen.reason, want->reason);
		same(want->text, "service", seen.service, "smtp");
		ck_assert_msg(seen.delay_ms == want->delay_ms, "%s: delay %lld", want->text,
		        (long long)seen.delay_ms);
	}
}
END_TEST

START_TEST(a_cut_attempt_without_its_status_is_unparsed)
{
	static const char whole[] = "AD6E41: to=<a@b>, relay=none, delay=1, dsn=5.1.1, status=boun";

	for (size_t n = strlen("AD6E41: t"); n < sizeof(whole); n++) {
		g_autofree char *text = g_strndup(whole, n);
		struct observation seen = read_as("smtp", text);
		ck_assert_msg(seen.kind == OBSERVATION_UNPARSED, "%s: kind %d", text, seen.kind);
	}
	ck_assert_int_eq(read_as("smtp", "AD6E41: to=<a@b>, relay=none, status=eaten (x)").kind,
	        OBSERVATION_UNPARSED);
	ck_assert_int_eq(read_as("smtp", "to=<a@b>, relay=none, status=sent (x)").kind,
	        OBSERVATION_UNPARSED);
}
END_TEST

START_TEST(a_local_part_that_poses_as_a_delivery_is_unparsed)
{
	static const char forged[] =
	        "AD6E41: to=<x\"y>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent "
	        "(250 ok)@e.com>, relay=h.e.com[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, "
	        "status=bounced (550 no)";
	static const char cut[] =
	        "AD6E41: to=<\"y@ok.example>, relay=none, delay=0, dsn=2.0.0, status=sent (250 ok)";
	static const char reply[] =
	        "AD6E41: to=<y@e.com>, relay=h.e.com[192.0.2.1]:25, delay=1, dsn=5.1.1, "
	        "status=bounced (550 no>, relay=none, delay=0, dsn=2.0.0, status=sent (250 ok)";

	ck_assert_int_eq(read_as("smtp", forged).kind, OBSERVATION_UNPARSED);
	ck_assert_int_eq(read_as("smtp", cut).kind, OBSERVATION_UNPARSED);
	struct observation seen = read_as("smtp", reply);
	ck_assert_int_eq(seen.kind, OBSERVATION_ATTEMPT);
	ck_assert_int_eq(seen.status, ATTEMPT_BOUNCED);
	same(reply, "to", seen.to, "y@e.com");
}
END_TEST

START_TEST(a_soft_bounce_is_a_deferral_and_says_so)
{
	struct observation seen = read_as("smtp", "AD6E41: to=<a@b>, relay=none, delay=1, "
	                                          "dsn=4.1.1, status=SOFTBOUNCE (no such user)");

	ck_assert_int_eq(seen.status, ATTEMPT_DEFERRED);
	ck_assert(seen.soft_bounce);
	ck_assert(!read_as("smtp", attempts[1].text).soft_bounce);
}
END_TEST

START_TEST(a_pipe_service_is_no_host)
{
	struct observation seen = read_as("pipe", "AD6E41: to=<a@b>, relay=dovecot, delay=1, "
	                                          "dsn=2.0.0, status=sent (delivered via dovecot)");

	same("pipe", "host", seen.relay_host, NULL);
	same("pipe", "service", seen.service, "pipe");
}
END_TEST

START_TEST(a_delivery_names_the_message_that_it_became)
{
	static const struct {
		const char *status, *id;
		enum child_link link;
	} rows[] = {
	        {"sent (forwarded as 4jX9fR4tRGz1dLRH)", "4jX9fR4tRGz1dLRH", CHILD_FORWARDED},
	        {"sent (250 2.0.0 Ok: queued as 153053D)", "153053D", CHILD_REQUEUED},
	        {"sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as "
	         "1310930001DB)",
	                "1310930001DB", CHILD_REQUEUED},
	        {"sent (250 Ok: queued as AAAAAA, queued as BBBBBB)", "BBBBBB", CHILD_REQUEUED},
	        {"sent (250 2.0.0 OK sink-id=1)", NULL, CHILD_NONE},
	        {"sent (250 queued as )", NULL, CHILD_NONE},
	        {"sent (delivered to command: echo queued as 153053D)", NULL, CHILD_NONE},
	        {"deferred (host x[1.2.3.4] said: 450 queued as 153053D)", NULL, CHILD_NONE},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strconcat(
		        "AD6E41: to=<a@b>, relay=x[1.2.3.4]:25, status=", rows[i].status, NULL);
		struct observation seen = read_as("smtp", text);
		same(text, "new queue id", seen.new_queue_id, rows[i].id);
		ck_assert_msg(seen.link == rows[i].link, "%s: link %d", text, seen.link);
	}
}
END_TEST

/* Refusals. */

struct refusal {
	const char *text, *queue_id, *stage, *host, *ip, *port, *code, *dsn, *reason, *from, *to,
	        *helo;
};

static const struct refusal refusals[] = {
        {"NOQUEUE: reject: RCPT from x.example[192.0.2.1]: 550 5.1.1 <c@d>: Recipient address "
         "rejected: no; "
         "from=<a@b> to=<c@d> proto=ESMTP helo=<h>",
                NULL, "RCPT", "x.example", "192.0.2.1", NULL, "550", "5.1.1",
                "550 5.1.1 <c@d>: Recipient address rejected: no", "a@b", "c@d", "h"},
        {"00ADB3C0899: reject: RCPT from x[2001:db8::1]:4321: 450 no dsn; from=<> to=<c@d> "
         "proto=ESMTP "
         "helo=<h>",
                "00ADB3C0899", "RCPT", "x", "2001:db8::1", "4321", "450", NULL, "450 no dsn", "",
                "c@d", "h"},
        {"reject: RCPT from x[192.0.2.1]: 452 Message size exceeds fixed limit; from=<a@b> "
         "to=<c@d>",
                NULL, "RCPT", "x", "192.0.2.1", NULL, "452", NULL,
                "452 Message size exceeds fixed limit", "a@b", "c@d", NULL},
        {"NOQUEUE: reject: RCPT from unk[192.0.2.1]: 550 5.7.1 Client host rejected: no name, "
         "[192.0.2.1]",
                NULL, "RCPT", "unk", "192.0.2.1", NULL, "550", "5.7.1",
                "550 5.7.1 Client host rejected: no name, [192.0.2.1]", NULL, NULL, NULL},
        {"NOQUEUE: reject: CONNECT from unknown[unknown]: 421 4.7.1 no; proto=SMTP", NULL,
                "CONNECT", "unknown", NULL, NULL, "421", "4.7.1", "421 4.7.1 no", NULL, NULL, NULL},
        {"NOQUEUE: reject: RCPT from [213.0.113.1]:45263: 450 4.3.2 later; from=<a@b>, to=<c@d>, "
         "proto=ESMTP, helo=<h>",
                NULL, "RCPT", NULL, "213.0.113.1", "45263", "450", "4.3.2", "450 4.3.2 later",
                "a@b", "c@d", "h"},
        {"NOQUEUE: reject: CONNECT from [1.2.3.4]:5678: too many connections", NULL, "CONNECT",
                NULL, "1.2.3.4", "5678", NULL, NULL, "too many connections", NULL, NULL, NULL},
        {"NOQUEUE: reject: RCPT from [1.2.3.4]:5: 550 5.7.1 Service unavailable; client [1.2.3.4] "
         "blocked "
         "using zen; from=<a@b>, to=<c@d>, proto=ESMTP, helo=<x>",
                NULL, "RCPT", NULL, "1.2.3.4", "5", "550", "5.7.1",
                "550 5.7.1 Service unavailable; client [1.2.3.4] blocked using zen", "a@b", "c@d",
                "x"},
        {"AD6E41: milter-reject: END-OF-MESSAGE from x[1.2.3.4]: 5.7.1 no; from=<a@b> to=<c@d> "
         "proto=SMTP "
         "helo=<h>",
                "AD6E41", "END-OF-MESSAGE", "x", "1.2.3.4", NULL, NULL, "5.7.1", "5.7.1 no", "a@b",
                "c@d", "h"},
        {"NOQUEUE: milter-reject: MAIL from x[1.2.3.4]: 554 5.7.1 no; from=<a@b> proto=ESMTP "
         "helo=<h>",
                NULL, "MAIL", "x", "1.2.3.4", NULL, "554", "5.7.1", "554 5.7.1 no", "a@b", NULL,
                "h"},
        {"proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=1 - INFECTED; from=<a@b> to=<c@d> "
         "proto=ESMTP "
         "helo=<h>",
                NULL, "END-OF-MESSAGE", NULL, NULL, NULL, "554", "5.7.0",
                "554 5.7.0 Reject, id=1 - INFECTED", "a@b", "c@d", "h"},
        {"NOQUEUE: proxy-reject: END-OF-MESSAGE: ; from=<a@b> to=<c@d> proto=SMTP helo=<h>", NULL,
                "END-OF-MESSAGE", NULL, NULL, NULL, NULL, NULL, "", "a@b", "c@d", "h"},
        {"AD6E41: reject: header Subject: hc from x[1.2.3.4]; from=<a@b> to=<c@d> proto=ESMTP "
         "helo=<h>: "
         "5.7.1 policy",
                "AD6E41", "header", "x", "1.2.3.4", NULL, NULL, "5.7.1", "5.7.1 policy", "a@b",
                "c@d", "h"},
        {"AD6E41: reject: body pills from local; from=<a@b>", "AD6E41", "body", NULL, NULL, NULL,
                NULL, NULL, NULL, "a@b", NULL, NULL},
        {"AD6E41: reject: content Received: x from y[1.2.3.4]; from=<a@b> to=<c@d> proto=ESMTP "
         "helo=.y>: "
         "5.7.1 no",
                "AD6E41", "content", "y", "1.2.3.4", NULL, NULL, "5.7.1", "5.7.1 no", "a@b", "c@d",
                ".y>"},
        {"AD6E41: reject: BDAT from x[1.2.3.4]: 550 5.5.3 <DATA>: no; from=<> to=<c@d> proto=ESMTP "
         "helo=<h>",
                "AD6E41", "BDAT", "x", "1.2.3.4", NULL, "550", "5.5.3", "550 5.5.3 <DATA>: no", "",
                "c@d", "h"},
        /* Hostile: addresses, HELO names, header text and quoted replies that pose as fields. */
        {"NOQUEUE: reject: RCPT from x[1.2.3.4]: 550 5.1.1 <\"; from=<f@f> to=<g@g>\"@d>: no; "
         "from=<\"x> "
         "to=<y\"@b> to=<\"; from=<f@f> to=<g@g>\"@d> proto=ESMTP helo=<h>",
                NULL, "RCPT", "x", "1.2.3.4", NULL, "550", "5.1.1",
                "550 5.1.1 <\"; from=<f@f> to=<g@g>\"@d>: no", "\"x> to=<y\"@b",
                "\"; from=<f@f> to=<g@g>\"@d", "h"},
        {"NOQUEUE: reject: RCPT from x[1.2.3.4]: 550 5.1.1 <c@d>: no: host y[5.6.7.8] said: 550 z; "
         "from=<f@f> to=<g@g> proto=SMTP helo=<i> (in reply to RCPT TO command); from=<a@b> "
         "to=<c@d> "
         "proto=ESMTP helo=<h>",
                NULL, "RCPT", "x", "1.2.3.4", NULL, "550", "5.1.1",
                "550 5.1.1 <c@d>: no: host y[5.6.7.8] said: 550 z; from=<f@f> to=<g@g> proto=SMTP "
                "helo=<i> (in reply to RCPT TO command)",
                "a@b", "c@d", "h"},
        {"AD6E41: reject: header Subject: x from e[6.6.6.6]; from=<f@f> to=<g@g> proto=SMTP "
         "helo=<i>: 5.0.0 "
         "e from x[1.2.3.4]; from=<a@b> to=<c@d> proto=ESMTP helo=<h>: 5.7.1 policy",
                "AD6E41", "header", "x", "1.2.3.4", NULL, NULL, "5.7.1", "5.7.1 policy", "a@b",
                "c@d", "h"},
};

START_TEST(refusals_are_read_with_what_they_tell)
{
	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
		const struct refusal *want = &refusals[i];
		struct observation seen = read_as("smtpd", want->text);
		ck_assert_msg(
		        seen.kind == OBSERVATION_REJECT, "%s: kind %d", want->text, seen.kind);
		same(want->text, "queue id", seen.queue_id, want->queue_id);
		same(want->text, "stage", seen.stage, want->stage);
		same(want->text, "host", seen.client_host, want->host);
		same(want->text, "ip", seen.client_ip, want->ip);
		same(want->text, "port", seen.client_port, want->port);
		same(want->text, "code", seen.code, want->code);
		same(want->text, "dsn", seen.dsn, want->dsn);
		same(want->text, "reason", seen.reason, want->reason);
		same(want->text, "from", seen.from, want->from);
		same(want->text, "to", seen.to, want->to);
		same(want->text, "helo", seen.helo, want->helo);
	}
}
END_TEST

/* All the rest: kind, queue id and the rule's name. */

static const struct {
	const char *text;
	enum observation_kind kind;
	const char *queue_id, *rule;
} kinds[] = {
        /* Actions that refuse nothing. */
        {"NOQUEUE: reject_warning: RCPT from x[1.2.3.4]: 550 no; from=<a> to=<b>", OBSERVATION_NONE,
                NULL, "reject_warning"},
        {"NOQUEUE: warn: RCPT from x[1.2.3.4]: w; from=<a> to=<b>", OBSERVATION_NONE, NULL,
                "access warn"},
        {"NOQUEUE: hold: RCPT from x[1.2.3.4]: h; from=<a> to=<b>", OBSERVATION_NONE, NULL, "hold"},
        {"NOQUEUE: discard: RCPT from x[1.2.3.4]: d; from=<a> to=<b>", OBSERVATION_NONE, NULL,
                "discard"},
        {"NOQUEUE: redirect: RCPT from x[1.2.3.4]: r; from=<a> to=<b>", OBSERVATION_NONE, NULL,
                "redirect"},
        {"NOQUEUE: filter: RCPT from x[1.2.3.4]: f; from=<a> to=<b>", OBSERVATION_NONE, NULL,
                "filter"},
        {"proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as AD6E41; from=<a> to=<b>",
                OBSERVATION_NONE, NULL, "proxy-accept"},
        {"NOQUEUE: client=x[1.2.3.4]", OBSERVATION_NONE, NULL, "before-queue client"},
        {"NOQUEUE: milter-discard: MAIL from x[1.2.3.4]: d; from=<a>", OBSERVATION_NONE, NULL,
                "milter-discard"},
        {"AD6E41: hold: header x from y[1.2.3.4]; from=<a> to=<b>", OBSERVATION_NOTE, "AD6E41",
                "hold"},
        {"AD6E41: milter-hold: END-OF-MESSAGE from x[1.2.3.4]: m", OBSERVATION_NOTE, "AD6E41",
                "milter-hold"},
        {"AD6E41: warning: header x from y[1.2.3.4]; from=<a>", OBSERVATION_NOTE, "AD6E41",
                "header warning"},
        {"AD6E41: prepend: header x from y[1.2.3.4]; from=<a>: p", OBSERVATION_NOTE, "AD6E41",
                "prepend"},
        {"AD6E41: milter-header-redirect: header x from y[1.2.3.4]; from=<a>", OBSERVATION_NOTE,
                "AD6E41", "milter-header action"},
        {"AD6E41: milter-header-reject: header x from y[1.2.3.4]; from=<a>: 5.7.1 n",
                OBSERVATION_REJECT, "AD6E41", "milter-header-reject"},
        {"AD6E41: discard: header x from y[1.2.3.4]; from=<a>: d", OBSERVATION_CANCEL, "AD6E41",
                "discard"},
        {"AD6E41: milter-discard: END-OF-MESSAGE from x[1.2.3.4]: m", OBSERVATION_CANCEL, "AD6E41",
                "milter-discard"},
        {"warning: AD6E41: queue file size limit exceeded", OBSERVATION_CANCEL, "AD6E41",
                "message given up"},
        {"warning: AD6E41: sender_canonical_maps map lookup problem for a@b -- message not "
         "accepted, try "
         "again later",
                OBSERVATION_CANCEL, "AD6E41", "message given up"},
        {"warning: 009314BD9E: read timeout on cleanup socket", OBSERVATION_NONE, NULL, "warning"},
        /* A message's life. */
        {"AD6E41: removed", OBSERVATION_REMOVED, "AD6E41", "removed"},
        {"AD6E41: removed by hand", OBSERVATION_UNPARSED, "AD6E41", ""},
        {"AD6E41: requeued", OBSERVATION_NOTE, "AD6E41", "requeued"},
        {"AD6E41: placed on hold", OBSERVATION_NOTE, "AD6E41", "put on hold"},
        {"AD6E41: skipped, still being delivered", OBSERVATION_NOTE, "AD6E41",
                "still being delivered"},
        {"AD6E41: host x[1.2.3.4] said: 450 to=<a@b>, status=sent (x)", OBSERVATION_NOTE, "AD6E41",
                "host said"},
        {"AD6E41: host x[1.2.3.4] refused to talk to me: 554 no", OBSERVATION_NOTE, "AD6E41",
                "host refused"},
        {"AD6E41: conversation with x[1.2.3.4] timed out while x", OBSERVATION_NOTE, "AD6E41",
                "conversation timed out"},
        {"AD6E41: lost connection with x[1.2.3.4] while x", OBSERVATION_NOTE, "AD6E41",
                "lost connection"},
        {"AD6E41: enabling PIX workarounds: x for y[1.2.3.4]:25", OBSERVATION_NOTE, "AD6E41",
                "PIX workaround"},
        {"AD6E41: SASL authentication failed; server x[1.2.3.4] said: 535 no", OBSERVATION_NOTE,
                "AD6E41", "SASL login failed"},
        {"AD6E41: something new", OBSERVATION_UNPARSED, "AD6E41", ""},
        {"NOQUEUE: something new", OBSERVATION_UNPARSED, NULL, ""},
        /* Chatter. */
        {"connect from x[1.2.3.4]", OBSERVATION_NONE, NULL, "connect"},
        {"disconnect from x[1.2.3.4] ehlo=1 quit=1 commands=2", OBSERVATION_NONE, NULL,
                "disconnect"},
        {"statistics: max connection rate 1/60s for (smtpd:1.2.3.4) at Nov 22 00:00:00",
                OBSERVATION_NONE, NULL, "statistics"},
        {"fatal: watchdog timeout", OBSERVATION_NONE, NULL, "fatal"},
        {"NOQUEUE: fatal: update queue file: File too large", OBSERVATION_NONE, NULL, "fatal"},
        {"cache btree:/x full cleanup: retained=1 dropped=0 entries", OBSERVATION_NONE, NULL,
                "cache clean-up"},
        {"send attr queue_id = AD6E41", OBSERVATION_NONE, NULL, "without queue id and fields"},
        {"> x[1.2.3.4]: 250 2.0.0 Ok: queued as AD6E41", OBSERVATION_NONE, NULL,
                "without queue id and fields"},
        {"reload -- version 3.7.11, configuration /etc/postfix", OBSERVATION_NONE, NULL, "reload"},
        {"", OBSERVATION_NONE, NULL, "without queue id and fields"},
};

START_TEST(every_other_line_has_its_kind_and_rule)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		struct observation seen = read_as("smtpd", kinds[i].text);
		ck_assert_msg(seen.kind == kinds[i].kind, "%s: kind %d", kinds[i].text, seen.kind);
		ck_assert_msg(strcmp(seen.rule, kinds[i].rule) == 0, "%s: rule %s", kinds[i].text,
		        seen.rule);
		same(kinds[i].text, "queue id", seen.queue_id, kinds[i].queue_id);
	}
}
END_TEST

#define REFUSED \
	"NOQUEUE: milter-reject: RCPT from x[1.2.3.4]: 554 5.7.1 no; from=<a@b> to=<c@d> " \
	"proto=ESMTP helo=<h> sasl_username=<"
#define FORGED "; from=<f@f> to=<g@g> proto=ESMTP helo=<i>"

START_TEST(the_name_of_a_login_in_a_refusal_ends_with_the_line)
{
	struct observation seen = read_as("smtpd", REFUSED "u> to=<g@g>, \"v>");

	same("refusal", "user", seen.sasl_username, "u> to=<g@g>, \"v");
	same("refusal", "to", seen.to, "c@d");
	same("refusal", "reason", seen.reason, "554 5.7.1 no");
	seen = read_as("smtpd", REFUSED "u, cut");
	same("refusal", "user", seen.sasl_username, NULL);
	same("refusal", "to", seen.to, "c@d");
}
END_TEST

START_TEST(a_refusal_with_a_login_that_reads_in_two_ways_has_no_recipient)
{
	GString *reply =
	        g_string_new("NOQUEUE: milter-reject: RCPT from x[1.2.3.4]: 554 5.7.1 no" FORGED
	                     " sasl_username=<");

	for (int i = 0; i < 100; i++)
		g_string_append(reply, "; to=");
	g_string_append(reply, "; from=<a@b> to=<c@d> proto=ESMTP helo=<h> sasl_username=<u>");
	const char *const texts[] = {
	        REFUSED FORGED ">", REFUSED "u" FORGED " sasl_username=<v>", reply->str};
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		struct observation seen = read_as("smtpd", texts[i]);
		ck_assert_int_eq(seen.kind, OBSERVATION_REJECT);
		same(texts[i], "to", seen.to, NULL);
		same(texts[i], "user", seen.sasl_username, NULL);
		same(texts[i], "code", seen.code, "554");
	}
	g_string_free(reply, TRUE);
}
END_TEST

START_TEST(the_client_line_tells_the_login_or_the_message_before_the_filter)
{
	struct observation seen = read_as("smtpd",
	        "AD6E41: client=x.example[2001:db8::1]:4711, sasl_method=PLAIN, sasl_username=u, "
	        "v@b, c=d, sasl_sender=<s@b>");

	ck_assert_int_eq(seen.kind, OBSERVATION_CLIENT);
	same("client", "host", seen.client_host, "x.example");
	same("client", "ip", seen.client_ip, "2001:db8::1");
	same("client", "port", seen.client_port, "4711");
	same("client", "method", seen.sasl_method, "PLAIN");
	same("client", "user", seen.sasl_username, "u, v@b, c=d");
	same("client", "orig", seen.orig_queue_id, NULL);
	seen = read_as("smtpd", "AD6E41: client=localhost[127.0.0.1], orig_queue_id=00ADB3C0899, "
	                        "orig_client=y[1.2.3.4]");
	same("client", "user", seen.sasl_username, NULL);
	same("client", "orig", seen.orig_queue_id, "00ADB3C0899");
}
END_TEST

/* AUTH= of MAIL FROM is printed as the client sent it. */
START_TEST(a_client_line_tells_nothing_of_what_stands_behind_a_text_of_the_client)
{
	struct observation seen = read_as("smtpd",
	        "AD6E41: client=x[1.2.3.4], sasl_method=PLAIN, sasl_username=u, sasl_sender=\"x, "
	        "sasl_method=LOGIN, sasl_username=boss, orig_queue_id=00ADB3C0899, z=\"");

	same("client", "method", seen.sasl_method, "PLAIN");
	same("client", "user", seen.sasl_username, "u");
	same("client", "orig", seen.orig_queue_id, NULL);
	seen = read_as("smtpd",
	        "AD6E41: client=x[1.2.3.4], sasl_method=PLAIN, "
	        "sasl_username=u@r, orig_queue_id=00ADB3C0899, orig_client=y[1.2.3.4]");
	same("client", "user", seen.sasl_username, "u@r");
	same("client", "orig", seen.orig_queue_id, NULL);
	seen = read_as("smtpd", "AD6E41: client=x[1.2.3.4], sasl_sender=x, sasl_username=boss, "
	                        "orig_queue_id=00ADB3C0899");
	same("client", "user", seen.sasl_username, NULL);
	same("client", "orig", seen.orig_queue_id, NULL);
}
END_TEST

START_TEST(a_pickup_tells_user_and_the_id_before_requeueing)
{
	struct observation seen =
	        read_as("pickup", "4jX9g50jKpz1dLM8: uid=103 from=<a@b> orig_id=4jX9fR2yl1z1dLQK");

	ck_assert_int_eq(seen.kind, OBSERVATION_PICKUP);
	same("pickup", "uid", seen.uid, "103");
	same("pickup", "from", seen.from, "a@b");
	same("pickup", "orig", seen.orig_queue_id, "4jX9fR2yl1z1dLQK");
	seen = read_as("pickup", "AD6E41: uid=0 from=<>");
	same("pickup", "from", seen.from, "");
	same("pickup", "orig", seen.orig_queue_id, NULL);
}
END_TEST

START_TEST(message_ids_come_in_many_forms)
{
	static const struct {
		const char *text, *id;
		bool resent;
	} rows[] = {
	        {"AD6E41: message-id=<a@b>", "<a@b>", false},
	        {"AD6E41: resent-message-id=<a@b>", "<a@b>", true},
	        {"AD6E41: message-id=<>", NULL, false},
	        {"AD6E41: message-id=", NULL, false},
	        {"AD6E41: message-id=a@b", "a@b", false},
	        {"AD6E41: message-id=<a b @c>", "<a b @c>", false},
	        {"AD6E41: message-id=<a@b> (a comment)", "<a@b>", false},
	        {"AD6E41: message-id=<x>, status=sent (evil) to=<y@z>",
	                "<x>, status=sent (evil) to=<y@z>", false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct observation seen = read_as("cleanup", rows[i].text);
		ck_assert_int_eq(seen.kind, OBSERVATION_MESSAGE_ID);
		same(rows[i].text, "message id", seen.message_id, rows[i].id);
		ck_assert(seen.resent == rows[i].resent);
	}
}
END_TEST

START_TEST(the_queue_manager_tells_sender_size_and_expiry)
{
	struct observation seen =
	        read_as("qmgr", "AD6E41: from=<\"a, b>c\"@x>, size=350, nrcpt=2 (queue active)");

	ck_assert_int_eq(seen.kind, OBSERVATION_ACTIVE);
	same("active", "from", seen.from, "\"a, b>c\"@x");
	ck_assert_int_eq(seen.size, 350);
	ck_assert_int_eq(seen.nrcpt, 2);
	seen = read_as("qmgr", "AD6E41: from=<a@x, @y>, size=1, nrcpt=1 (queue active)");
	same("active", "from", seen.from, "a@x, @y");
	seen = read_as("qmgr", "AD6E41: from=a@x, size=1, nrcpt=1 (queue active)");
	same("active", "from", seen.from, "a@x");
	seen = read_as("qmgr", "AD6E41: from=<>, status=expired, returned to sender");
	ck_assert_int_eq(seen.kind, OBSERVATION_EXPIRED);
	same("expired", "from", seen.from, "");
	same("expired", "reason", seen.reason, "expired, returned to sender");
	seen = read_as("qmgr", "AD6E41: from=<a@x>, status=force-expired, returned to sender");
	ck_assert_int_eq(seen.kind, OBSERVATION_EXPIRED);
	ck_assert_int_eq(read_as("qmgr", "AD6E41: from=<a@x>, size=1").kind, OBSERVATION_UNPARSED);
	ck_assert_int_eq(
	        read_as("qmgr", "AD6E41: from=<a@x>, status=odd").kind, OBSERVATION_UNPARSED);
}
END_TEST

START_TEST(notifications_are_children)
{
	static const struct {
		const char *text;
		enum child_link link;
	} rows[] = {
	        {"AD6E41: sender non-delivery notification: 7446BCD68", CHILD_BOUNCE},
	        {"AD6E41: sender delay notification: 7446BCD68", CHILD_DELAY},
	        {"AD6E41: sender delivery status notification: 7446BCD68", CHILD_SUCCESS},
	        {"AD6E41: postmaster non-delivery notification: 7446BCD68", CHILD_POSTMASTER},
	        {"AD6E41: postmaster delay notification: 7446BCD68", CHILD_POSTMASTER},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct observation seen = read_as("bounce", rows[i].text);
		ck_assert_int_eq(seen.kind, OBSERVATION_CHILD);
		ck_assert_int_eq(seen.link, rows[i].link);
		same(rows[i].text, "new queue id", seen.new_queue_id, "7446BCD68");
	}
}
END_TEST

START_TEST(queue_ids_are_told_from_other_words)
{
	static const char *const good[] = {"9795DAAC0AF", "4104E3D", "65AFB8B5", "DEADBE",
	        "ED06590130AA1C9D6D862", "4jX9fR2v28z1dLQC", "3mPVKl0Mhjz7sXv", "3lyw1l0Nwdz2xGs",
	        /* z among the first ten */
	        "4jX9fRzv28z1dLQC", "zzzzzzzzzzz1", "44JCRG5tYPzCqt2", "4jX9Ts090fz1d8vc"};
	static const char *const bad[] = {"", "ABCDE", "NOQUEUE", "warning", "statistics",
	        "4jX9fR2v28", "4jX9fR2v28z", "4jX9fR2v28zAEIO", "4jX9fR2v2zz", "9795daac0af",
	        "9795DAAC0AG", "4jX9fR2v28a1dLQC", "4jX9 R2v28z1dLQC",
	        "0123456789012345678901234567890123456789"};

	for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
		ck_assert_msg(postfix_queue_id(slice_str(good[i])), "%s", good[i]);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		ck_assert_msg(!postfix_queue_id(slice_str(bad[i])), "%s", bad[i]);
}
END_TEST

START_TEST(programs_of_postfix_are_known_by_their_names)
{
	static const struct {
		const char *program;
		bool speaks;
		const char *daemon;
	} rows[] = {
	        {"postfix/smtpd", true, "smtpd"},
	        {"postfix/submission/smtpd", true, "smtpd"},
	        {"postfix-out/relay/smtp", true, "smtp"},
	        {"postfix-secondary/qmgr", true, "qmgr"},
	        {"postfix/tlsproxy", true, "tlsproxy"},
	        {"postfix/policy-spf", false, NULL},
	        {"postfix-out/evil", false, NULL},
	        {"postfix-out", true, NULL},
	        {"postfixadmin", false, NULL},
	        {"postfix/", false, NULL},
	        {"postfix", true, NULL},
	        {"postfix-script", true, "postfix-script"},
	        {"out/smtp", true, "smtp"},
	        {"out/imap", false, NULL},
	        {"smtpd", false, NULL},
	        {"dovecot", false, NULL},
	        {"sendmail", false, NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct slice daemon = SLICE_NONE;
		bool speaks = postfix_dialect.speaks(slice_str(rows[i].program), &daemon);
		ck_assert_msg(speaks == rows[i].speaks, "%s", rows[i].program);
		if (speaks)
			same(rows[i].program, "daemon", daemon, rows[i].daemon);
	}
}
END_TEST

START_TEST(every_rule_names_its_source_and_every_cut_line_is_read_safely)
{
	for (const struct log_rule *rule = postfix_message_rules; rule->name != NULL; rule++)
		ck_assert(rule->source != NULL && rule->starts.n > 0);
	for (const struct log_rule *rule = postfix_plain_rules; rule->name != NULL; rule++)
		ck_assert(rule->source != NULL && rule->starts.n > 0);
	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
		for (size_t n = 0; n <= strlen(refusals[i].text); n++) {
			struct observation seen = OBSERVATION_INIT;
			g_autofree char *copy = g_memdup2(refusals[i].text, n);
			struct syslog_line line = {.text = slice_make(copy, n)};
			struct dialect_line in = {.line = &line, .daemon = SLICE("smtpd")};
			postfix_dialect.read(&in, &seen);
			ck_assert_ptr_nonnull(seen.rule);
		}
	}
}
END_TEST

UNIT_MAIN("postfix", attempts_are_read_in_the_order_of_their_fields,
        a_cut_attempt_without_its_status_is_unparsed,
        a_local_part_that_poses_as_a_delivery_is_unparsed, a_soft_bounce_is_a_deferral_and_says_so,
        a_pipe_service_is_no_host, a_delivery_names_the_message_that_it_became,
        refusals_are_read_with_what_they_tell, every_other_line_has_its_kind_and_rule,
        the_client_line_tells_the_login_or_the_message_before_the_filter,
        a_client_line_tells_nothing_of_what_stands_behind_a_text_of_the_client,
        the_name_of_a_login_in_a_refusal_ends_with_the_line,
        a_refusal_with_a_login_that_reads_in_two_ways_has_no_recipient,
        a_pickup_tells_user_and_the_id_before_requeueing, message_ids_come_in_many_forms,
        the_queue_manager_tells_sender_size_and_expiry, notifications_are_children,
        queue_ids_are_told_from_other_words, programs_of_postfix_are_known_by_their_names,
        every_rule_names_its_source_and_every_cut_line_is_read_safely)
