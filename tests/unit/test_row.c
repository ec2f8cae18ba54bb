/* Rows and strings in their packed form: what was put in comes out, byte by byte. */
#include <string.h>

#include "event/catalogue.h"
#include "event/identity.h"
#include "store/fetch.h"
#include "store/pack.h"
#include "store/private.h"
#include "store/row.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

START_TEST(strings_come_out_as_they_went_in)
{
	static const char *const table[] = {"", "0", "f", "F", "fF", "deadbeef", "DEADBEE",
	        "4jWXPw44QbzRVZt", "a.b-c", "a_b", "g", "\x80", "with blank", ".-.-", "zZ9",
	        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-"};
	char text[100];

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_autoptr(GByteArray) bytes = g_byte_array_new();
		pack_string(bytes, slice_str(table[i]));
		pack_number(bytes, i);
		struct unpack in = unpack_start(slice_make((char *)bytes->data, bytes->len));
		struct packed packed = unpack_string(&in);
		ck_assert_uint_eq(packed.n, strlen(table[i]));
		packed_text(&packed, text);
		ck_assert(slice_eq(slice_make(text, packed.n), slice_str(table[i])));
		ck_assert_uint_eq(unpack_number(&in), i);
		ck_assert(!in.bad && in.p == in.end);
	}
}
END_TEST

START_TEST(strings_that_are_cut_off_or_claim_too_much_are_bad)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	pack_string(bytes, SLICE("4jWXPw44QbzRVZt"));
	for (guint n = 0; n < bytes->len; n++) {
		struct unpack in = unpack_start(slice_make((char *)bytes->data, n));
		struct packed packed = unpack_string(&in);
		ck_assert(in.bad);
		ck_assert_uint_eq(packed.n, 0);
	}
	for (unsigned alphabet = 0; alphabet < 4; alphabet++) {
		g_byte_array_set_size(bytes, 0);
		pack_number(bytes, (UINT64_MAX & ~UINT64_C(3)) | alphabet);
		pack_number(bytes, 0);
		struct unpack in = unpack_start(slice_make((char *)bytes->data, bytes->len));
		ck_assert_uint_eq(unpack_string(&in).n, 0);
		ck_assert(in.bad);
	}
}
END_TEST

START_TEST(a_reply_is_split_into_what_comes_again_and_what_does_not)
{
	static const struct {
		const char *text, *frame;
		unsigned n;
	} table[] = {
	        {"250 2.0.0 Ok: queued as 334628DBF", "250 2.0.0 Ok: queued as \1", 1},
	        {"250 2.0.0 OK  1717171717 d9443c01a7336-1f6323f8ab5si1.222 - gsmtp",
	                "250 2.0.0 OK  \1 \1-\1.\1 - gsmtp", 4},
	        {"delivered to mailbox", "delivered to mailbox", 0},
	        {"25", "25", 0},
	        {"", "", 0},
	        {"250 a1", "250 \1", 1},
	        {"250 a1b", "250 \1", 1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_autoptr(GString) frame = g_string_new(NULL);
		struct slice tokens[PACK_TOKENS];
		ck_assert(pack_splits(slice_str(table[i].text)));
		ck_assert_uint_eq(pack_split(slice_str(table[i].text), frame, tokens), table[i].n);
		ck_assert_str_eq(frame->str, table[i].frame);
	}
	ck_assert(!pack_splits(SLICE("250 \1")));
}
END_TEST

static char *dir;
static struct store *store;

static void setup(void)
{
	dir = scratch_make();
	store = open_store(dir, STORE_WRITE);
}

static void teardown(void)
{
	store_close(&store);
	scratch_remove(&dir);
}

static void compare(void *ctx, const struct event *event)
{
	const struct event **want = ctx;

	for (unsigned i = 0; i < FIELDS; i++) {
		ck_assert_msg((event->field[i].p == NULL) == ((*want)->field[i].p == NULL) &&
		                      slice_eq(event->field[i], (*want)->field[i]),
		        "%s: '%.*s', not '%.*s'", field_catalogue[i].name, (int)event->field[i].n,
		        event->field[i].p, (int)(*want)->field[i].n, (*want)->field[i].p);
	}
	ck_assert_int_eq(event->injected, (*want)->injected);
	ck_assert_int_eq(event->time, (*want)->time);
	ck_assert_uint_eq(event->id, (*want)->id);
	ck_assert_int_eq(event->type, (*want)->type);
	--*want;
}

/* Searching finds the newest first: the last of them. */
static void check_all(const struct event *events, size_t n)
{
	struct search search = SEARCH_ALL;
	const struct event *last = &events[n - 1];
	uint64_t total;

	search.limit = (unsigned)n;
	ck_assert_int_eq(store_search(store, &search, compare, &last, &total, NULL), 0);
	ck_assert_uint_eq(total, n);
	ck_assert_ptr_eq(last, events - 1);
}

static struct event message_event(
        uint64_t n, const char *message_id, const char *transmission, const char *template)
{
	struct event event = {.type = EVENT_DELIVERY,
	        .time = DAY1 + (int64_t)n * 1000,
	        .id = n + 1,
	        .injected = DAY1 + (int64_t)n};

	set_field(&event, FIELD_MESSAGE_ID, message_id);
	set_field(&event, FIELD_TRANSMISSION_ID, transmission);
	set_field(&event, FIELD_TEMPLATE_ID, template);
	return event;
}

START_TEST(what_is_derived_and_what_only_looks_so_comes_back)
{
	char id[IDENTITY_MESSAGE_ID_LEN + 1], upper[sizeof(id)], number[24], template[40];
	struct slice message_id = slice_make(id, IDENTITY_MESSAGE_ID_LEN);

	identity_message_id(SLICE("n"), SLICE("postfix"), SLICE("4jWX"), DAY1, id);
	for (size_t i = 0; i < sizeof(id); i++)
		upper[i] = g_ascii_toupper(id[i]);
	g_snprintf(number, sizeof(number), "%" G_GUINT64_FORMAT, identity_parts(&message_id, 1));
	g_snprintf(template, sizeof(template), "smtp_%s", number);
	struct event events[] = {
	        message_event(0, id, number, template),
	        message_event(1, upper, "01", "smtp_1"),
	        message_event(2, "0000000000000000zzzz", "x", "smtp_"),
	        message_event(3, id, "", ""),
	        message_event(4, "", "0", "smtp_0"),
	        message_event(5, id, number, "smtp_x"),
	        message_event(6, NULL, "999999999999999999", "smtp_999999999999999999"),
	        message_event(7, NULL, NULL, "smtp_"),
	        message_event(2000000, id, "18446744073709551615", template),
	};
	events[1].injected = 0;
	events[2].injected = DAY1 - CLOCK_DAY * 20 + 1;
	events[3].injected = DAY1 + CLOCK_DAY * 3 - 1;
	events[4].injected = 1;
	events[8].time = DAY1 + 80000 * 1000;
	commit_events(store, events, G_N_ELEMENTS(events));
	check_all(events, G_N_ELEMENTS(events));
}
END_TEST

/* Any field may hold anything. Few kinds of text, so that what is alike meets. */
static void random_field(GRand *rand, struct event *event, enum field field, char *text)
{
	static const char *const texts[] = {"", "0", "00", "7", "-1", "a@b.example", "A@b.example",
	        "@", "a@b@c", "b.example", "smtp_7", "smtp_", "250 2.0.0 Ok: queued as 4F2A1",
	        "250 \1 x", "\xff\x80", "0000", "12345678901234567890", "x y", "z-.Z",
	        "a b c d1 e22"};
	const char *from = texts[g_rand_int_range(rand, 0, G_N_ELEMENTS(texts))];

	if (g_rand_int_range(rand, 0, 4) == 0)
		g_snprintf(text, 64, "%s%x", from, g_rand_int(rand));
	else
		g_strlcpy(text, from, 64);
	set_field(event, field, text);
}

START_TEST(any_text_in_any_field_comes_back)
{
	enum { EVENTS = 2000 };
	g_autofree struct event *events = g_new0(struct event, EVENTS);
	g_autofree char *texts = g_new(char, EVENTS *FIELDS * 64);
	GRand *rand = g_rand_new_with_seed(5);

	for (size_t i = 0; i < EVENTS; i++) {
		struct event *event = &events[i];
		event->type = (enum event_type)g_rand_int_range(rand, 0, EVENT_TYPES);
		event->time = DAY1 + (int64_t)i * 1000;
		event->id = i + 1;
		for (unsigned f = 0; f < FIELDS; f++)
			if (f != FIELD_TYPE && f != FIELD_EVENT_ID && f != FIELD_TIMESTAMP &&
			        f != FIELD_INJECTION_TIME && g_rand_int_range(rand, 0, 3) == 0)
				random_field(
				        rand, event, (enum field)f, texts + (i * FIELDS + f) * 64);
		if (row_has_message(event))
			event->injected = DAY1 - (int64_t)i * 500;
	}
	g_rand_free(rand);
	commit_events(store, events, EVENTS);
	check_all(events, EVENTS);
}
END_TEST

START_TEST(a_string_enters_the_dictionary_when_it_comes_again)
{
	struct event events[3];
	int64_t words = -1;

	for (size_t i = 0; i < 3; i++) {
		events[i] = make_event(EVENT_INJECTION, DAY1 + (int64_t)i, i + 1, NULL, NULL);
		set_field(&events[i], FIELD_MX_HOST, i < 2 ? "mx.example" : "other.example");
	}
	commit_events(store, events, 3);
	check_all(events, 3);
	struct day_writer *writer = day_writer_get(store, DAY1 / CLOCK_DAY, NULL);
	sql_number(&writer->sql, "SELECT count(*) FROM word_hash", -1, &words, NULL);
	ck_assert_int_eq(words, 1);
}
END_TEST

START_TEST(damaged_rows_are_an_error_at_most)
{
	struct search search = SEARCH_ALL;
	struct error err = {0};
	uint64_t total;
	struct event events[20];
	char queue_id[20][16];
	unsigned failed = 0;

	for (size_t i = 0; i < 20; i++) {
		events[i] = make_event(EVENT_DELIVERY, DAY1 + (int64_t)i, i + 1,
		        "0000f4de006bf96076aa", "user@example.com");
		g_snprintf(queue_id[i], sizeof(queue_id[i]), "4jWX%d", (int)i);
		set_field(&events[i], FIELD_QUEUE_ID, queue_id[i]);
		set_field(&events[i], FIELD_RAW_REASON, "250 2.0.0 Ok: queued as 4F2A1");
	}
	commit_events(store, events, 20);
	struct day_writer *writer = day_writer_get(store, DAY1 / CLOCK_DAY, NULL);
	for (unsigned i = 0; i < 400; i++) {
		g_autofree char *text = g_strdup_printf(
		        "UPDATE %s SET body = CAST(substr(body, 1, %u) || randomblob(%u) || "
		        "substr(body, %u) AS BLOB)",
		        i % 3 == 0   ? "event"
		        : i % 3 == 1 ? "message"
		                     : "shape",
		        i % 40, i / 7 % 3, i % 40 + 1 + i / 5 % 3);
		ck_assert_int_eq(sql_begin(&writer->sql, NULL), 0);
		ck_assert_int_eq(sql_exec(&writer->sql, text, NULL), 0);
		struct day_reader reader = {.sql = writer->sql};
		sqlite3_stmt *stmt = writer->sql.stmt[DAY_EVENT_BY_ID];
		struct results results;
		struct match *match = match_new(&search, NULL);
		results_init(&results);
		for (int64_t row = 0; row < 20; row++) {
			sqlite3_bind_int64(stmt, 1, day_row(row) + row);
			if (sql_step(&writer->sql, stmt, NULL) == 1)
				failed += results_take(&results, writer->day, &reader, stmt, match,
				                  true, &err) < 0;
			sqlite3_reset(stmt);
		}
		error_clear(&err);
		match_free(&match);
		results_clear(&results);
		dict_reader_clear(&reader.dict);
		sql_rollback(&writer->sql);
	}
	ck_assert_uint_gt(failed, 100);
	ck_assert_int_eq(store_search(store, &search, compare, &(const struct event *){&events[19]},
	                         &total, NULL),
	        0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {strings_come_out_as_they_went_in,
	        strings_that_are_cut_off_or_claim_too_much_are_bad,
	        a_reply_is_split_into_what_comes_again_and_what_does_not,
	        what_is_derived_and_what_only_looks_so_comes_back, any_text_in_any_field_comes_back,
	        a_string_enters_the_dictionary_when_it_comes_again,
	        damaged_rows_are_an_error_at_most, NULL};

	return run_store_tests("row", setup, teardown, tests);
}
