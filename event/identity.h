/* Identity by content (design, 5): reading the same fact again, from a rotated, compressed,
 * renamed or re-stamped copy of a log, makes the same event_id and the same message_id. */
#ifndef PW_EVENT_IDENTITY_H
#define PW_EVENT_IDENTITY_H

#include <stdint.h>

#include "base/slice.h"

/* What a log fact says of its line. */
enum identity_fact { IDENTITY_ATTEMPT, IDENTITY_REJECT, IDENTITY_EXPIRE };

/* The part of the identity key that a whole line shares. */
struct identity_line {
	struct slice node;     /* host name without domain, lower case, or as configured */
	struct slice instance; /* name of the MTA instance; may be empty */
	int64_t time;          /* ms; only whole seconds count */
	struct slice program;  /* such as "postfix/smtp"; what comes before the "/" counts */
	struct slice pid;      /* digits; may be empty */
	struct slice text;     /* the message behind the tag, without leading and trailing blanks */
	uint64_t hash;         /* identity_line_hash, where it was worked out before; 0 = not */
};

/* event_id of a log fact. `recipient` is compared in lower case; `ordinal` counts lines of one
 * second that are the same in everything. Result: 1 to 2^63-1. */
uint64_t identity_log_fact(const struct identity_line *line, struct slice recipient,
        enum identity_fact fact, unsigned ordinal);

/* Hash of the shared part of a line (without recipient, fact and ordinal), to count ordinals. Not
 * stored: it may be another one in the next version. */
uint64_t identity_line_hash(const struct identity_line *line);

/* event_id of an injection, the same whichever source saw it. */
uint64_t identity_injection(struct slice message_id, struct slice recipient);

/* event_id of a policy rejection that only the milter saw, and others without a log line: a hash
 * of all parts, each counted with its length. */
uint64_t identity_parts(const struct slice *parts, size_t n);

#define IDENTITY_MESSAGE_ID_LEN 20
/* message_id of a message born at `birth` (ms; whole seconds count): 4 zeros, 8 hex digits of the
 * little-endian seconds, 8 hex digits of a hash. Writes 20 digits and NUL. */
void identity_message_id(struct slice node, struct slice instance, struct slice queue_id,
        int64_t birth, char id[IDENTITY_MESSAGE_ID_LEN + 1]);

/* By how much (ms) the birth of a message may be wrong that is the stamp of a line less its delay=,
 * `age` ms: Postfix writes two digits of it, and stamps are cut to seconds. */
int64_t identity_birth_error(int64_t age);

/* message_id of a rejection that never had a queue id: from its event_id and its time. */
void identity_reject_message_id(
        uint64_t event_id, int64_t time, char id[IDENTITY_MESSAGE_ID_LEN + 1]);

#endif
