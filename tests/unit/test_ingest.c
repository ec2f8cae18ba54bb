/* Events Ingest from the request to the status record and the search. */
#include "tests/support/ingest_box.h"

/* ---- tests ---- */

START_TEST(a_batch_is_taken_validated_and_found)
{
	g_autoptr(GString) lines = good_lines(100, 12);
	g_autofree char *id = send_text(lines->str);
	json_t *record = verdict(id);
	const char *batch, *event, *type, *expires, *timestamp;
	int customer;

	ck_assert_int_eq(json_unpack(record, "{s:s,s:s,s:s,s:s,s:s,s:i}", "batch_id", &batch,
	                         "event_id", &event, "type", &type, "expiration_timestamp",
	                         &expires, "timestamp", &timestamp, "customer_id", &customer),
	        0);
	ck_assert_str_eq(batch, id);
	ck_assert(spool_is_id(slice_str(event)));
	ck_assert_str_eq(type, "success");
	ck_assert_int_eq(customer, 1);
	ck_assert(g_str_has_suffix(expires, "T00:00:00.000Z"));
	ck_assert(g_str_has_suffix(timestamp, ".000Z"));
	ck_assert_ptr_null(json_object_get(record, "error_type"));
	json_decref(record);
	assert_verdict(id, "success 12 0 0");
	ck_assert_uint_eq(stored(SEARCH_RECIPIENT, "jim@example.com"), 12);
	ck_assert_uint_eq(stored(SEARCH_RECIPIENT_DOMAIN, "example.com"), 12);
	ck_assert_uint_eq(stored(SEARCH_EVENT_ID, "105"), 1);
	ck_assert_uint_eq(stored(SEARCH_SUBACCOUNT, "0"), 12);
}
END_TEST

START_TEST(every_type_comes_in_and_is_found)
{
	g_autoptr(GString) lines = g_string_new(NULL);

	for (int i = 0; i < EVENT_TYPES; i++)
		add_line(lines, event_catalogue[i].ingest_wrapper, event_catalogue[i].ingest_type,
		        (uint64_t)i + 1, seconds_ago(60), "");
	g_autofree char *want = g_strdup_printf("success %d 0 0", EVENT_TYPES);
	assert_sent(lines->str, want);
	for (int i = 0; i < EVENT_TYPES; i++)
		ck_assert_uint_eq(stored(SEARCH_EVENT, event_catalogue[i].name), 1);
}
END_TEST

START_TEST(faults_of_the_request_are_told_at_once)
{
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));
	g_autoptr(GByteArray) nothing = g_byte_array_new();
	const struct {
		const GByteArray *body;
		const char *type, *encoding;
		unsigned status;
	} cases[] = {
	        {packed, NULL, "gzip", 415},
	        {packed, "application/json", "gzip", 415},
	        {packed, "application/x-ndjson", NULL, 415},
	        {packed, "application/x-ndjson", "deflate", 415},
	        {nothing, "application/x-ndjson", "gzip", 400},
	        {packed, "Application/X-NDJSON; charset=utf-8", "GZIP", 200},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct query_answer answer = post(cases[i].body, cases[i].type, cases[i].encoding);
		ck_assert_uint_eq(answer.status, cases[i].status);
		ck_assert(g_str_has_prefix(
		        answer.body->str, answer.status == 200 ? "{\"results\":{\"id\":\""
		                                               : "{\"errors\":[{\"message\""));
		query_answer_clear(&answer);
	}
	struct query_answer answer = get(POST);
	ck_assert_uint_eq(answer.status, 405);
	query_answer_clear(&answer);
}
END_TEST

/* The outcomes that were recorded of the service. */
START_TEST(faults_of_a_batch_are_told_afterwards)
{
	g_autoptr(GString) lines = good_lines(1, 12);
	g_autoptr(GByteArray) cut = pack(slice_str(lines->str));
	g_autoptr(GByteArray) broken = g_byte_array_new();

	g_byte_array_append(broken, (const guint8 *)"\x1f\x8b\x08\x00", 4);
	g_byte_array_set_size(cut, cut->len - 9);
	assert_sent("", "empty_batch 0 0 0");
	assert_sent("\n \r\n\n", "empty_batch 0 0 0");
	assert_sent("{}\n", "validation 0 1 0");
	g_autofree char *a = send_packed(broken);
	assert_verdict(a, "decompress 0 0 0");
	g_autofree char *c = send_packed(cut);
	assert_verdict(c, "decompress 0 0 0");
	ck_assert_uint_eq(stored(-1, NULL), 0);
	assert_sent(lines->str, "success 12 0 0");
	assert_sent(lines->str, "duplicate_batch 0 0 12");
}
END_TEST

START_TEST(members_in_a_row_and_padding_are_one_batch)
{
	g_autoptr(GString) first = good_lines(1, 2), second = good_lines(3, 2);
	g_autoptr(GByteArray) packed = pack(slice_str(first->str));
	g_autoptr(GByteArray) more = pack(slice_str(second->str));
	static const guint8 zeros[300] = {0};

	g_byte_array_append(packed, more->data, more->len);
	g_byte_array_append(packed, zeros, sizeof(zeros));
	g_autofree char *id = send_packed(packed);
	assert_verdict(id, "success 4 0 0");
}
END_TEST

START_TEST(an_event_id_of_zero_comes_in_once_and_is_found_and_shown)
{
	g_autoptr(GString) lines = good_lines(0, 2);

	assert_sent(lines->str, "success 2 0 0");
	g_string_append_c(lines, '\n');
	assert_sent(lines->str, "duplicate_batch 0 0 2");
	ck_assert_uint_eq(stored(SEARCH_EVENT_ID, "0"), 1);
	struct query_answer answer = get("/api/v1/events/message?event_ids=0");
	ck_assert_ptr_nonnull(strstr(answer.body->str, "\"event_id\":\"0\""));
	query_answer_clear(&answer);
}
END_TEST

/* The URL of the refused lines in a batch's record, as told to somebody with that Host header. */
static char *href_for(const char *id, const char *host, bool tls)
{
	g_autofree char *uri = g_strconcat(STATUS "?batch_ids=", id, NULL);
	const struct query_input input = {
	        .method = "GET", .uri = slice_str(uri), .host = host, .tls = tls};
	struct query_answer answer = ask(&input);
	json_t *root = json_loads(answer.body->str, 0, NULL);
	const char *href;

	ck_assert_int_eq(json_unpack(root, "{s:[{s:s}]}", "results", "href", &href), 0);
	char *copy = g_strdup(href);
	json_decref(root);
	query_answer_clear(&answer);
	return copy;
}

START_TEST(the_file_of_refused_lines_is_named_by_a_whole_url)
{
	static const struct {
		const char *host, *want;
		bool tls;
	} rows[] = {
	        {"api.example.com", "http://api.example.com", false},
	        {"api.example.com:8443", "https://api.example.com:8443", true},
	        {"[::1]:8080", "http://[::1]:8080", false},
	        {"/run/postwake/query.sock", "", false},
	        {"evil.example/x?", "", false},
	        {"", "", false},
	        {NULL, "", false},
	};
	g_autofree char *id = send_text("{}\n");

	assert_verdict(id, "validation 0 1 0");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *href = href_for(id, rows[i].host, rows[i].tls);
		g_autofree char *want = g_strconcat(rows[i].want, POST "/failures/", id, NULL);
		ck_assert_str_eq(href, want);
	}
}
END_TEST

/* Every record of an error has its href, as the service's; nobody who follows it gets a 404. */
START_TEST(an_error_without_refused_lines_has_an_empty_file_of_them)
{
	g_autoptr(GString) lines = good_lines(1, 2);
	g_autofree char *good = send_text(lines->str);

	assert_verdict(good, "success 2 0 0");
	ck_assert_ptr_null(refused_lines(good));
	g_autofree char *again = send_text(lines->str), *empty = send_text("");
	assert_verdict(again, "duplicate_batch 0 0 2");
	assert_verdict(empty, "empty_batch 0 0 0");
	g_autofree char *none = refused_lines(again), *nothing = refused_lines(empty);
	ck_assert_pstr_eq(none, "");
	ck_assert_pstr_eq(nothing, "");
	static const char *const foreign[] = {"8", NULL};
	b.access.scope.subaccounts = foreign;
	b.access.who = "key 9";
	ck_assert_ptr_null(refused_lines(again));
}
END_TEST

START_TEST(bad_events_are_dropped_counted_and_kept_for_download)
{
	g_autoptr(GString) lines = good_lines(1, 3);

	add_line(lines, "banana", "inband", 7, seconds_ago(60), ",\"subject\":\"\xc2\x9b\"");
	g_string_append(lines, "no json\n{\"msys\":\n{ }");
	g_autofree char *id = send_text(lines->str);
	assert_verdict(id, "validation 3 4 0");
	ck_assert_uint_eq(stored(-1, NULL), 3);
	g_autofree char *refused = refused_lines(id);
	g_auto(GStrv) each = g_strsplit(refused, "\n", -1);
	ck_assert_uint_eq(g_strv_length(each), 5);
	ck_assert(g_str_has_prefix(each[0], "{\"error\":{\"line\":4,\"message\":\"Unknown wrapper "
	                                    "banana\"},\"msys\":{\"banana\""));
	ck_assert_str_eq(each[3],
	        "{\"error\":{\"line\":7,\"message\":\"Missing msys with the wrapper of the "
	        "event\"}}");
	ck_assert_ptr_nonnull(strstr(each[1], "\"text\":\"no json\"}"));
	for (int i = 0; i < 4; i++) {
		json_t *root = json_loads(each[i], 0, NULL);
		ck_assert_msg(root != NULL && strchr(each[i], '\x9b') == NULL, "%s", each[i]);
		json_decref(root);
	}
	json_t *record = verdict(id);
	const char *href;
	int retryable;
	ck_assert_int_eq(
	        json_unpack(record, "{s:s,s:b}", "href", &href, "retryable", &retryable), 0);
	ck_assert(g_str_has_prefix(href, POST "/failures/"));
	ck_assert(g_str_has_suffix(href, id));
	ck_assert_int_eq(retryable, 0);
	json_decref(record);
}
END_TEST

START_TEST(an_event_comes_in_once_by_its_id)
{
	g_autoptr(GString) lines = good_lines(1, 5);
	g_autoptr(GString) more = good_lines(3, 5);
	g_autoptr(GString) later = g_string_new(NULL);

	g_string_append(lines, lines->str);
	assert_sent(lines->str, "success 5 0 5");
	assert_sent(more->str, "success 2 0 3");
	/* The same id at another time of another day is the same event. */
	add_line(later, "message_event", "inband", 4, seconds_ago(86000), "");
	add_line(later, "message_event", "inband", 90, seconds_ago(86000), "");
	assert_sent(later->str, "success 1 0 1");
	ck_assert_uint_eq(stored(-1, NULL), 8);
}
END_TEST

START_TEST(events_that_are_too_old_or_of_the_future_are_refused)
{
	g_autoptr(GString) lines = good_lines(1, 1);

	add_line(lines, "message_event", "delivery", 2, seconds_ago(25 * 3600), "");
	add_line(lines, "message_event", "delivery", 3, seconds_ago(-25 * 3600), "");
	add_line(lines, "message_event", "delivery", 4, 1, "");
	assert_sent(lines->str, "validation 1 3 0");
}
END_TEST

START_TEST(without_a_limit_of_age_only_retention_counts)
{
	g_autoptr(GString) lines = good_lines(1, 1);

	stop();
	b.config.max_age = 0;
	start();
	add_line(lines, "message_event", "delivery", 2, seconds_ago(5 * 86400), "");
	add_line(lines, "message_event", "delivery", 3, seconds_ago(12 * 86400), "");
	assert_sent(lines->str, "validation 2 1 0");
}
END_TEST

START_TEST(a_clock_that_leaps_makes_no_event_too_old)
{
	g_autoptr(GString) lines = good_lines(1, 1);
	int64_t now = clock_now(), boot = clock_boot(), time;

	ck_assert_int_eq(store_look_at_clock(b.store, now - 20 * CLOCK_DAY, boot, &time, NULL), 0);
	ck_assert_int_eq(store_look_at_clock(b.store, now, boot, &time, NULL), 0);
	add_line(lines, "message_event", "delivery", 2, seconds_ago(20 * 86400 + 3600), "");
	add_line(lines, "message_event", "delivery", 3, seconds_ago(22 * 86400), "");
	assert_sent(lines->str, "validation 2 1 0");
}
END_TEST

START_TEST(a_sender_writes_within_its_scope_and_sees_no_other_batches)
{
	static const char *const subaccounts[] = {"7", NULL}, *const domains[] = {
	                                                              "shop.example", NULL};
	g_autoptr(GString) mine = g_string_new(NULL), other = good_lines(50, 1);

	add_line(mine, "message_event", "delivery", 1, seconds_ago(60), "");
	g_string_truncate(mine, 0);
	add_line(mine, "message_event", "delivery", 1, seconds_ago(60),
	        ",\"friendly_from\":\"a@Shop.Example\"");
	add_line(mine, "message_event", "delivery", 2, seconds_ago(60),
	        ",\"friendly_from\":\"a@shop.example\",\"subaccount_id\":8");
	add_line(mine, "message_event", "delivery", 3, seconds_ago(60),
	        ",\"friendly_from\":\"a@else.example\",\"subaccount_id\":\"7\"");
	g_autofree char *foreign = send_text(other->str);
	assert_verdict(foreign, "success 1 0 0");

	b.access = (struct access){
	        .grants = GRANT_INGEST, .scope = {subaccounts, domains}, .who = "key 3"};
	g_autofree char *id = send_text(mine->str);
	assert_verdict(id, "validation 1 2 0");
	ck_assert_uint_eq(stored(SEARCH_SUBACCOUNT, "7"), 1);
	g_autofree char *refused = refused_lines(id);
	ck_assert_ptr_nonnull(strstr(refused, "subaccount_id 8 may not be written"));
	ck_assert_ptr_nonnull(strstr(refused, "neither the domain of friendly_from nor"));

	g_autofree char *query = g_strconcat("?batch_ids=", foreign, NULL);
	json_t *root = records(query);
	ck_assert_int_eq(json_integer_value(json_object_get(root, "total_count")), 0);
	json_decref(root);
	g_autofree char *uri = g_strconcat(POST "/", foreign, NULL);
	struct query_answer answer = get(uri);
	ck_assert_uint_eq(answer.status, 404);
	query_answer_clear(&answer);
	/* Who may read as much as the sender may write sees it; who may only write does not. */
	b.access.who = "key 4";
	ck_assert_ptr_null(refused_lines(id));
	b.access.grants = GRANT_READ;
	g_autofree char *again = refused_lines(id);
	ck_assert_ptr_nonnull(again);
	json_t *record = verdict(id);
	ck_assert_int_eq(json_integer_value(json_object_get(record, "subaccount_id")), 7);
	json_decref(record);
	static const char *const wider[] = {"8", NULL};
	b.access.scope.subaccounts = wider;
	ck_assert_ptr_null(refused_lines(id));
}
END_TEST

START_TEST(a_batch_is_given_back_as_it_came)
{
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));
	g_autofree char *id = send_packed(packed);
	g_autofree char *uri = g_strconcat(POST "/", id, NULL);
	struct query_answer answer = get(uri);

	ck_assert_uint_eq(answer.status, 200);
	ck_assert(slice_eq(slice_make(answer.body->str, answer.body->len),
	        slice_make((const char *)packed->data, packed->len)));
	ck_assert_str_eq(answer.type, "application/gzip");
	query_answer_clear(&answer);
	static const char *const none[] = {POST "/b2013586-c13f-4da4-baf4-11b9d8e40c50",
	        POST "/..%2flock", POST "/failures/b2013586-c13f-4da4-baf4-11b9d8e40c50",
	        POST "/failures/..", POST "/failures"};
	for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
		answer = get(none[i]);
		ck_assert_msg(answer.status == 404, "%s: %u", none[i], answer.status);
		query_answer_clear(&answer);
	}
}
END_TEST

START_TEST(status_records_are_filtered_and_paged)
{
	g_autoptr(GString) lines = good_lines(1, 1);

	assert_sent(lines->str, "success 1 0 0");
	assert_sent(lines->str, "duplicate_batch 0 0 1");
	assert_sent("", "empty_batch 0 0 0");
	assert_sent("{}", "validation 0 1 0");
	assert_count("", 4);
	assert_count("?events=success", 1);
	assert_count("?events=error", 3);
	assert_count("?events=success,error", 4);
	assert_count("?error_types=validation", 1);
	assert_count("?error_types=validation%7Cempty_batch&delimiter=%7C", 2);
	assert_count("?error_types=validation&error_types=duplicate_batch", 2);
	assert_count("?retryable=false", 3);
	assert_count("?retryable=true", 0);
	assert_count("?subaccounts=0", 4);
	assert_count("?subaccounts=3", 0);
	assert_count("?event_ids=b2013586-c13f-4da4-baf4-11b9d8e40c50", 0);
	assert_count("?from=2020-01-01T00:00:00Z", 4);
	assert_count("?from=2020-01-01T00:00&to=2020-01-02T00:00", 0);
	assert_count("?to=2020-01-02T00:00:00Z", 0);
	assert_count("?unheard=of", 4);
	int seen = 0, pages = 0;
	g_autofree char *uri = g_strdup(STATUS "?per_page=3&events=success,error");
	while (uri != NULL) {
		struct query_answer answer = get(uri);
		ck_assert_msg(answer.status == 200, "%s", answer.body->str);
		json_t *root = json_loads(answer.body->str, 0, NULL);
		const char *next = NULL;
		seen += (int)json_array_size(json_object_get(root, "results"));
		json_unpack(root, "{s:{s:s}}", "links", "next", &next);
		g_free(uri);
		uri = g_strdup(next);
		json_decref(root);
		query_answer_clear(&answer);
		pages++;
		if (pages == 1) /* not of this traversal */
			assert_sent("[]", "validation 0 1 0");
	}
	ck_assert_int_eq(seen, 4);
	ck_assert_int_eq(pages, 2);
}
END_TEST

START_TEST(wrong_parameters_are_told_by_name)
{
	static const char *const wrong[][2] = {{"?from=now", "from"},
	        {"?to=2020-13-01T00:00", "to"}, {"?to=2020-01-01T-0:00", "to"},
	        {"?to=2020-01--5T00:00:00Z", "to"}, {"?to=2020-01-01T%200:00", "to"},
	        {"?from=2020-01-02T00:00&to=2020-01-01T00:00", "from"}, {"?per_page=0", "per_page"},
	        {"?per_page=10001", "per_page"}, {"?cursor=x", "cursor"}, {"?cursor=0.1", "cursor"},
	        {"?events=bounce", "events"}, {"?error_types=x", "error_types"},
	        {"?retryable=maybe", "retryable"}, {"?subaccounts=a", "subaccounts"},
	        {"?delimiter=", "delimiter"}, {"?batch_ids=%zz", "batch_ids"}, {"?from=", "from"},
	        {"?to=", "to"}, {"?per_page=", "per_page"}, {"?cursor=", "cursor"},
	        {"?retryable=", "retryable"}, {"?per_page=1&per_page=2", "per_page"},
	        {"?retryable=true&retryable=false", "retryable"},
	        {"?delimiter=a&delimiter=b", "delimiter"}, {"?batch_ids=a%00b", "batch_ids"}};

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autofree char *uri = g_strconcat(STATUS, wrong[i][0], NULL);
		g_autofree char *want =
		        g_strdup_printf("{\"errors\":[{\"param\":\"%s\",", wrong[i][1]);
		struct query_answer answer = get(uri);
		ck_assert_msg(answer.status == 400, "%s: %s", uri, answer.body->str);
		ck_assert_msg(g_str_has_prefix(answer.body->str, want), "%s", answer.body->str);
		ck_assert_ptr_null(strstr(answer.body->str + strlen(want), "\"param\""));
		query_answer_clear(&answer);
	}
}
END_TEST

START_TEST(documentation_needs_no_key)
{
	static const char *const uris[] = {
	        POST "/documentation", POST "/samples", POST "/samples?events=inband,delivery"};
	static const size_t sizes[] = {EVENT_TYPES, EVENT_TYPES, 2};
	struct query_answer answer;

	b.access = access_none;
	for (size_t i = 0; i < G_N_ELEMENTS(uris); i++) {
		answer = get(uris[i]);
		ck_assert_uint_eq(answer.status, 200);
		json_t *root = json_loads(answer.body->str, 0, NULL);
		ck_assert_uint_eq(json_array_size(json_object_get(root, "results")), sizes[i]);
		json_decref(root);
		query_answer_clear(&answer);
	}
	answer = get(POST "/samples?events=banana");
	ck_assert_uint_eq(answer.status, 400);
	query_answer_clear(&answer);
	answer = get(STATUS);
	ck_assert_uint_eq(answer.status, 401);
	query_answer_clear(&answer);
}
END_TEST

START_TEST(a_bomb_and_a_flood_are_refused_whole)
{
	g_autofree char *zeros = g_malloc0(INGEST_INFLATED_MAX + 1);
	g_autoptr(GByteArray) bomb = pack(slice_make(zeros, INGEST_INFLATED_MAX + 1));
	ck_assert_uint_lt(bomb->len, INGEST_BODY_MAX);
	g_autofree char *a = send_packed(bomb);
	assert_verdict(a, "decompress 0 0 0");

	size_t n = 3 * ((size_t)INGEST_LINES_MAX + 1);
	for (size_t i = 0; i < n; i++)
		zeros[i] = "{}\n"[i % 3];
	g_autoptr(GByteArray) flood = pack(slice_make(zeros, n));
	g_autofree char *c = send_packed(flood);
	assert_verdict(c, "decompress 0 0 0");
	/* One endless line is one refused line. */
	memset(zeros, 'x', 20 * MEGABYTE);
	g_autoptr(GByteArray) line = pack(slice_make(zeros, 20 * MEGABYTE));
	g_autofree char *d = send_packed(line);
	assert_verdict(d, "validation 0 1 0");
}
END_TEST

START_TEST(validated_batches_make_room_and_waiting_ones_do_not)
{
	g_autofree char *noise = g_malloc(MEGABYTE);
	struct error err = {0};

	for (int i = 0; i < MEGABYTE; i++)
		noise[i] = (char)g_random_int();
	g_autoptr(GByteArray) body = pack(slice_make(noise, MEGABYTE));
	stop();
	b.config.most = 5 * MEGABYTE / 2;
	start();
	g_autofree char *first = send_packed(body);
	json_decref(verdict(first));
	g_autofree char *second = send_packed(body);
	json_decref(verdict(second));
	g_autofree char *third = send_packed(body);
	json_decref(verdict(third));
	struct spool_batch batch;
	ck_assert_int_eq(spool_read(b.store, first, &batch, NULL), 0);
	spool_batch_clear(&batch);
	ck_assert_int_eq(spool_read(b.store, third, &batch, NULL), 1);
	spool_batch_clear(&batch);

	/* Nobody validates here. */
	struct spool *spool = spool_open(b.store, 5 * MEGABYTE, &err);
	char id[INGEST_ID_SIZE];
	struct slice bytes = slice_make((const char *)body->data, body->len);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(spool_put(spool, NULL, &access_all.scope, 1, bytes, id, &err), 0);
	ck_assert_int_eq(spool_put(spool, NULL, &access_all.scope, 1, bytes, id, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "raise ingest_max_size"));
	spool_free(&spool);
}
END_TEST

static int no_disk(void *ctx, const struct access *access, struct slice batch,
        char id[INGEST_ID_SIZE], struct error *err)
{
	(void)ctx;
	(void)access;
	(void)batch;
	(void)id;
	return error_errno(err, ENOSPC, "cannot write");
}

START_TEST(without_room_the_sender_is_told_to_come_back)
{
	static const struct ingest_service full = {.take = no_disk};
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));

	b.query.ingest = &full;
	struct query_answer answer = post(packed, "application/x-ndjson", "gzip");
	ck_assert_uint_eq(answer.status, 503);
	ck_assert_int_gt(answer.retry_after, 0);
	query_answer_clear(&answer);
	b.query.ingest = NULL;
	answer = post(packed, "application/x-ndjson", "gzip");
	ck_assert_uint_eq(answer.status, 503);
	query_answer_clear(&answer);
}
END_TEST

START_TEST(while_the_store_may_not_grow_nothing_is_taken)
{
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));

	ingest_hold(b.ingest, true);
	struct query_answer answer = post(packed, "application/x-ndjson", "gzip");
	ck_assert_uint_eq(answer.status, 503);
	query_answer_clear(&answer);
	ingest_hold(b.ingest, false);
	assert_sent("{}\n", "validation 0 1 0");
}
END_TEST

START_TEST(expired_batches_leave_nothing)
{
	struct error err = {0};

	g_autofree char *id = send_text("{}\n");
	assert_verdict(id, "validation 0 1 0");
	struct spool *spool = spool_open(b.store, MEGABYTE, &err);
	g_autoptr(GPtrArray) none = spool_expire(spool, clock_now(), &err);
	ck_assert_uint_eq(none->len, 0);
	g_autoptr(GPtrArray) ids = spool_expire(spool, clock_now() + 12 * CLOCK_DAY, &err);
	ck_assert_uint_eq(ids->len, 1);
	ck_assert_str_eq(ids->pdata[0], id);
	spool_free(&spool);
	uint64_t ticket = capture_try_ingest_drop(b.capture, ids, 10000);
	ck_assert_int_eq(capture_wait(b.capture, ticket, 10000), 1);
	assert_count("", 0);
	ck_assert_ptr_null(refused_lines(id));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_batch_is_taken_validated_and_found,
	        every_type_comes_in_and_is_found, faults_of_the_request_are_told_at_once,
	        faults_of_a_batch_are_told_afterwards, members_in_a_row_and_padding_are_one_batch,
	        an_event_id_of_zero_comes_in_once_and_is_found_and_shown,
	        the_file_of_refused_lines_is_named_by_a_whole_url,
	        an_error_without_refused_lines_has_an_empty_file_of_them,
	        bad_events_are_dropped_counted_and_kept_for_download,
	        an_event_comes_in_once_by_its_id,
	        events_that_are_too_old_or_of_the_future_are_refused,
	        without_a_limit_of_age_only_retention_counts,
	        a_clock_that_leaps_makes_no_event_too_old,
	        a_sender_writes_within_its_scope_and_sees_no_other_batches,
	        a_batch_is_given_back_as_it_came, status_records_are_filtered_and_paged,
	        wrong_parameters_are_told_by_name, documentation_needs_no_key,
	        a_bomb_and_a_flood_are_refused_whole,
	        validated_batches_make_room_and_waiting_ones_do_not,
	        without_room_the_sender_is_told_to_come_back,
	        while_the_store_may_not_grow_nothing_is_taken, expired_batches_leave_nothing};
	Suite *suite = suite_create("ingest");
	TCase *cases = tcase_create("ingest");

	tcase_set_timeout(cases, 120);
	tcase_add_checked_fixture(cases, setup, teardown);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		tcase_add_test(cases, tests[i]);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
