/* The bytes of the batches of Events Ingest: files in DIR/ingest, ID.batch as received and
 * ID.failures with what was refused, both gzip. They are not in the control file, whose log would
 * carry them twice. A batch is taken when its file has its name: it is there whole or not at all.
 */
#ifndef PW_STORE_SPOOL_H
#define PW_STORE_SPOOL_H

#define SPOOL_DIRECTORY "ingest" /* in that of the store */

#include "store/ingest.h"
#include "store/tombstone.h"

struct spool;

/* Opens (and makes) the directory and removes what a crash left half-written. `most`: bytes that
 * the files may have together. */
struct spool *spool_open(struct store *store, uint64_t most, struct error *err);
void spool_free(struct spool **spool);

/* Takes a batch of `who` (NULL = nobody knows): on the disk when the call returns 0, with its id.
 * -1 where there is no room: nothing is left of it. The bytes of validated batches make room,
 * oldest first. Thread-safe. */
int spool_put(struct spool *spool, const char *who, const struct search_scope *scope,
        int64_t received, struct slice bytes, char id_r[INGEST_ID_SIZE], struct error *err);

/* Whether a batch of so many bytes would be taken now, which may cost validated ones theirs: 0, or
 * -1 with *err. One thread at a time. */
int spool_try(struct spool *spool, size_t size, struct error *err);

/* The ids of batches that are not validated, oldest first, as an array of g_free'd strings. */
GPtrArray *spool_pending(struct spool *spool, struct error *err);

/* Refused lines of a batch are written to a file that replaces that of an earlier run; it is there
 * when spool_failures_end has returned 0. NULL with *err. */
struct spool_failures;
struct spool_failures *spool_failures_begin(struct spool *spool, const char *id, struct error *err);
int spool_failures_add(struct spool_failures *failures, struct slice bytes, struct error *err);
/* Frees it in any case; `keep`: false removes the file. */
int spool_failures_end(struct spool_failures **failures, bool keep, struct error *err);

/* Removes the files of a batch; only the batch itself, whose refused lines stay. */
void spool_drop(struct spool *spool, const char *id);
void spool_drop_bytes(struct spool *spool, const char *id);

/* Status records that expired by `now` (ms) or are too many: their files are removed, their ids are
 * the array's. NULL with *err. */
GPtrArray *spool_expire(struct spool *spool, int64_t now, struct error *err);

/* A batch as it was received. */
struct spool_batch {
	int64_t received; /* ms */
	char *scope;
	GString *bytes;
};
/* 1, 0 where there is none (any more), -1 with *err: number EBADMSG where the file is of no use.
 * Thread-safe; needs no spool. */
int spool_read(struct store *store, const char *id, struct spool_batch *batch_r, struct error *err);
void spool_batch_clear(struct spool_batch *batch);

/* The refused lines of a batch, appended as gzip: as spool_read. */
int spool_read_failures(struct store *store, const char *id, GString *bytes, struct error *err);

/* Who validates a batch holds this: an erasure waits until the files are made that come of bytes
 * which were read before it. Who waits comes next. spool_hold_unless: false, and nothing is held,
 * when `stop` says so while somebody does. */
void spool_hold(struct store *store);
bool spool_hold_unless(struct store *store, bool (*stop)(void *ctx), void *ctx);
void spool_release(struct store *store);

/* Takes who was erased out of the files of a batch, whose lines keep their numbers: an event of
 * theirs leaves a blank line, what was refused leaves none. Bytes of which nothing can be read go
 * where `validated`. 1 changed, 0, -1 with *err. Held. */
int spool_clean(struct store *store, const char *id, const struct tombstones *stones,
        bool validated, struct error *err);

/* The ids of all batches that have files, as an array of g_free'd strings. NULL with *err. */
GPtrArray *spool_ids(struct store *store, struct error *err);

/* Whether a text is a batch id as we write it (no path can hide in it). */
bool spool_is_id(struct slice text);

#endif
