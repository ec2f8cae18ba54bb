/* The troubles of something that goes on by itself: each cause once in the log, and what is wrong
 * now in the status. */
#ifndef PW_DAEMON_TROUBLE_H
#define PW_DAEMON_TROUBLE_H

#include <glib.h>
#include <stdint.h>

#include "base/error.h"

struct trouble {
	GMutex lock; /* of now */
	struct error now;
	/* Of the thread that notes. */
	GHashTable *told; /* causes since all was well the last time */
	int64_t calm;     /* clock_boot since when all is well again; 0 = it is not, or is told */
};

void trouble_init(struct trouble *trouble);
void trouble_clear(struct trouble *trouble);

/* What is wrong now; an error that is not set: nothing. `who` (log.h) is told of each cause once,
 * until all was well for five seconds, which is told too: what comes and goes all the time is told
 * once. `boot`: clock_boot. */
void trouble_note(struct trouble *trouble, const char *who, const struct error *err, int64_t boot);

/* Appends `"trouble":"…"` where something is wrong. Any thread. */
void trouble_status(struct trouble *trouble, GString *out);

#endif
