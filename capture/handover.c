#include "capture/handover.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"

/* Items that nobody waits for are gathered so long: waking up costs more than feeding one. */
#define GATHER (10 * G_TIME_SPAN_MILLISECOND)

struct handover {
	struct capture *capture;
	GThread *thread;
	pthread_mutex_t lock;  /* not GMutex, which the thread sanitizer cannot see */
	pthread_cond_t filled; /* an item came, or the end */
	pthread_cond_t fed;    /* an item with a waiter was fed */
	GQueue items;
	gint length; /* of items, to be read without the lock */
	size_t most;
	bool idle;  /* the thread waits for an item */
	bool hurry; /* an item with a waiter came */
	bool ending;
	uint64_t dropped;
};

/* A deep copy of an observation; one block of memory, since another thread frees it. */
struct handover_item {
	struct observation seen;
	struct envelope envelope;
	bool waited;    /* somebody waits for `ticket` and frees the item */
	bool abandoned; /* but gave up while it was being fed: the feeding thread frees it */
	bool ready;
	uint64_t ticket;
	struct envelope_recipient recipient[]; /* and the bytes of all texts */
};

/* Recipients are texts and nothing else. */
#define RECIPIENT_TEXTS (sizeof(struct envelope_recipient) / sizeof(struct slice))

static size_t handover_bytes(const struct slice *texts, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += texts[i].n;
	return bytes;
}

/* Copies texts to `bytes`; what is behind them there. */
static char *handover_move(struct slice *texts, size_t n, char *bytes)
{
	for (size_t i = 0; i < n; i++) {
		if (texts[i].p == NULL)
			continue;
		texts[i].p = memcpy(bytes, texts[i].p, texts[i].n);
		bytes += texts[i].n;
	}
	return bytes;
}

static void handover_copy_envelope(
        struct handover_item *item, const struct envelope *from, char *bytes)
{
	struct slice *recipients = (struct slice *)item->recipient;

	item->envelope = *from;
	item->envelope.recipient = item->recipient;
	item->seen.envelope = &item->envelope;
	if (from->recipients > 0)
		memcpy(item->recipient, from->recipient,
		        from->recipients * sizeof(item->recipient[0]));
	bytes = handover_move(item->envelope.field, FIELDS, bytes);
	handover_move(recipients, from->recipients * RECIPIENT_TEXTS, bytes);
}

static struct handover_item *handover_copy(const struct observation *from)
{
	const struct envelope *envelope = from->envelope;
	const size_t recipients = envelope != NULL ? envelope->recipients : 0;
	const size_t texts = observation_bytes(from);
	size_t size = sizeof(struct handover_item) +
	              recipients * sizeof(struct envelope_recipient) + texts;

	if (envelope != NULL)
		size += handover_bytes(envelope->field, FIELDS) +
		        handover_bytes((const struct slice *)envelope->recipient,
		                recipients * RECIPIENT_TEXTS);
	struct handover_item *item = g_malloc(size);
	*item = (struct handover_item){0};
	char *bytes = (char *)(item->recipient + recipients);
	observation_copy(&item->seen, from, bytes);
	if (envelope != NULL)
		handover_copy_envelope(item, envelope, bytes + texts);
	return item;
}

static void handover_feed(struct handover *handover, struct handover_item *item)
{
	uint64_t ticket = capture_feed(handover->capture, &item->seen, item->waited);

	if (!item->waited) {
		g_free(item);
		return;
	}
	pthread_mutex_lock(&handover->lock);
	item->ticket = ticket;
	item->ready = true;
	bool abandoned = item->abandoned;
	pthread_cond_broadcast(&handover->fed);
	pthread_mutex_unlock(&handover->lock);
	if (abandoned)
		g_free(item);
}

static struct handover_item *handover_pop(struct handover *handover)
{
	pthread_mutex_lock(&handover->lock);
	struct handover_item *item = g_queue_pop_head(&handover->items);
	g_atomic_int_set(&handover->length, (gint)handover->items.length);
	pthread_mutex_unlock(&handover->lock);
	return item;
}

/* Called with the lock of capture held. */
static void handover_pull(void *ctx)
{
	struct handover *handover = ctx;
	struct handover_item *item;

	while (g_atomic_int_get(&handover->length) > 0 && (item = handover_pop(handover)) != NULL)
		handover_feed(handover, item);
}

/* Waits for items, then for more of them; false at the end. */
static bool handover_gather(struct handover *handover)
{
	pthread_mutex_lock(&handover->lock);
	handover->idle = true;
	while (handover->items.length == 0 && !handover->ending)
		pthread_cond_wait(&handover->filled, &handover->lock);
	handover->idle = false;
	gint64 end = g_get_monotonic_time() + GATHER;
	while (!handover->hurry && !handover->ending)
		if (!clock_cond_wait_until(&handover->filled, &handover->lock, end))
			break;
	handover->hurry = false;
	bool go_on = !handover->ending;
	pthread_mutex_unlock(&handover->lock);
	return go_on;
}

static gpointer handover_run(gpointer data)
{
	struct handover *handover = data;

	while (handover_gather(handover))
		if (g_atomic_int_get(&handover->length) > 0)
			capture_pull(handover->capture);
	return NULL;
}

struct handover *handover_new(struct capture *capture, size_t most)
{
	struct handover *handover = g_new0(struct handover, 1);

	handover->capture = capture;
	handover->most = most > 0 ? most : 10000;
	pthread_mutex_init(&handover->lock, NULL);
	clock_cond_init(&handover->filled);
	clock_cond_init(&handover->fed);
	g_queue_init(&handover->items);
	capture_pull_from(capture, handover_pull, handover);
	handover->thread = g_thread_new("handover", handover_run, handover);
	return handover;
}

void handover_free(struct handover **handover)
{
	struct handover *h = *handover;

	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->ending = true;
	pthread_cond_signal(&h->filled);
	pthread_mutex_unlock(&h->lock);
	g_thread_join(h->thread);
	capture_pull_from(h->capture, NULL, NULL);
	pthread_cond_destroy(&h->filled);
	pthread_cond_destroy(&h->fed);
	pthread_mutex_destroy(&h->lock);
	g_clear_pointer(handover, g_free);
}

/* Puts the item into the queue; false, and counted, when there is no room. With the lock held. */
static bool handover_push(struct handover *handover, struct handover_item *item)
{
	if (handover->ending || handover->items.length >= handover->most) {
		handover->dropped++;
		return false;
	}
	g_queue_push_tail(&handover->items, item);
	g_atomic_int_set(&handover->length, (gint)handover->items.length);
	handover->hurry |= item->waited;
	if (handover->idle || item->waited)
		pthread_cond_signal(&handover->filled);
	return true;
}

/* Waits until the item was fed, at most until `end` (monotonic us): true, and the item is the
 * caller's to free. False: it is not; whoever sent the mail is told to try again. With the lock
 * held. */
static bool handover_await(struct handover *handover, struct handover_item *item, gint64 end)
{
	while (!item->ready)
		if (!clock_cond_wait_until(&handover->fed, &handover->lock, end))
			break;
	if (item->ready)
		return true;
	if (g_queue_remove(&handover->items, item)) {
		g_atomic_int_set(&handover->length, (gint)handover->items.length);
		g_free(item);
	} else
		item->abandoned = true;
	return false;
}

int handover_give(struct handover *handover, const struct observation *seen, int wait_ms)
{
	gint64 end = g_get_monotonic_time() + (gint64)wait_ms * 1000;
	struct handover_item *item = handover_copy(seen);

	item->waited = wait_ms > 0;
	bool waited = item->waited;
	pthread_mutex_lock(&handover->lock);
	bool pushed = handover_push(handover, item);
	bool fed = pushed && waited && handover_await(handover, item, end);
	pthread_mutex_unlock(&handover->lock);
	if (!pushed) {
		g_free(item);
		return -1;
	}
	if (!waited)
		return 0;
	if (!fed)
		return -1;
	uint64_t ticket = item->ticket;
	g_free(item);
	gint64 left = (end - g_get_monotonic_time()) / 1000;
	return capture_wait(handover->capture, ticket, left > 0 ? (int)left : 0) == 1 ? 0 : -1;
}

uint64_t handover_dropped(struct handover *handover)
{
	pthread_mutex_lock(&handover->lock);
	uint64_t dropped = handover->dropped;
	pthread_mutex_unlock(&handover->lock);
	return dropped;
}
