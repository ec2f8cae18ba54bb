/* What the files of an erasure share. */
#ifndef PW_STORE_ERASE_PRIVATE_H
#define PW_STORE_ERASE_PRIVATE_H

#include "store/erase.h"
#include "store/private.h"

/* Reads key and tombstones when a writer opens the store; frees them. */
int erase_load(struct store *store, struct error *err);
void erase_unload(struct store *store);

/* Cleans the tables that keep texts; names batches of an outbox that hold an arrival number of
 * `arrivals` (guint64) in erasure->rest. */
int erase_control_clean(struct store *store, struct erasure *erasure, struct error *err);
int erase_name_batches(
        struct store *store, struct erasure *erasure, const GArray *arrivals, struct error *err);
/* Names the files of the store's directory that nobody looked into. */
int erase_name_files(struct store *store, struct erasure *erasure, struct error *err);

#endif
