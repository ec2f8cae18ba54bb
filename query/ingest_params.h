/* Parameters of GET /api/v1/events/ingest. */
#ifndef PW_QUERY_INGEST_PARAMS_H
#define PW_QUERY_INGEST_PARAMS_H

#include "query/fault.h"
#include "query/uri.h"
#include "store/ingest.h"

enum ingest_list {
	INGEST_BATCH_IDS,
	INGEST_ERROR_TYPES,
	INGEST_EVENT_IDS,
	INGEST_EVENTS, /* success, error */
	INGEST_SUBACCOUNTS,
	INGEST_LISTS
};

struct ingest_query {
	GPtrArray *list[INGEST_LISTS]; /* of char *; empty = no filter */
	int retryable;                 /* 1, 0; -1 = no filter */
	int64_t from, to;              /* ms: from <= time < to */
	uint64_t per_page;
	int64_t as_of, before; /* of the cursor: records up to and below; 0 = the first page */
	GString *after; /* the link to the next page behind its cursor: "&from=…", encoded … */
	GString *ahead; /* … and before it: "batch_ids=…&" */
};

/* 0, or -1 with at least one fault. *query_r is to be cleared in both cases. `now` in ms. */
int ingest_query_read(const struct uri *uri, int64_t now, bool escape_colons,
        struct ingest_query *query_r, struct faults *faults);
void ingest_query_clear(struct ingest_query *query);

/* Whether a status record passes the filters (not cursor, window and subaccounts), and whether its
 * subaccount does (0 = it has none). */
bool ingest_query_fits(const struct ingest_query *query, const struct ingest_record *record);
bool ingest_query_has_subaccount(const struct ingest_query *query, int64_t subaccount);

/* Event types by either name that `events` names: sets bits of types[EVENT_TYPES] and *any_r. */
int ingest_read_types(const struct uri *uri, bool *types, bool *any_r, struct faults *faults);

#endif
