#include "query/query.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <pthread.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "event/json.h"
#include "store/batch.h"
#include "tests/support/unit.h"

/* 2026-06-15T12:34:56.789Z */
#define NOW (INT64_C(1781526896789))
#define BASE "/api/v1/message-events"

static char *dir;
static struct store *store;
static struct store_batch *batch;
static struct query_config config;

static int64_t fixed_now(void)
{
	return NOW;
}

static void setup(void)
{
	struct error err = {0};

	dir = g_dir_make_tmp("postwake-query-XXXXXX", NULL);
	ck_assert_msg(store_open(&store, dir, STORE_WRITE, NULL, &err) == 0, "%s", err.text);
	batch = store_batch_new();
	config = (struct query_config){.now = fixed_now};
}

static void teardown(void)
{
	store_batch_free(&batch);
	store_close(&store);
	GDir *files = g_dir_open(dir, 0, NULL);
	const char *name;
	while ((name = g_dir_read_name(files)) != NULL) {
		g_autofree char *file = g_build_filename(dir, name, NULL);

		g_unlink(file);
	}
	g_dir_close(files);
	g_rmdir(dir);
	g_clear_pointer(&dir, g_free);
}

/* --- filling the store --- */

/* An event with the fields that every log event has. */
static struct event make(enum event_type type, uint64_t id, int64_t time, const char *rcpt)
{
	static char text[64][24]; /* message and queue ids: one for each of the last 64 events */
	char *name = text[id % 64];
	struct event event = {.type = type, .id = id, .time = time, .injected = time - 1000};

	g_snprintf(name, 24, "0000%016" G_GINT64_MODIFIER "x", (gint64)id);
	event.field[FIELD_MESSAGE_ID] = slice_str(name);
	event.field[FIELD_QUEUE_ID] = slice_from(slice_str(name), 8);
	event.field[FIELD_RCPT_TO] = slice_str(rcpt);
	event.field[FIELD_RECIPIENT_DOMAIN] = slice_str(strchr(rcpt, '@') + 1);
	return event;
}

static void add(const struct event *event)
{
	store_batch_event(batch, event);
}

static void commit(void)
{
	struct store_commit_result result;
	struct error err = {0};

	ck_assert_msg(store_commit(store, batch, 0, &result, &err) == 0, "%s", err.text);
	store_batch_reset(batch);
}

/* n deliveries, one a second back from a minute before NOW, ids from `first` on. */
static void add_many(uint64_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct event event = make(EVENT_DELIVERY, first + i,
		        NOW - CLOCK_MINUTE - (int64_t)(i / 3) * CLOCK_SECOND, "many@example.com");

		add(&event);
	}
	commit();
}

/* --- asking --- */

static json_t *ask(const char *method, const char *target, unsigned status)
{
	struct query_answer answer;
	json_error_t where;

	query_answer(store, &config, method, slice_str(target), &answer);
	ck_assert_msg(answer.status == status, "%.200s: %u %.500s", target, answer.status,
	        answer.body->str);
	json_t *json = json_loadb(answer.body->str, answer.body->len, JSON_ALLOW_NUL, &where);
	ck_assert_msg(json != NULL, "%s: %s", where.text, answer.body->str);
	query_answer_clear(&answer);
	return json;
}

static json_t *search(const char *parameters)
{
	g_autofree char *target = g_strconcat(BASE "?", parameters, NULL);

	return ask("GET", target, 200);
}

static gint64 number(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	ck_assert_msg(json_is_integer(value), "no number %s", name);
	return json_integer_value(value);
}

static const char *text(const json_t *json, const char *name)
{
	const char *value = json_string_value(json_object_get(json, name));

	ck_assert_msg(value != NULL, "no text %s", name);
	return value;
}

/* The event_ids of an answer, in order: "3 2 1". */
static char *ids(const json_t *json)
{
	GString *out = g_string_new(NULL);
	size_t i;
	json_t *event;

	json_array_foreach(json_object_get(json, "results"), i, event)
	{
		g_string_append_printf(out, "%s%s", i > 0 ? " " : "", text(event, "event_id"));
	}
	return g_string_free(out, false);
}

static void check_ids(const char *parameters, const char *want)
{
	json_t *json = search(parameters);
	g_autofree char *got = ids(json);

	ck_assert_msg(strcmp(got, want) == 0, "%s: got [%s], want [%s]", parameters, got, want);
	ck_assert_int_eq(number(json, "total_count"),
	        (gint64)json_array_size(json_object_get(json, "results")));
	json_decref(json);
}

/* The link of a relation, or NULL. */
static const char *link_of(const json_t *json, const char *rel)
{
	size_t i;
	json_t *entry;

	json_array_foreach(json_object_get(json, "links"), i, entry)
	{
		if (strcmp(text(entry, "rel"), rel) == 0)
			return text(entry, "href");
	}
	return NULL;
}

static void check_links(const char *parameters, const char *want)
{
	json_t *json = search(parameters);
	g_autofree char *got =
	        json_dumps(json_object_get(json, "links"), JSON_COMPACT | JSON_PRESERVE_ORDER);

	ck_assert_str_eq(got, want);
	json_decref(json);
}

/* --- links and totals --- */

#define HREF(PAGE, REST) \
	"{\"href\":\"/api/v1/message-events?page=" PAGE "&per_page=1&from=2026-06-14T12:34" \
	"&to=2026-06-15T12:34&timezone=UTC&as_of=3" REST "\",\"rel\":\""

START_TEST(what_fits_on_one_page_has_no_links)
{
	add_many(1, 3);
	check_links("", "[]");
	check_links("per_page=3", "[]");
	check_links("recipients=nobody@example.com", "[]");
}
END_TEST

START_TEST(links_of_three_pages_are_as_recorded)
{
	add_many(1, 3);
	check_links("per_page=1", "[" HREF("2", "") "next\"}," HREF("3", "") "last\"}]");
	check_links("per_page=1&page=2",
	        "[" HREF("1", "") "first\"}," HREF("1", "") "previous\"}," HREF(
	                "3", "") "next\"}," HREF("3", "") "last\"}]");
	check_links(
	        "per_page=1&page=3", "[" HREF("1", "") "first\"}," HREF("2", "") "previous\"}]");
}
END_TEST

START_TEST(links_can_do_without_colons)
{
	add_many(1, 3);
	config.escape_colons = true;
	json_t *json = search("per_page=1&from=2026-06-15T11:00:30");
	ck_assert_str_eq(link_of(json, "next"),
	        BASE "?page=2&per_page=1&from=2026-06-15T11%3A00%3A30&to=2026-06-15T12%3A34"
	             "&timezone=UTC&as_of=3");
	json_decref(ask("GET", link_of(json, "next"), 200));
	json_decref(json);
}
END_TEST

START_TEST(links_carry_every_filter)
{
	add_many(1, 3);
	check_links("page=3&per_page=1&recipients=x%40y,many@example.com&events=delivery&subject=a",
	        "[" HREF("1", "&recipients=x@y,many@example.com&events=delivery") "first\"}," HREF(
	                "2", "&recipients=x@y,many@example.com&events=delivery") "previous\"}]");
}
END_TEST

/* A search of just so many bytes; what fills it up is repeated. */
static char *long_target(const char *start, const char *fill, size_t length)
{
	g_autoptr(GString) target = g_string_new(start);

	while (target->len < length)
		g_string_append(target, fill);
	g_string_truncate(target, length);
	return g_strdup(target->str);
}

START_TEST(links_of_the_longest_target_can_be_followed)
{
	static const char *const fills[] = {"many@example.com,", "+", "\x7f\xc3\"<>::::"};

	add_many(1, 3);
	for (size_t i = 0; i < 2 * G_N_ELEMENTS(fills); i++) {
		g_autofree char *target = long_target(BASE
		        "?per_page=1&from=2026-06-14T12:34&recipients=many@example.com,",
		        fills[i / 2], QUERY_URI_MAX);

		config.escape_colons = i % 2 == 1;
		json_t *json = ask("GET", target, 200);
		for (int page = 2; page <= 3; page++) {
			json_t *next = ask("GET", link_of(json, "next"), 200);
			ck_assert_int_eq(number(next, "total_count"), 3);
			json_decref(ask("GET", link_of(next, "first"), 200));
			json_decref(ask("GET", link_of(next, "previous"), 200));
			json_decref(json);
			json = next;
		}
		json_decref(json);
	}
}
END_TEST

START_TEST(only_links_may_be_longer_and_none_is_given_that_may_not_be)
{
	g_autofree char *unmarked = long_target(BASE "?recipients=", "a,", QUERY_URI_MAX + 1);
	g_autofree char *marked = long_target(BASE "?as_of=9&recipients=", "a,", QUERY_LINK_MAX);
	g_autofree char *over = long_target(BASE "?as_of=9&recipients=", "a,", QUERY_LINK_MAX + 1);
	g_autofree char *growing =
	        long_target(BASE "?as_of=9&per_page=1&recipients=", "\"", QUERY_LINK_MAX);

	add_many(1, 3);
	json_decref(ask("GET", unmarked, 414));
	json_decref(ask("GET", over, 414));
	json_decref(ask("GET", growing, 414));
	g_autofree char *fitting = g_strndup(marked, QUERY_LINK_MAX - 500);
	json_decref(ask("GET", fitting, 200));
}
END_TEST

START_TEST(a_page_past_the_end_is_empty_and_leads_back)
{
	add_many(1, 3);
	check_links(
	        "per_page=1&page=9", "[" HREF("1", "") "first\"}," HREF("3", "") "previous\"}]");
	check_links("per_page=1&page=2&recipients=a@b", "[]");
	json_t *json = search("per_page=10000&page=9223372036854775807");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "results")), 0);
	ck_assert_int_eq(number(json, "total_count"), 3);
	json_decref(json);
}
END_TEST

START_TEST(an_empty_store_answers)
{
	json_t *json = search("");

	ck_assert_int_eq(number(json, "total_count"), 0);
	ck_assert_int_eq(number(json, "as_of"), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "links")), 0);
	json_decref(json);
	json = search("as_of=0");
	ck_assert_int_eq(number(json, "as_of"), 0);
	json_decref(json);
}
END_TEST

START_TEST(as_of_0_is_before_everything_and_a_future_one_is_now)
{
	add_many(1, 3);
	json_t *json = search("as_of=0");
	ck_assert_int_eq(number(json, "total_count"), 0);
	json_decref(json);
	json = search("as_of=999");
	ck_assert_int_eq(number(json, "total_count"), 3);
	ck_assert_int_eq(number(json, "as_of"), 3);
	json_decref(json);
}
END_TEST

/* Follows `next` from the first page to the end; every event must come once, newest first. */
static unsigned traverse(const char *parameters, gint64 *total_r)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *last = g_strdup("9");
	json_t *json = search(parameters);
	const char *next;

	*total_r = number(json, "total_count");
	for (;;) {
		size_t i;
		json_t *event;

		ck_assert_int_eq(number(json, "total_count"), *total_r);
		json_array_foreach(json_object_get(json, "results"), i, event)
		{
			ck_assert(g_hash_table_add(seen, g_strdup(text(event, "event_id"))));
			ck_assert_str_le(text(event, "timestamp"), last);
			g_free(last);
			last = g_strdup(text(event, "timestamp"));
		}
		next = link_of(json, "next");
		if (next == NULL)
			break;
		json_t *page = ask("GET", next, 200);
		json_decref(json);
		json = page;
	}
	json_decref(json);
	return g_hash_table_size(seen);
}

START_TEST(following_next_gives_each_event_once)
{
	gint64 total;

	add_many(1, 100); /* three of each second */
	ck_assert_uint_eq(traverse("per_page=7", &total), 100);
	ck_assert_int_eq(total, 100);
	ck_assert_uint_eq(
	        traverse("per_page=7&recipients=Many@Example.com&events=delivery", &total), 100);
}
END_TEST

START_TEST(pages_are_one_snapshot_whatever_arrives_meanwhile)
{
	add_many(1, 10);
	json_t *first = search("per_page=4");
	g_autofree char *got = ids(first);
	add_many(100, 20); /* newer and older ones */
	json_t *second = ask("GET", link_of(first, "next"), 200);
	g_autofree char *more = ids(second);
	ck_assert_int_eq(number(first, "total_count"), 10);
	ck_assert_int_eq(number(second, "total_count"), 10);
	ck_assert_int_eq(number(second, "as_of"), number(first, "as_of"));
	ck_assert_ptr_null(strstr(more, "10"));
	g_auto(GStrv) before = g_strsplit(got, " ", 0);
	g_auto(GStrv) after = g_strsplit(more, " ", 0);
	for (int i = 0; after[i] != NULL; i++)
		ck_assert(!g_strv_contains((const char *const *)before, after[i]));
	json_decref(first);
	json_decref(second);
	json_t *all = search("");
	ck_assert_int_eq(number(all, "total_count"), 30);
	json_decref(all);
}
END_TEST

static atomic_bool writing;

static void *write_on(void *arg)
{
	(void)arg;
	/* With rests: a writer without them outruns a traversal for ever on a quiet machine. */
	for (uint64_t id = 100000; atomic_load(&writing); id += 10) {
		add_many(id, 10);
		g_usleep(2000);
	}
	return NULL;
}

START_TEST(traversals_hold_while_a_thread_writes)
{
	pthread_t thread;

	add_many(1, 50);
	atomic_store(&writing, true);
	pthread_create(&thread, NULL, write_on, NULL);
	for (int i = 0; i < 10; i++) {
		gint64 total;
		unsigned seen = traverse("per_page=20&events=delivery", &total);

		ck_assert_int_eq(total, (gint64)seen);
		ck_assert_uint_ge(seen, 50);
	}
	atomic_store(&writing, false);
	pthread_join(thread, NULL);
}
END_TEST

/* --- filters --- */

/* Five events of one hour before NOW, each unlike the others. */
static void add_story(void)
{
	int64_t t = NOW - CLOCK_HOUR;
	struct event event = make(EVENT_INJECTION, 1, t, "jim@example.com");
	event.field[FIELD_FRIENDLY_FROM] = SLICE("Shop@Example.org");
	event.field[FIELD_MSG_FROM] = SLICE("bounces@example.org");
	event.field[FIELD_SUBJECT] = SLICE("Your order \"17\" <\xc3\xa4> \xff\n");
	event.field[FIELD_HEADER_MESSAGE_ID] = SLICE("<abc.17@example.org>");
	event.field[FIELD_CAMPAIGN_ID] = SLICE("Summer, Sale");
	add(&event);
	event = make(EVENT_DELIVERY, 2, t + 1000, "joe@example.net");
	event.field[FIELD_ORIG_RCPT_TO] = SLICE("alias@example.com");
	event.field[FIELD_SENDING_IP] = SLICE("192.0.2.25");
	event.field[FIELD_RAW_REASON] = SLICE("250 2.0.0 OK mailbox full of joy");
	add(&event);
	event = make(EVENT_BOUNCE, 3, t + 2000, "ann@example.com");
	event.field[FIELD_BOUNCE_CLASS] = SLICE("10");
	event.field[FIELD_RAW_REASON] = SLICE("550 5.1.1 <ann@example.com>: User unknown");
	event.field[FIELD_REASON] = SLICE("550 5.1.1 ...@... User ...");
	add(&event);
	event = make(EVENT_DELAY, 4, t + 3000, "bob@example.net");
	event.field[FIELD_BOUNCE_CLASS] = SLICE("22");
	event.field[FIELD_RAW_REASON] = SLICE("452 4.2.2 Mailbox full_x");
	event.field[FIELD_REASON] = SLICE("452 4.2.2 Mailbox full_x");
	add(&event);
	event = make(EVENT_POLICY_REJECTION, 5, t + 4000, "eve@example.com");
	event.field[FIELD_SUBACCOUNT_ID] = SLICE("101");
	event.field[FIELD_RAW_REASON] = SLICE("554 5.7.1 Relay access denied");
	event.field[FIELD_REASON] = SLICE("554 5.7.1 Relay access denied");
	add(&event);
	commit();
}

START_TEST(filters_find_and_lists_are_unions)
{
	static const char *const rows[][2] = {
	        {"", "5 4 3 2 1"},
	        {"recipients=JIM@example.com", "1"},
	        {"recipients=jim@example.com,bob@example.net,no@x", "4 1"},
	        {"recipients=jim@example.com&recipients=ann@example.com", "3 1"},
	        {"recipients=alias@example.com", "2"},
	        {"recipient_domains=Example.NET", "4 2"},
	        {"friendly_froms=shop@example.org", "1"},
	        {"from_addresses=bounces@example.org", "1"},
	        {"events=bounce,delay", "4 3"},
	        {"events=open", ""},
	        {"bounce_classes=10,22", "4 3"},
	        {"bounce_classes=010", "3"},
	        {"subaccounts=101", "5"},
	        {"campaign_ids=Summer, Sale&delimiter=;", "1"},
	        {"campaign_ids=Summer, Sale", ""},
	        {"sending_ips=192.0.2.25", "2"},
	        {"message_ids=00000000000000000003", "3"},
	        {"message_ids=%3Cabc.17@example.org%3E", "1"},
	        {"message_ids=abc.17@example.org", "1"},
	        {"queue_ids=000000000003,000000000004", "4 3"},
	        {"event_ids=5,2", "5 2"},
	        {"recipients=ann@example.com&events=delay", ""},
	        {"recipient_domains=example.com&events=bounce,injection", "3 1"},
	};

	add_story();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check_ids(rows[i][0], rows[i][1]);
}
END_TEST

START_TEST(reason_is_a_pattern_on_both_texts_of_failures)
{
	static const char *const rows[][2] = {
	        {"reason=mailbox full", "4"}, /* not the delivery that says so */
	        {"reason=user unknown", "3"}, /* raw_reason */
	        {"reason=...@...", "3"},      /* reason */
	        {"reason=5%25denied", "5"},   /* anchored when it has a wildcard */
	        {"reason=denied%25", ""},
	        {"reason=%255.%251%25", "5 3"},
	        {"reason=full_", "4"}, /* '_' is itself */
	        {"reason=ful__x", ""},
	        {"reason=unknown&reason=denied", "5 3"},
	        {"reason=", "5 4 3 2 1"},
	        {"subjects=ORDER", "1"},
	        {"subjects=order,nothing", "1"},
	        {"subjects=order%25", ""},
	};

	add_story();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check_ids(rows[i][0], rows[i][1]);
}
END_TEST

START_TEST(the_window_holds_its_last_minute)
{
	add_story(); /* at 11:34:56.789 to 11:35:00.789 */
	check_ids("from=2026-06-15T11:34&to=2026-06-15T11:35", "5 4 3 2 1");
	check_ids("from=2026-06-15T11:00&to=2026-06-15T11:34", "4 3 2 1");
	check_ids("from=2026-06-15T11:35", "5");
	check_ids("from=2026-06-15T11:34:57&to=2026-06-15T11:34:58", "3 2");
	check_ids("timezone=Asia/Tokyo&from=2026-06-15T20:35&to=2026-06-15T20:36", "5");
	check_ids("to=2026-06-15T11:33", "");
	check_ids("from=0001-01-01T00:00&to=9999-12-31T23:59", "5 4 3 2 1");
	check_ids("from=0001-01-01T00:00&to=0001-01-02T00:00", "");
}
END_TEST

START_TEST(results_are_v1_events)
{
	add_story();
	json_t *json = search("event_ids=1");
	json_t *event = json_array_get(json_object_get(json, "results"), 0);
	ck_assert_str_eq(text(event, "type"), "injection");
	ck_assert_str_eq(text(event, "timestamp"), "2026-06-15T11:34:56.789+00:00");
	ck_assert_str_eq(text(event, "injection_time"), "2026-06-15T11:34:55.789Z");
	ck_assert_str_eq(text(event, "tdate"), "2026-06-15T11:34:56.789Z");
	ck_assert_str_eq(text(event, "subject"), "Your order \"17\" <\xc3\xa4> \xef\xbf\xbd\n");
	ck_assert(json_is_object(json_object_get(event, "rcpt_meta")));
	ck_assert(json_is_array(json_object_get(event, "rcpt_tags")));
	ck_assert_ptr_null(json_object_get(event, "reason"));
	json_decref(json);
}
END_TEST

START_TEST(results_stand_between_links_and_total)
{
	struct query_answer answer;

	query_answer(store, &config, "GET", SLICE(BASE), &answer);
	ck_assert_str_eq(
	        answer.body->str, "{\"links\":[],\"results\":[],\"total_count\":0,\"as_of\":0}");
	query_answer_clear(&answer);
}
END_TEST

START_TEST(a_scan_that_takes_too_long_says_so)
{
	struct query_answer answer;

	/* The word stands in the templates that are made of transmissions, which no dictionary
	 * holds. */
	for (uint64_t id = 1; id <= 20000; id++) {
		struct event event = make(EVENT_INJECTION, id, NOW - CLOCK_HOUR, "a@example.com");

		event.field[FIELD_TEMPLATE_ID] = SLICE("smtp_12");
		event.field[FIELD_TRANSMISSION_ID] = SLICE("12");
		add(&event);
	}
	commit();
	config.scan_ms = 1;
	query_answer(
	        store, &config, "GET", SLICE("/api/v1/events/message?templates=smtp"), &answer);
	ck_assert_uint_eq(answer.status, 400);
	ck_assert_str_eq(answer.body->str,
	        "{\"errors\":[{\"param\":\"templates\",\"message\":\"templates takes too long in "
	        "this "
	        "window: narrow the window with from and to\",\"value\":\"smtp\"}]}");
	query_answer_clear(&answer);
	config.scan_ms = 60000;
	json_decref(ask("GET", "/api/v1/events/message?templates=smtp", 200));
}
END_TEST

/* --- since --- */

START_TEST(since_gives_what_arrived_later_in_that_order)
{
	add_story();
	struct event late = make(EVENT_DELIVERY, 6, NOW - 9 * CLOCK_DAY, "late@example.com");
	add(&late);
	commit();
	json_t *json = search("since=0&per_page=4");
	g_autofree char *first = ids(json);
	ck_assert_str_eq(first, "1 2 3 4");
	ck_assert_ptr_null(json_object_get(json, "total_count"));
	g_autofree char *parameters =
	        g_strdup_printf("since=%" G_GINT64_FORMAT, number(json, "as_of"));
	json_decref(json);
	json = search(parameters);
	g_autofree char *second = ids(json);
	ck_assert_str_eq(second, "5 6");
	gint64 mark = number(json, "as_of");
	json_decref(json);
	g_autofree char *again = g_strdup_printf("since=%" G_GINT64_FORMAT, mark);
	json = search(again);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "results")), 0);
	ck_assert_int_eq(number(json, "as_of"), mark);
	json_decref(json);
}
END_TEST

START_TEST(since_beyond_the_mark_is_told_as_received)
{
	static const char *const targets[] = {"/api/v1/message-events?since=999999",
	        "/api/v1/events/message?since=999999", "/api/v1/events/stream?since=999999"};

	add_story();
	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
		json_t *json = ask("GET", targets[i], 400);
		const json_t *fault = json_array_get(json_object_get(json, "errors"), 0);
		ck_assert_str_eq(json_string_value(json_object_get(fault, "param")), "since");
		ck_assert_str_eq(json_string_value(json_object_get(fault, "value")), "999999");
		json_decref(json);
	}
}
END_TEST

START_TEST(since_takes_all_filters)
{
	static const char *const rows[][2] = {
	        {"since=0&events=bounce,delay", "3 4"},
	        {"since=3&recipient_domains=example.com", "5"},
	        {"since=0&reason=mailbox", "4"},
	        {"since=0&subjects=order", "1"},
	        {"since=0&from=2026-06-15T11:35", "5"},
	        {"since=0&to=2026-06-15T11:34&recipients=jim@example.com", "1"},
	};

	add_story();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		json_t *json = search(rows[i][0]);
		g_autofree char *got = ids(json);

		ck_assert_msg(strcmp(got, rows[i][1]) == 0, "%s: %s", rows[i][0], got);
		ck_assert_int_eq(number(json, "as_of"), 5); /* nothing is looked at twice */
		json_decref(json);
	}
}
END_TEST

/* --- the rest --- */

START_TEST(documentation_and_samples_are_pairs)
{
	json_t *documentation = ask("GET", BASE "/events/documentation", 200);
	json_t *samples = ask("GET", BASE "/events/samples/", 200);
	json_t *types = json_object_get(documentation, "results");
	json_t *events = json_object_get(samples, "results");
	ck_assert_uint_eq(json_array_size(types), 15);
	ck_assert_uint_eq(json_array_size(events), 15);
	for (size_t i = 0; i < json_array_size(types); i++) {
		json_t *type = json_object_get(json_array_get(types, i), "type");

		ck_assert_str_eq(
		        text(type, "sampleValue"), text(json_array_get(events, i), "type"));
	}
	json_decref(documentation);
	json_decref(samples);
}
END_TEST

START_TEST(samples_can_be_chosen)
{
	json_t *samples = ask("GET", BASE "/events/samples?events=delay,bounce&event=x", 200);
	json_t *events = json_object_get(samples, "results");
	ck_assert_uint_eq(json_array_size(events), 2);
	ck_assert_str_eq(text(json_array_get(events, 0), "type"), "bounce");
	ck_assert_str_eq(text(json_array_get(events, 1), "type"), "delay");
	json_decref(samples);
	json_decref(ask("GET", BASE "/events/samples?events=bounced", 400));
	samples = ask("GET", BASE "/events/samples?events=", 200);
	ck_assert_uint_eq(json_array_size(json_object_get(samples, "results")), 15);
	json_decref(samples);
}
END_TEST

START_TEST(status_is_json_whatever_sources_and_lines_hold)
{
	static const char hostile[] =
	        "/var/log/\xff\xfe\"\\\n\x01\0\xed\xa0\x80\xf4\x90\x80\x80\xc3";
	struct slice bytes = slice_make(hostile, sizeof(hostile) - 1);

	store_batch_line(batch, bytes, LEDGER_UNPARSED);
	store_batch_unparsed(batch, bytes, 17, NOW, bytes);
	const struct store_gap gap = {bytes, NOW, NOW, 12, bytes};
	store_batch_gap(batch, &gap);
	commit();
	json_t *json = ask("GET", "/api/v1/status", 200); /* invalid UTF-8 would be refused */
	json_t *results = json_object_get(json, "results");
	json_t *line = json_array_get(json_object_get(results, "unparsed_lines"), 0);
	ck_assert_int_eq(number(line, "offset"), 17);
	ck_assert(g_str_has_prefix(text(line, "text"), "/var/log/\xef\xbf\xbd\xef\xbf\xbd\"\\\n"));
	ck_assert_uint_eq(json_array_size(json_object_get(results, "ledger")), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(results, "gaps")), 1);
	json_decref(json);
}
END_TEST

START_TEST(status_tells_that_a_day_is_damaged)
{
	g_autofree char *path = g_build_filename(dir, "2020-02-29.db", NULL);
	g_autofree char *noise = g_strnfill(8192, 'x');

	ck_assert(g_file_set_contents(path, noise, -1, NULL));
	store_batch_line(batch, SLICE("mail.log"), LEDGER_IGNORED);
	commit();
	json_t *json = ask("GET", "/api/v1/status", 200);
	json_t *results = json_object_get(json, "results");
	json_t *day = json_array_get(json_object_get(results, "days"), 0);
	ck_assert_str_eq(text(day, "day"), "2020-02-29");
	ck_assert(json_is_true(json_object_get(day, "damaged")));
	ck_assert_uint_eq(json_array_size(json_object_get(results, "ledger")), 1);
	json_decref(json);
}
END_TEST

static void status_hook(void *ctx, GString *out)
{
	json_member_int(out, "hook", *(int *)ctx);
}

START_TEST(status_tells_days_ledger_and_counters)
{
	static int hooked = 17;

	add_story();
	struct event event = make(EVENT_DELIVERY, 9, NOW - CLOCK_DAY, "a@b");
	add(&event);
	store_batch_line(batch, SLICE("/var/log/mail.log"), LEDGER_EVENT);
	store_batch_line(batch, SLICE("/var/log/mail.log"), LEDGER_IGNORED);
	store_batch_line(batch, SLICE("/var/log/mail.log"), LEDGER_UNPARSED);
	store_batch_count(batch, "milter_missed", 3);
	const struct store_gap gap = {SLICE("/var/log/mail.log"), NOW, 0, 12, SLICE("truncated")};
	store_batch_gap(batch, &gap);
	commit();
	config.status = status_hook;
	config.ctx = &hooked;
	json_t *json = ask("GET", "/api/v1/status", 200);
	json_t *results = json_object_get(json, "results");
	ck_assert_int_eq(number(results, "mark"), 6);
	ck_assert_int_eq(number(results, "events"), 6);
	ck_assert_int_eq(number(results, "hook"), 17);
	json_t *day = json_array_get(json_object_get(results, "days"), 0);
	ck_assert_str_eq(text(day, "day"), "2026-06-14");
	ck_assert_int_eq(number(day, "events"), 1);
	json_t *source = json_array_get(json_object_get(results, "ledger"), 0);
	ck_assert_str_eq(text(source, "source"), "/var/log/mail.log");
	ck_assert_int_eq(number(source, "lines"), 3);
	ck_assert_int_eq(number(source, "sum"), 3);
	ck_assert_int_eq(number(source, "event"), 1);
	ck_assert_int_eq(number(source, "ignored"), 1);
	ck_assert_int_eq(number(source, "unparsed"), 1);
	ck_assert_int_eq(number(json_object_get(results, "counters"), "milter_missed"), 3);
	json_t *told = json_array_get(json_object_get(results, "gaps"), 0);
	ck_assert_str_eq(text(told, "text"), "truncated");
	ck_assert_str_eq(text(told, "from"), "2026-06-15T12:34:56.789Z");
	ck_assert_ptr_null(json_object_get(told, "to"));
	json_decref(json);
}
END_TEST

START_TEST(what_is_wrong_has_its_status)
{
	g_autofree char *filler = g_strnfill(5000, 'x');
	g_autofree char *longest = g_strconcat(BASE "?", filler, NULL);
	struct query_answer answer;

	json_decref(ask("GET", "/api/v1/message-event", 404));
	json_decref(ask("GET", "/", 404));
	json_decref(ask("GET", "", 404));
	json_decref(ask("GET", longest, 414));
	json_decref(ask("GET", BASE "?page=0", 400));
	json_decref(ask("HEAD", BASE "/", 200));
	query_answer(store, &config, "POST", SLICE(BASE), &answer);
	ck_assert_uint_eq(answer.status, 405);
	ck_assert_str_eq(answer.allow, "GET, HEAD");
	query_answer_clear(&answer);
}
END_TEST

START_TEST(answers_beyond_the_budget_are_a_503_and_give_it_back)
{
	struct query_budget budget = {.limit = 150000};
	struct query_answer first, second;

	add_many(1, 300);
	config.budget = &budget;
	query_answer(store, &config, "GET", SLICE(BASE "?per_page=100"), &first);
	ck_assert_uint_eq(first.status, 200);
	ck_assert_uint_gt(atomic_load(&budget.used), first.body->len - 1);
	query_answer(store, &config, "GET", SLICE(BASE "?per_page=300"), &second);
	ck_assert_uint_eq(second.status, 503);
	query_answer_clear(&second);
	query_answer_clear(&first);
	ck_assert_uint_eq(atomic_load(&budget.used), 0);
	json_decref(search("per_page=100"));
	ck_assert_uint_eq(atomic_load(&budget.used), 0);
}
END_TEST

START_TEST(what_needs_a_grant_is_refused_without_it)
{
	static const struct access reader = {.grants = GRANT_READ, .who = "a reader"};
	static const struct access uploader = {.grants = GRANT_UPLOAD, .who = "an uploader"};
	static const struct {
		const char *target;
		const struct access *access;
		unsigned status;
		const char *message;
	} rows[] = {
	        {BASE, &reader, 200, NULL},
	        {BASE, &uploader, 403, "Forbidden."},
	        {BASE, &access_none, 401, "Unauthorized."},
	        {"/api/v1/status", &access_none, 401, "Unauthorized."},
	        {BASE "/events/documentation", &access_none, 200, NULL},
	        {BASE "/events/samples", &access_none, 200, NULL},
	        {"/nowhere", &access_none, 404, "Resource could not be found"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct query_input input = {.method = "GET",
		        .uri = slice_str(rows[i].target),
		        .access = rows[i].access};
		struct query_answer answer, early;
		size_t most;

		query_answer_input(store, &config, &input, &answer);
		ck_assert_uint_eq(answer.status, rows[i].status);
		ck_assert(rows[i].message == NULL || strstr(answer.body->str, rows[i].message));
		ck_assert_int_eq(query_refuses(&input, &most, &early), rows[i].status != 200);
		query_answer_clear(&answer);
		query_answer_clear(&early);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {what_fits_on_one_page_has_no_links,
	        links_of_three_pages_are_as_recorded, links_can_do_without_colons,
	        links_carry_every_filter, links_of_the_longest_target_can_be_followed,
	        only_links_may_be_longer_and_none_is_given_that_may_not_be,
	        a_page_past_the_end_is_empty_and_leads_back, an_empty_store_answers,
	        as_of_0_is_before_everything_and_a_future_one_is_now,
	        following_next_gives_each_event_once,
	        pages_are_one_snapshot_whatever_arrives_meanwhile,
	        traversals_hold_while_a_thread_writes, filters_find_and_lists_are_unions,
	        reason_is_a_pattern_on_both_texts_of_failures, the_window_holds_its_last_minute,
	        a_scan_that_takes_too_long_says_so, results_are_v1_events,
	        results_stand_between_links_and_total, since_gives_what_arrived_later_in_that_order,
	        since_takes_all_filters, since_beyond_the_mark_is_told_as_received,
	        documentation_and_samples_are_pairs, samples_can_be_chosen,
	        status_is_json_whatever_sources_and_lines_hold,
	        status_tells_days_ledger_and_counters, status_tells_that_a_day_is_damaged,
	        what_is_wrong_has_its_status, answers_beyond_the_budget_are_a_503_and_give_it_back,
	        what_needs_a_grant_is_refused_without_it};
	Suite *suite = suite_create("query");
	TCase *cases = tcase_create("query");
	tcase_set_timeout(cases, 120);
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
