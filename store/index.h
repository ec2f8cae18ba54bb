/* The inverted index of a day file. Only this file and schema/day.sql know that it is FTS5.
 *
 * An expression is made of groups, joined by AND; a group of terms, joined by OR. Terms come from
 * store/terms.h only: whatever else is text for the query language. */
#ifndef PW_STORE_INDEX_H
#define PW_STORE_INDEX_H

#include <glib.h>

#include "store/day.h"

/* Adds the document of a row; rows of a commit in ascending order. */
int index_add(struct day_writer *writer, int64_t row, const GString *terms, struct error *err);

/* Takes the document of a row away; `terms` must be those that it was added with. */
int index_drop(struct day_writer *writer, int64_t row, const GString *terms, struct error *err);

/* Appends a group of n terms to an expression. */
void index_group(GString *expression, const char *const *terms, size_t n);

/* Appends the rows that match, newest first, at most `limit` (negative: all), to a GArray of
 * gint64. */
int index_rows(struct day_reader *reader, const char *expression, int64_t low, int64_t high,
        int64_t limit, GArray *rows, struct error *err);

/* Number of rows that match; and of those among them that arrived after `as_of`. */
int index_count(struct day_reader *reader, const char *expression, int64_t low, int64_t high,
        uint64_t *count_r, struct error *err);
int index_count_late(struct day_reader *reader, const char *expression, int64_t low, int64_t high,
        uint64_t as_of, uint64_t *count_r, struct error *err);

/* Merges what the commits have left, one step of bounded length: 1 more to do, 0 done. `first`: the
 * step that starts it. */
int index_merge(struct sql *sql, bool first, struct error *err);

#endif
