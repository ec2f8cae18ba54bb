/* What takes the batches of POST /api/v1/ingest/events. */
#ifndef PW_QUERY_INGEST_H
#define PW_QUERY_INGEST_H

#include "query/access.h"
#include "store/ingest.h"

#define INGEST_BODY_MAX (5 * 1024 * 1024) /* bytes of a batch as it is sent */

struct ingest_service {
	void *ctx;
	const char *customer_id; /* in status records; NULL = 1 */
	/* Takes a batch from who may write what its scope covers: it is on the disk when 0 is
	 * returned, and its id in id_r. -1 with *err becomes a 503. Thread-safe. */
	int (*take)(void *ctx, const struct access *access, struct slice batch,
	        char id_r[INGEST_ID_SIZE], struct error *err);
};

#endif
