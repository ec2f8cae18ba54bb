/* Where Sendmail's lines mean something else than Postfix's. */

#include "base/error.h"
#include "tests/unit/trace_script.h"
#include "trace/birth.h"
#include "trace/message.h"

/* 2026-11-22 00:00:10 and, of the submission client, 00:00:09 */
#define MTA "6AM00A7P010303"
#define MSP "6AM0097P010302"
#define FROM(TIME) \
	TIME " " MTA " client ip=192.0.2.1 from=s@x.example size=82 nrcpt=2 id=<m1@x.example>"
#define SENT(TIME, TO) TIME " " MTA " sent to=" TO " relay=192.0.2.9:0 service=esmtp dsn=2.0.0"
#define ENVELOPE(TIME) \
	TIME " " MTA " env from=s@x.example rcpt=a@y.example,b@y.example subject=Hello size=82"

START_TEST(the_line_from_tells_the_origin_and_the_queue_id_the_birth)
{
	struct outcome *o = script_run(NULL, SCRIPT(FROM("12"), SENT("14", "a@y.example")));

	check_events(o, WANT("injection a@y.example", "delivery a@y.example"));
	for (unsigned i = 0; i < 2; i++) {
		check_field(o, i, "msg_from", "s@x.example");
		check_field(o, i, "msg_size", "82");
		check_field(o, i, "header_message_id", "m1@x.example");
		check_field(o, i, "recv_method", "esmtp");
		ck_assert_ptr_nonnull(strstr(o->events->pdata[i], " of 2026-11-22T00:00:10.000Z"));
	}
	check_field(o, 1, "num_retries", "0");
	check_field(o, 1, "delv_method", "esmtp");
	outcome_free(o);
}
END_TEST

START_TEST(the_line_from_alone_injects_nothing_for_a_milter_may_still_refuse)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(FROM("12"), ENVELOPE("12"),
	                      "12 " MTA " reject stage=END-OF-MESSAGE code=554 reason=554_5.7.1_no",
	                      "12 " MTA " cancel", "100 - tick"));

	check_events(o, WANT("policy_rejection -"));
	check_field(o, 0, "msg_from", "s@x.example");
	outcome_free(o);
}
END_TEST

START_TEST(the_first_try_injects_all_that_the_milter_saw)
{
	struct outcome *o =
	        script_run(NULL, SCRIPT(FROM("12"), ENVELOPE("12"), SENT("14", "a@y.example")));

	check_events(
	        o, WANT("injection a@y.example", "injection b@y.example", "delivery a@y.example"));
	for (unsigned i = 0; i < 3; i++)
		check_field(o, i, "subject", "Hello");
	outcome_free(o);
}
END_TEST

START_TEST(a_mail_that_waits_in_the_queue_is_injected)
{
	struct outcome *o =
	        script_run(NULL, SCRIPT(FROM("12"), "12 " MTA " active to=a@y.example"));

	check_events(o, WANT("injection a@y.example"));
	outcome_free(o);
}
END_TEST

#define SUBMITTED \
	"9 " MSP " pickup from=root size=30 nrcpt=1 id=<m1@x.example>", \
	        "10 " MTA " client ip=127.0.0.1 from=root@x.example size=300 nrcpt=1"
#define HANDED "10 " MSP " sent to=a@y.example hop=1 relay=127.0.0.1:0 service=relay new=" MTA

START_TEST(the_submission_client_and_the_daemon_tell_one_mail)
{
	struct outcome *o = script_run(NULL, SCRIPT(SUBMITTED, HANDED, SENT("11", "a@y.example")));

	check_events(o, WANT("injection a@y.example", "delivery a@y.example"));
	check_same(o, 0, 1, "message_id");
	check_field(o, 0, "queue_id", MSP);
	check_field(o, 0, "recv_method", "local");
	check_field(o, 1, "queue_id", MTA);
	outcome_free(o);
}
END_TEST

START_TEST(so_they_do_when_the_daemon_is_faster)
{
	struct outcome *o = script_run(NULL, SCRIPT(SUBMITTED, SENT("10", "a@y.example"), HANDED));

	check_events(o, WANT("injection a@y.example", "delivery a@y.example"));
	check_same(o, 0, 1, "message_id");
	outcome_free(o);
}
END_TEST

START_TEST(an_address_that_was_not_accepted_is_refused_in_stories_only)
{
	static const struct trace_config attempts = {.log_followed = true, .attempts = true};
	struct outcome *o = script_run(
	        NULL, SCRIPT("12 " MTA " refused to=no@x.example stage=RCPT reason=User_unknown"));

	check_events(o, WANT("policy_rejection no@x.example"));
	check_field(o, 0, "raw_reason", "User unknown");
	outcome_free(o);
	o = script_run(&attempts,
	        SCRIPT("12 " MTA " refused to=no@x.example stage=RCPT reason=User_unknown"));
	check_events(o, WANT(NULL));
	outcome_free(o);
}
END_TEST

START_TEST(a_notice_of_sendmail_has_the_null_sender_and_a_parent)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(FROM("12"),
	                      "13 " MTA " bounced to=a@y.example dsn=5.1.1 reason=no service=esmtp",
	                      "13 " MTA " bounce-child new=6AM00D7P010399 from=",
	                      "13 6AM00D7P010399 sent to=s@x.example service=local dsn=2.0.0"));

	check_events(o, WANT("injection a@y.example", "bounce a@y.example", "injection s@x.example",
	                        "delivery s@x.example"));
	check_field(o, 3, "num_retries", "0");
	g_autofree char *parent = event_field(o->events->pdata[3], "parent_message_id");
	g_autofree char *id = event_field(o->events->pdata[0], "message_id");
	ck_assert_str_eq(parent, id);
	outcome_free(o);
}
END_TEST

START_TEST(a_mail_ends_with_its_last_outcome)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	static const struct trace_config config = {.log_followed = true};
	struct trace *trace = trace_new(&config, &hooks, NULL);

	script_feed(trace, FROM("12"));
	script_feed(trace, SENT("13", "a@y.example"));
	ck_assert_uint_eq(trace_counts(trace).open, 1);
	script_feed(trace, "13 " MTA " deferred to=b@y.example dsn=4.2.0 reason=busy");
	ck_assert_uint_eq(trace_counts(trace).open, 1);
	/* What is expected survives a restart. */
	trace_save(trace, outcome_put, o);
	trace_free(&trace);
	trace = trace_new(&config, &hooks, NULL);
	outcome_restore(o, trace);
	script_feed(trace, SENT("90", "b@y.example"));
	ck_assert_uint_eq(trace_counts(trace).open, 0);
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

START_TEST(an_alias_is_the_given_address_where_it_is_not_the_sender)
{
	struct outcome *o = script_run(
	        NULL, SCRIPT(FROM("12"), SENT("14", "a@y.example") " ctladdr=joe@x.example",
	                      SENT("15", "b@y.example") " ctladdr=S@X.example",
	                      SENT("15", "c@y.example") " ctladdr=s"));

	check_events(o,
	        WANT("injection joe@x.example", "delivery a@y.example", "injection b@y.example",
	                "delivery b@y.example", "injection c@y.example", "delivery c@y.example"));
	check_field(o, 1, "orig_rcpt_to", "joe@x.example");
	check_field(o, 3, "orig_rcpt_to", "");
	check_field(o, 5, "orig_rcpt_to", "");
	outcome_free(o);
	/* Who sent it is not known: nor is whether it is an alias. */
	o = script_run(NULL, SCRIPT(SENT("14", "a@y.example") " ctladdr=joe@x.example"));
	check_events(o, WANT("injection a@y.example", "delivery a@y.example"));
	outcome_free(o);
}
END_TEST

START_TEST(queue_ids_tell_their_birth_unless_they_may_be_others)
{
	static const struct {
		const char *id;
		int64_t birth;
	} rows[] = {
	        {"6AM00A7P010303", SCRIPT_DAY + 10 * CLOCK_SECOND},
	        {"6AM00A7P3529566", SCRIPT_DAY + 10 * CLOCK_SECOND},
	        {"5BV00A7P010303", SCRIPT_DAY - 326 * CLOCK_DAY + 10 * CLOCK_SECOND},
	        {"6AB00AAB010303", 0}, /* hexadecimal: perhaps a short id of Postfix */
	        {"6CM00A7P010303", 0}, /* month 13 */
	        {"6AM00A7P0103", 0},   /* no process id */
	        {"6AM00y7P010303", 0}, /* no digit of base 60 */
	        {"HAA01234", 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int64_t birth = queue_id_birth(slice_str(rows[i].id), SCRIPT_DAY + CLOCK_HOUR);
		ck_assert_msg(birth == rows[i].birth, "%s", rows[i].id);
	}
}
END_TEST

UNIT_MAIN("trace_sendmail", the_line_from_tells_the_origin_and_the_queue_id_the_birth,
        the_line_from_alone_injects_nothing_for_a_milter_may_still_refuse,
        the_first_try_injects_all_that_the_milter_saw, a_mail_that_waits_in_the_queue_is_injected,
        the_submission_client_and_the_daemon_tell_one_mail, so_they_do_when_the_daemon_is_faster,
        an_address_that_was_not_accepted_is_refused_in_stories_only,
        a_notice_of_sendmail_has_the_null_sender_and_a_parent, a_mail_ends_with_its_last_outcome,
        an_alias_is_the_given_address_where_it_is_not_the_sender,
        queue_ids_tell_their_birth_unless_they_may_be_others)
