/* The Events API, its stream, and SMTPeter's calls, without a server. */
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "query/access.h"
#include "query/query.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

/* 2026-06-15T12:34:56.789Z */
#define NOW (INT64_C(1781526896789))
#define BASE "/api/v1/events/message"

static char *dir;
static struct store *store;
static struct query_config config;

static int64_t fixed_now(void)
{
	return NOW;
}

static void setup(void)
{
	dir = scratch_make();
	store = open_store(dir, STORE_WRITE);
	config = (struct query_config){.now = fixed_now};
}

static void teardown(void)
{
	store_close(&store);
	scratch_remove(&dir);
}

static void add(enum event_type type, uint64_t id, int64_t time, const char *rcpt,
        ...) G_GNUC_NULL_TERMINATED;

/* Stores an event; pairs of field name and value follow, ended by NULL. */
static void add(enum event_type type, uint64_t id, int64_t time, const char *rcpt, ...)
{
	struct event event = make_event(type, time, id, "0000aa", rcpt);
	const char *name;
	va_list rest;

	set_field(&event, FIELD_RECIPIENT_DOMAIN, strchr(rcpt, '@') + 1);
	event.injected = NOW - CLOCK_HOUR;
	va_start(rest, rcpt);
	while ((name = va_arg(rest, const char *)) != NULL)
		set_field(&event, field_by_name(slice_str(name)), va_arg(rest, const char *));
	va_end(rest);
	ck_assert_uint_eq(commit_events(store, &event, 1), 1);
}

static struct query_answer input(
        const char *target, const char *last_id, const struct access *access)
{
	const struct query_input in = {.method = "GET",
	        .uri = slice_str(target),
	        .access = access,
	        .last_event_id = last_id};
	struct query_answer answer;

	query_answer_input(store, &config, &in, &answer);
	return answer;
}

static json_t *ask_as(const struct access *access, const char *target, unsigned status)
{
	struct query_answer answer = input(target, NULL, access);
	json_error_t where;

	ck_assert_msg(answer.status == status, "%.200s: %u %.500s", target, answer.status,
	        answer.body->str);
	json_t *json = json_loadb(answer.body->str, answer.body->len, 0, &where);
	ck_assert_msg(json != NULL, "%s: %s", where.text, answer.body->str);
	query_answer_clear(&answer);
	return json;
}

static json_t *ask(const char *target, unsigned status)
{
	return ask_as(NULL, target, status);
}

/* The event_ids of an answer in order, "3 2 1", and its total. */
static void check(const char *parameters, const char *want)
{
	g_autofree char *target = g_strconcat(BASE "?", parameters, NULL);
	g_autoptr(GString) got = g_string_new(NULL);
	json_t *answer = ask(target, 200), *event;
	size_t i;

	json_array_foreach(json_object_get(answer, "results"), i, event) g_string_append_printf(got,
	        "%s%s", i > 0 ? " " : "", json_string_value(json_object_get(event, "event_id")));
	ck_assert_msg(strcmp(got->str, want) == 0, "%s: %s, want %s", parameters, got->str, want);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "total_count")),
	        (json_int_t)json_array_size(json_object_get(answer, "results")));
	json_decref(answer);
}

static void check_fault(const char *parameters, const char *param, const char *message)
{
	g_autofree char *target = g_strconcat(BASE "?", parameters, NULL);
	json_t *answer = ask(target, 400);
	const json_t *fault = json_array_get(json_object_get(answer, "errors"), 0);

	ck_assert_str_eq(json_string_value(json_object_get(fault, "param")), param);
	ck_assert_str_eq(json_string_value(json_object_get(fault, "message")), message);
	json_decref(answer);
}

START_TEST(every_filter_finds_what_it_names)
{
	add(EVENT_BOUNCE, 1, NOW - 5000, "ann@mail.yahoo.com", "bounce_class", "10", "raw_reason",
	        "550 5.4.7 No such user", "subject", "Reset your password", "campaign_id",
	        "blackfriday-specials", "template_id", "welcome_mail", "ip_pool", "pool-a",
	        "sending_ip", "192.0.2.1", "sending_domain", "info.example.com", "friendly_from",
	        "Shop@info.example.com", "subaccount_id", "7", "transmission_id", "99",
	        "ab_test_id", "winter test", "ab_test_version", "2", "queue_id", "4Nt", NULL);
	add(EVENT_DELIVERY, 2, NOW - 4000, "bob@gmail.com", "subject", "Password reset done",
	        "sending_domain", "example.org", "msg_from", "b@example.org", NULL);
	check("", "2 1");
	check("event_ids=1", "1");
	check("events=delivery,bounce", "2 1");
	check("recipients=ANN@mail.yahoo.com", "1");
	check("from_addresses=shop@info.example.com,B@example.org", "2 1");
	check("bounce_classes=10", "1");
	check("sending_ips=192.0.2.1", "1");
	check("subaccounts=7", "1");
	check("messages=0000aa", "2 1");
	check("transmissions=99", "1");
	check("queue_ids=4Nt", "1");
	check("recipient_domains=yahoo", "1");
	check("recipient_domains=yahoo.com", "1");
	check("recipient_domains=com.yahoo", "");
	check("sending_domains=example.com,org", "2 1");
	check("subjects=reset", "2 1");
	check("subjects=your+password", "1");
	check("reasons=5.4.7", "1");
	check("reasons=5.4", "");
	check("campaigns=blackfriday", "1");
	check("campaigns=friday", "");
	check("templates=welcome", "1");
	check("ip_pools=pool", "1");
	check("ab_tests=winter", "1");
	check("ab_tests=winter&ab_test_versions=2", "1");
	check("ab_tests=winter&ab_test_versions=1", "");
	check("mailbox_providers=yahoo", "1");
	check("mailbox_provider_regions=global", "2 1");
	check("campaigns=a;blackfriday&delimiter=;", "1");
	check("nonsense=1&campaign_ids=x", "2 1");
}
END_TEST

START_TEST(the_window_begins_with_from_and_ends_before_to)
{
	add(EVENT_DELIVERY, 1, NOW - 789, "a@b.example", NULL);
	add(EVENT_DELIVERY, 2, NOW, "a@b.example", NULL);
	add(EVENT_DELIVERY, 3, NOW - CLOCK_DAY - CLOCK_MINUTE, "a@b.example", NULL);
	check("", "2 1");
	check("from=2026-06-15T12:34:56Z&to=2026-06-15T12:34:57Z", "2 1");
	check("from=2026-06-15T12:34:56&to=2026-06-15T12:34:57", "2 1");
	check("from=2026-06-15T12:34Z&to=2026-06-15T12:35Z", "2 1");
	check("from=2026-06-15T12:34&to=2026-06-15T12:34:56", "");
	check("from=2026-06-14T12:33&to=2026-06-14T12:34", "3");
	check("from=2026-06-14T12:33&timezone=America/New_York", "2 1 3");
	check_fault("to=yesterday", "to", "to must be in the format YYYY-MM-DDTHH:MM:SSZ");
	check_fault("from=2026-06-15T12:34&to=2026-06-15T12:34", "from", "from must be before to");
	check_fault("from=2026-06-15T12:34ZZ", "from",
	        "from must be in the format YYYY-MM-DDTHH:MM:SSZ");
}
END_TEST

START_TEST(faults_are_told)
{
	check_fault("per_page=0", "per_page", "per_page must be an integer between 1 and 10000");
	check_fault("ab_test_versions=1", "ab_test_versions", "ab_test_versions requires ab_tests");
	check_fault("from=", "from", "from must be in the format YYYY-MM-DDTHH:MM:SSZ");
	check_fault("cursor=", "cursor",
	        "cursor must be initial, or as the link to the next page has it");
	check_fault("cursor=xyz", "cursor",
	        "cursor must be initial, or as the link to the next page has it");
	check_fault("campaigns=-", "campaigns", "campaigns must be words, not: -");
	check_fault("subjects=%21%3F", "subjects", "subjects must be words, not: !?");
	check_fault("recipient_domains=.", "recipient_domains",
	        "recipient_domains must be names or parts of domains, not: .");
	check_fault("since=1&cursor=MSwy", "since", "since and cursor cannot be given together");
}
END_TEST

START_TEST(results_have_the_types_of_the_events_api)
{
	add(EVENT_CLICK, 1, NOW - 1000, "ann@gmail.com", "customer_id", "1", "subaccount_id", "7",
	        "geo_ip", "{\"country\":\"US\",\"latitude\":\"40.8499\",\"zip\":\"01234\"}",
	        "tdate", "x", NULL);
	struct query_answer raw = input(BASE, NULL, NULL);
	ck_assert_str_eq(raw.body->str,
	        "{\"results\":[{\"type\":\"click\",\"event_id\":\"1\","
	        "\"timestamp\":\"2026-06-15T12:34:55.789Z\","
	        "\"injection_time\":\"2026-06-15T11:34:56.789Z\",\"message_id\":\"0000aa\","
	        "\"customer_id\":1,\"subaccount_id\":7,\"rcpt_to\":\"ann@gmail.com\","
	        "\"recipient_domain\":\"gmail.com\",\"mailbox_provider\":\"Gmail\","
	        "\"mailbox_provider_region\":\"Global\",\"rcpt_meta\":{},\"rcpt_tags\":[],"
	        "\"geo_ip\":{\"country\":\"US\",\"latitude\":40.8499,\"zip\":\"01234\"}}],"
	        "\"total_count\":1,\"links\":{},\"as_of\":1}");
	query_answer_clear(&raw);
	json_t *answer = ask("/api/v1/message-events", 200);
	const json_t *event = json_array_get(json_object_get(answer, "results"), 0);
	ck_assert_str_eq(
	        json_string_value(json_object_get(json_object_get(event, "geo_ip"), "latitude")),
	        "40.8499");
	ck_assert_str_eq(json_string_value(json_object_get(event, "customer_id")), "1");
	ck_assert_ptr_null(json_object_get(event, "mailbox_provider"));
	json_decref(answer);
}
END_TEST

START_TEST(documentation_and_samples_are_pairs)
{
	json_t *documented = ask(BASE "/documentation", 200), *samples = ask(BASE "/samples", 200);
	const json_t *types = json_object_get(documented, "results"),
	             *events = json_object_get(samples, "results"), *type;
	size_t i;

	ck_assert_uint_eq(json_array_size(types), 18);
	ck_assert_uint_eq(json_array_size(events), 18);
	json_array_foreach(types, i, type) ck_assert_str_eq(
	        json_string_value(json_object_get(json_object_get(type, "type"), "sampleValue")),
	        json_string_value(json_object_get(json_array_get(events, i), "type")));
	json_decref(documented);
	json_decref(samples);
	samples = ask(BASE "/samples?events=amp_open", 200);
	ck_assert_uint_eq(json_array_size(json_object_get(samples, "results")), 1);
	json_decref(samples);
}
END_TEST

/* --- pages --- */

/* Event times go back and forth over three days, so that what is written later stands before,
 * between and behind what is there. */
static int64_t scattered(uint64_t id)
{
	return NOW - 3 * CLOCK_DAY + (int64_t)(id * 7919 % 259000) * CLOCK_SECOND;
}

static void store_some(uint64_t first, size_t n)
{
	struct event events[100];

	for (size_t i = 0; i < n; i++)
		events[i] = make_event(first % 3 == 0 ? EVENT_BOUNCE : EVENT_DELIVERY,
		        scattered(first + i), first + i, "m", "a@b.example");
	ck_assert_uint_eq(commit_events(store, events, n), n);
}

#define WRITTEN 3000
struct writing {
	atomic_bool done;
	GRand *rand;
};

static void *write_on(void *arg)
{
	struct writing *writing = arg;

	for (uint64_t id = 1000; id < WRITTEN;) {
		size_t n = (size_t)g_rand_int_range(writing->rand, 1, 60);
		n = MIN(n, WRITTEN - id);
		store_some(id, n);
		id += n;
		g_usleep((gulong)g_rand_int_range(writing->rand, 0, 2000));
	}
	atomic_store(&writing->done, true);
	return NULL;
}

static char *next_of(const json_t *answer)
{
	return g_strdup(
	        json_string_value(json_object_get(json_object_get(answer, "links"), "next")));
}

static void check_traversal(GHashTable *seen, gint64 *total)
{
	g_autofree char *target =
	        g_strdup(BASE "?per_page=97&from=2026-06-12T00:00&to=2026-06-16T00:00"
	                      "&events=delivery,bounce");
	*total = -1;
	while (target != NULL) {
		json_t *answer = ask(target, 200), *event;
		gint64 count = json_integer_value(json_object_get(answer, "total_count"));
		size_t i;
		ck_assert_msg(*total < 0 || *total == count, "total");
		*total = count;
		json_array_foreach(json_object_get(answer, "results"), i, event)
		{
			const char *id = json_string_value(json_object_get(event, "event_id"));
			ck_assert_msg(g_hash_table_add(seen, g_strdup(id)), "%s twice", id);
		}
		g_free(target);
		target = next_of(answer);
		json_decref(answer);
	}
}

START_TEST(a_traversal_is_a_snapshot_while_events_are_written_out_of_order)
{
	struct writing writing = {.rand = g_rand_new_with_seed(5)};
	pthread_t thread;
	int traversals = 0;

	for (uint64_t id = 1; id < 1000; id += 37)
		store_some(id, MIN(37, 1000 - id));
	ck_assert_int_eq(pthread_create(&thread, NULL, write_on, &writing), 0);
	while (!atomic_load(&writing.done) || traversals == 0) {
		g_autoptr(GHashTable) seen =
		        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
		gint64 total;
		check_traversal(seen, &total);
		ck_assert_int_eq(g_hash_table_size(seen), total);
		/* All that was there before the first page. */
		for (int id = 1; id < 1000; id++) {
			g_autofree char *text = g_strdup_printf("%d", id);
			ck_assert_msg(g_hash_table_contains(seen, text), "%d is missing", id);
		}
		traversals++;
	}
	pthread_join(thread, NULL);
	g_rand_free(writing.rand);
}
END_TEST

START_TEST(the_link_to_the_next_page_is_as_recorded)
{
	store_some(1, 5);
	json_t *answer = ask(BASE
	        "?per_page=2&events=delivery&from=2026-06-12T00:00&to=2026-06-16T00:00:00Z",
	        200);
	g_autofree char *next = next_of(answer);

	ck_assert_ptr_nonnull(next);
	ck_assert_msg(g_regex_match_simple("^/api/v1/events/message\\?cursor=[A-Za-z0-9]+={0,2}"
	                                   "&events=delivery&from=2026-06-12T00:00&per_page=2"
	                                   "&to=2026-06-16T00:00:00Z$",
	                      next, 0, 0),
	        "%s", next);
	json_decref(answer);
	answer = ask(BASE "?per_page=2", 200);
	g_autofree char *defaults = next_of(answer);
	ck_assert_msg(defaults == NULL || strstr(defaults, "to=2026-06-15T12:34:57Z") != NULL, "%s",
	        defaults);
	json_decref(answer);
}
END_TEST

START_TEST(the_longest_target_can_be_linked_to_and_followed)
{
	store_some(1, 5);
	g_autoptr(GString) target = g_string_new(BASE
	        "?per_page=1&from=2026-06-12T00:00&to=2026-06-16T00:00&recipients=a@b.example");
	while (target->len < QUERY_URI_MAX)
		g_string_append_c(target, target->len % 2 ? '{' : ',');
	json_t *answer = ask(target->str, 200);
	for (int page = 1; page < 5; page++) {
		g_autofree char *next = next_of(answer);
		ck_assert_ptr_nonnull(next);
		json_decref(answer);
		answer = ask(next, 200);
	}
	ck_assert_ptr_null(next_of(answer));
	json_decref(answer);
}
END_TEST

/* --- each event exactly once --- */

/* A reader counts how often it got each event. */
struct reader {
	const struct writing *writing;
	GRand *rand;
	unsigned count[WRITTEN];
	uint64_t last; /* arrival number of the last event */
	unsigned resumed;
};

static void reader_event(struct reader *reader, const json_t *event)
{
	const char *id = json_string_value(json_object_get(event, "event_id"));
	uint64_t number = g_ascii_strtoull(id, NULL, 10);

	ck_assert_uint_lt(number, WRITTEN);
	reader->count[number]++;
}

/* Takes in some of the whole blocks of a stream, as a client that hangs up somewhere; what came of
 * a block that was cut off is lost. */
static void reader_take(struct reader *reader, const char *bytes, size_t n)
{
	struct slice rest = slice_make(bytes, n);
	ptrdiff_t end;

	while ((end = slice_find(rest, SLICE("\n\n"))) >= 0) {
		struct slice block = slice_head(rest, (size_t)end);
		rest = slice_from(rest, (size_t)end + 2);
		while (block.n > 0) {
			struct slice line = slice_cut(&block, '\n');
			g_autofree char *text = slice_dup(line);
			if (slice_starts(line, SLICE("id: "))) {
				uint64_t id = g_ascii_strtoull(text + 4, NULL, 10);
				ck_assert_uint_ge(id, reader->last);
				reader->last = id;
			} else if (slice_starts(line, SLICE("data: "))) {
				json_t *event = json_loads(text + 6, 0, NULL);
				ck_assert_ptr_nonnull(event);
				reader_event(reader, event);
				json_decref(event);
			}
		}
	}
}

static bool at_end(const struct reader *reader)
{
	return atomic_load(&reader->writing->done) && reader->last >= store_mark(store);
}

static void *read_stream(void *arg)
{
	struct reader *reader = arg;

	while (!at_end(reader)) {
		g_autofree char *last = g_strdup_printf("%" G_GUINT64_FORMAT, reader->last);
		struct query_answer answer = input("/api/v1/events/stream", last, NULL);
		ck_assert_uint_eq(answer.status, 200);
		ck_assert_ptr_nonnull(answer.stream);
		for (int i = g_rand_int_range(reader->rand, 1, 20); i > 0; i--) {
			g_autoptr(GString) out = g_string_new(NULL);
			ck_assert_int_eq(answer.stream->more(answer.stream->ctx, out), 0);
			bool cut = i == 1 && out->len > 0;
			reader_take(reader, out->str,
			        cut ? (size_t)g_rand_int_range(reader->rand, 0, (int)out->len)
			            : out->len);
			g_usleep((gulong)g_rand_int_range(reader->rand, 0, 500));
		}
		query_answer_clear(&answer);
		reader->resumed++;
	}
	return NULL;
}

static void *read_since(void *arg)
{
	struct reader *reader = arg;
	const char *const routes[] = {BASE, "/api/v1/message-events"};

	while (!at_end(reader)) {
		g_autofree char *target = g_strdup_printf(
		        "%s?since=%" G_GUINT64_FORMAT "&per_page=%d", routes[reader->resumed % 2],
		        reader->last, g_rand_int_range(reader->rand, 1, 200));
		json_t *answer = ask(target, 200), *event;
		size_t i;
		json_array_foreach(json_object_get(answer, "results"), i, event)
		        reader_event(reader, event);
		reader->last = (uint64_t)json_integer_value(json_object_get(answer, "as_of"));
		reader->resumed++;
		json_decref(answer);
	}
	return NULL;
}

#define READERS 6
START_TEST(streams_and_since_give_each_event_exactly_once_whatever_order_they_are_written_in)
{
	struct writing writing = {.rand = g_rand_new_with_seed(11)};
	struct reader *readers = g_new0(struct reader, READERS);
	pthread_t writer, threads[READERS];

	ck_assert_int_eq(pthread_create(&writer, NULL, write_on, &writing), 0);
	for (guint32 i = 0; i < READERS; i++) {
		readers[i].writing = &writing;
		readers[i].rand = g_rand_new_with_seed(i);
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
		                         i % 3 == 2 ? read_since : read_stream, &readers[i]),
		        0);
	}
	pthread_join(writer, NULL);
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		for (uint64_t id = 1000; id < WRITTEN; id++)
			ck_assert_msg(readers[i].count[id] == 1, "reader %d got event %d %u times",
			        i, (int)id, readers[i].count[id]);
		ck_assert_uint_gt(readers[i].resumed, 3);
		g_rand_free(readers[i].rand);
	}
	g_free(readers);
	g_rand_free(writing.rand);
}
END_TEST

/* --- the stream --- */

static char *stream_text(const char *target, const char *last_id, const struct access *access)
{
	struct query_answer answer = input(target, last_id, access);

	ck_assert_msg(answer.status == 200, "%s", answer.body->str);
	ck_assert_str_eq(answer.type, "text/event-stream");
	ck_assert_int_eq(answer.stream->more(answer.stream->ctx, answer.body), 0);
	char *text = g_strdup(answer.body->str);
	query_answer_clear(&answer);
	return text;
}

START_TEST(a_stream_begins_now_or_where_it_is_told)
{
	add(EVENT_DELIVERY, 1, NOW, "a@b.example", NULL);
	add(EVENT_BOUNCE, 2, NOW - CLOCK_DAY, "a@b.example", NULL);
	g_autofree char *now = stream_text("/api/v1/events/stream", NULL, NULL);
	ck_assert_str_eq(now, "retry: 1000\nid: 2\n\n");
	g_autofree char *since = stream_text("/api/v1/events/stream?since=1", NULL, NULL);
	ck_assert_ptr_nonnull(
	        strstr(since, "id: 1\n\nid: 2\ndata: {\"type\":\"bounce\",\"event_id\":\"2\""));
	ck_assert_ptr_nonnull(strstr(since, "Z\""));
	g_autofree char *again = stream_text("/api/v1/events/stream?since=1", "0", NULL);
	ck_assert_ptr_nonnull(strstr(again, "id: 1\ndata: {\"type\":\"delivery\""));
	g_autofree char *filtered =
	        stream_text("/api/v1/events/stream?since=0&events=bounce&api=v1", NULL, NULL);
	ck_assert_ptr_null(strstr(filtered, "delivery"));
	ck_assert_ptr_nonnull(strstr(filtered, "+00:00"));
	json_decref(ask("/api/v1/events/stream?api=v2", 400));
	json_decref(ask("/api/v1/events/stream?since=3", 400));
	json_decref(ask("/api/v1/events/stream?events=nonsense", 400));
	struct query_answer refused = input("/api/v1/events/stream", "x", NULL);
	ck_assert_uint_eq(refused.status, 400);
	query_answer_clear(&refused);
}
END_TEST

START_TEST(a_scope_holds_for_pages_totals_since_stream_and_smtpeter)
{
	static const char *const domains[] = {"mine.example", NULL};
	const struct access access = {
	        .grants = GRANT_READ, .scope = {.domains = domains}, .who = "somebody"};

	add(EVENT_DELIVERY, 1, NOW - 1000, "a@mine.example", NULL);
	add(EVENT_DELIVERY, 2, NOW - 1000, "a@other.example", NULL);
	add(EVENT_DELIVERY, 3, NOW - 1000, "a@other.example", "sending_domain", "mine.example",
	        NULL);
	static const char *const targets[] = {BASE, BASE "?since=0", "/api/v1/message-events"};
	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
		json_t *answer = ask_as(&access, targets[i], 200);
		const json_t *total = json_object_get(answer, "total_count");
		ck_assert_uint_eq(json_array_size(json_object_get(answer, "results")), 2);
		if (total != NULL)
			ck_assert_int_eq(json_integer_value(total), 2);
		json_decref(answer);
	}
	json_t *records = ask_as(&access, "/v1/events/messageid/0000aa", 200);
	ck_assert_uint_eq(json_array_size(records), 2);
	json_decref(records);
	g_autofree char *stream = stream_text("/api/v1/events/stream?since=0", NULL, &access);
	ck_assert_ptr_null(strstr(stream, "\"event_id\":\"2\""));
	ck_assert_ptr_nonnull(strstr(stream, "\"event_id\":\"3\""));
}
END_TEST

/* --- SMTPeter --- */

static void check_records(const char *target, const char *want)
{
	struct query_answer answer = input(target, NULL, NULL);

	ck_assert_uint_eq(answer.status, 200);
	ck_assert_str_eq(answer.body->str, want);
	query_answer_clear(&answer);
}

START_TEST(smtpeter_records_have_their_fields_in_order)
{
	add(EVENT_INJECTION, 1, NOW - 9000, "a@b.example", "msg_from", "s@x.example", "rcpt_tags",
	        "[\"red\",\"big sale\"]", "template_id", "12", "open_tracking", "true",
	        "click_tracking", "true", NULL);
	check_records("/v1/events/messageid/0000aa?access_token=KEY",
	        "[{\"event\":\"attempt\",\"data\":{\"id\":\"0000aa\",\"time\":\"2026-06-15 "
	        "12:34:47\","
	        "\"envelope\":\"s@x.example\",\"recipient\":\"a@b.example\","
	        "\"properties\":\"trackopens;trackclicks\",\"tags\":\"red;big sale\","
	        "\"templateid\":\"12\"}}]");
	add(EVENT_DELIVERY, 2, NOW - 8000, "d@b.example", "sending_ip", "192.0.2.1", "ip_address",
	        "192.0.2.9", "template_id", "smtp_55", NULL);
	check_records("/v1/events/email/D@b.example",
	        "[{\"event\":\"delivery\",\"data\":{\"id\":\"0000aa\",\"time\":\"2026-06-15 "
	        "12:34:48\","
	        "\"envelope\":\"\",\"recipient\":\"d@b.example\",\"from\":\"192.0.2.1\","
	        "\"to\":\"192.0.2.9\",\"attempt\":\"0\",\"tags\":\"\",\"templateid\":\"0\"}}]");
	add(EVENT_BOUNCE, 3, NOW - 7000, "f@b.example", "num_retries", "3", "error_code", "550",
	        "dsn", "5.1.1", "raw_reason", "550 5.1.1 \"no\"", NULL);
	check_records("/v1/events/email/f@b.example",
	        "[{\"event\":\"failure\",\"data\":{\"id\":\"0000aa\",\"time\":\"2026-06-15 "
	        "12:34:49\","
	        "\"envelope\":\"\",\"recipient\":\"f@b.example\",\"attempt\":\"3\",\"from\":\"\","
	        "\"to\":\"\",\"type\":\"bounce\",\"code\":\"550\",\"status\":\"5.1.1\","
	        "\"description\":\"550 5.1.1 \\\"no\\\"\",\"state\":\"\",\"tags\":\"\","
	        "\"templateid\":\"0\"}}]");
	add(EVENT_CLICK, 4, NOW - 6000, "c@b.example", "ip_address", "192.0.2.7", "target_link_url",
	        "http://l.example/", "geo_ip",
	        "{\"country\":\"US\",\"region\":\"MD\",\"city\":\"X\"}", NULL);
	check_records("/v1/events/email/c@b.example",
	        "[{\"event\":\"click\",\"data\":{\"id\":\"0000aa\",\"time\":\"2026-06-15 "
	        "12:34:50\","
	        "\"headers\":\"\",\"ip\":\"192.0.2.7\",\"url\":\"http://l.example/\","
	        "\"destination\":\"http://l.example/\",\"tags\":\"\",\"recipient\":\"c@b.example\","
	        "\"city\":\"X\",\"countryname\":\"\",\"countrycode\":\"US\",\"regioncode\":\"MD\","
	        "\"templateid\":\"0\"}}]");
}
END_TEST

static void check_kept(const char *mime, const char *headers)
{
	g_autofree char *report = g_strdup_printf(
	        "[{\"event\":\"bounce\",\"data\":{\"id\":\"0000aa\",\"time\":\"2026-06-15 "
	        "12:34:47\","
	        "\"envelope\":\"\",\"recipient\":\"r@b.example\",\"mime\":\"%s\",\"tags\":\"\","
	        "\"templateid\":\"0\"}}]",
	        mime);
	g_autofree char *open = g_strdup_printf(
	        "[{\"event\":\"open\",\"data\":{\"id\":\"0000aa\",\"time\":\"2026-06-15 12:34:48\","
	        "\"headers\":\"%s\",\"ip\":\"\",\"protocol\":\"\",\"tags\":\"\","
	        "\"recipient\":\"o@b.example\",\"city\":\"\",\"countryname\":\"\","
	        "\"countrycode\":\"\",\"regioncode\":\"\",\"templateid\":\"0\"}}]",
	        headers);

	check_records("/v1/events/email/r@b.example", report);
	check_records("/v1/events/email/o@b.example", open);
}

START_TEST(smtpeter_shows_reports_and_headers_only_where_they_are_kept)
{
	add(EVENT_OUT_OF_BAND, 1, NOW - 9000, "r@b.example", "report_mime",
	        "Subject: \"no\"\r\n\r\nsorry \xff", NULL);
	add(EVENT_OPEN, 2, NOW - 8000, "o@b.example", "user_agent", "M/5", "accept_language", "de",
	        NULL);
	check_kept("", "");
	config.keep_reports = true;
	check_kept("Subject: \\\"no\\\"\\r\\n\\r\\nsorry \xef\xbf\xbd",
	        "User-Agent: M/5\\r\\nAccept-Language: de\\r\\n");
}
END_TEST

START_TEST(no_result_holds_a_kept_report)
{
	static const char *const targets[] = {BASE "?since=0", BASE, "/api/v1/message-events",
	        BASE "/documentation", BASE "/samples"};

	config.keep_reports = true;
	add(EVENT_OUT_OF_BAND, 1, NOW - 9000, "r@b.example", "report_mime", "secret", NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
		struct query_answer answer = input(targets[i], NULL, NULL);
		ck_assert_uint_eq(answer.status, 200);
		ck_assert_ptr_nonnull(strstr(answer.body->str, "out_of_band"));
		ck_assert_ptr_null(strstr(answer.body->str, "report_mime"));
		query_answer_clear(&answer);
	}
	g_autofree char *stream = stream_text("/api/v1/events/stream?since=0", NULL, NULL);
	ck_assert_ptr_nonnull(strstr(stream, "out_of_band"));
	ck_assert_ptr_null(strstr(stream, "secret"));
}
END_TEST

/* The names of the records that a call answers with. */
static void check_names(const char *target, const char *want)
{
	g_autoptr(GString) got = g_string_new(NULL);
	json_t *records = ask(target, 200), *record;
	size_t i;

	json_array_foreach(records, i, record) g_string_append_printf(
	        got, "%s%s", i > 0 ? " " : "", json_string_value(json_object_get(record, "event")));
	ck_assert_msg(strcmp(got->str, want) == 0, "%s: %s, want %s", target, got->str, want);
	json_decref(records);
}

START_TEST(smtpeter_events_come_oldest_first_under_their_names)
{
	static const enum event_type types[] = {EVENT_INJECTION, EVENT_DELAY, EVENT_BOUNCE,
	        EVENT_DELIVERY, EVENT_OUT_OF_BAND, EVENT_OPEN, EVENT_CLICK, EVENT_POLICY_REJECTION,
	        EVENT_SPAM_COMPLAINT};
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		add(types[i], 10 + i, NOW - 10000 + (int64_t)i, "a@b.example", NULL);
	add(EVENT_OUT_OF_BAND, 30, NOW, "a@b.example", "bounce_class", "60", NULL);
	check_names("/v1/events/email/a@b.example",
	        "attempt failure failure delivery bounce open click response");
	check_names("/v1/events/email/nobody@b.example", "");
}
END_TEST

START_TEST(smtpeter_tags_must_all_be_set)
{
	add(EVENT_OPEN, 1, NOW, "a@b.example", "rcpt_tags", "[\"red\"]", NULL);
	add(EVENT_CLICK, 2, NOW, "a@b.example", "rcpt_tags", "[\"red\",\"blue\"]", "template_id",
	        "T", NULL);
	check_names("/v1/events/tags/red", "open click");
	check_names("/v1/events/tags/red;blue", "click");
	check_names("/v1/events/tags/red%3Bblue;;", "click");
	check_names("/v1/events/tags/re", "");
	check_names("/v1/events/email/a@b.example?tags=blue", "click");
	check_names("/v1/events/template/T?tags=red", "click");
	check_names("/v1/events/messageid/0000aa?tags=blue", "open click");
	json_decref(ask("/v1/events/tags/;", 400));
	json_decref(ask("/v1/events/email/a@b.example?start=", 400));
	json_decref(ask("/v1/events/email/a@b.example?end=", 400));
	check_names("/v1/events/email/a@b.example?tags=", "open click");
	json_decref(ask("/v1/events/other/x", 404));
	json_decref(ask("/v1/events/tags/", 404));
}
END_TEST

static void check_days(const char *parameters, const char *want)
{
	g_autofree char *target = g_strconcat("/v1/events/template/T?", parameters, NULL);

	check_names(target, want);
}

START_TEST(smtpeter_windows_are_calendar_months)
{
	/* NOW is 2026-06-15. */
	static const struct {
		const char *day;
		enum event_type type;
	} days[] = {{"2024-01-31", EVENT_INJECTION}, {"2024-02-28", EVENT_OPEN},
	        {"2024-02-29", EVENT_CLICK}, {"2024-03-01", EVENT_DELIVERY},
	        {"2026-05-15", EVENT_INJECTION}, {"2026-05-16", EVENT_OPEN},
	        {"2026-06-15", EVENT_CLICK}};
	for (size_t i = 0; i < G_N_ELEMENTS(days); i++) {
		int year, month, day;
		ck_assert_int_eq(sscanf(days[i].day, "%d-%d-%d", &year, &month, &day), 3);
		add(days[i].type, i + 1, clock_days(year, month, day) * CLOCK_DAY, "a@b.example",
		        "template_id", "T", NULL);
	}
	check_days("", "open click");
	check_days("start=2024-01-31", "attempt open");
	check_days("start=2024-02-01", "open click");
	check_days("end=2024-03-01", "open click");
	check_days("end=2024-02-29", "attempt open");
	check_days("end=2024-03-31", "click delivery");
	check_days("start=2024-01-01&end=2030-01-01", "attempt");
	check_days("start=2024-02-28&end=2024-02-29", "open");
	json_decref(ask("/v1/events/template/T?start=2024-02-30", 400));
	json_decref(ask("/v1/events/template/T?start=20240201", 400));
	json_decref(ask("/v1/events/template/T?start=2024-02-02&end=2024-02-02", 400));
	/* Of a message: the month after it was sent, wherever that lies. */
	struct event old =
	        make_event(EVENT_OPEN, clock_days(2024, 1, 20) * CLOCK_DAY, 50, "old", "a@b");
	old.injected = clock_days(2024, 1, 10) * CLOCK_DAY + CLOCK_HOUR;
	struct event late = old;
	late.id = 51;
	late.time = clock_days(2024, 2, 10) * CLOCK_DAY;
	commit_events(store, &old, 1);
	commit_events(store, &late, 1);
	check_names("/v1/events/messageid/old", "open");
	check_names("/v1/events/messageid/old?start=2024-02-01", "open");
	check_names("/v1/events/messageid/old?end=2024-03-01", "open");
	/* An open that another program told knows nothing of when that was, and hides nothing. */
	struct event told =
	        make_event(EVENT_OPEN, clock_days(2024, 1, 25) * CLOCK_DAY, 60, "told", "a@b");
	told.injected = 0;
	struct event sent = told;
	sent.type = EVENT_INJECTION;
	sent.id = 61;
	sent.time = clock_days(2024, 1, 20) * CLOCK_DAY;
	commit_events(store, &told, 1);
	commit_events(store, &sent, 1);
	check_names("/v1/events/messageid/told", "attempt open");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {every_filter_finds_what_it_names,
	        the_window_begins_with_from_and_ends_before_to, faults_are_told,
	        results_have_the_types_of_the_events_api, documentation_and_samples_are_pairs,
	        a_traversal_is_a_snapshot_while_events_are_written_out_of_order,
	        the_link_to_the_next_page_is_as_recorded,
	        the_longest_target_can_be_linked_to_and_followed,
	        streams_and_since_give_each_event_exactly_once_whatever_order_they_are_written_in,
	        a_stream_begins_now_or_where_it_is_told,
	        a_scope_holds_for_pages_totals_since_stream_and_smtpeter,
	        smtpeter_shows_reports_and_headers_only_where_they_are_kept,
	        no_result_holds_a_kept_report, smtpeter_records_have_their_fields_in_order,
	        smtpeter_events_come_oldest_first_under_their_names, smtpeter_tags_must_all_be_set,
	        smtpeter_windows_are_calendar_months, NULL};

	return run_store_tests("events", setup, teardown, tests);
}
