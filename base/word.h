/* Where a name may begin or end within a text of any language: names stand beside typographic
 * quotes, and in scripts that part no words by blanks. */
#ifndef PW_BASE_WORD_H
#define PW_BASE_WORD_H

#include "base/slice.h"

/* Whether what stands before `at` (0 < at < text.n) is no part of a name that begins there: a
 * character beyond ASCII that is no letter, mark or number (also bytes that are no UTF-8), or one
 * of another script. False within a character. Of ASCII alone nothing is said: false. */
bool word_begins(struct slice text, size_t at);

/* The same of what stands at `at` and a name that ends before it. */
bool word_ends(struct slice text, size_t at);

#endif
