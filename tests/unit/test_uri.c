#include "query/uri.h"

#include "tests/support/unit.h"

static struct uri parsed(const char *target)
{
	struct uri uri;

	uri_parse(&uri, slice_str(target));
	return uri;
}

static struct uri_param param(const struct uri *uri, guint i)
{
	ck_assert_uint_lt(i, uri->params->len);
	return g_array_index(uri->params, struct uri_param, i);
}

static void check_text(struct slice got, const char *want)
{
	g_autofree char *text = slice_dup(got);

	ck_assert_str_eq(text, want);
}

START_TEST(plus_and_percent_20_are_spaces_in_parameters)
{
	struct uri uri = parsed("/x?campaign_ids=a+b%20c%2Bd&page=1");

	ck_assert_uint_eq(uri.params->len, 2);
	check_text(param(&uri, 0).name, "campaign_ids");
	check_text(param(&uri, 0).value, "a b c+d");
	check_text(param(&uri, 1).value, "1");
	uri_clear(&uri);
}
END_TEST

START_TEST(a_plus_in_the_path_is_a_plus)
{
	struct uri uri = parsed("/a+b/c%2Fd");

	ck_assert_uint_eq(uri.segments->len, 2);
	check_text(g_array_index(uri.segments, struct slice, 0), "a+b");
	check_text(g_array_index(uri.segments, struct slice, 1), "c/d");
	ck_assert(!uri_path_is(&uri, "a+b/c/d"));
	uri_clear(&uri);
}
END_TEST

START_TEST(raw_and_encoded_colons_and_commas_are_the_same)
{
	struct uri raw = parsed("/x?from=2026-01-01T00:00&events=bounce,delivery");
	struct uri encoded = parsed("/x?from=2026-01-01T00%3A00&events=bounce%2cdelivery");

	for (guint i = 0; i < 2; i++)
		ck_assert(slice_eq(param(&raw, i).value, param(&encoded, i).value));
	uri_clear(&raw);
	uri_clear(&encoded);
}
END_TEST

START_TEST(broken_escapes_are_flagged_and_kept_as_sent)
{
	static const char *const bad[] = {
	        "/x?reason=%5", "/x?reason=%", "/x?reason=%zz", "/x?reason=a%2", "/x?reason=%%35"};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct uri uri = parsed(bad[i]);

		ck_assert_msg(param(&uri, 0).bad_value, "%s", bad[i]);
		ck_assert(!param(&uri, 0).bad_name);
		check_text(param(&uri, 0).value, bad[i] + strlen("/x?reason="));
		uri_clear(&uri);
	}
	struct uri uri = parsed("/x?re%ason=1");
	ck_assert(param(&uri, 0).bad_name);
	uri_clear(&uri);
	uri = parsed("/x%zz");
	ck_assert(uri.bad_path);
	uri_clear(&uri);
}
END_TEST

START_TEST(a_nul_byte_is_a_byte_of_the_value)
{
	struct uri uri = parsed("/x?recipients=a%00b");

	ck_assert_uint_eq(param(&uri, 0).value.n, 3);
	ck_assert_int_eq(param(&uri, 0).value.p[1], '\0');
	uri_clear(&uri);
}
END_TEST

START_TEST(one_trailing_slash_is_none)
{
	struct uri with = parsed("/api/v1/message-events/?page=1"), two = parsed("/api/v1//");
	struct uri inner = parsed("/api//v1"), root = parsed("/"), leading = parsed("//api");

	ck_assert(uri_path_is(&with, "api/v1/message-events"));
	ck_assert(!uri_path_is(&two, "api/v1"));
	ck_assert(!uri_path_is(&inner, "api/v1"));
	ck_assert(!uri_path_is(&leading, "api"));
	ck_assert(!uri_path_is(&root, "api"));
	uri_clear(&with);
	uri_clear(&two);
	uri_clear(&inner);
	uri_clear(&root);
	uri_clear(&leading);
}
END_TEST

START_TEST(a_path_is_matched_whole_and_by_case)
{
	struct uri uri = parsed("/api/v1/message-events");

	ck_assert(uri_path_is(&uri, "api/v1/message-events"));
	ck_assert(!uri_path_is(&uri, "api/v1"));
	ck_assert(!uri_path_is(&uri, "api/v1/message-events/events"));
	ck_assert(!uri_path_is(&uri, "api/V1/message-events"));
	uri_clear(&uri);
}
END_TEST

START_TEST(a_star_takes_one_segment_and_no_more)
{
	static const struct {
		const char *target, *path, *tail; /* NULL = does not fit */
	} rows[] = {
	        {"/v1/events/tags/a%3Bb%2Fc", "v1/events/tags/*", "a;b/c"},
	        {"/v1/events/tags/x/", "v1/events/tags/*", "x"},
	        {"/v1/events/tags/x?a=b", "v1/events/tags/*", "x"},
	        {"/v1/events/tags/*", "v1/events/tags/*", "*"},
	        {"/v1/events/tags", "v1/events/tags", ""},
	        {"/v1/events/tags", "v1/events/tags/*", NULL},
	        {"/v1/events/tags/", "v1/events/tags/*", NULL},
	        {"/v1/events/tags//", "v1/events/tags/*", NULL},
	        {"/v1/events/tags/x/y", "v1/events/tags/*", NULL},
	        {"/v1/events/tags/x%00", "v1/events/tags/*", NULL},
	        {"/v1/events/tags/%zz", "v1/events/tags/*", NULL},
	        {"/v1/events/email/x", "v1/events/tags/*", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct uri uri = parsed(rows[i].target);
		struct slice tail;
		bool fits = uri_path_fits(&uri, rows[i].path, &tail);

		ck_assert_msg(fits == (rows[i].tail != NULL), "%s", rows[i].target);
		ck_assert(!fits || slice_eq(tail, slice_str(rows[i].tail)));
		uri_clear(&uri);
	}
}
END_TEST

START_TEST(the_absolute_form_is_taken_too)
{
	struct uri uri = parsed("http://localhost:80/api/v1?page=2");

	ck_assert(uri_path_is(&uri, "api/v1"));
	check_text(param(&uri, 0).value, "2");
	uri_clear(&uri);
	uri = parsed("http://localhost");
	ck_assert(uri.bad_path);
	uri_clear(&uri);
	uri = parsed("*");
	ck_assert(uri.bad_path);
	uri_clear(&uri);
}
END_TEST

START_TEST(empty_pieces_names_and_values_do_no_harm)
{
	struct uri uri = parsed("/x?&&a&=b&c=&d=1=2&");

	ck_assert_uint_eq(uri.params->len, 4);
	check_text(param(&uri, 0).name, "a");
	check_text(param(&uri, 0).value, "");
	check_text(param(&uri, 1).name, "");
	check_text(param(&uri, 1).value, "b");
	check_text(param(&uri, 2).value, "");
	check_text(param(&uri, 3).value, "1=2");
	uri_clear(&uri);
	uri = parsed("");
	ck_assert(uri.bad_path);
	uri_clear(&uri);
	uri = parsed("?");
	ck_assert(uri.bad_path);
	uri_clear(&uri);
}
END_TEST

START_TEST(what_is_encoded_decodes_to_itself)
{
	char all[255];
	g_autoptr(GString) target = g_string_new("/x?v=");

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	uri_encode(target, slice_make(all, sizeof(all)), false);
	struct uri uri = parsed(target->str);
	ck_assert(slice_eq(param(&uri, 0).value, slice_make(all, sizeof(all))));
	uri_clear(&uri);
}
END_TEST

START_TEST(what_means_nothing_in_a_query_stays_as_it_is)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(GString) bare = g_string_new(NULL);

	uri_encode(out, SLICE("aZ09-._~,:/@!$()*?= %&+;'#\"<>\x7f\xc3\xa4"), false);
	ck_assert_str_eq(out->str, "aZ09-._~,:/@!$()*?=%20%25%26%2B%3B%27%23%22%3C%3E%7F%C3%A4");
	uri_encode(bare, SLICE("a@b:c"), true);
	ck_assert_str_eq(bare->str, "a@b%3Ac");
}
END_TEST

UNIT_MAIN("uri", plus_and_percent_20_are_spaces_in_parameters, a_plus_in_the_path_is_a_plus,
        raw_and_encoded_colons_and_commas_are_the_same, broken_escapes_are_flagged_and_kept_as_sent,
        a_nul_byte_is_a_byte_of_the_value, one_trailing_slash_is_none,
        a_path_is_matched_whole_and_by_case, a_star_takes_one_segment_and_no_more,
        the_absolute_form_is_taken_too, empty_pieces_names_and_values_do_no_harm,
        what_is_encoded_decodes_to_itself, what_means_nothing_in_a_query_stays_as_it_is)
