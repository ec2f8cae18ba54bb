#include "event/ingest_read.h"

#include <jansson.h>

#include "base/clock.h"
#include "event/catalogue.h"

/* From here up a number is milliseconds: as seconds it would be the year 5138. */
#define MILLISECONDS_FROM INT64_C(100000000000)
#define TIME_MAX INT64_C(253402300799999) /* the end of the year 9999, ms */
#define ACCOUNT_MAX G_MAXINT32

/* The reading of one line. */
struct reading {
	struct ingest_line *line;
	const char *name; /* of the field at work */
	struct error *err;
};

static int wrong(struct reading *r, const char *wanted)
{
	return error_set(r->err, "%s must be %s", r->name, wanted);
}

/* Keeps a text that g_malloc or jansson made. */
static struct slice keep(struct reading *r, char *text)
{
	g_ptr_array_add(r->line->texts, text);
	return slice_str(text);
}

static struct slice keep_printf(struct reading *r, const char *format, ...) G_GNUC_PRINTF(2, 3);
static struct slice keep_printf(struct reading *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	char *text = g_strdup_vprintf(format, ap);
	va_end(ap);
	return keep(r, text);
}

static struct slice text_of(const json_t *value)
{
	return slice_make(json_string_value(value), json_string_length(value));
}

/* The text of a value that is no object or array; absent for those. */
static struct slice scalar(struct reading *r, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return text_of(value);
	case JSON_INTEGER:
		return keep_printf(r, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL:
		return keep_printf(r, "%.15g", json_real_value(value));
	case JSON_TRUE:
		return SLICE("1");
	case JSON_FALSE:
		return SLICE("0");
	default:
		return SLICE_NONE;
	}
}

/* Whether objects and arrays stand in each other at most so deep. */
static bool is_shallow(const json_t *value, int most)
{
	const char *key;
	json_t *element;
	size_t i;

	if (!json_is_object(value) && !json_is_array(value))
		return true;
	if (most == 0)
		return false;
	json_object_foreach((json_t *)(uintptr_t)value, key, element)
	{
		if (!is_shallow(element, most - 1))
			return false;
	}
	json_array_foreach(value, i, element)
	{
		if (!is_shallow(element, most - 1))
			return false;
	}
	return true;
}

/* JSON text of an object or array, such as event.h wants it. */
static int read_text(struct reading *r, const json_t *value, struct slice *text)
{
	if (!is_shallow(value, INGEST_DEPTH_MAX))
		return wrong(r, "less deep");
	/* 15 digits: so that 39.1749 stays what it was. */
	char *dump = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (dump == NULL)
		return wrong(r, "of finite size");
	*text = keep(r, g_strdup(dump));
	free(dump);
	return 0;
}

static int read_string(struct reading *r, const json_t *value, struct slice *text)
{
	*text = scalar(r, value);
	return text->p != NULL ? 0 : wrong(r, "a string");
}

static int read_integer(struct reading *r, const json_t *value, struct slice *text)
{
	struct slice digits = slice_trim(scalar(r, value));
	int64_t number;

	if (digits.p == NULL || !slice_int(digits, &number))
		return digits.p != NULL && digits.n == 0 ? 0 : wrong(r, "a whole number");
	*text = keep_printf(r, "%" G_GINT64_FORMAT, number);
	return 0;
}

static int read_account(struct reading *r, const json_t *value, struct slice *text)
{
	int64_t number;

	if (read_integer(r, value, text) < 0)
		return -1;
	if (text->p != NULL && (!slice_int(*text, &number) || number < 0 || number > ACCOUNT_MAX))
		return wrong(r, "a number from 0 to 2147483647");
	return 0;
}

static int read_boolean(struct reading *r, const json_t *value, struct slice *text)
{
	static const struct {
		const char *said;
		bool means;
	} words[] = {{"1", true}, {"true", true}, {"yes", true}, {"0", false}, {"false", false},
	        {"no", false}};
	struct slice said = scalar(r, value);

	if (said.p != NULL && said.n == 0)
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (said.p != NULL && slice_eq_case(said, slice_str(words[i].said))) {
			*text = words[i].means ? SLICE("true") : SLICE("false");
			return 0;
		}
	return wrong(r, "true or false");
}

/* An empty one is as good as none. */
static int read_object(struct reading *r, const json_t *value, struct slice *text)
{
	if (!json_is_object(value))
		return wrong(r, "an object");
	return json_object_size(value) > 0 ? read_text(r, value, text) : 0;
}

static int read_strings(struct reading *r, const json_t *value, struct slice *text)
{
	const json_t *element;
	size_t i;

	if (!json_is_array(value))
		return wrong(r, "an array of strings");
	json_array_foreach(value, i, element) if (!json_is_string(element)) return wrong(
	        r, "an array of strings");
	return json_array_size(value) > 0 ? read_text(r, value, text) : 0;
}

/* As the search APIs write it: 2016-04-18T14:25:07.000Z, or with an offset. */
static bool read_iso(struct slice text, int64_t *ms)
{
	g_autofree char *copy = slice_dup(text);
	g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
	g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(copy, utc);

	if (time == NULL)
		return false;
	*ms = g_date_time_to_unix(time) * CLOCK_SECOND + g_date_time_get_microsecond(time) / 1000;
	return true;
}

/* Seconds since 1970, maybe with a fraction; or milliseconds. */
static bool read_epoch(struct slice text, int64_t *ms)
{
	struct slice rest = text, whole = slice_cut(&rest, '.');
	int64_t number, thousandths = 0;

	if (!slice_int(whole, &number) || number < 0)
		return false;
	if (number >= MILLISECONDS_FROM) {
		*ms = number;
		return rest.n == 0;
	}
	for (size_t i = 0; i < rest.n; i++) {
		if (!g_ascii_isdigit(rest.p[i]))
			return false;
		if (i < 3)
			thousandths = thousandths * 10 + g_ascii_digit_value(rest.p[i]);
	}
	for (size_t i = rest.n; i < 3; i++)
		thousandths *= 10;
	*ms = number * CLOCK_SECOND + thousandths;
	return true;
}

static int read_time(struct reading *r, const json_t *value, int64_t *ms)
{
	struct slice text = json_is_real(value) ? keep_printf(r, "%.3f", json_real_value(value))
	                                        : slice_trim(scalar(r, value));

	if (text.p != NULL && text.n == 0)
		return 0;
	if (text.p == NULL || json_is_boolean(value) ||
	        (!read_epoch(text, ms) && !read_iso(text, ms)) || *ms < 0 || *ms > TIME_MAX)
		return wrong(r, "a time in seconds since 1970");
	return 0;
}

static int read_event_id(struct reading *r, const json_t *value)
{
	struct slice text = scalar(r, value);
	g_autofree char *digits = slice_dup(text);
	guint64 id;

	if (digits == NULL || strlen(digits) != text.n || json_is_boolean(value) ||
	        !g_ascii_string_to_unsigned(digits, 10, 0, EVENT_ID_MAX, &id, NULL))
		return wrong(r, "a decimal number from 0 to 9223372036854775807");
	r->line->event.id = id;
	return 0;
}

static int (*const readers[])(struct reading *r, const json_t *value, struct slice *text) = {
        [FIELD_JSON_STRING] = read_string,
        [FIELD_JSON_INTEGER] = read_integer,
        [FIELD_JSON_ACCOUNT] = read_account,
        [FIELD_JSON_BOOLEAN] = read_boolean,
        [FIELD_JSON_OBJECT] = read_object,
        [FIELD_JSON_STRINGS] = read_strings,
};

static int read_field(struct reading *r, enum field field, const json_t *value)
{
	struct event *event = &r->line->event;

	switch (field) {
	case FIELD_TYPE:
		return 0; /* read first */
	case FIELD_EVENT_ID:
		return read_event_id(r, value);
	case FIELD_TIMESTAMP:
		return read_time(r, value, &event->time);
	case FIELD_INJECTION_TIME:
		return read_time(r, value, &event->injected);
	default:
		return readers[field_catalogue[field].json](r, value, &event->field[field]);
	}
}

static int read_fields(struct reading *r, const json_t *fields)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)fields, name, value)
	{
		enum field field = field_by_name(slice_str(name));
		r->name = name;
		if (field == FIELDS)
			r->line->unknown++;
		else if (!json_is_null(value) && read_field(r, field, value) < 0)
			return -1;
	}
	return 0;
}

/* Momentum writes permfail where others write inband. */
#define ALSO_BOUNCE "permfail"

static enum event_type type_in(const char *wrapper, struct slice type, bool *wrapper_known)
{
	enum event_type found = EVENT_TYPES;

	for (int i = 0; i < EVENT_TYPES; i++) {
		const struct event_info *info = &event_catalogue[i];
		if (strcmp(info->ingest_wrapper, wrapper) != 0)
			continue;
		*wrapper_known = true;
		if (slice_eq(type, slice_str(info->ingest_type)) ||
		        slice_eq(type, slice_str(info->name)) ||
		        (i == EVENT_BOUNCE && slice_eq(type, SLICE(ALSO_BOUNCE))))
			found = (enum event_type)i;
	}
	return found;
}

static int read_type(struct reading *r, const char *wrapper, const json_t *fields)
{
	const json_t *type = json_object_get(fields, "type");
	bool wrapper_known = false;

	enum event_type found =
	        type_in(wrapper, json_is_string(type) ? text_of(type) : SLICE(""), &wrapper_known);
	if (!wrapper_known)
		return error_set(r->err, "Unknown wrapper %.50s", wrapper);
	if (!json_is_object(fields))
		return error_set(r->err, "%s must be an object", wrapper);
	if (type == NULL)
		return error_set(r->err, "Missing type on event in %s", wrapper);
	if (!json_is_string(type))
		return error_set(r->err, "type must be a string");
	if (found == EVENT_TYPES)
		return error_set(
		        r->err, "Unknown type %.50s in %s", json_string_value(type), wrapper);
	r->line->event.type = found;
	return 0;
}

static int read_line(struct reading *r, const json_t *root)
{
	const json_t *msys = json_object_get(root, "msys");
	json_t *fields;
	void *only;

	if (!json_is_object(root))
		return error_set(r->err, "The line must be a JSON object");
	if (!json_is_object(msys))
		return error_set(r->err, "Missing msys with the wrapper of the event");
	if (json_object_size(msys) != 1)
		return error_set(r->err, "msys must hold exactly one wrapper, not %zu",
		        json_object_size(msys));
	only = json_object_iter((json_t *)(uintptr_t)msys);
	fields = json_object_iter_value(only);
	return read_type(r, json_object_iter_key(only), fields) < 0 || read_fields(r, fields) < 0
	               ? -1
	               : 0;
}

/* ---- what follows from the rest, as capture makes it ---- */

static struct slice lower(struct reading *r, struct slice text)
{
	return slice_make(keep(r, g_ascii_strdown(text.p, (gssize)text.n)).p, text.n);
}

static void derive(struct reading *r, enum field field, struct slice value)
{
	if (value.n > 0 && !event_has(&r->line->event, field))
		r->line->event.field[field] = lower(r, value);
}

static struct slice domain_of(struct slice address)
{
	ptrdiff_t at = slice_rchr(address, '@');

	return at < 0 ? SLICE_NONE : slice_from(address, (size_t)at + 1);
}

static void derive_all(struct reading *r)
{
	struct slice *field = r->line->event.field;
	struct slice to = field[FIELD_RCPT_TO];

	if (to.n > 0) {
		field[FIELD_RCPT_TO] = lower(r, to);
		if (field[FIELD_RAW_RCPT_TO].p == NULL)
			field[FIELD_RAW_RCPT_TO] = to;
	}
	derive(r, FIELD_RECIPIENT_DOMAIN, domain_of(to));
	derive(r, FIELD_RECIPIENT_DOMAIN, field[FIELD_RCPT_DOMAIN]);
	derive(r, FIELD_SENDING_DOMAIN, domain_of(field[FIELD_FRIENDLY_FROM]));
}

/* ---- the line ---- */

/* In words of our own: those of jansson name its options and quote what follows. */
static int not_json(const json_error_t *error, struct error *err)
{
	static const char *const texts[] = {
	        [json_error_stack_overflow] = "objects and arrays stand too deep in each other",
	        [json_error_invalid_utf8] = "no UTF-8",
	        [json_error_premature_end_of_input] = "it ends too early",
	        [json_error_end_of_input_expected] = "something follows the object",
	        [json_error_null_character] = "a string holds the character NUL",
	        [json_error_null_byte_in_key] = "a name holds the character NUL",
	        [json_error_numeric_overflow] = "a number is too large",
	};
	enum json_error_code code = json_error_code(error);
	const char *text = (size_t)code < G_N_ELEMENTS(texts) ? texts[code] : NULL;

	return error_set(err, "The line is not JSON: at column %d: %s", MAX(error->column, 1),
	        text != NULL ? text : "what stands here is not allowed");
}

int ingest_read(struct slice text, struct ingest_line *line_r, struct error *err)
{
	struct reading r = {.line = line_r, .err = err};
	json_error_t error;

	*line_r = (struct ingest_line){
	        .event.id = EVENT_NO_ID, .texts = g_ptr_array_new_with_free_func(g_free)};
	if (text.n > INGEST_LINE_MAX)
		return error_set(err, "The line is longer than %d bytes", INGEST_LINE_MAX);
	json_t *root = json_loadb(text.p != NULL ? text.p : "", text.n, JSON_DECODE_ANY, &error);
	if (root == NULL)
		return not_json(&error, err);
	line_r->json = root;
	if (read_line(&r, root) < 0)
		return -1;
	derive_all(&r);
	return 0;
}

void ingest_line_clear(struct ingest_line *line)
{
	json_decref(line->json);
	g_clear_pointer(&line->texts, g_ptr_array_unref);
	line->json = NULL;
}
