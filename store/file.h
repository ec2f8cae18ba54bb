/* How files of the store come into being, and what is done with those that a crash left behind. */
#ifndef PW_STORE_FILE_H
#define PW_STORE_FILE_H

#include <stdbool.h>

#include "base/error.h"
#include "store/sql.h"
#include "store/store.h"

/* Makes a database file of schema and `version`, in WAL mode: under another name, complete and on
 * the disk before it gets its own. A file of that name, which must hold nothing, is replaced. */
int file_make(
        struct store *store, const char *path, int version, const char *schema, struct error *err);

/* Writes all of the bytes, whatever pieces the system takes them in. 0, or -1 with errno. */
int file_write(int fd, struct slice bytes);

/* Puts a file or (flags O_DIRECTORY) the names in a directory on the disk. */
int file_sync(const char *path, int flags, struct error *err);

/* Copies bytes to a file that is made or emptied. `past_errors`: what the disk does not give is
 * zeros, the rest may be good. *err has number ENOENT where there is no such file. */
int file_copy(const char *from, const char *to, bool past_errors, struct error *err);

/* Gives a new file to the owner of the store's directory, when root makes it: `postwake import` by
 * root must not lock the daemon, which has a user of its own, out of its store. */
int file_give_to_owner(struct store *store, int fd, struct error *err);

/* Whether the file is in WAL mode. */
int file_is_wal(struct sql *sql, bool *wal_r, struct error *err);
/* Makes a connection write by a log (WAL). The change leaves no rollback journal, whenever it is
 * cut off. */
int file_use_wal(struct sql *sql, struct error *err);
/* And by none again: the file is a plain one afterwards, unless somebody reads it. */
int file_use_no_wal(struct sql *sql, struct error *err);

/* Gives the file system back what a file does not use, in transactions of some milliseconds each.
 * 0, or -1 also when stopped. */
int file_shrink(struct sql *sql, bool (*stop)(void *ctx), void *ctx, struct error *err);

/* At the start of a writer, before anything is open: removes files that were being made or
 * dropped, rolls back what has a hot journal, and removes files in which nothing was yet. */
void file_mend_all(struct store *store);

/* Whether a file has no tables, as far as it can be read. */
bool file_is_empty(const char *path);

/* Removes what SQLite keeps beside a file. */
void file_unlink_beside(const char *path);

#endif
