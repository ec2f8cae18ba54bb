/* The inverted index of a day file: which rows have a term.
 *
 * What a commit adds stands in the tail first, a row of the table a commit, term by term as it
 * came. From INDEX_SEAL documents on the tail becomes a segment (store/segment.h); the helper
 * thread merges segments of a size. A document lives in one place only: its terms are never apart.
 *
 * A question is made of groups, joined by AND; a group of terms, joined by OR. Without groups it
 * asks for all rows. */
#ifndef PW_STORE_INDEX_H
#define PW_STORE_INDEX_H

#include <glib.h>

#include "store/day.h"

#define INDEX_SEAL 8000 /* documents of the tail */
#define INDEX_FAN 16    /* segments of a size that are merged */

/* Documents that stand in no segment yet, as the writer has them. */
struct index_tail {
	GArray *docs;      /* struct tail_doc, in the order of arrival */
	GArray *terms;     /* guint64, of all documents */
	guint stored;      /* documents that have a row of the table */
	GByteArray *small; /* bodies of the last rows of the table, which are made one when there
	                      are many */
	guint smalls;
	int64_t small_id; /* the first of them */
	bool merge_due;   /* there are many segments of a size; whoever merges clears it */
};
void index_tail_init(struct index_tail *tail);
void index_tail_free(struct index_tail *tail);
/* Reads what stands in the file, at the beginning of each transaction: cheap when nothing but the
 * writer changed it. */
int index_tail_load(struct index_tail *tail, struct sql *sql, struct error *err);

/* Adds a document: the terms (guint64, store/terms.h) of a row. */
int index_add(struct index_tail *tail, struct sql *sql, int64_t row, const GArray *terms,
        struct error *err);
/* Takes the document of a row away. */
int index_drop(struct index_tail *tail, struct sql *sql, int64_t row, struct error *err);
/* Writes what was added, before each commit. */
int index_flush(struct index_tail *tail, struct sql *sql, struct error *err);
/* Makes a segment of all that is in the tail. */
int index_seal(struct index_tail *tail, struct sql *sql, struct error *err);

/* Merges segments: those of a size of which there are many, or `all` of an ended day, after its
 * tail was sealed. In transactions of a few milliseconds each, between which commits get in;
 * nothing is lost when it ends between two. `stop` (may be NULL) ends it early. 0, or -1 also when
 * stopped. */
int index_merge(struct sql *sql, bool all, bool (*stop)(void *ctx), void *ctx, struct error *err);

/* A question. */
struct index_query {
	GPtrArray *groups; /* of GArray of guint64 */
};
struct index_query *index_query_new(void);
void index_query_free(struct index_query **query);
/* A new group, whose terms the caller appends. */
GArray *index_query_group(struct index_query *query);

/* The rows from `low` to `high` that match, within one read transaction of the caller. NULL with
 * *err, which later failures go into as well. The query must outlive it. */
struct index_hits;
struct index_hits *index_find(struct sql *sql, const struct index_query *query, int64_t low,
        int64_t high, struct error *err);
void index_hits_free(struct index_hits **hits);
/* How many there are. */
int index_count(struct index_hits *hits, uint64_t *count_r);
/* Lets index_next begin with the greatest that is not above `high`. */
int index_start(struct index_hits *hits, int64_t high);
/* The next row, newest first: 1, 0 there is none, -1. */
int index_next(struct index_hits *hits, int64_t *row_r);

#endif
