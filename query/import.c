#include "query/params.h"
#include "query/request.h"

#define IMPORT_PATH "api/v1/import"
#define REPORT_PATH "api/v1/report"

void query_import_target_clear(struct query_import_target *target)
{
	g_clear_pointer(&target->source, g_free);
	g_clear_pointer(&target->damage, g_free);
}

int query_import_target(const char *method, struct slice uri, struct query_import_target *target_r,
        struct query_answer *answer_r)
{
	struct faults faults = {0};
	struct uri parts;
	int found = 0;

	*answer_r = (struct query_answer){0};
	if (uri.n > QUERY_URI_MAX)
		return 0; /* query_refuses tells it */
	uri_parse(&parts, uri);
	if (uri_path_is(&parts, IMPORT_PATH)) {
		found = -1;
		if (strcmp(method, "POST") != 0)
			query_answer_method(answer_r, "POST");
		else if (params_read_import(&parts, target_r, &faults) < 0)
			faults_answer(&faults, answer_r);
		else
			found = 1;
	}
	uri_clear(&parts);
	return found;
}

int query_report_target(const char *method, struct slice uri, struct query_answer *answer_r)
{
	struct uri parts;
	int found = 0;

	*answer_r = (struct query_answer){0};
	if (uri.n > QUERY_URI_MAX)
		return 0;
	uri_parse(&parts, uri);
	if (uri_path_is(&parts, REPORT_PATH)) {
		found = strcmp(method, "POST") == 0 ? 1 : -1;
		if (found < 0)
			query_answer_method(answer_r, "POST");
	}
	uri_clear(&parts);
	return found;
}
