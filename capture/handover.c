#include "capture/handover.h"

#include <glib.h>

struct handover {
	struct capture *capture;
	GThread *thread;
	GMutex lock;
	GCond filled; /* an item came, or the end */
	GCond fed;    /* an item with a waiter was fed */
	GQueue items;
	gint waiting; /* items of the queue, to be looked at without the lock */
	size_t most;
	bool ending;
	uint64_t dropped;
};

/* A deep copy of an observation. */
struct handover_item {
	struct observation seen;
	struct envelope envelope;
	char *texts;         /* bytes of the observation */
	GStringChunk *bytes; /* of the envelope */
	GArray *recipients;
	bool waited;    /* somebody waits for `ticket` and frees the item */
	bool abandoned; /* but gave up while it was being fed: the feeding thread frees it */
	bool ready;
	uint64_t ticket;
};

static void handover_copy_slice(GStringChunk *bytes, struct slice *slice)
{
	if (slice->p == NULL)
		return;
	/* g_string_chunk_insert_len stops at no NUL, but cannot be told "nothing". */
	slice->p = slice->n > 0 ? g_string_chunk_insert_len(bytes, slice->p, (gssize)slice->n) : "";
}

static void handover_copy_envelope(struct handover_item *item, const struct envelope *from)
{
	item->bytes = g_string_chunk_new(1024);
	item->envelope = *from;
	for (int i = 0; i < FIELDS; i++)
		handover_copy_slice(item->bytes, &item->envelope.field[i]);
	item->recipients = g_array_sized_new(
	        FALSE, FALSE, sizeof(struct envelope_recipient), (guint)from->recipients);
	g_array_append_vals(item->recipients, from->recipient, (guint)from->recipients);
	for (size_t i = 0; i < from->recipients; i++) {
		struct envelope_recipient *one =
		        &g_array_index(item->recipients, struct envelope_recipient, i);
		handover_copy_slice(item->bytes, &one->address);
		handover_copy_slice(item->bytes, &one->type);
		handover_copy_slice(item->bytes, &one->meta);
		handover_copy_slice(item->bytes, &one->tags);
		handover_copy_slice(item->bytes, &one->subs);
	}
	item->envelope.recipient = (const void *)item->recipients->data;
	item->seen.envelope = &item->envelope;
}

static struct handover_item *handover_copy(const struct observation *from)
{
	struct handover_item *item = g_new0(struct handover_item, 1);

	item->texts = g_malloc(observation_bytes(from) + 1);
	observation_copy(&item->seen, from, item->texts);
	if (from->envelope != NULL)
		handover_copy_envelope(item, from->envelope);
	return item;
}

static void handover_item_free(struct handover_item *item)
{
	if (item->recipients != NULL)
		g_array_free(item->recipients, TRUE);
	g_clear_pointer(&item->bytes, g_string_chunk_free);
	g_free(item->texts);
	g_free(item);
}

/* Takes an item out, the first one or the first if nobody waits for it; NULL: there is none. With
 * the lock held. */
static struct handover_item *handover_pop(struct handover *handover, bool unwaited)
{
	struct handover_item *item = g_queue_peek_head(&handover->items);

	if (item == NULL || (unwaited && item->waited))
		return NULL;
	g_atomic_int_add(&handover->waiting, -1);
	return g_queue_pop_head(&handover->items);
}

/* One that somebody waits for: nothing can be told of its mail before he has his answer. */
static void handover_feed_waited(struct handover *handover, struct handover_item *item)
{
	uint64_t ticket = capture_observe(capture_live(handover->capture), &item->seen, true);

	g_mutex_lock(&handover->lock);
	item->ticket = ticket;
	item->ready = true;
	bool abandoned = item->abandoned;
	g_cond_broadcast(&handover->fed);
	g_mutex_unlock(&handover->lock);
	if (abandoned)
		handover_item_free(item);
}

/* Feeds those that nobody waits for, with capture's lock held: by our thread, or by whoever is
 * about to feed a line, for the log may already tell of the same mails. An item leaves the queue
 * only here, under that lock, or a line could overtake it. */
static void handover_earlier(void *ctx)
{
	struct handover *handover = ctx;
	struct handover_item *item;

	while (g_atomic_int_get(&handover->waiting) > 0) {
		g_mutex_lock(&handover->lock);
		item = handover_pop(handover, true);
		g_mutex_unlock(&handover->lock);
		if (item == NULL)
			break;
		capture_observe_held(capture_live(handover->capture), &item->seen);
		handover_item_free(item);
	}
}

static gpointer handover_run(gpointer data)
{
	struct handover *handover = data;

	g_mutex_lock(&handover->lock);
	for (;;) {
		struct handover_item *head = g_queue_peek_head(&handover->items);
		if (head == NULL && handover->ending)
			break;
		if (head == NULL) {
			g_cond_wait(&handover->filled, &handover->lock);
			continue;
		}
		struct handover_item *item = head->waited ? handover_pop(handover, false) : NULL;
		g_mutex_unlock(&handover->lock);
		if (item != NULL)
			handover_feed_waited(handover, item);
		else
			capture_run_earlier(handover->capture);
		g_mutex_lock(&handover->lock);
	}
	g_mutex_unlock(&handover->lock);
	return NULL;
}

struct handover *handover_new(struct capture *capture, size_t most)
{
	struct handover *handover = g_new0(struct handover, 1);

	handover->capture = capture;
	handover->most = most > 0 ? most : 10000;
	g_mutex_init(&handover->lock);
	g_cond_init(&handover->filled);
	g_cond_init(&handover->fed);
	g_queue_init(&handover->items);
	capture_set_earlier(capture, handover_earlier, handover);
	handover->thread = g_thread_new("handover", handover_run, handover);
	return handover;
}

void handover_free(struct handover **handover)
{
	struct handover *h = *handover;

	if (h == NULL)
		return;
	g_mutex_lock(&h->lock);
	h->ending = true;
	g_cond_signal(&h->filled);
	g_mutex_unlock(&h->lock);
	g_thread_join(h->thread);
	capture_set_earlier(h->capture, NULL, NULL);
	g_cond_clear(&h->filled);
	g_cond_clear(&h->fed);
	g_mutex_clear(&h->lock);
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
	g_atomic_int_inc(&handover->waiting);
	g_cond_signal(&handover->filled);
	return true;
}

/* Waits until the item was fed, at most until `end` (monotonic us): true, and the item is the
 * caller's to free. False: it is not; whoever sent the mail is told to try again. With the lock
 * held. */
static bool handover_await(struct handover *handover, struct handover_item *item, gint64 end)
{
	while (!item->ready)
		if (!g_cond_wait_until(&handover->fed, &handover->lock, end))
			break;
	if (item->ready)
		return true;
	if (g_queue_remove(&handover->items, item)) {
		g_atomic_int_add(&handover->waiting, -1);
		handover_item_free(item);
	} else {
		item->abandoned = true;
	}
	return false;
}

int handover_give(struct handover *handover, const struct observation *seen, int wait_ms)
{
	gint64 end = g_get_monotonic_time() + (gint64)wait_ms * 1000;
	struct handover_item *item = handover_copy(seen);

	item->waited = wait_ms > 0;
	bool waited = item->waited;
	g_mutex_lock(&handover->lock);
	bool pushed = handover_push(handover, item);
	bool fed = pushed && waited && handover_await(handover, item, end);
	g_mutex_unlock(&handover->lock);
	if (!pushed) {
		handover_item_free(item);
		return -1;
	}
	if (!waited)
		return 0;
	if (!fed)
		return -1;
	uint64_t ticket = item->ticket;
	handover_item_free(item);
	gint64 left = (end - g_get_monotonic_time()) / 1000;
	return capture_wait(handover->capture, ticket, left > 0 ? (int)left : 0) == 1 ? 0 : -1;
}

uint64_t handover_dropped(struct handover *handover)
{
	g_mutex_lock(&handover->lock);
	uint64_t dropped = handover->dropped;
	g_mutex_unlock(&handover->lock);
	return dropped;
}
