/* The connections of the server, and how long each may take. libmicrohttpd's own time-out sees only
 * idle time: a client that sends or takes a byte now and then would hold a connection for ever. */
#ifndef PW_QUERY_CONNECTIONS_H
#define PW_QUERY_CONNECTIONS_H

#include <stdint.h>

#include "base/error.h"

struct connections;
struct connection;

struct connections_config {
	unsigned most;   /* beyond it one is cut that waits for its client */
	int deadline_ms; /* for a request to arrive, and for an answer to be taken */
	int idle_ms;     /* between requests */
	int rest_ms;     /* without a request, after which it is the first to be cut */
};

/* Starts the thread that watches. */
struct connections *connections_new(const struct connections_config *config, struct error *err);
void connections_free(struct connections **connections);

/* A connection of a peer (a number, see socket_peer) was accepted; may cut another one that waits
 * for its client: one that rests between requests, else any whose request arrives or whose answer
 * is not taken; of these, one of the peer that has most, and of them the one that waits longest.
 * The descriptor stays the caller's, who must call connection_end before it is closed. */
struct connection *connection_begin(struct connections *connections, int fd, uint64_t peer);
void connection_end(struct connections *connections, struct connection *connection);

uint64_t connection_peer(const struct connection *connection);

/* What the connection does from now on. */
enum connection_phase {
	CONNECTION_IDLE,
	CONNECTION_ARRIVING, /* a request comes in */
	CONNECTION_SENDING,  /* the client is to take an answer, or some bytes of a stream */
	CONNECTION_WORKING,  /* an answer is being made */
	CONNECTION_UPLOAD,   /* a request that may take as long as it wants */
	CONNECTION_WAITING,  /* a stream has nothing to send */
};
void connection_enter(struct connections *connections, struct connection *connection,
        enum connection_phase phase);

/* Milliseconds of a clock that is never set. */
int64_t connections_clock(void);

/* Waits until no connection has a request or an answer under way. False when some still have after
 * connections_clock has come to `until`. */
bool connections_settle(struct connections *connections, int64_t until);

#endif
