#include "query/connections.h"

#include <glib.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

struct connection {
	int fd;
	uint64_t peer;
	enum connection_phase phase;
	int64_t since; /* of the phase, ms */
	bool asked;    /* a request came on it */
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
	GQueue all;        /* longest in its phase first, as entering one moves to the end */
	GHashTable *peers; /* uint64_t -> how many connections it has */
};

int64_t connections_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void connections_wait(struct connections *connections, int64_t until)
{
	clock_cond_wait_until(&connections->changed, &connections->lock, until * 1000);
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
	case CONNECTION_ARRIVING:
	case CONNECTION_SENDING:
		return age > connections->config.deadline_ms;
	case CONNECTION_WORKING:
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
	connections->peers = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	pthread_mutex_init(&connections->lock, NULL);
	clock_cond_init(&connections->changed);
	int number = pthread_create(&connections->thread, NULL, connections_thread, connections);
	if (number != 0) {
		error_errno(err, number, "cannot start a thread of the query server");
		pthread_cond_destroy(&connections->changed);
		pthread_mutex_destroy(&connections->lock);
		g_hash_table_unref(connections->peers);
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
	g_hash_table_unref(c->peers);
	g_clear_pointer(connections, g_free);
}

static guint peer_connections(const struct connections *connections, uint64_t peer)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(connections->peers, &peer));
}

static void peer_count(struct connections *connections, uint64_t peer, int change)
{
	guint n = peer_connections(connections, peer) + (guint)change;

	if (n == 0)
		g_hash_table_remove(connections->peers, &peer);
	else
		g_hash_table_replace(
		        connections->peers, g_memdup2(&peer, sizeof(peer)), GUINT_TO_POINTER(n));
}

/* Whether it is the client that keeps it waiting. */
static bool connection_is_spare(const struct connection *connection)
{
	return !connection->cut && connection->phase <= CONNECTION_SENDING;
}

/* Whether its client was answered and does not ask on: only that is of no use to anybody. One whose
 * first request did not come yet is perhaps just in the queue behind many others. */
static bool connection_is_at_rest(
        const struct connections *connections, const struct connection *connection, int64_t now)
{
	return connection->asked && connection->phase == CONNECTION_IDLE &&
	       now - connection->since >= connections->config.rest_ms;
}

/* With too many connections one gives way that does nothing, so that many clients who are idle,
 * slow, or deaf cannot keep the others out. It is not the phase that counts but how long it lasts:
 * among hundreds that send their requests slowly a new one, which has sent none yet, must stay. */
static void connections_make_room(struct connections *connections)
{
	struct connection *chosen = NULL;
	int64_t now = connections_clock();
	bool chosen_rests = false;
	guint most = 0;

	if (connections->all.length < connections->config.most)
		return;
	for (GList *link = connections->all.head; link != NULL; link = link->next) {
		struct connection *connection = link->data;
		guint n = peer_connections(connections, connection->peer);
		bool rests = connection_is_at_rest(connections, connection, now);

		if (!connection_is_spare(connection) || rests < chosen_rests)
			continue;
		if (chosen == NULL || rests > chosen_rests || n > most) {
			chosen = connection;
			chosen_rests = rests;
			most = n;
		}
	}
	if (chosen != NULL)
		connection_cut(chosen);
}

struct connection *connection_begin(struct connections *connections, int fd, uint64_t peer)
{
	struct connection *connection = g_new0(struct connection, 1);

	connection->fd = fd;
	connection->peer = peer;
	connection->since = connections_clock();
	connection->link.data = connection;
	pthread_mutex_lock(&connections->lock);
	connections_make_room(connections);
	peer_count(connections, peer, 1);
	g_queue_push_tail_link(&connections->all, &connection->link);
	pthread_mutex_unlock(&connections->lock);
	return connection;
}

uint64_t connection_peer(const struct connection *connection)
{
	return connection->peer;
}

static bool phase_is_busy(enum connection_phase phase)
{
	return phase >= CONNECTION_ARRIVING && phase <= CONNECTION_WORKING;
}

static void connections_count(
        struct connections *connections, enum connection_phase old, enum connection_phase new)
{
	connections->busy += phase_is_busy(new);
	connections->busy -= phase_is_busy(old);
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
	connection->asked = true;
	g_queue_unlink(&connections->all, &connection->link);
	g_queue_push_tail_link(&connections->all, &connection->link);
	pthread_mutex_unlock(&connections->lock);
}

void connection_end(struct connections *connections, struct connection *connection)
{
	pthread_mutex_lock(&connections->lock);
	connections_count(connections, connection->phase, CONNECTION_IDLE);
	peer_count(connections, connection->peer, -1);
	g_queue_unlink(&connections->all, &connection->link);
	pthread_mutex_unlock(&connections->lock);
	g_free(connection);
}

bool connections_settle(struct connections *connections, int64_t until)
{
	pthread_mutex_lock(&connections->lock);
	while (connections->busy > 0 && connections_clock() < until)
		connections_wait(connections, until);
	bool settled = connections->busy == 0;
	pthread_mutex_unlock(&connections->lock);
	return settled;
}
