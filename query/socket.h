/* The UNIX socket that the server listens on. */
#ifndef PW_QUERY_SOCKET_H
#define PW_QUERY_SOCKET_H

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

/* The user at the other end of a connection (SO_PEERCRED); false when the kernel does not tell. */
bool unix_socket_peer(int fd, uid_t *uid_r);

#endif
