/* The Postfix dialect, inside: what its files share. */
#ifndef PW_LOGTAIL_POSTFIX_H
#define PW_LOGTAIL_POSTFIX_H

#include "logtail/field.h"
#include "logtail/lines.h"
#include "logtail/rule.h"

/* Lines "QUEUEID: text" and lines without a queue id, in the order of trial; each ended by a row
 * without a name. Tables for all daemons: RFC 5424 logs cut the daemon's name off. */
extern const struct log_rule postfix_message_rules[];
extern const struct log_rule postfix_plain_rules[];

/* Whether Postfix has a daemon or command of this name. */
bool postfix_daemon_known(struct slice name);

/* A queue id as Postfix makes them (global/mail_queue.h), short or long. */
bool postfix_queue_id(struct slice id);

/* postfix_delivery.c: global/log_adhoc.c */
bool postfix_read_attempt(struct slice rest, struct observation *seen);

/* postfix_reject.c: smtpd/smtpd_check.c log_whatsup and its relatives, behind "reject: ". */
bool postfix_read_refusal(struct slice rest, struct observation *seen);

#endif
