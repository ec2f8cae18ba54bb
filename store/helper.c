#include "store/helper.h"

#include <glib.h>

struct helper {
	GThread *thread;
	GAsyncQueue *jobs;
	_Atomic bool hurry;
};

struct job {
	void (*run)(void *arg); /* NULL: end */
	void *arg;
};

static gpointer helper_main(gpointer p)
{
	struct helper *helper = p;

	for (;;) {
		g_autofree struct job *job = g_async_queue_pop(helper->jobs);
		if (job->run == NULL)
			return NULL;
		job->run(job->arg);
	}
}

static void push(struct helper *helper, void (*run)(void *arg), void *arg)
{
	struct job *job = g_new(struct job, 1);

	*job = (struct job){run, arg};
	g_async_queue_push(helper->jobs, job);
}

struct helper *helper_start(void)
{
	struct helper *helper = g_new0(struct helper, 1);

	helper->jobs = g_async_queue_new();
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
	while ((job = g_async_queue_try_pop((*helper)->jobs)) != NULL) {
		job->run(job->arg);
		g_free(job);
	}
	g_async_queue_unref((*helper)->jobs);
	g_clear_pointer(helper, g_free);
}

void helper_do(struct helper *helper, void (*job)(void *arg), void *arg)
{
	if (helper == NULL)
		job(arg);
	else
		push(helper, job, arg);
}

void helper_hurry(struct helper *helper)
{
	helper->hurry = true;
}

bool helper_in_hurry(const struct helper *helper)
{
	return helper != NULL && helper->hurry;
}
