/* Changes fields of stored events by a rule that changed: their rows, index terms and roll-up. */
#ifndef PW_STORE_RENEW_H
#define PW_STORE_RENEW_H

#include "event/event.h"
#include "store/store.h"

/* Gives fields of the event itself (not of its message, id, type or time) new values, which must
 * live until the next call; true where it changed something. */
typedef bool store_renewer(void *ctx, struct event *event);

struct store_renewed {
	uint64_t days;    /* that had something to change */
	uint64_t events;  /* looked at */
	uint64_t changed; /* of them */
};

/* Offers each stored event, day by day from the oldest, each day in one transaction: after a
 * failure or a kill the days before are done and that day is as it was. Writers only, while nothing
 * is committed. *result_r tells what was done, also on failure. */
int store_renew(struct store *store, store_renewer *renew, void *ctx,
        struct store_renewed *result_r, struct error *err);

#endif
