/* The life of the server. */
#include "query/server-private.h"

#include <errno.h>
#include <unistd.h>

/* Connections that may wait for the ones that were cut to make room. */
#define SERVER_SLACK 32
/* Imports that are worked on at a time; others wait. */
#define SERVER_IMPORTERS 2
#define SERVER_SETTLE_MS 1000
/* That a search may run while others wait: the usual ones are not interrupted. */
#define SERVER_SLICE_MS 100
/* A client that asks on does it sooner. */
#define SERVER_REST_MS 1000

static void server_connection(void *cls, struct MHD_Connection *http, void **context,
        enum MHD_ConnectionNotificationCode code)
{
	const struct listener *listener = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
		        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);

		*context = connection_begin(
		        listener->connections, info->connect_fd, socket_peer(info->connect_fd));
	} else if (*context != NULL) {
		connection_end(listener->connections, *context);
		*context = NULL;
		door_left(listener->door);
	}
}

static void server_defaults(
        struct query_server *server, struct store *store, const struct query_server_config *given)
{
	struct query_server_config *config = &server->config;

	*config = *given;
	server->store = store;
	server->path = g_strdup(given->socket);
	server->socket.fd = -1;
	server->gate = gate_new(server->path);
	for (int i = 0; i < SERVER_LISTENERS; i++)
		server->listeners[i] = (struct listener){.server = server, .fd = -1};
	config->mode = config->mode != 0 ? config->mode : 0660;
	config->threads = config->threads != 0 ? config->threads : 4;
	config->connections = config->connections != 0 ? config->connections : 256;
	config->deadline_ms = config->deadline_ms > 0 ? config->deadline_ms : 30 * 1000;
	config->idle_ms = config->idle_ms > 0 ? config->idle_ms : 60 * 1000;
	config->streams = config->streams != 0 ? config->streams : 64;
	config->beat_ms = config->beat_ms > 0 ? config->beat_ms : 15 * 1000;
	server->stream_shares = shares_new(config->streams);
	server->shares = shares_new(
	        config->answer_budget != 0 ? config->answer_budget : (size_t)256 * 1024 * 1024);
	/* Half of the deadline may go by in the queue; the rest is for the answer's way out. */
	if (config->query.scan_ms == 0)
		config->query.scan_ms = MIN(10 * 1000, config->deadline_ms / 3);
}

static int listener_start(struct listener *listener, bool tls, const char *what, struct error *err)
{
	const struct query_server_config *config = &listener->server->config;
	const struct connections_config limits = {
	        .most = config->connections,
	        .deadline_ms = config->deadline_ms,
	        .idle_ms = config->idle_ms,
	        .rest_ms = SERVER_REST_MS,
	};
	unsigned most = config->connections + SERVER_SLACK;
	struct MHD_OptionItem options[] = {
	        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_certificate},
	        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
	        {MHD_OPTION_END, 0, NULL},
	};

	if (!tls)
		options[0].option = MHD_OPTION_END;
	listener->connections = connections_new(&limits, err);
	if (listener->connections == NULL)
		return -1;
	listener->door = server_door(listener, most, tls);
	/* Its own limit is never met: whom it turned away would count as inside for ever. */
	listener->http = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
	                                          MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET |
	                                          (tls ? MHD_USE_TLS : 0),
	        0, NULL, NULL, server_access, listener, MHD_OPTION_URI_LOG_CALLBACK, server_target,
	        listener, MHD_OPTION_NOTIFY_COMPLETED, server_completed, listener,
	        MHD_OPTION_NOTIFY_CONNECTION, server_connection, listener,
	        MHD_OPTION_CONNECTION_LIMIT, 2 * most, MHD_OPTION_CONNECTION_TIMEOUT,
	        (unsigned)(config->idle_ms + 999) / 1000, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	        (size_t)SERVER_HEADERS, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (listener->http == NULL)
		return error_errno(err, errno, "cannot start the query server on %s", what);
	return door_open(listener->door, err);
}

static int server_listen_unix(struct query_server *server, struct error *err)
{
	const struct query_server_config *config = &server->config;
	struct listener *listener = &server->listeners[LISTENER_UNIX];

	if (unix_socket_listen(&server->socket, server->path, config->group, config->mode, err) < 0)
		return -1;
	listener->fd = server->socket.fd;
	return listener_start(listener, false, server->path, err);
}

/* Keys must not go over a network that others can read, unless somebody says that they may. */
static int server_check_plain(const struct query_listen *config, bool loopback, struct error *err)
{
	if (config->certificate != NULL || loopback || config->insecure)
		return 0;
	return error_config(err,
	        "[listen] address = %s can be reached from elsewhere: give certificate= and key=, "
	        "or say insecure = yes where the network itself is safe",
	        config->address);
}

static int server_listen_tcp(struct query_server *server, struct error *err)
{
	const struct query_listen *config = &server->config.listen;
	struct listener *listener = &server->listeners[LISTENER_TCP];
	bool loopback = false;

	if (config->port == 0)
		return 0;
	if ((config->certificate == NULL) != (config->key == NULL))
		return error_config(err, "[listen] certificate= and key= belong together");
	listener->fd = tcp_listen(config->address, config->port, &loopback, err);
	if (listener->fd < 0 || server_check_plain(config, loopback, err) < 0)
		return -1;
	if (config->certificate != NULL) {
		server->tls = tls_new(config->certificate, config->key, err);
		if (server->tls == NULL)
			return -1;
	}
	return listener_start(listener, server->tls != NULL, config->address, err);
}

int query_server_renew(struct query_server *server, bool force, struct error *err)
{
	return server->tls != NULL ? tls_renew(server->tls, force, err) : 0;
}

struct query_server *query_server_new(
        struct store *store, const struct query_server_config *config, struct error *err)
{
	struct query_server *server = g_new0(struct query_server, 1);

	server_defaults(server, store, config);
	const struct streams_config streams = {
	        .beat_ms = server->config.beat_ms,
	        .mark = server_mark,
	        .wake = server_wake_stream,
	        .ctx = server,
	};
	server->turns = turns_new(workers_cores(), SERVER_SLICE_MS);
	server->config.query.turns = turns_for_search(server->turns);
	server->queries = workers_new(server->config.threads, server_run_query, err);
	if (server->queries != NULL)
		server->imports = workers_new(SERVER_IMPORTERS, server_run_import, err);
	if (server->imports != NULL)
		server->streams = streams_new(&streams, err);
	if (server->streams == NULL || server_listen_unix(server, err) < 0 ||
	        server_listen_tcp(server, err) < 0)
		query_server_free(&server);
	return server;
}

/* libmicrohttpd must not be stopped while a connection is suspended: streams and workers
 * first. */
static void server_stop_http(struct query_server *server)
{
	for (int i = 0; i < SERVER_LISTENERS; i++)
		if (server->listeners[i].door != NULL)
			door_close(server->listeners[i].door);
	if (server->streams != NULL)
		streams_stop(server->streams);
	turns_open(server->turns); /* what runs is to end soon */
	if (server->queries != NULL)
		workers_stop(server->queries);
	if (server->imports != NULL)
		workers_stop(server->imports);
	int64_t until = connections_clock() + SERVER_SETTLE_MS;
	for (int i = 0; i < SERVER_LISTENERS; i++)
		if (server->listeners[i].http != NULL)
			connections_settle(server->listeners[i].connections, until);
	for (int i = 0; i < SERVER_LISTENERS; i++)
		if (server->listeners[i].http != NULL)
			MHD_stop_daemon(server->listeners[i].http);
}

void query_server_free(struct query_server **server)
{
	struct query_server *s = *server;

	if (s == NULL)
		return;
	if (s->socket.fd >= 0)
		unix_socket_unlink(&s->socket);
	server_stop_http(s);
	for (int i = 0; i < SERVER_LISTENERS; i++) {
		if (s->listeners[i].fd >= 0)
			close(s->listeners[i].fd);
		door_free(&s->listeners[i].door);
		connections_free(&s->listeners[i].connections);
	}
	tls_free(&s->tls);
	streams_free(&s->streams);
	workers_free(&s->queries);
	workers_free(&s->imports);
	turns_free(&s->turns);
	shares_free(&s->shares);
	shares_free(&s->stream_shares);
	gate_free(&s->gate);
	g_free(s->path);
	g_clear_pointer(server, g_free);
}
