/* Answers without end that wait for news: who waits, and the thread that wakes them. Knows nothing
 * of HTTP. */
#ifndef PW_QUERY_STREAMS_H
#define PW_QUERY_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct streams;

struct streams_config {
	int beat_ms;                 /* how long one waits at most */
	uint64_t (*mark)(void *ctx); /* grows with each commit of the store */
	/* A job that waits no longer, because the mark has grown or beat_ms have passed, or because
	 * streams_stop was called: it never waits again then. In the thread of the streams. */
	void (*wake)(void *ctx, void *job, bool stopping);
	void *ctx;
};

/* Starts the thread. */
struct streams *streams_new(const struct streams_config *config, struct error *err);

/* Wakes all for the last time and ends the thread. */
void streams_stop(struct streams *streams);
void streams_free(struct streams **streams);

/* The job waits until the mark is no longer `mark`. False, and it does not wait, once streams_stop
 * was called. */
bool streams_wait(struct streams *streams, void *job, uint64_t mark);

#endif
