#include "query/params.h"

#include <jansson.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "tests/support/unit.h"

/* 2026-06-15T12:34:56.789Z */
#define NOW (INT64_C(1781526896789))

static struct uri uri;
static struct message_query query;
static struct faults faults;

static int read_at(const char *parameters, int64_t now)
{
	g_autofree char *target = g_strconcat("/api/v1/message-events?", parameters, NULL);
	const struct params_defaults defaults = {.now = now, .window = CLOCK_DAY};

	uri_parse(&uri, slice_str(target));
	return params_read(&uri, &defaults, &query, &faults);
}

static void done(void)
{
	message_query_clear(&query);
	uri_clear(&uri);
	faults_clear(&faults);
}

/* Reads parameters that are right. */
static void good(const char *parameters)
{
	int result = read_at(parameters, NOW);

	ck_assert_msg(result == 0, "%s: %s", parameters, result < 0 ? faults.json->str : "");
}

/* The whole 400 of parameters that are wrong. */
static void bad(const char *parameters, const char *want)
{
	g_autofree char *whole = g_strdup_printf("{\"errors\":[%s]}", want);
	struct query_answer answer = {0};

	ck_assert_msg(read_at(parameters, NOW) == -1, "%s is taken", parameters);
	faults_answer(&faults, &answer);
	ck_assert_uint_eq(answer.status, 400);
	ck_assert_str_eq(answer.body->str, whole);
	query_answer_clear(&answer);
	done();
}

static void check_list(const char *const *list, const char *want)
{
	g_autoptr(GString) got = g_string_new(NULL);

	ck_assert_msg(
	        (list == NULL) == (want == NULL), "want %s", want != NULL ? want : "no filter");
	for (; list != NULL && *list != NULL; list++)
		g_string_append_printf(got, "%s[%s]", got->len > 0 ? " " : "", *list);
	if (want != NULL)
		ck_assert_str_eq(got->str, want);
}

static void check_time(int64_t got, const char *want)
{
	char text[CLOCK_TEXT_MAX];

	clock_format(got, CLOCK_ZULU, text);
	ck_assert_str_eq(text, want);
}

static void check_window(const char *parameters, const char *from, const char *to)
{
	good(parameters);
	check_time(query.search.from, from);
	check_time(query.search.to, to);
	done();
}

START_TEST(defaults_are_the_last_day_to_the_end_of_this_minute)
{
	good("");
	ck_assert_uint_eq(query.page, 1);
	ck_assert_uint_eq(query.per_page, 1000);
	ck_assert_str_eq(query.zone, "UTC");
	check_time(query.search.from, "2026-06-14T12:34:00.000Z");
	check_time(query.search.to, "2026-06-15T12:35:00.000Z");
	ck_assert_str_eq(query.window.from_text, "2026-06-14T12:34");
	ck_assert_str_eq(query.window.to_text, "2026-06-15T12:34");
	for (int key = 0; key < SEARCH_KEYS; key++)
		ck_assert_ptr_null(query.search.values[key]);
	ck_assert_ptr_null(query.search.reasons);
	done();
}
END_TEST

START_TEST(lists_are_split_and_repeated_parameters_are_united)
{
	good("recipients=A@Example.com,b@example.com&recipients=,c@example.com,");
	check_list(query.search.values[SEARCH_RECIPIENT],
	        "[a@example.com] [b@example.com] [c@example.com]");
	done();
	good("campaign_ids=Summer,Sale&delimiter=;");
	check_list(query.search.values[SEARCH_CAMPAIGN], "[Summer,Sale]");
	done();
	good("campaign_ids=a||b|c&delimiter=||");
	check_list(query.search.values[SEARCH_CAMPAIGN], "[a] [b|c]");
	done();
}
END_TEST

START_TEST(a_list_of_nothing_is_no_filter)
{
	good("recipients=&events=,,&reason=&bounce_classes=,");
	check_list(query.search.values[SEARCH_RECIPIENT], NULL);
	check_list(query.search.values[SEARCH_EVENT], NULL);
	check_list(query.search.reasons, NULL);
	ck_assert_str_eq(query.filters->str, "");
	done();
	good("recipients=%20,+&events=+&bounce_classes=%20&subaccounts=+,&event_ids=%20&"
	     "message_ids=+");
	for (int key = 0; key < SEARCH_KEYS; key++)
		check_list(query.search.values[key], NULL);
	ck_assert_str_eq(query.filters->str, "");
	done();
	good("bounce_classes=10,+&campaign_ids=+"); /* a blank may be a campaign's name */
	check_list(query.search.values[SEARCH_BOUNCE_CLASS], "[10]");
	check_list(query.search.values[SEARCH_CAMPAIGN], "[ ]");
	done();
}
END_TEST

START_TEST(every_list_reaches_its_filter)
{
	static const struct {
		const char *parameter;
		int key;
		const char *want;
	} rows[] = {
	        {"recipients=Jim@Example.Com", SEARCH_RECIPIENT, "[jim@example.com]"},
	        {"friendly_froms=Shop@X.org", SEARCH_FRIENDLY_FROM, "[shop@x.org]"},
	        {"events=bounce, delivery", SEARCH_EVENT, "[bounce] [delivery]"},
	        {"bounce_classes=10,030", SEARCH_BOUNCE_CLASS, "[10] [30]"},
	        {"subaccounts=0,101", SEARCH_SUBACCOUNT, "[0] [101]"},
	        {"transmission_ids=65832150921904138", SEARCH_TRANSMISSION, "[65832150921904138]"},
	        {"campaign_ids=Example Campaign", SEARCH_CAMPAIGN, "[Example Campaign]"},
	        {"template_ids=templ-1234", SEARCH_TEMPLATE, "[templ-1234]"},
	        {"ab_test_ids=password-reset", SEARCH_AB_TEST, "[password-reset]"},
	        {"message_ids=<A@b>,0e0d", SEARCH_MESSAGE, "[<A@b>] [0e0d]"},
	        {"queue_ids=4WnzXy1Qk3z9v", SEARCH_QUEUE_ID, "[4WnzXy1Qk3z9v]"},
	        {"recipient_domains=Example.COM", SEARCH_RECIPIENT_DOMAIN, "[example.com]"},
	        {"sending_ips=192.0.2.1", SEARCH_SENDING_IP, "[192.0.2.1]"},
	        {"from_addresses=A@b", SEARCH_FROM_ADDRESS, "[a@b]"},
	        {"event_ids=9223372036854775807", SEARCH_EVENT_ID, "[9223372036854775807]"},
	        {"sending_domains=Shop.Example", SEARCH_SENDING_DOMAIN, "[shop.example]"},
	        {"ip_pools=Pool 1", SEARCH_IP_POOL, "[Pool 1]"},
	        {"ab_test_versions=2,03", SEARCH_AB_TEST_VERSION, "[2] [3]"},
	};
	const unsigned unnamed = 3; /* keys without a parameter of API v1 */

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		good(rows[i].parameter);
		check_list(query.search.values[rows[i].key], rows[i].want);
		done();
	}
	ck_assert_uint_eq(G_N_ELEMENTS(rows) + unnamed, SEARCH_KEYS);
}
END_TEST

START_TEST(every_event_type_of_the_catalogue_is_a_name)
{
	for (int type = 0; type < EVENT_TYPES; type++) {
		g_autofree char *parameter =
		        g_strconcat("events=", event_catalogue[type].name, NULL);

		good(parameter);
		done();
	}
}
END_TEST

START_TEST(a_reason_without_wildcard_is_looked_for_anywhere)
{
	good("reason=mailbox full");
	check_list(query.search.reasons, "[%mailbox full%]");
	done();
	good("reason=%255.2.0%25");
	check_list(query.search.reasons, "[%5.2.0%]");
	done();
	good("reason=550%25");
	check_list(query.search.reasons, "[550%]");
	done();
	/* one value, not a list; repeated, a union */
	good("reason=a,b&reason=c_d");
	check_list(query.search.reasons, "[%a,b%] [%c_d%]");
	ck_assert_str_eq(query.scan, "reason");
	done();
	good("subjects=a,%25b");
	check_list(query.search.subjects, "[%a%] [%b]");
	done();
}
END_TEST

START_TEST(unknown_parameters_are_ignored)
{
	good("subject=x&event=outofband&Recipients=a&utf8=%E2%9C%93&x=%zz&per-page=0");
	check_list(query.search.values[SEARCH_RECIPIENT], NULL);
	check_list(query.search.subjects, NULL);
	done();
}
END_TEST

START_TEST(the_minute_and_the_second_of_to_belong_to_the_window)
{
	check_window("from=2026-01-02T03:04&to=2026-01-02T03:05", "2026-01-02T03:04:00.000Z",
	        "2026-01-02T03:06:00.000Z");
	check_window("from=2026-01-02T03:04:05&to=2026-01-02T03:04:06", "2026-01-02T03:04:05.000Z",
	        "2026-01-02T03:04:07.000Z");
	check_window("from=2024-02-29T00:00&to=2024-02-29T23:59", "2024-02-29T00:00:00.000Z",
	        "2024-03-01T00:00:00.000Z");
}
END_TEST

START_TEST(from_defaults_to_a_day_before_to)
{
	check_window("to=2026-01-02T03:04", "2026-01-01T03:04:00.000Z", "2026-01-02T03:05:00.000Z");
	check_window(
	        "from=2026-06-15T00:00", "2026-06-15T00:00:00.000Z", "2026-06-15T12:35:00.000Z");
}
END_TEST

START_TEST(the_window_is_local_time)
{
	check_window("timezone=america/new_york&from=2026-01-01T00:00&to=2026-01-01T23:59",
	        "2026-01-01T05:00:00.000Z", "2026-01-02T05:00:00.000Z");
	good("timezone=asia/kolkata");
	ck_assert_str_eq(query.zone, "Asia/Kolkata");
	ck_assert_str_eq(query.window.to_text, "2026-06-15T18:04");
	check_time(query.search.to, "2026-06-15T12:35:00.000Z");
	done();
}
END_TEST

START_TEST(a_local_day_of_a_clock_change_is_whole)
{
	/* 23 hours, 25 hours */
	check_window("timezone=Europe/Berlin&from=2026-03-29T00:00&to=2026-03-29T23:59",
	        "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z");
	check_window("timezone=Europe/Berlin&from=2026-10-25T00:00&to=2026-10-25T23:59",
	        "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z");
}
END_TEST

START_TEST(an_hour_that_comes_twice_is_taken_twice)
{
	check_window("timezone=Europe/Berlin&from=2026-10-25T02:30&to=2026-10-25T02:30",
	        "2026-10-25T00:30:00.000Z", "2026-10-25T01:31:00.000Z");
	check_window("timezone=America/New_York&from=2026-11-01T01:00&to=2026-11-01T01:59",
	        "2026-11-01T05:00:00.000Z", "2026-11-01T07:00:00.000Z");
}
END_TEST

/* The change itself is the first instant after the hour: a window that begins in it has it, one
 * that ends in it has not. */
START_TEST(an_hour_that_the_clocks_skip_is_empty)
{
	check_window("timezone=Europe/Berlin&from=2026-03-29T01:00&to=2026-03-29T02:30",
	        "2026-03-29T00:00:00.000Z", "2026-03-29T01:00:00.000Z");
	check_window("timezone=Europe/Berlin&from=2026-03-29T02:30&to=2026-03-29T03:00",
	        "2026-03-29T01:00:00.000Z", "2026-03-29T01:01:00.000Z");
	check_window("timezone=Europe/Berlin&from=2026-03-29T02:10&to=2026-03-29T02:50",
	        "2026-03-29T01:00:00.000Z", "2026-03-29T01:00:00.000Z");
	check_window("timezone=America/New_York&from=2026-03-08T01:59&to=2026-03-08T02:30",
	        "2026-03-08T06:59:00.000Z", "2026-03-08T07:00:00.000Z");
}
END_TEST

START_TEST(defaults_in_the_repeated_hour_mean_what_their_link_says)
{
	/* 2026-10-25T01:10:00Z is 02:10 for the second time in Berlin */
	ck_assert_int_eq(read_at("timezone=Europe/Berlin", INT64_C(1792890600000)), 0);
	struct window first = query.window;
	g_autofree char *link = g_strdup_printf(
	        "timezone=Europe/Berlin&from=%s&to=%s", first.from_text, first.to_text);
	done();
	good(link);
	ck_assert_int_eq(query.search.from, first.from);
	ck_assert_int_eq(query.search.to, first.to);
	check_time(query.search.to, "2026-10-25T01:11:00.000Z");
	done();
}
END_TEST

START_TEST(since_opens_the_window)
{
	check_window("since=0", "1970-01-01T00:00:00.000Z", "6429-10-17T02:45:55.328Z");
	check_window("since=17&from=2026-01-01T00:00", "2026-01-01T00:00:00.000Z",
	        "6429-10-17T02:45:55.328Z");
	good("since=17");
	ck_assert(query.since_given);
	ck_assert_uint_eq(query.since, 17);
	done();
}
END_TEST

START_TEST(links_carry_the_filters_encoded)
{
	good("recipients=a%2Bb@x.org,%C3%A4@y&reason=%25full%25&delimiter=%3B&events=bounce&"
	     "subject=no");
	ck_assert_str_eq(query.filters->str,
	        "&delimiter=%3B&recipients=a%2Bb@x.org,%C3%A4@y&events=bounce&reason=%25full%25");
	done();
}
END_TEST

#define ERROR_OF(PARAM, MESSAGE, VALUE) \
	"{\"param\":\"" PARAM "\",\"message\":\"" MESSAGE "\",\"value\":\"" VALUE "\"}"

START_TEST(the_recorded_faults_of_dates_are_told_as_recorded)
{
	bad("from=2014-07-20T09:00&to=now",
	        ERROR_OF("from", "From must be before to", "2014-07-20T09:00") "," ERROR_OF(
	                "to", "To must be in the format YYYY-MM-DDTHH:mm", "now"));
	bad("from=2026-01-02T00:00&to=2026-01-01T00:00",
	        ERROR_OF("from", "From must be before to", "2026-01-02T00:00"));
	bad("from=2026-01-02T00:00&to=2026-01-02T00:00",
	        ERROR_OF("from", "From must be before to", "2026-01-02T00:00"));
	bad("from=2099-01-01T00:00",
	        ERROR_OF("from", "From must be before to", "2099-01-01T00:00"));
}
END_TEST

START_TEST(dates_that_are_none_are_refused)
{
	static const char *const texts[] = {"", "2026-02-30T00:00", "2026-13-01T00:00",
	        "2026-00-01T00:00", "2026-01-00T00:00", "2026-01-01T24:00", "2026-01-01T00:60",
	        "2026-01-01", "2026-01-01 00:00", "2026-01-01t00:00", "2026-01-01T00:00Z",
	        "2026-01-01T00:00:60", "2026-1-1T0:0", "1767225600", "0000-01-01T00:00",
	        "2023-02-29T00:00", "-026-01-01T00:00", "2026-01-01T00:00:00.000"};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *from = g_strconcat("from=", texts[i], NULL);
		g_autofree char *to = g_strconcat("to=", texts[i], NULL);
		g_autofree char *want_from = g_strdup_printf(
		        ERROR_OF("from", "From must be in the format YYYY-MM-DDTHH:mm", "%s"),
		        texts[i]);
		g_autofree char *want_to = g_strdup_printf(
		        ERROR_OF("to", "To must be in the format YYYY-MM-DDTHH:mm", "%s"),
		        texts[i]);

		bad(from, want_from);
		bad(to, want_to);
	}
}
END_TEST

START_TEST(numbers_out_of_range_are_refused)
{
#define PAGE(VALUE) ERROR_OF("page", "page must be an integer, 1 or more", VALUE)
#define PER_PAGE(VALUE) \
	ERROR_OF("per_page", "per_page must be an integer between 1 and 10000", VALUE)
	bad("page=0", PAGE("0"));
	bad("page=-1", PAGE("-1"));
	bad("page=", PAGE(""));
	bad("page=1.0", PAGE("1.0"));
	bad("page=%201", PAGE(" 1"));
	bad("page=9223372036854775808", PAGE("9223372036854775808"));
	bad("per_page=0", PER_PAGE("0"));
	bad("per_page=10001", PER_PAGE("10001"));
	bad("per_page=all", PER_PAGE("all"));
	bad("per_page=99999999999999999999999", PER_PAGE("99999999999999999999999"));
	bad("as_of=x", ERROR_OF("as_of", "as_of must be an integer, 0 or more", "x"));
	bad("since=-5", ERROR_OF("since", "since must be an integer, 0 or more", "-5"));
	good("page=9223372036854775807&per_page=10000");
	done();
}
END_TEST

START_TEST(names_and_numbers_of_lists_are_checked)
{
	bad("events=bounce,bounced,Delivery",
	        ERROR_OF("events", "events must be names of event types, not: bounced, Delivery",
	                "bounce,bounced,Delivery"));
	bad("bounce_classes=10,hard",
	        ERROR_OF(
	                "bounce_classes", "bounce_classes must be integers, not: hard", "10,hard"));
	bad("subaccounts=-1",
	        ERROR_OF("subaccounts", "subaccounts must be integers, not: -1", "-1"));
	bad("event_ids=9223372036854775808",
	        ERROR_OF("event_ids", "event_ids must be integers, not: 9223372036854775808",
	                "9223372036854775808"));
}
END_TEST

START_TEST(other_faults_have_their_texts)
{
#define ZONE(VALUE) \
	ERROR_OF("timezone", \
	        "timezone must be a name of the IANA time zone database, such as Europe/Berlin", \
	        VALUE)
	bad("timezone=Mars/Olympus", ZONE("Mars/Olympus"));
	bad("timezone=../../etc/passwd", ZONE("../../etc/passwd"));
	bad("timezone=", ZONE(""));
	bad("delimiter=", ERROR_OF("delimiter", "delimiter must not be empty", ""));
	bad("page=1&page=2", ERROR_OF("page", "page must be given only once", "2"));
	bad("reason=%full%",
	        ERROR_OF("reason", "reason must be percent-encoded: a % itself is written as %25",
	                "%full%"));
	bad("recipients=a%00b",
	        ERROR_OF("recipients", "recipients must not contain a NUL byte", "a\\u0000b"));
	bad("re%ason=x",
	        ERROR_OF("re%ason", "The name of a parameter must be percent-encoded", "x"));
	bad("since=1&as_of=2", ERROR_OF("since", "since and as_of cannot be given together", "1"));
	good("page=2&page=2");
	done();
}
END_TEST

START_TEST(all_faults_are_told_at_once_and_are_json)
{
	ck_assert_int_eq(read_at("page=0&per_page=x&timezone=Nowhere&events=%22%0A%FF&from=1&to=2&"
	                         "bounce_classes=z&delimiter=",
	                         NOW),
	        -1);
	struct query_answer answer = {0};
	faults_answer(&faults, &answer);
	json_t *json = json_loadb(answer.body->str, answer.body->len, 0, NULL);
	ck_assert_ptr_nonnull(json);
	const char *want[] = {"delimiter", "events", "bounce_classes", "page", "per_page",
	        "timezone", "from", "to"};
	json_t *errors = json_object_get(json, "errors");
	ck_assert_uint_eq(json_array_size(errors), G_N_ELEMENTS(want));
	for (size_t i = 0; i < G_N_ELEMENTS(want); i++) {
		json_t *error = json_array_get(errors, i);

		ck_assert_str_eq(json_string_value(json_object_get(error, "param")), want[i]);
		ck_assert(json_is_string(json_object_get(error, "message")));
		ck_assert(json_is_string(json_object_get(error, "value")));
	}
	json_decref(json);
	query_answer_clear(&answer);
	done();
}
END_TEST

START_TEST(an_import_needs_a_source)
{
	static const struct {
		const char *target;
		int result;
		unsigned status;
	} rows[] = {
	        {"/api/v1/import?source=mail.log.1&not_after=1700000000000&damage=a%20b", 1, 0},
	        {"/api/v1/import/?source=x", 1, 0},
	        {"/api/v1/import", -1, 400},
	        {"/api/v1/import?source=x&not_after=soon", -1, 400},
	        {"/api/v1/imports?source=x", 0, 0},
	        {"/api/v1/message-events", 0, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct query_import_target target = {0};
		struct query_answer answer;

		ck_assert_int_eq(
		        query_import_target("POST", slice_str(rows[i].target), &target, &answer),
		        rows[i].result);
		ck_assert_uint_eq(answer.status, rows[i].status);
		if (i == 0) {
			ck_assert_str_eq(target.source, "mail.log.1");
			ck_assert_int_eq(target.not_after, INT64_C(1700000000000));
			ck_assert_str_eq(target.damage, "a b");
		} else {
			ck_assert_ptr_null(target.damage);
		}
		query_import_target_clear(&target);
		query_answer_clear(&answer);
	}
}
END_TEST

UNIT_MAIN("params", defaults_are_the_last_day_to_the_end_of_this_minute,
        lists_are_split_and_repeated_parameters_are_united, a_list_of_nothing_is_no_filter,
        every_list_reaches_its_filter, every_event_type_of_the_catalogue_is_a_name,
        a_reason_without_wildcard_is_looked_for_anywhere, unknown_parameters_are_ignored,
        the_minute_and_the_second_of_to_belong_to_the_window, from_defaults_to_a_day_before_to,
        the_window_is_local_time, a_local_day_of_a_clock_change_is_whole,
        an_hour_that_comes_twice_is_taken_twice, an_hour_that_the_clocks_skip_is_empty,
        defaults_in_the_repeated_hour_mean_what_their_link_says, since_opens_the_window,
        links_carry_the_filters_encoded, the_recorded_faults_of_dates_are_told_as_recorded,
        dates_that_are_none_are_refused, numbers_out_of_range_are_refused,
        names_and_numbers_of_lists_are_checked, other_faults_have_their_texts,
        all_faults_are_told_at_once_and_are_json, an_import_needs_a_source)
