#include "query/connections.h"

#include <glib.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

struct connection {
	int fd;
	enum connection_phase phase;
	int64_t since; /* of the phase, ms */
	bool cut;
	GList link;
};

struct connections {
	struct connections_config config;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool stopping;
	unsigned busy;
	GQueue all; /* idle longest first, as entering a phase moves to the end */
};

int64_t connections_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void connections_wait(struct connections *connections, int64_t until)
{
	struct timespec when = {
	        .tv_sec = (time_t)(until / 1000),
	        .tv_nsec = (long)(until % 1000) * 1000000,
	};

	pthread_cond_timedwait(&connections->changed, &connections->lock, &when);
}

/* The server's thread sees the end of file, and ends the connection itself. */
static void connection_cut(struct connection *connection)
{
	if (!connection->cut)
		shutdown(connection->fd, SHUT_RDWR);
	connection->cut = true;
}

static bool connection_is_late(
        const struct connections *connections, const struct connection *connection, int64_t now)
{
	int64_t age = now - connection->since;

	switch (connection->phase) {
	case CONNECTION_IDLE:
		return age > connections->config.idle_ms;
	case CONNECTION_BUSY:
	case CONNECTION_STREAM:
		return age > connections->config.deadline_ms;
	case CONNECTION_UPLOAD:
	case CONNECTION_WAITING:
		break;
	}
	return false;
}

static void *connections_thread(void *arg)
{
	struct connections *connections = arg;
	int shortest = MIN(connections->config.deadline_ms, connections->config.idle_ms);
	int period = CLAMP(shortest / 4, 10, 1000);

	pthread_mutex_lock(&connections->lock);
	while (!connections->stopping) {
		int64_t now = connections_clock();

		for (GList *link = connections->all.head; link != NULL; link = link->next)
			if (connection_is_late(connections, link->data, now))
				connection_cut(link->data);
		connections_wait(connections, now + period);
	}
	pthread_mutex_unlock(&connections->lock);
	return NULL;
}

struct connections *connections_new(const struct connections_config *config, struct error *err)
{
	struct connections *connections = g_new0(struct connections, 1);

	connections->config = *config;
	g_queue_init(&connections->all);
	pthread_mutex_init(&connections->lock, NULL);
	clock_cond_init(&connections->changed);
	int number = pthread_create(&connections->thread, NULL, connections_thread, connections);
	if (number != 0) {
		error_errno(err, number, "cannot start a thread of the query server");
		pthread_cond_destroy(&connections->changed);
		pthread_mutex_destroy(&connections->lock);
		g_clear_pointer(&connections, g_free);
	}
	return connections;
}

void connections_free(struct connections **connections)
{
	struct connections *c = *connections;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	g_clear_pointer(connections, g_free);
}

/* With too many connections one that does nothing goes, so that many idle clients cannot keep the
 * others out. */
static void connections_make_room(struct connections *connections)
{
	if (connections->all.length < connections->config.most)
		return;
	for (GList *link = connections->all.head; link != NULL; link = link->next) {
		struct connection *connection = link->data;

		if (connection->phase == CONNECTION_IDLE && !connection->cut) {
			connection_cut(connection);
			return;
		}
	}
}

struct connection *connection_begin(struct connections *connections, int fd)
{
	struct connection *connection = g_new0(struct connection, 1);

	connection->fd = fd;
	connection->since = connections_clock();
	connection->link.data = connection;
	pthread_mutex_lock(&connections->lock);
	connections_make_room(connections);
	g_queue_push_tail_link(&connections->all, &connection->link);
	pthread_mutex_unlock(&connections->lock);
	return connection;
}

static void connections_count(
        struct connections *connections, enum connection_phase old, enum connection_phase new)
{
	connections->busy += new == CONNECTION_BUSY;
	connections->busy -= old == CONNECTION_BUSY;
	if (connections->busy == 0)
		pthread_cond_broadcast(&connections->changed);
}

void connection_enter(
        struct connections *connections, struct connection *connection, enum connection_phase phase)
{
	pthread_mutex_lock(&connections->lock);
	connections_count(connections, connection->phase, phase);
	connection->phase = phase;
	connection->since = connections_clock();
	g_queue_unlink(&connections->all, &connection->link);
	g_queue_push_tail_link(&connections->all, &connection->link);
	pthread_mutex_unlock(&connections->lock);
}

void connection_end(struct connections *connections, struct connection *connection)
{
	pthread_mutex_lock(&connections->lock);
	connections_count(connections, connection->phase, CONNECTION_IDLE);
	g_queue_unlink(&connections->all, &connection->link);
	pthread_mutex_unlock(&connections->lock);
	g_free(connection);
}

bool connections_settle(struct connections *connections, int timeout_ms)
{
	int64_t until = connections_clock() + timeout_ms;

	pthread_mutex_lock(&connections->lock);
	while (connections->busy > 0 && connections_clock() < until)
		connections_wait(connections, until);
	bool settled = connections->busy == 0;
	pthread_mutex_unlock(&connections->lock);
	return settled;
}
