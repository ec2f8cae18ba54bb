/* The Sendmail dialect, inside: what its files share. */
#ifndef PW_LOGTAIL_SENDMAIL_H
#define PW_LOGTAIL_SENDMAIL_H

#include "logtail/field.h"
#include "logtail/lines.h"
#include "logtail/rule.h"

/* Lines "QUEUEID: text", "QUEUEID: NEWID: text" and lines without a queue id, in the order of
 * trial; each ended by a row without a name. The observation of a `to=` line has the whole list of
 * recipients in `to`; sendmail.c takes it apart. Texts are as logged: sendmail_decode. */
extern const struct log_rule sendmail_message_rules[];
extern const struct log_rule sendmail_child_rules[];
extern const struct log_rule sendmail_plain_rules[];

/* sendmail_delivery.c: what is behind "to=" of deliver.c's logdelivery(). Each takes the lines of
 * its kind only: tries, messages that stay in the queue untried, and recipients of a message that
 * was refused while it came in, for which no mailer was chosen yet. */
bool sendmail_read_attempt(struct slice rest, struct observation *seen);
bool sendmail_read_queued(struct slice rest, struct observation *seen);
bool sendmail_read_refused_tail(struct slice rest, struct observation *seen);
/* Takes the first address off a list such as `<a>,<b>` or `"|program",c`. False at its end. */
bool sendmail_next_recipient(struct slice *list, struct slice *address_r);

/* sendmail_reject.c: what is behind "ruleset=", "Milter: " and "<". */
bool sendmail_read_ruleset(struct slice rest, struct observation *seen);
bool sendmail_read_milter_from(struct slice rest, struct observation *seen);
bool sendmail_read_milter_to(struct slice rest, struct observation *seen);
bool sendmail_read_milter_helo(struct slice rest, struct observation *seen);
bool sendmail_read_milter_command(struct slice rest, struct observation *seen);
bool sendmail_read_milter_data(struct slice rest, struct observation *seen);
bool sendmail_read_refused(struct slice rest, struct observation *seen);

/* "host [ip]", "[ip]", "host. [ip] (may be forged)", "user@host [ip]"; absent what is not told. */
void sendmail_peer(struct slice text, struct slice *host_r, struct slice *ip_r);
/* Index of the last `text`, or -1. */
ptrdiff_t sendmail_find_last(struct slice s, struct slice text);
/* "550 5.7.1 text" into reason, code and dsn. */
void sendmail_reply(struct slice text, struct observation *seen);

#endif
