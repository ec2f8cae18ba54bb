/* The control file: positions, state, ledger, counters, gaps, unparsed lines. */
#ifndef PW_STORE_CONTROL_H
#define PW_STORE_CONTROL_H

#include <glib.h>
#include <pthread.h>
#include <sys/types.h>

#include "store/batch.h"
#include "store/day.h"
#include "store/sql.h"

#define CONTROL_NAME "control.sqlite"
#define CONTROL_VERSION 2
/* Rows of the ledger that cannot be right: a line that is an event made at least one. */
#define CONTROL_LEDGER_WRONG "min(event, linked, ignored, known, unparsed) < 0 OR events < event"
#define CONTROL_KEEP 10000 /* unparsed lines and gaps */

struct control {
	char *path;
	ino_t inode;       /* 0: it has no file, and that is told */
	struct sql writer; /* of the committing thread */
	struct wal wal;
	pthread_mutex_t lock; /* of the reading connection */
	struct sql reader;
};

/* Opens the file; for writing, makes it where it is missing. */
int control_open(struct control *control, struct store *store, struct error *err);
void control_close(struct control *control);

/* Whether a file of this version has all tables and columns, and the key of erasures: 0, or -1 with
 * number SQL_DAMAGED. */
int control_sound(struct sql *sql, struct error *err);

/* The mark up to which the ledger has counted; -1 = the file is new. */
int control_mark(struct control *control, int64_t *mark_r, struct error *err);
/* Writes it, outside of a commit. */
int control_set_mark(struct control *control, uint64_t mark, struct error *err);

/* The same of the highest arrival number that went with a day file. */
int control_set_dropped(struct control *control, uint64_t mark, struct error *err);

/* What store/clock.c knows: the time, and for how long it has waited; 0 where that is nothing. */
int control_clock(struct control *control, int64_t *time_r, int64_t *waited_r, struct error *err);
int control_set_clock(struct control *control, int64_t time, int64_t waited, struct error *err);

/* Event ids that are in day files and not counted. */
int control_uncounted(struct control *control, GHashTable *ids, struct error *err);

/* What commits have found out about the events of a batch: for each, whether it was new. */
struct control_news {
	const bool *new_event;
	uint64_t too_old, bad_time, missed;
	int64_t oldest; /* ms; events, lines and gaps before it are too old */
	uint64_t mark;
	GHashTable *uncounted; /* ids that stay uncounted; NULL: as they are in the file */
};
int control_commit(struct store *store, const struct store_batch *batch,
        const struct control_news *news, struct error *err);

/* Removes unparsed lines and gaps of before `oldest` (ms). Committing thread. */
int control_prune(struct control *control, int64_t oldest, struct error *err);

#endif
