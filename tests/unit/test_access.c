#include "query/access.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/support/unit.h"

/* --- words --- */

static char *joined(const char *const *list)
{
	return list != NULL ? g_strjoinv(" ", (char **)list) : g_strdup("any");
}

START_TEST(an_access_is_read_from_words)
{
	static const struct {
		struct access_words words;
		unsigned grants;
		const char *subaccounts, *domains;
	} rows[] = {
	        {{"read", NULL, NULL}, GRANT_READ, "any", "any"},
	        {{"read,ingest upload", "0", NULL}, GRANT_READ | GRANT_INGEST | GRANT_UPLOAD, "0",
	                "any"},
	        {{"ingest ingest", "007, 2147483647", "Example.COM,\tshop.example "}, GRANT_INGEST,
	                "7 2147483647", "example.com shop.example"},
	        {{"read", NULL, "b\303\274cher.example"}, GRANT_READ, "any",
	                "b\303\274cher.example"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct error err = {0};
		struct access *access = access_new(&rows[i].words, "somebody", &err);

		ck_assert_msg(access != NULL, "%s", err.text);
		g_autofree char *subaccounts = joined(access->scope.subaccounts);
		g_autofree char *domains = joined(access->scope.domains);
		ck_assert_uint_eq(access->grants, rows[i].grants);
		ck_assert_str_eq(subaccounts, rows[i].subaccounts);
		ck_assert_str_eq(domains, rows[i].domains);
		ck_assert_str_eq(access->who, "somebody");
		ck_assert_int_eq(access_sees_all(access),
		        rows[i].words.subaccounts == NULL && rows[i].words.domains == NULL);
		access_free(access);
	}
}
END_TEST

START_TEST(words_that_mean_nothing_are_refused_with_what_would_be_right)
{
	static const struct {
		struct access_words words;
		const char *because;
	} rows[] = {
	        {{"", NULL, NULL}, "grants: names nothing"},
	        {{"admin", NULL, NULL}, "grants: admin: must be one of: read ingest upload"},
	        {{"Read", NULL, NULL}, "grants: Read: must be"},
	        {{"read", "", NULL}, "subaccounts: names nothing"},
	        {{"read", " , ", NULL}, "subaccounts: names nothing"},
	        {{"read", "1 x", NULL}, "subaccounts: x: must be a number"},
	        {{"read", "-1", NULL}, "subaccounts: -1: must be a number"},
	        {{"read", "+1", NULL}, "subaccounts: +1: must be a number"},
	        {{"read", "2147483648", NULL}, "must be a number from 0 to 2147483647"},
	        {{"read", "99999999999999999999999", NULL}, "must be a number"},
	        {{"read", NULL, ","}, "domains: names nothing"},
	        {{"read", NULL, "*"}, "domains: *: must be a domain"},
	        {{"read", NULL, "*.example.com"}, "must be a domain"},
	        {{"read", NULL, "joe@example.com"}, "must be a domain"},
	        {{"read", NULL, "example.com\n"}, "must be a domain"},
	        {{"read", NULL, "\377.example"}, "must be a domain"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct error err = {0};

		ck_assert_ptr_null(access_new(&rows[i].words, "x", &err));
		ck_assert_msg(strstr(err.text, rows[i].because) != NULL, "%s", err.text);
	}
}
END_TEST

START_TEST(both_of_two_narrow)
{
	static const struct {
		struct access_words a, b;
		unsigned grants;
		const char *subaccounts, *domains;
	} rows[] = {
	        {{"read", NULL, NULL}, {"read ingest", NULL, NULL}, GRANT_READ, "any", "any"},
	        {{"ingest", NULL, NULL}, {"read", "1", "a.example"}, 0, "1", "a.example"},
	        {{"read", "1 2 3", "a.example"}, {"read", "3 4 1", NULL}, GRANT_READ, "1 3",
	                "a.example"},
	        {{"read", "1", "a.example b.example"}, {"read", "2", "b.example"}, GRANT_READ, "",
	                "b.example"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct access *a = access_new(&rows[i].a, "a", NULL);
		struct access *b = access_new(&rows[i].b, "b", NULL);
		struct access *both = access_narrow(a, b);
		g_autofree char *subaccounts = joined(both->scope.subaccounts);
		g_autofree char *domains = joined(both->scope.domains);

		ck_assert_uint_eq(both->grants, rows[i].grants);
		ck_assert_str_eq(subaccounts, rows[i].subaccounts);
		ck_assert_str_eq(domains, rows[i].domains);
		ck_assert_str_eq(both->who, "b");
		access_free(a);
		access_free(b);
		access_free(both);
	}
}
END_TEST

/* --- the table --- */

#define READ \
	{ \
		"read", NULL, NULL \
	}
#define OTHER 12345

static struct access_table *table(const struct access_row *rows, size_t n)
{
	struct error err = {0};
	struct access_table *made = access_table_new(rows, n, &err);

	ck_assert_msg(made != NULL, "%s", err.text);
	return made;
}

static const struct access *of(const struct access_table *made, uid_t uid, gid_t a, gid_t b)
{
	const gid_t groups[] = {a, b};
	const struct access_peer peer = {.uid = uid, .groups = groups, .n = 2};

	return access_of_peer(made, &peer);
}

START_TEST(the_first_row_that_names_a_peer_counts)
{
	static const struct access_row rows[] = {
	        {"one", "12345 root", NULL, {"ingest", NULL, NULL}},
	        {"two", "4000000000", "777,888", {"read", "1", NULL}},
	        {"three", NULL, "999", {"upload", NULL, NULL}},
	};
	struct access_table *made = table(rows, 3);

	ck_assert_str_eq(of(made, OTHER, 1, 777)->who, "access one");
	ck_assert_uint_eq(of(made, OTHER, 1, 1)->grants, GRANT_INGEST);
	ck_assert_str_eq(of(made, 11111, 1, 888)->who, "access two");
	ck_assert_str_eq(of(made, 11111, 777, 999)->who, "access two");
	ck_assert_str_eq(of(made, 11111, 999, 1)->who, "access three");
	ck_assert_str_eq(of(made, 4000000000U, 1, 1)->who, "access two");
	access_table_free(&made);
	ck_assert_ptr_null(made);
}
END_TEST

START_TEST(who_is_not_in_the_table_may_do_nothing)
{
	static const struct access_row rows[] = {{"one", NULL, "777", READ}};
	struct access_table *made = table(rows, 1);
	const struct access *access = of(made, OTHER, 1, 2);

	ck_assert_uint_eq(access->grants, 0);
	ck_assert_ptr_nonnull(access->who); /* known, but may not: 403 */
	access_table_free(&made);
}
END_TEST

START_TEST(a_star_is_anybody_and_without_a_table_all_may_read)
{
	static const struct access_row rows[] = {{"all", "*", NULL, READ}};
	struct access_table *made = table(rows, 1);

	ck_assert_str_eq(of(made, OTHER, 1, 2)->who, "access all");
	access_table_free(&made);
	ck_assert_uint_eq(of(NULL, OTHER, 1, 2)->grants, GRANT_READ);
	ck_assert(access_sees_all(of(NULL, OTHER, 1, 2)));
}
END_TEST

START_TEST(root_and_our_own_user_may_do_everything)
{
	static const struct access_row rows[] = {{"all", "*", NULL, {"read", "1", NULL}}};
	struct access_table *made = table(rows, 1);

	ck_assert_ptr_eq(of(made, 0, 1, 2), &access_all);
	ck_assert_ptr_eq(of(made, geteuid(), 1, 2), &access_all);
	ck_assert_ptr_eq(of(NULL, 0, 1, 2), &access_all);
	access_table_free(&made);
}
END_TEST

START_TEST(a_row_that_is_wrong_is_named)
{
	static const struct {
		struct access_row row;
		const char *because;
	} rows[] = {
	        {{"x", NULL, NULL, READ}, "[access x] needs users= or groups="},
	        {{"x", " ", NULL, READ}, "[access x] needs users= or groups="},
	        {{"x", "no-such-user-here", NULL, READ},
	                "[access x] users: no such user: no-such-user-here"},
	        {{"x", NULL, "no-such-group", READ}, "[access x] groups: no such group"},
	        {{"x", "-1", NULL, READ}, "no such user: -1"},
	        {{"x", "4294967295", NULL, READ}, "no such user: 4294967295"},
	        {{"x", "1", NULL, {"write", NULL, NULL}}, "[access x] grants: write: must be"},
	        {{"x", "1", NULL, {"read", NULL, "@"}}, "[access x] domains: @: must be"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct access_row pair[] = {{"good", "*", NULL, READ}, rows[i].row};
		struct error err = {0};

		ck_assert_ptr_null(access_table_new(pair, 2, &err));
		ck_assert_msg(strstr(err.text, rows[i].because) != NULL, "%s", err.text);
	}
}
END_TEST

UNIT_MAIN("access", an_access_is_read_from_words,
        words_that_mean_nothing_are_refused_with_what_would_be_right, both_of_two_narrow,
        the_first_row_that_names_a_peer_counts, who_is_not_in_the_table_may_do_nothing,
        a_star_is_anybody_and_without_a_table_all_may_read, root_and_our_own_user_may_do_everything,
        a_row_that_is_wrong_is_named)
