/* Packs text as gzip, for tests. */
#ifndef PW_TESTS_PACK_H
#define PW_TESTS_PACK_H

#include <check.h>
#include <glib.h>
#include <zlib.h>

#include "base/slice.h"

static inline GByteArray *pack(struct slice text)
{
	z_stream z = {0};
	GByteArray *packed = g_byte_array_new();

	g_byte_array_set_size(packed, (guint)(text.n + text.n / 100 + 100));
	ck_assert_int_eq(
	        deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)text.p;
	z.avail_in = (unsigned)text.n;
	z.next_out = packed->data;
	z.avail_out = packed->len;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	g_byte_array_set_size(packed, (guint)z.total_out);
	deflateEnd(&z);
	return packed;
}

#endif
