/* Connections that wait to be let in, by the number of their peer (socket_peer). Peers take turns,
 * each with its connections in the order in which they came. Not for several threads. */
#ifndef PW_QUERY_ROOM_H
#define PW_QUERY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct room;

struct room *room_new(unsigned places);
/* Descriptors in it are not closed. */
void room_free(struct room **room);

/* False where the peer may have no more: as many as places are free without them. So one has half
 * of the places at most, two a third each where they come together, and few can take them all. */
bool room_put(struct room *room, uint64_t peer, int fd);

/* The descriptor whose turn it is, and its peer; -1 when none waits. */
int room_take(struct room *room, uint64_t *peer_r);

#endif
