/* Reads one line of Events Ingest (contract, 4): {"msys":{WRAPPER:{fields}}}. */
#ifndef PW_EVENT_INGEST_READ_H
#define PW_EVENT_INGEST_READ_H

#include <glib.h>

#include "base/error.h"
#include "event/event.h"

#define INGEST_LINE_MAX (256 * 1024)
#define INGEST_DEPTH_MAX 32 /* of objects and arrays inside of a field */

struct ingest_line {
	struct event event; /* its slices live as long as the line */
	unsigned unknown;   /* fields that we have no place for, passed over */
	void *json;         /* what the slices point to … */
	GPtrArray *texts;   /* … and what was made of it */
};

/* Reads a line (without its newline). Values may be of any JSON type that means the same: numbers
 * and booleans as strings, and the reverse; null is absent. `type` is the name that belongs to the
 * wrapper, or that of the search APIs; a time is in seconds or (from 100,000,000,000 up)
 * milliseconds since 1970, or as the search APIs write it. What search results derive is derived:
 * rcpt_to in lower case, recipient_domain, sending_domain.
 *
 * 0, or -1 with *err, which names the field. Does not ask whether all is there: ingest_check.
 * *line_r is to be cleared in both cases. */
int ingest_read(struct slice text, struct ingest_line *line_r, struct error *err);
void ingest_line_clear(struct ingest_line *line);

#endif
