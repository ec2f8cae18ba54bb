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
        {"api/v1/events/message", events_search},
        {"api/v1/events/message/documentation", events_documentation},
        {"api/v1/events/message/samples", events_samples},
        {"api/v1/status", status_report},
};

/* Links are longer than what they were made of: window and snapshot come in. */
static size_t length_limit(const struct uri *uri)
{
	return uri_has(uri, "as_of") || uri_has(uri, "cursor") ? QUERY_LINK_MAX : QUERY_URI_MAX;
}

/* What answers the request, or NULL with a refusal in *answer_r. */
static query_handler *find_handler(
        const struct uri *parts, size_t length, const char *method, struct query_answer *answer_r)
{
	if (length > length_limit(parts)) {
		query_answer_error(answer_r, 414, "URI must be at most 4096 characters long");
		return NULL;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
		if (!uri_path_is(parts, routes[i].path))
			continue;
		if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
			return routes[i].handler;
		query_answer_method(answer_r, "GET, HEAD");
		return NULL;
	}
	query_answer_error(answer_r, 404, "Resource could not be found");
	return NULL;
}

bool query_refuses(const char *method, struct slice uri, struct query_answer *answer_r)
{
	struct uri parts;

	*answer_r = (struct query_answer){0};
	uri_parse(&parts, uri);
	bool refused = find_handler(&parts, uri.n, method, answer_r) == NULL;
	uri_clear(&parts);
	return refused;
}

void query_answer(struct store *store, const struct query_config *config, const char *method,
        struct slice uri, struct query_answer *answer_r)
{
	struct uri parts;

	*answer_r = (struct query_answer){.budget = config->budget};
	uri_parse(&parts, uri);
	query_handler *handler = find_handler(&parts, uri.n, method, answer_r);
	const struct query_request request = {
	        .store = store,
	        .config = config,
	        .uri = &parts,
	        .now = config->now != NULL ? config->now() : clock_now(),
	};
	if (handler != NULL)
		handler(&request, answer_r);
	uri_clear(&parts);
}
