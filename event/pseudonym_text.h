/* Finding addresses in texts, and names that are known: what of a text becomes a pseudonym. */
#ifndef PW_EVENT_PSEUDONYM_TEXT_H
#define PW_EVENT_PSEUDONYM_TEXT_H

#include "event/pseudonym.h"

#define PSEUDONYM_CHARS (sizeof(PSEUDONYM_PREFIX) - 1 + 16)
#define PSEUDONYM_PERSONS \
	16 /* forms of the recipients and senders of an event, others in its reply */
#define PSEUDONYM_NAME_MAX 512 /* bytes: what is longer is no address */

/* A local part that is looked for where it stands alone. */
struct pseudonym_person {
	struct slice local, domain;
	bool telling;    /* it has a character that is no letter */
	bool in_replies; /* only: names of campaigns may be like those of senders */
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
 * local parts where they stand alone: of persons (NULL: none), and of who is named in the text
 * itself. False, and nothing in `out`, where there is none. */
bool pseudonym_text(const struct pseudonyms *pseudonyms, const struct pseudonym_persons *persons,
        bool reply, struct slice text, GString *out);

/* Adds who is named with an address in a reply, for other replies of the event; slices of the text.
 */
void pseudonym_named(
        const struct pseudonyms *pseudonyms, struct slice text, struct pseudonym_persons *persons);

#endif
