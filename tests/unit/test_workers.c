#include "query/workers.h"

#include <glib.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/unit.h"

/* Jobs are names; what ran is written down. One whose name is in upper case waits for `open`. */
static GMutex lock;
static GString *ran;
static atomic_int gates_open, at_gate;

static void run(void *job)
{
	const char *name = job;

	if (g_ascii_isupper(*name)) {
		atomic_fetch_add(&at_gate, 1);
		while (!atomic_load(&gates_open))
			g_usleep(1000);
	}
	g_mutex_lock(&lock);
	g_string_append(ran, name);
	g_mutex_unlock(&lock);
}

static struct workers *start(unsigned threads)
{
	struct error err = {0};
	struct workers *workers = workers_new(threads, run, &err);

	ck_assert_msg(workers != NULL, "%s", err.text);
	ran = g_string_new(NULL);
	atomic_store(&gates_open, 0);
	atomic_store(&at_gate, 0);
	return workers;
}

static void push(struct workers *workers, uint64_t owner, const char *names)
{
	for (; *names != '\0'; names++) {
		/* Constant strings of one letter. */
		static char letters[256][2];
		letters[(unsigned char)*names][0] = *names;
		ck_assert(workers_push(workers, owner, letters[(unsigned char)*names]));
	}
}

static void wait_for(atomic_int *value, int wanted)
{
	for (int tries = 2000; atomic_load(value) != wanted && tries > 0; tries--)
		g_usleep(5000);
	ck_assert_int_eq(atomic_load(value), wanted);
}

static void wait_ran(const char *wanted)
{
	for (int tries = 2000; tries > 0; tries--) {
		g_mutex_lock(&lock);
		bool done = strcmp(ran->str, wanted) == 0;
		g_mutex_unlock(&lock);
		if (done)
			return;
		g_usleep(5000);
	}
	ck_abort_msg("ran %s, want %s", ran->str, wanted);
}

static void stop(struct workers *workers)
{
	atomic_store(&gates_open, 1);
	workers_stop(workers);
	workers_free(&workers);
	g_string_free(ran, TRUE);
}

START_TEST(one_owner_has_its_jobs_done_in_order)
{
	struct workers *workers = start(1);

	push(workers, 7, "abcdef");
	wait_ran("abcdef");
	stop(workers);
}
END_TEST

START_TEST(an_owner_with_many_jobs_leaves_a_thread_to_the_others)
{
	struct workers *workers = start(2);

	push(workers, 1, "ABCD");
	wait_for(&at_gate, 2);
	push(workers, 2, "xyz");
	wait_ran("xyz");
	ck_assert_int_eq(atomic_load(&at_gate), 2); /* the third thread takes none of the first */
	ck_assert_uint_eq(workers_waiting(workers, 1), 2);
	ck_assert_uint_eq(workers_waiting(workers, 2), 0);
	ck_assert_uint_eq(workers_waiting(workers, 3), 0);
	stop(workers);
}
END_TEST

START_TEST(owners_take_turns)
{
	struct workers *workers = start(1);

	push(workers, 1, "A");
	wait_for(&at_gate, 1);
	push(workers, 2, "B"); /* both threads are held up */
	wait_for(&at_gate, 2);
	push(workers, 3, "cde");
	push(workers, 4, "xyz");
	atomic_store(&gates_open, 1);
	workers_stop(workers);
	ck_assert_uint_eq(ran->len, 8);
	const char *x = strchr(ran->str, 'x'), *e = strchr(ran->str, 'e');
	ck_assert_msg(x < e, "%s", ran->str);
	ck_assert_msg(strchr(ran->str, 'c') < strchr(ran->str, 'z'), "%s", ran->str);
	stop(workers);
}
END_TEST

START_TEST(a_stop_runs_what_waits_and_takes_no_more)
{
	struct workers *workers = start(1);

	push(workers, 1, "A");
	wait_for(&at_gate, 1);
	push(workers, 1, "bcd");
	atomic_store(&gates_open, 1);
	workers_stop(workers);
	ck_assert_str_eq(ran->str, "Abcd");
	ck_assert(!workers_push(workers, 1, ran->str));
	ck_assert_uint_eq(workers_waiting(workers, 1), 0);
	stop(workers);
}
END_TEST

UNIT_MAIN("workers", one_owner_has_its_jobs_done_in_order,
        an_owner_with_many_jobs_leaves_a_thread_to_the_others, owners_take_turns,
        a_stop_runs_what_waits_and_takes_no_more)
