/* What the daemon tells of the clock, with clocks that the test sets and holds. */
#include "daemon/health.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define STEP 62 /* s */

static char *dir;
static struct store *store;
static struct capture *capture;

/* Of the test's own thread. */
static _Thread_local time_t set_by; /* s by which the wall clock was set */
static _Thread_local time_t slept;  /* s for which the thread was held */
static _Thread_local time_t hold;   /* s for which the next reading of the wall clock holds it */

/* In the place of the C library's, for all that is linked here. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
	int result = (int)syscall(SYS_clock_gettime, clock, time);

	if (clock == CLOCK_REALTIME) {
		slept += hold;
		hold = 0;
	}
	time->tv_sec += slept + (clock == CLOCK_REALTIME ? set_by : 0);
	return result;
}

static void setup(void)
{
	const struct capture_config config = {.trace = {.log_followed = true}, .keep_days = -1};

	dir = scratch_make();
	store = open_store(dir, STORE_WRITE);
	set_by = slept = hold = 0;
	ck_assert_int_eq(capture_open(&capture, store, &config, NULL), 0);
}

static void teardown(void)
{
	store_close(&store);
	scratch_remove(&dir);
}

static void note(void *ctx, const struct store_gap *gap)
{
	g_autofree char *text = slice_dup(gap->text);

	g_ptr_array_add(ctx, g_steal_pointer(&text));
}

/* What was told, after all is written. */
static GPtrArray *told(void)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

	ck_assert_int_eq(capture_close(&capture, NULL), 0);
	ck_assert_int_eq(store_each_gap(store, 10, note, texts, NULL), 0);
	return texts;
}

START_TEST(a_clock_that_is_set_is_told)
{
	struct health health = {0};

	health_look(&health, capture);
	set_by = STEP;
	health_look(&health, capture);
	health_look(&health, capture);
	g_autoptr(GPtrArray) texts = told();
	ck_assert_uint_eq(texts->len, 1);
	ck_assert_ptr_nonnull(strstr(texts->pdata[0], "set forward by 6"));
}
END_TEST

START_TEST(a_thread_that_waits_sets_no_clock)
{
	struct health health = {0};

	for (int i = 0; i < 3; i++) {
		health_look(&health, capture);
		slept += STEP;
	}
	g_autoptr(GPtrArray) texts = told();
	ck_assert_uint_eq(texts->len, 0);
}
END_TEST

START_TEST(a_thread_that_is_held_between_the_clocks_sets_none)
{
	struct health health = {0};

	for (int i = 0; i < 3; i++) {
		health_look(&health, capture);
		hold = i == 0 ? STEP : 0;
	}
	g_autoptr(GPtrArray) texts = told();
	ck_assert_uint_eq(texts->len, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_clock_that_is_set_is_told,
	        a_thread_that_waits_sets_no_clock,
	        a_thread_that_is_held_between_the_clocks_sets_none, NULL};

	return run_store_tests("health", setup, teardown, tests);
}
