/* A text of any bytes that may name somebody who was erased: it is cleaned without harm, and an
 * address that stands behind it is found whatever it is.
 * Seeds: tests/golden/replies */
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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const uint8_t key[TOMBSTONE_KEY_BYTES] = "0123456789abcdef";
	struct tombstones *stones = tombstones_new(key);
	struct slice name = slice_make((const char *)bytes, n);
	const struct slice end = SLICE(" " TOMBSTONE_MARK);
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
	look_at_line(stones, slice_make((const char *)bytes, n), out);
	g_string_free(text, TRUE);
	g_string_free(out, TRUE);
	tombstones_free(&stones);
	return 0;
}
