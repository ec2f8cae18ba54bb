#include "query/streams.h"

#include <glib.h>
#include <pthread.h>

#include "base/clock.h"
#include "query/connections.h"

/* How often the mark is looked at while somebody waits. */
#define STREAMS_LOOK_MS 100

struct waiting {
	void *job;
	uint64_t mark;
	int64_t due;
};

struct streams {
	struct streams_config config;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started, stopping;
	GArray *waiting; /* struct waiting */
};

/* Takes out of the list who is to be woken: all of them at the end. Under the lock. */
static GArray *streams_ripe(struct streams *streams)
{
	GArray *ripe = g_array_new(FALSE, FALSE, sizeof(struct waiting));
	uint64_t mark = streams->config.mark(streams->config.ctx);
	int64_t now = connections_clock();

	for (guint i = streams->waiting->len; i-- > 0;) {
		struct waiting one = g_array_index(streams->waiting, struct waiting, i);

		if (!streams->stopping && one.mark == mark && one.due > now)
			continue;
		g_array_append_val(ripe, one);
		g_array_remove_index_fast(streams->waiting, i);
	}
	return ripe;
}

static void streams_sleep(struct streams *streams)
{
	int64_t until = connections_clock() + STREAMS_LOOK_MS;

	if (streams->waiting->len == 0)
		pthread_cond_wait(&streams->changed, &streams->lock);
	else
		clock_cond_wait_until(&streams->changed, &streams->lock, until * 1000);
}

static void *streams_thread(void *arg)
{
	struct streams *streams = arg;
	bool stopping = false;

	while (!stopping) {
		pthread_mutex_lock(&streams->lock);
		if (!streams->stopping)
			streams_sleep(streams);
		stopping = streams->stopping;
		g_autoptr(GArray) ripe = streams_ripe(streams);
		pthread_mutex_unlock(&streams->lock);
		for (guint i = 0; i < ripe->len; i++)
			streams->config.wake(streams->config.ctx,
			        g_array_index(ripe, struct waiting, i).job, stopping);
	}
	return NULL;
}

struct streams *streams_new(const struct streams_config *config, struct error *err)
{
	struct streams *streams = g_new0(struct streams, 1);

	streams->config = *config;
	streams->waiting = g_array_new(FALSE, FALSE, sizeof(struct waiting));
	pthread_mutex_init(&streams->lock, NULL);
	clock_cond_init(&streams->changed);
	int number = pthread_create(&streams->thread, NULL, streams_thread, streams);
	streams->started = number == 0;
	if (streams->started)
		return streams;
	error_errno(err, number, "cannot start a thread of the query server");
	streams_free(&streams);
	return NULL;
}

void streams_stop(struct streams *streams)
{
	pthread_mutex_lock(&streams->lock);
	streams->stopping = true;
	pthread_cond_broadcast(&streams->changed);
	pthread_mutex_unlock(&streams->lock);
	if (streams->started)
		pthread_join(streams->thread, NULL);
	streams->started = false;
}

void streams_free(struct streams **streams)
{
	struct streams *s = *streams;

	if (s == NULL)
		return;
	streams_stop(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	g_array_unref(s->waiting);
	g_clear_pointer(streams, g_free);
}

bool streams_wait(struct streams *streams, void *job, uint64_t mark)
{
	const struct waiting one = {
	        .job = job,
	        .mark = mark,
	        .due = connections_clock() + streams->config.beat_ms,
	};

	pthread_mutex_lock(&streams->lock);
	bool waits = !streams->stopping;
	if (waits)
		g_array_append_val(streams->waiting, one);
	pthread_cond_signal(&streams->changed);
	pthread_mutex_unlock(&streams->lock);
	return waits;
}
