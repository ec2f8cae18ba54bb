#include "query/door.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "query/connections.h"
#include "query/flood.h"
#include "query/room.h"
#include "query/socket.h"

/* Taken from the queue before the next ones are let in. */
#define DOOR_BURST 64
/* Connections that may wait, where there are descriptors for them: most are for the milter. */
#define DOOR_ROOM 1024
#define DOOR_SHARE 8 /* … of all descriptors */
/* With so many inside, as a part of the most, nobody is let in who has gone meanwhile. */
#define DOOR_BUSY 8
/* When none can be taken. */
#define DOOR_REST_MS 100

struct door {
	struct door_config config;
	struct room *room;
	struct flood *flood;
	pthread_t thread;
	bool opened;
	int wake; /* eventfd */
	bool starved;
	atomic_uint inside;
	atomic_bool closing;
	atomic_bool full; /* somebody waits for one to leave */
};

static unsigned door_places(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return DOOR_ROOM;
	return (unsigned)MIN(limit.rlim_cur / DOOR_SHARE, DOOR_ROOM);
}

static void door_wake(struct door *door)
{
	while (eventfd_write(door->wake, 1) < 0 && errno == EINTR)
		continue;
}

/* Milliseconds until there is something to do that no descriptor tells of; -1 = never. */
static int door_rest(const struct door *door)
{
	int64_t until = flood_until(door->flood);

	if (door->starved)
		return DOOR_REST_MS;
	return until < 0 ? -1 : (int)CLAMP(until - connections_clock() + 1, 0, FLOOD_SHUT_MS);
}

static void door_sleep(struct door *door)
{
	struct pollfd polls[] = {{.fd = door->wake, .events = POLLIN},
	        {.fd = door->starved ? -1 : door->config.fd, .events = POLLIN}};
	eventfd_t count;

	if (poll(polls, 2, door_rest(door)) > 0 && polls[0].revents != 0)
		eventfd_read(door->wake, &count);
	door->starved = false;
}

/* A connection came to nothing. */
static void door_lose(struct door *door, int fd, uint64_t peer)
{
	close(fd);
	if (door->config.shut != NULL && flood_count(door->flood, peer, connections_clock()))
		door->config.shut(door->config.ctx, flood_shut(door->flood), peer);
}

static void door_refuse(struct door *door, int fd, uint64_t peer)
{
	const char *refusal = door->config.refusal;

	if (refusal != NULL)
		(void)!send(fd, refusal, strlen(refusal), MSG_NOSIGNAL | MSG_DONTWAIT);
	door_lose(door, fd, peer);
}

/* Takes who has come out of the kernel's queue. */
static void door_take(struct door *door)
{
	for (int i = 0; i < DOOR_BURST; i++) {
		int fd = accept4(door->config.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			door->starved = errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			                errno == ENOBUFS;
			return;
		}
		uint64_t peer = socket_peer(fd);
		if (!room_put(door->room, peer, fd))
			door_refuse(door, fd, peer);
	}
}

/* An answer that nobody will read would hold up others. But where there are few, a request whose
 * client did not wait is worked on, as ever. */
static bool door_sees_nobody(const struct door *door, int fd)
{
	struct pollfd poller = {.fd = fd};

	return atomic_load(&door->inside) > door->config.most / DOOR_BUSY &&
	       poll(&poller, 1, 0) == 1 && (poller.revents & POLLHUP) != 0;
}

static void door_let_in(struct door *door, int fd, uint64_t peer)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);

	if (door_sees_nobody(door, fd) ||
	        getpeername(fd, (struct sockaddr *)&address, &length) < 0) {
		door_lose(door, fd, peer);
		return;
	}
	atomic_fetch_add(&door->inside, 1);
	if (!door->config.enter(door->config.ctx, fd, &address, length))
		atomic_fetch_sub(&door->inside, 1);
}

static bool door_is_full(struct door *door)
{
	if (atomic_load(&door->inside) < door->config.most)
		return false;
	atomic_store(&door->full, true); /* who leaves from here on wakes us */
	return atomic_load(&door->inside) >= door->config.most;
}

static void *door_thread(void *arg)
{
	struct door *door = arg;
	uint64_t peer;
	int fd;

	while (!atomic_load(&door->closing)) {
		door_sleep(door);
		if (flood_pass(door->flood, connections_clock()))
			door->config.shut(door->config.ctx, flood_shut(door->flood), 0);
		door_take(door);
		while (!door_is_full(door) && (fd = room_take(door->room, &peer)) >= 0)
			door_let_in(door, fd, peer);
	}
	return NULL;
}

struct door *door_new(const struct door_config *config)
{
	struct door *door = g_new0(struct door, 1);

	door->config = *config;
	door->wake = -1;
	door->room = room_new(door_places());
	door->flood = flood_new();
	return door;
}

int door_open(struct door *door, struct error *err)
{
	door->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (door->wake < 0)
		return error_errno(err, errno, "cannot wait for connections to the query server");
	int number = pthread_create(&door->thread, NULL, door_thread, door);
	if (number != 0)
		return error_errno(err, number, "cannot start a thread of the query server");
	door->opened = true;
	return 0;
}

void door_left(struct door *door)
{
	atomic_fetch_sub(&door->inside, 1);
	if (atomic_exchange(&door->full, false))
		door_wake(door);
}

void door_close(struct door *door)
{
	uint64_t peer;
	int fd;

	if (!door->opened)
		return;
	atomic_store(&door->closing, true);
	door_wake(door);
	pthread_join(door->thread, NULL);
	door->opened = false;
	while ((fd = room_take(door->room, &peer)) >= 0)
		close(fd);
}

void door_free(struct door **door)
{
	struct door *d = *door;

	if (d == NULL)
		return;
	door_close(d);
	if (d->wake >= 0)
		close(d->wake);
	room_free(&d->room);
	flood_free(&d->flood);
	g_clear_pointer(door, g_free);
}
