/* Searching the store. Filters AND, values of one filter OR, newest first, exact totals. */
#ifndef PW_STORE_SEARCH_H
#define PW_STORE_SEARCH_H

#include "event/event.h"
#include "store/store.h"

/* SEARCH_RECIPIENT, …: one for each row of schema/search.def, where the fields that it looks at
 * and its index letter stand. */
enum search_key {
#define SEARCH(ID, ...) SEARCH_##ID,
#include "schema/search.def"
#undef SEARCH
	SEARCH_KEYS
};

/* SEARCH_WORDS_REASON, …: one for each row of schema/words.def. */
enum search_words {
#define WORDS(ID, ...) SEARCH_WORDS_##ID,
#include "schema/words.def"
#undef WORDS
	SEARCH_WORDS
};

/* What may be seen at all: an event whose subaccount_id is listed, and whose sending_domain or
 * recipient_domain equals a listed domain (lower case). NULL-ended lists; NULL = any. */
struct search_scope {
	const char *const *subaccounts;
	const char *const *domains;
};

/* Lets only some searches run at a time; the thread that searches calls each, and may wait in
 * it. */
struct search_turns {
	void (*take)(void *ctx); /* before anything is read */
	/* Now and then, also within the read transaction; returns how long it waited, us: no time
	 * of the search's. */
	int64_t (*breathe)(void *ctx);
	void (*give)(void *ctx); /* after the last event was told */
	void *ctx;
};

struct search {
	int64_t from, to; /* ms: from <= time < to */
	uint64_t as_of;   /* snapshot: only what had arrived by this mark; 0 = the mark of now,
	              which store_search then fills in */
	const char *const *values[SEARCH_KEYS]; /* NULL-ended lists; NULL = no filter; a list that
	              is empty matches nothing */
	/* LIKE-style patterns, '%' = any text, ASCII and Unicode case ignored, '_' is itself; each
	 * a NULL-ended list of which one must match; NULL = no filter. */
	const char *const *reasons;  /* on reason or raw_reason of failures */
	const char *const *subjects; /* on subject */
	/* Phrases of whole words (store/words.h), each a NULL-ended list of which one must occur;
	 * NULL = no filter. */
	const char *const *words[SEARCH_WORDS];
	const char *const *tags; /* all of them must be set; NULL = no filter */
	uint64_t before;         /* only rows with a smaller row id; 0 = no bound */
	uint64_t offset;         /* matches to skip */
	unsigned limit;          /* matches to return; 0 = only count */
	bool no_total;           /* spare the exact total */
	size_t bytes;        /* store_arrivals: of events, after which it ends early; 0 = 32 MiB */
	int64_t deadline_ms; /* time that a scan may take; 0 = 10 s */
	const struct search_turns *turns; /* NULL = it runs at once */
	const struct search_scope *scope; /* NULL = all */
	/* store_search: asked, with the ctx of `found`, of a day that cannot be read; true passes
	 * it over, with what was found of it so far. NULL = false: the search fails. */
	bool (*pass)(void *ctx, int64_t day, const struct error *cause);
};

/* Called for each match, newest first (store_search) or in arrival order (store_arrivals). The
 * event is valid during the call only. The read transaction has ended before the first call. It
 * must not search by itself: it may be its turn that it would wait for. */
typedef void search_found(void *ctx, const struct event *event);

/* 0; or -1 with *err, where number ETIME means: the filter is too broad for a scan, narrow the
 * window; and EFBIG: the matches are too large together. *total_r counts all matches of the
 * snapshot. */
int store_search(struct store *store, struct search *search, search_found *found, void *ctx,
        uint64_t *total_r, struct error *err);

/* Events with an arrival number above `since`, in arrival order, that match the filters of
 * `search` (offset, before and total do not apply). Returns through *next_r the arrival number to
 * go on from, which is below the mark when there may be more: after `limit` events or `bytes`, or
 * when the deadline has passed. 0, or -1 with *err. */
int store_arrivals(struct store *store, const struct search *search, uint64_t since,
        search_found *found, void *ctx, uint64_t *next_r, struct error *err);

/* The filter of a key by its name in schema/search.def, or -1. */
int search_key_by_name(struct slice name);

#endif
