/* libFuzzer target: the text of a follower's position. What is understood must be written and read
 * again unchanged.
 * Words: logtail/position.c
 * Reaches: parse_hex parse_print place_valid position_format */
#include "logtail/position.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct position position, back;
	struct error err = {0};

	if (position_parse(slice_make((const char *)data, size), &position, &err) != 0) {
		if (!err.set)
			abort();
		return 0;
	}
	g_autoptr(GString) text = g_string_new(NULL);
	position_format(&position, text);
	if (position_parse(slice_make(text->str, text->len), &back, NULL) != 0 ||
	        memcmp(&position, &back, sizeof(back)) != 0)
		abort();
	return 0;
}
