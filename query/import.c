#include "query/params.h"
#include "query/request.h"

#define IMPORT_PATH "api/v1/import"

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
