/* Keyed hashes in place of addresses: what is an address in a text, and what stays. */
#include "event/pseudonym.h"

#include <check.h>
#include <string.h>

#include "tests/support/unit.h"

static const uint8_t key[PSEUDONYM_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static struct pseudonyms *pseudonyms;
static GString *out;

static void setup(void)
{
	pseudonyms = pseudonyms_new(key);
	out = g_string_new(NULL);
}

static void teardown(void)
{
	pseudonyms_free(&pseudonyms);
	g_string_free(out, TRUE);
}

/* What stands for an address; a few at a time. */
static const char *of(const char *address)
{
	static char *kept[64];
	static unsigned at;
	GString *text = g_string_new(NULL);

	pseudonyms_address(pseudonyms, slice_str(address), text);
	g_free(kept[at = (at + 1) % G_N_ELEMENTS(kept)]);
	kept[at] = g_string_free(text, FALSE);
	return kept[at];
}

/* The same without its domain. */
static char *local_of(const char *address)
{
	return g_strndup(of(address), strcspn(of(address), "@"));
}

START_TEST(an_address_has_one_pseudonym_however_it_is_written)
{
	const char *stands = of("john.doe@example.com");

	ck_assert(g_str_has_prefix(stands, PSEUDONYM_PREFIX));
	ck_assert(g_str_has_suffix(stands, "@example.com"));
	ck_assert_uint_eq(strlen(stands), strlen("pn-@example.com") + 16);
	ck_assert_str_eq(of("John.Doe@example.com"), stands);
	ck_assert_str_eq(of("<john.doe@example.com>"), stands);
	ck_assert_str_eq(of("\"john.doe\"@example.com"), stands);
	ck_assert_str_eq(of("\"john\\.doe\"@example.com"), stands);
	/* Its domain stays as it is written. */
	ck_assert(g_str_has_suffix(of("john.doe@Example.COM"), "@Example.COM"));
	ck_assert_int_eq(strncmp(of("john.doe@Example.COM"), stands, 19), 0);
	/* What stands for it already stays. */
	ck_assert_str_eq(of(stands), stands);
	ck_assert_str_eq(of(""), "");
	ck_assert(g_str_has_prefix(of("root"), PSEUDONYM_PREFIX));
	ck_assert_str_ne(of("jane.doe@example.com"), stands);
}
END_TEST

START_TEST(another_key_makes_another_pseudonym)
{
	static const uint8_t other[PSEUDONYM_KEY_BYTES] = "x";
	const char *stands = of("john.doe@example.com");

	pseudonyms_free(&pseudonyms);
	pseudonyms = pseudonyms_new(other);
	ck_assert_str_ne(of("john.doe@example.com"), stands);
}
END_TEST

/* "A" in the wanted text stands for the local part's pseudonym. */
static void expect_text(const char *text, const char *address, const char *want)
{
	g_autofree char *stands = local_of(address);
	GString *wanted = g_string_new(want);

	g_string_replace(wanted, "{}", stands, 0);
	g_string_truncate(out, 0);
	bool any = pseudonyms_text(pseudonyms, slice_str(text), out);
	ck_assert_msg(
	        strcmp(out->str, wanted->str) == 0, "%s: %s, not %s", text, out->str, wanted->str);
	ck_assert_int_eq(any, strcmp(text, want) != 0);
	g_string_free(wanted, TRUE);
}

START_TEST(addresses_are_found_in_texts)
{
	static const struct {
		const char *text, *address, *want;
	} cases[] = {
	        {"550 5.1.1 <john.doe@example.com>: unknown", "john.doe@example.com",
	                "550 5.1.1 <{}@example.com>: unknown"},
	        {"see John.Doe@example.com.", "john.doe@example.com", "see {}@example.com."},
	        {"<\"john doe\"@example.com> no", "\"john doe\"@example.com",
	                "<{}@example.com> no"},
	        {"{\"a\":\"\\\"john doe\\\"@example.com\"}", "\"john doe\"@example.com",
	                "{\"a\":\"{}@example.com\"}"},
	        {"http://x.example/?a=john.doe%40example.com&b=1", "john.doe@example.com",
	                "http://x.example/?a={}%40example.com&b=1"},
	        {"<bounces+john.doe=example.com@shop.example>",
	                "bounces+john.doe=example.com@shop.example", "<{}@shop.example>"},
	        {"<SRS0=ab=cd=example.com=john.doe@relay.example>",
	                "SRS0=ab=cd=example.com=john.doe@relay.example", "<{}@relay.example>"},
	        {"j\xc3\xb6rg@example.com", "j\xc3\xb6rg@example.com", "{}@example.com"},
	        {"no address: @example.com, a@, 50% of x=y", "x@y",
	                "no address: @example.com, a@, 50% of x=y"},
	        {"relay=mx.example.com, delay=0.5, dsn=5.1.1", "x@y",
	                "relay=mx.example.com, delay=0.5, dsn=5.1.1"},
	        {"", "x@y", ""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		expect_text(cases[i].text, cases[i].address, cases[i].want);
}
END_TEST

START_TEST(addresses_are_found_however_they_are_coded)
{
	static const struct {
		const char *text, *address, *want;
	} cases[] = {
	        {"u=john.doe%40example.com.", "john.doe@example.com", "u={}%40example.com."},
	        {"u=john%2Edoe%2540example%2Ecom", "john.doe@example.com",
	                "u={}%2540example%2Ecom"},
	        {"say john.doe=40example.com", "john.doe@example.com", "say {}=40example.com"},
	        {"john.doe&#64;example.com", "john.doe@example.com", "{}&#64;example.com"},
	        {"john.doe&commat;example.com", "john.doe@example.com", "{}&commat;example.com"},
	        {"\\u006aohn.doe\\u0040example.com", "john.doe@example.com",
	                "{}\\u0040example.com"},
	        {"id am9obi5kb2VAZXhhbXBsZS5jb20= end", "john.doe@example.com", "id {} end"},
	        {"id/6a6f686e2e646f65406578616d706c652e636f6d/", "john.doe@example.com", "id/{}/"},
	        {"see john.doe=example.com here", "john.doe@example.com",
	                "see {}=example.com here"},
	        {"http://x.example/u/john77=example.com/", "john77@example.com",
	                "http://x.example/u/{}=example.com/"},
	        {"no mailbox john.doe%example.com", "john.doe@example.com",
	                "no mailbox {}%example.com"},
	        /* Who is named once is meant by what stands alone, too. */
	        {"<john.doe@example.com>: John.Doe is away", "john.doe@example.com",
	                "<{}@example.com>: {} is away"},
	        {"<john.doe@[192.0.2.1]>: no", "john.doe@[192.0.2.1]", "<{}@[192.0.2.1]>: no"},
	        {"no mailbox for john.doe@", "john.doe", "no mailbox for {}@"},
	        {"to john.doe @ example.com", "john.doe@example.com", "to {} @ example.com"},
	        {"five @ home, me @ example.com", "x@y", "five @ home, me @ example.com"},
	        /* Settings, properties (RFC 8601), parameters and sums are none. */
	        {"relay=mx.example.com smtp.mailfrom=example.com header.d=example.com", "x@y",
	                "relay=mx.example.com smtp.mailfrom=example.com header.d=example.com"},
	        {"http://x.example/?utm.source=news.example&v2=a.example", "x@y",
	                "http://x.example/?utm.source=news.example&v2=a.example"},
	        {"size=40MB, a.b=1.5, 100%fine", "x@y", "size=40MB, a.b=1.5, 100%fine"},
	        {"queued as 4NtLMR5Ylxz1Dy0123456789abcdef", "x@y",
	                "queued as 4NtLMR5Ylxz1Dy0123456789abcdef"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		expect_text(cases[i].text, cases[i].address, cases[i].want);
}
END_TEST

static struct event event_to(const char *to)
{
	struct event event = {.type = EVENT_BOUNCE};

	event.field[FIELD_RCPT_TO] = slice_str(to);
	event.field[FIELD_RAW_RCPT_TO] = slice_str(to);
	return event;
}

static void expect_field(
        const struct event *event, enum field field, const char *address, const char *want)
{
	g_autofree char *stands = local_of(address);
	GString *wanted = g_string_new(want);

	g_string_replace(wanted, "{}", stands, 0);
	ck_assert_msg(slice_eq(event->field[field], slice_make(wanted->str, wanted->len)),
	        "%.*s, not %s", SLICE_ARG(event->field[field]), wanted->str);
	g_string_free(wanted, TRUE);
}

START_TEST(an_event_keeps_no_address_and_no_local_part_of_its_recipient)
{
	static const struct {
		enum field field;
		const char *text, *want;
	} cases[] = {
	        {FIELD_RCPT_TO, "john.doe@example.com", "{}@example.com"},
	        {FIELD_RAW_RCPT_TO, "John.Doe@Example.com", "{}@Example.com"},
	        {FIELD_RAW_REASON, "550 user john.doe unknown (john.doe@example.com)",
	                "550 user {} unknown ({}@example.com)"},
	        {FIELD_REASON, "550 mailbox of JOHN.DOE. full", "550 mailbox of {}. full"},
	        {FIELD_SUBJECT, "For john.doe: x", "For {}: x"},
	        {FIELD_RCPT_META, "{\"n\":\"john.doe\",\"e\":\"john\\u002edoe\\u0040example.com\"}",
	                "{\"n\":\"{}\",\"e\":\"{}@example.com\"}"},
	        {FIELD_RCPT_TAGS, "[\"x\",\"john.doe\"]", "[\"x\",\"{}\"]"},
	        {FIELD_TARGET_LINK_URL, "http://s.example/bounces-john.doe=example.com/",
	                "http://s.example/bounces-{}=example.com/"},
	        {FIELD_RECIPIENT_DOMAIN, "example.com", "example.com"},
	        {FIELD_MX_HOST, "mx.example.com", "mx.example.com"},
	};
	struct event event = {.type = EVENT_BOUNCE};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		event.field[cases[i].field] = slice_str(cases[i].text);
	event.field[FIELD_REPORT_MIME] = SLICE("From: x");
	pseudonyms_event(pseudonyms, &event, out);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		expect_field(&event, cases[i].field, "john.doe@example.com", cases[i].want);
	ck_assert(!event_has(&event, FIELD_REPORT_MIME));
	/* And once more changes nothing: what was salvaged comes again. */
	GString *again = g_string_new(NULL);
	pseudonyms_event(pseudonyms, &event, again);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		expect_field(&event, cases[i].field, "john.doe@example.com", cases[i].want);
	g_string_free(again, TRUE);
}
END_TEST

static const char *id_of(const char *id)
{
	g_string_truncate(out, 0);
	pseudonyms_id(pseudonyms, slice_str(id), out);
	return out->str;
}

START_TEST(a_message_id_becomes_a_hash_whoever_it_names)
{
	static const char *const ids[] = {"<x.1@mx.example>",
	        "<bounce+jane.roe=far.example@lists.example>", "<123@jane.roe=far.example>",
	        "john.doe@example.com", "nothing"};
	GString *arena = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		/* The event knows nobody of them: an alias has led elsewhere. */
		struct event event = event_to("alias@example.org");
		event.field[FIELD_HEADER_MESSAGE_ID] = slice_str(ids[i]);
		pseudonyms_event(pseudonyms, &event, arena);
		struct slice id = event.field[FIELD_HEADER_MESSAGE_ID];
		ck_assert_uint_eq(id.n, strlen(PSEUDONYM_PREFIX) + 16);
		ck_assert(slice_eq(id, slice_str(id_of(ids[i]))));
		g_autofree char *kept = slice_dup(id);
		ck_assert_str_eq(id_of(kept), kept);
	}
	g_string_free(arena, TRUE);
	/* With and without brackets, and in a text, it is the same. */
	g_autofree char *bare = g_strdup(id_of("x.1@mx.example"));
	ck_assert_str_eq(id_of("<x.1@mx.example>"), bare);
	ck_assert(g_str_has_prefix(of("x.1@mx.example"), bare));
}
END_TEST

START_TEST(other_ids_become_hashes_where_they_name_somebody)
{
	static const struct {
		const char *id;
		bool stays;
	} cases[] = {{"00005b1c0a5f0a1b2c3d", true}, {"65832150921904138", true},
	        {"to-john.doe", false}, {"list-jane.roe=example.com", false},
	        {"x.y@example.com", false}, {"jane.roe", false},
	        {"6f1b8a34-0d1c-4d1c-8a34-000000000000", true},
	        {"amFuZS5yb2VAZXhhbXBsZS5jb20", false}};
	static const enum field fields[] = {
	        FIELD_MESSAGE_ID, FIELD_PARENT_MESSAGE_ID, FIELD_TRANSMISSION_ID};
	GString *arena = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		for (size_t k = 0; k < G_N_ELEMENTS(fields); k++) {
			struct event event = event_to("john.doe@example.com");
			event.field[fields[k]] = slice_str(cases[i].id);
			pseudonyms_event(pseudonyms, &event, arena);
			ck_assert(slice_eq(event.field[fields[k]],
			        slice_str(cases[i].stays ? cases[i].id : id_of(cases[i].id))));
		}
	g_string_free(arena, TRUE);
}
END_TEST

START_TEST(what_is_kept_is_looked_through_too)
{
	static const enum field fields[] = {
	        FIELD_MX_HOST, FIELD_QUEUE_ID, FIELD_IP_POOL, FIELD_RCPT_TYPE, FIELD_SERVICE};
	struct event event = event_to("a.b@a.b");

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		event.field[fields[i]] = SLICE("john.doe@example.com");
	event.field[FIELD_RECIPIENT_DOMAIN] = SLICE("a.b");
	pseudonyms_event(pseudonyms, &event, out);
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		expect_field(&event, fields[i], "john.doe@example.com", "{}@example.com");
	/* A domain may be called as somebody is. */
	ck_assert(slice_eq(event.field[FIELD_RECIPIENT_DOMAIN], SLICE("a.b")));
}
END_TEST

START_TEST(no_address_hides_behind_an_at)
{
	static const char *const addresses[] = {
	        "a@jane.roe=example.com", "@jane.roe=example.com", "a@b@jane.roe%example.com"};

	for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
		ck_assert_ptr_null(strstr(of(addresses[i]), "jane.roe"));
		ck_assert(g_str_has_prefix(of(addresses[i]), PSEUDONYM_PREFIX));
	}
	ck_assert_ptr_nonnull(strstr(of("a@[192.0.2.1]"), "@[192.0.2.1]"));
}
END_TEST

START_TEST(replies_tell_of_senders_too)
{
	struct event event = event_to("a.b@example.com");

	event.field[FIELD_FRIENDLY_FROM] = SLICE("jane.roe-5@shop.example");
	event.field[FIELD_MSG_FROM] = SLICE("news@shop.example");
	event.field[FIELD_RAW_REASON] = SLICE("550 jane.roe-5 may not send: news at eleven");
	event.field[FIELD_CAMPAIGN_ID] = SLICE("jane.roe-5");
	pseudonyms_event(pseudonyms, &event, out);
	expect_field(&event, FIELD_RAW_REASON, "jane.roe-5@shop.example",
	        "550 {} may not send: news at eleven");
	ck_assert(slice_eq(event.field[FIELD_CAMPAIGN_ID], SLICE("jane.roe-5")));
	/* The reason that can be counted has lost the address by which somebody is known. */
	event = event_to("a.b@example.com");
	event.field[FIELD_RAW_REASON] = SLICE("550 <john.doe@far.example>: john.doe is away");
	event.field[FIELD_REASON] = SLICE("550 <...@...>: john.doe is away");
	pseudonyms_event(pseudonyms, &event, out);
	expect_field(&event, FIELD_REASON, "john.doe@far.example", "550 <...@...>: {} is away");
}
END_TEST

START_TEST(the_senders_of_a_mail_are_hidden_too)
{
	struct event event = event_to("a.b@example.com");

	event.field[FIELD_MSG_FROM] = SLICE("bounces-a.b=example.com@shop.example");
	event.field[FIELD_FRIENDLY_FROM] = SLICE("news@shop.example");
	event.field[FIELD_AUTH_USER] = SLICE("jane");
	pseudonyms_event(pseudonyms, &event, out);
	expect_field(
	        &event, FIELD_MSG_FROM, "bounces-a.b=example.com@shop.example", "{}@shop.example");
	expect_field(&event, FIELD_FRIENDLY_FROM, "news@shop.example", "{}@shop.example");
	expect_field(&event, FIELD_AUTH_USER, "jane", "{}");
}
END_TEST

START_TEST(plain_names_go_and_roles_stay)
{
	struct event event = event_to("john@example.com");

	event.field[FIELD_RAW_REASON] = SLICE("550 john unknown; johnny and john.x stay");
	pseudonyms_event(pseudonyms, &event, out);
	expect_field(&event, FIELD_RAW_REASON, "john@example.com",
	        "550 {} unknown; johnny and john.x stay");
	event = event_to("hide.me-77@example.com");
	event.field[FIELD_SUBJECT] =
	        SLICE("„hide.me-77“, «hide.me-77», 请问hide.me-77：öhide.me-77");
	pseudonyms_event(pseudonyms, &event, out);
	expect_field(
	        &event, FIELD_SUBJECT, "hide.me-77@example.com", "„{}“, «{}», 请问{}：öhide.me-77");
	event = event_to("user@example.com");
	event.field[FIELD_RAW_REASON] = SLICE("550 user unknown <user@example.com>");
	pseudonyms_event(pseudonyms, &event, out);
	expect_field(
	        &event, FIELD_RAW_REASON, "user@example.com", "550 user unknown <{}@example.com>");
}
END_TEST

START_TEST(what_stands_before_a_detail_goes_as_well)
{
	struct event event = event_to("jane.roe+shop@example.com");
	g_autofree char *whole = local_of("jane.roe+shop@example.com");
	g_autofree char *base = local_of("jane.roe@example.com");
	g_autofree char *want = g_strdup_printf("%s has %s", whole, base);

	event.field[FIELD_RAW_REASON] = SLICE("jane.roe+shop has jane.roe");
	pseudonyms_event(pseudonyms, &event, out);
	ck_assert_msg(slice_eq(event.field[FIELD_RAW_REASON], slice_str(want)), "%.*s",
	        SLICE_ARG(event.field[FIELD_RAW_REASON]));
}
END_TEST

START_TEST(hostile_texts_do_no_harm)
{
	g_autofree char *at = g_strnfill(20000, '@'), *quotes = g_strnfill(20000, '"');
	g_autofree char *mixed = g_strnfill(20000, 'a');
	struct event event = event_to(mixed);

	for (size_t i = 0; i < 20000; i += 3)
		mixed[i] = i % 2 == 0 ? '"' : '@';
	pseudonyms_text(pseudonyms, slice_make(at, 20000), out);
	pseudonyms_text(pseudonyms, slice_make(quotes, 20000), out);
	/* Nothing is looked at again and again. */
	for (size_t i = 0; i + 3 < 20000; i += 3)
		memcpy(quotes + i, "%40", 3);
	pseudonyms_text(pseudonyms, slice_make(quotes, 20000), out);
	event.field[FIELD_SUBJECT] = slice_make(mixed, 20000);
	event.field[FIELD_RCPT_META] = SLICE("{\"a\\");
	pseudonyms_event(pseudonyms, &event, out);
	ck_assert(g_str_has_prefix(event.field[FIELD_RCPT_TO].p, PSEUDONYM_PREFIX));
}
END_TEST

START_TEST(a_recipient_with_a_nul_stands_for_nothing_but_itself)
{
	struct event event = event_to("q7x.zz-9@example.com");

	event.field[FIELD_RAW_RCPT_TO] = SLICE("\0xxxxxxx@example.com");
	event.field[FIELD_RAW_REASON] = SLICE("550 \0 q7x.zz-9 is unknown");
	pseudonyms_event(pseudonyms, &event, out);
	g_autofree char *stands = local_of("q7x.zz-9@example.com");
	struct slice reason = event.field[FIELD_RAW_REASON];
	ck_assert(slice_starts(reason, SLICE("550 \0 ")));
	ck_assert(slice_find(reason, slice_str(stands)) == 6);
	ck_assert(slice_ends(reason, SLICE(" is unknown")));
	/* Also where it has a detail. */
	event = event_to("");
	event.field[FIELD_RCPT_TO] = SLICE("a\0x7+shop@example.com");
	event.field[FIELD_RAW_REASON] = SLICE("550 a\0x7 is unknown");
	pseudonyms_event(pseudonyms, &event, out);
	ck_assert(slice_find(event.field[FIELD_RAW_REASON], SLICE("x7")) < 0);
}
END_TEST

START_TEST(metadata_stays_json_where_a_recipient_is_written_like_it)
{
	struct event event = event_to("a@example.com");

	event.field[FIELD_RAW_RCPT_TO] = SLICE("{\"x\":\"\"}");
	event.field[FIELD_RCPT_META] = SLICE("{\"x\":\"\"}");
	pseudonyms_event(pseudonyms, &event, out);
	ck_assert(slice_eq(event.field[FIELD_RCPT_META], SLICE("{\"x\":\"\"}")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pseudonym");
	TCase *cases = tcase_create("pseudonym");
	const TTest *const tests[] = {an_address_has_one_pseudonym_however_it_is_written,
	        addresses_are_found_however_they_are_coded,
	        a_message_id_becomes_a_hash_whoever_it_names,
	        other_ids_become_hashes_where_they_name_somebody,
	        what_is_kept_is_looked_through_too, no_address_hides_behind_an_at,
	        replies_tell_of_senders_too, another_key_makes_another_pseudonym,
	        addresses_are_found_in_texts,
	        an_event_keeps_no_address_and_no_local_part_of_its_recipient,
	        the_senders_of_a_mail_are_hidden_too, plain_names_go_and_roles_stay,
	        what_stands_before_a_detail_goes_as_well,
	        a_recipient_with_a_nul_stands_for_nothing_but_itself, hostile_texts_do_no_harm,
	        metadata_stays_json_where_a_recipient_is_written_like_it};

	tcase_add_checked_fixture(cases, setup, teardown);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		tcase_add_test(cases, tests[i]);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
