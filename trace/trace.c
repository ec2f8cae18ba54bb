#include "trace/trace.h"

#include "event/classify.h"
#include "trace/trace-private.h"

#define DEFAULT_RELAYS "127.0.0.1:10024-10026 [::1]:10024-10026"

typedef void feed_function(
        struct trace *trace, struct stream *stream, const struct observation *seen);

static void configure(struct trace *trace, const struct trace_config *config)
{
	trace->config = *config;
	trace->customer_id = g_strdup(config->customer_id != NULL ? config->customer_id : "1");
	trace->subaccount_id =
	        g_strdup(config->subaccount_id != NULL ? config->subaccount_id : "0");
	trace->sending_text = g_strdup(config->sending_ips != NULL ? config->sending_ips : "");
	if (trace->config.classifier == NULL)
		trace->config.classifier = classifier_default();
	if (trace->config.join_timeout == 0)
		trace->config.join_timeout = CLOCK_MINUTE;
	if (trace->config.message_age == 0)
		trace->config.message_age = 10 * CLOCK_DAY;
	if (trace->config.max_open == 0)
		trace->config.max_open = 500000;
}

static int parse_lists(struct trace *trace, const char *internal_relays, struct error *err)
{
	if (trace->config.join_timeout < 0 || trace->config.message_age < 0)
		return error_set(err, "join_timeout and message_age must not be negative");
	if (relays_parse(trace->relays, internal_relays != NULL ? internal_relays : DEFAULT_RELAYS,
	            err) < 0)
		return -1;
	return sending_ips_parse(trace->sending_ips, trace->sending_text, err);
}

static void free_key(gpointer key)
{
	g_string_free(key, TRUE);
}

static GHashTable *key_set(void)
{
	return g_hash_table_new_full(
	        (GHashFunc)g_string_hash, (GEqualFunc)g_string_equal, free_key, NULL);
}

struct trace *trace_new(
        const struct trace_config *config, const struct trace_hooks *hooks, struct error *err)
{
	struct trace *trace = g_new0(struct trace, 1);

	configure(trace, config);
	trace->hooks = *hooks;
	trace->relays = g_array_new(FALSE, FALSE, sizeof(struct relay));
	trace->sending_ips = g_array_new(FALSE, FALSE, sizeof(struct sending_ip));
	trace->streams = g_ptr_array_new_with_free_func((GDestroyNotify)stream_free);
	trace->messages = g_hash_table_new(message_key_hash, message_key_equal);
	trace->stories = g_hash_table_new(g_str_hash, g_str_equal);
	trace->by_header = g_hash_table_new(slice_hash, slice_equal);
	trace->gone = key_set();
	trace->forgotten = key_set();
	trace->round = 1;
	trace->extra = g_ptr_array_new_with_free_func(g_free);
	trace->reason = g_string_new(NULL);
	if (parse_lists(trace, config->internal_relays, err) < 0)
		trace_free(&trace);
	return trace;
}

static void free_messages(struct trace *trace)
{
	while (trace->open.head != NULL)
		message_drop(trace, trace->open.head->data, true);
	while (trace->ended.head != NULL)
		message_drop(trace, trace->ended.head->data, true);
	while (trace->orphans.head != NULL) {
		struct orphan *orphan = trace->orphans.head->data;
		g_queue_unlink(&trace->orphans, &orphan->node);
		orphan_free(orphan);
	}
}

static void free_list(gpointer key, gpointer list, gpointer unused)
{
	(void)key;
	(void)unused;
	g_slist_free(list);
}

void trace_free(struct trace **pointer)
{
	struct trace *trace = *pointer;

	if (trace == NULL)
		return;
	*pointer = NULL;
	if (trace->orphan_index != NULL)
		g_hash_table_foreach(trace->orphan_index, free_list, NULL);
	free_messages(trace);
	g_clear_pointer(&trace->orphan_index, g_hash_table_unref);
	g_hash_table_unref(trace->messages);
	g_hash_table_unref(trace->stories);
	g_hash_table_unref(trace->by_header);
	g_ptr_array_unref(trace->streams);
	g_hash_table_unref(trace->gone);
	g_hash_table_unref(trace->forgotten);
	g_ptr_array_unref(trace->extra);
	g_array_unref(trace->relays);
	g_array_unref(trace->sending_ips);
	g_string_free(trace->reason, TRUE);
	g_free(trace->block);
	g_free(trace->customer_id);
	g_free(trace->subaccount_id);
	g_free(trace->sending_text);
	g_free(trace);
}

static void set_from(struct story *story, struct slice from)
{
	if (from.p == NULL || story->has_from)
		return;
	story_set(story, &story->from, from);
	story->has_from = true;
}

static void set_message_id(struct story *story, const struct observation *seen)
{
	if (story->header_message_id.n == 0 && !seen->resent && seen->message_id.n > 2)
		story_set(story, &story->header_message_id, seen->message_id);
}

/* Sendmail tells at once what Postfix's cleanup and queue manager tell later; that the message was
 * accepted is not among it. It ends without a word at the usual log level. */
static void set_origin(struct trace *trace, struct message *message, const struct observation *seen)
{
	struct story *story = message->story;

	message->born = message->client = true;
	set_from(story, seen->from);
	set_message_id(story, seen);
	if (story->size < 0 && seen->size >= 0)
		story->size = seen->size;
	if (seen->nrcpt > 0 && seen->nrcpt <= G_MAXINT)
		message->expected = (unsigned)seen->nrcpt;
	else if (seen->nrcpt == 0)
		message_end(trace, message, seen->line.time);
}

static void feed_client(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = message_of(trace, stream, seen);

	message->internal = relays_hold(trace->relays, seen->client_ip, SLICE_NONE);
	hop_from(trace, message, seen);
	reject_settle(trace, message, seen);
	set_origin(trace, message, seen);
	struct story *story = message->story;
	if (story->recv_method != NULL || message->joined)
		return;
	story->recv_method = "esmtp";
	story_set(story, &story->client_host, seen->client_host);
	story_set(story, &story->client_ip, seen->client_ip);
	story_set(story, &story->client_port, seen->client_port);
	story_set(story, &story->helo, seen->helo);
	story_set(story, &story->auth_user, seen->sasl_username);
}

static void feed_pickup(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = message_of(trace, stream, seen);

	hop_from(trace, message, seen);
	set_origin(trace, message, seen);
	if (message->story->recv_method == NULL && !message->joined)
		message->story->recv_method = "local";
}

static void feed_message_id(
        struct trace *trace, struct stream *stream, const struct observation *seen)
{
	set_message_id(message_of(trace, stream, seen)->story, seen);
}

/* The one address may lack the domain: it is a local user's. */
static bool same_user(struct slice a, struct slice b)
{
	ptrdiff_t at_a = slice_rchr(a, '@'), at_b = slice_rchr(b, '@');

	if (at_a >= 0 && at_b < 0)
		a = slice_head(a, (size_t)at_a);
	else if (at_b >= 0 && at_a < 0)
		b = slice_head(b, (size_t)at_b);
	return slice_eq_case(a, b);
}

/* Programs and files: nobody can name them by SMTP. */
static bool is_made_by_alias(struct slice to)
{
	return slice_starts(to, SLICE("\"|")) || slice_starts(to, SLICE("|")) ||
	       slice_starts(to, SLICE("/"));
}

/* What Sendmail expanded to `to`: its ctladdr=, where that is not the sender. A sender that is not
 * known (the log began later) could be it, but for what only an alias makes. */
static struct slice given_address(const struct story *story, const struct observation *seen)
{
	bool alias = is_made_by_alias(seen->to) ||
	             (story->has_from && !same_user(seen->ctladdr, story->from));

	return seen->ctladdr.n > 0 && alias && !slice_eq_case(seen->ctladdr, seen->to)
	               ? seen->ctladdr
	               : seen->orig_to;
}

static void feed_active(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = message_of(trace, stream, seen);
	struct story *story = message->story;

	if (message->active_at == 0)
		message->active_at = seen->line.time;
	if (message->cancelled)
		message_reopen(trace, message);
	set_from(story, seen->from);
	if (story->size < 0 && seen->size >= 0)
		story->size = seen->size;
	join_settle(trace, message);
	if (message->joined || hop_like(trace, message) == NULL) {
		inject_letter(trace, message);
		if (!message->attempted)
			hop_index(trace, message);
	}
	if (seen->to.p != NULL)
		inject_recipient(trace, message, seen->to, given_address(story, seen));
}

static void feed_attempt(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = message_of(trace, stream, seen);
	struct observation told;

	if (seen->ctladdr.n > 0) {
		told = *seen;
		told.orig_to = given_address(message->story, seen);
		seen = &told;
	}
	attempt_feed(trace, message, seen);
}

static void feed_expired(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = message_known(trace, stream, seen->queue_id);

	if (message == NULL)
		return;
	set_from(message->story, seen->from);
	message_touch(trace, message, seen->line.time);
	expired_feed(trace, message, seen);
	message_end_if_final(trace, message, seen->line.time);
}

static void feed_removed(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message = message_known(trace, stream, seen->queue_id);

	if (message == NULL || message->ended_at != 0)
		return;
	join_settle(trace, message);
	birth_settle(trace, message, seen->line.time, -1);
	inject_letter(trace, message);
	if (message->born && message->active_at != 0 && roster_size(&message->tried) == 0)
		inject_blank(trace, message);
	message_end(trace, message, seen->line.time);
}

static void feed_child(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	char id[IDENTITY_MESSAGE_ID_LEN + 1];

	if (seen->queue_id.n == 0 || seen->new_queue_id.n == 0 || seen->link == CHILD_REQUEUED)
		return;
	if (message_id_of(trace, stream, seen->queue_id, seen->line.time, id))
		link_parent(trace, stream, seen->new_queue_id, id, seen->line.time);
	if (seen->from.p != NULL) {
		/* Sendmail tells the sender of its own notices nowhere else. */
		struct message *child =
		        message_stub(trace, stream, seen->new_queue_id, seen->line.time);
		child->born = true;
		set_from(child->story, seen->from);
	}
}

static void feed_note(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	struct message *message =
	        seen->queue_id.n > 0 ? message_known(trace, stream, seen->queue_id) : NULL;

	if (message != NULL && message->ended_at == 0)
		message_touch(trace, message, seen->line.time);
}

static void feed_cancel(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	if (seen->queue_id.n == 0)
		return;
	struct message *message = message_of(trace, stream, seen);
	if (message->active_at != 0 || message->attempted)
		return;
	message->cancelled = true;
	join_settle(trace, message);
	message_end(trace, message, seen->line.time);
}

/* Sendmail's line about an address that it did not accept. It lacks the reply's codes, and its own
 * submission client or a milter's line may tell the same: it is an event of the story only. */
static void feed_refused(struct trace *trace, struct stream *stream, const struct observation *seen)
{
	if (!trace->config.attempts)
		reject_feed(trace, stream, seen);
}

static feed_function *const feeds[] = {
        [OBSERVATION_CLIENT] = feed_client,
        [OBSERVATION_PICKUP] = feed_pickup,
        [OBSERVATION_MESSAGE_ID] = feed_message_id,
        [OBSERVATION_ACTIVE] = feed_active,
        [OBSERVATION_ATTEMPT] = feed_attempt,
        [OBSERVATION_EXPIRED] = feed_expired,
        [OBSERVATION_REMOVED] = feed_removed,
        [OBSERVATION_CHILD] = feed_child,
        [OBSERVATION_NOTE] = feed_note,
        [OBSERVATION_CANCEL] = feed_cancel,
        [OBSERVATION_REJECT] = reject_feed,
        [OBSERVATION_REFUSED] = feed_refused,
};

/* Facts that need a queue id to mean anything. */
static bool needs_queue_id(enum observation_kind kind)
{
	return kind >= OBSERVATION_CLIENT && kind <= OBSERVATION_REMOVED;
}

static void sweep_orphans(struct trace *trace)
{
	if (trace->unsorted) {
		trace->unsorted = false;
		messages_sort(trace);
		join_sort(trace);
	}
	join_sweep(trace);
}

/* Lines of the MTA that mean nothing count too: they stand between others. */
static void note_line(struct trace *trace, const struct observation *seen)
{
	if (seen->line.text.p != NULL &&
	        (seen->kind != OBSERVATION_NONE || seen->line.instance.p != NULL))
		stream_line(stream_of(trace, seen->line.node, seen->line.instance), seen);
}

enum ledger_class trace_feed(struct trace *trace, const struct observation *seen)
{
	bool line = seen->kind != OBSERVATION_ENVELOPE;

	if (seen->kind > OBSERVATION_ENVELOPE)
		return LEDGER_UNPARSED;
	if (seen->kind == OBSERVATION_LOSS)
		return LEDGER_IGNORED;
	if (line)
		note_line(trace, seen);
	if (seen->kind == OBSERVATION_NONE)
		return LEDGER_IGNORED;
	if (seen->kind == OBSERVATION_UNPARSED)
		return LEDGER_UNPARSED;
	trace->emitted = 0;
	/* The log is the clock where one is followed: the milter runs ahead of it. */
	if (line && (seen->line.text.p != NULL || !trace->config.log_followed)) {
		trace->clock = seen->line.time;
		sweep_orphans(trace);
		messages_sweep(trace);
	}
	if (!line) {
		if (seen->queue_id.n > 0 && seen->envelope != NULL)
			join_envelope(trace, seen);
	} else if (!needs_queue_id(seen->kind) || seen->queue_id.n > 0) {
		struct stream *stream = stream_of(trace, seen->line.node, seen->line.instance);
		if (stream->opened < 0)
			stream->opened = seen->line.time;
		feeds[seen->kind](trace, stream, seen);
	}
	if (trace->counts.open > trace->config.max_open)
		messages_evict(trace);
	return trace->emitted > 0 ? LEDGER_EVENT : LEDGER_LINKED;
}

void trace_tick(struct trace *trace, int64_t now)
{
	if (now > trace->clock)
		trace->clock = now;
	sweep_orphans(trace);
	/* While an old log is read, now is much later than what its lines tell of. */
	if (!trace->config.log_followed)
		messages_sweep(trace);
}

struct trace_counts trace_counts(const struct trace *trace)
{
	return trace->counts;
}
