#include "event/coding.h"

#include <string.h>

#define ROUNDS 3 /* "%252E" is a coding of a coding */

/* A text that is decoded in place. */
struct decoding {
	GString *text;
	GArray *from; /* size_t, as in struct coded_form */
};

/* ---- one byte ---- */

/* How many bytes at the start of a text stand for one other byte, or for none (*byte_r = -1);
 * 0 = it stands for itself. */
typedef size_t decode_one(struct slice text, int *byte_r);

static size_t decode_digits(struct slice text, size_t sign, int *byte_r)
{
	if (text.n < sign + 2 || !g_ascii_isxdigit(text.p[sign]) ||
	        !g_ascii_isxdigit(text.p[sign + 1]))
		return 0;
	*byte_r = g_ascii_xdigit_value(text.p[sign]) << 4 | g_ascii_xdigit_value(text.p[sign + 1]);
	return sign + 2;
}

static size_t decode_percent(struct slice text, int *byte_r)
{
	return text.p[0] == '%' ? decode_digits(text, 1, byte_r) : 0;
}

/* Quoted-printable: a byte, or the end of a line that goes on. */
static size_t decode_equals(struct slice text, int *byte_r)
{
	size_t n = 1;

	if (text.p[0] != '=')
		return 0;
	while (n < text.n && (text.p[n] == '\r' || text.p[n] == '\n'))
		n++;
	if (n == 1)
		return decode_digits(text, 1, byte_r);
	*byte_r = -1;
	return n;
}

/* "\u002e", "\x2e", "\." */
static size_t decode_backslash(struct slice text, int *byte_r)
{
	size_t n = 0;

	if (text.p[0] != '\\' || text.n < 2)
		return 0;
	if (slice_starts(text, SLICE("\\u00")))
		n = decode_digits(text, 4, byte_r);
	else if (text.p[1] == 'x')
		n = decode_digits(text, 2, byte_r);
	if (n > 0)
		return n;
	*byte_r = (guint8)text.p[1];
	return 2;
}

/* Those of HTML for bytes that addresses have. */
static size_t decode_entity(struct slice text, int *byte_r)
{
	static const struct {
		const char *name;
		char byte;
	} names[] = {
	        {"&amp;", '&'},
	        {"&apos;", '\''},
	        {"&commat;", '@'},
	        {"&lowbar;", '_'},
	        {"&period;", '.'},
	        {"&plus;", '+'},
	        {"&quot;", '"'},
	};
	size_t at = 2, digits;
	int value = 0;

	if (text.p[0] != '&')
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (slice_starts(text, slice_str(names[i].name))) {
			*byte_r = names[i].byte;
			return strlen(names[i].name);
		}
	if (text.n < 3 || text.p[1] != '#')
		return 0;
	bool hex = text.p[2] == 'x';
	for (at += hex, digits = at;
	        at < text.n && value < 256 &&
	        (hex ? g_ascii_isxdigit(text.p[at]) : g_ascii_isdigit(text.p[at]));
	        at++)
		value = value * (hex ? 16 : 10) + g_ascii_xdigit_value(text.p[at]);
	if (at == digits || value > 255)
		return 0;
	*byte_r = value;
	return at < text.n && text.p[at] == ';' ? at + 1 : at;
}

/* The line break of a reply, with the code that begins its next line: "\r\n550-". */
static size_t decode_break(struct slice text, int *byte_r)
{
	size_t n = 0;

	while (n < text.n && (text.p[n] == '\r' || text.p[n] == '\n'))
		n++;
	if (n == 0)
		return 0;
	if (text.n >= n + 4 && g_ascii_isdigit(text.p[n]) && g_ascii_isdigit(text.p[n + 1]) &&
	        g_ascii_isdigit(text.p[n + 2]) && (text.p[n + 3] == ' ' || text.p[n + 3] == '-'))
		n += 4;
	while (n < text.n && (text.p[n] == ' ' || text.p[n] == '\t'))
		n++;
	*byte_r = -1;
	return n;
}

/* Any of them: a text may be coded in part, and the parts in different ways. */
static size_t decode_mixed(struct slice text, int *byte_r)
{
	static decode_one *const decoders[] = {
	        decode_percent, decode_equals, decode_backslash, decode_entity, decode_break};

	for (size_t i = 0; i < G_N_ELEMENTS(decoders); i++) {
		size_t n = decoders[i](text, byte_r);
		if (n > 0)
			return n;
	}
	return 0;
}

/* ---- signs ---- */

static void start(struct decoding *d, struct slice text)
{
	g_string_truncate(d->text, 0);
	g_string_append_len(d->text, text.p, (gssize)text.n);
	g_string_ascii_down(d->text);
	g_array_set_size(d->from, (guint)text.n + 1);
	for (size_t i = 0; i <= text.n; i++)
		g_array_index(d->from, size_t, i) = i;
}

/* Once; false where there is nothing to decode. */
static bool decode(struct decoding *d, decode_one *decoder)
{
	size_t *from = &g_array_index(d->from, size_t, 0);
	size_t out = 0, n;

	for (size_t i = 0; i < d->text->len; i += n) {
		int byte = (guint8)d->text->str[i];
		n = decoder(slice_make(d->text->str + i, d->text->len - i), &byte);
		n = MAX(n, 1);
		if (byte < 0)
			continue;
		from[out] = from[i];
		d->text->str[out++] = ascii_lower((char)byte);
	}
	from[out] = from[d->text->len];
	bool changed = out < d->text->len;
	g_string_truncate(d->text, out);
	return changed;
}

static bool each_round(
        struct decoding *d, struct slice text, decode_one *decoder, coding_taker *taker, void *ctx)
{
	start(d, text);
	for (int i = 0; i < ROUNDS && decode(d, decoder); i++) {
		const struct coded_form form = {.text = slice_make(d->text->str, d->text->len),
		        .from = &g_array_index(d->from, size_t, 0),
		        .end = text.n};
		if (taker(ctx, &form))
			return true;
	}
	return false;
}

static bool each_sign(struct decoding *d, struct slice text, coding_taker *taker, void *ctx)
{
	static const struct {
		char sign;
		decode_one *decoder;
	} decoders[] = {{'%', decode_percent}, {'=', decode_equals}, {'\\', decode_backslash},
	        {'&', decode_entity}, {'\n', decode_break}};
	unsigned signs = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(decoders); i++) {
		if (slice_chr(text, decoders[i].sign) < 0)
			continue;
		signs++;
		if (each_round(d, text, decoders[i].decoder, taker, ctx))
			return true;
	}
	return signs > 1 && each_round(d, text, decode_mixed, taker, ctx);
}

/* ---- runs of digits ---- */

static int hex_digit(char c)
{
	return g_ascii_xdigit_value(c);
}

/* That of URLs has '-' and '_'. */
static int base64_digit(char c)
{
	if (g_ascii_isupper(c))
		return c - 'A';
	if (g_ascii_islower(c))
		return c - 'a' + 26;
	if (g_ascii_isdigit(c))
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Whatever bytes that gives. */
static void decode_run(GString *out, struct slice run, int (*digit)(char c), unsigned bits)
{
	guint32 held = 0;
	unsigned n = 0;

	g_string_truncate(out, 0);
	for (size_t i = 0; i < run.n; i++) {
		held = held << bits | (guint32)digit(run.p[i]);
		n += bits;
		if (n < 8)
			continue;
		n -= 8;
		g_string_append_c(out, ascii_lower((char)(held >> n & 0xff)));
	}
}

static const struct coding {
	int (*digit)(char c);
	unsigned bits, places; /* of a digit; where a byte can begin */
} codings[] = {{hex_digit, 4, 2}, {base64_digit, 6, 4}};

/* From each place where a byte can begin: what is looked for may stand in the middle of what was
 * coded, and behind letters that only look like digits. */
static bool each_place(GString *room, const struct coding *coding, struct slice run, size_t begin,
        size_t end, size_t least, coding_taker *taker, void *ctx)
{
	for (unsigned at = 0;
	        at < coding->places && (run.n - MIN(at, run.n)) * coding->bits >= least * 8; at++) {
		decode_run(room, slice_from(run, at), coding->digit, coding->bits);
		const struct coded_form form = {
		        .text = slice_make(room->str, room->len), .begin = begin, .end = end};
		if (taker(ctx, &form))
			return true;
	}
	return false;
}

static bool each_run(GString *room, const struct coding *coding, struct slice text, size_t least,
        coding_taker *taker, void *ctx)
{
	for (size_t begin = 0, end; begin < text.n; begin = end + 1) {
		for (end = begin; end < text.n && coding->digit(text.p[end]) >= 0;)
			end++;
		const struct slice run = slice_make(text.p + begin, end - begin);
		/* Its padding goes with it. */
		size_t padded = end;
		while (coding->bits == 6 && padded < text.n && padded < end + 2 &&
		        text.p[padded] == '=')
			padded++;
		if (each_place(room, coding, run, begin, padded, least, taker, ctx))
			return true;
	}
	return false;
}

bool coding_each(struct slice text, size_t least, coding_taker *taker, void *ctx)
{
	struct decoding d = {
	        .text = g_string_new(NULL), .from = g_array_new(FALSE, FALSE, sizeof(size_t))};
	bool enough = each_sign(&d, text, taker, ctx);

	for (size_t i = 0; !enough && i < G_N_ELEMENTS(codings); i++)
		enough = each_run(d.text, &codings[i], text, least, taker, ctx);
	g_string_free(d.text, TRUE);
	g_array_unref(d.from);
	return enough;
}
