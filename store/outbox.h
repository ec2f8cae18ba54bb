/* The outbox of uploads: batches whose exact bytes are on the disk before they are sent, and how
 * far each destination has got.
 *
 * Bytes are a file each (DIR/outbox/ID.gz), since megabytes in the control file would hold its lock
 * while they are written. Rows go through the writer's batch (store/batch.h): they are committed
 * with what capture commits, so that uploads never hold a lock that capture waits for. The order
 * is: bytes, row, request; and row, then the bytes away. A file without row is rubbish
 * (store_outbox_sweep); a row without its file is told as such.
 *
 * An erasure takes the bytes of a batch away that holds what was erased (store/erase.h). */
#ifndef PW_STORE_OUTBOX_H
#define PW_STORE_OUTBOX_H

#include <glib.h>

#include "store/batch.h"

enum outbox_state {
	OUTBOX_READY,    /* to be sent, or sent again */
	OUTBOX_SENT,     /* taken by the other side, which has not told its verdict yet */
	OUTBOX_ACCEPTED, /* all events are there */
	OUTBOX_PARTLY,   /* some were refused: see its failures */
	OUTBOX_PARKED,   /* refused as a whole: waits for `postwake upload retry` */
	OUTBOX_UNKNOWN,  /* nobody knows, and it is too late to ask again */
	OUTBOX_DROPPED,  /* was never taken, and is too old for another try */
	OUTBOX_STATES
};
extern const char *const outbox_state_names[OUTBOX_STATES];

#define OUTBOX_DIR "outbox" /* in that of the store */
#define OUTBOX_FAILURES 20000
#define OUTBOX_ID_LEN 36
#define OUTBOX_HASH_LEN 32

/* A batch, as its row; texts are owned by it and never NULL. */
struct outbox_batch {
	char *id;
	char *destination;
	enum outbox_state state;
	bool doubt; /* it may have got there without our knowing */
	uint64_t since, until;
	uint64_t events, bytes;
	guint8 hash[OUTBOX_HASH_LEN];
	int64_t oldest, created, sent, next; /* ms */
	unsigned tries;
	char *remote;
	char *answer;
	uint64_t succeeded, failed, duplicates;
	unsigned fetches; /* of its failed events that failed; not in the row */
};
struct outbox_batch *outbox_batch_new(const char *destination);
void outbox_batch_free(struct outbox_batch *batch);

/* Whether its bytes are kept: it may be sent again. */
bool outbox_has_bytes(const struct outbox_batch *batch);

/* A destination, as its row. */
struct outbox_destination {
	char *name;
	uint64_t arrival;
	uint64_t accepted, failed, invalid, too_old, lost;
	int64_t max_age; /* ms; what is older is not sent; 0 = no limit */
	char *trouble;
};
void outbox_destination_free(struct outbox_destination *destination);

/* An event that was not taken. */
struct outbox_failure {
	struct slice destination, batch;
	int64_t time; /* ms */
	struct slice cause, line;
};

/* ---- writing, with the next commit ---- */

/* Puts the row of a batch as it is now. */
void store_batch_outbox(struct store_batch *batch, const struct outbox_batch *row);
/* Puts the row of a destination as it is now. */
void store_batch_destination(struct store_batch *batch, const struct outbox_destination *row);
/* The newest OUTBOX_FAILURES of all are kept. */
void store_batch_failure(struct store_batch *batch, const struct outbox_failure *failure);
/* Forgets batches and failures from before `time` (ms). Their bytes go with the next sweep. */
void store_batch_outbox_trim(struct store_batch *batch, int64_t time);

/* ---- reading ---- */

/* The rows of a destination (NULL: of all), in arrival order; a GPtrArray that frees them. NULL
 * with *err. A store that has no outbox yet has none of them. */
GPtrArray *store_outbox(struct store *store, const char *destination, struct error *err);

/* The batch whose id, or whose id at the other side, begins with `id`. 1 found, 0 not, -1 with
 * *err: more than one, or failed. */
int store_outbox_find(
        struct store *store, const char *id, struct outbox_batch **batch_r, struct error *err);

/* All destinations that ever had a batch, by name. As store_outbox. */
GPtrArray *store_destinations(struct store *store, struct error *err);

/* How many events have arrived that are in no batch of a destination yet (also those that it does
 * not want), and in how many ms the first of these, or of what waits to be sent, becomes too old;
 * INT64_MAX where nothing does. */
void store_outbox_waiting(struct store *store, const struct outbox_destination *destination,
        const GPtrArray *batches, int64_t now, uint64_t *events_r, int64_t *expiring_r);

/* The failures of a batch (NULL: of all), newest first, at most `limit`. */
int store_each_failure(struct store *store, const char *batch, unsigned limit,
        void (*each)(void *ctx, const struct outbox_failure *failure), void *ctx,
        struct error *err);

/* ---- bytes ---- */

/* Writes the bytes of a batch, which are on the disk afterwards; fills in its `bytes` and `hash`.
 */
int store_outbox_write(
        struct store *store, struct outbox_batch *batch, struct slice bytes, struct error *err);

/* Reads them back: 1, 0 where they are not what was written (lost, damaged or erased), -1 with
 * *err.
 */
int store_outbox_read(struct store *store, const struct outbox_batch *batch, GByteArray *bytes_r,
        struct error *err);

/* Removes them; harmless where they are gone. */
void store_outbox_unlink(struct store *store, const struct outbox_batch *batch);

/* Who reads events to make a batch of them, or bytes to send them, holds this until the row that
 * says so is committed: an erasure waits for it, and then finds all that was made before. */
void store_outbox_hold(struct store *store);
void store_outbox_release(struct store *store);

/* At the start of uploads: removes files that no row wants. */
int store_outbox_sweep(struct store *store, struct error *err);

#endif
