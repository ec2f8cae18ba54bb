/* Segments of the index in a day file: documents with their rows, and for each term the documents
 * that have it. A segment never changes once it is live; only documents of it may die. */
#ifndef PW_STORE_SEGMENT_H
#define PW_STORE_SEGMENT_H

#include <glib.h>

#include "store/piece.h"
#include "store/sql.h"

#define SEGMENT_BLOCK 256 /* rows that stand together */

struct segment {
	int64_t id;
	int64_t low, high; /* its first and last row */
	int64_t pieces;
	uint32_t docs, dead;
};

/* The live segments, as an array of struct segment, oldest first. */
int segment_list(struct sql *sql, GArray *segments_r, struct error *err);

/* Reading one of them. `sql` has the statements of a reader (store/day.h). */
struct segment_in {
	struct sql *sql;
	const struct segment *segment;
	struct error *err;
	GByteArray *bytes; /* of the piece or block at hand */
	struct piece_in piece;
	int64_t number; /* of the piece; -1: none */
	struct piece_entry entry;
	int64_t block; /* whose rows are in `rows`; -1: none */
	int64_t rows[SEGMENT_BLOCK];
	unsigned n_rows;
};
void segment_open(
        struct segment_in *in, struct sql *sql, const struct segment *segment, struct error *err);
void segment_close(struct segment_in *in);

/* Stands on the first entry of a term: 1, or 0 when it has none, or -1. Cheap for the next terms in
 * ascending order. */
int segment_seek(struct segment_in *in, uint64_t term);
/* Goes to the next entry of the same term: 1, 0, -1. */
int segment_same(struct segment_in *in);
/* Goes to the next entry of any term, the first one at the beginning: 1, 0, -1. */
int segment_next(struct segment_in *in);

/* The row of a document; -1 failed. */
int64_t segment_row(struct segment_in *in, uint32_t doc);
/* The number of documents whose row is below `row`. */
int segment_rank(struct segment_in *in, int64_t row, uint32_t *rank_r);
/* Calls for each dead document, ascending. */
int segment_each_dead(struct segment_in *in, void (*dead)(void *ctx, uint32_t doc), void *ctx);

/* Making one. Only segment_begin, segment_flush and segment_live write to the file, within
 * transactions of the caller; `sql` has the statements of a writer. */
struct segment_out {
	struct sql *sql;
	struct error *err;
	struct segment segment;
	struct piece_out piece;
	bool open;         /* a piece is begun */
	bool went_on;      /* from the piece before */
	GByteArray *bytes; /* of the pieces that wait */
	GArray *waiting;   /* struct waiting_piece */
	guint flushed;     /* of them */
};
int segment_begin(struct segment_out *out, struct sql *sql, const int64_t *rows, uint32_t n,
        struct error *err);
/* Adds the rows of all its documents, ascending; then the documents (ascending) of each term; terms
 * come in ascending order. Then ends the last piece. */
void segment_rows(struct segment_out *out, const int64_t *rows, uint32_t n);
void segment_term(struct segment_out *out, uint64_t term, const uint32_t *docs, uint32_t n);
void segment_end(struct segment_out *out);
/* How many pieces wait; writes the first of them, at most `most`. */
guint segment_waiting(const struct segment_out *out);
int segment_flush(struct segment_out *out, guint most);
/* Makes it count, when all is written. */
int segment_live(struct segment_out *out);
/* Frees its memory, at any time. */
void segment_clear(struct segment_out *out);

/* Makes a segment not count any more; takes `most` pieces of it away: 1 there are more, 0 it is
 * gone, -1. */
int segment_retire(struct sql *sql, int64_t id, struct error *err);
int segment_remove(struct sql *sql, int64_t id, int64_t most, struct error *err);
/* A segment that is not live; 0: none; -1 failed. */
int64_t segment_leftover(struct sql *sql, struct error *err);

#endif
