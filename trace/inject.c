#include "trace/trace-private.h"

/* One injection event for a recipient of a story, unless it had one. The event_id hangs on message
 * and recipient only, so that it is the same whichever source saw the mail first. */
static void inject(struct trace *trace, struct stream *stream, struct slice queue_id,
        struct story *story, struct slice address, bool missed)
{
	struct draft draft;

	if (trace->config.attempts || roster_find(&story->injected, address, SLICE_NONE) != NULL)
		return;
	roster_take(&story->injected, address, SLICE_NONE);
	draft_begin(&draft, trace, EVENT_INJECTION);
	draft_story(&draft, story, stream, queue_id);
	draft_recipient(&draft, story->letter, address, SLICE_NONE);
	draft.event.time = story->birth;
	draft.event.missed = missed;
	draft.event.id =
	        identity_injection(slice_str(story->message_id), draft.event.field[FIELD_RCPT_TO]);
	draft_emit(&draft);
}

/* refused: NULL = nobody. One who was accepted after all is injected at the first try. */
static void inject_all(struct trace *trace, struct stream *stream, struct slice queue_id,
        struct story *story, const struct roster *refused)
{
	for (unsigned i = 0; i < story->letter->n_recipients; i++) {
		struct slice address = story->letter->recipient[i].address;
		if (refused == NULL || roster_find(refused, address, SLICE_NONE) == NULL)
			inject(trace, stream, queue_id, story, address, false);
	}
}

/* The envelope of a reinjection names the recipients as the filter wrote them; those of the mail
 * itself come from the lines of the first message. */
static bool injects(const struct message *message)
{
	return !message->hop && !message->cancelled && !message->probe &&
	       message->story->birth != 0;
}

void inject_letter(struct trace *trace, struct message *message)
{
	struct story *story = message->story;

	if (story->letter == NULL || story->letter_done || story->letter_of_hop ||
	        !injects(message))
		return;
	story->letter_done = true;
	inject_all(trace, message->key.stream, message->key.queue_id, story, &message->refused);
	message_changed(trace, message);
}

/* Whether this would be the first injection of a mail that should have come with an envelope. */
static bool is_missed(const struct trace *trace, const struct message *message)
{
	const struct story *story = message->story;

	return trace->config.milter && message->key.stream->has_milter && message->client &&
	       !message->joined && story->letter == NULL && roster_size(&story->injected) == 0;
}

void inject_recipient(
        struct trace *trace, struct message *message, struct slice to, struct slice orig_to)
{
	struct story *story = message->story;
	struct slice address = recipient_name(to, orig_to);

	if (!injects(message) || address.p == NULL)
		return;
	if (story->letter_done && roster_find(&story->injected, to, SLICE_NONE) != NULL)
		return;
	inject(trace, message->key.stream, message->key.queue_id, story, address,
	        is_missed(trace, message));
}

void inject_blank(struct trace *trace, struct message *message)
{
	struct story *story = message->story;
	struct draft draft;

	if (trace->config.attempts || !injects(message) || story->injected_blank ||
	        roster_size(&story->injected) > 0)
		return;
	story->injected_blank = true;
	draft_begin(&draft, trace, EVENT_INJECTION);
	draft.event.missed = is_missed(trace, message);
	draft_story(&draft, story, message->key.stream, message->key.queue_id);
	draft.event.time = story->birth;
	draft.event.id = identity_injection(slice_str(story->message_id), SLICE(""));
	draft_emit(&draft);
}

void inject_orphan(
        struct trace *trace, struct stream *stream, struct orphan *orphan, struct story *story)
{
	int64_t birth = queue_id_birth(orphan->queue_id, orphan->time);

	story_name(story, stream, orphan->queue_id, birth != 0 ? birth : orphan->time);
	story->letter = g_steal_pointer(&orphan->letter);
	story->size = orphan->size;
	if (orphan->from.p != NULL) {
		story_set(story, &story->from, orphan->from);
		story->has_from = true;
	}
	story->letter_done = true;
	inject_all(trace, stream, orphan->queue_id, story, NULL);
}
