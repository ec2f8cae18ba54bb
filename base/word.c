#include "base/word.h"

#include <glib.h>

#define CHARACTER_MAX 4 /* bytes of UTF-8 */

enum letter {
	LETTER_NONE,  /* ASCII, none */
	LETTER_SIGN,  /* beyond ASCII, none */
	LETTER_LATIN, /* what addresses are written with */
	LETTER_OTHER
};

static enum letter letter_of(gunichar c)
{
	if (c < 0x80)
		return g_ascii_isalnum((char)c) ? LETTER_LATIN : LETTER_NONE;
	if (c == (gunichar)-1 || c == (gunichar)-2 ||
	        (!g_unichar_isalnum(c) && !g_unichar_ismark(c)))
		return LETTER_SIGN;
	GUnicodeScript script = g_unichar_get_script(c);
	/* Marks go on with the letter that they belong to. */
	return script == G_UNICODE_SCRIPT_LATIN || script == G_UNICODE_SCRIPT_INHERITED
	               ? LETTER_LATIN
	               : LETTER_OTHER;
}

static bool is_inner(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static gunichar character_at(struct slice text, size_t at)
{
	return g_utf8_get_char_validated(text.p + at, (gssize)(text.n - at));
}

/* Where the character begins whose inner or last byte is at `last`; `last` where it is none. */
static size_t begin_of(struct slice text, size_t last)
{
	size_t from = last;

	while (from > 0 && last - from < CHARACTER_MAX - 1 && is_inner(text.p[from]))
		from--;
	gunichar c = character_at(text, from);
	bool whole = c != (gunichar)-1 && c != (gunichar)-2 &&
	             from + (size_t)g_unichar_to_utf8(c, NULL) > last;
	return whole ? from : last;
}

static bool is_within(struct slice text, size_t at)
{
	return is_inner(text.p[at]) && begin_of(text, at) != at;
}

static enum letter letter_before(struct slice text, size_t at)
{
	return letter_of(character_at(text, begin_of(text, at - 1)));
}

static bool is_ascii(struct slice text, size_t at)
{
	return (((unsigned char)text.p[at - 1] | (unsigned char)text.p[at]) & 0x80) == 0;
}

bool word_begins(struct slice text, size_t at)
{
	if (is_ascii(text, at) || is_within(text, at))
		return false;
	enum letter before = letter_before(text, at), after = letter_of(character_at(text, at));
	return before == LETTER_SIGN ||
	       (before != LETTER_NONE && after >= LETTER_LATIN && before != after);
}

bool word_ends(struct slice text, size_t at)
{
	if (is_ascii(text, at) || is_within(text, at))
		return false;
	enum letter before = letter_before(text, at), after = letter_of(character_at(text, at));
	return after == LETTER_SIGN || (after == LETTER_OTHER && before != LETTER_OTHER) ||
	       (after == LETTER_LATIN && before == LETTER_OTHER);
}
