/* What a day file holds of the seconds that commits touched lately: event ids, to know what is
 * there, and the next free order. */
#ifndef PW_STORE_SECONDS_H
#define PW_STORE_SECONDS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct seconds {
	GHashTable *known;  /* second of the day -> struct second */
	GHashTable *events; /* struct seconds_event: itself -> itself */
	struct second *last;
	int64_t last_row; /* greatest row id of the file, -1: none; what is beyond needs no look */
	bool loaded;
};

void seconds_init(struct seconds *seconds);
void seconds_free(struct seconds *seconds);

/* Forgets all: after a commit that failed, or when it has grown too much. */
void seconds_clear(struct seconds *seconds);
/* At the start of a commit. */
void seconds_trim(struct seconds *seconds);

/* Finds a row for an event at `ms` of the day: 1 with *row_r, or 0 when the event is there already,
 * or -1. Orders count through a second, so that they follow the order of the log whatever becomes
 * of the milliseconds; a second that has used them up goes on behind its last row. */
struct day_writer;
int seconds_place(struct day_writer *writer, int64_t ms, uint64_t event_id, int64_t *row_r,
        struct error *err);

#endif
