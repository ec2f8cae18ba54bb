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
	const char *who;           /* "uid 1000" or the like; NULL = nobody knows */
};

/* May do everything. */
extern const struct access access_all;

/* Nobody knows who it is: may do what needs no grant. */
extern const struct access access_none;

/* Who may open the socket may read; root and our own user may do everything. */
const struct access *access_of_user(uid_t uid);

#endif
