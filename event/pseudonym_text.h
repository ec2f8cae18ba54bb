/* Finding addresses in texts, and names that are known: what of a text becomes a pseudonym. */
#ifndef PW_EVENT_PSEUDONYM_TEXT_H
#define PW_EVENT_PSEUDONYM_TEXT_H

#include "event/pseudonym.h"

#define PSEUDONYM_CHARS (sizeof(PSEUDONYM_PREFIX) - 1 + 16)
#define PSEUDONYM_PERSONS 10   /* forms of the recipients and senders of an event */
#define PSEUDONYM_NAME_MAX 512 /* bytes: what is longer is no address */

/* A local part that is looked for where it stands alone. */
struct pseudonym_person {
	struct slice local, domain;
	bool telling; /* it has a character that is no letter */
	bool sender;  /* looked for in replies only: names of campaigns are like those of senders */
	char stands[PSEUDONYM_CHARS + 1];
};

struct pseudonym_persons {
	struct pseudonym_person person[PSEUDONYM_PERSONS];
	unsigned n;
};

/* Whether a name is what stands for another one. */
bool pseudonym_is(struct slice local);

/* Writes what stands for a local part at a domain (none: a name alone), or for a whole id; one that
 * is a pseudonym stays. */
void pseudonym_put(const struct pseudonyms *pseudonyms, struct slice local, struct slice domain,
        char stands_r[PSEUDONYM_CHARS + 1]);

/* Appends the text in which each address is replaced, in whatever coding (event/coding.h), and
 * persons where they stand alone (NULL: none), senders where `reply`. False, and nothing in `out`,
 * where there is none. */
bool pseudonym_text(const struct pseudonyms *pseudonyms, const struct pseudonym_persons *persons,
        bool reply, struct slice text, GString *out);

#endif
