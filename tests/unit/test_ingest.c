/* Events Ingest from the request to the status record and the search. */
#include "capture/ingest.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "query/query.h"
#include "store/private.h"
#include "store/spool.h"
#include "tests/support/pack.h"
#include "tests/support/tree.h"
#include "tests/support/unit.h"

#define POST "/api/v1/ingest/events"
#define STATUS "/api/v1/events/ingest"
#define MEGABYTE (1024 * 1024)

static struct {
	char *dir;
	struct store *store;
	struct capture *capture;
	struct ingest *ingest;
	struct ingest_config config;
	struct query_config query;
	struct access access;
} b;

static void start(void)
{
	const struct capture_config capture = {.keep_days = 10};
	struct error err = {0};

	ck_assert_msg(store_open(&b.store, b.dir, STORE_WRITE, NULL, &err) == 0, "%s", err.text);
	ck_assert_msg(capture_open(&b.capture, b.store, &capture, &err) == 0, "%s", err.text);
	ck_assert_msg(
	        ingest_open(&b.ingest, b.capture, b.store, &b.config, &err) == 0, "%s", err.text);
	b.query = (struct query_config){.ingest = ingest_service(b.ingest)};
}

static void stop(void)
{
	ingest_close(&b.ingest);
	ck_assert_int_eq(capture_close(&b.capture, NULL), 0);
	store_close(&b.store);
}

static void prepare(void)
{
	b.dir = g_dir_make_tmp("postwake-ingest-XXXXXX", NULL);
	b.config = (struct ingest_config){
	        .max_age = CLOCK_DAY, .keep_days = 10, .most = 64 * (uint64_t)MEGABYTE};
	b.access = access_all;
	b.access.who = "uid 0";
}

static void setup(void)
{
	prepare();
	start();
}

static void teardown(void)
{
	stop();
	remove_tree(b.dir);
	g_free(b.dir);
}

/* ---- requests ---- */

static struct query_answer ask(const struct query_input *input)
{
	struct query_answer answer;
	struct query_input copy = *input;

	if (copy.access == NULL)
		copy.access = &b.access;
	query_answer_input(b.store, &b.query, &copy, &answer);
	return answer;
}

static struct query_answer get(const char *uri)
{
	const struct query_input input = {.method = "GET", .uri = slice_str(uri)};

	return ask(&input);
}

static struct query_answer post(const GByteArray *body, const char *type, const char *encoding)
{
	const struct query_input input = {.method = "POST",
	        .uri = SLICE(POST),
	        .body = slice_make((const char *)body->data, body->len),
	        .content_type = type,
	        .content_encoding = encoding};

	return ask(&input);
}

/* The id of a batch that was taken. */
static char *send_packed(const GByteArray *body)
{
	struct query_answer answer = post(body, "application/x-ndjson", "gzip");
	const char *id;

	ck_assert_msg(answer.status == 200, "%s", answer.body->str);
	json_t *root = json_loads(answer.body->str, 0, NULL);
	ck_assert_int_eq(json_unpack(root, "{s:{s:s}}", "results", "id", &id), 0);
	char *copy = g_strdup(id);
	json_decref(root);
	query_answer_clear(&answer);
	return copy;
}

static char *send_text(const char *lines)
{
	g_autoptr(GByteArray) packed = pack(slice_str(lines));

	return send_packed(packed);
}

/* The status records that a query finds; json_decref. */
static json_t *records(const char *query)
{
	g_autofree char *uri = g_strconcat(STATUS, query, NULL);
	struct query_answer answer = get(uri);

	ck_assert_msg(answer.status == 200, "%s: %s", query, answer.body->str);
	json_t *root = json_loads(answer.body->str, 0, NULL);
	ck_assert_ptr_nonnull(root);
	query_answer_clear(&answer);
	return root;
}

/* The one status record of a batch, waited for; json_decref. */
static json_t *verdict(const char *id)
{
	g_autofree char *query = g_strconcat("?batch_ids=", id, NULL);
	json_t *record = NULL;

	for (int i = 0; i < 2000 && record == NULL; i++) {
		json_t *root = records(query);
		json_t *results = json_object_get(root, "results");
		if (json_array_size(results) > 0)
			record = json_incref(json_array_get(results, 0));
		json_decref(root);
		if (record == NULL)
			g_usleep(10000);
	}
	ck_assert_msg(record != NULL, "no verdict on %s", id);
	return record;
}

/* "success 2 0 0", "validation 3 2 1": type, succeeded, failed, duplicates. */
static void assert_verdict(const char *id, const char *want)
{
	json_t *record = verdict(id);
	const json_t *error = json_object_get(record, "error_type");
	const json_t *failed = json_object_get(record, "number_failed");
	g_autofree char *text = g_strdup_printf("%s %d %d %d",
	        json_string_value(error != NULL ? error : json_object_get(record, "type")),
	        (int)json_integer_value(json_object_get(record, "number_succeeded")),
	        (int)json_integer_value(failed),
	        (int)json_integer_value(json_object_get(record, "number_duplicates")));

	ck_assert_str_eq(text, want);
	json_decref(record);
}

static void assert_sent(const char *lines, const char *want)
{
	g_autofree char *id = send_text(lines);

	assert_verdict(id, want);
}

/* ---- lines ---- */

static int64_t seconds_ago(int64_t seconds)
{
	return clock_now() / CLOCK_SECOND - seconds;
}

static void add_line(GString *lines, const char *wrapper, const char *type, uint64_t id,
        int64_t second, const char *more)
{
	g_string_append_printf(lines,
	        "{\"msys\":{\"%s\":{\"type\":\"%s\",\"event_id\":\"%" G_GUINT64_FORMAT
	        "\",\"timestamp\":\"%" G_GINT64_FORMAT
	        "\",\"message_id\":\"0000aabbccdd00112233\",\"recv_method\":\"smtp\"%s}}}\n",
	        wrapper, type, id, second, more);
}

static GString *good_lines(uint64_t first, unsigned n)
{
	GString *lines = g_string_new(NULL);

	for (unsigned i = 0; i < n; i++)
		add_line(lines, "message_event", "delivery", first + i, seconds_ago(60 + i % 100),
		        ",\"rcpt_to\":\"Jim@Example.com\",\"friendly_from\":\"a@shop.example\"");
	return lines;
}

/* Events in the store; -1 as key: all. */
static unsigned stored(int key, const char *value)
{
	const char *const list[] = {value, NULL};
	struct search search = {.to = INT64_MAX};
	uint64_t total = 0;

	if (key >= 0)
		search.values[key] = list;
	ck_assert_int_eq(store_search(b.store, &search, NULL, NULL, &total, NULL), 0);
	return (unsigned)total;
}

static char *refused_lines(const char *id)
{
	g_autofree char *uri = g_strconcat(POST "/failures/", id, NULL);
	struct query_answer answer = get(uri);

	if (answer.status != 200) {
		query_answer_clear(&answer);
		return NULL;
	}
	g_autofree char *disposition = g_strdup_printf("attachment; filename=\"%s.gz\"", id);
	ck_assert_str_eq(answer.disposition, disposition);
	ck_assert_str_eq(answer.type, "application/gzip");
	char *text = g_malloc0(10 * MEGABYTE);
	z_stream z = {.next_in = (unsigned char *)answer.body->str,
	        .avail_in = (unsigned)answer.body->len,
	        .next_out = (unsigned char *)text,
	        .avail_out = 10 * MEGABYTE - 1};
	ck_assert_int_eq(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	query_answer_clear(&answer);
	return text;
}

/* ---- tests ---- */

START_TEST(a_batch_is_taken_validated_and_found)
{
	g_autoptr(GString) lines = good_lines(100, 12);
	g_autofree char *id = send_text(lines->str);
	json_t *record = verdict(id);
	const char *batch, *event, *type, *expires, *timestamp;
	int customer;

	ck_assert_int_eq(json_unpack(record, "{s:s,s:s,s:s,s:s,s:s,s:i}", "batch_id", &batch,
	                         "event_id", &event, "type", &type, "expiration_timestamp",
	                         &expires, "timestamp", &timestamp, "customer_id", &customer),
	        0);
	ck_assert_str_eq(batch, id);
	ck_assert(spool_is_id(slice_str(event)));
	ck_assert_str_eq(type, "success");
	ck_assert_int_eq(customer, 1);
	ck_assert(g_str_has_suffix(expires, "T00:00:00.000Z"));
	ck_assert(g_str_has_suffix(timestamp, ".000Z"));
	ck_assert_ptr_null(json_object_get(record, "error_type"));
	json_decref(record);
	assert_verdict(id, "success 12 0 0");
	ck_assert_uint_eq(stored(SEARCH_RECIPIENT, "jim@example.com"), 12);
	ck_assert_uint_eq(stored(SEARCH_RECIPIENT_DOMAIN, "example.com"), 12);
	ck_assert_uint_eq(stored(SEARCH_EVENT_ID, "105"), 1);
	ck_assert_uint_eq(stored(SEARCH_SUBACCOUNT, "0"), 12);
}
END_TEST

START_TEST(every_type_comes_in_and_is_found)
{
	g_autoptr(GString) lines = g_string_new(NULL);

	for (int i = 0; i < EVENT_TYPES; i++)
		add_line(lines, event_catalogue[i].ingest_wrapper, event_catalogue[i].ingest_type,
		        (uint64_t)i + 1, seconds_ago(60), "");
	g_autofree char *want = g_strdup_printf("success %d 0 0", EVENT_TYPES);
	assert_sent(lines->str, want);
	for (int i = 0; i < EVENT_TYPES; i++)
		ck_assert_uint_eq(stored(SEARCH_EVENT, event_catalogue[i].name), 1);
}
END_TEST

START_TEST(faults_of_the_request_are_told_at_once)
{
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));
	g_autoptr(GByteArray) nothing = g_byte_array_new();
	const struct {
		const GByteArray *body;
		const char *type, *encoding;
		unsigned status;
	} cases[] = {
	        {packed, NULL, "gzip", 415},
	        {packed, "application/json", "gzip", 415},
	        {packed, "application/x-ndjson", NULL, 415},
	        {packed, "application/x-ndjson", "deflate", 415},
	        {nothing, "application/x-ndjson", "gzip", 400},
	        {packed, "Application/X-NDJSON; charset=utf-8", "GZIP", 200},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct query_answer answer = post(cases[i].body, cases[i].type, cases[i].encoding);
		ck_assert_uint_eq(answer.status, cases[i].status);
		ck_assert(g_str_has_prefix(
		        answer.body->str, answer.status == 200 ? "{\"results\":{\"id\":\""
		                                               : "{\"errors\":[{\"message\""));
		query_answer_clear(&answer);
	}
	struct query_answer answer = get(POST);
	ck_assert_uint_eq(answer.status, 405);
	query_answer_clear(&answer);
}
END_TEST

/* The outcomes that were recorded of the service. */
START_TEST(faults_of_a_batch_are_told_afterwards)
{
	g_autoptr(GString) lines = good_lines(1, 12);
	g_autoptr(GByteArray) cut = pack(slice_str(lines->str));
	g_autoptr(GByteArray) broken = g_byte_array_new();

	g_byte_array_append(broken, (const guint8 *)"\x1f\x8b\x08\x00", 4);
	g_byte_array_set_size(cut, cut->len - 9);
	assert_sent("", "empty_batch 0 0 0");
	assert_sent("\n \r\n\n", "empty_batch 0 0 0");
	assert_sent("{}\n", "validation 0 1 0");
	g_autofree char *a = send_packed(broken);
	assert_verdict(a, "decompress 0 0 0");
	g_autofree char *c = send_packed(cut);
	assert_verdict(c, "decompress 0 0 0");
	ck_assert_uint_eq(stored(-1, NULL), 0);
	assert_sent(lines->str, "success 12 0 0");
	assert_sent(lines->str, "duplicate_batch 0 0 12");
}
END_TEST

START_TEST(members_in_a_row_and_padding_are_one_batch)
{
	g_autoptr(GString) first = good_lines(1, 2), second = good_lines(3, 2);
	g_autoptr(GByteArray) packed = pack(slice_str(first->str));
	g_autoptr(GByteArray) more = pack(slice_str(second->str));
	static const guint8 zeros[300] = {0};

	g_byte_array_append(packed, more->data, more->len);
	g_byte_array_append(packed, zeros, sizeof(zeros));
	g_autofree char *id = send_packed(packed);
	assert_verdict(id, "success 4 0 0");
}
END_TEST

START_TEST(an_event_id_of_zero_comes_in_once_and_is_found_and_shown)
{
	g_autoptr(GString) lines = good_lines(0, 2);

	assert_sent(lines->str, "success 2 0 0");
	g_string_append_c(lines, '\n');
	assert_sent(lines->str, "duplicate_batch 0 0 2");
	ck_assert_uint_eq(stored(SEARCH_EVENT_ID, "0"), 1);
	struct query_answer answer = get("/api/v1/events/message?event_ids=0");
	ck_assert_ptr_nonnull(strstr(answer.body->str, "\"event_id\":\"0\""));
	query_answer_clear(&answer);
}
END_TEST

/* The URL of the refused lines in a batch's record, as told to somebody with that Host header. */
static char *href_for(const char *id, const char *host, bool tls)
{
	g_autofree char *uri = g_strconcat(STATUS "?batch_ids=", id, NULL);
	const struct query_input input = {
	        .method = "GET", .uri = slice_str(uri), .host = host, .tls = tls};
	struct query_answer answer = ask(&input);
	json_t *root = json_loads(answer.body->str, 0, NULL);
	const char *href;

	ck_assert_int_eq(json_unpack(root, "{s:[{s:s}]}", "results", "href", &href), 0);
	char *copy = g_strdup(href);
	json_decref(root);
	query_answer_clear(&answer);
	return copy;
}

START_TEST(the_file_of_refused_lines_is_named_by_a_whole_url)
{
	static const struct {
		const char *host, *want;
		bool tls;
	} rows[] = {
	        {"api.example.com", "http://api.example.com", false},
	        {"api.example.com:8443", "https://api.example.com:8443", true},
	        {"[::1]:8080", "http://[::1]:8080", false},
	        {"/run/postwake/query.sock", "", false},
	        {"evil.example/x?", "", false},
	        {"", "", false},
	        {NULL, "", false},
	};
	g_autofree char *id = send_text("{}\n");

	assert_verdict(id, "validation 0 1 0");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *href = href_for(id, rows[i].host, rows[i].tls);
		g_autofree char *want = g_strconcat(rows[i].want, POST "/failures/", id, NULL);
		ck_assert_str_eq(href, want);
	}
}
END_TEST

/* Every record of an error has its href, as the service's; nobody who follows it gets a 404. */
START_TEST(an_error_without_refused_lines_has_an_empty_file_of_them)
{
	g_autoptr(GString) lines = good_lines(1, 2);
	g_autofree char *good = send_text(lines->str);

	assert_verdict(good, "success 2 0 0");
	ck_assert_ptr_null(refused_lines(good));
	g_autofree char *again = send_text(lines->str), *empty = send_text("");
	assert_verdict(again, "duplicate_batch 0 0 2");
	assert_verdict(empty, "empty_batch 0 0 0");
	g_autofree char *none = refused_lines(again), *nothing = refused_lines(empty);
	ck_assert_pstr_eq(none, "");
	ck_assert_pstr_eq(nothing, "");
	static const char *const foreign[] = {"8", NULL};
	b.access.scope.subaccounts = foreign;
	b.access.who = "key 9";
	ck_assert_ptr_null(refused_lines(again));
}
END_TEST

START_TEST(bad_events_are_dropped_counted_and_kept_for_download)
{
	g_autoptr(GString) lines = good_lines(1, 3);

	add_line(lines, "banana", "inband", 7, seconds_ago(60), ",\"subject\":\"\xc2\x9b\"");
	g_string_append(lines, "no json\n{\"msys\":\n{ }");
	g_autofree char *id = send_text(lines->str);
	assert_verdict(id, "validation 3 4 0");
	ck_assert_uint_eq(stored(-1, NULL), 3);
	g_autofree char *refused = refused_lines(id);
	g_auto(GStrv) each = g_strsplit(refused, "\n", -1);
	ck_assert_uint_eq(g_strv_length(each), 5);
	ck_assert(g_str_has_prefix(each[0], "{\"error\":{\"line\":4,\"message\":\"Unknown wrapper "
	                                    "banana\"},\"msys\":{\"banana\""));
	ck_assert_str_eq(each[3],
	        "{\"error\":{\"line\":7,\"message\":\"Missing msys with the wrapper of the "
	        "event\"}}");
	ck_assert_ptr_nonnull(strstr(each[1], "\"text\":\"no json\"}"));
	for (int i = 0; i < 4; i++) {
		json_t *root = json_loads(each[i], 0, NULL);
		ck_assert_msg(root != NULL && strchr(each[i], '\x9b') == NULL, "%s", each[i]);
		json_decref(root);
	}
	json_t *record = verdict(id);
	const char *href;
	int retryable;
	ck_assert_int_eq(
	        json_unpack(record, "{s:s,s:b}", "href", &href, "retryable", &retryable), 0);
	ck_assert(g_str_has_prefix(href, POST "/failures/"));
	ck_assert(g_str_has_suffix(href, id));
	ck_assert_int_eq(retryable, 0);
	json_decref(record);
}
END_TEST

START_TEST(an_event_comes_in_once_by_its_id)
{
	g_autoptr(GString) lines = good_lines(1, 5);
	g_autoptr(GString) more = good_lines(3, 5);
	g_autoptr(GString) later = g_string_new(NULL);

	g_string_append(lines, lines->str);
	assert_sent(lines->str, "success 5 0 5");
	assert_sent(more->str, "success 2 0 3");
	/* The same id at another time of another day is the same event. */
	add_line(later, "message_event", "inband", 4, seconds_ago(86000), "");
	add_line(later, "message_event", "inband", 90, seconds_ago(86000), "");
	assert_sent(later->str, "success 1 0 1");
	ck_assert_uint_eq(stored(-1, NULL), 8);
}
END_TEST

START_TEST(events_that_are_too_old_or_of_the_future_are_refused)
{
	g_autoptr(GString) lines = good_lines(1, 1);

	add_line(lines, "message_event", "delivery", 2, seconds_ago(25 * 3600), "");
	add_line(lines, "message_event", "delivery", 3, seconds_ago(-25 * 3600), "");
	add_line(lines, "message_event", "delivery", 4, 1, "");
	assert_sent(lines->str, "validation 1 3 0");
}
END_TEST

START_TEST(without_a_limit_of_age_only_retention_counts)
{
	g_autoptr(GString) lines = good_lines(1, 1);

	stop();
	b.config.max_age = 0;
	start();
	add_line(lines, "message_event", "delivery", 2, seconds_ago(5 * 86400), "");
	add_line(lines, "message_event", "delivery", 3, seconds_ago(12 * 86400), "");
	assert_sent(lines->str, "validation 2 1 0");
}
END_TEST

START_TEST(a_clock_that_leaps_makes_no_event_too_old)
{
	g_autoptr(GString) lines = good_lines(1, 1);
	int64_t now = clock_now(), boot = clock_boot(), time;

	ck_assert_int_eq(store_look_at_clock(b.store, now - 20 * CLOCK_DAY, boot, &time, NULL), 0);
	ck_assert_int_eq(store_look_at_clock(b.store, now, boot, &time, NULL), 0);
	add_line(lines, "message_event", "delivery", 2, seconds_ago(20 * 86400 + 3600), "");
	add_line(lines, "message_event", "delivery", 3, seconds_ago(22 * 86400), "");
	assert_sent(lines->str, "validation 2 1 0");
}
END_TEST

START_TEST(a_sender_writes_within_its_scope_and_sees_no_other_batches)
{
	static const char *const subaccounts[] = {"7", NULL}, *const domains[] = {
	                                                              "shop.example", NULL};
	g_autoptr(GString) mine = g_string_new(NULL), other = good_lines(50, 1);

	add_line(mine, "message_event", "delivery", 1, seconds_ago(60), "");
	g_string_truncate(mine, 0);
	add_line(mine, "message_event", "delivery", 1, seconds_ago(60),
	        ",\"friendly_from\":\"a@Shop.Example\"");
	add_line(mine, "message_event", "delivery", 2, seconds_ago(60),
	        ",\"friendly_from\":\"a@shop.example\",\"subaccount_id\":8");
	add_line(mine, "message_event", "delivery", 3, seconds_ago(60),
	        ",\"friendly_from\":\"a@else.example\",\"subaccount_id\":\"7\"");
	g_autofree char *foreign = send_text(other->str);
	assert_verdict(foreign, "success 1 0 0");

	b.access = (struct access){
	        .grants = GRANT_INGEST, .scope = {subaccounts, domains}, .who = "key 3"};
	g_autofree char *id = send_text(mine->str);
	assert_verdict(id, "validation 1 2 0");
	ck_assert_uint_eq(stored(SEARCH_SUBACCOUNT, "7"), 1);
	g_autofree char *refused = refused_lines(id);
	ck_assert_ptr_nonnull(strstr(refused, "subaccount_id 8 may not be written"));
	ck_assert_ptr_nonnull(strstr(refused, "neither the domain of friendly_from nor"));

	g_autofree char *query = g_strconcat("?batch_ids=", foreign, NULL);
	json_t *root = records(query);
	ck_assert_int_eq(json_integer_value(json_object_get(root, "total_count")), 0);
	json_decref(root);
	g_autofree char *uri = g_strconcat(POST "/", foreign, NULL);
	struct query_answer answer = get(uri);
	ck_assert_uint_eq(answer.status, 404);
	query_answer_clear(&answer);
	/* Who may read as much as the sender may write sees it; who may only write does not. */
	b.access.who = "key 4";
	ck_assert_ptr_null(refused_lines(id));
	b.access.grants = GRANT_READ;
	g_autofree char *again = refused_lines(id);
	ck_assert_ptr_nonnull(again);
	json_t *record = verdict(id);
	ck_assert_int_eq(json_integer_value(json_object_get(record, "subaccount_id")), 7);
	json_decref(record);
	static const char *const wider[] = {"8", NULL};
	b.access.scope.subaccounts = wider;
	ck_assert_ptr_null(refused_lines(id));
}
END_TEST

START_TEST(a_batch_is_given_back_as_it_came)
{
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));
	g_autofree char *id = send_packed(packed);
	g_autofree char *uri = g_strconcat(POST "/", id, NULL);
	struct query_answer answer = get(uri);

	ck_assert_uint_eq(answer.status, 200);
	ck_assert(slice_eq(slice_make(answer.body->str, answer.body->len),
	        slice_make((const char *)packed->data, packed->len)));
	ck_assert_str_eq(answer.type, "application/gzip");
	query_answer_clear(&answer);
	static const char *const none[] = {POST "/b2013586-c13f-4da4-baf4-11b9d8e40c50",
	        POST "/..%2flock", POST "/failures/b2013586-c13f-4da4-baf4-11b9d8e40c50",
	        POST "/failures/..", POST "/failures"};
	for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
		answer = get(none[i]);
		ck_assert_msg(answer.status == 404, "%s: %u", none[i], answer.status);
		query_answer_clear(&answer);
	}
}
END_TEST

static void assert_count(const char *query, int want)
{
	json_t *root = records(query);
	int have = (int)json_integer_value(json_object_get(root, "total_count"));

	ck_assert_msg(have == want, "%s: %d, not %d", query, have, want);
	json_decref(root);
}

START_TEST(status_records_are_filtered_and_paged)
{
	g_autoptr(GString) lines = good_lines(1, 1);

	assert_sent(lines->str, "success 1 0 0");
	assert_sent(lines->str, "duplicate_batch 0 0 1");
	assert_sent("", "empty_batch 0 0 0");
	assert_sent("{}", "validation 0 1 0");
	assert_count("", 4);
	assert_count("?events=success", 1);
	assert_count("?events=error", 3);
	assert_count("?events=success,error", 4);
	assert_count("?error_types=validation", 1);
	assert_count("?error_types=validation%7Cempty_batch&delimiter=%7C", 2);
	assert_count("?error_types=validation&error_types=duplicate_batch", 2);
	assert_count("?retryable=false", 3);
	assert_count("?retryable=true", 0);
	assert_count("?subaccounts=0", 4);
	assert_count("?subaccounts=3", 0);
	assert_count("?event_ids=b2013586-c13f-4da4-baf4-11b9d8e40c50", 0);
	assert_count("?from=2020-01-01T00:00:00Z", 4);
	assert_count("?from=2020-01-01T00:00&to=2020-01-02T00:00", 0);
	assert_count("?to=2020-01-02T00:00:00Z", 0);
	assert_count("?unheard=of", 4);
	int seen = 0, pages = 0;
	g_autofree char *uri = g_strdup(STATUS "?per_page=3&events=success,error");
	while (uri != NULL) {
		struct query_answer answer = get(uri);
		ck_assert_msg(answer.status == 200, "%s", answer.body->str);
		json_t *root = json_loads(answer.body->str, 0, NULL);
		const char *next = NULL;
		seen += (int)json_array_size(json_object_get(root, "results"));
		json_unpack(root, "{s:{s:s}}", "links", "next", &next);
		g_free(uri);
		uri = g_strdup(next);
		json_decref(root);
		query_answer_clear(&answer);
		pages++;
		if (pages == 1) /* not of this traversal */
			assert_sent("[]", "validation 0 1 0");
	}
	ck_assert_int_eq(seen, 4);
	ck_assert_int_eq(pages, 2);
}
END_TEST

START_TEST(wrong_parameters_are_told_by_name)
{
	static const char *const wrong[][2] = {{"?from=now", "from"},
	        {"?to=2020-13-01T00:00", "to"}, {"?to=2020-01-01T-0:00", "to"},
	        {"?to=2020-01--5T00:00:00Z", "to"}, {"?to=2020-01-01T%200:00", "to"},
	        {"?from=2020-01-02T00:00&to=2020-01-01T00:00", "from"}, {"?per_page=0", "per_page"},
	        {"?per_page=10001", "per_page"}, {"?cursor=x", "cursor"}, {"?cursor=0.1", "cursor"},
	        {"?events=bounce", "events"}, {"?error_types=x", "error_types"},
	        {"?retryable=maybe", "retryable"}, {"?subaccounts=a", "subaccounts"},
	        {"?delimiter=", "delimiter"}, {"?batch_ids=%zz", "batch_ids"}, {"?from=", "from"},
	        {"?to=", "to"}, {"?per_page=", "per_page"}, {"?cursor=", "cursor"},
	        {"?retryable=", "retryable"}, {"?per_page=1&per_page=2", "per_page"},
	        {"?retryable=true&retryable=false", "retryable"},
	        {"?delimiter=a&delimiter=b", "delimiter"}, {"?batch_ids=a%00b", "batch_ids"}};

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autofree char *uri = g_strconcat(STATUS, wrong[i][0], NULL);
		g_autofree char *want =
		        g_strdup_printf("{\"errors\":[{\"param\":\"%s\",", wrong[i][1]);
		struct query_answer answer = get(uri);
		ck_assert_msg(answer.status == 400, "%s: %s", uri, answer.body->str);
		ck_assert_msg(g_str_has_prefix(answer.body->str, want), "%s", answer.body->str);
		ck_assert_ptr_null(strstr(answer.body->str + strlen(want), "\"param\""));
		query_answer_clear(&answer);
	}
}
END_TEST

START_TEST(documentation_needs_no_key)
{
	static const char *const uris[] = {
	        POST "/documentation", POST "/samples", POST "/samples?events=inband,delivery"};
	static const size_t sizes[] = {EVENT_TYPES, EVENT_TYPES, 2};
	struct query_answer answer;

	b.access = access_none;
	for (size_t i = 0; i < G_N_ELEMENTS(uris); i++) {
		answer = get(uris[i]);
		ck_assert_uint_eq(answer.status, 200);
		json_t *root = json_loads(answer.body->str, 0, NULL);
		ck_assert_uint_eq(json_array_size(json_object_get(root, "results")), sizes[i]);
		json_decref(root);
		query_answer_clear(&answer);
	}
	answer = get(POST "/samples?events=banana");
	ck_assert_uint_eq(answer.status, 400);
	query_answer_clear(&answer);
	answer = get(STATUS);
	ck_assert_uint_eq(answer.status, 401);
	query_answer_clear(&answer);
}
END_TEST

START_TEST(a_bomb_and_a_flood_are_refused_whole)
{
	g_autofree char *zeros = g_malloc0(INGEST_INFLATED_MAX + 1);
	g_autoptr(GByteArray) bomb = pack(slice_make(zeros, INGEST_INFLATED_MAX + 1));
	ck_assert_uint_lt(bomb->len, INGEST_BODY_MAX);
	g_autofree char *a = send_packed(bomb);
	assert_verdict(a, "decompress 0 0 0");

	size_t n = 3 * ((size_t)INGEST_LINES_MAX + 1);
	for (size_t i = 0; i < n; i++)
		zeros[i] = "{}\n"[i % 3];
	g_autoptr(GByteArray) flood = pack(slice_make(zeros, n));
	g_autofree char *c = send_packed(flood);
	assert_verdict(c, "decompress 0 0 0");
	/* One endless line is one refused line. */
	memset(zeros, 'x', 20 * MEGABYTE);
	g_autoptr(GByteArray) line = pack(slice_make(zeros, 20 * MEGABYTE));
	g_autofree char *d = send_packed(line);
	assert_verdict(d, "validation 0 1 0");
}
END_TEST

START_TEST(validated_batches_make_room_and_waiting_ones_do_not)
{
	g_autofree char *noise = g_malloc(MEGABYTE);
	struct error err = {0};

	for (int i = 0; i < MEGABYTE; i++)
		noise[i] = (char)g_random_int();
	g_autoptr(GByteArray) body = pack(slice_make(noise, MEGABYTE));
	stop();
	b.config.most = 5 * MEGABYTE / 2;
	start();
	g_autofree char *first = send_packed(body);
	json_decref(verdict(first));
	g_autofree char *second = send_packed(body);
	json_decref(verdict(second));
	g_autofree char *third = send_packed(body);
	json_decref(verdict(third));
	struct spool_batch batch;
	ck_assert_int_eq(spool_read(b.store, first, &batch, NULL), 0);
	spool_batch_clear(&batch);
	ck_assert_int_eq(spool_read(b.store, third, &batch, NULL), 1);
	spool_batch_clear(&batch);

	/* Nobody validates here. */
	struct spool *spool = spool_open(b.store, 5 * MEGABYTE, &err);
	char id[INGEST_ID_SIZE];
	struct slice bytes = slice_make((const char *)body->data, body->len);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(spool_put(spool, NULL, &access_all.scope, 1, bytes, id, &err), 0);
	ck_assert_int_eq(spool_put(spool, NULL, &access_all.scope, 1, bytes, id, &err), -1);
	ck_assert_int_eq(err.number, ENOSPC);
	spool_free(&spool);
}
END_TEST

static int no_disk(void *ctx, const struct access *access, struct slice batch,
        char id[INGEST_ID_SIZE], struct error *err)
{
	(void)ctx;
	(void)access;
	(void)batch;
	(void)id;
	return error_errno(err, ENOSPC, "cannot write");
}

START_TEST(without_room_the_sender_is_told_to_come_back)
{
	static const struct ingest_service full = {.take = no_disk};
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));

	b.query.ingest = &full;
	struct query_answer answer = post(packed, "application/x-ndjson", "gzip");
	ck_assert_uint_eq(answer.status, 503);
	ck_assert_int_gt(answer.retry_after, 0);
	query_answer_clear(&answer);
	b.query.ingest = NULL;
	answer = post(packed, "application/x-ndjson", "gzip");
	ck_assert_uint_eq(answer.status, 503);
	query_answer_clear(&answer);
}
END_TEST

START_TEST(while_the_store_may_not_grow_nothing_is_taken)
{
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));

	ingest_hold(b.ingest, true);
	struct query_answer answer = post(packed, "application/x-ndjson", "gzip");
	ck_assert_uint_eq(answer.status, 503);
	query_answer_clear(&answer);
	ingest_hold(b.ingest, false);
	assert_sent("{}\n", "validation 0 1 0");
}
END_TEST

START_TEST(expired_batches_leave_nothing)
{
	struct error err = {0};

	g_autofree char *id = send_text("{}\n");
	assert_verdict(id, "validation 0 1 0");
	struct spool *spool = spool_open(b.store, MEGABYTE, &err);
	g_autoptr(GPtrArray) none = spool_expire(spool, clock_now(), &err);
	ck_assert_uint_eq(none->len, 0);
	g_autoptr(GPtrArray) ids = spool_expire(spool, clock_now() + 12 * CLOCK_DAY, &err);
	ck_assert_uint_eq(ids->len, 1);
	ck_assert_str_eq(ids->pdata[0], id);
	spool_free(&spool);
	uint64_t ticket = capture_try_ingest_drop(b.capture, ids, 10000);
	ck_assert_int_eq(capture_wait(b.capture, ticket, 10000), 1);
	assert_count("", 0);
	ck_assert_ptr_null(refused_lines(id));
}
END_TEST

START_TEST(a_directory_that_was_deleted_is_made_again)
{
	g_autofree char *spool = g_build_filename(b.dir, SPOOL_DIRECTORY, NULL);

	remove_tree(spool);
	assert_sent("{}\n{}\n", "validation 0 2 0");
	/* What waited there is gone, and its sender can know. */
	spool_hold(b.store);
	g_autofree char *id = send_text("{}\n");
	remove_tree(spool);
	spool_release(b.store);
	assert_verdict(id, "system 0 0 0");
}
END_TEST

/* ---- cut off ---- */

struct cut {
	const char *place;
	int after;
};

static int kill_there(void *ctx, const char *place)
{
	struct cut *cut = ctx;

	if (strcmp(place, cut->place) == 0 && cut->after-- == 0)
		raise(SIGKILL);
	return 0;
}

/* Events of the batches of a run that is cut off: more than one step. */
#define CUT_EVENTS 1750

/* Takes a batch in a process that is killed while it validates it. False: it came to an end. */
static bool run_and_kill(const char *place, int after, const char *lines, char *id)
{
	int channel[2], status;

	ck_assert_int_eq(pipe(channel), 0);
	pid_t child = fork();
	if (child == 0) {
		struct cut cut = {place, after};
		start();
		b.store->fault_ctx = &cut;
		b.store->fault = kill_there;
		g_autofree char *sent = send_text(lines);
		ck_assert_int_eq(write(channel[1], sent, INGEST_ID_SIZE), INGEST_ID_SIZE);
		json_decref(verdict(sent));
		_exit(0);
	}
	close(channel[1]);
	ck_assert_int_eq(read(channel[0], id, INGEST_ID_SIZE), INGEST_ID_SIZE);
	close(channel[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status);
}

START_TEST(a_batch_that_was_cut_off_anywhere_is_counted_right)
{
	static const char *const places[] = {"day", "day committed", "control"};
	g_autoptr(GString) lines = good_lines(1, CUT_EVENTS);
	char id[INGEST_ID_SIZE];
	int kills = 0;

	g_string_append(lines, "{}\n");
	g_string_append(lines, lines->str); /* each event once more, within the batch */
	g_autofree char *want = g_strdup_printf("validation %d 2 %d", CUT_EVENTS, CUT_EVENTS);
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
		for (int after = 0; after < 4; after++) {
			prepare();
			bool killed = run_and_kill(places[i], after, lines->str, id);
			kills += killed;
			start();
			assert_verdict(id, want);
			ck_assert_uint_eq(stored(-1, NULL), CUT_EVENTS);
			assert_count("", 1);
			g_autofree char *refused = refused_lines(id);
			ck_assert_ptr_nonnull(refused);
			stop();
			remove_tree(b.dir);
			g_free(b.dir);
		}
	ck_assert_int_ge(kills, 6);
	setup();
}
END_TEST

/* What was handed over before the line that cannot be kept. */
#define WHOLE_STEPS (CUT_EVENTS / 500 * 500)

START_TEST(what_keeps_failing_ends_as_system_with_its_events_counted_once)
{
	g_autoptr(GString) lines = good_lines(1, CUT_EVENTS);
	struct error err = {0};
	char id[INGEST_ID_SIZE];

	g_string_append(lines, "{}\n");
	g_autoptr(GByteArray) packed = pack(slice_make(lines->str, lines->len));
	stop();
	ck_assert_int_eq(store_open(&b.store, b.dir, STORE_WRITE, NULL, &err), 0);
	struct spool *spool = spool_open(b.store, 10 * MEGABYTE, &err);
	ck_assert_int_eq(spool_put(spool, NULL, &access_all.scope, clock_now(),
	                         slice_make((const char *)packed->data, packed->len), id, &err),
	        0);
	spool_free(&spool);
	store_close(&b.store);
	/* Where the refused lines should go, nothing can be written. */
	g_autofree char *taken = g_strdup_printf("%s/ingest/%s.failures.new", b.dir, id);
	ck_assert_int_eq(g_mkdir(taken, 0700), 0);
	start();
	g_autofree char *want = g_strdup_printf("system %d 0 0", WHOLE_STEPS);
	assert_verdict(id, want);
	ck_assert_uint_eq(stored(-1, NULL), WHOLE_STEPS);
	assert_count("?retryable=true", 1);
}
END_TEST

START_TEST(half_a_file_is_no_batch)
{
	struct error err = {0};
	g_autofree char *half = g_build_filename(
	        b.dir, "ingest", "b2013586-c13f-4da4-baf4-11b9d8e40c50.batch.new", NULL);
	g_autofree char *odd = g_build_filename(
	        b.dir, "ingest", "b2013586-c13f-4da4-baf4-11b9d8e40c51.batch", NULL);

	stop();
	ck_assert(g_file_set_contents(half, "postwake-batch 15490", -1, NULL));
	ck_assert(g_file_set_contents(odd, "what is this", -1, NULL));
	start();
	ck_assert(!g_file_test(half, G_FILE_TEST_EXISTS));
	struct spool_batch batch;
	ck_assert_int_eq(
	        spool_read(b.store, "b2013586-c13f-4da4-baf4-11b9d8e40c51", &batch, &err), -1);
	spool_batch_clear(&batch);
	assert_sent("{}\n", "validation 0 1 0");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_batch_is_taken_validated_and_found,
	        every_type_comes_in_and_is_found, faults_of_the_request_are_told_at_once,
	        faults_of_a_batch_are_told_afterwards, members_in_a_row_and_padding_are_one_batch,
	        an_event_id_of_zero_comes_in_once_and_is_found_and_shown,
	        the_file_of_refused_lines_is_named_by_a_whole_url,
	        an_error_without_refused_lines_has_an_empty_file_of_them,
	        bad_events_are_dropped_counted_and_kept_for_download,
	        an_event_comes_in_once_by_its_id,
	        events_that_are_too_old_or_of_the_future_are_refused,
	        without_a_limit_of_age_only_retention_counts,
	        a_clock_that_leaps_makes_no_event_too_old,
	        a_sender_writes_within_its_scope_and_sees_no_other_batches,
	        a_batch_is_given_back_as_it_came, status_records_are_filtered_and_paged,
	        wrong_parameters_are_told_by_name, documentation_needs_no_key,
	        a_bomb_and_a_flood_are_refused_whole,
	        validated_batches_make_room_and_waiting_ones_do_not,
	        without_room_the_sender_is_told_to_come_back,
	        while_the_store_may_not_grow_nothing_is_taken, expired_batches_leave_nothing,
	        a_directory_that_was_deleted_is_made_again,
	        what_keeps_failing_ends_as_system_with_its_events_counted_once,
	        half_a_file_is_no_batch};
	Suite *suite = suite_create("ingest");
	TCase *cases = tcase_create("ingest"), *cut = tcase_create("cut off");

	tcase_set_timeout(cases, 120);
	tcase_set_timeout(cut, 120);
	tcase_add_checked_fixture(cases, setup, teardown);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		tcase_add_test(cases, tests[i]);
	tcase_add_checked_fixture(cut, NULL, teardown);
	tcase_add_test(cut, a_batch_that_was_cut_off_anywhere_is_counted_right);
	suite_add_tcase(suite, cases);
	suite_add_tcase(suite, cut);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
