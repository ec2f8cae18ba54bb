/* Envelopes of the milter, and mails that go through several queue files. */
#include "tests/unit/trace_script.h"

#define BIRTH "10 A1 client ip=192.0.2.1", "10 A1 mid id=<m1@x.example>"
#define ENVELOPE \
	"10 A1 env rcpt=B@y.example,c@y.example subject=Hello friendly=F@News.example " \
	"transmission=77 meta={\"k\":1}"
#define ACTIVE "10 A1 active from=s@x.example size=321"
#define SENT_B "12 A1 sent to=B@y.example"
#define SENT_C "12 A1 sent to=c@y.example"
#define REMOVED "12 A1 removed"
#define OTHER "80 Z1 client ip=192.0.2.1"

static const struct trace_config no_log = {.log_followed = false};

static struct trace_counts counts_of(const struct trace_config *config, const char *const *lines)
{
	struct outcome *outcome = outcome_new();
	struct trace_hooks hooks = outcome_hooks(outcome);
	struct trace *trace = trace_new(script_config(config), &hooks, NULL);

	for (unsigned i = 0; lines[i] != NULL; i++)
		script_feed(trace, lines[i]);
	struct trace_counts counts = trace_counts(trace);
	trace_free(&trace);
	outcome_free(outcome);
	return counts;
}

START_TEST(log_and_milter_make_one_injection_each_whichever_comes_first)
{
	const char *const log[] = {BIRTH, ACTIVE, SENT_B, SENT_C, REMOVED, NULL};

	for (unsigned at = 0; at < G_N_ELEMENTS(log); at++) {
		const char *lines[G_N_ELEMENTS(log) + 2] = {NULL};
		unsigned n = 0;
		for (unsigned i = 0; i < G_N_ELEMENTS(log); i++) {
			if (i == at)
				lines[n++] = ENVELOPE;
			lines[n++] = log[i];
		}
		struct outcome *o = script_run(NULL, lines);
		unsigned injections = 0;
		for (unsigned i = 0; i < o->events->len; i++) {
			bool injection = g_str_has_prefix(o->events->pdata[i], "injection");
			injections += injection;
			check_same(o, i, 0, "message_id");
			/* What was written before the milter was heard stays as it is. */
			if (at <= 3 || (at == 4 && i >= 2))
				check_field(o, i, "subject", "Hello");
		}
		ck_assert_uint_eq(injections, 2);
		ck_assert_uint_eq(o->events->len, 4);
		ck_assert_uint_eq(o->repeated, 0);
		outcome_free(o);
	}
}
END_TEST

START_TEST(an_envelope_adds_what_only_the_milter_knows)
{
	struct outcome *o = script_run(NULL, SCRIPT(ENVELOPE, BIRTH, ACTIVE, SENT_B));

	check_events(
	        o, WANT("injection b@y.example", "injection c@y.example", "delivery b@y.example"));
	for (unsigned i = 0; i < 3; i++) {
		check_field(o, i, "subject", "Hello");
		check_field(o, i, "friendly_from", "F@News.example");
		check_field(o, i, "sending_domain", "news.example");
		check_field(o, i, "transmission_id", "77");
		check_field(o, i, "template_id", "smtp_77");
		check_field(o, i, "rcpt_meta", "{\"k\":1}");
		check_field(o, i, "msg_from", "s@x.example");
		check_field(o, i, "msg_size", "321");
	}
	outcome_free(o);
}
END_TEST

START_TEST(recipients_that_the_mta_added_are_injected_at_their_first_line)
{
	struct outcome *o =
	        script_run(NULL, SCRIPT(ENVELOPE, BIRTH, ACTIVE, "12 A1 sent to=archive@x.example",
	                                 "12 A1 sent to=B@y.example orig=rewritten@x.example"));

	check_events(o, WANT("injection b@y.example", "injection c@y.example",
	                        "injection archive@x.example", "delivery archive@x.example",
	                        "delivery b@y.example"));
	outcome_free(o);
}
END_TEST

START_TEST(without_a_log_the_milter_alone_injects_at_once)
{
	struct outcome *o = script_run(&no_log, SCRIPT(ENVELOPE));

	check_events(o, WANT("injection b@y.example", "injection c@y.example"));
	check_field(o, 0, "queue_id", "A1");
	outcome_free(o);
}
END_TEST

START_TEST(the_milter_alone_injects_when_the_log_is_silent_for_too_long)
{
	struct outcome *o = script_run(NULL, SCRIPT(ENVELOPE, "69 - tick"));

	check_events(o, WANT(NULL));
	outcome_free(o);
	o = script_run(NULL, SCRIPT(ENVELOPE, "71 - tick", BIRTH, ACTIVE, SENT_B, REMOVED));
	check_events(
	        o, WANT("injection b@y.example", "injection c@y.example", "delivery b@y.example"));
	check_same(o, 2, 0, "message_id");
	check_field(o, 2, "subject", "Hello");
	outcome_free(o);
}
END_TEST

START_TEST(a_held_mail_is_injected_after_the_time_out_with_the_birth_of_the_log)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT("8 A1 client ip=192.0.2.1", ENVELOPE, "71 - tick",
	                "500 A1 active from=s@x.example size=5", "501 A1 sent to=B@y.example"));

	check_events(
	        o, WANT("injection b@y.example", "injection c@y.example", "delivery b@y.example"));
	ck_assert_ptr_nonnull(strstr(o->events->pdata[0], " at 2026-11-22T00:00:08.000Z"));
	check_same(o, 2, 0, "message_id");
	outcome_free(o);
}
END_TEST

START_TEST(a_mail_refused_or_discarded_after_our_milter_is_never_injected)
{
	const char *const verdicts[] = {"10 A1 cancel",
	        "10 A1 reject stage=END-OF-MESSAGE from=s@x.example to=B@y.example code=550",
	        "10 A1 reject stage=DATA from=s@x.example to=B@y.example code=451"};

	for (unsigned i = 0; i < G_N_ELEMENTS(verdicts); i++) {
		const char *const *orders[] = {
		        SCRIPT(BIRTH, ENVELOPE, verdicts[i], "80 - tick", OTHER),
		        SCRIPT(ENVELOPE, BIRTH, verdicts[i], "80 - tick", OTHER),
		        SCRIPT(BIRTH, verdicts[i], ENVELOPE, "80 - tick", OTHER)};
		for (unsigned k = 0; k < G_N_ELEMENTS(orders); k++) {
			struct outcome *o = script_run(NULL, orders[k]);
			for (unsigned e = 0; e < o->events->len; e++)
				ck_assert(
				        g_str_has_prefix(o->events->pdata[e], "policy_rejection"));
			ck_assert_uint_eq(o->events->len, i != 0);
			outcome_free(o);
			ck_assert_uint_eq(counts_of(NULL, orders[k]).cancelled, 1);
		}
	}
}
END_TEST

START_TEST(a_recipient_that_a_milter_behind_ours_refused_is_not_injected)
{
	static const struct trace_config with_milter = {.log_followed = true, .milter = true};
	const char *const refusal = "10 A1 reject stage=RCPT to=C@y.example ip=192.0.2.1 code=550";
	const char *const early = "9 - reject stage=RCPT to=C@y.example ip=192.0.2.1 code=550";
	const char *const *orders[] = {
	        SCRIPT(BIRTH, refusal, ENVELOPE, ACTIVE, SENT_B, REMOVED),
	        SCRIPT(ENVELOPE, BIRTH, refusal, ACTIVE, SENT_B, REMOVED),
	        SCRIPT(early, BIRTH, ENVELOPE, ACTIVE, SENT_B, REMOVED),
	        SCRIPT(early, ENVELOPE, BIRTH, ACTIVE, SENT_B, REMOVED),
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(orders); i++) {
		struct outcome *o = script_run(&with_milter, orders[i]);
		check_events(o, WANT("policy_rejection c@y.example", "injection b@y.example",
		                        "delivery b@y.example"));
		outcome_free(o);
	}
}
END_TEST

START_TEST(a_recipient_refused_and_then_accepted_is_injected_once)
{
	static const struct trace_config with_milter = {.log_followed = true, .milter = true};
	static const char *const others[] = {"9 - reject stage=RCPT to=c@y.example ip=192.0.2.2",
	        "-90 - reject stage=RCPT to=c@y.example ip=192.0.2.1"};
	const char *const again = "9 - reject stage=RCPT to=c@y.example ip=192.0.2.1";
	struct outcome *o = script_run(
	        &with_milter, SCRIPT(again, BIRTH, ENVELOPE, ACTIVE, SENT_B, SENT_C, REMOVED));

	check_events(o,
	        WANT("policy_rejection c@y.example", "injection b@y.example",
	                "delivery b@y.example", "injection c@y.example", "delivery c@y.example"));
	check_field(o, 3, "subject", "Hello");
	outcome_free(o);
	/* Of another client, or long ago: that was another mail. */
	for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
		o = script_run(&with_milter, SCRIPT(others[i], BIRTH, ENVELOPE, ACTIVE, SENT_B));
		check_events(o, WANT("policy_rejection c@y.example", "injection b@y.example",
		                        "injection c@y.example", "delivery b@y.example"));
		outcome_free(o);
	}
}
END_TEST

START_TEST(a_vague_envelope_joins_the_only_mail_that_it_fits)
{
#define VAGUE "10 A1 env rcpt=B@y.example subject=Hello vague=1"
	const char *const *orders[] = {
	        SCRIPT(VAGUE, BIRTH, ACTIVE, SENT_B), SCRIPT(BIRTH, ACTIVE, VAGUE, SENT_B)};

	for (unsigned i = 0; i < 2; i++) {
		struct outcome *o = script_run(NULL, orders[i]);
		check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
		check_field(o, 1, "subject", "Hello");
		outcome_free(o);
	}
	struct outcome *o =
	        script_run(NULL, SCRIPT("500 A1 env rcpt=B@y.example vague=1", BIRTH, ACTIVE));
	check_events(o, WANT(NULL));
	outcome_free(o);
}
END_TEST

START_TEST(a_vague_envelope_that_fits_two_mails_joins_none)
{
	const char *const *lines =
	        SCRIPT(VAGUE, BIRTH, "10 A1 client ip=192.0.2.7 instance=out", ACTIVE, SENT_B);
	struct outcome *o = script_run(NULL, lines);

	check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
	check_field(o, 0, "subject", "");
	ck_assert_uint_eq(counts_of(NULL, lines).ambiguous, 1);
	outcome_free(o);
}
END_TEST

START_TEST(an_envelope_of_the_next_life_of_a_queue_id_waits_for_it)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(BIRTH, ACTIVE, SENT_B, REMOVED, "40 A1 env rcpt=d@y.example subject=Second",
	                "40 A1 client ip=192.0.2.1", "40 A1 active from=t@x.example size=1",
	                "41 A1 sent to=d@y.example"));

	check_events(o, WANT("injection b@y.example", "delivery b@y.example",
	                        "injection d@y.example", "delivery d@y.example"));
	check_field(o, 1, "subject", "");
	check_field(o, 3, "subject", "Second");
	outcome_free(o);
}
END_TEST

static unsigned missed(bool milter, const char *const *lines)
{
	const struct trace_config config = {.log_followed = true, .milter = milter};
	struct outcome *o = script_run(&config, lines);
	unsigned n = o->missed;

	outcome_free(o);
	return n;
}

START_TEST(mails_that_the_milter_missed_are_counted)
{
	const char *const *lines = SCRIPT(ENVELOPE, BIRTH, ACTIVE, SENT_B, REMOVED, "20 A2 client",
	        "20 A2 active from=s@x.example size=1", "21 A2 sent to=b@y.example",
	        "21 A2 sent to=c@y.example", "21 A2 removed", "22 A3 client",
	        "22 A3 active from=s@x.example size=1", "23 A3 removed", "100 - tick");

	ck_assert_uint_eq(missed(true, lines), 2);
	ck_assert_uint_eq(missed(false, lines), 0);
	ck_assert_uint_eq(missed(true, SCRIPT(BIRTH, ACTIVE, SENT_B, REMOVED, "100 - tick")), 0);
}
END_TEST

/* ---- content filters ---- */

#define IN "10 A1 client ip=192.0.2.1", "10 A1 mid id=<m1@x.example>", ACTIVE
#define HOP(RCPT) \
	"11 A1 sent to=" RCPT " relay=127.0.0.1:10024 service=smtp reason=250_queued_as_B1 new=B1"
#define BACK_MID "11 B1 mid id=<m1@x.example>"
#define BACK_ACTIVE "11 B1 active from=s@x.example size=400"
#define OUT(RCPT) "13 B1 sent to=" RCPT " relay=192.0.2.9:25"

static void check_one_story(struct outcome *o)
{
	check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
	check_same(o, 1, 0, "message_id");
	check_field(o, 1, "queue_id", "B1");
	check_field(o, 1, "msg_size", "321");
	check_field(o, 1, "remote_addr", "192.0.2.1");
	ck_assert_ptr_nonnull(strstr(o->events->pdata[1], " of 2026-11-22T00:00:10.000Z"));
	outcome_free(o);
}

START_TEST(a_reinjection_continues_its_mail_in_every_order_of_lines)
{
	check_one_story(script_run(NULL,
	        SCRIPT(IN, "11 B1 client ip=127.0.0.1 old=A1", BACK_MID, BACK_ACTIVE,
	                HOP("b@y.example"), "11 A1 removed", OUT("b@y.example"), "13 B1 removed")));
	check_one_story(script_run(NULL,
	        SCRIPT(IN, "11 B1 client ip=127.0.0.1", BACK_MID, BACK_ACTIVE, HOP("b@y.example"),
	                "11 A1 removed", OUT("b@y.example"), "13 B1 removed")));
	check_one_story(script_run(
	        NULL, SCRIPT(IN, HOP("b@y.example"), "11 A1 removed", "11 B1 client ip=127.0.0.1",
	                      BACK_MID, BACK_ACTIVE, OUT("b@y.example"), "13 B1 removed")));
}
END_TEST

START_TEST(delivery_may_be_logged_before_the_filter_answers)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(IN, "11 B1 client ip=127.0.0.1 old=A1", BACK_MID, BACK_ACTIVE,
	                OUT("b@y.example"), "13 B1 removed", HOP("b@y.example"), "13 A1 removed"));

	check_events(o, WANT("delivery b@y.example", "injection b@y.example"));
	check_same(o, 1, 0, "message_id");
	outcome_free(o);
}
END_TEST

START_TEST(a_known_filter_without_xforward_is_recognised_by_the_message_id_header)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT("1 X1 client ip=192.0.2.1", "1 X1 active from=a@b size=1",
	                "2 X1 sent to=c@d relay=127.0.0.1:10024 new=Y1", "2 X1 removed", IN,
	                "11 B1 client ip=127.0.0.1", BACK_MID, BACK_ACTIVE, OUT("b@y.example"),
	                "13 B1 removed", HOP("b@y.example"), "13 A1 removed"));

	check_events(o, WANT("injection c@d", "delivery b@y.example", "injection b@y.example"));
	check_same(o, 2, 1, "message_id");
	outcome_free(o);
}
END_TEST

START_TEST(the_first_filtered_mail_is_one_though_its_deliveries_are_logged_before_the_hops)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT("10 A1 client ip=192.0.2.1", "10 A1 mid id=<m1@x.example>",
	                "10 A1 active from=s@x.example size=321", "11 B1 client ip=127.0.0.1",
	                "11 B1 mid id=<m1@x.example>", "11 B1 active from=s@x.example size=500",
	                "11 C1 client ip=127.0.0.1", "11 C1 mid id=<m1@x.example>",
	                "11 C1 active from=s@x.example size=500",
	                "12 B1 sent to=b@y.example relay=192.0.2.9:25", "12 B1 removed",
	                "12 C1 sent to=c@y.example relay=192.0.2.9:25", "12 C1 removed",
	                "12 A1 sent to=b@y.example relay=127.0.0.1:10024 new=B1",
	                "12 A1 sent to=c@y.example relay=127.0.0.1:10024 new=C1", "12 A1 removed"));

	check_events(o, WANT("delivery b@y.example", "delivery c@y.example",
	                        "injection b@y.example", "injection c@y.example"));
	for (unsigned i = 1; i < 4; i++)
		check_same(o, i, 0, "message_id");
	outcome_free(o);
}
END_TEST

/* A list server on this host gives a mail of another host back as its own. */
START_TEST(a_mail_that_was_delivered_here_and_sent_on_is_another_mail)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT("10 A1 client ip=192.0.2.1", "10 A1 mid id=<m1@x.example>",
	                "10 A1 active from=s@x.example size=321", "11 A1 sent to=list@y.example",
	                "11 A1 removed", "11 B1 client ip=127.0.0.1", "11 B1 mid id=<m1@x.example>",
	                "11 B1 active from=s@x.example size=500",
	                "12 B1 sent to=b@y.example relay=192.0.2.9:25", "12 B1 removed"));

	check_events(o, WANT("injection list@y.example", "delivery list@y.example",
	                        "injection b@y.example", "delivery b@y.example"));
	outcome_free(o);
}
END_TEST

START_TEST(an_alias_that_is_forwarded_is_no_filtered_mail)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT("1 X1 client ip=192.0.2.1", "1 X1 active from=a@b size=1",
	                "2 X1 sent to=c@d relay=127.0.0.1:10024 new=Y1", "2 X1 removed",
	                "10 A1 client ip=127.0.0.1", "10 A1 mid id=<m1@x.example>",
	                "10 A1 active from=s@x.example size=321", "10 B1 mid id=<m1@x.example>",
	                "10 B1 active from=s@x.example size=500",
	                "10 A1 forwarded to=list@y.example new=B1", "10 A1 removed",
	                "10 B1 sent to=b@z.example orig=list@y.example"));

	check_events(o, WANT("injection c@d", "injection list@y.example", "delivery list@y.example",
	                        "injection list@y.example", "delivery b@z.example"));
	outcome_free(o);
}
END_TEST

START_TEST(copies_under_one_message_id_header_are_not_taken_for_reinjections)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT("10 A1 client ip=127.0.0.1", "10 A1 mid id=<m1@x.example>", ACTIVE,
	                      "10 B1 client ip=127.0.0.1", "10 B1 mid id=<m1@x.example>",
	                      "10 B1 active from=s@x.example size=321", OUT("c@y.example"),
	                      "13 B1 removed", SENT_B, REMOVED));

	ck_assert_uint_eq(o->events->len, 4);
	g_autofree char *one = event_field(o->events->pdata[1], "message_id");
	g_autofree char *two = event_field(o->events->pdata[3], "message_id");
	ck_assert_str_ne(one, two);
	outcome_free(o);
}
END_TEST

START_TEST(three_hops_are_one_mail)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(IN, "11 B1 client ip=127.0.0.1 old=A1", BACK_MID, BACK_ACTIVE,
	                HOP("b@y.example"), "11 A1 removed", "12 C1 client ip=127.0.0.1",
	                "12 C1 mid id=<m1@x.example>", "12 C1 active from=s@x.example size=500",
	                "12 B1 sent to=b@y.example relay=127.0.0.1:10026 new=C1", "12 B1 removed",
	                "14 C1 deferred to=b@y.example code=450", "900 C1 sent to=b@y.example",
	                "900 C1 removed"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "delivery b@y.example"));
	check_same(o, 1, 0, "message_id");
	check_same(o, 2, 0, "message_id");
	check_field(o, 2, "queue_id", "C1");
	check_field(o, 2, "num_retries", "1");
	outcome_free(o);
}
END_TEST

/* The beginning of the mail itself is not in the log; what follows the hop is told of the mail
 * whether it stands before the line that joins them or behind it. */
START_TEST(a_reinjection_tells_what_the_log_has_lost_of_the_mail_before)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT("11 B1 client ip=127.0.0.1", BACK_MID, BACK_ACTIVE, HOP("b@y.example"),
	                      "11 A1 removed", "12 B1 deferred to=b@y.example code=450"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example"));
	check_same(o, 1, 0, "message_id");
	check_field(o, 1, "header_message_id", "m1@x.example");
	check_field(o, 1, "msg_from", "s@x.example");
	check_field(o, 1, "msg_size", "400");
	outcome_free(o);
}
END_TEST

START_TEST(trouble_with_the_filter_is_told)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(IN, "11 A1 deferred to=b@y.example relay=127.0.0.1:10024 code=451",
	                "200 A1 sent to=b@y.example relay=127.0.0.1:10024 reason=250_discarded"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "delivery b@y.example"));
	outcome_free(o);
}
END_TEST

START_TEST(a_relay_that_is_not_internal_is_a_delivery_though_it_queues_the_mail)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(IN, "11 A1 sent to=b@y.example relay=127.0.0.1:10027 new=B1"));

	check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
	outcome_free(o);

	static const struct trace_config wide = {
	        .log_followed = true, .internal_relays = "10.0.0.0, [::1]:10027-10029 127.0.0.1"};
	o = script_run(&wide, SCRIPT(IN, "11 A1 sent to=b@y.example relay=127.0.0.1:10027 new=B1"));
	check_events(o, WANT("injection b@y.example"));
	outcome_free(o);
	o = script_run(&wide, SCRIPT(IN, "11 A1 sent to=b@y.example relay=::1:10030 new=B1"));
	check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
	outcome_free(o);
}
END_TEST

START_TEST(a_milter_at_both_listeners_injects_once)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT("10 A1 env rcpt=b@y.example subject=Hello", IN,
	                      "11 B1 client ip=127.0.0.1 old=A1",
	                      "11 B1 env rcpt=b@y.example,extra@y.example subject=[SPAM]_Hello",
	                      BACK_MID, BACK_ACTIVE, HOP("b@y.example"), "11 A1 removed",
	                      OUT("b@y.example"), "13 B1 removed", "200 - tick"));

	check_field(o, 1, "subject", "Hello");
	check_one_story(o);
}
END_TEST

START_TEST(a_milter_behind_the_filter_enriches_but_does_not_inject)
{
	struct outcome *o =
	        script_run(NULL, SCRIPT(IN, "11 B1 client ip=127.0.0.1 old=A1",
	                                 "11 B1 env rcpt=b@y.example,extra@y.example subject=Hello",
	                                 BACK_MID, BACK_ACTIVE, HOP("b@y.example"), "11 A1 removed",
	                                 OUT("b@y.example"), "200 - tick"));

	check_field(o, 1, "subject", "Hello");
	check_one_story(o);
}
END_TEST

START_TEST(a_requeued_mail_goes_on_under_its_new_queue_id)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(IN, "11 A1 deferred to=b@y.example code=450", "11 A1 note",
	                      "20 R1 pickup from=s@x.example old=A1", "20 R1 mid id=<m1@x.example>",
	                      "20 R1 active from=s@x.example size=400",
	                      "21 R1 deferred to=b@y.example code=450",
	                      "900 R1 expired from=s@x.example", "900 R1 removed"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "delay b@y.example",
	                        "bounce b@y.example"));
	check_same(o, 3, 0, "message_id");
	check_field(o, 2, "num_retries", "1");
	check_field(o, 3, "num_retries", "2");
	check_field(o, 2, "recv_method", "esmtp");
	outcome_free(o);
}
END_TEST

UNIT_MAIN("trace_join", log_and_milter_make_one_injection_each_whichever_comes_first,
        an_envelope_adds_what_only_the_milter_knows,
        recipients_that_the_mta_added_are_injected_at_their_first_line,
        without_a_log_the_milter_alone_injects_at_once,
        the_milter_alone_injects_when_the_log_is_silent_for_too_long,
        a_held_mail_is_injected_after_the_time_out_with_the_birth_of_the_log,
        a_mail_refused_or_discarded_after_our_milter_is_never_injected,
        a_recipient_that_a_milter_behind_ours_refused_is_not_injected,
        a_recipient_refused_and_then_accepted_is_injected_once,
        a_vague_envelope_joins_the_only_mail_that_it_fits,
        a_vague_envelope_that_fits_two_mails_joins_none,
        an_envelope_of_the_next_life_of_a_queue_id_waits_for_it,
        mails_that_the_milter_missed_are_counted,
        a_reinjection_continues_its_mail_in_every_order_of_lines,
        delivery_may_be_logged_before_the_filter_answers,
        a_known_filter_without_xforward_is_recognised_by_the_message_id_header,
        the_first_filtered_mail_is_one_though_its_deliveries_are_logged_before_the_hops,
        a_mail_that_was_delivered_here_and_sent_on_is_another_mail,
        an_alias_that_is_forwarded_is_no_filtered_mail,
        copies_under_one_message_id_header_are_not_taken_for_reinjections, three_hops_are_one_mail,
        a_reinjection_tells_what_the_log_has_lost_of_the_mail_before,
        trouble_with_the_filter_is_told,
        a_relay_that_is_not_internal_is_a_delivery_though_it_queues_the_mail,
        a_milter_at_both_listeners_injects_once,
        a_milter_behind_the_filter_enriches_but_does_not_inject,
        a_requeued_mail_goes_on_under_its_new_queue_id)
