/* A stream is the log of one MTA instance. It counts lines that are the same in everything, and
 * knows when a log is read again.
 *
 * Two lines of one second that are the same in everything are two facts, unless the log, or a piece
 * of it, came twice (cat a.log a.log; pieces that overlap; a copied file). A *pass* is one reading
 * of a stretch of the log; equal lines are counted within it. */
#ifndef PW_TRACE_STREAM_H
#define PW_TRACE_STREAM_H

#include <glib.h>

#include "event/observation.h"

#define TRACE_SECONDS 16 /* seconds whose lines are counted; power of two */
#define TRACE_LATE 2     /* seconds that stamps of one pass step back: daemons stamp, then wait */

struct trace;

struct stream {
	struct slice node, instance; /* owned */
	unsigned number;
	int64_t opened;  /* time of its first line, -1 = none yet */
	bool has_milter; /* envelopes of it were joined */
	bool filtered;   /* a relay in internal_relays took a mail of it and queued it again */
	unsigned saved;  /* what of that the state store knows: enum of trace/state.c */
	bool began;      /* a line was noted */
	int64_t newest;  /* second of the newest line of this pass */
	uint64_t line;   /* hash of the last line */
	GHashTable *turned_away; /* process -> whom it refused last: reject.c; NULL = nobody */
	struct second {
		int64_t second;
		GHashTable *lines; /* hash of line -> hash of the line before it */
		GHashTable *facts; /* hash of line and recipient -> times seen */
		uint64_t first;    /* hash of its first line */
	} seconds[TRACE_SECONDS];
};

/* The stream of a line; made when it is new. */
struct stream *stream_of(struct trace *trace, struct slice node, struct slice instance);
void stream_free(struct stream *stream);

/* The next line of the log, whatever it means; before all else that is done with it. */
void stream_line(struct stream *stream, const struct observation *seen);
/* How often this very fact of the last line, `line`, was seen before in its second and pass; counts
 * it. */
unsigned stream_ordinal(
        struct stream *stream, const struct identity_line *line, struct slice recipient);

#endif
