#include "upload/policy.h"

#include <string.h>

#include "base/clock.h"

#define WAIT_FIRST CLOCK_SECOND
#define WAIT_LAST (5 * CLOCK_MINUTE)

int64_t policy_wait(unsigned failures, double jitter, int64_t retry_after)
{
	int64_t wait = WAIT_FIRST;

	for (unsigned i = 1; i < failures && wait < WAIT_LAST; i++)
		wait *= 2;
	wait = MIN(wait, WAIT_LAST);
	wait -= (int64_t)((double)wait / 2 * jitter);
	return MAX(wait, MIN(retry_after, CLOCK_DAY));
}

enum policy_outcome policy_of_status(long status, bool has_id)
{
	if (status == 200 && has_id)
		return POLICY_TAKEN;
	if (status == 429)
		return POLICY_REFUSED;
	return status >= 300 && status < 500 ? POLICY_PARK : POLICY_AMBIGUOUS;
}

enum policy_end policy_of_verdict(const struct answer_verdict *verdict, bool sent_before)
{
	if (verdict->success)
		return POLICY_ACCEPTED;
	if (strcmp(verdict->error_type, "validation") == 0)
		return POLICY_PARTLY;
	/* What a first try lost its answer of may have been refused in part. */
	if (strcmp(verdict->error_type, "duplicate_batch") == 0 && sent_before)
		return verdict->failed > 0 ? POLICY_PARTLY : POLICY_ACCEPTED;
	return strcmp(verdict->error_type, "system") == 0 && verdict->retryable ? POLICY_AGAIN
	                                                                        : POLICY_PARKED;
}
