/* What the returned header of a mail tells of it beyond RFC 5322: the fields that the milter reads
 * from X-MSYS-API and by its header map. For reports about mails that the store does not know. */
#ifndef PW_CAPTURE_LETTERHEAD_H
#define PW_CAPTURE_LETTERHEAD_H

#include "event/event.h"
#include "milter/header_map.h"

struct letterhead {
	struct slice field[FIELDS]; /* absent = SLICE_NONE */
	GPtrArray *texts;           /* what they point into */
};

/* `block`: a header whose lines end in \n, or NULL; `recipient`: whose own metadata and tags count,
 * or NULL. What is no JSON is passed over. mime_init must have been called. */
void letterhead_read(struct letterhead *head_r, const struct header_map *map, const char *block,
        const char *recipient);
void letterhead_clear(struct letterhead *head);

#endif
