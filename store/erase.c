#include "store/erase.h"

#include <errno.h>

#include "event/pseudonym.h"
#include "store/erase-private.h"

enum column {
	COLUMN_ID,
	COLUMN_KIND,
	COLUMN_HASH,
	COLUMN_LOCAL,
	COLUMN_ALIAS,
	COLUMN_ALIAS_LOCAL,
	COLUMN_TELLING,
	COLUMN_TIME,
	COLUMN_ENDED,
	COLUMN_EVENTS,
	COLUMN_CHANGED,
	COLUMN_OPEN,
	COLUMN_LINES,
	COLUMN_DAYS,
	COLUMN_REST
};

static const char select_all[] =
        "SELECT id, kind, hash, local, alias, alias_local, telling, time, ended, events, "
        "changed, open, lines, days, rest FROM erasure ORDER BY id";
static const char insert[] =
        "INSERT INTO erasure (kind, hash, local, alias, alias_local, telling, time, ended, events, "
        "changed, open, lines, days, rest) "
        "VALUES (?1, ?2, ?3, ?6, ?7, ?4, ?5, 0, 0, 0, 0, 0, '', '')";
static const char update[] = "UPDATE erasure SET ended = ?2, events = ?3, changed = ?4, open = ?5, "
                             "lines = ?6, days = ?7, rest = ?8 WHERE id = ?1";

void erasure_clear(struct erasure *erasure)
{
	g_string_free(g_steal_pointer(&erasure->days), TRUE);
	g_string_free(g_steal_pointer(&erasure->rest), TRUE);
}

/* Once: a step may be done again. */
void erasure_name_rest(struct erasure *erasure, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *line = g_strdup_vprintf(format, args);
	va_end(args);
	if (strstr(erasure->rest->str, line) == NULL)
		g_string_append_printf(erasure->rest, "%s\n", line);
}

static GString *column_text(sqlite3_stmt *stmt, int at)
{
	struct slice text = sql_column(stmt, at);

	return g_string_new_len(text.n > 0 ? text.p : "", (gssize)text.n);
}

static int read_all(struct sql *sql, GArray *erasures, struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	int result;

	if (sqlite3_prepare_v2(sql->db, select_all, -1, &stmt, NULL) != SQLITE_OK)
		return sql_error(sql, err);
	while ((result = sql_step(sql, stmt, err)) == 1) {
		const struct erasure erasure = {
		        .id = sqlite3_column_int64(stmt, COLUMN_ID),
		        .stone = {.kind = (enum tombstone_kind)sqlite3_column_int(
		                          stmt, COLUMN_KIND),
		                .hash = (uint64_t)sqlite3_column_int64(stmt, COLUMN_HASH),
		                .local = (uint64_t)sqlite3_column_int64(stmt, COLUMN_LOCAL),
		                .alias = (uint64_t)sqlite3_column_int64(stmt, COLUMN_ALIAS),
		                .alias_local =
		                        (uint64_t)sqlite3_column_int64(stmt, COLUMN_ALIAS_LOCAL),
		                .telling = sqlite3_column_int(stmt, COLUMN_TELLING) != 0,
		                .time = sqlite3_column_int64(stmt, COLUMN_TIME)},
		        .ended = sqlite3_column_int64(stmt, COLUMN_ENDED),
		        .events = (uint64_t)sqlite3_column_int64(stmt, COLUMN_EVENTS),
		        .changed = (uint64_t)sqlite3_column_int64(stmt, COLUMN_CHANGED),
		        .open = (uint64_t)sqlite3_column_int64(stmt, COLUMN_OPEN),
		        .lines = (uint64_t)sqlite3_column_int64(stmt, COLUMN_LINES),
		        .days = column_text(stmt, COLUMN_DAYS),
		        .rest = column_text(stmt, COLUMN_REST),
		};
		g_array_append_val(erasures, erasure);
	}
	sqlite3_finalize(stmt);
	return result;
}

static void clear_erasure(gpointer p)
{
	erasure_clear(p);
}

GArray *store_erasures(struct store *store, struct error *err)
{
	GArray *erasures = g_array_new(FALSE, FALSE, sizeof(struct erasure));

	g_array_set_clear_func(erasures, clear_erasure);
	pthread_mutex_lock(&store->control.lock);
	int result = read_all(&store->control.reader, erasures, err);
	pthread_mutex_unlock(&store->control.lock);
	if (result == 0)
		return erasures;
	g_array_unref(erasures);
	return NULL;
}

static int read_key(struct store *store, struct error *err)
{
	struct sql *sql = &store->control.writer;
	sqlite3_stmt *stmt = NULL;

	if (sql_prepare_one(sql, "SELECT key FROM erasure_key", &stmt, err) < 0)
		return -1;
	int result = sql_step(sql, stmt, err);
	struct slice key = result == 1 ? sql_column(stmt, 0) : SLICE_NONE;
	if (key.n == TOMBSTONE_KEY_BYTES)
		memcpy(store->erase.key, key.p, key.n);
	else if (result >= 0)
		result = sql_damaged(
		        err, "store file %s is damaged: its key of erasures is gone", sql->path);
	sqlite3_finalize(stmt);
	return result < 0 ? -1 : 0;
}

int erase_load(struct store *store, struct error *err)
{
	g_autoptr(GArray) erasures = NULL;

	if (read_key(store, err) < 0 || (erasures = store_erasures(store, err)) == NULL)
		return -1;
	store->erase.stones = tombstones_new(store->erase.key);
	store->erase.text = g_string_new(NULL);
	for (guint i = 0; i < erasures->len; i++)
		tombstones_add(
		        store->erase.stones, &g_array_index(erasures, struct erasure, i).stone);
	return 0;
}

void erase_unload(struct store *store)
{
	tombstones_free(&store->erase.stones);
	if (store->erase.text != NULL)
		g_string_free(g_steal_pointer(&store->erase.text), TRUE);
}

struct tombstones *store_erase_stones(struct store *store, const struct erasure *erasure)
{
	struct tombstones *stones = tombstones_new(store->erase.key);

	tombstones_add(stones, &erasure->stone);
	return stones;
}

struct tombstones *store_erase_all_stones(struct store *store, struct error *err)
{
	g_autoptr(GArray) erasures = store_erasures(store, err);

	if (erasures == NULL || erasures->len == 0)
		return NULL;
	struct tombstones *stones = tombstones_new(store->erase.key);
	for (guint i = 0; i < erasures->len; i++)
		tombstones_add(stones, &g_array_index(erasures, struct erasure, i).stone);
	return stones;
}

const struct tombstones *store_erase_known(struct store *store)
{
	return store->erase.stones;
}

bool store_erase_finds(struct store *store, const struct tombstones *stones, int64_t time,
        struct slice text, GString *room)
{
	g_autoptr(GString) plainless = NULL;

	g_string_truncate(room, 0);
	if (tombstones_clean(stones, time, false, text, room))
		return true;
	if (store->pseudonymise_since == 0)
		return false;
	plainless = g_string_new(NULL);
	return tombstones_clean(stones, time, false, store_plainless(store, text, plainless), room);
}

/* What stands for a name in days; false where only the name does. */
static bool put_alias(
        struct store *store, enum tombstone_kind kind, struct slice name, GString *out)
{
	if (kind == TOMBSTONE_RECIPIENT)
		return store_pseudonym(store, name, out);
	if (kind != TOMBSTONE_MESSAGE || store->pseudonyms == NULL)
		return false;
	pseudonyms_id(store->pseudonyms, name, out);
	return true;
}

/* Days may hold the name, or what stands for it. */
static void add_alias(struct store *store, struct slice name, struct tombstone *stone)
{
	g_autoptr(GString) stands = g_string_new(NULL);
	struct tombstone other;

	if (!put_alias(store, stone->kind, name, stands) ||
	        tombstone_make(store->erase.key, stone->kind, slice_make(stands->str, stands->len),
	                stone->time, &other, NULL) < 0 ||
	        other.hash == stone->hash)
		return;
	stone->alias = other.hash;
	stone->alias_local = other.local;
}

int store_erase_begin(struct store *store, enum tombstone_kind kind, struct slice name, int64_t now,
        int64_t *id, struct error *err)
{
	struct sql *sql = &store->control.writer;
	sqlite3_stmt *stmt = NULL;
	struct tombstone stone;

	if (store->mode != STORE_WRITE)
		return error_set(err, "the store %s is open for reading only", store->dir);
	if (tombstone_make(store->erase.key, kind, name, now, &stone, err) < 0) {
		if (err != NULL)
			err->number = EINVAL;
		return -1;
	}
	add_alias(store, name, &stone);
	if (sqlite3_prepare_v2(sql->db, insert, -1, &stmt, NULL) != SQLITE_OK)
		return sql_error(sql, err);
	sqlite3_bind_int(stmt, 1, (int)kind);
	sqlite3_bind_int64(stmt, 2, (int64_t)stone.hash);
	sqlite3_bind_int64(stmt, 3, (int64_t)stone.local);
	sqlite3_bind_int(stmt, 4, stone.telling);
	sqlite3_bind_int64(stmt, 5, stone.time);
	sqlite3_bind_int64(stmt, 6, (int64_t)stone.alias);
	sqlite3_bind_int64(stmt, 7, (int64_t)stone.alias_local);
	int result = sql_run(sql, stmt, err);
	sqlite3_finalize(stmt);
	if (result < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(sql->db);
	tombstones_add(store->erase.stones, &stone);
	return 0;
}

static void bind_text(sqlite3_stmt *stmt, int at, const GString *text)
{
	sqlite3_bind_text(stmt, at, text->str, (int)text->len, SQLITE_STATIC);
}

int store_erase_note(struct store *store, const struct erasure *erasure, struct error *err)
{
	struct sql *sql = &store->control.writer;
	const uint64_t counts[] = {
	        erasure->events, erasure->changed, erasure->open, erasure->lines};
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(sql->db, update, -1, &stmt, NULL) != SQLITE_OK)
		return sql_error(sql, err);
	sqlite3_bind_int64(stmt, 1, erasure->id);
	sqlite3_bind_int64(stmt, 2, erasure->ended);
	for (int i = 0; i < (int)G_N_ELEMENTS(counts); i++)
		sqlite3_bind_int64(stmt, 3 + i, (int64_t)counts[i]);
	bind_text(stmt, 7, erasure->days);
	bind_text(stmt, 8, erasure->rest);
	int result = sql_run(sql, stmt, err);
	sqlite3_finalize(stmt);
	return result;
}

GArray *store_erase_days(struct store *store, struct error *err)
{
	return store_list_days(store, err);
}
