#include "event/ingest_check.h"

#include "tests/support/unit.h"

/* An event with the documented minimum. */
static struct event minimum(enum event_type type)
{
	struct event event = {.type = type, .id = 1, .time = 1549054731000};

	event.field[FIELD_MESSAGE_ID] = SLICE("00000bb3545c0100a205");
	event.field[FIELD_RECV_METHOD] = SLICE("esmtp");
	return event;
}

static void assert_refused(const struct event *event, const char *message)
{
	struct error err = {0};

	ck_assert_int_eq(ingest_check(event, &err), -1);
	ck_assert_str_eq(err.text, message);
}

static bool taken(const struct event *event)
{
	struct error err = {0};

	return ingest_check(event, &err) == 0;
}

START_TEST(the_documented_minimum_is_enough_for_every_type)
{
	for (int i = 0; i < EVENT_TYPES; i++) {
		struct event event = minimum((enum event_type)i);
		ck_assert_msg(taken(&event), "%s", event_catalogue[i].name);
	}
}
END_TEST

START_TEST(either_method_of_transport_will_do)
{
	struct event event = minimum(EVENT_DELIVERY);

	event.field[FIELD_RECV_METHOD] = SLICE_NONE;
	assert_refused(&event, "Missing recv_method or delv_method on event of type delivery");
	event.field[FIELD_DELV_METHOD] = SLICE("");
	assert_refused(&event, "Missing recv_method or delv_method on event of type delivery");
	event.field[FIELD_DELV_METHOD] = SLICE("esmtp");
	ck_assert(taken(&event));
	event = minimum(EVENT_AB_TEST_COMPLETED);
	event.field[FIELD_RECV_METHOD] = SLICE_NONE;
	ck_assert(taken(&event));
}
END_TEST

START_TEST(each_field_of_the_minimum_is_missed_by_its_name)
{
	struct event event = minimum(EVENT_BOUNCE);

	event.id = EVENT_NO_ID;
	assert_refused(&event, "Missing event_id on event of type inband");
	event = minimum(EVENT_BOUNCE);
	event.time = 0;
	assert_refused(&event, "Missing timestamp on event of type inband");
	event = minimum(EVENT_BOUNCE);
	event.field[FIELD_MESSAGE_ID] = SLICE_NONE;
	assert_refused(&event, "Missing message_id on event of type inband");
}
END_TEST

START_TEST(a_message_that_was_never_made_has_no_message_id)
{
	static const enum event_type types[] = {EVENT_GENERATION_FAILURE,
	        EVENT_GENERATION_REJECTION, EVENT_SMS_STATUS, EVENT_AB_TEST_CANCELLED};

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		struct event event = minimum(types[i]);
		event.field[FIELD_MESSAGE_ID] = SLICE_NONE;
		ck_assert_msg(taken(&event), "%s", event_catalogue[types[i]].name);
	}
}
END_TEST

START_TEST(hash_and_domain_of_a_recipient_come_together)
{
	struct event event = minimum(EVENT_OPEN);

	event.field[FIELD_RCPT_HASH] = SLICE("0Yo=");
	assert_refused(&event, "Missing rcpt_domain on event with rcpt_hash");
	event.field[FIELD_RCPT_DOMAIN] = SLICE("example.com");
	ck_assert(taken(&event));
	event.field[FIELD_RCPT_HASH] = SLICE_NONE;
	assert_refused(&event, "Missing rcpt_hash on event with rcpt_domain");
}
END_TEST

/* What is uploaded to the service has all that documentation calls required. */
START_TEST(what_documentation_requires_is_more_than_what_is_enforced)
{
	static const struct {
		enum event_type type;
		const char *want; /* NULL: the minimum is enough */
	} rows[] = {
	        {EVENT_INJECTION, NULL},
	        {EVENT_BOUNCE, NULL},
	        {EVENT_POLICY_REJECTION, NULL},
	        {EVENT_DELIVERY, "Missing delv_method on event of type delivery"},
	        {EVENT_DELAY, "Missing delv_method on event of type tempfail"},
	        {EVENT_OUT_OF_BAND, "Missing delv_method on event of type outofband"},
	        {EVENT_SPAM_COMPLAINT, "Missing delv_method on event of type feedback"},
	        {EVENT_CLICK, "Missing delv_method on event of type click"},
	        {EVENT_LIST_UNSUBSCRIBE, "Missing delv_method on event of type list"},
	        {EVENT_RELAY_DELIVERY, "Missing relay_id on event of type relay_delivery"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct event event = minimum(rows[i].type);
		struct error err = {0};
		int result = ingest_check_documented(&event, &err);
		ck_assert_int_eq(result, rows[i].want == NULL ? 0 : -1);
		if (rows[i].want != NULL)
			ck_assert_str_eq(err.text, rows[i].want);
		ck_assert(taken(&event));
	}
	struct event event = minimum(EVENT_SPAM_COMPLAINT);
	struct error err = {0};
	event.field[FIELD_DELV_METHOD] = SLICE("esmtp");
	ck_assert_int_eq(ingest_check_documented(&event, &err), -1);
	ck_assert_str_eq(err.text, "Missing fbtype on event of type feedback");
	event.field[FIELD_FBTYPE] = SLICE("abuse");
	ck_assert_int_eq(ingest_check_documented(&event, NULL), 0);
	event.field[FIELD_MESSAGE_ID] = SLICE_NONE;
	ck_assert_int_eq(ingest_check_documented(&event, NULL), -1);
}
END_TEST

START_TEST(what_must_be_there_is_documented_as_required)
{
	for (int i = 0; i < EVENT_TYPES; i++)
		for (enum field f = FIELD_TYPE; f <= FIELD_TIMESTAMP; f++)
			ck_assert_uint_eq(ingest_flags((enum event_type)i, f) & INGEST_REQUIRED,
			        INGEST_REQUIRED);
	ck_assert_uint_eq(ingest_flags(EVENT_SPAM_COMPLAINT, FIELD_FBTYPE),
	        INGEST_REQUIRED | INGEST_REPORTING);
	ck_assert_uint_eq(ingest_flags(EVENT_OPEN, FIELD_DELV_METHOD), INGEST_REQUIRED);
	ck_assert_uint_eq(ingest_flags(EVENT_INJECTION, FIELD_DELV_METHOD), 0);
	ck_assert_uint_eq(ingest_flags(EVENT_DELIVERY, FIELD_SUBJECT), INGEST_REPORTING);
}
END_TEST

UNIT_MAIN("ingest_check", the_documented_minimum_is_enough_for_every_type,
        either_method_of_transport_will_do, each_field_of_the_minimum_is_missed_by_its_name,
        a_message_that_was_never_made_has_no_message_id,
        hash_and_domain_of_a_recipient_come_together,
        what_documentation_requires_is_more_than_what_is_enforced,
        what_must_be_there_is_documented_as_required)
