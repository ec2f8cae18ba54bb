/* The Postfix dialect, inside: what its files share. */
#ifndef PW_LOGTAIL_POSTFIX_H
#define PW_LOGTAIL_POSTFIX_H

#include "logtail/lines.h"

/* One rule: how a line looks that one place in Postfix prints, and what it tells. */
struct postfix_rule {
	const char *name;    /* of the rule, for the ledger */
	const char *source;  /* file of Postfix's source tree that prints it */
	struct slice starts; /* the text begins so … */
	struct slice holds;  /* … and holds this behind it; empty: anything */
	enum observation_kind kind;
	/* Reads what is behind `starts` into *seen; false: not such a line after all, try the next
	 * rule. NULL: nothing to read. */
	bool (*read)(struct slice rest, struct observation *seen);
};

/* Lines "QUEUEID: text" and lines without a queue id, in the order of trial; each ended by a row
 * without a name. Tables for all daemons: RFC 5424 logs cut the daemon's name off. */
extern const struct postfix_rule postfix_message_rules[];
extern const struct postfix_rule postfix_plain_rules[];

/* Whether Postfix has a daemon or command of this name. */
bool postfix_daemon_known(struct slice name);

/* A queue id as Postfix makes them (global/mail_queue.h), short or long. */
bool postfix_queue_id(struct slice id);

/* postfix_delivery.c: global/log_adhoc.c */
bool postfix_read_attempt(struct slice rest, struct observation *seen);

/* postfix_reject.c: smtpd/smtpd_check.c log_whatsup and its relatives, behind "reject: ". */
bool postfix_read_refusal(struct slice rest, struct observation *seen);

/* postfix_field.c: the pieces of which lines are made. Each reads from the start of *s, moves it
 * behind what was read, and leaves it alone when it returns false. */

/* An address, with or without <>; quoted local parts may hold anything, so that the end is the '>'
 * outside quotes that is followed by one of `ends` or the end of the text. */
bool postfix_read_address(struct slice *s, const char *ends, struct slice *address_r);
/* host[ip], host[ip]:port, [ip]:port, host[private/socket]; absent what is unknown. */
bool postfix_read_peer(
        struct slice *s, struct slice *host_r, struct slice *ip_r, struct slice *port_r);
/* ", name=value" up to the next such field or the end. */
bool postfix_read_field(struct slice *s, struct slice *name_r, struct slice *value_r);
/* Enhanced status code (RFC 3463) such as 5.1.1, followed by a blank or the end. */
bool postfix_read_dsn(struct slice *s, struct slice *dsn_r);
/* SMTP reply code, followed by a blank, a '-' or the end. */
bool postfix_read_code(struct slice *s, struct slice *code_r);
/* Seconds with up to nine decimals, as milliseconds. */
bool postfix_seconds(struct slice text, int64_t *ms_r);

#endif
