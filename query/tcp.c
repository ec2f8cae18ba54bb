/* The TCP socket that the server listens on, where one is asked for. */
#include "query/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int listen_on(const struct addrinfo *info, const char *what, struct error *err)
{
	const int yes = 1;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_errno(err, errno, "cannot listen on %s", what);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	error_errno(err, errno, "cannot listen on %s", what);
	close(fd);
	return -1;
}

int tcp_listen(const char *address, unsigned port, bool *loopback_r, struct error *err)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC,
	        .ai_socktype = SOCK_STREAM,
	        .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char service[16];

	g_snprintf(service, sizeof(service), "%u", port);
	g_autofree char *what = g_strdup_printf("%s port %u", address, port);
	int number = getaddrinfo(address, service, &hints, &found);
	if (number != 0)
		return error_set(err, "cannot listen on %s: %s", what, gai_strerror(number));
	*loopback_r = is_loopback(found->ai_addr);
	int fd = listen_on(found, what, err);
	freeaddrinfo(found);
	return fd;
}
