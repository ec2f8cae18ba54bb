/* Who connects in floods: peers (numbers, see socket_peer) so many of whose connections come to
 * nothing that they are shut out for a while. Times are of connections_clock. Not for several
 * threads. */
#ifndef PW_QUERY_FLOOD_H
#define PW_QUERY_FLOOD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOOD_MOST 1000    /* so many … */
#define FLOOD_SPAN_MS 4000 /* … in this time */
#define FLOOD_SHUT_MS 10000
#define FLOOD_PEERS 64 /* shut out at a time */

struct flood;

struct flood *flood_new(void);
void flood_free(struct flood **flood);

/* A connection of the peer came to nothing. True when the peer is to be shut out from now on. */
bool flood_count(struct flood *flood, uint64_t peer, int64_t now);

/* Lets those in again whose time is over. True when there were any. */
bool flood_pass(struct flood *flood, int64_t now);

/* Who is shut out: uint64_t. Until when the first of them is; -1 = nobody. */
const GArray *flood_shut(const struct flood *flood);
int64_t flood_until(const struct flood *flood);

#endif
