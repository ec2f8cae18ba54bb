#include "event/ingest_write.h"

#include "base/clock.h"
#include "event/json.h"

/* Members of struct event come first, by hand; the others in the order of the catalogue. */
static void write_times(GString *out, const struct event *event, enum ingest_form form)
{
	int64_t time = event->time;
	char text[32];

	if (form == INGEST_PLAIN) /* rounds down, also before 1970 */
		time = (time - (time % CLOCK_SECOND + CLOCK_SECOND) % CLOCK_SECOND) / CLOCK_SECOND;
	g_snprintf(text, sizeof(text), "%" G_GINT64_FORMAT, time);
	json_member(out, field_catalogue[FIELD_TIMESTAMP].ingest_name, slice_str(text));
	if (event->injected == 0)
		return;
	json_key(out, field_catalogue[FIELD_INJECTION_TIME].ingest_name);
	json_event_value(out, event, FIELD_INJECTION_TIME, API_EVENTS);
}

static bool is_sent(enum field field, enum ingest_form form)
{
	return form == INGEST_EXTENDED || !field_catalogue[field].own || field == FIELD_NODE_NAME;
}

bool ingest_write(GString *out, const struct event *event, enum ingest_form form)
{
	const struct event_info *info = &event_catalogue[event->type];

	if (info->ingest_wrapper == NULL)
		return false;
	g_string_append(out, "{\"msys\":{\"");
	g_string_append(out, info->ingest_wrapper);
	g_string_append(out, "\":{");
	json_member(out, field_catalogue[FIELD_TYPE].ingest_name, slice_str(info->ingest_type));
	if (event->id != EVENT_NO_ID) {
		json_key(out, field_catalogue[FIELD_EVENT_ID].ingest_name);
		json_event_value(out, event, FIELD_EVENT_ID, API_EVENTS);
	}
	write_times(out, event, form);
	for (int i = FIELD_INJECTION_TIME + 1; i < FIELDS; i++) {
		enum field field = (enum field)i;
		if (!event_has(event, field) || !is_sent(field, form))
			continue;
		json_key(out, field_catalogue[field].ingest_name);
		json_event_value(out, event, field, API_EVENTS);
	}
	g_string_append(out, "}}}\n");
	return true;
}
