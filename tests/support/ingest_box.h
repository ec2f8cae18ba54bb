/* A store with Events Ingest, its requests, lines and verdicts, for unit tests. */
#ifndef PW_TESTS_INGEST_BOX_H
#define PW_TESTS_INGEST_BOX_H

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

static inline void start(void)
{
	const struct capture_config capture = {.keep_days = 100};
	struct error err = {0};

	ck_assert_msg(store_open(&b.store, b.dir, STORE_WRITE, NULL, &err) == 0, "%s", err.text);
	ck_assert_msg(capture_open(&b.capture, b.store, &capture, &err) == 0, "%s", err.text);
	ck_assert_msg(
	        ingest_open(&b.ingest, b.capture, b.store, &b.config, &err) == 0, "%s", err.text);
	b.query = (struct query_config){.ingest = ingest_service(b.ingest)};
}

static inline void stop(void)
{
	ingest_close(&b.ingest);
	ck_assert_int_eq(capture_close(&b.capture, NULL), 0);
	store_close(&b.store);
}

static inline void prepare(void)
{
	b.dir = g_dir_make_tmp("postwake-ingest-XXXXXX", NULL);
	b.config = (struct ingest_config){
	        .max_age = CLOCK_DAY, .keep_days = 10, .most = 64 * (uint64_t)MEGABYTE};
	b.access = access_all;
	b.access.who = "uid 0";
}

static inline void setup(void)
{
	prepare();
	start();
}

static inline void teardown(void)
{
	stop();
	remove_tree(b.dir);
	g_free(b.dir);
}

/* ---- requests ---- */

static inline struct query_answer ask(const struct query_input *input)
{
	struct query_answer answer;
	struct query_input copy = *input;

	if (copy.access == NULL)
		copy.access = &b.access;
	query_answer_input(b.store, &b.query, &copy, &answer);
	return answer;
}

static inline struct query_answer get(const char *uri)
{
	const struct query_input input = {.method = "GET", .uri = slice_str(uri)};

	return ask(&input);
}

static inline struct query_answer post(
        const GByteArray *body, const char *type, const char *encoding)
{
	const struct query_input input = {.method = "POST",
	        .uri = SLICE(POST),
	        .body = slice_make((const char *)body->data, body->len),
	        .content_type = type,
	        .content_encoding = encoding};

	return ask(&input);
}

/* The id of a batch that was taken. */
static inline char *send_packed(const GByteArray *body)
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

static inline char *send_text(const char *lines)
{
	g_autoptr(GByteArray) packed = pack(slice_str(lines));

	return send_packed(packed);
}

/* The status records that a query finds; json_decref. */
static inline json_t *records(const char *query)
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
static inline json_t *verdict(const char *id)
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
static inline void assert_verdict(const char *id, const char *want)
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

static inline void assert_sent(const char *lines, const char *want)
{
	g_autofree char *id = send_text(lines);

	assert_verdict(id, want);
}

/* ---- lines ---- */

static inline int64_t seconds_ago(int64_t seconds)
{
	return clock_now() / CLOCK_SECOND - seconds;
}

static inline void add_line(GString *lines, const char *wrapper, const char *type, uint64_t id,
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
static inline unsigned stored(int key, const char *value)
{
	const char *const list[] = {value, NULL};
	struct search search = {.to = INT64_MAX};
	uint64_t total = 0;

	if (key >= 0)
		search.values[key] = list;
	ck_assert_int_eq(store_search(b.store, &search, NULL, NULL, &total, NULL), 0);
	return (unsigned)total;
}

static inline char *refused_lines(const char *id)
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

static inline void assert_count(const char *query, int want)
{
	json_t *root = records(query);
	int have = (int)json_integer_value(json_object_get(root, "total_count"));

	ck_assert_msg(have == want, "%s: %d, not %d", query, have, want);
	json_decref(root);
}

#endif
