/* The `results` arrays of /ingest/events/documentation and …/samples (contract, 4.5). */
#ifndef PW_EVENT_INGEST_DOCS_H
#define PW_EVENT_INGEST_DOCS_H

#include <glib.h>

#include "event/event.h"

/* Appended as JSON text. Each sample is such an object as stands behind the wrapper of a line. */
void ingest_documentation(GString *out);

/* `types`: a bool for each type; NULL = all. */
void ingest_samples(GString *out, const bool *types);

/* A type by its name in Ingest or in the search APIs; EVENT_TYPES when there is none. */
enum event_type ingest_type_by_name(struct slice name);

#endif
