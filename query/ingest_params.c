#include "query/ingest_params.h"

#include "base/clock.h"
#include "event/ingest_docs.h"
#include "query/window.h"

#define PER_PAGE 1000
#define PER_PAGE_MAX 10000

/* The reading of one request. */
struct reading {
	const struct uri *uri;
	struct ingest_query *query;
	struct faults *faults;
	struct slice delimiter;
	int64_t now;
	bool escape_colons;
};

static bool one_of(struct slice value, const char *const *words)
{
	for (; *words != NULL; words++)
		if (slice_eq(value, slice_str(*words)))
			return true;
	return false;
}

static bool is_number(struct slice value)
{
	int64_t number;

	return slice_int(value, &number) && number >= 0;
}

static bool is_outcome(struct slice value)
{
	return one_of(value, (const char *const[]){"success", "error", NULL});
}

static bool is_error_type(struct slice value)
{
	return one_of(value, (const char *const[]){"validation", "system", "decompress",
	                             "duplicate_batch", "empty_batch", NULL});
}

/* The next occurrence of a parameter from *at on, NULL at the end. */
static const struct uri_param *next_param(struct reading *r, const char *name, guint *at)
{
	while (*at < r->uri->params->len) {
		const struct uri_param *param =
		        &g_array_index(r->uri->params, struct uri_param, (*at)++);
		if (param->bad_name || !slice_eq(param->name, slice_str(name)))
			continue;
		if (param->bad_value)
			faults_add(r->faults, param->name, param->value,
			        "%s must be percent-encoded: a %% itself is written as %%25", name);
		else if (slice_chr(param->value, '\0') >= 0)
			faults_add(r->faults, param->name, param->value,
			        "%s must not contain a NUL byte", name);
		else
			return param;
	}
	return NULL;
}

/* The value of a parameter that is no list, given twice only if the same both times; absent where
 * there is none. An empty one is one, too. */
static struct slice once(struct reading *r, const char *name)
{
	const struct uri_param *param;
	struct slice value = SLICE_NONE;

	for (guint at = 0; (param = next_param(r, name, &at)) != NULL;)
		if (value.p != NULL && !slice_eq(value, param->value))
			faults_add(r->faults, param->name, param->value,
			        "%s must be given only once", name);
		else
			value = param->value;
	return value;
}

static void echo(struct reading *r, GString *out, const char *name, struct slice value)
{
	g_string_append_printf(out, "&%s=", name);
	uri_encode(out, value, r->escape_colons);
}

/* ---- lists ---- */

static const struct list_form {
	const char *name;
	bool (*good)(struct slice value); /* NULL = any text */
	const char *wanted;
} forms[INGEST_LISTS] = {
        [INGEST_BATCH_IDS] = {"batch_ids"},
        [INGEST_ERROR_TYPES] = {"error_types", is_error_type,
                "one of validation, system, decompress, duplicate_batch, empty_batch"},
        [INGEST_EVENT_IDS] = {"event_ids"},
        [INGEST_EVENTS] = {"events", is_outcome, "success or error"},
        [INGEST_SUBACCOUNTS] = {"subaccounts", is_number, "integers"},
};

static void read_elements(struct reading *r, const struct list_form *form,
        const struct uri_param *param, GPtrArray *list)
{
	struct slice rest = param->value;

	while (rest.n > 0) {
		ptrdiff_t at = slice_find(rest, r->delimiter);
		struct slice element = slice_trim(at < 0 ? rest : slice_head(rest, (size_t)at));
		rest = slice_from(rest, at < 0 ? rest.n : (size_t)at + r->delimiter.n);
		if (element.n == 0)
			continue;
		if (form->good != NULL && !form->good(element))
			faults_add(r->faults, param->name, param->value, "%s must be %s, not: %.*s",
			        form->name, form->wanted, SLICE_ARG(slice_head(element, 100)));
		else
			g_ptr_array_add(list, slice_dup(element));
	}
}

static void read_list(struct reading *r, enum ingest_list which, GString *out)
{
	const struct list_form *form = &forms[which];
	const struct uri_param *param;

	r->query->list[which] = g_ptr_array_new_with_free_func(g_free);
	for (guint at = 0; (param = next_param(r, form->name, &at)) != NULL;) {
		read_elements(r, form, param, r->query->list[which]);
		echo(r, out, form->name, param->value);
	}
}

/* ---- the rest ---- */

static void read_delimiter(struct reading *r)
{
	struct slice text = once(r, "delimiter");

	r->delimiter = text.n > 0 ? text : SLICE(",");
	if (text.p != NULL && text.n == 0)
		faults_add(r->faults, SLICE("delimiter"), text, "delimiter must not be empty");
}

/* With or without :SS and Z; always UTC, since 1970. *ms stays where it is none. */
static bool parse_time(struct slice text, int64_t *ms)
{
	int64_t time, unit;

	if (slice_ends(text, SLICE("Z")))
		text = slice_head(text, text.n - 1);
	if (!window_parse_local(text, &time, &unit) || time < 0)
		return false;
	*ms = time;
	return true;
}

static bool read_time(struct reading *r, const char *name, int64_t *ms)
{
	struct slice text = once(r, name);

	if (text.p == NULL)
		return false;
	if (parse_time(text, ms))
		return true;
	faults_add(r->faults, slice_str(name), text,
	        "%s must be in the format YYYY-MM-DDTHH:MM:SSZ", name);
	return false;
}

static void read_window(struct reading *r)
{
	struct ingest_query *query = r->query;

	query->to = INT64_MAX;
	query->from = r->now - CLOCK_DAY;
	bool to = read_time(r, "to", &query->to);
	if (!read_time(r, "from", &query->from) && to)
		query->from = MIN(query->from, query->to - CLOCK_DAY);
	if (query->from >= query->to)
		faults_add(r->faults, SLICE("from"), once(r, "from"), "from must be before to");
}

static void read_per_page(struct reading *r)
{
	struct slice text = once(r, "per_page");
	g_autofree char *digits = slice_dup(text);

	r->query->per_page = PER_PAGE;
	if (digits != NULL &&
	        !g_ascii_string_to_unsigned(digits, 10, 1, PER_PAGE_MAX, &r->query->per_page, NULL))
		faults_add(r->faults, SLICE("per_page"), text,
		        "per_page must be an integer between 1 and %d", PER_PAGE_MAX);
}

/* A snapshot and a record of it: AS_OF.BEFORE. */
static void read_cursor(struct reading *r)
{
	struct slice text = once(r, "cursor"), rest = text;
	struct ingest_query *query = r->query;

	if (text.p == NULL || slice_eq(text, SLICE("initial")))
		return;
	if (!slice_int(slice_cut(&rest, '.'), &query->as_of) || !slice_int(rest, &query->before) ||
	        query->as_of < 1 || query->before < 1)
		faults_add(r->faults, SLICE("cursor"), text,
		        "cursor must be initial or one that an answer gave");
}

static void read_retryable(struct reading *r, GString *out)
{
	struct slice text = once(r, "retryable");

	r->query->retryable = -1;
	if (text.p == NULL)
		return;
	if (slice_eq(text, SLICE("true")) || slice_eq(text, SLICE("1")))
		r->query->retryable = 1;
	else if (slice_eq(text, SLICE("false")) || slice_eq(text, SLICE("0")))
		r->query->retryable = 0;
	else
		faults_add(r->faults, SLICE("retryable"), text, "retryable must be true or false");
	echo(r, out, "retryable", text);
}

static void echo_time(struct reading *r, GString *out, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_MAX];

	clock_format(ms, CLOCK_ZULU, text);
	text[strlen("0000-00-00T00:00:00")] = 'Z';
	echo(r, out, name, slice_make(text, strlen("0000-00-00T00:00:00Z")));
}

static void check_names(struct reading *r)
{
	for (guint i = 0; i < r->uri->params->len; i++) {
		const struct uri_param *param = &g_array_index(r->uri->params, struct uri_param, i);
		if (param->bad_name)
			faults_add(r->faults, param->name, param->value,
			        "The name of a parameter must be percent-encoded");
	}
}

/* In the order of the alphabet, as recorded links have their parameters. */
int ingest_query_read(const struct uri *uri, int64_t now, bool escape_colons,
        struct ingest_query *query, struct faults *faults)
{
	struct reading r = {.uri = uri,
	        .query = query,
	        .faults = faults,
	        .now = now,
	        .escape_colons = escape_colons};

	*query = (struct ingest_query){.ahead = g_string_new(NULL), .after = g_string_new(NULL)};
	check_names(&r);
	read_delimiter(&r);
	read_list(&r, INGEST_BATCH_IDS, query->ahead);
	read_cursor(&r);
	if (!slice_eq(r.delimiter, SLICE(",")))
		echo(&r, query->after, "delimiter", r.delimiter);
	read_list(&r, INGEST_ERROR_TYPES, query->after);
	read_list(&r, INGEST_EVENT_IDS, query->after);
	read_list(&r, INGEST_EVENTS, query->after);
	read_window(&r);
	echo_time(&r, query->after, "from", query->from);
	read_per_page(&r);
	g_string_append_printf(query->after, "&per_page=%" G_GUINT64_FORMAT, query->per_page);
	read_retryable(&r, query->after);
	read_list(&r, INGEST_SUBACCOUNTS, query->after);
	if (query->to != INT64_MAX)
		echo_time(&r, query->after, "to", query->to);
	return faults_any(faults) ? -1 : 0;
}

void ingest_query_clear(struct ingest_query *query)
{
	for (int i = 0; i < INGEST_LISTS; i++)
		g_clear_pointer(&query->list[i], g_ptr_array_unref);
	g_string_free(query->ahead, TRUE);
	g_string_free(query->after, TRUE);
}

static bool list_has(const GPtrArray *list, struct slice value)
{
	for (guint i = 0; i < list->len; i++)
		if (slice_eq_case(slice_str(list->pdata[i]), value))
			return true;
	return list->len == 0;
}

bool ingest_query_has_subaccount(const struct ingest_query *query, int64_t subaccount)
{
	const GPtrArray *list = query->list[INGEST_SUBACCOUNTS];

	for (guint i = 0; i < list->len; i++)
		if (g_ascii_strtoll(list->pdata[i], NULL, 10) == subaccount)
			return true;
	return list->len == 0;
}

bool ingest_query_fits(const struct ingest_query *query, const struct ingest_record *record)
{
	bool failed = record->error.p != NULL;
	bool retryable = failed && slice_eq(record->error, SLICE("system"));

	return list_has(query->list[INGEST_BATCH_IDS], record->id) &&
	       list_has(query->list[INGEST_EVENT_IDS], record->event_id) &&
	       list_has(query->list[INGEST_EVENTS], failed ? SLICE("error") : SLICE("success")) &&
	       (query->list[INGEST_ERROR_TYPES]->len == 0 ||
	               (failed && list_has(query->list[INGEST_ERROR_TYPES], record->error))) &&
	       (query->retryable < 0 || (failed && retryable == (query->retryable == 1)));
}

static bool is_type(struct slice value)
{
	return ingest_type_by_name(value) != EVENT_TYPES;
}

int ingest_read_types(const struct uri *uri, bool *types, bool *any, struct faults *faults)
{
	static const struct list_form form = {"events", is_type, "names of event types"};
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	struct reading r = {.uri = uri, .faults = faults, .delimiter = SLICE(",")};
	const struct uri_param *param;

	check_names(&r);
	for (guint at = 0; (param = next_param(&r, form.name, &at)) != NULL;)
		read_elements(&r, &form, param, list);
	for (guint i = 0; i < list->len; i++)
		types[ingest_type_by_name(slice_str(list->pdata[i]))] = true;
	*any = list->len > 0;
	return faults_any(faults) ? -1 : 0;
}
