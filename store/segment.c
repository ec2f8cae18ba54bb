/* Pieces of a segment have the numbers from 0 on: first its rows in blocks, then its terms. A block
 * is its first row in 6 bytes, then the distance to the next as varint, and so on. A fence tells
 * with which term (of a block: row) a piece starts. A piece that only goes on with the last term of
 * the one before has no fence, and no other term. */
#include "store/segment.h"

#include <errno.h>

#include "store/day.h"

#define PIECE_NUMBER_BITS 24
#define ROW_BYTES 6

static int damaged(struct segment_in *in)
{
	return sql_damaged(in->err, "store file %s: segment %lld of the index is damaged",
	        in->sql->path, (long long)in->segment->id);
}

int segment_list(struct sql *sql, GArray *segments, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_SEGMENTS];
	int result;

	while ((result = sql_step(sql, stmt, err)) == 1) {
		struct segment segment = {
		        .id = sqlite3_column_int64(stmt, 0),
		        .low = sqlite3_column_int64(stmt, 1),
		        .high = sqlite3_column_int64(stmt, 2),
		        .pieces = sqlite3_column_int64(stmt, 3),
		        .docs = (uint32_t)sqlite3_column_int64(stmt, 4),
		        .dead = (uint32_t)sqlite3_column_int64(stmt, 5),
		};
		if (segment.docs == 0 || segment.docs > PIECE_DOCS)
			result = sql_damaged(err,
			        "store file %s: segment %lld of the index is damaged", sql->path,
			        (long long)segment.id);
		if (result < 0)
			break;
		g_array_append_val(segments, segment);
	}
	sqlite3_reset(stmt);
	return result;
}

void segment_open(
        struct segment_in *in, struct sql *sql, const struct segment *segment, struct error *err)
{
	in->sql = sql;
	in->segment = segment;
	in->err = err;
	in->bytes = g_byte_array_sized_new(8192);
	in->number = in->block = -1;
}

void segment_close(struct segment_in *in)
{
	g_clear_pointer(&in->bytes, g_byte_array_unref);
}

/* Reads the bytes of a piece, with room to read beyond. *size_r: without that. */
static int load(struct segment_in *in, int64_t number, size_t *size_r)
{
	static const uint8_t pad[BITS_PAD];
	sqlite3_stmt *stmt = in->sql->stmt[DAY_PIECE];

	sqlite3_bind_int64(stmt, 1, in->segment->id << PIECE_NUMBER_BITS | number);
	int result = sql_step(in->sql, stmt, in->err);
	if (result == 1) {
		struct slice body = sql_column(stmt, 0);
		g_byte_array_set_size(in->bytes, 0);
		g_byte_array_append(in->bytes, (const guint8 *)body.p, (guint)body.n);
		g_byte_array_append(in->bytes, pad, sizeof(pad));
		*size_r = body.n;
	}
	sqlite3_reset(stmt);
	if (result == 0)
		return damaged(in);
	return result < 0 ? -1 : 0;
}

/* The last piece that starts at `key` or before, but not before `least`: 1, 0 none, -1. */
static int fence(struct segment_in *in, uint64_t least, uint64_t key, int64_t *number)
{
	sqlite3_stmt *stmt = in->sql->stmt[DAY_FENCE];

	sqlite3_bind_int64(stmt, 1, in->segment->id);
	sqlite3_bind_int64(stmt, 2, (int64_t)least);
	sqlite3_bind_int64(stmt, 3, (int64_t)key);
	int result = sql_step(in->sql, stmt, in->err);
	if (result == 1)
		*number = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	return result;
}

static int open_piece(struct segment_in *in, int64_t number)
{
	size_t size;

	in->number = in->block = -1;
	if (load(in, number, &size) < 0)
		return -1;
	piece_open(&in->piece, in->bytes->data, size);
	in->number = number;
	return 0;
}

static int next_entry(struct segment_in *in)
{
	int result = piece_next(&in->piece, &in->entry);

	return result < 0 ? damaged(in) : result;
}

/* Goes on in the piece until the term or one behind it comes: 1 it came, 0 it is not in what is
 * left of the piece, -1. */
static int scan(struct segment_in *in, uint64_t term)
{
	int result = 1;

	while (in->entry.term < term && (result = next_entry(in)) == 1)
		;
	if (result == 0)
		in->number = -1;
	return result;
}

int segment_seek(struct segment_in *in, uint64_t term)
{
	uint64_t least = term & ~bits_mask(TERM_VALUE_BITS);
	int64_t number;
	int result = 0;

	/* Of many terms the next one is mostly near: that is cheaper than to look for its piece.
	 * What is behind the term shows that it is not there. */
	if (in->number >= 0 && in->entry.term <= term && in->entry.term >= least)
		result = scan(in, term);
	if (result == 0) {
		result = fence(in, least, term, &number);
		if (result <= 0 || open_piece(in, number) < 0)
			return result == 0 ? 0 : -1;
		in->entry.term = 0;
		result = scan(in, term);
	}
	return result == 1 ? in->entry.term == term : result;
}

int segment_same(struct segment_in *in)
{
	uint64_t term = in->entry.term;
	int result = next_entry(in);

	if (result == 0 && in->piece.goes_on) {
		if (open_piece(in, in->number + 1) < 0)
			return -1;
		result = next_entry(in);
	}
	if (result == 0)
		in->number = -1;
	return result == 1 && in->entry.term == term ? 1 : MIN(result, 0);
}

int segment_next(struct segment_in *in)
{
	int64_t blocks = (in->segment->docs + SEGMENT_BLOCK - 1) / SEGMENT_BLOCK;
	int result = 0;

	if (in->number < 0 && blocks >= in->segment->pieces)
		return 0;
	if (in->number < 0 && open_piece(in, blocks) < 0)
		return -1;
	while ((result = next_entry(in)) == 0) {
		if (in->number + 1 >= in->segment->pieces)
			return 0;
		if (open_piece(in, in->number + 1) < 0)
			return -1;
	}
	return result;
}

static int load_block(struct segment_in *in, int64_t block)
{
	int64_t row = 0;
	uint64_t delta;
	unsigned shift;
	size_t size;

	if (in->block == block)
		return 0;
	in->number = in->block = -1; /* both live in `bytes` */
	if (load(in, block, &size) < 0)
		return -1;
	const uint8_t *p = in->bytes->data, *end = p + size;
	if (size < ROW_BYTES)
		return damaged(in);
	for (unsigned i = 0; i < ROW_BYTES; i++)
		row |= (int64_t)*p++ << 8 * i;
	in->rows[0] = row;
	in->n_rows = 1;
	while (p < end && in->n_rows < SEGMENT_BLOCK) {
		delta = 0;
		shift = 0;
		do
			delta |= (uint64_t)(*p & 0x7f) << shift;
		while ((*p++ & 0x80) != 0 && p < end && (shift += 7) < 56);
		row += (int64_t)delta;
		in->rows[in->n_rows++] = row;
	}
	in->block = block;
	return 0;
}

int64_t segment_row(struct segment_in *in, uint32_t doc)
{
	if (load_block(in, doc / SEGMENT_BLOCK) < 0)
		return -1;
	if (doc % SEGMENT_BLOCK >= in->n_rows)
		return damaged(in);
	return in->rows[doc % SEGMENT_BLOCK];
}

int segment_rank(struct segment_in *in, int64_t row, uint32_t *rank)
{
	int64_t block = 0;

	*rank = 0;
	if (row <= in->segment->low)
		return 0;
	*rank = in->segment->docs;
	if (row > in->segment->high)
		return 0;
	/* Rows are terms of no letter. */
	int result = fence(in, 0, (uint64_t)row, &block);
	if (result == 0)
		return damaged(in);
	if (result < 0 || load_block(in, block) < 0)
		return -1;
	unsigned i = 0;
	while (i < in->n_rows && in->rows[i] < row)
		i++;
	*rank = (uint32_t)block * SEGMENT_BLOCK + i;
	return 0;
}

int segment_each_dead(struct segment_in *in, void (*dead)(void *ctx, uint32_t doc), void *ctx)
{
	sqlite3_stmt *stmt = in->sql->stmt[DAY_DEAD];
	int result;

	if (in->segment->dead == 0)
		return 0;
	sqlite3_bind_int64(stmt, 1, in->segment->id);
	while ((result = sql_step(in->sql, stmt, in->err)) == 1) {
		int64_t doc = sqlite3_column_int64(stmt, 0);
		if (doc >= 0 && doc < in->segment->docs)
			dead(ctx, (uint32_t)doc);
	}
	sqlite3_reset(stmt);
	return result;
}

/* A piece that is made and not written yet. */
struct waiting_piece {
	uint64_t fence;
	bool fenced;
	guint32 size;
	size_t at; /* of its bytes */
};

static void put_piece(struct segment_out *out, const uint8_t *p, size_t n)
{
	struct waiting_piece *piece =
	        &g_array_index(out->waiting, struct waiting_piece, out->waiting->len - 1);

	piece->at = out->bytes->len;
	piece->size = (guint32)n;
	g_byte_array_append(out->bytes, p, (guint)n);
	out->segment.pieces++;
}

/* Announces the piece that is put next. */
static void announce(struct segment_out *out, uint64_t fence, bool fenced)
{
	struct waiting_piece piece = {.fence = fence, .fenced = fenced};

	g_array_append_val(out->waiting, piece);
}

static int write_fence(struct segment_out *out, uint64_t key, int64_t number)
{
	sqlite3_stmt *stmt = out->sql->stmt[DAY_FENCE_ADD];

	sqlite3_bind_int64(stmt, 1, out->segment.id);
	sqlite3_bind_int64(stmt, 2, (int64_t)key);
	sqlite3_bind_int64(stmt, 3, number);
	return sql_run(out->sql, stmt, out->err);
}

static int write_piece(struct segment_out *out, const struct waiting_piece *piece, int64_t number)
{
	sqlite3_stmt *stmt = out->sql->stmt[DAY_PIECE_ADD];

	sqlite3_bind_int64(stmt, 1, out->segment.id << PIECE_NUMBER_BITS | number);
	sql_bind_slice(
	        stmt, 2, slice_make((const char *)out->bytes->data + piece->at, piece->size));
	return sql_run(out->sql, stmt, out->err);
}

guint segment_waiting(const struct segment_out *out)
{
	return out->waiting->len - out->flushed - out->open;
}

int segment_flush(struct segment_out *out, guint most)
{
	int64_t number = out->segment.pieces - segment_waiting(out);

	for (; most > 0 && segment_waiting(out) > 0; most--, number++) {
		const struct waiting_piece *piece =
		        &g_array_index(out->waiting, struct waiting_piece, out->flushed);
		if ((piece->fenced && write_fence(out, piece->fence, number) < 0) ||
		        write_piece(out, piece, number) < 0)
			return -1;
		out->flushed++;
	}
	/* The one that is open has no bytes yet. */
	if (segment_waiting(out) == 0) {
		g_array_remove_range(out->waiting, 0, out->flushed);
		g_byte_array_set_size(out->bytes, 0);
		out->flushed = 0;
	}
	return 0;
}

static void put_block(struct segment_out *out, const int64_t *rows, uint32_t n)
{
	uint8_t bytes[ROW_BYTES + SEGMENT_BLOCK * 9], *p = bytes;

	for (unsigned i = 0; i < ROW_BYTES; i++)
		*p++ = (uint8_t)(rows[0] >> 8 * i);
	for (uint32_t i = 1; i < n; i++) {
		uint64_t delta = (uint64_t)(rows[i] - rows[i - 1]);
		for (; delta >= 0x80; delta >>= 7)
			*p++ = (uint8_t)(delta | 0x80);
		*p++ = (uint8_t)delta;
	}
	announce(out, (uint64_t)rows[0], true);
	put_piece(out, bytes, (size_t)(p - bytes));
}

int segment_begin(struct segment_out *out, struct sql *sql, const int64_t *rows, uint32_t n,
        struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_SEGMENT_ADD];

	*out = (struct segment_out){.sql = sql, .err = err};
	out->segment = (struct segment){.docs = n, .low = rows[0], .high = rows[n - 1]};
	out->bytes = g_byte_array_new();
	out->waiting = g_array_new(FALSE, FALSE, sizeof(struct waiting_piece));
	sqlite3_bind_int64(stmt, 1, out->segment.low);
	sqlite3_bind_int64(stmt, 2, out->segment.high);
	sqlite3_bind_int64(stmt, 3, n);
	if (sql_run(sql, stmt, err) < 0)
		return -1;
	out->segment.id = sqlite3_last_insert_rowid(sql->db);
	return 0;
}

void segment_rows(struct segment_out *out, const int64_t *rows, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += SEGMENT_BLOCK)
		put_block(out, rows + i, MIN(n - i, SEGMENT_BLOCK));
}

static void end_piece(struct segment_out *out, bool goes_on)
{
	size_t size;

	if (!out->open)
		return;
	out->open = false;
	const uint8_t *p = piece_end(&out->piece, goes_on, &size);
	put_piece(out, p, size);
}

static void start_piece(struct segment_out *out, uint64_t term, bool fenced)
{
	piece_start(&out->piece, term, out->segment.docs);
	out->open = true;
	announce(out, term, fenced);
}

/* One chunk of a term. What does not fit is put into a piece of its own. */
static void put_entry(
        struct segment_out *out, uint64_t term, const uint32_t *docs, uint32_t n, bool first)
{
	struct piece_out before = out->piece;

	piece_put(&out->piece, term, docs, n);
	if (out->piece.bits.bit <= (size_t)PIECE_SIZE * 8)
		return;
	before.bits.p = out->piece.bits.p; /* it may have grown */
	before.bits.size = out->piece.bits.size;
	out->piece = before;
	out->went_on |= !first;
	end_piece(out, !first);
	start_piece(out, term, first);
	piece_put(&out->piece, term, docs, n);
}

void segment_term(struct segment_out *out, uint64_t term, const uint32_t *docs, uint32_t n)
{
	uint32_t from = 0;

	/* No piece holds terms of two letters: they are not equally far apart. */
	if (out->went_on || out->piece.letter != term >> TERM_VALUE_BITS)
		end_piece(out, false);
	out->went_on = false;
	if (!out->open)
		start_piece(out, term, true);
	while (from < n) {
		uint32_t chunk = docs[from] / PIECE_CHUNK, to = from;
		while (to < n && docs[to] / PIECE_CHUNK == chunk)
			to++;
		put_entry(out, term, docs + from, to - from, from == 0);
		from = to;
	}
}

void segment_end(struct segment_out *out)
{
	end_piece(out, false);
}

int segment_live(struct segment_out *out)
{
	sqlite3_stmt *stmt = out->sql->stmt[DAY_SEGMENT_LIVE];

	sqlite3_bind_int64(stmt, 1, out->segment.id);
	sqlite3_bind_int64(stmt, 2, out->segment.pieces);
	return sql_run(out->sql, stmt, out->err);
}

void segment_clear(struct segment_out *out)
{
	piece_clear(&out->piece);
	g_clear_pointer(&out->bytes, g_byte_array_unref);
	g_clear_pointer(&out->waiting, g_array_unref);
}

static int run_on(
        struct sql *sql, enum day_statement statement, int64_t a, int64_t b, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[statement];

	sqlite3_bind_int64(stmt, 1, a);
	sqlite3_bind_int64(stmt, 2, b);
	return sql_run(sql, stmt, err);
}

int segment_retire(struct sql *sql, int64_t id, struct error *err)
{
	return run_on(sql, DAY_SEGMENT_RETIRE, id, 0, err);
}

int segment_remove(struct sql *sql, int64_t id, int64_t most, struct error *err)
{
	int64_t low = id << PIECE_NUMBER_BITS, high = (id + 1) << PIECE_NUMBER_BITS;
	sqlite3_stmt *stmt = sql->stmt[DAY_PIECE_FIRST];

	sqlite3_bind_int64(stmt, 1, low);
	sqlite3_bind_int64(stmt, 2, high);
	int result = sql_step(sql, stmt, err);
	if (result == 1)
		low = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	if (result < 0)
		return -1;
	if (result == 1)
		return run_on(sql, DAY_PIECE_DROP, low, low + most, err) < 0 ? -1 : 1;
	return run_on(sql, DAY_FENCE_DROP, id, 0, err) < 0 ||
	                       run_on(sql, DAY_DEAD_DROP, id, 0, err) < 0 ||
	                       run_on(sql, DAY_SEGMENT_DROP, id, 0, err) < 0
	               ? -1
	               : 0;
}

int64_t segment_leftover(struct sql *sql, struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_SEGMENT_LEFT];
	int result = sql_step(sql, stmt, err);
	int64_t id = result == 1 ? sqlite3_column_int64(stmt, 0) : 0;

	sqlite3_reset(stmt);
	return result < 0 ? -1 : id;
}
