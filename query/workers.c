#include "query/workers.h"

#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

/* On Linux a thread has a nice value of its own. */
#define NICE 10

/* Somebody with jobs that wait or run. */
struct owner {
	uint64_t number;
	GQueue jobs;
	unsigned running;
	GList turn; /* in `turns` while jobs wait */
};

/* POSIX threads, not GThreadPool: ThreadSanitizer does not see the futexes of GLib. */
struct workers {
	void (*run)(void *job);
	pthread_mutex_t lock;
	pthread_cond_t changed;
	GHashTable *owners; /* uint64_t in struct owner -> it */
	GQueue turns;
	bool stopping;
	unsigned share; /* threads that one owner may have */
	unsigned threads;
	pthread_t thread[];
};

/* The owner whose turn it is; its next turn comes after all others. */
static struct owner *workers_turn(struct workers *workers)
{
	for (GList *link = workers->turns.head; link != NULL; link = link->next) {
		struct owner *owner = link->data;

		if (owner->running == workers->share)
			continue;
		g_queue_unlink(&workers->turns, link);
		g_queue_push_tail_link(&workers->turns, link);
		return owner;
	}
	return NULL;
}

/* Runs a job of the owner, without the lock. */
static void workers_run(struct workers *workers, struct owner *owner)
{
	void *job = g_queue_pop_head(&owner->jobs);

	if (owner->jobs.length == 0)
		g_queue_unlink(&workers->turns, &owner->turn);
	owner->running++;
	pthread_mutex_unlock(&workers->lock);
	workers->run(job);
	pthread_mutex_lock(&workers->lock);
	owner->running--;
	if (owner->running == 0 && owner->jobs.length == 0)
		g_hash_table_remove(workers->owners, &owner->number);
}

/* Searches give way to what takes mails and logs in: many clients at once would else slow that down
 * to a third. A nice value alone does not do it: each step of a commit to the disk (threads of the
 * kernel's too) would wait for the slice of a search where no core is idle. So one is left to them,
 * always the same one. */
static void workers_give_way(void)
{
#ifdef __linux__
	cpu_set_t cores;
	int last = CPU_SETSIZE - 1;

	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE);
	if (sched_getaffinity(0, sizeof(cores), &cores) < 0 || CPU_COUNT(&cores) < 2)
		return;
	while (!CPU_ISSET(last, &cores))
		last--;
	CPU_CLR(last, &cores);
	sched_setaffinity(0, sizeof(cores), &cores);
#endif
}

static void *workers_thread(void *arg)
{
	struct workers *workers = arg;

	workers_give_way();
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct owner *owner = workers_turn(workers);

		if (owner != NULL)
			workers_run(workers, owner);
		else if (workers->stopping)
			break;
		else
			pthread_cond_wait(&workers->changed, &workers->lock);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

unsigned workers_cores(void)
{
	return MAX(g_get_num_processors(), 2) - 1;
}

struct workers *workers_new(unsigned threads, void (*run)(void *job), struct error *err)
{
	struct workers *workers =
	        g_malloc0(sizeof(*workers) + (threads + 1) * sizeof(workers->thread[0]));

	workers->run = run;
	workers->share = threads;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->changed, NULL);
	workers->owners = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	g_queue_init(&workers->turns);
	while (workers->threads <= threads) {
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

static struct owner *workers_owner(struct workers *workers, uint64_t number)
{
	struct owner *owner = g_hash_table_lookup(workers->owners, &number);

	if (owner != NULL)
		return owner;
	owner = g_new0(struct owner, 1);
	owner->number = number;
	owner->turn.data = owner;
	g_queue_init(&owner->jobs);
	g_hash_table_insert(workers->owners, &owner->number, owner);
	return owner;
}

bool workers_push(struct workers *workers, uint64_t number, void *job)
{
	pthread_mutex_lock(&workers->lock);
	bool taken = !workers->stopping;
	if (taken) {
		struct owner *owner = workers_owner(workers, number);

		if (owner->jobs.length == 0)
			g_queue_push_tail_link(&workers->turns, &owner->turn);
		g_queue_push_tail(&owner->jobs, job);
	}
	pthread_cond_signal(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	return taken;
}

unsigned workers_waiting(struct workers *workers, uint64_t number)
{
	pthread_mutex_lock(&workers->lock);
	const struct owner *owner = g_hash_table_lookup(workers->owners, &number);
	unsigned n = owner != NULL ? owner->jobs.length : 0;
	pthread_mutex_unlock(&workers->lock);
	return n;
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
	g_hash_table_unref((*workers)->owners);
	pthread_cond_destroy(&(*workers)->changed);
	pthread_mutex_destroy(&(*workers)->lock);
	g_clear_pointer(workers, g_free);
}
