#include <errno.h>

#include "store/index.h"
#include "store/segment.h"
#include "store/tail.h"

#define SMALLS 64         /* rows of the tail that are made one, or */
#define SMALL_BYTES 65536 /* as many as have so much together, that no commit has long to copy */
#define MOST_TERMS 1000   /* of a document; what has more is damaged */
#define DIGIT 14          /* bits that the sort looks at */

/* One term of one document, for sorting. */
struct pair {
	uint64_t term;
	uint32_t doc;
};

void index_tail_init(struct index_tail *tail)
{
	*tail = (struct index_tail){
	        .docs = g_array_new(FALSE, FALSE, sizeof(struct tail_doc)),
	        .terms = g_array_new(FALSE, FALSE, sizeof(guint64)),
	        .small = g_byte_array_new(),
	};
}

void index_tail_free(struct index_tail *tail)
{
	g_clear_pointer(&tail->docs, g_array_unref);
	g_clear_pointer(&tail->terms, g_array_unref);
	g_clear_pointer(&tail->small, g_byte_array_unref);
}

static void forget(struct index_tail *tail)
{
	g_array_set_size(tail->docs, 0);
	g_array_set_size(tail->terms, 0);
	g_byte_array_set_size(tail->small, 0);
	tail->stored = tail->smalls = 0;
}

static void take_doc(struct index_tail *tail, int64_t row, struct slice terms)
{
	struct tail_doc doc = {row, tail->terms->len, (guint)(terms.n / TAIL_TERM)};

	for (guint i = 0; i < doc.n; i++) {
		guint64 term = tail_term(terms.p + (size_t)i * TAIL_TERM);
		g_array_append_val(tail->terms, term);
	}
	g_array_append_val(tail->docs, doc);
}

static int load(struct index_tail *tail, struct sql *sql, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_TAIL];
	int result;

	forget(tail);
	while ((result = sql_step(sql, stmt, err)) == 1) {
		struct slice body = sql_column(stmt, 0), terms;
		int64_t row;
		while (tail_cut(&body, &row, &terms))
			take_doc(tail, row, terms);
		if ((result = tail_ends(sql, body, err)) < 0)
			break;
	}
	sqlite3_reset(stmt);
	tail->stored = tail->docs->len;
	return result;
}

/* Nobody else adds to the tail; who finishes a day seals it, and nothing is left then. */
int index_tail_load(struct index_tail *tail, struct sql *sql, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_TAIL_LAST];
	int result = sql_step(sql, stmt, err);
	bool empty = result == 1 && sqlite3_column_type(stmt, 0) == SQLITE_NULL;

	sqlite3_reset(stmt);
	if (result < 0)
		return -1;
	if (empty == (tail->docs->len == 0))
		return 0;
	return load(tail, sql, err);
}

/* Stable, by counting: `pairs` is sorted; `other` is room of the same size. */
static void sort_pairs(struct pair *pairs, struct pair *other, size_t n)
{
	g_autofree uint32_t *count = g_new(uint32_t, UINT32_C(1) << DIGIT);

	for (unsigned shift = 0; shift < TERM_BITS; shift += DIGIT) {
		uint32_t sum = 0;
		memset(count, 0, sizeof(*count) << DIGIT);
		for (size_t i = 0; i < n; i++)
			count[pairs[i].term >> shift & bits_mask(DIGIT)]++;
		for (size_t i = 0; i < UINT32_C(1) << DIGIT; i++) {
			uint32_t here = count[i];
			count[i] = sum;
			sum += here;
		}
		for (size_t i = 0; i < n; i++)
			other[count[pairs[i].term >> shift & bits_mask(DIGIT)]++] = pairs[i];
		struct pair *turn = pairs;
		pairs = other;
		other = turn;
	}
}
G_STATIC_ASSERT(TERM_BITS / DIGIT % 2 == 0); /* so that the sorted ones end up in `pairs` */

static gint by_row(gconstpointer a, gconstpointer b)
{
	const struct tail_doc *x = a, *y = b;

	return (x->row > y->row) - (x->row < y->row);
}

static void put_terms(struct segment_out *out, const struct pair *pairs, size_t n)
{
	g_autofree uint32_t *docs = g_new(uint32_t, n + 1);

	for (size_t i = 0; i < n;) {
		uint64_t term = pairs[i].term;
		uint32_t k = 0;
		/* A document may have a term twice. */
		for (; i < n && pairs[i].term == term; i++)
			if (k == 0 || docs[k - 1] != pairs[i].doc)
				docs[k++] = pairs[i].doc;
		segment_term(out, term, docs, k);
	}
	segment_end(out);
}

static int write_segment(struct index_tail *tail, struct sql *sql, struct error *err)
{
	struct segment_out out;
	size_t n = tail->terms->len, k = 0;
	g_autofree struct pair *pairs = g_new(struct pair, 2 * n + 1);
	g_autofree int64_t *rows = g_new(int64_t, tail->docs->len);

	g_array_sort(tail->docs, by_row);
	for (guint i = 0; i < tail->docs->len; i++) {
		const struct tail_doc *doc = &g_array_index(tail->docs, struct tail_doc, i);
		rows[i] = doc->row;
		for (guint t = 0; t < doc->n; t++)
			pairs[k++] = (struct pair){
			        g_array_index(tail->terms, guint64, doc->first + t), i};
	}
	sort_pairs(pairs, pairs + n, n);
	int result = segment_begin(&out, sql, rows, tail->docs->len, err);
	if (result == 0) {
		segment_rows(&out, rows, tail->docs->len);
		put_terms(&out, pairs, n);
		result = segment_flush(&out, G_MAXUINT) < 0 || segment_live(&out) < 0 ? -1 : 0;
	}
	segment_clear(&out);
	return result;
}

/* Whether there are enough small segments to be merged; what is larger is looked at then. */
static int look_whether_due(struct index_tail *tail, struct sql *sql, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_SEGMENT_SMALL];

	sqlite3_bind_int64(stmt, 1, INDEX_SEAL * INDEX_FAN);
	int result = sql_step(sql, stmt, err);
	if (result == 1)
		tail->merge_due |= sqlite3_column_int64(stmt, 0) >= INDEX_FAN;
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

int index_seal(struct index_tail *tail, struct sql *sql, struct error *err)
{
	if (tail->docs->len == 0)
		return 0;
	if (write_segment(tail, sql, err) < 0 || sql_run(sql, sql->stmt[DAY_TAIL_EMPTY], err) < 0)
		return -1;
	forget(tail);
	return look_whether_due(tail, sql, err);
}

int index_add(struct index_tail *tail, struct sql *sql, int64_t row, const GArray *terms,
        struct error *err)
{
	struct tail_doc doc = {row, tail->terms->len, MIN(terms->len, MOST_TERMS)};

	/* In one transaction may come more than memory should hold. */
	if (tail->docs->len >= INDEX_SEAL * 2 && index_seal(tail, sql, err) < 0)
		return -1;
	doc.first = tail->terms->len;
	g_array_append_vals(tail->terms, terms->data, doc.n);
	g_array_append_val(tail->docs, doc);
	return 0;
}

static void put_number(GByteArray *out, uint64_t value, unsigned bytes)
{
	value = GUINT64_TO_LE(value);
	g_byte_array_append(out, (const guint8 *)&value, bytes);
}

static int put_tail(struct sql *sql, const GByteArray *body, size_t from, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_TAIL_ADD];

	sql_bind_slice(stmt, 1, slice_make((const char *)body->data + from, body->len - from));
	return sql_run(sql, stmt, err);
}

/* Many rows of a few documents each would cost every search. */
static int join_small(struct index_tail *tail, struct sql *sql, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_TAIL_CUT];

	sqlite3_bind_int64(stmt, 1, tail->small_id);
	if (tail->smalls > 1 &&
	        (sql_run(sql, stmt, err) < 0 || put_tail(sql, tail->small, 0, err) < 0))
		return -1;
	g_byte_array_set_size(tail->small, 0);
	tail->smalls = 0;
	return 0;
}

static int store_new(struct index_tail *tail, struct sql *sql, struct error *err)
{
	size_t from = tail->small->len;

	for (; tail->stored < tail->docs->len; tail->stored++) {
		const struct tail_doc *doc =
		        &g_array_index(tail->docs, struct tail_doc, tail->stored);
		put_number(tail->small, (uint64_t)doc->row, 6);
		put_number(tail->small, doc->n, 2);
		for (guint i = 0; i < doc->n; i++)
			put_number(tail->small, g_array_index(tail->terms, guint64, doc->first + i),
			        TAIL_TERM);
	}
	if (put_tail(sql, tail->small, from, err) < 0)
		return -1;
	if (tail->smalls++ == 0)
		tail->small_id = sqlite3_last_insert_rowid(sql->db);
	bool many = tail->smalls >= SMALLS || tail->small->len >= SMALL_BYTES;
	return many ? join_small(tail, sql, err) : 0;
}

int index_flush(struct index_tail *tail, struct sql *sql, struct error *err)
{
	if (tail->stored == tail->docs->len)
		return 0;
	if (tail->docs->len >= INDEX_SEAL)
		return index_seal(tail, sql, err);
	return store_new(tail, sql, err);
}

/* Marks the document of a row in a segment: 1, 0 it is not there, -1. */
static int kill_in(struct sql *sql, const struct segment *segment, int64_t row, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_DEAD_ADD];
	struct segment_in in;
	uint32_t doc;

	if (row < segment->low || row > segment->high)
		return 0;
	segment_open(&in, sql, segment, err);
	int result = segment_rank(&in, row, &doc);
	int64_t found = result == 0 && doc < segment->docs ? segment_row(&in, doc) : result;
	segment_close(&in);
	if (found < 0 || found != row)
		return found < 0 ? -1 : 0;
	sqlite3_bind_int64(stmt, 1, segment->id);
	sqlite3_bind_int64(stmt, 2, doc);
	if (sql_run(sql, stmt, err) < 0)
		return -1;
	if (sqlite3_changes(sql->db) == 0)
		return 0; /* it died before: the row lives in another segment */
	stmt = sql->stmt[DAY_SEGMENT_DEAD];
	sqlite3_bind_int64(stmt, 1, segment->id);
	return sql_run(sql, stmt, err) < 0 ? -1 : 1;
}

static int kill_row(struct sql *sql, int64_t row, struct error *err)
{
	g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
	int result = segment_list(sql, segments, err);

	for (guint i = segments->len; result == 0 && i-- > 0;)
		result = kill_in(sql, &g_array_index(segments, struct segment, i), row, err);
	return result;
}

int index_drop(struct index_tail *tail, struct sql *sql, int64_t row, struct error *err)
{
	int result = kill_row(sql, row, err);

	if (result != 0)
		return result < 0 ? -1 : 0;
	/* Then it is in the tail. */
	if (index_seal(tail, sql, err) < 0 || (result = kill_row(sql, row, err)) < 0)
		return -1;
	if (result == 0)
		return sql_damaged(err, "store file %s: row %lld is not in the index", sql->path,
		        (long long)row);
	return 0;
}
