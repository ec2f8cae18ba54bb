/* What Events Ingest asks of an event of each type (schema/ingest.def). */
#ifndef PW_EVENT_INGEST_CHECK_H
#define PW_EVENT_INGEST_CHECK_H

#include "base/error.h"
#include "event/catalogue.h"

/* What `…/ingest/events/documentation` says of a field, as bits. */
enum ingest_flag {
	INGEST_REQUIRED = 1,
	INGEST_REPORTING = 2,
};
unsigned ingest_flags(enum event_type type, enum field field);

/* Whether Events Ingest takes the event: with the fields that must be there (fewer than
 * documentation calls required) and without half of a pair. The error names the
 * field that is missing. Empty text counts as missing. */
int ingest_check(const struct event *event, struct error *err);

/* The same, and whether all is there that documentation calls required. */
int ingest_check_documented(const struct event *event, struct error *err);

#endif
