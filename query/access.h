/* Who asks, and what it may do. */
#ifndef PW_QUERY_ACCESS_H
#define PW_QUERY_ACCESS_H

#include <sys/types.h>

#include "store/search.h"

enum grant {
	GRANT_READ = 1,
	GRANT_INGEST = 2,
	GRANT_UPLOAD = 4,
	GRANT_ADMIN = 8, /* all that changes the store or the server */
};
#define GRANT_ALL (GRANT_READ | GRANT_INGEST | GRANT_UPLOAD | GRANT_ADMIN)

struct access {
	unsigned grants;
	struct search_scope scope; /* what of the store it may see */
	const char *who;           /* "access NAME", "key ID" or the like; NULL = nobody knows */
};

/* May do everything. */
extern const struct access access_all;

/* Nobody knows who it is: may do what needs no grant. */
extern const struct access access_none;

/* Whether it sees all events. */
static inline bool access_sees_all(const struct access *access)
{
	return access->scope.subaccounts == NULL && access->scope.domains == NULL;
}

/* An access in words. Lists are parted by blanks or commas. */
struct access_words {
	const char *grants;      /* of read, ingest, upload */
	const char *subaccounts; /* numbers; NULL = all */
	const char *domains;     /* NULL = all */
};

/* Makes it; NULL with *err. A list that holds nothing is a mistake. The caller's: access_free. */
struct access *access_new(const struct access_words *words, const char *who, struct error *err);
void access_free(struct access *access);

/* What both allow: their common grants, subaccounts and domains; `who` is that of `b`. */
struct access *access_narrow(const struct access *a, const struct access *b);

/* Appends the names of the grants with this between them. */
void access_grant_names(GString *out, unsigned grants, const char *between);

/* --- the table of who may do what on the UNIX socket --- */

struct access_row {
	const char *name;
	const char *users;  /* names, numbers or "*"; NULL = none */
	const char *groups; /* names or numbers; NULL = none */
	struct access_words words;
};

struct access_table;

/* NULL with *err, which names the row. */
struct access_table *access_table_new(const struct access_row *rows, size_t n, struct error *err);
void access_table_free(struct access_table **table);

/* The process at the other end of a socket. */
struct access_peer {
	uid_t uid;
	const gid_t *groups;
	size_t n;
};

/* Root and our own user may do everything. Of others, the first row that names the user or one of
 * its groups counts, and without such a row it may do nothing; without a table (NULL) all of them
 * may read. Lives as long as the table. */
const struct access *access_of_peer(
        const struct access_table *table, const struct access_peer *peer);

#endif
