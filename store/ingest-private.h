/* Steps of the validation of ingested batches, as a commit sees them. */
#ifndef PW_STORE_INGEST_PRIVATE_H
#define PW_STORE_INGEST_PRIVATE_H

#include "store/batch-private.h"
#include "store/control.h"
#include "store/ingest.h"

struct batch_ingest {
	struct ingest_step step; /* its slices are the members below */
	struct batch_text id, scope, error, event_id, digest;
	guint from, to; /* its events */
	bool drop;      /* only the id counts */
};

/* Within the transaction of the control file. */
int ingest_commit(struct sql *sql, const struct store_batch *batch, const struct control_news *news,
        struct error *err);

#endif
