/* The store: day files and a control file in one directory. The only user of SQLite.
 *
 * One process writes (flock on DIR/lock); any number reads. A handle of mode STORE_WRITE may also
 * read. Handles are thread-safe for the reading functions; store_commit is called by one thread
 * at a time (store/writer.h is that thread). */
#ifndef PW_STORE_STORE_H
#define PW_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <glib.h>

#include "base/error.h"
#include "base/slice.h"
#include "event/identity.h"

struct event;
struct store;

enum store_mode {
	STORE_READ,
	STORE_WRITE, /* creates the directory's files where missing; fails when another process
	                writes */
};

/* Whether what is written holds keyed hashes in place of addresses (event/pseudonym.h). */
enum store_pseudonymise {
	STORE_AS_IT_IS,     /* as the last writer that had a wish */
	STORE_PSEUDONYMISE, /* from now on; the key is made where there never was one */
	STORE_PLAIN         /* from now on */
};

struct store_options {
	enum store_pseudonymise pseudonymise;
	bool fast_import; /* synchronous=NORMAL while committing, for an import without a daemon */
	int cache_mb;     /* budget over all connections; 0 = 32 */
	int open_days;    /* day files held open at most; 0 = 16 */
	/* A damaged file was set aside (store_asides): what, why, what to do. Called in the thread
	 * that opens or commits. May be NULL; a capture gap of source "store" tells the same. */
	void (*notice)(void *ctx, const char *text);
	void *notice_ctx;
};

/* Opens the store in `dir`; options may be NULL. 0, or -1 with *err: number EWOULDBLOCK when
 * another process holds the store for writing. */
int store_open(struct store **store_r, const char *dir, enum store_mode mode,
        const struct store_options *options, struct error *err);
void store_close(struct store **store);

/* What whoever looks after the machine can do about an errno that it gave for a file; NULL where
 * that is not known. */
const char *store_mend(int number);

/* Put back what somebody deleted under this writer, and no other process could: the lock, without
 * which another one would begin to write, and the key of the pseudonyms (where they are in use).
 * 1 when it was gone and is there again, 0 when it was there, -1 with *err. Any thread, one at a
 * time. */
int store_keep_lock(struct store *store, struct error *err);
int store_keep_key(struct store *store, struct error *err);

/* Tells of a loss within the store in the same way as of a file that was set aside: by the notice,
 * and as a capture gap of the next commit. Committing thread, or before there is one. */
void store_tell_loss(struct store *store, const char *text);

/* Since when (ms) only keyed hashes of addresses are written; 0: addresses are. */
int64_t store_pseudonymised(struct store *store);

/* Appends what stands for an address in this store; false where it has no key. */
bool store_pseudonym(struct store *store, struct slice address, GString *out);

/* -1, and in *err that WHAT is so, where addresses are not kept and the key of what stands for them
 * cannot be read here (a reader may lack it, a writer never does). */
int store_can_hide(struct store *store, const char *what, struct error *err);

/* Makes of an event what is kept of it; new values stand in `arena`, which is overwritten. See
 * store_can_hide. */
void store_hide(struct store *store, struct event *event, GString *arena);

/* The text, or where addresses are not kept what is left of it, in *out. */
struct slice store_plainless(struct store *store, struct slice text, GString *out);

/* Whether a field of a stored event is this address, in whatever case, or stands for it. */
bool store_is_address(struct store *store, struct slice field, struct slice address);

/* The highest arrival number that is committed. Readers never look past it. */
uint64_t store_mark(struct store *store);

/* Position of a source as the last commit left it; false where there is none. */
bool store_position(struct store *store, struct slice source, GString *value_r);

/* Each saved state entry (trace_save), and a single one. value.p == NULL: it is sealed, and cannot
 * be opened (damaged, or of another key). -1 with *err on failure; the single look-up returns 1
 * when found and 0 when not, or when it cannot be opened. */
int store_each_state(struct store *store,
        int (*entry)(void *ctx, struct slice key, struct slice value, struct error *err), void *ctx,
        struct error *err);
int store_state(struct store *store, struct slice key, GString *value_r, struct error *err);

/* Birth (ms) of the stored message with this queue id whose life contains `time`; 0 = none. Its
 * message_id in `id_r`, which may be NULL: another mail's where the message continues that, ""
 * where there is none of that length. */
int64_t store_find_birth(struct store *store, struct slice node, struct slice instance,
        struct slice queue_id, int64_t time, char id_r[IDENTITY_MESSAGE_ID_LEN + 1]);

/* The same of the stored message that was born at `time`, or next to it as far as a birth that was
 * computed from a delay= may be wrong (identity_birth_error). */
int64_t store_find_born(struct store *store, struct slice node, struct slice instance,
        struct slice queue_id, int64_t time, char id_r[IDENTITY_MESSAGE_ID_LEN + 1]);

/* The time as far as it is believed: the wall clock, unless it leaps by more than a day; then the
 * time that was believed before and what has passed since, until the clock has been so for 24
 * hours. What is dropped for its age goes by it. The wall clock where it is before that, and where
 * nobody looks. Any thread. */
int64_t store_now(struct store *store);

/* Looks: `now` is the wall clock, `boot` that which nobody sets (clock_both). About each minute, in
 * the committing thread. Gives what is believed, which the control file remembers. -1 where it
 * cannot tell what was before. */
int store_look_at_clock(
        struct store *store, int64_t now, int64_t boot, int64_t *believed_r, struct error *err);

/* By how much (ms) the wall clock is ahead while it is not believed; else 0. Any thread. */
int64_t store_clock_ahead(struct store *store);

/* Retention: unlinks the day files older than `keep_days` before the UTC day of `now` (today and
 * keep_days days stay), files that were set aside of those days and control files that were set
 * aside before them, and removes unparsed lines and gaps of those days; gaps of an unknown time
 * stay. Writers only. Returns the number of days dropped, or -1. */
int store_prune(struct store *store, int keep_days, int64_t now, struct error *err);

/* One day file. */
struct store_day {
	int64_t day;     /* days since 1970-01-01 UTC */
	uint64_t events; /* 0 where it is damaged or unread */
	uint64_t bytes;  /* file and its WAL */
	bool damaged;    /* its bytes are not what was written */
	bool unread;     /* the machine does not give them now */
};
/* The days that there are, oldest first, as a GArray of struct store_day. NULL with *err.
 * *unread_r (or NULL) tells why the first of those that are unread is. */
GArray *store_days(struct store *store, struct error *unread_r, struct error *err);

/* The bytes of all of them, without opening any. 0 or -1 with *err. */
int store_bytes(struct store *store, uint64_t *bytes_r, struct error *err);

/* A damaged file that was set aside, so that capture could go on: NAME.damaged-N. */
#define STORE_NO_DAY INT64_MIN
struct store_aside {
	char *name;  /* in the directory of the store; owned by the array */
	int64_t day; /* STORE_NO_DAY: the control file */
	uint64_t bytes;
	bool saved; /* what can be read of it is in the store again */
};
/* They as a GArray of struct store_aside with a clear function. NULL with *err. */
GArray *store_asides(struct store *store, struct error *err);

/* One source of the line ledger. */
struct store_source {
	char *name; /* owned by the array */
	uint64_t lines;
	uint64_t count[5]; /* by enum ledger_class; their sum is `lines` */
	uint64_t events;   /* new events that its lines made */
};
/* The ledger as a GArray of struct store_source with a clear function. NULL with *err. */
GArray *store_ledger(struct store *store, struct error *err);

/* Counters that are no lines ("milter_missed", "too_old", …), in a GHashTable name -> gint64* ;
 * NULL with *err. */
GHashTable *store_counters(struct store *store, struct error *err);

/* Calls `gap` for each capture gap, newest first, at most `limit`. */
struct store_gap {
	struct slice source;
	int64_t from, to;  /* ms; 0 = unknown */
	int64_t bytes;     /* -1 = unknown */
	struct slice text; /* what happened */
};
int store_each_gap(struct store *store, unsigned limit,
        void (*gap)(void *ctx, const struct store_gap *gap), void *ctx, struct error *err);

/* The lines that no rule knew, newest first, at most `limit` (the store keeps the last 10,000). */
struct store_unparsed {
	struct slice source;
	int64_t offset; /* byte offset of the line in its file, -1 = unknown */
	int64_t time;   /* ms, of the line; where it tells none, when it was read */
	struct slice text;
};
int store_each_unparsed(struct store *store, unsigned limit,
        void (*line)(void *ctx, const struct store_unparsed *line), void *ctx, struct error *err);

#endif
