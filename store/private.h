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
#include "store/tombstone.h"

/* For tests: called at places of a commit by their name; a result other than 0 makes the commit
 * fail there. */
typedef int store_fault(void *ctx, const char *place);

/* What is known of the time (store/clock.c); ms. */
struct store_clock {
	_Atomic int64_t apart; /* of the time from clock_boot; 0: nobody has looked */
	_Atomic int64_t ahead; /* of a clock that is not believed; else 0 */
	/* Of the committing thread. */
	int64_t waited;        /* since there is one that is not believed; 0: there is none */
	int64_t looked, saved; /* clock_boot */
};

struct store {
	char *dir;
	enum store_mode mode;
	bool fast_import;
	unsigned open_days;
	int reader_cache_kb, writer_cache_kb;
	int lock;       /* descriptor that holds the flock; -1 for readers */
	bool lock_lost; /* to another process: store_keep_lock */

	_Atomic uint64_t mark; /* highest arrival number that is committed */
	_Atomic uint64_t
	        dropped; /* highest that went with a day file, since the store was opened */
	pthread_mutex_t days_lock; /* of the table and of the members of struct day that say so */
	GHashTable *days;          /* number -> struct day */
	uint64_t use;              /* clock of the least recently used day, under days_lock */
	GHashTable *day_mark; /* number -> highest arrival in it, under days_lock; writers only */

	struct control control;
	struct helper *helper; /* writers only */

	/* Held while files are made of events that an erasure may be taking away. No lock is taken
	 * the other way round: not by the committing thread. */
	pthread_mutex_t outbox_lock, spool_lock;
	pthread_mutex_t spool_turn;   /* of who waits for spool_lock */
	_Atomic uint64_t spool_freed; /* bytes of the spool that erasures removed */

	/* Of the committing thread: what was set aside. */
	void (*notice)(void *ctx, const char *text);
	void *notice_ctx;
	GPtrArray *news; /* of struct aside_news, for the next commit */

	/* Of the committing thread. */
	struct {
		int pages;       /* length of a file's log from which on it is started again */
		int64_t held_ms; /* that a reader may keep it from that before it is told */
	} log;
	struct {
		int64_t ms;   /* after which a file that alone cannot be used is set aside */
		gint64 since; /* us, monotonic: the first of the tries that failed; 0 = none */
		int64_t day;  /* whose file it is */
	} bad;
	GHashTable *uncounted; /* event ids that the ledger has not counted yet */
	int64_t pruned;        /* first day of which the control file keeps lines and gaps */
	uint64_t missed;       /* mails that the milter missed, which no counter holds yet */
	GPtrArray *writers;    /* days with an open writer, latest used last */
	struct {
		struct tombstones *stones; /* of all erasures; writers only */
		uint8_t key[TOMBSTONE_KEY_BYTES];
		GString *text; /* what is left of one */
	} erase;
	struct pseudonyms *pseudonyms; /* NULL: no key */
	int64_t pseudonymise_since;    /* ms; 0: addresses are written as they are */
	uint8_t seal_key[32];          /* of the state of open mails */
	GString *plainless, *sealed;   /* of the committing thread */
	struct store_clock clock;
	store_fault *fault;
	void *fault_ctx;
};

/* The numbers of the days that have a file, ascending. NULL with *err. */
GArray *store_list_days(struct store *store, struct error *err);

char *store_day_path(struct store *store, int64_t day);

/* The day of a file name like 2024-02-29.db; false when it is none. */
bool store_day_of_name(const char *name, gint64 *day_r);

#define STORE_DROPPED ".dropped" /* end of the name of a day file that is about to be unlinked */
#define STORE_ERASED ".erased"   /* and of one that is about to take its place */

/* Notes the highest arrival number of a day. */
void store_set_day_mark(struct store *store, gint64 number, uint64_t mark);

/* Fails where the test's fault says so. */
int store_fault_at(struct store *store, const char *place, struct error *err);

#endif
