#include "base/glob.h"

#include <string.h>

/* GLib turns some patterns and texts round, and ends the process where they are no UTF-8. */
static char *valid(struct slice bytes)
{
	return g_utf8_make_valid(bytes.n > 0 ? bytes.p : "", (gssize)bytes.n);
}

GPatternSpec *glob_new(struct slice pattern)
{
	g_autofree char *text = valid(pattern);

	return g_pattern_spec_new(text);
}

bool glob_fits(GPatternSpec *glob, struct slice text)
{
	char room[128];

	if (text.n == 0 || (text.n < sizeof(room) && g_utf8_validate_len(text.p, text.n, NULL))) {
		if (text.n > 0)
			memcpy(room, text.p, text.n);
		room[text.n] = '\0';
		return g_pattern_spec_match_string(glob, room);
	}
	g_autofree char *good = valid(text);
	return g_pattern_spec_match_string(glob, good);
}
