/* Whatever bytes an event holds, jansson reads the writer's text, and reads back what stood there.
 *
 * The input: one byte of the event type, then fields: number, length, bytes.
 * Reaches: json_event json_maps json_geo json_escape json_boolean json_number */
#include <jansson.h>
#include <stdlib.h>

#include "event/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(struct event *event, struct slice input)
{
	while (input.n >= 2) {
		enum field field = field_by_number((uint8_t)input.p[0]);
		size_t n = MIN((uint8_t)input.p[1], input.n - 2);
		if (field != FIELDS)
			event->field[field] = slice_make(input.p + 2, n);
		input = slice_from(input, n + 2);
	}
}

static void check_field(const json_t *object, const struct event *event, enum field field)
{
	const json_t *value = json_object_get(object, field_catalogue[field].name);
	struct slice text = event->field[field];

	/* What is kept for calls that name it, and tdate in Events, is in no result. */
	if (!event_has(event, field) || field <= FIELD_INJECTION_TIME ||
	        field_catalogue[field].kept || field == FIELD_TDATE)
		return;
	if (value == NULL)
		abort();
	/* GLib tells good UTF-8 from bad, independently of the writer. */
	if (json_is_string(value) && text.n > 0 && g_utf8_validate(text.p, (gssize)text.n, NULL) &&
	        !slice_eq(text, slice_make(json_string_value(value), json_string_length(value))))
		abort();
}

/* The text of such a field is trusted to be JSON of its kind, as jansson writes it. */
static void make_structure(struct slice *text, enum field_json kind, GPtrArray *texts)
{
	json_t *json = json_loadb(text->p != NULL ? text->p : "", text->n, 0, NULL);
	bool good = kind == FIELD_JSON_OBJECT ? json_is_object(json) : json_is_array(json);
	json_t *element;
	size_t i;

	if (kind == FIELD_JSON_STRINGS)
		json_array_foreach(json, i, element) good = good && json_is_string(element);
	char *dump = good ? json_dumps(json, JSON_COMPACT) : NULL;
	*text = slice_str(dump);
	if (dump != NULL)
		g_ptr_array_add(texts, dump);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(free);
	struct event event = {.time = 1};

	if (size == 0)
		return 0;
	event.type = (enum event_type)(data[0] % EVENT_TYPES);
	fill(&event, slice_make((const char *)data + 1, size - 1));
	for (int i = 0; i < FIELDS; i++)
		if (field_catalogue[i].json == FIELD_JSON_OBJECT ||
		        field_catalogue[i].json == FIELD_JSON_STRINGS)
			make_structure(&event.field[i], field_catalogue[i].json, texts);

	json_event(out, &event, data[0] & 1 ? API_V1 : API_EVENTS);
	json_t *object =
	        json_loadb(out->str, out->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	if (object == NULL)
		abort();
	for (int i = 0; i < FIELDS; i++)
		check_field(object, &event, (enum field)i);
	json_decref(object);
	return 0;
}
