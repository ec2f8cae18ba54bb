/* The form of the tail of the index in its table: documents, each as
 *
 *	6 bytes  row
 *	2 bytes  number of terms
 *	7 bytes  each term
 *
 * all little-endian. */
#ifndef PW_STORE_TAIL_H
#define PW_STORE_TAIL_H

#include <glib.h>

#include "base/slice.h"
#include "store/sql.h"

#define TAIL_HEAD 8
#define TAIL_TERM 7

struct tail_doc {
	int64_t row;
	guint first; /* of its terms, among those of all documents */
	guint n;
};

static inline uint64_t tail_number(const char *p, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)(uint8_t)p[i] << 8 * i;
	return value;
}

static inline uint64_t tail_term(const char *p)
{
	return tail_number(p, TAIL_TERM);
}

/* Cuts a document off: its row and its terms; false at the end, where nothing is left of the body,
 * or where nothing good comes. */
static inline bool tail_cut(struct slice *body, int64_t *row, struct slice *terms)
{
	if (body->n < TAIL_HEAD)
		return false;
	size_t n = tail_number(body->p + 6, 2) * TAIL_TERM;
	if (n > body->n - TAIL_HEAD)
		return false;
	*row = (int64_t)tail_number(body->p, 6);
	*terms = slice_head(slice_from(*body, TAIL_HEAD), n);
	*body = slice_from(*body, TAIL_HEAD + n);
	return true;
}

/* After the last document: 0, or -1 where something is left. */
static inline int tail_ends(struct sql *sql, struct slice body, struct error *err)
{
	if (body.n == 0)
		return 0;
	return sql_damaged(err, "store file %s: the tail of the index is damaged", sql->path);
}

#endif
