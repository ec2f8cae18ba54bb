/* A request target of any bytes: it is taken apart and read without harm; what is refused is told
 * in JSON; what is accepted is echoed in links that mean the same search.
 * Words: query/params.c query/ingest_params.c query/smtpeter_window.c query/window.c
 * Words: schema/search.def schema/words.def schema/events.def
 * Reaches: uri_parse read_words read_versions read_patterns cursor_parse zone_find window_read
 * Reaches: smtpeter_window ingest_query_read ingest_read_types faults_answer uri_encode */
#include <jansson.h>
#include <stdlib.h>

#include "query/ingest_params.h"
#include "query/params.h"
#include "query/smtpeter_window.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct params_defaults v1 = {
        .api = API_V1,
        .now = INT64_C(1781526896789),
        .window = INT64_C(86400000),
};
static const struct params_defaults events = {
        .api = API_EVENTS,
        .now = INT64_C(1781526896789),
        .window = INT64_C(86400000),
};

static void need(bool condition)
{
	if (!condition)
		abort();
}

static void same_list(const char *const *a, const char *const *b)
{
	need((a == NULL) == (b == NULL));
	for (; a != NULL && *a != NULL; a++, b++)
		need(*b != NULL && strcmp(*a, *b) == 0);
	need(a == NULL || *b == NULL);
}

static void same_search(const struct message_query *a, const struct message_query *b)
{
	need(a->search.from == b->search.from && a->search.to == b->search.to);
	for (int key = 0; key < SEARCH_KEYS; key++)
		same_list(a->search.values[key], b->search.values[key]);
	same_list(a->search.reasons, b->search.reasons);
	same_list(a->search.subjects, b->search.subjects);
	for (int i = 0; i < SEARCH_WORDS; i++)
		same_list(a->search.words[i], b->search.words[i]);
	need(strcmp(a->filters->str, b->filters->str) == 0);
}

/* Reads the links' form of an accepted query again. */
static void read_again(const struct params_defaults *defaults, const struct message_query *first)
{
	g_autoptr(GString) target = g_string_new(NULL);
	struct message_query again;
	struct faults faults = {0};
	struct uri uri;

	g_string_printf(target, "/x?from=%s&to=%s&timezone=%s%s", first->window.from_text,
	        first->window.to_text, first->zone, first->filters->str);
	uri_parse(&uri, slice_make(target->str, target->len));
	need(params_read(&uri, defaults, &again, &faults) == 0);
	same_search(first, &again);
	message_query_clear(&again);
	uri_clear(&uri);
}

static void read_refusal(struct faults *faults)
{
	struct query_answer answer = {0};

	faults_answer(faults, &answer);
	json_t *json = json_loadb(answer.body->str, answer.body->len, JSON_ALLOW_NUL, NULL);
	need(answer.status == 400 && json_array_size(json_object_get(json, "errors")) > 0);
	json_decref(json);
	query_answer_clear(&answer);
}

static void read_search(const struct params_defaults *defaults, const struct uri *uri, size_t n)
{
	struct faults faults = {0};
	struct message_query query;

	if (params_read(uri, defaults, &query, &faults) < 0)
		read_refusal(&faults);
	else if (!query.since_given)
		read_again(defaults, &query);
	need(query.filters->len <= 3 * n); /* what QUERY_LINK_MAX is made for */
	message_query_clear(&query);
}

/* What is accepted is a month at most. */
static void read_smtpeter(const struct uri *uri)
{
	struct smtpeter_query query;
	struct faults faults = {0};

	if (smtpeter_read(uri, NULL, true, &query, &faults) < 0) {
		read_refusal(&faults);
	} else {
		smtpeter_window(&query, v1.now, false);
		need(query.search.from >= 0 && query.search.to >= query.search.from);
		need(query.search.to - query.search.from <= INT64_C(31) * 86400000);
	}
	smtpeter_query_clear(&query);
}

/* Status records of batches, and what documentation is asked for. */
static void read_ingest(const struct uri *uri)
{
	bool types[EVENT_TYPES] = {false}, any;
	struct faults faults = {0};
	struct ingest_query query;

	if (ingest_query_read(uri, v1.now, true, &query, &faults) < 0)
		read_refusal(&faults);
	else
		need(query.from <= query.to && query.per_page > 0);
	ingest_query_clear(&query);
	faults = (struct faults){0};
	if (ingest_read_types(uri, types, &any, &faults) < 0)
		read_refusal(&faults);
	faults = (struct faults){0};
	if (params_read_events(uri, types, &any, &faults) < 0)
		read_refusal(&faults);
	faults = (struct faults){0};
	params_read_api(uri, &faults);
	if (faults_any(&faults))
		read_refusal(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct query_import_target import;
	struct faults faults = {0};
	struct uri uri;

	if (n > QUERY_URI_MAX)
		return 0;
	uri_parse(&uri, slice_make((const char *)bytes, n));
	read_search(&v1, &uri, n);
	read_search(&events, &uri, n);
	read_smtpeter(&uri);
	if (params_read_import(&uri, &import, &faults) < 0)
		read_refusal(&faults);
	g_free(import.source);
	g_free(import.damage);
	read_ingest(&uri);
	uri_clear(&uri);
	return 0;
}
