#include "daemon/erase.h"

#include "base/clock.h"
#include "base/log.h"

#define RETRY_FIRST 1 /* s, and each time twice as many */
#define RETRY_LAST 60

static bool is_stopping(void *ctx)
{
	const struct erase_context *context = ctx;

	return context->stopping;
}

/* Waits for something to do; after a failure for `pause` seconds only. */
static void wait_until_due(struct erase_context *context, unsigned pause)
{
	gint64 until = g_get_monotonic_time() + pause * G_TIME_SPAN_SECOND;

	pthread_mutex_lock(&context->lock);
	while (!context->due && !context->stopping)
		if (pause == 0)
			pthread_cond_wait(&context->changed, &context->lock);
		else if (!clock_cond_wait_until(&context->changed, &context->lock, until))
			break;
	context->due = false;
	pthread_mutex_unlock(&context->lock);
}

/* The log names nobody. A cause is told once; `told` is the last one. */
static void tell(const struct error *err, struct error *told)
{
	if (err->set && (!told->set || err->number != told->number))
		log_error("erase", "%s; tried again until it works", err->text);
	else if (!err->set && told->set)
		log_info("erase", "the erasures go on");
	*told = *err;
}

static void *erase_thread(void *arg)
{
	struct erase_context *context = arg;
	struct error told = {0};
	unsigned pause = 0;

	while (!context->stopping) {
		struct error err = {0};
		capture_erase_pending(context->capture, context->store, is_stopping, context, &err);
		if (context->stopping)
			break;
		tell(&err, &told);
		pause = err.set ? CLAMP(pause * 2, RETRY_FIRST, RETRY_LAST) : 0;
		wait_until_due(context, pause);
	}
	return NULL;
}

static int erase_begin(
        void *ctx, enum tombstone_kind kind, struct slice name, int64_t *id, struct error *err)
{
	struct erase_context *context = ctx;

	if (capture_erase_begin(context->capture, context->store, kind, name, id, err) < 0)
		return -1;
	log_info("erase", "erasure %lld begins", (long long)*id);
	pthread_mutex_lock(&context->lock);
	context->due = true;
	pthread_cond_signal(&context->changed);
	pthread_mutex_unlock(&context->lock);
	return 0;
}

int erase_open(struct erase_context *context, struct capture *capture, struct store *store,
        struct error *err)
{
	context->capture = capture;
	context->store = store;
	context->service = (struct erase_service){.ctx = context, .begin = erase_begin};
	pthread_mutex_init(&context->lock, NULL);
	clock_cond_init(&context->changed);
	int number = pthread_create(&context->thread, NULL, erase_thread, context);
	context->started = number == 0;
	return number == 0 ? 0 : error_errno(err, number, "cannot start the thread of erasures");
}

void erase_close(struct erase_context *context)
{
	if (!context->started)
		return;
	pthread_mutex_lock(&context->lock);
	context->stopping = true;
	pthread_cond_broadcast(&context->changed);
	pthread_mutex_unlock(&context->lock);
	pthread_join(context->thread, NULL);
	context->started = false;
	pthread_cond_destroy(&context->changed);
	pthread_mutex_destroy(&context->lock);
}
