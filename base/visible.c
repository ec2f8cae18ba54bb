#include "base/visible.h"

#include <string.h>

/* Unicode 15: category Cc, and what of Cf and Zl/Zp acts on its surroundings. */
static const struct {
	gunichar first, last;
} never[] = {
        {0x0000, 0x001f},
        {0x007f, 0x009f},
        {0x061c, 0x061c},
        {0x180e, 0x180e},
        {0x200b, 0x200f},
        {0x2028, 0x202e},
        {0x2060, 0x206f},
        {0xfeff, 0xfeff},
        {0xfff9, 0xfffb},
        {0xe0000, 0xe007f},
};

bool visible_never(gunichar c)
{
	for (gsize i = 0; i < G_N_ELEMENTS(never) && never[i].first <= c; i++)
		if (c <= never[i].last)
			return true;
	return false;
}

void visible_mask(char *text)
{
	while (*text != '\0') {
		gunichar c = g_utf8_get_char_validated(text, -1);
		gsize n = 1;
		bool valid = c != (gunichar)-1 && c != (gunichar)-2;
		if (valid)
			n = (gsize)(g_utf8_next_char(text) - text);
		if (!valid || visible_never(c))
			memset(text, '?', n);
		text += n;
	}
}
