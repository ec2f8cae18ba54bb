/* What the files of an erasure share. */
#ifndef PW_STORE_ERASE_PRIVATE_H
#define PW_STORE_ERASE_PRIVATE_H

#include "store/erase.h"
#include "store/outbox.h"
#include "store/private.h"

/* Reads key and tombstones when a writer opens the store; frees them. */
int erase_load(struct store *store, struct error *err);
void erase_unload(struct store *store);

/* Cleans the tables that keep texts. */
int erase_control_clean(struct store *store, struct erasure *erasure, struct error *err);
/* Name a batch of an outbox in erasure->rest, if it was sent; those that hold an arrival number of
 * `arrivals` (guint64, which are sorted). */
void erase_name_batch(struct erasure *erasure, const struct outbox_batch *batch);
int erase_name_batches(
        struct store *store, struct erasure *erasure, GArray *arrivals, struct error *err);
/* Names the files of the store's directory that nobody looked into. */
int erase_name_files(struct store *store, struct erasure *erasure, struct error *err);

#endif
