/* One request on its way through the server: what libmicrohttpd calls, in its one thread. */
#include "query/server-private.h"

/* Steps in which a body is charged, and in which its deadline moves on. */
#define BODY_STEP ((size_t)64 * 1024)
/* Of a body that nobody wants so much is read and dropped, for the sake of clients that read their
 * answer only when they have sent all; then the connection is closed. */
#define BODY_DROP ((size_t)8 * 1024 * 1024)

void exchange_free(struct exchange *exchange)
{
	if (exchange->stream_share != NULL) {
		query_budget_give(exchange->stream_share, 1);
		shares_leave(exchange->server->stream_shares, exchange->stream_share);
	}
	query_answer_clear(&exchange->answer);
	access_free(exchange->narrowed);
	key_unref(exchange->key);
	query_budget_give(exchange->share, exchange->body_charged);
	if (exchange->share != NULL)
		shares_leave(exchange->server->shares, exchange->share);
	query_import_target_clear(&exchange->import_target);
	g_free(exchange->chunk);
	if (exchange->body != NULL)
		g_string_free(exchange->body, TRUE);
	if (exchange->stream != NULL)
		g_string_free(exchange->stream, TRUE);
	g_free(exchange->target);
	g_free(exchange->method);
	g_free(exchange);
}

void exchange_enter(struct exchange *exchange, enum connection_phase phase)
{
	connection_enter(exchange->listener->connections, exchange->connection, phase);
}

bool exchange_is_tcp(const struct exchange *exchange)
{
	return exchange->listener == &exchange->server->listeners[LISTENER_TCP];
}

uint64_t exchange_owner(const struct exchange *exchange)
{
	if (exchange->key != NULL)
		return (uint64_t)(uintptr_t)exchange->key;
	return connection_peer(exchange->connection);
}

/* --- answers --- */

static void send_headers(const struct query_answer *answer, struct MHD_Response *response)
{
	const char *type = answer->type != NULL ? answer->type : "application/json";
	char seconds[16];

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	/* Foreign text is in most answers: no browser may take one for a page. */
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (answer->allow != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	if (answer->disposition != NULL)
		MHD_add_response_header(
		        response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, answer->disposition);
	if (answer->retry_after > 0) {
		g_snprintf(seconds, sizeof(seconds), "%d", answer->retry_after);
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (answer->status == MHD_HTTP_UNAUTHORIZED) /* RFC 9110, 11.6.1 */
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
		        "Basic realm=\"postwake\", charset=\"UTF-8\"");
	if (answer->stream != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

/* Bytes of a stream. When all are sent the connection is suspended until a worker has more. */
static ssize_t stream_read(void *cls, uint64_t pos, char *buffer, size_t most)
{
	struct exchange *exchange = cls;
	GString *stream = exchange->stream;
	size_t n = MIN(most, stream->len - exchange->streamed);

	(void)pos;
	if (n > 0) {
		memcpy(buffer, stream->str + exchange->streamed, n);
		exchange->streamed += n;
		exchange_enter(exchange, CONNECTION_SENDING);
		return (ssize_t)n;
	}
	if (exchange->stream_over)
		return MHD_CONTENT_READER_END_OF_STREAM;
	exchange_enter(exchange, CONNECTION_WAITING);
	if (stream->allocated_len > BODY_STEP) { /* it may wait for long */
		g_string_free(stream, TRUE);
		exchange->stream = g_string_new(NULL);
	}
	g_string_truncate(exchange->stream, 0);
	exchange->streamed = 0;
	MHD_suspend_connection(exchange->http);
	if (workers_push(exchange->server->queries, exchange_owner(exchange), exchange))
		return 0;
	exchange->stream_over = true;
	MHD_resume_connection(exchange->http);
	return 0;
}

static struct MHD_Response *send_stream(struct exchange *exchange)
{
	exchange->stream = g_steal_pointer(&exchange->answer.body);
	if (exchange->stream == NULL)
		exchange->stream = g_string_new(NULL);
	return MHD_create_response_from_callback(
	        MHD_SIZE_UNKNOWN, BODY_STEP, stream_read, exchange, NULL);
}

static enum MHD_Result exchange_send(struct exchange *exchange)
{
	struct query_answer *answer = &exchange->answer;
	struct MHD_Response *response;

	exchange_enter(exchange, CONNECTION_SENDING);
	if (answer->stream != NULL)
		response = send_stream(exchange);
	else /* The body stays until server_completed, which comes after the last byte. */
		response = MHD_create_response_from_buffer(
		        answer->body->len, answer->body->str, MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	send_headers(answer, response);
	enum MHD_Result result = MHD_queue_response(exchange->http, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static void exchange_fail(struct exchange *exchange, unsigned status, const char *message)
{
	query_answer_clear(&exchange->answer);
	query_answer_error(&exchange->answer, status, message);
	exchange->step = EXCHANGE_DONE;
}

static enum MHD_Result exchange_refuse(
        struct exchange *exchange, unsigned status, const char *message)
{
	exchange_fail(exchange, status, message);
	return exchange_send(exchange);
}

/* For uploads that have hooks in place of routes; as route_is_open in routes.c. */
static enum MHD_Result exchange_forbid(struct exchange *exchange)
{
	if (exchange->access->who == NULL)
		return exchange_refuse(exchange, 401, "Unauthorized.");
	return exchange_refuse(exchange, 403, "Forbidden.");
}

/* The connection must be suspended first: the worker may be done before workers_push returns. */
void exchange_push(struct exchange *exchange, struct workers *workers)
{
	exchange->asked = connections_clock();
	MHD_suspend_connection(exchange->http);
	if (workers_push(workers, exchange_owner(exchange), exchange))
		return;
	exchange->failed = true;
	exchange_fail(exchange, 503, "The server is stopping");
	MHD_resume_connection(exchange->http);
}

/* --- what the headers say --- */

const char *exchange_header(const struct exchange *exchange, const char *name)
{
	return MHD_lookup_connection_value(exchange->http, MHD_HEADER_KIND, name);
}

/* Node's request library reaches a UNIX socket by http://unix:SOCKET:TARGET, cuts the target off at
 * its next colon, and sends the socket's path as Host. The npm sparkpost client is built on it. */
static bool exchange_escapes_colons(const struct exchange *exchange)
{
	const char *host = exchange_header(exchange, MHD_HTTP_HEADER_HOST);

	return host != NULL && host[0] == '/';
}

static bool exchange_has_body(const struct exchange *exchange)
{
	const char *length = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length != NULL && strcmp(length, "0") != 0) ||
	       exchange_header(exchange, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* Whether the headers announce more than may come. */
static bool exchange_is_too_large(const struct exchange *exchange)
{
	const char *length = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length != NULL &&
	       g_ascii_strtoull(length, NULL, 10) >
	               (exchange->body_most > 0 ? exchange->body_most : BODY_DROP);
}

enum verdict {
	VERDICT_REFUSED, /* the answer is there */
	VERDICT_QUERY,
	VERDICT_IMPORT,
	VERDICT_REPORT,
};

/* Uploads that belong to this process alone and have hooks in place of routes. */
static int exchange_finds_hook(struct exchange *exchange, enum verdict *verdict_r)
{
	const struct query_server_config *config = &exchange->server->config;
	const struct slice target = slice_str(exchange->target);
	int found = 0;

	*verdict_r = VERDICT_IMPORT;
	if (config->import.begin != NULL)
		found = query_import_target(
		        exchange->method, target, &exchange->import_target, &exchange->answer);
	if (found != 0 || config->report.take == NULL)
		return found;
	*verdict_r = VERDICT_REPORT;
	return query_report_target(exchange->method, target, &exchange->answer);
}

/* What the headers decide. */
static enum verdict exchange_judge(struct exchange *exchange)
{
	struct query_input input = {
	        .method = exchange->method,
	        .uri = slice_str(exchange->target),
	};
	enum verdict verdict;

	if (!exchange_identify(exchange))
		return VERDICT_REFUSED;
	int found = exchange_finds_hook(exchange, &verdict);
	if (found != 0)
		return found > 0 ? verdict : VERDICT_REFUSED;
	input.access = exchange->access;
	if (query_refuses(&input, &exchange->body_most, &exchange->answer))
		return VERDICT_REFUSED;
	return VERDICT_QUERY;
}

/* --- the request's way --- */

static enum MHD_Result exchange_begin_import(struct exchange *exchange)
{
	if ((exchange->access->grants & GRANT_ADMIN) == 0)
		return exchange_forbid(exchange);
	exchange->step = EXCHANGE_IMPORT;
	exchange_enter(exchange, CONNECTION_UPLOAD);
	exchange_push(exchange, exchange->server->imports);
	return MHD_YES;
}

static enum MHD_Result exchange_begin_body(struct exchange *exchange)
{
	exchange->step = EXCHANGE_BODY;
	exchange->share = shares_enter(exchange->server->shares, exchange_owner(exchange));
	if (exchange_is_too_large(exchange))
		return exchange_refuse(exchange, 413, "The body is too large");
	return MHD_YES;
}

/* They stay where libmicrohttpd has them until the request is completed. */
static void exchange_keep_headers(struct exchange *exchange)
{
	exchange->content_type = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE);
	exchange->content_encoding = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_ENCODING);
	exchange->last_event_id = exchange_header(exchange, "Last-Event-ID");
	exchange->host = exchange_header(exchange, MHD_HTTP_HEADER_HOST);
}

static enum MHD_Result exchange_begin_report(struct exchange *exchange)
{
	if (!exchange_may_report(exchange))
		return exchange_forbid(exchange);
	exchange->report = true;
	exchange->body_most = exchange->server->config.report.most;
	return exchange_begin_body(exchange);
}

/* Headers are there. An answer before the second call makes libmicrohttpd close the connection:
 * right where a body follows that nobody wants, a waste otherwise. */
static enum MHD_Result exchange_begin(struct exchange *exchange, const char *version)
{
	const char *misframed = exchange_misframed(exchange, version);

	if (misframed != NULL)
		return exchange_refuse(exchange, 400, misframed);
	switch (exchange_judge(exchange)) {
	case VERDICT_REFUSED:
		exchange->step = EXCHANGE_DONE;
		return exchange_has_body(exchange) ? exchange_send(exchange) : MHD_YES;
	case VERDICT_QUERY:
		exchange_keep_headers(exchange);
		return exchange_begin_body(exchange);
	case VERDICT_REPORT:
		return exchange_begin_report(exchange);
	case VERDICT_IMPORT:
		break;
	}
	return exchange_begin_import(exchange);
}

/* Bytes of an import: a worker gets a copy, while they stay unconsumed in the buffer. That, and not
 * only the suspension, keeps libmicrohttpd from calling again before the worker has finished. */
static void exchange_upload(struct exchange *exchange, const char *bytes, size_t *n)
{
	size_t fed = MIN(exchange->chunk_len, *n);

	exchange->chunk_len = 0;
	bytes += fed;
	*n -= fed;
	if (exchange->failed)
		*n = 0;
	if (*n == 0)
		return;
	exchange->chunk = g_memdup2(bytes, *n);
	exchange->chunk_len = *n;
	exchange_push(exchange, exchange->server->imports);
}

/* The deadline of a request moves on as long as its body comes at some speed. */
static bool exchange_charge_body(struct exchange *exchange)
{
	size_t wanted = exchange->body->allocated_len;

	if (wanted <= exchange->body_charged)
		return true;
	size_t step = wanted - exchange->body_charged + BODY_STEP;
	if (!query_budget_take(exchange->share, step))
		return false;
	exchange->body_charged += step;
	exchange_enter(exchange, CONNECTION_ARRIVING);
	return true;
}

/* Bytes of a body; one that nobody wants is dropped. */
static void exchange_collect(struct exchange *exchange, const char *bytes, size_t n)
{
	if (exchange->body_most == 0) {
		exchange->dropped += n;
		return;
	}
	if (exchange->body == NULL)
		exchange->body = g_string_new(NULL);
	if (exchange->body->len + n > exchange->body_most) {
		exchange_fail(exchange, 413, "The body is too large");
		return;
	}
	g_string_append_len(exchange->body, bytes, (gssize)n);
	if (!exchange_charge_body(exchange))
		exchange_fail(exchange, 503, "Too many large requests are being read: try again");
}

/* Whether so much of what this client asked for waits that others would find no connection. */
static bool exchange_is_one_too_many(const struct exchange *exchange)
{
	struct query_server *server = exchange->server;

	return !exchange->report && workers_waiting(server->queries, exchange_owner(exchange)) >=
	                                    server->config.connections / 2;
}

static enum MHD_Result exchange_refuse_busy(struct exchange *exchange)
{
	exchange_fail(exchange, 503, "Too many requests of yours are waiting: try again");
	exchange->answer.retry_after = SERVER_RETRY_S;
	return exchange_send(exchange);
}

static void exchange_begin_work(struct exchange *exchange)
{
	struct query_server *server = exchange->server;

	exchange_enter(exchange, CONNECTION_WORKING);
	exchange_push(exchange, exchange->report ? server->imports : server->queries);
}

/* The end of the body, or a part of it. */
static enum MHD_Result exchange_body(struct exchange *exchange, const char *bytes, size_t *n)
{
	if (*n > 0)
		exchange_collect(exchange, bytes, *n);
	else if (exchange_is_one_too_many(exchange))
		return exchange_refuse_busy(exchange);
	else
		exchange_begin_work(exchange);
	*n = 0;
	return exchange->dropped > BODY_DROP ? MHD_NO : MHD_YES;
}

static enum MHD_Result exchange_import(struct exchange *exchange, const char *bytes, size_t *n)
{
	if (*n > 0) {
		exchange_upload(exchange, bytes, n);
	} else {
		exchange->last = true;
		exchange_push(exchange, exchange->server->imports);
	}
	return MHD_YES;
}

enum MHD_Result server_access(void *cls, struct MHD_Connection *http, const char *url,
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
		return exchange_body(exchange, bytes, n);
	case EXCHANGE_IMPORT: /* the headers again, after the suspension */
		exchange->step = exchange->failed ? EXCHANGE_DONE : EXCHANGE_UPLOAD;
		return exchange->failed ? exchange_send(exchange) : MHD_YES;
	case EXCHANGE_UPLOAD:
		return exchange_import(exchange, bytes, n);
	case EXCHANGE_DONE:
		break;
	}
	if (*n == 0)
		return exchange_send(exchange);
	exchange->dropped += *n;
	*n = 0; /* an answer must wait for the end of the upload */
	return exchange->dropped > BODY_DROP ? MHD_NO : MHD_YES;
}

/* The only place where the target is still as it was sent. */
void *server_target(void *cls, const char *uri, struct MHD_Connection *http)
{
	struct listener *listener = cls;
	struct exchange *exchange = g_new0(struct exchange, 1);
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	exchange->server = listener->server;
	exchange->listener = listener;
	exchange->http = http;
	exchange->connection = info->socket_context;
	exchange->access = &access_none;
	exchange->target = g_strndup(uri, QUERY_LINK_MAX + 1);
	exchange->seen_to = (uintptr_t)uri + strlen(uri);
	exchange_enter(exchange, CONNECTION_ARRIVING);
	return exchange;
}

void server_completed(void *cls, struct MHD_Connection *http, void **context,
        enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *context;

	(void)cls;
	(void)http;
	(void)code;
	*context = NULL;
	if (exchange == NULL)
		return;
	exchange_enter(exchange, CONNECTION_IDLE);
	exchange->abandoned = exchange->import != NULL;
	if (exchange->abandoned &&
	        workers_push(exchange->server->imports, exchange_owner(exchange), exchange))
		return;
	import_end(exchange, true);
	exchange_free(exchange);
}
