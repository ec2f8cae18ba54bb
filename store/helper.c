#include "store/helper.h"

#include <glib.h>
#include <pthread.h>

struct helper {
	GThread *thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	GQueue jobs; /* of struct job */
	_Atomic bool hurry;
};

struct job {
	void (*run)(void *arg); /* NULL: end */
	void *arg;
};

static struct job *next_job(struct helper *helper)
{
	pthread_mutex_lock(&helper->lock);
	while (g_queue_is_empty(&helper->jobs))
		pthread_cond_wait(&helper->changed, &helper->lock);
	struct job *job = g_queue_pop_head(&helper->jobs);
	pthread_mutex_unlock(&helper->lock);
	return job;
}

static gpointer helper_main(gpointer p)
{
	struct helper *helper = p;

	for (;;) {
		g_autofree struct job *job = next_job(helper);
		if (job->run == NULL)
			return NULL;
		job->run(job->arg);
	}
}

static void push(struct helper *helper, void (*run)(void *arg), void *arg)
{
	struct job *job = g_new(struct job, 1);

	*job = (struct job){run, arg};
	pthread_mutex_lock(&helper->lock);
	g_queue_push_tail(&helper->jobs, job);
	pthread_cond_broadcast(&helper->changed);
	pthread_mutex_unlock(&helper->lock);
}

struct helper *helper_start(void)
{
	struct helper *helper = g_new0(struct helper, 1);

	pthread_mutex_init(&helper->lock, NULL);
	pthread_cond_init(&helper->changed, NULL);
	helper->thread = g_thread_new("store-helper", helper_main, helper);
	return helper;
}

void helper_stop(struct helper **helper)
{
	if (*helper == NULL)
		return;
	push(*helper, NULL, NULL);
	g_thread_join((*helper)->thread);
	/* Jobs may ask for jobs: those that came behind the end are done here. */
	struct job *job;
	while ((job = g_queue_pop_head(&(*helper)->jobs)) != NULL) {
		job->run(job->arg);
		g_free(job);
	}
	pthread_cond_destroy(&(*helper)->changed);
	pthread_mutex_destroy(&(*helper)->lock);
	g_clear_pointer(helper, g_free);
}

void helper_do(struct helper *helper, void (*job)(void *arg), void *arg)
{
	if (helper == NULL)
		job(arg);
	else
		push(helper, job, arg);
}

struct drain {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
};

static void drained(void *arg)
{
	struct drain *drain = arg;

	pthread_mutex_lock(&drain->lock);
	drain->done = true;
	pthread_cond_signal(&drain->changed);
	pthread_mutex_unlock(&drain->lock);
}

void helper_drain(struct helper *helper)
{
	struct drain drain = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

	helper_do(helper, drained, &drain);
	pthread_mutex_lock(&drain.lock);
	while (!drain.done)
		pthread_cond_wait(&drain.changed, &drain.lock);
	pthread_mutex_unlock(&drain.lock);
	pthread_cond_destroy(&drain.changed);
	pthread_mutex_destroy(&drain.lock);
}

void helper_hurry(struct helper *helper)
{
	helper->hurry = true;
}

bool helper_in_hurry(const struct helper *helper)
{
	return helper != NULL && helper->hurry;
}
