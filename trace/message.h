/* A message is a queue file: a queue id and its life. A mail that goes through a content filter has
 * several messages and one story. */
#ifndef PW_TRACE_MESSAGE_H
#define PW_TRACE_MESSAGE_H

#include <glib.h>

#include "base/clock.h"
#include "event/observation.h"
#include "trace/story.h"

/* Bounds of the times that may belong to one life of a queue id, ms. */
#define TRACE_LINGER (2 * CLOCK_MINUTE) /* an ended message waits for late lines */
#define TRACE_SKEW (10 * CLOCK_SECOND)  /* stamps of one moment differ at most */
#define TRACE_SLOW (1 * CLOCK_HOUR)     /* from the first command to the end of the data */
#define TRACE_REREAD (2 * CLOCK_SECOND) /* what a follower reads again after a restart */
#define TRACE_ENDED_MAX 10000           /* messages that linger at most: 10 MB */
#define TRACE_UNSAVED_MAX 1000          /* messages over the bound between two saves */

struct message_key {
	struct stream *stream;
	struct slice queue_id;
};

struct message {
	struct message_key key; /* first member: the table looks up by it */
	struct story *story;
	struct roster tried;
	struct roster refused; /* by a milter behind ours: no recipients of it, letter or not */
	int64_t first;         /* time of the first line (or of what made us know of it) */
	int64_t active_at;     /* first "queue active"; 0 = not yet */
	int64_t touched;       /* time of the last line */
	int64_t ended_at;      /* 0 = open */
	unsigned expected;     /* recipients, where the MTA does not log the end; 0 = not told */
	unsigned round;        /* of the save that wrote it */
	GList life, dirt;      /* nodes in trace->open or ->ended, ->dirty */
	unsigned own : 1;      /* a line of its own was seen */
	unsigned born : 1;     /* its birth line was seen */
	unsigned client : 1;   /* the birth line was smtpd's or pickup's */
	unsigned internal : 1; /* its client is a content filter, perhaps */
	unsigned joined : 1;   /* its story is that of the message that it continues */
	unsigned hop : 1;      /* it is a reinjection: injects nobody */
	unsigned hopped : 1;   /* a filter queued it again as another message */
	unsigned attempted : 1;
	unsigned probe : 1;     /* address verification, no mail */
	unsigned cancelled : 1; /* refused or discarded after it had a queue id */
	unsigned indexed : 1;   /* in trace->by_header */
	unsigned dirty : 1;
	unsigned stored : 1;   /* the state store holds a value of it */
	unsigned restored : 1; /* it came from there */
	char id[];
};

guint message_key_hash(gconstpointer key);
gboolean message_key_equal(gconstpointer a, gconstpointer b);

/* The message of this queue id as far as we know it, from memory or the state store; or NULL. */
struct message *message_known(struct trace *trace, struct stream *stream, struct slice queue_id);
/* The message that a line is about; made where it is new. */
struct message *message_of(
        struct trace *trace, struct stream *stream, const struct observation *seen);
/* A message that another line told of; it has no line of its own yet. */
struct message *message_stub(
        struct trace *trace, struct stream *stream, struct slice queue_id, int64_t time);
struct message *message_insert(struct trace *trace, struct stream *stream, struct slice queue_id);

void message_changed(struct trace *trace, struct message *message);
void message_touch(struct trace *trace, struct message *message, int64_t time);
/* It left the queue; it stays known for TRACE_LINGER. */
void message_end(struct trace *trace, struct message *message, int64_t time);
/* The same where the MTA does not say so: when the recipients it told of have their outcome. */
void message_end_if_final(struct trace *trace, struct message *message, int64_t time);
/* A later line shows that it goes on. */
void message_reopen(struct trace *trace, struct message *message);
/* Forgets it; `keep` leaves its value in the state store. */
void message_drop(struct trace *trace, struct message *message, bool keep);
/* It tells another story from now on. */
void message_retell(struct trace *trace, struct message *message, struct story *story);
/* Restored messages come in no order. */
void messages_sort(struct trace *trace);
void messages_sweep(struct trace *trace);
void messages_evict(struct trace *trace);

#endif
