/* The milter's socket, as far as libmilter leaves it to us: what stands in its place, and who may
 * connect. */
#ifndef PW_MILTER_SOCKET_H
#define PW_MILTER_SOCKET_H

#include <sys/types.h>

#include "base/error.h"

struct milter_socket {
	char *spec;   /* as libmilter takes it */
	char *path;   /* of a UNIX socket; NULL for inet */
	dev_t device; /* of the file that we made */
	ino_t inode;
};

/* Reads "unix:/path", "local:/path", "/path", "inet:port[@host]", "inet6:port[@host]". */
int milter_socket_parse(struct milter_socket *socket_r, const char *spec, struct error *err);
void milter_socket_clear(struct milter_socket *socket);

/* Makes room for a UNIX socket: a dead one is removed; one that answers, and what is no socket, is
 * refused. */
int milter_socket_prepare(const struct milter_socket *socket, struct error *err);

/* Gives the file its group (name or number; NULL = leave it) and mode. */
int milter_socket_permit(
        struct milter_socket *socket, const char *group, unsigned mode, struct error *err);

/* Removes the file when it is still the one that we made. */
void milter_socket_remove(const struct milter_socket *socket);

#endif
