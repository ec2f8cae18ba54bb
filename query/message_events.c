#include "event/json.h"
#include "query/searching.h"

#define PATH "/api/v1/message-events"

static void href_add(
        GString *href, const struct searching *searching, const char *name, const char *text)
{
	g_string_append_printf(href, "&%s=", name);
	uri_encode(href, slice_str(text), searching->request->config->escape_colons);
}

static void link_add(
        GString *out, const struct searching *searching, const char *rel, uint64_t page)
{
	const struct message_query *query = &searching->query;
	g_autoptr(GString) href = g_string_new(NULL);

	g_string_printf(
	        href, PATH "?page=%" G_GUINT64_FORMAT "&per_page=%u", page, query->per_page);
	href_add(href, searching, "from", query->window.from_text);
	href_add(href, searching, "to", query->window.to_text);
	href_add(href, searching, "timezone", query->zone);
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
static void links_add(GString *out, const struct searching *searching, uint64_t total)
{
	const struct message_query *query = &searching->query;
	uint64_t last = total / query->per_page + (total % query->per_page > 0);

	if (query->page > 1 && last > 0) {
		link_add(out, searching, "first", 1);
		link_add(out, searching, "previous", MIN(query->page - 1, last));
	}
	if (query->page < last) {
		link_add(out, searching, "next", query->page + 1);
		link_add(out, searching, "last", last);
	}
}

/* Puts what stands before the results in front of them, and ends the object. */
static void answer_frame(struct searching *searching, const uint64_t *total)
{
	struct query_answer *answer = searching->answer;
	g_autoptr(GString) head = g_string_new("{\"links\":[");

	if (total != NULL)
		links_add(head, searching, *total);
	g_string_append(head, "],\"results\":");
	g_string_prepend_len(answer->body, head->str, (gssize)head->len);
	g_string_append_c(answer->body, ']');
	if (total != NULL)
		json_member_int(answer->body, "total_count", (gint64)*total);
	json_member_int(answer->body, "as_of", (gint64)searching->query.search.as_of);
	g_string_append_c(answer->body, '}');
	answer->status = 200;
	query_answer_charge(answer);
}

void message_events_search(const struct query_request *request, struct query_answer *answer_r)
{
	struct searching searching;
	struct search *search = &searching.query.search;
	uint64_t total = 0;

	if (!searching_begin(&searching, request, answer_r, API_V1)) {
		searching_clear(&searching);
		return;
	}
	if (searching.query.since_given) {
		if (searching_arrivals(&searching))
			answer_frame(&searching, NULL);
	} else {
		uint64_t before = searching.query.page - 1;
		if (!g_uint64_checked_mul(&search->offset, before, searching.query.per_page))
			search->offset = G_MAXUINT64;
		if (searching_page(&searching, &total))
			answer_frame(&searching, &total);
	}
	searching_clear(&searching);
}

void message_events_documentation(
        const struct query_request *request, struct query_answer *answer_r)
{
	(void)request;
	query_documentation(answer_r, API_V1);
}

void message_events_samples(const struct query_request *request, struct query_answer *answer_r)
{
	query_samples(request, answer_r, API_V1);
}
