/* The roll-up of a day: how many events of each type and bounce class each minute holds. */
#ifndef PW_STORE_ROLLUP_H
#define PW_STORE_ROLLUP_H

#include <glib.h>

#include "event/event.h"
#include "store/day.h"

/* Gathers the events of a commit, which come in the order of their rows. */
struct rollup {
	int64_t minute; /* of the day; -1: none yet */
	GArray *cells;  /* of that minute */
};
void rollup_start(struct rollup *rollup);
int rollup_add(struct rollup *rollup, struct day_writer *writer, int64_t row,
        const struct event *event, struct error *err);
/* The bounce class that an event is counted under; -1: none. */
int64_t rollup_class(const struct event *event);
/* Writes what is left. */
int rollup_end(struct rollup *rollup, struct day_writer *writer, struct error *err);
void rollup_clear(struct rollup *rollup);

/* Counts a stored event as what it became; then removes what counts nothing any more. */
int rollup_move(struct day_writer *writer, int64_t row, const struct event *before,
        const struct event *after, struct error *err);
int rollup_tidy(struct day_writer *writer, struct error *err);

#endif
