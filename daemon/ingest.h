/* Events Ingest as the configuration wants it. */
#ifndef PW_DAEMON_INGEST_H
#define PW_DAEMON_INGEST_H

#include "capture/ingest.h"
#include "daemon/config.h"

struct ingest_context {
	struct ingest *ingest;
	struct geo *geo;
};

int ingest_start(struct ingest_context *context, const struct config *config,
        struct capture *capture, struct store *store, struct error *err);

/* Appends the member "ingest_troubles", an array of texts, where there are any. Any thread. */
void ingest_troubles_status(const struct ingest_context *context, GString *out);

/* After the query server, before the capture is closed. */
void ingest_stop(struct ingest_context *context);

#endif
