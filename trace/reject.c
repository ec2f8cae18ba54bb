#include "trace/trace-private.h"

/* Commands whose refusal leaves the message that is being received as it is. */
static bool is_early(struct slice stage)
{
	static const char *const stages[] = {"CONNECT", "HELO", "EHLO", "MAIL", "RCPT", "ETRN",
	        "VRFY", "AUTH", "STARTTLS", "XCLIENT", "XFORWARD", "NOOP", "RSET", "UNKNOWN"};

	for (size_t i = 0; i < G_N_ELEMENTS(stages); i++)
		if (slice_eq_case(stage, slice_str(stages[i])))
			return true;
	return false;
}

/* event_id of a refusal that only the milter saw. */
static uint64_t milter_refusal(const struct observation *seen)
{
	char time[24];
	int n = g_snprintf(time, sizeof(time), "%" G_GINT64_FORMAT, seen->line.time);
	const struct slice parts[] = {SLICE("milter-refusal"), seen->line.node, seen->line.instance,
	        slice_make(time, (size_t)n), seen->client_ip, seen->client_port, seen->from,
	        seen->to, seen->stage, seen->reason};

	return identity_parts(parts, G_N_ELEMENTS(parts));
}

static void draft_refusal(struct draft *draft, const struct observation *seen)
{
	struct trace *trace = draft->trace;

	if (seen->from.p != NULL && draft->event.field[FIELD_MSG_FROM].p == NULL)
		draft->event.field[FIELD_MSG_FROM] = seen->from;
	draft_set(
	        draft, FIELD_REMOTE_ADDR, draft_address(trace, seen->client_ip, seen->client_port));
	draft_set(draft, FIELD_CLIENT_HOST, seen->client_host);
	draft_set(draft, FIELD_HELO, seen->helo);
	draft_set(draft, FIELD_AUTH_USER, seen->sasl_username);
	draft_set(draft, FIELD_SMTP_STAGE, seen->stage);
	draft_set(draft, FIELD_SERVICE, seen->service);
	/* Refused is in SMTP, also where the log does not tell whose session it was. */
	if (seen->client_ip.n > 0 || draft->event.field[FIELD_RECV_METHOD].n == 0)
		draft_set(draft, FIELD_RECV_METHOD, SLICE("esmtp"));
	draft_set(draft, FIELD_DSN, seen->dsn);
	draft_set(draft, FIELD_ERROR_CODE, seen->code);
	draft_set(draft, FIELD_BOUNCE_CLASS, SLICE("25"));
	draft_failure(draft, seen->reason, seen->dsn, seen->code);
}

static void emit_refusal(struct trace *trace, struct stream *stream, struct message *message,
        const struct observation *seen)
{
	char id[IDENTITY_MESSAGE_ID_LEN + 1];
	struct draft draft;

	draft_begin(&draft, trace, EVENT_POLICY_REJECTION);
	draft.event.time = seen->line.time;
	if (seen->line.text.p == NULL)
		draft.event.id = milter_refusal(seen);
	else
		draft.event.id = identity_log_fact(&seen->line, seen->to, IDENTITY_REJECT,
		        stream_ordinal(stream, &seen->line, seen->to));
	if (message == NULL) {
		identity_reject_message_id(draft.event.id, seen->line.time, id);
		draft.event.field[FIELD_MESSAGE_ID] = slice_str(id);
	}
	draft_story(&draft, message != NULL ? message->story : NULL, stream,
	        message != NULL ? message->key.queue_id : SLICE_NONE);
	draft_recipient(
	        &draft, message != NULL ? message->story->letter : NULL, seen->to, SLICE_NONE);
	draft_refusal(&draft, seen);
	draft_emit(&draft);
}

void reject_feed(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = NULL;
	unsigned n = CLAMP(seen->repeat, 1, TRACE_REPEAT_MAX);

	if (seen->line.text.p == NULL && trace->config.log_followed)
		return; /* the log tells it, too */
	if (seen->queue_id.n > 0)
		message = message_of(trace, stream, seen);
	if (message != NULL)
		birth_settle(trace, message, seen->line.time, -1);
	for (unsigned i = 0; i < n; i++)
		emit_refusal(trace, stream, message, seen);
	if (message == NULL || is_early(seen->stage) || message->active_at != 0)
		return;
	message->cancelled = true;
	join_settle(trace, message);
	message_end(trace, message, seen->line.time);
}
