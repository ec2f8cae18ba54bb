#include "trace/trace-private.h"

struct story *story_new(void)
{
	struct story *story = g_new0(struct story, 1);

	story->refs = 1;
	story->size = -1;
	return story;
}

struct story *story_ref(struct story *story)
{
	story->refs++;
	return story;
}

void story_unref(struct trace *trace, struct story *story)
{
	if (story == NULL || --story->refs > 0)
		return;
	if (story->shared && g_hash_table_lookup(trace->stories, story->message_id) == story)
		g_hash_table_remove(trace->stories, story->message_id);
	letter_free(story->letter);
	roster_clear(&story->injected);
	g_clear_pointer(&story->tellers, g_ptr_array_unref);
	g_clear_pointer(&story->text, g_string_chunk_free);
	g_free(story);
}

void story_set(struct story *story, struct slice *member, struct slice value)
{
	if (value.p == NULL)
		return;
	if (story->text == NULL)
		story->text = g_string_chunk_new(128);
	*member = slice_make(
	        g_string_chunk_insert_len(story->text, value.p, (gssize)value.n), value.n);
}

void story_fill(struct story *story, const struct story *other)
{
	if (!story->has_from && other->has_from) {
		story_set(story, &story->from, other->from);
		story->has_from = true;
	}
	if (story->header_message_id.n == 0)
		story_set(story, &story->header_message_id, other->header_message_id);
	if (story->parent[0] == '\0' && strcmp(other->parent, story->message_id) != 0)
		memcpy(story->parent, other->parent, sizeof(story->parent));
	if (story->size < 0)
		story->size = other->size;
}

void story_name(
        struct story *story, const struct stream *stream, struct slice queue_id, int64_t birth)
{
	story->birth = birth;
	identity_message_id(stream->node, stream->instance, queue_id, birth, story->message_id);
}
