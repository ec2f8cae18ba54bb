/* The milter's thread: listener, decoders and hand-over put together. */
#ifndef PW_DAEMON_MAIL_H
#define PW_DAEMON_MAIL_H

#include "capture/capture.h"
#include "capture/handover.h"
#include "daemon/config.h"
#include "daemon/report.h"

struct mail;

/* Opens the socket and starts serving; `report` gets the reports among the mails. NULL with *err.
 */
struct mail *mail_start(const struct config *config, struct handover *handover,
        struct report_context *report, struct error *err);

/* Gives what the milter counted since the last call to the store's counters. */
void mail_counted(struct mail *mail, struct capture *capture);

/* Stops serving; idle SMTP sessions do not hold it up. */
void mail_stop(struct mail **mail);

/* Warns in the log when Postfix would answer mail with 4xx while we are not there: asks
 * postconf(1). */
void mail_check_postfix(const struct config *config);

#endif
