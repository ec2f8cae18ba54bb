/* Server-Sent Events (HTML living standard, 9.2.6) as they come in, piece by piece. */
#ifndef PW_CLI_SSE_H
#define PW_CLI_SSE_H

#include <glib.h>

#include "base/slice.h"

/* The data of an event. Valid during the call. */
typedef void sse_found(void *ctx, struct slice data);

struct sse {
	sse_found *found;
	void *ctx;
	GString *line; /* what came of a line that has no end yet */
	GString *data; /* data of the event that is being read */
	GString *next; /* its id, or that of the one before */
	GString *
	        id; /* of the last event that came to its end: from where to resume; "" before it */
};

void sse_init(struct sse *sse, sse_found *found, void *ctx);
void sse_clear(struct sse *sse);

void sse_feed(struct sse *sse, struct slice bytes);

/* Forgets an event that did not come to its end: the connection was lost. */
void sse_restart(struct sse *sse);

#endif
