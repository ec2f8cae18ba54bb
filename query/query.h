/* Answers the query API (contract, 0 and 1; design, 10). This part knows no HTTP server: a request is
 * a method, a raw path with query string, and the answer a status and a body, so that the command
 * with -S gives the same answers as the daemon. */
#ifndef PW_QUERY_QUERY_H
#define PW_QUERY_QUERY_H

#include <glib.h>

#include "store/search.h"

struct query_config {
	int64_t default_window; /* ms before `to` when `from` is absent; 0 = 24 h */
	int64_t (*now)(void);   /* wall clock, ms; NULL = clock_now */
	/* Appends members to the object of GET /api/v1/status ("\"name\":value,…"); may be NULL. */
	void (*status)(void *ctx, GString *out);
	void *ctx;
};

struct query_answer {
	unsigned status;  /* HTTP */
	GString *body;    /* JSON */
	const char *allow; /* of a 405: the Allow header */
};

/* Answers one request. `uri` is the raw request target ("/api/v1/message-events?…"). Thread-safe.
 * The body is the caller's to free. */
void query_answer(struct store *store, const struct query_config *config, const char *method,
	struct slice uri, struct query_answer *answer_r);

#endif
