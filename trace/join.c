#include "trace/trace-private.h"

struct orphan *orphan_new(
        struct slice node, struct slice instance, struct slice queue_id, struct slice from)
{
	const struct slice in[] = {node, instance, queue_id, from};
	struct orphan *orphan = g_new0(struct orphan, 1);
	struct slice *const out[] = {
	        &orphan->stream_node, &orphan->instance, &orphan->queue_id, &orphan->from};
	size_t used = 0;

	orphan->block = g_malloc(node.n + instance.n + queue_id.n + from.n + 1);
	for (size_t i = 0; i < G_N_ELEMENTS(in); i++) {
		if (in[i].p == NULL)
			continue;
		memcpy(orphan->block + used, in[i].p, in[i].n);
		*out[i] = slice_make(orphan->block + used, in[i].n);
		used += in[i].n;
	}
	orphan->node.data = orphan;
	orphan->size = -1;
	return orphan;
}

void orphan_free(struct orphan *orphan)
{
	letter_free(orphan->letter);
	g_free(orphan->block);
	g_free(orphan);
}

/* Orphans of one queue id form a list; the key of the table is the queue id of its head. */
void orphan_insert(struct trace *trace, struct orphan *orphan)
{
	if (trace->orphan_index == NULL)
		trace->orphan_index = g_hash_table_new(slice_hash, slice_equal);
	GSList *list = g_hash_table_lookup(trace->orphan_index, &orphan->queue_id);
	g_hash_table_replace(trace->orphan_index, &orphan->queue_id, g_slist_prepend(list, orphan));
	g_queue_push_tail_link(&trace->orphans, &orphan->node);
}

void orphan_drop(struct trace *trace, struct orphan *orphan)
{
	GSList *list = g_hash_table_lookup(trace->orphan_index, &orphan->queue_id);

	list = g_slist_remove(list, orphan);
	if (list == NULL) {
		g_hash_table_remove(trace->orphan_index, &orphan->queue_id);
	} else {
		struct orphan *head = list->data;
		g_hash_table_replace(trace->orphan_index, &head->queue_id, list);
	}
	g_queue_unlink(&trace->orphans, &orphan->node);
	trace->dirty_orphans -= orphan->dirty;
	if (orphan->stored) {
		GString *key = g_string_new(NULL);
		state_orphan_key(key, orphan);
		g_hash_table_add(trace->gone, key);
	}
	orphan_free(orphan);
}

static bool is_exact(const struct orphan *orphan)
{
	return orphan->stream_node.p != NULL && orphan->instance.p != NULL;
}

static bool same_place(const struct orphan *orphan, const struct stream *stream)
{
	return (orphan->stream_node.p == NULL || slice_eq(orphan->stream_node, stream->node)) &&
	       (orphan->instance.p == NULL || slice_eq(orphan->instance, stream->instance));
}

/* Whether an envelope can be of this life of its queue id: the milter saw the end of the data after
 * the message's first line and before it became active. */
static bool fits(const struct orphan *orphan, const struct message *message)
{
	int64_t time = orphan->time;

	if (!same_place(orphan, message->key.stream) ||
	        (message->story->letter != NULL && !message->joined))
		return false;
	if (!is_exact(orphan)) {
		int64_t at = message->active_at != 0 ? message->active_at : message->first;
		return time >= at - TRACE_VAGUE && time <= at + TRACE_VAGUE;
	}
	if (queue_id_birth(message->key.queue_id, time) != 0)
		return true;
	int64_t last = message->active_at != 0 ? message->active_at : message->ended_at;
	int64_t first = message->client ? message->first - TRACE_SKEW : message->first - TRACE_SLOW;
	return time >= first &&
	       time <= (last != 0 ? last : message->touched + TRACE_SLOW) + TRACE_SKEW;
}

/* The messages of all streams that an envelope fits; the last one of them in *found_r. */
static unsigned candidates(
        struct trace *trace, const struct orphan *orphan, struct message **found_r)
{
	unsigned n = 0;

	for (guint i = 0; i < trace->streams->len; i++) {
		struct stream *stream = trace->streams->pdata[i];
		if (!same_place(orphan, stream))
			continue;
		struct message *message = message_known(trace, stream, orphan->queue_id);
		if (message != NULL && message->own && fits(orphan, message)) {
			*found_r = message;
			n++;
		}
	}
	return n;
}

/* Whether the log has told what becomes of the message. */
static bool is_settled(const struct message *message)
{
	return message->active_at != 0 || message->attempted || message->cancelled;
}

static void adopt(struct trace *trace, struct message *message, struct orphan *orphan)
{
	struct story *story = message->story;

	message->key.stream->has_milter = true;
	if (message->cancelled) {
		trace->counts.cancelled++;
	} else if (story->letter == NULL) {
		story->letter = g_steal_pointer(&orphan->letter);
		story->letter_of_hop = message->hop;
		message_changed(trace, message);
		if (!message->internal || message->joined || hop_like(trace, message) == NULL)
			inject_letter(trace, message);
	}
	orphan_drop(trace, orphan);
}

/* Joins an envelope whose candidates are known by now; false when it has to wait. */
static bool try_join(struct trace *trace, struct orphan *orphan)
{
	struct message *message = NULL;
	unsigned n = candidates(trace, orphan, &message);

	if (n > 1) {
		trace->counts.ambiguous++;
		orphan_drop(trace, orphan);
		return true;
	}
	if (n == 0 || !is_settled(message))
		return false;
	adopt(trace, message, orphan);
	return true;
}

void join_settle(struct trace *trace, struct message *message)
{
	if (trace->orphans.length == 0)
		return;
	GSList *next = g_hash_table_lookup(trace->orphan_index, &message->key.queue_id);
	while (next != NULL) {
		struct orphan *orphan = next->data;
		next = next->next;
		if (fits(orphan, message) && try_join(trace, orphan))
			return;
	}
}

/* A mail that the log did not tell of in time: the milter alone makes its injections. Lines that
 * come late join what is kept of it. */
static void make_alone(struct trace *trace, struct orphan *orphan)
{
	struct message *message = NULL;
	unsigned n = candidates(trace, orphan, &message);

	if (n == 1) {
		adopt(trace, message, orphan);
		return;
	}
	struct stream *stream = stream_of(trace, orphan->stream_node, orphan->instance);
	if (n == 0 && is_exact(orphan) && message_known(trace, stream, orphan->queue_id) == NULL) {
		message = message_stub(trace, stream, orphan->queue_id, orphan->time);
		inject_orphan(trace, stream, orphan, message->story);
	} else {
		struct story *story = story_new();
		trace->counts.ambiguous += n > 1;
		inject_orphan(trace, stream, orphan, story);
		story_unref(trace, story);
	}
	orphan_drop(trace, orphan);
}

static gint by_deadline(gconstpointer a, gconstpointer b, gpointer unused)
{
	const struct orphan *x = a, *y = b;

	(void)unused;
	return (x->deadline > y->deadline) - (x->deadline < y->deadline);
}

void join_sort(struct trace *trace)
{
	g_queue_sort(&trace->orphans, by_deadline, NULL);
}

void join_sweep(struct trace *trace)
{
	while (trace->orphans.head != NULL) {
		struct orphan *orphan = trace->orphans.head->data;
		if (orphan->deadline >= trace->clock)
			return;
		make_alone(trace, orphan);
	}
}

enum ledger_class join_envelope(struct trace *trace, const struct observation *seen)
{
	const struct identity_line *line = &seen->line;
	struct orphan *orphan = orphan_new(line->node, line->instance, seen->queue_id, seen->from);

	orphan->time = line->time;
	orphan->size = seen->size;
	orphan->deadline = line->time + trace->config.join_timeout;
	orphan->letter = letter_new(seen->envelope);
	if (!trace->config.log_followed) {
		struct story *story = story_new();
		inject_orphan(trace, stream_of(trace, line->node, line->instance), orphan, story);
		story_unref(trace, story);
		orphan_free(orphan);
		return LEDGER_LINKED;
	}
	orphan->dirty = true;
	trace->dirty_orphans++;
	orphan_insert(trace, orphan);
	try_join(trace, orphan);
	return LEDGER_LINKED;
}
