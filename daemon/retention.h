/* Retention: old days go, and the store keeps to its size. */
#ifndef PW_DAEMON_RETENTION_H
#define PW_DAEMON_RETENTION_H

#include <stdatomic.h>

#include "daemon/config.h"
#include "daemon/sources.h"

struct retention {
	int64_t next;      /* ms: when to look again */
	uint64_t mark;     /* of the store, when the size was looked at */
	_Atomic bool full; /* the sources are held because today alone is too large */
	bool stuck;        /* what is too much does not go: looked at each minute only */
	bool doubt;        /* it is told that the clock is not believed */
};

/* To be called each second or so; looks each minute, and whether the size is passed each time when
 * something came. Before the sources are there (NULL) it only
 * tells by `full` whether they must wait. `now`, `boot`: clock_both. */
void retention_run(struct retention *retention, const struct config *config, struct store *store,
        struct capture *capture, struct sources *sources, int64_t now, int64_t boot);

/* What is to be told of a clock that is ahead, while it is not believed; else NULL. g_free. Any
 * thread. */
char *retention_doubt(struct store *store);

/* What is to be told while they are held; else NULL. g_free. Any thread. */
char *retention_trouble(struct retention *retention, const struct config *config);

#endif
