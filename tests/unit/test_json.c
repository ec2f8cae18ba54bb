#include "event/json.h"
#include "event/json_geo.h"

#include <jansson.h>

#include "tests/support/unit.h"

/* 2016-04-18T14:25:07.089Z */
#define TIME INT64_C(1460989507089)

static char *string_of(struct slice text)
{
	g_autoptr(GString) out = g_string_new(NULL);

	json_quote(out, text);
	ck_assert_uint_eq(strlen(out->str), out->len);
	return g_string_free(g_steal_pointer(&out), FALSE);
}

static void check_string(struct slice text, const char *want)
{
	g_autofree char *have = string_of(text);

	ck_assert_str_eq(have, want);
}

START_TEST(plain_text_stays_as_it_is)
{
	check_string(SLICE(""), "\"\"");
	check_string(SLICE_NONE, "\"\"");
	check_string(SLICE("a"), "\"a\"");
	check_string(SLICE("550 5.1.1 <jane@example.com>: no & such 'user'"),
	        "\"550 5.1.1 <jane@example.com>: no & such 'user'\"");
	check_string(SLICE("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa7 \xe2\x80\x94"),
	        "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa7 \xe2\x80\x94\"");
}
END_TEST

START_TEST(what_a_terminal_obeys_or_hides_is_escaped)
{
	check_string(SLICE("a\x7f"), "\"a\\u007f\"");
	check_string(SLICE("twelve chars\x7f and more"), "\"twelve chars\\u007f and more\"");
	check_string(SLICE("\xc2\x9b"
	                   "31m"),
	        "\"\\u009b31m\"");
	check_string(SLICE("\xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbf"), "\"\\u202e\\u2028\\ufeff\"");
	check_string(SLICE("\xf3\xa0\x81\x81x"), "\"\\udb40\\udc41x\"");
	check_string(
	        SLICE("\xc2\xa0\xe2\x80\xaf\xef\xbf\xbd"), "\"\xc2\xa0\xe2\x80\xaf\xef\xbf\xbd\"");
}
END_TEST

START_TEST(quotes_backslashes_and_controls_are_escaped)
{
	check_string(SLICE("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
	check_string(SLICE("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"");
	check_string(SLICE("\0\x01\x1f "), "\"\\u0000\\u0001\\u001f \"");
}
END_TEST

START_TEST(escapes_are_found_at_every_place_of_a_word)
{
	for (size_t n = 1; n < 40; n++) {
		for (size_t at = 0; at < n; at++) {
			g_autofree char *text = g_strnfill(n, 'x');
			text[at] = '"';
			g_autofree char *want =
			        g_strdup_printf("\"%.*s\\\"%s\"", (int)at, text, text + at + 1);
			check_string(slice_make(text, n), want);
		}
	}
}
END_TEST

#define BAD "\xef\xbf\xbd"
START_TEST(bytes_that_are_no_utf8_become_the_replacement_character)
{
	check_string(SLICE("caf\xe9!"), "\"caf" BAD "!\"");
	check_string(SLICE("\x80\xff"), "\"" BAD BAD "\"");
	check_string(SLICE("\xc0\xaf"), "\"" BAD BAD "\"");                 /* too long */
	check_string(SLICE("\xe0\x80\xaf"), "\"" BAD BAD BAD "\"");         /* too long */
	check_string(SLICE("\xed\xa0\x80"), "\"" BAD BAD BAD "\"");         /* surrogate */
	check_string(SLICE("\xf4\x90\x80\x80"), "\"" BAD BAD BAD BAD "\""); /* past U+10FFFF */
	check_string(SLICE("\xf5"), "\"" BAD "\"");
	check_string(SLICE("\xe2\x82"), "\"" BAD BAD "\""); /* cut off */
	check_string(SLICE("\xf0\x9f\x93"), "\"" BAD BAD BAD "\"");
	check_string(SLICE("\xc3\"x"), "\"" BAD "\\\"x\"");
}
END_TEST

/* What jansson, which is strict about UTF-8, must read from the writer's text: the same bytes with
 * U+FFFD where GLib sees no UTF-8. */
static char *expected(const char *text, size_t n, size_t *length_r)
{
	GString *want = g_string_new(NULL);

	while (n > 0) {
		const char *bad;
		if (*text == '\0') {
			g_string_append_c(want, '\0');
			text++, n--;
			continue;
		}
		g_utf8_validate(text, (gssize)n, &bad);
		size_t good = (size_t)(bad - text);
		g_string_append_len(want, text, (gssize)good);
		if (good < n && *bad != '\0') {
			g_string_append(want, BAD);
			good++;
		}
		text += good;
		n -= good;
	}
	*length_r = want->len;
	return g_string_free(want, FALSE);
}

static void check_reads_back(const char *text, size_t n)
{
	g_autoptr(GString) out = g_string_new(NULL);
	size_t length;
	g_autofree char *exact = g_memdup2(text, n); /* the sanitizer sees one byte too many */
	g_autofree char *want = expected(text, n, &length);

	g_string_append_c(out, '[');
	json_quote(out, slice_make(n > 0 ? exact : text, n));
	g_string_append_c(out, ']');
	json_t *parsed = json_loadb(out->str, out->len, JSON_ALLOW_NUL, NULL);
	ck_assert_msg(parsed != NULL, "unreadable: %s", out->str);
	json_t *string = json_array_get(parsed, 0);
	ck_assert_uint_eq(json_string_length(string), length);
	ck_assert_mem_eq(json_string_value(string), want, length);
	json_decref(parsed);
}

START_TEST(random_bytes_read_back)
{
	/* Mostly what is near the edges of a rule. */
	static const guint8 edges[] = {0, 1, 0x1f, 0x20, '"', '\\', '/', 0x7e, 0x7f, 0x80, 0x8f,
	        0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
	        0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xfe, 0xff, '!', '#', '[', ']', 'a'};
	g_autoptr(GRand) random = g_rand_new_with_seed(2);
	char text[64];

	for (int round = 0; round < 100000; round++) {
		size_t n = (size_t)g_rand_int_range(random, 0, sizeof(text));
		guint kind = g_rand_int(random) % 3;
		for (size_t i = 0; i < n; i++) {
			guint at = g_rand_int(random);
			text[i] = kind == 0 ? (char)at
			          : kind == 1 || at % 8 == 0
			                  ? (char)edges[at / 8 % G_N_ELEMENTS(edges)]
			                  : 'x';
		}
		check_reads_back(text, n);
	}
}
END_TEST

START_TEST(every_character_reads_back)
{
	for (gunichar c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 61) {
		char text[6];
		if (c >= 0xd800 && c < 0xe000)
			continue;
		check_reads_back(text, (size_t)g_unichar_to_utf8(c, text));
	}
}
END_TEST

START_TEST(members_get_commas_where_needed)
{
	g_autoptr(GString) out = g_string_new("{");

	json_member(out, "a", SLICE("{"));
	json_member_int(out, "b", 0);
	json_member_int(out, "c", G_MININT64);
	json_member_int(out, "d", G_MAXINT64);
	json_key(out, "e");
	g_string_append_c(out, '{');
	json_member_int(out, "f", -7);
	g_string_append(out, "}}");
	ck_assert_str_eq(out->str, "{\"a\":\"{\",\"b\":0,\"c\":-9223372036854775808,"
	                           "\"d\":9223372036854775807,\"e\":{\"f\":-7}}");
}
END_TEST

static struct event bounce(void)
{
	struct event event = {.type = EVENT_BOUNCE,
	        .id = UINT64_C(92356927693813856),
	        .time = TIME,
	        .injected = TIME - 89};

	event.field[FIELD_RCPT_TO] = SLICE("jane@example.com");
	event.field[FIELD_CUSTOMER_ID] = SLICE("1");
	event.field[FIELD_SUBACCOUNT_ID] = SLICE("0");
	event.field[FIELD_MSG_FROM] = SLICE("");
	event.field[FIELD_QUEUE_ID] = SLICE("4NtLMR5Ylxz1Dy");
	return event;
}

static char *event_text(const struct event *event, enum api_generation generation)
{
	GString *out = g_string_new(NULL);

	json_event(out, event, generation);
	return g_string_free(out, FALSE);
}

START_TEST(an_event_of_v1_is_as_recorded)
{
	struct event event = bounce();
	g_autofree char *text = event_text(&event, API_V1);

	ck_assert_str_eq(text, "{\"type\":\"bounce\",\"event_id\":\"92356927693813856\","
	                       "\"timestamp\":\"2016-04-18T14:25:07.089+00:00\","
	                       "\"injection_time\":\"2016-04-18T14:25:07.000Z\","
	                       "\"customer_id\":\"1\",\"subaccount_id\":\"0\","
	                       "\"rcpt_to\":\"jane@example.com\",\"rcpt_meta\":{},\"rcpt_tags\":[],"
	                       "\"msg_from\":\"\",\"queue_id\":\"4NtLMR5Ylxz1Dy\"}");
}
END_TEST

START_TEST(an_event_of_events_has_zulu_times_and_numbers_for_accounts)
{
	struct event event = bounce();
	g_autofree char *text = event_text(&event, API_EVENTS);

	ck_assert_str_eq(text, "{\"type\":\"bounce\",\"event_id\":\"92356927693813856\","
	                       "\"timestamp\":\"2016-04-18T14:25:07.089Z\","
	                       "\"injection_time\":\"2016-04-18T14:25:07.000Z\","
	                       "\"customer_id\":1,\"subaccount_id\":0,"
	                       "\"rcpt_to\":\"jane@example.com\",\"rcpt_meta\":{},\"rcpt_tags\":[],"
	                       "\"msg_from\":\"\",\"queue_id\":\"4NtLMR5Ylxz1Dy\"}");
}
END_TEST

START_TEST(absent_data_are_absent_keys)
{
	struct event event = {.type = EVENT_SMS_STATUS, .id = EVENT_NO_ID, .time = TIME};
	g_autofree char *text = event_text(&event, API_V1);

	ck_assert_str_eq(
	        text, "{\"type\":\"sms_status\",\"timestamp\":\"2016-04-18T14:25:07.089+00:00\"}");
}
END_TEST

START_TEST(metadata_and_tags_are_always_there_for_mail_only)
{
	static const enum event_type without[] = {EVENT_SMS_STATUS, EVENT_RELAY_INJECTION,
	        EVENT_RELAY_PERMFAIL, EVENT_AB_TEST_COMPLETED, EVENT_AB_TEST_CANCELLED};
	static const enum event_type with[] = {EVENT_BOUNCE, EVENT_DELIVERY, EVENT_INJECTION,
	        EVENT_OPEN, EVENT_AMP_CLICK, EVENT_GENERATION_FAILURE, EVENT_LINK_UNSUBSCRIBE};

	for (size_t i = 0; i < G_N_ELEMENTS(with); i++) {
		struct event event = {.type = with[i], .time = TIME};
		g_autofree char *text = event_text(&event, API_V1);
		ck_assert_ptr_nonnull(strstr(text, ",\"rcpt_meta\":{},\"rcpt_tags\":[]"));
	}
	for (size_t i = 0; i < G_N_ELEMENTS(without); i++) {
		struct event event = {.type = without[i], .time = TIME};
		g_autofree char *text = event_text(&event, API_V1);
		ck_assert_ptr_null(strstr(text, "rcpt_"));
	}
}
END_TEST

static void check_value(enum field field, const char *text, const char *want)
{
	g_autoptr(GString) out = g_string_new(NULL);
	struct event event = bounce();

	event.field[field] = slice_str(text);
	ck_assert(json_event_value(out, &event, field, API_EVENTS));
	ck_assert_str_eq(out->str, want);
}

START_TEST(values_have_the_kind_of_their_field)
{
	check_value(FIELD_RCPT_META, "{\"a\":{\"b\":[1]}}", "{\"a\":{\"b\":[1]}}");
	check_value(FIELD_RCPT_TAGS, "[\"x\",\"y\"]", "[\"x\",\"y\"]");
	check_value(FIELD_OPEN_TRACKING, "true", "true");
	check_value(FIELD_OPEN_TRACKING, "1", "true");
	check_value(FIELD_OPEN_TRACKING, "0", "false");
	check_value(FIELD_OPEN_TRACKING, "false", "false");
	check_value(FIELD_SMS_SEGMENTS, "5", "5");
	check_value(FIELD_ERROR_CODE, "550", "\"550\"");
	check_value(FIELD_SUBACCOUNT_ID, "101", "101");
	check_value(FIELD_TYPE, "ignored", "\"bounce\"");
}
END_TEST

START_TEST(values_that_do_not_fit_their_field_are_strings_and_not_guessed)
{
	check_value(FIELD_RCPT_META, "", "\"\"");
	check_value(FIELD_RCPT_META, "null\"", "\"null\\\"\"");
	check_value(FIELD_RCPT_TAGS, "[", "\"[\"");
	check_value(FIELD_RCPT_TAGS, "{}", "\"{}\"");
	check_value(FIELD_OPEN_TRACKING, "yes", "\"yes\"");
	check_value(FIELD_SMS_SEGMENTS, "1e9", "\"1e9\"");
	check_value(FIELD_SUBACCOUNT_ID, "0x1", "\"0x1\"");
	check_value(FIELD_SUBACCOUNT_ID, "007", "7");
}
END_TEST

/* v1 had maps for arrays in metadata, the Events API has the arrays. */
START_TEST(arrays_of_metadata_are_maps_by_index_in_v1)
{
	static const char *const table[][2] = {
	        {"{\"a\":[\"foo\",\"bar\"]}", "{\"a\":{\"0\":\"foo\",\"1\":\"bar\"}}"},
	        {"{\"a\":[],\"b\":1}", "{\"a\":{},\"b\":1}"},
	        {"{\"a\":[[1,2],{\"b\":[null,true]},-1.5e3]}",
	                "{\"a\":{\"0\":{\"0\":1,\"1\":2},\"1\":{\"b\":{\"0\":null,\"1\":true}},"
	                "\"2\":-1.5e3}}"},
	        {"{ \"a\" : [ \"]\" , \"\\\"[\" ] , \"b\" : \"[1,2]\" }",
	                "{ \"a\" : { \"0\":\"]\" , \"1\":\"\\\"[\" } , \"b\" : \"[1,2]\" }"},
	        {"{\"a\":{\"b\":{}}}", "{\"a\":{\"b\":{}}}"},
	};
	struct event event = bounce();

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_autoptr(GString) old = g_string_new(NULL), new = g_string_new(NULL);
		event.field[FIELD_RCPT_META] = slice_str(table[i][0]);
		json_event_value(old, &event, FIELD_RCPT_META, API_V1);
		json_event_value(new, &event, FIELD_RCPT_META, API_EVENTS);
		ck_assert_str_eq(old->str, table[i][1]);
		ck_assert_str_eq(new->str, table[i][0]);
	}
	event.field[FIELD_RCPT_TAGS] = SLICE("[\"a\"]");
	g_autoptr(GString) tags = g_string_new(NULL);
	json_event_value(tags, &event, FIELD_RCPT_TAGS, API_V1);
	ck_assert_str_eq(tags->str, "[\"a\"]");
	/* What is no JSON ends all the same. */
	static const char *const broken[] = {
	        "{\"a\":[}", "{]]]}}}[,,,}", "{\"a\":[\"\\}", "{[[[[}"};
	for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
		event.field[FIELD_RCPT_META] = slice_str(broken[i]);
		json_event_value(tags, &event, FIELD_RCPT_META, API_V1);
	}
}
END_TEST

/* DEL, C1, a direction, no width, a tag, behind an escaped backslash. */
#define HIDDEN_RAW "a\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\x8b\xf3\xa0\x81\x81\\\\\xc2\x85z"
#define HIDDEN_SHOWN "a\\u007f\\u009b\\u202e\\u200b\\udb40\\udc41\\\\\\u0085z"

START_TEST(json_that_came_as_json_hides_nothing_in_any_field_of_any_api)
{
	static const struct {
		enum field field;
		const char *raw, *shown;
	} table[] = {
	        {FIELD_RCPT_META, "{\"" HIDDEN_RAW "\":{\"n\":\"" HIDDEN_RAW "\"}}",
	                "{\"" HIDDEN_SHOWN "\":{\"n\":\"" HIDDEN_SHOWN "\"}}"},
	        {FIELD_GEO_IP, "{\"" HIDDEN_RAW "\":1,\"city\":\"" HIDDEN_RAW "\"}",
	                "{\"" HIDDEN_SHOWN "\":1,\"city\":\"" HIDDEN_SHOWN "\"}"},
	        {FIELD_GEO_IP, "{\"zip\":\"" HIDDEN_RAW "\"}", "{\"zip\":\"" HIDDEN_SHOWN "\"}"},
	        {FIELD_RCPT_SUBS, "{\"" HIDDEN_RAW "\":[]}", "{\"" HIDDEN_SHOWN "\":[]}"},
	        {FIELD_RCPT_TAGS, "[\"" HIDDEN_RAW "\"]", "[\"" HIDDEN_SHOWN "\"]"},
	};
	static const enum api_generation all[] = {API_V1, API_EVENTS, API_WEBHOOK};

	for (size_t i = 0; i < G_N_ELEMENTS(table) * G_N_ELEMENTS(all); i++) {
		g_autoptr(GString) out = g_string_new(NULL);
		struct event event = bounce();
		event.field[table[i / 3].field] = slice_str(table[i / 3].raw);
		ck_assert(json_event_value(out, &event, table[i / 3].field, all[i % 3]));
		ck_assert_str_eq(out->str, table[i / 3].shown);
	}
	/* Arrays of version 1 become maps. */
	g_autoptr(GString) out = g_string_new(NULL);
	struct event event = bounce();
	event.field[FIELD_RCPT_META] = SLICE("{\"" HIDDEN_RAW "\":[\"" HIDDEN_RAW "\"]}");
	ck_assert(json_event_value(out, &event, FIELD_RCPT_META, API_V1));
	ck_assert_str_eq(out->str, "{\"" HIDDEN_SHOWN "\":{\"0\":\"" HIDDEN_SHOWN "\"}}");
}
END_TEST

START_TEST(an_absent_field_has_no_value)
{
	g_autoptr(GString) out = g_string_new("x");
	struct event event = {.type = EVENT_BOUNCE, .id = EVENT_NO_ID, .time = TIME};

	ck_assert(!json_event_value(out, &event, FIELD_REASON, API_V1));
	ck_assert(!json_event_value(out, &event, FIELD_EVENT_ID, API_V1));
	ck_assert(!json_event_value(out, &event, FIELD_INJECTION_TIME, API_V1));
	ck_assert_str_eq(out->str, "x");
}
END_TEST

/* Any bytes in any field: jansson must read an object with each key once. */
START_TEST(events_of_random_bytes_read_back)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(3);
	char bytes[FIELDS * 4];

	for (int round = 0; round < 3000; round++) {
		struct event event = {.type = (enum event_type)(round % EVENT_TYPES),
		        .id = g_rand_int(random),
		        .time = (int64_t)g_rand_int(random) * 1000};
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)g_rand_int(random);
		for (int i = FIELD_MESSAGE_ID; i < FIELDS; i++)
			if (g_rand_boolean(random))
				event.field[i] = slice_make(bytes + 4 * i, g_rand_int(random) % 5);
		g_autoptr(GString) out = g_string_new(NULL);
		json_event(out, &event, round % 2 ? API_V1 : API_EVENTS);
		json_t *parsed = json_loadb(
		        out->str, out->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
		ck_assert_msg(parsed != NULL, "unreadable: %s", out->str);
		ck_assert_str_eq(json_string_value(json_object_get(parsed, "type")),
		        event_catalogue[event.type].name);
		for (int i = FIELD_MESSAGE_ID; i < FIELDS; i++)
			if (event_has(&event, (enum field)i) && !field_catalogue[i].kept &&
			        (i != FIELD_TDATE || round % 2))
				ck_assert_ptr_nonnull(
				        json_object_get(parsed, field_catalogue[i].name));
		json_decref(parsed);
	}
}
END_TEST

/* clang-format off */
START_TEST(geo_ip_has_numbers_or_strings)
{
	static const struct {
		const char *from, *numbers, *strings;
	} table[] = {
	        {"{}", "{}", "{}"},
	        {"{\"latitude\":39.1749,\"longitude\":\"-76.8375\",\"zip\":21046}",
	                "{\"latitude\":39.1749,\"longitude\":-76.8375,\"zip\":21046}",
	                "{\"latitude\":\"39.1749\",\"longitude\":\"-76.8375\",\"zip\":\"21046\"}"},
	        {"{ \"zip\" : \"12\" , \"city\":\"7\" }", "{ \"zip\" : 12 , \"city\":\"7\" }",
	                "{ \"zip\" : \"12\" , \"city\":\"7\" }"},
	        {"{\"zip\":\"01234\",\"latitude\":\"\"}", "{\"zip\":\"01234\",\"latitude\":\"\"}",
	                "{\"zip\":\"01234\",\"latitude\":\"\"}"},
	        {"{\"zip\":\"AB 1\",\"latitude\":null}", "{\"zip\":\"AB 1\",\"latitude\":null}",
	                "{\"zip\":\"AB 1\",\"latitude\":null}"},
	        {"{\"city\":\"zip\",\"x\":\"1\"}", "{\"city\":\"zip\",\"x\":\"1\"}",
	                "{\"city\":\"zip\",\"x\":\"1\"}"},
	        {"{\"city\":\"a\\\"zip\",\"zip\":5}", "{\"city\":\"a\\\"zip\",\"zip\":5}",
	                "{\"city\":\"a\\\"zip\",\"zip\":\"5\"}"},
	        {"{\"zip\":\"cut", "{\"zip\":\"cut", "{\"zip\":\"cut"},
	        {"{\"zip\":\"5\\", "{\"zip\":\"5\\", "{\"zip\":\"5\\"},
	        {"{\"zip\":1.}", "{\"zip\":1.}", "{\"zip\":1.}"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_autoptr(GString) numbers = g_string_new(NULL), strings = g_string_new(NULL);
		json_geo(numbers, slice_str(table[i].from), true);
		json_geo(strings, slice_str(table[i].from), false);
		ck_assert_str_eq(numbers->str, table[i].numbers);
		ck_assert_str_eq(strings->str, table[i].strings);
	}
}
END_TEST

UNIT_MAIN("json",
	geo_ip_has_numbers_or_strings,
	plain_text_stays_as_it_is, what_a_terminal_obeys_or_hides_is_escaped,
	quotes_backslashes_and_controls_are_escaped,
	escapes_are_found_at_every_place_of_a_word,
	bytes_that_are_no_utf8_become_the_replacement_character,
	random_bytes_read_back,
	every_character_reads_back,
	members_get_commas_where_needed,
	an_event_of_v1_is_as_recorded,
	an_event_of_events_has_zulu_times_and_numbers_for_accounts,
	absent_data_are_absent_keys,
	metadata_and_tags_are_always_there_for_mail_only,
	values_have_the_kind_of_their_field,
	values_that_do_not_fit_their_field_are_strings_and_not_guessed,
	arrays_of_metadata_are_maps_by_index_in_v1,
	json_that_came_as_json_hides_nothing_in_any_field_of_any_api,
	an_absent_field_has_no_value,
	events_of_random_bytes_read_back)
