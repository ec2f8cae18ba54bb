/* Envelopes that wait for the log to say whose they are. */
#ifndef PW_TRACE_JOIN_H
#define PW_TRACE_JOIN_H

#include "trace/message.h"

#define TRACE_VAGUE (300 * CLOCK_SECOND) /* envelope and log without a common instance */

struct orphan {
	GList node;                                         /* in trace->orphans */
	struct slice stream_node, instance, queue_id, from; /* absent where not told */
	char *block;
	int64_t time, deadline;
	int64_t size;
	struct letter *letter;
	bool dirty, stored;
};

enum ledger_class join_envelope(struct trace *trace, const struct observation *seen);
/* Looks for the envelope of a message whose fate the log has told. */
void join_settle(struct trace *trace, struct message *message);
void join_sort(struct trace *trace);
void join_sweep(struct trace *trace);
void orphan_insert(struct trace *trace, struct orphan *orphan);
void orphan_free(struct orphan *orphan);
/* Takes it out of the trace and frees it; the state store is to forget it. */
void orphan_drop(struct trace *trace, struct orphan *orphan);
struct orphan *orphan_new(
        struct slice node, struct slice instance, struct slice queue_id, struct slice from);

#endif
