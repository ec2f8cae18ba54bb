#include "event/catalogue.h"

#include "event/json.h"

/* Words of the generations column of both tables. */
enum {
	NONE = 0,
	ONLY_EVENTS = API_EVENTS,
	ONLY_WEBHOOK = API_WEBHOOK,
	NOT_V1 = API_EVENTS | API_WEBHOOK,
	ALL = API_V1 | API_EVENTS | API_WEBHOOK,
	OWN_BIT = 8,
	OWN = ALL | OWN_BIT,
	KEPT_BIT = 16,
	KEPT = OWN_BIT | KEPT_BIT,
};

const struct field_info field_catalogue[FIELDS] = {
#define FIELD(ID, NUMBER, NAME, INGEST, JSON, SCOPE, GENERATIONS, SAMPLE, DESCRIPTION) \
	[FIELD_##ID] = { \
	        .name = NAME, \
	        .ingest_name = INGEST, \
	        .number = NUMBER, \
	        .json = FIELD_JSON_##JSON, \
	        .scope = FIELD_OF_##SCOPE, \
	        .generations = (GENERATIONS)&ALL, \
	        .own = ((GENERATIONS)&OWN_BIT) != 0, \
	        .kept = ((GENERATIONS)&KEPT_BIT) != 0, \
	        .sample = SAMPLE, \
	        .description = DESCRIPTION, \
	},
#include "schema/fields.def"
#undef FIELD
};

_Static_assert(FIELDS <= 128, "event_info.fields has 128 bits");

#define LOW(ID) | ((guint64)(FIELD_##ID < 64) << (FIELD_##ID & 63))
#define HIGH(ID) | ((guint64)(FIELD_##ID >= 64) << (FIELD_##ID & 63))

const struct event_info event_catalogue[EVENT_TYPES] = {
#define EVENT(ID, NUMBER, NAME, DISPLAY, WRAPPER, INGEST, GENERATIONS, DESCRIPTION) \
	[EVENT_##ID] = { \
	        .name = NAME, \
	        .display_name = DISPLAY, \
	        .description = DESCRIPTION, \
	        .ingest_wrapper = WRAPPER, \
	        .ingest_type = INGEST, \
	        .number = NUMBER, \
	        .generations = GENERATIONS, \
	        .fields = {0 FIELDS_##ID(LOW), 0 FIELDS_##ID(HIGH)}, \
	},
#include "schema/events.def"
#undef EVENT
};

/* Bit set by enum field, as event_info.fields. */
static const guint64 extra_fields[EVENT_TYPES][2] = {
#define EXTRAS(ID, LIST) [EVENT_##ID] = {0 LIST(LOW), 0 LIST(HIGH)},
#include "schema/extras.def"
#undef EXTRAS
};

/* Row number to index + 1; 0 = no such number. A number used twice does not compile
 * (-Woverride-init). */
static const guint8 field_of_number[] = {
#define FIELD(ID, NUMBER, ...) [NUMBER] = FIELD_##ID + 1,
#include "schema/fields.def"
#undef FIELD
};
static const guint8 event_of_number[] = {
#define EVENT(ID, NUMBER, ...) [NUMBER] = EVENT_##ID + 1,
#include "schema/events.def"
#undef EVENT
};

enum field field_by_number(unsigned number)
{
	if (number >= sizeof(field_of_number) || field_of_number[number] == 0)
		return FIELDS;
	return (enum field)(field_of_number[number] - 1);
}

enum event_type event_type_by_number(unsigned number)
{
	if (number >= sizeof(event_of_number) || event_of_number[number] == 0)
		return EVENT_TYPES;
	return (enum event_type)(event_of_number[number] - 1);
}

/* Open hash tables of the names, filled once: a name costs one hash and, nearly always, one
 * comparison. Twice as many places as names at least. */
#define NAME_PLACES 256
struct name_table {
	guint8 index[NAME_PLACES]; /* + 1; 0 = free */
};
static struct name_table field_names, event_names;

static unsigned name_hash(struct slice name)
{
	unsigned hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < name.n; i++)
		hash = (hash ^ (guint8)name.p[i]) * 16777619u;
	return (hash ^ hash >> 16) % NAME_PLACES;
}

static void name_add(struct name_table *table, const char *name, int index)
{
	unsigned at = name_hash(slice_str(name));

	while (table->index[at] != 0)
		at = (at + 1) % NAME_PLACES;
	table->index[at] = (guint8)(index + 1);
}

static void names_fill(void)
{
	static gsize done;

	if (!g_once_init_enter(&done))
		return;
	for (int i = 0; i < FIELDS; i++)
		name_add(&field_names, field_catalogue[i].name, i);
	for (int i = 0; i < EVENT_TYPES; i++)
		name_add(&event_names, event_catalogue[i].name, i);
	g_once_init_leave(&done, 1);
}

enum event_type event_type_by_name(struct slice name)
{
	names_fill();
	for (unsigned at = name_hash(name); event_names.index[at] != 0;
	        at = (at + 1) % NAME_PLACES) {
		int index = event_names.index[at] - 1;
		if (slice_eq(slice_str(event_catalogue[index].name), name))
			return (enum event_type)index;
	}
	return EVENT_TYPES;
}

enum field field_by_name(struct slice name)
{
	names_fill();
	for (unsigned at = name_hash(name); field_names.index[at] != 0;
	        at = (at + 1) % NAME_PLACES) {
		int index = field_names.index[at] - 1;
		if (slice_eq(slice_str(field_catalogue[index].name), name))
			return (enum field)index;
	}
	return FIELDS;
}

static const struct {
	enum event_type out, in;
} directions[] = {{EVENT_INJECTION, EVENT_RELAY_INJECTION}, {EVENT_DELIVERY, EVENT_RELAY_DELIVERY},
        {EVENT_DELAY, EVENT_RELAY_TEMPFAIL}, {EVENT_BOUNCE, EVENT_RELAY_PERMFAIL},
        {EVENT_POLICY_REJECTION, EVENT_RELAY_REJECTION}};

enum event_type event_outbound(enum event_type type)
{
	for (size_t i = 0; i < G_N_ELEMENTS(directions); i++)
		if (directions[i].in == type)
			return directions[i].out;
	return type;
}

enum event_type event_inbound(enum event_type type)
{
	for (size_t i = 0; i < G_N_ELEMENTS(directions); i++)
		if (directions[i].out == type)
			return directions[i].in;
	return type;
}

static bool has_bit(const guint64 set[2], enum field field)
{
	return (set[field / 64] >> (field % 64) & 1) != 0;
}

bool event_carries(enum event_type type, enum field field, enum api_generation generation)
{
	return has_bit(event_catalogue[type].fields, field) &&
	       (field_catalogue[field].generations & generation) != 0;
}

bool event_documents(enum event_type type, enum field field, enum api_generation generation)
{
	/* Webhook events are no results of a search. */
	return event_carries(type, field, generation) ||
	       (generation != API_WEBHOOK && has_bit(extra_fields[type], field));
}

/* Samples of single types, which win over that of the field. */
static const struct sample {
	enum event_type type;
	enum field field;
	const char *text;
} samples[] = {
#define SAMPLE(TYPE, FIELD, TEXT) {EVENT_##TYPE, FIELD_##FIELD, TEXT},
#include "schema/samples.def"
#undef SAMPLE
};

static const char *sample_text(enum event_type type, enum field field)
{
	for (size_t i = 0; i < G_N_ELEMENTS(samples); i++)
		if (samples[i].type == type && samples[i].field == field)
			return samples[i].text;
	return field_catalogue[field].sample;
}

/* Of the fields that live in members, only the event_id and the times depend on a sample. */
static void sample_member(struct event *event, enum field field)
{
	g_autoptr(GDateTime) time = NULL;

	switch (field) {
	case FIELD_EVENT_ID:
		event->id = g_ascii_strtoull(sample_text(event->type, field), NULL, 10);
		break;
	case FIELD_TIMESTAMP:
	case FIELD_INJECTION_TIME:
		time = g_date_time_new_from_iso8601(sample_text(event->type, field), NULL);
		*(field == FIELD_TIMESTAMP ? &event->time : &event->injected) =
		        g_date_time_to_unix(time) * 1000 + g_date_time_get_microsecond(time) / 1000;
		break;
	default:
		break;
	}
}

static void sample_field(struct event *event, enum field field)
{
	switch (field) {
	case FIELD_TYPE:
	case FIELD_EVENT_ID:
	case FIELD_TIMESTAMP:
	case FIELD_INJECTION_TIME:
		sample_member(event, field);
		break;
	default:
		event->field[field] = slice_str(sample_text(event->type, field));
	}
}

void catalogue_sample(struct event *event, enum event_type type)
{
	*event = (struct event){.type = type, .id = EVENT_NO_ID};
	for (int i = 0; i < FIELDS; i++)
		sample_field(event, (enum field)i);
}

static void sample_event(struct event *event, enum event_type type, enum api_generation generation)
{
	*event = (struct event){.type = type, .id = EVENT_NO_ID};
	for (int i = 0; i < FIELDS; i++)
		if (event_documents(type, (enum field)i, generation))
			sample_field(event, (enum field)i);
}

static void document_pair(
        GString *out, const char *name, const char *description, const char *sample)
{
	json_key(out, name);
	g_string_append_c(out, '{');
	json_member(out, "description", slice_str(description));
	json_member(out, "sampleValue", slice_str(sample));
	g_string_append_c(out, '}');
}

void catalogue_describe(GString *out, const char *display_name, const char *description)
{
	document_pair(out, "display_name", "Name of the event type for people", display_name);
	document_pair(out, "event_description", "What such an event means", description);
}

static void document_field(
        GString *out, const struct event *sample, enum field field, enum api_generation generation)
{
	const struct field_info *info = &field_catalogue[field];
	const char *mark = "";

	if (info->own)
		mark = " (postwake's own field)";
	else if (!event_carries(sample->type, field, generation))
		mark = " (postwake's addition to this type)";
	g_autofree char *text = g_strconcat(info->description, mark, NULL);
	json_key(out, info->name);
	g_string_append(out, "{\"description\":");
	json_quote(out, slice_str(text));
	json_key(out, "sampleValue");
	json_event_value(out, sample, field, generation);
	g_string_append_c(out, '}');
}

static void document_type(GString *out, enum event_type type, enum api_generation generation)
{
	const struct event_info *info = &event_catalogue[type];
	struct event sample;

	sample_event(&sample, type, generation);
	g_string_append_c(out, '{');
	for (int i = 0; i < FIELDS; i++)
		if (event_documents(type, (enum field)i, generation))
			document_field(out, &sample, (enum field)i, generation);
	catalogue_describe(out, info->display_name, info->description);
	g_string_append_c(out, '}');
}

/* Separates the elements of an array. */
static void element(GString *out)
{
	if (out->len > 0 && out->str[out->len - 1] != '[')
		g_string_append_c(out, ',');
}

void catalogue_documentation(GString *out, enum api_generation generation)
{
	g_string_append_c(out, '[');
	for (int i = 0; i < EVENT_TYPES; i++) {
		if ((event_catalogue[i].generations & generation) == 0)
			continue;
		element(out);
		document_type(out, (enum event_type)i, generation);
	}
	g_string_append_c(out, ']');
}

void catalogue_samples(GString *out, enum api_generation generation, const bool *types)
{
	struct event sample;

	g_string_append_c(out, '[');
	for (int i = 0; i < EVENT_TYPES; i++) {
		if ((event_catalogue[i].generations & generation) == 0 ||
		        (types != NULL && !types[i]))
			continue;
		element(out);
		sample_event(&sample, (enum event_type)i, generation);
		json_event(out, &sample, generation);
	}
	g_string_append_c(out, ']');
}
