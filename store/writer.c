#include "store/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/store.h"

#define DEFAULT_EVENTS 1000
/* From one commit to the next, when nobody waits: the slower the disk, the fewer. */
#define GROUP_LEAST (20 * G_TIME_SPAN_MILLISECOND)
#define GROUP_MOST (50 * G_TIME_SPAN_MILLISECOND)
#define GROUP_COMMITS 4 /* times what the last commit took */
#define BACKOFF_FIRST (100 * G_TIME_SPAN_MILLISECOND)
#define BACKOFF_LAST (5 * G_TIME_SPAN_SECOND)
/* Where a batch was full when its turn came, the next one may hold twice as many, so that a backlog
 * shares the syncs of the disk; at most so many, which are some MB and half a second of a commit.
 */
#define BACKLOG_EVENTS 8000
/* Lines that make no events cost something too: a batch of so many is full as well. */
#define LINES_AN_EVENT 16

struct job {
	store_job *run;
	void *ctx;
	struct error *err;
	int result;
	bool done;
};

struct store_writer {
	struct store *store;
	struct store_writer_config config;
	GThread *thread;

	pthread_mutex_t lock; /* held between begin and end */
	pthread_cond_t changed;
	struct store_batch *current; /* being filled */
	size_t most;                 /* events that it may hold */
	uint64_t ticket;             /* of `current` */
	uint64_t durable;            /* all up to it are committed */
	bool urgent, stop;
	bool idle;                 /* the thread waits for the first thing to do */
	struct job *job;           /* that it is to run */
	bool ended;                /* it takes no more jobs */
	bool gave_up;              /* and has ended */
	struct error trouble;      /* of the last commit, if it failed */
	guint32 took[WRITER_PACE]; /* us; the commits, by turns */
	unsigned commits;          /* that worked */
	gint64 running;            /* monotonic time when the commit under way began; 0: none is */

	/* Of the thread. */
	struct store_batch *spare;
	gint64 committed; /* monotonic time of the end of the last commit */
	gint64 group;     /* the pause after it, us */
};

static bool is_full(const struct store_writer *writer)
{
	return store_batch_events(writer->current) >= writer->most ||
	       store_batch_lines(writer->current) >= writer->most * LINES_AN_EVENT;
}

static int64_t oldest_kept(const struct store_writer *writer)
{
	int days = writer->config.keep_days;

	return days < 0 ? 0 : (clock_day_of(store_now(writer->store)) - days) * CLOCK_DAY;
}

/* Waits for something to do: 1 a batch, 0 a job, -1 the end. Locked. What comes after a pause is
 * committed at once; in a stream of events small batches grow for a moment. */
static int wait_for_work(struct store_writer *writer)
{
	while (store_batch_empty(writer->current)) {
		if (writer->job != NULL)
			return 0;
		if (writer->stop)
			return -1;
		writer->idle = true;
		pthread_cond_wait(&writer->changed, &writer->lock);
		writer->idle = false;
	}
	gint64 until = writer->committed + writer->group;
	while (!writer->urgent && !writer->stop && !is_full(writer))
		if (!clock_cond_wait_until(&writer->changed, &writer->lock, until))
			break;
	return 1;
}

/* Between tries of a commit that failed; ends early when the writer is to stop or has a job: one
 * that makes room, perhaps. */
static void back_off(struct store_writer *writer, gint64 span)
{
	gint64 until = g_get_monotonic_time() + span;

	pthread_mutex_lock(&writer->lock);
	while (!writer->stop && writer->job == NULL &&
	        clock_cond_wait_until(&writer->changed, &writer->lock, until))
		;
	pthread_mutex_unlock(&writer->lock);
}

static bool stopping(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	bool stop = writer->stop;
	pthread_mutex_unlock(&writer->lock);
	return stop;
}

static void note_start(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->running = g_get_monotonic_time();
	pthread_mutex_unlock(&writer->lock);
}

/* What became of the commit under way. */
static void note_commit(struct store_writer *writer, const struct error *err)
{
	pthread_mutex_lock(&writer->lock);
	gint64 took = g_get_monotonic_time() - writer->running;

	writer->running = 0;
	writer->trouble = *err;
	if (!err->set)
		writer->took[writer->commits++ % WRITER_PACE] = (guint32)MIN(took, G_MAXUINT32);
	pthread_mutex_unlock(&writer->lock);
}

/* Between commits, and between tries of one; somebody waits for it. */
static void run_job(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	struct job *job = writer->job;
	pthread_mutex_unlock(&writer->lock);
	if (job == NULL)
		return;
	job->result = job->run(job->ctx, job->err);
	pthread_mutex_lock(&writer->lock);
	job->done = true;
	writer->job = NULL;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
}

/* Until it works, so that nothing is lost; once stop was asked for, one last time. */
static int commit(struct store_writer *writer, const struct store_batch *batch)
{
	struct store_commit_result result;
	gint64 span = BACKOFF_FIRST;

	for (;;) {
		bool last = writer->config.give_up || stopping(writer);
		struct error err = {0};
		note_start(writer);
		int done = store_commit(writer->store, batch, oldest_kept(writer), &result, &err);
		note_commit(writer, &err);
		if (writer->config.after_commit != NULL)
			writer->config.after_commit(writer->config.ctx, &result, &err);
		if (done == 0)
			return 0;
		if (last)
			return -1;
		back_off(writer, span);
		run_job(writer);
		span = MIN(span * 2, BACKOFF_LAST);
	}
}

/* Takes the full batch and gives an empty one. Locked. */
static struct store_batch *swap(struct store_writer *writer)
{
	struct store_batch *batch = writer->current;

	writer->most = is_full(writer) ? MIN(writer->most * 2,
	                                         MAX(writer->config.max_events, BACKLOG_EVENTS))
	                               : writer->config.max_events;
	if (writer->config.before_commit != NULL)
		writer->config.before_commit(writer->config.ctx, batch);
	writer->current = writer->spare;
	writer->spare = batch;
	writer->ticket++;
	writer->urgent = false;
	return batch;
}

/* Nobody waits for what will not be run. */
static void refuse_jobs(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->ended = true;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
}

static gpointer writer_main(gpointer p)
{
	struct store_writer *writer = p;
	int work;

	do {
		run_job(writer);
		pthread_mutex_lock(&writer->lock);
		work = wait_for_work(writer);
		uint64_t ticket = writer->ticket;
		struct store_batch *batch = work == 1 ? swap(writer) : NULL;
		pthread_cond_broadcast(&writer->changed);
		pthread_mutex_unlock(&writer->lock);
		if (batch == NULL)
			continue;
		gint64 start = g_get_monotonic_time();
		int done = commit(writer, batch);
		store_batch_reset(batch);
		writer->committed = g_get_monotonic_time();
		writer->group =
		        CLAMP((writer->committed - start) * GROUP_COMMITS, GROUP_LEAST, GROUP_MOST);
		pthread_mutex_lock(&writer->lock);
		if (done == 0)
			writer->durable = ticket;
		writer->gave_up = done < 0;
		pthread_cond_broadcast(&writer->changed);
		pthread_mutex_unlock(&writer->lock);
		if (done < 0)
			work = -1;
	} while (work >= 0);
	refuse_jobs(writer);
	return NULL;
}

struct store_writer *store_writer_new(
        struct store *store, const struct store_writer_config *config, struct error *err)
{
	struct store_writer *writer = g_new0(struct store_writer, 1);
	g_autoptr(GError) failure = NULL;

	writer->store = store;
	writer->config = *config;
	if (writer->config.max_events == 0)
		writer->config.max_events = DEFAULT_EVENTS;
	writer->most = writer->config.max_events;
	pthread_mutex_init(&writer->lock, NULL);
	clock_cond_init(&writer->changed);
	writer->current = store_batch_new();
	writer->spare = store_batch_new();
	writer->ticket = 1;
	writer->thread = g_thread_try_new("store-writer", writer_main, writer, &failure);
	if (writer->thread != NULL)
		return writer;
	error_set(err, "cannot start the writer thread: %s", failure->message);
	store_writer_stop(&writer, NULL);
	return NULL;
}

int store_writer_stop(struct store_writer **writer_r, struct error *err)
{
	struct store_writer *writer = *writer_r;

	if (writer == NULL)
		return 0;
	pthread_mutex_lock(&writer->lock);
	writer->stop = true;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	if (writer->thread != NULL)
		g_thread_join(writer->thread);
	int result = writer->gave_up ? -1 : 0;
	if (result < 0 && err != NULL && !err->set)
		*err = writer->trouble;
	store_batch_free(&writer->current);
	store_batch_free(&writer->spare);
	pthread_cond_destroy(&writer->changed);
	pthread_mutex_destroy(&writer->lock);
	g_clear_pointer(writer_r, g_free);
	return result;
}

struct store_batch *store_writer_begin(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	while (is_full(writer) && !writer->stop && !writer->gave_up)
		pthread_cond_wait(&writer->changed, &writer->lock);
	if (writer->gave_up)
		store_batch_reset(writer->current);
	return writer->current;
}

struct store_batch *store_writer_try_begin(struct store_writer *writer, int timeout_ms)
{
	gint64 until = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
	bool in_time = true;

	pthread_mutex_lock(&writer->lock);
	while (is_full(writer) && !writer->stop && !writer->gave_up && in_time)
		in_time = clock_cond_wait_until(&writer->changed, &writer->lock, until);
	if (!is_full(writer))
		return writer->current;
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

uint64_t store_writer_end(struct store_writer *writer, bool urgent)
{
	/* What was added, if anything, is in the current batch; with nothing in it there is only
	 * what is on its way to wait for. */
	uint64_t ticket = store_batch_empty(writer->current) ? writer->ticket - 1 : writer->ticket;

	writer->urgent |= urgent;
	/* A thread that lets the batch grow is not woken for each line. */
	if (urgent || writer->idle || is_full(writer))
		pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	return ticket;
}

uint64_t store_writer_ticket(const struct store_writer *writer)
{
	return writer->ticket;
}

int store_writer_wait(struct store_writer *writer, uint64_t ticket, int timeout_ms)
{
	gint64 until = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
	bool in_time = true;

	pthread_mutex_lock(&writer->lock);
	while (writer->durable < ticket && !writer->gave_up && in_time)
		in_time = clock_cond_wait_until(&writer->changed, &writer->lock, until);
	int result = writer->durable >= ticket ? 1 : writer->gave_up ? -1 : 0;
	pthread_mutex_unlock(&writer->lock);
	return result;
}

/* One job at a time; it is in the memory of who waits, and only who waits takes it back. */
int store_writer_run(struct store_writer *writer, store_job *run, void *ctx, struct error *err)
{
	struct job job = {.run = run, .ctx = ctx, .err = err, .result = -1};

	pthread_mutex_lock(&writer->lock);
	while (writer->job != NULL && !writer->ended)
		pthread_cond_wait(&writer->changed, &writer->lock);
	if (!writer->ended)
		writer->job = &job;
	pthread_cond_broadcast(&writer->changed);
	while (!job.done && !writer->ended)
		pthread_cond_wait(&writer->changed, &writer->lock);
	if (!job.done)
		error_set(err, "the store is being closed");
	if (writer->job == &job)
		writer->job = NULL;
	pthread_mutex_unlock(&writer->lock);
	return job.result;
}

static int by_size(const void *a, const void *b)
{
	guint32 x = *(const guint32 *)a, y = *(const guint32 *)b;

	return x < y ? -1 : x > y;
}

void store_writer_pace(struct store_writer *writer, struct store_pace *pace_r)
{
	guint32 took[WRITER_PACE];

	*pace_r = (struct store_pace){0};
	pthread_mutex_lock(&writer->lock);
	unsigned n = MIN(writer->commits, WRITER_PACE);
	memcpy(took, writer->took, n * sizeof(*took));
	pace_r->done = writer->commits;
	if (writer->running != 0)
		pace_r->running = (unsigned)MIN(g_get_monotonic_time() - writer->running, UINT_MAX);
	pthread_mutex_unlock(&writer->lock);
	if (n == 0)
		return;
	qsort(took, n, sizeof(*took), by_size);
	pace_r->commits = n;
	pace_r->p50 = took[n / 2];
	pace_r->p99 = took[n * 99 / 100];
	pace_r->longest = took[n - 1];
}

unsigned store_writer_longest(struct store_writer *writer, unsigned done)
{
	unsigned longest = 0;

	pthread_mutex_lock(&writer->lock);
	unsigned n = MIN(writer->commits - done, WRITER_PACE);
	for (unsigned i = 1; i <= n; i++)
		longest = MAX(longest, writer->took[(writer->commits - i) % WRITER_PACE]);
	pthread_mutex_unlock(&writer->lock);
	return longest;
}

bool store_writer_trouble(struct store_writer *writer, struct error *err)
{
	pthread_mutex_lock(&writer->lock);
	*err = writer->trouble;
	pthread_mutex_unlock(&writer->lock);
	return err->set;
}
