#include "query/request.h"

#include "base/clock.h"

/* Paths and what answers them. All are read with GET and HEAD. */
static const struct route {
	const char *path;
	query_handler *handler;
} routes[] = {
        {"api/v1/message-events", message_events_search},
        {"api/v1/message-events/events/documentation", message_events_documentation},
        {"api/v1/message-events/events/samples", message_events_samples},
        {"api/v1/status", status_report},
};

static bool answer_length(struct slice uri, struct query_answer *answer_r)
{
	if (uri.n <= QUERY_URI_MAX)
		return false;
	query_answer_error(answer_r, 414, "URI must be at most 4096 characters long");
	return true;
}

static void answer_route(
        const struct query_request *request, const char *method, struct query_answer *answer_r)
{
	for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
		if (!uri_path_is(request->uri, routes[i].path))
			continue;
		if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
			routes[i].handler(request, answer_r);
		else
			query_answer_method(answer_r, "GET, HEAD");
		return;
	}
	query_answer_error(answer_r, 404, "Resource could not be found");
}

void query_answer(struct store *store, const struct query_config *config, const char *method,
        struct slice uri, struct query_answer *answer_r)
{
	struct uri parts;

	*answer_r = (struct query_answer){.budget = config->budget};
	if (answer_length(uri, answer_r))
		return;
	uri_parse(&parts, uri);
	const struct query_request request = {
	        .store = store,
	        .config = config,
	        .uri = &parts,
	        .now = config->now != NULL ? config->now() : clock_now(),
	};
	answer_route(&request, method, answer_r);
	uri_clear(&parts);
}
