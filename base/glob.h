/* Patterns where '*' is any number of characters and '?' one, as in shells but without classes. */
#ifndef PW_BASE_GLOB_H
#define PW_BASE_GLOB_H

#include <glib.h>

#include "base/slice.h"

/* Of any bytes; what is not UTF-8 in it counts as U+FFFD, which fits any other such. Never NULL;
 * the caller frees it by g_pattern_spec_free. */
GPatternSpec *glob_new(struct slice pattern);
/* Whether the whole text, of any bytes as well, fits. */
bool glob_fits(GPatternSpec *glob, struct slice text);

#endif
