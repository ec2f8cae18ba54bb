/* Day files: handles, connections, and who may close them. */
#ifndef PW_STORE_DAY_H
#define PW_STORE_DAY_H

#include <glib.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/clock.h"
#include "store/cache.h"
#include "store/dict.h"
#include "store/seconds.h"
#include "store/sql.h"
#include "store/store.h"

/* Whether events were erased from a day: its commits gave more arrival numbers than it has rows. */
#define DAY_SET_ERASED "INSERT OR REPLACE INTO meta (name, value) VALUES ('erased', 1)"
#define DAY_IS_ERASED "SELECT count(*) FROM meta WHERE name = 'erased'"

#define DAY_VERSION 3

/* Row ids in the file: milliseconds of the day << 15 | order. The bit less than in absolute row ids
 * (ms << 16 | order) makes them 42 bits: a byte less in each posting of the index. */
#define DAY_ORDER_BITS 15
#define DAY_ORDERS (INT64_C(1) << DAY_ORDER_BITS)
#define DAY_ROWS ((int64_t)CLOCK_DAY << DAY_ORDER_BITS)
#define DAY_KEY_BYTES 16

enum day_statement {
	DAY_WORD_BLOCK, /* in the order of enum dict_kind */
	DAY_REASON_BLOCK,
	DAY_SUBJECT_BLOCK,
	DAY_SHAPE_BLOCK,
	DAY_WORD_ALL, /* in the order of enum dict_kind */
	DAY_REASON_ALL,
	DAY_SUBJECT_ALL,
	DAY_SHAPE_ALL,
	DAY_EVENT_BY_ID,
	DAY_EVENT_ARRIVAL,
	DAY_EVENT_PAGE,
	DAY_EVENT_LATE,
	DAY_TAIL,
	DAY_SEGMENTS,
	DAY_PIECE,
	DAY_FENCE,
	DAY_DEAD,
	DAY_COMMITS,
	DAY_ARRIVED,
	DAY_MARK,
	DAY_READ_STATEMENTS,
	DAY_WORD_FIND = DAY_READ_STATEMENTS, /* in the order of enum dict_kind */
	DAY_REASON_FIND,
	DAY_SUBJECT_FIND,
	DAY_SHAPE_FIND,
	DAY_WORD_ADD, /* in the order of enum dict_kind */
	DAY_REASON_ADD,
	DAY_SUBJECT_ADD,
	DAY_SHAPE_ADD,
	DAY_WORD_PUT, /* in the order of enum dict_kind */
	DAY_REASON_PUT,
	DAY_SUBJECT_PUT,
	DAY_SHAPE_PUT,
	DAY_MESSAGE_ADD,
	DAY_EVENT_ADD,
	DAY_EVENT_SET,
	DAY_TAIL_LAST,
	DAY_TAIL_ADD,
	DAY_TAIL_CUT,
	DAY_TAIL_EMPTY,
	DAY_SEGMENT_SMALL,
	DAY_SEGMENT_ADD,
	DAY_SEGMENT_LIVE,
	DAY_SEGMENT_DEAD,
	DAY_SEGMENT_RETIRE,
	DAY_SEGMENT_LEFT,
	DAY_SEGMENT_DROP,
	DAY_PIECE_ADD,
	DAY_PIECE_FIRST,
	DAY_PIECE_DROP,
	DAY_FENCE_ADD,
	DAY_FENCE_DROP,
	DAY_DEAD_ADD,
	DAY_DEAD_DROP,
	DAY_ROLLUP_ADD,
	DAY_COMMIT_ADD,
	DAY_LAST_ROW,
	DAY_SECOND,
	DAY_STATEMENTS
};

/* A connection that reads. Used by one thread at a time. */
struct day_reader {
	struct sql sql;
	struct dict_reader dict;
};

struct index_tail;

/* The connection that writes; of the committing thread. */
struct day_writer {
	struct sql sql;
	struct day *day;
	struct dict_writer dict[DICT_KINDS];
	struct cache message; /* hash of the fields -> id */
	struct seconds seconds;
	struct index_tail *tail;
	GByteArray *scratch, *shape; /* of the row at work */
	GString *frame;
	int64_t used; /* ms of the wall clock */
};

/* The log of a file, which the helper thread checkpoints. */
struct wal {
	struct store *store;
	struct day *day;      /* NULL: of the control file */
	char *path;           /* of the file */
	struct sql sql;       /* of the helper thread */
	_Atomic int pages;    /* length of the log after the last commit */
	_Atomic bool asked;   /* a checkpoint is on its way */
	_Atomic bool suspect; /* somebody met damage in the file */
	/* Of the committing thread. */
	int checked;  /* length when it was asked for */
	int bound;    /* length at which it is to be started again; 0: the usual one */
	int64_t held; /* monotonic time since when a reader keeps it from that, ms; 0: none */
	bool told;    /* that one does */
	off_t bytes;  /* of the file, when it was looked at the last time */
};

struct day {
	struct store *store;
	int64_t number; /* days since 1970-01-01 UTC */
	int64_t start;  /* ms since the epoch */
	char *path;
	ino_t inode;
	uint8_t key[DAY_KEY_BYTES];
	_Atomic bool merging; /* the helper merges its index, or is about to */
	struct wal wal;
	struct day_writer *writer; /* of the committing thread */
	_Atomic unsigned lent;     /* readers */

	/* Under store->days_lock. */
	unsigned refs;
	uint64_t used;
	bool listed; /* in the table; false: free it with the last reference */
	GQueue idle; /* of struct day_reader */
};

/* The first row id of a millisecond of the day, and the millisecond of a row id. */
static inline int64_t day_row(int64_t ms)
{
	return ms << DAY_ORDER_BITS;
}

static inline int64_t day_row_ms(int64_t row)
{
	return row >> DAY_ORDER_BITS;
}

/* A handle with a reference of the caller: 1 found, 0 there is no such file (yet), -1 failed. */
int day_acquire(struct store *store, int64_t number, struct day **day_r, struct error *err);

/* The same, making the file where it is missing. Committing thread. */
int day_create(struct store *store, int64_t number, struct day **day_r, struct error *err);
/* A new file of a day under another name, which nobody finds, with a reference of the caller. */
int day_make_apart(struct store *store, int64_t number, const char *path, struct day **day_r,
        struct error *err);
void day_release(struct day *day);
/* False when its file was deleted or replaced. */
bool day_in_place(const struct day *day);
struct day *day_ref(struct day *day);

/* A reading connection from the pool, and back. NULL with *err. */
struct day_reader *day_reader_get(struct day *day, struct error *err);
void day_reader_put(struct day *day, struct day_reader *reader);

/* Closes the idle readers of a day. */
void day_close_idle(struct day *day);

/* Another file has the day's name now: who asks next gets that one. */
void day_replaced(struct store *store, int64_t number);

/* Takes a day out of the table: the last reference frees it. */
void day_forget(struct store *store, int64_t number);
/* All of them; for store_close. */
void day_forget_all(struct store *store);

/* The writing connection of a day; opened where needed, the least recently used of several closed.
 * Committing thread. NULL with *err. */
struct day_writer *day_writer_get(struct store *store, int64_t number, struct error *err);

/* A writer that is not in the list; takes the reference of the day over, and gives it back when it
 * is closed. NULL with *err, and the reference is the caller's still. */
struct day_writer *day_writer_new(struct day *day, struct error *err);
void day_writer_free(struct day_writer *writer);

/* Closes writers: of one day after a failure or before its file goes, of ended days that nobody
 * wrote for some time, all. */
void day_writer_drop(struct store *store, int64_t number);
void day_writers_idle(struct store *store, int64_t now);
void day_writers_close(struct store *store);

/* Has the helper thread finish the days before `today` that are not: merges the index of an ended
 * day in steps and makes its file a plain one without WAL. A day that somebody reads or writes
 * meanwhile is left for another time. */
void day_finish_ended(struct store *store, int64_t today);

/* Has the helper thread merge what the writer's commits left. */
void day_merge(struct day_writer *writer);

/* Prepares all statements on a connection. */
int day_prepare(struct sql *sql, struct error *err);

/* Writes what the writer has in memory, before each commit. */
int day_writer_flush(struct day_writer *writer, struct error *err);

/* Opens the connection of a writer. */
int day_writer_open(struct day_writer *writer, struct day *day, struct error *err);

/* Sets the pragmas of a connection that writes. */
int day_writer_pragmas(struct sql *sql, bool fast, int cache_kb, struct error *err);

/* Has the helper thread checkpoint the log of a connection when it has grown. */
void wal_watch(struct wal *wal, struct sql *writer);
/* Whether the file is still what was written, as far as a moment tells: how it begins. All of it is
 * looked through where it became smaller or somebody met damage. 0, or -1 with number SQL_DAMAGED;
 * that it cannot be read is no damage. Committing thread, between transactions. */
int wal_sound(struct wal *wal, struct sql *writer, struct error *err);
/* Starts a log that grew too much from its beginning again; between transactions. While a reader
 * has it open that cannot be done: where one does for long, that is told. */
void wal_bound(struct wal *wal, struct sql *writer);
/* Closes the helper's connection. Helper thread, or when there is none. */
void wal_close(struct wal *wal);

/* Highest arrival number in the file. */
int day_mark(struct day_reader *reader, uint64_t *mark_r, struct error *err);

#endif
