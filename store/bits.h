/* Numbers of few bits, one behind the other in bytes, the lowest bit first. */
#ifndef PW_STORE_BITS_H
#define PW_STORE_BITS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BITS_MOST 48    /* of one number */
#define BITS_PAD 16     /* bytes behind the end that a reader may touch */
#define RICE_ESCAPE 20U /* ones that say: the number stands there as it is */

struct bits_out {
	uint8_t *p;
	size_t size; /* that is allocated */
	size_t bit;  /* written */
};

struct bits_in {
	const uint8_t *p; /* followed by BITS_PAD bytes */
	size_t bit, end;
	bool bad; /* it was read beyond the end */
};

static inline uint64_t bits_mask(unsigned n)
{
	return (UINT64_C(1) << n) - 1;
}

/* Bits that a number needs: 0 for 0. */
static inline unsigned bits_of(uint64_t value)
{
	return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static inline void bits_put(struct bits_out *out, uint64_t value, unsigned n)
{
	uint64_t word = 0;

	if (out->bit / 8 + BITS_PAD > out->size) {
		out->size = MAX(out->size * 2, 4096);
		out->p = g_realloc(out->p, out->size);
	}
	uint8_t *p = out->p + out->bit / 8;
	unsigned used = out->bit % 8;
	if (used > 0)
		word = *p & bits_mask(used);
	word = GUINT64_TO_LE(word | value << used);
	memcpy(p, &word, sizeof(word));
	out->bit += n;
}

static inline uint64_t bits_peek(const struct bits_in *in)
{
	uint64_t word;

	memcpy(&word, in->p + in->bit / 8, sizeof(word));
	return GUINT64_FROM_LE(word) >> in->bit % 8;
}

static inline uint64_t bits_get(struct bits_in *in, unsigned n)
{
	if (in->bit + n > in->end) {
		in->bad = true;
		return 0;
	}
	uint64_t value = bits_peek(in) & bits_mask(n);
	in->bit += n;
	return value;
}

/* Rice code: value >> k in ones, a zero, the k lowest bits. Best where values are about 2^k. */
static inline void rice_put(struct bits_out *out, uint64_t value, unsigned k)
{
	uint64_t ones = value >> k;

	if (ones >= RICE_ESCAPE) {
		bits_put(out, bits_mask(RICE_ESCAPE), RICE_ESCAPE);
		bits_put(out, value, BITS_MOST);
		return;
	}
	bits_put(out, bits_mask((unsigned)ones), (unsigned)ones + 1);
	bits_put(out, value & bits_mask(k), k);
}

static inline uint64_t rice_get(struct bits_in *in, unsigned k)
{
	if (in->bit >= in->end) {
		in->bad = true;
		return 0;
	}
	unsigned ones = (unsigned)__builtin_ctzll(~bits_peek(in));
	if (ones >= RICE_ESCAPE) {
		in->bit += RICE_ESCAPE;
		return bits_get(in, BITS_MOST);
	}
	in->bit += ones + 1;
	return (uint64_t)ones << k | bits_get(in, k);
}

/* The k for values of this average. */
static inline unsigned rice_best(uint64_t sum, uint64_t n)
{
	uint64_t average = n > 0 ? sum / n : 0;

	return average > 1 ? bits_of(average) - 1 : 0;
}

/* Gamma code of a number from 1 on. */
static inline void gamma_put(struct bits_out *out, uint64_t value)
{
	unsigned n = bits_of(value) - 1;

	bits_put(out, bits_mask(n), n + 1);
	bits_put(out, value & bits_mask(n), n);
}

static inline uint64_t gamma_get(struct bits_in *in)
{
	unsigned n = (unsigned)__builtin_ctzll(~bits_peek(in));

	if (n > BITS_MOST) {
		in->bad = true;
		return 1;
	}
	in->bit += n + 1;
	return UINT64_C(1) << n | bits_get(in, n);
}

#endif
