/* The Events API (contract, 2). */
#include "event/json.h"
#include "query/searching.h"

#define PATH "/api/v1/events/message"

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *parameter(const struct searching *searching, const char *name, const char *text)
{
	GString *out = g_string_new(name);

	g_string_append_c(out, '=');
	uri_encode(out, slice_str(text), searching->request->config->escape_colons);
	return g_string_free(out, FALSE);
}

/* The target of the next page, its parameters sorted by name as recorded (contract, 2.2). */
static void append_next(GString *out, const struct searching *searching)
{
	const struct message_query *query = &searching->query;
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) cursor = g_string_new(NULL);
	g_auto(GStrv) filters = g_strsplit(query->filters->str, "&", -1);

	params_cursor(cursor, query->search.as_of, searching->last_row);
	g_ptr_array_add(list, parameter(searching, "cursor", cursor->str));
	g_ptr_array_add(list, parameter(searching, "from", query->window.from_text));
	g_ptr_array_add(list, g_strdup_printf("per_page=%u", query->per_page));
	g_ptr_array_add(list, parameter(searching, "to", query->window.to_text));
	for (char **filter = filters; *filter != NULL; filter++)
		if (**filter != '\0')
			g_ptr_array_add(list, g_strdup(*filter));
	g_ptr_array_sort(list, by_name);
	g_string_append(out, PATH);
	for (guint i = 0; i < list->len; i++) {
		g_string_append_c(out, i == 0 ? '?' : '&');
		g_string_append(out, g_ptr_array_index(list, i));
	}
}

/* Makes an object of the array of results. */
static void answer_frame(struct searching *searching, const uint64_t *total)
{
	struct query_answer *answer = searching->answer;

	g_string_prepend(answer->body, "{\"results\":");
	g_string_append_c(answer->body, ']');
	if (total != NULL)
		json_member_int(answer->body, "total_count", (gint64)*total);
	g_string_append(answer->body, ",\"links\":{");
	if (total != NULL && searching->more) {
		g_autoptr(GString) next = g_string_new(NULL);
		append_next(next, searching);
		json_member(answer->body, "next", slice_make(next->str, next->len));
	}
	g_string_append_c(answer->body, '}');
	json_member_int(answer->body, "as_of", (gint64)searching->query.search.as_of);
	g_string_append_c(answer->body, '}');
	answer->status = 200;
	query_answer_charge(answer);
}

void events_search(const struct query_request *request, struct query_answer *answer_r)
{
	struct searching searching;
	uint64_t total = 0;

	if (searching_begin(&searching, request, answer_r, API_EVENTS)) {
		if (searching.query.since_given) {
			if (searching_arrivals(&searching))
				answer_frame(&searching, NULL);
		} else {
			/* One more tells whether there is a next page. */
			searching.query.search.limit++;
			if (searching_page(&searching, &total))
				answer_frame(&searching, &total);
		}
	}
	searching_clear(&searching);
}

void events_documentation(const struct query_request *request, struct query_answer *answer_r)
{
	(void)request;
	query_documentation(answer_r, API_EVENTS);
}

void events_samples(const struct query_request *request, struct query_answer *answer_r)
{
	query_samples(request, answer_r, API_EVENTS);
}
