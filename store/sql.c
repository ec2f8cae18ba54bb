#include "store/sql.h"

#include <errno.h>
#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

#define MAGIC "SQLite format 3" /* first bytes of a file, with the 0 */

/* What whoever looks after the machine can do. */
static const struct {
	int number;
	const char *text;
} mends[] = {
        {ENOSPC, "make room in its file system, or keep less (max_size, keep_days)"},
        {EDQUOT, "raise the quota of its owner, or keep less (max_size, keep_days)"},
        {EROFS, "mount its file system for writing again (dmesg tells why it is not)"},
        {EIO, "the disk or its cable fails: see dmesg and smartctl, and when it is well again run "
              "postwake check"},
        {EBUSY, "another program has it open: fuser -v tells which"},
        {EACCES, "it, its directory and the files beside it must belong to the user that runs "
                 "this"},
        {EPERM, "it, its directory and the files beside it must belong to the user that runs "
                "this, and none be immutable (lsattr)"},
        {EISDIR, "move away what is in its place"},
        {ENOTDIR, "move away what is in the place of a directory above it"},
};

/* The errno that the log or the file of the connection met last, 0 for none: sqlite3_system_errno
 * does not know that of a COMMIT. */
static int file_number(struct sql *sql)
{
	static const int pointers[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
	int number = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(pointers) && number == 0; i++) {
		sqlite3_file *file = NULL;
		if (sqlite3_file_control(sql->db, "main", pointers[i], (void *)&file) ==
		                SQLITE_OK &&
		        file != NULL && file->pMethods != NULL)
			file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
	}
	return number;
}

/* Where it does not give a page SQLite says CORRUPT too. */
static bool disk_failed(struct sql *sql)
{
	int number = file_number(sql);

	return number == EIO || number == ENXIO;
}

/* Read only are also files that must be rolled back first, and files that are gone. SQLite does not
 * tell why it could open a file for reading only. */
static int readonly_number(struct sql *sql)
{
	switch (sqlite3_extended_errcode(sql->db)) {
	case SQLITE_READONLY_ROLLBACK:
		return SQL_HALF_WRITTEN;
	case SQLITE_READONLY_DBMOVED:
		return ENOENT;
	default:
		return access(sql->path, W_OK) < 0 ? errno : EACCES;
	}
}

int sql_damaged(struct error *err, const char *format, ...)
{
	va_list ap;

	if (err == NULL || err->set)
		return -1;
	va_start(ap, format);
	g_vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	err->set = true;
	err->number = SQL_DAMAGED;
	return -1;
}

const char *store_mend(int number)
{
	for (size_t i = 0; i < G_N_ELEMENTS(mends); i++)
		if (mends[i].number == number)
			return mends[i].text;
	return NULL;
}

int sql_trouble(struct error *err, int number, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list ap;

	if (err == NULL || err->set)
		return -1;
	va_start(ap, format);
	g_vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	error_errno(err, number, "%s", text);
	const char *mend = store_mend(number);
	if (mend != NULL) {
		g_strlcat(err->text, "; ", sizeof(err->text));
		g_strlcat(err->text, mend, sizeof(err->text));
	}
	return -1;
}

static int sql_refused(struct sql *sql, int code, int number, struct error *err)
{
	return sql_trouble(
	        err, number, "store file %s: %s (%d)", sql->path, sqlite3_errstr(code), code);
}

int sql_error(struct sql *sql, struct error *err)
{
	int code = sqlite3_extended_errcode(sql->db), number = sqlite3_system_errno(sql->db);

	switch (code & 0xff) {
	case SQLITE_CORRUPT:
		if (disk_failed(sql))
			return sql_refused(sql, SQLITE_IOERR_CORRUPTFS, EIO, err);
		/* fall through */
	case SQLITE_NOTADB:
		if (sql->suspect != NULL)
			*sql->suspect = true;
		return sql_damaged(err, "store file %s is damaged: %s (%d)", sql->path,
		        sqlite3_errmsg(sql->db), code);
	case SQLITE_FULL:
		return sql_refused(sql, code, ENOSPC, err);
	case SQLITE_READONLY:
		return sql_refused(sql, code, readonly_number(sql), err);
	case SQLITE_CANTOPEN:
		return sql_refused(sql, code, number != 0 ? number : EACCES, err);
	case SQLITE_IOERR:
		if (file_number(sql) != 0)
			number = file_number(sql);
		return sql_refused(sql, code, number != 0 ? number : EIO, err);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return sql_refused(sql, code, EBUSY, err);
	default:
		number = number != 0 ? number : EIO;
	}
	return error_errno(
	        err, number, "store file %s: %s (%d)", sql->path, sqlite3_errmsg(sql->db), code);
}

static bool is_cut_off(const char *path)
{
	g_autofree char *wal = g_strconcat(path, "-wal", NULL);
	struct stat st;

	return stat(path, &st) == 0 && st.st_size == 0 && stat(wal, &st) == 0 && st.st_size > 0;
}

int sql_open(struct sql *sql, const char *path, int flags, struct error *err)
{
	*sql = (struct sql){0};
	if (is_cut_off(path))
		return sql_damaged(
		        err, "store file %s is damaged: it was cut off to 0 bytes", path);
	sql->path = g_strdup(path);
	if (sqlite3_open_v2(path, &sql->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		sql_error(sql, err);
		sql_close(sql);
		return -1;
	}
	sqlite3_busy_timeout(sql->db, SQL_BUSY_MS);
	return 0;
}

void sql_close(struct sql *sql)
{
	for (unsigned i = 0; i < sql->statements; i++)
		sqlite3_finalize(sql->stmt[i]);
	g_free(sql->stmt);
	sqlite3_close(sql->db);
	g_free(sql->path);
	*sql = (struct sql){0};
}

/* The texts are right, so it is the schema that is not ours. */
static int not_prepared(struct sql *sql, struct error *err)
{
	return sqlite3_errcode(sql->db) == SQLITE_ERROR
	               ? sql_damaged(err, "store file %s is damaged: %s", sql->path,
	                         sqlite3_errmsg(sql->db))
	               : sql_error(sql, err);
}

int sql_prepare_one(struct sql *sql, const char *text, sqlite3_stmt **stmt, struct error *err)
{
	return sqlite3_prepare_v2(sql->db, text, -1, stmt, NULL) == SQLITE_OK
	               ? 0
	               : not_prepared(sql, err);
}

int sql_prepare(struct sql *sql, const char *const *texts, unsigned n, struct error *err)
{
	sql->stmt = g_new0(sqlite3_stmt *, n);
	sql->statements = n;
	for (unsigned i = 0; i < n; i++)
		if (sqlite3_prepare_v3(sql->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
		            &sql->stmt[i], NULL) != SQLITE_OK)
			return not_prepared(sql, err);
	return 0;
}

int sql_exec(struct sql *sql, const char *text, struct error *err)
{
	if (sqlite3_exec(sql->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return sql_error(sql, err);
	return 0;
}

int sql_step(struct sql *sql, sqlite3_stmt *stmt, struct error *err)
{
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return sql_error(sql, err);
	}
}

int sql_run(struct sql *sql, sqlite3_stmt *stmt, struct error *err)
{
	int result = sql_step(sql, stmt, err);

	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

int sql_number(struct sql *sql, const char *text, int64_t none, int64_t *value_r, struct error *err)
{
	sqlite3_stmt *stmt = NULL;

	*value_r = none;
	if (sql_prepare_one(sql, text, &stmt, err) < 0)
		return -1;
	int result = sql_step(sql, stmt, err);
	if (result == 1 && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		*value_r = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return result < 0 ? -1 : 0;
}

/* Through SQLite's own descriptor: to close another one would take its locks of the file away. */
int sql_check_start(struct sql *sql, struct error *err)
{
	char start[sizeof(MAGIC)];
	sqlite3_file *file = NULL;

	sqlite3_file_control(sql->db, NULL, SQLITE_FCNTL_FILE_POINTER, &file);
	if (file == NULL || file->pMethods == NULL)
		return 0;
	int result = file->pMethods->xRead(file, start, sizeof(start), 0);
	if (result == SQLITE_IOERR_SHORT_READ)
		return sql_damaged(
		        err, "store file %s is damaged: it was cut off while in use", sql->path);
	if (result == SQLITE_OK && memcmp(start, MAGIC, sizeof(start)) != 0)
		return sql_damaged(err, "store file %s is damaged: it was overwritten while in use",
		        sql->path);
	return 0;
}

int sql_check_pages(struct sql *sql, struct error *err)
{
	int64_t good = 0;

	if (sql_number(sql, "SELECT quick_check = 'ok' FROM pragma_quick_check LIMIT 1", 0, &good,
	            err) < 0)
		return -1;
	if (good == 1)
		return 0;
	if (disk_failed(sql))
		return sql_refused(sql, SQLITE_IOERR_CORRUPTFS, EIO, err);
	return sql_damaged(err, "store file %s is damaged", sql->path);
}

int sql_begin(struct sql *sql, struct error *err)
{
	return sql_exec(sql, "BEGIN IMMEDIATE", err);
}

int sql_commit(struct sql *sql, struct error *err)
{
	return sql_exec(sql, "COMMIT", err);
}

void sql_rollback(struct sql *sql)
{
	if (sql->db != NULL && !sqlite3_get_autocommit(sql->db))
		sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
}

void sql_bind_slice(sqlite3_stmt *stmt, int at, struct slice value)
{
	sqlite3_bind_blob64(stmt, at, value.n > 0 ? value.p : "", value.n, SQLITE_STATIC);
}

struct slice sql_column(sqlite3_stmt *stmt, int at)
{
	const char *p = sqlite3_column_blob(stmt, at);

	return slice_make(p != NULL ? p : "", (size_t)sqlite3_column_bytes(stmt, at));
}

static int make_schema(struct sql *sql, const char *schema, struct error *err)
{
	int64_t version = 0;

	/* Somebody else may have made it while we waited for the lock. */
	if (sql_begin(sql, err) < 0)
		return -1;
	if (sql_number(sql, "PRAGMA user_version", 0, &version, err) == 0 &&
	        (version != 0 || sql_exec(sql, schema, err) == 0) && sql_commit(sql, err) == 0)
		return 0;
	sql_rollback(sql);
	return -1;
}

int sql_versions(struct sql *sql, int64_t *version, int64_t *sign, struct error *err)
{
	if (sql_number(sql, "PRAGMA user_version", 0, version, err) < 0 ||
	        sql_number(sql, "PRAGMA application_id", 0, sign, err) < 0)
		return -1;
	*sign = (*sign & ~INT64_C(0xffff)) == SQL_SIGN ? *sign & 0xffff : 0;
	return 0;
}

int sql_version(struct sql *sql, int known, const char *schema, struct error *err)
{
	int64_t version = 0, sign = 0;

	if (sql_versions(sql, &version, &sign, err) < 0)
		return -1;
	if (version == 0 && schema == NULL)
		return 0;
	if (version == 0 &&
	        (make_schema(sql, schema, err) < 0 || sql_versions(sql, &version, &sign, err) < 0))
		return -1;
	if (version < 0)
		return sql_damaged(err, "store file %s is damaged: it has version %d", sql->path,
		        (int)version);
	if (version != known && sign != 0 && sign != version)
		return sql_damaged(err,
		        "store file %s is damaged: it has version %d in one place and %d in "
		        "another",
		        sql->path, (int)version, (int)sign);
	if (version > known) {
		error_errno(err, ENOTSUP,
		        "store file %s has version %d and this postwake knows versions up to %d: "
		        "use a newer postwake, or another store directory; where none was ever "
		        "newer the number is damaged: move the file away and import the logs again",
		        sql->path, (int)version, known);
		return -1;
	}
	return 1;
}

/* The version is looked at under the lock: a script must not run twice. */
static int upgrade_from(struct sql *sql, int64_t from, const char *script, struct error *err)
{
	int64_t version;

	if (sql_begin(sql, err) < 0)
		return -1;
	if (sql_number(sql, "PRAGMA user_version", 0, &version, err) == 0 &&
	        (version != from || sql_exec(sql, script, err) == 0) && sql_commit(sql, err) == 0)
		return 0;
	sql_rollback(sql);
	return -1;
}

int sql_upgrade(struct sql *sql, const char *const *upgrades, int known, struct error *err)
{
	int64_t version;

	if (sql_number(sql, "PRAGMA user_version", 0, &version, err) < 0)
		return -1;
	for (; version < known; version++)
		if (upgrade_from(sql, version, upgrades[version], err) < 0)
			return -1;
	return 0;
}

/* Each column with what it is, as one text. */
static int columns_of(struct sql *sql, GHashTable *columns, struct error *err)
{
	static const char text[] =
	        "SELECT t.name || '.' || c.name, c.type || c.\"notnull\" || ' ' || c.pk "
	        "FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'";
	sqlite3_stmt *stmt;
	int result;

	if (sql_prepare_one(sql, text, &stmt, err) < 0)
		return -1;
	while ((result = sql_step(sql, stmt, err)) == 1)
		g_hash_table_insert(
		        columns, slice_dup(sql_column(stmt, 0)), slice_dup(sql_column(stmt, 1)));
	sqlite3_finalize(stmt);
	return result;
}

/* Of a file that is made of the schema in memory. */
static int columns_of_schema(const char *schema, GHashTable *columns, struct error *err)
{
	struct sql model;

	if (sql_open(&model, ":memory:", SQLITE_OPEN_READWRITE, err) < 0)
		return -1;
	int result = sql_exec(&model, schema, err) < 0 ? -1 : columns_of(&model, columns, err);
	sql_close(&model);
	return result;
}

int sql_has_schema(struct sql *sql, const char *schema, struct error *err)
{
	g_autoptr(GHashTable) want = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GHashTable) is = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GHashTableIter iter;
	gpointer name, what;

	if (columns_of_schema(schema, want, err) < 0 || columns_of(sql, is, err) < 0)
		return -1;
	g_hash_table_iter_init(&iter, want);
	while (g_hash_table_iter_next(&iter, &name, &what))
		if (g_strcmp0(g_hash_table_lookup(is, name), what) != 0)
			return sql_damaged(err,
			        "store file %s is damaged: its column %s is gone or changed",
			        sql->path, (const char *)name);
	return 0;
}

static int open_checked(struct sql *sql, const char *path, int known, struct error *err)
{
	int result = -1;

	if (sql_open(sql, path, SQLITE_OPEN_READONLY, err) == 0)
		result = sql_version(sql, known, NULL, err);
	if (result != 1)
		sql_close(sql);
	return result;
}

/* Whoever reads by a connection that may write rolls back what a crash cut off. */
static void roll_back(const char *path)
{
	struct sql sql;
	int64_t tables;

	if (sql_open(&sql, path, SQLITE_OPEN_READWRITE, NULL) < 0)
		return;
	sql_number(&sql, "SELECT count(*) FROM sqlite_schema", 0, &tables, NULL);
	sql_close(&sql);
}

int sql_open_reader(struct sql *sql, const char *path, int known, struct error *err)
{
	struct error cause = {0};

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	int result = open_checked(sql, path, known, &cause);
	if (result < 0 && cause.number == SQL_HALF_WRITTEN) {
		error_clear(&cause);
		roll_back(path);
		result = open_checked(sql, path, known, &cause);
	}
	if (result >= 0)
		return result;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (cause.number == SQL_HALF_WRITTEN) {
		error_clear(&cause);
		error_set(&cause,
		        "store file %s was left half-written by a crash: postwaked mends it when "
		        "it starts, or postwake as the user that the store belongs to",
		        path);
		cause.number = EIO;
	}
	if (cause.number == EACCES || cause.number == EPERM)
		return error_errno(err, cause.number,
		        "store file %s cannot be read by this user: read as the user that the "
		        "store belongs to, or ask the daemon by its socket",
		        path);
	error_set(err, "%s", cause.text);
	if (err != NULL && err->number == 0)
		err->number = cause.number;
	return -1;
}
