/* A thin layer over SQLite: connections, their prepared statements, and errors as sentences. */
#ifndef PW_STORE_SQL_H
#define PW_STORE_SQL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/slice.h"

struct sql {
	sqlite3 *db; /* NULL: not open */
	sqlite3_stmt **stmt;
	unsigned statements;
	char *path;
	_Atomic bool *suspect; /* set when the bytes of the file are found damaged; may be NULL */
};

/* error.number of a file that must be rolled back by somebody who may write. */
#define SQL_HALF_WRITTEN EUCLEAN

/* error.number of a file whose bytes are not what was written: to try again does not help. */
#define SQL_DAMAGED EBADMSG

/* application_id of a file: this ("PW") and its version once more. */
#define SQL_SIGN 0x50570000

/* How long a statement waits for a lock of another connection. */
#define SQL_BUSY_MS 10000
/* The same for readers of its log, where others wait behind it and it is tried again. */
#define SQL_LOG_BUSY_MS 100

/* Opens a file with the flags of sqlite3_open_v2 (NOMUTEX is added: a connection is used by one
 * thread at a time). On failure nothing is left open. A file of 0 bytes beside a log is damaged:
 * SQLite would delete the log, which holds what was written last. */
int sql_open(struct sql *sql, const char *path, int flags, struct error *err);
void sql_close(struct sql *sql);

/* Prepares the statements of a table of texts, so that a mistake in one fails at once. */
int sql_prepare(struct sql *sql, const char *const *texts, unsigned n, struct error *err);

/* Prepares one. The text must be right: where SQLite does not take it the file's schema is damaged.
 */
int sql_prepare_one(struct sql *sql, const char *text, sqlite3_stmt **stmt_r, struct error *err);

/* Runs statements without parameters and results. */
int sql_exec(struct sql *sql, const char *text, struct error *err);

/* 1: a row, 0: done, -1: failed. The caller resets. */
int sql_step(struct sql *sql, sqlite3_stmt *stmt, struct error *err);

/* Steps a statement without result and resets it. */
int sql_run(struct sql *sql, sqlite3_stmt *stmt, struct error *err);

/* The first column of the first row of a text; `none` where there is no row. */
int sql_number(
        struct sql *sql, const char *text, int64_t none, int64_t *value_r, struct error *err);

/* Describes the failure that the connection had last, and how to mend it where it is one of the
 * machine. Returns -1. */
int sql_error(struct sql *sql, struct error *err);

/* As error_errno, and how to mend it where it is the machine that refuses. Returns -1. */
int sql_trouble(struct error *err, int number, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Says what is damaged, with number SQL_DAMAGED. Returns -1. */
int sql_damaged(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether the file still begins as a database does: 0, or -1 with number SQL_DAMAGED. Costs one
 * read of 16 bytes; an error of the disk is none of the bytes. */
int sql_check_start(struct sql *sql, struct error *err);
/* The same of all pages, which takes as long as to read the file. -1 with another number where it
 * could not be read. */
int sql_check_pages(struct sql *sql, struct error *err);

/* Opens a transaction for writing; ends it. */
int sql_begin(struct sql *sql, struct error *err);
int sql_commit(struct sql *sql, struct error *err);
void sql_rollback(struct sql *sql);

/* Binds; positions count from 1. The bytes must live until the statement is reset. */
void sql_bind_slice(sqlite3_stmt *stmt, int at, struct slice value);
struct slice sql_column(sqlite3_stmt *stmt, int at);

/* What a file says of its version: *version_r (user_version), and *sign_r (its application_id, see
 * SQL_SIGN), 0 where that tells none. */
int sql_versions(struct sql *sql, int64_t *version_r, int64_t *sign_r, struct error *err);

/* Checks that a file is of a version that we know, or makes its schema where it is empty and
 * `schema` is given. 1: ready, 0: empty (being made by another process), -1: refused; with number
 * SQL_DAMAGED where it is none that any postwake wrote. */
int sql_version(struct sql *sql, int known, const char *schema, struct error *err);

/* Brings a file to version `known`: upgrades[v] is the script that makes version v to v + 1 and
 * says so in user_version. Each runs whole or not at all. */
int sql_upgrade(struct sql *sql, const char *const *upgrades, int known, struct error *err);

/* Whether each table and column of a schema is in the file as the schema has it: 0, or -1 with
 * number SQL_DAMAGED. */
int sql_has_schema(struct sql *sql, const char *schema, struct error *err);

/* Opens a file for reading only and checks its version: 1 ready, 0 not there or empty (nothing is
 * left open), -1 failed, in words for somebody who may not read. */
int sql_open_reader(struct sql *sql, const char *path, int known, struct error *err);

#endif
