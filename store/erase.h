/* Takes somebody out of the store, for good.
 *
 * An erasure is written down first, with hashes for names (store/tombstone.h): from then on commits
 * keep out what it took. Then each day file that names it is written anew without it, and takes the
 * old one's place: so nothing is left in dictionaries, index, free pages or logs. Then come the
 * files beside the days: damaged ones, batches of uploads and of Events Ingest. The control file is
 * cleaned and rebuilt last. Each step may be cut off and done again.
 *
 * Functions say in which thread they run: "committing" is store_writer_run's, or the only thread
 * where no writer runs. */
#ifndef PW_STORE_ERASE_H
#define PW_STORE_ERASE_H

#include <glib.h>

#include "store/store.h"
#include "store/tombstone.h"
#include "store/writer.h"

/* One erasure, and its receipt. */
struct erasure {
	int64_t id;
	struct tombstone stone;
	int64_t ended;    /* ms; 0: it still goes on */
	uint64_t events;  /* that were removed */
	uint64_t changed; /* events of others in which a text was cleaned */
	uint64_t open;    /* mails on their way that were forgotten */
	uint64_t lines;   /* kept lines and notices that were cleaned */
	GString *days;    /* day files that were written anew: dates and blanks */
	GString *rest;    /* what is left to the operator, lines */
};
void erasure_clear(struct erasure *erasure);

/* All that the store knows of, oldest first, as an array of struct erasure with a clear function.
 * Any thread. NULL with *err. */
GArray *store_erasures(struct store *store, struct error *err);

/* Begins one at `now` (ms); its id. Committing thread. */
int store_erase_begin(struct store *store, enum tombstone_kind kind, struct slice name, int64_t now,
        int64_t *id_r, struct error *err);

/* Looks at a day (days since 1970), and writes its file anew under another name where it holds
 * anything: 1 with *day_r, 0 when there is nothing to do, -1 (number EBADMSG: the file is damaged);
 * -1 without an error when `stop` said so. Any thread, one at a time; takes seconds for a million
 * events. */
struct erased_day;
int store_erase_day(struct store *store, const struct erasure *erasure, int64_t number,
        bool (*stop)(void *ctx), void *ctx, struct erased_day **day_r, struct error *err);
/* Puts the new file in the old one's place, with what came meanwhile; counts in `erasure`, names
 * batches that were sent, and writes that down before. Committing thread, while the caller holds
 * the outbox (store_outbox_hold). 0; -1: the old one stays; 1 with *err: the same, for somebody
 * reads it for longer than commits may wait, and *day stays for another try. Else frees *day. */
int store_erase_switch(
        struct store *store, struct erasure *erasure, struct erased_day **day, struct error *err);
/* Frees it instead, with the new file. */
void store_erase_drop(struct erased_day **day);

/* Sets the file of a day aside that turned out to be damaged (store/aside.h), for
 * store_erase_files. Committing thread. */
int store_erase_set_aside(
        struct store *store, int64_t number, const struct error *cause, struct error *err);

/* After the days. Damaged files that were set aside: what can be read of them is committed, then
 * they are removed. Batches of uploads: the bytes go that hold it, and the batch is named where it
 * was sent. Batches of Events Ingest: their files are written anew. Any thread, one at a time; jobs
 * go to the committing thread by `run` (store_writer_run). -1 without an error when `stop` (may be
 * NULL) said so. */
struct erase_how {
	int (*run)(void *ctx, store_job *job, void *job_ctx, struct error *err);
	bool (*stop)(void *ctx);
	void *ctx;
};
int store_erase_files(struct store *store, struct erasure *erasure, const struct erase_how *how,
        struct error *err);

/* Writes down what `erasure` counts so far. Committing thread. */
int store_erase_note(struct store *store, const struct erasure *erasure, struct error *err);

/* Cleans the control file and what SQLite keeps of it, and ends the erasure at `now`. Committing
 * thread. -1 with number EBUSY: somebody reads it for longer than commits may wait. */
int store_erase_end(struct store *store, struct erasure *erasure, int64_t now, struct error *err);

/* The tombstone of this erasure alone, and those of all (NULL: there are none, or with *err);
 * tombstones_free. Any thread. */
struct tombstones *store_erase_stones(struct store *store, const struct erasure *erasure);
struct tombstones *store_erase_all_stones(struct store *store, struct error *err);

/* Those that commits go by; until the next store_erase_begin. Committing thread. */
const struct tombstones *store_erase_known(struct store *store);

/* Whether a text names somebody who was erased after `time` (ms), as it is or by what stands for
 * them in this store. Any thread, each with tombstones and a `room` of its own. */
bool store_erase_finds(struct store *store, const struct tombstones *stones, int64_t time,
        struct slice text, GString *room);

/* Adds a line to what is left to the operator, once. */
void erasure_name_rest(struct erasure *erasure, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The days that there are, as an array of gint64. Any thread. */
GArray *store_erase_days(struct store *store, struct error *err);

#endif
