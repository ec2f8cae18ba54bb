#include <glib/gstdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/gunzip.h"
#include "store/outbox.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"
#include "upload/answer.h"
#include "upload/cut.h"
#include "upload/key.h"
#include "upload/pack.h"
#include "upload/policy.h"

/* ---- policy ---- */

START_TEST(waits_double_up_to_five_minutes_and_obey_the_other_side)
{
	ck_assert_int_eq(policy_wait(1, 0, 0), 1000);
	ck_assert_int_eq(policy_wait(4, 0, 0), 8000);
	ck_assert_int_eq(policy_wait(4, 1, 0), 4000);
	ck_assert_int_eq(policy_wait(1000000, 0, 0), 300000);
	ck_assert_int_eq(policy_wait(1, 0, 7200000), 7200000);
	ck_assert_int_eq(policy_wait(1, 0, INT64_MAX), CLOCK_DAY);
}
END_TEST

START_TEST(a_status_says_whether_the_batch_was_taken)
{
	static const struct {
		long status;
		bool id;
		enum policy_outcome want;
	} rows[] = {
	        {200, true, POLICY_TAKEN},
	        {200, false, POLICY_AMBIGUOUS},
	        {204, false, POLICY_AMBIGUOUS},
	        {307, false, POLICY_PARK},
	        {400, false, POLICY_PARK},
	        {401, true, POLICY_PARK},
	        {413, false, POLICY_PARK},
	        {420, false, POLICY_PARK},
	        {429, false, POLICY_REFUSED},
	        {500, true, POLICY_AMBIGUOUS},
	        {502, false, POLICY_AMBIGUOUS},
	        {503, false, POLICY_AMBIGUOUS},
	        {999, false, POLICY_AMBIGUOUS},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		ck_assert_msg(policy_of_status(rows[i].status, rows[i].id) == rows[i].want,
		        "status %ld", rows[i].status);
}
END_TEST

START_TEST(a_duplicate_is_accepted_only_where_the_batch_was_sent_before)
{
	struct answer_verdict verdict = {.error_type = "duplicate_batch"};

	ck_assert_int_eq(policy_of_verdict(&verdict, true), POLICY_ACCEPTED);
	ck_assert_int_eq(policy_of_verdict(&verdict, false), POLICY_PARKED);
	verdict.failed = 1;
	ck_assert_int_eq(policy_of_verdict(&verdict, true), POLICY_PARTLY);
	verdict.failed = 0;
	verdict.error_type = "validation";
	ck_assert_int_eq(policy_of_verdict(&verdict, false), POLICY_PARTLY);
	verdict.error_type = "decompress";
	ck_assert_int_eq(policy_of_verdict(&verdict, true), POLICY_PARKED);
	verdict.error_type = "system";
	ck_assert_int_eq(policy_of_verdict(&verdict, false), POLICY_PARKED);
	verdict.retryable = true;
	ck_assert_int_eq(policy_of_verdict(&verdict, false), POLICY_AGAIN);
	verdict.success = true;
	ck_assert_int_eq(policy_of_verdict(&verdict, false), POLICY_ACCEPTED);
}
END_TEST

/* ---- answers ---- */

START_TEST(the_id_of_a_batch_is_taken_only_where_it_can_be_one)
{
	static const struct {
		const char *body, *want;
	} rows[] = {
	        {"{\"results\":{\"id\":\"b2013586-c13f-4da4-baf4-11b9d8e40c50\"}}",
	                "b2013586-c13f-4da4-baf4-11b9d8e40c50"},
	        {"{\"results\":{\"id\":\"../x\"}}", NULL},
	        {"{\"results\":{\"id\":\"a,b\"}}", NULL},
	        {"{\"results\":{\"id\":\"\"}}", NULL},
	        {"{\"results\":{\"id\":7}}", NULL},
	        {"{\"results\":[", NULL},
	        {"[]", NULL},
	        {"", NULL},
	        {"<html>", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *id = answer_batch_id(slice_str(rows[i].body));
		ck_assert_pstr_eq(id, rows[i].want);
	}
}
END_TEST

START_TEST(what_an_answer_says_fits_in_a_line)
{
	g_autofree char *json =
	        answer_text(403, slice_str("{\"errors\":[ {\"message\": \"Forbidden.\"} ]}"));
	g_autofree char *html = answer_text(502, slice_str("<h1>Bad\r\n\n Gateway\x1b[2J</h1>"));
	g_autofree char *none = answer_text(500, SLICE(""));
	g_autofree char *two =
	        answer_text(400, slice_str("{\"errors\":[{\"message\":\"a\",\"description\":\"b\"},"
	                                   "{\"message\":\"c\"}]}"));
	g_autofree char *big = g_strnfill(100000, 'x');
	g_autofree char *cut = answer_text(400, slice_str(big));

	ck_assert_str_eq(json, "403: Forbidden.");
	ck_assert_str_eq(html, "502: <h1>Bad Gateway [2J</h1>");
	ck_assert_str_eq(none, "500");
	ck_assert_str_eq(two, "400: a: b; c");
	ck_assert_uint_lt(strlen(cut), 400);
}
END_TEST

static void count_verdict(void *ctx, const struct answer_verdict *verdict)
{
	struct answer_verdict *last = ctx;

	last->succeeded += verdict->succeeded;
	last->failed += verdict->failed;
	last->duplicates++;
}

START_TEST(verdicts_are_read_and_nonsense_among_them_is_left_out)
{
	struct answer_verdict sum = {0};
	const char *body = "{\"results\":[{\"type\":\"success\",\"batch_id\":\"a\",\"number_"
	                   "succeeded\":\"12\"},"
	                   "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"validation\","
	                   "\"number_succeeded\":3,\"number_failed\":2},"
	                   "{\"type\":\"success\"},{\"type\":\"what\",\"batch_id\":\"c\"},7,null,"
	                   "{\"type\":\"success\",\"batch_id\":\"d\",\"number_succeeded\":-5}]}";

	ck_assert_int_eq(answer_verdicts(slice_str(body), count_verdict, &sum, NULL), 0);
	ck_assert_uint_eq(sum.duplicates, 3);
	ck_assert_uint_eq(sum.succeeded, 15);
	ck_assert_uint_eq(sum.failed, 2);
	ck_assert_int_eq(answer_verdicts(slice_str("{}"), count_verdict, &sum, NULL), -1);
	ck_assert_int_eq(answer_verdicts(slice_str("{\"results"), count_verdict, &sum, NULL), -1);
	ck_assert_int_eq(answer_verdicts(SLICE(""), count_verdict, &sum, NULL), -1);
}
END_TEST

static void keep_cause(void *ctx, struct slice line, const char *cause)
{
	g_string_append_printf(ctx, "%.*s|%s\n", SLICE_ARG(line), cause);
}

static GByteArray *gzip_of(const char *text)
{
	struct pack *pack = pack_new(1000000);

	ck_assert(pack_add(pack, slice_str(text)));
	GByteArray *bytes = pack_end(pack);
	pack_free(&pack);
	return bytes;
}

START_TEST(failed_events_are_read_with_their_causes_plain_or_packed)
{
	const char *text = "{\"msys\":{}}\n\n{\"error\":\"no type\",\"msys\":{}}\nnot json\n"
	                   "{\"errors\":[{\"message\":\"a\"},\"b\"]}";
	const char *want =
	        "{\"msys\":{}}|\n{\"error\":\"no type\",\"msys\":{}}|no type\nnot json|\n"
	        "{\"errors\":[{\"message\":\"a\"},\"b\"]}|a; b\n";
	g_autoptr(GByteArray) gzip = gzip_of(text);
	g_autoptr(GString) plain = g_string_new(NULL), packed = g_string_new(NULL);
	struct slice bytes = slice_make((const char *)gzip->data, gzip->len);

	ck_assert_int_eq(answer_failures(slice_str(text), 10000, keep_cause, plain, NULL), 0);
	ck_assert_str_eq(plain->str, want);
	ck_assert_int_eq(answer_failures(bytes, 10000, keep_cause, packed, NULL), 0);
	ck_assert_str_eq(packed->str, want);
	g_autofree char *lines = g_strconcat(text, "\n", NULL);
	g_autofree char *twice = g_strconcat(want, want, NULL);
	g_autoptr(GByteArray) two = gzip_of(lines);
	g_autoptr(GString) both = g_string_new(NULL);
	g_byte_array_append(two, gzip->data, gzip->len);
	ck_assert_int_eq(answer_failures(slice_make((const char *)two->data, two->len), 10000,
	                         keep_cause, both, NULL),
	        0);
	ck_assert_str_eq(both->str, twice);
	ck_assert_int_eq(answer_failures(bytes, 50, keep_cause, packed, NULL), -1);
	ck_assert_int_eq(
	        answer_failures(slice_head(bytes, bytes.n - 9), 10000, keep_cause, packed, NULL),
	        -1);
	ck_assert_int_eq(answer_failures(SLICE("\x1f\x8b"), 100, keep_cause, packed, NULL), -1);
}
END_TEST

START_TEST(the_key_goes_to_its_own_origin_only)
{
	static const struct {
		const char *href, *want;
	} rows[] = {
	        {"https://api.example.com/api/v1/ingest/events/failures/x",
	                "https://api.example.com/api/v1/ingest/events/failures/x"},
	        {"https://API.example.com:443/x", "https://API.example.com:443/x"},
	        {"/api/v1/failures/x", "https://api.example.com/api/v1/failures/x"},
	        {"http://api.example.com/x", NULL},
	        {"https://api.example.com:8443/x", NULL},
	        {"https://api.example.com.evil.example/x", NULL},
	        {"//evil.example/x", NULL},
	        {"https://api.example.com@evil.example/x", NULL},
	        {"https://u:p@api.example.com/x", NULL},
	        {"javascript:alert(1)", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *url =
		        answer_same_origin("https://api.example.com/api/v1/a", rows[i].href);
		ck_assert_pstr_eq(url, rows[i].want);
	}
}
END_TEST

/* ---- pack ---- */

START_TEST(a_pack_never_grows_beyond_its_limit_even_with_noise)
{
	const size_t limit = 100000;
	struct pack *pack = pack_new(limit);
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);
	char line[1000];
	unsigned n = 0;

	do
		for (size_t i = 0; i < sizeof(line); i++)
			line[i] = (char)g_rand_int_range(rand, 0, 256);
	while (pack_add(pack, slice_make(line, sizeof(line))) && ++n < 1000);
	g_autoptr(GByteArray) bytes = pack_end(pack);
	pack_free(&pack);
	ck_assert_uint_le(bytes->len, limit);
	ck_assert_uint_gt(n, 90); /* and uses it */
}
END_TEST

START_TEST(a_pack_uses_its_limit_with_lines_that_pack_well)
{
	const size_t limit = 50000;
	struct pack *pack = pack_new(limit);
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);
	g_autoptr(GString) line = g_string_new(NULL);
	uint64_t sum = 0;

	do {
		sum += line->len;
		g_string_printf(line, "{\"msys\":{\"message_event\":{\"event_id\":\"%u\"}}}\n",
		        g_rand_int(rand));
	} while (pack_add(pack, slice_make(line->str, line->len)));
	g_autoptr(GByteArray) bytes = pack_end(pack);
	pack_free(&pack);
	ck_assert_uint_le(bytes->len, limit);
	ck_assert_uint_gt(bytes->len, limit * 9 / 10);
	ck_assert_uint_gt(sum, 4 * limit);
}
END_TEST

START_TEST(equal_lines_make_equal_bytes)
{
	g_autoptr(GByteArray) a = gzip_of("one\ntwo\n"), b = gzip_of("one\ntwo\n");

	ck_assert_uint_eq(a->len, b->len);
	ck_assert_mem_eq(a->data, b->data, a->len);
	ck_assert_mem_eq(a->data, "\x1f\x8b\x08\0\0\0\0\0", 8); /* no name, no time */
}
END_TEST

/* ---- key ---- */

static char *read_key(const char *text, mode_t mode, struct error *err)
{
	char *dir = scratch_make();
	g_autofree char *path = g_build_filename(dir, "key", NULL);

	ck_assert(g_file_set_contents(path, text, -1, NULL));
	ck_assert_int_eq(chmod(path, mode), 0);
	char *key = upload_key_read(path, err);
	scratch_remove(&dir);
	return key;
}

START_TEST(a_key_is_read_where_only_its_owner_and_group_may)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *want;
	} rows[] = {
	        {"secret\n", 0600, "Authorization: secret"},
	        {"secret\r\n", 0400, "Authorization: secret"},
	        {"secret", 0640, "Authorization: secret"},
	        {"secret\n", 0644, NULL},
	        {"secret\n", 0604, NULL},
	        {"secret\n", 0660, NULL},
	        {"", 0600, NULL},
	        {"\n", 0600, NULL},
	        {"a\nX-Evil: b\n", 0600, NULL},
	        {"schl\xc3\xbcssel\n", 0600, NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct error err = {0};
		char *key = read_key(rows[i].text, rows[i].mode, &err);
		ck_assert_pstr_eq(key, rows[i].want);
		ck_assert_int_eq(err.set, rows[i].want == NULL);
		ck_assert_ptr_null(strstr(err.text, "secret"));
		upload_key_free(&key);
	}
	struct error err = {0};
	ck_assert_ptr_null(upload_key_read("/nonexistent/key", &err));
	ck_assert_ptr_null(upload_key_read("/dev/null", &err));
	g_autofree char *big = g_strnfill(5000, 'x');
	ck_assert_ptr_null(read_key(big, 0600, &err));
}
END_TEST

/* ---- cutting ---- */

static char *dir;

static void setup(void)
{
	dir = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
}

static void commit_some(struct store *store, uint64_t first, unsigned n, int64_t time)
{
	for (unsigned i = 0; i < n; i++) {
		struct event event = make_event(
		        EVENT_DELIVERY, time + i * 1000, first + i, "m1", "a.b@example.com");
		set_field(&event, FIELD_DELV_METHOD, "esmtp");
		set_field(&event, FIELD_RECIPIENT_DOMAIN, i % 2 ? "example.com" : "example.org");
		set_field(&event, FIELD_SUBACCOUNT_ID, i % 2 ? "1" : "2");
		ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	}
}

static uint64_t cut_events(struct store *store, const struct cut_rules *rules, uint64_t since,
        int64_t now, struct cut *cut)
{
	struct error err = {0};

	cut_clear(cut);
	ck_assert_msg(cut_batch(store, rules, since, UINT64_MAX, now, NULL, NULL, cut, &err) == 0,
	        "%s", err.text);
	return cut->events;
}

START_TEST(events_are_cut_in_the_order_of_their_arrival_and_each_once)
{
	struct store *store = open_store(dir, STORE_WRITE);
	const struct cut_rules rules = {.kind = UPLOAD_POSTWAKE, .events = 3};
	struct cut cut = {0};
	uint64_t at = 0, sum = 0;

	commit_some(store, 1, 4, DAY2);
	commit_some(store, 100, 4, DAY1); /* older, arrived later */
	for (unsigned i = 0; i < 3; i++) {
		sum += cut_events(store, &rules, at, DAY2, &cut);
		ck_assert_uint_eq(cut.since, at);
		at = cut.until;
	}
	ck_assert_uint_eq(sum, 8);
	ck_assert_uint_eq(at, 8);
	ck_assert_uint_eq(cut.lost, 0);
	ck_assert_uint_eq(cut_events(store, &rules, at, DAY2, &cut), 0);
	ck_assert_ptr_null(cut.bytes);
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

/* More than are looked at at a time, by their bytes and not by their number. */
START_TEST(large_events_are_cut_whole_and_none_counts_as_lost)
{
	struct store *store = open_store(dir, STORE_WRITE);
	const struct cut_rules rules = {.kind = UPLOAD_POSTWAKE};
	g_autofree char *subject = g_strnfill(150000, 's');
	struct cut cut = {0};

	for (unsigned i = 0; i < 60; i++) {
		struct event event =
		        make_event(EVENT_DELIVERY, DAY1 + i * 1000, i + 1, "m1", "a@example.com");
		g_autofree char *own = g_strdup_printf("%u %s", i, subject);
		set_field(&event, FIELD_DELV_METHOD, "esmtp");
		event.field[FIELD_SUBJECT] = slice_str(own);
		ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	}
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1, &cut), 60);
	ck_assert_uint_eq(cut.lost, 0);
	ck_assert_uint_eq(cut.until, 60);
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

START_TEST(an_event_that_is_larger_than_a_small_batch_goes_alone)
{
	struct store *store = open_store(dir, STORE_WRITE);
	const struct cut_rules rules = {.kind = UPLOAD_POSTWAKE, .bytes = 2000};
	g_autoptr(GRand) rand = g_rand_new_with_seed(3);
	g_autoptr(GString) noise = g_string_new(NULL);
	struct event event = make_event(EVENT_DELIVERY, DAY1, 1, "m1", "a@example.com");
	struct cut cut = {0};

	while (noise->len < 8000)
		g_string_append_printf(noise, "%08x", g_rand_int(rand));
	set_field(&event, FIELD_DELV_METHOD, "esmtp");
	event.field[FIELD_SUBJECT] = slice_make(noise->str, noise->len);
	ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	commit_some(store, 10, 3, DAY1 + 10000);
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1, &cut), 1);
	ck_assert_uint_eq(cut.until, 1);
	ck_assert_uint_eq(cut_events(store, &rules, 1, DAY1, &cut), 3);
	ck_assert_uint_le(cut.bytes->len, 2000);
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

START_TEST(what_is_too_old_is_counted_for_the_service_and_sent_to_another_postwake)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct cut_rules rules = {.kind = UPLOAD_SPARKPOST};
	struct cut cut = {0};

	commit_some(store, 1, 3, DAY1); /* at 0, 1 and 2 s */
	ck_assert_uint_eq(
	        cut_events(store, &rules, 0, DAY1 + CLOCK_DAY - 2 * CUT_GRACE + 1000, &cut), 1);
	ck_assert_uint_eq(cut.too_old, 2);
	ck_assert_int_eq(cut.oldest, DAY1 + 2000);
	rules.kind = UPLOAD_POSTWAKE;
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1 + 100 * CLOCK_DAY, &cut), 3);
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

START_TEST(only_what_is_wanted_is_cut)
{
	struct store *store = open_store(dir, STORE_WRITE);
	bool types[EVENT_TYPES] = {[EVENT_BOUNCE] = true};
	char *domains[] = {(char[]){"EXAMPLE.org"}, NULL}, *subaccounts[] = {(char[]){"1"}, NULL};
	struct cut_rules rules = {.kind = UPLOAD_POSTWAKE, .types = types};
	struct cut cut = {0};

	commit_some(store, 1, 5, DAY1);
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1, &cut), 0);
	ck_assert_uint_eq(cut.until, 5);
	rules = (struct cut_rules){.kind = UPLOAD_POSTWAKE, .domains = domains};
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1, &cut), 3);
	rules = (struct cut_rules){.kind = UPLOAD_POSTWAKE, .subaccounts = subaccounts};
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1, &cut), 2);
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

static void count_refused(void *ctx, struct slice line, const char *cause)
{
	ck_assert(line.n > 0);
	ck_assert_ptr_nonnull(strstr(cause, "message_id"));
	++*(unsigned *)ctx;
}

static int add_piece(void *ctx, struct slice bytes, struct error *err)
{
	(void)err;
	g_string_append_len(ctx, bytes.p, (gssize)bytes.n);
	return 0;
}

START_TEST(what_was_recorded_before_hashes_were_kept_is_sent_as_hashes)
{
	const struct store_options options = {.pseudonymise = STORE_PSEUDONYMISE};
	struct store *store = open_store(dir, STORE_WRITE);
	const struct cut_rules rules = {.kind = UPLOAD_POSTWAKE};
	g_autoptr(GString) lines = g_string_new(NULL);
	struct cut cut = {0};

	commit_some(store, 1, 1, DAY1);
	store_close(&store);
	ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1, &cut), 1);
	ck_assert_int_eq(gunzip(slice_make((const char *)cut.bytes->data, cut.bytes->len), 100000,
	                         add_piece, lines, NULL),
	        0);
	ck_assert_ptr_null(strstr(lines->str, "a.b@"));
	ck_assert_ptr_nonnull(strstr(lines->str, "\"rcpt_to\":\"pn-"));
	cut_clear(&cut);
	store_close(&store);
	/* A reader who may not read the key. */
	g_autofree char *key = g_build_filename(dir, "pseudonym.key", NULL);
	struct error err = {0};
	ck_assert_int_eq(g_unlink(key), 0);
	store = open_store(dir, STORE_READ);
	ck_assert_int_eq(cut_batch(store, &rules, 0, UINT64_MAX, DAY1, NULL, NULL, &cut, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "nothing is uploaded without the key"));
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

START_TEST(an_event_that_would_be_refused_is_told_and_not_sent)
{
	struct store *store = open_store(dir, STORE_WRITE);
	const struct cut_rules rules = {.kind = UPLOAD_POSTWAKE};
	struct event bad = make_event(EVENT_DELIVERY, DAY1, 7, NULL, "a@example.com");
	struct cut cut;
	unsigned refused = 0;

	set_field(&bad, FIELD_DELV_METHOD, "esmtp");
	ck_assert_uint_eq(commit_events(store, &bad, 1), 1);
	ck_assert_int_eq(
	        cut_batch(store, &rules, 0, UINT64_MAX, DAY1, count_refused, &refused, &cut, NULL),
	        0);
	ck_assert_uint_eq(refused, 1);
	ck_assert_uint_eq(cut.invalid, 1);
	ck_assert_uint_eq(cut.events, 0);
	store_close(&store);
}
END_TEST

static void note_cause(void *ctx, struct slice line, const char *cause)
{
	ck_assert(line.n > 0);
	g_string_append_printf(ctx, "%s\n", cause);
}

/* By the table of the API's documentation; another postwake takes what it enforces. */
START_TEST(what_documentation_requires_is_asked_for_the_service_only)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct cut_rules rules = {.kind = UPLOAD_SPARKPOST};
	struct event bad = make_event(EVENT_DELAY, DAY1, 7, "m1", "a@example.com");
	g_autoptr(GString) causes = g_string_new(NULL);
	struct cut cut = {0};

	set_field(&bad, FIELD_RECV_METHOD, "esmtp");
	ck_assert_uint_eq(commit_events(store, &bad, 1), 1);
	ck_assert_int_eq(
	        cut_batch(store, &rules, 0, UINT64_MAX, DAY1, note_cause, causes, &cut, NULL), 0);
	ck_assert_str_eq(causes->str, "Missing delv_method on event of type tempfail\n");
	ck_assert_uint_eq(cut.invalid, 1);
	ck_assert_uint_eq(cut.events, 0);
	rules.kind = UPLOAD_POSTWAKE;
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY1, &cut), 1);
	ck_assert_uint_eq(cut.invalid, 0);
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

START_TEST(what_retention_took_is_counted_as_lost)
{
	struct store *store = open_store(dir, STORE_WRITE);
	const struct cut_rules rules = {.kind = UPLOAD_POSTWAKE};
	struct cut cut = {0};

	commit_some(store, 1, 3, DAY1);
	commit_some(store, 10, 2, DAY2);
	ck_assert_int_eq(store_prune(store, 0, DAY2, NULL), 1);
	ck_assert_uint_eq(cut_events(store, &rules, 0, DAY2, &cut), 2);
	ck_assert_uint_eq(cut.lost, 3);
	cut_clear(&cut);
	store_close(&store);
}
END_TEST

/* ---- the outbox ---- */

static void commit_row(struct store *store, const struct outbox_batch *row)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	store_batch_outbox(batch, row);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	store_batch_free(&batch);
}

START_TEST(a_batch_comes_back_as_it_was_with_its_bytes)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct outbox_batch *row = outbox_batch_new("far"), *found, *none;
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	row->since = 3, row->until = 9, row->events = 5, row->oldest = DAY1, row->tries = 2;
	row->doubt = true;
	ck_assert_int_eq(store_outbox_write(store, row, SLICE("bytes\0here"), NULL), 0);
	commit_row(store, row);
	store_close(&store);

	store = open_store(dir, STORE_WRITE);
	ck_assert_int_eq(store_outbox_sweep(store, NULL), 0);
	g_autofree char *part = g_strndup(row->id, 6);
	ck_assert_int_eq(store_outbox_find(store, part, &found, NULL), 1);
	ck_assert_str_eq(found->id, row->id);
	ck_assert_uint_eq(found->until, 9);
	ck_assert_uint_eq(found->bytes, 10);
	ck_assert(found->doubt);
	ck_assert_int_eq(store_outbox_read(store, found, bytes, NULL), 1);
	ck_assert_mem_eq(bytes->data, "bytes\0here", 10);
	ck_assert_int_eq(store_outbox_find(store, "zz", &none, NULL), 0);
	ck_assert_ptr_null(none);
	outbox_batch_free(row);
	outbox_batch_free(found);
	store_close(&store);
}
END_TEST

START_TEST(damaged_bytes_are_told_and_files_without_row_go)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct outbox_batch *row = outbox_batch_new("far"), *lost = outbox_batch_new("far");
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	g_autofree char *name = g_strconcat(row->id, ".gz", NULL);
	g_autofree char *path = g_build_filename(dir, "outbox", name, NULL);
	g_autofree char *other = g_strconcat(lost->id, ".gz", NULL);
	g_autofree char *orphan = g_build_filename(dir, "outbox", other, NULL);

	ck_assert_int_eq(store_outbox_write(store, row, SLICE("bytes"), NULL), 0);
	ck_assert_int_eq(store_outbox_write(store, lost, SLICE("never committed"), NULL), 0);
	commit_row(store, row);
	ck_assert_int_eq(store_outbox_sweep(store, NULL), 0);
	ck_assert(!g_file_test(orphan, G_FILE_TEST_EXISTS));
	ck_assert(g_file_set_contents(path, "bytez", 5, NULL));
	ck_assert_int_eq(store_outbox_read(store, row, bytes, NULL), 0);
	store_outbox_unlink(store, row);
	ck_assert_int_eq(store_outbox_read(store, row, bytes, NULL), 0);
	outbox_batch_free(row);
	outbox_batch_free(lost);
	store_close(&store);
}
END_TEST

static void count_failure(void *ctx, const struct outbox_failure *failure)
{
	ck_assert(slice_eq(failure->cause, SLICE("why")));
	++*(unsigned *)ctx;
}

START_TEST(failures_are_kept_with_their_batch_until_they_are_trimmed)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	const struct outbox_failure failure = {
	        SLICE("far"), SLICE("b1"), 1000, SLICE("why"), SLICE("{}")};
	struct store_commit_result result;
	unsigned n = 0;

	store_batch_failure(batch, &failure);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	ck_assert_int_eq(store_each_failure(store, "b1", 10, count_failure, &n, NULL), 0);
	ck_assert_int_eq(store_each_failure(store, NULL, 10, count_failure, &n, NULL), 0);
	ck_assert_int_eq(store_each_failure(store, "b2", 10, count_failure, &n, NULL), 0);
	ck_assert_uint_eq(n, 2);
	store_batch_reset(batch);
	store_batch_outbox_trim(batch, 1001);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	ck_assert_int_eq(store_each_failure(store, NULL, 10, count_failure, &n, NULL), 0);
	ck_assert_uint_eq(n, 2);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

static void note_newest(void *ctx, const struct outbox_failure *failure)
{
	int64_t *range = ctx;

	range[0] = MIN(range[0], failure->time);
	range[1] = MAX(range[1], failure->time);
	range[2]++;
}

START_TEST(the_newest_failures_of_all_are_kept)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	int64_t range[3] = {INT64_MAX, 0, 0};

	for (int i = 1; i <= OUTBOX_FAILURES + 50; i++) {
		const struct outbox_failure failure = {
		        SLICE("far"), SLICE("b1"), i, SLICE("why"), SLICE("{}")};
		store_batch_failure(batch, &failure);
	}
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	ck_assert_int_eq(store_each_failure(store, NULL, 100000, note_newest, range, NULL), 0);
	ck_assert_int_eq(range[0], 51);
	ck_assert_int_eq(range[1], OUTBOX_FAILURES + 50);
	ck_assert_int_eq(range[2], OUTBOX_FAILURES);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {waits_double_up_to_five_minutes_and_obey_the_other_side,
	        a_status_says_whether_the_batch_was_taken,
	        a_duplicate_is_accepted_only_where_the_batch_was_sent_before,
	        the_id_of_a_batch_is_taken_only_where_it_can_be_one,
	        what_an_answer_says_fits_in_a_line,
	        verdicts_are_read_and_nonsense_among_them_is_left_out,
	        failed_events_are_read_with_their_causes_plain_or_packed,
	        the_key_goes_to_its_own_origin_only,
	        a_pack_never_grows_beyond_its_limit_even_with_noise,
	        a_pack_uses_its_limit_with_lines_that_pack_well, equal_lines_make_equal_bytes,
	        a_key_is_read_where_only_its_owner_and_group_may,
	        events_are_cut_in_the_order_of_their_arrival_and_each_once,
	        what_was_recorded_before_hashes_were_kept_is_sent_as_hashes,
	        large_events_are_cut_whole_and_none_counts_as_lost,
	        an_event_that_is_larger_than_a_small_batch_goes_alone,
	        what_is_too_old_is_counted_for_the_service_and_sent_to_another_postwake,
	        only_what_is_wanted_is_cut, an_event_that_would_be_refused_is_told_and_not_sent,
	        what_documentation_requires_is_asked_for_the_service_only,
	        what_retention_took_is_counted_as_lost, a_batch_comes_back_as_it_was_with_its_bytes,
	        damaged_bytes_are_told_and_files_without_row_go,
	        failures_are_kept_with_their_batch_until_they_are_trimmed,
	        the_newest_failures_of_all_are_kept, NULL};

	return run_store_tests("upload", setup, teardown, tests);
}
