#include "milter/packet.h"

#include "tests/support/unit.h"

#define TWO "\0\0\0\4Labc\0\0\0\1Q"

START_TEST(a_packet_is_cut_off)
{
	struct slice bytes = SLICE("\0\0\0\4Labc\0\0");
	struct packet packet;

	ck_assert_int_eq(packet_cut(&bytes, &packet), 1);
	ck_assert_int_eq(packet.command, 'L');
	ck_assert(slice_eq(packet.data, SLICE("abc")));
	ck_assert_uint_eq(bytes.n, 2);
	ck_assert_int_eq(packet_cut(&bytes, &packet), 0);
}
END_TEST

START_TEST(a_packet_may_have_no_data)
{
	struct slice bytes = SLICE("\0\0\0\1Q");
	struct packet packet;

	ck_assert_int_eq(packet_cut(&bytes, &packet), 1);
	ck_assert_int_eq(packet.command, 'Q');
	ck_assert_uint_eq(packet.data.n, 0);
	ck_assert_uint_eq(bytes.n, 0);
	ck_assert_int_eq(packet_cut(&bytes, &packet), 0);
}
END_TEST

START_TEST(a_packet_without_a_command_or_longer_than_64_k_is_refused_before_it_is_there)
{
	struct slice none = SLICE("\0\0\0\0"), large = SLICE("\0\1\0\1"),
	             mad = SLICE("\xff\xff\xff\xff");
	struct packet packet;

	ck_assert_int_eq(packet_cut(&none, &packet), -1);
	ck_assert_int_eq(packet_cut(&large, &packet), -1);
	ck_assert_int_eq(packet_cut(&mad, &packet), -1);
}
END_TEST

START_TEST(the_longest_packet_is_taken)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *data = g_strnfill(PACKET_DATA_MAX, 'x');
	struct packet packet;

	packet_put(text, 'B', slice_str(data));
	struct slice bytes = slice_make(text->str, text->len);
	ck_assert_int_eq(packet_cut(&bytes, &packet), 1);
	ck_assert_uint_eq(packet.data.n, PACKET_DATA_MAX);
	bytes = slice_make(text->str, text->len - 1);
	ck_assert_int_eq(packet_cut(&bytes, &packet), 0);
}
END_TEST

/* The commands and data that come out when the bytes come in pieces of n. */
static void read_pieces(const GString *bytes, size_t n, GString *out)
{
	struct packet_stream stream = {0};
	struct packet packet;

	for (size_t i = 0; i < bytes->len; i += n) {
		g_autofree char *piece = g_memdup2(bytes->str + i, MIN(n, bytes->len - i));

		packet_stream_add(&stream, slice_make(piece, MIN(n, bytes->len - i)));
		while (packet_stream_next(&stream, &packet) > 0)
			g_string_append_printf(
			        out, "%c%.*s;", packet.command, SLICE_ARG(packet.data));
		packet_stream_keep(&stream);
	}
	ck_assert_ptr_null(stream.held);
	packet_stream_clear(&stream);
}

START_TEST(packets_come_out_however_their_bytes_are_parted)
{
	g_autoptr(GString) bytes = g_string_new_len(TWO TWO, 2 * (sizeof(TWO) - 1));

	for (size_t n = 1; n <= bytes->len; n++) {
		g_autoptr(GString) out = g_string_new(NULL);

		read_pieces(bytes, n, out);
		ck_assert_str_eq(out->str, "Labc;Q;Labc;Q;");
	}
}
END_TEST

START_TEST(a_stream_goes_on_where_it_was_left)
{
	struct packet_stream stream = {0};
	struct packet packet;

	packet_stream_add(&stream, SLICE(TWO "\0\0"));
	ck_assert_int_eq(packet_stream_next(&stream, &packet), 1);
	packet_stream_keep(&stream);
	packet_stream_add(&stream, SLICE_NONE);
	ck_assert_int_eq(packet_stream_next(&stream, &packet), 1);
	ck_assert_int_eq(packet.command, 'Q');
	ck_assert_int_eq(packet_stream_next(&stream, &packet), 0);
	packet_stream_keep(&stream);
	packet_stream_add(&stream, SLICE("\0\1A"));
	ck_assert_int_eq(packet_stream_next(&stream, &packet), 1);
	ck_assert_int_eq(packet.command, 'A');
	packet_stream_clear(&stream);
}
END_TEST

START_TEST(texts_end_with_nul_each)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new();

	ck_assert(packet_texts(SLICE("a\0\0b\0"), texts));
	ck_assert_uint_eq(texts->len, 4);
	ck_assert_str_eq(texts->pdata[0], "a");
	ck_assert_str_eq(texts->pdata[1], "");
	ck_assert_str_eq(texts->pdata[2], "b");
	ck_assert_ptr_null(texts->pdata[3]);
	ck_assert(!packet_texts(SLICE("a\0b"), texts));
	ck_assert(!packet_texts(SLICE(""), texts));
	ck_assert(packet_texts(SLICE("\0"), texts));
	ck_assert_str_eq(texts->pdata[0], "");
}
END_TEST

START_TEST(a_macro_is_found_by_its_name_with_braces_or_without)
{
	struct slice list = SLICE("i\0Q1\0{auth_type}\0\0{j}\0mx\0cut\0off");

	ck_assert_str_eq(packet_macro(list, "i"), "Q1");
	ck_assert_str_eq(packet_macro(list, "{i}"), "Q1");
	ck_assert_str_eq(packet_macro(list, "{auth_type}"), "");
	ck_assert_str_eq(packet_macro(list, "j"), "mx");
	/* A value is no name, and what has no end is none. */
	ck_assert_ptr_null(packet_macro(list, "Q1"));
	ck_assert_ptr_null(packet_macro(list, "cut"));
	ck_assert_ptr_null(packet_macro(SLICE(""), "i"));
	ck_assert_ptr_null(packet_macro(SLICE("i"), "i"));
	ck_assert_ptr_null(packet_macro(SLICE("i\0"), "i"));
}
END_TEST

UNIT_MAIN("packet", a_packet_is_cut_off, a_packet_may_have_no_data,
        a_packet_without_a_command_or_longer_than_64_k_is_refused_before_it_is_there,
        the_longest_packet_is_taken, packets_come_out_however_their_bytes_are_parted,
        a_stream_goes_on_where_it_was_left, texts_end_with_nul_each,
        a_macro_is_found_by_its_name_with_braces_or_without)
