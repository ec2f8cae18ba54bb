/* What texts say in another coding: percent, quoted-printable, backslashes, entities of HTML, lines
 * of a reply, hexadecimal digits, base64; also in part, mixed, and one coding in another. */
#ifndef PW_EVENT_CODING_H
#define PW_EVENT_CODING_H

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"

/* What a text is the coding of, perhaps. */
struct coded_form {
	struct slice text;  /* ASCII in lower case; any bytes */
	const size_t *from; /* where each byte of it begins in the coded text, and one more: the
	                       end. NULL: it is made of a run of digits, as any word may be */
	size_t begin, end;  /* of what was decoded */
};

/* True: enough. */
typedef bool coding_taker(void *ctx, const struct coded_form *form);

/* Hands out each form of a text that is not the text itself, those of digits from `least` bytes on.
 * Returns whether the taker had enough. */
bool coding_each(struct slice text, size_t least, coding_taker *taker, void *ctx);

#endif
