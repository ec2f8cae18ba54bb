/* One connection of an MTA, without its socket: bytes in, steps of milter/session.h, bytes out.
 * Negotiates the least that the configuration needs, and replies to what the MTA waits for. */
#ifndef PW_MILTER_PEER_H
#define PW_MILTER_PEER_H

#include "milter/session.h"

struct peer;

/* What all peers of a listener negotiate. */
struct peer_plan {
	struct milter_shared *shared;
	bool remove_header, see_rejects, reports, tempfail; /* of struct milter_config */
};

enum peer_need {
	PEER_READ,  /* more bytes */
	PEER_END,   /* a message has ended: peer_end, peer_ended, peer_feed with no bytes */
	PEER_CLOSE, /* the MTA is done; or it sends nonsense: peer_refusal */
};

/* *plan must outlive it. */
struct peer *peer_new(const struct peer_plan *plan);
void peer_free(struct peer **peer);

/* Handles bytes that came and appends the replies to `out`. */
enum peer_need peer_feed(struct peer *peer, struct slice bytes, GString *out);

/* Hands the message over: may wait for its commit, and may be called in another thread while
 * nothing else is done with the peer. */
void peer_end(struct peer *peer);

/* Appends the reply to it; without peer_end the message counts as not recorded. */
void peer_ended(struct peer *peer, GString *out);

/* Why the MTA was refused, static text; NULL when it was not. */
const char *peer_refusal(const struct peer *peer);

#endif
