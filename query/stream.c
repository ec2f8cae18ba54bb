/* GET /api/v1/events/stream: events in the order of their arrival, as Server-Sent Events (HTML
 * living standard, 9.2). The id of each is its arrival number, so that Last-Event-ID says where to
 * go on. */
#include <errno.h>

#include "query/searching.h"

#define STREAM_STEP 500      /* events at a time … */
#define STREAM_BYTES 1048576 /* … or as many as so many bytes hold */
#define STREAM_STEP_MS 1000  /* time that looking for them may take at a time */
#define STREAM_TELL_MS 10000 /* how long a client is not told how far a filter without match is */

struct stream {
	struct store *store;
	enum api_generation api;
	struct message_query query; /* its lists are its own */
	struct search_scope scope;  /* copies: the asker's ends with the request */
	uint64_t since;
	gint64 told; /* monotonic ms, when the client last got an id */
	GString *out;
};

static void stream_free(void *ctx)
{
	struct stream *stream = ctx;

	message_query_clear(&stream->query);
	g_strfreev((char **)stream->scope.subaccounts);
	g_strfreev((char **)stream->scope.domains);
	g_free(stream);
}

static void put_id(GString *out, uint64_t id)
{
	g_string_append_printf(out, "id: %" G_GUINT64_FORMAT "\n", id);
}

/* JSON of ours has no line breaks: one data line does. */
static void put_event(void *ctx, const struct event *event)
{
	struct stream *stream = ctx;

	put_id(stream->out, event->arrival);
	g_string_append(stream->out, "data: ");
	searching_event(stream->out, event, stream->api);
	g_string_append(stream->out, "\n\n");
}

static int stream_more(void *ctx, GString *out)
{
	struct stream *stream = ctx;
	size_t before = out->len;
	uint64_t mark = store_mark(stream->store), next = stream->since;
	gint64 now = g_get_monotonic_time() / 1000;
	struct error err = {0};

	stream->out = out;
	if (store_arrivals(stream->store, &stream->query.search, stream->since, put_event, stream,
	            &next, &err) < 0) {
		g_string_append_printf(out, ": %s\n\n", err.text);
		return -1;
	}
	/* Without a match the client is told from time to time from where to resume, and at once
	 * where there is more to look at: the next call comes when these bytes have been sent. */
	if (out->len == before && next > stream->since &&
	        (next < mark || now - stream->told >= STREAM_TELL_MS)) {
		put_id(out, next);
		g_string_append_c(out, '\n');
	}
	stream->since = next;
	if (out->len > before)
		stream->told = now;
	return 0;
}

/* Where the stream begins: behind Last-Event-ID, or since=, or what is there now. */
static bool find_start(
        const struct query_request *request, struct stream *stream, struct faults *faults)
{
	uint64_t mark = store_mark(request->store);
	guint64 last = mark;

	if (stream->query.since_given)
		last = stream->query.since;
	if (request->last_event_id != NULL &&
	        !g_ascii_string_to_unsigned(request->last_event_id, 10, 0, G_MAXINT64, &last, NULL))
		last = G_MAXUINT64;
	stream->since = last;
	if (last <= mark)
		return true;
	if (request->last_event_id != NULL)
		faults_add(faults, SLICE("Last-Event-ID"), slice_str(request->last_event_id),
		        "Last-Event-ID must be the id of an event of this stream");
	else
		params_since_fits(&stream->query, mark, faults);
	return false;
}

static void begin(struct query_answer *answer_r, struct stream *stream)
{
	answer_r->status = 200;
	answer_r->type = "text/event-stream";
	answer_r->body = g_string_new("retry: 1000\n");
	put_id(answer_r->body, stream->since);
	g_string_append_c(answer_r->body, '\n');
	answer_r->stream = g_new0(struct query_stream, 1);
	*answer_r->stream = (struct query_stream){stream_more, stream_free, stream};
}

void events_stream(const struct query_request *request, struct query_answer *answer_r)
{
	struct stream *stream = g_new0(struct stream, 1);
	const struct search_scope *scope = &request->access->scope;
	struct faults faults = {0};

	stream->store = request->store;
	stream->told = g_get_monotonic_time() / 1000;
	stream->api = params_read_api(request->uri, &faults);
	const struct params_defaults defaults = {
	        .api = stream->api, .stream = true, .now = request->now};
	if (params_read(request->uri, &defaults, &stream->query, &faults) < 0 ||
	        !find_start(request, stream, &faults)) {
		faults_answer(&faults, answer_r);
		stream_free(stream);
		return;
	}
	stream->scope.subaccounts = (const char *const *)g_strdupv((char **)scope->subaccounts);
	stream->scope.domains = (const char *const *)g_strdupv((char **)scope->domains);
	stream->query.search.scope = &stream->scope;
	stream->query.search.limit = STREAM_STEP;
	stream->query.search.bytes = STREAM_BYTES;
	stream->query.search.deadline_ms = STREAM_STEP_MS;
	stream->query.search.as_of = 0;
	begin(answer_r, stream);
	if (strcmp(request->method, "HEAD") == 0) {
		stream_free(stream);
		g_clear_pointer(&answer_r->stream, g_free);
	}
}
