#include "query/params.h"

#include "base/clock.h"
#include "event/catalogue.h"
#include "query/zone.h"

#define PARAMS_PER_PAGE 1000
#define PARAMS_PER_PAGE_MAX 10000

/* The reading of one request. */
struct reader {
	const struct uri *uri;
	struct faults *faults;
	struct message_query *query;
	const struct params_defaults *defaults;
	struct slice delimiter;
	GTimeZone *zone;
};

/* How the values of a list are read: the value forms of schema/search.def. */
enum value_form { FORM_TYPE, FORM_NUMBER, FORM_TEXT, FORM_CASELESS, FORM_ID };

struct parameter {
	const char *name;
	void (*read)(struct reader *reader, const struct parameter *parameter);
	int key; /* of a list: enum search_key */
	enum value_form form;
};

/* The next occurrence of a parameter from *at on, NULL at the end. What cannot be read is told and
 * passed over. */
static const struct uri_param *reader_next(struct reader *reader, const char *name, guint *at)
{
	while (*at < reader->uri->params->len) {
		const struct uri_param *param =
		        &g_array_index(reader->uri->params, struct uri_param, (*at)++);

		if (param->bad_name || !slice_eq(param->name, slice_str(name)))
			continue;
		if (param->bad_value)
			faults_add(reader->faults, param->name, param->value,
			        "%s must be percent-encoded: a %% itself is written as %%25", name);
		else if (slice_chr(param->value, '\0') >= 0)
			faults_add(reader->faults, param->name, param->value,
			        "%s must not contain a NUL byte", name);
		else
			return param;
	}
	return NULL;
}

/* The value of a parameter that is no list: absent unless given, and given twice only if the same
 * both times. */
static struct slice reader_once(struct reader *reader, const char *name)
{
	struct slice value = SLICE_NONE;
	const struct uri_param *param;

	for (guint at = 0; (param = reader_next(reader, name, &at)) != NULL;) {
		if (value.p != NULL && !slice_eq(value, param->value))
			faults_add(reader->faults, param->name, param->value,
			        "%s must be given only once", name);
		else
			value = param->value;
	}
	return value;
}

/* A whole number in the given range; `value_r` stays as it is when absent or wrong. */
static bool reader_number(
        struct reader *reader, const char *name, guint64 least, guint64 most, uint64_t *value_r)
{
	struct slice text = reader_once(reader, name);

	if (text.p == NULL)
		return false;
	g_autofree char *digits = slice_dup(text);
	guint64 value;
	if (g_ascii_string_to_unsigned(digits, 10, least, most, &value, NULL)) {
		*value_r = value;
		return true;
	}
	if (most == G_MAXINT64)
		faults_add(reader->faults, slice_str(name), text,
		        "%s must be an integer, %" G_GUINT64_FORMAT " or more", name, least);
	else
		faults_add(reader->faults, slice_str(name), text,
		        "%s must be an integer between %" G_GUINT64_FORMAT
		        " and %" G_GUINT64_FORMAT,
		        name, least, most);
	return false;
}

/* The next element of a list that is not empty; p NULL at the end. Blanks count in free texts
 * only. */
static struct slice list_next(struct slice *rest, struct slice delimiter, enum value_form form)
{
	while (rest->n > 0) {
		ptrdiff_t at = slice_find(*rest, delimiter);
		struct slice element = at < 0 ? *rest : slice_head(*rest, (size_t)at);

		*rest = slice_from(*rest, at < 0 ? rest->n : (size_t)at + delimiter.n);
		if (form != FORM_TEXT)
			element = slice_trim(element);
		if (element.n > 0)
			return element;
	}
	return SLICE_NONE;
}

/* What the store compares with, or NULL when the element has not the form. */
static char *list_value(enum value_form form, struct slice element)
{
	g_autofree char *text = slice_dup(element);
	guint64 number;

	switch (form) {
	case FORM_CASELESS:
		return g_ascii_strdown(text, -1);
	case FORM_NUMBER:
		if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL))
			return NULL;
		return g_strdup_printf("%" G_GUINT64_FORMAT, number);
	case FORM_TYPE:
		if (event_type_by_name(slice_str(text)) == EVENT_TYPES)
			return NULL;
		return g_steal_pointer(&text);
	case FORM_ID:
	case FORM_TEXT:
		break;
	}
	return g_steal_pointer(&text);
}

static const char *const list_complaint[] = {
        [FORM_TYPE] = "names of event types",
        [FORM_NUMBER] = "integers",
};

/* Reads one occurrence into `list`; tells all its bad elements in one fault. */
static void list_read(struct reader *reader, const struct parameter *parameter,
        const struct uri_param *param, GPtrArray *list)
{
	g_autoptr(GString) bad = g_string_new(NULL);
	struct slice rest = param->value, element;

	while ((element = list_next(&rest, reader->delimiter, parameter->form)).p != NULL) {
		char *value = list_value(parameter->form, element);

		if (value != NULL) {
			g_ptr_array_add(list, value);
			continue;
		}
		g_string_append(bad, bad->len > 0 ? ", " : "");
		g_string_append_len(bad, element.p, (gssize)element.n);
	}
	if (bad->len > 0)
		faults_add(reader->faults, param->name, param->value, "%s must be %s, not: %s",
		        parameter->name, list_complaint[parameter->form], bad->str);
}

/* Keeps a filter for the links. */
static void reader_echo(struct reader *reader, const char *name, struct slice value)
{
	g_string_append_printf(reader->query->filters, "&%s=", name);
	uri_encode(reader->query->filters, value, reader->defaults->escape_colons);
}

/* Hands the list to the query and ends it; NULL for an empty one, which is no filter. */
static const char *const *reader_keep(struct reader *reader, GPtrArray *list)
{
	if (list->len == 0) {
		g_ptr_array_unref(list);
		return NULL;
	}
	g_ptr_array_add(list, NULL);
	g_ptr_array_add(reader->query->lists, list);
	return (const char *const *)list->pdata;
}

static void read_list(struct reader *reader, const struct parameter *parameter)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	const struct uri_param *param;

	for (guint at = 0; (param = reader_next(reader, parameter->name, &at)) != NULL;) {
		guint before = list->len;

		list_read(reader, parameter, param, list);
		if (list->len > before)
			reader_echo(reader, parameter->name, param->value);
	}
	reader->query->search.values[parameter->key] = reader_keep(reader, list);
}

/* A pattern without wildcard is looked for anywhere in the text. */
static char *pattern_dup(struct slice text)
{
	if (slice_chr(text, '%') >= 0)
		return slice_dup(text);
	return g_strdup_printf("%%%.*s%%", SLICE_ARG(text));
}

static const char *const *read_patterns(struct reader *reader, const char *name, bool is_list)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	const struct uri_param *param;

	for (guint at = 0; (param = reader_next(reader, name, &at)) != NULL;) {
		struct slice rest = param->value, element;

		if (rest.n == 0)
			continue;
		if (!is_list)
			g_ptr_array_add(list, pattern_dup(rest));
		while (is_list &&
		        (element = list_next(&rest, reader->delimiter, FORM_TEXT)).p != NULL)
			g_ptr_array_add(list, pattern_dup(element));
		reader_echo(reader, name, param->value);
		if (reader->query->scan == NULL) {
			reader->query->scan = name;
			reader->query->scan_value = param->value;
		}
	}
	return reader_keep(reader, list);
}

static void read_reason(struct reader *reader, const struct parameter *parameter)
{
	reader->query->search.reasons = read_patterns(reader, parameter->name, false);
}

static void read_subjects(struct reader *reader, const struct parameter *parameter)
{
	reader->query->search.subjects = read_patterns(reader, parameter->name, true);
}

static void read_delimiter(struct reader *reader, const struct parameter *parameter)
{
	struct slice text = reader_once(reader, parameter->name);

	if (text.p == NULL)
		return;
	if (text.n == 0) {
		faults_add(reader->faults, slice_str(parameter->name), text,
		        "delimiter must not be empty");
		return;
	}
	reader->delimiter = text;
	reader_echo(reader, parameter->name, text);
}

static void read_page(struct reader *reader, const struct parameter *parameter)
{
	reader_number(reader, parameter->name, 1, G_MAXINT64, &reader->query->page);
}

static void read_per_page(struct reader *reader, const struct parameter *parameter)
{
	uint64_t value = PARAMS_PER_PAGE;

	reader_number(reader, parameter->name, 1, PARAMS_PER_PAGE_MAX, &value);
	reader->query->per_page = (unsigned)value;
}

static void read_timezone(struct reader *reader, const struct parameter *parameter)
{
	struct slice text = reader_once(reader, parameter->name);

	if (text.p == NULL)
		text = SLICE("UTC");
	if (zone_find(text, &reader->zone, &reader->query->zone))
		return;
	faults_add(reader->faults, slice_str(parameter->name), text,
	        "timezone must be a name of the IANA time zone database, such as Europe/Berlin");
	/* The other faults of the request are still to be found. */
	if (!zone_find(SLICE("UTC"), &reader->zone, &reader->query->zone))
		g_assert_not_reached();
}

static void read_as_of(struct reader *reader, const struct parameter *parameter)
{
	reader->query->as_of_given =
	        reader_number(reader, parameter->name, 0, G_MAXINT64, &reader->query->search.as_of);
}

static void read_since(struct reader *reader, const struct parameter *parameter)
{
	reader->query->since_given =
	        reader_number(reader, parameter->name, 0, G_MAXINT64, &reader->query->since);
	if (!reader->query->since_given || !reader->query->as_of_given)
		return;
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, reader->query->since);
	faults_add(reader->faults, slice_str(parameter->name), slice_str(text),
	        "since and as_of cannot be given together");
}

static void read_window(struct reader *reader, const struct parameter *parameter)
{
	(void)parameter;
	struct window_request request = {
	        .from = reader_once(reader, "from"),
	        .to = reader_once(reader, "to"),
	        .zone = reader->zone,
	        .now = reader->defaults->now,
	        .length = reader->defaults->window,
	        .open = reader->query->since_given,
	};

	window_read(&request, &reader->query->window, reader->faults);
	reader->query->search.from = reader->query->window.from;
	reader->query->search.to = reader->query->window.to;
}

/* In the order in which they are read and their faults are told: what others need comes first. */
static const struct parameter search_parameters[] = {
        {"delimiter", read_delimiter},
#define SEARCH(ID, LETTER, NAME, VALUE_FORM, ...) {NAME, read_list, SEARCH_##ID, FORM_##VALUE_FORM},
#include "schema/search.def"
#undef SEARCH
        {"reason", read_reason}, {"subjects", read_subjects}, {"page", read_page},
        {"per_page", read_per_page}, {"timezone", read_timezone}, {"as_of", read_as_of},
        {"since", read_since}, {"from", read_window}, /* and to */
};

/* A name that cannot be decoded could be any: the request is told, not guessed. */
static void reader_names(struct reader *reader)
{
	for (guint i = 0; i < reader->uri->params->len; i++) {
		const struct uri_param *param =
		        &g_array_index(reader->uri->params, struct uri_param, i);

		if (param->bad_name)
			faults_add(reader->faults, param->name, param->value,
			        "The name of a parameter must be percent-encoded");
	}
}

int params_read(const struct uri *uri, const struct params_defaults *defaults,
        struct message_query *query_r, struct faults *faults)
{
	struct reader reader = {
	        .uri = uri,
	        .faults = faults,
	        .query = query_r,
	        .defaults = defaults,
	        .delimiter = SLICE(","),
	};

	*query_r = (struct message_query){
	        .page = 1,
	        .filters = g_string_new(NULL),
	        .lists = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref),
	};
	reader_names(&reader);
	for (size_t i = 0; i < G_N_ELEMENTS(search_parameters); i++)
		search_parameters[i].read(&reader, &search_parameters[i]);
	g_time_zone_unref(reader.zone);
	return faults_any(faults) ? -1 : 0;
}

void message_query_clear(struct message_query *query)
{
	if (query->filters != NULL)
		g_string_free(query->filters, true);
	g_clear_pointer(&query->lists, g_ptr_array_unref);
	query->filters = NULL;
}

int params_read_events(const struct uri *uri, bool *types, bool *any_r, struct faults *faults)
{
	static const struct parameter events = {"events", NULL, SEARCH_EVENT, FORM_TYPE};
	struct reader reader = {.uri = uri, .faults = faults, .delimiter = SLICE(",")};
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	const struct uri_param *param;

	reader_names(&reader);
	for (guint at = 0; (param = reader_next(&reader, events.name, &at)) != NULL;)
		list_read(&reader, &events, param, list);
	for (guint i = 0; i < list->len; i++)
		types[event_type_by_name(slice_str(list->pdata[i]))] = true;
	*any_r = list->len > 0;
	return faults_any(faults) ? -1 : 0;
}

int params_read_import(
        const struct uri *uri, struct query_import_target *target_r, struct faults *faults)
{
	struct reader reader = {.uri = uri, .faults = faults};
	uint64_t not_after = 0;

	*target_r = (struct query_import_target){0};
	reader_names(&reader);
	struct slice source = reader_once(&reader, "source");
	if (source.n == 0)
		faults_add(faults, SLICE("source"), SLICE(""), "source must be given");
	reader_number(&reader, "not_after", 0, G_MAXINT64, &not_after);
	if (faults_any(faults))
		return -1;
	target_r->source = slice_dup(source);
	target_r->not_after = (int64_t)not_after;
	return 0;
}
