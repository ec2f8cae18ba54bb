#include <jansson.h>

#include "event/ingest_check.h"
#include "event/ingest_read.h"
#include "event/ingest_write.h"
#include "event/privacy.h"
#include "tests/support/unit.h"

static void set(struct event *event, enum field field, const char *value)
{
	event->field[field] = slice_str(value);
}

static struct event bounce(void)
{
	struct event event = {.type = EVENT_BOUNCE, .id = 42, .time = 1460989507042};

	set(&event, FIELD_MESSAGE_ID, "000443ee14578172be22");
	set(&event, FIELD_RCPT_TO, "jane.doe@example.com");
	set(&event, FIELD_RAW_RCPT_TO, "Jane.Doe@Example.com");
	set(&event, FIELD_SUBACCOUNT_ID, "7");
	set(&event, FIELD_RECV_METHOD, "esmtp");
	set(&event, FIELD_OPEN_TRACKING, "true");
	set(&event, FIELD_QUEUE_ID, "4NtLMR5Ylxz1Dy");
	set(&event, FIELD_NODE_NAME, "mail1");
	event.injected = 1460989500000;
	return event;
}

/* The fields of a line; the caller's to json_decref. */
static json_t *fields_of(const struct event *event, enum ingest_form form, const char *wrapper)
{
	g_autoptr(GString) line = g_string_new("before\n");

	ck_assert(ingest_write(line, event, form));
	ck_assert_uint_eq(line->str[line->len - 1], '\n');
	json_t *root = json_loadb(line->str + 7, line->len - 7, 0, NULL);
	ck_assert_ptr_nonnull(root);
	json_t *msys = json_object_get(root, "msys");
	ck_assert_uint_eq(json_object_size(msys), 1);
	json_t *fields = json_incref(json_object_get(msys, wrapper));
	ck_assert_ptr_nonnull(fields);
	json_decref(root);
	return fields;
}

static const char *text_of(const json_t *fields, const char *name)
{
	return json_string_value(json_object_get(fields, name));
}

START_TEST(a_line_has_the_wrapper_and_the_name_that_the_type_has_on_premise)
{
	static const struct {
		enum event_type type;
		const char *wrapper, *name;
	} rows[] = {
	        {EVENT_BOUNCE, "message_event", "inband"},
	        {EVENT_INJECTION, "message_event", "reception"},
	        {EVENT_DELAY, "message_event", "tempfail"},
	        {EVENT_OUT_OF_BAND, "message_event", "outofband"},
	        {EVENT_SPAM_COMPLAINT, "message_event", "feedback"},
	        {EVENT_POLICY_REJECTION, "message_event", "rejection"},
	        {EVENT_CLICK, "track_event", "click"},
	        {EVENT_GENERATION_FAILURE, "gen_event", "gen_fail"},
	        {EVENT_LIST_UNSUBSCRIBE, "unsubscribe_event", "list"},
	        {EVENT_RELAY_DELIVERY, "relay_event", "relay_delivery"},
	        {EVENT_AB_TEST_COMPLETED, "ab_test_event", "ab_test_completed"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct event event = bounce();
		event.type = rows[i].type;
		json_t *fields = fields_of(&event, INGEST_PLAIN, rows[i].wrapper);
		ck_assert_str_eq(text_of(fields, "type"), rows[i].name);
		json_decref(fields);
	}
}
END_TEST

START_TEST(the_plain_form_has_seconds_and_no_fields_of_our_own)
{
	struct event event = bounce();
	json_t *fields = fields_of(&event, INGEST_PLAIN, "message_event");

	ck_assert_str_eq(text_of(fields, "timestamp"), "1460989507");
	ck_assert_str_eq(text_of(fields, "event_id"), "42");
	ck_assert_str_eq(text_of(fields, "injection_time"), "2016-04-18T14:25:00.000Z");
	ck_assert_str_eq(text_of(fields, "rcpt_to"), "jane.doe@example.com");
	ck_assert_int_eq(json_integer_value(json_object_get(fields, "subaccount_id")), 7);
	ck_assert(json_is_true(json_object_get(fields, "open_tracking")));
	ck_assert_str_eq(text_of(fields, "node_name"), "mail1");
	ck_assert_ptr_null(json_object_get(fields, "queue_id"));
	json_decref(fields);
	event.time = -1;
	fields = fields_of(&event, INGEST_PLAIN, "message_event");
	ck_assert_str_eq(text_of(fields, "timestamp"), "-1");
	json_decref(fields);
}
END_TEST

START_TEST(the_extended_form_has_milliseconds_and_our_fields)
{
	struct event event = bounce();
	json_t *fields = fields_of(&event, INGEST_EXTENDED, "message_event");

	ck_assert_str_eq(text_of(fields, "timestamp"), "1460989507042");
	ck_assert_str_eq(text_of(fields, "queue_id"), "4NtLMR5Ylxz1Dy");
	json_decref(fields);
}
END_TEST

/* Whatever its bytes are, a kept report fits into a line that the far side takes. */
START_TEST(a_kept_report_goes_to_other_postwakes_only)
{
	struct event event = bounce();
	g_autoptr(GString) line = g_string_new(NULL);
	g_autofree char *controls = g_strnfill(32 * 1024, '\x01');
	struct ingest_line back;
	struct error err = {0};

	event.type = EVENT_OUT_OF_BAND;
	set(&event, FIELD_REPORT_MIME, controls);
	ck_assert(ingest_write(line, &event, INGEST_EXTENDED));
	ck_assert_msg(ingest_read(slice_make(line->str, line->len - 1), &back, &err) == 0, "%s",
	        err.text);
	ck_assert(slice_eq(back.event.field[FIELD_REPORT_MIME], slice_str(controls)));
	ingest_line_clear(&back);
	json_t *fields = fields_of(&event, INGEST_PLAIN, "message_event");
	ck_assert_ptr_null(json_object_get(fields, "report_mime"));
	json_decref(fields);
}
END_TEST

START_TEST(bytes_that_would_end_a_line_do_not)
{
	struct event event = bounce();

	set(&event, FIELD_SUBJECT, "a\nb\"}}}\r\n\x01\xff");
	json_t *fields = fields_of(&event, INGEST_PLAIN, "message_event");
	ck_assert_str_eq(text_of(fields, "subject"), "a\nb\"}}}\r\n\x01\xef\xbf\xbd");
	json_decref(fields);
}
END_TEST

/* ---- privacy ---- */

START_TEST(privacy_puts_hash_and_domain_in_the_place_of_the_address)
{
	struct event event = bounce(), hidden;
	g_autoptr(GString) arena = g_string_new(NULL);

	privacy_hide(&event, &hidden, arena);
	/* printf %s jane.doe@example.com | openssl sha1 -binary | base64 */
	ck_assert(slice_eq(hidden.field[FIELD_RCPT_HASH], SLICE("o8rds4ICUR6rgDEWKU3AIPfE+KI=")));
	ck_assert(slice_eq(hidden.field[FIELD_RCPT_DOMAIN], SLICE("example.com")));
	ck_assert(!event_has(&hidden, FIELD_RCPT_TO));
	ck_assert(!event_has(&hidden, FIELD_RAW_RCPT_TO));
	ck_assert(slice_eq(hidden.field[FIELD_MESSAGE_ID], event.field[FIELD_MESSAGE_ID]));
}
END_TEST

START_TEST(no_field_holds_the_address_in_any_coding)
{
	static const struct {
		enum field field;
		const char *text;
		const char *want; /* NULL: the field is left out */
	} rows[] = {
	        {FIELD_RAW_REASON, "550 5.1.1 <Jane.Doe@example.com>: User jane.doe unknown",
	                "550 5.1.1 ...@... User ... unknown"},
	        {FIELD_REASON, "550 5.1.1 ...@... no mailbox", "550 5.1.1 ...@... no mailbox"},
	        {FIELD_MSG_FROM, "bounces+jane.doe=example.com@lists.example.org",
	                "bounces+...=example.com@lists.example.org"},
	        {FIELD_MSG_FROM, "SRS0=HHH=TT=example.com=JANE.DOE@fwd.example",
	                "SRS0=HHH=TT=example.com=...@fwd.example"},
	        {FIELD_SUBJECT, "Jane.Doe, your order", "..., your order"},
	        {FIELD_FRIENDLY_FROM, "jane.doe@example.com", "..."},
	        {FIELD_TARGET_LINK_URL, "https://x.example/?u=jane%2Edoe%40example.com",
	                "https://x.example/..."},
	        {FIELD_TARGET_LINK_URL, "https://x.example/?u=jane%2edoe", "https://x.example/..."},
	        {FIELD_TARGET_LINK_URL, "https://x.example/amFuZS5kb2VAZXhhbXBsZS5jb20",
	                "https://x.example/..."},
	        {FIELD_TARGET_LINK_URL, "https://x.example/dT1qYW5lLmRvZUBleGFtcGxlLmNvbSZ4",
	                "https://x.example/..."}, /* u=jane.doe@example.com&x */
	        {FIELD_TARGET_LINK_URL, "https://x.example/eHU9amFuZS5kb2VAZXhhbXBsZS5jb20meA",
	                "https://x.example/..."}, /* xu=… */
	        {FIELD_TARGET_LINK_URL, "https://x.example/6a616e652e646f65",
	                "https://x.example/..."},
	        {FIELD_TARGET_LINK_URL, "https://x.example/4A616E652E446F65",
	                "https://x.example/..."}, /* Jane.Doe */
	        {FIELD_HEADER_MESSAGE_ID, "<jane=2Edoe@x.example>", NULL},
	        {FIELD_TARGET_LINK_URL, "https://x.example/?u=jane%252Edoe",
	                "https://x.example/..."},
	        {FIELD_SUBJECT, "jane&#46;doe, hello", NULL},
	        {FIELD_SUBJECT, "jane&#x2E;doe, hello", NULL},
	        {FIELD_SUBJECT, "jane&period;doe, hello", NULL},
	        {FIELD_SUBJECT, "you &#38; me &#; &#x &", "you &#38; me &#; &#x &"},
	        {FIELD_SUBJECT, "jane\\.doe", NULL},
	        {FIELD_SUBJECT, "jane\\u002edoe", NULL},
	        {FIELD_SUBJECT, "a\\", "a\\"},
	        {FIELD_RAW_REASON, "550-no jane.\r\n550 doe here", NULL},
	        {FIELD_RAW_REASON, "550-no\r\n550 such", "550-no\r\n550 such"},
	        {FIELD_REMOTE_ADDR, "192.0.2.1:25", "192.0.2.1:25"},
	        {FIELD_REMOTE_ADDR, "2001:db8::1", "2001:db8::1"},
	        {FIELD_REMOTE_ADDR, "[2001:db8::1]:25", "[2001:db8::1]:25"},
	        {FIELD_REMOTE_ADDR, "192.0.2.1:jane", NULL},
	        {FIELD_REMOTE_ADDR, "jane.doe.example.com", NULL},
	        {FIELD_ROUTING_DOMAIN, "jane.doe.example.org", "....example.org"},
	        {FIELD_ROUTING_DOMAIN, "jane%2edoe.example.org", NULL},
	        {FIELD_ROUTING_DOMAIN, "example.com", "example.com"},
	        {FIELD_TARGET_LINK_URL, "https://x.example/?u=jane.doe&v=1",
	                "https://x.example/?u=...&v=1"},
	        {FIELD_TARGET_LINK_URL, "https://jane%2edoe.x.example/", "..."},
	        {FIELD_TARGET_LINK_URL, "mailto:jane%2edoe@example.com", "..."},
	        /* printf m-jane.doe@example.com-1 | sha256sum, 20 digits of it */
	        {FIELD_MESSAGE_ID, "m-jane.doe@example.com-1", "562def02d7941adc7ad7"},
	        {FIELD_FBTYPE, "abuse jane.doe@example.com", "abuse ..."},
	        {FIELD_FBTYPE, "abuse jane%2Edoe", "..."},
	        {FIELD_FBTYPE, "abuse", "abuse"},
	        {FIELD_DELV_METHOD, "jane.doe", "..."},
	        {FIELD_ERROR_CODE, "550", "550"},
	        {FIELD_SERVICE, "postfix/smtp", "postfix/smtp"},
	        {FIELD_IP_ADDRESS, "192.0.2.1", "192.0.2.1"},
	        {FIELD_IP_ADDRESS, "jane.doe", NULL},
	        {FIELD_MESSAGE_ID, "jane.doe", "d48722fc2e5ea8d2f4b5"},
	        {FIELD_MESSAGE_ID, "jane%2Edoe", "1739cabb861ae9b1923a"},
	        {FIELD_RELAY_ID, "jane.doe", "d48722fc2e5ea8d2f4b5"},
	        /* codings that are mixed, cut by a line's end, or of another case */
	        {FIELD_SUBJECT, "jan%65=2Edoe", NULL},
	        {FIELD_SUBJECT, "j&#97;ne%2Edoe@example.com", NULL},
	        {FIELD_SUBJECT, "jane=\r\n.doe", NULL},
	        {FIELD_SUBJECT, "=?utf-8?q?JANE=2EDOE=40example.com?=", NULL},
	        {FIELD_SUBJECT, "=?utf-8?b?SkFORS5ET0U=?=", NULL}, /* JANE.DOE */
	        {FIELD_SUBJECT, "xx4a414E652e444f45yy", NULL},     /* JANe.DOE */
	        {FIELD_SUBJECT, "ref a4A414E652E444F45", NULL},    /* not at the first digit */
	        {FIELD_SUBJECT, "Ja%6Ee.D%6fe", NULL},
	        {FIELD_MESSAGE_ID, "000443ee14578172be22", "000443ee14578172be22"},
	        {FIELD_TARGET_LINK_URL, "https://x.example/?u=1", "https://x.example/?u=1"},
	        {FIELD_USER_STR, "anything", NULL},
	        {FIELD_RCPT_META, "{\"a\":\"b\"}", NULL},
	        {FIELD_REPORT_MIME, "Subject: no", NULL},
	        {FIELD_RCPT_TAGS, "[\"b\"]", NULL},
	        {FIELD_MAILFROM, "other@example.com", NULL},
	        {FIELD_ORIG_RCPT_TO, "alias@example.com", NULL},
	        {FIELD_AB_TEST, "{\"id\":\"jane.doe\"}", NULL},
	        {FIELD_AB_TEST, "{\"id\":\"red\"}", "{\"id\":\"red\"}"},
	        {FIELD_CAMPAIGN_ID, "", ""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct event event = bounce(), hidden;
		g_autoptr(GString) arena = g_string_new(NULL);
		set(&event, rows[i].field, rows[i].text);
		privacy_hide(&event, &hidden, arena);
		struct slice got = hidden.field[rows[i].field];
		g_autofree char *text = slice_dup(got);
		if (rows[i].want == NULL)
			ck_assert_msg(got.p == NULL, "%s stays as %s", rows[i].text, text);
		else
			ck_assert_str_eq(text, rows[i].want);
	}
}
END_TEST

/* A line without an id or a link would be refused. */
START_TEST(what_must_be_there_stays_there_in_privacy_mode)
{
	static const char *const ids[] = {
	        "jane.doe", "jane.doe@example.com", "jane%2Edoe", "amFuZS5kb2U"};
	struct event event = bounce(), hidden;
	g_autoptr(GString) arena = g_string_new(NULL);

	event.type = EVENT_CLICK;
	set(&event, FIELD_DELV_METHOD, "esmtp");
	set(&event, FIELD_TARGET_LINK_URL, "https://x.example/?u=jane%2Edoe%40example.com");
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		struct error err = {0};
		set(&event, FIELD_MESSAGE_ID, ids[i]);
		privacy_hide(&event, &hidden, arena);
		ck_assert_msg(
		        ingest_check_documented(&hidden, &err) == 0, "%s: %s", ids[i], err.text);
		ck_assert_uint_eq(hidden.field[FIELD_MESSAGE_ID].n, 20);
	}
}
END_TEST

START_TEST(the_part_before_a_detail_and_the_alias_are_secret_too)
{
	struct event event = {.type = EVENT_BOUNCE, .id = 1, .time = 1}, hidden;
	g_autoptr(GString) arena = g_string_new(NULL);

	set(&event, FIELD_RCPT_TO, "emil+news@example.com");
	set(&event, FIELD_ORIG_RCPT_TO, "chief@example.org");
	set(&event, FIELD_RAW_REASON, "mailbox of emil is full, CHIEF knows");
	privacy_hide(&event, &hidden, arena);
	ck_assert(slice_eq(
	        hidden.field[FIELD_RAW_REASON], SLICE("mailbox of ... is full, ... knows")));
}
END_TEST

START_TEST(a_quoted_local_part_is_hidden_whole)
{
	static const struct {
		const char *rcpt_to, *text, *want;
	} rows[] = {
	        {"\"john doe\"@isp.example", "550 \"john doe\"@isp.example unknown",
	                "550 ...@... unknown"},
	        {"\"john doe\"@isp.example", "550 <\"John Doe\"@other.example> unknown",
	                "550 ...@... unknown"},
	        {"\"john doe\"@isp.example", "550 john doe unknown", "550 ... unknown"},
	        {"\"john\\ doe\"@isp.example", "550 \"john doe\"@isp.example unknown",
	                "550 ...@... unknown"},
	        {"\"john\\ doe\"@isp.example", "550 john\\ doe unknown", "550 ... unknown"},
	        {"\"john doe+x\"@isp.example", "550 john doe unknown", "550 ... unknown"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct event event = {.type = EVENT_BOUNCE, .id = 1, .time = 1}, hidden;
		g_autoptr(GString) arena = g_string_new(NULL);
		set(&event, FIELD_RCPT_TO, rows[i].rcpt_to);
		set(&event, FIELD_RAW_REASON, rows[i].text);
		privacy_hide(&event, &hidden, arena);
		g_autofree char *text = slice_dup(hidden.field[FIELD_RAW_REASON]);
		ck_assert_str_eq(text, rows[i].want);
	}
}
END_TEST

START_TEST(a_short_local_part_counts_as_a_word_only)
{
	struct event event = {.type = EVENT_BOUNCE, .id = 1, .time = 1}, hidden;
	g_autoptr(GString) arena = g_string_new(NULL);

	set(&event, FIELD_RCPT_TO, "a@example.com");
	set(&event, FIELD_RAW_REASON, "a mailbox that a@example.com cannot have: A");
	privacy_hide(&event, &hidden, arena);
	ck_assert(slice_eq(hidden.field[FIELD_RAW_REASON],
	        SLICE("... mailbox that ...@... cannot have: ...")));
}
END_TEST

START_TEST(an_event_that_is_private_already_stays_as_it_is)
{
	struct event event = {.type = EVENT_OPEN, .id = 1, .time = 1}, hidden;
	g_autoptr(GString) arena = g_string_new(NULL);

	set(&event, FIELD_RCPT_HASH, "abc");
	set(&event, FIELD_RCPT_DOMAIN, "example.com");
	privacy_hide(&event, &hidden, arena);
	ck_assert(slice_eq(hidden.field[FIELD_RCPT_HASH], SLICE("abc")));
	ck_assert(slice_eq(hidden.field[FIELD_RCPT_DOMAIN], SLICE("example.com")));
}
END_TEST

START_TEST(addresses_that_are_none_do_no_harm)
{
	static const char *const addresses[] = {
	        "", "@", "@@", "<>", "root", "\"\"@x", "a@", "+@x", "<a@b>"};

	for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
		struct event event = bounce(), hidden;
		g_autoptr(GString) arena = g_string_new(NULL);
		set(&event, FIELD_RCPT_TO, addresses[i]);
		set(&event, FIELD_RAW_RCPT_TO, addresses[i]);
		set(&event, FIELD_SUBJECT, "%4 =4 % = a@b x");
		privacy_hide(&event, &hidden, arena);
		ck_assert(!event_has(&hidden, FIELD_RCPT_TO));
	}
}
END_TEST

UNIT_MAIN("ingest_write", a_line_has_the_wrapper_and_the_name_that_the_type_has_on_premise,
        the_plain_form_has_seconds_and_no_fields_of_our_own,
        the_extended_form_has_milliseconds_and_our_fields,
        a_kept_report_goes_to_other_postwakes_only, bytes_that_would_end_a_line_do_not,
        privacy_puts_hash_and_domain_in_the_place_of_the_address,
        no_field_holds_the_address_in_any_coding, what_must_be_there_stays_there_in_privacy_mode,
        the_part_before_a_detail_and_the_alias_are_secret_too, a_quoted_local_part_is_hidden_whole,
        a_short_local_part_counts_as_a_word_only, an_event_that_is_private_already_stays_as_it_is,
        addresses_that_are_none_do_no_harm)
