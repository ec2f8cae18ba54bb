#include "logtail/position.h"

#include <stddef.h>

#define VERSION "v=1"

struct print print_make(struct slice bytes)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	guint8 digest[32];
	gsize n = sizeof(digest);
	struct print print = {.n = (gint64)bytes.n};

	g_checksum_update(sum, (const guchar *)bytes.p, (gssize)bytes.n);
	g_checksum_get_digest(sum, digest, &n);
	for (size_t i = 0; i < 8; i++)
		print.hash = print.hash << 8 | digest[i];
	return print;
}

enum key_kind { KEY_HEX, KEY_NUMBER, KEY_PRINT };

static const struct key {
	const char *name;
	enum key_kind kind;
	size_t at;
} keys[] = {
        {"dev", KEY_HEX, offsetof(struct position, at.dev)},
        {"ino", KEY_HEX, offsetof(struct position, at.ino)},
        {"born", KEY_NUMBER, offsetof(struct position, at.born)},
        {"offset", KEY_NUMBER, offsetof(struct position, at.offset)},
        {"head", KEY_PRINT, offsetof(struct position, at.head)},
        {"tail", KEY_PRINT, offsetof(struct position, at.tail)},
        {"mtime", KEY_NUMBER, offsetof(struct position, mtime)},
        {"stamp", KEY_NUMBER, offsetof(struct position, stamp)},
        {"copied", KEY_HEX, offsetof(struct position, copied)},
        {"again.dev", KEY_HEX, offsetof(struct position, again.dev)},
        {"again.ino", KEY_HEX, offsetof(struct position, again.ino)},
        {"again.offset", KEY_NUMBER, offsetof(struct position, again.offset)},
        {"again.head", KEY_PRINT, offsetof(struct position, again.head)},
        {"again.tail", KEY_PRINT, offsetof(struct position, again.tail)},
};

void position_format(const struct position *position, GString *out)
{
	g_string_append(out, VERSION);
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		const void *value = (const char *)position + keys[i].at;
		const struct print *print = value;

		g_string_append_printf(out, " %s=", keys[i].name);
		if (keys[i].kind == KEY_HEX)
			g_string_append_printf(
			        out, "%" G_GINT64_MODIFIER "x", *(const guint64 *)value);
		else if (keys[i].kind == KEY_NUMBER)
			g_string_append_printf(out, "%" G_GINT64_FORMAT, *(const gint64 *)value);
		else
			g_string_append_printf(out,
			        "%" G_GINT64_FORMAT ":%016" G_GINT64_MODIFIER "x", print->n,
			        print->hash);
	}
}

static gboolean parse_hex(struct slice text, guint64 *value_r)
{
	guint64 value = 0;

	if (text.n == 0 || text.n > 16)
		return FALSE;
	for (size_t i = 0; i < text.n; i++) {
		int digit = g_ascii_xdigit_value(text.p[i]);
		if (digit < 0)
			return FALSE;
		value = value << 4 | (guint64)digit;
	}
	*value_r = value;
	return TRUE;
}

static gboolean parse_print(struct slice text, struct print *print_r)
{
	int64_t n = 0;

	if (slice_chr(text, ':') < 0 || !slice_int(slice_cut(&text, ':'), &n))
		return FALSE;
	print_r->n = n;
	return n >= 0 && n <= PRINT_MAX && parse_hex(text, &print_r->hash);
}

static gboolean parse_value(const struct key *key, struct slice text, struct position *position)
{
	void *value = (char *)position + key->at;
	int64_t number = 0;

	if (key->kind == KEY_HEX)
		return parse_hex(text, value);
	if (key->kind == KEY_PRINT)
		return parse_print(text, value);
	if (!slice_int(text, &number))
		return FALSE;
	*(gint64 *)value = number;
	return TRUE;
}

static gboolean parse_pair(struct slice pair, struct position *position)
{
	struct slice name = slice_cut(&pair, '=');

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		if (slice_eq(name, slice_str(keys[i].name)))
			return parse_value(&keys[i], pair, position);
	return TRUE;
}

static gboolean place_valid(const struct place *place)
{
	return place->offset >= 0 && place->tail.n <= place->offset;
}

int position_parse(struct slice text, struct position *position_r, struct error *err)
{
	struct slice rest = text;
	struct position position = {0};
	gboolean good = slice_eq(slice_cut(&rest, ' '), SLICE(VERSION));

	while (good && rest.n > 0)
		good = parse_pair(slice_cut(&rest, ' '), &position);
	if (!good || !place_valid(&position.at) || !place_valid(&position.again))
		return error_set(err, "position of a log not understood: \"%.*s\"",
		        (int)MIN(text.n, 200), text.p != NULL ? text.p : "");
	*position_r = position;
	return 0;
}
