#include "store/day.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/private.h"

#define MAX_IDLE 4 /* readers kept for a day */

static const char schema[] =
#include "schema/day_sql.inc"
        ;

/* A dictionary: its blocks, and the ids of strings by their hash. */
#define DICTIONARY(KIND, TABLE) \
	[DAY_##KIND##_BLOCK] = \
	        "SELECT id, body FROM " TABLE " WHERE id <= ?1 ORDER BY id DESC LIMIT 1", \
	[DAY_##KIND##_ALL] = "SELECT id, body FROM " TABLE " ORDER BY id", \
	[DAY_##KIND##_FIND] = "SELECT id FROM " TABLE "_hash WHERE hash = ?1", \
	[DAY_##KIND##_ADD] = "INSERT INTO " TABLE "_hash (hash, id) VALUES (?1, ?2)", \
	[DAY_##KIND##_PUT] = "INSERT OR REPLACE INTO " TABLE " (id, body) VALUES (?1, ?2)"

#define ROW "SELECT e.id, e.arrival, e.body, m.body "
#define ROW_FROM "event e LEFT JOIN message m ON m.id = e.message "

static const char *const statements[DAY_STATEMENTS] = {
        DICTIONARY(WORD, "word"),
        DICTIONARY(REASON, "reason"),
        DICTIONARY(SUBJECT, "subject"),
        DICTIONARY(SHAPE, "shape"),
        [DAY_EVENT_BY_ID] = ROW "FROM " ROW_FROM "WHERE e.id = ?1",
        [DAY_EVENT_ARRIVAL] = "SELECT arrival FROM event WHERE id = ?1",
        /* Parameters of pages: low, high, as_of, limit, offset. */
        [DAY_EVENT_PAGE] = ROW "FROM " ROW_FROM "WHERE e.id BETWEEN ?1 AND ?2 AND e.arrival <= ?3 "
                               "ORDER BY e.id DESC LIMIT ?4 OFFSET ?5",
        [DAY_EVENT_LATE] = "SELECT count(*) FROM event WHERE id BETWEEN ?1 AND ?2 AND arrival > ?3",
        [DAY_TAIL] = "SELECT body FROM tail ORDER BY id",
        [DAY_SEGMENTS] = "SELECT id, low, high, pieces, docs, dead FROM segment "
                         "WHERE live ORDER BY id",
        [DAY_PIECE] = "SELECT body FROM piece WHERE id = ?1",
        [DAY_FENCE] = "SELECT piece FROM fence WHERE segment = ?1 AND key BETWEEN ?2 AND ?3 "
                      "ORDER BY key DESC LIMIT 1",
        [DAY_DEAD] = "SELECT doc FROM dead WHERE segment = ?1 ORDER BY doc",
        [DAY_COMMITS] =
                "SELECT first, last, low, high, missed FROM commits WHERE last > ?1 ORDER BY last",
        [DAY_ARRIVED] = ROW "FROM " ROW_FROM "WHERE e.id BETWEEN ?1 AND ?2 "
                            "AND e.arrival BETWEEN ?3 AND ?4 ORDER BY e.id",
        [DAY_MARK] = "SELECT max(last) FROM commits",
        [DAY_MESSAGE_ADD] = "INSERT INTO message (body) VALUES (?1)",
        [DAY_EVENT_ADD] = "INSERT INTO event (id, arrival, message, body) VALUES (?1, ?2, ?3, ?4)",
        [DAY_EVENT_SET] = "UPDATE event SET body = ?2 WHERE id = ?1",
        [DAY_TAIL_LAST] = "SELECT max(id) FROM tail",
        [DAY_TAIL_ADD] = "INSERT INTO tail (body) VALUES (?1)",
        [DAY_TAIL_CUT] = "DELETE FROM tail WHERE id >= ?1",
        [DAY_TAIL_EMPTY] = "DELETE FROM tail",
        [DAY_SEGMENT_SMALL] = "SELECT count(*) FROM segment WHERE live AND docs < ?1",
        [DAY_SEGMENT_ADD] = "INSERT INTO segment (low, high, docs) VALUES (?1, ?2, ?3)",
        [DAY_SEGMENT_LIVE] = "UPDATE segment SET live = 1, pieces = ?2 WHERE id = ?1",
        [DAY_SEGMENT_DEAD] = "UPDATE segment SET dead = dead + 1 WHERE id = ?1",
        [DAY_SEGMENT_RETIRE] = "UPDATE segment SET live = 0 WHERE id = ?1",
        [DAY_SEGMENT_LEFT] = "SELECT id FROM segment WHERE NOT live LIMIT 1",
        [DAY_SEGMENT_DROP] = "DELETE FROM segment WHERE id = ?1",
        [DAY_PIECE_ADD] = "INSERT INTO piece (id, body) VALUES (?1, ?2)",
        [DAY_PIECE_FIRST] = "SELECT id FROM piece WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1",
        [DAY_PIECE_DROP] = "DELETE FROM piece WHERE id >= ?1 AND id < ?2",
        [DAY_FENCE_ADD] = "INSERT INTO fence (segment, key, piece) VALUES (?1, ?2, ?3)",
        [DAY_FENCE_DROP] = "DELETE FROM fence WHERE segment = ?1",
        [DAY_DEAD_ADD] = "INSERT OR IGNORE INTO dead (segment, doc) VALUES (?1, ?2)",
        [DAY_DEAD_DROP] = "DELETE FROM dead WHERE segment = ?1",
        [DAY_ROLLUP_ADD] =
                "INSERT INTO rollup (minute, type, class, count) VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [DAY_COMMIT_ADD] =
                "INSERT INTO commits (last, first, low, high, missed) VALUES (?1, ?2, ?3, ?4, ?5)",
        [DAY_LAST_ROW] = "SELECT max(id) FROM event",
        [DAY_SECOND] = "SELECT id, body FROM event WHERE id BETWEEN ?1 AND ?2",
};

/* There was no release that made older ones. */
static int check_form(struct sql *sql, struct error *err)
{
	int64_t version;

	if (sql_number(sql, "PRAGMA user_version", 0, &version, err) < 0)
		return -1;
	if (version >= DAY_VERSION)
		return 0;
	return error_errno(err, ENOTSUP,
	        "store file %s has version %d, which an unreleased postwake made: move it away and "
	        "import the logs of that day again",
	        sql->path, (int)version);
}

static int open_writer(
        struct day_writer *writer, const char *path, bool fast, int cache_kb, struct error *err)
{
	return sql_open(&writer->sql, path, SQLITE_OPEN_READWRITE, err) < 0 ||
	                       day_writer_pragmas(&writer->sql, fast, cache_kb, err) < 0 ||
	                       sql_version(&writer->sql, DAY_VERSION, NULL, err) < 0 ||
	                       check_form(&writer->sql, err) < 0
	               ? -1
	               : 0;
}

/* 1, or 0 when the file has no schema yet (the writer is about to make it) or just went away. */
static int open_reader(struct day_reader *reader, const char *path, int cache_kb, struct error *err)
{
	char pragma[64];
	int result = sql_open_reader(&reader->sql, path, DAY_VERSION, err);

	if (result <= 0)
		return result;
	g_snprintf(pragma, sizeof(pragma), "PRAGMA cache_size = -%d", cache_kb);
	if (check_form(&reader->sql, err) == 0 && sql_exec(&reader->sql, pragma, err) == 0 &&
	        sql_prepare(&reader->sql, statements, DAY_READ_STATEMENTS, err) == 0)
		return 1;
	sql_close(&reader->sql);
	return -1;
}

static void free_reader(gpointer p)
{
	struct day_reader *reader = p;

	dict_reader_clear(&reader->dict);
	sql_close(&reader->sql);
	g_free(reader);
}

static void free_day(void *arg)
{
	struct day *day = arg;

	g_queue_clear_full(&day->idle, free_reader);
	wal_close(&day->wal);
	g_free(day->path);
	g_free(day);
}

/* 1, or -1. */
static int read_key(struct day *day, struct day_reader *reader, struct error *err)
{
	struct sql *sql = &reader->sql;
	sqlite3_stmt *stmt = NULL;
	int result;

	if (sql_prepare_one(sql, "SELECT value FROM meta WHERE name = 'key'", &stmt, err) < 0)
		return -1;
	result = sql_step(sql, stmt, err);
	if (result == 1 && sqlite3_column_bytes(stmt, 0) == sizeof(day->key))
		memcpy(day->key, sqlite3_column_blob(stmt, 0), sizeof(day->key));
	else if (result >= 0)
		result = sql_damaged(err, "store file %s is damaged: it has no key", day->path);
	sqlite3_finalize(stmt);
	return result;
}

/* Opens a first reader, which also knows the key of the file. */
static int make_day(struct store *store, int64_t number, const char *path, ino_t inode,
        struct day **day_r, struct error *err)
{
	struct day_reader *reader = g_new0(struct day_reader, 1);
	int result = open_reader(reader, path, store->reader_cache_kb, err);

	if (result <= 0) {
		g_free(reader);
		return result;
	}
	struct day *day = g_new0(struct day, 1);
	*day = (struct day){.store = store, .number = number, .inode = inode};
	day->start = number * CLOCK_DAY;
	day->path = g_strdup(path);
	day->wal.store = store;
	day->wal.day = day;
	day->wal.path = day->path;
	reader->sql.suspect = &day->wal.suspect;
	g_queue_push_tail(&day->idle, reader);
	result = read_key(day, reader, err);
	if (result == 1)
		*day_r = day;
	else
		free_day(day);
	return result;
}

/* Call with the lock held. */
static void unlist(struct store *store, struct day *day)
{
	g_hash_table_remove(store->days, &day->number);
	day->listed = false;
	if (day->refs == 0)
		helper_do(store->helper, free_day, day);
}

static struct day *oldest_unused(struct store *store)
{
	struct day *oldest = NULL, *day;
	GHashTableIter iter;

	g_hash_table_iter_init(&iter, store->days);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&day))
		if (day->refs == 0 && (oldest == NULL || day->used < oldest->used))
			oldest = day;
	return oldest;
}

/* Makes room for one more. Days in use stay, however many they are. */
static void unlist_oldest(struct store *store)
{
	struct day *day;

	while (g_hash_table_size(store->days) >= store->open_days &&
	        (day = oldest_unused(store)) != NULL)
		unlist(store, day);
}

/* The handle in the table, if it is still one of the file that has this name now. */
static struct day *find_listed(struct store *store, int64_t number, const struct stat *st)
{
	struct day *day = g_hash_table_lookup(store->days, &number);

	if (day == NULL || day->inode == st->st_ino)
		return day;
	unlist(store, day);
	return NULL;
}

/* The number of an inode can come again when nobody has the file open any more. */
static void forget_handle(struct store *store, int64_t number)
{
	pthread_mutex_lock(&store->days_lock);
	struct day *day = g_hash_table_lookup(store->days, &number);
	if (day != NULL)
		unlist(store, day);
	pthread_mutex_unlock(&store->days_lock);
}

void day_replaced(struct store *store, int64_t number)
{
	forget_handle(store, number);
}

bool day_in_place(const struct day *day)
{
	struct stat st;

	return stat(day->path, &st) == 0 && st.st_ino == day->inode;
}

int day_acquire(struct store *store, int64_t number, struct day **day_r, struct error *err)
{
	g_autofree char *path = store_day_path(store, number);
	struct stat st;
	int result = 1;

	*day_r = NULL;
	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			return error_errno(err, errno, "cannot look at %s", path);
		forget_handle(store, number);
		return 0;
	}
	pthread_mutex_lock(&store->days_lock);
	struct day *day = find_listed(store, number, &st);
	if (day == NULL) {
		unlist_oldest(store);
		result = make_day(store, number, path, st.st_ino, &day, err);
		if (result == 1) {
			day->listed = true;
			g_hash_table_insert(store->days, &day->number, day);
		}
	}
	if (result == 1) {
		day->refs++;
		day->used = ++store->use;
		*day_r = day;
	}
	pthread_mutex_unlock(&store->days_lock);
	return result;
}

int day_create(struct store *store, int64_t number, struct day **day_r, struct error *err)
{
	g_autofree char *path = store_day_path(store, number);
	int result = day_acquire(store, number, day_r, err);

	/* One without a version that holds something is none that is being made. */
	if (result == 0 && access(path, F_OK) == 0 && !file_is_empty(path))
		return sql_damaged(err, "store file %s is damaged: it has no version", path);
	if (result == 0 && file_make(store, path, DAY_VERSION, schema, err) == 0)
		result = day_acquire(store, number, day_r, err);
	if (result == 0)
		error_set(err, "store file %s does not stay", path);
	return result == 1 ? 0 : -1;
}

int day_make_apart(struct store *store, int64_t number, const char *path, struct day **day_r,
        struct error *err)
{
	if (file_make(store, path, DAY_VERSION, schema, err) < 0)
		return -1;
	int result = make_day(store, number, path, 0, day_r, err);
	if (result == 1)
		(*day_r)->refs = 1;
	else if (result == 0)
		error_set(err, "store file %s does not stay", path);
	return result == 1 ? 0 : -1;
}

struct day *day_ref(struct day *day)
{
	pthread_mutex_lock(&day->store->days_lock);
	day->refs++;
	pthread_mutex_unlock(&day->store->days_lock);
	return day;
}

void day_release(struct day *day)
{
	struct store *store = day->store;

	pthread_mutex_lock(&store->days_lock);
	if (--day->refs == 0 && !day->listed)
		helper_do(store->helper, free_day, day);
	pthread_mutex_unlock(&store->days_lock);
}

void day_forget(struct store *store, int64_t number)
{
	forget_handle(store, number);
	pthread_mutex_lock(&store->days_lock);
	g_hash_table_remove(store->day_mark, &number);
	pthread_mutex_unlock(&store->days_lock);
}

void day_forget_all(struct store *store)
{
	struct day *day;
	GHashTableIter iter;

	pthread_mutex_lock(&store->days_lock);
	g_hash_table_iter_init(&iter, store->days);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&day)) {
		g_hash_table_iter_steal(&iter);
		day->listed = false;
		if (day->refs == 0)
			free_day(day);
	}
	pthread_mutex_unlock(&store->days_lock);
}

struct day_reader *day_reader_get(struct day *day, struct error *err)
{
	atomic_fetch_add(&day->lent, 1);
	pthread_mutex_lock(&day->store->days_lock);
	struct day_reader *reader = g_queue_pop_tail(&day->idle);
	pthread_mutex_unlock(&day->store->days_lock);
	if (reader != NULL)
		return reader;
	struct error cause = {0};
	reader = g_new0(struct day_reader, 1);
	int result = open_reader(reader, day->path, day->store->reader_cache_kb, &cause);
	if (result == 1) {
		reader->sql.suspect = &day->wal.suspect;
		return reader;
	}
	if (result == 0)
		error_errno(&cause, ENOENT, "store file %s is gone", day->path);
	if (cause.number == SQL_DAMAGED)
		day->wal.suspect = true;
	if (err != NULL && !err->set)
		*err = cause;
	g_free(reader);
	atomic_fetch_sub(&day->lent, 1);
	return NULL;
}

void day_reader_put(struct day *day, struct day_reader *reader)
{
	bool keep = false;

	pthread_mutex_lock(&day->store->days_lock);
	if (g_queue_get_length(&day->idle) < MAX_IDLE) {
		g_queue_push_tail(&day->idle, reader);
		keep = true;
	}
	pthread_mutex_unlock(&day->store->days_lock);
	if (!keep)
		free_reader(reader);
	atomic_fetch_sub(&day->lent, 1);
}

void day_close_idle(struct day *day)
{
	GQueue idle;

	pthread_mutex_lock(&day->store->days_lock);
	idle = day->idle;
	g_queue_init(&day->idle);
	pthread_mutex_unlock(&day->store->days_lock);
	g_queue_clear_full(&idle, free_reader);
}

int day_mark(struct day_reader *reader, uint64_t *mark, struct error *err)
{
	sqlite3_stmt *stmt = reader->sql.stmt[DAY_MARK];
	int result = sql_step(&reader->sql, stmt, err);

	*mark = result == 1 ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

int day_prepare(struct sql *sql, struct error *err)
{
	return sql_prepare(sql, statements, DAY_STATEMENTS, err);
}

int day_writer_open(struct day_writer *writer, struct day *day, struct error *err)
{
	struct store *store = day->store;

	if (open_writer(writer, day->path, store->fast_import, store->writer_cache_kb, err) < 0 ||
	        day_prepare(&writer->sql, err) < 0) {
		sql_close(&writer->sql);
		return -1;
	}
	return 0;
}
