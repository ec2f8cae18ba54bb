#include <glib.h>
#include <string.h>

#include "milter/header_map.h"
#include "mime/headers.h"
#include "tests/support/unit.h"

/* Reads headers ("Name: value", ended by NULL) and says what they told, in a fixed order. */
static char *read_all(const char *map_text, const char *const *headers)
{
	static const struct {
		const char *name;
		enum field field;
	} fields[] = {
	        {"campaign", FIELD_CAMPAIGN_ID},
	        {"template", FIELD_TEMPLATE_ID},
	        {"transmission", FIELD_TRANSMISSION_ID},
	        {"open", FIELD_OPEN_TRACKING},
	        {"click", FIELD_CLICK_TRACKING},
	        {"transactional", FIELD_TRANSACTIONAL},
	};
	struct error err = {0};
	struct header_map *map = header_map_new(map_text, &err);
	struct attributes attributes = {0};
	GString *out = g_string_new("");

	mime_init();
	ck_assert_msg(map != NULL, "%s", err.text);
	for (size_t i = 0; headers[i] != NULL; i++) {
		struct slice value = slice_str(headers[i]);
		g_autofree char *name = slice_dup(slice_cut(&value, ':'));

		if (!header_map_read(map, &attributes, name, value, mime_decode_text))
			g_string_append(out, "unknown ");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		if (attributes.field[fields[i].field] != NULL)
			g_string_append_printf(
			        out, "%s=%s ", fields[i].name, attributes.field[fields[i].field]);
	}
	char *meta = attributes_dump_meta(&attributes, NULL);
	char *tags = attributes_dump_tags(&attributes, NULL);
	g_string_append_printf(out, "%s%s", meta != NULL ? meta : "", tags != NULL ? tags : "");
	if (attributes.bad > 0)
		g_string_append_printf(out, " bad=%u", attributes.bad);
	free(meta);
	free(tags);
	attributes_clear(&attributes);
	header_map_free(&map);
	return g_string_free(out, FALSE);
}

struct row {
	const char *headers[4];
	const char *want;
};

static void check(const char *map, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		g_autofree char *got = read_all(map, rows[i].headers);

		ck_assert_msg(strcmp(got, rows[i].want) == 0, "%s: %s instead of %s",
		        rows[i].headers[0], got, rows[i].want);
	}
}

START_TEST(the_default_map_reads_the_headers_of_other_senders)
{
	static const struct row rows[] = {
	        {{"Subject: x"}, "unknown "},
	        {{"List-Id: News <news.example>"}, "{\"list_id\":\"News <news.example>\"}"},
	        {{"feedback-id: c:s:t:me"}, "{\"feedback_id\":\"c:s:t:me\"}"},
	        {{"X-Mailgun-Tag: one", "X-Mailgun-Tag: =?utf-8?q?zw=C3=B6lf?="},
	                "[\"one\",\"zwölf\"]"},
	        {{"X-Mailgun-Variables: {\"my\": {\"id\": 7}}"}, "{\"my\":{\"id\":7}}"},
	        {{"X-Mailgun-Track-Opens: yes", "X-Mailgun-Track-Clicks: htmlonly"},
	                "open=true click=true "},
	        {{"X-SMTPAPI: {\"category\": [\"a\",\"b\"], \"unique_args\": {\"k\":\"v\"}}"},
	                "{\"k\":\"v\"}[\"a\",\"b\"]"},
	        {{"X-SMTPAPI: {\"category\": \"a\", \"filters\": {\"opentrack\": {\"settings\":"
	          " {\"enable\": 1}},\n \"clicktrack\": {\"settings\": {\"enable\": \"0\"}}}}"},
	                "open=true click=false [\"a\"]"},
	        {{"X-MC-Tags: one, two,, one"}, "[\"one\",\"two\"]"},
	        {{"X-MC-Metadata: {\"k\":1}", "X-MC-Metadata: {\"k\":2,\"l\":3}"},
	                "{\"k\":1,\"l\":3}"},
	        {{"X-MC-Track: opens, clicks_textonly"}, "open=true click=true "},
	        {{"X-MC-Track: none"}, "open=false click=false "},
	        {{"X-MC-Template: welcome|main"}, "template=welcome|main "},
	        {{"X-PM-Tag: welcome", "X-PM-Metadata-Color: blue",
	                 "x-pm-metadata-client-id: 12345"},
	                "{\"color\":\"blue\",\"client-id\":\"12345\"}[\"welcome\"]"},
	        {{"X-SES-MESSAGE-TAGS: campaign=book, flavour = sweet"},
	                "{\"campaign\":\"book\",\"flavour\":\"sweet\"}"},
	        {{"x-smtpeter-tags: a,b", "x-smtpeter-trackclicks: false"},
	                "click=false [\"a\",\"b\"]"},
	};

	check(NULL, rows, G_N_ELEMENTS(rows));
	check("default", rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(bad_values_are_counted)
{
	static const struct row rows[] = {
	        {{"X-Mailgun-Variables: {"}, " bad=1"},
	        {{"X-Mailgun-Variables: [1]"}, " bad=1"},
	        {{"X-Mailgun-Track-Opens: perhaps"}, " bad=1"},
	        {{"X-SMTPAPI: 5"}, " bad=1"},
	        {{"X-MC-Tags: [1,\"a\"]"}, "[\"a\"] bad=1"},
	        {{"X-MC-Tags: [\"a\""}, " bad=1"},
	        {{"X-PM-Metadata-: x"}, " bad=1"},
	        {{"X-PM-Metadata-\xff: x"}, " bad=1"},
	        {{"X-SES-MESSAGE-TAGS: =x"}, " bad=1"},
	        {{"X-MC-Tags: "}, ""},
	        {{"X-PM-Tag:"}, ""},
	};

	check(NULL, rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(own_rows_replace_the_default_or_add_to_it)
{
	static const struct row own[] = {
	        {{"X-Campaign: =?utf-8?q?S=C3=BC=C3=9F?=", "X-Camp: no"}, "unknown campaign=Süß "},
	        {{"X-Job: 17"}, "transmission=17 {\"job\":\"17\"}"},
	        {{"X-Kind: on"}, "transactional=1 "},
	        {{"X-PM-Tag: x"}, "unknown "},
	};
	static const struct row both[] = {
	        {{"X-Campaign: first", "X-Campaign: second"}, "campaign=first "},
	        {{"X-PM-Tag: x"}, "[\"x\"]"},
	        {{"X-Acme-One: 1", "X-Acme-Two: 2"}, "{\"one\":\"1\",\"two\":\"2\"}"},
	};

	check("X-Campaign=campaign_id,X-Job=meta.job; X-Job=transmission_id\nX-Kind=transactional",
	        own, G_N_ELEMENTS(own));
	check(" X-Campaign=campaign_id default X-Acme-*=meta.* ", both, G_N_ELEMENTS(both));
}
END_TEST

START_TEST(an_empty_map_reads_nothing)
{
	static const struct row rows[] = {{{"X-PM-Tag: x"}, "unknown "}};

	check("", rows, G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(a_long_header_name_is_looked_up_whole)
{
	static const struct row rows[] = {
	        {{"X-12345678901234567890123456789012345678901234567890123456789012345: a"},
	                "[\"a\"]"},
	        {{"X-123456789012345678901234567890123456789012345678901234567890123: a"},
	                "unknown "},
	};

	check("x-12345678901234567890123456789012345678901234567890123456789012345=tag", rows,
	        G_N_ELEMENTS(rows));
}
END_TEST

START_TEST(wrong_rows_are_refused)
{
	static const char *const wrong[] = {"X-A", "=tag", "X-A=", "X-A=nothing", "X-A=meta.",
	        "X-A=meta.*", "X-*=tag", "*=meta.*", "X-*-B*=meta.*", "X-*-B=tag", "X-A=tagged",
	        "default X-A=rcpt_to", "\xff=tag"};

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		struct error err = {0};

		ck_assert_msg(header_map_new(wrong[i], &err) == NULL, "%s", wrong[i]);
		ck_assert(err.set);
		ck_assert_ptr_nonnull(strstr(err.text, "header map"));
	}
}
END_TEST

UNIT_MAIN("header_map", the_default_map_reads_the_headers_of_other_senders, bad_values_are_counted,
        own_rows_replace_the_default_or_add_to_it, an_empty_map_reads_nothing,
        a_long_header_name_is_looked_up_whole, wrong_rows_are_refused)
