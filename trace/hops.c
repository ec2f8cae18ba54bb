#include "trace/trace-private.h"

/* Whether a message can be one that a filter hands back. Programs on this host do send copies under
 * one Message-ID, so that theirs count only where filters are known to be at work; what came from
 * elsewhere and comes again from here went through a filter. What Postfix made itself (a forwarded
 * alias, a notification) is never filtered. */
static bool may_be_filtered(const struct message *message)
{
	if (message->key.stream->filtered)
		return message->client || message->joined || !message->born;
	return message->client && !message->internal;
}

void hop_index(struct trace *trace, struct message *message)
{
	if (message->indexed || message->story->header_message_id.n == 0 ||
	        !may_be_filtered(message))
		return;
	message->indexed = true;
	g_hash_table_replace(trace->by_header, &message->story->header_message_id, message);
}

void hop_unindex(struct trace *trace, struct message *message)
{
	if (!message->indexed)
		return;
	message->indexed = false;
	const struct slice *id = &message->story->header_message_id;
	if (g_hash_table_lookup(trace->by_header, id) == message)
		g_hash_table_remove(trace->by_header, id);
}

/* A filter that does not speak XFORWARD hands the mail back from its own address, with the same
 * Message-ID and sender, while the first message still waits for the filter's answer. */
struct message *hop_like(struct trace *trace, struct message *message)
{
	struct slice id = message->story->header_message_id;

	if (!message->internal || message->joined || id.n == 0)
		return NULL;
	struct message *old = g_hash_table_lookup(trace->by_header, &id);
	if (old == NULL || old == message || old->story == message->story || old->ended_at != 0 ||
	        old->attempted || !slice_eq(old->key.stream->node, message->key.stream->node) ||
	        !slice_eq(old->story->from, message->story->from) ||
	        message->touched - old->touched > TRACE_SLOW)
		return NULL;
	return old;
}

/* Both tell one story from now on. What milter and log told of the reinjection serves where they
 * told nothing of the mail itself: a log may begin amid it. */
void hop_join(struct trace *trace, struct message *message, struct message *old)
{
	struct story *story = old->story;

	birth_settle(trace, old, old->touched, -1);
	if (trace->config.attempts || message->joined || message->story == story ||
	        story->birth == 0)
		return;
	hop_unindex(trace, message);
	if (story->letter == NULL && message->story->letter != NULL) {
		story->letter = g_steal_pointer(&message->story->letter);
		story->letter_of_hop = true;
	}
	story_fill(story, message->story);
	if (!story->shared) {
		story->shared = true;
		story->tellers = g_ptr_array_new();
		g_ptr_array_add(story->tellers, old);
		g_hash_table_replace(trace->stories, story->message_id, story);
	}
	message_retell(trace, message, story);
	message->joined = message->hop = true;
	old->hopped = true;
	if (message->active_at != 0 && !message->attempted)
		hop_index(trace, message);
	message_changed(trace, message);
}

/* The message that `queue_id` names on the node of `stream`: of its own instance first. */
static struct message *find_on_node(
        struct trace *trace, struct stream *stream, struct slice queue_id)
{
	struct message *message = message_known(trace, stream, queue_id);

	for (guint i = 0; i < trace->streams->len && message == NULL; i++) {
		struct stream *other = trace->streams->pdata[i];
		if (other != stream && slice_eq(other->node, stream->node))
			message = message_known(trace, other, queue_id);
	}
	return message != NULL && (message->own || message->story->birth != 0) ? message : NULL;
}

/* Birth (ms) and message_id of a message of which we saw no line, where something sure tells them;
 * 0 where nothing does. */
static int64_t mail_elsewhere(struct trace *trace, struct stream *stream, struct slice queue_id,
        int64_t time, char id[IDENTITY_MESSAGE_ID_LEN + 1])
{
	int64_t birth = 0;

	id[0] = '\0';
	if (trace->hooks.find_birth != NULL)
		birth = trace->hooks.find_birth(trace->hooks.ctx, stream->node, stream->instance,
		        queue_id, time, false, id);
	if (birth == 0)
		birth = queue_id_birth(queue_id, time);
	if (birth != 0 && id[0] == '\0')
		identity_message_id(stream->node, stream->instance, queue_id, birth, id);
	return birth;
}

bool message_id_of(struct trace *trace, struct stream *stream, struct slice queue_id, int64_t time,
        char id[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct message *message = message_known(trace, stream, queue_id);

	if (message != NULL)
		birth_settle(trace, message, time, -1);
	if (message != NULL && message->story->birth != 0) {
		memcpy(id, message->story->message_id, IDENTITY_MESSAGE_ID_LEN + 1);
		return true;
	}
	return mail_elsewhere(trace, stream, queue_id, time, id) != 0;
}

/* The message that a reinjection continues was forgotten; its message_id is still known. */
static void rejoin_forgotten(
        struct trace *trace, struct message *message, struct slice queue_id, bool hop)
{
	struct stream *stream = message->key.stream;
	char id[IDENTITY_MESSAGE_ID_LEN + 1];
	int64_t birth = mail_elsewhere(trace, stream, queue_id, message->touched, id);

	if (birth == 0 || trace->config.attempts)
		return;
	message->story->birth = birth;
	memcpy(message->story->message_id, id, sizeof(id));
	message->joined = true;
	message->hop = hop;
}

/* postsuper -r gives a message a new queue id: it goes on as the new one. */
static void requeue(struct trace *trace, struct message *message, struct message *old)
{
	struct roster tried = message->tried;

	message->hop = false;
	message->born = old->born;
	message->attempted |= old->attempted;
	message->tried = old->tried;
	old->tried = tried;
	message_end(trace, old, message->touched);
}

void hop_from(struct trace *trace, struct message *message, const struct observation *seen)
{
	bool requeued = seen->kind == OBSERVATION_PICKUP;
	struct message *old;

	if (message->joined || seen->orig_queue_id.n == 0 || trace->config.attempts)
		return;
	old = find_on_node(trace, message->key.stream, seen->orig_queue_id);
	if (old == message)
		return;
	if (old == NULL) {
		rejoin_forgotten(trace, message, seen->orig_queue_id, !requeued);
		return;
	}
	hop_join(trace, message, old);
	if (requeued && message->joined)
		requeue(trace, message, old);
}

/* The submission client's line may come behind those of the MTA that it handed the mail to. Then
 * the events of the MTA's message are out already: the client's continues it, not the other way. */
void hop_ahead(struct trace *trace, struct message *message, struct slice new_queue_id)
{
	struct message *next =
	        new_queue_id.n > 0 ? find_on_node(trace, message->key.stream, new_queue_id) : NULL;

	if (next != NULL && next != message && roster_size(&message->story->injected) == 0 &&
	        roster_size(&next->story->injected) > 0)
		hop_join(trace, message, next);
}

void hop_to(struct trace *trace, struct message *message, struct slice new_queue_id, int64_t time,
        bool filter)
{
	struct message *next = find_on_node(trace, message->key.stream, new_queue_id);

	message->key.stream->filtered |= filter;
	message->hopped = true;
	if (next == NULL)
		next = message_stub(trace, message->key.stream, new_queue_id, time);
	if (next != message)
		hop_join(trace, next, message);
}

void link_parent(struct trace *trace, struct stream *stream, struct slice child, const char *parent,
        int64_t time)
{
	struct message *message = message_stub(trace, stream, child, time);
	struct story *story = message->story;

	if (story->parent[0] != '\0' || strcmp(story->message_id, parent) == 0)
		return;
	memcpy(story->parent, parent, sizeof(story->parent));
	message_changed(trace, message);
}
