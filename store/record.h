/* An event as flat bytes in a buffer of the process: how batches and results hold events. */
#ifndef PW_STORE_RECORD_H
#define PW_STORE_RECORD_H

#include <glib.h>

#include "event/event.h"

/* Appends an event in steps: begin, its fields, end. `at` is the offset of the record. */
struct record {
	GByteArray *out;
	size_t at;
};
struct record record_begin(GByteArray *out);
void record_field(struct record *record, enum field field, struct slice value);
/* Room for a value of n bytes that the caller fills in before the next call. */
char *record_room(struct record *record, enum field field, size_t n);
/* The value of a field that was appended before; absent otherwise. Valid until the next append. */
struct slice record_find(const struct record *record, enum field field);
/* The members of `head` but its fields. */
void record_end(struct record *record, const struct event *head);

/* Appends a whole event; returns its offset. */
size_t record_put(GByteArray *out, const struct event *event);

/* The event at an offset; slices point into the buffer. Returns the offset of the next one. */
size_t record_get(const GByteArray *in, size_t at, struct event *event_r);

#endif
