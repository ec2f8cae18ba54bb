/* The writer thread: group commit, backpressure, waiting, failure; readers beside it. */
#include <stdatomic.h>

#include "base/clock.h"
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

struct counts {
	_Atomic int commits, failures;
	_Atomic uint64_t inserted;
	_Atomic bool fail, gate;
};

static void after_commit(
        void *ctx, const struct store_commit_result *result, const struct error *err)
{
	struct counts *counts = ctx;

	if (err->set)
		counts->failures++;
	else
		counts->commits++;
	if (!err->set)
		counts->inserted += result->inserted;
}

static void before_commit(void *ctx, struct store_batch *batch)
{
	(void)ctx;
	store_batch_count(batch, "before", 1);
}

/* Holds a commit at its end while the gate is shut; fails it when told so. */
static int fault(void *ctx, const char *place)
{
	struct counts *counts = ctx;

	if (strcmp(place, "control") != 0)
		return 0;
	while (counts->gate)
		g_usleep(1000);
	return counts->fail ? -1 : 0;
}

static struct store_writer *start(struct store *store, struct counts *counts, size_t max_events)
{
	struct store_writer_config config = {
	        .keep_days = -1,
	        .max_events = max_events,
	        .before_commit = before_commit,
	        .after_commit = after_commit,
	        .ctx = counts,
	};

	store->fault = fault;
	store->fault_ctx = counts;
	struct store_writer *writer = store_writer_new(store, &config, NULL);
	ck_assert_ptr_nonnull(writer);
	return writer;
}

static uint64_t add(struct store_writer *writer, uint64_t id, bool urgent)
{
	struct event event =
	        make_event(EVENT_DELIVERY, DAY1 + (int64_t)id * 10, id, "m", "user@example.com");
	struct store_batch *batch = store_writer_begin(writer);

	store_batch_event(batch, &event);
	store_batch_line(batch, SLICE("log"), LEDGER_EVENT);
	return store_writer_end(writer, urgent);
}

START_TEST(what_was_added_becomes_durable)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {0};
	struct store_writer *writer = start(store, &counts, 0);

	uint64_t ticket = add(writer, 1, true);
	ck_assert_int_eq(store_writer_wait(writer, ticket, 5000), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 1);
	/* Nothing added: nothing to wait for. */
	store_writer_begin(writer);
	ticket = store_writer_end(writer, true);
	ck_assert_int_eq(store_writer_wait(writer, ticket, 0), 1);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	ck_assert_ptr_null(writer);
	g_autoptr(GHashTable) counters = store_counters(store, NULL);
	ck_assert_int_eq(*(gint64 *)g_hash_table_lookup(counters, "before"), 1);
	store_close(&store);
}
END_TEST

START_TEST(events_that_come_during_a_commit_share_the_next_one)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.gate = true};
	struct store_writer *writer = start(store, &counts, 0);
	uint64_t ticket = 0;

	add(writer, 1, true);
	g_usleep(50000);
	for (uint64_t i = 2; i <= 500; i++)
		ticket = add(writer, i, false);
	ck_assert_int_eq(store_writer_wait(writer, ticket, 20), 0);
	counts.gate = false;
	ck_assert_int_eq(store_writer_wait(writer, ticket, 5000), 1);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	ck_assert_int_eq(counts.commits, 2);
	ck_assert_uint_eq(counts.inserted, 500);
	store_close(&store);
}
END_TEST

struct adding {
	struct store_writer *writer;
	uint64_t from, n;
	_Atomic uint64_t added;
};

static gpointer add_many(gpointer p)
{
	struct adding *adding = p;

	for (uint64_t i = 0; i < adding->n; i++) {
		add(adding->writer, adding->from + i, false);
		adding->added++;
	}
	return NULL;
}

START_TEST(a_full_batch_holds_back_those_who_add)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.gate = true};
	struct store_writer *writer = start(store, &counts, 10);
	struct adding adding = {writer, 1, 100, 0};

	GThread *thread = g_thread_new("adding", add_many, &adding);
	g_usleep(200000);
	/* One batch at the gate, one full that may hold twice as many. */
	ck_assert_uint_le(adding.added, 30);
	counts.gate = false;
	g_thread_join(thread);
	ck_assert_uint_eq(adding.added, 100);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 100);
	store_close(&store);
}
END_TEST

START_TEST(a_backlog_is_committed_in_ever_larger_batches)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.gate = true};
	struct store_writer *writer = start(store, &counts, 10);
	struct adding adding = {writer, 1, 5000, 0};

	GThread *thread = g_thread_new("adding", add_many, &adding);
	g_usleep(50000);
	counts.gate = false;
	g_thread_join(thread);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	ck_assert_uint_eq(counts.inserted, 5000);
	/* 10, 20, 40 ...; they would be 500. Whoever adds may be slower for a moment. */
	ck_assert_int_le(counts.commits, 100);
	store_close(&store);
}
END_TEST

START_TEST(a_stream_of_events_is_grouped_and_somebody_who_waits_is_not)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {0};
	struct store_writer *writer = start(store, &counts, 0);
	gint64 started = g_get_monotonic_time();

	for (uint64_t i = 1; i <= 100; i++) {
		add(writer, i, false);
		g_usleep(2000);
	}
	gint64 took = g_get_monotonic_time() - started;
	/* At most one in 20 ms, give or take one at the ends. */
	ck_assert_int_le(counts.commits, took / 20000 + 2);
	for (uint64_t i = 101; i <= 110; i++)
		ck_assert_int_eq(store_writer_wait(writer, add(writer, i, true), 5000), 1);
	ck_assert_int_ge(counts.commits, 10);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	ck_assert_uint_eq(counts.inserted, 110);
	store_close(&store);
}
END_TEST

START_TEST(a_commit_that_fails_is_tried_until_it_works)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.fail = true};
	struct store_writer *writer = start(store, &counts, 0);
	uint64_t ticket = add(writer, 1, true);

	ck_assert_int_eq(store_writer_wait(writer, ticket, 100), 0);
	for (int i = 0; i < 1000 && counts.failures < 2; i++)
		g_usleep(10000);
	ck_assert_int_ge(counts.failures, 2);
	struct store_pace pace;
	store_writer_pace(writer, &pace);
	ck_assert_uint_eq(pace.commits, 0);
	counts.fail = false;
	ck_assert_int_eq(store_writer_wait(writer, ticket, 5000), 1);
	store_writer_pace(writer, &pace);
	ck_assert_uint_eq(pace.commits, 1);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	ck_assert_uint_eq(counts.inserted, 1);
	g_autoptr(GArray) ledger = store_ledger(store, NULL);
	ck_assert_uint_eq(g_array_index(ledger, struct store_source, 0).count[LEDGER_EVENT], 1);
	ck_assert_uint_eq(g_array_index(ledger, struct store_source, 0).count[LEDGER_KNOWN], 0);
	store_close(&store);
}
END_TEST

START_TEST(the_pace_is_that_of_the_last_commits)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {0};
	struct store_writer *writer = start(store, &counts, 0);
	struct store_pace pace;

	store_writer_pace(writer, &pace);
	ck_assert_uint_eq(pace.commits + pace.p50 + pace.p99 + pace.longest, 0);
	for (uint64_t i = 1; i <= WRITER_PACE + 10; i++)
		ck_assert_int_eq(store_writer_wait(writer, add(writer, i, true), 5000), 1);
	store_writer_pace(writer, &pace);
	ck_assert_uint_eq(pace.commits, WRITER_PACE);
	ck_assert_uint_gt(pace.p50, 0);
	ck_assert_uint_le(pace.p50, pace.p99);
	ck_assert_uint_le(pace.p99, pace.longest);
	ck_assert_uint_eq(pace.done, WRITER_PACE + 10);
	ck_assert_uint_eq(pace.running, 0);
	ck_assert_uint_eq(store_writer_longest(writer, 0), pace.longest);
	ck_assert_uint_le(store_writer_longest(writer, pace.done - 1), pace.longest);
	ck_assert_uint_gt(store_writer_longest(writer, pace.done - 1), 0);
	ck_assert_uint_eq(store_writer_longest(writer, pace.done), 0);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	store_close(&store);
}
END_TEST

START_TEST(stopping_ends_also_when_nothing_works)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.fail = true};
	struct store_writer *writer = start(store, &counts, 10);
	struct adding adding = {writer, 1, 10, 0};
	struct error err = {0};

	add_many(&adding);
	ck_assert_int_eq(store_writer_stop(&writer, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "made to fail"));
	store_close(&store);
}
END_TEST

START_TEST(a_writer_that_gives_up_ends_at_the_first_failure)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.fail = true};
	struct store_writer_config config = {.keep_days = -1,
	        .max_events = 10,
	        .give_up = true,
	        .after_commit = after_commit,
	        .ctx = &counts};
	struct error err = {0};
	uint64_t ticket = 0;

	store->fault = fault;
	store->fault_ctx = &counts;
	struct store_writer *writer = store_writer_new(store, &config, NULL);
	/* More than the batches hold: nobody is held back for ever. */
	for (uint64_t i = 1; i <= 100; i++)
		ticket = add(writer, i, false);
	ck_assert_int_eq(store_writer_wait(writer, ticket, 60000), -1);
	ck_assert_int_eq(counts.failures, 1);
	ck_assert_int_eq(store_writer_stop(&writer, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "made to fail"));
	store_close(&store);
}
END_TEST

START_TEST(who_adds_may_wait_for_some_time_only_and_is_told_why)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.fail = true};
	struct store_writer *writer = start(store, &counts, 10);
	struct error err = {0};

	ck_assert(!store_writer_trouble(writer, &err));
	add(writer, 1, true);
	for (int i = 0; i < 1000 && counts.failures < 1; i++)
		g_usleep(10000);
	for (uint64_t i = 2; i <= 11; i++)
		add(writer, i, false);
	ck_assert_ptr_null(store_writer_try_begin(writer, 20));
	ck_assert(store_writer_trouble(writer, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "made to fail"));
	counts.fail = false;
	ck_assert_ptr_nonnull(store_writer_try_begin(writer, 60000));
	store_writer_end(writer, false);
	ck_assert_int_eq(store_writer_wait(writer, add(writer, 12, true), 5000), 1);
	ck_assert(!store_writer_trouble(writer, &err));
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	ck_assert_uint_eq(counts.inserted, 12);
	store_close(&store);
}
END_TEST

static void write_old_and_new(struct store *store, unsigned days)
{
	struct store_writer_config config = {.keep_days = 10};
	int64_t now = clock_now();
	struct event old = make_event(EVENT_DELIVERY, now - days * CLOCK_DAY, 1, "old", "a@b");
	struct event new = make_event(EVENT_DELIVERY, now, 2, "new", "a@b");
	struct store_writer *writer = store_writer_new(store, &config, NULL);
	struct store_batch *batch = store_writer_begin(writer);

	store_batch_event(batch, &old);
	store_batch_event(batch, &new);
	uint64_t ticket = store_writer_end(writer, true);
	ck_assert_int_eq(store_writer_wait(writer, ticket, 5000), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "new"), 1);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
}

START_TEST(the_writer_leaves_out_what_is_too_old)
{
	struct store *store = open_store(dir, STORE_WRITE);

	write_old_and_new(store, 12);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "old"), 0);
	g_autoptr(GHashTable) counters = store_counters(store, NULL);
	ck_assert_int_eq(*(gint64 *)g_hash_table_lookup(counters, "too_old"), 1);
	store_close(&store);
}
END_TEST

START_TEST(a_clock_that_leaps_makes_nothing_too_old)
{
	struct store *store = open_store(dir, STORE_WRITE);
	int64_t now = clock_now(), boot = clock_boot(), believed;

	ck_assert_int_eq(
	        store_look_at_clock(store, now - 20 * CLOCK_DAY, boot, &believed, NULL), 0);
	ck_assert_int_eq(store_look_at_clock(store, now, boot, &believed, NULL), 0);
	ck_assert_int_eq(believed, now - 20 * CLOCK_DAY);
	ck_assert_int_le(ABS(store_now(store) - believed), CLOCK_MINUTE);
	write_old_and_new(store, 29);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "old"), 1);
	store_close(&store);
}
END_TEST

struct following {
	struct store *store;
	uint64_t last, seen;
	_Atomic bool stop;
};

static void follow_one(void *ctx, const struct event *event)
{
	struct following *following = ctx;

	/* Not one is left out. */
	ck_assert_uint_eq(event->arrival, following->last + 1);
	following->last = event->arrival;
	following->seen++;
}

static gpointer follow(gpointer p)
{
	struct following *following = p;
	struct search search = SEARCH_ALL;
	uint64_t since = 0;
	bool stop;

	do {
		stop = following->stop;
		search.limit = 300;
		search.as_of = 0;
		ck_assert_int_eq(store_arrivals(following->store, &search, since, follow_one,
		                         following, &since, NULL),
		        0);
	} while (!stop || since < store_mark(following->store));
	return NULL;
}

static gpointer count_pages(gpointer p)
{
	struct following *following = p;
	struct search search = SEARCH_ALL;
	const char *const list[] = {"m", NULL};
	uint64_t total;

	search.values[SEARCH_MESSAGE] = list;
	while (!following->stop) {
		search.as_of = 0;
		search.limit = 10;
		g_autoptr(GArray) ids = search_ids(following->store, &search, &total);
		/* Every event of the test matches: the snapshot is exact or it is not. */
		ck_assert_uint_eq(total, search.as_of);
		ck_assert_uint_eq(ids->len, MIN(total, 10));
		following->seen++;
	}
	return NULL;
}

struct job_seen {
	struct counts *counts;
	GThread *thread;
	int commits;
};

static int see(void *ctx, struct error *err)
{
	struct job_seen *seen = ctx;

	seen->thread = g_thread_self();
	seen->commits = seen->counts->commits;
	/* As one that makes room on a full disk. */
	seen->counts->fail = false;
	return error_set(err, "seen");
}

START_TEST(a_job_runs_between_commits_also_while_they_fail)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct counts counts = {.fail = true};
	struct job_seen seen = {.counts = &counts};
	struct store_writer *writer = start(store, &counts, 0);
	struct error err = {0};

	uint64_t ticket = add(writer, 1, true);
	while (counts.failures == 0)
		g_usleep(1000);
	ck_assert_int_eq(store_writer_run(writer, see, &seen, &err), -1);
	ck_assert_str_eq(err.text, "seen");
	ck_assert_ptr_ne(seen.thread, g_thread_self());
	ck_assert_int_eq(seen.commits, 0);
	ck_assert_int_eq(store_writer_wait(writer, ticket, 5000), 1);
	ck_assert_int_eq(counts.commits, 1);
	/* Nothing to commit: it runs at once. */
	ck_assert_int_eq(store_writer_run(writer, see, &seen, NULL), -1);
	ck_assert_int_eq(seen.commits, 1);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	store_close(&store);
}
END_TEST

START_TEST(readers_beside_the_writer_miss_nothing_and_see_exact_snapshots)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store *outside = open_store(dir, STORE_READ);
	struct counts counts = {0};
	struct store_writer *writer = start(store, &counts, 200);
	struct following following[] = {{store}, {outside}, {store}, {outside}};
	struct adding adding[] = {{writer, 1, 4000, 0}, {writer, 9000000, 4000, 0}};
	GThread *threads[6];

	for (int i = 0; i < 4; i++)
		threads[i] = g_thread_new("reader", i < 2 ? follow : count_pages, &following[i]);
	for (int i = 0; i < 2; i++)
		threads[4 + i] = g_thread_new("adding", add_many, &adding[i]);
	for (int i = 4; i < 6; i++)
		g_thread_join(threads[i]);
	ck_assert_int_eq(store_writer_stop(&writer, NULL), 0);
	for (int i = 0; i < 4; i++)
		following[i].stop = true;
	for (int i = 0; i < 4; i++)
		g_thread_join(threads[i]);
	ck_assert_uint_eq(counts.inserted, 8000);
	ck_assert_uint_eq(following[0].seen, 8000);
	ck_assert_uint_eq(following[1].seen, 8000);
	ck_assert_uint_gt(following[2].seen + following[3].seen, 0);
	store_close(&outside);
	store_close(&store);
}
END_TEST

int main(void)
{
	const TTest *const list[] = {what_was_added_becomes_durable,
	        events_that_come_during_a_commit_share_the_next_one,
	        a_full_batch_holds_back_those_who_add,
	        a_stream_of_events_is_grouped_and_somebody_who_waits_is_not,
	        a_commit_that_fails_is_tried_until_it_works, the_pace_is_that_of_the_last_commits,
	        a_backlog_is_committed_in_ever_larger_batches,
	        stopping_ends_also_when_nothing_works,
	        a_writer_that_gives_up_ends_at_the_first_failure,
	        who_adds_may_wait_for_some_time_only_and_is_told_why,
	        the_writer_leaves_out_what_is_too_old, a_clock_that_leaps_makes_nothing_too_old,
	        a_job_runs_between_commits_also_while_they_fail,
	        readers_beside_the_writer_miss_nothing_and_see_exact_snapshots, NULL};

	return run_store_tests("store writer", setup, teardown, list);
}
