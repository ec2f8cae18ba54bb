/* Puts an event into a day file: its message, its row, its index terms and its count. */
#ifndef PW_STORE_PUT_H
#define PW_STORE_PUT_H

#include <glib.h>

#include "event/event.h"
#include "store/day.h"
#include "store/rollup.h"

struct day_put {
	GByteArray *body;
	GArray *terms;        /* guint64, of the event at work */
	struct rollup rollup; /* started and ended by the caller */
};
void day_put_init(struct day_put *put);
void day_put_clear(struct day_put *put);

/* Within a transaction; rows ascend. The caller ends it with rollup_end and day_writer_flush. */
int day_put_event(struct day_put *put, struct day_writer *writer, int64_t row, uint64_t arrival,
        const struct event *event, struct error *err);

#endif
