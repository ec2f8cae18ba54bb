/* What the workers of the server do. */
#include "query/server-private.h"

#include <errno.h>

static void stream_resume(struct exchange *exchange)
{
	exchange_enter(exchange, CONNECTION_SENDING);
	MHD_resume_connection(exchange->http);
}

uint64_t server_mark(void *ctx)
{
	const struct query_server *server = ctx;

	return server->store != NULL ? store_mark(server->store) : 0;
}

void server_wake_stream(void *ctx, void *job, bool stopping)
{
	struct query_server *server = ctx;
	struct exchange *exchange = job;

	if (!stopping && workers_push(server->queries, exchange_owner(exchange), exchange))
		return;
	exchange->stream_over = true;
	stream_resume(exchange);
}

/* Fetches what is to be sent next, or waits for it. A client that got nothing for a while gets a
 * comment: that it has gone is seen by writing only. */
static void run_stream(struct exchange *exchange)
{
	struct query_server *server = exchange->server;
	struct query_stream *stream = exchange->answer.stream;
	uint64_t mark = server_mark(server);
	int64_t now = connections_clock();

	exchange->stream_over = (exchange->key != NULL && key_is_revoked(exchange->key)) ||
	                        stream->more(stream->ctx, exchange->stream) < 0;
	if (exchange->stream->len == 0 && now - exchange->stream_at >= server->config.beat_ms)
		g_string_append(exchange->stream, ":\n\n");
	if (exchange->stream->len == 0 && !exchange->stream_over) {
		if (streams_wait(server->streams, exchange, mark))
			return;
		exchange->stream_over = true;
	}
	exchange->stream_at = now;
	stream_resume(exchange);
}

/* About what a stream holds while it has much to tell. */
#define STREAM_BYTES ((size_t)1024 * 1024)

static bool take_stream(struct exchange *exchange)
{
	struct shares *shares = exchange->server->stream_shares;
	struct query_budget *share = shares_enter(shares, exchange_owner(exchange));

	if (!query_budget_take(share, 1)) {
		shares_leave(shares, share);
		return false;
	}
	exchange->stream_share = share; /* given back with the exchange */
	if (!query_budget_take(exchange->share, STREAM_BYTES))
		return false;
	exchange->body_charged += STREAM_BYTES;
	return true;
}

/* The answer is a stream: there is a limit to them, since each holds a connection. */
static void begin_stream(struct exchange *exchange)
{
	exchange->stream_at = connections_clock();
	if (take_stream(exchange))
		return;
	query_answer_clear(&exchange->answer);
	query_answer_error(&exchange->answer, 503, "Too many streams are being read: try again");
	exchange->answer.retry_after = SERVER_RETRY_S;
}

static struct slice exchange_body(const struct exchange *exchange)
{
	if (exchange->body == NULL)
		return SLICE("");
	return slice_make(exchange->body->str, exchange->body->len);
}

static void run_query(struct exchange *exchange)
{
	struct query_server *server = exchange->server;
	struct query_config config = server->config.query;
	const struct query_input input = {
	        .method = exchange->method,
	        .uri = slice_str(exchange->target),
	        .access = exchange->access,
	        .body = exchange_body(exchange),
	        .content_type = exchange->content_type,
	        .content_encoding = exchange->content_encoding,
	        .last_event_id = exchange->last_event_id,
	        .host = exchange->host,
	        .tls = exchange_is_tcp(exchange) && server->tls != NULL,
	};

	config.escape_colons = exchange->escape_colons;
	config.budget = exchange->share;
	query_answer_input(server->store, &config, &input, &exchange->answer);
	if (exchange->answer.stream != NULL)
		begin_stream(exchange);
}

void server_run_query(void *job)
{
	struct exchange *exchange = job;
	int64_t waited = connections_clock() - exchange->asked;

	if (exchange->stream != NULL) {
		run_stream(exchange);
		return;
	}
	if (waited > exchange->server->config.deadline_ms / 2) {
		query_answer_error(
		        &exchange->answer, 503, "Too many requests are being answered: try again");
		exchange->answer.retry_after = SERVER_RETRY_S;
	} else {
		run_query(exchange);
	}
	exchange->step = EXCHANGE_DONE;
	MHD_resume_connection(exchange->http);
}

/* --- uploads --- */

static void import_fail(struct exchange *exchange, const struct error *err)
{
	exchange->failed = true;
	query_answer_clear(&exchange->answer);
	query_answer_error(&exchange->answer, err->number == EBUSY ? 409 : 500, err->text);
}

void import_end(struct exchange *exchange, bool aborted)
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
	struct error err = {0};

	if (exchange->import == NULL && !exchange->failed) {
		exchange->import = hooks->begin(hooks->ctx, &exchange->import_target, &err);
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

static void report_take(struct exchange *exchange)
{
	const struct query_report *hooks = &exchange->server->config.report;
	g_autoptr(GString) counts = g_string_new("{\"results\":");
	struct error err = {0};

	exchange->step = EXCHANGE_DONE;
	if (hooks->take(hooks->ctx, exchange_body(exchange), counts, &err) < 0) {
		query_answer_error(&exchange->answer, 503, err.text);
		return;
	}
	g_string_append_c(counts, '}');
	exchange->answer.status = 200;
	exchange->answer.body = g_steal_pointer(&counts);
}

void server_run_import(void *job)
{
	struct exchange *exchange = job;

	if (exchange->report) {
		report_take(exchange);
		MHD_resume_connection(exchange->http);
		return;
	}
	if (exchange->abandoned) {
		import_end(exchange, true);
		exchange_free(exchange);
		return;
	}
	import_step(exchange);
	MHD_resume_connection(exchange->http);
}
