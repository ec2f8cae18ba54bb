#include "logtail/sendmail.h"

#include <glib.h>

#include "tests/support/unit.h"

#define MOST 100

/* What the dialect gives for one line; slices point into `room` and the text. */
struct got {
	unsigned n;
	struct observation seen[MOST];
	GString *room;
};

static struct got read_slice(struct slice text)
{
	struct got got = {.room = g_string_sized_new(text.n + 1)};
	struct syslog_line line = {.text = text, .repeat = 1};
	struct dialect_line in = {.line = &line, .daemon = SLICE("sm-mta"), .text = got.room};
	struct observation seen = OBSERVATION_INIT;
	bool more;

	do {
		ck_assert_uint_lt(got.n, MOST);
		more = sendmail_dialect.read(&in, &seen);
		ck_assert_ptr_nonnull(seen.rule);
		got.seen[got.n++] = seen;
		in.given++;
	} while (more);
	return got;
}

static void got_free(struct got *got)
{
	g_string_free(got->room, TRUE);
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

#define REST "delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30082, relay=mx.b. [192.0.2.1], "

static const struct attempt {
	const char *text;
	enum attempt_status status;
	const char *to, *host, *ip, *dsn, *code, *reason, *link;
	int64_t delay_ms;
} attempts[] = {
        {"6AM1SV7P010303: to=<a@b>, " REST "dsn=2.0.0, stat=Sent (OK sink-id=1)", ATTEMPT_SENT,
                "a@b", "mx.b", "192.0.2.1", "2.0.0", NULL, "OK sink-id=1", NULL, 1000},
        {"jB7EhgPD029789: to=<a@b>, ctladdr=<c@d> (5/60), delay=1+17:52:54, xdelay=00:00:01, "
         "mailer=esmtp, pri=1, relay=[192.0.2.1] [192.0.2.1], dsn=4.2.0, "
         "stat=Deferred: 450 4.2.0 <a@b>: busy, later",
                ATTEMPT_DEFERRED, "a@b", NULL, "192.0.2.1", "4.2.0", "450",
                "450 4.2.0 <a@b>: busy, later", NULL, 150774000},
        /* Fields in the other host's text, before and behind the real ones. */
        {"6AM1SV7P010303: to=<a@b>, " REST "dsn=5.1.1, reply=550 5.1.1 x, stat=Sent (ok), "
         "stat=User unknown",
                ATTEMPT_BOUNCED, "a@b", "mx.b", "192.0.2.1", "5.1.1", "550",
                "550 5.1.1 x, stat=Sent (ok)", NULL, 1000},
        {"6AM1SV7P010303: to=<a@b>, " REST "dsn=4.7.1, reply=450 x, stat=Sent (ok), "
         "stat=Deferred: 450 x, stat=Sent (ok)",
                ATTEMPT_DEFERRED, "a@b", "mx.b", "192.0.2.1", "4.7.1", "450",
                "450 x, stat=Sent (ok)", NULL, 1000},
        {"6AM1SV7P010303: to=<\"ok.x>, stat=Sent (x\"@b>, " REST "dsn=5.1.1, stat=User unknown",
                ATTEMPT_BOUNCED, "\"ok.x>, stat=Sent (x\"@b", "mx.b", "192.0.2.1", "5.1.1", NULL,
                "User unknown", NULL, 1000},
        {"6AM1SV7P010303: to=\"|cat >/dev/null, x\", " REST "dsn=2.0.0, stat=Sent", ATTEMPT_SENT,
                "\"|cat >/dev/null, x\"", "mx.b", "192.0.2.1", "2.0.0", NULL, NULL, NULL, 1000},
        {"6AM1SV7P010303: to=<a@b>, " REST "dsn=5.1.1, reply=550 Empf\\303\\244nger, "
         "stat=User unknown",
                ATTEMPT_BOUNCED, "a@b", "mx.b", "192.0.2.1", "5.1.1", "550", "550 Empf\303\244nger",
                NULL, 1000},
        {"6AM1SV7P010303: to=<a@b>, " REST "dsn=5.1.1, reply=550 8bit\\351\\377\\377 \\007, "
         "stat=User unknown",
                ATTEMPT_BOUNCED, "a@b", "mx.b", "192.0.2.1", "5.1.1", "550",
                "550 8bit\\351\\377\\377 \\007", NULL, 1000},
        {"6AM1SV7P010303: to=<a@b>, " REST "dsn=2.0.0, stat=Sent (\\n)", ATTEMPT_SENT, "a@b",
                "mx.b", "192.0.2.1", "2.0.0", NULL, NULL, NULL, 1000},
        {"6AM1SV7P010303: to=<a@b>, " REST "dsn=2.0.0, "
         "stat=Sent (5AM0aB09019182 Message accepted for delivery)",
                ATTEMPT_SENT, "a@b", "mx.b", "192.0.2.1", "2.0.0", NULL,
                "5AM0aB09019182 Message accepted for delivery", "5AM0aB09019182", 1000},
};

START_TEST(attempts_are_read_whatever_the_other_host_says)
{
	for (size_t i = 0; i < G_N_ELEMENTS(attempts); i++) {
		const struct attempt *want = &attempts[i];
		struct got got = read_slice(slice_str(want->text));
		const struct observation *seen = &got.seen[0];
		ck_assert_msg(got.n == 1 && seen->kind == OBSERVATION_ATTEMPT, "%s", want->text);
		ck_assert_msg(seen->status == want->status, "%s: status", want->text);
		ck_assert_msg(seen->delay_ms == want->delay_ms, "%s: delay", want->text);
		same(want->text, "to", seen->to, want->to);
		same(want->text, "host", seen->relay_host, want->host);
		same(want->text, "ip", seen->relay_ip, want->ip);
		same(want->text, "dsn", seen->dsn, want->dsn);
		same(want->text, "code", seen->code, want->code);
		same(want->text, "reason", seen->reason, want->reason);
		same(want->text, "link", seen->new_queue_id, want->link);
		same(want->text, "service", seen->service, "esmtp");
		ck_assert(!seen->hop);
		got_free(&got);
	}
}
END_TEST

START_TEST(a_line_with_many_recipients_gives_an_observation_for_each)
{
	static const char *const want[] = {"a@b", "\"x>,<y\"@c", "d@e"};
	const char *text = "6AM1SV7P010303: to=<a@b>,<\"x>,<y\"@c>,<d@e>,[more], " REST
	                   "dsn=2.0.0, stat=Sent (ok)";
	struct got got = read_slice(slice_str(text));

	ck_assert_uint_eq(got.n, G_N_ELEMENTS(want));
	for (size_t i = 0; i < G_N_ELEMENTS(want); i++) {
		ck_assert_int_eq(got.seen[i].kind, OBSERVATION_ATTEMPT);
		same(text, "to", got.seen[i].to, want[i]);
		same(text, "reason", got.seen[i].reason, "ok");
	}
	got_free(&got);
}
END_TEST

START_TEST(what_the_submission_client_hands_to_its_own_host_is_a_hop)
{
	struct got got = read_slice(
	        SLICE("21QCF5qn011753: to=root, delay=00:00:00, xdelay=00:00:00, mailer=relay, "
	              "pri=31054, relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, stat=Sent "
	              "(21QCF5O0011754 Message accepted for delivery)"));
	ck_assert(got.seen[0].hop);
	same("hop", "link", got.seen[0].new_queue_id, "21QCF5O0011754");
	got_free(&got);
	got = read_slice(
	        SLICE("21QBRGdX006005: to=This, ctladdr=root (0/0), delay=00:00:00, "
	              "mailer=relay, relay=[127.0.0.1] [127.0.0.1], dsn=5.1.1, stat=User unknown"));
	ck_assert(!got.seen[0].hop && got.seen[0].status == ATTEMPT_BOUNCED);
	got_free(&got);
}
END_TEST

START_TEST(the_controlling_address_is_told_of_one_recipient_that_no_client_named)
{
	static const struct {
		const char *to, *ctladdr, *want;
	} cases[] = {{"j@b", "<joe@mx.example> (5/60)", "joe@mx.example"},
	        {"\"|cat >/dev/null\"", "<p@mx.example> (65534/0)", "p@mx.example"},
	        {"/srv/box", "joe (5/60)", "joe"}, {"j@b", "joe", "joe"},
	        {"<j@b>", "<joe@mx.example> (5/60)", NULL},
	        {"j@b,k@b", "<joe@mx.example> (5/60)", NULL},
	        {"j@b", "<joe@a.long...name.example> (5/60)", NULL}, {"j@b", "<joe (5/60)", NULL},
	        {"j@b", "(5/60)", "(5/60)"}};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = g_strdup_printf("6AM1SV7P010303: to=%s, ctladdr=%s, " REST
		                                        "dsn=2.0.0, stat=Sent",
		        cases[i].to, cases[i].ctladdr);
		struct got got = read_slice(slice_str(text));
		same(text, "ctladdr", got.seen[0].ctladdr, cases[i].want);
		got_free(&got);
	}
}
END_TEST

static const struct row {
	const char *text;
	enum observation_kind kind;
	const char *queue_id, *from, *to, *code, *dsn, *reason, *stage, *client_host, *client_ip,
	        *message_id, *child;
} rows[] = {
        {"6AM1SV7P010303: from=<a@b>, size=82, class=0, nrcpts=1, msgid=<x@y>, bodytype=8BITMIME, "
         "proto=ESMTP, daemon=MTA, relay=c.example [192.0.2.9] (may be forged)",
                OBSERVATION_CLIENT, "6AM1SV7P010303", "a@b", .client_host = "c.example",
                .client_ip = "192.0.2.9", .message_id = "<x@y>"},
        {"6AM1SV7P010303: from=<>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, "
         "relay=[IPv6:2001:db8::1]",
                OBSERVATION_CLIENT, "6AM1SV7P010303", "", .client_ip = "2001:db8::1"},
        /* A Message-ID that poses as fields; one that is cut. */
        {"6AM1SXTW010500: from=<a@b>, size=9, class=0, nrcpts=1, msgid=<x>, proto=EVIL, relay=x "
         "(e) "
         "to=<y@z>, proto=ESMTP, daemon=MTA, relay=c.example [192.0.2.9]",
                OBSERVATION_CLIENT, "6AM1SXTW010500", "a@b", .client_host = "c.example",
                .client_ip = "192.0.2.9", .message_id = "<x>, proto=EVIL, relay=x (e) to=<y@z>"},
        {"6AM1SXin010503: from=<a@b>, size=9, class=0, nrcpts=1, msgid=<"
         "LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL"
         "LLL"
         "LLLLLLL, proto=ESMTP, daemon=MTA, relay=[192.0.2.9]",
                OBSERVATION_CLIENT, "6AM1SXin010503", "a@b", .client_ip = "192.0.2.9"},
        {"6AM1SXVm010549: from=games@b, size=82, class=0, nrcpts=2, msgid=<x@y>, "
         "relay=root@localhost",
                OBSERVATION_PICKUP, "6AM1SXVm010549", "games@b", .message_id = "<x@y>"},
        {"6AM1SWSN010428: ruleset=check_rcpt, arg1=<r@b>, relay=c.example [192.0.2.9], "
         "reject=550 5.7.1 <r@b>... policy says no",
                OBSERVATION_REJECT, "6AM1SWSN010428", NULL, "r@b", "550", "5.7.1",
                "550 5.7.1 <r@b>... policy says no", "RCPT", "c.example", "192.0.2.9"},
        {"6AM1SWKe010427: ruleset=check_mail, arg1=<s@b>, relay=[192.0.2.9], "
         "reject=553 5.1.8 <s@b>... no such domain",
                OBSERVATION_REJECT, "6AM1SWKe010427", "s@b", NULL, "553", "5.1.8",
                "553 5.1.8 <s@b>... no such domain", "MAIL", NULL, "192.0.2.9"},
        {"ruleset=check_relay, arg1=c.example, arg2=192.0.2.9, relay=c.example [192.0.2.9], "
         "reject=421 4.3.2 Too many open connections.",
                OBSERVATION_REJECT, NULL, NULL, NULL, "421", "4.3.2",
                "421 4.3.2 Too many open connections.", "CONNECT", "c.example", "192.0.2.9"},
        {"6AM1SWKe010427: ruleset=check_subject, arg1=x, relay=e [192.0.2.66], reject=250 no, "
         "relay=c.example [192.0.2.9], reject=554 5.7.0 spam",
                OBSERVATION_REJECT, "6AM1SWKe010427", NULL, NULL, "554", "5.7.0", "554 5.7.0 spam",
                "END-OF-MESSAGE", "c.example", "192.0.2.9"},
        {"6AM1SWKe010427: ruleset=tls_server, arg1=SOFTWARE, relay=mx.b, reject=403 4.7.0 no TLS",
                OBSERVATION_NOTE, "6AM1SWKe010427"},
        {"6AM1SX8I010519: Milter: to=<m@b>, reject=554 5.7.1 milter says no", OBSERVATION_REJECT,
                "6AM1SX8I010519", NULL, "m@b", "554", "5.7.1", "554 5.7.1 milter says no", "RCPT"},
        {"6AM1SXVc010509: Milter: from=<s@b>, reject=451 4.7.1 later", OBSERVATION_REJECT,
                "6AM1SXVc010509", "s@b", NULL, "451", "4.7.1", "451 4.7.1 later", "MAIL"},
        {"6AM1SXK6010511: Milter: cmd=data, reject=554 5.7.1 no", OBSERVATION_REJECT,
                "6AM1SXK6010511", NULL, NULL, "554", "5.7.1", "554 5.7.1 no", "DATA"},
        {"6AM1SXRa010513: Milter: data, reject=554 5.7.1 no", OBSERVATION_REJECT, "6AM1SXRa010513",
                NULL, NULL, "554", "5.7.1", "554 5.7.1 no", "END-OF-MESSAGE"},
        {"6AM1SXRa010513: milter=mlog, action=header, reject=554 5.7.1 no", OBSERVATION_NOTE,
                "6AM1SXRa010513"},
        {"6AM1SXRa010513: to=<m@b>, delay=00:00:00, pri=30102, stat=milter says no",
                OBSERVATION_CANCEL, "6AM1SXRa010513", .reason = "milter says no"},
        {"6AM1SWYN010401: <no@b>... User unknown", OBSERVATION_REFUSED, "6AM1SWYN010401", NULL,
                "no@b", .reason = "User unknown", .stage = "RCPT"},
        {"6AM1SXSl010526: to=<q@b>, delay=00:00:00, mailer=esmtp, pri=6, quarantine=lab, "
         "stat=quarantined",
                OBSERVATION_ACTIVE, "6AM1SXSl010526", NULL, "q@b"},
        {"6AM1SXuV010525: discarded", OBSERVATION_CANCEL, "6AM1SXuV010525"},
        {"6AM1TGsG011042: done; delay=00:00:00, ntries=1", OBSERVATION_REMOVED, "6AM1TGsG011042"},
        {"6AM1SVmX010312: 6AM1SVmX010314: DSN: User unknown", OBSERVATION_CHILD, "6AM1SVmX010312",
                "", .child = "6AM1SVmX010314"},
        {"6AM1SWf5010414: 6AM1SWf5010420: clone: owner=games", OBSERVATION_CHILD, "6AM1SWf5010414",
                .child = "6AM1SWf5010420"},
        {"s1NKIkZa093301: [192.0.2.9]: EXPN root [rejected]", OBSERVATION_NONE, "s1NKIkZa093301"},
        {"NOQUEUE: connect from c.example [192.0.2.9]", OBSERVATION_NONE},
        {"6AM1SVmX010312: to=<a@b>, delay=00:00:01, mailer=esm", OBSERVATION_UNPARSED,
                "6AM1SVmX010312"},
        /* The reply to a later command, behind that which counts; whose the last stat= is. */
        {"6AM1SV7P010303: to=<a@b>, delay=00:00:01, mailer=esmtp, dsn=5.5.1, reply=554 5.5.1 no, "
         "stat=Deferred: 450 4.2.1 busy",
                OBSERVATION_ATTEMPT, "6AM1SV7P010303", NULL, "a@b", "554", "5.5.1",
                .reason = "554 5.5.1 no"},
        {"6AM1SV7P010303: to=<a@b>, delay=00:00:01, mailer=esmtp, dsn=5.5.1, reply=554 5.5.1 no, "
         "stat=Deferred: 450 4.2.1 x, stat=User unknown",
                OBSERVATION_UNPARSED, "6AM1SV7P010303"},
        /* An address with an open quote: cut, or no address. */
        {"6AM1SV7P010303: to=<\"a@b>, delay=00:00:01, mailer=esmtp, dsn=2.0.0, stat=Sent (x",
                OBSERVATION_UNPARSED, "6AM1SV7P010303"},
        {"6AM1SWYN010401: <\"x@y>... z\"@b>... User unknown", OBSERVATION_REFUSED, "6AM1SWYN010401",
                NULL, "\"x@y>... z\"@b", .reason = "User unknown", .stage = "RCPT"},
        {"HAA01234: to=<a@b>, delay=00:00:01, mailer=smtp, relay=mx [192.0.2.1], stat=User unknown",
                OBSERVATION_ATTEMPT, "HAA01234", NULL, "a@b", .reason = "User unknown"},
};

START_TEST(each_form_of_line_is_told_apart)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct row *want = &rows[i];
		struct got got = read_slice(slice_str(want->text));
		const struct observation *seen = &got.seen[0];
		ck_assert_msg(got.n == 1, "%s: %u observations", want->text, got.n);
		ck_assert_msg(seen->kind == want->kind, "%s: kind %d", want->text, seen->kind);
		same(want->text, "queue id", seen->queue_id, want->queue_id);
		same(want->text, "from", seen->from, want->from);
		same(want->text, "to", seen->to, want->to);
		same(want->text, "code", seen->code, want->code);
		same(want->text, "dsn", seen->dsn, want->dsn);
		same(want->text, "reason", seen->reason, want->reason);
		same(want->text, "stage", seen->stage, want->stage);
		same(want->text, "client host", seen->client_host, want->client_host);
		same(want->text, "client ip", seen->client_ip, want->client_ip);
		same(want->text, "message id", seen->message_id, want->message_id);
		same(want->text, "child", seen->new_queue_id, want->child);
		got_free(&got);
	}
}
END_TEST

START_TEST(a_message_given_up_is_told_with_the_notice_about_it)
{
	struct got got = read_slice(SLICE("6AM1SVfF010329: 6AM1Sq3t010599: sender notify: "
	                                  "Cannot send message for 20 seconds"));

	ck_assert_uint_eq(got.n, 2);
	ck_assert_int_eq(got.seen[0].kind, OBSERVATION_EXPIRED);
	ck_assert_int_eq(got.seen[1].kind, OBSERVATION_CHILD);
	ck_assert_int_eq(got.seen[1].link, CHILD_BOUNCE);
	got_free(&got);
}
END_TEST

START_TEST(the_dialect_speaks_for_the_names_of_sendmail_only)
{
	static const struct {
		const char *program;
		bool speaks;
	} names[] = {{"sendmail", true}, {"sm-mta", true}, {"sm-msp-queue", true},
	        {"sm-acceptingconnections", true}, {"smtpd", false}, {"sendmailer", false},
	        {"sm", false}};
	struct slice daemon;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		ck_assert_msg(sendmail_dialect.speaks(slice_str(names[i].program), &daemon) ==
		                      names[i].speaks,
		        "%s", names[i].program);
}
END_TEST

static void check_table(const struct log_rule *rule)
{
	for (; rule->name != NULL; rule++)
		ck_assert_msg(rule->source != NULL && rule->starts.n > 0, "%s", rule->name);
}

START_TEST(lines_cut_off_anywhere_are_read_without_harm_and_rules_name_their_source)
{
	check_table(sendmail_message_rules);
	check_table(sendmail_child_rules);
	check_table(sendmail_plain_rules);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		for (size_t n = 0; n <= strlen(rows[i].text); n++) {
			g_autofree char *copy = g_memdup2(rows[i].text, n);
			struct got got = read_slice(slice_make(copy, n));
			got_free(&got);
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(attempts); i++) {
		for (size_t n = 0; n <= strlen(attempts[i].text); n++) {
			g_autofree char *copy = g_memdup2(attempts[i].text, n);
			struct got got = read_slice(slice_make(copy, n));
			got_free(&got);
		}
	}
}
END_TEST

UNIT_MAIN("sendmail", attempts_are_read_whatever_the_other_host_says,
        a_line_with_many_recipients_gives_an_observation_for_each,
        the_controlling_address_is_told_of_one_recipient_that_no_client_named,
        what_the_submission_client_hands_to_its_own_host_is_a_hop, each_form_of_line_is_told_apart,
        a_message_given_up_is_told_with_the_notice_about_it,
        the_dialect_speaks_for_the_names_of_sendmail_only,
        lines_cut_off_anywhere_are_read_without_harm_and_rules_name_their_source)
