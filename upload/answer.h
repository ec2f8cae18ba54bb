/* What a server of Events Ingest answers (contract, 0.1 and 4): foreign bytes, read here and
 * nowhere else. No I/O. */
#ifndef PW_UPLOAD_ANSWER_H
#define PW_UPLOAD_ANSWER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/* The id in {"results":{"id":"…"}}; NULL where the answer is something else. To be freed by g_free.
 */
char *answer_batch_id(struct slice body);

/* What an answer says, in one line for people: the status, and the messages of `errors`, or the
 * beginning of the text. To be freed by g_free. */
char *answer_text(long status, struct slice body);

/* A record of GET /api/v1/events/ingest. */
struct answer_verdict {
	const char *batch_id;
	bool success;
	const char *error_type; /* of an error: "validation", "duplicate_batch", …; never NULL */
	const char *href;       /* where the failed events are; NULL where it is not said */
	bool retryable;
	uint64_t succeeded, failed, duplicates;
};

/* Calls `each` for each record; 0, or -1 with *err where the answer is no list of records. Records
 * that make no sense are left out. */
int answer_verdicts(struct slice body,
        void (*each)(void *ctx, const struct answer_verdict *verdict), void *ctx,
        struct error *err);

/* The lines of a file of failed events, gzip or plain, of at most `limit` bytes when inflated. A
 * line may say why (members "error", "errors", "reason" or "message" beside "msys"); cause is ""
 * where it does not. -1 with *err for what cannot be inflated; the lines before it were handed out.
 */
int answer_failures(struct slice body, size_t limit,
        void (*each)(void *ctx, struct slice line, const char *cause), void *ctx,
        struct error *err);

/* The URL of `href` (absolute or relative to `base`) where it has the origin of `base`: scheme,
 * host and port. NULL otherwise: the key must not go there. To be freed by g_free. */
char *answer_same_origin(const char *base, const char *href);

#endif
