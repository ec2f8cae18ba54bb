#include "query/request.h"

#include "base/clock.h"
#include "event/json.h"
#include "query/params.h"

#include <errno.h>

#define PATH "/api/v1/message-events"

/* Where matches go. */
struct sink {
	struct query_answer *answer;
	bool full; /* the budget is spent: the answer is a 503 */
};

static void sink_event(void *ctx, const struct event *event)
{
	struct sink *sink = ctx;

	if (sink->full)
		return;
	GString *body = sink->answer->body;
	if (body->len > 0 && body->str[body->len - 1] != '[')
		g_string_append_c(body, ',');
	json_event(body, event, API_V1);
	sink->full = !query_answer_charge(sink->answer);
}

static void link_add(
        GString *out, const struct message_query *query, const char *rel, uint64_t page)
{
	g_autoptr(GString) href = g_string_new(NULL);

	g_string_printf(href,
	        PATH "?page=%" G_GUINT64_FORMAT "&per_page=%u&from=%s&to=%s&timezone=", page,
	        query->per_page, query->window.from_text, query->window.to_text);
	uri_encode(href, slice_str(query->zone));
	g_string_append_printf(href, "&as_of=%" G_GUINT64_FORMAT, query->search.as_of);
	g_string_append_len(href, query->filters->str, (gssize)query->filters->len);
	if (out->str[out->len - 1] != '[')
		g_string_append_c(out, ',');
	g_string_append_c(out, '{');
	json_member(out, "href", slice_make(href->str, href->len));
	json_member(out, "rel", slice_str(rel));
	g_string_append_c(out, '}');
}

/* A relation stands only where it is useful (contract, 1.2). */
static void links_add(GString *out, const struct message_query *query, uint64_t total)
{
	uint64_t last = total / query->per_page + (total % query->per_page > 0);

	if (query->page > 1)
		link_add(out, query, "first", 1);
	if (query->page > 1 && last > 0)
		link_add(out, query, "previous", MIN(query->page - 1, last));
	if (query->page < last) {
		link_add(out, query, "next", query->page + 1);
		link_add(out, query, "last", last);
	}
}

/* Puts what stands before the results in front of them, and ends the object. */
static void answer_frame(
        struct query_answer *answer, const struct message_query *query, const uint64_t *total)
{
	g_autoptr(GString) head = g_string_new("{\"links\":[");

	if (total != NULL)
		links_add(head, query, *total);
	g_string_append(head, "],\"results\":");
	g_string_prepend_len(answer->body, head->str, (gssize)head->len);
	g_string_append_c(answer->body, ']');
	if (total != NULL)
		json_member_int(answer->body, "total_count", (gint64)*total);
	json_member_int(answer->body, "as_of", (gint64)query->search.as_of);
	g_string_append_c(answer->body, '}');
	answer->status = 200;
	query_answer_charge(answer);
}

static void answer_failure(
        struct query_answer *answer, const struct message_query *query, const struct error *err)
{
	struct faults faults = {0};

	query_answer_clear(answer);
	if (err->number != ETIME) {
		query_answer_error(answer, 500, err->text);
		return;
	}
	const char *scan = query->scan != NULL ? query->scan : "from";
	struct slice value =
	        query->scan != NULL ? query->scan_value : slice_str(query->window.from_text);
	faults_add(&faults, slice_str(scan), value,
	        "%s takes too long in this window: narrow the window with from and to", scan);
	faults_answer(&faults, answer);
}

/* The page of a snapshot. */
static void answer_page(const struct query_request *request, struct message_query *query,
        struct query_answer *answer)
{
	struct search *search = &query->search;
	struct sink sink = {.answer = answer};
	struct error err = {0};
	uint64_t total = 0;

	if (!g_uint64_checked_mul(&search->offset, query->page - 1, query->per_page))
		search->offset = G_MAXUINT64;
	/* A mark of the future would be no snapshot: more can arrive below it. */
	uint64_t mark = store_mark(request->store);
	search->as_of = query->as_of_given ? MIN(search->as_of, mark) : mark;
	bool nothing = search->as_of == 0 || search->from >= search->to;
	if (!nothing && store_search(request->store, search, sink_event, &sink, &total, &err) < 0)
		answer_failure(answer, query, &err);
	else if (!sink.full)
		answer_frame(answer, query, &total);
}

/* What arrived after a mark. */
static void answer_arrivals(const struct query_request *request, struct message_query *query,
        struct query_answer *answer)
{
	struct search *search = &query->search;
	struct sink sink = {.answer = answer};
	struct error err = {0};
	uint64_t next = query->since;

	if (store_arrivals(request->store, search, query->since, sink_event, &sink, &next, &err) <
	        0) {
		answer_failure(answer, query, &err);
		return;
	}
	search->as_of = next;
	if (!sink.full)
		answer_frame(answer, query, NULL);
}

void message_events_search(const struct query_request *request, struct query_answer *answer_r)
{
	const struct query_config *config = request->config;
	const struct params_defaults defaults = {
	        .now = request->now,
	        .window = config->default_window > 0 ? config->default_window : CLOCK_DAY,
	};
	struct faults faults = {0};
	struct message_query query;

	if (params_read(request->uri, &defaults, &query, &faults) < 0) {
		faults_answer(&faults, answer_r);
	} else {
		answer_r->body = g_string_new("[");
		query.search.limit = query.per_page;
		query.search.deadline_ms = config->scan_ms;
		if (query.since_given)
			answer_arrivals(request, &query, answer_r);
		else
			answer_page(request, &query, answer_r);
	}
	message_query_clear(&query);
}

void message_events_documentation(
        const struct query_request *request, struct query_answer *answer_r)
{
	(void)request;
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":");
	catalogue_documentation(answer_r->body, API_V1);
	g_string_append_c(answer_r->body, '}');
}

void message_events_samples(const struct query_request *request, struct query_answer *answer_r)
{
	bool types[EVENT_TYPES] = {false}, any = false;
	struct faults faults = {0};

	if (params_read_events(request->uri, types, &any, &faults) < 0) {
		faults_answer(&faults, answer_r);
		return;
	}
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":");
	catalogue_samples(answer_r->body, API_V1, any ? types : NULL);
	g_string_append_c(answer_r->body, '}');
}
