#include "milter/listener.h"

#include <errno.h>
#include <glib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/peer.h"
#include "milter/socket.h"
#include "milter/waiters.h"

#define EVENTS_MAX 64
#define READ_BYTES 65536    /* at one time; a mail without its body mostly fits */
#define WAITERS_MAX 200     /* mails that may wait for a commit at one time; others wait for them */
#define REST_MS 200         /* when no connection can be taken */
#define DESCRIPTORS_LEFT 64 /* for the rest of the process */

struct connection {
	GList link; /* in one of the milter's queues */
	struct milter *milter;
	int fd;
	uint32_t watched; /* events that epoll tells; 0 = it does not know the descriptor */
	struct peer *peer;
	GString *out; /* not sent yet */
	bool deaf;    /* the MTA takes no replies any more; what it had sent still counts */
	gint64 active;
};

struct milter {
	struct milter_hooks hooks;
	struct milter_shared *shared;
	struct peer_plan plan;
	struct milter_socket socket;
	int fd, poll, wake;
	gint stop;
	guint most;              /* connections */
	gint64 rest;             /* no connection is taken until then; 0 = they are */
	bool full;               /* the last try failed */
	GQueue idle;             /* connections, that of the longest silence first */
	GQueue waiting;          /* those whose message waits for its commit */
	struct waiters *waiters; /* NULL where none does */
	char bytes[READ_BYTES];
};

/* ---- connections ---- */

static void tell_trouble(const struct milter *milter, const char *counter, const char *why)
{
	if (milter->hooks.trouble != NULL)
		milter->hooks.trouble(milter->hooks.ctx, counter, why);
}

/* False when the system has no room for it. */
static bool watch(struct connection *connection, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};

	if (events == connection->watched)
		return true;
	int how = events == 0                ? EPOLL_CTL_DEL
	          : connection->watched == 0 ? EPOLL_CTL_ADD
	                                     : EPOLL_CTL_MOD;
	connection->watched = events;
	return epoll_ctl(connection->milter->poll, how, connection->fd, &event) == 0;
}

static void move(struct connection *connection, GQueue *from, GQueue *to)
{
	if (from != NULL)
		g_queue_unlink(from, &connection->link);
	g_queue_push_tail_link(to, &connection->link);
	connection->active = g_get_monotonic_time();
}

/* One that is in neither queue any more. */
static void connection_free(struct connection *connection)
{
	close(connection->fd);
	peer_free(&connection->peer);
	g_string_free(connection->out, TRUE);
	g_free(connection);
}

static void connection_close(struct connection *connection)
{
	g_queue_unlink(&connection->milter->idle, &connection->link);
	connection_free(connection);
}

/* Sends what can be sent now. */
static void send_replies(struct connection *connection)
{
	GString *out = connection->out;

	if (connection->deaf)
		g_string_truncate(out, 0);
	while (out->len > 0) {
		ssize_t n = send(connection->fd, out->str, out->len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		connection->deaf = n < 0;
		g_string_erase(out, 0, n < 0 ? -1 : (gssize)n);
	}
}

/* Does what the peer needs next; the connection may be gone then. */
static void go_on(struct connection *connection, enum peer_need need)
{
	struct milter *milter = connection->milter;

	while (need == PEER_END && milter->waiters == NULL) {
		peer_end(connection->peer);
		peer_ended(connection->peer, connection->out);
		need = peer_feed(connection->peer, SLICE_NONE, connection->out);
	}
	send_replies(connection);
	if (need == PEER_END) {
		/* Not even a hang-up concerns us until it is back. */
		watch(connection, 0);
		move(connection, &milter->idle, &milter->waiting);
		waiters_give(milter->waiters, connection);
		return;
	}
	if (need == PEER_CLOSE) {
		const char *why = peer_refusal(connection->peer);

		if (why != NULL)
			tell_trouble(milter, "milter_refused", why);
		connection_close(connection);
		return;
	}
	/* Who does not take the replies is not read from. */
	if (!watch(connection, connection->out->len > 0 ? EPOLLOUT : EPOLLIN))
		connection_close(connection);
}

static void read_bytes(struct connection *connection)
{
	struct milter *milter = connection->milter;
	ssize_t n = read(connection->fd, milter->bytes, sizeof(milter->bytes));

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		connection_close(connection);
		return;
	}
	move(connection, &milter->idle, &milter->idle);
	go_on(connection,
	        peer_feed(connection->peer, slice_make(milter->bytes, (size_t)n), connection->out));
}

static void connection_new(struct milter *milter, int fd)
{
	struct connection *connection = g_new0(struct connection, 1);

	connection->link.data = connection;
	connection->milter = milter;
	connection->fd = fd;
	connection->peer = peer_new(&milter->plan);
	connection->out = g_string_sized_new(64);
	move(connection, NULL, &milter->idle);
	if (!watch(connection, EPOLLIN))
		connection_close(connection);
	else /* The negotiation mostly is there already. */
		read_bytes(connection);
}

static void on_event(struct connection *connection)
{
	if (connection->out->len == 0) {
		read_bytes(connection);
		return;
	}
	send_replies(connection);
	go_on(connection, PEER_READ);
}

/* ---- messages that wait for their commit ---- */

static void end_message(void *item)
{
	struct connection *connection = item;

	peer_end(connection->peer);
}

static void wake(void *ctx)
{
	struct milter *milter = ctx;

	eventfd_write(milter->wake, 1);
}

static void take_ended(struct milter *milter)
{
	struct connection *connection;

	while (milter->waiters != NULL && (connection = waiters_take(milter->waiters)) != NULL) {
		move(connection, &milter->waiting, &milter->idle);
		peer_ended(connection->peer, connection->out);
		go_on(connection, peer_feed(connection->peer, SLICE_NONE, connection->out));
	}
}

/* ---- taking connections ---- */

static void watch_listener(struct milter *milter, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = milter};

	epoll_ctl(milter->poll, EPOLL_CTL_MOD, milter->fd, &event);
}

/* Those who come wait meanwhile; their MTA decides how long. */
static void rest(struct milter *milter)
{
	if (!milter->full)
		tell_trouble(milter, "milter_full",
		        "there are no more descriptors for connections (LimitNOFILE, ulimit -n)");
	milter->full = true;
	milter->rest = g_get_monotonic_time() + REST_MS * 1000;
	watch_listener(milter, 0);
}

/* One at a time: to find out that there is no other costs more than to be told again. */
static void take_connection(struct milter *milter)
{
	if (milter->idle.length + milter->waiting.length >= milter->most) {
		rest(milter);
		return;
	}
	int fd = accept4(milter->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		milter->full = false;
		connection_new(milter, fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		rest(milter);
	}
	/* Otherwise who came is gone again. */
}

/* ---- the loop ---- */

/* What time brings; how many ms until it brings more, -1 = never. */
static int on_time(struct milter *milter)
{
	const gint64 silence = (gint64)MILTER_IDLE_SECONDS * G_USEC_PER_SEC;
	gint64 now = g_get_monotonic_time(), next = G_MAXINT64;
	GList *first;

	if (milter->rest != 0 && milter->rest <= now) {
		milter->rest = 0;
		watch_listener(milter, EPOLLIN);
	}
	while ((first = milter->idle.head) != NULL) {
		struct connection *connection = first->data;

		next = connection->active + silence;
		if (next > now)
			break;
		connection_close(connection);
		next = G_MAXINT64;
	}
	if (milter->rest != 0)
		next = MIN(next, milter->rest);
	return next == G_MAXINT64 ? -1 : (int)((next - now) / 1000 + 1);
}

static void dispatch(struct milter *milter, const struct epoll_event *event)
{
	eventfd_t n;

	if (event->data.ptr == milter)
		take_connection(milter);
	else if (event->data.ptr == &milter->wake)
		eventfd_read(milter->wake, &n);
	else
		on_event(event->data.ptr);
}

/* Messages whose commit is under way get its result; others that wait for one are not begun. */
static void close_all(struct milter *milter)
{
	GList *link;

	if (milter->waiters != NULL)
		waiters_stop(milter->waiters);
	while ((link = g_queue_pop_head_link(&milter->waiting)) != NULL) {
		struct connection *connection = link->data;

		peer_ended(connection->peer, connection->out);
		send_replies(connection);
		connection_free(connection);
	}
	while ((link = milter->idle.head) != NULL)
		connection_close(link->data);
}

void milter_serve(struct milter *milter)
{
	struct epoll_event events[EVENTS_MAX];

	while (!g_atomic_int_get(&milter->stop)) {
		int n = epoll_wait(milter->poll, events, EVENTS_MAX, on_time(milter));

		for (int i = 0; i < n; i++)
			dispatch(milter, &events[i]);
		take_ended(milter);
	}
	milter_socket_remove(&milter->socket);
	close_all(milter);
}

void milter_stop(struct milter *milter)
{
	g_atomic_int_set(&milter->stop, 1);
	wake(milter);
}

/* ---- opening and closing ---- */

static guint connections_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > G_MAXINT)
		return G_MAXINT;
	return limit.rlim_cur > 2 * DESCRIPTORS_LEFT ? (guint)limit.rlim_cur - DESCRIPTORS_LEFT
	                                             : DESCRIPTORS_LEFT;
}

static int open_loop(struct milter *milter, struct error *err)
{
	struct epoll_event listener = {.events = EPOLLIN, .data.ptr = milter};
	struct epoll_event waking = {.events = EPOLLIN, .data.ptr = &milter->wake};

	milter->poll = epoll_create1(EPOLL_CLOEXEC);
	milter->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (milter->poll < 0 || milter->wake < 0 ||
	        epoll_ctl(milter->poll, EPOLL_CTL_ADD, milter->fd, &listener) < 0 ||
	        epoll_ctl(milter->poll, EPOLL_CTL_ADD, milter->wake, &waking) < 0)
		return error_errno(err, errno, "cannot wait for connections of the milter");
	return 0;
}

struct milter *milter_listen(
        const struct milter_config *config, const struct milter_hooks *hooks, struct error *err)
{
	struct milter *milter = g_new0(struct milter, 1);

	milter->hooks = *hooks;
	milter->fd = milter->poll = milter->wake = -1;
	milter->most = connections_limit();
	milter->shared = milter_shared_new(config, hooks, err);
	milter->plan = (struct peer_plan){.shared = milter->shared,
	        .remove_header = config->remove_header,
	        .see_rejects = config->see_rejects,
	        .reports = config->reports,
	        .tempfail = config->on_failure == MILTER_TEMPFAIL};
	if (milter->plan.tempfail)
		milter->waiters = waiters_new(WAITERS_MAX, end_message, wake, milter);
	if (milter->shared == NULL ||
	        milter_socket_parse(&milter->socket, config->socket, err) < 0 ||
	        milter_socket_open(&milter->socket, config->group,
	                config->mode != 0 ? config->mode : 0660, &milter->fd, err) < 0 ||
	        open_loop(milter, err) < 0)
		milter_free(&milter);
	return milter;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void milter_free(struct milter **milter)
{
	struct milter *m = *milter;

	if (m == NULL)
		return;
	milter_socket_remove(&m->socket);
	close_all(m);
	close_fd(m->fd);
	close_fd(m->poll);
	close_fd(m->wake);
	waiters_free(&m->waiters);
	milter_shared_free(&m->shared);
	milter_socket_clear(&m->socket);
	g_clear_pointer(milter, g_free);
}
