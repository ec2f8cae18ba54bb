/* A letter is a copy of the milter's account of a mail. */
#ifndef PW_TRACE_LETTER_H
#define PW_TRACE_LETTER_H

#include <glib.h>

#include "event/observation.h"

struct held_field {
	enum field field;
	struct slice value;
};

struct letter {
	GStringChunk *text;
	struct held_field *field;
	unsigned n_fields;
	struct envelope_recipient *recipient;
	unsigned n_recipients;
	GHashTable *index; /* lower-case address -> recipient; made at need */
};

struct letter *letter_new(const struct envelope *envelope);
void letter_free(struct letter *letter);
/* The recipient of an address, without regard to case; NULL when there is none. */
const struct envelope_recipient *letter_find(struct letter *letter, struct slice address);

#endif
