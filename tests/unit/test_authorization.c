#include "query/authorization.h"

#include <glib.h>

#include "tests/support/unit.h"

/* The key in a header, or "-". */
static char *key_of(struct slice value)
{
	char room[AUTHORIZATION_MAX + 1];
	struct slice key;

	return authorization_key(value, room, &key) ? slice_dup(key) : g_strdup("-");
}

static void check_key(const char *header, const char *want)
{
	g_autofree char *got = key_of(slice_str(header));

	ck_assert_msg(strcmp(got, want) == 0, "%s: got %s, want %s", header, got, want);
}

static void check_basic(const char *user_and_password, size_t n, const char *want)
{
	g_autofree char *code = g_base64_encode((const guchar *)user_and_password, n);
	g_autofree char *header = g_strconcat("Basic ", code, NULL);

	check_key(header, want);
}

START_TEST(a_bare_word_is_the_key)
{
	check_key("pw_abc", "pw_abc");
	check_key(" \tpw_abc \t", "pw_abc");
	check_key("Basic", "Basic");
}
END_TEST

START_TEST(the_user_name_of_basic_is_the_key)
{
	check_basic("pw_abc:", 7, "pw_abc");
	check_basic("pw_abc:password", 15, "pw_abc");
	check_basic("a:b:c", 5, "a");
	check_key("bASIC   cHdfYWJjOg==  ", "pw_abc");
	check_key("Basic\tcHdfYWJjOg==", "pw_abc");
}
END_TEST

START_TEST(what_holds_no_key_is_none)
{
	check_key("", "-");
	check_key("   ", "-");
	check_key("Bearer pw_abc", "-");
	check_key("two words", "-");
	check_key("Basic ", "Basic");
	check_key("Basic !!!!", "-");
	check_key("Basic cHdfYWJjOg", "-");    /* without its padding */
	check_key("Basic cHdfYWJjOg==x", "-"); /* more behind it */
	check_key("Basic cHdf YWJjOg==", "-"); /* a blank in it */
	check_key("Basic Basic cHdfYWJjOg==", "-");
	check_basic("no colon", 8, "-");
	check_basic(":password", 9, "-");
	check_basic("", 0, "Basic");
}
END_TEST

START_TEST(bytes_of_any_kind_and_length_do_no_harm)
{
	g_autofree char *longest = g_strnfill(AUTHORIZATION_MAX, 'a');
	g_autofree char *longer = g_strnfill(AUTHORIZATION_MAX + 1, 'a');
	g_autofree char *huge = g_strnfill(100000, 'a');

	check_key(longest, longest);
	check_key(longer, "-");
	check_key(huge, "-");
	check_basic(huge, 100000, "-");
	check_basic(longest, AUTHORIZATION_MAX, "-");
	longest[AUTHORIZATION_MAX - 1] = ':';
	g_autofree char *user = g_strndup(longest, AUTHORIZATION_MAX - 1);
	check_basic(longest, AUTHORIZATION_MAX, user);
	check_basic("a\0b:", 4, "a"); /* slice_dup shows what is before the NUL; no key has one */
	check_key("\xff\xfe", "\xff\xfe");
}
END_TEST

UNIT_MAIN("authorization", a_bare_word_is_the_key, the_user_name_of_basic_is_the_key,
        what_holds_no_key_is_none, bytes_of_any_kind_and_length_do_no_harm)
