/* libmilter: socket, negotiation and the callbacks, which only hand on to milter/session.h.
 * libmilter serves one socket a process and can be stopped only once. */
#ifndef PW_MILTER_LISTENER_H
#define PW_MILTER_LISTENER_H

#include "base/error.h"
#include "milter/session.h"

/* Opens the socket (replacing a dead one, refusing a live one), sets mode and group. Not
 * thread-safe: it changes the umask for a moment. */
int milter_listen(
        const struct milter_config *config, const struct milter_hooks *hooks, struct error *err);

/* Serves until milter_stop; blocks. When it returns no hook is called any more and the socket file
 * is gone. 0 after milter_stop, -1 when libmilter failed (it tells syslog why).
 *
 * Signals are left to the program: in one that links this, sigwait works in the main thread only.
 *
 * libmilter's threads and open MTA sessions live on until the process exits, which should be soon:
 * a mail that comes meanwhile passes unrecorded, or gets 451 with MILTER_TEMPFAIL. */
int milter_serve(void);

/* From another thread, also before milter_serve. milter_serve then returns at once, or as soon as
 * the hooks that are under way have. */
void milter_stop(void);

#endif
