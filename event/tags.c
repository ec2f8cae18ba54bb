#include "event/tags.h"

#include <jansson.h>

/* Index of the quote that ends a string whose first byte is text.p[0]; *escaped: a backslash came
 * before it. -1 without end. */
static ptrdiff_t find_end(struct slice text, bool *escaped)
{
	*escaped = false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"')
			return (ptrdiff_t)i;
		if (text.p[i] == '\\') {
			*escaped = true;
			i++;
		}
	}
	return -1;
}

/* A string with its quotes, decoded into scratch; absent where it is no JSON. */
static struct slice decode(struct slice quoted, GString *scratch)
{
	json_t *value = json_loadb(quoted.p, quoted.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	if (value == NULL)
		return SLICE_NONE;
	g_string_truncate(scratch, 0);
	g_string_append_len(scratch, json_string_value(value), (gssize)json_string_length(value));
	json_decref(value);
	return slice_make(scratch->str, scratch->len);
}

struct slice tags_next(struct slice *rest, GString *scratch)
{
	ptrdiff_t start = slice_chr(*rest, '"');
	bool escaped;

	if (start < 0)
		return SLICE_NONE;
	struct slice text = slice_from(*rest, (size_t)start + 1);
	ptrdiff_t end = find_end(text, &escaped);
	if (end < 0)
		return SLICE_NONE;
	*rest = slice_from(text, (size_t)end + 1);
	if (!escaped)
		return slice_head(text, (size_t)end);
	return decode(slice_make(text.p - 1, (size_t)end + 2), scratch);
}
