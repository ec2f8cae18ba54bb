#include "milter/socket.h"

#include <errno.h>
#include <glib.h>
#include <grp.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/slice.h"

/* Long enough for any group's line. */
#define GROUP_BUFFER 65536
/* Connections that may wait to be taken. */
#define BACKLOG 256

static int parse_inet(struct milter_socket *socket, const char *spec, struct error *err)
{
	struct slice host = slice_str(spec);
	int64_t number;

	socket->family = slice_eq(slice_cut(&host, ':'), SLICE("inet6")) ? AF_INET6 : AF_INET;
	struct slice port = slice_cut(&host, '@');
	if (!slice_int(port, &number) || number < 1 || number > 65535)
		return error_config(err, "%s: the port is a number from 1 to 65535", spec);
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_make(host.p + 1, host.n - 2);
	socket->spec = g_strdup(spec);
	socket->port = slice_dup(port);
	socket->host = host.n > 0 ? slice_dup(host) : NULL;
	return 0;
}

int milter_socket_parse(struct milter_socket *socket_r, const char *spec, struct error *err)
{
	struct slice path = slice_str(spec);

	*socket_r = (struct milter_socket){0};
	if (g_str_has_prefix(spec, "inet:") || g_str_has_prefix(spec, "inet6:"))
		return parse_inet(socket_r, spec, err);
	if (!slice_skip(&path, SLICE("unix:")))
		slice_skip(&path, SLICE("local:"));
	if (path.n == 0 || path.p[0] != '/')
		return error_config(err, "%s: a socket is unix:/path or inet:port@host", spec);
	if (path.n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_config(err, "%s: the path of a socket has at most %zu bytes", spec,
		        sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	socket_r->family = AF_UNIX;
	socket_r->path = slice_dup(path);
	socket_r->spec = g_strconcat("unix:", socket_r->path, NULL);
	return 0;
}

void milter_socket_clear(struct milter_socket *socket)
{
	g_free(socket->spec);
	g_free(socket->path);
	g_free(socket->host);
	g_free(socket->port);
	*socket = (struct milter_socket){0};
}

/* 0 when something took the connection or would, else the errno. Never blocks. */
static int connect_path(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	int number = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(fd);
	/* Its queue is full: there is somebody. */
	return number == EAGAIN ? 0 : number;
}

/* Makes room for a UNIX socket. */
static int prepare(const struct milter_socket *socket, struct error *err)
{
	struct stat info;

	if (lstat(socket->path, &info) < 0) {
		g_autofree char *folder = g_path_get_dirname(socket->path);

		if (errno != ENOENT)
			return error_errno(err, errno, "%s", socket->path);
		if (access(folder, W_OK | X_OK) < 0)
			return error_errno(
			        err, errno, "%s: cannot make a socket in %s", socket->path, folder);
		return 0;
	}
	if (!S_ISSOCK(info.st_mode))
		return error_config(err, "%s: in the way, and no socket; remove it", socket->path);
	int number = connect_path(socket->path);
	if (number == 0)
		return error_set(err, "%s: another process serves this socket", socket->path);
	if (number != ECONNREFUSED)
		return error_errno(err, number, "%s: cannot tell whether another process serves it",
		        socket->path);
	if (unlink(socket->path) < 0)
		return error_errno(err, errno, "%s: cannot remove the dead socket", socket->path);
	return 0;
}

static int find_group(const char *name, gid_t *group_r, struct error *err)
{
	g_autofree char *buffer = g_malloc(GROUP_BUFFER);
	struct group entry, *found = NULL;
	int64_t number;

	if (slice_int(slice_str(name), &number) && number >= 0 && number < UINT32_MAX) {
		*group_r = (gid_t)number;
		return 0;
	}
	int failure = getgrnam_r(name, &entry, buffer, GROUP_BUFFER, &found);
	if (failure != 0)
		return error_errno(err, failure, "cannot look up the group %s", name);
	if (found == NULL)
		return error_config(err, "there is no group %s", name);
	*group_r = found->gr_gid;
	return 0;
}

static int permit(struct milter_socket *socket, const char *group, unsigned mode, struct error *err)
{
	struct stat info;
	gid_t gid = (gid_t)-1;

	if (lstat(socket->path, &info) < 0)
		return error_errno(err, errno, "%s", socket->path);
	socket->device = info.st_dev;
	socket->inode = info.st_ino;
	if (group != NULL && find_group(group, &gid, err) < 0)
		return -1;
	if (group != NULL && lchown(socket->path, (uid_t)-1, gid) < 0)
		return error_errno(err, errno,
		        "%s: cannot give it to the group %s (is our user a member, or the "
		        "directory that group's, with mode 2750?)",
		        socket->path, group);
	/* After lchown, which may take bits away. */
	if (chmod(socket->path, mode) < 0)
		return error_errno(err, errno, "%s: cannot set the mode %04o", socket->path, mode);
	return 0;
}

static int open_socket(int family, int *fd_r, struct error *err)
{
	*fd_r = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return *fd_r < 0 ? error_errno(err, errno, "cannot make a socket") : 0;
}

/* Nobody can connect before `listen`, whatever the mode of the file is until then. */
static int open_path(struct milter_socket *socket, const char *group, unsigned mode, int *fd_r,
        struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	g_strlcpy(address.sun_path, socket->path, sizeof(address.sun_path));
	if (prepare(socket, err) < 0 || open_socket(AF_UNIX, fd_r, err) < 0)
		return -1;
	if (bind(*fd_r, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, errno, "%s: cannot make the socket", socket->path);
	return permit(socket, group, mode, err);
}

static int open_port(const struct milter_socket *socket, int *fd_r, struct error *err)
{
	const struct addrinfo wanted = {.ai_family = socket->family,
	        .ai_socktype = SOCK_STREAM,
	        .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	int yes = 1;

	int failure = getaddrinfo(socket->host, socket->port, &wanted, &found);
	if (failure != 0)
		return error_set(err, "%s: cannot find the address: %s", socket->spec,
		        gai_strerror(failure));
	int result = open_socket(socket->family, fd_r, err);
	if (result == 0 && (setsockopt(*fd_r, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	                           bind(*fd_r, found->ai_addr, found->ai_addrlen) < 0))
		result = error_errno(err, errno, "%s: cannot listen there", socket->spec);
	freeaddrinfo(found);
	return result;
}

int milter_socket_open(struct milter_socket *socket, const char *group, unsigned mode, int *fd_r,
        struct error *err)
{
	*fd_r = -1;
	int result = socket->path != NULL ? open_path(socket, group, mode, fd_r, err)
	                                  : open_port(socket, fd_r, err);

	if (result == 0 && listen(*fd_r, BACKLOG) < 0)
		result = error_errno(err, errno, "%s: cannot listen there", socket->spec);
	if (result == 0)
		return 0;
	milter_socket_remove(socket);
	if (*fd_r >= 0)
		close(*fd_r);
	*fd_r = -1;
	return -1;
}

void milter_socket_remove(const struct milter_socket *socket)
{
	struct stat info;

	if (socket->path != NULL && lstat(socket->path, &info) == 0 &&
	        info.st_dev == socket->device && info.st_ino == socket->inode)
		unlink(socket->path);
}
