#include "query/request.h"

#include "event/json.h"

/* The budget is charged in steps, so that small rows do not each touch the shared counter. */
#define CHARGE_STEP (64 * 1024)

void query_answer_error(struct query_answer *answer_r, unsigned status, const char *message)
{
	answer_r->status = status;
	answer_r->body = g_string_new("{\"errors\":[{");
	json_member(answer_r->body, "message", slice_str(message));
	g_string_append(answer_r->body, "}]}");
}

void query_limit(const struct query_request *request, struct search *search)
{
	const struct query_config *config = request->config;

	search->scope = &request->access->scope;
	search->deadline_ms = config->scan_ms;
	search->turns = config->turns;
}

void query_answer_method(struct query_answer *answer_r, const char *allow)
{
	query_answer_error(answer_r, 405, "Method not allowed");
	answer_r->allow = allow;
}

bool query_answer_charge(struct query_answer *answer)
{
	size_t held = answer->body->allocated_len; /* up to twice as much as is in it */

	if (answer->budget == NULL || held <= answer->charged)
		return true;
	size_t step = held - answer->charged + CHARGE_STEP;
	if (query_budget_take(answer->budget, step)) {
		answer->charged += step;
		return true;
	}
	query_answer_clear(answer);
	query_answer_error(answer, 503,
	        "Too many large answers are being sent: try again, or ask for fewer results");
	return false;
}

static void stream_free(struct query_stream *stream)
{
	if (stream->free != NULL)
		stream->free(stream->ctx);
	g_free(stream);
}

void query_answer_clear(struct query_answer *answer)
{
	if (answer->body != NULL)
		g_string_free(answer->body, true);
	answer->body = NULL;
	g_clear_pointer(&answer->stream, stream_free);
	g_clear_pointer(&answer->disposition, g_free);
	answer->type = NULL;
	query_budget_give(answer->budget, answer->charged);
	answer->charged = 0;
}
