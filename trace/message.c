#include "trace/trace-private.h"

guint message_key_hash(gconstpointer p)
{
	const struct message_key *key = p;
	guint hash = 2166136261u ^ key->stream->number;

	for (size_t i = 0; i < key->queue_id.n; i++)
		hash = (hash ^ (unsigned char)key->queue_id.p[i]) * 16777619u;
	return hash;
}

gboolean message_key_equal(gconstpointer a, gconstpointer b)
{
	const struct message_key *x = a, *y = b;

	return x->stream == y->stream && slice_eq(x->queue_id, y->queue_id);
}

struct message *message_insert(struct trace *trace, struct stream *stream, struct slice queue_id)
{
	struct message *message = g_malloc0(sizeof(*message) + queue_id.n + 1);

	memcpy(message->id, queue_id.p, queue_id.n);
	message->key.stream = stream;
	message->key.queue_id = slice_make(message->id, queue_id.n);
	message->life.data = message->dirt.data = message;
	g_hash_table_add(trace->messages, message);
	g_queue_push_head_link(&trace->open, &message->life);
	trace->counts.open++;
	return message;
}

static struct message *message_new(
        struct trace *trace, struct stream *stream, struct slice queue_id, int64_t time)
{
	struct message *message = message_insert(trace, stream, queue_id);

	message->story = story_new();
	message->first = message->touched = time;
	message_changed(trace, message);
	return message;
}

void message_changed(struct trace *trace, struct message *message)
{
	if (!message->dirty) {
		message->dirty = true;
		g_queue_push_tail_link(&trace->dirty, &message->dirt);
	}
	GPtrArray *tellers = message->story != NULL ? message->story->tellers : NULL;
	for (guint i = 0; tellers != NULL && i < tellers->len; i++) {
		struct message *other = tellers->pdata[i];
		if (!other->dirty)
			message_changed(trace, other);
	}
}

void message_touch(struct trace *trace, struct message *message, int64_t time)
{
	message->touched = time;
	if (message->ended_at == 0 && trace->open.head != &message->life) {
		g_queue_unlink(&trace->open, &message->life);
		g_queue_push_head_link(&trace->open, &message->life);
	}
	message_changed(trace, message);
}

void message_end(struct trace *trace, struct message *message, int64_t time)
{
	if (message->ended_at != 0)
		return;
	message->ended_at = time != 0 ? time : 1;
	hop_unindex(trace, message);
	g_queue_unlink(&trace->open, &message->life);
	g_queue_push_tail_link(&trace->ended, &message->life);
	trace->counts.open--;
	message_changed(trace, message);
}

/* More recipients than these end by age. */
#define MOST_COUNTED 1000

void message_end_if_final(struct trace *trace, struct message *message, int64_t time)
{
	unsigned n = roster_size(&message->tried);

	if (message->expected == 0 || n < message->expected || n > MOST_COUNTED)
		return;
	for (unsigned i = 0; i < n; i++)
		if (roster_at(&message->tried, i)->deferral != NULL)
			return;
	message_end(trace, message, time);
}

void message_reopen(struct trace *trace, struct message *message)
{
	message->cancelled = false;
	if (message->ended_at == 0)
		return;
	message->ended_at = 0;
	g_queue_unlink(&trace->ended, &message->life);
	g_queue_push_head_link(&trace->open, &message->life);
	trace->counts.open++;
	message_changed(trace, message);
}

static void story_leave(struct trace *trace, struct message *message)
{
	if (message->story != NULL && message->story->tellers != NULL)
		g_ptr_array_remove_fast(message->story->tellers, message);
	story_unref(trace, message->story);
	message->story = NULL;
}

void message_retell(struct trace *trace, struct message *message, struct story *story)
{
	story_ref(story);
	story_leave(trace, message);
	message->story = story;
	if (story->tellers == NULL)
		story->tellers = g_ptr_array_new();
	g_ptr_array_add(story->tellers, message);
}

void message_drop(struct trace *trace, struct message *message, bool keep)
{
	hop_unindex(trace, message);
	if (message->dirty)
		g_queue_unlink(&trace->dirty, &message->dirt);
	if (message->ended_at == 0) {
		g_queue_unlink(&trace->open, &message->life);
		trace->counts.open--;
	} else {
		g_queue_unlink(&trace->ended, &message->life);
	}
	g_hash_table_remove(trace->messages, &message->key);
	if (message->stored && !keep) {
		GString *key = g_string_new(NULL);
		state_message_key(key, message);
		g_hash_table_add(trace->gone, key);
	}
	story_leave(trace, message);
	roster_clear(&message->tried);
	roster_clear(&message->refused);
	g_free(message);
}

struct message *message_known(struct trace *trace, struct stream *stream, struct slice queue_id)
{
	const struct message_key key = {stream, queue_id};
	struct message *message = g_hash_table_lookup(trace->messages, &key);

	if (message == NULL && trace->evicted && trace->hooks.load != NULL)
		message = state_load(trace, stream, queue_id);
	return message;
}

static bool is_client_line(const struct observation *seen)
{
	return seen->kind == OBSERVATION_CLIENT || seen->kind == OBSERVATION_PICKUP;
}

/* Whether a line of an ended message is the first of another life of its queue id. */
static bool begins_after_end(const struct message *message, const struct observation *seen)
{
	int64_t second = second_of(seen->line.time), end = second_of(message->ended_at);

	switch (seen->kind) {
	case OBSERVATION_CLIENT:
	case OBSERVATION_PICKUP:
	case OBSERVATION_MESSAGE_ID:
		/* Each life has one such line before its end, so that it is another life whatever
		 * the stamps say; but after a restart the last second's lines are read again. */
		return !message->restored || second > end;
	case OBSERVATION_ACTIVE:
	case OBSERVATION_ATTEMPT:
		return second > end + 1; /* its first line was lost */
	default:
		return false;
	}
}

/* The same of a message whose end was not seen: removed in silence, or its "removed" was lost. */
static bool begins_before_end(const struct message *message, const struct observation *seen)
{
	int64_t time = seen->line.time;

	if (is_client_line(seen)) {
		if (message->client)
			return second_of(time) != second_of(message->first);
		return time > message->first + TRACE_SKEW || time < message->first - TRACE_SLOW;
	}
	/* The same line again is read after a restart; the clock may have been set back since. */
	if (seen->kind == OBSERVATION_MESSAGE_ID)
		return message->active_at != 0 && time > message->active_at + 2 * CLOCK_SECOND &&
		       (seen->message_id.n <= 2 ||
		               !slice_eq(seen->message_id, message->story->header_message_id));
	return false;
}

static bool other_life(const struct message *message, const struct observation *seen)
{
	if (queue_id_birth(message->key.queue_id, seen->line.time) != 0 ||
	        queue_id_of_sendmail(message->key.queue_id))
		return false; /* ids that tell their time are never used again */
	if ((is_client_line(seen) || seen->kind == OBSERVATION_MESSAGE_ID) &&
	        birth_fits(message, seen->line.time))
		return false; /* the older piece of the log comes after the newer one */
	return message->ended_at != 0 ? begins_after_end(message, seen)
	                              : begins_before_end(message, seen);
}

static void message_begin(
        struct trace *trace, struct message *message, const struct observation *seen)
{
	message->own = true;
	message->client = is_client_line(seen);
	message->first = seen->line.time;
	birth_begin(trace, message, seen);
}

struct message *message_of(
        struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = message_known(trace, stream, seen->queue_id);

	if (message != NULL && other_life(message, seen)) {
		message_drop(trace, message, false);
		message = NULL;
	}
	if (message == NULL)
		message = message_new(trace, stream, seen->queue_id, seen->line.time);
	if (!message->own)
		message_begin(trace, message, seen);
	message_touch(trace, message, seen->line.time);
	return message;
}

struct message *message_stub(
        struct trace *trace, struct stream *stream, struct slice queue_id, int64_t time)
{
	struct message *message = message_known(trace, stream, queue_id);

	if (message != NULL && message->ended_at != 0 &&
	        second_of(time) > second_of(message->ended_at) + 1 &&
	        queue_id_birth(queue_id, time) == 0) {
		message_drop(trace, message, false);
		message = NULL;
	}
	return message != NULL ? message : message_new(trace, stream, queue_id, time);
}

static void sweep_ended(struct trace *trace)
{
	while (trace->ended.head != NULL) {
		struct message *message = trace->ended.head->data;
		/* Times step back far where files are read in the wrong order; the beginnings that
		 * were not seen may come then. */
		if (trace->ended.length <= TRACE_ENDED_MAX &&
		        message->ended_at + TRACE_LINGER >= trace->clock &&
		        (message->ended_at <= trace->clock + TRACE_LINGER || !message->born))
			return;
		message_drop(trace, message, false);
	}
}

static void sweep_old(struct trace *trace)
{
	while (trace->open.tail != NULL) {
		struct message *message = trace->open.tail->data;
		if (message->touched + trace->config.message_age >= trace->clock)
			return;
		message_drop(trace, message, false);
	}
}

static gint by_end(gconstpointer a, gconstpointer b, gpointer unused)
{
	const struct message *x = a, *y = b;

	(void)unused;
	return (x->ended_at > y->ended_at) - (x->ended_at < y->ended_at);
}

static gint by_touch(gconstpointer a, gconstpointer b, gpointer unused)
{
	const struct message *x = a, *y = b;

	(void)unused;
	return (x->touched < y->touched) - (x->touched > y->touched);
}

void messages_sort(struct trace *trace)
{
	g_queue_sort(&trace->open, by_touch, NULL);
	g_queue_sort(&trace->ended, by_end, NULL);
}

void messages_sweep(struct trace *trace)
{
	sweep_ended(trace);
	sweep_old(trace);
}

/* Only what the state store holds as it is may leave the memory: what a save before the last one
 * wrote, since the last one may not be committed yet. Where nobody saves state, what has been
 * silent for longest is given up. */
void messages_evict(struct trace *trace)
{
	while (trace->counts.open > 2 * (uint64_t)trace->config.max_open + TRACE_UNSAVED_MAX)
		message_drop(trace, trace->open.tail->data, false);

	GList *node = trace->open.tail;
	for (unsigned tries = 0; node != NULL && tries < 64; tries++) {
		struct message *message = node->data;
		if (trace->counts.open <= trace->config.max_open)
			return;
		node = node->prev;
		if (message->dirty || !message->stored || message->round >= trace->round)
			continue;
		trace->evicted = true;
		message_drop(trace, message, true);
		tries = 0;
	}
}
