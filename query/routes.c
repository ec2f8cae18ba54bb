#include "query/request.h"

#include "base/clock.h"
#include "query/params.h"

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

#define IMPORT_PATH "api/v1/import"

/* The budget is charged in steps, so that small rows do not each touch the shared counter. */
#define CHARGE_STEP (64 * 1024)

static void answer_method(struct query_answer *answer_r, const char *allow)
{
	query_answer_error(answer_r, 405, "Method not allowed");
	answer_r->allow = allow;
}

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
			answer_method(answer_r, "GET, HEAD");
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

int query_import_target(const char *method, struct slice uri, struct query_import_target *target_r,
        struct query_answer *answer_r)
{
	struct faults faults = {0};
	struct uri parts;
	int found = 0;

	*answer_r = (struct query_answer){0};
	if (uri.n > QUERY_URI_MAX)
		return 0; /* query_answer tells it */
	uri_parse(&parts, uri);
	if (uri_path_is(&parts, IMPORT_PATH)) {
		found = -1;
		if (strcmp(method, "POST") != 0)
			answer_method(answer_r, "POST");
		else if (params_read_import(&parts, target_r, &faults) < 0)
			faults_answer(&faults, answer_r);
		else
			found = 1;
	}
	uri_clear(&parts);
	return found;
}

bool query_answer_charge(struct query_answer *answer)
{
	struct query_budget *budget = answer->budget;

	if (budget == NULL || answer->body->len <= answer->charged)
		return true;
	size_t step = answer->body->len - answer->charged + CHARGE_STEP;
	if (atomic_fetch_add(&budget->used, step) + step <= budget->limit) {
		answer->charged += step;
		return true;
	}
	atomic_fetch_sub(&budget->used, step);
	query_answer_clear(answer);
	query_answer_error(answer, 503,
	        "Too many large answers are being sent: try again, or ask for fewer results");
	return false;
}

void query_answer_clear(struct query_answer *answer)
{
	if (answer->body != NULL)
		g_string_free(answer->body, true);
	answer->body = NULL;
	if (answer->budget != NULL)
		atomic_fetch_sub(&answer->budget->used, answer->charged);
	answer->charged = 0;
}
