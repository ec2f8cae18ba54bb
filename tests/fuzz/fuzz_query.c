/* A request target of any bytes: it is taken apart and read without harm; what is refused is told
 * in JSON; what is accepted is echoed in links that mean the same search. */
#include <jansson.h>
#include <stdlib.h>

#include "query/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct params_defaults defaults = {
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
	need(strcmp(a->filters->str, b->filters->str) == 0);
}

/* Reads the links' form of an accepted query again. */
static void read_again(const struct message_query *first)
{
	g_autoptr(GString) target = g_string_new(NULL);
	struct message_query again;
	struct faults faults = {0};
	struct uri uri;

	g_string_printf(target, "/x?from=%s&to=%s&timezone=%s%s", first->window.from_text,
	        first->window.to_text, first->zone, first->filters->str);
	uri_parse(&uri, slice_make(target->str, target->len));
	need(params_read(&uri, &defaults, &again, &faults) == 0);
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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct query_import_target import;
	struct faults faults = {0};
	struct message_query query;
	struct uri uri;

	if (n > QUERY_URI_MAX)
		return 0;
	uri_parse(&uri, slice_make((const char *)bytes, n));
	if (params_read(&uri, &defaults, &query, &faults) < 0)
		read_refusal(&faults);
	else if (!query.since_given)
		read_again(&query);
	need(query.filters->len <= 3 * n); /* what QUERY_LINK_MAX is made for */
	message_query_clear(&query);
	if (params_read_import(&uri, &import, &faults) < 0)
		read_refusal(&faults);
	g_free(import.source);
	uri_clear(&uri);
	return 0;
}
