/* Searching, against a search of the plain list of events. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "store/fetch.h"
#include "store/like.h"
#include "store/match.h"
#include "store/private.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

static char *dir;

static void setup(void)
{
	dir = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
}

/* A world of random events over three days; strings come from small sets, so that filters hit. */
#define WORLD 3000
#define TEXT 64
struct world {
	struct event event[WORLD];
	char text[WORLD][21][TEXT];
	uint64_t arrival[WORLD], row[WORLD];
	GRand *rand;
};

static int pick(struct world *world, int n)
{
	return g_rand_int_range(world->rand, 0, n);
}

static void put(
        struct world *world, int i, unsigned slot, enum field field, const char *format, int number)
{
	char *text = world->text[i][slot];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, TEXT, format, number);
#pragma GCC diagnostic pop
	set_field(&world->event[i], field, text);
}

/* What word filters, tags and scopes look at. */
static void put_words(struct world *world, int i, int message)
{
	static const char *const domains[] = {"gmail.com", "example.com", "mail.example.com",
	        "example.com.uk", "web.de", "Shop%d.example"};
	static const char *const tags[] = {
	        "[]", "[\"red\"]", "[\"red\",\"blue %d\"]", "[\"red\",\"red\"]"};

	put(world, i, 12, FIELD_RECIPIENT_DOMAIN, domains[pick(world, 6)], pick(world, 2500));
	if (message % 4 != 0)
		put(world, i, 13, FIELD_SENDING_DOMAIN, domains[message % 6], message % 20);
	/* Templates that are made of the transmission, whose id may have several words. */
	put(world, i, 14, FIELD_TEMPLATE_ID, message % 9 ? "smtp_%d" : "smtp_ab-%d",
	        message * 1000);
	put(world, i, 20, FIELD_TRANSMISSION_ID, message % 9 ? "%d" : "ab-%d", message * 1000);
	if (message % 5 == 0)
		put(world, i, 15, FIELD_IP_POOL, "pool-%d shared", message % 3);
	if (message % 3 == 0)
		put(world, i, 16, FIELD_RCPT_TAGS, tags[i % 4], message % 2);
	if (i % 50 == 0)
		put(world, i, 17, FIELD_MAILBOX_PROVIDER, "Provider %d", i % 100);
	if (i % 70 == 0)
		put(world, i, 18, FIELD_MAILBOX_PROVIDER_REGION, "Region-%d", i % 140);
	put(world, i, 19, FIELD_AB_TEST_VERSION, "%d", message % 3);
}

static void make_one(struct world *world, int i)
{
	static const enum event_type types[] = {EVENT_INJECTION, EVENT_DELIVERY, EVENT_DELIVERY,
	        EVENT_DELAY, EVENT_BOUNCE, EVENT_POLICY_REJECTION};
	struct event *event = &world->event[i];
	int message = pick(world, 400);

	*event = (struct event){.type = types[pick(world, G_N_ELEMENTS(types))]};
	/* Mostly seconds, some milliseconds; late ones among them. */
	event->time = DAY1 + g_rand_int_range(world->rand, 0, 3 * 86400) * CLOCK_SECOND +
	              (i % 3 == 0 ? pick(world, 1000) : 0);
	event->id = (uint64_t)i * 7919 + 1;
	event->injected = DAY1 + message;
	put(world, i, 0, FIELD_MESSAGE_ID, "%020x", message);
	put(world, i, 1, FIELD_RCPT_TO, i % 2 ? "User%d@Example.com" : "user%d@example.net",
	        pick(world, 150));
	put(world, i, 2, FIELD_CAMPAIGN_ID, "campaign, %d", message % 7);
	put(world, i, 3, FIELD_SUBJECT, message % 2 ? "Order %d \xc3\x84nderung" : "Hello 100%% %d",
	        message % 40);
	put(world, i, 4, FIELD_QUEUE_ID, "%dQ", message % 60);
	put(world, i, 5, FIELD_HEADER_MESSAGE_ID, "<%d@mail>", message);
	put(world, i, 6, FIELD_SUBACCOUNT_ID, "%d", message % 3);
	if (event->type == EVENT_BOUNCE || event->type == EVENT_DELAY) {
		put(world, i, 7, FIELD_BOUNCE_CLASS, "%d", pick(world, 4) * 10);
		put(world, i, 8, FIELD_REASON, "550 reason %d", pick(world, 30));
		put(world, i, 9, FIELD_RAW_REASON, "550 raw %d _x_", pick(world, 3000));
	} else if (event->type == EVENT_DELIVERY) {
		put(world, i, 9, FIELD_RAW_REASON, "250 reason %d", pick(world, 30));
	}
	if (i % 5 == 0)
		put(world, i, 10, FIELD_ORIG_RCPT_TO, "alias%d@example.com", pick(world, 9));
	put(world, i, 11, FIELD_SENDING_IP, "192.0.2.%d", pick(world, 3));
	put_words(world, i, message);
}

struct noting {
	struct world *world;
	int seen;
};

static void note(void *ctx, const struct event *event)
{
	struct noting *noting = ctx;
	uint64_t i = (event->id - 1) / 7919;

	noting->world->arrival[i] = event->arrival;
	noting->world->row[i] = event->row;
	noting->seen++;
}

/* Commits the events from one index to another in batches of odd sizes, with a reopen between. */
static void store_world(struct store **store, struct world *world, int from, int to)
{
	for (int i = from; i < to;) {
		int n = 1 + pick(world, 400);
		n = MIN(n, to - i);
		ck_assert_uint_eq(commit_events(*store, &world->event[i], (size_t)n), (uint64_t)n);
		i += n;
		if (pick(world, 6) == 0) {
			store_close(store);
			*store = open_store(dir, STORE_WRITE);
		}
	}
}

/* What the store made of rows and arrivals; both are needed to predict its answers. */
static void note_world(struct store *store, struct world *world, int stored)
{
	struct search search = SEARCH_ALL;
	struct noting noting = {world, 0};
	uint64_t total;

	search.limit = WORLD;
	ck_assert_int_eq(store_search(store, &search, note, &noting, &total, NULL), 0);
	ck_assert_int_eq(noting.seen, stored);
	ck_assert_uint_eq(total, (uint64_t)stored);
}

static struct world *new_world(guint32 seed)
{
	struct world *world = g_new0(struct world, 1);

	world->rand = g_rand_new_with_seed(seed);
	for (int i = 0; i < WORLD; i++)
		make_one(world, i);
	return world;
}

static void free_world(struct world *world)
{
	g_rand_free(world->rand);
	g_free(world);
}

/* Random filters; values in lists that live until the next call. */
struct question {
	struct search search;
	struct search_scope scope;
	char values[16][60][TEXT];
	const char *lists[16][61];
	int used;
};

static void ask(struct world *world, struct question *q, enum search_key key, const char *format,
        int range, int n)
{
	int k = q->used++;

	for (int i = 0; i < n; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(q->values[k][i], TEXT, format, pick(world, range));
#pragma GCC diagnostic pop
		q->lists[k][i] = q->values[k][i];
	}
	q->lists[k][n] = NULL;
	q->search.values[key] = q->lists[k];
}

static const char *const event_lists[][3] = {{"delivery", NULL}, {"bounce", "delay", NULL},
        {"injection", "bounce", NULL}, {"open", NULL}};
static const char *const reason_lists[][3] = {{"%REASON 1%", NULL},
        {"%raw 2%", "550 reason 3", NULL}, {"%_x_", NULL}, {"%", NULL}, {"%0%5%", NULL},
        {"none", NULL}, {"", NULL}};
static const char *const subject_lists[][3] = {{"%\xc3\xa4NDERUNG", NULL}, {"hello 100%", NULL},
        {"%3%", "order 1%", NULL}, {"Order 1 \xc3\xa4nderung", NULL}};

static const struct {
	enum search_words which;
	const char *phrases[3];
} word_lists[] = {
        {SEARCH_WORDS_REASON, {"reason"}},
        {SEARCH_WORDS_REASON, {"RAW 5", "reason 3"}},
        {SEARCH_WORDS_REASON, {"rea"}},
        {SEARCH_WORDS_REASON, {"x"}},
        {SEARCH_WORDS_SUBJECT, {"hello"}},
        {SEARCH_WORDS_SUBJECT, {"\xc3\x84NDERUNG"}},
        {SEARCH_WORDS_SUBJECT, {"order 5"}},
        {SEARCH_WORDS_CAMPAIGN, {"3", "campaign, 1"}},
        {SEARCH_WORDS_TEMPLATE, {"smtp_7000"}},
        {SEARCH_WORDS_TEMPLATE, {"9000", "11000"}},
        {SEARCH_WORDS_TEMPLATE, {"smtp"}},
        {SEARCH_WORDS_TEMPLATE, {"8001"}},
        {SEARCH_WORDS_TEMPLATE, {"ab"}},
        {SEARCH_WORDS_IP_POOL, {"pool 1"}},
        {SEARCH_WORDS_IP_POOL, {"shared"}},
        {SEARCH_WORDS_RECIPIENT_DOMAIN, {"example.com"}},
        {SEARCH_WORDS_RECIPIENT_DOMAIN, {"example"}},
        {SEARCH_WORDS_RECIPIENT_DOMAIN, {"com", "shop17"}},
        {SEARCH_WORDS_SENDING_DOMAIN, {"mail"}},
        {SEARCH_WORDS_SENDING_DOMAIN, {"shop5.example", "web"}},
        {SEARCH_WORDS_MAILBOX_PROVIDER, {"gmail"}},
        {SEARCH_WORDS_MAILBOX_PROVIDER, {"provider", "web.de"}},
        {SEARCH_WORDS_MAILBOX_REGION, {"global"}},
        {SEARCH_WORDS_MAILBOX_REGION, {"region", "europe"}},
        {SEARCH_WORDS_MAILBOX_REGION, {"moon"}},
};

static void ask_words(struct world *world, struct question *q)
{
	static const char *const tags[][3] = {
	        {"red", NULL}, {"red", "blue 1", NULL}, {"blue", NULL}, {NULL}};
	static const char *const subaccounts[][3] = {{"0", NULL}, {"1", "2", NULL}};
	static const char *const domains[][3] = {{"example.com", NULL},
	        {"gmail.com", "shop17.example", NULL}, {"nowhere.example", NULL}};
	int first = pick(world, 3) == 0 ? pick(world, G_N_ELEMENTS(word_lists)) : -1;

	for (int i = first; i >= 0 && i < (int)G_N_ELEMENTS(word_lists);
	        i = pick(world, 3) == 0 ? i + 5 : -1)
		q->search.words[word_lists[i].which] = word_lists[i].phrases;
	if (pick(world, 5) == 0)
		q->search.tags = tags[pick(world, G_N_ELEMENTS(tags))];
	q->scope = (struct search_scope){
	        pick(world, 2) ? subaccounts[pick(world, G_N_ELEMENTS(subaccounts))] : NULL,
	        pick(world, 2) ? domains[pick(world, G_N_ELEMENTS(domains))] : NULL};
	if (pick(world, 3) == 0)
		q->search.scope = &q->scope;
	if (pick(world, 8) == 0)
		ask(world, q, SEARCH_SENDING_DOMAIN, "SHOP%d.example", 20, 1 + pick(world, 20));
	if (pick(world, 8) == 0)
		ask(world, q, SEARCH_IP_POOL, "pool-%d shared", 3, 1);
	if (pick(world, 8) == 0)
		ask(world, q, SEARCH_AB_TEST_VERSION, "%d", 3, 1);
}

static void make_question(struct world *world, struct question *q)
{
	q->used = 0;
	q->search = SEARCH_ALL;
	q->search.limit = (unsigned)pick(world, 3) * 20;
	if (pick(world, 3) == 0) {
		q->search.from = DAY1 + g_rand_int_range(world->rand, 0, 3 * 86400) * CLOCK_SECOND;
		q->search.to = q->search.from + g_rand_int_range(world->rand, 0, 100000) * 1000;
	}
	if (pick(world, 3) == 0)
		ask(world, q, SEARCH_RECIPIENT,
		        pick(world, 2) ? "uSER%d@example.com" : "alias%d@example.com", 150,
		        1 + pick(world, 40));
	if (pick(world, 5) == 0)
		ask(world, q, SEARCH_MESSAGE, pick(world, 2) ? "%020x" : "%d@mail", 400,
		        1 + pick(world, 30));
	if (pick(world, 4) == 0)
		ask(world, q, SEARCH_CAMPAIGN, "campaign, %d", 7, 1 + pick(world, 3));
	if (pick(world, 6) == 0)
		ask(world, q, SEARCH_QUEUE_ID, "%dQ", 60, 1 + pick(world, 59));
	if (pick(world, 6) == 0)
		ask(world, q, SEARCH_SENDING_IP, "192.0.2.%d", 3, 1);
	if (pick(world, 6) == 0)
		ask(world, q, SEARCH_SUBACCOUNT, "%d", 4, pick(world, 3));
	if (pick(world, 4) == 0)
		ask(world, q, SEARCH_BOUNCE_CLASS, "%d0", 4, 1 + pick(world, 3));
	if (pick(world, 3) == 0)
		q->search.values[SEARCH_EVENT] =
		        event_lists[pick(world, G_N_ELEMENTS(event_lists))];
	if (pick(world, 4) == 0)
		q->search.reasons = reason_lists[pick(world, G_N_ELEMENTS(reason_lists))];
	if (pick(world, 5) == 0)
		q->search.subjects = subject_lists[pick(world, G_N_ELEMENTS(subject_lists))];
	if (pick(world, 4) == 0)
		q->search.offset = (uint64_t)pick(world, 60);
	if (pick(world, 4) == 0)
		q->search.before = world->row[pick(world, WORLD)];
	if (pick(world, 2) == 0)
		ask_words(world, q);
	q->search.no_total = pick(world, 8) == 0;
}

static gint newest_first(gconstpointer a, gconstpointer b, gpointer ctx)
{
	struct world *world = ctx;
	uint64_t x = world->row[*(const int *)a], y = world->row[*(const int *)b];

	return (x < y) - (x > y);
}

/* The answer by looking at all events: ids of the page; the total is returned. */
static uint64_t brute_force(
        struct world *world, const struct search *search, uint64_t as_of, GArray *page)
{
	g_autoptr(GArray) hits = g_array_new(FALSE, FALSE, sizeof(int));
	struct match *match = match_new(search, NULL);
	uint64_t skip = search->offset;

	for (int i = 0; i < WORLD; i++) {
		const struct event *event = &world->event[i];
		if (world->arrival[i] != 0 && world->arrival[i] <= as_of &&
		        event->time >= search->from && event->time < search->to &&
		        match_event(match, event))
			g_array_append_val(hits, i);
	}
	match_free(&match);
	g_array_sort_with_data(hits, newest_first, world);
	for (guint i = 0; i < hits->len && page->len < search->limit; i++) {
		int hit = g_array_index(hits, int, i);
		if (search->before != 0 && world->row[hit] >= search->before)
			continue;
		if (skip > 0)
			skip--;
		else
			g_array_append_val(page, world->event[hit].id);
	}
	return hits->len;
}

static bool compare(
        struct store *store, struct world *world, struct search *search, uint64_t as_of, int n)
{
	g_autoptr(GArray) want = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	uint64_t total, want_total = brute_force(world, search, as_of, want);

	search->as_of = as_of;
	g_autoptr(GArray) ids = search_ids(store, search, &total);
	ck_assert_msg(
	        ids->len == want->len, "question %d: %u found, %u wanted", n, ids->len, want->len);
	ck_assert_msg(ids->len == 0 || memcmp(ids->data, want->data, ids->len * 8) == 0,
	        "question %d: other events", n);
	if (!search->no_total)
		ck_assert_msg(total == want_total, "question %d: total %d, wanted %d", n,
		        (int)total, (int)want_total);
	return want_total > 0;
}

START_TEST(random_questions_get_the_answers_of_a_full_scan)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct world *world = new_world((guint32)_i + 1);
	struct question *q = g_new0(struct question, 1);

	store_world(&store, world, 0, WORLD);
	note_world(store, world, WORLD);
	int answered = 0;
	for (int n = 0; n < 400; n++) {
		make_question(world, q);
		answered += compare(store, world, &q->search, store_mark(store), n);
	}
	/* Questions that nothing answers would prove little. */
	ck_assert_int_gt(answered, 100);
	g_free(q);
	free_world(world);
	store_close(&store);
}
END_TEST

START_TEST(a_snapshot_stays_the_same_while_more_arrives)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct world *world = new_world(99);
	struct question *q = g_new0(struct question, 1);

	store_world(&store, world, 0, WORLD / 2);
	uint64_t as_of = store_mark(store);
	store_world(&store, world, WORLD / 2, WORLD);
	note_world(store, world, WORLD);
	for (int n = 0; n < 300; n++) {
		make_question(world, q);
		compare(store, world, &q->search, as_of, n);
		compare(store, world, &q->search, as_of / 2, n);
	}
	/* A mark that is not reached yet is the mark of now. */
	q->search = SEARCH_ALL;
	q->search.as_of = UINT64_MAX;
	g_array_unref(search_ids(store, &q->search, &as_of));
	ck_assert_uint_eq(q->search.as_of, store_mark(store));
	g_free(q);
	free_world(world);
	store_close(&store);
}
END_TEST

/* A value of each key that an event of the test has, and one that it has not. */
static const struct key_case {
	enum search_key key;
	enum field field;
	const char *stored, *asked, *other;
} key_cases[] = {
        {SEARCH_RECIPIENT, FIELD_RCPT_TO, "John@Example.COM", "john@example.com", "jo@example.com"},
        {SEARCH_RECIPIENT, FIELD_ORIG_RCPT_TO, "info@b", "INFO@b", "info@c"},
        {SEARCH_FRIENDLY_FROM, FIELD_FRIENDLY_FROM, "News@shop", "news@SHOP", "new@shop"},
        {SEARCH_FROM_ADDRESS, FIELD_FRIENDLY_FROM, "news@shop", "news@shop", "x"},
        {SEARCH_FROM_ADDRESS, FIELD_MSG_FROM, "", "", "<>"},
        {SEARCH_EVENT, FIELD_TYPE, NULL, "bounce", "delivery"},
        {SEARCH_BOUNCE_CLASS, FIELD_BOUNCE_CLASS, "10", "010", "1"},
        {SEARCH_SUBACCOUNT, FIELD_SUBACCOUNT_ID, "0", "0", "-0"},
        {SEARCH_TRANSMISSION, FIELD_TRANSMISSION_ID, "65832150921904138", "65832150921904138", "6"},
        {SEARCH_CAMPAIGN, FIELD_CAMPAIGN_ID, "A, \xe2\x98\x83 OR b*", "A, \xe2\x98\x83 OR b*", "a"},
        {SEARCH_TEMPLATE, FIELD_TEMPLATE_ID, "smtp_1", "smtp_1", "SMTP_1"},
        {SEARCH_AB_TEST, FIELD_AB_TEST_ID, "t", "t", ""},
        {SEARCH_MESSAGE, FIELD_MESSAGE_ID, "000443ee14578172be22", "000443ee14578172be22", "0004"},
        {SEARCH_MESSAGE, FIELD_HEADER_MESSAGE_ID, "<a.B@c>", "a.B@c", "a.b@c"},
        {SEARCH_MESSAGE, FIELD_HEADER_MESSAGE_ID, "<a.B@c>", "<a.B@c>", "<a.B@c"},
        {SEARCH_QUEUE_ID, FIELD_QUEUE_ID, "4NtLMR5Ylxz1Dy", "4NtLMR5Ylxz1Dy", "4ntlmr5ylxz1dy"},
        {SEARCH_RECIPIENT_DOMAIN, FIELD_RECIPIENT_DOMAIN, "example.com", "Example.com", "com"},
        {SEARCH_SENDING_IP, FIELD_SENDING_IP, "2001:db8::1", "2001:db8::1", "2001:db8::2"},
        {SEARCH_SENDING_DOMAIN, FIELD_SENDING_DOMAIN, "shop.example", "Shop.Example", "example"},
        {SEARCH_IP_POOL, FIELD_IP_POOL, "Pool 1", "Pool 1", "pool 1"},
        {SEARCH_AB_TEST_VERSION, FIELD_AB_TEST_VERSION, "2", "02", "1"},
        {SEARCH_MAILBOX_PROVIDER, FIELD_MAILBOX_PROVIDER, "Gmail", "Gmail", ""},
        {SEARCH_MAILBOX_REGION, FIELD_MAILBOX_PROVIDER_REGION, "Global", "Global", "global"},
        {SEARCH_TAG, FIELD_RCPT_TAGS, "[\"a\",\"\\u0062 c\"]", "b c", "b"},
        {SEARCH_TAG, FIELD_RCPT_TAGS, "[\"a\",\"b\"]", "a", "[\"a\"]"},
        {SEARCH_EVENT_ID, FIELD_EVENT_ID, NULL, "9223372036854775807", "9223372036854775806"},
};

START_TEST(every_key_finds_its_value_and_no_other)
{
	struct store *store = open_store(dir, STORE_WRITE);
	const struct key_case *c = &key_cases[_i];
	struct event event = make_event(EVENT_BOUNCE, DAY1, INT64_MAX, "m", NULL);

	if (c->stored != NULL)
		set_field(&event, c->field, c->stored);
	commit_events(store, &event, 1);
	ck_assert_uint_eq(count_key(store, c->key, c->asked), 1);
	ck_assert_uint_eq(count_key(store, c->key, c->other), 0);
	ck_assert_uint_eq(count_key(store, c->key, "NOT x OR (\"*"), 0);
	store_close(&store);
}
END_TEST

START_TEST(every_key_has_a_case)
{
	for (unsigned key = 0; key < SEARCH_KEYS; key++) {
		bool found = false;
		for (size_t i = 0; i < G_N_ELEMENTS(key_cases); i++)
			found |= key_cases[i].key == key;
		ck_assert_msg(found, "key %u", key);
	}
	ck_assert_int_eq(search_key_by_name(SLICE("recipients")), SEARCH_RECIPIENT);
	ck_assert_int_eq(search_key_by_name(SLICE("Recipients")), -1);
}
END_TEST

START_TEST(words_are_whole_and_in_their_order)
{
	static const struct {
		const char *phrase, *text;
		bool dots, match;
	} table[] = {
	        {"blackfriday", "blackfriday-specials", false, true},
	        {"friday", "blackfriday-specials", false, false},
	        {"5.4.7", "5.4.7 Example text", false, true},
	        {"5.4.7", "Example text 5.4.7", false, true},
	        {"5.4", "5.4.7 Example text", false, false},
	        {"yahoo", "mail.yahoo.com", true, true},
	        {"yahoo", "yahoo.co.uk", true, true},
	        {"yahoo", "notyahoo.com", true, false},
	        {"example.com", "info.example.com", true, true},
	        {"example.com", "example.com.uk", true, true},
	        {"example.com", "com.example", true, false},
	        {"Reset", "Reset your password", false, true},
	        {"reset", "successfully Reset", false, true},
	        {"your password", "Reset your  password", false, true},
	        {"password your", "Reset your password", false, false},
	        {"a_b", "x-a-b", false, true},
	        {"Reset", "Reset, and \"go on\"!", false, true},
	        {"go on", "Reset, and \"go on\"!", false, true},
	        {"(4711)", "Order #4711: done", false, true},
	        {"Order done", "Order ... done", false, true},
	        {"5.4.7", "host said: 554-5.4.7; expired", false, true},
	        {"5.4", "(5.4.7)", false, false},
	        {"reset's", "Reset your password", false, false},
	        {"!", "a ! b", false, false},
	        {" - ", "a - b", false, false},
	        {"", "a", false, false},
	        {"STRASSE",
	                "die stra\xc3\x9f"
	                "e",
	                false, true},
	        {"\xff", "a \xff b", false, true},
	};
	g_autoptr(GString) scratch = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		const char *const phrases[] = {table[i].phrase, NULL};
		struct words *words = words_new(phrases, table[i].dots);
		ck_assert_msg(
		        words_match(words, slice_str(table[i].text), scratch) == table[i].match,
		        "'%s' '%s'", table[i].phrase, table[i].text);
		words_free(&words);
	}
}
END_TEST

START_TEST(an_empty_list_matches_nothing)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = make_event(EVENT_BOUNCE, DAY1, 1, "m", "a@b");
	const char *const none[] = {NULL};
	struct search search = SEARCH_ALL;
	uint64_t total = 9;

	commit_events(store, &event, 1);
	search.values[SEARCH_CAMPAIGN] = none;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_eq(total, 0);
	store_close(&store);
}
END_TEST

START_TEST(patterns_know_only_the_percent_sign)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} table[] = {
	        {"%black list%", "554 Black List!", true},
	        {"black", "black", true},
	        {"black", "blacks", false},
	        {"b_ack", "black", false},
	        {"b_ack", "B_ACK", true},
	        {"%a%b", "xaxbxb", true},
	        {"%a%b", "xbxa", false},
	        {"a%a", "a", false},
	        {"a%a", "aa", true},
	        {"%%", "", true},
	        {"", "", true},
	        {"", "x", false},
	        {"%stra\xc3\x9f"
	         "e%",
	                "Die STRASSE hier", true},
	        {"%\xc3\x89t\xc3\xa9%", "un \xc3\xa9T\xc3\x89 chaud", true},
	        {"%\xff%", "a \xff b", true},
	};
	g_autoptr(GString) scratch = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		const char *const patterns[] = {table[i].pattern, NULL};
		struct like *like = like_new(patterns);
		ck_assert_msg(like_match(like, slice_str(table[i].text), scratch) == table[i].match,
		        "'%s' '%s'", table[i].pattern, table[i].text);
		like_free(&like);
	}
}
END_TEST

/* Strings: more than store/plan.c looks up in the index. */
#define MANY 101000

START_TEST(a_pattern_that_matches_too_many_strings_scans_and_stops_in_time)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	const char *const reasons[] = {"%number%", NULL}, *const events[] = {"bounce", NULL};
	struct search search = SEARCH_ALL;
	struct error err = {0};
	uint64_t total;

	for (uint64_t i = 1; i <= MANY; i++) {
		g_autofree char *text = g_strdup_printf("550 number %d", (int)i);
		struct event event = make_event(
		        i % 2 ? EVENT_BOUNCE : EVENT_DELAY, DAY1 + (int64_t)i * 500, i, "m", "a@b");
		set_field(&event, FIELD_REASON, text);
		store_batch_event(batch, &event);
	}
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	search.reasons = reasons;
	search.limit = 10;
	g_autoptr(GArray) ids = search_ids(store, &search, &total);
	ck_assert_uint_eq(total, MANY);
	ck_assert_uint_eq(ids->len, 10);
	ck_assert_uint_eq(g_array_index(ids, uint64_t, 0), MANY);
	search.values[SEARCH_EVENT] = events;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_eq(total, MANY / 2);
	/* A deadline of 0 would be the default; what the scan looks at is the clock. */
	struct day_search day = {.low = 0,
	        .high = DAY_ROWS - 1,
	        .page_high = DAY_ROWS - 1,
	        .as_of = UINT64_MAX >> 1,
	        .need_count = true,
	        .deadline = g_get_monotonic_time(),
	        .search = &search};
	struct results results;
	results_init(&results);
	day.results = &results;
	day.match = match_new(&search, NULL);
	ck_assert_int_eq(day_acquire(store, 19783, &day.day, NULL), 1);
	ck_assert_int_eq(day_search_run(&day, &err), -1);
	ck_assert_int_eq(err.number, ETIME);
	day_release(day.day);
	match_free(&day.match);
	results_clear(&results);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store search");
	TCase *cases = tcase_create("store search");

	tcase_set_timeout(cases, 300);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_loop_test(cases, random_questions_get_the_answers_of_a_full_scan, 0, 4);
	tcase_add_test(cases, a_snapshot_stays_the_same_while_more_arrives);
	tcase_add_loop_test(
	        cases, every_key_finds_its_value_and_no_other, 0, G_N_ELEMENTS(key_cases));
	tcase_add_test(cases, every_key_has_a_case);
	tcase_add_test(cases, words_are_whole_and_in_their_order);
	tcase_add_test(cases, an_empty_list_matches_nothing);
	tcase_add_test(cases, patterns_know_only_the_percent_sign);
	tcase_add_test(cases, a_pattern_that_matches_too_many_strings_scans_and_stops_in_time);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
