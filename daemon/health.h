/* What goes wrong around the daemon and shows nowhere else: descriptors that run out, a clock that
 * is set, a disk that is slow. Told once in the log, and as a gap in the status. */
#ifndef PW_DAEMON_HEALTH_H
#define PW_DAEMON_HEALTH_H

#include <stdatomic.h>

#include "capture/capture.h"

struct health {
	int64_t out_since; /* ms, 0: there are descriptors */
	int64_t apart; /* ms between the wall clock and the one that nobody sets; 0: not known */
	int64_t slow_since;       /* ms, 0: the disk is not slow */
	int64_t committing;       /* ms: when somebody was last seen to wait for the disk */
	unsigned commits;         /* that worked, at the last look */
	unsigned before_slow;     /* that worked before the last slow one */
	_Atomic unsigned slowest; /* us that a commit takes or took since then; any thread */
};

/* Looks, and tells what changed; about every second. It reads the clocks itself: what its caller
 * did before may have waited for the disk. */
void health_look(struct health *health, struct capture *capture);

/* A gap of the daemon itself, of unknown bytes: what it says stands in the status. Times in ms. */
void health_gap(struct capture *capture, int64_t from, int64_t to, const char *text);

/* What is to be told of a slow disk, while it is; else NULL. g_free. Any thread. */
char *health_slow(struct health *health);

#endif
