#include "query/params.h"
#include "query/request.h"

void query_documentation(struct query_answer *answer_r, enum api_generation api)
{
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":");
	catalogue_documentation(answer_r->body, api);
	g_string_append_c(answer_r->body, '}');
}

void query_samples(
        const struct query_request *request, struct query_answer *answer_r, enum api_generation api)
{
	bool types[EVENT_TYPES] = {false}, any = false;
	struct faults faults = {0};

	if (params_read_events(request->uri, types, &any, &faults) < 0) {
		faults_answer(&faults, answer_r);
		return;
	}
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":");
	catalogue_samples(answer_r->body, api, any ? types : NULL);
	g_string_append_c(answer_r->body, '}');
}
