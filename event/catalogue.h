/* The vocabulary as data, from schema/events.def and schema/fields.def: names, descriptions,
 * samples, and which type carries which field. */
#ifndef PW_EVENT_CATALOGUE_H
#define PW_EVENT_CATALOGUE_H

#include <glib.h>

#include "event/event.h"

/* How a field stands in JSON. */
enum field_json {
	FIELD_JSON_STRING,
	FIELD_JSON_INTEGER, /* a JSON number, in every API generation */
	FIELD_JSON_ACCOUNT, /* a string in API v1, a number in Events (customer_id, subaccount_id)
	                     */
	FIELD_JSON_BOOLEAN,
	FIELD_JSON_OBJECT,  /* JSON object as text, copied */
	FIELD_JSON_STRINGS, /* JSON array as text, copied */
	FIELD_JSON_TIME,    /* made from a member of struct event */
};

/* Whether a field is the same for all events of a message (stored once) or told by each event. */
enum field_scope { FIELD_OF_MESSAGE, FIELD_OF_EVENT };

enum api_generation { API_V1 = 1, API_EVENTS = 2, API_WEBHOOK = 4 };

struct field_info {
	const char *name;        /* in the search APIs */
	const char *ingest_name; /* in Events Ingest lines */
	unsigned number;         /* in stored rows: never changes, never reused */
	enum field_json json;
	enum field_scope scope;
	unsigned generations; /* enum api_generation bits: where documentation lists it */
	bool own;             /* postwake's own, unknown to the APIs that we speak */
	bool kept;            /* in no result: only calls that name it show it */
	const char *sample;   /* text as struct event holds it */
	const char *description;
};
extern const struct field_info field_catalogue[FIELDS];

struct event_info {
	const char *name;         /* bounce */
	const char *display_name; /* Bounce */
	const char *description;
	const char *ingest_wrapper; /* message_event */
	const char *ingest_type;    /* inband */
	unsigned number;            /* in stored rows: never changes */
	unsigned generations;       /* enum api_generation bits: where documentation lists it */
	guint64 fields[2];          /* bit set by enum field: which fields it may carry */
};
extern const struct event_info event_catalogue[EVENT_TYPES];

/* EVENT_TYPES when there is no such type. */
enum event_type event_type_by_name(struct slice name);
enum event_type event_type_by_number(unsigned number);

/* The type that the same fact has for mail that goes out (EVENT_DELIVERY of EVENT_RELAY_DELIVERY),
 * and for mail that comes in for domains of ours; other types are themselves. */
enum event_type event_outbound(enum event_type type);
enum event_type event_inbound(enum event_type type);

/* FIELDS when there is no such field. */
enum field field_by_name(struct slice name);
enum field field_by_number(unsigned number);

/* Whether the documentation of `generation` lists `field` for such an event; our own fields count
 * in every generation, but those that are kept. Results show each other field that an event holds,
 * listed or not. */
bool event_carries(enum event_type type, enum field field, enum api_generation generation);

/* Whether our own documentation lists it: also what our results carry beyond the documentation of
 * the API (schema/extras.def). */
bool event_documents(enum event_type type, enum field field, enum api_generation generation);

/* The `results` arrays of …/events/documentation and …/events/samples (contract, 1.3), appended
 * as JSON text. `types` limits samples: a bool for each type, NULL = all of the generation. */
void catalogue_documentation(GString *out, enum api_generation generation);
void catalogue_samples(GString *out, enum api_generation generation, const bool *types);

/* Appends the two members that documentation has beside the fields of a type: display_name and
 * event_description. */
void catalogue_describe(GString *out, const char *display_name, const char *description);

/* An event of the type with the sample of every field that there is. Its bytes are constant. */
void catalogue_sample(struct event *event_r, enum event_type type);

#endif
