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

/* Refusals before a message has its queue id are of one envelope with it only when they come soon
 * before it, by the same process and of the same client. */
#define SOON CLOCK_MINUTE
/* No process refuses more recipients of one mail that others let pass, and no server has more
 * processes that do, between two lines that count. */
#define TURNED_AWAY_MAX 1000

struct turned_away {
	int64_t time;
	char *client; /* ip:port */
	GPtrArray *to;
};

static void turned_away_free(gpointer p)
{
	struct turned_away *away = p;

	g_free(away->client);
	g_ptr_array_unref(away->to);
	g_free(away);
}

static char *client_of(const struct observation *seen)
{
	return g_strdup_printf(
	        "%.*s:%.*s", SLICE_ARG(seen->client_ip), SLICE_ARG(seen->client_port));
}

static gpointer process_of(const struct observation *seen)
{
	int64_t pid = 0;

	slice_int(seen->line.pid, &pid);
	return GSIZE_TO_POINTER((gsize)pid);
}

static bool is_of(const struct turned_away *away, const struct observation *seen)
{
	g_autofree char *client = client_of(seen);

	return strcmp(away->client, client) == 0 && ABS(seen->line.time - away->time) <= SOON;
}

static void turn_away(struct stream *stream, const struct observation *seen)
{
	if (stream->turned_away == NULL)
		stream->turned_away = g_hash_table_new_full(NULL, NULL, NULL, turned_away_free);
	struct turned_away *away = g_hash_table_lookup(stream->turned_away, process_of(seen));
	if (away == NULL || !is_of(away, seen)) {
		if (g_hash_table_size(stream->turned_away) >= TURNED_AWAY_MAX)
			g_hash_table_remove_all(stream->turned_away);
		away = g_new0(struct turned_away, 1);
		away->client = client_of(seen);
		away->to = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(stream->turned_away, process_of(seen), away);
	}
	away->time = seen->line.time;
	if (away->to->len < TURNED_AWAY_MAX)
		g_ptr_array_add(away->to, slice_dup(seen->to));
}

void reject_settle(struct trace *trace, struct message *message, const struct observation *seen)
{
	GHashTable *table = message->key.stream->turned_away;
	struct turned_away *away =
	        table != NULL ? g_hash_table_lookup(table, process_of(seen)) : NULL;

	if (away == NULL)
		return;
	for (guint i = 0; i < away->to->len && is_of(away, seen); i++)
		roster_take(&message->refused, slice_str(away->to->pdata[i]), SLICE_NONE);
	g_hash_table_remove(table, process_of(seen));
	message_changed(trace, message);
}

/* A milter sees a recipient that one behind it refuses as one that it let pass. */
static void note_refused(struct trace *trace, struct stream *stream, struct message *message,
        const struct observation *seen)
{
	if (!trace->config.milter || seen->to.n == 0 || !slice_eq_case(seen->stage, SLICE("RCPT")))
		return;
	if (message == NULL) {
		turn_away(stream, seen);
		return;
	}
	roster_take(&message->refused, seen->to, SLICE_NONE);
	message_changed(trace, message);
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
	note_refused(trace, stream, message, seen);
	if (message == NULL || is_early(seen->stage) || message->active_at != 0)
		return;
	message->cancelled = true;
	join_settle(trace, message);
	message_end(trace, message, seen->line.time);
}
