/* Rosters: the recipients of a message, what became of each, and who was injected. */
#ifndef PW_TRACE_ROSTER_H
#define PW_TRACE_ROSTER_H

#include <glib.h>

#include "base/slice.h"

#define TRACE_REASON_MAX 2000 /* bytes of a deferral's text kept for its expiry */

/* A temporary failure, for the bounce of a mail that grows too old. */
struct deferral {
	struct slice to, orig_to, dsn, code, reason;
	char bytes[];
};

struct recipient {
	struct slice name; /* in lower case; with orig_to= "to NUL orig_to" */
	guint hash;
	uint32_t earlier;  /* tries before `second` */
	int64_t second;    /* of the last tries */
	uint64_t tries[4]; /* their event_ids, so that a line read again is no new try */
	unsigned n_tries;
	struct deferral
	        *deferral; /* the last try's; NULL = the last try was no temporary failure */
	char bytes[];      /* of the name */
};

struct roster {
	struct recipient *one; /* the first: most mails have no other */
	GPtrArray *others;     /* NULL while there are none */
	GHashTable *index;
};

struct recipient *roster_find(const struct roster *roster, struct slice to, struct slice orig_to);
/* Finds or adds. */
struct recipient *roster_take(struct roster *roster, struct slice to, struct slice orig_to);
struct recipient *roster_add_name(struct roster *roster, struct slice lower_name);
unsigned roster_size(const struct roster *roster);
struct recipient *roster_at(const struct roster *roster, unsigned i);
void roster_clear(struct roster *roster);

/* Counts a try; returns how many there were before it. */
uint32_t recipient_try(struct recipient *recipient, int64_t time, uint64_t event_id);
void recipient_deferred(struct recipient *recipient, struct slice to, struct slice orig_to,
        struct slice dsn, struct slice code, struct slice reason);
void recipient_settled(struct recipient *recipient);

#endif
