/* Verifying a store: what can be read, and whether what is derived from rows is what they say. */
#ifndef PW_STORE_CHECK_H
#define PW_STORE_CHECK_H

#include "store/store.h"

struct store_finding {
	const char *file; /* path */
	const char *what; /* is wrong with it */
	const char *mend; /* what to do */
};
/* Strings are valid during the call only. */
typedef void store_found(void *ctx, const struct store_finding *finding);

/* Looks at the store in `dir`, which a daemon may hold and write meanwhile: each file by SQLite's
 * own check; rows, strings, arrival numbers, index and roll-up of each day; mark and ledger.
 * *findings_r: how many. 0, or -1 with *err when it cannot be looked at. */
int store_check(
        const char *dir, store_found *found, void *ctx, uint64_t *findings_r, struct error *err);

struct store_repaired {
	uint64_t rebuilt;  /* days whose index and roll-up were made anew from their rows */
	uint64_t salvaged; /* damaged files that were read as far as they can be */
	uint64_t saved;    /* events of these that are in the store now */
	uint64_t lost;     /* and those that could not be read, as far as it is known */
};
/* Mends what store_check finds, with no daemon (number EWOULDBLOCK: another process writes): an
 * index and a roll-up that differ from the rows are made anew; counts of lines that do not add up
 * start anew, and a gap and the counter "ledger_damaged" tell of it; a file that is damaged itself
 * is set aside (store_asides), and what can be read of it goes into a new one, with new arrival
 * numbers. `told` gets a sentence for each thing that was done. */
int store_repair(const char *dir, void (*told)(void *ctx, const char *text), void *ctx,
        struct store_repaired *result_r, struct error *err);

#endif
