#include "store/piece.h"

#define K_BITS 6
#define CHUNK_BITS 3
#define DOC_BITS 15
#define LIST_K_BITS 4
#define FORM_BITS 2
#define SIZE_BITS 16
#define DENSE \
	(PIECE_CHUNK / 8) /* documents from which on a bitmap is quicker, and not much longer */
#define FIRST_K 32        /* of the terms of a letter of which nothing is known yet */

/* Terms are hashes: those before tell how far the next will be. */
static unsigned term_k(const struct piece_out *out, uint64_t term)
{
	uint64_t value = term & bits_mask(TERM_VALUE_BITS);

	return out->before == 0 ? FIRST_K : rice_best(value, out->before);
}

void piece_start(struct piece_out *out, uint64_t term, uint32_t docs)
{
	unsigned letter = (unsigned)(term >> TERM_VALUE_BITS);

	if (letter != out->letter)
		out->before = 0;
	out->letter = letter;
	out->k = term_k(out, term);
	out->chunk_bits = bits_of((docs - 1) / PIECE_CHUNK);
	out->term = term;
	out->bits.bit = 0;
	bits_put(&out->bits, out->k, K_BITS);
	bits_put(&out->bits, out->chunk_bits, CHUNK_BITS);
	bits_put(&out->bits, 0, 1);
	bits_put(&out->bits, term >> 28, 28);
	bits_put(&out->bits, term & bits_mask(28), 28);
}

static void put_list(struct bits_out *out, const uint32_t *docs, uint32_t n, uint32_t base)
{
	unsigned k = MIN(rice_best(docs[n - 1] - base, n), (1U << LIST_K_BITS) - 1);
	uint32_t next = base;

	bits_put(out, k, LIST_K_BITS);
	for (uint32_t i = 0; i < n; next = docs[i++] + 1)
		rice_put(out, docs[i] - next, k);
}

static void align(struct bits_out *out)
{
	unsigned rest = out->bit % 8;

	if (rest > 0)
		bits_put(out, 0, 8 - rest);
}

static void put_bitmap(struct bits_out *out, const uint32_t *docs, uint32_t n, uint32_t base)
{
	uint64_t words[PIECE_WORDS] = {0};

	for (uint32_t i = 0; i < n; i++)
		words[(docs[i] - base) / 64] |= UINT64_C(1) << (docs[i] - base) % 64;
	for (unsigned i = 0; i < PIECE_WORDS; i++) {
		bits_put(out, words[i] & bits_mask(32), 32);
		bits_put(out, words[i] >> 32, 32);
	}
}

/* The size is known only when it is written: it goes back for that. */
static void put_long(struct bits_out *out, const uint32_t *docs, uint32_t n, uint32_t base)
{
	enum piece_form form = n == PIECE_CHUNK ? PIECE_ALL
	                       : n >= DENSE     ? PIECE_BITMAP
	                                        : PIECE_LIST;

	bits_put(out, form, FORM_BITS);
	align(out);
	size_t at = out->bit;
	bits_put(out, 0, SIZE_BITS);
	if (form == PIECE_LIST)
		put_list(out, docs, n, base);
	else if (form == PIECE_BITMAP)
		put_bitmap(out, docs, n, base);
	align(out);
	size_t size = (out->bit - at - SIZE_BITS) / 8;
	out->p[at / 8] = (uint8_t)size;
	out->p[at / 8 + 1] = (uint8_t)(size >> 8);
}

void piece_put(struct piece_out *out, uint64_t term, const uint32_t *docs, uint32_t n)
{
	uint32_t chunk = docs[0] / PIECE_CHUNK, base = chunk * PIECE_CHUNK;

	out->before += term != out->term || out->before == 0;
	rice_put(&out->bits, term - out->term, out->k);
	out->term = term;
	bits_put(&out->bits, chunk, out->chunk_bits);
	gamma_put(&out->bits, n);
	if (n == 1)
		bits_put(&out->bits, docs[0] - base, DOC_BITS);
	else if (n < PIECE_SMALL)
		put_list(&out->bits, docs, n, base);
	else
		put_long(&out->bits, docs, n, base);
}

const uint8_t *piece_end(struct piece_out *out, bool goes_on, size_t *size)
{
	align(&out->bits);
	*size = out->bits.bit / 8;
	if (goes_on)
		out->bits.p[1] |= 1U << (K_BITS + CHUNK_BITS - 8);
	return out->bits.p;
}

void piece_clear(struct piece_out *out)
{
	g_free(out->bits.p);
	*out = (struct piece_out){0};
}

void piece_open(struct piece_in *in, const uint8_t *p, size_t size)
{
	*in = (struct piece_in){.bits = {.p = p, .end = size * 8}};
	in->k = (unsigned)bits_get(&in->bits, K_BITS);
	in->chunk_bits = (unsigned)bits_get(&in->bits, CHUNK_BITS);
	in->goes_on = bits_get(&in->bits, 1) == 1;
	in->term = bits_get(&in->bits, 28) << 28;
	in->term |= bits_get(&in->bits, 28);
	if (in->k > BITS_MOST)
		in->bits.bad = true;
}

/* Documents may not go backwards or leave the chunk, whatever the bytes say. */
static int get_list(struct bits_in *in, uint32_t *docs, uint32_t n, uint32_t base)
{
	unsigned k = (unsigned)bits_get(in, LIST_K_BITS);
	uint64_t next = 0;

	for (uint32_t i = 0; i < n; i++) {
		next += rice_get(in, k);
		if (in->bad || next >= PIECE_CHUNK)
			return -1;
		docs[i] = base + (uint32_t)next++;
	}
	return 0;
}

static int get_long(struct piece_in *in, struct piece_entry *entry)
{
	struct bits_in *bits = &in->bits;

	entry->form = (enum piece_form)bits_get(bits, FORM_BITS);
	bits->bit = (bits->bit + 7) / 8 * 8;
	entry->size = bits_get(bits, SIZE_BITS);
	entry->bytes = bits->p + bits->bit / 8;
	bits->bit += entry->size * 8;
	if (bits->bad || bits->bit > bits->end || entry->form > PIECE_ALL ||
	        (entry->form == PIECE_BITMAP && entry->size != PIECE_WORDS * 8) ||
	        (entry->form == PIECE_ALL && entry->count != PIECE_CHUNK))
		return -1;
	return 0;
}

/* Less than a byte behind the last entry fills the last byte: an entry takes more. */
int piece_next(struct piece_in *in, struct piece_entry *entry)
{
	struct bits_in *bits = &in->bits;

	if (bits->bad)
		return -1;
	if (bits->bit + 8 > bits->end)
		return 0;
	in->term += rice_get(bits, in->k);
	entry->term = in->term;
	entry->chunk = (uint32_t)bits_get(bits, in->chunk_bits);
	uint64_t count = gamma_get(bits);
	if (bits->bad || count > PIECE_CHUNK || entry->chunk >= PIECE_DOCS / PIECE_CHUNK)
		return -1;
	entry->count = (uint32_t)count;
	uint32_t base = entry->chunk * PIECE_CHUNK;
	if (count >= PIECE_SMALL)
		return get_long(in, entry) < 0 ? -1 : 1;
	entry->form = PIECE_INLINE;
	if (count > 1)
		return get_list(bits, entry->docs, entry->count, base) < 0 ? -1 : 1;
	uint32_t doc = (uint32_t)bits_get(bits, DOC_BITS);
	entry->docs[0] = base + doc;
	return bits->bad || doc >= PIECE_CHUNK ? -1 : 1;
}

static void set_bits(uint64_t bits[PIECE_WORDS], const uint32_t *docs, uint32_t n, uint32_t base)
{
	for (uint32_t i = 0; i < n; i++)
		bits[(docs[i] - base) / 64] |= UINT64_C(1) << (docs[i] - base) % 64;
}

static uint64_t word_at(const struct piece_entry *entry, unsigned i)
{
	uint64_t word;

	memcpy(&word, entry->bytes + i * sizeof(word), sizeof(word));
	return GUINT64_FROM_LE(word);
}

int piece_or(const struct piece_entry *entry, uint64_t bits[PIECE_WORDS])
{
	struct bits_in in = {.p = entry->bytes, .end = entry->size * 8};
	uint64_t next = 0;

	switch (entry->form) {
	case PIECE_INLINE:
		set_bits(bits, entry->docs, entry->count, entry->chunk * PIECE_CHUNK);
		return 0;
	case PIECE_ALL:
		memset(bits, 0xff, PIECE_WORDS * sizeof(*bits));
		return 0;
	case PIECE_BITMAP:
		for (unsigned i = 0; i < PIECE_WORDS; i++)
			bits[i] |= word_at(entry, i);
		return 0;
	case PIECE_LIST:
		break;
	}
	unsigned k = (unsigned)bits_get(&in, LIST_K_BITS);
	for (uint32_t i = 0; i < entry->count; i++, next++) {
		next += rice_get(&in, k);
		if (in.bad || next >= PIECE_CHUNK)
			return -1;
		bits[next / 64] |= UINT64_C(1) << next % 64;
	}
	return 0;
}

int piece_docs(const struct piece_entry *entry, uint32_t *docs)
{
	struct bits_in in = {.p = entry->bytes, .end = entry->size * 8};
	uint32_t base = entry->chunk * PIECE_CHUNK, n = 0;

	switch (entry->form) {
	case PIECE_INLINE:
		memcpy(docs, entry->docs, entry->count * sizeof(*docs));
		return 0;
	case PIECE_ALL:
		for (uint32_t i = 0; i < PIECE_CHUNK; i++)
			docs[i] = base + i;
		return 0;
	case PIECE_LIST:
		return get_list(&in, docs, entry->count, base);
	case PIECE_BITMAP:
		break;
	}
	for (unsigned i = 0; i < PIECE_WORDS; i++)
		for (uint64_t word = word_at(entry, i); word != 0 && n < entry->count;
		        word &= word - 1)
			docs[n++] = base + i * 64 + (uint32_t)__builtin_ctzll(word);
	return n == entry->count ? 0 : -1;
}
