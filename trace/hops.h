/* Links between queue ids: what continues a mail and what was made of it. */
#ifndef PW_TRACE_HOPS_H
#define PW_TRACE_HOPS_H

#include "trace/message.h"

/* A reinjection said whose message it continues (XFORWARD, postsuper -r). */
void hop_from(struct trace *trace, struct message *message, const struct observation *seen);
/* A delivery into a filter (or into the MTA of this host) said which message continues it. */
void hop_to(struct trace *trace, struct message *message, struct slice new_queue_id, int64_t time,
        bool filter);
/* Joins a submission client's message to the one that continues it, where that has told its fate
 * already. */
void hop_ahead(struct trace *trace, struct message *message, struct slice new_queue_id);
/* Looks for the message that a reinjection without XFORWARD continues. */
struct message *hop_like(struct trace *trace, struct message *message);
void hop_join(struct trace *trace, struct message *message, struct message *old);
void hop_index(struct trace *trace, struct message *message);
void hop_unindex(struct trace *trace, struct message *message);
void link_parent(struct trace *trace, struct stream *stream, struct slice child, const char *parent,
        int64_t time);
/* message_id of a message that may be unknown; false when nothing tells it. */
bool message_id_of(struct trace *trace, struct stream *stream, struct slice queue_id, int64_t time,
        char id[IDENTITY_MESSAGE_ID_LEN + 1]);

#endif
