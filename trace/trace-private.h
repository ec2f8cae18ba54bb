/* What the files of trace/ share. Users of the correlator include trace/trace.h only.
 *
 * A *story* is a mail as the sender sees it: one message_id, one birth, one envelope. A *message*
 * is a queue file, that is a queue id and its life; a mail that goes through a content filter has
 * several messages and one story. A *letter* is the milter's account of a mail; until the log says
 * whose it is, it waits as an *orphan*. */
#ifndef PW_TRACE_PRIVATE_H
#define PW_TRACE_PRIVATE_H

#include <glib.h>

#include "base/clock.h"
#include "base/error.h"
#include "trace/birth.h"
#include "trace/config.h"
#include "trace/draft.h"
#include "trace/hops.h"
#include "trace/inject.h"
#include "trace/join.h"
#include "trace/message.h"
#include "trace/trace.h"

#define TRACE_REPEAT_MAX OBSERVATION_REPEAT_MAX

/* ---- facts that are events: attempt.c, reject.c ---- */

void attempt_feed(struct trace *trace, struct message *message, const struct observation *seen);
void expired_feed(struct trace *trace, struct message *message, const struct observation *seen);
void reject_feed(struct trace *trace, struct stream *stream, const struct observation *seen);
/* A process takes a message: whom it refused to the same client just before, when there was no
 * queue id yet, is none of its recipients. */
void reject_settle(struct trace *trace, struct message *message, const struct observation *seen);

/* ---- state: state.c ---- */

void state_message_key(GString *out, const struct message *message);
void state_orphan_key(GString *out, const struct orphan *orphan);
struct message *state_load(struct trace *trace, struct stream *stream, struct slice queue_id);

/* ---- the correlator: trace.c ---- */

struct trace {
	struct trace_config config; /* numbers only; texts below */
	struct trace_hooks hooks;
	char *customer_id, *subaccount_id, *sending_text;
	GArray *relays;
	GArray *sending_ips;
	int64_t clock;
	unsigned emitted; /* by the call that runs */
	struct trace_counts counts;

	GPtrArray *streams;
	struct stream *last_stream;
	GHashTable *messages;  /* struct message_key -> struct message */
	GHashTable *stories;   /* message_id -> shared story */
	GHashTable *by_header; /* slice of its Message-ID -> message on its way into a filter */
	GQueue open, ended, dirty;
	GQueue orphans;           /* by deadline */
	GHashTable *orphan_index; /* queue id -> GSList of struct orphan */
	GHashTable *gone;         /* GString keys that the state store is to forget */
	GHashTable *forgotten; /* keys of which the last save said so: perhaps not committed yet */
	unsigned round;        /* number of the last save */
	unsigned dirty_orphans;
	bool unsorted; /* restored messages and orphans are out of order */
	bool evicted;  /* the state store holds messages that the memory does not */

	/* Scratch of one event. */
	char *block;
	size_t used;
	GPtrArray *extra;
	GString *reason;
};

static inline int64_t second_of(int64_t ms)
{
	return ms >= 0 ? ms / CLOCK_SECOND : (ms - CLOCK_SECOND + 1) / CLOCK_SECOND;
}

static inline struct slice recipient_name(struct slice to, struct slice orig_to)
{
	return orig_to.p != NULL && orig_to.n > 0 ? orig_to : to;
}

#endif
