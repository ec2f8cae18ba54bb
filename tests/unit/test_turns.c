#include "query/turns.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/unit.h"

#define THREADS 6

/* Threads that want a turn one after the other; what they did is written down in letters. */
struct worker {
	const struct search_turns *turns;
	pthread_t thread;
	char letter;
	int pieces;  /* of work, with a breath after each */
	int work_ms; /* of a piece */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GString *done;
static atomic_int inside, most, waited;

static void *work(void *arg)
{
	struct worker *worker = arg;

	worker->turns->take(worker->turns->ctx);
	for (int i = 0; i < worker->pieces; i++) {
		int n = atomic_fetch_add(&inside, 1) + 1;
		if (n > atomic_load(&most))
			atomic_store(&most, n);
		g_usleep((gulong)worker->work_ms * 1000);
		pthread_mutex_lock(&lock);
		g_string_append_c(done, worker->letter);
		pthread_mutex_unlock(&lock);
		atomic_fetch_sub(&inside, 1);
		atomic_fetch_add(&waited, worker->turns->breathe(worker->turns->ctx) > 0);
	}
	worker->turns->give(worker->turns->ctx);
	return NULL;
}

/* Starts them in order, while this thread has all turns, and waits for them. */
static void run(struct turns *turns, unsigned running, struct worker *workers, int n)
{
	const struct search_turns *searches = turns_for_search(turns);

	done = g_string_new(NULL);
	atomic_store(&most, 0);
	atomic_store(&waited, 0);
	for (unsigned i = 0; i < running; i++)
		searches->take(searches->ctx);
	for (int i = 0; i < n; i++) {
		workers[i].turns = searches;
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
		g_usleep(30000);
	}
	ck_assert_str_eq(done->str, "");
	for (unsigned i = 0; i < running; i++)
		searches->give(searches->ctx);
	for (int i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
}

START_TEST(turns_come_in_the_order_in_which_they_were_asked_for)
{
	struct turns *turns = turns_new(1, 60000);
	struct worker workers[] = {{.letter = 'a', .pieces = 2}, {.letter = 'b', .pieces = 2},
	        {.letter = 'c', .pieces = 2}};

	run(turns, 1, workers, 3);
	ck_assert_str_eq(done->str, "aabbcc");
	ck_assert_int_eq(atomic_load(&waited), 0);
	ck_assert_int_eq(atomic_load(&most), 1);
	g_string_free(done, TRUE);
	turns_free(&turns);
}
END_TEST

START_TEST(a_long_one_lets_those_that_wait_go_first)
{
	struct turns *turns = turns_new(1, 1);
	struct worker workers[] = {{.letter = 'a', .pieces = 3, .work_ms = 5},
	        {.letter = 'b', .pieces = 1}, {.letter = 'c', .pieces = 1}};

	run(turns, 1, workers, 3);
	ck_assert_str_eq(done->str, "abcaa");
	/* On a busy machine the others are long ones as well. */
	ck_assert_int_ge(atomic_load(&waited), 1);
	g_string_free(done, TRUE);
	turns_free(&turns);
}
END_TEST

START_TEST(no_more_than_allowed_run_at_a_time)
{
	struct turns *turns = turns_new(2, 1);
	struct worker workers[THREADS];

	for (int i = 0; i < THREADS; i++)
		workers[i] = (struct worker){.letter = 'x', .pieces = 5, .work_ms = 4};
	run(turns, 2, workers, THREADS);
	ck_assert_uint_eq(done->len, THREADS * 5);
	ck_assert_int_eq(atomic_load(&most), 2);
	g_string_free(done, TRUE);
	turns_free(&turns);
}
END_TEST

START_TEST(open_turns_are_waited_for_by_nobody)
{
	struct turns *turns = turns_new(1, 60000);
	struct worker workers[THREADS];

	done = g_string_new(NULL);
	turns_for_search(turns)->take(turns_for_search(turns)->ctx);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
		        .turns = turns_for_search(turns), .letter = 'x', .pieces = 1};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	turns_open(turns);
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	ck_assert_uint_eq(done->len, THREADS);
	g_string_free(done, TRUE);
	turns_free(&turns);
}
END_TEST

UNIT_MAIN("turns", turns_come_in_the_order_in_which_they_were_asked_for,
        a_long_one_lets_those_that_wait_go_first, no_more_than_allowed_run_at_a_time,
        open_turns_are_waited_for_by_nobody)
