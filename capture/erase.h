/* Carries out erasures (store/erase.h) beside a running capture: step by step, between its commits.
 */
#ifndef PW_CAPTURE_ERASE_H
#define PW_CAPTURE_ERASE_H

#include "capture/capture.h"
#include "store/erase.h"

/* Writes down that somebody is to be erased, as of now; *id_r is the number of the receipt. -1 with
 * *err: number EINVAL when the name is none. */
int capture_erase_begin(struct capture *capture, struct store *store, enum tombstone_kind kind,
        struct slice name, int64_t *id_r, struct error *err);

/* Carries out what was begun and has not ended, also by an earlier run: 0 nothing is left, -1 with
 * *err; -1 without an error when `stop` (may be NULL) said so. One thread at a time. */
int capture_erase_pending(struct capture *capture, struct store *store, bool (*stop)(void *ctx),
        void *ctx, struct error *err);

#endif
