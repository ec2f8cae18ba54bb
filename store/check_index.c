/* The index against itself: every posting is read in order, and every term is looked up as a search
 * does it. */
#include "store/check-private.h"
#include "store/index.h"
#include "store/segment.h"
#include "store/tail.h"

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void add_term(struct check_sum *sum, int64_t row, uint64_t term)
{
	sum->terms++;
	sum->sum += mix(mix((uint64_t)row) ^ term);
}

static gint by_term(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;

	return (x > y) - (x < y);
}

void check_sum_add(struct check_sum *sum, int64_t row, GArray *terms)
{
	g_array_sort(terms, by_term);
	sum->docs++;
	for (guint i = 0; i < terms->len; i++) {
		guint64 term = g_array_index(terms, guint64, i);
		if (i == 0 || g_array_index(terms, guint64, i - 1) != term)
			add_term(sum, row, term);
	}
}

static int check_tail(struct sql *sql, struct check_sum *sum, struct error *err)
{
	g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(guint64));
	sqlite3_stmt *stmt = sql->stmt[DAY_TAIL];
	int result;

	while ((result = sql_step(sql, stmt, err)) == 1) {
		struct slice body = sql_column(stmt, 0), terms;
		int64_t row;
		while (tail_cut(&body, &row, &terms)) {
			g_array_set_size(all, 0);
			for (size_t at = 0; at < terms.n; at += TAIL_TERM) {
				guint64 term = tail_term(terms.p + at);
				g_array_append_val(all, term);
			}
			check_sum_add(sum, row, all);
		}
		if ((result = tail_ends(sql, body, err)) < 0)
			break;
	}
	sqlite3_reset(stmt);
	return result;
}

/* A segment at work. */
struct reading {
	struct segment_in in;   /* in order */
	struct segment_in find; /* as a search */
	const struct segment *segment;
	int64_t *rows;
	bool *dead;
	uint32_t *docs; /* of an entry */
	uint64_t term;
	uint32_t chunk;
	struct check_sum *sum;
	struct error *err;
};

static int segment_damaged(const struct reading *r, const char *what)
{
	return sql_damaged(
	        r->err, "segment %lld of the index: %s", (long long)r->segment->id, what);
}

static void note_dead(void *ctx, uint32_t doc)
{
	bool *dead = ctx;

	dead[doc] = true;
}

static int read_rows(struct reading *r)
{
	const struct segment *segment = r->segment;
	uint32_t dead = 0, rank;

	for (uint32_t doc = 0; doc < segment->docs; doc++) {
		r->rows[doc] = segment_row(&r->in, doc);
		if (r->rows[doc] < 0)
			return -1;
		if (doc > 0 && r->rows[doc] <= r->rows[doc - 1])
			return segment_damaged(r, "its rows do not ascend");
	}
	if (r->rows[0] != segment->low || r->rows[segment->docs - 1] != segment->high)
		return segment_damaged(r, "its bounds are wrong");
	for (uint32_t doc = 0; doc < segment->docs; doc += SEGMENT_BLOCK)
		if (segment_rank(&r->find, r->rows[doc], &rank) < 0 || rank != doc)
			return segment_damaged(r, "its rows are not found");
	if (segment_each_dead(&r->in, note_dead, r->dead) < 0)
		return -1;
	for (uint32_t doc = 0; doc < segment->docs; doc++)
		dead += r->dead[doc];
	r->sum->docs += segment->docs - dead;
	return 0;
}

static int read_entry(struct reading *r)
{
	const struct piece_entry *entry = &r->in.entry;

	if (entry->term < r->term || (entry->term == r->term && entry->chunk <= r->chunk))
		return segment_damaged(r, "its terms do not ascend");
	if (entry->term != r->term && segment_seek(&r->find, entry->term) != 1)
		return segment_damaged(r, "a term is not found");
	r->term = entry->term;
	r->chunk = entry->chunk;
	if (entry->count > PIECE_CHUNK || piece_docs(entry, r->docs) < 0)
		return segment_damaged(r, "a posting is damaged");
	for (uint32_t i = 0; i < entry->count; i++) {
		if (r->docs[i] >= r->segment->docs)
			return segment_damaged(r, "a posting has no row");
		if (!r->dead[r->docs[i]])
			add_term(r->sum, r->rows[r->docs[i]], entry->term);
	}
	return 0;
}

static int read_segment(struct reading *r)
{
	int result;

	if (read_rows(r) < 0)
		return -1;
	while ((result = segment_next(&r->in)) == 1)
		if (read_entry(r) < 0)
			return -1;
	return result;
}

static int check_segment(
        struct sql *sql, const struct segment *segment, struct check_sum *sum, struct error *err)
{
	struct reading r = {.segment = segment, .sum = sum, .err = err};

	r.rows = g_new(int64_t, segment->docs);
	r.dead = g_new0(bool, segment->docs);
	r.docs = g_new(uint32_t, PIECE_CHUNK);
	segment_open(&r.in, sql, segment, err);
	segment_open(&r.find, sql, segment, err);
	int result = read_segment(&r);
	segment_close(&r.in);
	segment_close(&r.find);
	g_free(r.rows);
	g_free(r.dead);
	g_free(r.docs);
	return result;
}

int check_index(struct day_reader *reader, struct check_sum *sum, struct error *err)
{
	g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
	struct sql *sql = &reader->sql;

	*sum = (struct check_sum){0};
	if (check_tail(sql, sum, err) < 0 || segment_list(sql, segments, err) < 0)
		return -1;
	for (guint i = 0; i < segments->len; i++)
		if (check_segment(sql, &g_array_index(segments, struct segment, i), sum, err) < 0)
			return -1;
	return 0;
}
