#include "store/pack.h"

#include <string.h>

enum alphabet { RAW, HEX_LOWER, HEX_UPPER, WORD };

static const char *const digits[] = {
        [HEX_LOWER] = "0123456789abcdef",
        [HEX_UPPER] = "0123456789ABCDEF",
        [WORD] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-",
};

#define FRAME_MAX 1000 /* bytes of a reply that is split */
#define CODE 3         /* bytes at its beginning that are never a token */

void pack_byte(GByteArray *out, uint8_t byte)
{
	g_byte_array_append(out, &byte, 1);
}

void pack_number(GByteArray *out, uint64_t value)
{
	uint8_t bytes[10];
	unsigned n = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[n++] = (uint8_t)(value | 0x80);
	bytes[n++] = (uint8_t)value;
	g_byte_array_append(out, bytes, n);
}

void pack_bytes(GByteArray *out, struct slice bytes)
{
	pack_number(out, bytes.n);
	if (bytes.n > 0)
		g_byte_array_append(out, (const guint8 *)bytes.p, (guint)bytes.n);
}

/* The alphabets that have a character, a bit each. */
static unsigned alphabets_of(char c)
{
	if (c >= '0' && c <= '9')
		return 1U << HEX_LOWER | 1U << HEX_UPPER | 1U << WORD;
	if (c >= 'a' && c <= 'f')
		return 1U << HEX_LOWER | 1U << WORD;
	if (c >= 'A' && c <= 'F')
		return 1U << HEX_UPPER | 1U << WORD;
	return g_ascii_isalpha(c) || c == '.' || c == '-' ? 1U << WORD : 0;
}

static enum alphabet alphabet_of(struct slice text)
{
	unsigned all = ~0U;

	for (size_t i = 0; i < text.n && all != 0; i++)
		all &= alphabets_of(text.p[i]);
	if (text.n == 0 || all == 0)
		return RAW;
	return all & 1U << HEX_LOWER ? HEX_LOWER : all & 1U << HEX_UPPER ? HEX_UPPER : WORD;
}

static unsigned digit_of(enum alphabet alphabet, char c)
{
	if (c <= '9')
		return c >= '0' ? (unsigned)(c - '0') : c == '.' ? 62 : 63;
	if (c <= 'Z')
		return (unsigned)(c - 'A') + 10;
	return (unsigned)(c - 'a') + (alphabet == WORD ? 36 : 10);
}

void pack_string(GByteArray *out, struct slice text)
{
	enum alphabet alphabet = alphabet_of(text);
	unsigned width = alphabet == WORD ? 6 : 4, held = 0, bits = 0;

	pack_number(out, (uint64_t)text.n << 2 | alphabet);
	if (alphabet == RAW) {
		if (text.n > 0)
			g_byte_array_append(out, (const guint8 *)text.p, (guint)text.n);
		return;
	}
	guint at = out->len;
	g_byte_array_set_size(out, at + (guint)((text.n * width + 7) / 8));
	uint8_t *p = out->data + at;
	for (size_t i = 0; i < text.n; i++) {
		held |= digit_of(alphabet, text.p[i]) << bits;
		for (bits += width; bits >= 8; bits -= 8, held >>= 8)
			*p++ = (uint8_t)held;
	}
	if (bits > 0)
		*p = (uint8_t)held;
}

bool pack_splits(struct slice text)
{
	return text.n <= FRAME_MAX && slice_chr(text, PACK_TOKEN) < 0;
}

struct unpack unpack_start(struct slice bytes)
{
	return (struct unpack){(const uint8_t *)bytes.p, (const uint8_t *)bytes.p + bytes.n, false};
}

uint64_t unpack_number(struct unpack *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; in->p < in->end && shift < 64; shift += 7) {
		uint8_t byte = *in->p++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	in->bad = true;
	return 0;
}

struct slice unpack_bytes(struct unpack *in, size_t n)
{
	struct slice bytes = SLICE("");

	if (n > (size_t)(in->end - in->p)) {
		in->bad = true;
		return bytes;
	}
	bytes = slice_make((const char *)in->p, n);
	in->p += n;
	return bytes;
}

struct packed unpack_string(struct unpack *in)
{
	uint64_t head = unpack_number(in), n = head >> 2;
	struct packed packed = {.n = n, .alphabet = head & 3};

	/* A length that the bytes cannot hold. */
	if (n > (size_t)(in->end - in->p) * 2) {
		in->bad = true;
		return (struct packed){.bytes = SLICE("")};
	}
	if (packed.alphabet == WORD)
		n = (n * 6 + 7) / 8;
	else if (packed.alphabet != RAW)
		n = (n + 1) / 2;
	packed.bytes = unpack_bytes(in, n);
	if (in->bad)
		packed.n = 0;
	return packed;
}

void packed_text(const struct packed *packed, char *text)
{
	const uint8_t *p = (const uint8_t *)packed->bytes.p;
	unsigned width = packed->alphabet == WORD ? 6 : 4, held = 0, bits = 0;

	if (packed->n == 0)
		return;
	if (packed->alphabet == RAW) {
		memcpy(text, p, packed->n);
		return;
	}
	for (size_t i = 0; i < packed->n; i++) {
		if (bits < width) {
			held |= (unsigned)*p++ << bits;
			bits += 8;
		}
		text[i] = digits[packed->alphabet][held & ((1U << width) - 1)];
		held >>= width;
		bits -= width;
	}
}

/* The letters and digits from here on; whether there are digits. */
static size_t run_of(struct slice text, bool *has_digit)
{
	size_t n = 0;

	*has_digit = false;
	for (; n < text.n && g_ascii_isalnum(text.p[n]); n++)
		*has_digit |= g_ascii_isdigit(text.p[n]);
	return n;
}

/* Ids, numbers and times are letters and digits with a digit among them; a single digit is mostly a
 * part of a status code. */
unsigned pack_split(struct slice text, GString *frame, struct slice tokens[PACK_TOKENS])
{
	unsigned n = 0;
	bool has_digit;

	struct slice code = slice_head(text, MIN(text.n, CODE));
	g_string_append_len(frame, code.p, (gssize)code.n);
	text = slice_from(text, code.n);
	while (text.n > 0) {
		size_t run = run_of(text, &has_digit);
		if (has_digit && run > 1 && n < PACK_TOKENS) {
			tokens[n++] = slice_head(text, run);
			g_string_append_c(frame, PACK_TOKEN);
		} else {
			run = MAX(run, 1);
			g_string_append_len(frame, text.p, (gssize)run);
		}
		text = slice_from(text, run);
	}
	return n;
}
