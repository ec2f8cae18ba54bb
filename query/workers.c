#include "query/workers.h"

#include <glib.h>
#include <pthread.h>
#include <sys/resource.h>

/* Searches give way to what takes mails and logs in: many clients at once would else slow that down
 * to a third. On Linux a thread has a nice value of its own. */
#define NICE 10

/* POSIX threads, not GThreadPool: ThreadSanitizer does not see the futexes of GLib. */
struct workers {
	void (*run)(void *job);
	pthread_mutex_t lock;
	pthread_cond_t changed;
	GQueue jobs;
	bool stopping;
	unsigned threads;
	pthread_t thread[];
};

static void *workers_thread(void *arg)
{
	struct workers *workers = arg;

#ifdef __linux__
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE);
#endif
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		void *job = g_queue_pop_head(&workers->jobs);

		if (job != NULL) {
			pthread_mutex_unlock(&workers->lock);
			workers->run(job);
			pthread_mutex_lock(&workers->lock);
		} else if (workers->stopping) {
			break;
		} else {
			pthread_cond_wait(&workers->changed, &workers->lock);
		}
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

struct workers *workers_new(unsigned threads, void (*run)(void *job), struct error *err)
{
	struct workers *workers = g_malloc0(sizeof(*workers) + threads * sizeof(pthread_t));

	workers->run = run;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->changed, NULL);
	g_queue_init(&workers->jobs);
	while (workers->threads < threads) {
		int number = pthread_create(
		        &workers->thread[workers->threads], NULL, workers_thread, workers);

		if (number != 0) {
			error_errno(err, number, "cannot start a thread of the query server");
			workers_stop(workers);
			workers_free(&workers);
			return NULL;
		}
		workers->threads++;
	}
	return workers;
}

bool workers_push(struct workers *workers, void *job)
{
	pthread_mutex_lock(&workers->lock);
	bool taken = !workers->stopping;
	if (taken)
		g_queue_push_tail(&workers->jobs, job);
	pthread_cond_signal(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	return taken;
}

void workers_stop(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->threads; i++)
		pthread_join(workers->thread[i], NULL);
	workers->threads = 0;
}

void workers_free(struct workers **workers)
{
	if (*workers == NULL)
		return;
	g_queue_clear(&(*workers)->jobs);
	pthread_cond_destroy(&(*workers)->changed);
	pthread_mutex_destroy(&(*workers)->lock);
	g_clear_pointer(workers, g_free);
}
