#include "event/json_maps.h"

#include <stdbool.h>
#include <string.h>

#include "event/json.h"

#define OBJECT G_MAXUINT /* in place of an index */

struct mapping {
	GString *out;
	GArray *open; /* guint for each object or array that is open: OBJECT, or the index in it */
	bool due;     /* the next value is one of an array and needs its index */
};

static guint *innermost(const struct mapping *m)
{
	return m->open->len > 0 ? &g_array_index(m->open, guint, m->open->len - 1) : NULL;
}

static void open_one(struct mapping *m, bool array)
{
	guint first = array ? 0 : OBJECT;

	g_string_append_c(m->out, '{');
	g_array_append_val(m->open, first);
	m->due = array;
}

static void close_one(struct mapping *m)
{
	g_string_append_c(m->out, '}');
	if (m->open->len > 0)
		g_array_set_size(m->open, m->open->len - 1);
	m->due = false;
}

static void next_one(struct mapping *m)
{
	guint *index = innermost(m);

	g_string_append_c(m->out, ',');
	m->due = index != NULL && *index != OBJECT;
	if (m->due)
		++*index;
}

static void put_index(struct mapping *m)
{
	const guint *index = innermost(m);

	if (m->due && index != NULL)
		g_string_append_printf(m->out, "\"%u\":", *index);
	m->due = false;
}

/* How much of a text is one string, from quote to quote, or a number or literal. */
static size_t token(struct slice text)
{
	size_t n = 1;

	if (text.p[0] != '"') {
		while (n < text.n && strchr("[]{},:\"", text.p[n]) == NULL)
			n++;
		return n;
	}
	while (n < text.n && text.p[n] != '"')
		n += text.p[n] == '\\' ? 2 : 1;
	return MIN(n + 1, text.n);
}

/* One token; how many bytes it has. */
static size_t map_one(struct mapping *m, struct slice text)
{
	char c = text.p[0];

	switch (c) {
	case ']':
	case '}':
		close_one(m);
		return 1;
	case ',':
		next_one(m);
		return 1;
	case ':':
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		g_string_append_c(m->out, c);
		return 1;
	default:
		break;
	}
	put_index(m);
	if (c == '[' || c == '{') {
		open_one(m, c == '[');
		return 1;
	}
	size_t n = token(text);
	json_append(m->out, slice_head(text, n));
	return n;
}

void json_maps(GString *out, struct slice text)
{
	struct mapping m = {.out = out};

	if (slice_chr(text, '[') < 0) {
		json_append(out, text);
		return;
	}
	m.open = g_array_new(FALSE, FALSE, sizeof(guint));
	while (text.n > 0)
		text = slice_from(text, map_one(&m, text));
	g_array_unref(m.open);
}
