/* Batches of Events Ingest: what the store knows of their validation (the table `ingest` of the
 * control file). Their bytes: store/spool.h. */
#ifndef PW_STORE_INGEST_H
#define PW_STORE_INGEST_H

#include "store/batch.h"
#include "store/search.h"

#define INGEST_ID_SIZE 37 /* a UUID and NUL */
#define INGEST_DIGEST_SIZE 32
#define INGEST_KEEP 100000 /* status records */

/* A step of the validation of a batch, committed with the events that were added to the store's
 * batch since the last step or line: they are counted as new or as duplicates. */
struct ingest_step {
	struct slice id;
	int64_t received; /* ms */
	struct slice scope;
	uint64_t done;       /* events of the batch that are dealt with, this step's included */
	uint64_t duplicates; /* of this step, beside those that the commit finds */
	uint64_t unknown;    /* fields of this step that were passed over */
	uint64_t unchecked;  /* events of this step that a day which cannot be read may hold */

	bool last;          /* the rest is for the last step */
	uint64_t failed;    /* of the whole batch */
	struct slice error; /* error_type; absent: what the counts say */
	struct slice event_id;
	struct slice digest;
	int64_t time, expires; /* ms */
};
void store_batch_ingest(struct store_batch *batch, const struct ingest_step *step);

/* Drops status records. */
void store_batch_ingest_drop(struct store_batch *batch, struct slice id);

struct ingest_record {
	int64_t number;
	struct slice id, scope, event_id, error; /* error absent: success */
	int64_t received, time, expires;         /* ms; time 0: not validated yet */
	uint64_t done, succeeded, duplicates, failed;
};

/* A batch by its id: 1 found, 0 not (nobody has begun to validate it), -1 failed. The slices point
 * into *bytes (g_string_free). */
int store_ingest(struct store *store, struct slice id, struct ingest_record *record_r,
        GString *bytes, struct error *err);

/* Whether the same lines came before, from somebody who may write the same, without a failure:
 * 1 with the number of their events in *events_r, 0, or -1. */
int store_ingest_seen(struct store *store, struct slice digest, struct slice scope,
        uint64_t *events_r, struct error *err);

/* Calls `record` for each validated batch with from <= time < to (ms), newest first, until it
 * returns false. It must not call the store; the record is valid during the call. */
int store_each_ingest(struct store *store, int64_t from, int64_t to,
        bool (*record)(void *ctx, const struct ingest_record *record), void *ctx,
        struct error *err);

/* What the sender of a batch and its scope are called in files and tables, appended; `who` may be
 * NULL. And the scope back: 0, or -1 where the text is none. A scope that was read is freed by
 * ingest_scope_clear. */
void ingest_scope_write(GString *out, const char *who, const struct search_scope *scope);
int ingest_scope_read(struct slice text, struct search_scope *scope_r);
void ingest_scope_clear(struct search_scope *scope);

/* Whether one who asks may see what a sender of scope `of` sent: a scope as narrow as his own, or
 * narrower. */
bool ingest_scope_covers(const struct search_scope *asker, struct slice of);

/* Whether he is the sender. */
bool ingest_scope_is_of(struct slice scope, const char *who);

#endif
