#include "event/ingest_docs.h"

#include "base/clock.h"
#include "event/ingest_check.h"
#include "event/json.h"

/* Whether a line of this type may hold the field: what any generation of the search APIs shows of
 * it, and what Ingest asks for. */
static bool listed(enum event_type type, enum field field)
{
	return event_carries(type, field, API_V1 | API_EVENTS | API_WEBHOOK) ||
	       ingest_flags(type, field) != 0;
}

/* The value as a line holds it: times in seconds since 1970, all else as in Events. */
static void sample_value(GString *out, const struct event *sample, enum field field)
{
	switch (field) {
	case FIELD_TYPE:
		json_quote(out, slice_str(event_catalogue[sample->type].ingest_type));
		break;
	case FIELD_TIMESTAMP:
		g_string_append_printf(
		        out, "\"%" G_GINT64_FORMAT "\"", sample->time / CLOCK_SECOND);
		break;
	case FIELD_INJECTION_TIME:
		g_string_append_printf(
		        out, "\"%" G_GINT64_FORMAT "\"", sample->injected / CLOCK_SECOND);
		break;
	default:
		json_event_value(out, sample, field, API_EVENTS);
	}
}

static void document_field(GString *out, const struct event *sample, enum field field)
{
	const struct field_info *info = &field_catalogue[field];
	unsigned flags = ingest_flags(sample->type, field);
	g_autofree char *text =
	        g_strconcat(info->description, info->own ? " (postwake's own field)" : "", NULL);

	json_key(out, info->ingest_name);
	g_string_append_c(out, '{');
	json_member(out, "description", slice_str(text));
	json_key(out, "sampleValue");
	sample_value(out, sample, field);
	if (flags & INGEST_REQUIRED)
		g_string_append(out, ",\"required\":true");
	if (flags & INGEST_REPORTING)
		g_string_append(out, ",\"reporting\":true");
	g_string_append_c(out, '}');
}

static void document_type(GString *out, enum event_type type)
{
	const struct event_info *info = &event_catalogue[type];
	g_autofree char *text =
	        g_strdup_printf("%s. Goes into %s", info->description, info->ingest_wrapper);
	struct event sample;

	catalogue_sample(&sample, type);
	g_string_append_c(out, '{');
	for (int i = 0; i < FIELDS; i++)
		if (listed(type, (enum field)i))
			document_field(out, &sample, (enum field)i);
	catalogue_describe(out, info->display_name, text);
	g_string_append_c(out, '}');
}

/* A recipient is told by its address, or by its hash and its domain: samples have the address. */
static bool in_sample(enum event_type type, enum field field)
{
	return listed(type, field) && field != FIELD_RCPT_HASH && field != FIELD_RCPT_DOMAIN;
}

static void sample_type(GString *out, enum event_type type)
{
	struct event sample;

	catalogue_sample(&sample, type);
	g_string_append_c(out, '{');
	for (int i = 0; i < FIELDS; i++) {
		if (!in_sample(type, (enum field)i))
			continue;
		json_key(out, field_catalogue[i].ingest_name);
		sample_value(out, &sample, (enum field)i);
	}
	g_string_append_c(out, '}');
}

static void element(GString *out, int i)
{
	if (i > 0 && out->str[out->len - 1] != '[')
		g_string_append_c(out, ',');
}

void ingest_documentation(GString *out)
{
	g_string_append_c(out, '[');
	for (int i = 0; i < EVENT_TYPES; i++) {
		element(out, i);
		document_type(out, (enum event_type)i);
	}
	g_string_append_c(out, ']');
}

void ingest_samples(GString *out, const bool *types)
{
	g_string_append_c(out, '[');
	for (int i = 0; i < EVENT_TYPES; i++) {
		if (types != NULL && !types[i])
			continue;
		element(out, i);
		sample_type(out, (enum event_type)i);
	}
	g_string_append_c(out, ']');
}

enum event_type ingest_type_by_name(struct slice name)
{
	for (int i = 0; i < EVENT_TYPES; i++)
		if (slice_eq(name, slice_str(event_catalogue[i].ingest_type)))
			return (enum event_type)i;
	return event_type_by_name(name);
}
