/* Takes batches of Events Ingest and validates them in a thread of its own: their events go to the
 * store like captured ones, with the counts of the batch in the same commit. */
#ifndef PW_CAPTURE_INGEST_H
#define PW_CAPTURE_INGEST_H

#include "capture/capture.h"
#include "capture/geo.h"
#include "query/ingest.h"

#define INGEST_INFLATED_MAX (256 * 1024 * 1024) /* bytes of the lines of a batch */
#define INGEST_LINES_MAX 500000

struct ingest;

struct ingest_config {
	int64_t max_age; /* ms: of events when their batch comes; 0 = no limit */
	int keep_days;   /* retention: older events are refused; negative = none are */
	uint64_t most;   /* bytes of the batches that are kept */
	const char *customer_id, *subaccount_id; /* where an event has none; NULL = 1 and 0 */
	const struct geo *geo;                   /* NULL = no geo_ip */
	/* Something for the log about a batch (NULL: about none); may be NULL. */
	void (*tell)(void *ctx, bool trouble, const char *batch, const char *text);
	void *ctx;
};

/* Goes on with what an earlier run left. The store must be open for writing. */
int ingest_open(struct ingest **ingest_r, struct capture *capture, struct store *store,
        const struct ingest_config *config, struct error *err);
/* Stops between two steps; the rest is for the next run. */
void ingest_close(struct ingest **ingest);

/* While the store may not grow, batches wait and new ones are refused. May be said again. */
void ingest_hold(struct ingest *ingest, bool held);

/* What it cannot do now, why, and how to mend it: g_free'd strings. Any thread. */
GPtrArray *ingest_troubles(struct ingest *ingest);

/* For the query server; lives as long as the ingest. */
const struct ingest_service *ingest_service(struct ingest *ingest);

#endif
