#include "store/control.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/batch-private.h"
#include "store/file.h"
#include "store/ingest-private.h"
#include "store/private.h"
#include "store/pseudonym.h"

static const char schema[] =
#include "schema/control_sql.inc"
#include "schema/control-2_sql.inc"
        ;

/* Makes a file of one version one of the next; what each sets as user_version. */
static const char *const upgrades[CONTROL_VERSION] = {[1] =
#include "schema/control-2_sql.inc"
};

#define CACHE_KB 1024

enum control_statement {
	PUT_POSITION,
	PUT_STATE,
	DROP_STATE,
	ADD_LEDGER,
	ADD_COUNTER,
	ADD_GAP,
	ADD_UNPARSED,
	TRIM_GAPS,
	TRIM_UNPARSED,
	DROP_OLD_GAPS,
	DROP_OLD_UNPARSED,
	CLEAR_UNCOUNTED,
	ADD_UNCOUNTED,
	PUT_MARK,
	PUT_DROPPED,
	PUT_CLOCK,
	RUN_OP, /* the first of enum batch_op_kind */
	WRITE_STATEMENTS = RUN_OP + BATCH_OPS
};

#define KEEP G_STRINGIFY(CONTROL_KEEP)
#define KEY_BYTES G_STRINGIFY(TOMBSTONE_KEY_BYTES)

static const char *const statements[WRITE_STATEMENTS] = {
        [PUT_POSITION] = "INSERT OR REPLACE INTO position (source, value) VALUES (?1, ?2)",
        [PUT_STATE] = "INSERT OR REPLACE INTO state (key, value) VALUES (?1, ?2)",
        [DROP_STATE] = "DELETE FROM state WHERE key = ?1",
        [ADD_LEDGER] =
                "INSERT INTO ledger (source, event, linked, ignored, known, unparsed, events) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET "
                "event = event + excluded.event, linked = linked + excluded.linked, "
                "ignored = ignored + excluded.ignored, known = known + excluded.known, "
                "unparsed = unparsed + excluded.unparsed, events = events + excluded.events",
        [ADD_COUNTER] = "INSERT INTO counter (name, value) VALUES (?1, ?2) "
                        "ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [ADD_GAP] = "INSERT INTO gap (source, since, until, bytes, text) "
                    "SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM gap "
                    "WHERE until = ?3 AND bytes = ?4 AND text = ?5 AND "
                    "(?3 > 0 OR (since = ?2 AND ?2 > 0)))",
        [ADD_UNPARSED] = "INSERT INTO unparsed (source, offset, time, text) "
                         "VALUES (?1, ?2, ?3, ?4)",
        [TRIM_GAPS] = "DELETE FROM gap WHERE id <= (SELECT max(id) FROM gap) - " KEEP,
        [TRIM_UNPARSED] = "DELETE FROM unparsed WHERE id <= (SELECT max(id) FROM unparsed) - " KEEP,
        [DROP_OLD_GAPS] = "DELETE FROM gap WHERE max(since, until) < ?1 AND max(since, until) > 0",
        [DROP_OLD_UNPARSED] = "DELETE FROM unparsed WHERE time < ?1",
        [CLEAR_UNCOUNTED] = "DELETE FROM uncounted",
        [ADD_UNCOUNTED] = "INSERT OR IGNORE INTO uncounted (event_id) VALUES (?1)",
        [PUT_MARK] = "INSERT OR REPLACE INTO meta (name, value) VALUES ('mark', ?1)",
        [PUT_DROPPED] = "INSERT INTO meta (name, value) VALUES ('dropped', ?1) "
                        "ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        [PUT_CLOCK] = "INSERT OR REPLACE INTO meta (name, value) "
                      "VALUES ('clock', ?1), ('clock_waited', ?2)",
        /* The values stand in the order of the columns. */
        [RUN_OP + OP_PUT_OUTBOX] =
                "INSERT OR REPLACE INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        [RUN_OP + OP_PUT_DESTINATION] =
                "INSERT OR REPLACE INTO destination VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [RUN_OP + OP_ADD_FAILURE] =
                "INSERT INTO outbox_failure (destination, batch, time, cause, line) "
                "VALUES (?1, ?2, ?3, ?4, ?5)",
        [RUN_OP + OP_TRIM_OUTBOX] = "DELETE FROM outbox WHERE created < ?1",
        [RUN_OP + OP_TRIM_FAILURES] = "DELETE FROM outbox_failure WHERE time < ?1",
        [RUN_OP + OP_DROP_FAILURE] = "DELETE FROM outbox_failure WHERE id = "
                                     "(SELECT max(id) FROM outbox_failure) - ?1",
};

int control_sound(struct sql *sql, struct error *err)
{
	int64_t keys = 0;

	if (sql_has_schema(sql, schema, err) < 0 ||
	        sql_number(sql,
	                "SELECT min(typeof(key) = 'blob' AND length(key) = " KEY_BYTES ") "
	                "FROM erasure_key",
	                0, &keys, err) < 0)
		return -1;
	return keys == 1 ? 0
	                 : sql_damaged(err,
	                           "store file %s is damaged: its key of erasures is gone or cut "
	                           "off",
	                           sql->path);
}

/* Where nothing but the version is damaged, nothing is lost with the file. */
static int mend_version(struct sql *sql, struct store *store, struct error *err)
{
	int64_t version, sign;

	if (sql_versions(sql, &version, &sign, err) < 0)
		return -1;
	if (version == CONTROL_VERSION || sign != CONTROL_VERSION ||
	        sql_check_pages(sql, NULL) < 0 || control_sound(sql, NULL) < 0)
		return 0;
	if (sql_exec(sql, "PRAGMA user_version = " G_STRINGIFY(CONTROL_VERSION), err) < 0)
		return -1;
	g_autofree char *text = g_strdup_printf(
	        "store file %s was damaged: it had version %d, and has %d again; nothing else of "
	        "it was",
	        sql->path, (int)version, CONTROL_VERSION);
	store_tell_loss(store, text);
	return 0;
}

static int check_version(struct sql *sql, struct error *err)
{
	int result = sql_version(sql, CONTROL_VERSION, NULL, err);

	/* An empty one that was left by a crash is not there any more. */
	return result == 0
	               ? sql_damaged(err, "store file %s is damaged: it has no version", sql->path)
	               : result;
}

static int open_writer(struct sql *writer, struct store *store, const char *path, struct error *err)
{
	if (access(path, F_OK) < 0 && errno == ENOENT &&
	        file_make(store, path, CONTROL_VERSION, schema, err) < 0)
		return -1;
	if (sql_open(writer, path, SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	/* All of it is read at the start, so that nothing of it fails under the daemon. */
	if (day_writer_pragmas(writer, store->fast_import, CACHE_KB, err) == 0 &&
	        mend_version(writer, store, err) == 0 && check_version(writer, err) == 1 &&
	        sql_check_pages(writer, err) == 0 &&
	        sql_upgrade(writer, upgrades, CONTROL_VERSION, err) == 0 &&
	        control_sound(writer, err) == 0 &&
	        sql_prepare(writer, statements, WRITE_STATEMENTS, err) == 0)
		return 0;
	sql_close(writer);
	return -1;
}

/* Into the members only when both work. */
static int open_both(struct control *control, struct store *store, struct error *err)
{
	struct sql writer = {0}, reader;
	struct stat st;

	if (store->mode == STORE_WRITE && open_writer(&writer, store, control->path, err) < 0)
		return -1;
	int result = sql_open_reader(&reader, control->path, CONTROL_VERSION, err);
	if (result != 1) {
		sql_close(&writer);
		return result < 0 ? -1
		                  : error_errno(
		                            err, ENOENT, "there is no store in %s yet", store->dir);
	}
	control->inode = stat(control->path, &st) == 0 ? st.st_ino : 0;
	sql_close(&control->writer);
	sql_close(&control->reader);
	control->writer = writer;
	control->reader = reader;
	control->wal.suspect = false;
	control->wal.bytes = 0;
	control->reader.suspect = &control->wal.suspect;
	if (store->mode == STORE_WRITE)
		wal_watch(&control->wal, &control->writer);
	return 0;
}

int control_open(struct control *control, struct store *store, struct error *err)
{
	control->path = g_build_filename(store->dir, CONTROL_NAME, NULL);
	control->wal.store = store;
	control->wal.path = control->path;
	pthread_mutex_init(&control->lock, NULL);
	struct error cause = {0};
	int result = open_both(control, store, &cause);
	if (result < 0 && cause.number == SQL_DAMAGED && store->mode == STORE_WRITE)
		return aside_control(store, &cause, err) < 0 ? -1 : open_both(control, store, err);
	if (result < 0 && err != NULL && !err->set)
		*err = cause;
	return result;
}

static void close_wal(void *arg)
{
	wal_close(arg);
}

/* Where the file was deleted or set aside, what is written to it would be lost. A new one takes its
 * place, as at the start of a writer. */
static int stay_in_place(struct control *control, struct store *store, struct error *err)
{
	struct stat st;

	if (stat(control->path, &st) == 0 && st.st_ino == control->inode)
		return 0;
	if (control->inode != 0)
		aside_deleted_control(store);
	control->inode = 0; /* it is told */
	helper_do(store->helper, close_wal, &control->wal);
	pthread_mutex_lock(&control->lock);
	int result = open_both(control, store, err);
	pthread_mutex_unlock(&control->lock);
	return result;
}

void control_close(struct control *control)
{
	if (control->path == NULL)
		return;
	sql_close(&control->reader);
	wal_close(&control->wal);
	sql_close(&control->writer);
	pthread_mutex_destroy(&control->lock);
	g_clear_pointer(&control->path, g_free);
}

int control_mark(struct control *control, int64_t *mark, struct error *err)
{
	pthread_mutex_lock(&control->lock);
	int result = sql_number(
	        &control->reader, "SELECT value FROM meta WHERE name = 'mark'", -1, mark, err);
	pthread_mutex_unlock(&control->lock);
	return result;
}

int control_uncounted(struct control *control, GHashTable *ids, struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	int result;

	if (sqlite3_prepare_v2(control->writer.db, "SELECT event_id FROM uncounted", -1, &stmt,
	            NULL) != SQLITE_OK)
		return sql_error(&control->writer, err);
	while ((result = sql_step(&control->writer, stmt, err)) == 1) {
		gint64 id = sqlite3_column_int64(stmt, 0);
		g_hash_table_add(ids, g_memdup2(&id, sizeof(id)));
	}
	sqlite3_finalize(stmt);
	return result;
}

/* One statement with what it binds. */
struct run {
	struct sql *sql;
	const struct store_batch *batch;
	struct error *err;
	struct store *store;
};

/* A text without who was erased: lines of a log that is read again come back here. */
static struct slice clean_text(struct run *run, struct batch_text text)
{
	struct slice value =
	        store_plainless(run->store, batch_slice(run->batch, text), run->store->plainless);
	GString *clean = run->store->erase.text;

	g_string_truncate(clean, 0);
	if (!tombstones_clean(run->store->erase.stones, INT64_MIN, false, value, clean))
		return value;
	return slice_make(clean->str, clean->len);
}

static int run_texts(struct run *run, enum control_statement statement, struct batch_text key,
        struct batch_text value)
{
	sqlite3_stmt *stmt = run->sql->stmt[statement];

	sql_bind_slice(stmt, 1, batch_slice(run->batch, key));
	if (!value.none && statement == PUT_STATE)
		sql_bind_slice(stmt, 2,
		        pseudonym_seal(
		                run->store, batch_slice(run->batch, value), run->store->sealed));
	else if (!value.none)
		sql_bind_slice(stmt, 2, batch_slice(run->batch, value));
	return sql_run(run->sql, stmt, run->err);
}

static int put_pairs(struct run *run)
{
	const struct store_batch *batch = run->batch;

	for (guint i = 0; i < batch->positions->len; i++) {
		const struct batch_pair *pair =
		        &g_array_index(batch->positions, struct batch_pair, i);
		if (run_texts(run, PUT_POSITION, pair->key, pair->value) < 0)
			return -1;
	}
	for (guint i = 0; i < batch->state->len; i++) {
		const struct batch_pair *pair = &g_array_index(batch->state, struct batch_pair, i);
		if (run_texts(run, pair->value.none ? DROP_STATE : PUT_STATE, pair->key,
		            pair->value) < 0)
			return -1;
	}
	return 0;
}

static int add_counter(struct run *run, struct slice name, int64_t n)
{
	sqlite3_stmt *stmt = run->sql->stmt[ADD_COUNTER];

	sqlite3_bind_text(stmt, 1, name.p, (int)name.n, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, n);
	return sql_run(run->sql, stmt, run->err);
}

static int add_counters(struct run *run, const struct control_news *news)
{
	const struct store_batch *batch = run->batch;

	for (guint i = 0; i < batch->counters->len; i++) {
		const struct batch_counter *counter =
		        &g_array_index(batch->counters, struct batch_counter, i);
		if (add_counter(run, batch_slice(batch, counter->name), counter->n) < 0)
			return -1;
	}
	if (news->too_old > 0 && add_counter(run, SLICE("too_old"), (int64_t)news->too_old) < 0)
		return -1;
	if (news->missed > 0 && add_counter(run, SLICE("milter_missed"), (int64_t)news->missed) < 0)
		return -1;
	return news->bad_time > 0 ? add_counter(run, SLICE("bad_time"), (int64_t)news->bad_time)
	                          : 0;
}

static int add_gaps(struct run *run, int64_t oldest)
{
	const struct store_batch *batch = run->batch;
	sqlite3_stmt *stmt = run->sql->stmt[ADD_GAP];

	for (guint i = 0; i < batch->gaps->len; i++) {
		const struct batch_gap *gap = &g_array_index(batch->gaps, struct batch_gap, i);
		int64_t time = MAX(gap->from, gap->to);
		if (time > 0 && time < oldest)
			continue;
		sql_bind_slice(stmt, 1, batch_slice(batch, gap->source));
		sqlite3_bind_int64(stmt, 2, gap->from);
		sqlite3_bind_int64(stmt, 3, gap->to);
		sqlite3_bind_int64(stmt, 4, gap->bytes);
		sql_bind_slice(stmt, 5, clean_text(run, gap->text));
		if (sql_run(run->sql, stmt, run->err) < 0)
			return -1;
	}
	return batch->gaps->len > 0 ? sql_run(run->sql, run->sql->stmt[TRIM_GAPS], run->err) : 0;
}

/* What was set aside is told in the same place as what was not read. */
static int add_news(struct run *run, const GPtrArray *all)
{
	sqlite3_stmt *stmt = run->sql->stmt[ADD_GAP];

	for (guint i = 0; i < all->len; i++) {
		const struct aside_news *news = g_ptr_array_index(all, i);
		sql_bind_slice(stmt, 1, SLICE("store"));
		sqlite3_bind_int64(stmt, 2, news->from);
		sqlite3_bind_int64(stmt, 3, news->to);
		sqlite3_bind_int64(stmt, 4, news->bytes);
		sql_bind_slice(stmt, 5, slice_str(news->text));
		if (sql_run(run->sql, stmt, run->err) < 0)
			return -1;
	}
	return 0;
}

static int add_unparsed(struct run *run, int64_t oldest)
{
	const struct store_batch *batch = run->batch;
	sqlite3_stmt *stmt = run->sql->stmt[ADD_UNPARSED];
	guint from = batch->unparsed->len > CONTROL_KEEP ? batch->unparsed->len - CONTROL_KEEP : 0;

	for (guint i = from; i < batch->unparsed->len; i++) {
		const struct batch_unparsed *line =
		        &g_array_index(batch->unparsed, struct batch_unparsed, i);
		if (line->time < oldest)
			continue;
		sql_bind_slice(stmt, 1, batch_slice(batch, line->source));
		sqlite3_bind_int64(stmt, 2, line->offset);
		sqlite3_bind_int64(stmt, 3, line->time);
		sql_bind_slice(stmt, 4, clean_text(run, line->text));
		if (sql_run(run->sql, stmt, run->err) < 0)
			return -1;
	}
	return batch->unparsed->len > 0 ? sql_run(run->sql, run->sql->stmt[TRIM_UNPARSED], run->err)
	                                : 0;
}

/* New events of each line and of each source; what the ledger gets of both. */
static void count_lines(
        const struct store_batch *batch, const bool *new_event, struct store_source *sources)
{
	g_autofree uint32_t *made = g_new0(uint32_t, batch->lines->len + 1);

	for (guint i = 0; i < batch->events->len; i++) {
		uint32_t line = g_array_index(batch->events, struct batch_event, i).line;
		if (line == BATCH_NO_LINE || !new_event[i])
			continue;
		made[line]++;
		sources[g_array_index(batch->lines, struct batch_line, line).source].events++;
	}
	for (guint i = 0; i < batch->lines->len; i++) {
		const struct batch_line *line = &g_array_index(batch->lines, struct batch_line, i);
		bool known = line->class == LEDGER_EVENT && made[i] == 0;
		sources[line->source].count[known ? LEDGER_KNOWN : line->class]++;
	}
	for (guint i = 0; i < batch->sources->len; i++)
		for (unsigned class = 0; class < LEDGER_CLASSES; class ++)
			sources[i].count[class] +=
			        g_array_index(batch->sources, struct batch_source, i).count[class];
}

static int add_ledger(struct run *run, const bool *new_event)
{
	const struct store_batch *batch = run->batch;
	g_autofree struct store_source *sources =
	        g_new0(struct store_source, batch->sources->len + 1);
	sqlite3_stmt *stmt = run->sql->stmt[ADD_LEDGER];

	count_lines(batch, new_event, sources);
	for (guint i = 0; i < batch->sources->len; i++) {
		struct batch_text name = g_array_index(batch->sources, struct batch_source, i).name;
		sql_bind_slice(stmt, 1, batch_slice(batch, name));
		/* The columns stand in the order of enum ledger_class. */
		for (int class = 0; class < LEDGER_CLASSES; class ++)
			sqlite3_bind_int64(stmt, 2 + class, (int64_t)sources[i].count[class]);
		sqlite3_bind_int64(stmt, 2 + LEDGER_CLASSES, (int64_t)sources[i].events);
		if (sql_run(run->sql, stmt, run->err) < 0)
			return -1;
	}
	return 0;
}

static int put_uncounted(struct run *run, GHashTable *ids)
{
	sqlite3_stmt *stmt = run->sql->stmt[ADD_UNCOUNTED];
	GHashTableIter iter;
	const gint64 *id;

	if (ids == NULL)
		return 0;
	if (sql_run(run->sql, run->sql->stmt[CLEAR_UNCOUNTED], run->err) < 0)
		return -1;
	g_hash_table_iter_init(&iter, ids);
	while (g_hash_table_iter_next(&iter, (gpointer *)&id, NULL)) {
		sqlite3_bind_int64(stmt, 1, *id);
		if (sql_run(run->sql, stmt, run->err) < 0)
			return -1;
	}
	return 0;
}

static void bind_param(
        sqlite3_stmt *stmt, int at, const struct batch_param *param, struct slice text)
{
	if (param->is_text)
		sqlite3_bind_text64(
		        stmt, at, text.n > 0 ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
	else if (param->is_blob)
		sql_bind_slice(stmt, at, text);
	else
		sqlite3_bind_int64(stmt, at, param->number);
}

/* What others wrote, by its place in the columns: it may name who was erased. */
static const struct foreign {
	guint at;   /* from 1; 0: nothing */
	guint too;  /* one more of them */
	bool whole; /* a row that names somebody is left out */
} foreign[BATCH_OPS] = {
        [OP_PUT_OUTBOX] = {.at = 16},
        [OP_PUT_DESTINATION] = {.at = 9},
        [OP_ADD_FAILURE] = {.at = 4, .too = 5, .whole = true},
};

static int run_op(struct run *run, const struct batch_op *op)
{
	sqlite3_stmt *stmt = run->sql->stmt[RUN_OP + (int)op->kind];
	const struct foreign *may = &foreign[op->kind];

	for (guint at = 1; at <= op->n; at++) {
		const struct batch_param *param =
		        &g_array_index(run->batch->params, struct batch_param, op->first + at - 1);
		struct slice clean = batch_slice(run->batch, param->text);
		if (at == may->at || at == may->too)
			clean = clean_text(run, param->text);
		if (may->whole && clean.p == run->store->erase.text->str)
			return 0;
		bind_param(stmt, (int)at, param, clean);
	}
	return sql_run(run->sql, stmt, run->err);
}

static int run_ops(struct run *run)
{
	const struct store_batch *batch = run->batch;

	for (guint i = 0; i < batch->ops->len; i++)
		if (run_op(run, &g_array_index(batch->ops, struct batch_op, i)) < 0)
			return -1;
	return 0;
}

static int put_mark(struct run *run, uint64_t mark)
{
	sqlite3_stmt *stmt = run->sql->stmt[PUT_MARK];

	sqlite3_bind_int64(stmt, 1, (int64_t)mark);
	return sql_run(run->sql, stmt, run->err);
}

int control_set_dropped(struct control *control, uint64_t mark, struct error *err)
{
	sqlite3_stmt *stmt = control->writer.stmt[PUT_DROPPED];

	sqlite3_bind_int64(stmt, 1, (int64_t)mark);
	return sql_run(&control->writer, stmt, err);
}

int control_clock(struct control *control, int64_t *time, int64_t *waited, struct error *err)
{
	pthread_mutex_lock(&control->lock);
	int result = sql_number(
	        &control->reader, "SELECT value FROM meta WHERE name = 'clock'", 0, time, err);
	if (result == 0)
		result = sql_number(&control->reader,
		        "SELECT value FROM meta WHERE name = 'clock_waited'", 0, waited, err);
	pthread_mutex_unlock(&control->lock);
	return result;
}

int control_set_clock(struct control *control, int64_t time, int64_t waited, struct error *err)
{
	sqlite3_stmt *stmt = control->writer.stmt[PUT_CLOCK];

	if (wal_sound(&control->wal, &control->writer, err) < 0)
		return -1;
	sqlite3_bind_int64(stmt, 1, time);
	sqlite3_bind_int64(stmt, 2, waited);
	return sql_run(&control->writer, stmt, err);
}

int control_set_mark(struct control *control, uint64_t mark, struct error *err)
{
	struct run run = {&control->writer, NULL, err, NULL};

	return put_mark(&run, mark);
}

int control_prune(struct control *control, int64_t oldest, struct error *err)
{
	struct sql *sql = &control->writer;

	sqlite3_bind_int64(sql->stmt[DROP_OLD_GAPS], 1, oldest);
	sqlite3_bind_int64(sql->stmt[DROP_OLD_UNPARSED], 1, oldest);
	/* Not left in free pages, which may stay for long. */
	return sql_exec(sql, "PRAGMA secure_delete = ON", err) < 0 ||
	                       sql_run(sql, sql->stmt[DROP_OLD_GAPS], err) < 0 ||
	                       sql_run(sql, sql->stmt[DROP_OLD_UNPARSED], err) < 0 ||
	                       sql_exec(sql, "PRAGMA secure_delete = OFF", err) < 0
	               ? -1
	               : 0;
}

static int commit(struct store *store, const struct store_batch *batch,
        const struct control_news *news, struct error *err)
{
	struct control *control = &store->control;
	struct run run = {&control->writer, batch, err, store};

	if (stay_in_place(control, store, err) < 0 ||
	        wal_sound(&control->wal, &control->writer, err) < 0)
		return -1;
	wal_bound(&control->wal, &control->writer);
	if (sql_begin(&control->writer, err) == 0 && put_pairs(&run) == 0 &&
	        add_ledger(&run, news->new_event) == 0 && add_counters(&run, news) == 0 &&
	        add_gaps(&run, news->oldest) == 0 && add_news(&run, store->news) == 0 &&
	        add_unparsed(&run, news->oldest) == 0 && run_ops(&run) == 0 &&
	        ingest_commit(&control->writer, batch, news, err) == 0 &&
	        put_uncounted(&run, news->uncounted) == 0 && put_mark(&run, news->mark) == 0 &&
	        (store->dropped == 0 || control_set_dropped(control, store->dropped, err) == 0) &&
	        store_fault_at(store, "control", err) == 0 &&
	        sql_commit(&control->writer, err) == 0) {
		g_ptr_array_set_size(store->news, 0);
		return 0;
	}
	sql_rollback(&control->writer);
	return -1;
}

int control_commit(struct store *store, const struct store_batch *batch,
        const struct control_news *news, struct error *err)
{
	struct error cause = {0};

	if (commit(store, batch, news, &cause) == 0)
		return 0;
	if (cause.number == SQL_DAMAGED) {
		if (aside_control(store, &cause, err) < 0)
			return -1;
		store->control.inode = 0;
		return commit(store, batch, news, err);
	}
	if (err != NULL && !err->set)
		*err = cause;
	return -1;
}
