/* A stream is the log of one MTA instance. It counts lines that are the same in everything. */
#ifndef PW_TRACE_STREAM_H
#define PW_TRACE_STREAM_H

#include <glib.h>

#include "event/identity.h"

#define TRACE_SECONDS 16 /* seconds whose lines are counted; power of two */

struct trace;

struct stream {
	struct slice node, instance; /* owned */
	unsigned number;
	int64_t opened;  /* time of its first line, -1 = none yet */
	bool has_milter; /* envelopes of it were joined */
	bool filtered;   /* a relay in internal_relays took a mail of it and queued it again */
	struct {
		int64_t second;
		GHashTable *seen; /* hash of line and recipient -> times seen */
	} seconds[TRACE_SECONDS];
};

/* The stream of a line; made when it is new. */
struct stream *stream_of(struct trace *trace, struct slice node, struct slice instance);
void stream_free(struct stream *stream);

/* How often this very fact was seen before within its second; counts it. */
unsigned stream_ordinal(
        struct stream *stream, const struct identity_line *line, struct slice recipient);

#endif
