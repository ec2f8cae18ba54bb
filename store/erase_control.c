/* What the control file keeps besides events, and what else lies in the store's directory. */
#include <errno.h>

#include "store/backup.h"
#include "store/erase-private.h"
#include "store/pseudonym.h"
#include "store/spool.h"

/* Texts that may name somebody. Tables that are not there yet are left out. */
static const struct kept {
	const char *table, *key, *column;
	bool whole; /* the row goes; else its text is cleaned */
} kept[] = {
        {"unparsed", "id", "text", false},
        {"gap", "id", "text", false},
        {"outbox", "id", "answer", false},
        {"destination", "name", "trouble", false},
        {"outbox_failure", "id", "cause", true},
        {"outbox_failure", "id", "line", true},
};

static int has_table(struct sql *sql, const char *table, struct error *err)
{
	g_autofree char *text = g_strdup_printf(
	        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '%s'", table);
	int64_t n = 0;

	return sql_number(sql, text, 0, &n, err) < 0 ? -1 : n > 0;
}

/* ---- texts ---- */

struct cleaning {
	struct sql *sql;
	struct tombstones *stones;
	sqlite3_stmt *select, *change;
	const struct kept *kept;
	struct erasure *erasure;
	GString *text;
	struct error *err;
};

static int clean_row(struct cleaning *c)
{
	struct slice text = sql_column(c->select, 1);

	g_string_truncate(c->text, 0);
	if (!tombstones_clean(c->stones, INT64_MIN, false, text, c->text))
		return 0;
	sqlite3_bind_value(c->change, 1, sqlite3_column_value(c->select, 0));
	/* Of the type that it had: lines are bytes, answers are text. */
	if (!c->kept->whole && sqlite3_column_type(c->select, 1) == SQLITE_TEXT)
		sqlite3_bind_text(c->change, 2, c->text->str, (int)c->text->len, SQLITE_STATIC);
	else if (!c->kept->whole)
		sql_bind_slice(c->change, 2, slice_make(c->text->str, c->text->len));
	if (sql_run(c->sql, c->change, c->err) < 0)
		return -1;
	c->erasure->lines++;
	return 0;
}

static int prepare(struct cleaning *c)
{
	const struct kept *of = c->kept;
	g_autofree char *select = g_strdup_printf(
	        "SELECT %s, %s FROM %s ORDER BY %s", of->key, of->column, of->table, of->key);
	g_autofree char *change =
	        of->whole ? g_strdup_printf("DELETE FROM %s WHERE %s = ?1", of->table, of->key)
	                  : g_strdup_printf("UPDATE %s SET %s = ?2 WHERE %s = ?1", of->table,
	                            of->column, of->key);

	return sqlite3_prepare_v2(c->sql->db, select, -1, &c->select, NULL) != SQLITE_OK ||
	                       sqlite3_prepare_v2(c->sql->db, change, -1, &c->change, NULL) !=
	                               SQLITE_OK
	               ? sql_error(c->sql, c->err)
	               : 0;
}

static int clean_column(struct cleaning *c)
{
	int result = has_table(c->sql, c->kept->table, c->err);

	if (result <= 0)
		return result;
	result = prepare(c);
	while (result == 0 && (result = sql_step(c->sql, c->select, c->err)) == 1)
		result = clean_row(c);
	sqlite3_finalize(g_steal_pointer(&c->select));
	sqlite3_finalize(g_steal_pointer(&c->change));
	return result;
}

int erase_control_clean(struct store *store, struct erasure *erasure, struct error *err)
{
	struct cleaning c = {.sql = &store->control.writer,
	        .stones = store_erase_stones(store, erasure),
	        .erasure = erasure,
	        .text = g_string_new(NULL),
	        .err = err};
	int result = sql_begin(c.sql, err);

	for (size_t i = 0; i < G_N_ELEMENTS(kept) && result == 0; i++) {
		c.kept = &kept[i];
		result = clean_column(&c);
	}
	if (result == 0)
		result = sql_commit(c.sql, err);
	if (result < 0)
		sql_rollback(c.sql);
	tombstones_free(&c.stones);
	g_string_free(c.text, TRUE);
	return result;
}

/* ---- what is left to the operator ---- */

static gint compare(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;

	return (x > y) - (x < y);
}

/* Whether a sorted array holds one above `since` and up to `until`. */
static bool holds_one(const GArray *arrivals, uint64_t since, uint64_t until)
{
	guint low = 0, high = arrivals->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (g_array_index(arrivals, guint64, middle) > since)
			high = middle;
		else
			low = middle + 1;
	}
	return low < arrivals->len && g_array_index(arrivals, guint64, low) <= until;
}

int erase_name_batches(
        struct store *store, struct erasure *erasure, GArray *arrivals, struct error *err)
{
	g_autoptr(GPtrArray) batches = store_outbox(store, NULL, err);

	if (batches == NULL)
		return -1;
	g_array_sort(arrivals, compare);
	for (guint i = 0; i < batches->len; i++) {
		const struct outbox_batch *batch = batches->pdata[i];
		if (holds_one(arrivals, batch->since, batch->until))
			erase_name_batch(erasure, batch);
	}
	return 0;
}

/* Names that an erasure has dealt with, or in which nothing stands. */
static bool is_ours(const char *name)
{
	static const char *const names[] = {CONTROL_NAME, CONTROL_NAME "-wal", CONTROL_NAME "-shm",
	        "lock", OUTBOX_DIR, SPOOL_DIRECTORY, BACKUPS_NAME, PSEUDONYM_KEY_NAME};
	static const char *const beside[] = {"-wal", "-shm"};
	g_autofree char *base = g_strdup(name);
	gint64 day;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	for (size_t i = 0; i < G_N_ELEMENTS(beside); i++)
		if (g_str_has_suffix(base, beside[i]))
			base[strlen(base) - strlen(beside[i])] = '\0';
	return store_day_of_name(base, &day) || g_str_has_suffix(name, STORE_DROPPED);
}

static bool is_empty_directory(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

	return dir != NULL && g_dir_read_name(dir) == NULL;
}

int erase_name_files(struct store *store, struct erasure *erasure, struct error *err)
{
	g_autoptr(GDir) dir = g_dir_open(store->dir, 0, NULL);
	const char *name;

	if (dir == NULL)
		return error_errno(err, errno, "cannot list the store directory %s", store->dir);
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(store->dir, name, NULL);
		if (!is_ours(name) && !is_empty_directory(path))
			erasure_name_rest(erasure, "%s was not looked into", path);
	}
	return 0;
}

/* ---- the end ---- */

/* Nothing stays in the log. Who copies it into the file stops that at once, as the helper does when
 * much was written; who reads it, after a moment, in which commits wait. */
static int empty_log(struct store *store, struct error *err)
{
	struct control *control = &store->control;
	struct sql *sql = &control->writer;

	helper_drain(store->helper);
	pthread_mutex_lock(&control->lock);
	sqlite3_busy_timeout(sql->db, SQL_LOG_BUSY_MS);
	int busy = sqlite3_wal_checkpoint_v2(sql->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(sql->db, SQL_BUSY_MS);
	pthread_mutex_unlock(&control->lock);
	return busy == SQLITE_OK ? 0 : sql_error(sql, err);
}

/* All pages are written anew. Statements that stand on a row would stop it. */
static int rebuild(struct store *store, struct error *err)
{
	struct sql *sql = &store->control.writer;

	return sql_exec(sql, "PRAGMA temp_store = MEMORY", err) < 0 ||
	                       sql_exec(sql, "VACUUM", err) < 0
	               ? -1
	               : empty_log(store, err);
}

struct naming {
	struct erasure *erasure;
	unsigned moved;
};

static void name_backup(void *ctx, struct slice time, struct slice path, bool there)
{
	struct naming *naming = ctx;

	if (there)
		erasure_name_rest(naming->erasure, "the backup of %.*s in %.*s is as it was",
		        SLICE_ARG(time), SLICE_ARG(path));
	naming->moved += !there;
}

static int name_backups(struct store *store, struct erasure *erasure, struct error *err)
{
	struct naming naming = {.erasure = erasure};

	if (store_each_backup(store, name_backup, &naming, err) < 0)
		return -1;
	if (naming.moved > 0)
		erasure_name_rest(erasure,
		        "%u backup(s) are not where they were made (%s/" BACKUPS_NAME
		        "): moved, or removed",
		        naming.moved, store->dir);
	return 0;
}

int store_erase_end(struct store *store, struct erasure *erasure, int64_t now, struct error *err)
{
	/* Before anything that would be done again. */
	if (empty_log(store, err) < 0 || erase_control_clean(store, erasure, err) < 0 ||
	        erase_name_files(store, erasure, err) < 0 ||
	        name_backups(store, erasure, err) < 0 ||
	        store_erase_note(store, erasure, err) < 0 || rebuild(store, err) < 0 ||
	        store_fault_at(store, "rebuilt", err) < 0)
		return -1;
	erasure_name_rest(erasure, "logs of the mail server, and backups that postwake backup did "
	                           "not make, are as they were");
	erasure->ended = now;
	return store_erase_note(store, erasure, err);
}
