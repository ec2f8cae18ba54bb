/* Merging: the documents of several segments, by their rows, and term by term their lists. It is
 * done in steps, between which the writer gets in: what is read does not change meanwhile, but that
 * documents die, which the last step looks at. */
#include "store/index.h"

#include <errno.h>
#include <stdlib.h>

#include "store/segment.h"

#define STEP_PIECES 64 /* written or removed by one transaction */
#define NO_DOC UINT32_MAX

/* One of the segments that become one. */
struct source {
	struct segment segment;
	struct segment_in in;
	uint32_t *doc; /* its document -> that of the new segment; NO_DOC: dead */
	bool more;     /* in.entry is one that is not taken yet */
};

struct merging {
	struct sql *sql;
	bool (*stop)(void *ctx);
	void *ctx;
	struct error *err;
	struct source *sources;
	guint n;
	struct segment_out out;
	uint32_t *docs; /* of the term at work */
	uint64_t room;  /* for so many */
};

static bool stopped(const struct merging *m)
{
	return m->stop != NULL && m->stop(m->ctx);
}

/* Writes what waits, when it is enough for a transaction; in the end all. The lock is held for no
 * longer than that takes: the writer looks for it only from time to time. */
static int flush(struct merging *m, guint enough)
{
	while (segment_waiting(&m->out) >= enough && segment_waiting(&m->out) > 0) {
		if (stopped(m) || sql_begin(m->sql, m->err) < 0 ||
		        segment_flush(&m->out, STEP_PIECES) < 0 || sql_commit(m->sql, m->err) < 0)
			return -1;
	}
	return 0;
}

static void die(void *ctx, uint32_t doc)
{
	struct source *source = ctx;

	source->doc[doc] = NO_DOC;
}

/* The document with the next row in order. */
struct next {
	int64_t row;
	struct source *source;
	uint32_t doc;
};

static int next_living(struct next *next)
{
	struct source *source = next->source;

	while (next->doc < source->segment.docs && source->doc[next->doc] == NO_DOC)
		next->doc++;
	next->row = INT64_MAX;
	if (next->doc < source->segment.docs)
		next->row = segment_row(&source->in, next->doc);
	return next->row < 0 ? -1 : 0;
}

/* The rows of all documents in order; gives each its new number. */
static int number_docs(struct merging *m, GArray *rows)
{
	g_autofree struct next *nexts = g_new0(struct next, m->n);

	for (guint i = 0; i < m->n; i++) {
		nexts[i].source = &m->sources[i];
		if (next_living(&nexts[i]) < 0)
			return -1;
	}
	for (;;) {
		struct next *least = &nexts[0];
		for (guint i = 1; i < m->n; i++)
			if (nexts[i].row < least->row)
				least = &nexts[i];
		if (least->row == INT64_MAX)
			return 0;
		least->source->doc[least->doc++] = rows->len;
		g_array_append_val(rows, least->row);
		if (next_living(least) < 0)
			return -1;
	}
}

static int open_sources(struct merging *m, const struct segment *segments)
{
	for (guint i = 0; i < m->n; i++) {
		struct source *source = &m->sources[i];
		source->segment = segments[i];
		source->doc = g_new0(uint32_t, source->segment.docs);
		segment_open(&source->in, m->sql, &source->segment, m->err);
		if (segment_each_dead(&source->in, die, source) < 0)
			return -1;
	}
	return 0;
}

static int advance(struct source *source)
{
	int result = segment_next(&source->in);

	source->more = result == 1;
	return result < 0 ? -1 : 0;
}

/* Takes the documents of an entry that live. *n: how many there are. */
static int take(struct merging *m, struct source *source, uint32_t *n)
{
	const struct piece_entry *entry = &source->in.entry;
	uint32_t *docs = m->docs + *n, kept = 0;

	if (*n + entry->count > m->room || piece_docs(entry, docs) < 0)
		return sql_damaged(m->err, "store file %s: the index is damaged", m->sql->path);
	for (uint32_t i = 0; i < entry->count; i++) {
		uint32_t doc = docs[i] < source->segment.docs ? source->doc[docs[i]] : NO_DOC;
		if (doc != NO_DOC)
			docs[kept++] = doc;
	}
	*n += kept;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sources mostly follow one another. */
static void sort(uint32_t *docs, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (docs[i] < docs[i - 1]) {
			qsort(docs, n, sizeof(*docs), compare);
			return;
		}
}

/* All lists of one term. */
static int merge_term(struct merging *m, uint64_t term)
{
	uint32_t n = 0;

	for (guint i = 0; i < m->n; i++) {
		struct source *source = &m->sources[i];
		while (source->more && source->in.entry.term == term)
			if (take(m, source, &n) < 0 || advance(source) < 0)
				return -1;
	}
	sort(m->docs, n);
	if (n > 0)
		segment_term(&m->out, term, m->docs, n);
	return 0;
}

static int merge_terms(struct merging *m)
{
	for (guint i = 0; i < m->n; i++)
		if (advance(&m->sources[i]) < 0)
			return -1;
	for (;;) {
		uint64_t least = UINT64_MAX;
		for (guint i = 0; i < m->n; i++)
			if (m->sources[i].more)
				least = MIN(least, m->sources[i].in.entry.term);
		if (least == UINT64_MAX)
			break;
		if (merge_term(m, least) < 0 || flush(m, STEP_PIECES) < 0)
			return -1;
	}
	segment_end(&m->out);
	return flush(m, 0);
}

static int begin(struct merging *m, const GArray *rows)
{
	const int64_t *row = (const int64_t *)rows->data;

	if (sql_begin(m->sql, m->err) < 0 ||
	        segment_begin(&m->out, m->sql, row, rows->len, m->err) < 0 ||
	        sql_commit(m->sql, m->err) < 0)
		return -1;
	segment_rows(&m->out, row, rows->len);
	return flush(m, STEP_PIECES);
}

/* Whether documents died since. */
static int changed(struct merging *m)
{
	g_autoptr(GArray) now = g_array_new(FALSE, FALSE, sizeof(struct segment));
	guint same = 0;

	if (segment_list(m->sql, now, m->err) < 0)
		return -1;
	for (guint i = 0; i < now->len; i++) {
		const struct segment *segment = &g_array_index(now, struct segment, i);
		for (guint k = 0; k < m->n; k++)
			same += m->sources[k].segment.id == segment->id &&
			        m->sources[k].segment.dead == segment->dead;
	}
	return same != m->n;
}

/* The transaction that ends the merge. What changed is merged another time. */
static int take_over(struct merging *m)
{
	int result = changed(m);

	if (result < 0 || (result == 0 && m->out.segment.id != 0 && segment_live(&m->out) < 0))
		return -1;
	for (guint i = 0; result == 0 && i < m->n; i++)
		if (segment_retire(m->sql, m->sources[i].segment.id, m->err) < 0)
			return -1;
	return sql_commit(m->sql, m->err) < 0 ? -1 : result;
}

static int merge_all(struct merging *m, const struct segment *segments)
{
	guint docs = 0;

	for (guint i = 0; i < m->n; i++)
		docs += segments[i].docs;
	g_autoptr(GArray) rows = g_array_sized_new(FALSE, FALSE, sizeof(gint64), docs);
	if (open_sources(m, segments) < 0 || number_docs(m, rows) < 0)
		return -1;
	m->room = (uint64_t)rows->len + PIECE_CHUNK; /* the dead of an entry are read as well */
	m->docs = g_new(uint32_t, m->room);
	/* Maybe nobody lives any more. */
	if (rows->len > 0 && (begin(m, rows) < 0 || merge_terms(m) < 0))
		return -1;
	return sql_begin(m->sql, m->err) < 0 ? -1 : take_over(m);
}

/* What is not live is left from a merge that was cut off, or was merged. */
static int remove_leftovers(struct merging *m)
{
	int64_t id;
	int more;

	while ((id = segment_leftover(m->sql, m->err)) > 0) {
		do {
			if (stopped(m) || sql_begin(m->sql, m->err) < 0)
				return -1;
			more = segment_remove(m->sql, id, STEP_PIECES, m->err);
			if (more < 0 || sql_commit(m->sql, m->err) < 0) {
				sql_rollback(m->sql);
				return -1;
			}
		} while (more == 1);
	}
	return id < 0 ? -1 : 0;
}

/* 0 merged, 1 something died meanwhile, -1. */
static int merge(struct merging *m, const struct segment *segments, guint n)
{
	m->sources = g_new0(struct source, n);
	m->n = n;
	m->out = (struct segment_out){0};
	int result = merge_all(m, segments);
	sql_rollback(m->sql);
	segment_clear(&m->out);
	for (guint i = 0; i < n; i++) {
		segment_close(&m->sources[i].in);
		g_free(m->sources[i].doc);
	}
	g_clear_pointer(&m->sources, g_free);
	g_clear_pointer(&m->docs, g_free);
	return remove_leftovers(m) < 0 ? -1 : result;
}

/* 0 as the tail gave them, 1 merged once, 2 large enough. */
static unsigned level(const struct segment *segment)
{
	if (segment->docs < INDEX_SEAL * INDEX_FAN)
		return 0;
	return segment->docs < PIECE_DOCS / 2 ? 1 : 2;
}

/* Adds a segment to those that are merged where there is room for it. */
static void choose(GArray *chosen, const struct segment *segment, uint64_t *docs)
{
	if (*docs + segment->docs > PIECE_DOCS)
		return;
	*docs += segment->docs;
	g_array_append_vals(chosen, segment, 1);
}

/* Segments of a level of which there are many. */
static void choose_level(const GArray *segments, GArray *chosen)
{
	for (unsigned want = 0; want < 2; want++) {
		uint64_t docs = 0;
		guint there = 0;
		g_array_set_size(chosen, 0);
		for (guint i = 0; i < segments->len; i++) {
			const struct segment *segment = &g_array_index(segments, struct segment, i);
			if (level(segment) != want)
				continue;
			there++;
			choose(chosen, segment, &docs);
		}
		if (there >= INDEX_FAN)
			return;
	}
	g_array_set_size(chosen, 0);
}

/* All that fit together; one alone only where there are dead to leave behind. */
static void choose_all(const GArray *segments, GArray *chosen)
{
	uint64_t docs = 0;
	bool dead = false;

	g_array_set_size(chosen, 0);
	for (guint i = 0; i < segments->len; i++) {
		const struct segment *segment = &g_array_index(segments, struct segment, i);
		choose(chosen, segment, &docs);
		dead |= segment->dead > 0;
	}
	if (chosen->len == 1 && !dead)
		g_array_set_size(chosen, 0);
}

int index_merge(struct sql *sql, bool all, bool (*stop)(void *ctx), void *ctx, struct error *err)
{
	struct merging m = {.sql = sql, .stop = stop, .ctx = ctx, .err = err};
	g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
	g_autoptr(GArray) chosen = g_array_new(FALSE, FALSE, sizeof(struct segment));

	if (remove_leftovers(&m) < 0)
		return -1;
	for (;;) {
		g_array_set_size(segments, 0);
		if (segment_list(sql, segments, err) < 0)
			return -1;
		if (all)
			choose_all(segments, chosen);
		else
			choose_level(segments, chosen);
		if (chosen->len == 0)
			return 0;
		if (stopped(&m) || merge(&m, (const struct segment *)chosen->data, chosen->len) < 0)
			return -1;
	}
}
