/* The milter's socket: what stands in its place, and who may connect. */
#ifndef PW_MILTER_SOCKET_H
#define PW_MILTER_SOCKET_H

#include <sys/types.h>

#include "base/error.h"

struct milter_socket {
	char *spec;   /* as configured */
	char *path;   /* of a UNIX socket; NULL for inet */
	char *host;   /* of an inet one; NULL = all addresses of this machine */
	char *port;   /* a number */
	int family;   /* AF_UNIX, AF_INET, AF_INET6 */
	dev_t device; /* of the file that we made */
	ino_t inode;
};

/* Reads "unix:/path", "local:/path", "/path", "inet:port[@host]", "inet6:port[@host]". */
int milter_socket_parse(struct milter_socket *socket_r, const char *spec, struct error *err);
void milter_socket_clear(struct milter_socket *socket);

/* Listens. What stands in the place of a UNIX socket is removed when it is a dead one, and refused
 * when it answers or is no socket; its file gets the group (name or number; NULL = leave it) and
 * the mode before anybody can connect. The descriptor is the caller's. */
int milter_socket_open(struct milter_socket *socket, const char *group, unsigned mode, int *fd_r,
        struct error *err);

/* Removes the file when it is still the one that we made. */
void milter_socket_remove(const struct milter_socket *socket);

#endif
