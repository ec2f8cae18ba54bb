/* Reads a damaged day file as far as it can be read. SQLite stops at the first page that is not
 * good; here a range of rows in which it stops is read from its other end too, and what is left
 * between is halved until it is a second of the day. A file whose first page is gone gets that of a
 * new one, which is the same but for what it says of the file's size. All of it happens on a copy.
 *
 * An event whose message or strings cannot be read is lost: its log, read again, gives it back
 * whole, while half of it in the store would stand in the way. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/check-private.h"
#include "store/file.h"
#include "store/ids.h"
#include "store/private.h"
#include "store/record.h"
#include "store/row.h"

#define COPY ".new" /* what a crash leaves of it goes at the next start (store/file.c) */
#define BATCH 1000  /* events of a commit */
#define SMALLEST ((int64_t)CLOCK_SECOND << DAY_ORDER_BITS) /* range that is not halved any more */
#define HEADER_PAGES 28 /* of the database header, sqlite.org/fileformat2.html 1.3 */
#define HEADER_CHANGES 24
#define HEADER_VALID_FOR 92
#define HEADER_FREE 32 /* first page of the freelist, and its length */
#define PAGE 8192

static const char schema[] =
#include "schema/day_sql.inc"
        ;

enum { ROWS_UP, ROWS_DOWN, MESSAGE, STATEMENTS };
static const char *const statements[STATEMENTS] = {
        [ROWS_UP] = "SELECT id, arrival, message, body FROM event WHERE id BETWEEN ?1 AND ?2 "
                    "ORDER BY id",
        [ROWS_DOWN] = "SELECT id, arrival, message, body FROM event WHERE id BETWEEN ?1 AND ?2 "
                      "ORDER BY id DESC",
        [MESSAGE] = "SELECT body FROM message WHERE id = ?1",
};

struct salvaging {
	struct store *store;
	struct day day;           /* of which the rows say their times */
	struct day_reader reader; /* strings */
	struct sql sql;           /* rows and messages */
	GByteArray *record, *message;
	struct store_batch *batch;
	struct ids ids; /* of events that the day has */
	salvage_commit *commit;
	void *ctx;
	uint64_t saved, unread;
	struct error *err; /* of the store, not of the damaged file */
};

static int flush(struct salvaging *s)
{
	struct store_commit_result result = {0};

	if (store_batch_empty(s->batch))
		return 0;
	int done = s->commit(s->ctx, s->batch, &result, s->err);
	s->saved += result.inserted + result.known;
	store_batch_reset(s->batch);
	return done;
}

/* 1, 0 when it cannot be read. */
static int read_message(struct salvaging *s, int64_t id)
{
	sqlite3_stmt *stmt = s->sql.stmt[MESSAGE];

	sqlite3_bind_int64(stmt, 1, id);
	int result = sql_step(&s->sql, stmt, NULL);
	if (result == 1) {
		struct slice body = sql_column(stmt, 0);
		g_byte_array_set_size(s->message, 0);
		g_byte_array_append(s->message, (const guint8 *)body.p, (guint)body.n);
	}
	sqlite3_reset(stmt);
	return result == 1;
}

/* -1 only when the store takes nothing. */
static int take_row(struct salvaging *s, sqlite3_stmt *stmt)
{
	struct row row = {.id = sqlite3_column_int64(stmt, 0), .body = sql_column(stmt, 3)};
	bool has_message = sqlite3_column_type(stmt, 2) != SQLITE_NULL;
	struct row_texts texts;
	struct event event;

	g_byte_array_set_size(s->record, 0);
	if (has_message && read_message(s, sqlite3_column_int64(stmt, 2)) == 1)
		row.message = slice_make((const char *)s->message->data, s->message->len);
	if ((has_message && row.message.p == NULL) || row.id < 0 || row.id >= DAY_ROWS ||
	        row_unpack(s->record, &s->reader, &s->day, &row, &texts, NULL) < 0) {
		s->unread++;
		return 0;
	}
	record_get(s->record, 0, &event);
	/* A commit knows those of its second only. */
	if (!ids_add(&s->ids, event.id)) {
		s->saved++;
		return 0;
	}
	store_batch_event(s->batch, &event);
	store_batch_no_line(s->batch);
	return store_batch_events(s->batch) >= BATCH ? flush(s) : 0;
}

/* Takes rows from one end of a range until they end (0) or cannot be read (1; *last_r: the last one
 * that could). -1: the store takes nothing. */
static int read_range(struct salvaging *s, int statement, int64_t low, int64_t high, int64_t *last)
{
	sqlite3_stmt *stmt = s->sql.stmt[statement];
	int more, result = 0;

	*last = statement == ROWS_UP ? low - 1 : high + 1;
	sqlite3_bind_int64(stmt, 1, low);
	sqlite3_bind_int64(stmt, 2, high);
	while (result == 0 && (more = sql_step(&s->sql, stmt, NULL)) == 1) {
		int64_t id = sqlite3_column_int64(stmt, 0);
		/* SQLite trusts the order of a damaged page. */
		if (id < low || id > high || (statement == ROWS_UP ? id <= *last : id >= *last))
			break;
		*last = id;
		result = take_row(s, stmt);
	}
	sqlite3_reset(stmt);
	return result < 0 ? -1 : more != 0;
}

static int read_rows(struct salvaging *s, int64_t low, int64_t high)
{
	int64_t up, down;
	int result = read_range(s, ROWS_UP, low, high, &up);

	if (result <= 0 || up >= high)
		return MIN(result, 0);
	result = read_range(s, ROWS_DOWN, up + 1, high, &down);
	if (result <= 0)
		return result;
	low = up + 1;
	high = down - 1;
	if (high - low < SMALLEST)
		return 0;
	int64_t middle = low + (high - low) / 2;
	return read_rows(s, low, middle) < 0 ? -1 : read_rows(s, middle + 1, high);
}

/* ---- the copy ---- */

static void put_number(uint8_t *p, uint32_t number)
{
	number = GUINT32_TO_BE(number);
	memcpy(p, &number, sizeof(number));
}

/* Gives a file the first page of a new one. */
static int lend_page(struct salvaging *s, const char *path, struct error *err)
{
	g_autofree char *fresh = g_strconcat(path, COPY, NULL);
	uint8_t page[PAGE];
	int result = -1;

	if (file_make(s->store, fresh, DAY_VERSION, schema, err) < 0)
		return -1;
	int in = open(fresh, O_RDONLY | O_CLOEXEC), out = open(path, O_RDWR | O_CLOEXEC);
	if (in >= 0 && out >= 0 && pread(in, page, sizeof(page), 0) == (ssize_t)sizeof(page)) {
		put_number(page + HEADER_PAGES,
		        (uint32_t)((lseek(out, 0, SEEK_END) + PAGE - 1) / PAGE));
		memcpy(page + HEADER_VALID_FOR, page + HEADER_CHANGES, sizeof(uint32_t));
		memset(page + HEADER_FREE, 0, 2 * sizeof(uint32_t));
		result = pwrite(out, page, sizeof(page), 0) == (ssize_t)sizeof(page) ? 0 : -1;
	}
	if (result < 0)
		error_errno(err, errno, "cannot write %s", path);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	unlink(fresh);
	file_unlink_beside(fresh);
	return result;
}

/* Both connections, with all statements. */
static int open_copy(struct salvaging *s, const char *path)
{
	if (sql_open(&s->reader.sql, path, SQLITE_OPEN_READWRITE, NULL) == 0 &&
	        day_prepare(&s->reader.sql, NULL) == 0 &&
	        sql_open(&s->sql, path, SQLITE_OPEN_READWRITE, NULL) == 0 &&
	        sql_prepare(&s->sql, statements, STATEMENTS, NULL) == 0)
		return 0;
	sql_close(&s->reader.sql);
	sql_close(&s->sql);
	return -1;
}

/* How many events the file says that it has; 0: unknown. */
static uint64_t expected(struct salvaging *s)
{
	int64_t commits = 0, rollup = 0, erased = 0;

	if (sql_number(&s->sql, DAY_IS_ERASED, 0, &erased, NULL) == 0 && erased == 0)
		sql_number(&s->sql, "SELECT sum(last - first + 1) FROM commits", 0, &commits, NULL);
	sql_number(&s->sql, "SELECT sum(count) FROM rollup", 0, &rollup, NULL);
	return (uint64_t)MAX(MAX(commits, rollup), 0);
}

/* The log of a file of 0 bytes may hold all of it, and SQLite would throw it away. */
static int keep_log(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0 || (st.st_size < PAGE && truncate(path, PAGE) < 0))
		return error_errno(err, errno, "cannot write %s", path);
	return 0;
}

static int salvage(struct salvaging *s, const char *aside, const char *copy)
{
	g_autofree char *aside_wal = g_strconcat(aside, "-wal", NULL);
	g_autofree char *copy_wal = g_strconcat(copy, "-wal", NULL);

	if (file_copy(aside, copy, true, s->err) < 0 ||
	        (access(aside_wal, F_OK) == 0 &&
	                file_copy(aside_wal, copy_wal, true, s->err) < 0) ||
	        keep_log(copy, s->err) < 0)
		return -1;
	if (open_copy(s, copy) < 0 && (lend_page(s, copy, s->err) < 0 || open_copy(s, copy) < 0))
		return s->err != NULL && s->err->set ? -1 : 0;
	/* Else each look at a range would lock the file and look for its log anew. */
	sql_exec(&s->sql, "BEGIN", NULL);
	return read_rows(s, 0, DAY_ROWS - 1) < 0 ? -1 : flush(s);
}

/* What cannot be read of a day is left to the commits. */
static void read_ids(struct salvaging *s)
{
	struct day_reader *reader;
	sqlite3_stmt *stmt = NULL;
	struct day *day;

	if (day_acquire(s->store, s->day.number, &day, NULL) != 1)
		return;
	reader = day_reader_get(day, NULL);
	if (reader != NULL &&
	        sql_prepare_one(&reader->sql, "SELECT body FROM event", &stmt, NULL) == 0)
		while (sql_step(&reader->sql, stmt, NULL) == 1)
			ids_add(&s->ids, row_event_id(sql_column(stmt, 0)));
	sqlite3_finalize(stmt);
	if (reader != NULL)
		day_reader_put(day, reader);
	day_release(day);
}

int salvage_day(struct store *store, const char *name, int64_t number, salvage_commit *commit,
        void *ctx, uint64_t *saved, uint64_t *lost, struct error *err)
{
	g_autofree char *aside = g_build_filename(store->dir, name, NULL);
	g_autofree char *copy = g_strconcat(aside, COPY, NULL);
	struct salvaging s = {.store = store, .commit = commit, .ctx = ctx, .err = err};

	s.day = (struct day){.store = store, .number = number, .path = aside};
	s.day.start = number * CLOCK_DAY;
	s.record = g_byte_array_new();
	s.message = g_byte_array_new();
	s.batch = store_batch_new();
	ids_init(&s.ids);
	read_ids(&s);
	int result = salvage(&s, aside, copy);
	uint64_t had = s.sql.db != NULL ? expected(&s) : 0;
	*saved = s.saved;
	*lost = MAX(had > s.saved ? had - s.saved : 0, s.unread);
	dict_reader_clear(&s.reader.dict);
	sql_close(&s.reader.sql);
	sql_close(&s.sql);
	unlink(copy);
	file_unlink_beside(copy);
	g_byte_array_unref(s.record);
	g_byte_array_unref(s.message);
	store_batch_free(&s.batch);
	ids_clear(&s.ids);
	return result;
}
