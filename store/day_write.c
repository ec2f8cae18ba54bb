#include "store/day.h"

#include <sys/stat.h>

#include "store/aside.h"
#include "store/file.h"
#include "store/index.h"
#include "store/private.h"

#define MAX_WRITERS 4               /* days that an import may jump between */
#define IDLE_MS (10 * CLOCK_MINUTE) /* after which the writer of an ended day is closed */
#define MESSAGE_CACHE 65536         /* messages that may get events still */
#define HELPER_CACHE_KB 4096        /* of a merge */
#define WAL_CHECKPOINT_PAGES 512    /* 4 MiB: the helper copies them into the file */

int day_writer_pragmas(struct sql *sql, bool fast, int cache_kb, struct error *err)
{
	char cache[64];

	g_snprintf(cache, sizeof(cache), "PRAGMA cache_size = -%d", cache_kb);
	return file_use_wal(sql, err) < 0 ||
	                       sql_exec(sql,
	                               fast ? "PRAGMA synchronous = NORMAL"
	                                    : "PRAGMA synchronous = FULL",
	                               err) < 0 ||
	                       sql_exec(sql, "PRAGMA secure_delete = OFF", err) < 0 ||
	                       sql_exec(sql, "PRAGMA wal_autocheckpoint = 0", err) < 0 ||
	                       sql_exec(sql, "PRAGMA journal_size_limit = 67108864", err) < 0 ||
	                       sql_exec(sql, cache, err) < 0
	               ? -1
	               : 0;
}

void wal_close(struct wal *wal)
{
	sql_close(&wal->sql);
}

static int wal_open(struct wal *wal)
{
	int64_t tables;

	if (wal->sql.db != NULL)
		return 0;
	if (sql_open(&wal->sql, wal->path, SQLITE_OPEN_READWRITE, NULL) < 0)
		return -1;
	wal->sql.suspect = &wal->suspect;
	/* A connection that has not read yet checkpoints nothing, and says so to nobody. */
	return sql_number(&wal->sql, "SELECT count(*) FROM sqlite_schema", 0, &tables, NULL);
}

/* A checkpoint that fails (disk full) is tried again after the next commit; the log keeps all. */
static void checkpoint(void *arg)
{
	struct wal *wal = arg;

	wal->asked = false;
	if (wal_open(wal) < 0 || sqlite3_wal_checkpoint_v2(wal->sql.db, NULL,
	                                 SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK)
		wal_close(wal);
	if (wal->day != NULL)
		day_release(wal->day);
}

/* The log begins anew: no reader keeps it. */
static void wal_anew(struct wal *wal)
{
	wal->pages = 0;
	wal->checked = wal->bound = 0;
	wal->held = 0;
	wal->told = false;
}

static int committed(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct wal *wal = arg;

	(void)db;
	(void)name;
	if (pages < wal->pages)
		wal_anew(wal);
	wal->pages = pages;
	if (pages - wal->checked < WAL_CHECKPOINT_PAGES || atomic_exchange(&wal->asked, true))
		return SQLITE_OK;
	wal->checked = pages;
	if (wal->day != NULL)
		day_ref(wal->day);
	helper_do(wal->store->helper, checkpoint, wal);
	return SQLITE_OK;
}

void wal_watch(struct wal *wal, struct sql *writer)
{
	sqlite3_wal_hook(writer->db, committed, wal);
}

/* A reader keeps the log. Each try to start it again takes its time: the next one comes when it has
 * grown by a quarter of what it may be. */
static void wal_held(struct wal *wal)
{
	int64_t now = g_get_monotonic_time() / 1000;

	if (wal->held == 0)
		wal->held = now;
	/* While searches of ours read the file it may be them. */
	bool ours = wal->day != NULL && atomic_load(&wal->day->lent) > 0;
	if (now - wal->held >= wal->store->log.held_ms && !wal->told && !ours) {
		aside_log_held(wal->store, wal->path, now - wal->held);
		wal->told = true;
	}
	wal->bound = wal->pages + wal->store->log.pages / 4;
}

/* By a connection of its own, which has no page in its memory. */
static int look_through(struct wal *wal, struct error *err)
{
	struct error cause = {0};
	struct sql sql;

	if (sql_open(&sql, wal->path, SQLITE_OPEN_READWRITE, &cause) == 0) {
		sql_check_pages(&sql, &cause);
		sql_close(&sql);
	}
	if (cause.number != SQL_DAMAGED)
		return 0;
	return sql_damaged(err, "%s", cause.text);
}

int wal_sound(struct wal *wal, struct sql *writer, struct error *err)
{
	struct stat st;

	if (sql_check_start(writer, err) < 0)
		return -1;
	if (stat(wal->path, &st) < 0)
		return 0;
	bool smaller = st.st_size < wal->bytes;
	wal->bytes = st.st_size;
	/* A file may become smaller when its free pages are given back. */
	return atomic_exchange(&wal->suspect, false) || smaller ? look_through(wal, err) : 0;
}

void wal_bound(struct wal *wal, struct sql *writer)
{
	/* The passive checkpoint never catches up with a writer at full speed. */
	if (wal->pages < MAX(wal->bound, wal->store->log.pages))
		return;
	sqlite3_busy_timeout(writer->db, SQL_LOG_BUSY_MS);
	int result =
	        sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	sqlite3_busy_timeout(writer->db, SQL_BUSY_MS);
	if (result == SQLITE_BUSY)
		wal_held(wal);
	else
		wal_anew(wal);
}

void day_writer_free(struct day_writer *writer)
{
	/* Who closes a file last copies its log into it: that should be one who may write. */
	sql_rollback(&writer->sql);
	wal_close(&writer->day->wal);
	day_close_idle(writer->day);
	sql_close(&writer->sql);
	for (unsigned i = 0; i < DICT_KINDS; i++)
		dict_writer_clear(&writer->dict[i]);
	cache_free(&writer->message);
	seconds_free(&writer->seconds);
	index_tail_free(writer->tail);
	g_free(writer->tail);
	g_byte_array_unref(writer->scratch);
	g_byte_array_unref(writer->shape);
	g_string_free(writer->frame, TRUE);
	day_release(writer->day);
	g_free(writer);
}

static void close_writer(void *arg)
{
	day_writer_free(arg);
}

struct day_writer *day_writer_new(struct day *day, struct error *err)
{
	struct day_writer *writer = g_new0(struct day_writer, 1);

	writer->day = day;
	if (day_writer_open(writer, day, err) < 0) {
		g_free(writer);
		return NULL;
	}
	for (unsigned i = 0; i < DICT_KINDS; i++)
		dict_writer_init(&writer->dict[i]);
	cache_init(&writer->message, MESSAGE_CACHE);
	seconds_init(&writer->seconds);
	writer->tail = g_new(struct index_tail, 1);
	index_tail_init(writer->tail);
	writer->scratch = g_byte_array_new();
	writer->shape = g_byte_array_new();
	writer->frame = g_string_new(NULL);
	return writer;
}

int day_writer_flush(struct day_writer *writer, struct error *err)
{
	return dict_flush(writer, err) < 0 || index_flush(writer->tail, &writer->sql, err) < 0 ? -1
	                                                                                       : 0;
}

static struct day_writer *open_day(struct store *store, int64_t number, struct error *err)
{
	struct day *day;

	if (day_create(store, number, &day, err) < 0)
		return NULL;
	struct day_writer *writer = day_writer_new(day, err);
	if (writer != NULL)
		wal_watch(&day->wal, &writer->sql);
	else
		day_release(day);
	return writer;
}

/* Takes the writer at an index out of the list. */
static struct day_writer *take(struct store *store, guint at)
{
	return g_ptr_array_steal_index(store->writers, at);
}

struct day_writer *day_writer_get(struct store *store, int64_t number, struct error *err)
{
	struct day_writer *writer = NULL;

	for (guint i = store->writers->len; i-- > 0 && writer == NULL;) {
		struct day_writer *open = g_ptr_array_index(store->writers, i);
		if (open->day->number == number)
			writer = take(store, i);
	}
	if (writer != NULL && !day_in_place(writer->day)) {
		/* What is written to it would be lost. We ourselves drop the writer first. */
		aside_deleted_day(store, number);
		helper_do(store->helper, close_writer, writer);
		writer = NULL;
	}
	if (writer == NULL) {
		if (store->writers->len >= MAX_WRITERS)
			helper_do(store->helper, close_writer, take(store, 0));
		writer = open_day(store, number, err);
		if (writer == NULL)
			return NULL;
	}
	writer->used = clock_now();
	g_ptr_array_add(store->writers, writer);
	return writer;
}

void day_writer_drop(struct store *store, int64_t number)
{
	for (guint i = store->writers->len; i-- > 0;) {
		struct day_writer *writer = g_ptr_array_index(store->writers, i);
		if (writer->day->number != number)
			continue;
		take(store, i);
		/* At once: what was written and not committed must be gone before the next try. */
		sql_rollback(&writer->sql);
		helper_do(store->helper, close_writer, writer);
	}
}

void day_writers_close(struct store *store)
{
	while (store->writers->len > 0)
		helper_do(store->helper, close_writer, take(store, 0));
}

static bool in_hurry(void *ctx)
{
	return helper_in_hurry(ctx);
}

/* A connection of the helper's own. What it writes is no news: it need not be on the disk before
 * the next commit. */
static int open_helper(struct day *day, struct sql *sql)
{
	if (sql_open(sql, day->path, SQLITE_OPEN_READWRITE, NULL) < 0)
		return -1;
	sql->suspect = &day->wal.suspect;
	if (day_writer_pragmas(sql, true, HELPER_CACHE_KB, NULL) == 0 &&
	        day_prepare(sql, NULL) == 0)
		return 0;
	sql_close(sql);
	return -1;
}

/* Helper thread. What fails is tried again when more is due. */
static void merge(void *arg)
{
	struct day *day = arg;
	struct helper *helper = day->store->helper;
	struct sql sql;

	if (!helper_in_hurry(helper) && day_in_place(day) && open_helper(day, &sql) == 0) {
		index_merge(&sql, false, in_hurry, helper, NULL);
		sql_close(&sql);
	}
	day->merging = false;
	day_release(day);
}

void day_merge(struct day_writer *writer)
{
	writer->tail->merge_due = false;
	if (!atomic_exchange(&writer->day->merging, true))
		helper_do(writer->day->store->helper, merge, day_ref(writer->day));
}

/* What stands in the tail would cost each search of the day. */
static int seal(struct sql *sql)
{
	struct index_tail tail;

	index_tail_init(&tail);
	int result = sql_begin(sql, NULL) < 0 || index_tail_load(&tail, sql, NULL) < 0 ||
	                             index_seal(&tail, sql, NULL) < 0 || sql_commit(sql, NULL) < 0
	                     ? -1
	                     : 0;
	sql_rollback(sql);
	index_tail_free(&tail);
	return result;
}

/* Helper thread. What fails here is done when the store is opened the next time. */
static void finish(void *arg)
{
	struct day *day = arg;
	struct helper *helper = day->store->helper;
	struct sql sql;

	if (!helper_in_hurry(helper) && day_in_place(day) && open_helper(day, &sql) == 0) {
		if (seal(&sql) == 0 && index_merge(&sql, true, in_hurry, helper, NULL) == 0 &&
		        file_shrink(&sql, in_hurry, helper, NULL) == 0) {
			wal_close(&day->wal);
			day_close_idle(day);
			/* Without waiting: somebody who reads keeps the WAL for now. */
			sqlite3_busy_timeout(sql.db, 0);
			sqlite3_wal_checkpoint_v2(
			        sql.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
			file_use_no_wal(&sql, NULL);
		}
		sql_close(&sql);
	}
	day_release(day);
}

/* Asked by a connection: who opens the file besides SQLite takes its locks away by closing it. */
static bool is_wal(struct day *day)
{
	struct day_reader *reader = day_reader_get(day, NULL);
	bool wal = false;

	if (reader == NULL)
		return false;
	file_is_wal(&reader->sql, &wal, NULL);
	day_reader_put(day, reader);
	return wal;
}

static bool is_written(struct store *store, int64_t number)
{
	for (guint i = 0; i < store->writers->len; i++) {
		const struct day_writer *writer = g_ptr_array_index(store->writers, i);
		if (writer->day->number == number)
			return true;
	}
	return false;
}

static void finish_day(struct store *store, int64_t number)
{
	struct day *day;

	if (day_acquire(store, number, &day, NULL) != 1)
		return;
	if (is_wal(day))
		helper_do(store->helper, finish, day);
	else
		day_release(day);
}

void day_finish_ended(struct store *store, int64_t today)
{
	g_autoptr(GArray) days = store_list_days(store, NULL);

	for (guint i = 0; days != NULL && i < days->len; i++) {
		int64_t number = g_array_index(days, gint64, i);
		if (number < today && !is_written(store, number))
			finish_day(store, number);
	}
}

void day_writers_idle(struct store *store, int64_t now)
{
	int64_t today = clock_day_of(now);

	for (guint i = store->writers->len; i-- > 0;) {
		struct day_writer *writer = g_ptr_array_index(store->writers, i);
		int64_t number = writer->day->number;
		if (number >= today || now - writer->used < IDLE_MS)
			continue;
		helper_do(store->helper, close_writer, take(store, i));
		finish_day(store, number);
	}
}
