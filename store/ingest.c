#include "store/ingest.h"

#include <string.h>

#include "store/batch-private.h"
#include "store/ingest-private.h"
#include "store/private.h"

/* ---- scopes as text: sender=key 7;subaccounts=1,2;domains=example.com ---- */

static void write_list(GString *out, const char *name, const char *const *list)
{
	if (list == NULL)
		return;
	if (out->len > 0)
		g_string_append_c(out, ';');
	g_autofree char *joined = g_strjoinv(",", (char **)(uintptr_t)list);
	g_string_append_printf(out, "%s=%s", name, joined);
}

static char *sender_part(const char *who)
{
	char *part = g_strconcat("sender=", who, NULL);

	return g_strdelimit(part, ";,\r\n", '_');
}

void ingest_scope_write(GString *out, const char *who, const struct search_scope *scope)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (who != NULL) {
		g_autofree char *part = sender_part(who);
		g_string_append(text, part);
	}
	write_list(text, "subaccounts", scope->subaccounts);
	write_list(text, "domains", scope->domains);
	g_string_append(out, text->str);
}

int ingest_scope_read(struct slice text, struct search_scope *scope)
{
	*scope = (struct search_scope){0};
	while (text.n > 0) {
		struct slice part = slice_cut(&text, ';');
		if (slice_starts(part, SLICE("sender=")))
			continue;
		bool domains = slice_skip(&part, SLICE("domains="));
		if (!domains && !slice_skip(&part, SLICE("subaccounts="))) {
			ingest_scope_clear(scope);
			return -1;
		}
		g_autofree char *list = slice_dup(part);
		const char *const **place = domains ? &scope->domains : &scope->subaccounts;
		g_strfreev((char **)(uintptr_t)*place);
		*place = (const char *const *)g_strsplit(list, ",", -1);
	}
	return 0;
}

void ingest_scope_clear(struct search_scope *scope)
{
	g_strfreev((char **)(uintptr_t)scope->subaccounts);
	g_strfreev((char **)(uintptr_t)scope->domains);
	*scope = (struct search_scope){0};
}

static bool list_covers(const char *const *asker, const char *const *of)
{
	if (asker == NULL)
		return true;
	for (const char *const *element = of; element != NULL && *element != NULL; element++)
		if (!g_strv_contains(asker, *element))
			return false;
	return of != NULL;
}

bool ingest_scope_covers(const struct search_scope *asker, struct slice of)
{
	struct search_scope sender;

	if (asker->subaccounts == NULL && asker->domains == NULL)
		return true;
	if (ingest_scope_read(of, &sender) < 0)
		return false;
	bool covers = list_covers(asker->subaccounts, sender.subaccounts) &&
	              list_covers(asker->domains, sender.domains);
	ingest_scope_clear(&sender);
	return covers;
}

bool ingest_scope_is_of(struct slice scope, const char *who)
{
	g_autofree char *part = who != NULL ? sender_part(who) : NULL;

	return part != NULL && slice_eq(slice_cut(&scope, ';'), slice_str(part));
}

/* ---- in a batch of the store ---- */

void store_batch_ingest(struct store_batch *batch, const struct ingest_step *step)
{
	struct batch_ingest entry = {
	        .step = *step,
	        .id = batch_put(batch, step->id),
	        .scope = batch_put(batch, step->scope),
	        .error = batch_put(batch, step->error),
	        .event_id = batch_put(batch, step->event_id),
	        .digest = batch_put(batch, step->digest),
	        .from = batch->events_done,
	        .to = batch->events->len,
	};

	g_array_append_val(batch->ingests, entry);
	if (step->unknown > 0)
		store_batch_count(batch, "ingest_unknown_fields", (int64_t)step->unknown);
	if (step->unchecked > 0)
		store_batch_count(batch, "ingest_unchecked", (int64_t)step->unchecked);
	store_batch_no_line(batch);
}

void store_batch_ingest_drop(struct store_batch *batch, struct slice id)
{
	struct batch_ingest entry = {.id = batch_put(batch, id), .drop = true};

	g_array_append_val(batch->ingests, entry);
}

/* ---- in the commit of the control file ---- */

enum { ADD_STEP, END_BATCH, DROP_BATCH, STATEMENTS };

/* What the last step makes of the counts: a batch with nothing new is one that came before. */
static const char *const texts[STATEMENTS] = {
        [ADD_STEP] =
                "INSERT INTO ingest (id, received, scope, done, succeeded, duplicates, failed) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET "
                "done = excluded.done, succeeded = succeeded + excluded.succeeded, "
                "duplicates = duplicates + excluded.duplicates, "
                "failed = failed + excluded.failed WHERE time = 0",
        [END_BATCH] = "UPDATE ingest SET failed = failed + ?2, time = ?3, expires = ?4, "
                      "event_id = ?5, digest = ?6, error = CASE WHEN ?7 IS NOT NULL THEN ?7 "
                      "WHEN succeeded = 0 AND duplicates > 0 THEN 'duplicate_batch' "
                      "WHEN failed + ?2 > 0 THEN 'validation' END WHERE id = ?1 AND time = 0",
        [DROP_BATCH] = "DELETE FROM ingest WHERE id = ?1",
};

/* What became of the events of a step. */
static void count(const struct store_batch *batch, const struct batch_ingest *entry,
        const struct control_news *news, int64_t counts[3])
{
	for (guint i = entry->from; i < entry->to; i++) {
		int64_t time = g_array_index(batch->events, struct batch_event, i).time;
		if (news->new_event[i])
			counts[0]++;
		else if (time < news->oldest || time <= 0)
			counts[2]++; /* midnight has come since it was looked at */
		else
			counts[1]++;
	}
}

static int run(struct sql *sql, sqlite3_stmt *stmt, struct error *err)
{
	int result = sql_run(sql, stmt, err);

	sqlite3_clear_bindings(stmt);
	return result;
}

static int add_step(struct sql *sql, sqlite3_stmt *stmt, const struct store_batch *batch,
        const struct batch_ingest *entry, const struct control_news *news, struct error *err)
{
	int64_t counts[3] = {0, (int64_t)entry->step.duplicates, 0};

	count(batch, entry, news, counts);
	sql_bind_slice(stmt, 1, batch_slice(batch, entry->id));
	sqlite3_bind_int64(stmt, 2, entry->step.received);
	sql_bind_slice(stmt, 3, batch_slice(batch, entry->scope));
	sqlite3_bind_int64(stmt, 4, (int64_t)entry->step.done);
	for (int i = 0; i < 3; i++)
		sqlite3_bind_int64(stmt, 5 + i, counts[i]);
	return run(sql, stmt, err);
}

static int end_batch(struct sql *sql, sqlite3_stmt *stmt, const struct store_batch *batch,
        const struct batch_ingest *entry, struct error *err)
{
	sql_bind_slice(stmt, 1, batch_slice(batch, entry->id));
	sqlite3_bind_int64(stmt, 2, (int64_t)entry->step.failed);
	sqlite3_bind_int64(stmt, 3, entry->step.time);
	sqlite3_bind_int64(stmt, 4, entry->step.expires);
	sql_bind_slice(stmt, 5, batch_slice(batch, entry->event_id));
	if (!entry->digest.none)
		sql_bind_slice(stmt, 6, batch_slice(batch, entry->digest));
	if (!entry->error.none)
		sql_bind_slice(stmt, 7, batch_slice(batch, entry->error));
	return run(sql, stmt, err);
}

static int put_entry(struct sql *sql, sqlite3_stmt *const *stmt, const struct store_batch *batch,
        const struct batch_ingest *entry, const struct control_news *news, struct error *err)
{
	if (entry->drop) {
		sql_bind_slice(stmt[DROP_BATCH], 1, batch_slice(batch, entry->id));
		return run(sql, stmt[DROP_BATCH], err);
	}
	if (add_step(sql, stmt[ADD_STEP], batch, entry, news, err) < 0)
		return -1;
	return entry->step.last ? end_batch(sql, stmt[END_BATCH], batch, entry, err) : 0;
}

/* Prepared each time: there are few, and most commits have none. */
int ingest_commit(struct sql *sql, const struct store_batch *batch, const struct control_news *news,
        struct error *err)
{
	sqlite3_stmt *stmt[STATEMENTS] = {NULL};
	int result = 0;

	if (batch->ingests->len == 0)
		return 0;
	for (int i = 0; i < STATEMENTS && result == 0; i++)
		if (sqlite3_prepare_v2(sql->db, texts[i], -1, &stmt[i], NULL) != SQLITE_OK)
			result = sql_error(sql, err);
	for (guint i = 0; i < batch->ingests->len && result == 0; i++)
		result = put_entry(sql, stmt, batch,
		        &g_array_index(batch->ingests, struct batch_ingest, i), news, err);
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(stmt[i]);
	return result;
}

/* ---- read ---- */

#define COLUMNS \
	"number, received, done, succeeded, duplicates, failed, time, expires, id, scope, " \
	"event_id, error"

/* The slices live until the statement goes on. */
static void row(sqlite3_stmt *stmt, struct ingest_record *record)
{
	*record = (struct ingest_record){
	        .number = sqlite3_column_int64(stmt, 0),
	        .received = sqlite3_column_int64(stmt, 1),
	        .done = (uint64_t)sqlite3_column_int64(stmt, 2),
	        .succeeded = (uint64_t)sqlite3_column_int64(stmt, 3),
	        .duplicates = (uint64_t)sqlite3_column_int64(stmt, 4),
	        .failed = (uint64_t)sqlite3_column_int64(stmt, 5),
	        .time = sqlite3_column_int64(stmt, 6),
	        .expires = sqlite3_column_int64(stmt, 7),
	        .id = sql_column(stmt, 8),
	        .scope = sql_column(stmt, 9),
	        .event_id = sql_column(stmt, 10),
	        .error = sqlite3_column_type(stmt, 11) == SQLITE_NULL ? SLICE_NONE
	                                                              : sql_column(stmt, 11),
	};
}

static struct sql *lock_reader(struct store *store)
{
	pthread_mutex_lock(&store->control.lock);
	return &store->control.reader;
}

static void unlock_reader(struct store *store, sqlite3_stmt *stmt)
{
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&store->control.lock);
}

/* Moves the slices of a record into bytes that stay. */
static void keep(struct ingest_record *record, GString *bytes)
{
	struct slice *slices[] = {&record->id, &record->scope, &record->event_id, &record->error};
	gsize at = bytes->len;

	for (size_t i = 0; i < G_N_ELEMENTS(slices); i++)
		g_string_append_len(
		        bytes, slices[i]->n > 0 ? slices[i]->p : "", (gssize)slices[i]->n);
	for (size_t i = 0; i < G_N_ELEMENTS(slices); i++) {
		if (slices[i]->p != NULL)
			slices[i]->p = bytes->str + at;
		at += slices[i]->n;
	}
}

int store_ingest(struct store *store, struct slice id, struct ingest_record *record, GString *bytes,
        struct error *err)
{
	struct sql *sql = lock_reader(store);
	sqlite3_stmt *stmt = NULL;
	int result = -1;

	if (sqlite3_prepare_v2(sql->db, "SELECT " COLUMNS " FROM ingest WHERE id = ?1", -1, &stmt,
	            NULL) != SQLITE_OK) {
		sql_error(sql, err);
	} else {
		sql_bind_slice(stmt, 1, id);
		result = sql_step(sql, stmt, err);
	}
	if (result == 1) {
		row(stmt, record);
		keep(record, bytes);
	}
	unlock_reader(store, stmt);
	return result;
}

int store_ingest_seen(struct store *store, struct slice digest, struct slice scope,
        uint64_t *events, struct error *err)
{
	struct sql *sql = lock_reader(store);
	sqlite3_stmt *stmt = NULL;
	int result = -1;

	if (sqlite3_prepare_v2(sql->db,
	            "SELECT succeeded + duplicates FROM ingest WHERE digest = ?1 AND scope = ?2 "
	            "AND failed = 0 AND succeeded + duplicates > 0 AND time > 0 LIMIT 1",
	            -1, &stmt, NULL) != SQLITE_OK) {
		sql_error(sql, err);
	} else {
		sql_bind_slice(stmt, 1, digest);
		sql_bind_slice(stmt, 2, scope);
		result = sql_step(sql, stmt, err);
	}
	if (result == 1)
		*events = (uint64_t)sqlite3_column_int64(stmt, 0);
	unlock_reader(store, stmt);
	return result;
}

int store_each_ingest(struct store *store, int64_t from, int64_t to,
        bool (*record)(void *ctx, const struct ingest_record *record), void *ctx, struct error *err)
{
	struct sql *sql = lock_reader(store);
	sqlite3_stmt *stmt = NULL;
	struct ingest_record one;
	int result = -1;

	if (sqlite3_prepare_v2(sql->db,
	            "SELECT " COLUMNS " FROM ingest WHERE time >= ?1 AND time < ?2 AND time > 0 "
	            "ORDER BY number DESC",
	            -1, &stmt, NULL) != SQLITE_OK) {
		sql_error(sql, err);
	} else {
		sqlite3_bind_int64(stmt, 1, from);
		sqlite3_bind_int64(stmt, 2, to);
		while ((result = sql_step(sql, stmt, err)) == 1) {
			row(stmt, &one);
			if (!record(ctx, &one))
				break;
		}
	}
	unlock_reader(store, stmt);
	return result < 0 ? -1 : 0;
}
