/* What goes wrong around the daemon and shows nowhere else: descriptors that run out, a clock that
 * is set. Told once in the log, and as a gap in the status. */
#ifndef PW_DAEMON_HEALTH_H
#define PW_DAEMON_HEALTH_H

#include "capture/capture.h"

struct health {
	int64_t out_since; /* ms, 0: there are descriptors */
	int64_t apart; /* ms between the wall clock and the one that nobody sets; 0: not known */
};

/* Looks, and tells what changed; about every second. `now`: wall clock, ms. */
void health_look(struct health *health, struct capture *capture, int64_t now);

#endif
