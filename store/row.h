/* Packed rows: how an event and its message stand in a day file. */
#ifndef PW_STORE_ROW_H
#define PW_STORE_ROW_H

#include <glib.h>

#include "event/event.h"
#include "store/day.h"
#include "store/record.h"

/* Whether reasons of such an event are found by the reason filter: not those of deliveries. */
bool row_is_failure(enum event_type type);

/* Whether an event tells anything of a message. */
bool row_has_message(const struct event *event);

/* Hash of all that the event tells of its message: the same for the same content. */
uint64_t row_message_hash(const struct event *event, struct day_writer *writer);

/* Ids of the strings of a row that substring filters look at; 0: absent. */
struct row_texts {
	int64_t reason, raw_reason, subject;
};

/* Appends the packed form. Strings that come often enter the dictionaries of the day. Of an event
 * the ids of its reasons come out in *texts_r; the subject is the message's and left alone. */
int row_pack_message(
        GByteArray *out, struct day_writer *writer, const struct event *event, struct error *err);
int row_pack_event(GByteArray *out, struct day_writer *writer, const struct event *event,
        struct row_texts *texts_r, struct error *err);

/* A row as read. */
struct row {
	int64_t id; /* in the file */
	uint64_t arrival;
	struct slice body, message; /* message.p == NULL: none */
};

/* The event_id of a row, also where nothing else of it can be read; 0: it is cut off. */
uint64_t row_event_id(struct slice body);

/* Appends the event of a row as a record (store/record.h); returns -1 when the row is damaged. */
int row_unpack(GByteArray *out, struct day_reader *reader, const struct day *day,
        const struct row *row, struct row_texts *texts_r, struct error *err);

#endif
