/* Retention: old days go, and the store keeps to its size. */
#ifndef PW_DAEMON_RETENTION_H
#define PW_DAEMON_RETENTION_H

#include "daemon/config.h"
#include "daemon/sources.h"

struct retention {
	int64_t next; /* ms: when to look again */
	bool full;    /* the sources are held because today alone is too large */
};

/* To be called each second or so; looks each minute. Before the sources are there (NULL) it only
 * tells by `full` whether they must wait. */
void retention_run(struct retention *retention, const struct config *config, struct store *store,
        struct capture *capture, struct sources *sources, int64_t now);

#endif
