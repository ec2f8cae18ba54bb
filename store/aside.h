/* Damaged files are set aside: capture goes on with a new file, and nothing is deleted. */
#ifndef PW_STORE_ASIDE_H
#define PW_STORE_ASIDE_H

#include "base/error.h"
#include "store/store.h"

#define ASIDE ".damaged-"      /* then a number: end of the name of a file that was set aside */
#define ASIDE_DONE ".salvaged" /* and then: what could be read of it is in the store again */

/* What happened to a file and is told by the next commit, as a capture gap. */
struct aside_news {
	char *text;
	int64_t from, to; /* ms; 0: not of a day */
	int64_t bytes;
};
void aside_news_free(void *news);

/* After a commit to a day that failed because of *cause: whether its file is to be set aside though
 * nothing shows damage. So it is when for some time (store->bad.ms) the disk gave errors for this
 * file (EIO) at each try, and each time a file beside it could be written, synced and read: then it
 * has a bad sector. What a disk does to all files, or did and does no more, is never taken for
 * that. *cause becomes what is told. Committing thread. */
bool aside_is_bad(struct store *store, int64_t number, struct error *cause);
/* After one that worked. */
void aside_is_good(struct store *store, int64_t number);

/* Renames the file of a day, with its log, to NAME.damaged-N. `cause` says why. The writers of the
 * day must be closed or dropped. Committing thread; 0, or -1 with *err. */
int aside_day(struct store *store, int64_t number, const struct error *cause, struct error *err);

/* The same of the control file. */
int aside_control(struct store *store, const struct error *cause, struct error *err);

/* A file that somebody deleted under its writer: told in the same way. */
void aside_deleted_day(struct store *store, int64_t number);
void aside_deleted_control(struct store *store);

/* A file's log grows because a program has been reading the file for so long: told in the same way.
 */
void aside_log_held(struct store *store, const char *path, int64_t ms);

/* Whether a name is one of a day's file that was set aside, and of which day. */
bool aside_day_of(const char *name, gint64 *day_r);

/* Removes the files that were set aside of days before `oldest`, and control files that were
 * written last before it. */
void aside_prune(struct store *store, int64_t oldest);

#endif
