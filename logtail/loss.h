/* Notices of those who write logs that lines were lost before they were written: rate limits. */
#ifndef PW_LOGTAIL_LOSS_H
#define PW_LOGTAIL_LOSS_H

#include <stdbool.h>

#include "base/slice.h"

/* Whether a line of `program` tells of lost lines, which may have been the mail system's. */
bool loss_is_notice(struct slice program, struct slice text);

/* Whether journald's "Suppressed N messages from UNIT" names a unit of a mail system. */
bool loss_is_of_mail(struct slice text);

#endif
