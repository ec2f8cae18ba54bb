/* The sockets that the server listens on. */
#ifndef PW_QUERY_SOCKET_H
#define PW_QUERY_SOCKET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct unix_socket {
	int fd; /* non-blocking; -1 = none */
	const char *path;
	dev_t device; /* of the file, to remove no other one */
	ino_t inode;
};

/* Creates and listens. A socket file that nobody answers on is removed first; one that a process
 * serves is refused (number EADDRINUSE), as is anything else at `path`. `group` is a name or NULL.
 * The socket gets its group and mode before anyone can connect. */
int unix_socket_listen(struct unix_socket *socket_r, const char *path, const char *group,
        mode_t mode, struct error *err);

/* Removes the file if it is still ours. Does not close. */
void unix_socket_unlink(const struct unix_socket *socket);

/* The process at the other end of a connection, as it was when it connected (SO_PEERCRED,
 * SO_PEERGROUPS); false when the kernel does not tell. */
struct unix_peer {
	uid_t uid;
	GArray *groups; /* gid_t: its own and the supplementary ones; NULL when false */
};
bool unix_socket_peer(int fd, struct unix_peer *peer_r);
void unix_peer_clear(struct unix_peer *peer);

/* Who is at the other end of a connection, as a number that is the same for all connections of a
 * user, or of an address (of an IPv6 one, of its network of 64 bits). 0 = unknown. */
uint64_t socket_peer(int fd);

/* Creates, binds and listens on a TCP port of an address or host name. *loopback_r: whether only
 * this machine can reach it. -1 with *err. */
int tcp_listen(const char *address, unsigned port, bool *loopback_r, struct error *err);

#endif
