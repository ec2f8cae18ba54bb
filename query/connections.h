/* The connections of the server, and how long each may take. libmicrohttpd's own time-out sees only
 * idle time: a client that sends or takes a byte now and then would hold a connection for ever. */
#ifndef PW_QUERY_CONNECTIONS_H
#define PW_QUERY_CONNECTIONS_H

#include <stdint.h>

#include "base/error.h"

struct connections;
struct connection;

struct connections_config {
	unsigned most;   /* beyond it, the connection that has been idle longest is cut */
	int deadline_ms; /* of a request, from its first line to the end of the answer */
	int idle_ms;     /* between requests */
};

/* Starts the thread that watches. */
struct connections *connections_new(const struct connections_config *config, struct error *err);
void connections_free(struct connections **connections);

/* A connection was accepted; may cut another one. The descriptor stays the caller's, who must call
 * connection_end before it is closed. */
struct connection *connection_begin(struct connections *connections, int fd);
void connection_end(struct connections *connections, struct connection *connection);

/* What the connection does from now on. */
enum connection_phase {
	CONNECTION_IDLE,
	CONNECTION_BUSY,    /* with a request */
	CONNECTION_UPLOAD,  /* with a request that may take as long as it wants */
	CONNECTION_STREAM,  /* the client is to take some bytes of a stream; each time it has a
	                       deadline */
	CONNECTION_WAITING, /* a stream has nothing to send */
};
void connection_enter(struct connections *connections, struct connection *connection,
        enum connection_phase phase);

/* Milliseconds of a clock that is never set. */
int64_t connections_clock(void);

/* Waits until no connection is busy. False when some are still after timeout_ms. */
bool connections_settle(struct connections *connections, int timeout_ms);

#endif
