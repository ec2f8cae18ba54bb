#include "query/streams.h"

#include <glib.h>
#include <stdatomic.h>

#include "tests/support/unit.h"

static _Atomic uint64_t mark;
static atomic_int woken, ended;

static uint64_t look(void *ctx)
{
	(void)ctx;
	return atomic_load(&mark);
}

static void wake(void *ctx, void *job, bool stopping)
{
	(void)ctx;
	atomic_fetch_add(stopping ? &ended : &woken, *(int *)job);
}

static struct streams *start(int beat_ms)
{
	const struct streams_config config = {.beat_ms = beat_ms, .mark = look, .wake = wake};
	struct error err = {0};

	atomic_store(&mark, 7);
	atomic_store(&woken, 0);
	atomic_store(&ended, 0);
	struct streams *streams = streams_new(&config, &err);
	ck_assert_msg(streams != NULL, "%s", err.text);
	return streams;
}

/* Waits up to 10 s. */
static void wait_for(atomic_int *value, int wanted)
{
	for (int tries = 2000; atomic_load(value) != wanted && tries > 0; tries--)
		g_usleep(5000);
	ck_assert_int_eq(atomic_load(value), wanted);
}

START_TEST(a_mark_that_grows_wakes_who_waits_once)
{
	struct streams *streams = start(60000);
	int one = 1, two = 10;

	ck_assert(streams_wait(streams, &one, 7));
	ck_assert(streams_wait(streams, &two, 7));
	g_usleep(250000);
	ck_assert_int_eq(atomic_load(&woken), 0);
	atomic_store(&mark, 8);
	wait_for(&woken, 11);
	atomic_store(&mark, 9);
	g_usleep(250000);
	ck_assert_int_eq(atomic_load(&woken), 11);
	streams_free(&streams);
	ck_assert_int_eq(atomic_load(&ended), 0);
}
END_TEST

START_TEST(a_mark_that_grew_before_the_wait_is_not_missed)
{
	struct streams *streams = start(60000);
	int one = 1;

	ck_assert(streams_wait(streams, &one, 6));
	wait_for(&woken, 1);
	streams_free(&streams);
}
END_TEST

START_TEST(nobody_waits_longer_than_a_beat)
{
	struct streams *streams = start(300);
	gint64 begun = g_get_monotonic_time();
	int one = 1;

	ck_assert(streams_wait(streams, &one, 7));
	wait_for(&woken, 1);
	ck_assert_int_ge(g_get_monotonic_time() - begun, 290000);
	streams_free(&streams);
}
END_TEST

START_TEST(a_stop_wakes_all_for_the_last_time)
{
	struct streams *streams = start(60000);
	int one = 1, two = 10;

	ck_assert(streams_wait(streams, &one, 7));
	ck_assert(streams_wait(streams, &two, 7));
	streams_stop(streams);
	ck_assert_int_eq(atomic_load(&ended), 11);
	ck_assert(!streams_wait(streams, &one, 7));
	streams_free(&streams);
	ck_assert_int_eq(atomic_load(&ended), 11);
}
END_TEST

UNIT_MAIN("streams", a_mark_that_grows_wakes_who_waits_once,
        a_mark_that_grew_before_the_wait_is_not_missed, nobody_waits_longer_than_a_beat,
        a_stop_wakes_all_for_the_last_time)
