/* The milter's server: one thread serves the connections of all MTAs (milter/peer.h). Where a mail
 * waits for its commit (MILTER_TEMPFAIL) other threads do, one for each such mail. */
#ifndef PW_MILTER_LISTENER_H
#define PW_MILTER_LISTENER_H

#include "base/error.h"
#include "milter/session.h"

/* A connection that nothing comes from for so long is closed, as libmilter does it. */
#define MILTER_IDLE_SECONDS 7210

struct milter;

/* Opens the socket (replacing a dead one, refusing a live one), with its mode and group. NULL with
 * *err. Copies both arguments. */
struct milter *milter_listen(
        const struct milter_config *config, const struct milter_hooks *hooks, struct error *err);

/* Serves until milter_stop; blocks. When it returns no hook is called any more, the socket file is
 * gone and all connections are closed: of a mail whose end had come the MTA got the answer (451
 * with MILTER_TEMPFAIL unless it was committed), of others its default_action decides. */
void milter_serve(struct milter *milter);

/* From another thread, also before milter_serve, which then returns at once, or as soon as the
 * hooks that are under way have. */
void milter_stop(struct milter *milter);

/* After milter_serve, or without it. */
void milter_free(struct milter **milter);

#endif
