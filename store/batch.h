/* A batch: what one commit writes. Built by the thread that captures, copied in, committed whole:
 * the day files first, the control file (positions, state, ledger, arrival mark) last. */
#ifndef PW_STORE_BATCH_H
#define PW_STORE_BATCH_H

#include "event/event.h"
#include "event/observation.h"
#include "store/store.h"

struct store_batch;

struct store_batch *store_batch_new(void);
void store_batch_free(struct store_batch **batch);

/* Empties it for the next use; keeps its memory. */
void store_batch_reset(struct store_batch *batch);

/* How many events (and lines) are in it. */
size_t store_batch_events(const struct store_batch *batch);
size_t store_batch_lines(const struct store_batch *batch);
bool store_batch_empty(const struct store_batch *batch);

/* Tells that there is something to commit although nothing was added yet: before_commit of the
 * writer will add it. */
void store_batch_pending(struct store_batch *batch);

/* Adds a copy of an event. Message fields of events of one message_id are stored once. */
void store_batch_event(struct store_batch *batch, const struct event *event);

/* Counts one line of `source` in the ledger. The events added since the last call of this function
 * or of store_batch_no_line are its events: with events of which none was new, an EVENT line is
 * counted as KNOWN at commit. */
void store_batch_line(struct store_batch *batch, struct slice source, enum ledger_class class);

/* The events added since then belong to no line (milter, time-outs), or to a line that was
 * counted before (read again after a restart). */
void store_batch_no_line(struct store_batch *batch);

/* Keeps a line that no rule knew. Does not count it. */
void store_batch_unparsed(struct store_batch *batch, struct slice source, int64_t offset,
        int64_t time, struct slice text);

/* The last value given for a source or key wins. Values are opaque to the store. */
void store_batch_position(struct store_batch *batch, struct slice source, struct slice value);
void store_batch_state(struct store_batch *batch, struct slice key, struct slice value_or_none);

/* Adds to a named counter. */
void store_batch_count(struct store_batch *batch, const char *name, int64_t n);

/* One that has been stored with the same end and text is known: a log may be read again. */
void store_batch_gap(struct store_batch *batch, const struct store_gap *gap);

/* Writes the batch. 0, or -1 with nothing of the control file written: the batch may be committed
 * again, since what the day files already hold is known by its identity. `oldest` (ms, 0 = none):
 * events before it are not stored but counted as too_old. */
struct store_commit_result {
	uint64_t inserted; /* events that were new */
	uint64_t known;    /* events that were there */
	uint64_t too_old;
	uint64_t mark; /* arrival mark after the commit */
};
int store_commit(struct store *store, const struct store_batch *batch, int64_t oldest,
        struct store_commit_result *result_r, struct error *err);

#endif
