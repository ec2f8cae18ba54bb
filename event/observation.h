/* An observation: one fact as one source saw it. Sources (logtail/, milter/) know syntax; what it
 * means for a mail is decided in trace/. All slices belong to the source and are valid only during
 * the call that hands the observation on. */
#ifndef PW_EVENT_OBSERVATION_H
#define PW_EVENT_OBSERVATION_H

#include "event/event.h"
#include "event/identity.h"
#include "event/ledger.h"

enum observation_kind {
	OBSERVATION_NONE,     /* the line means nothing to us; `rule` names why */
	OBSERVATION_UNPARSED, /* a line of an MTA that no rule knows */
	OBSERVATION_LOSS,     /* who writes the log says that lines were lost before it: reason */

	/* Facts about a message under a queue id. */
	/* A server took a message: client_*, sasl_username, orig_queue_id. Sendmail says so when
	 * the data has come, with from, size, nrcpt and message_id; it may refuse it all the same.
	 */
	OBSERVATION_CLIENT,
	OBSERVATION_PICKUP,     /* local submission: from, uid, orig_queue_id; Sendmail: as above */
	OBSERVATION_MESSAGE_ID, /* cleanup: message_id (again for Resent-Message-ID: resent) */
	OBSERVATION_ACTIVE,     /* queue manager: from, size, nrcpt; Sendmail: to, which waits */
	OBSERVATION_ATTEMPT,    /* one recipient, one try: to, status and all that goes with it */
	OBSERVATION_EXPIRED,    /* queue manager gave the message up: from, reason */
	OBSERVATION_REMOVED,    /* the message left the queue */
	OBSERVATION_CHILD,      /* the MTA made message new_queue_id of this one: link */
	OBSERVATION_NOTE,       /* belongs to a message, changes nothing: host X said, hold, … */
	OBSERVATION_CANCEL, /* refused or discarded after it had a queue id, no event by itself */
	/* Refusals. */
	OBSERVATION_REJECT,  /* one refused command: code, dsn, reason, stage, from, to, client_* */
	OBSERVATION_REFUSED, /* Sendmail did not accept an address: to, reason; no code, no client.
	                        Others may tell the same */
	/* What the milter saw of a whole message, at its end: envelope. */
	OBSERVATION_ENVELOPE,
};

enum attempt_status {
	ATTEMPT_SENT,
	ATTEMPT_DEFERRED,
	ATTEMPT_BOUNCED,
	ATTEMPT_PROBE, /* deliverable/undeliverable: address verification, no mail */
};

enum child_link {
	CHILD_NONE,
	CHILD_BOUNCE,     /* sender non-delivery notification */
	CHILD_DELAY,      /* sender delay notification */
	CHILD_SUCCESS,    /* sender delivery status notification */
	CHILD_POSTMASTER, /* postmaster copy */
	CHILD_FORWARDED,  /* local alias: forwarded as */
	CHILD_REQUEUED,   /* content filter or proxy: queued as */
};

/* Most occurrences of one line: no syslog daemon writes more, and what says so is UNPARSED. */
#define OBSERVATION_REPEAT_MAX 10000

struct envelope;

/* The texts of an observation besides those of its line; absent (p == NULL) what was not told. One
 * list, so that a copy forgets none. */
#define OBSERVATION_TEXTS(TEXT) \
	TEXT(queue_id)      /* absent for a refusal without one */ \
	TEXT(new_queue_id)  /* CHILD, or an attempt's "queued as", "forwarded as" */ \
	TEXT(orig_queue_id) /* CLIENT by XFORWARD, PICKUP by postsuper -r */ \
	TEXT(from)          /* envelope sender without <>; empty = null sender */ \
	TEXT(to) \
	TEXT(orig_to) \
	TEXT(ctladdr)    /* Sendmail: local address that led to `to`, or the sender */ \
	TEXT(service)    /* delivery agent or daemon: smtp, lmtp, local, pipe, virtual, error */ \
	TEXT(relay_host) /* relay=host[ip]:port */ \
	TEXT(relay_ip) \
	TEXT(relay_port) \
	TEXT(dsn)    /* enhanced status code such as 5.1.1 */ \
	TEXT(code)   /* SMTP reply code such as 550 */ \
	TEXT(reason) /* text of the reply, as the MTA logged it */ \
	TEXT(stage)  /* refusal: CONNECT, HELO, MAIL, RCPT, DATA, END-OF-MESSAGE, … */ \
	TEXT(client_host) \
	TEXT(client_ip) \
	TEXT(client_port) \
	TEXT(sasl_method) \
	TEXT(sasl_username) \
	TEXT(helo) \
	TEXT(proto) \
	TEXT(message_id) /* Message-ID header as logged, with its <> */ \
	TEXT(uid)

struct observation {
	enum observation_kind kind;
	const char *rule; /* name of the rule that matched; never NULL, static */

	struct identity_line line; /* node, instance, time, program, pid, text; envelope: no text */
	unsigned repeat;           /* occurrences that one line stands for; 0 and 1 mean one */

	enum child_link link; /* CHILD; for an attempt what new_queue_id is */
	enum attempt_status status;
	bool soft_bounce; /* bounced, but only because soft_bounce made it a deferral */
	bool hop;         /* sent, but only to the MTA of this host, which goes on with it */
	bool resent;      /* message_id is that of Resent-Message-ID */
	int64_t delay_ms; /* since arrival; -1 = not told */
	int64_t size;     /* bytes; -1 = not told */
	int64_t nrcpt;    /* -1 = not told */
#define OBSERVATION_TEXT(name) struct slice name;
	OBSERVATION_TEXTS(OBSERVATION_TEXT)
#undef OBSERVATION_TEXT
	const struct envelope *envelope;
};

/* An observation with nothing told. */
#define OBSERVATION_INIT ((struct observation){.rule = "", .delay_ms = -1, .size = -1, .nrcpt = -1})

/* One recipient of an envelope. */
struct envelope_recipient {
	struct slice address; /* as given, without <> */
	struct slice type;    /* "cc", "bcc", or absent when it stands in To */
	struct slice meta;    /* rcpt_meta as JSON object, or absent */
	struct slice tags;    /* rcpt_tags as JSON array, or absent */
	struct slice subs;    /* rcpt_subs as JSON object, or absent */
};

/* A whole message as the milter saw it. `field` holds the fields of the message that only the
 * milter knows, such as FIELD_SUBJECT, FIELD_FRIENDLY_FROM, FIELD_CAMPAIGN_ID,
 * FIELD_HEADER_MESSAGE_ID, FIELD_REMOTE_ADDR, FIELD_MSG_FROM, FIELD_RCPT_META (defaults for all
 * recipients). Queue id, node, instance and time are in the observation. */
struct envelope {
	struct slice field[FIELDS];
	const struct envelope_recipient *recipient;
	size_t recipients;
};

/* Bytes that a copy needs besides the record; the envelope is the caller's. */
size_t observation_bytes(const struct observation *seen);
/* Copies an observation whose source goes on; `bytes` has room for observation_bytes and belongs to
 * the caller. */
void observation_copy(struct observation *to, const struct observation *from, char *bytes);

#endif
