/* The store as its own files see it. */
#ifndef PW_STORE_PRIVATE_H
#define PW_STORE_PRIVATE_H

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/batch.h"
#include "store/control.h"
#include "store/day.h"
#include "store/helper.h"
#include "store/store.h"

#define STORE_KEY_BYTES 16

/* Commits stop here in tests, as if the process had died: called by name of the place with the
 * context; a result other than 0 makes the commit fail there. NULL outside tests. */
typedef int store_fault(void *ctx, const char *place);

struct store {
	char *dir;
	enum store_mode mode;
	bool fast_import;
	unsigned open_days;
	int reader_cache_kb, writer_cache_kb;
	int lock; /* descriptor that holds the flock; -1 for readers */

	_Atomic uint64_t mark;     /* highest arrival number that is committed */
	pthread_mutex_t days_lock; /* of the table and of the members of struct day that say so */
	GHashTable *days;          /* number -> struct day */
	uint64_t use;              /* clock of the least recently used day, under days_lock */
	GHashTable *day_mark; /* number -> highest arrival in it, under days_lock; writers only */

	struct control control;
	struct helper *helper; /* writers only */

	/* Of the committing thread. */
	GHashTable *uncounted; /* event ids that the ledger has not counted yet */
	GPtrArray *writers;    /* days with an open writer, latest used last */
	store_fault *fault;
	void *fault_ctx;
};

/* The numbers of the days that have a file, ascending. NULL with *err. */
GArray *store_list_days(struct store *store, struct error *err);

char *store_day_path(struct store *store, int64_t day);

/* Commit, the parts. */
struct batch_source;
int store_fault_at(struct store *store, const char *place, struct error *err);

#endif
