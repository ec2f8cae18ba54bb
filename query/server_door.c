/* Who comes through the door of a listener, and who is kept away from it. */
#include "query/server-private.h"

#include <unistd.h>

#include "query/flood.h"

/* To who has too many connections waiting. */
#define REFUSAL \
	"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n" \
	"Content-Length: 80\r\nConnection: close\r\n\r\n" \
	"{\"errors\":[{\"message\":\"Too many connections of yours are waiting: try again\"}]}\n"

/* The thread of libmicrohttpd begins with it. */
static bool door_enter(void *ctx, int fd, const struct sockaddr_storage *address, socklen_t length)
{
	const struct listener *listener = ctx;

	return MHD_add_connection(listener->http, fd, (const struct sockaddr *)address, length) ==
	       MHD_YES;
}

/* The user of a peer on the UNIX socket (socket_peer). False for root and ourselves: who runs the
 * daemon must always be able to ask it. */
static bool peer_may_be_shut_out(uint64_t peer, uid_t *user_r)
{
	*user_r = (uid_t)(peer - 1);
	return peer != 0 && *user_r != 0 && *user_r != geteuid();
}

static void door_shut(void *ctx, const GArray *peers, uint64_t newest)
{
	const struct query_server *server = ((const struct listener *)ctx)->server;
	uid_t users[FLOOD_PEERS], user;
	unsigned n = 0;

	for (guint i = 0; i < peers->len; i++)
		if (peer_may_be_shut_out(g_array_index(peers, uint64_t, i), &user))
			users[n++] = user;
	int seconds = gate_shut(server->gate, users, n) == 0 ? FLOOD_SHUT_MS / 1000 : 0;
	if (server->config.shut_out != NULL && peer_may_be_shut_out(newest, &user))
		server->config.shut_out(user, seconds);
}

struct door *server_door(struct listener *listener, unsigned most, bool tls)
{
	const struct door_config config = {
	        .fd = listener->fd,
	        .most = most,
	        .enter = door_enter,
	        .shut = listener->fd == listener->server->socket.fd ? door_shut : NULL,
	        .ctx = listener,
	        .refusal = tls ? NULL : REFUSAL,
	};

	return door_new(&config);
}
