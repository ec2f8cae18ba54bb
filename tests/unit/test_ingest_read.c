#include "event/ingest_read.h"

#include <jansson.h>

#include "event/catalogue.h"
#include "event/ingest_check.h"
#include "event/ingest_docs.h"
#include "tests/support/unit.h"

/* Such lines as the documentation of the API shows, in words of our own. */
#define HEAD \
	"{\"msys\":{\"message_event\":{\"type\":\"inband\",\"event_id\":\"17\"," \
	"\"timestamp\":\"1549054731\",\"message_id\":\"00000bb3545c0100a205\"," \
	"\"recv_method\":\"rest\""
#define TAIL "}}}"

static void read_well(const char *text, struct ingest_line *line)
{
	struct error err = {0};

	ck_assert_msg(ingest_read(slice_str(text), line, &err) == 0, "%s: %s", text, err.text);
}

static void assert_refused(const char *text, const char *words)
{
	struct ingest_line line;
	struct error err = {0};

	ck_assert_msg(ingest_read(slice_str(text), &line, &err) == -1, "taken: %s", text);
	ck_assert_msg(strstr(err.text, words) != NULL, "%s: %s", text, err.text);
	ingest_line_clear(&line);
}

static void assert_field(const struct ingest_line *line, enum field field, const char *want)
{
	struct slice have = line->event.field[field];

	if (want == NULL)
		ck_assert_msg(have.p == NULL, "%.*s", SLICE_ARG(have));
	else
		ck_assert_msg(slice_eq(have, slice_str(want)), "%s: %.*s",
		        field_catalogue[field].name, SLICE_ARG(have));
}

/* The value that one field of a line comes to; NULL = absent. */
static void assert_value(const char *name, const char *json, const char *want)
{
	g_autofree char *text = g_strdup_printf(HEAD ",\"%s\":%s" TAIL, name, json);
	struct ingest_line line;

	read_well(text, &line);
	assert_field(&line, field_by_name(slice_str(name)), want);
	ingest_line_clear(&line);
}

static void assert_wrong_value(const char *name, const char *json, const char *words)
{
	g_autofree char *text = g_strdup_printf(HEAD ",\"%s\":%s" TAIL, name, json);

	assert_refused(text, words);
	assert_refused(text, name);
}

START_TEST(a_line_becomes_an_event)
{
	struct ingest_line line;

	read_well(HEAD
	        ",\"rcpt_to\":\"Jim@Example.COM\",\"friendly_from\":\"A@News.example.org\","
	        "\"binding\":\"mta1\",\"new_in_2030\":1,\"rcpt_meta\":{ },\"rcpt_tags\":[ ],"
	        "\"node_name\":\"8c9f45e70999\",\"subaccount_id\":0,\"campaign_id\":null" TAIL,
	        &line);
	ck_assert_int_eq(line.event.type, EVENT_BOUNCE);
	ck_assert_uint_eq(line.event.id, 17);
	ck_assert_int_eq(line.event.time, 1549054731000);
	ck_assert_uint_eq(line.unknown, 1);
	assert_field(&line, FIELD_RCPT_TO, "jim@example.com");
	assert_field(&line, FIELD_RAW_RCPT_TO, "Jim@Example.COM");
	assert_field(&line, FIELD_RECIPIENT_DOMAIN, "example.com");
	assert_field(&line, FIELD_SENDING_DOMAIN, "news.example.org");
	assert_field(&line, FIELD_BINDING, "mta1");
	assert_field(&line, FIELD_NODE_NAME, "8c9f45e70999");
	assert_field(&line, FIELD_SUBACCOUNT_ID, "0");
	assert_field(&line, FIELD_RCPT_META, NULL);
	assert_field(&line, FIELD_RCPT_TAGS, NULL);
	assert_field(&line, FIELD_CAMPAIGN_ID, NULL);
	ck_assert_int_eq(ingest_check(&line.event, NULL), 0);
	ingest_line_clear(&line);
}
END_TEST

START_TEST(a_recipient_without_address_has_its_domain)
{
	struct ingest_line line;

	read_well(HEAD ",\"rcpt_hash\":\"0Yo=\",\"rcpt_domain\":\"Example.com\"" TAIL, &line);
	assert_field(&line, FIELD_RCPT_TO, NULL);
	assert_field(&line, FIELD_RCPT_DOMAIN, "Example.com");
	assert_field(&line, FIELD_RECIPIENT_DOMAIN, "example.com");
	ck_assert_int_eq(ingest_check(&line.event, NULL), 0);
	ingest_line_clear(&line);
}
END_TEST

START_TEST(every_type_has_its_name_and_its_wrapper)
{
	for (int i = 0; i < EVENT_TYPES; i++) {
		const struct event_info *info = &event_catalogue[i];
		const char *const names[] = {info->ingest_type, info->name};
		for (size_t k = 0; k < G_N_ELEMENTS(names); k++) {
			g_autofree char *text =
			        g_strdup_printf("{\"msys\":{\"%s\":{\"type\":\"%s\"}}}",
			                info->ingest_wrapper, names[k]);
			struct ingest_line line;
			read_well(text, &line);
			ck_assert_int_eq(line.event.type, i);
			ingest_line_clear(&line);
		}
	}
	struct ingest_line line;
	read_well("{\"msys\":{\"message_event\":{\"type\":\"permfail\"}}}", &line);
	ck_assert_int_eq(line.event.type, EVENT_BOUNCE);
	ingest_line_clear(&line);
}
END_TEST

START_TEST(wrappers_and_types_that_do_not_belong_together_are_refused)
{
	assert_refused("{\"msys\":{\"banana\":{\"type\":\"inband\"}}}", "Unknown wrapper banana");
	assert_refused("{\"msys\":{\"adaptive_event\":{\"type\":\"x\"}}}", "Unknown wrapper");
	assert_refused("{\"msys\":{\"track_event\":{\"type\":\"inband\"}}}",
	        "Unknown type inband in track_event");
	assert_refused("{\"msys\":{\"track_event\":{\"type\":\"permfail\"}}}", "Unknown type");
	assert_refused("{\"msys\":{\"message_event\":{}}}", "Missing type");
	assert_refused("{\"msys\":{\"message_event\":{\"type\":7}}}", "type must be a string");
	assert_refused("{\"msys\":{\"message_event\":[]}}", "message_event must be an object");
	assert_refused("{\"msys\":{}}", "exactly one wrapper, not 0");
	assert_refused("{\"msys\":{\"gen_event\":{},\"track_event\":{}}}", "not 2");
	assert_refused("{\"msys\":7}", "Missing msys");
	assert_refused("{}", "Missing msys");
	assert_refused("[]", "must be a JSON object");
	assert_refused("7", "must be a JSON object");
}
END_TEST

START_TEST(what_is_no_json_is_refused)
{
	static const char *const texts[] = {"", " ", "{", HEAD, HEAD "}}", "null x",
	        "{\"msys\":", HEAD ",\"subject\":\"\xff\"" TAIL,
	        HEAD ",\"subject\":\"\\u0000\"" TAIL, HEAD ",\"subject\":\"\\ud800\"" TAIL,
	        HEAD TAIL HEAD TAIL};
	struct ingest_line line;
	struct error err = {0};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		assert_refused(texts[i], "not JSON");
	ck_assert_int_eq(ingest_read(SLICE_NONE, &line, &err), -1);
	ingest_line_clear(&line);
}
END_TEST

/* Whoever mends the line must find the place: no text of a library, which names its options. */
START_TEST(what_is_wrong_with_json_is_told_with_its_column)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	        {"{\"a\":\"\\u0000\"}", "at column 13: a string holds the character NUL"},
	        {"{\"\\u0000\":1}", "a name holds the character NUL"},
	        {"{\"a\":1", "at column 6: it ends too early"},
	        {"{\"a\":1} 7", "at column 9: something follows the object"},
	        {"{\"a\":\xff}", "at column 5: no UTF-8"},
	        {"{\"a\":1e999}", "at column 10: a number is too large"},
	        {"{\"a\":99999999999999999999}", "a number is too large"},
	        {"{a:1}", "at column 2: what stands here is not allowed"},
	        {"", "at column 1: "},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		assert_refused(rows[i].text, rows[i].want);
	g_autofree char *nest = g_strnfill(100000, '[');
	assert_refused(nest, "objects and arrays stand too deep in each other");
}
END_TEST

/* The contract: a decimal number from 0 up. */
START_TEST(an_event_id_of_zero_is_there_and_none_is_not)
{
	struct ingest_line line;
	struct error err = {0};

	read_well("{\"msys\":{\"message_event\":{\"type\":\"inband\",\"event_id\":\"0\","
	          "\"timestamp\":\"1549054731\",\"message_id\":\"x\",\"recv_method\":\"rest\"" TAIL,
	        &line);
	ck_assert_uint_eq(line.event.id, 0);
	ck_assert_int_eq(ingest_check(&line.event, &err), 0);
	ingest_line_clear(&line);
	read_well(
	        "{\"msys\":{\"message_event\":{\"type\":\"inband\",\"event_id\":null" TAIL, &line);
	ck_assert_int_eq(ingest_check(&line.event, &err), -1);
	ck_assert_str_eq(err.text, "Missing event_id on event of type inband");
	ingest_line_clear(&line);
}
END_TEST

START_TEST(values_of_any_type_that_means_the_same_are_taken)
{
	assert_value("msg_size", "315", "315");
	assert_value("msg_size", "\"\"", "");
	assert_value("dr_latency", "0.02", "0.02");
	assert_value("transactional", "true", "1");
	assert_value("error_code", "554", "554");
	assert_value("subaccount_id", "12", "12");
	assert_value("subaccount_id", "\"012\"", "12");
	assert_value("subaccount_id", "\"\"", NULL);
	assert_value("sms_segments", "\"5\"", "5");
	assert_value("open_tracking", "true", "true");
	assert_value("open_tracking", "\"1\"", "true");
	assert_value("open_tracking", "0", "false");
	assert_value("open_tracking", "\"False\"", "false");
	assert_value("open_tracking", "\"\"", NULL);
	assert_value("rcpt_tags", "[\"a\", \"b\"]", "[\"a\",\"b\"]");
	assert_value("geo_ip", "{\"country\": \"US\", \"latitude\": 39.1749, \"zip\": 21046}",
	        "{\"country\":\"US\",\"latitude\":39.1749,\"zip\":21046}");
	assert_value("subject", "\"\\u00fc \\\"x\\\"\"", "\xc3\xbc \"x\"");
}
END_TEST

START_TEST(values_that_mean_something_else_are_refused_by_name)
{
	assert_wrong_value("subject", "{}", "must be a string");
	assert_wrong_value("subaccount_id", "-1", "from 0 to 2147483647");
	assert_wrong_value("subaccount_id", "2147483648", "from 0 to 2147483647");
	assert_wrong_value("subaccount_id", "\"x\"", "a whole number");
	assert_wrong_value("sms_segments", "1.5", "a whole number");
	assert_wrong_value("open_tracking", "\"maybe\"", "true or false");
	assert_wrong_value("open_tracking", "[]", "true or false");
	assert_wrong_value("rcpt_meta", "\"x\"", "an object");
	assert_wrong_value("rcpt_tags", "[1]", "an array of strings");
	assert_wrong_value("rcpt_tags", "{}", "an array of strings");
	assert_wrong_value("event_id", "-1", "decimal number from 0");
	assert_wrong_value("event_id", "\"9223372036854775808\"", "decimal number from 0");
	assert_wrong_value("event_id", "\"1x\"", "decimal number from 0");
	assert_wrong_value("event_id", "true", "decimal number from 0");
	assert_wrong_value("event_id", "{}", "decimal number from 0");
}
END_TEST

static void assert_time(const char *json, int64_t want)
{
	g_autofree char *text =
	        g_strdup_printf("{\"msys\":{\"track_event\":{\"type\":\"open\",\"timestamp\":%s,"
	                        "\"injection_time\":%s}}}",
	                json, json);
	struct ingest_line line;

	read_well(text, &line);
	ck_assert_int_eq(line.event.time, want);
	ck_assert_int_eq(line.event.injected, want);
	ingest_line_clear(&line);
}

START_TEST(times_come_in_seconds_and_milliseconds)
{
	assert_time("\"1549054731\"", 1549054731000);
	assert_time("1549054731", 1549054731000);
	assert_time("1549054731.25", 1549054731250);
	assert_time("\"1549054731.0894\"", 1549054731089);
	assert_time("\"1549054731089\"", 1549054731089);
	assert_time("1549054731089", 1549054731089);
	assert_time("\"2019-02-01T20:58:51.089Z\"", 1549054731089);
	assert_time("\"2019-02-01T20:58:51+00:00\"", 1549054731000);
	assert_time("\"\"", 0);
	assert_wrong_value("timestamp", "\"now\"", "a time in seconds since 1970");
	assert_wrong_value("timestamp", "-1", "a time");
	assert_wrong_value("timestamp", "true", "a time");
	assert_wrong_value("timestamp", "\"1e9\"", "a time");
	assert_wrong_value("timestamp", "\"999999999999999999\"", "a time");
	assert_wrong_value("timestamp", "1e300", "a time");
	assert_wrong_value("injection_time", "{}", "a time");
}
END_TEST

START_TEST(what_is_too_long_or_too_deep_is_refused)
{
	g_autoptr(GString) text = g_string_new(HEAD ",\"rcpt_meta\":");
	struct ingest_line line;
	struct error err = {0};

	for (int i = 0; i < INGEST_DEPTH_MAX; i++)
		g_string_append(text, "{\"a\":");
	gsize depth = text->len;
	g_string_append(text, "{}");
	for (int i = 0; i < INGEST_DEPTH_MAX; i++)
		g_string_append_c(text, '}');
	g_string_append(text, TAIL);
	assert_refused(text->str, "rcpt_meta must be less deep");
	g_string_erase(text, (gssize)depth, 2);
	g_string_insert(text, (gssize)depth, "1");
	read_well(text->str, &line);
	ingest_line_clear(&line);

	g_autofree char *nest = g_strnfill(100000, '[');
	assert_refused(nest, "not JSON");
	g_autofree char *much = g_malloc0(INGEST_LINE_MAX + 1);
	ck_assert_int_eq(ingest_read(slice_make(much, INGEST_LINE_MAX + 1), &line, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "longer than"));
	ingest_line_clear(&line);
}
END_TEST

/* Documentation, samples and what is taken must not drift apart. */
START_TEST(every_sample_of_the_documentation_is_taken)
{
	g_autoptr(GString) out = g_string_new(NULL);

	ingest_samples(out, NULL);
	json_t *samples = json_loads(out->str, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_uint_eq(json_array_size(samples), EVENT_TYPES);
	for (int i = 0; i < EVENT_TYPES; i++) {
		struct ingest_line line;
		struct error err = {0};
		json_t *whole = json_pack("{s:{s:O}}", "msys", event_catalogue[i].ingest_wrapper,
		        json_array_get(samples, (size_t)i));
		char *text = json_dumps(whole, 0);
		read_well(text, &line);
		ck_assert_int_eq(line.event.type, i);
		ck_assert_uint_eq(line.unknown, 0);
		ck_assert_msg(ingest_check(&line.event, &err) == 0, "%s: %s", text, err.text);
		ingest_line_clear(&line);
		free(text);
		json_decref(whole);
	}
	json_decref(samples);
}
END_TEST

START_TEST(documentation_tells_what_is_required_and_what_is_reported)
{
	g_autoptr(GString) out = g_string_new(NULL);
	int required, reporting = -1;
	const char *type, *about;

	ingest_documentation(out);
	json_t *types = json_loads(out->str, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_uint_eq(json_array_size(types), EVENT_TYPES);
	json_t *delay = json_array_get(types, EVENT_DELAY);
	ck_assert_int_eq(json_unpack(delay, "{s:{s:s,s:b},s:{s:s},s:{s:b}}", "type", "sampleValue",
	                         &type, "required", &required, "event_description", "sampleValue",
	                         &about, "rcpt_to", "reporting", &reporting),
	        0);
	ck_assert_str_eq(type, "tempfail");
	ck_assert_int_eq(required, 1);
	ck_assert_int_eq(reporting, 1);
	ck_assert_ptr_nonnull(strstr(about, "Goes into message_event"));
	ck_assert_ptr_null(json_object_get(json_object_get(delay, "rcpt_to"), "required"));
	json_decref(types);
}
END_TEST

START_TEST(samples_can_be_asked_for_by_either_name)
{
	bool types[EVENT_TYPES] = {false};
	g_autoptr(GString) out = g_string_new(NULL);

	ck_assert_int_eq(ingest_type_by_name(SLICE("inband")), EVENT_BOUNCE);
	ck_assert_int_eq(ingest_type_by_name(SLICE("bounce")), EVENT_BOUNCE);
	ck_assert_int_eq(ingest_type_by_name(SLICE("bounced")), EVENT_TYPES);
	types[EVENT_BOUNCE] = true;
	ingest_samples(out, types);
	ck_assert(g_str_has_prefix(out->str, "[{\"type\":\"inband\","));
	ck_assert_ptr_nonnull(strstr(out->str, "\"timestamp\":\"1460989507\""));
}
END_TEST

UNIT_MAIN("ingest_read", a_line_becomes_an_event, a_recipient_without_address_has_its_domain,
        every_type_has_its_name_and_its_wrapper,
        wrappers_and_types_that_do_not_belong_together_are_refused, what_is_no_json_is_refused,
        what_is_wrong_with_json_is_told_with_its_column,
        an_event_id_of_zero_is_there_and_none_is_not,
        values_of_any_type_that_means_the_same_are_taken,
        values_that_mean_something_else_are_refused_by_name, times_come_in_seconds_and_milliseconds,
        what_is_too_long_or_too_deep_is_refused, every_sample_of_the_documentation_is_taken,
        documentation_tells_what_is_required_and_what_is_reported,
        samples_can_be_asked_for_by_either_name)
