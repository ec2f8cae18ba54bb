/* When to try again, and what an answer means. Pure. */
#ifndef PW_UPLOAD_POLICY_H
#define PW_UPLOAD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "upload/answer.h"

/* How long (ms) to wait after a number of failures in a row (1 and up): doubled each time from a
 * second to five minutes, of which `jitter` (0 to 1) takes up to a half; never less than what the
 * other side asks for (`retry_after`, ms; 0 = nothing), of which a day is obeyed at most. */
int64_t policy_wait(unsigned failures, double jitter, int64_t retry_after);

/* What becomes of a batch by the status of the answer to its POST. */
enum policy_outcome {
	POLICY_TAKEN,     /* 200, and the answer names a batch */
	POLICY_REFUSED,   /* not taken, but may be later: 429 */
	POLICY_AMBIGUOUS, /* perhaps taken: 5xx, or an answer that nobody understands */
	POLICY_PARK,      /* not taken as it is: 4xx, redirects */
};
enum policy_outcome policy_of_status(long status, bool has_id);

/* What becomes of a batch by its verdict. */
enum policy_end {
	POLICY_ACCEPTED,
	POLICY_PARTLY, /* its failed events are to be fetched */
	POLICY_AGAIN,  /* the same bytes again: the other side's own fault */
	POLICY_PARKED,
};
/* `sent_before`: the same bytes had been sent before the request that the verdict is for. */
enum policy_end policy_of_verdict(const struct answer_verdict *verdict, bool sent_before);

#endif
