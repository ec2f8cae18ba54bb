#include "query/socket.h"

#include <errno.h>
#include <grp.h>
#include <glib.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int socket_address(struct sockaddr_un *address, const char *path, struct error *err)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (path[0] == '\0' || strlen(path) >= sizeof(address->sun_path))
		return error_config(err, "query socket %s: the path must have 1 to %zu bytes", path,
		        sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, path);
	return 0;
}

/* Whether somebody answers at the address. */
static bool socket_is_live(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return true; /* do not remove what could not be asked */
	int result = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	bool live = result == 0 || errno != ECONNREFUSED;
	close(fd);
	return live;
}

/* Makes room at the path. */
static int socket_clear(const struct sockaddr_un *address, struct error *err)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_errno(err, errno, "query socket %s", address->sun_path);
	}
	if (!S_ISSOCK(st.st_mode))
		return error_config(err,
		        "query socket %s: there is a file that is no socket; remove it",
		        address->sun_path);
	if (socket_is_live(address))
		return error_errno(err, EADDRINUSE, "query socket %s: another process serves it",
		        address->sun_path);
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return error_errno(err, errno, "query socket %s: cannot remove the old one",
		        address->sun_path);
	return 0;
}

static int socket_group(const char *path, const char *group, struct error *err)
{
	char room[16384];
	struct group entry, *found = NULL;

	if (group == NULL)
		return 0;
	getgrnam_r(group, &entry, room, sizeof(room), &found);
	if (found == NULL)
		return error_config(err, "query socket %s: there is no group %s", path, group);
	if (lchown(path, (uid_t)-1, found->gr_gid) < 0)
		return error_errno(
		        err, errno, "query socket %s: cannot give it to group %s", path, group);
	return 0;
}

static int socket_publish(struct unix_socket *sock, const struct sockaddr_un *address,
        const char *group, mode_t mode, struct error *err)
{
	struct stat st;

	/* Linux makes the file with the mode of the descriptor: nobody gets in before its group and
	 * mode are right, whatever the umask is. */
	if (fchmod(sock->fd, 0600) < 0 ||
	        bind(sock->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return error_errno(err, errno, "query socket %s: cannot create it", sock->path);
	if (lstat(sock->path, &st) < 0)
		return error_errno(err, errno, "query socket %s", sock->path);
	sock->device = st.st_dev;
	sock->inode = st.st_ino;
	if (socket_group(sock->path, group, err) < 0)
		return -1;
	if (chmod(sock->path, mode) < 0 || listen(sock->fd, SOMAXCONN) < 0)
		return error_errno(
		        err, errno, "query socket %s: cannot open it to others", sock->path);
	return 0;
}

int unix_socket_listen(struct unix_socket *socket_r, const char *path, const char *group,
        mode_t mode, struct error *err)
{
	struct sockaddr_un address;

	*socket_r = (struct unix_socket){.fd = -1, .path = path};
	if (socket_address(&address, path, err) < 0 || socket_clear(&address, err) < 0)
		return -1;
	socket_r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (socket_r->fd < 0)
		return error_errno(err, errno, "query socket %s", path);
	if (socket_publish(socket_r, &address, group, mode, err) == 0)
		return 0;
	unix_socket_unlink(socket_r);
	close(socket_r->fd);
	socket_r->fd = -1;
	return -1;
}

void unix_socket_unlink(const struct unix_socket *sock)
{
	struct stat st;

	if (sock->inode != 0 && lstat(sock->path, &st) == 0 && st.st_dev == sock->device &&
	        st.st_ino == sock->inode)
		unlink(sock->path);
}

/* The supplementary groups, appended. They may be more than there was room for. */
static bool peer_groups(int fd, GArray *groups)
{
	socklen_t n = 64 * sizeof(gid_t);
	guint before = groups->len;
	int result;

	do {
		g_array_set_size(groups, before + (guint)(n / sizeof(gid_t)));
		result = getsockopt(
		        fd, SOL_SOCKET, SO_PEERGROUPS, &g_array_index(groups, gid_t, before), &n);
	} while (result < 0 && errno == ERANGE);
	g_array_set_size(groups, before + (result == 0 ? (guint)(n / sizeof(gid_t)) : 0));
	return result == 0;
}

bool unix_socket_peer(int fd, struct unix_peer *peer_r)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	*peer_r = (struct unix_peer){0};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || peer.uid == (uid_t)-1)
		return false;
	peer_r->uid = peer.uid;
	peer_r->groups = g_array_new(FALSE, FALSE, sizeof(gid_t));
	g_array_append_val(peer_r->groups, peer.gid);
	if (peer_groups(fd, peer_r->groups))
		return true;
	unix_peer_clear(peer_r);
	return false;
}

void unix_peer_clear(struct unix_peer *peer)
{
	g_clear_pointer(&peer->groups, g_array_unref);
}

static uint64_t peer_user(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return 0;
	return (uint64_t)peer.uid + 1;
}

uint64_t socket_peer(int fd)
{
	struct sockaddr_storage address = {0};
	const struct sockaddr_in *v4 = (const void *)&address;
	const struct sockaddr_in6 *v6 = (const void *)&address;
	socklen_t n = sizeof(address);
	uint64_t network;

	if (getpeername(fd, (struct sockaddr *)&address, &n) < 0)
		return 0;
	switch (address.ss_family) {
	case AF_UNIX:
		return peer_user(fd);
	case AF_INET:
		return (uint64_t)v4->sin_addr.s_addr + 1;
	case AF_INET6:
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			return (uint64_t)v6->sin6_addr.s6_addr32[3] + 1;
		memcpy(&network, &v6->sin6_addr, sizeof(network));
		return network + 1;
	default:
		return 0;
	}
}
