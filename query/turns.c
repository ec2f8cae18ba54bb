#include "query/turns.h"

#include <glib.h>
#include <pthread.h>

/* Numbers as at a counter: who asks draws one, and those below `called` run. */
struct turns {
	struct search_turns for_search;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t drawn, called;
	int64_t slice; /* us */
};

/* When this thread's turn began: monotonic, us. */
static _Thread_local int64_t begun;

static void turns_wait(struct turns *turns)
{
	uint64_t number = turns->drawn++;

	while (number >= turns->called)
		pthread_cond_wait(&turns->changed, &turns->lock);
	begun = g_get_monotonic_time();
}

static void turns_call(struct turns *turns)
{
	turns->called++;
	pthread_cond_broadcast(&turns->changed);
}

static void take(void *ctx)
{
	struct turns *turns = ctx;

	pthread_mutex_lock(&turns->lock);
	turns_wait(turns);
	pthread_mutex_unlock(&turns->lock);
}

static void give(void *ctx)
{
	struct turns *turns = ctx;

	pthread_mutex_lock(&turns->lock);
	turns_call(turns);
	pthread_mutex_unlock(&turns->lock);
}

static int64_t breathe(void *ctx)
{
	struct turns *turns = ctx;
	int64_t now = g_get_monotonic_time(), waited = 0;

	if (now - begun < turns->slice)
		return 0;
	pthread_mutex_lock(&turns->lock);
	if (turns->drawn > turns->called) {
		turns_call(turns);
		turns_wait(turns);
		waited = begun - now;
	}
	pthread_mutex_unlock(&turns->lock);
	return waited;
}

void turns_open(struct turns *turns)
{
	pthread_mutex_lock(&turns->lock);
	turns->called = UINT64_MAX / 2;
	pthread_cond_broadcast(&turns->changed);
	pthread_mutex_unlock(&turns->lock);
}

struct turns *turns_new(unsigned running, int slice_ms)
{
	struct turns *turns = g_new0(struct turns, 1);

	turns->for_search = (struct search_turns){take, breathe, give, turns};
	turns->called = running;
	turns->slice = (int64_t)slice_ms * 1000;
	pthread_mutex_init(&turns->lock, NULL);
	pthread_cond_init(&turns->changed, NULL);
	return turns;
}

void turns_free(struct turns **turns)
{
	if (*turns == NULL)
		return;
	pthread_cond_destroy(&(*turns)->changed);
	pthread_mutex_destroy(&(*turns)->lock);
	g_clear_pointer(turns, g_free);
}

const struct search_turns *turns_for_search(const struct turns *turns)
{
	return &turns->for_search;
}
