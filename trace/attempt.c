#include "trace/trace-private.h"

static struct slice delivery_method(struct slice service)
{
	static const struct {
		const char *service, *method;
	} table[] = {{"smtp", "esmtp"}, {"relay", "esmtp"}, {"lmtp", "lmtp"}, {"local", "local"},
	        {"virtual", "virtual"}, {"pipe", "pipe"}, {"discard", "discard"},
	        /* mailers of Sendmail's cf/mailer */
	        {"esmtp", "esmtp"}, {"smtp8", "esmtp"}, {"dsmtp", "esmtp"}, {"prog", "pipe"},
	        {"*file*", "local"}, {"procmail", "pipe"}, {"cyrusv2", "lmtp"}};
	ptrdiff_t slash = slice_rchr(service, '/');

	if (slash >= 0)
		service = slice_from(service, (size_t)slash + 1);
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
		if (slice_eq(service, slice_str(table[i].service)))
			return slice_str(table[i].method);
	return SLICE_NONE; /* error, retry, qmgr, cleanup: nothing went out */
}

/* A program of unknown name that talked to an address talked SMTP. What was held back before
 * anybody tried (error, retry) waits for it; Events Ingest wants a method of each delivery and
 * delay. */
static struct slice method_of(const struct observation *seen, enum event_type type)
{
	struct slice method = delivery_method(seen->service);
	bool needed = type == EVENT_DELIVERY || type == EVENT_DELAY;

	return method.n > 0 || (seen->relay_ip.n == 0 && !needed) ? method : SLICE("esmtp");
}

static void draft_sender_ip(struct draft *draft, struct slice program)
{
	GArray *map = draft->trace->sending_ips;

	for (guint i = 0; i < map->len; i++) {
		const struct sending_ip *entry = &g_array_index(map, struct sending_ip, i);
		if (slice_eq(entry->program, program)) {
			draft_set(draft, FIELD_SENDING_IP, entry->ip);
			draft_set(draft, FIELD_IP_POOL, entry->pool);
			return;
		}
	}
}

static enum event_type event_of(const struct observation *seen)
{
	if (seen->status == ATTEMPT_SENT)
		return EVENT_DELIVERY;
	return seen->status == ATTEMPT_BOUNCED && !seen->soft_bounce ? EVENT_BOUNCE : EVENT_DELAY;
}

static void emit_attempt(struct trace *trace, struct message *message,
        const struct observation *seen, uint64_t id, int64_t retries)
{
	struct draft draft;

	draft_begin(&draft, trace, event_of(seen));
	draft_story(&draft, message->story, message->key.stream, message->key.queue_id);
	draft_recipient(&draft, message->story->letter, seen->to, seen->orig_to);
	draft.event.id = id;
	draft.event.time = seen->line.time;
	draft_sender_ip(&draft, seen->line.program);
	draft_set(&draft, FIELD_SERVICE, seen->service);
	draft_set(&draft, FIELD_DELV_METHOD, method_of(seen, draft.event.type));
	draft_set(&draft, FIELD_IP_ADDRESS, seen->relay_ip);
	draft_set(&draft, FIELD_MX_HOST, seen->relay_host);
	draft_set(&draft, FIELD_DSN, seen->dsn);
	draft_set(&draft, FIELD_ERROR_CODE, seen->code);
	draft_number(&draft, FIELD_QUEUE_TIME, seen->delay_ms);
	draft_number(&draft, FIELD_NUM_RETRIES, retries);
	if (draft.event.type == EVENT_DELIVERY)
		draft_set(&draft, FIELD_RAW_REASON, seen->reason);
	else
		draft_failure(&draft, seen->reason, seen->dsn, seen->code);
	draft_emit(&draft);
}

/* Whether this delivery only handed the mail to a content filter that gave it back. */
static bool is_hop(struct trace *trace, const struct observation *seen)
{
	return seen->status == ATTEMPT_SENT && seen->new_queue_id.n > 0 &&
	       seen->link != CHILD_FORWARDED && !trace->config.attempts &&
	       relays_hold(trace->relays, seen->relay_ip, seen->relay_port);
}

static void one_attempt(
        struct trace *trace, struct message *message, const struct observation *seen, bool hop)
{
	unsigned k = stream_ordinal(message->key.stream, &seen->line, seen->to);
	uint64_t id = identity_log_fact(&seen->line, seen->to, IDENTITY_ATTEMPT, k);
	struct recipient *recipient = roster_take(&message->tried, seen->to, seen->orig_to);
	uint32_t retries = recipient_try(recipient, seen->line.time, id);

	if (event_of(seen) == EVENT_DELAY)
		recipient_deferred(
		        recipient, seen->to, seen->orig_to, seen->dsn, seen->code, seen->reason);
	else
		recipient_settled(recipient);
	if (!hop)
		emit_attempt(trace, message, seen, id, message->born ? (int64_t)retries : -1);
}

/* Before the first outcome of a mail is told: whose mail is it, and who saw it come in? */
static void prepare(struct trace *trace, struct message *message, const struct observation *seen)
{
	struct message *old = NULL;

	birth_settle(trace, message, seen->line.time, seen->delay_ms);
	if (!relays_hold(trace->relays, seen->relay_ip, seen->relay_port)) {
		old = hop_like(trace, message);
		hop_unindex(trace, message);
		message->attempted = true;
	}
	if (old != NULL)
		hop_join(trace, message, old);
	join_settle(trace, message);
	inject_letter(trace, message);
}

void attempt_feed(struct trace *trace, struct message *message, const struct observation *seen)
{
	bool hop = seen->hop || is_hop(trace, seen);
	unsigned n = CLAMP(seen->repeat, 1, TRACE_REPEAT_MAX);

	if (seen->status == ATTEMPT_PROBE) {
		message->probe = true;
		return;
	}
	prepare(trace, message, seen);
	if (seen->hop)
		hop_ahead(trace, message, seen->new_queue_id);
	inject_recipient(trace, message, seen->to, seen->orig_to);
	for (unsigned i = 0; i < n; i++)
		one_attempt(trace, message, seen, hop);
	if (hop && seen->new_queue_id.n > 0)
		hop_to(trace, message, seen->new_queue_id, seen->line.time, !seen->hop);
	else if (seen->new_queue_id.n > 0 && seen->link == CHILD_FORWARDED)
		link_parent(trace, message->key.stream, seen->new_queue_id,
		        message->story->message_id, seen->line.time);
	message_end_if_final(trace, message, seen->line.time);
}

/* The bounce of a recipient whose message grew too old, for the reason of its last deferral. */
static void emit_expiry(struct trace *trace, struct message *message,
        const struct observation *seen, struct recipient *recipient)
{
	const struct deferral *last = recipient->deferral;
	unsigned k = stream_ordinal(message->key.stream, &seen->line, last->to);
	struct draft draft;

	draft_begin(&draft, trace, EVENT_BOUNCE);
	draft_story(&draft, message->story, message->key.stream, message->key.queue_id);
	draft_recipient(&draft, message->story->letter, last->to, last->orig_to);
	draft.event.time = seen->line.time;
	draft.event.id = identity_log_fact(&seen->line, last->to, IDENTITY_EXPIRE, k);
	draft_set(&draft, FIELD_SERVICE, seen->service);
	draft_set(&draft, FIELD_DSN, SLICE("5.4.7"));
	draft_set(&draft, FIELD_ERROR_CODE, SLICE("554"));
	draft_number(&draft, FIELD_QUEUE_TIME, seen->line.time - message->story->birth);
	if (message->born)
		draft_number(&draft, FIELD_NUM_RETRIES,
		        (int64_t)recipient->earlier + recipient->n_tries);
	draft_failure(&draft,
	        draft_printf(trace, "554 5.4.7 [internal] message timeout (last transfail: %.*s)",
	                SLICE_ARG(last->reason)),
	        last->dsn, last->code);
	draft_emit(&draft);
}

void expired_feed(struct trace *trace, struct message *message, const struct observation *seen)
{
	if (trace->config.attempts)
		return;
	for (unsigned i = 0; i < roster_size(&message->tried); i++) {
		struct recipient *recipient = roster_at(&message->tried, i);
		if (recipient->deferral != NULL) {
			emit_expiry(trace, message, seen, recipient);
			recipient_settled(recipient);
		}
	}
}
