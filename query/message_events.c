#include "query/request.h"

#include "base/clock.h"
#include "event/json.h"
#include "query/params.h"

#include <errno.h>

#define PATH "/api/v1/message-events"
/* More than what a link has without its filters. */
#define LINK_FRAME 512

/* A search while it is being answered. */
struct answering {
	const struct query_request *request;
	struct message_query query;
	struct query_answer *answer;
	bool full; /* the budget is spent: the answer is a 503 */
};

static void answer_event(void *ctx, const struct event *event)
{
	struct answering *answering = ctx;

	if (answering->full)
		return;
	GString *body = answering->answer->body;
	if (body->str[body->len - 1] != '[')
		g_string_append_c(body, ',');
	json_event(body, event, API_V1);
	answering->full = !query_answer_charge(answering->answer);
}

static void href_add(
        GString *href, const struct answering *answering, const char *name, const char *text)
{
	g_string_append_printf(href, "&%s=", name);
	uri_encode(href, slice_str(text), answering->request->config->escape_colons);
}

static void link_add(
        GString *out, const struct answering *answering, const char *rel, uint64_t page)
{
	const struct message_query *query = &answering->query;
	g_autoptr(GString) href = g_string_new(NULL);

	g_string_printf(
	        href, PATH "?page=%" G_GUINT64_FORMAT "&per_page=%u", page, query->per_page);
	href_add(href, answering, "from", query->window.from_text);
	href_add(href, answering, "to", query->window.to_text);
	href_add(href, answering, "timezone", query->zone);
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
static void links_add(GString *out, const struct answering *answering, uint64_t total)
{
	const struct message_query *query = &answering->query;
	uint64_t last = total / query->per_page + (total % query->per_page > 0);

	if (query->page > 1 && last > 0) {
		link_add(out, answering, "first", 1);
		link_add(out, answering, "previous", MIN(query->page - 1, last));
	}
	if (query->page < last) {
		link_add(out, answering, "next", query->page + 1);
		link_add(out, answering, "last", last);
	}
}

/* Puts what stands before the results in front of them, and ends the object. */
static void answer_frame(struct answering *answering, const uint64_t *total)
{
	struct query_answer *answer = answering->answer;
	g_autoptr(GString) head = g_string_new("{\"links\":[");

	if (answering->full)
		return;
	if (total != NULL)
		links_add(head, answering, *total);
	g_string_append(head, "],\"results\":");
	g_string_prepend_len(answer->body, head->str, (gssize)head->len);
	g_string_append_c(answer->body, ']');
	if (total != NULL)
		json_member_int(answer->body, "total_count", (gint64)*total);
	json_member_int(answer->body, "as_of", (gint64)answering->query.search.as_of);
	g_string_append_c(answer->body, '}');
	answer->status = 200;
	query_answer_charge(answer);
}

static void answer_failure(struct answering *answering, const struct error *err)
{
	const struct message_query *query = &answering->query;
	const char *scan = query->scan != NULL ? query->scan : "from";
	struct slice value =
	        query->scan != NULL ? query->scan_value : slice_str(query->window.from_text);
	struct faults faults = {0};

	query_answer_clear(answering->answer);
	if (err->number != ETIME) {
		query_answer_error(answering->answer, 500, err->text);
		return;
	}
	faults_add(&faults, slice_str(scan), value,
	        "%s takes too long in this window: narrow the window with from and to", scan);
	faults_answer(&faults, answering->answer);
}

/* The page of a snapshot. */
static void answer_page(struct answering *answering)
{
	struct store *store = answering->request->store;
	const struct message_query *query = &answering->query;
	struct search *search = &answering->query.search;
	struct error err = {0};
	uint64_t total = 0;

	if (!g_uint64_checked_mul(&search->offset, query->page - 1, query->per_page))
		search->offset = G_MAXUINT64;
	/* A mark of the future would be no snapshot: more can arrive below it. */
	uint64_t mark = store_mark(store);
	search->as_of = query->as_of_given ? MIN(search->as_of, mark) : mark;
	bool nothing = search->as_of == 0 || search->from >= search->to;
	if (!nothing && store_search(store, search, answer_event, answering, &total, &err) < 0)
		answer_failure(answering, &err);
	else
		answer_frame(answering, &total);
}

/* What arrived after a mark. */
static void answer_arrivals(struct answering *answering)
{
	struct search *search = &answering->query.search;
	uint64_t since = answering->query.since;
	struct error err = {0};

	uint64_t next = since;
	if (store_arrivals(answering->request->store, search, since, answer_event, answering, &next,
	            &err) < 0) {
		answer_failure(answering, &err);
		return;
	}
	search->as_of = next;
	answer_frame(answering, NULL);
}

void message_events_search(const struct query_request *request, struct query_answer *answer_r)
{
	const struct query_config *config = request->config;
	const struct params_defaults defaults = {
	        .now = request->now,
	        .window = config->default_window > 0 ? config->default_window : CLOCK_DAY,
	        .escape_colons = config->escape_colons,
	};
	struct answering answering = {.request = request, .answer = answer_r};
	struct message_query *query = &answering.query;
	struct faults faults = {0};

	if (params_read(request->uri, &defaults, query, &faults) < 0) {
		faults_answer(&faults, answer_r);
	} else if (!query->since_given && query->filters->len > QUERY_LINK_MAX - LINK_FRAME) {
		/* Not with one of our own links, which encoding leaves as they are. */
		query_answer_error(answer_r, 414, "URI is too long to be linked to");
	} else {
		answer_r->body = g_string_new("[");
		query->search.limit = query->per_page;
		query->search.deadline_ms = config->scan_ms;
		query->search.scope = &request->access->scope;
		if (query->since_given)
			answer_arrivals(&answering);
		else
			answer_page(&answering);
	}
	message_query_clear(query);
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
