/* Keyed hashes in place of mail addresses: pn-k5xq2m7r4t6w3z2a@example.com. Whoever has the key can
 * work out the hash of an address that he knows; from a hash nobody gets to the address. Domains
 * stay. */
#ifndef PW_EVENT_PSEUDONYM_H
#define PW_EVENT_PSEUDONYM_H

#include <glib.h>

#include "event/event.h"

#define PSEUDONYM_KEY_BYTES 32
#define PSEUDONYM_PREFIX "pn-"

struct pseudonyms;
struct pseudonyms *pseudonyms_new(const uint8_t key[PSEUDONYM_KEY_BYTES]);
void pseudonyms_free(struct pseudonyms **pseudonyms);

/* PSEUDONYM_KEY_BYTES. */
const uint8_t *pseudonyms_key(const struct pseudonyms *pseudonyms);

/* Appends what stands for an address (upper and lower case are one; quotes that a local part does
 * not need do not count), or for a name without domain. One that is a pseudonym already, or empty,
 * stays as it is. */
void pseudonyms_address(const struct pseudonyms *pseudonyms, struct slice address, GString *out);

/* Appends what stands for an id as a whole, such as a Message-ID with or without its <>. */
void pseudonyms_id(const struct pseudonyms *pseudonyms, struct slice id, GString *out);

/* Appends a text in which each address is replaced, also one that is coded (event/coding.h) or
 * written as john.doe=example.com, and its local part where that stands alone. True where there was
 * one. */
bool pseudonyms_text(const struct pseudonyms *pseudonyms, struct slice text, GString *out);

/* The same of all fields of an event (schema/pseudonym.def), and of the local parts of its
 * recipients where they stand alone in a text. Its new values stand in `arena`, which is
 * overwritten. */
void pseudonyms_event(const struct pseudonyms *pseudonyms, struct event *event, GString *arena);

#endif
