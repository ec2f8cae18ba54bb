#include <glib.h>

#include "tests/support/unit.h"
#include "trace/domains.h"

/* Adds blank separated words; "!" denies. */
static void add(struct domains *domains, enum domains_mode mode, const char *words)
{
	g_auto(GStrv) each = g_strsplit(words, " ", -1);

	domains_list(domains);
	for (char **word = each; *word != NULL; word++) {
		struct slice text = slice_str(*word);
		bool deny = slice_skip(&text, SLICE("!"));
		ck_assert_int_eq(domains_add(domains, text, mode, deny, NULL), 0);
	}
}

static void check(const struct domains *domains, const char *yes, const char *no)
{
	g_auto(GStrv) held = g_strsplit(yes, " ", -1), others = g_strsplit(no, " ", -1);

	for (char **address = held; *address != NULL; address++)
		ck_assert_msg(domains_hold(domains, slice_str(*address)), "%s", *address);
	for (char **address = others; *address != NULL; address++)
		ck_assert_msg(!domains_hold(domains, slice_str(*address)), "%s", *address);
}

START_TEST(a_domain_is_found_in_any_case_and_with_its_final_dot)
{
	struct domains *domains = domains_new();

	check(domains, "", "a@example.com root");
	add(domains, DOMAINS_EXACT, "Example.COM. b.example [192.0.2.1]");
	check(domains, "a@example.com A@EXAMPLE.com. \"x@y\"@b.example a@[192.0.2.1]",
	        "a@sub.example.com a@example.org a@ @ a@. root a@com");
	domains_free(&domains);
	ck_assert_ptr_null(domains);
}
END_TEST

START_TEST(each_mode_has_its_forms_of_subdomains)
{
	struct domains *exact = domains_new(), *dotted = domains_new(), *parents = domains_new();

	add(exact, DOMAINS_EXACT, ".example.com");
	check(exact, "", "a@example.com a@b.example.com");
	add(dotted, DOMAINS_DOTTED, ".example.com b.example");
	check(dotted, "a@b.example.com a@c.b.example.com a@b.example",
	        "a@example.com a@xexample.com a@c.b.example");
	add(parents, DOMAINS_PARENTS, "example.com .other.example");
	check(parents, "a@example.com a@b.example.com",
	        "a@xexample.com a@other.example a@b.other.example");
	domains_free(&exact);
	domains_free(&dotted);
	domains_free(&parents);
}
END_TEST

START_TEST(the_first_word_of_a_list_decides_and_the_first_list_may_forbid)
{
	struct domains *domains = domains_new();

	add(domains, DOMAINS_DOTTED, "!never.example.com");
	add(domains, DOMAINS_PARENTS, "!out.example.com example.com !b.example.com");
	check(domains, "a@example.com a@b.example.com",
	        "a@out.example.com a@x.out.example.com a@never.example.com");
	add(domains, DOMAINS_EXACT, "out.example.com never.example.com");
	check(domains, "a@out.example.com a@x.never.example.com",
	        "a@x.out.example.com a@never.example.com");
	domains_free(&domains);
}
END_TEST

START_TEST(an_address_without_a_domain_is_one_of_this_machine)
{
	struct domains *domains = domains_new();

	add(domains, DOMAINS_EXACT, "example.com");
	check(domains, "a@example.com", "root");
	add(domains, DOMAINS_EXACT, "localhost");
	check(domains, "root a@localhost", "");
	ck_assert(!domains_hold(domains, SLICE("")));
	ck_assert(!domains_hold(domains, SLICE_NONE));
	domains_free(&domains);
}
END_TEST

START_TEST(what_is_no_domain_is_refused)
{
	static const char *const words[] = {
	        "hash:/etc/postfix/x", "/etc/x", "a@b", "", "a b", "a\x01", "*"};
	struct domains *domains = domains_new();
	g_autofree char *longest = g_strnfill(255, 'a'), *longer = g_strnfill(256, 'a');
	g_autofree char *address = g_strconcat("a@", longest, NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		struct error err = {0};
		ck_assert_int_eq(
		        domains_add(domains, slice_str(words[i]), DOMAINS_EXACT, false, &err), -1);
		ck_assert(err.set);
	}
	ck_assert_int_eq(domains_add(domains, slice_str(longer), DOMAINS_EXACT, false, NULL), -1);
	ck_assert_int_eq(domains_add(domains, slice_str(longest), DOMAINS_EXACT, false, NULL), 0);
	check(domains, address, "a@aa");
	domains_free(&domains);
}
END_TEST

UNIT_MAIN("domains", a_domain_is_found_in_any_case_and_with_its_final_dot,
        each_mode_has_its_forms_of_subdomains,
        the_first_word_of_a_list_decides_and_the_first_list_may_forbid,
        an_address_without_a_domain_is_one_of_this_machine, what_is_no_domain_is_refused)
