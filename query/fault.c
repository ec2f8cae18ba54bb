#include "query/fault.h"

#include "event/json.h"

void faults_add(
        struct faults *faults, struct slice param, struct slice value, const char *format, ...)
{
	g_autoptr(GString) message = g_string_new(NULL);
	va_list ap;

	va_start(ap, format);
	g_string_append_vprintf(message, format, ap);
	va_end(ap);
	if (faults->json == NULL)
		faults->json = g_string_new(NULL);
	else
		g_string_append_c(faults->json, ',');
	g_string_append_c(faults->json, '{');
	json_member(faults->json, "param", param);
	json_member(faults->json, "message", slice_make(message->str, message->len));
	json_member(faults->json, "value", value);
	g_string_append_c(faults->json, '}');
}

void faults_answer(struct faults *faults, struct query_answer *answer_r)
{
	answer_r->status = 400;
	answer_r->body = g_string_new("{\"errors\":[");
	g_string_append_len(answer_r->body, faults->json->str, (gssize)faults->json->len);
	g_string_append(answer_r->body, "]}");
	faults_clear(faults);
}

void faults_clear(struct faults *faults)
{
	if (faults->json != NULL)
		g_string_free(faults->json, true);
	faults->json = NULL;
}
