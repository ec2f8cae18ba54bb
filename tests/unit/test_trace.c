#include "base/error.h"
#include "tests/unit/trace_script.h"
#include "trace/domains.h"

#define BIRTH "10 A1 client ip=192.0.2.1 port=4711", "10 A1 mid id=<m1@x.example>"
#define ACTIVE "10 A1 active from=S@x.example size=321"
#define SENT(TIME, TO) \
	TIME " A1 sent to=" TO \
	     " relay=192.0.2.9:25 host=mx.y.example service=smtp dsn=2.0.0 code=250 " \
	     "reason=250_ok delay=1500"
#define DEFERRED(TIME, TO) \
	TIME " A1 deferred to=" TO " relay=192.0.2.9:25 service=smtp dsn=4.2.1 code=450 " \
	     "reason=450_4.2.1_busy"

static const struct trace_config no_log = {.log_followed = false};

START_TEST(a_mail_is_injected_before_it_is_delivered)
{
	struct outcome *o =
	        script_run(NULL, SCRIPT(BIRTH, ACTIVE, SENT("12", "B@Y.example"), "12 A1 removed"));

	check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
	for (unsigned i = 0; i < 2; i++) {
		check_field(o, i, "rcpt_to", "b@y.example");
		check_field(o, i, "raw_rcpt_to", "B@Y.example");
		check_field(o, i, "recipient_domain", "y.example");
		check_field(o, i, "routing_domain", "y.example");
		check_field(o, i, "msg_from", "S@x.example");
		check_field(o, i, "msg_size", "321");
		check_field(o, i, "recv_method", "esmtp");
		check_field(o, i, "remote_addr", "192.0.2.1:4711");
		check_field(o, i, "header_message_id", "m1@x.example");
		check_field(o, i, "queue_id", "A1");
		check_field(o, i, "node_name", "mx");
		check_field(o, i, "customer_id", "1");
		check_field(o, i, "subaccount_id", "0");
		check_field(o, i, "template_version", "0");
		ck_assert_ptr_nonnull(strstr(o->events->pdata[i], " of 2026-11-22T00:00:10.000Z"));
	}
	ck_assert_ptr_nonnull(strstr(o->events->pdata[0], " at 2026-11-22T00:00:10.000Z"));
	ck_assert_ptr_nonnull(strstr(o->events->pdata[1], " at 2026-11-22T00:00:12.000Z"));
	check_same(o, 0, 1, "message_id");
	check_same(o, 0, 1, "transmission_id");
	check_field(o, 1, "num_retries", "0");
	check_field(o, 1, "queue_time", "1500");
	check_field(o, 1, "delv_method", "esmtp");
	check_field(o, 1, "ip_address", "192.0.2.9");
	check_field(o, 1, "mx_host", "mx.y.example");
	check_field(o, 1, "raw_reason", "250 ok");
	check_field(o, 1, "reason", "");
	check_field(o, 1, "bounce_class", "");
	outcome_free(o);
}
END_TEST

START_TEST(retries_are_counted_for_each_recipient)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(BIRTH, ACTIVE, DEFERRED("12", "b@y.example"), DEFERRED("12", "c@y.example"),
	                "300 A1 active from=S@x.example size=321", DEFERRED("301", "b@y.example"),
	                SENT("301", "c@y.example"), "900 A1 active from=S@x.example size=321",
	                SENT("901", "b@y.example"), "901 A1 removed"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "injection c@y.example",
	                        "delay c@y.example", "delay b@y.example", "delivery c@y.example",
	                        "delivery b@y.example"));
	check_field(o, 1, "num_retries", "0");
	check_field(o, 4, "num_retries", "1");
	check_field(o, 5, "num_retries", "1");
	check_field(o, 6, "num_retries", "2");
	check_field(o, 4, "bounce_class", "70");
	check_field(o, 4, "error_code", "450");
	check_field(o, 4, "dsn", "4.2.1");
	check_field(o, 4, "reason", "450 4.2.1 busy");
	outcome_free(o);
}
END_TEST

START_TEST(without_the_first_line_retries_are_unknown_and_birth_comes_from_the_delay)
{
	struct outcome *o = script_run(NULL, SCRIPT(SENT("100", "b@y.example")));

	check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
	check_field(o, 1, "num_retries", "");
	ck_assert_ptr_nonnull(strstr(o->events->pdata[1], " of 2026-11-22T00:01:38.500Z"));
	outcome_free(o);
}
END_TEST

START_TEST(the_first_delivery_tells_the_birth_of_a_mail_that_was_in_the_queue_before)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT("100 A1 active from=s@x.example size=1",
	                      "100.2 A1 deferred to=b@y.example delay=7000",
	                      "100 A2 active from=s@x.example size=1",
	                      "100 A2 deferred to=c@y.example delay=7000",
	                      /* the older piece of the log */
	                      "92 A1 client ip=192.0.2.1", "92 A1 active from=s@x.example size=1",
	                      "92 A1 deferred to=b@y.example delay=100"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "injection c@y.example",
	                        "delay c@y.example", "delay b@y.example"));
	check_same(o, 4, 0, "message_id");
	ck_assert_ptr_nonnull(strstr(o->events->pdata[0], " of 2026-11-22T00:01:33.200Z"));
	outcome_free(o);
}
END_TEST

START_TEST(a_long_queue_id_tells_the_birth)
{
	/* 4jX9Ts = 1795308625 = 2026-11-22T00:50:25Z (corpora/mta-lab/postfix-expire.log). */
	struct outcome *o = script_run(NULL, SCRIPT("4000 4jX9Ts01Cnz1d9C6 sent to=b@y.example",
	                                             "4001 4jX9Ts01Cnz1d9C6 removed"));

	check_events(o, WANT("injection b@y.example", "delivery b@y.example"));
	ck_assert_ptr_nonnull(strstr(o->events->pdata[0], " at 2026-11-22T00:50:25.000Z"));
	outcome_free(o);
}
END_TEST

START_TEST(a_soft_bounce_is_a_delay_and_a_probe_is_nothing)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(BIRTH, ACTIVE, "11 A1 softbounce to=b@y.example dsn=5.1.1 code=550",
	                "12 P1 mid id=<p@x>", "12 P1 active from=double-bounce@x.example size=1",
	                "12 P1 probe to=b@y.example", "12 P1 removed"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example"));
	outcome_free(o);
}
END_TEST

/* Events Ingest wants a method of each delivery and delay: of what is held back before anybody
 * tries, and of programs whose name a log has lost, too. */
START_TEST(each_delivery_and_delay_has_a_method_and_each_refusal_came_by_smtp)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(BIRTH, ACTIVE, "11 A1 deferred to=b@y.example service=error",
	                      "12 A1 deferred to=b@y.example relay=192.0.2.9:25",
	                      "13 A1 sent to=b@y.example service=uucp",
	                      "14 A1 bounced to=c@y.example service=error",
	                      "20 - reject stage=RCPT to=d@y.example code=550"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "delay b@y.example",
	                        "delivery b@y.example", "injection c@y.example",
	                        "bounce c@y.example", "policy_rejection d@y.example"));
	for (unsigned i = 1; i <= 3; i++)
		check_field(o, i, "delv_method", "esmtp");
	check_field(o, 5, "delv_method", "");
	check_field(o, 6, "recv_method", "esmtp");
	outcome_free(o);
}
END_TEST

START_TEST(an_alias_is_injected_once_under_the_name_that_the_sender_used)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(BIRTH, ACTIVE, "11 A1 sent to=a@y.example orig=List@x.example",
	                      "11 A1 sent to=b@y.example orig=List@x.example", "11 A1 removed"));

	check_events(o,
	        WANT("injection list@x.example", "delivery a@y.example", "delivery b@y.example"));
	check_field(o, 0, "raw_rcpt_to", "List@x.example");
	check_field(o, 1, "orig_rcpt_to", "List@x.example");
	outcome_free(o);
}
END_TEST

START_TEST(a_line_with_37_recipients_gives_37_events)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

	g_ptr_array_add(lines, g_strdup("10 A1 client ip=192.0.2.1"));
	for (unsigned i = 0; i < 37; i++)
		g_ptr_array_add(lines, g_strdup_printf("11 A1 sent to=r%u@y.example", i));
	g_ptr_array_add(lines, NULL);
	struct outcome *o = script_run(NULL, (const char *const *)lines->pdata);
	ck_assert_uint_eq(o->events->len, 74);
	ck_assert_uint_eq(o->repeated, 0);
	outcome_free(o);
}
END_TEST

START_TEST(equal_lines_of_one_second_are_told_apart)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(BIRTH, DEFERRED("11", "b@y.example"), DEFERRED("11", "b@y.example"),
	                      "20 - reject stage=CONNECT ip=192.0.2.5 code=554 repeat=3",
	                      "20 - reject stage=CONNECT ip=192.0.2.5 code=554"));

	ck_assert_uint_eq(o->repeated, 0);
	check_events(o, WANT("injection b@y.example", "delay b@y.example", "delay b@y.example",
	                        "policy_rejection -", "policy_rejection -", "policy_rejection -",
	                        "policy_rejection -"));
	check_field(o, 2, "num_retries", "1");
	outcome_free(o);
}
END_TEST

/* A refusal that says the same each time; the script's second is not part of its text. */
static void feed_refusal(struct trace *trace, double second, const char *who)
{
	struct step step;

	step_read(&step, "0 - reject stage=RCPT to=z@y.example ip=192.0.2.3 code=550");
	step.seen.line.time = SCRIPT_DAY + (int64_t)(second * 1000);
	step.seen.line.text = slice_str(who);
	trace_feed(trace, &step.seen);
	g_strfreev(step.words);
}

struct refusal {
	double second;
	const char *who;
};

static guint count_refusals(const struct refusal *refusals, size_t n)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);

	for (size_t i = 0; i < n; i++)
		feed_refusal(trace, refusals[i].second, refusals[i].who);
	trace_free(&trace);
	guint events = o->events->len;
	outcome_free(o);
	return events;
}

#define REFUSALS(...) \
	count_refusals((const struct refusal[]){__VA_ARGS__}, \
	        sizeof((const struct refusal[]){__VA_ARGS__}) / sizeof(struct refusal))

START_TEST(equal_lines_between_others_of_a_second_are_told_apart)
{
	ck_assert_uint_eq(REFUSALS({10, "c"}, {11, "a"}, {11, "b"}, {11, "d"}, {11, "b"}), 5);
	ck_assert_uint_eq(REFUSALS({10, "c"}, {10, "a"}, {10, "b"}, {10, "b"}, {10, "b"}), 5);
}
END_TEST

START_TEST(stamps_that_step_back_a_little_keep_what_was_counted)
{
	ck_assert_uint_eq(REFUSALS({10, "a"}, {12, "b"}, {10, "c"}, {11, "d"}, {10, "e"}, {12, "f"},
	                          {12, "g"}, {12, "f"}),
	        8);
	ck_assert_uint_eq(REFUSALS({10, "a"}, {12, "b"}, {10, "c"}, {10, "c"}, {12, "f"}), 5);
}
END_TEST

START_TEST(a_log_that_begins_again_is_another_reading)
{
	/* long before */
	ck_assert_uint_eq(
	        REFUSALS({10, "a"}, {10, "a"}, {20, "b"}, {10, "a"}, {10, "a"}, {20, "b"}), 3);
	/* within the last seconds: behind newer stamps, from the start of a second, in sequence */
	ck_assert_uint_eq(REFUSALS({10, "a"}, {10, "b"}, {11, "c"}, {10, "b"}, {11, "c"}), 3);
	ck_assert_uint_eq(REFUSALS({10, "a"}, {10, "b"}, {10, "a"}, {10, "b"}), 2);
	ck_assert_uint_eq(REFUSALS({9, "x"}, {10, "a"}, {10, "b"}, {10, "c"}, {9, "x"}, {10, "a"},
	                          {10, "b"}, {10, "c"}),
	        4);
}
END_TEST

START_TEST(expiry_bounces_who_was_still_deferred)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(BIRTH, ACTIVE, DEFERRED("12", "b@y.example"), SENT("12", "c@y.example"),
	                "12 A1 bounced to=d@y.example dsn=5.1.1 code=550 reason=550_no",
	                "500 A1 expired from=S@x.example", "500 A1 removed"));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "injection c@y.example",
	                        "delivery c@y.example", "injection d@y.example",
	                        "bounce d@y.example", "bounce b@y.example"));
	check_field(o, 6, "raw_reason",
	        "554 5.4.7 [internal] message timeout (last transfail: 450 4.2.1 busy)");
	check_field(o, 6, "error_code", "554");
	check_field(o, 6, "dsn", "5.4.7");
	check_field(o, 6, "bounce_class", "70");
	check_field(o, 6, "num_retries", "1");
	check_field(o, 5, "bounce_class", "10");
	outcome_free(o);
}
END_TEST

START_TEST(the_expiry_of_an_unknown_mail_invents_nobody)
{
	struct outcome *o =
	        script_run(NULL, SCRIPT("500 A1 expired from=S@x.example", "500 A1 removed"));

	check_events(o, WANT(NULL));
	outcome_free(o);
}
END_TEST

START_TEST(a_mail_removed_unsent_has_one_injection_without_recipient)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(BIRTH, ACTIVE, "13 A1 removed", "14 A2 client", "14 A2 removed"));

	check_events(o, WANT("injection -"));
	check_field(o, 0, "msg_from", "S@x.example");
	outcome_free(o);
}
END_TEST

START_TEST(a_short_queue_id_used_again_within_a_second_is_another_mail)
{
	struct outcome *o =
	        script_run(NULL, SCRIPT(BIRTH, ACTIVE, SENT("10", "b@y.example"), "10 A1 removed",
	                                 "11 A1 client ip=192.0.2.2", "11 A1 mid id=<m2@x.example>",
	                                 "11 A1 active from=T@x.example size=5",
	                                 SENT("11", "b@y.example"), "11 A1 removed"));

	check_events(o, WANT("injection b@y.example", "delivery b@y.example",
	                        "injection b@y.example", "delivery b@y.example"));
	check_field(o, 3, "msg_from", "T@x.example");
	check_field(o, 3, "header_message_id", "m2@x.example");
	check_field(o, 3, "num_retries", "0");
	g_autofree char *first = event_field(o->events->pdata[1], "message_id");
	g_autofree char *second = event_field(o->events->pdata[3], "message_id");
	ck_assert_str_ne(first, second);
	outcome_free(o);
}
END_TEST

START_TEST(a_queue_id_whose_removal_was_lost_starts_anew_at_its_next_client)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(BIRTH, ACTIVE, DEFERRED("10", "b@y.example"), "5000 A1 client ip=192.0.2.2",
	                "5000 A1 mid id=<m2@x.example>", SENT("5001", "b@y.example")));

	check_events(o, WANT("injection b@y.example", "delay b@y.example", "injection b@y.example",
	                        "delivery b@y.example"));
	check_field(o, 3, "num_retries", "0");
	outcome_free(o);
}
END_TEST

START_TEST(lines_that_come_after_the_end_still_belong_to_the_mail)
{
	struct outcome *o = script_run(NULL, SCRIPT(BIRTH, ACTIVE, SENT("12", "b@y.example"),
	                                             "12 A1 removed", SENT("11", "c@y.example")));

	check_events(o, WANT("injection b@y.example", "delivery b@y.example",
	                        "injection c@y.example", "delivery c@y.example"));
	check_same(o, 3, 1, "message_id");
	outcome_free(o);
}
END_TEST

START_TEST(a_bounce_names_the_mail_that_it_tells_of)
{
	const char *const *orders[] = {
	        SCRIPT(BIRTH, ACTIVE, "12 A1 bounced to=b@y.example dsn=5.1.1",
	                "12 N1 mid id=<n@x>", "12 N1 active from= size=2",
	                "12 A1 bounce-child new=N1", "12 A1 removed",
	                "13 N1 sent to=S@x.example service=local", "13 N1 removed"),
	        SCRIPT(BIRTH, ACTIVE, "12 A1 bounced to=b@y.example dsn=5.1.1",
	                "12 A1 bounce-child new=N1", "12 A1 removed", "12 N1 mid id=<n@x>",
	                "12 N1 active from= size=2", "13 N1 sent to=S@x.example service=local",
	                "13 N1 removed"),
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(orders); i++) {
		struct outcome *o = script_run(NULL, orders[i]);
		check_events(o, WANT("injection b@y.example", "bounce b@y.example",
		                        "injection s@x.example", "delivery s@x.example"));
		g_autofree char *parent = event_field(o->events->pdata[1], "message_id");
		check_field(o, 2, "parent_message_id", parent);
		check_field(o, 3, "parent_message_id", parent);
		check_field(o, 2, "recv_method", "local");
		ck_assert_ptr_nonnull(strstr(o->events->pdata[3], " msg_from= "));
		check_field(o, 3, "delv_method", "local");
		check_field(o, 3, "num_retries", "0");
		outcome_free(o);
	}
}
END_TEST

START_TEST(a_notification_that_is_gone_before_its_parent_is_told_came_in_locally)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT("12 N1234 mid id=<20261122.N1234@x.example>", "12 N1234 active from= size=2",
	                "13 N1234 sent to=s@x.example service=local", "13 N1234 removed"));

	check_events(o, WANT("injection s@x.example", "delivery s@x.example"));
	check_field(o, 0, "recv_method", "local");
	outcome_free(o);
}
END_TEST

START_TEST(how_a_mail_came_in_is_not_guessed)
{
	/* With a sender; and without one, but with a Message-ID of somebody else. */
	const char *const *others[] = {
	        SCRIPT("12 N1234 mid id=<N1234@x>", "12 N1234 active from=a@x.example size=2",
	                "13 N1234 sent to=s@x.example service=local"),
	        SCRIPT("12 N1234 mid id=<1@y>", "12 N1234 active from= size=2",
	                "13 N1234 sent to=s@x.example service=local"),
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
		struct outcome *o = script_run(NULL, others[i]);
		ck_assert_ptr_nonnull(strstr(o->events->pdata[0], " msg_from="));
		ck_assert_ptr_null(strstr(o->events->pdata[0], " recv_method="));
		outcome_free(o);
	}
}
END_TEST

START_TEST(a_forwarded_alias_is_delivered_and_goes_on_as_a_mail_of_its_own)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT(BIRTH, ACTIVE, "11 F1 mid id=<m1@x.example>",
	                "11 A1 forwarded to=alias@x.example new=F1", "11 A1 removed",
	                "11 F1 active from=owner@x.example size=5", "12 F1 sent to=c@y.example"));

	check_events(o, WANT("injection alias@x.example", "delivery alias@x.example",
	                        "injection c@y.example", "delivery c@y.example"));
	g_autofree char *parent = event_field(o->events->pdata[1], "message_id");
	check_field(o, 3, "parent_message_id", parent);
	g_autofree char *own = event_field(o->events->pdata[3], "message_id");
	ck_assert_str_ne(own, parent);
	outcome_free(o);
}
END_TEST

START_TEST(a_refusal_of_one_recipient_does_not_cancel_the_mail)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT("10 A1 client ip=192.0.2.1",
	                      "10 A1 reject stage=RCPT from=S@x.example to=Bad@y.example "
	                      "ip=192.0.2.1 code=550 "
	                      "dsn=5.1.1 reason=550_5.1.1_no",
	                      "10 A1 mid id=<m1@x.example>", ACTIVE, SENT("12", "b@y.example")));

	check_events(o, WANT("policy_rejection bad@y.example", "injection b@y.example",
	                        "delivery b@y.example"));
	check_same(o, 0, 2, "message_id");
	check_field(o, 0, "bounce_class", "25");
	check_field(o, 0, "smtp_stage", "RCPT");
	check_field(o, 0, "error_code", "550");
	check_field(o, 0, "queue_id", "A1");
	outcome_free(o);
}
END_TEST

START_TEST(a_refusal_without_queue_id_has_a_message_id_of_its_own)
{
	struct outcome *o = script_run(NULL,
	        SCRIPT("10 - reject stage=RCPT from= to=c@y.example ip=192.0.2.1 port=99 code=450 "
	               "dsn=4.7.1 reason=450_4.7.1_Greylisted"));
	g_autofree char *id = NULL;

	check_events(o, WANT("policy_rejection c@y.example"));
	id = event_field(o->events->pdata[0], "message_id");
	ck_assert_uint_eq(strlen(id), 20);
	check_field(o, 0, "queue_id", "");
	check_field(o, 0, "remote_addr", "192.0.2.1:99");
	check_field(o, 0, "bounce_class", "25");
	outcome_free(o);
}
END_TEST

START_TEST(a_refusal_that_only_the_milter_saw_counts_where_no_log_is_followed)
{
	static const struct trace_config *const configs[] = {NULL, &no_log};

	for (unsigned i = 0; i < 2; i++) {
		struct outcome *o = outcome_new();
		struct trace_hooks hooks = outcome_hooks(o);
		struct trace *trace = trace_new(script_config(configs[i]), &hooks, NULL);
		struct step step;

		step_read(&step, "10 - reject stage=RCPT to=c@y.example code=550");
		step.seen.line.text = SLICE_NONE;
		ck_assert_int_eq(
		        trace_feed(trace, &step.seen), i == 0 ? LEDGER_LINKED : LEDGER_EVENT);
		ck_assert_uint_eq(o->events->len, i);
		g_strfreev(step.words);
		trace_free(&trace);
		outcome_free(o);
	}
}
END_TEST

START_TEST(every_attempt_as_logged_is_what_attempts_gives)
{
	static const struct trace_config attempts = {.log_followed = true, .attempts = true};
	struct outcome *o = script_run(
	        &attempts, SCRIPT(BIRTH, ACTIVE, "11 B1 client ip=127.0.0.1 old=A1",
	                           "11 A1 sent to=b@y.example relay=127.0.0.1:10025 new=B1",
	                           "11 A1 removed", "12 B1 deferred to=b@y.example",
	                           "13 B1 expired from=S@x.example", "13 - reject stage=CONNECT"));

	check_events(o, WANT("delivery b@y.example", "delay b@y.example", "policy_rejection -"));
	outcome_free(o);
}
END_TEST

START_TEST(each_kind_of_line_has_its_class_in_the_ledger)
{
	static const struct {
		const char *line;
		enum ledger_class class;
	} rows[] = {{"1 - none", LEDGER_IGNORED}, {"1 - unparsed", LEDGER_UNPARSED},
	        {"2 A1 client ip=192.0.2.1", LEDGER_LINKED},
	        {"2 A1 active from=a@b", LEDGER_LINKED}, {"2 A1 note", LEDGER_LINKED},
	        {"2 A1 sent to=c@d", LEDGER_EVENT}, {"2 A1 probe to=c@d", LEDGER_LINKED},
	        {"2 A1 removed", LEDGER_LINKED}, {"3 - reject stage=MAIL", LEDGER_EVENT},
	        {"3 - client", LEDGER_LINKED}, {"3 - sent to=a@b", LEDGER_LINKED},
	        {"3 - bounce-child new=X1", LEDGER_LINKED}, {"4 - cancel", LEDGER_LINKED},
	        {"4 C1 cancel", LEDGER_LINKED}};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		ck_assert_msg(
		        script_feed(trace, rows[i].line) == rows[i].class, "%s", rows[i].line);
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

START_TEST(sending_ips_and_accounts_come_from_the_configuration)
{
	static const struct trace_config config = {.log_followed = true,
	        .customer_id = "77",
	        .subaccount_id = "8",
	        .sending_ips = "postfix-bulk/smtp=192.0.2.50,bulk\npostfix/smtp=192.0.2.51,main"};
	struct outcome *o = script_run(&config, SCRIPT(BIRTH, SENT("12", "b@y.example")));

	check_field(o, 1, "sending_ip", "192.0.2.51");
	check_field(o, 1, "ip_pool", "main");
	check_field(o, 1, "customer_id", "77");
	check_field(o, 1, "subaccount_id", "8");
	outcome_free(o);
}
END_TEST

START_TEST(a_configuration_that_makes_no_sense_is_refused)
{
	static const struct trace_config rows[] = {{.internal_relays = "127.0.0.1:0"},
	        {.internal_relays = "127.0.0.1:10026-10024"}, {.internal_relays = "localhost:25"},
	        {.internal_relays = "[::1"}, {.internal_relays = "[::1]25"},
	        {.internal_relays = "1.2.3.4:99999"}, {.sending_ips = "postfix/smtp"},
	        {.sending_ips = "postfix/smtp=host"}, {.sending_ips = "=1.2.3.4"},
	        {.join_timeout = -1}};
	const struct trace_hooks hooks = {0};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct error err = {0};
		ck_assert_ptr_null(trace_new(&rows[i], &hooks, &err));
		ck_assert_msg(err.set, "row %zu", i);
	}
}
END_TEST

START_TEST(old_mails_end_when_their_age_is_reached)
{
	static const struct trace_config config = {
	        .log_followed = true, .message_age = 100 * CLOCK_SECOND};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&config, &hooks, NULL);

	script_feed(trace, "10 A1 client");
	script_feed(trace, "60 A2 client");
	ck_assert_uint_eq(trace_counts(trace).open, 2);
	script_feed(trace, "111 Z9 note");
	ck_assert_uint_eq(trace_counts(trace).open, 1);
	script_feed(trace, "300 - none");
	script_feed(trace, "300 - reject stage=MAIL");
	ck_assert_uint_eq(trace_counts(trace).open, 0);
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

/* ---- what events carry, and what is documented ---- */

/* All that milter/ can tell. */
static const enum field letter_fields[] = {FIELD_AB_TEST_ID, FIELD_AB_TEST_VERSION, FIELD_AUTH_USER,
        FIELD_CAMPAIGN_ID, FIELD_CLICK_TRACKING, FIELD_CLIENT_HOST, FIELD_FRIENDLY_FROM,
        FIELD_FRIENDLY_NAME, FIELD_HEADER_MESSAGE_ID, FIELD_HELO, FIELD_INITIAL_PIXEL,
        FIELD_IP_POOL, FIELD_MSG_FROM, FIELD_OPEN_TRACKING, FIELD_RCPT_META, FIELD_RCPT_TAGS,
        FIELD_RECV_METHOD, FIELD_REMOTE_ADDR, FIELD_SUBACCOUNT_ID, FIELD_SUBJECT, FIELD_TEMPLATE_ID,
        FIELD_TEMPLATE_VERSION, FIELD_TLS_CIPHER, FIELD_TLS_VERSION, FIELD_TRANSACTIONAL,
        FIELD_TRANSMISSION_ID};

static void feed_full_letter(struct trace *trace, const char *line)
{
	struct step step;

	step_read(&step, line);
	for (size_t i = 0; i < G_N_ELEMENTS(letter_fields); i++)
		step.envelope.field[letter_fields[i]] = SLICE("1@x.example");
	for (size_t i = 0; i < step.envelope.recipients; i++) {
		step.recipient[i].type = SLICE("cc");
		step.recipient[i].meta = step.recipient[i].subs = SLICE("{\"k\":1}");
		step.recipient[i].tags = SLICE("[\"t\"]");
	}
	trace_feed(trace, &step.seen);
	g_strfreev(step.words);
}

static void note_fields(void *ctx, const struct event *event)
{
	bool(*seen)[FIELDS] = ctx;

	for (int f = 0; f < FIELDS; f++)
		seen[event->type][f] |= event->field[f].p != NULL;
}

/* Every step that gives an event, with all that a line can tell. */
static void run_full_story(const struct domains *inbound, bool seen[EVENT_TYPES][FIELDS])
{
#define OUTCOME(SECOND, KIND, NAME) \
	SECOND " A1 " KIND " to=" NAME "@y.example orig=o" NAME \
	       "@y.example service=smtp code=554 " \
	       "dsn=5.1.1 reason=554_no delay=2000 relay=192.0.2.9:25 host=mx.y.example"
	static const char *const steps[] = {"9 A0 client", "9 A0 bounce-child new=A1",
	        "9 A0 bounce-child new=A2", "10 A1 client ip=192.0.2.1 port=4711",
	        "10 A1 mid id=<m1@x.example>", "10 A1 active from=s@x.example size=321",
	        OUTCOME("11", "deferred", "b"), OUTCOME("12", "sent", "c"),
	        OUTCOME("13", "bounced", "d"), "14 A1 expired service=qmgr",
	        "15 A2 client ip=192.0.2.1 port=4712", "15 A2 mid id=<m2@x.example>",
	        "15 A2 active from=s@x.example size=321",
	        "16 A2 reject stage=END-OF-MESSAGE from=s@x.example to=b@y.example code=554 "
	        "dsn=5.7.1 reason=554_no ip=192.0.2.1 port=4712 service=cleanup",
	        "17 - reject stage=RCPT from=s@x.example to=b@y.example code=554 dsn=5.7.1 "
	        "reason=554_no ip=192.0.2.1 port=4712 service=smtpd",
	        NULL};
	const struct trace_config config = {.log_followed = true,
	        .sending_ips = "postfix/smtp=192.0.2.51,main",
	        .inbound = inbound};
	const struct trace_hooks hooks = {.ctx = seen, .event = note_fields};
	struct trace *trace = trace_new(&config, &hooks, NULL);

	feed_full_letter(
	        trace, "10 A1 env rcpt=ob@y.example,oc@y.example,od@y.example instance=out");
	feed_full_letter(trace, "15 A2 env rcpt=b@y.example instance=out");
	for (size_t i = 0; steps[i] != NULL; i++) {
		g_autofree char *step = g_strconcat(steps[i], " instance=out", NULL);
		script_feed(trace, step);
	}
	trace_free(&trace);
}

static void check_documented(enum event_type type, enum api_generation generation, const bool *seen)
{
	ck_assert(seen[FIELD_RCPT_TO] && seen[FIELD_TLS_CIPHER]);
	for (int f = 0; f < FIELDS; f++) {
		bool documented = event_documents(type, (enum field)f, generation);
		bool added = documented && !event_carries(type, (enum field)f, generation);

		ck_assert_msg(documented || !seen[f], "%s carries %s", event_catalogue[type].name,
		        field_catalogue[f].name);
		ck_assert_msg(!added || seen[f], "%s never carries %s", event_catalogue[type].name,
		        field_catalogue[f].name);
	}
}

/* schema/sources.def: the letter of each type and field, 0 = none. */
static void letters_of_sources(char letters[EVENT_TYPES][FIELDS])
{
	static const enum event_type order[] = {
#define ORDER(TYPE) EVENT_##TYPE,
#define SOURCE(FIELD, LETTERS)
#define NEVER(FIELD, WHY)
#include "schema/sources.def"
#undef ORDER
#undef SOURCE
#undef NEVER
	};
	static const char *const rows[FIELDS] = {
#define ORDER(TYPE)
#define SOURCE(FIELD, LETTERS) [FIELD_##FIELD] = LETTERS,
#define NEVER(FIELD, WHY)
#include "schema/sources.def"
#undef ORDER
#undef SOURCE
#undef NEVER
	};

	memset(letters, 0, EVENT_TYPES * sizeof(*letters));
	for (int f = 0; f < FIELDS; f++)
		for (size_t i = 0, at = 0; rows[f] != NULL && rows[f][at] != '\0'; at++)
			if (rows[f][at] != ' ')
				letters[order[i++]][f] = rows[f][at];
}

/* What the table of sources says of a type is what its events have. */
static void check_sources(enum event_type type, const char *letters, const bool *seen)
{
	static const enum field members[] = {
	        FIELD_TYPE, FIELD_EVENT_ID, FIELD_TIMESTAMP, FIELD_INJECTION_TIME};

	for (int f = 0; f < FIELDS; f++) {
		bool member = false;
		for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
			member |= members[i] == (enum field)f;
		bool told = letters[f] != 0 && strchr("LMBCAPD", letters[f]) != NULL;
		ck_assert_msg(member || told == seen[f], "%s of %s: %c", field_catalogue[f].name,
		        event_catalogue[type].name, letters[f]);
	}
}

static const enum event_type types[] = {
        EVENT_INJECTION, EVENT_DELIVERY, EVENT_BOUNCE, EVENT_DELAY, EVENT_POLICY_REJECTION};

START_TEST(documentation_lists_what_events_carry_and_adds_nothing_else)
{
	bool seen[EVENT_TYPES][FIELDS] = {{false}};
	char letters[EVENT_TYPES][FIELDS];

	letters_of_sources(letters);
	run_full_story(NULL, seen);
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		check_documented(types[i], API_V1, seen[types[i]]);
		check_sources(types[i], letters[types[i]], seen[types[i]]);
	}
}
END_TEST

/* Whatever a header of the mail says of campaigns. */
START_TEST(mail_for_domains_of_ours_gives_the_relay_types_with_their_fields)
{
	bool seen[EVENT_TYPES][FIELDS] = {{false}};
	struct domains *domains = domains_new();
	char letters[EVENT_TYPES][FIELDS];

	letters_of_sources(letters);
	domains_add(domains, SLICE("y.example"), DOMAINS_EXACT, false, NULL);
	run_full_story(domains, seen);
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		enum event_type type = event_inbound(types[i]);
		ck_assert(!seen[types[i]][FIELD_RCPT_TO]);
		check_documented(type, API_EVENTS, seen[type]);
		check_sources(type, letters[type], seen[type]);
		ck_assert(seen[type][FIELD_RELAY_ID] && seen[type][FIELD_ORIGINATION]);
		ck_assert(!seen[type][FIELD_CAMPAIGN_ID] && !seen[type][FIELD_TRANSMISSION_ID]);
	}
	domains_free(&domains);
}
END_TEST

START_TEST(a_header_of_inbound_mail_names_neither_subaccount_nor_pool)
{
	static const char *const domains_of[] = {"other.example", "y.example"};

	for (unsigned in = 0; in <= 1; in++) {
		struct domains *domains = domains_new();
		struct outcome *o = outcome_new();
		struct trace_hooks hooks = outcome_hooks(o);
		const struct trace_config config = {.log_followed = true,
		        .inbound = domains,
		        .sending_ips = "postfix/smtp=192.0.2.51,main"};
		domains_add(domains, slice_str(domains_of[in]), DOMAINS_EXACT, false, NULL);
		struct trace *trace = trace_new(&config, &hooks, NULL);
		script_feed(trace, "10 A1 client ip=192.0.2.1");
		feed_full_letter(trace, "10 A1 env rcpt=b@y.example");
		script_feed(trace, "10 A1 active from=s@x.example");
		script_feed(trace, "11 A1 sent to=b@y.example");
		for (unsigned i = 0; i <= 1; i++)
			check_field(o, i, "subaccount_id", in ? "0" : "1@x.example");
		check_field(o, 0, "ip_pool", in ? "" : "1@x.example");
		check_field(o, 1, "ip_pool", in ? "main" : "1@x.example");
		trace_free(&trace);
		outcome_free(o);
		domains_free(&domains);
	}
}
END_TEST

START_TEST(only_the_type_and_its_fields_differ_by_direction)
{
	const char *const *script = SCRIPT(BIRTH, "10 A1 env rcpt=Info@Ours.example,c@y.example",
	        ACTIVE, "11 A1 deferred to=x@z.example orig=info@ours.example code=450 dsn=4.2.0",
	        "12 A1 sent to=c@y.example", "13 A1 expired",
	        "14 - reject stage=RCPT to=no@ours.example code=550",
	        "15 - reject stage=CONNECT code=550", "16 A2 pickup",
	        "16 A2 active from=s@x.example", "17 A2 sent to=root@ours.example orig=root");
	struct domains *domains = domains_new();
	const struct trace_config config = {.log_followed = true, .inbound = domains};

	domains_add(domains, SLICE("OURS.example"), DOMAINS_EXACT, false, NULL);
	struct outcome *in = script_run(&config, script), *out = script_run(NULL, script);
	/* The address that the sender used decides: root is at localhost, which is not listed. */
	check_events(
	        in, WANT("relay_injection info@ours.example", "injection c@y.example",
	                    "relay_tempfail x@z.example", "delivery c@y.example",
	                    "relay_permfail x@z.example", "relay_rejection no@ours.example",
	                    "policy_rejection -", "injection root", "delivery root@ours.example"));
	ck_assert_uint_eq(in->events->len, out->events->len);
	for (unsigned i = 0; i < in->events->len; i++) {
		bool relay = g_str_has_prefix(in->events->pdata[i], "relay_");
		static const char *const same[] = {"message_id", "raw_rcpt_to", "orig_rcpt_to",
		        "error_code", "bounce_class", "num_retries", "queue_time", "remote_addr"};
		for (size_t f = 0; f < G_N_ELEMENTS(same); f++) {
			g_autofree char *want = event_field(out->events->pdata[i], same[f]);
			check_field(in, i, same[f], want);
		}
		check_field(in, i, "origination", relay ? "inbound" : "");
		ck_assert(g_hash_table_size(in->known) == g_hash_table_size(out->known));
	}
	GHashTableIter iter;
	gpointer id;
	g_hash_table_iter_init(&iter, out->known);
	while (g_hash_table_iter_next(&iter, &id, NULL))
		ck_assert(g_hash_table_contains(in->known, id));
	check_same(in, 2, 0, "relay_id");
	check_same(in, 4, 0, "relay_id");
	outcome_free(in);
	outcome_free(out);
	domains_free(&domains);
}
END_TEST

START_TEST(what_only_the_milter_saw_has_its_direction_too)
{
	struct domains *domains = domains_new();
	const struct trace_config config = {.log_followed = false, .inbound = domains};

	domains_add(domains, SLICE("y.example"), DOMAINS_EXACT, false, NULL);
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&config, &hooks, NULL);
	struct step step;
	script_feed(trace, "10 A1 env rcpt=B@Y.example,c@z.example");
	step_read(&step, "11 - reject stage=RCPT to=n@y.example code=550");
	step.seen.line.text = SLICE_NONE;
	trace_feed(trace, &step.seen);
	script_feed(trace, "90 - tick");
	check_events(o, WANT("relay_injection b@y.example", "injection c@z.example",
	                        "relay_rejection n@y.example"));
	g_strfreev(step.words);
	trace_free(&trace);
	outcome_free(o);
	domains_free(&domains);
}
END_TEST

UNIT_MAIN("trace", documentation_lists_what_events_carry_and_adds_nothing_else,
        mail_for_domains_of_ours_gives_the_relay_types_with_their_fields,
        a_header_of_inbound_mail_names_neither_subaccount_nor_pool,
        only_the_type_and_its_fields_differ_by_direction,
        what_only_the_milter_saw_has_its_direction_too, a_mail_is_injected_before_it_is_delivered,
        retries_are_counted_for_each_recipient,
        without_the_first_line_retries_are_unknown_and_birth_comes_from_the_delay,
        the_first_delivery_tells_the_birth_of_a_mail_that_was_in_the_queue_before,
        a_long_queue_id_tells_the_birth, a_soft_bounce_is_a_delay_and_a_probe_is_nothing,
        each_delivery_and_delay_has_a_method_and_each_refusal_came_by_smtp,
        an_alias_is_injected_once_under_the_name_that_the_sender_used,
        a_line_with_37_recipients_gives_37_events, equal_lines_of_one_second_are_told_apart,
        equal_lines_between_others_of_a_second_are_told_apart,
        stamps_that_step_back_a_little_keep_what_was_counted,
        a_log_that_begins_again_is_another_reading, expiry_bounces_who_was_still_deferred,
        the_expiry_of_an_unknown_mail_invents_nobody,
        a_mail_removed_unsent_has_one_injection_without_recipient,
        a_short_queue_id_used_again_within_a_second_is_another_mail,
        a_queue_id_whose_removal_was_lost_starts_anew_at_its_next_client,
        lines_that_come_after_the_end_still_belong_to_the_mail,
        a_notification_that_is_gone_before_its_parent_is_told_came_in_locally,
        how_a_mail_came_in_is_not_guessed, a_bounce_names_the_mail_that_it_tells_of,
        a_forwarded_alias_is_delivered_and_goes_on_as_a_mail_of_its_own,
        a_refusal_of_one_recipient_does_not_cancel_the_mail,
        a_refusal_without_queue_id_has_a_message_id_of_its_own,
        a_refusal_that_only_the_milter_saw_counts_where_no_log_is_followed,
        every_attempt_as_logged_is_what_attempts_gives,
        each_kind_of_line_has_its_class_in_the_ledger,
        sending_ips_and_accounts_come_from_the_configuration,
        a_configuration_that_makes_no_sense_is_refused, old_mails_end_when_their_age_is_reached)
