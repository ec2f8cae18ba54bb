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
	for (unsigned i = 0; i < TRACE_SECONDS; i++)
		g_clear_pointer(&stream->seconds[i].seen, g_hash_table_unref);
	g_free((char *)stream->node.p);
	g_free((char *)stream->instance.p);
	g_free(stream);
}

/* FNV-1a over the lower-case recipient, starting from the hash of the line. */
static uint64_t fact_hash(uint64_t hash, struct slice recipient)
{
	for (size_t i = 0; i < recipient.n; i++)
		hash = (hash ^ (unsigned char)lower_of(recipient.p[i])) * UINT64_C(0x100000001b3);
	return hash;
}

unsigned stream_ordinal(
        struct stream *stream, const struct identity_line *line, struct slice recipient)
{
	int64_t second = second_of(line->time);
	unsigned slot = (uint64_t)second % TRACE_SECONDS;
	uint64_t hash = fact_hash(identity_line_hash(line), recipient);

	if (stream->seconds[slot].seen == NULL)
		stream->seconds[slot].seen = g_hash_table_new(g_direct_hash, g_direct_equal);
	else if (stream->seconds[slot].second != second)
		g_hash_table_remove_all(stream->seconds[slot].seen);
	stream->seconds[slot].second = second;

	gpointer key = (gpointer)(uintptr_t)hash;
	unsigned seen = GPOINTER_TO_UINT(g_hash_table_lookup(stream->seconds[slot].seen, key));
	g_hash_table_insert(stream->seconds[slot].seen, key, GUINT_TO_POINTER(seen + 1));
	return seen;
}
