#include "event/json_geo.h"

#include "event/json.h"

static const char *const number_names[] = {"latitude", "longitude", "zip"};

static bool is_number_name(struct slice name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(number_names); i++)
		if (slice_eq(name, slice_str(number_names[i])))
			return true;
	return false;
}

static void skip_digits(struct slice *text)
{
	while (text->n > 0 && g_ascii_isdigit(text->p[0]))
		*text = slice_from(*text, 1);
}

/* Whether a text is a number of JSON (RFC 8259, 6) without exponent. */
static bool is_number(struct slice text)
{
	slice_skip(&text, SLICE("-"));
	if (text.n == 0 || !g_ascii_isdigit(text.p[0]))
		return false;
	if (!slice_skip(&text, SLICE("0")))
		skip_digits(&text);
	if (text.n == 0)
		return true;
	if (!slice_skip(&text, SLICE(".")) || text.n == 0)
		return false;
	skip_digits(&text);
	return text.n == 0;
}

/* A string from its first quote on, cut off *rest; the whole rest where it has no end. */
static struct slice cut_string(struct slice *rest)
{
	struct slice whole = *rest;
	size_t i = 1;

	while (i < whole.n && whole.p[i] != '"')
		i += whole.p[i] == '\\' ? 2 : 1;
	i = MIN(i + 1, whole.n);
	*rest = slice_from(whole, i);
	return slice_head(whole, i);
}

/* What stands between two structural characters: a literal or a number, maybe with blanks. */
static struct slice cut_plain(struct slice *rest)
{
	struct slice whole = *rest;
	size_t i = 0;

	while (i < whole.n && strchr("\"{}[],:", whole.p[i]) == NULL)
		i++;
	*rest = slice_from(whole, i);
	return slice_head(whole, i);
}

static struct slice unquoted(struct slice text)
{
	return text.n >= 2 && text.p[text.n - 1] == '"' ? slice_make(text.p + 1, text.n - 2) : text;
}

static void put_value(GString *out, struct slice value, bool quoted, bool numbers)
{
	struct slice bare = quoted ? unquoted(value) : slice_trim(value);

	if (!is_number(bare) || quoted != numbers) {
		json_append(out, value);
		return;
	}
	if (!numbers)
		g_string_append_c(out, '"');
	json_append(out, bare);
	if (!numbers)
		g_string_append_c(out, '"');
}

void json_geo(GString *out, struct slice object, bool numbers)
{
	struct slice name = SLICE_NONE;
	bool value = false; /* what comes next is the value of `name` */

	while (object.n > 0) {
		bool quoted = object.p[0] == '"';
		struct slice text = quoted ? cut_string(&object) : cut_plain(&object);

		if (value && slice_trim(text).n > 0 && is_number_name(name)) {
			put_value(out, text, quoted, numbers);
			value = false;
		} else {
			json_append(out, text);
		}
		if (quoted && !value)
			name = unquoted(text);
		if (object.n == 0 || object.p[0] == '"')
			continue;
		value = object.p[0] == ':';
		g_string_append_c(out, object.p[0]);
		object = slice_from(object, 1);
	}
}
