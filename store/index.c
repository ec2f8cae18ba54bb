#include "store/index.h"

#include <errno.h>
#include <stdlib.h>

#include "store/segment.h"
#include "store/tail.h"

#define FEW 8    /* terms of a group that are compared one by one */
#define MANY 256 /* that are sorted by their bytes */

struct index_query *index_query_new(void)
{
	struct index_query *query = g_new(struct index_query, 1);

	query->groups = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
	return query;
}

void index_query_free(struct index_query **query)
{
	if (*query == NULL)
		return;
	g_ptr_array_unref((*query)->groups);
	g_clear_pointer(query, g_free);
}

GArray *index_query_group(struct index_query *query)
{
	GArray *terms = g_array_new(FALSE, FALSE, sizeof(guint64));

	g_ptr_array_add(query->groups, terms);
	return terms;
}

/* A list of which the bytes are kept. */
struct long_list {
	struct piece_entry entry;
	size_t at; /* of its bytes */
};

/* The lists of a group's terms in one segment. */
struct lists {
	GArray *docs;  /* guint32, of short lists, ascending; a document may come twice */
	GArray *longs; /* struct long_list */
	GByteArray *bytes;
	uint64_t count; /* of all */
	guint terms;    /* of the group that are there */
};

/* A segment in which all groups have something. */
struct part {
	struct segment segment;
	struct segment_in in;
	struct lists *lists; /* one a group */
	guint groups;
	uint32_t first, end; /* documents in the range of rows */
	uint64_t *dead;      /* bitmap; NULL: none */
	/* Where index_next is: what is left of a chunk. */
	int64_t chunk;
	uint32_t below; /* only documents below it */
	uint64_t bits[PIECE_WORDS];
	unsigned word; /* above it nothing is left */
	int64_t row;   /* the next row; -1: none */
};

struct index_hits {
	struct sql *sql;
	const struct index_query *query;
	int64_t low, high;
	GArray *tail;     /* gint64: rows of the tail that match, ascending */
	guint tail_left;  /* before the place of index_next */
	GPtrArray *parts; /* of struct part */
};

static void free_part(gpointer p)
{
	struct part *part = p;

	for (guint i = 0; i < part->groups; i++) {
		g_array_unref(part->lists[i].docs);
		g_array_unref(part->lists[i].longs);
		g_byte_array_unref(part->lists[i].bytes);
	}
	segment_close(&part->in);
	g_free(part->lists);
	g_free(part->dead);
	g_free(part);
}

static gint by_term(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;

	return (x > y) - (x < y);
}

static gint by_row(gconstpointer a, gconstpointer b)
{
	gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

	return (x > y) - (x < y);
}

/* Sorts the terms of a group. A substring filter may have ten thousands of them, of which the order
 * is that of a hash: eight passes by a byte each are a tenth of comparing them. */
static void sort_terms(GArray *group)
{
	g_autofree guint64 *other = g_new(guint64, MAX(group->len, 1));
	guint64 *from = (guint64 *)group->data, *to = other;

	if (group->len <= MANY) {
		g_array_sort(group, by_term);
		return;
	}
	for (unsigned shift = 0; shift < 64; shift += 8) {
		guint place[256] = {0}, sum = 0;
		for (guint i = 0; i < group->len; i++)
			place[from[i] >> shift & 0xff]++;
		for (unsigned i = 0; i < G_N_ELEMENTS(place); i++) {
			guint n = place[i];
			place[i] = sum;
			sum += n;
		}
		for (guint i = 0; i < group->len; i++)
			to[place[from[i] >> shift & 0xff]++] = from[i];
		guint64 *swap = from;
		from = to;
		to = swap;
	}
}

static gint by_doc(gconstpointer a, gconstpointer b)
{
	guint32 x = *(const guint32 *)a, y = *(const guint32 *)b;

	return (x > y) - (x < y);
}

/* Sorts documents of a segment of `all`, many of them by a bitmap: 0, or -1 where one is none of
 * it. */
static int sort_docs(GArray *docs, uint32_t all)
{
	guint n = 0;

	if (docs->len <= MANY) {
		g_array_sort(docs, by_doc);
		return 0;
	}
	g_autofree uint64_t *bits = g_new0(uint64_t, all / 64 + 1);
	for (guint i = 0; i < docs->len; i++) {
		uint32_t doc = g_array_index(docs, guint32, i);
		if (doc >= all)
			return -1;
		bits[doc / 64] |= UINT64_C(1) << doc % 64;
	}
	for (uint32_t word = 0; word <= all / 64; word++)
		for (; bits[word] != 0; bits[word] &= bits[word] - 1)
			g_array_index(docs, guint32, n++) =
			        word * 64 + (uint32_t)__builtin_ctzll(bits[word]);
	g_array_set_size(docs, n);
	return 0;
}

/* Whether a document of the tail has one of a group's terms, which are sorted. */
static bool tail_has(struct slice terms, const GArray *group)
{
	for (size_t at = 0; at < terms.n; at += TAIL_TERM) {
		guint64 term = tail_term(terms.p + at);
		if (group->len > FEW) {
			if (g_array_binary_search((GArray *)group, &term, by_term, NULL))
				return true;
			continue;
		}
		for (guint i = 0; i < group->len; i++)
			if (g_array_index(group, guint64, i) == term)
				return true;
	}
	return false;
}

static bool tail_matches(const struct index_query *query, struct slice terms)
{
	for (guint i = 0; i < query->groups->len; i++)
		if (!tail_has(terms, g_ptr_array_index(query->groups, i)))
			return false;
	return true;
}

static int find_in_tail(struct index_hits *hits, struct error *err)
{
	sqlite3_stmt *stmt = hits->sql->stmt[DAY_TAIL];
	int result;

	while ((result = sql_step(hits->sql, stmt, err)) == 1) {
		struct slice body = sql_column(stmt, 0), terms;
		gint64 row;
		while (tail_cut(&body, &row, &terms))
			if (row >= hits->low && row <= hits->high &&
			        tail_matches(hits->query, terms))
				g_array_append_val(hits->tail, row);
		if ((result = tail_ends(hits->sql, body, err)) < 0)
			break;
	}
	sqlite3_reset(stmt);
	g_array_sort(hits->tail, by_row);
	return result;
}

/* Keeps an entry: the bytes that it points to are gone with the piece. */
static void keep(struct lists *lists, const struct piece_entry *entry)
{
	struct long_list copy = {*entry, lists->bytes->len};

	lists->count += entry->count;
	if (entry->form == PIECE_INLINE) {
		g_array_append_vals(lists->docs, entry->docs, entry->count);
		return;
	}
	if (entry->size > 0)
		g_byte_array_append(lists->bytes, entry->bytes, (guint)entry->size);
	g_array_append_val(lists->longs, copy);
}

static int index_damaged(const struct part *part)
{
	return sql_damaged(part->in.err, "store file %s: segment %lld of the index is damaged",
	        part->in.sql->path, (long long)part->segment.id);
}

static int load_lists(struct part *part, struct lists *lists, const GArray *group)
{
	static const uint8_t pad[BITS_PAD];

	for (guint i = 0; i < group->len; i++) {
		int result = segment_seek(&part->in, g_array_index(group, guint64, i));
		lists->terms += result == 1;
		for (; result == 1; result = segment_same(&part->in))
			keep(lists, &part->in.entry);
		if (result < 0)
			return -1;
	}
	g_byte_array_append(lists->bytes, pad, sizeof(pad));
	for (guint i = 0; i < lists->longs->len; i++) {
		struct long_list *list = &g_array_index(lists->longs, struct long_list, i);
		list->entry.bytes = lists->bytes->data + list->at;
	}
	if (lists->terms > 1 && sort_docs(lists->docs, part->segment.docs) < 0)
		return index_damaged(part);
	return lists->count > 0;
}

static void set_dead(void *ctx, uint32_t doc)
{
	struct part *part = ctx;

	part->dead[doc / 64] |= UINT64_C(1) << doc % 64;
}

static int by_count(const void *a, const void *b)
{
	const struct lists *x = a, *y = b;

	return (x->count > y->count) - (x->count < y->count);
}

/* Loads what the groups have in a segment, the rarest first: 1, 0 nothing can match, -1. */
static int load_part(struct part *part, const struct index_hits *hits)
{
	uint32_t docs = part->segment.docs;

	if (segment_rank(&part->in, hits->low, &part->first) < 0 ||
	        segment_rank(&part->in, hits->high + 1, &part->end) < 0)
		return -1;
	if (part->first >= part->end)
		return 0;
	for (guint i = 0; i < part->groups; i++) {
		const GArray *group = g_ptr_array_index(hits->query->groups, i);
		int result = load_lists(part, &part->lists[i], group);
		if (result <= 0)
			return result;
	}
	if (part->groups > 1)
		qsort(part->lists, part->groups, sizeof(*part->lists), by_count);
	if (part->segment.dead > 0) {
		part->dead = g_new0(uint64_t, docs / PIECE_CHUNK * PIECE_WORDS + PIECE_WORDS);
		if (segment_each_dead(&part->in, set_dead, part) < 0)
			return -1;
	}
	return 1;
}

static struct part *new_part(
        const struct index_hits *hits, const struct segment *segment, struct error *err)
{
	struct part *part = g_new0(struct part, 1);

	part->segment = *segment;
	part->groups = hits->query->groups->len;
	part->lists = g_new0(struct lists, part->groups);
	for (guint i = 0; i < part->groups; i++) {
		part->lists[i].docs = g_array_new(FALSE, FALSE, sizeof(guint32));
		part->lists[i].longs = g_array_new(FALSE, FALSE, sizeof(struct long_list));
		part->lists[i].bytes = g_byte_array_new();
	}
	segment_open(&part->in, hits->sql, &part->segment, err);
	return part;
}

static int find_in_segments(struct index_hits *hits, struct error *err)
{
	g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(struct segment));

	if (segment_list(hits->sql, segments, err) < 0)
		return -1;
	for (guint i = 0; i < segments->len; i++) {
		const struct segment *segment = &g_array_index(segments, struct segment, i);
		if (segment->high < hits->low || segment->low > hits->high)
			continue;
		struct part *part = new_part(hits, segment, err);
		int result = load_part(part, hits);
		if (result == 1)
			g_ptr_array_add(hits->parts, part);
		else
			free_part(part);
		if (result < 0)
			return -1;
	}
	return 0;
}

struct index_hits *index_find(struct sql *sql, const struct index_query *query, int64_t low,
        int64_t high, struct error *err)
{
	struct index_hits *hits = g_new0(struct index_hits, 1);

	*hits = (struct index_hits){.sql = sql, .query = query, .low = low, .high = high};
	hits->tail = g_array_new(FALSE, FALSE, sizeof(gint64));
	hits->parts = g_ptr_array_new_with_free_func(free_part);
	for (guint i = 0; i < query->groups->len; i++)
		sort_terms(g_ptr_array_index(query->groups, i));
	if (find_in_tail(hits, err) < 0 || find_in_segments(hits, err) < 0)
		index_hits_free(&hits);
	return hits;
}

void index_hits_free(struct index_hits **hits)
{
	if (*hits == NULL)
		return;
	g_array_unref((*hits)->tail);
	g_ptr_array_unref((*hits)->parts);
	g_clear_pointer(hits, g_free);
}

/* The first of the short lists' documents that is not below `doc`. */
static guint lower_bound(const GArray *docs, uint32_t doc)
{
	guint low = 0, high = docs->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (g_array_index(docs, guint32, middle) < doc)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ORs a group's documents of a chunk: 1, 0 there are none, -1 damaged. */
static int or_lists(const struct lists *lists, uint32_t chunk, uint64_t bits[PIECE_WORDS])
{
	uint32_t base = chunk * PIECE_CHUNK;
	int some = 0;

	for (guint i = lower_bound(lists->docs, base); i < lists->docs->len; i++) {
		uint32_t doc = g_array_index(lists->docs, guint32, i) - base;
		if (doc >= PIECE_CHUNK)
			break;
		bits[doc / 64] |= UINT64_C(1) << doc % 64;
		some = 1;
	}
	for (guint i = 0; i < lists->longs->len; i++) {
		const struct long_list *list = &g_array_index(lists->longs, struct long_list, i);
		if (list->entry.chunk != chunk)
			continue;
		if (piece_or(&list->entry, bits) < 0)
			return -1;
		some = 1;
	}
	return some;
}

/* Takes away the documents from `from` to before `to` of a chunk. */
static void clear_bits(uint64_t bits[PIECE_WORDS], uint32_t from, uint32_t to)
{
	for (; from < to && from % 64 != 0; from++)
		bits[from / 64] &= ~(UINT64_C(1) << from % 64);
	for (; from + 64 <= to; from += 64)
		bits[from / 64] = 0;
	for (; from < to; from++)
		bits[from / 64] &= ~(UINT64_C(1) << from % 64);
}

/* The documents of a chunk that match: 1, 0 none, -1. */
static int match_chunk(struct part *part, uint32_t chunk, uint64_t bits[PIECE_WORDS])
{
	uint32_t base = chunk * PIECE_CHUNK;
	uint64_t other[PIECE_WORDS];
	int result = 1;

	memset(bits, 0xff, sizeof(other));
	for (guint g = 0; g < part->groups && result == 1; g++) {
		uint64_t *to = g == 0 ? bits : other;
		memset(to, 0, sizeof(other));
		result = or_lists(&part->lists[g], chunk, to);
		for (unsigned i = 0; g > 0 && i < PIECE_WORDS; i++)
			bits[i] &= other[i];
	}
	if (result < 0)
		return index_damaged(part);
	if (result == 0)
		return 0;
	if (part->first > base)
		clear_bits(bits, 0, MIN(part->first - base, PIECE_CHUNK));
	if (part->end < base + PIECE_CHUNK)
		clear_bits(bits, part->end > base ? part->end - base : 0, PIECE_CHUNK);
	for (unsigned i = 0; part->dead != NULL && i < PIECE_WORDS; i++)
		bits[i] &= ~part->dead[base / 64 + i];
	return 1;
}

/* Without a look at the documents, of which nobody is dead: a range of all of them, or all that
 * have one term. */
static bool count_known(const struct part *part, uint64_t *count)
{
	const struct lists *lists = &part->lists[0];
	bool whole = part->first == 0 && part->end == part->segment.docs;

	if (part->dead != NULL ||
	        (part->groups > 0 && (part->groups > 1 || lists->terms != 1 || !whole)))
		return false;
	*count += part->groups > 0 ? lists->count : part->end - part->first;
	return true;
}

int index_count(struct index_hits *hits, uint64_t *count)
{
	uint64_t bits[PIECE_WORDS];

	*count = hits->tail->len;
	for (guint p = 0; p < hits->parts->len; p++) {
		struct part *part = g_ptr_array_index(hits->parts, p);
		if (count_known(part, count))
			continue;
		for (uint32_t c = part->first / PIECE_CHUNK; c * PIECE_CHUNK < part->end; c++) {
			int result = match_chunk(part, c, bits);
			if (result < 0)
				return -1;
			for (unsigned i = 0; result == 1 && i < PIECE_WORDS; i++)
				*count += (uint64_t)__builtin_popcountll(bits[i]);
		}
	}
	return 0;
}

/* Finds the next row of a part, from what is left of its chunk downwards. */
static int advance(struct part *part)
{
	part->row = -1;
	for (; part->chunk >= 0; part->chunk--, part->word = UINT_MAX) {
		if (part->word == UINT_MAX) {
			int result = match_chunk(part, (uint32_t)part->chunk, part->bits);
			uint32_t base = (uint32_t)part->chunk * PIECE_CHUNK;
			if (result < 0)
				return -1;
			if (part->below < base + PIECE_CHUNK)
				clear_bits(part->bits, part->below - base, PIECE_CHUNK);
			part->word = result == 1 ? PIECE_WORDS : 0;
		}
		while (part->word > 0 && part->bits[part->word - 1] == 0)
			part->word--;
		if (part->word == 0)
			continue;
		uint64_t *word = &part->bits[part->word - 1];
		unsigned bit = 63 - (unsigned)__builtin_clzll(*word);
		*word &= ~(UINT64_C(1) << bit);
		part->row = segment_row(&part->in,
		        (uint32_t)part->chunk * PIECE_CHUNK + (part->word - 1) * 64 + bit);
		return part->row < 0 ? -1 : 0;
	}
	return 0;
}

int index_start(struct index_hits *hits, int64_t high)
{
	for (hits->tail_left = 0; hits->tail_left < hits->tail->len; hits->tail_left++)
		if (g_array_index(hits->tail, gint64, hits->tail_left) > high)
			break;
	for (guint i = 0; i < hits->parts->len; i++) {
		struct part *part = g_ptr_array_index(hits->parts, i);
		if (segment_rank(&part->in, high + 1, &part->below) < 0)
			return -1;
		part->row = -1;
		if (part->below <= part->first)
			continue;
		part->chunk = (part->below - 1) / PIECE_CHUNK;
		part->word = UINT_MAX;
		if (advance(part) < 0)
			return -1;
	}
	return 0;
}

int index_next(struct index_hits *hits, int64_t *row)
{
	struct part *best = NULL;

	*row = -1;
	for (guint i = 0; i < hits->parts->len; i++) {
		struct part *part = g_ptr_array_index(hits->parts, i);
		if (part->row > *row) {
			*row = part->row;
			best = part;
		}
	}
	if (hits->tail_left > 0 && g_array_index(hits->tail, gint64, hits->tail_left - 1) > *row) {
		*row = g_array_index(hits->tail, gint64, --hits->tail_left);
		return 1;
	}
	if (best == NULL)
		return 0;
	return advance(best) < 0 ? -1 : 1;
}
