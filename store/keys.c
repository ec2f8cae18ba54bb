#include "store/keys.h"

#include "store/private.h"

/* A connection of its own, for a moment: keys are made and taken away by hand, and their
 * transaction must not be a part of what the committing thread has begun. */
static int keys_begin(struct sql *sql, struct store *store, struct error *err)
{
	if (store->mode != STORE_WRITE)
		return error_set(err, "the store in %s is open for reading only", store->dir);
	if (sql_open(sql, store->control.path, SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	if (sql_exec(sql, "PRAGMA synchronous = FULL", err) == 0 && sql_begin(sql, err) == 0)
		return 0;
	sql_close(sql);
	return -1;
}

static int keys_end(struct sql *sql, int result, struct error *err)
{
	if (result >= 0 && sql_commit(sql, err) < 0)
		result = -1;
	if (result < 0)
		sql_rollback(sql);
	sql_close(sql);
	return result;
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static int insert_key(struct sql *sql, const struct store_key *key, struct error *err)
{
	static const char *const text[] = {
	        "INSERT INTO api_key (id, salt, hash, name, grants, subaccounts, domains, created) "
	        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING"};

	if (sql_prepare(sql, text, 1, err) < 0)
		return -1;
	sqlite3_stmt *stmt = sql->stmt[0];
	bind_text(stmt, 1, key->id);
	sqlite3_bind_blob(stmt, 2, key->salt, sizeof(key->salt), SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 3, key->hash, sizeof(key->hash), SQLITE_STATIC);
	bind_text(stmt, 4, key->name);
	sqlite3_bind_int64(stmt, 5, key->grants);
	bind_text(stmt, 6, key->subaccounts);
	bind_text(stmt, 7, key->domains);
	sqlite3_bind_int64(stmt, 8, key->created);
	if (sql_run(sql, stmt, err) < 0)
		return -1;
	if (sqlite3_changes(sql->db) == 0)
		return error_errno(err, EEXIST, "key %s", key->id);
	return 0;
}

int store_key_add(struct store *store, const struct store_key *key, struct error *err)
{
	struct sql sql;

	if (keys_begin(&sql, store, err) < 0)
		return -1;
	return keys_end(&sql, insert_key(&sql, key, err), err);
}

static int delete_key(struct sql *sql, const char *id, struct error *err)
{
	static const char *const text[] = {"DELETE FROM api_key WHERE id = ?1"};

	if (sql_prepare(sql, text, 1, err) < 0)
		return -1;
	bind_text(sql->stmt[0], 1, id);
	return sql_run(sql, sql->stmt[0], err) < 0 ? -1 : sqlite3_changes(sql->db);
}

int store_key_drop(struct store *store, const char *id, struct error *err)
{
	struct sql sql;

	if (keys_begin(&sql, store, err) < 0)
		return -1;
	return keys_end(&sql, delete_key(&sql, id, err), err);
}

static int take_bytes(sqlite3_stmt *stmt, int at, unsigned char *bytes, size_t n)
{
	if ((size_t)sqlite3_column_bytes(stmt, at) != n)
		return -1;
	memcpy(bytes, sqlite3_column_blob(stmt, at), n);
	return 0;
}

static const char *column_text(sqlite3_stmt *stmt, int at)
{
	return (const char *)sqlite3_column_text(stmt, at);
}

static int read_key(sqlite3_stmt *stmt, struct store_key *key_r, struct error *err)
{
	*key_r = (struct store_key){
	        .id = column_text(stmt, 0),
	        .name = column_text(stmt, 3),
	        .grants = (unsigned)sqlite3_column_int64(stmt, 4),
	        .subaccounts = column_text(stmt, 5),
	        .domains = column_text(stmt, 6),
	        .created = sqlite3_column_int64(stmt, 7),
	};
	if (take_bytes(stmt, 1, key_r->salt, sizeof(key_r->salt)) < 0 ||
	        take_bytes(stmt, 2, key_r->hash, sizeof(key_r->hash)) < 0)
		return error_set(err, "the control file is damaged: key %s", key_r->id);
	return 0;
}

int store_each_key(struct store *store, void (*key)(void *ctx, const struct store_key *key),
        void *ctx, struct error *err)
{
	static const char *const text[] = {
	        "SELECT id, salt, hash, name, grants, subaccounts, domains, created FROM api_key "
	        "ORDER BY created, name, id"};
	struct store_key one;
	struct sql sql;
	int result;

	if (sql_open(&sql, store->control.path, SQLITE_OPEN_READONLY, err) < 0)
		return -1;
	result = sql_prepare(&sql, text, 1, err);
	while (result == 0 && (result = sql_step(&sql, sql.stmt[0], err)) == 1) {
		result = read_key(sql.stmt[0], &one, err);
		if (result == 0)
			key(ctx, &one);
	}
	sql_close(&sql);
	return result;
}
