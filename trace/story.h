/* A story is a mail as its sender sees it: one message_id, one birth, one envelope. Messages share
 * it by counted references. */
#ifndef PW_TRACE_STORY_H
#define PW_TRACE_STORY_H

#include <glib.h>

#include "event/identity.h"
#include "trace/letter.h"
#include "trace/roster.h"
#include "trace/stream.h"

struct story {
	unsigned refs;
	bool shared;        /* several messages tell it, or did */
	bool letter_done;   /* its recipients were injected */
	bool letter_of_hop; /* `letter` saw a reinjection: enriches, but injects nobody */
	bool has_from;
	bool injected_blank; /* an injection without recipient was made */
	int64_t birth;       /* ms; 0 = not known yet, then message_id is empty */
	int64_t size;        /* -1 = not known */
	char message_id[IDENTITY_MESSAGE_ID_LEN + 1];
	char parent[IDENTITY_MESSAGE_ID_LEN + 1];
	const char *recv_method; /* static text or NULL */
	uint64_t transmission;   /* hash of message_id; 0 = not computed */
	GStringChunk *text;      /* what the slices below point to */
	struct slice from, header_message_id;
	struct slice client_host, client_ip, client_port, helo, auth_user;
	struct letter *letter;
	struct roster injected;
	GPtrArray *tellers; /* messages, when several */
};

struct story *story_new(void);
struct story *story_ref(struct story *story);
void story_unref(struct trace *trace, struct story *story);
void story_set(struct story *story, struct slice *member, struct slice value);
/* Of sender, Message-ID, size and parent, takes over from `other` what `story` does not know. */
void story_fill(struct story *story, const struct story *other);
/* Sets the birth and the message_id that follows from it. */
void story_name(
        struct story *story, const struct stream *stream, struct slice queue_id, int64_t birth);

#endif
