#include "query/params.h"

#include "base/clock.h"
#include "event/catalogue.h"
#include "query/zone.h"
#include "store/words.h"

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
enum value_form {
	FORM_TYPE,
	FORM_NUMBER,
	FORM_TEXT,
	FORM_CASELESS,
	FORM_ID,
	FORM_TAGS,
	FORM_WORDS,   /* of words.def */
	FORM_DOMAINS, /* the same, where periods part words too */
};

struct parameter {
	const char *name;
	void (*read)(struct reader *reader, const struct parameter *parameter);
	int key; /* of a list: enum search_key, or enum search_words */
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
	case FORM_WORDS:
	case FORM_DOMAINS:
		if (!words_any(slice_str(text), form == FORM_DOMAINS))
			return NULL;
		break;
	case FORM_ID:
	case FORM_TEXT:
	case FORM_TAGS:
		break;
	}
	return g_steal_pointer(&text);
}

static const char *const list_complaint[] = {
        [FORM_TYPE] = "names of event types",
        [FORM_NUMBER] = "integers",
        [FORM_WORDS] = "words",
        [FORM_DOMAINS] = "names or parts of domains",
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

/* All occurrences of a list together, as the store takes it. */
static const char *const *read_all(struct reader *reader, const struct parameter *parameter)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	const struct uri_param *param;

	for (guint at = 0; (param = reader_next(reader, parameter->name, &at)) != NULL;) {
		guint before = list->len;

		list_read(reader, parameter, param, list);
		if (list->len > before)
			reader_echo(reader, parameter->name, param->value);
	}
	return reader_keep(reader, list);
}

static void read_list(struct reader *reader, const struct parameter *parameter)
{
	reader->query->search.values[parameter->key] = read_all(reader, parameter);
}

static void read_words(struct reader *reader, const struct parameter *parameter)
{
	const char *const *phrases = read_all(reader, parameter);

	reader->query->search.words[parameter->key] = phrases;
	if (phrases != NULL && reader->query->scan == NULL) {
		reader->query->scan = parameter->name;
		reader->query->scan_value = slice_str(phrases[0]);
	}
}

/* A version alone says nothing: its test must be named. */
static void read_versions(struct reader *reader, const struct parameter *parameter)
{
	read_list(reader, parameter);
	const char *const *versions = reader->query->search.values[parameter->key];
	if (versions != NULL && reader->query->search.words[SEARCH_WORDS_AB_TEST] == NULL)
		faults_add(reader->faults, slice_str(parameter->name), slice_str(versions[0]),
		        "%s requires ab_tests", parameter->name);
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
	bool page = reader->query->as_of_given || reader->query->cursor_given;
	if (!reader->query->since_given || !page)
		return;
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, reader->query->since);
	faults_add(reader->faults, slice_str(parameter->name), slice_str(text),
	        "since and %s cannot be given together",
	        reader->query->cursor_given ? "cursor" : "as_of");
}

bool params_since_fits(const struct message_query *query, uint64_t mark, struct faults *faults)
{
	if (!query->since_given || query->since <= mark)
		return true;
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, query->since);
	faults_add(faults, SLICE("since"), slice_str(text),
	        "since must not be above as_of of an answer");
	return false;
}

/* "AS_OF,ROW" of our own making. */
static bool cursor_parse(struct slice text, uint64_t *as_of, uint64_t *row)
{
	g_autofree char *base64 = slice_dup(text);
	gsize n = 0;

	/* GLib takes no unpadded text. */
	g_autofree char *padded = g_strconcat(base64,
	        text.n % 4 == 2   ? "=="
	        : text.n % 4 == 3 ? "="
	                          : "",
	        NULL);
	g_autofree guchar *bytes = g_base64_decode(padded, &n);
	struct slice rest = slice_make((const char *)bytes, n);
	g_autofree char *first = slice_dup(slice_cut(&rest, ','));
	g_autofree char *second = slice_dup(rest);
	return first != NULL && second != NULL && strlen(second) == rest.n &&
	       g_ascii_string_to_unsigned(first, 10, 1, G_MAXINT64, as_of, NULL) &&
	       g_ascii_string_to_unsigned(second, 10, 1, G_MAXINT64, row, NULL);
}

void params_cursor(GString *out, uint64_t as_of, uint64_t row)
{
	char text[64];
	int n = g_snprintf(
	        text, sizeof(text), "%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT, as_of, row);
	g_autofree char *base64 = g_base64_encode((const guchar *)text, (gsize)n);

	g_string_append(out, base64);
}

static void read_cursor(struct reader *reader, const struct parameter *parameter)
{
	struct slice text = reader_once(reader, parameter->name);
	struct message_query *query = reader->query;

	if (text.p == NULL || slice_eq(text, SLICE("initial")))
		return;
	query->cursor_given = cursor_parse(text, &query->search.as_of, &query->search.before);
	if (!query->cursor_given)
		faults_add(reader->faults, slice_str(parameter->name), text,
		        "cursor must be initial, or as the link to the next page has it");
}

static void read_utc(struct reader *reader, const struct parameter *parameter)
{
	(void)parameter;
	if (!zone_find(SLICE("UTC"), &reader->zone, &reader->query->zone))
		g_assert_not_reached();
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
	        .open = reader->query->since_given || reader->defaults->stream,
	        .events = reader->defaults->api == API_EVENTS,
	};

	window_read(&request, &reader->query->window, reader->faults);
	reader->query->search.from = reader->query->window.from;
	reader->query->search.to = reader->query->window.to;
}

/* In the order in which they are read and their faults are told: what others need comes first. */
static const struct parameter v1_parameters[] = {{"delimiter", read_delimiter},
#define SEARCH(ID, LETTER, NAME, VALUE_FORM, ...) {NAME, read_list, SEARCH_##ID, FORM_##VALUE_FORM},
#include "schema/search.def"
#undef SEARCH
        {"reason", read_reason}, {"subjects", read_subjects}, {"page", read_page},
        {"per_page", read_per_page}, {"timezone", read_timezone}, {"as_of", read_as_of},
        {"since", read_since}, {"from", read_window}, /* and to */
        {NULL}};

/* Those of the Events API (contract, 2.1), and queue_ids and since, which are ours. */
static const struct parameter events_parameters[] = {{"delimiter", read_delimiter},
        {"event_ids", read_list, SEARCH_EVENT_ID, FORM_NUMBER},
        {"events", read_list, SEARCH_EVENT, FORM_TYPE},
        {"recipients", read_list, SEARCH_RECIPIENT, FORM_CASELESS},
        {"from_addresses", read_list, SEARCH_FROM_ADDRESS, FORM_CASELESS},
        {"bounce_classes", read_list, SEARCH_BOUNCE_CLASS, FORM_NUMBER},
        {"sending_ips", read_list, SEARCH_SENDING_IP, FORM_TEXT},
        {"subaccounts", read_list, SEARCH_SUBACCOUNT, FORM_NUMBER},
        {"messages", read_list, SEARCH_MESSAGE, FORM_ID},
        {"transmissions", read_list, SEARCH_TRANSMISSION, FORM_TEXT},
        {"queue_ids", read_list, SEARCH_QUEUE_ID, FORM_TEXT},
#define DOTS_false FORM_WORDS
#define DOTS_true FORM_DOMAINS
#define WORDS(ID, NAME, DOTS, ...) {NAME, read_words, SEARCH_WORDS_##ID, DOTS_##DOTS},
#include "schema/words.def"
#undef WORDS
#undef DOTS_false
#undef DOTS_true
        {"ab_test_versions", read_versions, SEARCH_AB_TEST_VERSION, FORM_NUMBER},
        {"per_page", read_per_page}, {"cursor", read_cursor}, {"since", read_since}, {"", read_utc},
        {"from", read_window}, /* and to */
        {NULL}};

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
	const struct parameter *parameter =
	        defaults->api == API_EVENTS ? events_parameters : v1_parameters;
	for (; parameter->read != NULL; parameter++)
		if (parameter->name != NULL)
			parameter->read(&reader, parameter);
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

struct slice params_text(const struct uri *uri, const char *name, struct faults *faults)
{
	struct reader reader = {.uri = uri, .faults = faults};

	return reader_once(&reader, name);
}

enum api_generation params_read_api(const struct uri *uri, struct faults *faults)
{
	struct slice text = params_text(uri, "api", faults);

	if (text.p == NULL || slice_eq(text, SLICE("events")))
		return API_EVENTS;
	if (!slice_eq(text, SLICE("v1")))
		faults_add(faults, SLICE("api"), text, "api must be v1 or events");
	return API_V1;
}

int params_read_import(
        const struct uri *uri, struct query_import_target *target_r, struct faults *faults)
{
	struct reader reader = {.uri = uri, .faults = faults};
	uint64_t not_after = 0;

	*target_r = (struct query_import_target){0};
	reader_names(&reader);
	struct slice source = reader_once(&reader, "source");
	struct slice damage = reader_once(&reader, "damage");
	if (source.n == 0)
		faults_add(faults, SLICE("source"), SLICE(""), "source must be given");
	reader_number(&reader, "not_after", 0, G_MAXINT64, &not_after);
	if (faults_any(faults))
		return -1;
	target_r->source = slice_dup(source);
	target_r->not_after = (int64_t)not_after;
	target_r->damage = damage.n > 0 ? slice_dup(damage) : NULL;
	return 0;
}
