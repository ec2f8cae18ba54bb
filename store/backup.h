/* A copy of a store that is in use. */
#ifndef PW_STORE_BACKUP_H
#define PW_STORE_BACKUP_H

#include "store/store.h"

#define BACKUPS_NAME "backups" /* in the directory of the store: when and where, a line each */

struct store_backup {
	uint64_t days, bytes; /* that were copied; of all files */
};

/* Copies the store in `from`, which a daemon may write meanwhile, to the directory `to`, which is
 * made, or must be empty. The copy is a store: the control file in it is older than its days, so
 * that what came between is read again and recognised. It has its name only when all is on the
 * disk; after -1 there is no store in `to`, though files may be. Damaged files that were set aside
 * are not copied.
 *
 * Before anything is copied it is written down in the store, as of `now` (ms), that there is a
 * backup: erasures do not reach it, and name it. */
int store_backup(const char *from, const char *to, int64_t now, struct store_backup *result_r,
        struct error *err);

/* Calls `backup` for each that was made of this store: when, where, and whether there still is a
 * store. Any thread. */
int store_each_backup(struct store *store,
        void (*backup)(void *ctx, struct slice time, struct slice path, bool there), void *ctx,
        struct error *err);

#endif
