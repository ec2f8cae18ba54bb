#include "trace/trace-private.h"

static bool same_stream(const struct stream *stream, struct slice node, struct slice instance)
{
	return slice_eq(stream->node, node) && slice_eq(stream->instance, instance);
}

static struct stream *stream_new(struct slice node, struct slice instance, unsigned number)
{
	struct stream *stream = g_new0(struct stream, 1);

	stream->node = slice_make(g_strndup(node.p, node.n), node.n);
	stream->instance = slice_make(g_strndup(instance.p, instance.n), instance.n);
	stream->number = number;
	stream->opened = -1;
	return stream;
}

struct stream *stream_of(struct trace *trace, struct slice node, struct slice instance)
{
	if (node.p == NULL)
		node = SLICE("");
	if (instance.p == NULL)
		instance = SLICE("");
	if (trace->last_stream != NULL && same_stream(trace->last_stream, node, instance))
		return trace->last_stream;

	struct stream *stream = NULL;
	for (guint i = 0; i < trace->streams->len && stream == NULL; i++) {
		struct stream *candidate = trace->streams->pdata[i];
		if (same_stream(candidate, node, instance))
			stream = candidate;
	}
	if (stream == NULL) {
		stream = stream_new(node, instance, trace->streams->len + 1);
		g_ptr_array_add(trace->streams, stream);
	}
	trace->last_stream = stream;
	return stream;
}

void stream_free(struct stream *stream)
{
	for (unsigned i = 0; i < TRACE_SECONDS; i++) {
		g_clear_pointer(&stream->seconds[i].lines, g_hash_table_unref);
		g_clear_pointer(&stream->seconds[i].facts, g_hash_table_unref);
	}
	g_clear_pointer(&stream->turned_away, g_hash_table_unref);
	g_free((char *)stream->node.p);
	g_free((char *)stream->instance.p);
	g_free(stream);
}

static struct second *second_at(struct stream *stream, int64_t number)
{
	return &stream->seconds[(uint64_t)number % TRACE_SECONDS];
}

static void second_clear(struct second *second)
{
	g_hash_table_remove_all(second->lines);
	g_hash_table_remove_all(second->facts);
}

/* The slot of a second, emptied if it was that of another one. */
static struct second *second_take(struct stream *stream, int64_t number)
{
	struct second *second = second_at(stream, number);

	if (second->lines == NULL) {
		second->lines = g_hash_table_new(g_direct_hash, g_direct_equal);
		second->facts = g_hash_table_new(g_direct_hash, g_direct_equal);
	} else if (second->second != number) {
		second_clear(second);
	}
	second->second = number;
	return second;
}

/* Of the seconds from `number` on all will come again. */
static void begin_pass(struct stream *stream, int64_t number)
{
	for (unsigned i = 0; i < TRACE_SECONDS; i++)
		if (stream->seconds[i].lines != NULL && stream->seconds[i].second >= number)
			second_clear(&stream->seconds[i]);
	stream->newest = number;
}

static gpointer hash_key(uint64_t hash)
{
	return (gpointer)(uintptr_t)hash;
}

/* Whether a line that its second holds already is the first of another pass, where stamps do not
 * tell. Equal lines one after the other are facts. Else a line about a queue id is written once:
 * Postfix does not try a recipient twice within a second. What has no queue id (a refusal) may well
 * come again from a client that connects again; it is another pass where it begins its second as
 * the first time, follows the same line as the first time, or lies behind other stamps. In doubt it
 * is the reading that is repeated: a fact too few is a small error of a count, while a fact too
 * many is a mail that nobody sent. `before` is what it follows there. */
static bool is_again(const struct stream *stream, const struct second *second,
        const struct observation *seen, uint64_t hash, gpointer before)
{
	if (hash == stream->line)
		return false;
	if (seen->kind != OBSERVATION_REJECT)
		return seen->queue_id.n > 0;
	return seen->queue_id.n > 0 || second->second < stream->newest || hash == second->first ||
	       before == hash_key(stream->line);
}

void stream_line(struct stream *stream, const struct observation *seen)
{
	int64_t number = second_of(seen->line.time);
	uint64_t hash = seen->line.hash != 0 ? seen->line.hash : identity_line_hash(&seen->line);
	gpointer before;

	if (stream->began && number < stream->newest - TRACE_LATE)
		begin_pass(stream, number);
	struct second *second = second_take(stream, number);
	bool known = g_hash_table_lookup_extended(second->lines, hash_key(hash), NULL, &before);
	if (known && is_again(stream, second, seen, hash, before)) {
		begin_pass(stream, number);
		known = false;
	}
	stream->newest = stream->began ? MAX(stream->newest, number) : number;
	stream->began = true;
	if (g_hash_table_size(second->lines) == 0)
		second->first = hash;
	if (!known)
		g_hash_table_insert(second->lines, hash_key(hash), hash_key(stream->line));
	stream->line = hash;
}

/* FNV-1a over the lower-case recipient, starting from the hash of the line. */
static uint64_t fact_hash(uint64_t hash, struct slice recipient)
{
	for (size_t i = 0; i < recipient.n; i++)
		hash = (hash ^ (unsigned char)ascii_lower(recipient.p[i])) *
		       UINT64_C(0x100000001b3);
	return hash;
}

unsigned stream_ordinal(
        struct stream *stream, const struct identity_line *line, struct slice recipient)
{
	struct second *second = second_take(stream, second_of(line->time));
	gpointer key = hash_key(fact_hash(stream->line, recipient));
	unsigned seen = GPOINTER_TO_UINT(g_hash_table_lookup(second->facts, key));

	g_hash_table_insert(second->facts, key, GUINT_TO_POINTER(seen + 1));
	return seen;
}
