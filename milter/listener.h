/* libmilter: socket, negotiation and the callbacks, which only hand on to milter/session.h. libmilter
 * serves one socket a process. */
#ifndef PW_MILTER_LISTENER_H
#define PW_MILTER_LISTENER_H

#include "base/error.h"
#include "milter/session.h"

/* Opens the socket (replacing a dead one, refusing a live one), sets mode and group. */
int milter_listen(const struct milter_config *config, const struct milter_hooks *hooks,
	struct error *err);

/* Serves until milter_stop; blocks. 0 after a stop, -1 on failure. */
int milter_serve(void);

/* From another thread. Idle sessions do not hold it up: it returns after at most a second. */
void milter_stop(void);

#endif
