#include "base/gunzip.h"

#include <errno.h>
#include <glib.h>

#include "tests/support/pack.h"
#include "tests/support/unit.h"

#define MOST (1024 * 1024)

static int collect(void *ctx, struct slice bytes, struct error *err)
{
	GString *out = ctx;

	(void)err;
	ck_assert_uint_le(bytes.n, 64 * 1024);
	g_string_append_len(out, bytes.p, (gssize)bytes.n);
	return 0;
}

static struct slice bytes_of(const GByteArray *packed)
{
	return slice_make((const char *)packed->data, packed->len);
}

static void assert_refused(struct slice packed, const char *words)
{
	g_autoptr(GString) out = g_string_new(NULL);
	struct error err = {0};

	ck_assert_int_eq(gunzip(packed, MOST, collect, out, &err), -1);
	ck_assert_msg(strstr(err.text, words) != NULL, "%s", err.text);
}

START_TEST(what_was_packed_comes_out_again)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GString) out = g_string_new(NULL);

	for (int i = 0; i < 30000; i++)
		g_string_append_printf(text, "%d ", i);
	g_autoptr(GByteArray) packed = pack(slice_make(text->str, text->len));
	ck_assert_int_eq(gunzip(bytes_of(packed), MOST, collect, out, NULL), 0);
	ck_assert_str_eq(out->str, text->str);
}
END_TEST

START_TEST(members_in_a_row_are_one_text_and_an_empty_one_is_none)
{
	g_autoptr(GByteArray) a = pack(SLICE("one\n")), b = pack(SLICE("")),
	                      c = pack(SLICE("two\n"));
	g_autoptr(GString) out = g_string_new(NULL);

	ck_assert_int_eq(gunzip(bytes_of(b), MOST, collect, out, NULL), 0);
	ck_assert_uint_eq(out->len, 0);
	g_byte_array_append(a, b->data, b->len);
	g_byte_array_append(a, c->data, c->len);
	ck_assert_int_eq(gunzip(bytes_of(a), MOST, collect, out, NULL), 0);
	ck_assert_str_eq(out->str, "one\ntwo\n");
}
END_TEST

START_TEST(a_text_cut_off_anywhere_is_refused)
{
	g_autoptr(GByteArray) packed = pack(SLICE("a line\nanother line\n"));

	for (guint n = 0; n < packed->len; n++)
		assert_refused(slice_make((const char *)packed->data, n), "cut off");
}
END_TEST

START_TEST(damage_and_what_comes_behind_are_refused)
{
	g_autoptr(GByteArray) packed = pack(SLICE("a line\nanother line\n"));

	assert_refused(SLICE("{\"msys\":{}}\n"), "damaged");
	assert_refused(SLICE("\x1f\x8b\x07\x00"), "damaged");
	packed->data[packed->len - 6] ^= 1; /* the check sum */
	assert_refused(bytes_of(packed), "damaged");
	packed->data[packed->len - 6] ^= 1;
	g_byte_array_append(packed, (const guint8 *)"rest", 4);
	assert_refused(bytes_of(packed), "damaged");
}
END_TEST

/* As gzip(1): what was read from a tape or a disk is filled up to a block. */
START_TEST(zeros_behind_the_last_member_are_padding)
{
	static const guint8 zeros[512] = {0};
	g_autoptr(GByteArray) packed = pack(SLICE("one\n")), more = pack(SLICE("two\n"));
	g_autoptr(GString) out = g_string_new(NULL);

	g_byte_array_append(packed, more->data, more->len);
	g_byte_array_append(packed, zeros, sizeof(zeros));
	ck_assert_int_eq(gunzip(bytes_of(packed), MOST, collect, out, NULL), 0);
	ck_assert_str_eq(out->str, "one\ntwo\n");
	g_byte_array_append(packed, more->data, more->len); /* no padding after all */
	assert_refused(bytes_of(packed), "damaged");
	assert_refused(slice_make((const char *)zeros, sizeof(zeros)), "damaged");
}
END_TEST

START_TEST(a_bomb_ends_at_the_bound)
{
	g_autofree char *zeros = g_malloc0(64 * MOST);
	g_autoptr(GByteArray) packed = pack(slice_make(zeros, 64 * (size_t)MOST));
	g_autoptr(GString) out = g_string_new(NULL);
	struct error err = {0};

	ck_assert_uint_lt(packed->len, MOST / 8);
	ck_assert_int_eq(gunzip(bytes_of(packed), MOST, collect, out, &err), -1);
	ck_assert_int_eq(err.number, EFBIG);
	ck_assert_uint_le(out->len, MOST);
	error_clear(&err);
	ck_assert_int_eq(gunzip(bytes_of(packed), 64 * (uint64_t)MOST, collect, out, &err), 0);
}
END_TEST

static int refuse(void *ctx, struct slice bytes, struct error *err)
{
	(void)ctx;
	(void)bytes;
	return error_set(err, "enough");
}

START_TEST(the_taker_may_end_it)
{
	g_autoptr(GByteArray) packed = pack(SLICE("a line\n"));
	struct error err = {0};

	ck_assert_int_eq(gunzip(bytes_of(packed), MOST, refuse, NULL, &err), -1);
	ck_assert_str_eq(err.text, "enough");
}
END_TEST

UNIT_MAIN("gunzip", what_was_packed_comes_out_again,
        members_in_a_row_are_one_text_and_an_empty_one_is_none, a_text_cut_off_anywhere_is_refused,
        damage_and_what_comes_behind_are_refused, zeros_behind_the_last_member_are_padding,
        a_bomb_ends_at_the_bound, the_taker_may_end_it)
