/* The store as a whole: files, locks, versions, retention, control file. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "store/private.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

static char *dir;

static void setup(void)
{
	dir = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
}

static struct event full_event(void)
{
	static const struct {
		enum field field;
		const char *value;
	} values[] = {
	        {FIELD_MESSAGE_ID, "0000e0c9e165a1b2c3d4"},
	        {FIELD_RCPT_TO, "john.doe@example.com"},
	        {FIELD_RAW_RCPT_TO, "John.Doe@Example.com"},
	        {FIELD_RECIPIENT_DOMAIN, "example.com"},
	        {FIELD_ROUTING_DOMAIN, "google.com"},
	        {FIELD_ORIG_RCPT_TO, "alias"},
	        {FIELD_SUBJECT, "Gr\xc3\xbc\xc3\x9f Gott"},
	        {FIELD_MSG_FROM, ""},
	        {FIELD_FRIENDLY_FROM, "news@shop.example"},
	        {FIELD_SENDING_DOMAIN, "shop.example"},
	        {FIELD_REASON, "550 5.1.1 unknown user"},
	        {FIELD_RAW_REASON, "550 5.1.1 unknown user <john>"},
	        {FIELD_BOUNCE_CLASS, "10"},
	        {FIELD_ERROR_CODE, "0550"},
	        {FIELD_QUEUE_TIME, "-1"},
	        {FIELD_MSG_SIZE, "123456789012345678"},
	        {FIELD_TRANSMISSION_ID, "9223372036854775807"},
	        {FIELD_RCPT_META, "{\"a\":1}"},
	        {FIELD_PARENT_MESSAGE_ID, "ABC"},
	        {FIELD_QUEUE_ID, "4NtLMR5Ylxz1Dy"},
	        {FIELD_MX_HOST, "mx\x80.example"},
	};
	struct event event = {.type = EVENT_BOUNCE, .time = DAY1 + 3723456, .id = 77};

	event.injected = DAY1 + 3600000;
	for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
		set_field(&event, values[i].field, values[i].value);
	return event;
}

static void compare_full(void *ctx, const struct event *event)
{
	struct event want = full_event();

	++*(int *)ctx;
	ck_assert_int_eq(event->type, want.type);
	ck_assert_uint_eq(event->id, want.id);
	ck_assert_int_eq(event->time, want.time);
	ck_assert_int_eq(event->injected, want.injected);
	ck_assert_uint_eq(event->row >> 16, (uint64_t)want.time);
	ck_assert_uint_eq(event->arrival, 1);
	for (unsigned i = 0; i < FIELDS; i++) {
		ck_assert_int_eq(event->field[i].p != NULL, want.field[i].p != NULL);
		ck_assert_msg(slice_eq(event->field[i], want.field[i]), "field %u: '%.*s'", i,
		        SLICE_ARG(event->field[i]));
	}
}

START_TEST(an_event_comes_back_as_it_was)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = full_event();
	struct search search = SEARCH_ALL;
	uint64_t total;
	int calls = 0;

	ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	ck_assert_int_eq(store_search(store, &search, compare_full, &calls, &total, NULL), 0);
	store_close(&store);
	store = open_store(dir, STORE_READ);
	ck_assert_int_eq(store_search(store, &search, compare_full, &calls, &total, NULL), 0);
	ck_assert_int_eq(calls, 2);
	ck_assert_uint_eq(total, 1);
	store_close(&store);
}
END_TEST

START_TEST(a_second_process_cannot_write)
{
	struct store *store = open_store(dir, STORE_WRITE), *other;
	struct error err = {0};

	/* flock belongs to the open file: a second handle of this process stands for another. */
	ck_assert_int_eq(store_open(&other, dir, STORE_WRITE, NULL, &err), -1);
	ck_assert_int_eq(err.number, EWOULDBLOCK);
	ck_assert_ptr_null(other);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(store_open(&other, dir, STORE_WRITE, NULL, NULL) == -1 ? 0 : 1);
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	store_close(&store);
}
END_TEST

START_TEST(a_lock_that_was_deleted_is_taken_again_before_another_process_has_it)
{
	struct store *store = open_store(dir, STORE_WRITE), *other;
	g_autofree char *lock = g_build_filename(dir, "lock", NULL);
	struct error err = {0};

	ck_assert_int_eq(store_keep_lock(store, &err), 0);
	ck_assert_int_eq(g_unlink(lock), 0);
	ck_assert_int_eq(store_keep_lock(store, &err), 1);
	ck_assert_int_eq(store_keep_lock(store, &err), 0);
	ck_assert_int_eq(store_open(&other, dir, STORE_WRITE, NULL, &err), -1);
	error_clear(&err);
	/* Another one was quicker. */
	ck_assert_int_eq(g_unlink(lock), 0);
	other = open_store(dir, STORE_WRITE);
	ck_assert_int_eq(store_keep_lock(store, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "another process writes it"));
	store_close(&other);
	/* What it has written nobody knows here. */
	error_clear(&err);
	ck_assert_int_eq(store_keep_lock(store, &err), -1);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	ck_assert_int_eq(store_keep_lock(store, &err), 0);
	store_close(&store);
}
END_TEST

START_TEST(a_reader_needs_a_store)
{
	struct store *store = NULL;
	struct error err = {0};
	g_autofree char *none = g_build_filename(dir, "none", NULL);

	ck_assert_int_eq(store_open(&store, none, STORE_READ, NULL, &err), -1);
	ck_assert_int_eq(err.number, ENOENT);
	error_clear(&err);
	ck_assert_int_eq(store_open(&store, dir, STORE_READ, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, dir));
}
END_TEST

static void set_version(const char *file, int version)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	g_autofree char *text =
	        g_strdup_printf("PRAGMA user_version = %d; PRAGMA application_id = %d", version,
	                SQL_SIGN + version);
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

START_TEST(a_newer_store_is_refused_and_told_by_name)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = full_event();
	struct error err = {0};

	commit_events(store, &event, 1);
	store_close(&store);
	set_version("2024-03-01.db", 7);
	for (int mode = STORE_READ; mode <= STORE_WRITE; mode++) {
		ck_assert_int_eq(store_open(&store, dir, mode, NULL, &err), -1);
		ck_assert_ptr_nonnull(strstr(err.text, "2024-03-01.db has version 7"));
		ck_assert_ptr_nonnull(strstr(err.text, "up to 3"));
		error_clear(&err);
	}
	set_version("2024-03-01.db", DAY_VERSION);
	set_version("control.sqlite", 7);
	ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "control.sqlite has version 7"));
}
END_TEST

START_TEST(a_day_of_an_older_form_is_refused_and_says_what_to_do)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = full_event();
	struct error err = {0};

	commit_events(store, &event, 1);
	store_close(&store);
	set_version("2024-03-01.db", 2);
	ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "2024-03-01.db has version 2"));
	ck_assert_ptr_nonnull(strstr(err.text, "import"));
}
END_TEST

/* A control file as version 1 made it, with a position in it. */
static void make_old_control(void)
{
	static const char schema[] =
#include "schema/control_sql.inc"
	        ;
	g_autofree char *path = g_build_filename(dir, "control.sqlite", NULL);
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, schema, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(
	        sqlite3_exec(db, "INSERT INTO position VALUES (x'61', x'62')", NULL, NULL, NULL),
	        SQLITE_OK);
	sqlite3_close(db);
}

START_TEST(an_older_control_file_is_brought_up_to_date_and_keeps_what_it_holds)
{
	g_autoptr(GString) value = g_string_new(NULL);
	struct store *store;
	int64_t version = 0, tables[2];

	make_old_control();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, NULL, NULL), 0);
		struct sql *sql = &store->control.writer;
		sql_number(sql, "PRAGMA user_version", 0, &version, NULL);
		ck_assert_int_eq(version, CONTROL_VERSION);
		sql_number(sql, "PRAGMA application_id", 0, &version, NULL);
		ck_assert_int_eq(version, SQL_SIGN + CONTROL_VERSION);
		sql_number(sql, "SELECT count(*) FROM sqlite_schema", 0, &tables[0], NULL);
		ck_assert(store_position(store, slice_str("a"), value));
		ck_assert_str_eq(value->str, "b");
		store_close(&store);
	}
	teardown();
	setup();
	store = open_store(dir, STORE_WRITE);
	sql_number(
	        &store->control.writer, "SELECT count(*) FROM sqlite_schema", 0, &tables[1], NULL);
	ck_assert_int_eq(tables[0], tables[1]);
	store_close(&store);
}
END_TEST

static void check_pragmas(struct sql *sql, int synchronous, int version)
{
	const struct {
		const char *text;
		int64_t want;
	} table[] = {
	        {"PRAGMA page_size", 8192},
	        {"PRAGMA secure_delete", 0},
	        {"PRAGMA wal_autocheckpoint", 0},
	        {"PRAGMA busy_timeout", SQL_BUSY_MS},
	        {"PRAGMA user_version", version},
	        {"PRAGMA application_id", SQL_SIGN + version},
	        {"PRAGMA auto_vacuum", 2},
	        {"PRAGMA journal_size_limit", 67108864},
	        {"SELECT 1 FROM pragma_journal_mode WHERE journal_mode = 'wal'", 1},
	        {"SELECT cache_size < 0 FROM pragma_cache_size", 1},
	};
	int64_t value;

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		ck_assert_int_eq(sql_number(sql, table[i].text, -9, &value, NULL), 0);
		ck_assert_msg(value == table[i].want, "%s: %lld", table[i].text, (long long)value);
	}
	ck_assert_int_eq(sql_number(sql, "PRAGMA synchronous", -9, &value, NULL), 0);
	ck_assert_int_eq(value, synchronous);
}

START_TEST(pragmas_are_what_was_asked_for)
{
	for (int fast = 0; fast <= 1; fast++) {
		struct store_options options = {.fast_import = fast == 1};
		struct store *store;
		struct event event = full_event();
		ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
		commit_events(store, &event, 1);
		struct day_writer *writer = day_writer_get(store, 19783, NULL);
		check_pragmas(&writer->sql, fast ? 1 : 2, DAY_VERSION);
		check_pragmas(&store->control.writer, fast ? 1 : 2, CONTROL_VERSION);
		struct day_reader *reader = day_reader_get(writer->day, NULL);
		int64_t timeout;
		ck_assert_int_eq(
		        sql_number(&reader->sql, "PRAGMA busy_timeout", 0, &timeout, NULL), 0);
		ck_assert_int_eq(timeout, SQL_BUSY_MS);
		day_reader_put(writer->day, reader);
		store_close(&store);
	}
}
END_TEST

START_TEST(files_are_not_for_everybody)
{
	static const char *const names[] = {"lock", "control.sqlite", "2024-03-01.db"};
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = full_event();
	struct stat st;

	commit_events(store, &event, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(dir, names[i], NULL);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_eq(st.st_mode & 07, 0);
	}
	store_close(&store);
}
END_TEST

static void copy_text(void *ctx, const struct store_unparsed *line)
{
	g_string_append_printf(ctx, "%.*s@%d:%.*s ", SLICE_ARG(line->source), (int)line->offset,
	        SLICE_ARG(line->text));
}

static void copy_gap(void *ctx, const struct store_gap *gap)
{
	g_string_append_printf(ctx, "%.*s[%d,%d]%d:%.*s ", SLICE_ARG(gap->source), (int)gap->from,
	        (int)gap->to, (int)gap->bytes, SLICE_ARG(gap->text));
}

static int copy_state(void *ctx, struct slice key, struct slice value, struct error *err)
{
	(void)err;
	g_string_append_printf(ctx, "%.*s=%.*s ", SLICE_ARG(key), SLICE_ARG(value));
	return 0;
}

static void fill_control(struct store_batch *batch)
{
	struct store_gap gap = {SLICE("mail.log"), 1, 2, -1, SLICE("rate limit")};

	store_batch_position(batch, SLICE("mail.log"), SLICE("one"));
	store_batch_position(batch, SLICE("mail.log"), SLICE("a longer one"));
	store_batch_position(batch, SLICE("mail.log"), SLICE("two"));
	store_batch_state(batch, SLICE("A"), SLICE("1"));
	store_batch_state(batch, SLICE("B"), SLICE("2"));
	store_batch_state(batch, SLICE("A"), SLICE_NONE);
	store_batch_state(batch, SLICE("C"), SLICE(""));
	store_batch_count(batch, "milter_missed", 3);
	store_batch_count(batch, "milter_missed", 4);
	store_batch_gap(batch, &gap);
	store_batch_unparsed(batch, SLICE("mail.log"), 12, 99, SLICE("what?"));
	store_batch_unparsed(batch, SLICE("mail.log"), 34, 99, SLICE("huh\0"));
}

START_TEST(positions_state_counters_gaps_and_unparsed_lines_are_kept)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	g_autoptr(GString) text = g_string_new(NULL);

	ck_assert(store_batch_empty(batch));
	fill_control(batch);
	ck_assert(!store_batch_empty(batch));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	ck_assert(store_position(store, SLICE("mail.log"), text));
	ck_assert_str_eq(text->str, "two");
	ck_assert(!store_position(store, SLICE("other"), text));
	ck_assert_int_eq(store_state(store, SLICE("B"), text, NULL), 1);
	ck_assert_int_eq(store_state(store, SLICE("A"), text, NULL), 0);
	g_string_truncate(text, 0);
	ck_assert_int_eq(store_each_state(store, copy_state, text, NULL), 0);
	ck_assert_str_eq(text->str, "B=2 C= ");
	g_string_truncate(text, 0);
	ck_assert_int_eq(store_each_gap(store, 1, copy_gap, text, NULL), 0);
	ck_assert_str_eq(text->str, "mail.log[1,2]-1:rate limit ");
	g_string_truncate(text, 0);
	ck_assert_int_eq(store_each_unparsed(store, 3, copy_text, text, NULL), 0);
	ck_assert(g_str_has_prefix(text->str, "mail.log@34:huh"));
	g_autoptr(GHashTable) counters = store_counters(store, NULL);
	ck_assert_int_eq(*(gint64 *)g_hash_table_lookup(counters, "milter_missed"), 14);
	store_batch_reset(batch);
	ck_assert(store_batch_empty(batch));
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

static void count_unparsed(void *ctx, const struct store_unparsed *line)
{
	(void)line;
	++*(int *)ctx;
}

START_TEST(only_the_last_ten_thousand_unparsed_lines_stay)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	int n = 0;

	for (int i = 0; i < 7000; i++)
		store_batch_unparsed(batch, SLICE("x"), i, 0, SLICE("line"));
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	ck_assert_int_eq(store_each_unparsed(store, 20000, count_unparsed, &n, NULL), 0);
	ck_assert_int_eq(n, 10000);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

START_TEST(retention_keeps_today_and_the_days_asked_for)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[5];

	for (int i = 0; i < 5; i++)
		events[i] = make_event(
		        EVENT_DELIVERY, DAY1 + i * CLOCK_DAY + 5, (uint64_t)i + 1, "m", "a@b");
	commit_events(store, events, 5);
	ck_assert_int_eq(store_prune(store, 2, DAY1 + 4 * CLOCK_DAY + 99, NULL), 2);
	g_autoptr(GArray) days = store_days(store, NULL, NULL);
	ck_assert_uint_eq(days->len, 3);
	ck_assert_int_eq(g_array_index(days, struct store_day, 0).day, 19785);
	ck_assert_uint_eq(g_array_index(days, struct store_day, 0).events, 1);
	ck_assert_uint_gt(g_array_index(days, struct store_day, 0).bytes, 8192);
	ck_assert_int_eq(store_prune(store, 2, DAY1 + 4 * CLOCK_DAY + 99, NULL), 0);
	/* A day that was dropped may come again. */
	ck_assert_uint_eq(commit_events(store, events, 1), 1);
	store_close(&store);
	store = open_store(dir, STORE_READ);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 4);
	ck_assert_int_eq(store_prune(store, 0, DAY1, NULL), -1);
	store_close(&store);
}
END_TEST

static void commit_notes(struct store *store, int64_t time, int64_t oldest)
{
	const struct store_gap ended = {SLICE("a.log"), time - 5, time, -1, SLICE("lost")};
	const struct store_gap begun = {SLICE("a.log"), time, 0, -1, SLICE("cut off")};
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	store_batch_unparsed(batch, SLICE("a.log"), 1, time, SLICE("odd"));
	store_batch_gap(batch, &ended);
	store_batch_gap(batch, &begun);
	ck_assert_int_eq(store_commit(store, batch, oldest, &result, NULL), 0);
	store_batch_free(&batch);
}

static void count_gap(void *ctx, const struct store_gap *gap)
{
	(void)gap;
	++*(int *)ctx;
}

static void expect_notes(struct store *store, int want_lines, int want_gaps)
{
	int found = 0, gaps = 0;

	ck_assert_int_eq(store_each_unparsed(store, 100, count_unparsed, &found, NULL), 0);
	ck_assert_int_eq(store_each_gap(store, 100, count_gap, &gaps, NULL), 0);
	ck_assert_int_eq(found, want_lines);
	ck_assert_int_eq(gaps, want_gaps);
}

START_TEST(kept_lines_and_gaps_go_with_their_days)
{
	const struct store_gap undated = {SLICE("a.log"), 0, 0, -1, SLICE("cannot tell when")};
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	for (int day = 0; day < 3; day++)
		commit_notes(store, DAY1 + day * CLOCK_DAY + 7, 0);
	store_batch_gap(batch, &undated);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	store_batch_free(&batch);
	expect_notes(store, 3, 7);
	ck_assert_int_eq(store_prune(store, 1, DAY2 + 99, NULL), 0);
	expect_notes(store, 3, 7);
	ck_assert_int_eq(store_prune(store, 1, DAY2 + CLOCK_DAY + 99, NULL), 0);
	expect_notes(store, 2, 5);
	ck_assert_int_eq(store_prune(store, 0, DAY2 + CLOCK_DAY + 99, NULL), 0);
	expect_notes(store, 1, 3);
	/* And what is older does not come in again. */
	commit_notes(store, DAY2 + 7, DAY2 + CLOCK_DAY);
	expect_notes(store, 1, 3);
	store_close(&store);
}
END_TEST

START_TEST(a_day_may_go_while_somebody_reads_it)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store *reading = open_store(dir, STORE_READ);
	struct event event = make_event(EVENT_DELIVERY, DAY1 + 5, 1, "m", "a@b");
	struct day *day;

	commit_events(store, &event, 1);
	ck_assert_uint_eq(count_key(reading, SEARCH_MESSAGE, "m"), 1);
	ck_assert_int_eq(day_acquire(reading, 19783, &day, NULL), 1);
	struct day_reader *reader = day_reader_get(day, NULL);
	ck_assert_int_eq(sql_exec(&reader->sql, "BEGIN; SELECT * FROM event", NULL), 0);
	ck_assert_int_eq(store_prune(store, 0, DAY2, NULL), 1);
	int64_t rows;
	ck_assert_int_eq(sql_number(&reader->sql, "SELECT count(*) FROM event", 0, &rows, NULL), 0);
	ck_assert_int_eq(rows, 1);
	ck_assert_uint_eq(count_key(reading, SEARCH_MESSAGE, "m"), 0);
	/* The same day again, a new file: the old reader must not harm it. */
	event.id = 2;
	commit_events(store, &event, 1);
	sql_rollback(&reader->sql);
	day_reader_put(day, reader);
	day_release(day);
	ck_assert_uint_eq(count_key(reading, SEARCH_EVENT_ID, "2"), 1);
	ck_assert_uint_eq(count_key(reading, SEARCH_EVENT_ID, "1"), 0);
	store_close(&reading);
	ck_assert_uint_eq(count_key(store, SEARCH_EVENT_ID, "2"), 1);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	ck_assert_uint_eq(count_key(store, SEARCH_EVENT_ID, "2"), 1);
	store_close(&store);
}
END_TEST

START_TEST(a_reader_of_another_process_sees_new_days_and_new_events)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store *reading = open_store(dir, STORE_READ);
	struct event event = make_event(EVENT_DELIVERY, DAY1 + 5, 1, "m", "a@b");

	ck_assert_uint_eq(count_key(reading, SEARCH_MESSAGE, "m"), 0);
	commit_events(store, &event, 1);
	ck_assert_uint_eq(count_key(reading, SEARCH_MESSAGE, "m"), 1);
	event.time = DAY2;
	event.id = 2;
	commit_events(store, &event, 1);
	ck_assert_uint_eq(count_key(reading, SEARCH_MESSAGE, "m"), 2);
	ck_assert_uint_eq(store_mark(reading), 2);
	store_close(&store);
	ck_assert_uint_eq(count_key(reading, SEARCH_MESSAGE, "m"), 2);
	store_close(&reading);
}
END_TEST

START_TEST(ended_days_become_plain_files_and_take_late_events_still)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = make_event(EVENT_DELIVERY, DAY1 + 5, 1, "m", "a@b");
	g_autofree char *wal = g_build_filename(dir, "2024-03-01.db-wal", NULL);
	g_autofree char *path = g_build_filename(dir, "2024-03-01.db", NULL);
	g_autofree char *bytes = NULL;

	for (int i = 0; i < 50; i++) {
		event.id = (uint64_t)i + 1;
		commit_events(store, &event, 1);
	}
	store_close(&store);
	struct store_options options = {.fast_import = true};
	ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
	store_close(&store);
	ck_assert(!g_file_test(wal, G_FILE_TEST_EXISTS));
	ck_assert(g_file_get_contents(path, &bytes, NULL, NULL));
	ck_assert_int_eq(bytes[18], 1);
	store = open_store(dir, STORE_WRITE);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 50);
	event.id = 1000;
	ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 51);
	store_close(&store);
}
END_TEST

/* As another user: one of the store's group may read the files, but not make what WAL needs. */
static bool is_told_so(gid_t group)
{
	struct error err = {0};
	struct store *reading;

	return setgroups(0, NULL) == 0 && setgid(group) == 0 && setuid(65534) == 0 &&
	       store_open(&reading, dir, STORE_READ, NULL, &err) == -1 &&
	       strstr(err.text, "cannot be read by this user") != NULL && err.number == EACCES;
}

START_TEST(a_reader_who_may_not_read_is_told_so)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = full_event();
	const gid_t groups[] = {getgid(), 65534};
	int status;

	commit_events(store, &event, 1);
	store_close(&store); /* SQLite's files must not be carried over a fork */
	if (geteuid() != 0)
		return; /* only root can become somebody else */
	ck_assert_int_eq(chmod(dir, 0755), 0);
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();
		ck_assert_int_ge(child, 0);
		if (child == 0)
			_exit(is_told_so(groups[i]) ? 0 : 1);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

START_TEST(a_damaged_day_does_not_stop_the_others)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event event = full_event();
	g_autofree char *path = g_build_filename(dir, "2024-02-01.db", NULL);
	struct search search = SEARCH_ALL;
	struct error err = {0};
	uint64_t total;

	commit_events(store, &event, 1);
	store_close(&store);
	ck_assert(g_file_set_contents(path,
	        "no database at all, but long enough to look at: "
	        "no database at all, but long enough to look at: "
	        "no database at all, but long enough to look at",
	        -1, NULL));
	store = open_store(dir, STORE_WRITE);
	ck_assert_uint_eq(store_mark(store), 1);
	event.id++;
	ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	search.from = DAY1;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_eq(total, 2);
	search.from = 0;
	ck_assert_int_eq(store_search(store, &search, compare_full, NULL, &total, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "2024-02-01.db"));
	store_close(&store);
}
END_TEST

START_TEST(many_days_are_read_through_few_open_files)
{
	struct store_options options = {.open_days = 2};
	struct store *store;
	struct event event = make_event(EVENT_DELIVERY, DAY1, 1, "m", "a@b");
	const char *const list[] = {"m", NULL};
	struct search search = SEARCH_ALL;
	uint64_t total;

	ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
	for (uint64_t i = 0; i < 12; i++) {
		event.time = DAY1 + (int64_t)(i * 7 % 12) * CLOCK_DAY;
		event.id = i + 1;
		ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	}
	search.values[SEARCH_MESSAGE] = list;
	g_autoptr(GArray) ids = search_ids(store, &search, &total);
	ck_assert_uint_eq(total, 12);
	ck_assert_uint_eq(ids->len, 12);
	day_writers_close(store);
	/* The helper closes them when it gets there. */
	for (int i = 0; i < 100 && g_hash_table_size(store->days) > 3; i++) {
		g_usleep(10000);
		g_array_unref(search_ids(store, &search, &total));
		ck_assert_uint_eq(total, 12);
	}
	ck_assert_uint_le(g_hash_table_size(store->days), 3);
	store_close(&store);
}
END_TEST

static void check_births(bool inbound)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[3];
	struct slice node = SLICE("mx1"), instance = SLICE("postfix"), id = SLICE("A1B2C3");

	for (int i = 0; i < 3; i++) {
		events[i] = make_event(EVENT_INJECTION, DAY1 + 1000, (uint64_t)i + 1, "m1", "a@b");
		events[i].injected = DAY1 + 1000;
		set_field(&events[i], FIELD_QUEUE_ID, "A1B2C3");
		set_field(&events[i], FIELD_NODE_NAME, "mx1");
		set_field(&events[i], FIELD_INSTANCE, "postfix");
	}
	events[1].type = EVENT_DELIVERY;
	for (int i = 0; i < 3 && inbound; i++)
		events[i].type = event_inbound(events[i].type);
	events[1].time = DAY1 + 5000;
	/* The id again, ten hours later, for a mail that stays in the queue. */
	events[2].time = events[2].injected = DAY1 + 10 * CLOCK_HOUR;
	set_field(&events[2], FIELD_MESSAGE_ID, "m2");
	commit_events(store, events, 3);
	ck_assert_int_eq(store_find_birth(store, node, instance, id, DAY1 + 999, NULL), 0);
	ck_assert_int_eq(
	        store_find_birth(store, node, instance, id, DAY1 + 1000, NULL), DAY1 + 1000);
	ck_assert_int_eq(
	        store_find_birth(store, node, instance, id, DAY1 + 6000, NULL), DAY1 + 1000);
	ck_assert_int_eq(
	        store_find_birth(store, node, instance, id, DAY1 + 5 * CLOCK_HOUR, NULL), 0);
	ck_assert_int_eq(store_find_birth(store, node, instance, id, DAY2 + CLOCK_DAY, NULL),
	        DAY1 + 10 * CLOCK_HOUR);
	ck_assert_int_eq(
	        store_find_birth(store, node, instance, id, DAY1 + 30 * CLOCK_DAY, NULL), 0);
	ck_assert_int_eq(store_find_birth(store, SLICE("mx2"), instance, id, DAY1 + 6000, NULL), 0);
	ck_assert_int_eq(
	        store_find_born(store, node, instance, id, DAY1 - 1000, NULL), DAY1 + 1000);
	ck_assert_int_eq(
	        store_find_born(store, node, instance, id, DAY1 + 3000, NULL), DAY1 + 1000);
	ck_assert_int_eq(store_find_born(store, node, instance, id, DAY1 + 60000, NULL), 0);
	ck_assert_int_eq(store_find_born(store, SLICE("mx2"), instance, id, DAY1 + 1000, NULL), 0);
	ck_assert_int_eq(store_find_birth(store, node, SLICE_NONE, id, DAY1 + 6000, NULL), 0);
	ck_assert_int_eq(
	        store_find_birth(store, node, instance, SLICE("A1B2C4"), DAY1 + 6000, NULL), 0);
	store_close(&store);
}

/* A reinjection: its refusal was told before it was known what it continues. */
START_TEST(the_mail_that_a_queue_id_continues_is_found_with_its_birth)
{
	static const char *const mail = "0000e8f7fc6ab49a1f50", *const own = "0000e9f7fc6ab49a1f51";
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[] = {make_event(EVENT_DELIVERY, DAY1 + 5000, 1, mail, "r@e"),
	        make_event(EVENT_POLICY_REJECTION, DAY1 + 2000, 2, own, "s@e")};
	char id[IDENTITY_MESSAGE_ID_LEN + 1];

	for (int i = 0; i < 2; i++) {
		events[i].injected = DAY1 + 1000 * i;
		set_field(&events[i], FIELD_QUEUE_ID, "A1B2C3");
		set_field(&events[i], FIELD_NODE_NAME, "mx1");
	}
	commit_events(store, &events[1], 1);
	ck_assert_int_eq(
	        store_find_birth(store, SLICE("mx1"), SLICE_NONE, SLICE("A1B2C3"), DAY1 + 3000, id),
	        DAY1 + 1000);
	ck_assert_str_eq(id, own);
	commit_events(store, &events[0], 1);
	ck_assert_int_eq(
	        store_find_birth(store, SLICE("mx1"), SLICE_NONE, SLICE("A1B2C3"), DAY1 + 3000, id),
	        DAY1);
	ck_assert_str_eq(id, mail);
	ck_assert_int_eq(
	        store_find_born(store, SLICE("mx1"), SLICE_NONE, SLICE("A1B2C3"), DAY1, id), DAY1);
	ck_assert_str_eq(id, mail);
	ck_assert_int_eq(
	        store_find_birth(store, SLICE("mx1"), SLICE_NONE, SLICE("A1B2C4"), DAY1 + 3000, id),
	        0);
	ck_assert_str_eq(id, "");
	store_close(&store);
}
END_TEST

START_TEST(the_birth_of_a_message_is_found_by_its_queue_id)
{
	check_births(false);
}
END_TEST

START_TEST(the_birth_of_an_inbound_message_is_found_too)
{
	check_births(true);
}
END_TEST

/* Its delivery is stamped seven seconds before its birth. */
START_TEST(a_message_is_found_by_stamps_of_a_clock_that_was_set_back)
{
	struct store *store = open_store(dir, STORE_WRITE);
	const struct slice node = SLICE("mx1"), id = SLICE("A1B2C3");
	struct event events[2] = {make_event(EVENT_INJECTION, DAY1 + 9000, 1, "m1", "r@e"),
	        make_event(EVENT_DELIVERY, DAY1 + 2000, 2, "m1", "r@e")};

	for (int i = 0; i < 2; i++) {
		events[i].injected = DAY1 + 9000;
		set_field(&events[i], FIELD_QUEUE_ID, "A1B2C3");
		set_field(&events[i], FIELD_NODE_NAME, "mx1");
	}
	commit_events(store, events, 2);
	ck_assert_int_eq(
	        store_find_birth(store, node, SLICE_NONE, id, DAY1 + 2000, NULL), DAY1 + 9000);
	ck_assert_int_eq(store_find_birth(store, node, SLICE_NONE, id, DAY1 + 1000, NULL), 0);
	store_close(&store);
}
END_TEST

static struct event alias_event(
        uint64_t id, enum event_type type, int64_t time, const char *rcpt, const char *orig)
{
	struct event event = make_event(type, time, id, "m1", rcpt);

	event.injected = DAY1;
	set_field(&event, FIELD_QUEUE_ID, "A1B2C3");
	set_field(&event, FIELD_NODE_NAME, "mx1");
	if (orig != NULL)
		set_field(&event, FIELD_ORIG_RCPT_TO, orig);
	return event;
}

START_TEST(a_delivery_under_another_address_ends_the_life_of_the_envelopes)
{
	const int64_t later = DAY1 + CLOCK_HOUR;
	const struct {
		struct event last[2];
		int64_t want; /* birth that a line much later belongs to */
	} table[] = {
	        {{alias_event(2, EVENT_DELIVERY, DAY1 + 1000, "r@e", "Alias@e")}, 0},
	        {{alias_event(3, EVENT_DELIVERY, DAY1 + 1000, "r@e", NULL)}, DAY1},
	        {{alias_event(4, EVENT_DELIVERY, DAY1 + 1000, "r@e", "alias@e"),
	                 alias_event(5, EVENT_DELAY, DAY1 + 1000, "s@e", "alias@e")},
	                DAY1},
	        {{alias_event(6, EVENT_DELIVERY, DAY1 + 1000, "r@e", "alias@e"),
	                 alias_event(7, EVENT_BOUNCE, DAY1 + 1000, "s@e", "alias@e")},
	                0},
	        {{alias_event(8, EVENT_DELAY, DAY1 + 1000, "s@e", "alias@e"),
	                 alias_event(9, EVENT_DELIVERY, DAY1 + 2000, "s@e", "alias@e")},
	                0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		struct store *store = open_store(dir, STORE_WRITE);
		struct event injection = alias_event(1, EVENT_INJECTION, DAY1, "alias@e", NULL);
		commit_events(store, &injection, 1);
		commit_events(store, table[i].last, table[i].last[1].id != 0 ? 2 : 1);
		ck_assert_int_eq(store_find_birth(store, SLICE("mx1"), SLICE_NONE, SLICE("A1B2C3"),
		                         DAY1 + 1000, NULL),
		        DAY1);
		ck_assert_int_eq(store_find_birth(store, SLICE("mx1"), SLICE_NONE, SLICE("A1B2C3"),
		                         later, NULL),
		        table[i].want);
		store_close(&store);
		teardown();
		setup();
	}
}
END_TEST

int main(void)
{
	const TTest *const list[] = {an_event_comes_back_as_it_was, a_second_process_cannot_write,
	        a_lock_that_was_deleted_is_taken_again_before_another_process_has_it,
	        a_reader_needs_a_store, a_newer_store_is_refused_and_told_by_name,
	        a_day_of_an_older_form_is_refused_and_says_what_to_do,
	        a_message_is_found_by_stamps_of_a_clock_that_was_set_back,
	        an_older_control_file_is_brought_up_to_date_and_keeps_what_it_holds,
	        pragmas_are_what_was_asked_for, files_are_not_for_everybody,
	        positions_state_counters_gaps_and_unparsed_lines_are_kept,
	        only_the_last_ten_thousand_unparsed_lines_stay,
	        retention_keeps_today_and_the_days_asked_for,
	        kept_lines_and_gaps_go_with_their_days, a_day_may_go_while_somebody_reads_it,
	        a_reader_of_another_process_sees_new_days_and_new_events,
	        ended_days_become_plain_files_and_take_late_events_still,
	        many_days_are_read_through_few_open_files, a_reader_who_may_not_read_is_told_so,
	        a_damaged_day_does_not_stop_the_others,
	        the_birth_of_a_message_is_found_by_its_queue_id,
	        the_mail_that_a_queue_id_continues_is_found_with_its_birth,
	        the_birth_of_an_inbound_message_is_found_too,
	        a_delivery_under_another_address_ends_the_life_of_the_envelopes, NULL};
	return run_store_tests("store", setup, teardown, list);
}
