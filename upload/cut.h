/* Cuts a batch out of the store: the events behind a cursor in arrival order, those that a
 * destination wants, as one gzip stream of Ingest lines. Pure but for reading the store. */
#ifndef PW_UPLOAD_CUT_H
#define PW_UPLOAD_CUT_H

#include <glib.h>

#include "base/clock.h"
#include "store/search.h"

enum upload_kind {
	UPLOAD_SPARKPOST, /* whole seconds, its fields only, all that its documentation requires,
	                     nothing older than 24 h */
	UPLOAD_POSTWAKE,  /* another postwake: milliseconds, our fields, no age limit */
};

#define CUT_BYTES (5 * 1000 * 1000) /* limit of the service for a request */
#define CUT_EVENTS 20000            /* ours */

/* What a destination gets. */
struct cut_rules {
	enum upload_kind kind;
	bool privacy;       /* without addresses of recipients (event/privacy.h) */
	const bool *types;  /* by enum event_type; NULL: all */
	char **domains;     /* sending or recipient domain is one of them; NULL: any */
	char **subaccounts; /* NULL: any */
	size_t bytes;       /* 0 = CUT_BYTES; a larger event goes alone */
	unsigned events;    /* 0 = CUT_EVENTS */
};

/* From which age on (ms) an event is not put into a batch: 0 = no limit. In a batch it may become
 * older by CUT_GRACE before the batch is sent. */
int64_t cut_max_age(enum upload_kind kind);
#define CUT_GRACE CLOCK_MINUTE

struct cut {
	uint64_t since, until; /* arrival numbers: what is in (since, until] has been looked at */
	uint64_t events;       /* lines in the batch */
	uint64_t invalid;      /* lack a field that the destination's kind asks for */
	uint64_t too_old;
	uint64_t lost;     /* not in the store any more */
	int64_t oldest;    /* ms; 0 where there is no line */
	GByteArray *bytes; /* NULL where there is no line */
};

/* Told of each event that is not sent because it would be refused. */
typedef void cut_refused(void *ctx, struct slice line, const char *cause);

/* Looks at events above `since` and up to `until` (at most the store's mark), and ends early where
 * the batch is full, or after some 100,000 events, so that the caller can save how far it is.
 * Returns 0, or -1 with *err. */
int cut_batch(struct store *store, const struct cut_rules *rules, uint64_t since, uint64_t until,
        int64_t now, cut_refused *refused, void *ctx, struct cut *cut_r, struct error *err);
void cut_clear(struct cut *cut);

#endif
