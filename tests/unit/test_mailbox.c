#include "event/mailbox.h"
#include "event/tags.h"
#include "tests/support/unit.h"

#include <glib.h>

static struct slice provider_of(const char *domain)
{
	const struct mailbox *row = mailbox_find(slice_str(domain));

	return row != NULL ? slice_str(row->provider) : SLICE_NONE;
}

START_TEST(a_domain_and_what_is_below_it_have_their_provider)
{
	ck_assert(slice_eq(provider_of("gmail.com"), SLICE("Gmail")));
	ck_assert(slice_eq(provider_of("yahoo.co.jp"), SLICE("Yahoo Japan")));
	ck_assert(slice_eq(provider_of("mail.yahoo.co.jp"), SLICE("Yahoo Japan")));
	ck_assert(slice_eq(provider_of("a.b.rr.com"), SLICE("Spectrum")));
}
END_TEST

START_TEST(no_other_domain_has_one)
{
	static const char *const domains[] = {"", ".", "com", "notgmail.com", "gmail.com.example",
	        "gmail.comx", "example.com", "gmail.com.", ".."};

	for (size_t i = 0; i < G_N_ELEMENTS(domains); i++)
		ck_assert_msg(mailbox_find(slice_str(domains[i])) == NULL, "%s", domains[i]);
}
END_TEST

START_TEST(each_row_of_the_table_is_found_by_its_domain)
{
	static const struct mailbox rows[] = {
#define MAILBOX(DOMAIN, PROVIDER, REGION) {DOMAIN, PROVIDER, REGION},
#include "schema/mailbox-providers.def"
#undef MAILBOX
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct mailbox *row = mailbox_find(slice_str(rows[i].domain));
		ck_assert_msg(row != NULL && strcmp(row->domain, rows[i].domain) == 0, "%s",
		        rows[i].domain);
		ck_assert_str_eq(row->provider, rows[i].provider);
		ck_assert_str_eq(row->region, rows[i].region);
		g_autofree char *lower = g_ascii_strdown(rows[i].domain, -1);
		ck_assert_str_eq(lower, rows[i].domain);
	}
}
END_TEST

START_TEST(what_an_event_says_itself_wins)
{
	struct event event = {.type = EVENT_DELIVERY};

	ck_assert_ptr_null(mailbox_provider(&event).p);
	event.field[FIELD_RECIPIENT_DOMAIN] = SLICE("gmail.com");
	ck_assert(slice_eq(mailbox_provider(&event), SLICE("Gmail")));
	ck_assert(slice_eq(mailbox_region(&event), SLICE("Global")));
	event.field[FIELD_MAILBOX_PROVIDER] = SLICE("Other");
	event.field[FIELD_MAILBOX_PROVIDER_REGION] = SLICE("Moon");
	ck_assert(slice_eq(mailbox_provider(&event), SLICE("Other")));
	ck_assert(slice_eq(mailbox_region(&event), SLICE("Moon")));
}
END_TEST

START_TEST(tags_come_one_by_one)
{
	static const struct {
		const char *array, *want;
	} table[] = {
	        {"[]", ""},
	        {"", ""},
	        {"[\"a\"]", "a|"},
	        {"[ \"a\" , \"b c\",\"\" ]", "a|b c||"},
	        {"[\"q\\\"uo\\\\te\",\"\\u00e4\\n\"]", "q\"uo\\te|\xc3\xa4\n|"},
	        {"[\"cut", ""},
	        {"[\"a\",\"cut\\", "a|"},
	        {"[\"bad \\x escape\",\"b\"]", ""},
	        {"[1,\"b\"]", "b|"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_autoptr(GString) got = g_string_new(NULL), scratch = g_string_new(NULL);
		struct slice rest = slice_str(table[i].array), tag;
		while ((tag = tags_next(&rest, scratch)).p != NULL) {
			g_string_append_len(got, tag.p, (gssize)tag.n);
			g_string_append_c(got, '|');
		}
		ck_assert_str_eq(got->str, table[i].want);
	}
}
END_TEST

UNIT_MAIN("mailbox and tags", a_domain_and_what_is_below_it_have_their_provider,
        no_other_domain_has_one, each_row_of_the_table_is_found_by_its_domain,
        what_an_event_says_itself_wins, tags_come_one_by_one)
