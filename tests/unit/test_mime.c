#include <glib.h>
#include <string.h>

#include "mime/headers.h"
#include "tests/support/unit.h"

struct row {
	const char *value, *want;
};

static void check_texts(const struct row *rows, size_t n)
{
	mime_init();
	for (size_t i = 0; i < n; i++) {
		g_autofree char *text = mime_decode_text(slice_str(rows[i].value));

		ck_assert_msg(strcmp(text, rows[i].want) == 0, "%s: %s instead of %s",
		        rows[i].value, text, rows[i].want);
	}
}

/* All addresses of a header, each with a '|' behind it. */
static void append(void *ctx, const char *addr_spec)
{
	g_string_append_printf(ctx, "%s|", addr_spec);
}

static void check_addresses(const struct row *rows, size_t n)
{
	mime_init();
	for (size_t i = 0; i < n; i++) {
		g_autoptr(GString) all = g_string_new("");
		g_autofree char *first = mime_first_address(slice_str(rows[i].value));
		g_autofree char *want = g_strndup(rows[i].want, strcspn(rows[i].want, "|"));

		mime_each_address(slice_str(rows[i].value), append, all);
		ck_assert_msg(strcmp(all->str, rows[i].want) == 0, "%s: %s instead of %s",
		        rows[i].value, all->str, rows[i].want);
		ck_assert_str_eq(first != NULL ? first : "", want);
	}
}

START_TEST(plain_and_encoded_text_is_decoded)
{
	static const struct row rows[] = {
	        {"", ""},
	        {"plain", "plain"},
	        {"  blanks \t", "blanks"},
	        {"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"},
	        {"=?UTF-8?b?R3LDvMOfZQ==?=", "Grüße"},
	        {"=?utf-8?Q?a_b=5F?=", "a b_"},
	        {"a =?utf-8?Q?b_c?= d", "a b c d"},
	        {"=?utf-8*en?Q?language?=", "language"},
	        {"=?iso-8859-15?Q?=A4?=", "€"},
	        {"=?windows-1252?Q?=80?=", "€"},
	        {"=?koi8-r?B?8NLJ18XU?=", "Привет"},
	        {"=?iso-2022-jp?B?GyRCJUYlOSVIGyhC?=", "テスト"},
	        {"=?gb2312?B?xOO6ww==?=", "你好"},
	};

	check_texts(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(blanks_between_encoded_words_vanish_and_others_stay)
{
	static const struct row rows[] = {
	        {"=?iso-8859-1?q?a?= =?iso-8859-1?q?b?=", "ab"},
	        {"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"},
	        {"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
	        {"=?utf-8?q?a?=\n\tb", "a b"},
	        {"=?utf-8?B?4pyT?==?utf-8?B?4pyT?=", "✓✓"},
	        /* One character in two words: wrong, and common. */
	        {"=?utf-8?Q?=E2=9C?= =?utf-8?Q?=93?=", "✓"},
	};

	check_texts(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(folded_text_becomes_one_line)
{
	static const struct row rows[] = {
	        {"one\r\n two", "one two"},
	        {"one\n\ttwo", "one two"},
	        {"\n <id@x>", "<id@x>"},
	        {"one\ntwo", "one two"},
	        {"one\r\n", "one"},
	};

	check_texts(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(broken_encoded_words_stay_as_they_are)
{
	static const struct row rows[] = {
	        {"=?utf-8?B?w7w", "=?utf-8?B?w7w"},
	        {"=?UTF-8?Q?open?", "=?UTF-8?Q?open?"},
	        {"=?utf-8?X?abc?=", "=?utf-8?X?abc?="},
	        {"=?=", "=?="},
	        {"=?utf-8?b?R3L?=", "=?utf-8?b?R3L?="},
	        {"=?\?Q?\?=", "=?\?Q?\?="},
	};

	check_texts(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(raw_bytes_are_utf_8_or_windows_1252)
{
	static const struct row rows[] = {
	        {"caf\xc3\xa9", "café"},
	        {"caf\xe9 \x80\x93\xff", "café €“ÿ"},
	        {"undefined \x81", "undefined \xef\xbf\xbd"},
	        /* Cut in the middle of a character by somebody before us. */
	        {"Gr\xc3\xbc\xc3", "Grü"},
	        {"\xe2\x9c", ""},
	        /* Raw beside encoded. */
	        {"\xe4 =?utf-8?Q?=C3=B6?=", "ä ö"},
	};

	check_texts(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(control_characters_never_come_through)
{
	static const char raw[] = "a\0b\x1b[31mc\x07\x7f";
	static const char *const values[] = {"=?utf-8?Q?x=00=1B[31m=07=0D=0Ay?=",
	        "=?utf-8?B?GxsbGw==?=", "=?utf-8?Q?=C2=9B31m?=", "\x01\x02\x03",
	        "=?us-ascii?Q?=E9?="};
	g_autofree char *text = NULL;

	mime_init();
	text = mime_decode_text(slice_make(raw, sizeof(raw) - 1));
	ck_assert_str_eq(text, "a b[31mc");
	for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
		g_autofree char *clean = mime_decode_text(slice_str(values[i]));

		ck_assert(g_utf8_validate(clean, -1, NULL));
		for (const char *p = clean; *p != '\0'; p = g_utf8_next_char(p))
			ck_assert_msg(!g_unichar_iscntrl(g_utf8_get_char(p)), "%s", values[i]);
	}
}
END_TEST

START_TEST(addresses_are_found_in_all_forms_of_rfc_5322)
{
	static const struct row rows[] = {
	        {"a@b.example", "a@b.example|"},
	        {"Bob <a@b.example>", "a@b.example|"},
	        {"\"Bob, X\" <a@b.example>, c@d.example", "a@b.example|c@d.example|"},
	        {"=?utf-8?q?J=C3=B6rg?= <j@x.example>", "j@x.example|"},
	        {"a@b.example (comment (nested))", "a@b.example|"},
	        {"(c) Bob <a @ b . example>", "a@b.example|"},
	        {"<@r1,@r2:a@b.example>", "a@b.example|"},
	        {"\"q u\"@x.example", "\"q u\"@x.example|"},
	        {"Name <a@[192.0.2.1]>", "a@[192.0.2.1]|"},
	        {"x@\xc3\xbc.example", "x@ü.example|"},
	        {"root", "root|"},
	        {"a@b.example,\r\n\tc@d.example", "a@b.example|c@d.example|"},
	        {"MiXed@Case.Example", "MiXed@Case.Example|"},
	};

	check_addresses(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(groups_are_opened)
{
	static const struct row rows[] = {
	        {"undisclosed-recipients:;", ""},
	        {"friends: a@b.example, C <c@d.example>;, e@f.example",
	                "a@b.example|c@d.example|e@f.example|"},
	        {"empty:;, a@b.example", "a@b.example|"},
	        {"open: a@b.example", "a@b.example|"},
	};

	check_addresses(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(broken_addresses_harm_nobody)
{
	static const struct row rows[] = {
	        {"", ""},
	        {"<>", ""},
	        {",,,", ""},
	        {"\"open <a@b.example>", "a@b.example|"},
	        {"Bob <a@b.example", "a@b.example|"},
	        {"caf\xe9 <x@y.example>", "x@y.example|"},
	        {"<a@b.example> <c@d.example>", "a@b.example|c@d.example|"},
	};

	check_addresses(rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(the_display_name_is_decoded)
{
	static const struct row rows[] = {
	        {"a@b.example", ""},
	        {"Bob Builder <a@b.example>", "Bob Builder"},
	        {"\"Bob, X\" <a@b.example>", "Bob, X"},
	        {"=?utf-8?q?J=C3=B6rg?= <j@x.example>", "Jörg"},
	        {"caf\xe9 <x@y.example>", "café"},
	        {"=?utf-8?q?=07=1B?= <j@x.example>", ""},
	        {"", ""},
	};

	mime_init();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = mime_first_name(slice_str(rows[i].value));

		ck_assert_str_eq(name != NULL ? name : "", rows[i].want);
	}
}
END_TEST

/* So many of these bytes at most. */
static void add_some(GString *text, GRand *dice, const char *bytes, int most)
{
	for (int n = g_rand_int_range(dice, 0, most + 1); n > 0; n--)
		g_string_append_c(text, bytes[g_rand_int_range(dice, 0, (gint32)strlen(bytes))]);
}

static void note_each(void *ctx, const char *address)
{
	g_string_append_printf(ctx, "%s;", address);
}

/* All that is known of a value. */
static char *read_mailbox(const char *value)
{
	g_autofree char *address = mime_first_address(slice_str(value));
	g_autofree char *name = mime_first_name(slice_str(value));
	GString *text = g_string_new(NULL);

	g_string_printf(text, "%s|%s|", address, name);
	mime_each_address(slice_str(value), note_each, text);
	return g_string_free(text, FALSE);
}

/* A comma behind a mailbox changes nothing, but no plain one has it. */
START_TEST(plain_mailboxes_are_read_as_gmime_reads_them)
{
	g_autoptr(GRand) dice = g_rand_new_with_seed(1);

	mime_init();
	for (int i = 0; i < 20000; i++) {
		g_autoptr(GString) value = g_string_new(NULL);
		bool angle = g_rand_boolean(dice);

		add_some(value, dice, " ", 1);
		if (angle)
			add_some(value, dice, "ab1C  ", 12);
		g_string_append(value, angle ? "<x" : "x");
		add_some(value, dice, "ab1._-+=", 3);
		g_string_append(value, "y@1");
		add_some(value, dice, "ab1.-", 3);
		g_string_append(value, angle ? "z>" : "z");
		add_some(value, dice, " ", 1);
		g_autofree char *plain = read_mailbox(value->str);
		g_string_append_c(value, ',');
		g_autofree char *other = read_mailbox(value->str);
		ck_assert_msg(strcmp(plain, other) == 0, "%s %s, not %s", value->str, plain, other);
	}
	g_autofree char *nul = mime_first_address(SLICE("a\0@b.c"));
	ck_assert_str_ne(nul, "a");
}
END_TEST

START_TEST(huge_and_hostile_values_end_soon)
{
	static const char *const pieces[] = {"=?utf-8?Q?", "=?utf-8?B?w7w=?= ", "\"", "<", "(",
	        "a:", "<a@b>,", "\\", "=?a?b?", "\xff", "[", "@", "g:a@b;", ",", "\r\n "};

	mime_init();
	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		g_autoptr(GString) value = g_string_new("");
		g_autoptr(GString) all = g_string_new("");
		gint64 began = g_get_monotonic_time();

		while (value->len < 200000)
			g_string_append(value, pieces[i]);
		g_autofree char *text = mime_decode_text(slice_make(value->str, value->len));
		g_autofree char *first = mime_first_address(slice_make(value->str, value->len));
		mime_each_address(slice_make(value->str, value->len), append, all);
		ck_assert(g_utf8_validate(text, -1, NULL));
		ck_assert_msg(g_get_monotonic_time() - began < 5 * G_TIME_SPAN_SECOND, "%s: %ld ms",
		        pieces[i], (long)(g_get_monotonic_time() - began) / 1000);
	}
}
END_TEST

static void note_field(void *ctx, const char *name, struct slice value)
{
	g_string_append_printf(ctx, "%s=%.*s;", name, SLICE_ARG(value));
}

START_TEST(a_header_block_is_read_field_by_field)
{
	static const struct {
		const char *block, *want;
	} rows[] = {
	        {"A: 1\nB:2\n", "A=1;B=2;"},
	        {"A: 1\n\t2\n  3\nB : 4", "A=1 2 3;B=4;"},
	        {"", ""},
	        {"\nA: 1\n", ""},
	        {"A: 1\n\nB: 2\n", "A=1;"},
	        {"no field\n folded: too\nA: 1\n", "A=1;"},
	        {": 1\n: \nA:\n", "A=;"},
	        {"A", ""},
	        {"A:", "A=;"},
	        {" A: 1\nB: 2", "B=2;"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) got = g_string_new("");
		mime_each_field(rows[i].block, note_field, got);
		ck_assert_str_eq(got->str, rows[i].want);
	}
}
END_TEST

UNIT_MAIN("mime", plain_and_encoded_text_is_decoded,
        blanks_between_encoded_words_vanish_and_others_stay, folded_text_becomes_one_line,
        broken_encoded_words_stay_as_they_are, raw_bytes_are_utf_8_or_windows_1252,
        control_characters_never_come_through, addresses_are_found_in_all_forms_of_rfc_5322,
        groups_are_opened, broken_addresses_harm_nobody, the_display_name_is_decoded,
        plain_mailboxes_are_read_as_gmime_reads_them, huge_and_hostile_values_end_soon,
        a_header_block_is_read_field_by_field)
