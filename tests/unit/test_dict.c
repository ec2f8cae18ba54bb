/* Dictionaries: blocks as bytes, what the writer adds to them and what searches find in them. */
#include <string.h>

#include "store/check.h"
#include "store/day.h"
#include "store/like.h"
#include "store/match.h"
#include "store/private.h"
#include "store/renew.h"
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

/* ---- blocks as bytes ---- */

static GByteArray *body_of(const char *const *texts, unsigned n)
{
	GByteArray *body = g_byte_array_new();
	struct dict_growing block;

	dict_growing_init(&block);
	block.first = block.next = 7;
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(dict_growing_add(&block, slice_str(texts[i]), i % 2 * i), 7 + i);
	dict_growing_body(&block, body);
	dict_growing_clear(&block);
	return body;
}

static struct slice bytes_of(const GByteArray *body)
{
	return slice_make((const char *)body->data, body->len);
}

/* Reads to the end: 0, or -1. */
static int read_all(struct slice body, unsigned *n)
{
	struct dict_block block;
	struct dict_string string;
	int result = dict_block_open(&block, 7, body) ? 1 : -1;

	for (*n = 0; result == 1 && (result = dict_block_next(&block, &string)) == 1; (*n)++)
		;
	return result;
}

static const char *const texts[] = {"one", "", "three 550 5.1.1", "gr\xc3\xbc\xc3\x9f", "five"};

START_TEST(strings_of_a_block_come_out_with_their_ids)
{
	g_autoptr(GByteArray) body = body_of(texts, G_N_ELEMENTS(texts));
	struct dict_block block;
	struct dict_string string;

	for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
		ck_assert(dict_block_open(&block, 7, bytes_of(body)));
		ck_assert(!block.ascii);
		ck_assert_int_eq(dict_block_seek(&block, 7 + i, &string), 1);
		ck_assert(slice_eq(string.text, slice_str(texts[i])));
		ck_assert_int_eq(string.of, i % 2 * i);
	}
	ck_assert(dict_block_open(&block, 7, bytes_of(body)));
	ck_assert_int_eq(dict_block_seek(&block, 12, &string), 0);
	g_autoptr(GByteArray) plain = body_of(texts, 3);
	ck_assert(dict_block_open(&block, 7, bytes_of(plain)) && block.ascii);
}
END_TEST

START_TEST(a_block_that_goes_on_is_the_same_as_one_made_at_once)
{
	g_autoptr(GByteArray) body = body_of(texts, G_N_ELEMENTS(texts));
	g_autoptr(GByteArray) half = body_of(texts, 4), whole = g_byte_array_new();
	struct dict_growing block;

	dict_growing_init(&block);
	ck_assert(dict_growing_load(&block, 7, bytes_of(half)));
	ck_assert(!block.changed);
	ck_assert_int_eq(dict_growing_add(&block, slice_str(texts[4]), 0), 11);
	dict_growing_body(&block, whole);
	ck_assert(slice_eq(bytes_of(whole), bytes_of(body)));
	dict_growing_clear(&block);
}
END_TEST

START_TEST(a_block_that_is_cut_off_or_too_long_is_damaged)
{
	g_autoptr(GByteArray) body = body_of(texts, G_N_ELEMENTS(texts));
	struct slice whole = bytes_of(body);
	unsigned n;

	ck_assert_int_eq(read_all(whole, &n), 0);
	ck_assert_uint_eq(n, G_N_ELEMENTS(texts));
	for (size_t i = 0; i < whole.n; i++)
		ck_assert_int_eq(read_all(slice_head(whole, i), &n), -1);
	g_byte_array_append(body, (const guint8 *)"x", 1);
	ck_assert_int_eq(read_all(bytes_of(body), &n), -1);
	/* Heads of more than there is; a number without end; a length of all bits. */
	ck_assert_int_eq(read_all(SLICE("\x7f\x02x"), &n), -1);
	ck_assert_int_eq(read_all(SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), &n), -1);
	ck_assert_int_eq(read_all(SLICE("\x12\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"), &n), -1);
	struct dict_block block;
	ck_assert(!dict_block_open(&block, 0, whole));
}
END_TEST

/* ---- patterns ---- */

static const char *const parts[] = {"a", "A", "b", "Ab", "quota", "QUOTA", " ", "5", "K", "k",
        "\xe2\x84\xaa", "\xc3\x84", "\xc3\xa4", "\xc3\x9f", "ss", "\xc4\xb0", "\xff", "@", "`", "[",
        "{", "Z", "z"};

static GString *random_text(GRand *rand, int most, bool ascii, bool percent)
{
	GString *text = g_string_new(NULL);

	for (int n = g_rand_int_range(rand, 0, most); n > 0; n--) {
		const char *part = parts[g_rand_int_range(rand, 0, G_N_ELEMENTS(parts))];
		if (!ascii || (part[0] & 0x80) == 0)
			g_string_append(text, part);
		if (percent && g_rand_int_range(rand, 0, 8) == 0)
			g_string_append_c(text, '%');
	}
	return text;
}

static void fill_block(GRand *rand, struct dict_growing *block)
{
	bool ascii = g_rand_boolean(rand);

	block->first = block->next = 3;
	for (int n = g_rand_int_range(rand, 0, 30); n > 0; n--) {
		GString *text = random_text(rand, 20, ascii, true);
		dict_growing_add(
		        block, slice_make(text->str, text->len), g_rand_int_range(rand, 0, 3));
		g_string_free(text, TRUE);
	}
}

/* Like `%piece%` mostly. */
static struct like *random_pattern(GRand *rand)
{
	bool piece = g_rand_int_range(rand, 0, 4) > 0;
	GString *text = random_text(rand, 5, g_rand_int_range(rand, 0, 4) > 0, !piece);

	if (piece) {
		g_string_prepend_c(text, '%');
		g_string_append_c(text, '%');
	}
	struct like *like = like_new((const char *const[]){text->str, NULL});
	g_string_free(text, TRUE);
	return like;
}

static unsigned compare_block(const struct like *like, const struct dict_growing *growing)
{
	struct dict_block all = dict_growing_read(growing), some = all;
	struct dict_string want, got = {.id = 0};
	g_autoptr(GString) scratch = g_string_new(NULL);
	unsigned hits = 0;

	while (dict_block_next(&all, &want) == 1) {
		if (!like_match(like, want.text, scratch))
			continue;
		ck_assert_int_eq(like_block(like, &some, scratch, &got), 1);
		ck_assert_int_eq(got.id, want.id);
		ck_assert_int_eq(got.of, want.of);
		ck_assert(slice_eq(got.text, want.text));
		hits++;
	}
	ck_assert_int_eq(like_block(like, &some, scratch, &got), 0);
	return hits;
}

START_TEST(a_block_at_once_gives_the_strings_that_match_one_by_one)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed(5);
	unsigned hits = 0;

	for (int i = 0; i < 4000; i++) {
		struct dict_growing block;
		dict_growing_init(&block);
		fill_block(rand, &block);
		for (int k = 0; k < 5; k++) {
			struct like *like = random_pattern(rand);
			hits += compare_block(like, &block);
			like_free(&like);
		}
		dict_growing_clear(&block);
	}
	ck_assert_uint_gt(hits, 20000);
}
END_TEST

/* ---- in the store ---- */

static void note(void *ctx, const struct store_finding *finding)
{
	g_string_append_printf(ctx, "%s: %s\n", finding->file, finding->what);
}

static void check_good(void)
{
	g_autoptr(GString) found = g_string_new(NULL);
	uint64_t n = 0;

	ck_assert_int_eq(store_check(dir, note, found, &n, NULL), 0);
	ck_assert_msg(n == 0, "%s", found->str);
}

static uint64_t count_like(struct store *store, const char *reason, const char *subject)
{
	const char *const reasons[] = {reason, NULL}, *const subjects[] = {subject, NULL};
	struct search search = SEARCH_ALL;
	uint64_t total;

	search.reasons = reason != NULL ? reasons : NULL;
	search.subjects = subject != NULL ? subjects : NULL;
	g_array_unref(search_ids(store, &search, &total));
	return total;
}

/* Event i, whose strings no other has; the longest ones fill more than a block. */
static struct event an_event(unsigned i, char **subject, char **raw)
{
	struct event event = make_event(EVENT_BOUNCE, DAY1 + i, i + 1, "m", "a@b.example");
	g_autofree char *filler = g_strnfill(i % 50 == 7 ? 9000 : i % 40, 'x');

	*subject = g_strdup_printf("Subject %u. %s", i, filler);
	*raw = g_strdup_printf("550 %s user %u unknown", filler, i);
	set_field(&event, FIELD_SUBJECT, *subject);
	set_field(&event, FIELD_REASON, i % 2 != 0 ? "550 user unknown" : "550 other");
	set_field(&event, FIELD_RAW_REASON, *raw);
	return event;
}

static int commit_range(struct store *store, unsigned from, unsigned n)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	for (unsigned i = from; i < from + n; i++) {
		g_autofree char *subject = NULL, *raw = NULL;
		struct event event = an_event(i, &subject, &raw);
		store_batch_event(batch, &event);
	}
	int done = store_commit(store, batch, 0, &result, NULL);
	store_batch_free(&batch);
	return done;
}

static void check_range(struct store *store, unsigned n)
{
	for (unsigned i = 0; i < n; i += 7) {
		char text[64];
		g_snprintf(text, sizeof(text), "%%SUBJECT %u.%%", i);
		ck_assert_uint_eq(count_like(store, NULL, text), 1);
		g_snprintf(text, sizeof(text), "%%user %u Unknown%%", i);
		ck_assert_uint_eq(count_like(store, text, NULL), 1);
	}
	ck_assert_uint_eq(count_like(store, "%user%", NULL), n);
	ck_assert_uint_eq(count_like(store, "550 other", NULL), n - n / 2);
	ck_assert_uint_eq(count_like(store, "550 user unknown", NULL), n / 2);
}

static int64_t number(struct store *store, const char *query)
{
	struct day_writer *writer = day_writer_get(store, DAY1 / CLOCK_DAY, NULL);
	int64_t value;

	ck_assert_int_eq(sql_number(&writer->sql, query, -1, &value, NULL), 0);
	return value;
}

START_TEST(blocks_grow_over_commits_and_openings)
{
	struct store *store = open_store(dir, STORE_WRITE);
	unsigned n = 0;

	for (unsigned i = 0; i < 60; i++) {
		ck_assert_int_eq(commit_range(store, n, i % 9 + 1), 0);
		n += i % 9 + 1;
		if (i % 10 == 9) {
			check_range(store, n);
			store_close(&store);
			check_good();
			store = open_store(dir, STORE_WRITE);
		}
	}
	ck_assert_int_eq(number(store, "SELECT count(*) FROM subject_hash"), n);
	ck_assert_int_eq(number(store, "SELECT count(*) FROM reason_hash"), n + 2);
	ck_assert_int_gt(number(store, "SELECT count(*) FROM reason"), 5);
	ck_assert_int_lt(number(store, "SELECT count(*) FROM reason"), 40);
	ck_assert_int_eq(number(store, "SELECT count(*) FROM reason WHERE length(body) > 4064 AND "
	                               "length(body) < 9000"),
	        0);
	/* Strings that are there are found again, also in blocks that are full. */
	for (unsigned i = 0; i < n; i += 3) {
		g_autofree char *subject = NULL, *raw = NULL;
		struct event event = an_event(i, &subject, &raw);
		event.id += 100000;
		commit_events(store, &event, 1);
	}
	ck_assert_int_eq(number(store, "SELECT count(*) FROM subject_hash"), n);
	store_close(&store);
	check_good();
}
END_TEST

static int fail_once(void *ctx, const char *place)
{
	bool *fail = ctx;

	if (!*fail || strcmp(place, "day") != 0)
		return 0;
	*fail = false;
	return -1;
}

START_TEST(a_commit_that_failed_leaves_nothing_in_the_blocks)
{
	struct store *store = open_store(dir, STORE_WRITE);
	bool fail = false;

	store->fault = fail_once;
	store->fault_ctx = &fail;
	for (unsigned i = 0; i < 20; i++) {
		fail = true;
		ck_assert_int_eq(commit_range(store, 1000 + i * 10, 10), -1);
		ck_assert(!fail);
		ck_assert_int_eq(commit_range(store, i * 10, 10), 0);
	}
	check_range(store, 200);
	ck_assert_int_eq(number(store, "SELECT count(*) FROM subject_hash"), 200);
	ck_assert_uint_eq(count_like(store, "%user 1%", NULL), 111);
	store_close(&store);
	check_good();
}
END_TEST

/* ---- reasons and raw reasons ---- */

#define PAIRS 600
static const char *const some_reasons[] = {
        NULL, "", "550 full", "450 Greylisted", "554 blocked list", "\xc3\x84rger"};
static const char *const some_raws[] = {NULL, "", "550 full", "450 Greylisted",
        "450 4.7.1 greylisted by x", "554 [192.0.2.1] blocked LIST", "552 quota of u@example",
        "550 \xc3\xa4rger"};
static const char *const patterns[] = {"%full%", "%GREYlisted%", "%list%", "%quota%",
        "%\xc3\x84RGER", "%", "%%", "550 full", "", "%4%", "%by%x%", "%nothing%"};

static struct event a_pair(unsigned i, GRand *rand)
{
	static const enum event_type types[] = {EVENT_BOUNCE, EVENT_DELAY, EVENT_DELIVERY};
	struct event event = make_event(
	        types[g_rand_int_range(rand, 0, 3)], DAY1 + i, i + 1, "m", "a@b.example");

	set_field(&event, FIELD_REASON,
	        some_reasons[g_rand_int_range(rand, 0, G_N_ELEMENTS(some_reasons))]);
	set_field(&event, FIELD_RAW_REASON,
	        some_raws[g_rand_int_range(rand, 0, G_N_ELEMENTS(some_raws))]);
	return event;
}

static void check_pairs(struct store *store, const struct event *events)
{
	for (unsigned p = 0; p < G_N_ELEMENTS(patterns); p++) {
		const char *const reasons[] = {patterns[p], NULL};
		struct search search = SEARCH_ALL;
		uint64_t want = 0;
		search.reasons = reasons;
		struct match *match = match_new(&search, NULL);
		for (unsigned i = 0; i < PAIRS; i++)
			want += match_event(match, &events[i]);
		match_free(&match);
		uint64_t got = count_like(store, patterns[p], NULL);
		ck_assert_msg(got == want, "'%s': %u, not %u", patterns[p], (unsigned)got,
		        (unsigned)want);
	}
}

/* Another rule: reasons turn into others, appear and go. */
static bool turn(void *ctx, struct event *event)
{
	const struct event *events = ctx;

	event->field[FIELD_REASON] = events[event->id - 1].field[FIELD_REASON];
	return true;
}

START_TEST(events_of_any_pair_of_reasons_are_found_also_when_rules_changed)
{
	struct store *store = open_store(dir, STORE_WRITE);
	g_autoptr(GRand) rand = g_rand_new_with_seed(11);
	struct event *events = g_new(struct event, PAIRS);
	struct store_renewed done;
	struct error err = {0};

	for (unsigned i = 0; i < PAIRS; i++)
		events[i] = a_pair(i, rand);
	ck_assert_uint_eq(commit_events(store, events, PAIRS), PAIRS);
	check_pairs(store, events);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < PAIRS; i++) {
			int k = g_rand_int_range(rand, 0, G_N_ELEMENTS(some_reasons));
			set_field(&events[i], FIELD_REASON, some_reasons[k]);
		}
		ck_assert_int_eq(store_renew(store, turn, events, &done, &err), 0);
		check_pairs(store, events);
	}
	store_close(&store);
	check_good();
	g_free(events);
}
END_TEST

START_TEST(a_raw_reason_that_belongs_to_another_reason_is_damage)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct error err = {0};
	struct search search = SEARCH_ALL;
	uint64_t total;

	ck_assert_int_eq(commit_range(store, 0, 2), 0);
	struct day_writer *writer = day_writer_get(store, DAY1 / CLOCK_DAY, NULL);
	/* The raw reason of event 0 says that its reason is number 1: make it 3. */
	ck_assert_int_eq(
	        sql_exec(&writer->sql,
	                "UPDATE reason SET body = CAST(replace(body, x'01', x'03') AS BLOB)", &err),
	        0);
	ck_assert_int_eq(store_search(store, &search, NULL, NULL, &total, &err), -1);
	ck_assert_int_eq(err.number, SQL_DAMAGED);
	store_close(&store);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {strings_of_a_block_come_out_with_their_ids,
	        a_block_that_goes_on_is_the_same_as_one_made_at_once,
	        a_block_that_is_cut_off_or_too_long_is_damaged,
	        a_block_at_once_gives_the_strings_that_match_one_by_one,
	        blocks_grow_over_commits_and_openings,
	        a_commit_that_failed_leaves_nothing_in_the_blocks,
	        events_of_any_pair_of_reasons_are_found_also_when_rules_changed,
	        a_raw_reason_that_belongs_to_another_reason_is_damage, NULL};

	return run_store_tests("dict", setup, teardown, tests);
}
