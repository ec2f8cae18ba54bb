/* The event: what happened to one recipient of one mail. The record that every folder speaks.
 *
 * Types and fields come from schema/events.def and schema/fields.def; see event/catalogue.h for
 * their names and descriptions. */
#ifndef PW_EVENT_EVENT_H
#define PW_EVENT_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* EVENT_BOUNCE, EVENT_DELIVERY, …: one for each row of schema/events.def, in its order. */
enum event_type {
#define EVENT(ID, ...) EVENT_##ID,
#include "schema/events.def"
#undef EVENT
	EVENT_TYPES
};

/* FIELD_RCPT_TO, FIELD_REASON, …: one for each row of schema/fields.def, in its order. */
enum field {
#define FIELD(ID, ...) FIELD_##ID,
#include "schema/fields.def"
#undef FIELD
	FIELDS
};

#define EVENT_ID_MAX INT64_MAX
#define EVENT_NO_ID UINT64_MAX /* of an event that was not given one */

/* An event owns none of its bytes: slices point to what the maker of the event holds.
 *
 * Fields hold text as it stands between the quotes of JSON before escaping (UTF-8 or raw bytes;
 * the JSON writer replaces what is not UTF-8). Numbers are decimal text. Fields of JSON kind OBJECT
 * and STRINGS hold JSON text. FIELD_TYPE, FIELD_EVENT_ID, FIELD_TIMESTAMP and FIELD_INJECTION_TIME
 * stay absent: the members below hold them. */
struct event {
	enum event_type type;
	uint64_t id;      /* event_id, up to EVENT_ID_MAX; ours is a content hash from 1 up */
	int64_t time;     /* ms; when it happened */
	int64_t injected; /* ms; when the message entered the MTA; 0 = unknown */
	uint64_t row;     /* row id of the store: ms << 16 | order; 0 outside the store */
	uint64_t arrival; /* arrival number of the store; 0 outside the store */
	/* The first injection of a mail whose envelope the milter should have had and had not: the
	 * store counts it as milter_missed when it is new, and does not keep this. */
	bool missed;
	struct slice field[FIELDS];
};

static inline bool event_has(const struct event *event, enum field field)
{
	return event->field[field].p != NULL;
}

#endif
