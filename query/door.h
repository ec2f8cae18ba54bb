/* The door of a listener: a thread that does nothing but take connections from the kernel's queue.
 * That has one order for all and turns people away when it is full: whoever connects faster than
 * answers are made would keep everybody else out. Here peers take turns to get in, who has too many
 * waiting loses his own, and who comes in floods is shut out for a while where that can be done. */
#ifndef PW_QUERY_DOOR_H
#define PW_QUERY_DOOR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

struct door;

struct door_config {
	int fd;        /* listens, non-blocking; stays the caller's */
	unsigned most; /* inside at a time */
	/* Lets one in, whose descriptor is no longer ours whatever comes of it; called in the
	 * door's thread. False: it will not be inside. */
	bool (*enter)(void *ctx, int fd, const struct sockaddr_storage *address, socklen_t length);
	/* Sees to it that these peers (uint64_t) cannot connect and all others can; newest: who was
	 * not among them before, 0 = some may again. Called in the door's thread. NULL = there is
	 * no way. */
	void (*shut)(void *ctx, const GArray *peers, uint64_t newest);
	void *ctx;
	const char *refusal; /* sent to who has too many waiting; NULL = nothing */
};

struct door *door_new(const struct door_config *config);

/* Starts the thread. */
int door_open(struct door *door, struct error *err);

/* One that was inside has left. Any thread. */
void door_left(struct door *door);

/* Lets nobody in any more, and hangs up on who waits. It stays valid until door_free. */
void door_close(struct door *door);
void door_free(struct door **door);

#endif
