/* Foreign text on its way to a reader: what a terminal would obey, or what hides or reorders what
 * stands beside it. */
#ifndef PW_BASE_VISIBLE_H
#define PW_BASE_VISIBLE_H

#include <glib.h>
#include <stdbool.h>

/* Controls (C0, DEL, C1), characters without width, marks of direction, separators of lines and
 * paragraphs, annotations, tags. */
bool visible_never(gunichar c);

/* Puts '?' for each byte of such a character and for each that is no UTF-8, in place. */
void visible_mask(char *text);

#endif
