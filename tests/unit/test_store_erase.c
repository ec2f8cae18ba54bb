/* Erasing from a store: what is gone, what stays, and that it can be cut off anywhere. */
#include <errno.h>
#include <string.h>

#include "store/check.h"
#include "store/erase.h"
#include "store/pack.h"
#include "store/private.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define PERSON "erase.me-77@gone.example"
#define LOCAL "erase.me-77"
#define ASKED (DAY1 + 10 * CLOCK_DAY)
#define EVENTS 6000
#define DAYS 3

static char *dir;

static void setup(void)
{
	dir = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
}

/* ---- a store of thousands ---- */

static const char *pick(GRand *rand, const char *const *list, int n)
{
	return list[g_rand_int_range(rand, 0, n)];
}

static char *recipient(GRand *rand)
{
	static const char *const domains[] = {
	        "gone.example", "example.com", "example.net", "mail.gone.example"};

	if (g_rand_int_range(rand, 0, 40) == 0)
		return g_strdup(g_rand_boolean(rand) ? PERSON : "Erase.Me-77@GONE.example");
	return g_strdup_printf("user%d@%s", g_rand_int_range(rand, 0, 300), pick(rand, domains, 4));
}

static struct event random_event(GRand *rand, GStringChunk *text, uint64_t id)
{
	static const char *const subjects[] = {"Hello", "Your order 1234", "Re: " PERSON,
	        "Where is Erase.Me-77?", "Statement", "“" PERSON "”, «" LOCAL "»", "请联系" PERSON,
	        "http://x/unsub/" PERSON};
	static const char *const reasons[] = {"550 5.1.1 user unknown",
	        "450 mailbox full, forwarded to <" PERSON ">",
	        "550 see http://x/?a=erase.me-77%40gone.example", "554 spam",
	        "250 2.0.0 ok queued as 4F2A1B"};
	static const char *const senders[] = {
	        "news@example.org", PERSON, "bounces+erase.me-77=gone.example@example.org"};
	static const enum event_type types[] = {
	        EVENT_BOUNCE, EVENT_DELIVERY, EVENT_DELAY, EVENT_INJECTION};
	g_autofree char *to = recipient(rand);
	g_autofree char *message = g_strdup_printf("m%u", g_rand_int_range(rand, 0, 1500));
	struct event event = make_event(types[g_rand_int_range(rand, 0, 4)],
	        DAY1 + g_rand_int_range(rand, 0, DAYS) * CLOCK_DAY +
	                g_rand_int_range(rand, 0, (gint32)CLOCK_DAY),
	        id, g_string_chunk_insert_const(text, message), g_string_chunk_insert(text, to));

	set_field(&event, FIELD_SUBJECT, pick(rand, subjects, G_N_ELEMENTS(subjects)));
	set_field(&event, FIELD_RAW_REASON, pick(rand, reasons, 5));
	set_field(&event, FIELD_REASON, pick(rand, reasons, 5));
	set_field(&event, FIELD_FRIENDLY_FROM, pick(rand, senders, 2));
	set_field(&event, FIELD_MSG_FROM, pick(rand, senders, 3));
	set_field(&event, FIELD_RCPT_META, "{\"a\":\"Dear\\n" PERSON "\"}");
	set_field(&event, FIELD_RCPT_TAGS, "[\"" LOCAL "\",\"x\"]");
	return event;
}

static void fill(GStringChunk *text)
{
	struct store *store = open_store(dir, STORE_WRITE);
	g_autoptr(GRand) rand = g_rand_new_with_seed(41);
	struct event events[100];

	for (unsigned i = 0; i < EVENTS; i += 100) {
		for (unsigned k = 0; k < 100; k++)
			events[k] = random_event(rand, text, 1 + i + k);
		commit_events(store, events, 100);
	}
	store_close(&store);
}

/* ---- what stands in it ---- */

/* An event as a line of text: all that a reader gets. */
static char *describe(const struct event *event)
{
	GString *line = g_string_new(NULL);

	g_string_append_printf(line, "%d %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT " %d",
	        (int)event->type, (gint64)event->time, (guint64)event->row, (int)event->arrival);
	for (unsigned i = 0; i < FIELDS; i++)
		if (event->field[i].p != NULL)
			g_string_append_printf(line, "|%u=%.*s", i, SLICE_ARG(event->field[i]));
	return g_string_free(line, FALSE);
}

static void keep(void *ctx, const struct event *event)
{
	g_hash_table_insert(ctx, g_memdup2(&event->id, sizeof(event->id)), describe(event));
}

/* event_id -> line */
static GHashTable *read_all(struct store *store)
{
	GHashTable *all = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	struct search search = SEARCH_ALL;
	struct error err = {0};

	search.limit = EVENTS * 2;
	if (store_search(store, &search, keep, all, NULL, &err) < 0)
		ck_abort_msg("store_search: %s", err.text);
	return all;
}

static char *lower(const char *bytes, size_t n)
{
	char *folded = g_malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		folded[i] = g_ascii_tolower(bytes[i]);
	folded[n] = '\0';
	return folded;
}

static bool file_holds(const char *name, const void *needle, size_t n, bool fold)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *bytes = NULL;
	gsize size;

	/* What an ended day leaves goes meanwhile. */
	if (!g_file_get_contents(path, &bytes, &size, NULL)) {
		ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
		return false;
	}
	g_autofree char *folded = lower(bytes, size);
	return memmem(fold ? folded : bytes, size, needle, n) != NULL;
}

/* How many files of the store hold these bytes. */
static unsigned grep(const void *needle, size_t n, bool fold)
{
	GDir *list = g_dir_open(dir, 0, NULL);
	const char *name;
	unsigned files = 0;

	while ((name = g_dir_read_name(list)) != NULL)
		files += file_holds(name, needle, n, fold);
	g_dir_close(list);
	return files;
}

static unsigned grep_packed(const char *text)
{
	g_autoptr(GByteArray) packed = g_byte_array_new();

	pack_string(packed, slice_str(text));
	return grep(packed->data, packed->len, false);
}

static unsigned grep_all(void)
{
	static const char *const plain[] = {LOCAL, PERSON, "erase.me-77=gone.example"};
	unsigned files = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(plain); i++)
		files += grep(plain[i], strlen(plain[i]), true);
	return files + grep_packed(LOCAL) + grep_packed("Erase.Me-77");
}

/* ---- erasing, as the capture does ---- */

static int erase_day(struct store *store, struct erasure *erasure, int64_t day, struct error *err)
{
	struct erased_day *made;
	int result = store_erase_day(store, erasure, day, NULL, NULL, &made, err);

	if (result == 1)
		result = store_erase_switch(store, erasure, &made, err);
	return result;
}

static int run_here(void *ctx, store_job *job, void *job_ctx, struct error *err)
{
	(void)ctx;
	return job(job_ctx, err);
}

static int erase_one(struct store *store, struct erasure *erasure, struct error *err)
{
	const struct erase_how how = {.run = run_here};
	g_autoptr(GArray) days = store_erase_days(store, err);
	int result = 0;

	for (guint i = 0; i < days->len && result == 0; i++)
		result = erase_day(store, erasure, g_array_index(days, gint64, i), err);
	if (result == 0)
		result = store_erase_files(store, erasure, &how, err);
	return result == 0 ? store_erase_end(store, erasure, ASKED, err) : -1;
}

/* Carries on with what has not ended; the receipt of the last one. */
static int carry_on(struct store *store, struct erasure *receipt, struct error *err)
{
	g_autoptr(GArray) erasures = store_erasures(store, err);
	int result = 0;

	for (guint i = 0; i < erasures->len && result == 0; i++) {
		struct erasure *erasure = &g_array_index(erasures, struct erasure, i);
		if (erasure->ended == 0)
			result = erase_one(store, erasure, err);
		if (receipt != NULL)
			*receipt = *erasure;
	}
	return result;
}

static struct erasure erase(struct store *store, enum tombstone_kind kind, const char *name)
{
	struct erasure receipt = {0};
	struct error err = {0};
	int64_t id;

	if (store_erase_begin(store, kind, slice_str(name), ASKED, &id, &err) < 0 ||
	        carry_on(store, &receipt, &err) < 0)
		ck_abort_msg("%s", err.text);
	return receipt;
}

/* ---- tests ---- */

static bool is_person(const char *line)
{
	g_autofree char *folded = lower(line, strlen(line));
	g_autofree char *field = g_strdup_printf("|%d=" PERSON, FIELD_RCPT_TO);

	return strstr(folded, field) != NULL;
}

/* The line as it should be afterwards. */
static char *cleaned(const char *line)
{
	GString *text = g_string_new(line);

	g_string_replace(text, "erase.me-77=gone.example", "[erased]", 0);
	g_string_replace(text, "erase.me-77%40gone.example", "[erased]", 0);
	g_string_replace(text, PERSON, "[erased]", 0);
	g_string_replace(text, "Erase.Me-77", "[erased]", 0);
	g_string_replace(text, LOCAL, "[erased]", 0);
	return g_string_free(text, FALSE);
}

/* Returns how many were the person's. */
static unsigned compare(GHashTable *before, GHashTable *after)
{
	GHashTableIter iter;
	gpointer id, line;
	unsigned gone = 0;

	g_hash_table_iter_init(&iter, before);
	while (g_hash_table_iter_next(&iter, &id, &line)) {
		const char *now = g_hash_table_lookup(after, id);
		if (is_person(line)) {
			ck_assert_ptr_null(now);
			gone++;
			continue;
		}
		g_autofree char *wanted = cleaned(line);
		ck_assert_ptr_nonnull(now);
		ck_assert_str_eq(now, wanted);
	}
	ck_assert_uint_eq(g_hash_table_size(before), g_hash_table_size(after) + gone);
	return gone;
}

/* Totals of searches that do not ask for the person. */
static void count_others(struct store *store, uint64_t totals[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		g_autofree char *user = g_strdup_printf("user%zu@example.com", i);
		g_autofree char *message = g_strdup_printf("m%zu", i);
		totals[i] = count_key(store, SEARCH_RECIPIENT, user) * 10000 +
		            (i < 20 ? 0 : count_key(store, SEARCH_MESSAGE, message));
	}
}

START_TEST(one_of_thousands_goes_and_all_others_stay)
{
	GStringChunk *text = g_string_chunk_new(4096);
	uint64_t before_totals[60], totals[60], user;

	fill(text);
	struct store *store = open_store(dir, STORE_WRITE);
	GHashTable *before = read_all(store);
	uint64_t mark = store_mark(store);
	ck_assert_uint_eq(g_hash_table_size(before), EVENTS);
	ck_assert_uint_gt(grep_all(), 3);
	ck_assert_uint_gt(count_key(store, SEARCH_RECIPIENT, PERSON), 0);
	count_others(store, before_totals, 20);
	struct erasure receipt = erase(store, TOMBSTONE_RECIPIENT, PERSON);
	GHashTable *after = read_all(store);
	unsigned gone = compare(before, after);
	ck_assert_uint_gt(gone, 100);
	ck_assert_uint_eq(receipt.events, gone);
	ck_assert_uint_gt(receipt.changed, 1000);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, PERSON), 0);
	count_others(store, totals, 20);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(totals[i], before_totals[i]);
	user = count_key(store, SEARCH_RECIPIENT, "user1@example.com");
	ck_assert_uint_eq(store_mark(store), mark);
	ck_assert_uint_eq(grep_all(), 0);
	store_close(&store);
	ck_assert_uint_eq(grep_all(), 0);
	store = open_store(dir, STORE_WRITE);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "user1@example.com"), user);
	ck_assert_uint_eq(store_mark(store), mark);
	store_close(&store);
	/* Numbers that are missing are no damage. */
	ck_assert_int_eq(store_check(dir, NULL, NULL, &user, NULL), 0);
	ck_assert_uint_eq(user, 0);
	g_hash_table_unref(before);
	g_hash_table_unref(after);
	g_string_chunk_free(text);
}
END_TEST

START_TEST(reading_the_log_again_adds_nothing)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[] = {
	        make_event(EVENT_DELIVERY, DAY1 + 1, 1, "m1", PERSON),
	        make_event(EVENT_DELIVERY, DAY1 + 2, 2, "m1", "b@example.com"),
	        make_event(EVENT_BOUNCE, DAY2 + 3, 3, "m2", "b@example.com"),
	};

	set_field(&events[2], FIELD_REASON, "forwarded to " PERSON);
	ck_assert_uint_eq(commit_events(store, events, 2), 2);
	erase(store, TOMBSTONE_RECIPIENT, PERSON);
	/* The third was not recorded before: it comes, without the address. */
	ck_assert_uint_eq(commit_events(store, events, 3), 1);
	store_close(&store);
	ck_assert_uint_eq(grep_all(), 0);
	store = open_store(dir, STORE_WRITE);
	ck_assert_uint_eq(commit_events(store, events, 3), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "b@example.com"), 2);
	/* New mail to the same person is recorded. */
	events[0] = make_event(EVENT_DELIVERY, ASKED + 1, 4, "m3", PERSON);
	ck_assert_uint_eq(commit_events(store, events, 1), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, PERSON), 1);
	store_close(&store);
}
END_TEST

START_TEST(an_event_of_the_day_that_arrives_meanwhile_is_kept)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[] = {
	        make_event(EVENT_DELIVERY, DAY1 + 1, 1, "m1", PERSON),
	        make_event(EVENT_DELIVERY, DAY1 + 2, 2, "m1", "b@example.com"),
	        make_event(EVENT_DELIVERY, DAY1 + 3, 3, "m2", "c@example.com"),
	};
	struct erased_day *made;
	struct error err = {0};
	int64_t id;

	commit_events(store, events, 2);
	ck_assert_int_eq(
	        store_erase_begin(store, TOMBSTONE_RECIPIENT, SLICE(PERSON), ASKED, &id, &err), 0);
	g_autoptr(GArray) erasures = store_erasures(store, &err);
	struct erasure *erasure = &g_array_index(erasures, struct erasure, 0);
	ck_assert_int_eq(
	        store_erase_day(store, erasure, DAY1 / CLOCK_DAY, NULL, NULL, &made, &err), 1);
	ck_assert_uint_eq(commit_events(store, events + 2, 1), 1);
	ck_assert_int_eq(store_erase_switch(store, erasure, &made, &err), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "c@example.com"), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "b@example.com"), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, PERSON), 0);
	ck_assert_uint_eq(commit_events(store, events, 3), 0);
	store_close(&store);
}
END_TEST

START_TEST(kept_lines_and_gaps_lose_the_name)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	const struct store_gap gap = {.source = SLICE("mail.log"),
	        .from = 1,
	        .to = 2,
	        .bytes = 3,
	        .text = SLICE("lost: to=<" PERSON ">")};
	struct store_commit_result result;
	struct error err = {0};

	for (int round = 0; round < 2; round++) {
		store_batch_reset(batch);
		store_batch_unparsed(batch, SLICE("mail.log"), 5, DAY1, SLICE("odd line " LOCAL));
		store_batch_gap(batch, &gap);
		ck_assert_int_eq(store_commit(store, batch, 0, &result, &err), 0);
		if (round > 0)
			break;
		ck_assert_uint_gt(grep_all(), 0);
		struct erasure receipt = erase(store, TOMBSTONE_RECIPIENT, PERSON);
		ck_assert_uint_eq(receipt.lines, 2);
		ck_assert_uint_eq(grep_all(), 0);
	}
	store_batch_free(&batch);
	store_close(&store);
	ck_assert_uint_eq(grep_all(), 0);
}
END_TEST

START_TEST(a_domain_and_a_message_go_as_well)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[] = {
	        make_event(EVENT_DELIVERY, DAY1 + 1, 1, "m1", "a@gone.example"),
	        make_event(EVENT_DELIVERY, DAY1 + 2, 2, "m2", "b@example.com"),
	        make_event(EVENT_DELIVERY, DAY1 + 3, 3, "m3", "c@example.com"),
	};

	commit_events(store, events, 3);
	ck_assert_uint_eq(erase(store, TOMBSTONE_DOMAIN, "gone.example").events, 1);
	ck_assert_uint_eq(erase(store, TOMBSTONE_MESSAGE, "m2").events, 1);
	ck_assert_uint_eq(commit_events(store, events, 3), 0);
	GHashTable *left = read_all(store);
	ck_assert_uint_eq(g_hash_table_size(left), 1);
	g_hash_table_unref(left);
	store_close(&store);
	ck_assert_uint_eq(grep("gone.example", strlen("gone.example"), true), 0);
}
END_TEST

START_TEST(files_that_nobody_looked_into_are_named)
{
	g_autofree char *path = g_build_filename(dir, "old.tar", NULL);
	struct store *store = open_store(dir, STORE_WRITE);

	ck_assert(g_file_set_contents(path, "x", 1, NULL));
	erase(store, TOMBSTONE_RECIPIENT, PERSON);
	struct error err = {0};
	g_autoptr(GArray) erasures = store_erasures(store, &err);
	const struct erasure *receipt = &g_array_index(erasures, struct erasure, 0);
	ck_assert_ptr_nonnull(strstr(receipt->rest->str, "old.tar was not looked into"));
	ck_assert_ptr_nonnull(strstr(receipt->rest->str, "backups"));
	ck_assert_ptr_null(strstr(receipt->rest->str, "lock"));
	ck_assert_ptr_null(strstr(receipt->rest->str, "control"));
	ck_assert_int_gt(receipt->ended, 0);
	store_close(&store);
}
END_TEST

struct fault {
	const char *place;
	int left; /* calls until it fails */
};

static int fail_there(void *ctx, const char *place)
{
	struct fault *fault = ctx;

	return strcmp(place, fault->place) == 0 && fault->left-- == 0;
}

/* Cut off at any step, and done again after a new start: as if it had not been. */
START_TEST(an_erasure_that_was_cut_off_is_done_again)
{
	static const char *const places[] = {"made", "renamed", "erased", "replaced", "rebuilt"};
	GStringChunk *text = g_string_chunk_new(4096);
	struct error err;
	int64_t id;

	for (size_t i = 0; i < G_N_ELEMENTS(places) * 2; i++) {
		struct fault fault = {places[i / 2], (int)(i % 2)};
		g_autofree char *last = dir;
		dir = scratch_make();
		scratch_remove(&last);
		fill(text);
		struct store *store = open_store(dir, STORE_WRITE);
		GHashTable *before = read_all(store);
		store->fault = fail_there;
		store->fault_ctx = &fault;
		err = (struct error){0};
		ck_assert_int_eq(store_erase_begin(store, TOMBSTONE_RECIPIENT, SLICE(PERSON), ASKED,
		                         &id, &err),
		        0);
		bool cut = carry_on(store, NULL, &err) < 0;
		ck_assert(cut || strcmp(fault.place, "rebuilt") == 0);
		store_close(&store);
		store = open_store(dir, STORE_WRITE);
		err = (struct error){0};
		ck_assert_int_eq(carry_on(store, NULL, &err), 0);
		GHashTable *after = read_all(store);
		compare(before, after);
		store_close(&store);
		ck_assert_uint_eq(grep_all(), 0);
		g_hash_table_unref(before);
		g_hash_table_unref(after);
	}
	g_string_chunk_free(text);
}
END_TEST

START_TEST(a_reader_cannot_erase)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct error err = {0};
	int64_t id;

	store_close(&store);
	store = open_store(dir, STORE_READ);
	ck_assert_int_eq(
	        store_erase_begin(store, TOMBSTONE_RECIPIENT, SLICE(PERSON), ASKED, &id, &err), -1);
	store_close(&store);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {one_of_thousands_goes_and_all_others_stay,
	        reading_the_log_again_adds_nothing,
	        an_event_of_the_day_that_arrives_meanwhile_is_kept,
	        kept_lines_and_gaps_lose_the_name, a_domain_and_a_message_go_as_well,
	        files_that_nobody_looked_into_are_named, an_erasure_that_was_cut_off_is_done_again,
	        a_reader_cannot_erase, NULL};

	return run_store_tests("store_erase", setup, teardown, tests);
}
