#include "milter/waiters.h"

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

struct waiters {
	void (*work)(void *item);
	void (*done)(void *ctx);
	void *ctx;
	size_t most;

	pthread_mutex_t
	        lock; /* guards the rest; not GMutex, which the thread sanitizer cannot see */
	pthread_cond_t came;
	GQueue items, worked;
	GPtrArray *threads;
	size_t idle;
	bool stop;
};

static gpointer waiters_run(gpointer data)
{
	struct waiters *waiters = data;

	pthread_mutex_lock(&waiters->lock);
	for (;;) {
		while (!waiters->stop && waiters->items.length == 0) {
			waiters->idle++;
			pthread_cond_wait(&waiters->came, &waiters->lock);
			waiters->idle--;
		}
		if (waiters->stop)
			break;
		void *item = g_queue_pop_head(&waiters->items);
		pthread_mutex_unlock(&waiters->lock);
		waiters->work(item);
		pthread_mutex_lock(&waiters->lock);
		g_queue_push_tail(&waiters->worked, item);
		waiters->done(waiters->ctx);
	}
	pthread_mutex_unlock(&waiters->lock);
	return NULL;
}

struct waiters *waiters_new(
        size_t most, void (*work)(void *item), void (*done)(void *ctx), void *ctx)
{
	struct waiters *waiters = g_new0(struct waiters, 1);

	*waiters = (struct waiters){.work = work, .done = done, .ctx = ctx, .most = most};
	pthread_mutex_init(&waiters->lock, NULL);
	pthread_cond_init(&waiters->came, NULL);
	waiters->threads = g_ptr_array_new();
	return waiters;
}

/* Where no thread can be had the item waits for one that there is; the first must be. With the lock
 * held. */
static void waiters_grow(struct waiters *waiters)
{
	g_autoptr(GError) error = NULL;

	if (waiters->items.length <= waiters->idle || waiters->threads->len >= waiters->most)
		return;
	GThread *thread = waiters->threads->len == 0
	                          ? g_thread_new("milter-end", waiters_run, waiters)
	                          : g_thread_try_new("milter-end", waiters_run, waiters, &error);
	if (thread != NULL)
		g_ptr_array_add(waiters->threads, thread);
}

void waiters_give(struct waiters *waiters, void *item)
{
	pthread_mutex_lock(&waiters->lock);
	g_queue_push_tail(&waiters->items, item);
	waiters_grow(waiters);
	pthread_cond_signal(&waiters->came);
	pthread_mutex_unlock(&waiters->lock);
}

void *waiters_take(struct waiters *waiters)
{
	pthread_mutex_lock(&waiters->lock);
	void *item = g_queue_pop_head(&waiters->worked);
	pthread_mutex_unlock(&waiters->lock);
	return item;
}

void waiters_stop(struct waiters *waiters)
{
	pthread_mutex_lock(&waiters->lock);
	waiters->stop = true;
	pthread_cond_broadcast(&waiters->came);
	pthread_mutex_unlock(&waiters->lock);
	for (guint i = 0; i < waiters->threads->len; i++)
		g_thread_join(waiters->threads->pdata[i]);
	g_ptr_array_set_size(waiters->threads, 0);
}

void waiters_free(struct waiters **waiters)
{
	struct waiters *w = *waiters;

	if (w == NULL)
		return;
	waiters_stop(w);
	g_queue_clear(&w->items);
	g_queue_clear(&w->worked);
	g_ptr_array_unref(w->threads);
	pthread_cond_destroy(&w->came);
	pthread_mutex_destroy(&w->lock);
	g_clear_pointer(waiters, g_free);
}
