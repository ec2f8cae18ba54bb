/* A text of any bytes that may name somebody who was erased: it is cleaned without harm, and an
 * address that stands behind it is found whatever it is.
 * Seeds: tests/golden/replies
 * Words: schema/fields.def
 * Reaches: look_forward look_back look_quoted look_at_word tombstones_take clean_json clean_field
 * Reaches: erase_each_line end_line ingest_read decode_run fold_domain */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/erase_line.h"
#include "store/tombstone.h"

#define BEHIND " a.b@example.com"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void add(
        struct tombstones *stones, const uint8_t *key, enum tombstone_kind kind, const char *name)
{
	struct tombstone stone;

	if (tombstone_make(key, kind, slice_str(name), 1000, &stone, NULL) < 0)
		abort();
	tombstones_add(stones, &stone);
}

/* The bytes as a line of a batch: what is cleaned names nobody any more. */
static void look_at_line(const struct tombstones *stones, struct slice line, GString *out)
{
	if (erase_line(stones, line, out) != LINE_CLEANED)
		return;
	g_autofree char *left = g_strndup(out->str, out->len);
	if (erase_line(stones, slice_make(left, out->len), out) == LINE_GONE)
		abort();
}

struct packed {
	const struct tombstones *stones;
	GString *out;
};

static int take_line(void *ctx, struct slice line, struct error *err)
{
	const struct packed *packed = ctx;

	(void)err;
	look_at_line(packed->stones, line, packed->out);
	return 0;
}

/* The bytes as texts of an event to somebody else: what is cleaned is clean. */
static void look_at_event(const struct tombstones *stones, struct slice text)
{
	struct event event = {.type = EVENT_BOUNCE};
	g_autoptr(GString) out = g_string_new(NULL), again = g_string_new(NULL);

	event.field[FIELD_RCPT_TO] = SLICE("someone@else.example");
	event.field[FIELD_RAW_REASON] = event.field[FIELD_RCPT_META] = text;
	event.field[FIELD_MSG_FROM] = text;
	if (tombstones_clean_event(stones, true, &event, out) &&
	        tombstones_clean_event(stones, true, &event, again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const uint8_t key[TOMBSTONE_KEY_BYTES] = "0123456789abcdef";
	struct tombstones *stones = tombstones_new(key);
	struct slice name = slice_make((const char *)bytes, n);
	const struct slice end = SLICE(TOMBSTONE_MARK); /* a coded line break joins it */
	struct tombstone stone;
	GString *text = g_string_new_len((const char *)bytes, (gssize)n);
	GString *out = g_string_new(NULL);

	add(stones, key, TOMBSTONE_RECIPIENT, "a.b@example.com");
	add(stones, key, TOMBSTONE_DOMAIN, "d.example");
	add(stones, key, TOMBSTONE_MESSAGE, "0000ab12cd34ef560001");
	/* The bytes as a name, too. */
	for (int kind = TOMBSTONE_RECIPIENT; kind < TOMBSTONE_KINDS; kind++)
		if (tombstone_make(key, (enum tombstone_kind)kind, name, 1000, &stone, NULL) == 0)
			tombstones_add(stones, &stone);
	g_string_append(text, BEHIND);
	for (int close = 0; close < 2; close++) {
		g_string_truncate(out, 0);
		if (!tombstones_clean(
		            stones, 0, close != 0, slice_make(text->str, text->len), out) ||
		        out->len < end.n || memcmp(out->str + out->len - end.n, end.p, end.n) != 0)
			abort();
	}
	look_at_line(stones, name, out);
	look_at_event(stones, name);
	erase_each_line(name, take_line, &(struct packed){stones, out}, NULL);
	g_string_free(text, TRUE);
	g_string_free(out, TRUE);
	tombstones_free(&stones);
	return 0;
}
