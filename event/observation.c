#include "event/observation.h"

/* Where the texts are in the record. */
static const size_t texts[] = {
        offsetof(struct observation, line.node), offsetof(struct observation, line.instance),
        offsetof(struct observation, line.program), offsetof(struct observation, line.pid),
#define OBSERVATION_TEXT(name) offsetof(struct observation, name),
        OBSERVATION_TEXTS(OBSERVATION_TEXT)
#undef OBSERVATION_TEXT
};

#define TEXTS (sizeof(texts) / sizeof(texts[0]))

static inline struct slice text_at(const struct observation *seen, size_t i)
{
	struct slice text;

	memcpy(&text, (const char *)seen + texts[i], sizeof(text));
	return text;
}

/* Most texts are pieces of the line's, which is copied once. */
static inline bool in_line(const struct observation *seen, struct slice text)
{
	struct slice line = seen->line.text;

	return line.p != NULL && (uintptr_t)text.p >= (uintptr_t)line.p &&
	       (uintptr_t)text.p + text.n <= (uintptr_t)line.p + line.n;
}

size_t observation_bytes(const struct observation *seen)
{
	size_t n = seen->line.text.n;

	for (size_t i = 0; i < TEXTS; i++) {
		struct slice text = text_at(seen, i);
		if (text.n > 0 && !in_line(seen, text))
			n += text.n;
	}
	return n;
}

static char *put(struct slice *text, char *bytes)
{
	if (text->n > 0)
		memcpy(bytes, text->p, text->n);
	text->p = text->n > 0 ? bytes : "";
	return bytes + text->n;
}

void observation_copy(struct observation *to, const struct observation *from, char *bytes)
{
	*to = *from;
	if (to->line.text.p != NULL)
		bytes = put(&to->line.text, bytes);
	for (size_t i = 0; i < TEXTS; i++) {
		struct slice text = text_at(from, i);
		if (text.p == NULL)
			continue;
		if (in_line(from, text))
			text.p = to->line.text.p + (text.p - from->line.text.p);
		else
			bytes = put(&text, bytes);
		memcpy((char *)to + texts[i], &text, sizeof(text));
	}
}
