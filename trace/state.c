#include "event/catalogue.h"
#include "trace/trace-private.h"

/* The saved form of open messages, waiting envelopes and what was learned of a stream: a version,
 * then numbers in base 128 and texts with their lengths, in the order in which the functions below
 * write them. */
#define STATE_VERSION 2
#define KEY_MESSAGE 'M'
#define KEY_ORPHAN 'E'
#define KEY_STREAM 'S'

/* Times past this are damage (year 33658). */
#define TIME_MAX INT64_C(1000000000000000)

static void put_number(GString *out, uint64_t value)
{
	while (value >= 0x80) {
		g_string_append_c(out, (gchar)(value | 0x80));
		value >>= 7;
	}
	g_string_append_c(out, (gchar)value);
}

static void put_signed(GString *out, int64_t value)
{
	put_number(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* 0 = absent, else length + 1. */
static void put_text(GString *out, struct slice text)
{
	put_number(out, text.p != NULL ? text.n + 1 : 0);
	if (text.n > 0)
		g_string_append_len(out, text.p, (gssize)text.n);
}

/* Looks at each text that is read. */
struct watch {
	trace_holds *holds;
	void *ctx;
	bool held;
};

struct reader {
	const unsigned char *p, *end;
	bool bad;
	struct watch *watch; /* NULL: nobody */
};

static uint64_t get_number(struct reader *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && in->p < in->end; shift += 7) {
		unsigned char byte = *in->p++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	in->bad = true;
	return 0;
}

static int64_t get_signed(struct reader *in)
{
	uint64_t value = get_number(in);

	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static int64_t get_time(struct reader *in)
{
	int64_t value = get_signed(in);

	if (value < -TIME_MAX || value > TIME_MAX)
		in->bad = true;
	return in->bad ? 0 : value;
}

static struct slice get_text(struct reader *in)
{
	uint64_t n = get_number(in);

	if (in->bad || n == 0)
		return SLICE_NONE;
	if (n - 1 > (uint64_t)(in->end - in->p)) {
		in->bad = true;
		return SLICE_NONE;
	}
	struct slice text = slice_make((const char *)in->p, (size_t)n - 1);
	in->p += n - 1;
	if (in->watch != NULL && !in->watch->held)
		in->watch->held = in->watch->holds(in->watch->ctx, text);
	return text;
}

/* A number of things that follow, each at least one byte. */
static unsigned get_count(struct reader *in)
{
	uint64_t n = get_number(in);

	if (n > (uint64_t)(in->end - in->p))
		in->bad = true;
	return in->bad ? 0 : (unsigned)n;
}

/* ---- letters ---- */

static void put_letter(GString *out, const struct letter *letter)
{
	put_number(out, letter != NULL);
	if (letter == NULL)
		return;
	put_number(out, letter->n_fields);
	for (unsigned i = 0; i < letter->n_fields; i++) {
		put_number(out, field_catalogue[letter->field[i].field].number);
		put_text(out, letter->field[i].value);
	}
	put_number(out, letter->n_recipients);
	for (unsigned i = 0; i < letter->n_recipients; i++) {
		const struct envelope_recipient *recipient = &letter->recipient[i];
		put_text(out, recipient->address);
		put_text(out, recipient->type);
		put_text(out, recipient->meta);
		put_text(out, recipient->tags);
		put_text(out, recipient->subs);
	}
}

static struct letter *get_letter(struct reader *in)
{
	struct envelope envelope = {.recipients = 0};

	if (get_number(in) != 1)
		return NULL;
	for (unsigned n = get_count(in); n > 0; n--) {
		enum field field = field_by_number((unsigned)get_number(in));
		struct slice value = get_text(in);
		if (field < FIELDS)
			envelope.field[field] = value;
	}
	unsigned n = get_count(in);
	g_autofree struct envelope_recipient *recipients = g_new0(struct envelope_recipient, n);
	for (unsigned i = 0; i < n; i++) {
		recipients[i].address = get_text(in);
		recipients[i].type = get_text(in);
		recipients[i].meta = get_text(in);
		recipients[i].tags = get_text(in);
		recipients[i].subs = get_text(in);
	}
	envelope.recipient = recipients;
	envelope.recipients = n;
	return in->bad ? NULL : letter_new(&envelope);
}

/* ---- recipients ---- */

static void put_recipient(GString *out, const struct recipient *recipient)
{
	const struct deferral *last = recipient->deferral;

	put_text(out, recipient->name);
	put_number(out, last != NULL);
	put_number(out, recipient->earlier);
	put_signed(out, recipient->second);
	put_number(out, recipient->n_tries);
	for (unsigned i = 0; i < recipient->n_tries; i++)
		put_number(out, recipient->tries[i]);
	if (last == NULL)
		return;
	put_text(out, last->to);
	put_text(out, last->orig_to);
	put_text(out, last->dsn);
	put_text(out, last->code);
	put_text(out, last->reason);
}

static void get_recipient(struct reader *in, struct roster *roster)
{
	struct slice name = get_text(in);
	bool deferred = get_number(in) == 1;

	if (name.p == NULL) {
		in->bad = true;
		return;
	}
	struct recipient *recipient = roster_add_name(roster, name);

	recipient->earlier = (uint32_t)get_number(in);
	recipient->second = get_time(in);
	uint64_t n = get_number(in);
	if (n > G_N_ELEMENTS(recipient->tries))
		in->bad = true;
	recipient->n_tries = in->bad ? 0 : (unsigned)n;
	for (unsigned i = 0; i < recipient->n_tries; i++)
		recipient->tries[i] = get_number(in);
	if (!deferred)
		return;
	struct slice to = get_text(in), orig_to = get_text(in);
	struct slice dsn = get_text(in), code = get_text(in), reason = get_text(in);
	recipient_deferred(recipient, to, orig_to, dsn, code, reason);
}

/* ---- stories ---- */

enum story_flag {
	STORY_SHARED = 1,
	STORY_LETTER_OF_HOP = 2,
	STORY_HAS_FROM = 4,
	STORY_INJECTED_BLANK = 8,
	STORY_LETTER_DONE = 16,
	STORY_ESMTP = 32,
	STORY_LOCAL = 64,
};

static unsigned story_flags(const struct story *story)
{
	unsigned flags = (story->shared ? STORY_SHARED : 0) |
	                 (story->letter_of_hop ? STORY_LETTER_OF_HOP : 0) |
	                 (story->has_from ? STORY_HAS_FROM : 0) |
	                 (story->injected_blank ? STORY_INJECTED_BLANK : 0) |
	                 (story->letter_done ? STORY_LETTER_DONE : 0);

	if (story->recv_method != NULL)
		flags |= story->recv_method[0] == 'e' ? STORY_ESMTP : STORY_LOCAL;
	return flags;
}

static void put_story(GString *out, const struct story *story)
{
	const struct slice texts[] = {story->from, story->header_message_id, story->client_host,
	        story->client_ip, story->client_port, story->helo, story->auth_user};

	put_number(out, story_flags(story));
	put_signed(out, story->birth);
	put_signed(out, story->size);
	put_text(out, slice_str(story->message_id));
	put_text(out, slice_str(story->parent));
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		put_text(out, texts[i]);
	put_number(out, roster_size(&story->injected));
	for (unsigned i = 0; i < roster_size(&story->injected); i++)
		put_text(out, roster_at(&story->injected, i)->name);
	put_letter(out, story->letter);
}

/* Absent, or 20 hexadecimal digits. */
static void get_id(struct reader *in, char id[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct slice text = get_text(in);

	if (text.n == 0)
		return;
	in->bad |= text.n != IDENTITY_MESSAGE_ID_LEN;
	for (size_t i = 0; i < text.n; i++)
		in->bad |= !g_ascii_isxdigit(text.p[i]);
	if (!in->bad)
		memcpy(id, text.p, text.n);
}

static void get_story(struct reader *in, struct story *story)
{
	struct slice *const texts[] = {&story->from, &story->header_message_id, &story->client_host,
	        &story->client_ip, &story->client_port, &story->helo, &story->auth_user};
	uint64_t flags = get_number(in);

	story->shared = flags & STORY_SHARED;
	story->letter_of_hop = flags & STORY_LETTER_OF_HOP;
	story->has_from = flags & STORY_HAS_FROM;
	story->injected_blank = flags & STORY_INJECTED_BLANK;
	story->letter_done = flags & STORY_LETTER_DONE;
	if (flags & (STORY_ESMTP | STORY_LOCAL))
		story->recv_method = flags & STORY_ESMTP ? "esmtp" : "local";
	story->birth = get_time(in);
	story->size = get_signed(in);
	get_id(in, story->message_id);
	get_id(in, story->parent);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		story_set(story, texts[i], get_text(in));
	for (unsigned n = get_count(in); n > 0 && !in->bad; n--) {
		struct slice name = get_text(in);
		if (name.p != NULL)
			roster_add_name(&story->injected, name);
	}
	story->letter = get_letter(in);
	if ((story->birth != 0) != (story->message_id[0] != '\0') ||
	        (story->shared && story->birth == 0))
		in->bad = true;
}

/* Two messages of one story were saved at different times: what either knows. */
static void story_merge(struct story *story, struct story *other)
{
	if (story->letter == NULL && other->letter != NULL) {
		story->letter = g_steal_pointer(&other->letter);
		story->letter_of_hop = other->letter_of_hop;
	}
	story->letter_done |= other->letter_done;
	story->injected_blank |= other->injected_blank;
	for (unsigned i = 0; i < roster_size(&other->injected); i++)
		roster_add_name(&story->injected, roster_at(&other->injected, i)->name);
	story_fill(story, other);
}

/* ---- messages ---- */

/* One bit each, in this order: only add at the end. */
#define MESSAGE_FLAGS(F) \
	F(own) \
	F(born) F(client) F(internal) F(joined) F(hop) F(hopped) F(attempted) F(probe) F(cancelled)

static void put_message(GString *out, const struct message *message)
{
	unsigned flags = message->key.stream->filtered, bit = 1;

#define PUT_FLAG(NAME) flags |= message->NAME ? 1u << bit : 0, bit++;
	MESSAGE_FLAGS(PUT_FLAG)
#undef PUT_FLAG
	put_number(out, STATE_VERSION);
	put_number(out, flags);
	put_signed(out, message->first);
	put_signed(out, message->active_at);
	put_signed(out, message->touched);
	put_signed(out, message->ended_at);
	put_number(out, roster_size(&message->tried));
	for (unsigned i = 0; i < roster_size(&message->tried); i++)
		put_recipient(out, roster_at(&message->tried, i));
	put_story(out, message->story);
	put_number(out, message->expected);
	for (unsigned i = 0; i < roster_size(&message->refused); i++)
		put_text(out, roster_at(&message->refused, i)->name);
}

static void get_message(struct reader *in, struct message *message)
{
	uint64_t flags = get_number(in);
	unsigned bit = 1;

	message->key.stream->filtered |= flags & 1;
#define GET_FLAG(NAME) message->NAME = flags >> bit++ & 1;
	MESSAGE_FLAGS(GET_FLAG)
#undef GET_FLAG
	message->first = get_time(in);
	message->active_at = get_time(in);
	message->touched = get_time(in);
	int64_t ended_at = get_time(in);
	for (unsigned n = get_count(in); n > 0 && !in->bad; n--)
		get_recipient(in, &message->tried);
	get_story(in, message->story);
	uint64_t expected = get_number(in);
	message->expected = expected <= G_MAXINT ? (unsigned)expected : 0;
	while (in->p != in->end && !in->bad) {
		struct slice name = get_text(in);
		if (name.p != NULL)
			roster_add_name(&message->refused, name);
		in->bad |= name.p == NULL;
	}
	message->ended_at = in->bad ? 0 : ended_at;
}

void state_message_key(GString *out, const struct message *message)
{
	g_string_append_c(out, KEY_MESSAGE);
	put_text(out, message->key.stream->node);
	put_text(out, message->key.stream->instance);
	put_text(out, message->key.queue_id);
}

void state_orphan_key(GString *out, const struct orphan *orphan)
{
	g_string_append_c(out, KEY_ORPHAN);
	put_text(out, orphan->stream_node);
	put_text(out, orphan->instance);
	put_text(out, orphan->queue_id);
	put_signed(out, orphan->time);
}

/* Puts a message that was read among the others: into its story, its list and the index. */
static void settle_in(struct trace *trace, struct message *message)
{
	struct story *story = message->story, *known = NULL;

	message->stored = message->restored = true;
	if (story->shared && story->birth != 0)
		known = g_hash_table_lookup(trace->stories, story->message_id);
	if (known != NULL) {
		story_merge(known, story);
		story->shared = false; /* the table holds the other */
		message_retell(trace, message, known);
	} else if (story->shared) {
		g_hash_table_replace(trace->stories, story->message_id, story);
		story->tellers = g_ptr_array_new();
		g_ptr_array_add(story->tellers, message);
	}
	if (message->ended_at != 0) {
		g_queue_unlink(&trace->open, &message->life);
		g_queue_push_tail_link(&trace->ended, &message->life);
		trace->counts.open--;
	} else if (message->active_at != 0 && !message->attempted &&
	           (message->joined || !message->internal)) {
		hop_index(trace, message);
	}
}

static int restore_message(struct trace *trace, struct reader *key, struct reader *in)
{
	struct slice node = get_text(key), instance = get_text(key), queue_id = get_text(key);

	if (key->bad || key->p != key->end || queue_id.n == 0)
		return -1;
	struct stream *stream = stream_of(trace, node, instance);
	const struct message_key wanted = {stream, queue_id};
	if (g_hash_table_lookup(trace->messages, &wanted) != NULL)
		return 0;
	struct message *message = message_insert(trace, stream, queue_id);
	message->story = story_new();
	get_message(in, message);
	if (in->bad) {
		message->story->shared = false;
		message_drop(trace, message, true);
		return -1;
	}
	settle_in(trace, message);
	return 0;
}

static void put_orphan(GString *out, const struct orphan *orphan)
{
	put_number(out, STATE_VERSION);
	put_signed(out, orphan->deadline);
	put_signed(out, orphan->size);
	put_text(out, orphan->from);
	put_letter(out, orphan->letter);
}

static int restore_orphan(struct trace *trace, struct reader *key, struct reader *in)
{
	struct slice node = get_text(key), instance = get_text(key), queue_id = get_text(key);
	int64_t time = get_time(key), deadline = get_time(in), size = get_signed(in);
	struct slice from = get_text(in);
	struct letter *letter = get_letter(in);

	if (key->bad || key->p != key->end || in->bad || in->p != in->end || letter == NULL ||
	        queue_id.n == 0) {
		letter_free(letter);
		return -1;
	}
	struct orphan *orphan = orphan_new(node, instance, queue_id, from);
	orphan->time = time;
	orphan->deadline = deadline;
	orphan->size = size;
	orphan->letter = letter;
	orphan->stored = true;
	orphan_insert(trace, orphan);
	return 0;
}

/* What was learned of a stream, as it is saved. */
enum { STREAM_FILTERED = 1, STREAM_MILTER = 2 };

static unsigned learned(const struct stream *stream)
{
	return (stream->filtered ? STREAM_FILTERED : 0) | (stream->has_milter ? STREAM_MILTER : 0);
}

static int restore_stream(struct trace *trace, struct reader *key, struct reader *in)
{
	struct slice node = get_text(key), instance = get_text(key);
	uint64_t saved = get_number(in);

	if (key->bad || key->p != key->end || in->bad || in->p != in->end)
		return -1;
	struct stream *stream = stream_of(trace, node, instance);
	stream->filtered |= (saved & STREAM_FILTERED) != 0;
	stream->has_milter |= (saved & STREAM_MILTER) != 0;
	stream->saved = learned(stream);
	return 0;
}

static struct reader reader_of(struct slice bytes, struct watch *watch)
{
	const unsigned char *p = (const unsigned char *)bytes.p;

	return (struct reader){p, p + bytes.n, false, watch};
}

static int restore(struct trace *trace, struct slice key, struct slice value, struct watch *watch)
{
	struct reader name = reader_of(key, watch), in = reader_of(value, watch);

	if (key.n == 0 || get_number(&in) != STATE_VERSION || in.bad)
		return -1;
	unsigned char kind = *name.p++;
	if (kind == KEY_MESSAGE)
		return restore_message(trace, &name, &in);
	if (kind == KEY_STREAM)
		return restore_stream(trace, &name, &in);
	return kind == KEY_ORPHAN ? restore_orphan(trace, &name, &in) : -1;
}

int trace_restore(struct trace *trace, struct slice key, struct slice value, struct error *err)
{
	if (restore(trace, key, value, NULL) < 0)
		return error_set(err, "a saved message is damaged or of another version");
	trace->unsorted = true;
	if (trace->counts.open > trace->config.max_open)
		messages_evict(trace);
	return 0;
}

struct message *state_load(struct trace *trace, struct stream *stream, struct slice queue_id)
{
	g_autoptr(GString) key = g_string_new(NULL);
	const struct message_key wanted = {stream, queue_id};
	struct slice value;

	g_string_append_c(key, KEY_MESSAGE);
	put_text(key, stream->node);
	put_text(key, stream->instance);
	put_text(key, queue_id);
	if (g_hash_table_contains(trace->gone, key) ||
	        g_hash_table_contains(trace->forgotten, key) ||
	        !trace->hooks.load(trace->hooks.ctx, slice_make(key->str, key->len), &value) ||
	        restore(trace, slice_make(key->str, key->len), value, NULL) < 0)
		return NULL;
	return g_hash_table_lookup(trace->messages, &wanted);
}

/* ---- saving ---- */

typedef void put_function(void *ctx, struct slice key, struct slice value);

static void save_gone(struct trace *trace, put_function *put, void *ctx)
{
	GHashTableIter iter;
	gpointer p;

	g_hash_table_iter_init(&iter, trace->gone);
	while (g_hash_table_iter_next(&iter, &p, NULL)) {
		const GString *key = p;
		put(ctx, slice_make(key->str, key->len), SLICE_NONE);
	}
	GHashTable *old = trace->forgotten;
	trace->forgotten = trace->gone;
	trace->gone = old;
	g_hash_table_remove_all(old);
}

/* What ended is kept only where lines read again after a restart could not rebuild it: the parts of
 * a mail that went through a filter. */
static void save_message(struct trace *trace, struct message *message, GString *key, GString *value,
        put_function *put, void *ctx)
{
	bool keep = message->ended_at == 0 || message->joined || message->hopped;

	g_queue_unlink(&trace->dirty, &message->dirt);
	message->dirty = false;
	if (!keep && !message->stored)
		return;
	g_string_truncate(key, 0);
	g_string_truncate(value, 0);
	state_message_key(key, message);
	if (keep)
		put_message(value, message);
	message->stored = keep;
	message->round = trace->round;
	put(ctx, slice_make(key->str, key->len),
	        keep ? slice_make(value->str, value->len) : SLICE_NONE);
}

static void save_orphans(
        struct trace *trace, GString *key, GString *value, put_function *put, void *ctx)
{
	for (GList *node = trace->orphans.tail; node != NULL && trace->dirty_orphans > 0;
	        node = node->prev) {
		struct orphan *orphan = node->data;
		if (!orphan->dirty)
			continue;
		orphan->dirty = false;
		orphan->stored = true;
		trace->dirty_orphans--;
		g_string_truncate(key, 0);
		g_string_truncate(value, 0);
		state_orphan_key(key, orphan);
		put_orphan(value, orphan);
		put(ctx, slice_make(key->str, key->len), slice_make(value->str, value->len));
	}
}

/* That filters and a milter are at work is worth knowing to those who read the next log. */
static void save_streams(
        struct trace *trace, GString *key, GString *value, put_function *put, void *ctx)
{
	for (guint i = 0; i < trace->streams->len; i++) {
		struct stream *stream = trace->streams->pdata[i];
		if (stream->saved == learned(stream))
			continue;
		stream->saved = learned(stream);
		g_string_assign(key, "");
		g_string_assign(value, "");
		g_string_append_c(key, KEY_STREAM);
		put_text(key, stream->node);
		put_text(key, stream->instance);
		put_number(value, STATE_VERSION);
		put_number(value, stream->saved);
		put(ctx, slice_make(key->str, key->len), slice_make(value->str, value->len));
	}
}

void trace_save(struct trace *trace, put_function *put, void *ctx)
{
	g_autoptr(GString) key = g_string_new(NULL);
	g_autoptr(GString) value = g_string_new(NULL);

	trace->round++;
	save_gone(trace, put, ctx);
	while (trace->dirty.head != NULL)
		save_message(trace, trace->dirty.head->data, key, value, put, ctx);
	save_orphans(trace, key, value, put, ctx);
	save_streams(trace, key, value, put, ctx);
	if (trace->counts.open > trace->config.max_open)
		messages_evict(trace);
}

/* ---- forgetting ---- */

bool trace_saved_holds(struct slice key, struct slice value, trace_holds *holds, void *ctx)
{
	static const struct trace_config config;
	static const struct trace_hooks hooks;
	struct watch watch = {holds, ctx, false};
	struct trace *trace = trace_new(&config, &hooks, NULL);
	int result = restore(trace, key, value, &watch);

	trace_free(&trace);
	return result < 0 || watch.held;
}

int64_t trace_saved_since(struct slice key, struct slice value)
{
	struct reader name = reader_of(slice_from(key, MIN(key.n, 1)), NULL);
	struct reader in = reader_of(value, NULL);

	if (key.n > 0 && key.p[0] == KEY_ORPHAN) {
		for (int texts = 0; texts < 3; texts++)
			get_text(&name);
		return get_time(&name);
	}
	if (key.n == 0 || key.p[0] != KEY_MESSAGE)
		return INT64_MAX;
	get_number(&in); /* the version */
	get_number(&in); /* flags */
	return get_time(&in);
}

static bool text_holds(GString *key, GString *value, trace_holds *holds, void *ctx)
{
	return trace_saved_holds(
	        slice_make(key->str, key->len), slice_make(value->str, value->len), holds, ctx);
}

static unsigned forget_messages(
        struct trace *trace, GString *key, GString *value, trace_holds *holds, void *ctx)
{
	g_autoptr(GList) messages = g_hash_table_get_values(trace->messages);
	unsigned n = 0;

	for (GList *node = messages; node != NULL; node = node->next) {
		g_string_truncate(key, 0);
		g_string_truncate(value, 0);
		state_message_key(key, node->data);
		put_message(value, node->data);
		if (!text_holds(key, value, holds, ctx))
			continue;
		message_drop(trace, node->data, false);
		n++;
	}
	return n;
}

static unsigned forget_orphans(
        struct trace *trace, GString *key, GString *value, trace_holds *holds, void *ctx)
{
	unsigned n = 0;

	for (GList *node = trace->orphans.head, *next; node != NULL; node = next) {
		next = node->next;
		g_string_truncate(key, 0);
		g_string_truncate(value, 0);
		state_orphan_key(key, node->data);
		put_orphan(value, node->data);
		if (!text_holds(key, value, holds, ctx))
			continue;
		orphan_drop(trace, node->data);
		n++;
	}
	return n;
}

unsigned trace_forget(struct trace *trace, trace_holds *holds, void *ctx)
{
	g_autoptr(GString) key = g_string_new(NULL);
	g_autoptr(GString) value = g_string_new(NULL);

	for (guint i = 0; i < trace->streams->len; i++) {
		struct stream *stream = trace->streams->pdata[i];
		g_clear_pointer(&stream->turned_away, g_hash_table_unref);
	}
	return forget_messages(trace, key, value, holds, ctx) +
	       forget_orphans(trace, key, value, holds, ctx);
}
