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
#include "trace/trace.h"

/* Bounds of the times that may belong to one life of a queue id, ms. */
#define TRACE_LINGER (2 * CLOCK_MINUTE)  /* an ended message waits for late lines */
#define TRACE_SKEW (10 * CLOCK_SECOND)   /* stamps of one moment differ at most */
#define TRACE_SLOW (1 * CLOCK_HOUR)      /* from the first command to the end of the data */
#define TRACE_VAGUE (300 * CLOCK_SECOND) /* envelope and log without a common instance */
#define TRACE_REREAD (2 * CLOCK_SECOND)  /* what a follower reads again after a restart */
#define TRACE_SECONDS 16                 /* seconds whose lines are counted; power of two */
#define TRACE_ENDED_MAX 20000            /* messages that linger at most */
#define TRACE_REPEAT_MAX 10000           /* occurrences that one line may stand for */
#define TRACE_REASON_MAX 2000            /* bytes of a deferral's text kept for its expiry */

/* ---- configuration: config.c ---- */

struct relay {
	unsigned char ip[16];
	unsigned first, last; /* ports */
};

struct sending_ip {
	struct slice program, ip, pool;
};

/* Parsed lists of trace_config. -1 with *err at the first wrong word. */
int relays_parse(GArray *relays, const char *text, struct error *err);
int sending_ips_parse(GArray *sending_ips, const char *text, struct error *err);

/* An empty port means any. */
bool relays_hold(const GArray *relays, struct slice ip, struct slice port);

/* ---- one MTA instance: stream.c ---- */

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

/* ---- recipients: roster.c ---- */

struct recipient {
	struct slice name; /* in lower case; with orig_to= "to NUL orig_to" */
	guint hash;
	bool deferred;     /* the last try was */
	uint32_t earlier;  /* tries before `second` */
	int64_t second;    /* of the last tries */
	uint64_t tries[4]; /* their event_ids, so that a line read again is no new try */
	unsigned n_tries;
	/* The last temporary failure, one block at `failure`. */
	char *failure;
	struct slice to, orig_to, dsn, code, reason;
};

struct roster {
	GPtrArray *list; /* NULL while empty */
	GHashTable *index;
};

struct recipient *roster_find(const struct roster *roster, struct slice to, struct slice orig_to);
/* Finds or adds. */
struct recipient *roster_take(struct roster *roster, struct slice to, struct slice orig_to);
struct recipient *roster_add_name(struct roster *roster, struct slice lower_name);
unsigned roster_size(const struct roster *roster);
struct recipient *roster_at(const struct roster *roster, unsigned i);
void roster_clear(struct roster *roster);

/* Counts a try; returns how many there were before it. */
uint32_t recipient_try(struct recipient *recipient, int64_t time, uint64_t event_id);
void recipient_deferred(struct recipient *recipient, struct slice to, struct slice orig_to,
        struct slice dsn, struct slice code, struct slice reason);
void recipient_settled(struct recipient *recipient);

/* ---- what the milter saw: letter.c ---- */

struct held_field {
	enum field field;
	struct slice value;
};

struct letter {
	GStringChunk *text;
	struct held_field *field;
	unsigned n_fields;
	struct envelope_recipient *recipient;
	unsigned n_recipients;
	GHashTable *index; /* lower-case address -> recipient; made at need */
};

struct letter *letter_new(const struct envelope *envelope);
void letter_free(struct letter *letter);
/* The recipient of an address, without regard to case; NULL when there is none. */
const struct envelope_recipient *letter_find(struct letter *letter, struct slice address);

/* ---- stories: story.c ---- */

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
/* Sets the birth and the message_id that follows from it. */
void story_name(
        struct story *story, const struct stream *stream, struct slice queue_id, int64_t birth);

/* ---- messages: message.c ---- */

struct message_key {
	struct stream *stream;
	struct slice queue_id;
};

struct message {
	struct message_key key; /* first member: the table looks up by it */
	struct story *story;
	struct roster tried;
	int64_t first;          /* time of the first line (or of what made us know of it) */
	int64_t active_at;      /* first "queue active"; 0 = not yet */
	int64_t touched;        /* time of the last line */
	int64_t ended_at;       /* 0 = open */
	int64_t deadline;       /* when a missing envelope counts as missed */
	GList life, wait, dirt; /* nodes in trace->open or ->ended, ->missing, ->dirty */
	unsigned own : 1;       /* a line of its own was seen */
	unsigned born : 1;      /* its birth line was seen */
	unsigned client : 1;    /* the birth line was smtpd's or pickup's */
	unsigned internal : 1;  /* its client is a content filter, perhaps */
	unsigned joined : 1;    /* its story is that of the message that it continues */
	unsigned hop : 1;       /* it is a reinjection: injects nobody */
	unsigned hopped : 1;    /* a filter queued it again as another message */
	unsigned attempted : 1;
	unsigned probe : 1;     /* address verification, no mail */
	unsigned cancelled : 1; /* refused or discarded after it had a queue id */
	unsigned indexed : 1;   /* in trace->by_header */
	unsigned waiting : 1, dirty : 1;
	unsigned stored : 1;   /* the state store holds a value of it */
	unsigned restored : 1; /* it came from there */
	char id[];
};

guint message_key_hash(gconstpointer key);
gboolean message_key_equal(gconstpointer a, gconstpointer b);

/* Birth (ms, whole seconds) that a long queue id tells, or 0; `near` is a time of its life. */
int64_t queue_id_birth(struct slice queue_id, int64_t near);

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
/* A later line shows that it goes on. */
void message_reopen(struct trace *trace, struct message *message);
/* Forgets it; `keep` leaves its value in the state store. */
void message_drop(struct trace *trace, struct message *message, bool keep);
/* It tells another story from now on. */
void message_retell(struct trace *trace, struct message *message, struct story *story);
void messages_sweep(struct trace *trace);
void messages_evict(struct trace *trace);

/* ---- joining: join.c (envelopes), hops.c (queue ids), inject.c ---- */

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
void join_sweep(struct trace *trace);
void orphan_insert(struct trace *trace, struct orphan *orphan);
void orphan_free(struct orphan *orphan);
struct orphan *orphan_new(
        struct slice node, struct slice instance, struct slice queue_id, struct slice from);

/* A reinjection said whose message it continues (XFORWARD, postsuper -r). */
void hop_from(struct trace *trace, struct message *message, const struct observation *seen);
/* A delivery into a filter said which message continues it. */
void hop_to(struct trace *trace, struct message *message, struct slice new_queue_id, int64_t time);
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

void inject_letter(struct trace *trace, struct message *message);
/* For a recipient that the log names, unless its envelope was injected. */
void inject_recipient(
        struct trace *trace, struct message *message, struct slice to, struct slice orig_to);
void inject_blank(struct trace *trace, struct message *message);
/* The injections of a mail that only the milter saw. */
void inject_orphan(
        struct trace *trace, struct stream *stream, struct orphan *orphan, struct story *story);

/* ---- facts that are events: attempt.c, reject.c ---- */

void attempt_feed(struct trace *trace, struct message *message, const struct observation *seen);
void expired_feed(struct trace *trace, struct message *message, const struct observation *seen);
void reject_feed(struct trace *trace, struct stream *stream, const struct observation *seen);

/* ---- events in the making: build.c ---- */

struct draft {
	struct event event;
	struct trace *trace;
};

void draft_begin(struct draft *draft, struct trace *trace, enum event_type type);
void draft_story(struct draft *draft, struct story *story, const struct stream *stream,
        struct slice queue_id);
void draft_recipient(
        struct draft *draft, struct letter *letter, struct slice to, struct slice orig_to);
void draft_failure(
        struct draft *draft, struct slice raw_reason, struct slice dsn, struct slice code);
void draft_number(struct draft *draft, enum field field, int64_t value);
void draft_set(struct draft *draft, enum field field, struct slice value);
void draft_emit(struct draft *draft);
struct slice draft_printf(struct trace *trace, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* "ip:port"; absent without an address. */
struct slice draft_address(struct trace *trace, struct slice ip, struct slice port);

/* ---- state: state.c ---- */

void state_message_key(GString *out, const struct message *message);
void state_orphan_key(GString *out, const struct orphan *orphan);
struct message *state_load(struct trace *trace, struct stream *stream, struct slice queue_id);

/* ---- the correlator ---- */

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
	GHashTable *by_header; /* Message-ID -> message on its way into a filter */
	GQueue open, ended, missing, dirty;
	GQueue orphans;           /* by deadline */
	GHashTable *orphan_index; /* queue id -> GSList of struct orphan */
	GPtrArray *gone;          /* GString keys to be forgotten by the state store */
	unsigned dirty_orphans;
	bool unsorted; /* restored orphans are out of order */
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

/* g_ascii_tolower is a call for each byte. */
static inline char lower_of(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline struct slice recipient_name(struct slice to, struct slice orig_to)
{
	return orig_to.p != NULL && orig_to.n > 0 ? orig_to : to;
}

#endif
