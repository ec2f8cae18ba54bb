#include "query/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <unistd.h>

#include "query/connections.h"
#include "query/socket.h"
#include "query/workers.h"

/* Connections that may wait for the ones that were cut to make room. */
#define SERVER_SLACK 32
/* Request line and headers of one connection; what exceeds it libmicrohttpd refuses by itself. */
#define SERVER_HEADERS (128 * 1024)
/* Imports that are worked on at a time; others wait. */
#define SERVER_IMPORTERS 2
#define SERVER_SETTLE_MS 1000

struct query_server {
	struct store *store;
	struct query_server_config config;
	char *path;
	struct query_budget budget;
	struct unix_socket socket;
	struct connections *connections;
	struct workers *queries;
	struct workers *imports;
	struct MHD_Daemon *http;
};

enum exchange_step {
	EXCHANGE_NEW,    /* its first line has been seen */
	EXCHANGE_BODY,   /* a query: its body, if any, is dropped */
	EXCHANGE_IMPORT, /* an import is being begun */
	EXCHANGE_UPLOAD, /* its body is being fed */
	EXCHANGE_DONE,   /* answer is ready */
};

/* One request and its answer. Belongs to the HTTP thread, and to a worker while a job runs: the
 * connection is suspended meanwhile. */
struct exchange {
	struct query_server *server;
	struct MHD_Connection *http;
	struct connection *connection;
	char *target;      /* raw; cut off beyond QUERY_LINK_MAX + 1 */
	uintptr_t seen_to; /* address of the NUL that libmicrohttpd has behind the target */
	char *method;
	bool escape_colons;
	enum exchange_step step;
	int64_t asked; /* connections_clock when it was queued */
	struct query_answer answer;

	struct query_import_target import_target;
	void *import;
	bool last;        /* the upload is complete */
	bool abandoned;   /* the client has gone: end the import and free the exchange */
	bool failed;      /* the import failed: `answer` says why; the rest is dropped */
	char *chunk;      /* bytes that a worker feeds … */
	size_t chunk_len; /* … and that the HTTP thread still shows to us: not yet consumed */
};

static void exchange_free(struct exchange *exchange)
{
	query_answer_clear(&exchange->answer);
	g_free(exchange->import_target.source);
	g_free(exchange->chunk);
	g_free(exchange->target);
	g_free(exchange->method);
	g_free(exchange);
}

/* --- in the workers --- */

static void server_run_query(void *job)
{
	struct exchange *exchange = job;
	struct query_server *server = exchange->server;
	int64_t waited = connections_clock() - exchange->asked;
	struct query_config config = server->config.query;

	config.escape_colons = exchange->escape_colons;
	if (waited > server->config.deadline_ms / 2)
		query_answer_error(
		        &exchange->answer, 503, "Too many requests are being answered: try again");
	else
		query_answer(server->store, &config, exchange->method, slice_str(exchange->target),
		        &exchange->answer);
	exchange->step = EXCHANGE_DONE;
	MHD_resume_connection(exchange->http);
}

static void import_fail(struct exchange *exchange, const struct error *err)
{
	exchange->failed = true;
	query_answer_clear(&exchange->answer);
	query_answer_error(&exchange->answer, err->number == EBUSY ? 409 : 500, err->text);
}

static void import_end(struct exchange *exchange, bool aborted)
{
	g_autoptr(GString) counts = g_string_new("{\"results\":");
	struct error err = {0};

	if (exchange->import == NULL)
		return;
	int result = exchange->server->config.import.end(exchange->import, aborted, counts, &err);
	exchange->import = NULL;
	if (exchange->failed || aborted)
		return;
	if (result < 0) {
		import_fail(exchange, &err);
		return;
	}
	g_string_append_c(counts, '}');
	exchange->answer.status = 200;
	exchange->answer.body = g_steal_pointer(&counts);
}

static void import_step(struct exchange *exchange)
{
	const struct query_import *hooks = &exchange->server->config.import;
	const struct query_import_target *target = &exchange->import_target;
	struct error err = {0};

	if (exchange->import == NULL && !exchange->failed) {
		exchange->import =
		        hooks->begin(hooks->ctx, target->source, target->not_after, &err);
		if (exchange->import == NULL)
			import_fail(exchange, &err);
	}
	if (exchange->chunk != NULL && exchange->import != NULL &&
	        hooks->feed(exchange->import, exchange->chunk, exchange->chunk_len, &err) < 0) {
		import_fail(exchange, &err);
		import_end(exchange, true);
	}
	g_clear_pointer(&exchange->chunk, g_free);
	if (exchange->last) {
		import_end(exchange, false);
		exchange->step = EXCHANGE_DONE;
	}
}

static void server_run_import(void *job)
{
	struct exchange *exchange = job;

	if (exchange->abandoned) {
		import_end(exchange, true);
		exchange_free(exchange);
		return;
	}
	import_step(exchange);
	MHD_resume_connection(exchange->http);
}

/* --- in the HTTP thread --- */

static enum MHD_Result exchange_send(struct exchange *exchange)
{
	struct query_answer *answer = &exchange->answer;
	/* The body stays until server_completed, which comes after the last byte. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
	        answer->body->len, answer->body->str, MHD_RESPMEM_PERSISTENT);

	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (answer->allow != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	enum MHD_Result result = MHD_queue_response(exchange->http, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result exchange_refuse(
        struct exchange *exchange, unsigned status, const char *message)
{
	query_answer_clear(&exchange->answer);
	query_answer_error(&exchange->answer, status, message);
	exchange->step = EXCHANGE_DONE;
	return exchange_send(exchange);
}

/* Hands the exchange to a worker. The connection must be suspended first: the worker may be done
 * before workers_push returns. */
static enum MHD_Result exchange_push(struct exchange *exchange, struct workers *workers)
{
	exchange->asked = connections_clock();
	MHD_suspend_connection(exchange->http);
	if (workers_push(workers, exchange))
		return MHD_YES;
	/* The server stops; the next call for this exchange tells the client. */
	exchange->failed = true;
	query_answer_clear(&exchange->answer);
	query_answer_error(&exchange->answer, 503, "The server is stopping");
	exchange->step = EXCHANGE_DONE;
	MHD_resume_connection(exchange->http);
	return MHD_YES;
}

/* Node's request library reaches a UNIX socket by http://unix:SOCKET:TARGET, cuts the target off at
 * its next colon, and sends the socket's path as Host. The npm sparkpost client is built on it. */
static bool exchange_escapes_colons(const struct exchange *exchange)
{
	const char *host =
	        MHD_lookup_connection_value(exchange->http, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	return host != NULL && host[0] == '/';
}

static bool exchange_peer_may_import(const struct exchange *exchange)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(exchange->http, MHD_CONNECTION_INFO_CONNECTION_FD);
	uid_t uid;

	return info != NULL && unix_socket_peer(info->connect_fd, &uid) &&
	       (uid == 0 || uid == geteuid());
}

static bool exchange_has_body(const struct exchange *exchange)
{
	const char *length = MHD_lookup_connection_value(
	        exchange->http, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length != NULL && strcmp(length, "0") != 0) ||
	       MHD_lookup_connection_value(
	               exchange->http, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* Whether a NUL byte cuts the target off. libmicrohttpd hands it out as a C string and tells no
 * length, but the version that it hands out stands in the same line, one byte behind the target's
 * end. (Further away than a line can be, it would stand elsewhere.) */
static bool exchange_cut_off(const struct exchange *exchange, const char *version)
{
	uintptr_t at = (uintptr_t)version;

	return at > exchange->seen_to + 1 && at - exchange->seen_to < SERVER_HEADERS;
}

enum verdict {
	VERDICT_REFUSED, /* the answer is there */
	VERDICT_QUERY,
	VERDICT_IMPORT,
};

/* What the headers decide. */
static enum verdict exchange_judge(struct exchange *exchange, const char *version)
{
	const struct slice target = slice_str(exchange->target);
	int found = 0;

	if (exchange_cut_off(exchange, version)) {
		query_answer_error(&exchange->answer, 400, "URI must not contain a NUL byte");
		return VERDICT_REFUSED;
	}
	if (exchange->server->config.import.begin != NULL)
		found = query_import_target(
		        exchange->method, target, &exchange->import_target, &exchange->answer);
	if (found > 0)
		return VERDICT_IMPORT;
	if (found < 0 || query_refuses(exchange->method, target, &exchange->answer))
		return VERDICT_REFUSED;
	return VERDICT_QUERY;
}

/* Headers are there. An answer before the second call makes libmicrohttpd close the connection:
 * right where a body follows that nobody wants, a waste otherwise. */
static enum MHD_Result exchange_begin(struct exchange *exchange, const char *version)
{
	struct query_server *server = exchange->server;

	switch (exchange_judge(exchange, version)) {
	case VERDICT_REFUSED:
		exchange->step = EXCHANGE_DONE;
		return exchange_has_body(exchange) ? exchange_send(exchange) : MHD_YES;
	case VERDICT_QUERY:
		exchange->step = EXCHANGE_BODY;
		return MHD_YES;
	case VERDICT_IMPORT:
		break;
	}
	if (!exchange_peer_may_import(exchange))
		return exchange_refuse(exchange, 403, "Forbidden.");
	exchange->step = EXCHANGE_IMPORT;
	connection_enter(server->connections, exchange->connection, CONNECTION_UPLOAD);
	return exchange_push(exchange, server->imports);
}

/* Bytes of an import: a worker gets a copy, while they stay unconsumed in the buffer. That, and not
 * only the suspension, keeps libmicrohttpd from calling again before the worker has finished. */
static enum MHD_Result exchange_upload(struct exchange *exchange, const char *bytes, size_t *n)
{
	size_t fed = MIN(exchange->chunk_len, *n);

	exchange->chunk_len = 0;
	bytes += fed;
	*n -= fed;
	if (exchange->failed)
		*n = 0;
	if (*n == 0)
		return MHD_YES;
	exchange->chunk = g_memdup2(bytes, *n);
	exchange->chunk_len = *n;
	return exchange_push(exchange, exchange->server->imports);
}

static enum MHD_Result server_access(void *cls, struct MHD_Connection *http, const char *url,
        const char *method, const char *version, const char *bytes, size_t *n, void **context)
{
	struct exchange *exchange = *context;

	(void)cls;
	(void)http;
	(void)url;
	if (exchange == NULL)
		return MHD_NO;
	switch (exchange->step) {
	case EXCHANGE_NEW:
		exchange->method = g_strdup(method);
		exchange->escape_colons = exchange_escapes_colons(exchange);
		return exchange_begin(exchange, version);
	case EXCHANGE_BODY:
		if (*n == 0)
			return exchange_push(exchange, exchange->server->queries);
		*n = 0;
		return MHD_YES;
	case EXCHANGE_IMPORT: /* the headers again, after the suspension */
		exchange->step = exchange->failed ? EXCHANGE_DONE : EXCHANGE_UPLOAD;
		return exchange->failed ? exchange_send(exchange) : MHD_YES;
	case EXCHANGE_UPLOAD:
		if (*n > 0)
			return exchange_upload(exchange, bytes, n);
		exchange->last = true;
		return exchange_push(exchange, exchange->server->imports);
	case EXCHANGE_DONE:
		break;
	}
	if (*n == 0)
		return exchange_send(exchange);
	*n = 0; /* an answer must wait for the end of the upload */
	return MHD_YES;
}

/* The first line of a request: the only place where its target is still as it was sent. */
static void *server_target(void *cls, const char *uri, struct MHD_Connection *http)
{
	struct query_server *server = cls;
	struct exchange *exchange = g_new0(struct exchange, 1);
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	exchange->server = server;
	exchange->http = http;
	exchange->connection = info->socket_context;
	exchange->target = g_strndup(uri, QUERY_LINK_MAX + 1);
	exchange->seen_to = (uintptr_t)uri + strlen(uri);
	connection_enter(server->connections, exchange->connection, CONNECTION_BUSY);
	return exchange;
}

static void server_completed(void *cls, struct MHD_Connection *http, void **context,
        enum MHD_RequestTerminationCode code)
{
	struct query_server *server = cls;
	struct exchange *exchange = *context;

	(void)http;
	(void)code;
	*context = NULL;
	if (exchange == NULL)
		return;
	connection_enter(server->connections, exchange->connection, CONNECTION_IDLE);
	exchange->abandoned = exchange->import != NULL;
	if (exchange->abandoned && workers_push(server->imports, exchange))
		return;
	import_end(exchange, true);
	exchange_free(exchange);
}

static void server_connection(void *cls, struct MHD_Connection *http, void **context,
        enum MHD_ConnectionNotificationCode code)
{
	struct query_server *server = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
		        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);

		*context = connection_begin(server->connections, info->connect_fd);
	} else if (*context != NULL) {
		connection_end(server->connections, *context);
		*context = NULL;
	}
}

/* --- its life --- */

static void server_defaults(
        struct query_server *server, struct store *store, const struct query_server_config *given)
{
	struct query_server_config *config = &server->config;

	*config = *given;
	server->store = store;
	server->path = g_strdup(given->socket);
	server->socket.fd = -1;
	config->mode = config->mode != 0 ? config->mode : 0660;
	config->threads = config->threads != 0 ? config->threads : 4;
	config->connections = config->connections != 0 ? config->connections : 256;
	config->deadline_ms = config->deadline_ms > 0 ? config->deadline_ms : 30 * 1000;
	config->idle_ms = config->idle_ms > 0 ? config->idle_ms : 60 * 1000;
	server->budget.limit =
	        config->answer_budget != 0 ? config->answer_budget : (size_t)256 * 1024 * 1024;
	config->query.budget = &server->budget;
	/* Half of the deadline may go by in the queue; the rest is for the answer's way out. */
	if (config->query.scan_ms == 0)
		config->query.scan_ms = MIN(10 * 1000, config->deadline_ms / 3);
}

static int server_start_http(struct query_server *server, struct error *err)
{
	const struct query_server_config *config = &server->config;

	server->http = MHD_start_daemon(
	        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL,
	        NULL, server_access, server, MHD_OPTION_LISTEN_SOCKET, server->socket.fd,
	        MHD_OPTION_URI_LOG_CALLBACK, server_target, server, MHD_OPTION_NOTIFY_COMPLETED,
	        server_completed, server, MHD_OPTION_NOTIFY_CONNECTION, server_connection, server,
	        MHD_OPTION_CONNECTION_LIMIT, config->connections + SERVER_SLACK,
	        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(config->idle_ms + 999) / 1000,
	        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_HEADERS, MHD_OPTION_END);
	if (server->http == NULL)
		return error_errno(err, errno, "cannot start the query server on %s", server->path);
	return 0;
}

struct query_server *query_server_new(
        struct store *store, const struct query_server_config *config, struct error *err)
{
	struct query_server *server = g_new0(struct query_server, 1);

	server_defaults(server, store, config);
	const struct connections_config limits = {
	        .most = server->config.connections,
	        .deadline_ms = server->config.deadline_ms,
	        .idle_ms = server->config.idle_ms,
	};
	server->connections = connections_new(&limits, err);
	if (server->connections != NULL)
		server->queries = workers_new(server->config.threads, server_run_query, err);
	if (server->queries != NULL)
		server->imports = workers_new(SERVER_IMPORTERS, server_run_import, err);
	if (server->imports == NULL ||
	        unix_socket_listen(&server->socket, server->path, config->group,
	                server->config.mode, err) < 0 ||
	        server_start_http(server, err) < 0)
		query_server_free(&server);
	return server;
}

/* libmicrohttpd must not be stopped while a connection is suspended: workers first. */
static void server_stop_http(struct query_server *server)
{
	if (server->http != NULL)
		MHD_quiesce_daemon(server->http); /* gives the socket back to us */
	if (server->queries != NULL)
		workers_stop(server->queries);
	if (server->imports != NULL)
		workers_stop(server->imports);
	if (server->http == NULL)
		return;
	connections_settle(server->connections, SERVER_SETTLE_MS);
	MHD_stop_daemon(server->http);
}

void query_server_free(struct query_server **server)
{
	struct query_server *s = *server;

	if (s == NULL)
		return;
	if (s->socket.fd >= 0)
		unix_socket_unlink(&s->socket);
	server_stop_http(s);
	if (s->socket.fd >= 0)
		close(s->socket.fd);
	workers_free(&s->queries);
	workers_free(&s->imports);
	connections_free(&s->connections);
	g_free(s->path);
	g_clear_pointer(server, g_free);
}
