/* What the daemon holds open or in memory and somebody takes away under it: put back where it can
 * be, else told, once in the log and in the status while it lasts. */
#ifndef PW_DAEMON_UPKEEP_H
#define PW_DAEMON_UPKEEP_H

#include <sys/types.h>

#include "capture/capture.h"
#include "daemon/config.h"

enum upkept { UPKEPT_LOCK, UPKEPT_KEY, UPKEPT_QUERY, UPKEPT_MILTER, UPKEPT };

/* A socket's file as it was made. */
struct upkept_socket {
	const char *path; /* NULL: there is none */
	dev_t device;
	ino_t inode;
};

/* In static memory, which makes the lock of use from the start. */
struct upkeep {
	struct store *store;
	struct upkept_socket query, milter;
	GMutex lock;
	char *trouble[UPKEPT]; /* under the lock; NULL: none */
};

/* When all is there. Both arguments must live on. */
void upkeep_begin(struct upkeep *upkeep, const struct config *config, struct store *store);
void upkeep_end(struct upkeep *upkeep);

/* About every second; `now`: wall clock, ms. */
void upkeep_look(struct upkeep *upkeep, struct capture *capture, int64_t now);

/* Appends the member "missing", an array of texts, where there are any. Any thread. */
void upkeep_status(struct upkeep *upkeep, GString *out);

#endif
