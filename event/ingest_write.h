/* One event as one line of an Events Ingest batch (contract, 4): {"msys":{WRAPPER:{…}}}\n. */
#ifndef PW_EVENT_INGEST_WRITE_H
#define PW_EVENT_INGEST_WRITE_H

#include <glib.h>

#include "event/event.h"

enum ingest_form {
	/* What the service knows: `timestamp` in whole seconds since 1970 as a string, account
	 * numbers as numbers, no fields of our own (but node_name, which its samples have). */
	INGEST_PLAIN,
	/* For another postwake: our own fields too, and `timestamp` in milliseconds. */
	INGEST_EXTENDED,
};

/* Appends the line. False, and nothing is appended, for a type that is not uploaded. */
bool ingest_write(GString *out, const struct event *event, enum ingest_form form);

#endif
