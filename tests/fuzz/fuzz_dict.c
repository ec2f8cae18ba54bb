/* A block of a dictionary of any bytes: it is read or refused, and a search of the whole block
 * finds what one of each string does.
 *
 * The input: a byte, as many bytes of a pattern, and the block.
 * Reaches: dict_block_open dict_block_next like_match like_block */
#include <stdlib.h>

#include "store/like.h"

#define FIRST 5
#define PATTERN 16 /* bytes, less than */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ids of the strings that match, summed up; damage ends it. False: the block says of its bytes what
 * is not true. */
static bool sum_each(
        const struct like *like, struct dict_block block, GString *scratch, uint64_t *sum, int *end)
{
	struct dict_string string;
	bool ascii = block.ascii;

	while ((*end = dict_block_next(&block, &string)) == 1) {
		for (size_t i = 0; i < string.text.n && ascii; i++)
			if ((string.text.p[i] & 0x80) != 0)
				return false;
		if (like_match(like, string.text, scratch))
			*sum += (uint64_t)string.id * (uint64_t)string.id;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size > 0 ? data[0] % PATTERN : 0;
	g_autoptr(GString) scratch = g_string_new(NULL);
	struct dict_block block;
	struct dict_string string;
	uint64_t want = 0, got = 0;
	int end, result;

	if (size < n + 1)
		return 0;
	g_autofree char *pattern = g_strndup((const char *)data + 1, n);
	struct like *like = like_new((const char *const[]){pattern, NULL});
	struct slice body = slice_make((const char *)data + 1 + n, size - 1 - n);
	if (dict_block_open(&block, FIRST, body)) {
		bool honest = sum_each(like, block, scratch, &want, &end);
		while ((result = like_block(like, &block, scratch, &string)) == 1)
			got += (uint64_t)string.id * (uint64_t)string.id;
		if (honest && end == 0 && (result != 0 || got != want))
			abort();
	}
	like_free(&like);
	return 0;
}
