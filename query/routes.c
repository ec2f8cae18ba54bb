#include "query/request.h"

#include "base/clock.h"
#include "query/ingest.h"

#define ERASURES_BODY_MAX 4096
/* Bytes of a wish for a key: its lists may be long. */
#define KEYS_BODY_MAX ((size_t)256 * 1024)

enum method {
	METHOD_GET = 1, /* and HEAD */
	METHOD_POST = 2,
	METHOD_DELETE = 4,
};

/* By a mask of methods: the Allow header that tells them. */
static const char *const allow_headers[] = {
        [METHOD_GET] = "GET, HEAD",
        [METHOD_POST] = "POST",
        [METHOD_GET | METHOD_POST] = "GET, HEAD, POST",
        [METHOD_DELETE] = "DELETE",
        [METHOD_GET | METHOD_DELETE] = "GET, HEAD, DELETE",
        [METHOD_POST | METHOD_DELETE] = "POST, DELETE",
        [METHOD_GET | METHOD_POST | METHOD_DELETE] = "GET, HEAD, POST, DELETE",
};

/* What answers a request. The rows of one path stand together; the first path that fits counts. A
 * path that ends in a segment "*" takes any one segment there, which is the request's tail. */
static const struct route {
	unsigned methods;
	const char *path;
	unsigned grants;  /* one of these is needed; 0 = none: whoever asks */
	size_t body_most; /* bytes; 0 = a body is dropped */
	query_handler *handler;
} routes[] = {
        {METHOD_GET, "api/v1/message-events", GRANT_READ, 0, message_events_search},
        {METHOD_GET, "api/v1/message-events/events/documentation", 0, 0,
                message_events_documentation},
        {METHOD_GET, "api/v1/message-events/events/samples", 0, 0, message_events_samples},
        {METHOD_GET, "api/v1/events/ingest", GRANT_READ | GRANT_INGEST, 0, ingest_status},
        {METHOD_POST, "api/v1/ingest/events", GRANT_INGEST, INGEST_BODY_MAX, ingest_post},
        {METHOD_GET, "api/v1/ingest/events/documentation", 0, 0, ingest_docs},
        {METHOD_GET, "api/v1/ingest/events/samples", 0, 0, ingest_examples},
        {METHOD_GET, "api/v1/ingest/events/*", GRANT_READ | GRANT_INGEST, 0, ingest_batch},
        {METHOD_GET, "api/v1/ingest/events/failures/*", GRANT_READ | GRANT_INGEST, 0,
                ingest_failures},
        {METHOD_GET, "api/v1/events/message", GRANT_READ, 0, events_search},
        {METHOD_GET, "api/v1/events/message/documentation", 0, 0, events_documentation},
        {METHOD_GET, "api/v1/events/message/samples", 0, 0, events_samples},
        {METHOD_GET, "api/v1/events/stream", GRANT_READ, 0, events_stream},
        {METHOD_GET, "v1/events/messageid/*", GRANT_READ, 0, smtpeter_messageid},
        {METHOD_GET, "v1/events/email/*", GRANT_READ, 0, smtpeter_email},
        {METHOD_GET, "v1/events/template/*", GRANT_READ, 0, smtpeter_template},
        {METHOD_GET, "v1/events/tags/*", GRANT_READ, 0, smtpeter_tags},
        {METHOD_GET, "api/v1/keys", GRANT_ADMIN, 0, keys_list},
        {METHOD_POST, "api/v1/keys", GRANT_ADMIN, KEYS_BODY_MAX, keys_add},
        {METHOD_DELETE, "api/v1/keys/*", GRANT_ADMIN, 0, keys_revoke},
        {METHOD_GET, "api/v1/status", GRANT_READ, 0, status_report},
        {METHOD_GET, "api/v1/erasures", GRANT_ADMIN, 0, erasures_list},
        {METHOD_POST, "api/v1/erasures", GRANT_ADMIN, ERASURES_BODY_MAX, erasures_add},
        {METHOD_GET, "api/v1/uploads", GRANT_READ | GRANT_UPLOAD, 0, uploads_status},
        {METHOD_POST, "api/v1/uploads/retry", GRANT_UPLOAD, 0, uploads_retry},
        {METHOD_GET, "api/v1/uploads/*", GRANT_READ | GRANT_UPLOAD, 0, uploads_show},
};

static unsigned method_by_name(const char *name)
{
	static const struct {
		const char *name;
		enum method method;
	} methods[] = {
	        {"GET", METHOD_GET},
	        {"HEAD", METHOD_GET},
	        {"POST", METHOD_POST},
	        {"DELETE", METHOD_DELETE},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return 0;
}

/* Links are longer than what they were made of: window and snapshot come in. */
static size_t length_limit(const struct uri *uri)
{
	return uri_has(uri, "as_of") || uri_has(uri, "cursor") ? QUERY_LINK_MAX : QUERY_URI_MAX;
}

/* The route of a path and method; NULL where there is none, with the methods of the path. */
static const struct route *find_route(
        const struct uri *parts, unsigned method, struct slice *tail_r, unsigned *methods_r)
{
	const char *path = NULL;

	*methods_r = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
		if (path != NULL ? strcmp(path, routes[i].path) != 0
		                 : !uri_path_fits(parts, routes[i].path, tail_r))
			continue;
		path = routes[i].path;
		*methods_r |= routes[i].methods;
		if (routes[i].methods & method)
			return &routes[i];
	}
	return NULL;
}

/* A missing key is told from one that may not (contract, 0.1). */
static bool route_is_open(
        const struct route *route, const struct access *access, struct query_answer *answer_r)
{
	if (route->grants == 0 || (access->grants & route->grants) != 0)
		return true;
	if (access->who == NULL)
		query_answer_error(answer_r, 401, "Unauthorized.");
	else
		query_answer_error(answer_r, 403, "Forbidden.");
	return false;
}

/* What answers the request, or NULL with a refusal in *answer_r. */
static const struct route *admit(const struct query_input *input, const struct uri *parts,
        const struct access *access, struct slice *tail_r, struct query_answer *answer_r)
{
	unsigned methods;

	if (input->uri.n > length_limit(parts)) {
		query_answer_error(answer_r, 414, "URI must be at most 4096 characters long");
		return NULL;
	}
	const struct route *route =
	        find_route(parts, method_by_name(input->method), tail_r, &methods);
	if (route == NULL && methods != 0)
		query_answer_method(answer_r, allow_headers[methods]);
	else if (route == NULL)
		query_answer_error(answer_r, 404, "Resource could not be found");
	else if (route_is_open(route, access, answer_r))
		return route;
	return NULL;
}

static const struct access *input_access(const struct query_input *input)
{
	return input->access != NULL ? input->access : &access_all;
}

bool query_is_for_all(const char *method, struct slice target)
{
	unsigned methods;
	struct slice tail;
	struct uri parts;

	uri_parse(&parts, target);
	const struct route *route = find_route(&parts, method_by_name(method), &tail, &methods);
	uri_clear(&parts);
	return route != NULL && route->grants == 0;
}

bool query_refuses(
        const struct query_input *input, size_t *body_most_r, struct query_answer *answer_r)
{
	struct slice tail;
	struct uri parts;

	*answer_r = (struct query_answer){0};
	uri_parse(&parts, input->uri);
	const struct route *route = admit(input, &parts, input_access(input), &tail, answer_r);
	*body_most_r = route != NULL ? route->body_most : 0;
	uri_clear(&parts);
	return route == NULL;
}

void query_answer_input(struct store *store, const struct query_config *config,
        const struct query_input *input, struct query_answer *answer_r)
{
	const struct access *access = input_access(input);
	struct slice tail = {0};
	struct uri parts;

	*answer_r = (struct query_answer){.budget = config->budget};
	uri_parse(&parts, input->uri);
	const struct route *route = admit(input, &parts, access, &tail, answer_r);
	g_autofree char *tail_text = slice_dup(tail);
	const struct query_request request = {
	        .store = store,
	        .config = config,
	        .uri = &parts,
	        .now = config->now != NULL ? config->now() : clock_now(),
	        .access = access,
	        .method = input->method,
	        .body = input->body,
	        .content_type = input->content_type,
	        .content_encoding = input->content_encoding,
	        .last_event_id = input->last_event_id,
	        .host = input->host,
	        .tls = input->tls,
	        .tail = tail_text,
	};
	if (route != NULL)
		route->handler(&request, answer_r);
	uri_clear(&parts);
}

void query_answer(struct store *store, const struct query_config *config, const char *method,
        struct slice uri, struct query_answer *answer_r)
{
	const struct query_input input = {.method = method, .uri = uri};

	query_answer_input(store, config, &input, answer_r);
}
