#include <check.h>
#include <glib.h>
#include <string.h>

#include "base/error.h"
#include "store/tombstone.h"
#include "tests/support/unit.h"

static const uint8_t key[TOMBSTONE_KEY_BYTES] = "0123456789abcdef";
static struct tombstones *stones;
static GString *out;

#define WHEN 1000

static void setup(void)
{
	stones = tombstones_new(key);
	out = g_string_new(NULL);
}

static void teardown(void)
{
	tombstones_free(&stones);
	g_string_free(out, TRUE);
}

static int make(enum tombstone_kind kind, const char *name, struct tombstone *stone)
{
	struct error err = {0};

	return tombstone_make(key, kind, slice_str(name), WHEN, stone, &err);
}

static void erase(enum tombstone_kind kind, const char *name)
{
	struct tombstone stone;

	ck_assert_int_eq(make(kind, name, &stone), 0);
	tombstones_add(stones, &stone);
}

static const char *clean_at(int64_t time, bool close, const char *text)
{
	g_string_truncate(out, 0);
	if (!tombstones_clean(stones, time, close, slice_str(text), out)) {
		ck_assert_uint_eq(out->len, 0);
		return text;
	}
	return out->str;
}

static const char *clean(const char *text)
{
	return clean_at(0, false, text);
}

static void check_table(const char *const table[][2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_str_eq(clean(table[i][0]), table[i][1]);
}

START_TEST(addresses_are_found_in_the_forms_that_mail_gives_them)
{
	static const char *const table[][2] = {
	        {"john.doe@example.com", "[erased]"},
	        {"JOHN.Doe@Example.COM", "[erased]"},
	        {"<john.doe@example.com>: unknown", "<[erased]>: unknown"},
	        {"to 'john.doe@example.com'.", "to '[erased]'."},
	        {"mailbox john.doe@example.com.", "mailbox [erased]."},
	        {"john.doe@example.com,john.doe@example.com", "[erased],[erased]"},
	        {"bounces+john.doe=example.com@list.example.org",
	                "bounces+[erased]@list.example.org"},
	        {"list-bounces-12-john.doe=example.com@l.org", "list-bounces-12-[erased]@l.org"},
	        {"SRS0=HHH=TT=example.com=john.doe@forward.net",
	                "SRS0=HHH=TT=[erased]@forward.net"},
	        {"http://x/?u=john.doe%40example.com&v=1", "http://x/?u=[erased]&v=1"},
	        {"http://x/?u%3Djohn.doe%40example.com", "http://x/?u%3D[erased]"},
	        {"john.doe=40example.com", "[erased]"},
	        {"john.doe%example.com@relay.net", "[erased]@relay.net"},
	        {"example.com!john.doe", "[erased]"},
	        {"to=<x>, orig_to=<john.doe@example.com>", "to=<x>, orig_to=<[erased]>"},
	};

	erase(TOMBSTONE_RECIPIENT, "John.Doe@example.com");
	check_table(table, G_N_ELEMENTS(table));
}
END_TEST

START_TEST(other_peoples_addresses_stay)
{
	static const char *const texts[] = {"me+john.doe@example.com", "xjohn.doe@example.com",
	        "not-john.doe@example.com", "john.doe@example.com.au", "john.doe@mail.example.com",
	        "john.doe@example.org", "john.doe+tag@example.com", "john.doe=example.org@x.net",
	        "doe@example.com", "example.com", "", "@", "john@", "=", "%", "!", "%40",
	        "@example.com", "john.doe2 is not here"};

	erase(TOMBSTONE_RECIPIENT, "john.doe@example.com");
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		ck_assert_str_eq(clean(texts[i]), texts[i]);
}
END_TEST

START_TEST(an_address_is_found_beside_signs_of_any_language)
{
	static const char *const table[][2] = {
	        {"Contact “john.doe@example.com” now", "Contact “[erased]” now"},
	        {"“john.doe@example.com”", "“[erased]”"},
	        {"«john.doe@example.com»", "«[erased]»"},
	        {"请联系john.doe@example.com", "请联系[erased]"},
	        {"请联系john.doe@example.com谢谢", "请联系[erased]谢谢"},
	        {"пишите：john.doe@example.com。", "пишите：[erased]。"},
	        {"„john.doe“ fragt", "„[erased]“ fragt"},
	        {"请问john.doe，在吗", "请问[erased]，在吗"},
	        {"john.doe…", "[erased]…"},
	        {"\xab"
	         "john.doe@example.com\xbb",
	                "\xab[erased]\xbb"},
	        {"https://x.example/unsub/john.doe@example.com",
	                "https://x.example/unsub/[erased]"},
	        {"https://x.example/%3Cjohn.doe@example.com%3E",
	                "https://x.example/%3C[erased]%3E"},
	        {"écris à l'adresse d'john.doe@example.com", "écris à l'adresse d'[erased]"},
	        {"“\"john.doe\"@example.com”", "“[erased]”"},
	        {"x-john.doe=example.com“", "x-[erased]“"},
	        {"„example.com!john.doe“", "„[erased]“"},
	        {"Hello...john.doe@example.com...", "Hello...[erased]..."},
	        {"_john.doe@example.com_ --john.doe--", "_[erased]_ --[erased]--"},
	        {"[\"Dear\\njohn.doe@example.com\",\"\\u003cjohn.doe@example.com\"]",
	                "[\"Dear\\n[erased]\",\"\\u003c[erased]\"]"},
	};
	static const char *const others[] = {"öjohn.doe@example.com", "john.doe@example.comé",
	        "jo\xcc\x88john.doe@example.com", "<d'john.doe@example.com>",
	        "d'john.doe@example.com", "{\"a\":\"d'john.doe@example.com\"}",
	        "john.doe_@example.com", "/x/me+john.doe@example.com"};

	erase(TOMBSTONE_RECIPIENT, "john.doe@example.com");
	check_table(table, G_N_ELEMENTS(table));
	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		ck_assert_str_eq(clean(others[i]), others[i]);
}
END_TEST

START_TEST(what_codes_an_address_goes)
{
	static const char *const table[][2] = {
	        {"550 =3Cjohn.doe=40example.com=3E no", "550 =3C[erased]=3E no"},
	        {"=?utf-8?q?john=2Edoe=40example.com?=", "=?utf-8?q?[erased]?="},
	        {"john.doe=\r\n@example.com", "[erased]"},
	        {"no &lt;john.doe&#64;example.com&gt;", "no &lt;[erased]&gt;"},
	        {"john.doe&commat;example&#x2e;com!", "[erased]!"},
	        {"http://x/?u=J%6Fhn.doe%40example.com&v=1", "http://x/?u=[erased]&v=1"},
	        {"john.doe%2540example.com", "[erased]"},
	        {"J%6Fhn=2Edoe=40example.com", "[erased]"},
	        {"john.doe\\@example.com", "[erased]"},
	        {"john.doe @ example.com, please", "[erased], please"},
	        {"550-<john.doe@exam\r\n550-ple.com> no", "550-<[erased]> no"},
	        {"b64 am9obi5kb2VAZXhhbXBsZS5jb20= no", "b64 [erased] no"},
	        {"http://x/?e=am9obi5kb2VAZXhhbXBsZS5jb20", "http://x/?e=[erased]"},
	        /* <john.doe@example.com>, … */
	        {"PGpvaG4uZG9lQGV4YW1wbGUuY29tPiwg", "[erased]"},
	        {"6a6f686e2e646f65406578616d706c652e636f6d", "[erased]"},
	};
	static const char *const others[] = {"am9obi5kb2VAZXhhbXBsZS5uZXQ=",
	        "xjohn.doe=40example.com", "xjohn.doe @ example.com", "100% =40 &#64; \\@ &amp;",
	        "6a6f686e2e646f65406578616d706c652e6f7267"};

	erase(TOMBSTONE_RECIPIENT, "john.doe@example.com");
	check_table(table, G_N_ELEMENTS(table));
	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		ck_assert_str_eq(clean(others[i]), others[i]);
}
END_TEST

START_TEST(upper_and_lower_case_of_any_script_are_one)
{
	static const char *const table[][2] = {
	        {"JÖRG.X@BÜCHER.EXAMPLE", "[erased]"},
	        {"<Jörg.X@Bücher.example>", "<[erased]>"},
	        {"jörg.x@xn--bcher-kva.example", "[erased]"},
	        {"JÖRG.X@mail.XN--BCHER-KVA.example", "JÖRG.X@mail.XN--BCHER-KVA.example"},
	        {"to JÖRG.X now", "to [erased] now"},
	        {"ИВАН-1@ПРИМЕР.РФ", "[erased]"},
	        {"иван-1@пример.рф", "[erased]"},
	        {"a@BÜCHER.NET", "[erased]"},
	        {"a@xn--bcher-kva.net", "[erased]"},
	        {"<q1@xn--bcher-kva.org>", "<[erased]>"},
	        {"<q1@bücher.org>", "<q1@bücher.org>"},
	};
	static const char *const others[] = {"joerg.x@bücher.example", "jorg.x@bücher.example",
	        "jörg.x@buecher.example", "jörg.x@xn--bcher-kvb.example", "weiss.1@example.com",
	        "j\xd6rg.x@bücher.example", "a@xn--.example", "a@xn--\xff.example"};

	erase(TOMBSTONE_RECIPIENT, "jörg.x@bücher.example");
	erase(TOMBSTONE_RECIPIENT, "иван-1@xn--e1afmkfd.xn--p1ai");
	erase(TOMBSTONE_RECIPIENT, "weiß.1@example.com");
	erase(TOMBSTONE_DOMAIN, "Bücher.net");
	erase(TOMBSTONE_MESSAGE, "<q1@xn--bcher-kva.org>");
	check_table(table, G_N_ELEMENTS(table));
	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		ck_assert_str_eq(clean(others[i]), others[i]);
}
END_TEST

START_TEST(addresses_of_other_scripts_are_found_as_a_whole)
{
	static const char *const table[][2] = {
	        {"用户-1@例子.中国", "[erased]"},
	        {"“用户-1@例子.中国”", "“[erased]”"},
	        {"“用户-1”", "“[erased]”"},
	        {"jörg.x@bücher.example", "[erased]"},
	        {"an „jörg.x@bücher.example“", "an „[erased]“"},
	        {"a“b.c@example.com", "[erased]"},
	};

	erase(TOMBSTONE_RECIPIENT, "用户-1@例子.中国");
	erase(TOMBSTONE_RECIPIENT, "jörg.x@bücher.example");
	erase(TOMBSTONE_RECIPIENT, "a“b.c@example.com");
	erase(TOMBSTONE_RECIPIENT, "b.c@example.com");
	check_table(table, G_N_ELEMENTS(table));
}
END_TEST

START_TEST(an_address_goes_that_was_cut_off_with_a_long_text)
{
	g_autofree char *filler = g_strnfill(1900, 'y');
	g_autofree char *text = g_strconcat(filler, " john.doe@examp", NULL);
	g_autofree char *want = g_strconcat(filler, " [erased]", NULL);
	g_autofree char *json = g_strconcat("{\"subject\":\"", text, "\"}", NULL);
	g_autofree char *left = g_strconcat("{\"subject\":\"", want, "\"}", NULL);

	erase(TOMBSTONE_RECIPIENT, "john.doe@example.com");
	ck_assert_str_eq(clean(text), want);
	ck_assert_str_eq(clean(json), left);
	ck_assert_str_eq(clean("john.doe@examp"), "john.doe@examp");
	/* Elsewhere in it a domain is whole. */
	g_autofree char *other = g_strconcat(filler, " john.doe@example.org stays", NULL);
	ck_assert_str_eq(clean(other), other);
}
END_TEST

START_TEST(a_telling_local_part_alone_is_found_everywhere)
{
	erase(TOMBSTONE_RECIPIENT, "john.doe@example.com");
	ck_assert_str_eq(clean("550 user john.doe unknown"), "550 user [erased] unknown");
	ck_assert_str_eq(clean("Where is John.Doe?"), "Where is [erased]?");
	ck_assert_str_eq(clean("john.doe"), "[erased]");
}
END_TEST

START_TEST(a_plain_local_part_alone_is_found_only_in_mails_of_its_own)
{
	erase(TOMBSTONE_RECIPIENT, "info@example.com");
	ck_assert_str_eq(clean("550 for info see http"), "550 for info see http");
	ck_assert_str_eq(clean_at(0, true, "550 info is full"), "550 [erased] is full");
	ck_assert_str_eq(clean("info@example.com"), "[erased]");
	ck_assert_str_eq(clean_at(0, true, "info@example.net"), "info@example.net");
}
END_TEST

START_TEST(a_domain_takes_all_of_its_addresses)
{
	static const char *const table[][2] = {
	        {"a@example.com b@example.net", "[erased] b@example.net"},
	        {"x-a=example.com@l.org", "[erased]@l.org"},
	        {"example.com", "[erased]"},
	        {"host mx.example.com said", "host mx.example.com said"},
	        {"a@sub.example.com", "a@sub.example.com"},
	};

	erase(TOMBSTONE_DOMAIN, "Example.com");
	check_table(table, G_N_ELEMENTS(table));
}
END_TEST

START_TEST(a_message_is_found_by_either_of_its_ids)
{
	struct event event = {.time = 1, .field[FIELD_MESSAGE_ID] = SLICE("0000ab12cd34ef560001")};

	erase(TOMBSTONE_MESSAGE, "0000ab12cd34ef560001");
	erase(TOMBSTONE_MESSAGE, "<q1@mail.example>");
	ck_assert(tombstones_take(stones, &event));
	event.field[FIELD_MESSAGE_ID] = SLICE("0000ab12cd34ef560002");
	ck_assert(!tombstones_take(stones, &event));
	event.field[FIELD_HEADER_MESSAGE_ID] = SLICE("q1@mail.example");
	ck_assert(tombstones_take(stones, &event));
	ck_assert_str_eq(clean("reply to <q1@mail.example>"), "reply to <[erased]>");
}
END_TEST

START_TEST(what_happens_after_the_erasure_is_kept)
{
	struct event event = {.time = WHEN - 1, .field[FIELD_RCPT_TO] = SLICE("a.b@example.com")};

	erase(TOMBSTONE_RECIPIENT, "a.b@example.com");
	ck_assert(tombstones_take(stones, &event));
	ck_assert(tombstones_after(stones, WHEN - 1));
	event.time = WHEN;
	ck_assert(!tombstones_take(stones, &event));
	ck_assert(!tombstones_after(stones, WHEN));
	ck_assert_str_eq(clean_at(WHEN, false, "a.b@example.com"), "a.b@example.com");
}
END_TEST

START_TEST(each_recipient_field_takes_an_event)
{
	static const enum field fields[] = {FIELD_RCPT_TO, FIELD_RAW_RCPT_TO, FIELD_ORIG_RCPT_TO};

	erase(TOMBSTONE_RECIPIENT, "a.b@example.com");
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		struct event event = {.time = 1};
		event.field[FIELD_FRIENDLY_FROM] = SLICE("a.b@example.com");
		ck_assert(!tombstones_take(stones, &event));
		event.field[fields[i]] = SLICE("A.B@example.COM");
		ck_assert(tombstones_take(stones, &event));
	}
}
END_TEST

START_TEST(fields_of_an_event_are_cleaned_together)
{
	struct event event = {.time = 1,
	        .field = {[FIELD_RCPT_TO] = SLICE("c@example.net"),
	                [FIELD_SUBJECT] = SLICE("Re: a.b@example.com"),
	                [FIELD_REASON] = SLICE("forwarded to a.b@example.com, a.b")}};

	erase(TOMBSTONE_RECIPIENT, "a.b@example.com");
	ck_assert(tombstones_clean_event(stones, true, &event, out));
	ck_assert(slice_eq(event.field[FIELD_RCPT_TO], SLICE("c@example.net")));
	ck_assert(slice_eq(event.field[FIELD_SUBJECT], SLICE("Re: [erased]")));
	ck_assert(slice_eq(event.field[FIELD_REASON], SLICE("forwarded to [erased], [erased]")));
	ck_assert(!tombstones_clean_event(stones, true, &event, out));
}
END_TEST

START_TEST(escapes_of_json_in_an_event_hide_nothing)
{
	struct event event = {.time = 1,
	        .field = {[FIELD_RCPT_META] = SLICE("{\"note\":\"Dear\\na\\u002eb@example.com\"}"),
	                [FIELD_RCPT_TAGS] = SLICE("[\"\\ta.b\",\"x\"]"),
	                [FIELD_SUBJECT] = SLICE("\\u0061.b")}};

	erase(TOMBSTONE_RECIPIENT, "a.b7@example.com");
	ck_assert(!tombstones_clean_event(stones, true, &event, out));
	erase(TOMBSTONE_RECIPIENT, "a.b@example.com");
	ck_assert(tombstones_clean_event(stones, true, &event, out));
	ck_assert(slice_eq(event.field[FIELD_RCPT_META], SLICE("{\"note\":\"Dear\\n[erased]\"}")));
	ck_assert(slice_eq(event.field[FIELD_RCPT_TAGS], SLICE("[\"\\t[erased]\",\"x\"]")));
	ck_assert(slice_eq(event.field[FIELD_SUBJECT], SLICE("[erased]")));
	/* What is no JSON is looked at as it is. */
	event.field[FIELD_RCPT_META] = SLICE("{\"note\":\"Dear\\na.b@example.com");
	ck_assert(tombstones_clean_event(stones, true, &event, out));
	ck_assert(slice_eq(event.field[FIELD_RCPT_META], SLICE("{\"note\":\"Dear\\n[erased]")));
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	static const struct {
		enum tombstone_kind kind;
		const char *name;
	} bad[] = {{TOMBSTONE_RECIPIENT, "john"}, {TOMBSTONE_RECIPIENT, "@example.com"},
	        {TOMBSTONE_RECIPIENT, "john@"}, {TOMBSTONE_RECIPIENT, ""},
	        {TOMBSTONE_RECIPIENT, "a b@example.com"}, {TOMBSTONE_DOMAIN, "com"},
	        {TOMBSTONE_DOMAIN, "a@example.com"}, {TOMBSTONE_MESSAGE, ""},
	        {TOMBSTONE_MESSAGE, "a\nb"}};
	struct tombstone stone;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		ck_assert_int_eq(make(bad[i].kind, bad[i].name, &stone), -1);
	g_autofree char *longest = g_strnfill(600, 'a');
	g_autofree char *address = g_strconcat(longest, "@example.com", NULL);
	ck_assert_int_eq(make(TOMBSTONE_RECIPIENT, address, &stone), -1);
}
END_TEST

START_TEST(another_key_makes_other_hashes)
{
	const uint8_t other[TOMBSTONE_KEY_BYTES] = {1};
	struct tombstone a, b;

	ck_assert_int_eq(make(TOMBSTONE_RECIPIENT, "a.b@example.com", &a), 0);
	ck_assert_int_eq(tombstone_make(other, TOMBSTONE_RECIPIENT, SLICE("a.b@example.com"), WHEN,
	                         &b, NULL),
	        0);
	ck_assert_uint_ne(a.hash, b.hash);
	ck_assert_uint_ne(a.local, b.local);
}
END_TEST

/* Whatever bytes come: it ends, and only takes away. */
START_TEST(hostile_texts_are_bounded)
{
	static const char alphabet[] = "a.@=%40!+-<>\"' \\\xc3\xa9"
	                               "example.com";
	g_autoptr(GRand) rand = g_rand_new_with_seed(7);
	char text[3000];

	erase(TOMBSTONE_RECIPIENT, "a.a@example.com");
	erase(TOMBSTONE_DOMAIN, "e.com");
	for (int round = 0; round < 300; round++) {
		size_t n = (size_t)g_rand_int_range(rand, 0, sizeof(text));
		for (size_t i = 0; i < n; i++)
			text[i] = alphabet[g_rand_int_range(rand, 0, sizeof(alphabet) - 1)];
		g_string_truncate(out, 0);
		tombstones_clean(stones, 0, true, slice_make(text, n), out);
	}
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '@';
	g_string_truncate(out, 0);
	ck_assert(!tombstones_clean(stones, 0, true, slice_make(text, sizeof(text)), out));
}
END_TEST

/* Each of them has as many places where a name may begin or end as its length allows. */
START_TEST(what_a_long_text_costs_grows_with_its_length)
{
	static const char *const pieces[] = {"%a", "a!", "请a", "“", "a@请", "!!/a", "_.",
	        "é“a=", "a\"@", "%请a%请", "@", "a.b@"};

	erase(TOMBSTONE_RECIPIENT, "a.a@example.com");
	erase(TOMBSTONE_DOMAIN, "e.com");
	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		GString *text = g_string_new(NULL);
		while (text->len < 128 * 1024)
			g_string_append(text, pieces[i]);
		g_string_truncate(out, 0);
		ck_assert(
		        !tombstones_clean(stones, 0, true, slice_make(text->str, text->len), out));
		g_string_free(text, TRUE);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tombstone");
	TCase *cases = tcase_create("tombstone");
	const TTest *const tests[] = {
	        addresses_are_found_in_the_forms_that_mail_gives_them,
	        other_peoples_addresses_stay,
	        an_address_is_found_beside_signs_of_any_language,
	        what_codes_an_address_goes,
	        upper_and_lower_case_of_any_script_are_one,
	        addresses_of_other_scripts_are_found_as_a_whole,
	        an_address_goes_that_was_cut_off_with_a_long_text,
	        a_telling_local_part_alone_is_found_everywhere,
	        a_plain_local_part_alone_is_found_only_in_mails_of_its_own,
	        a_domain_takes_all_of_its_addresses,
	        a_message_is_found_by_either_of_its_ids,
	        what_happens_after_the_erasure_is_kept,
	        each_recipient_field_takes_an_event,
	        fields_of_an_event_are_cleaned_together,
	        escapes_of_json_in_an_event_hide_nothing,
	        what_is_no_name_is_refused,
	        another_key_makes_other_hashes,
	        hostile_texts_are_bounded,
	        what_a_long_text_costs_grows_with_its_length,
	};

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		tcase_add_test(cases, tests[i]);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
