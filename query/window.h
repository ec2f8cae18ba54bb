/* The window of time of a search: `from` and `to` as API v1 and the Events API write them, and
 * their defaults. */
#ifndef PW_QUERY_WINDOW_H
#define PW_QUERY_WINDOW_H

#include "query/fault.h"

#define WINDOW_TEXT_MAX 24

struct window {
	int64_t from, to;                /* ms: from <= time < to */
	char from_text[WINDOW_TEXT_MAX]; /* as links carry it, local time; empty for an open end */
	char to_text[WINDOW_TEXT_MAX];
};

struct window_request {
	struct slice from, to; /* as received; absent = default */
	GTimeZone *zone;
	int64_t now;    /* ms */
	int64_t length; /* ms from the default of `from` to `to` */
	bool open;      /* an absent end has no default but is open */
	bool events;    /* of the Events API: seconds, a Z may follow, `to` itself is not in it */
};

/* YYYY-MM-DDTHH:MM, or with :SS, which API v1 has not, in ms as if it were UTC; *unit_r: ms of the
 * minute or second that it names. False, and both stay, where it is none. */
bool window_parse_local(struct slice text, int64_t *local_r, int64_t *unit_r);

/* Works the window out; adds what is wrong to `faults`. The minute (or second) that `to` names
 * belongs to the window; one that the clocks skip has no length. A default is first written as the
 * text that links carry and then read like any other, so that following a link means the same
 * window. */
void window_read(
        const struct window_request *request, struct window *window_r, struct faults *faults);

#endif
