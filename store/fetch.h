/* Runs a search in one day file. */
#ifndef PW_STORE_FETCH_H
#define PW_STORE_FETCH_H

#include <glib.h>

#include "store/day.h"
#include "store/match.h"

/* Events that were found, as records (store/record.h). */
struct results {
	GByteArray *bytes;
	GArray *at; /* of size_t */
};
void results_init(struct results *results);
void results_clear(struct results *results);
/* Hands all of them on. */
void results_each(const struct results *results, search_found *found, void *ctx);

/* Unpacks the row that a statement of rows stands on, appends it where it passes the filters.
 * 1 it does, 0 not, -1 failed. `patterns`: the substring filters too. */
int results_take(struct results *results, struct day *day, struct day_reader *reader,
        sqlite3_stmt *stmt, struct match *match, bool patterns, struct error *err);

struct day_search {
	struct day *day;
	struct match *match;
	int64_t low, high; /* rows of the window */
	int64_t page_high; /* the page has only rows up to this one */
	uint64_t as_of;
	uint64_t skip; /* matches to leave out first */
	uint64_t want; /* matches to fetch */
	bool need_count;
	gint64 deadline;             /* monotonic, us */
	const struct search *search; /* that all this is of: its turns */
	struct results *results;

	uint64_t count;   /* out: matches of the window; where not needed: those fetched */
	uint64_t skipped; /* out */
	uint64_t found;   /* out */
};
static inline void search_take_turn(const struct search *search)
{
	if (search->turns != NULL)
		search->turns->take(search->turns->ctx);
}

/* Returns how long it waited, us. */
static inline int64_t search_breathe(const struct search *search)
{
	return search->turns != NULL ? search->turns->breathe(search->turns->ctx) : 0;
}

static inline void search_give_turn(const struct search *search)
{
	if (search->turns != NULL)
		search->turns->give(search->turns->ctx);
}

int day_search_run(struct day_search *search, struct error *err);

#endif
