#include "event/classify.h"

#include "tests/support/unit.h"

struct pair {
	const char *raw, *want;
};

static void check_pairs(const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		g_autoptr(GString) out = g_string_new(NULL);
		classifier_reason(classifier_default(), out, slice_str(pairs[i].raw));
		ck_assert_str_eq(out->str, pairs[i].want);
	}
}
#define CHECK_PAIRS(pairs) check_pairs(pairs, G_N_ELEMENTS(pairs))

START_TEST(recorded_reasons_come_out_as_recorded)
{
	static const struct pair pairs[] = {
	        {"MAIL REFUSED - IP (17.99.99.99) is in black list",
	                "MAIL REFUSED - IP (a.b.c.d) is in black list"},
	        {"550 5.1.1 <bounce@example.com>: Recipient address rejected: User unknown",
	                "550 5.1.1 ...@... Recipient address rejected: ..."},
	        {"550 5.1.1 <bounce@example.com>: Recipient address rejected: User unknown in "
	         "virtual mailbox table",
	                "550 5.1.1 ...@... Recipient address rejected: ... in virtual mailbox "
	                "table"},
	        {"550-5.1.1 The email account that you tried to reach does not exist. Please "
	         "try\r\n550-5.1.1 double-checking the recipient's email address for typos "
	         "or\r\n550-5.1.1 unnecessary spaces. Learn more at\r\n550 5.1.1  "
	         "https://support.google.com/mail/?p=NoSuchUser h7si13242232pgc.400 - gsmtp",
	                "550-5.1.1 The email account that you tried to reach does not exist. "
	                "Please try\r\n550-5.1.1 double-checking the recipient's email address "
	                "for typos or\r\n550-5.1.1 unnecessary spaces. Learn more at\r\n550 "
	                "5.1.1  https://support.google.com/mail/?p=NoSuch... - gsmtp"},
	        {"550 5.1.1 https://support.google.com/mail/?p=NoSuchUser x187si3819157pgx.147 "
	         "- gsmtp",
	                "550 5.1.1 https://support.google.com/mail/?p=NoSuch... - gsmtp"},
	        {"SMTP;550 5.0.0 <jane@example.com>... User unknown", "SMTP;550 5.0.0 ...@... ..."},
	        {"550 - Invalid recipient <jane@example.com> (#5.1.1)",
	                "550 - Invalid recipient ...@... (#5.1.1)"},
	        {"454 4.4.4 [internal] no MX or A for domain",
	                "454 4.4.4 [internal] no MX or A for domain"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(user_is_cut_with_the_word_behind_it_only)
{
	static const struct pair pairs[] = {
	        {"552 5.2.2 user is over quota", "552 5.2.2 user is over quota"},
	        {"User", "User"},
	        {"550 No such User", "550 No such User"},
	        {"550 No such User ", "550 No such User "},
	        {"User \t\r\n x y", "... y"},
	        {"Users unknown", "Users unknown"},
	        {"User jane@example.com gone", "... gone"},
	        {"User User unknown", "... unknown"},
	        {"SuperUser 192.0.2.1", "Super..."},
	        {"192.0.2.1User x", "a.b.c.d..."},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(ipv4_addresses_lose_their_numbers)
{
	static const struct pair pairs[] = {
	        {"[192.0.2.1]", "[a.b.c.d]"},
	        {"192.0.2.1", "a.b.c.d"},
	        {"from 192.0.2.1, 198.51.100.7.", "from a.b.c.d, a.b.c.d."},
	        {"https://example.org/q?ip=192.0.2.1", "https://example.org/q?ip=a.b.c.d"},
	        {"4.3.2.1.in-addr.arpa", "a.b.c.d.in-addr.arpa"},
	        {"(192.0.2.1:25)", "(a.b.c.d:25)"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(numbers_that_are_no_ipv4_address_stay)
{
	static const struct pair pairs[] = {
	        {"550 5.7.1 x", "550 5.7.1 x"},
	        {"1.2.3", "1.2.3"},
	        {"1.2.3.", "1.2.3."},
	        {"1.2.3.4.5", "1.2.3.4.5"},
	        {"1.2.3.256", "1.2.3.256"},
	        {"1.2.3.99999999999999999999", "1.2.3.99999999999999999999"},
	        {"v1.2.3.4", "v1.2.3.4"},
	        {"....", "...."},
	        {"1..2.3", "1..2.3"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(ipv6_addresses_lose_their_numbers)
{
	static const struct pair pairs[] = {
	        {"[2001:db8::1]", "[a:b:c:d:e:f:g:h]"},
	        {"[IPv6:2001:db8::1]", "[IPv6:a:b:c:d:e:f:g:h]"},
	        {"from 2001:db8:1:2:3:4:5:6: blocked", "from a:b:c:d:e:f:g:h: blocked"},
	        {"::1 is", "a:b:c:d:e:f:g:h is"},
	        {"by 2001:db8::1.", "by a:b:c:d:e:f:g:h."},
	        {"::ffff:192.0.2.1", "a:b:c:d:e:f:g:h"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(times_and_other_colons_are_no_ipv6_address)
{
	static const struct pair pairs[] = {
	        {"at 12:34:56 on", "at 12:34:56 on"},
	        {"a: b", "a: b"},
	        {"code:: x", "code:: x"},
	        {"dead:beef:cafe", "dead:beef:cafe"},
	        {":::::", ":::::"},
	        {"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:9"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(names_of_servers_and_clients_are_cut_and_lists_stay)
{
	static const struct pair pairs[] = {
	        {"554 mx1.aol.example ESMTP not accepting connections",
	                "554 ... ESMTP not accepting connections"},
	        {"554-mx.y.example SMTP service", "554-... SMTP service"},
	        {"550 invalid helo mail-ed1-f51.google.com", "550 invalid helo ..."},
	        {"550 ehlo=foo.x.example bad", "550 ehlo=... bad"},
	        {"<mx.x.example>: Helo command rejected: Host not found",
	                "<...>: Helo command rejected: Host not found"},
	        {"554 5.7.1 blocked by bl.spamcop.net ESMTP",
	                "554 5.7.1 blocked by bl.spamcop.net ESMTP"},
	        {"554 helo rejected by zen.spamhaus.org", "554 helo rejected by zen.spamhaus.org"},
	        {"550 Helo command rejected", "550 Helo command rejected"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(a_short_queue_id_by_itself_is_cut)
{
	static const struct pair pairs[] = {
	        {"550 rejected (3F8A02C1B9A)", "550 rejected (...)"},
	        {"451 4.3.0 4F2C31A9D0: queue file write error",
	                "451 4.3.0 ...: queue file write error"},
	        {"550 code 8004AA01", "550 code 8004AA01"},
	        {"550 BAD FACADE DEADBEEFCAFE", "550 BAD FACADE DEADBEEFCAFE"},
	        {"550 see x/3F8A02C1B9A", "550 see x/3F8A02C1B9A"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(googles_session_ids_are_cut)
{
	static const struct pair pairs[] = {
	        {"421-4.7.0 https://support.google.com/mail/answer/1 a1-20020a170906si7.4 - gsmtp",
	                "421-4.7.0 https://support.google.com/mail/answer/1 ... - gsmtp"},
	        {"see example - gsmtp", "see example - gsmtp"},
	        {"see a.b/c - gsmtp", "see a.b/c - gsmtp"},
	};

	CHECK_PAIRS(pairs);
}
END_TEST

START_TEST(white_space_and_foreign_bytes_stay_as_they_are)
{
	static const char raw[] = " \t550  caf\xe9 \xff\x00 x\r\n";
	g_autoptr(GString) out = g_string_new("kept:");

	classifier_reason(classifier_default(), out, slice_make(raw, sizeof(raw) - 1));
	ck_assert_uint_eq(out->len, 5 + sizeof(raw) - 1);
	ck_assert_mem_eq(out->str, "kept:", 5);
	ck_assert_mem_eq(out->str + 5, raw, sizeof(raw) - 1);
}
END_TEST

START_TEST(nothing_gives_nothing)
{
	g_autoptr(GString) out = g_string_new(NULL);

	classifier_reason(classifier_default(), out, SLICE_NONE);
	classifier_reason(classifier_default(), out, SLICE(""));
	ck_assert_uint_eq(out->len, 0);
}
END_TEST

/* A canonical reason is its own canonical form, and random bytes are never read past their end
 * (each text has its own allocation, so that the sanitizer sees one byte too many). */
START_TEST(canonical_reasons_do_not_change_again)
{
	static const char *const pieces[] = {"User ", "@", "192.0.2.1", "::", "1", ".", " ", "\n",
	        "a", "2001:db8:", "IPv6:", " - gsmtp", "x.1", "\xff", "255", "0", "User", "["};
	g_autoptr(GRand) random = g_rand_new_with_seed(1);

	for (int round = 0; round < 20000; round++) {
		g_autoptr(GString) text = g_string_new(NULL), once = g_string_new(NULL);
		g_autoptr(GString) twice = g_string_new(NULL);
		for (int n = g_rand_int_range(random, 0, 12); n > 0; n--)
			g_string_append(
			        text, pieces[g_rand_int_range(random, 0, G_N_ELEMENTS(pieces))]);
		g_autofree char *exact = g_memdup2(text->str, text->len);
		classifier_reason(classifier_default(), once, slice_make(exact, text->len));
		classifier_reason(classifier_default(), twice, slice_make(once->str, once->len));
		ck_assert_msg(strstr(once->str, "User") != NULL || g_string_equal(once, twice),
		        "\"%s\" -> \"%s\" -> \"%s\"", text->str, once->str, twice->str);
	}
}
END_TEST

/* clang-format off */
UNIT_MAIN("reason",
	recorded_reasons_come_out_as_recorded,
	user_is_cut_with_the_word_behind_it_only,
	ipv4_addresses_lose_their_numbers,
	numbers_that_are_no_ipv4_address_stay,
	ipv6_addresses_lose_their_numbers,
	times_and_other_colons_are_no_ipv6_address,
	names_of_servers_and_clients_are_cut_and_lists_stay,
	a_short_queue_id_by_itself_is_cut,
	googles_session_ids_are_cut,
	white_space_and_foreign_bytes_stay_as_they_are,
	nothing_gives_nothing,
	canonical_reasons_do_not_change_again)
