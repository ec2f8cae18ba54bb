#include <stdarg.h>
#include <stdio.h>

#include "event/catalogue.h"
#include "event/classify.h"
#include "trace/domains.h"
#include "trace/trace-private.h"

#define SCRATCH 32768

/* Bytes that live until the next draft begins. */
static char *scratch(struct trace *trace, size_t n)
{
	if (n > SCRATCH - trace->used) {
		g_ptr_array_add(trace->extra, g_malloc(n));
		return trace->extra->pdata[trace->extra->len - 1];
	}
	if (trace->block == NULL)
		trace->block = g_malloc(SCRATCH);
	char *p = trace->block + trace->used;
	trace->used += n;
	return p;
}

struct slice draft_printf(struct trace *trace, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return SLICE_NONE;
	char *text = scratch(trace, (size_t)n + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	return slice_make(text, (size_t)n);
}

static struct slice concat(struct trace *trace, struct slice a, struct slice b)
{
	char *text = scratch(trace, a.n + b.n + 1);

	if (a.n > 0)
		memcpy(text, a.p, a.n);
	if (b.n > 0)
		memcpy(text + a.n, b.p, b.n);
	return slice_make(text, a.n + b.n);
}

static struct slice lower(struct trace *trace, struct slice text)
{
	char *out = scratch(trace, text.n + 1);

	for (size_t i = 0; i < text.n; i++)
		out[i] = ascii_lower(text.p[i]);
	return slice_make(out, text.n);
}

static struct slice decimal(struct trace *trace, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return concat(trace, slice_make(digits + n, sizeof(digits) - n), SLICE_NONE);
}

struct slice draft_address(struct trace *trace, struct slice ip, struct slice port)
{
	if (ip.n == 0 || port.n == 0)
		return ip.n > 0 ? ip : SLICE_NONE;
	return concat(trace, concat(trace, ip, SLICE(":")), port);
}

void draft_begin(struct draft *draft, struct trace *trace, enum event_type type)
{
	trace->used = 0;
	if (trace->extra->len > 0)
		g_ptr_array_set_size(trace->extra, 0);
	memset(&draft->event, 0, sizeof(draft->event));
	draft->event.type = type;
	draft->trace = trace;
}

void draft_set(struct draft *draft, enum field field, struct slice value)
{
	if (value.n > 0 && draft->event.field[field].p == NULL)
		draft->event.field[field] = value;
}

void draft_number(struct draft *draft, enum field field, int64_t value)
{
	if (value >= 0)
		draft_set(draft, field, decimal(draft->trace, (uint64_t)value));
}

/* Domain of an address in lower case; absent without '@'. */
static struct slice domain_of(struct trace *trace, struct slice address)
{
	ptrdiff_t at = slice_rchr(address, '@');

	return at < 0 ? SLICE_NONE : lower(trace, slice_from(address, (size_t)at + 1));
}

static struct slice without_angles(struct slice id)
{
	if (id.n >= 2 && id.p[0] == '<' && id.p[id.n - 1] == '>')
		return slice_make(id.p + 1, id.n - 2);
	return id;
}

/* The header ids of the milter and of the log must be one value. */
static void draft_header_id(struct draft *draft, struct slice logged)
{
	struct slice *id = &draft->event.field[FIELD_HEADER_MESSAGE_ID];

	draft_set(draft, FIELD_HEADER_MESSAGE_ID, logged);
	*id = without_angles(*id);
	if (id->n == 0)
		*id = SLICE_NONE;
}

static void draft_letter(struct draft *draft, const struct letter *letter)
{
	if (letter == NULL)
		return;
	for (unsigned i = 0; i < letter->n_fields; i++)
		draft->event.field[letter->field[i].field] = letter->field[i].value;
	draft_set(draft, FIELD_SENDING_DOMAIN,
	        domain_of(draft->trace, draft->event.field[FIELD_FRIENDLY_FROM]));
}

/* What every mail has, told or not (design, 8). */
static void draft_defaults(struct draft *draft, struct story *story)
{
	struct trace *trace = draft->trace;
	struct slice *transmission = &draft->event.field[FIELD_TRANSMISSION_ID];

	if (transmission->n == 0 && draft->event.field[FIELD_MESSAGE_ID].n > 0) {
		uint64_t hash = story != NULL ? story->transmission : 0;
		if (hash == 0)
			hash = identity_parts(&draft->event.field[FIELD_MESSAGE_ID], 1);
		if (story != NULL)
			story->transmission = hash;
		*transmission = decimal(trace, hash);
	}
	draft_set(draft, FIELD_CUSTOMER_ID, slice_str(trace->customer_id));
	draft_set(draft, FIELD_SUBACCOUNT_ID, slice_str(trace->subaccount_id));
	if (draft->event.field[FIELD_TEMPLATE_ID].n == 0 && transmission->n > 0) {
		draft_set(draft, FIELD_TEMPLATE_ID, concat(trace, SLICE("smtp_"), *transmission));
		draft_set(draft, FIELD_TEMPLATE_VERSION, SLICE("0"));
	}
}

static void draft_place(struct draft *draft, const struct stream *stream, struct slice queue_id)
{
	draft->event.field[FIELD_NODE_NAME] = stream->node.n > 0 ? stream->node : SLICE_NONE;
	draft->event.field[FIELD_INSTANCE] = stream->instance.n > 0 ? stream->instance : SLICE_NONE;
	draft->event.field[FIELD_QUEUE_ID] = queue_id;
}

/* Whether the mail server made the mail itself. A notification may be gone before the line that
 * tells what it was made of; but cleanup (cleanup/cleanup_message.c) gave it a Message-ID of its
 * own queue id, after no line of a client or of pickup. */
static bool made_here(const struct story *story, struct slice queue_id)
{
	if (story->parent[0] != '\0')
		return true;
	return story->has_from && story->from.n == 0 && queue_id.n > 0 &&
	       slice_find(story->header_message_id, queue_id) >= 0;
}

void draft_story(struct draft *draft, struct story *story, const struct stream *stream,
        struct slice queue_id)
{
	if (story == NULL) {
		draft_place(draft, stream, queue_id);
		draft_defaults(draft, NULL);
		return;
	}
	draft_letter(draft, story->letter);
	draft_place(draft, stream, queue_id);
	draft_header_id(draft, story->header_message_id);
	draft->event.injected = story->birth;
	draft->event.field[FIELD_MESSAGE_ID] = slice_str(story->message_id);
	draft_set(draft, FIELD_PARENT_MESSAGE_ID, slice_str(story->parent));
	if (story->has_from && draft->event.field[FIELD_MSG_FROM].p == NULL)
		draft->event.field[FIELD_MSG_FROM] =
		        story->from.p != NULL ? story->from : SLICE("");
	if (story->size >= 0)
		draft->event.field[FIELD_MSG_SIZE] = decimal(draft->trace, (uint64_t)story->size);
	if (story->recv_method != NULL)
		draft_set(draft, FIELD_RECV_METHOD, slice_str(story->recv_method));
	else if (made_here(story, queue_id))
		draft_set(draft, FIELD_RECV_METHOD, SLICE("local"));
	draft_set(draft, FIELD_REMOTE_ADDR,
	        draft_address(draft->trace, story->client_ip, story->client_port));
	draft_set(draft, FIELD_CLIENT_HOST, story->client_host);
	draft_set(draft, FIELD_HELO, story->helo);
	draft_set(draft, FIELD_AUTH_USER, story->auth_user);
	draft_defaults(draft, story);
}

void draft_recipient(
        struct draft *draft, struct letter *letter, struct slice to, struct slice orig_to)
{
	const struct envelope_recipient *given;

	if (to.n == 0)
		return;
	draft->event.field[FIELD_RCPT_TO] = lower(draft->trace, to);
	draft->event.field[FIELD_RAW_RCPT_TO] = to;
	draft->event.field[FIELD_ORIG_RCPT_TO] = orig_to.n > 0 ? orig_to : SLICE_NONE;
	struct slice domain = domain_of(draft->trace, to);
	draft_set(draft, FIELD_RECIPIENT_DOMAIN, domain);
	draft_set(draft, FIELD_ROUTING_DOMAIN, domain);
	given = letter_find(letter, recipient_name(to, orig_to));
	if (given == NULL)
		given = letter_find(letter, to);
	if (given == NULL)
		return;
	if (given->meta.n > 0)
		draft->event.field[FIELD_RCPT_META] = given->meta;
	if (given->tags.n > 0)
		draft->event.field[FIELD_RCPT_TAGS] = given->tags;
	draft_set(draft, FIELD_RCPT_TYPE, given->type);
	draft_set(draft, FIELD_RCPT_SUBS, given->subs);
}

void draft_failure(
        struct draft *draft, struct slice raw_reason, struct slice dsn, struct slice code)
{
	struct classifier *classifier = draft->trace->config.classifier;
	GString *reason = draft->trace->reason;

	draft_set(draft, FIELD_RAW_REASON, raw_reason);
	if (raw_reason.n > 0) {
		g_string_truncate(reason, 0);
		classifier_reason(classifier, reason, raw_reason);
		draft_set(draft, FIELD_REASON, slice_make(reason->str, reason->len));
	}
	if (draft->event.field[FIELD_BOUNCE_CLASS].p != NULL)
		return; /* no matter what the words are: we refused it ourselves */
	const struct failure failure = {.text = raw_reason,
	        .dsn = dsn,
	        .code = code,
	        .mx = draft->event.field[FIELD_MX_HOST]};
	draft_number(
	        draft, FIELD_BOUNCE_CLASS, classifier_class(classifier, &failure)->bounce_class);
}

void trace_prepare(const struct trace *trace, struct observation *seen)
{
	struct classifier *classifier = trace->config.classifier;
	bool tried = seen->kind == OBSERVATION_ATTEMPT && seen->status != ATTEMPT_SENT &&
	             seen->status != ATTEMPT_PROBE;

	seen->line.hash = identity_line_hash(&seen->line);
	if (seen->reason.n == 0 || !(tried || seen->kind == OBSERVATION_REJECT))
		return;
	g_autoptr(GString) reason = g_string_sized_new(seen->reason.n);
	classifier_reason(classifier, reason, seen->reason);
	/* As draft_failure will ask. */
	const struct failure failure = {
	        .text = seen->reason, .dsn = seen->dsn, .code = seen->code, .mx = seen->relay_host};
	if (tried)
		classifier_class(classifier, &failure);
}

/* The same mail is one of ours or not, whichever source tells: by the address that the envelope
 * had, not by what an alias made of it. An address without a domain is one, too. */
static bool is_inbound(const struct draft *draft)
{
	const struct domains *inbound = draft->trace->config.inbound;
	const struct event *event = &draft->event;

	return inbound != NULL &&
	       domains_hold(inbound, recipient_name(event->field[FIELD_RAW_RCPT_TO],
	                                     event->field[FIELD_ORIG_RCPT_TO]));
}

/* The pool of the configuration, whatever a header says. */
static struct slice pool_of(const struct draft *draft)
{
	struct slice ip = draft->event.field[FIELD_SENDING_IP];
	const GArray *map = draft->trace->sending_ips;

	for (guint i = 0; i < map->len; i++) {
		const struct sending_ip *entry = &g_array_index(map, struct sending_ip, i);
		if (entry->ip.p == ip.p && entry->pool.n > 0)
			return entry->pool;
	}
	return SLICE_NONE;
}

/* What an event of a relay type does not carry was meant for mail that we send: a header of a
 * stranger must not put it into a campaign, a pool or a subaccount of ours. */
static void draft_inbound(struct draft *draft)
{
	struct slice *field = draft->event.field;

	draft->event.type = event_inbound(draft->event.type);
	for (int i = 0; i < FIELDS; i++)
		if (field[i].p != NULL &&
		        !event_documents(draft->event.type, (enum field)i, API_EVENTS))
			field[i] = SLICE_NONE;
	field[FIELD_SUBACCOUNT_ID] = slice_str(draft->trace->subaccount_id);
	field[FIELD_IP_POOL] = pool_of(draft);
	draft_set(draft, FIELD_ORIGINATION, SLICE("inbound"));
	if (field[FIELD_MESSAGE_ID].n > 0)
		field[FIELD_RELAY_ID] =
		        decimal(draft->trace, identity_parts(&field[FIELD_MESSAGE_ID], 1));
}

void draft_emit(struct draft *draft)
{
	if (is_inbound(draft))
		draft_inbound(draft);
	draft->trace->emitted++;
	if (draft->trace->hooks.event != NULL)
		draft->trace->hooks.event(draft->trace->hooks.ctx, &draft->event);
}
