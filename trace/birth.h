/* When a message was born. Its message_id hangs on that, so that every reading of a log, whole or
 * in pieces and in any order, has to come to the same answer. */
#ifndef PW_TRACE_BIRTH_H
#define PW_TRACE_BIRTH_H

#include "trace/message.h"

/* Birth (ms, whole seconds) that a long queue id of Postfix or one of Sendmail tells, or 0; `near`
 * is a time of its life. */
int64_t queue_id_birth(struct slice queue_id, int64_t near);
/* Whether an id has Sendmail's form (sendmail/queue.c assign_queueid): year mod 60, month, day,
 * hour, minute, second, each a digit of base 60, two of a counter, and at least five decimal digits
 * of the process id. What may be a short id of Postfix (hexadecimal) has not. */
bool queue_id_of_sendmail(struct slice queue_id);

/* From the first line that we see of a message; left open where a later line may tell better. Sets
 * message->born. */
void birth_begin(struct trace *trace, struct message *message, const struct observation *seen);
/* Decides what was left open. `delay` is that of a delivery at `time`, -1 = not told. */
void birth_settle(struct trace *trace, struct message *message, int64_t time, int64_t delay);
/* Whether a first line at `time` is that of a message whose beginning we did not see. */
bool birth_fits(const struct message *message, int64_t time);

#endif
