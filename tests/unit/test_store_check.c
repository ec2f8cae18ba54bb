/* Stores that were damaged: what is found, what is mended, and that capture goes on. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/check.h"
#include "store/private.h"
#include "tests/support/unit.h"
#include "tests/unit/store_damage.h"

START_TEST(a_good_store_has_no_findings)
{
	make_store();
	expect_good();
	expect_events(EVENTS + 200);
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.rebuilt + result.salvaged, 0);
	expect_good();
}
END_TEST

START_TEST(a_store_is_checked_while_it_is_written)
{
	struct store *store = open_store(dir, STORE_WRITE);

	for (unsigned i = 0; i < 10; i++) {
		fill(store, DAY1, i * 100, 100);
		expect_good();
	}
	store_close(&store);
	expect_good();
}
END_TEST

/* Each is made by the text and mended by making index and roll-up anew. */
static const struct derived {
	const char *text, *part;
} derived[] = {
        {"DELETE FROM fence WHERE key = (SELECT max(key) FROM fence)", "not found"},
        {"UPDATE fence SET key = key + 1 WHERE key = (SELECT max(key) FROM fence)", "not found"},
        {"DELETE FROM piece WHERE id = (SELECT max(id) FROM piece)", "damaged"},
        {"UPDATE piece SET body = zeroblob(length(body)) WHERE id = (SELECT max(id) FROM piece)",
                "index"},
        {"UPDATE segment SET docs = docs - 1", "index"},
        {"INSERT INTO dead (segment, doc) SELECT id, 3 FROM segment", "index"},
        {"DELETE FROM segment", "index"},
        {"DELETE FROM rollup WHERE minute = 0", "roll-up"},
        {"UPDATE rollup SET count = count + 1 WHERE minute = 0", "roll-up"},
        {"INSERT INTO rollup VALUES (1000, 1, -1, 5)", "roll-up"},
};

START_TEST(an_index_that_differs_is_found_and_made_anew)
{
	const struct derived *row = &derived[_i];

	make_store();
	run(DAY1_NAME, row->text);
	expect_found(DAY1_NAME, row->part);
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.rebuilt, 1);
	ck_assert_uint_eq(result.salvaged, 0);
	expect_good();
	expect_events(EVENTS + 200);
}
END_TEST

/* A posting that says something else, but well. */
START_TEST(a_changed_bit_of_a_posting_is_found)
{
	unsigned seen = 0;

	make_store();
	int64_t piece = ask(DAY1_NAME, "SELECT max(id) FROM piece");
	g_autofree char *path = file(DAY1_NAME);
	g_autofree char *good = NULL;
	gsize size;
	ck_assert(g_file_get_contents(path, &good, &size, NULL));
	for (unsigned at = 8; at < 200; at += 16) {
		g_autofree char *text = g_strdup_printf(
		        "UPDATE piece SET body = CAST(substr(body, 1, %u) || x'%02x' || "
		        "substr(body, %u) AS BLOB) WHERE id = %lld",
		        at, at, at + 2, (long long)piece);
		run(DAY1_NAME, text);
		seen += findings() > 0;
		ck_assert(g_file_set_contents(path, good, (gssize)size, NULL));
	}
	ck_assert_uint_ge(seen, 11); /* one byte may be what it was */
}
END_TEST

/* Each damages rows: what else can be read is saved. */
static const struct rows {
	const char *text, *part;
	uint64_t lost;
} rows[] = {
        {"UPDATE event SET body = zeroblob(12) WHERE id = (SELECT min(id) FROM event)",
                "cannot be read", 1},
        {"UPDATE event SET body = x'01' WHERE id IN (SELECT id FROM event LIMIT 3)",
                "cannot be read", 3},
        {"DELETE FROM reason WHERE id = (SELECT id FROM reason LIMIT 1 OFFSET 1)", "cannot be read",
                144},
        {"UPDATE reason SET body = CAST(substr(body, 1, 500) AS BLOB) WHERE id = 1",
                "cannot be read", 137},
        {"UPDATE reason_hash SET id = 100000 WHERE id = 9", "not what was written", 0},
        {"UPDATE subject SET body = CAST(replace(CAST(body AS TEXT), 'Subject', 'Sabject') AS "
         "BLOB) "
         "WHERE id = 1",
                "not what was written", 0},
        {"DELETE FROM message WHERE id = 5", "message", 1},
        {"DELETE FROM event WHERE id = (SELECT max(id) FROM event)", "arrival numbers", 1},
        {"UPDATE event SET arrival = arrival + 100000 WHERE id = (SELECT max(id) FROM event)",
                "arrival numbers", 0},
        {"DELETE FROM commits WHERE last = (SELECT max(last) FROM commits)", "arrival numbers", 0},
};

START_TEST(damaged_rows_are_found_and_the_others_saved)
{
	const struct rows *row = &rows[_i];

	make_store();
	run(DAY1_NAME, row->text);
	expect_found(DAY1_NAME, row->part);
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.salvaged, 1);
	ck_assert_uint_eq(result.saved, EVENTS - row->lost);
	ck_assert_uint_eq(result.lost, row->lost);
	expect_good();
	g_autofree char *kept = file(DAY1_NAME ".damaged-1.salvaged");
	ck_assert_int_eq(access(kept, F_OK), 0);
	expect_events(EVENTS + 200 - row->lost);
}
END_TEST

/* Each an hour after the first; the first one stays. */
START_TEST(an_event_that_stands_twice_in_a_day_is_found_and_stays_once)
{
	struct words words[3];
	struct event copies[3];
	struct store *store;

	make_store();
	store = open_store(dir, STORE_WRITE);
	for (unsigned i = 0; i < G_N_ELEMENTS(copies); i++) {
		copies[i] = an_event(i / 2 * 3000, DAY1, &words[i]);
		copies[i].time += (1 + i) * 60 * CLOCK_MINUTE;
	}
	ck_assert_uint_eq(commit_events(store, copies, G_N_ELEMENTS(copies)), 3);
	store_close(&store);
	expect_found(DAY1_NAME, "3 event(s) are there twice, the first: ");
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.salvaged, 1);
	ck_assert_uint_eq(result.saved, EVENTS + 3);
	ck_assert_uint_eq(result.lost, 0);
	expect_good();
	expect_events(EVENTS + 200);
	ck_assert_int_eq(ask(DAY1_NAME, "SELECT max(id) < 3600000 << 15 FROM event"), 1);
}
END_TEST

START_TEST(an_event_of_a_damaged_file_that_the_new_one_has_at_another_time_is_not_added)
{
	struct words words;
	struct event copy = an_event(7, DAY1, &words);

	make_store();
	overwrite(DAY1_NAME, 0, 8192, -1);
	struct store *store = open_noticing();
	copy.time += 60 * CLOCK_MINUTE;
	ck_assert_uint_eq(commit_events(store, &copy, 1), 1);
	store_close(&store);
	ck_assert_uint_eq(repair().saved, EVENTS);
	expect_good();
	expect_events(EVENTS + 200);
}
END_TEST

/* Pages full of something else. */
static const struct pages {
	const char *table;
	unsigned leaf;
	int byte;      /* -1: noise */
	uint64_t most; /* events that may be lost */
} pages[] = {
        {"event", 0, -1, 400},
        {"event", 5, 0, 400},
        {"event", 8, 0xff, 400},
        {"message", 4, -1, 400},
        {"reason", 0, -1, EVENTS / 3 + 1},
        {"piece", 0, -1, 0},
        {"word_hash", 0, -1, 0},
};

START_TEST(damaged_pages_cost_no_more_than_what_stood_on_them)
{
	const struct pages *page = &pages[_i];

	make_store();
	off_t at = strcmp(page->table, "word_hash") == 0
	                   ? (off_t)(ask(DAY1_NAME, "SELECT rootpage FROM sqlite_schema WHERE "
	                                            "name = 'word_hash'") -
	                             1) *
	                             8192
	                   : leaf_of(DAY1_NAME, page->table, page->leaf);
	overwrite(DAY1_NAME, at, 8192, page->byte);
	expect_found(DAY1_NAME, "check --repair");
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.salvaged, 1);
	ck_assert_uint_eq(result.saved + result.lost, EVENTS);
	ck_assert_uint_le(result.lost, page->most);
	expect_good();
	struct store *store = open_store(dir, STORE_READ);
	ck_assert_uint_eq(count_all(store), result.saved + 200);
	store_close(&store);
}
END_TEST

START_TEST(a_page_that_lost_its_order_is_read_once)
{
	struct store *store = open_store(dir, STORE_WRITE);

	fill(store, DAY1, 0, 50);
	store_close(&store);
	/* It has 512 cells more than there are: they begin where the page does, and are all one. */
	overwrite(DAY1_NAME, leaf_of(DAY1_NAME, "event", 0) + 3, 1, 2);
	expect_found(DAY1_NAME, "check --repair");
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.salvaged, 1);
	ck_assert_uint_le(result.saved, 51);
	ck_assert_uint_le(result.lost, 51);
	expect_good();
	store = open_store(dir, STORE_READ);
	ck_assert_uint_eq(count_all(store), result.saved);
	store_close(&store);
}
END_TEST

START_TEST(a_file_without_its_first_page_is_read_nevertheless)
{
	make_store();
	overwrite(DAY1_NAME, 0, 8192, _i == 0 ? -1 : 0);
	expect_found(DAY1_NAME, "check --repair");
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.saved, EVENTS);
	ck_assert_uint_eq(result.lost, 0);
	expect_good();
	expect_events(EVENTS + 200);
}
END_TEST

START_TEST(a_file_that_was_cut_off_is_read_to_its_end)
{
	g_autofree char *path = file(DAY1_NAME);
	struct stat st;

	make_store();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, st.st_size / 2 + 100), 0);
	expect_found(DAY1_NAME, "check --repair");
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.salvaged, 1);
	ck_assert_uint_gt(result.saved, 0);
	expect_good();
	struct store *store = open_store(dir, STORE_READ);
	ck_assert_uint_eq(count_all(store), result.saved + 200);
	store_close(&store);
}
END_TEST

START_TEST(a_file_of_noise_is_kept_and_holds_nothing_up)
{
	g_autofree char *path = file(DAY1_NAME), *kept = file(DAY1_NAME ".damaged-1.salvaged");
	struct stat st;

	make_store();
	ck_assert_int_eq(stat(path, &st), 0);
	overwrite(DAY1_NAME, 0, (size_t)st.st_size, -1);
	expect_found(DAY1_NAME, "check --repair");
	ck_assert_uint_eq(repair().saved, 0);
	ck_assert_int_eq(access(kept, F_OK), 0);
	expect_good();
}
END_TEST

START_TEST(a_version_that_became_0_is_damage_and_no_empty_file)
{
	static const char zero[4];
	g_autofree char *path = file(DAY1_NAME);
	struct store *store;

	make_store();
	int fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, zero, 4, 60), 4);
	close(fd);
	expect_found(DAY1_NAME, "no version");
	store = open_store(dir, STORE_WRITE);
	fill(store, DAY1, EVENTS, 100);
	store_close(&store);
	ck_assert_uint_eq(repair().saved, EVENTS);
	expect_good();
	expect_events(EVENTS + 300);
}
END_TEST

START_TEST(a_day_that_is_gone_is_missed)
{
	g_autofree char *path = file(DAY2_NAME);

	make_store();
	ck_assert_int_eq(unlink(path), 0);
	expect_found("control.sqlite", "events are gone");
}
END_TEST

START_TEST(days_that_retention_dropped_are_not_missed)
{
	struct store *store;
	struct error err = {0};

	make_store();
	store = open_store(dir, STORE_WRITE);
	ck_assert_int_eq(store_prune(store, 0, DAY2 + CLOCK_DAY, &err), 2);
	store_close(&store);
	expect_good();
}
END_TEST

/* ---- under a writer ---- */

static void find_gap(void *ctx, const struct store_gap *gap)
{
	*(bool *)ctx |= slice_eq(gap->source, SLICE("store")) && gap->text.n > 0;
}

static void expect_gap(struct store *store)
{
	bool found = false;

	ck_assert_int_eq(store_each_gap(store, 10, find_gap, &found, NULL), 0);
	ck_assert(found);
}

/* Commits until something is told, at most 40 times. Returns how often. */
static unsigned commit_until_told(struct store *store, uint64_t *id)
{
	unsigned n = 0;
	gsize before = told->len;

	for (; n < 40 && told->len == before; n++) {
		struct event event = make_event(EVENT_DELIVERY, DAY1, ++*id, "m", "a@b");
		commit_events(store, &event, 1);
	}
	return n;
}

START_TEST(who_reads_a_file_without_an_end_is_told_once)
{
	struct store *store = open_noticing();
	g_autofree char *path = file("2024-03-01.db");
	uint64_t id = 0;
	sqlite3 *db;

	store->log.pages = 30;
	store->log.held_ms = 0;
	g_string_truncate(told, 0);
	commit_until_told(store, &id);
	ck_assert_str_eq(told->str, "");
	for (int i = 0; i < 2; i++) { /* and it is told again when it happens again */
		ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
		ck_assert_int_eq(
		        sqlite3_exec(db, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL),
		        SQLITE_OK);
		ck_assert_uint_lt(commit_until_told(store, &id), 40);
		ck_assert_ptr_nonnull(strstr(told->str, "has been reading"));
		ck_assert_ptr_nonnull(strstr(told->str, path));
		g_string_truncate(told, 0);
		commit_until_told(store, &id);
		ck_assert_str_eq(told->str, "");
		ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
		commit_until_told(store, &id);
		ck_assert_str_eq(told->str, "");
	}
	expect_gap(store);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "a@b"), id);
	store_close(&store);
}
END_TEST

static guint asides(struct store *store)
{
	g_autoptr(GArray) all = store_asides(store, NULL);

	return all->len;
}

/* How a file is damaged: page 1 noise, half a file, noise all over, nothing left. */
static void damage(int how, const char *name)
{
	g_autofree char *path = file(name);
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	if (how == 0)
		overwrite(name, 0, 8192, -1);
	else if (how == 1)
		ck_assert_int_eq(truncate(path, st.st_size / 2), 0);
	else if (how == 3)
		ck_assert_int_eq(truncate(path, 0), 0);
	else
		overwrite(name, 0, (size_t)st.st_size, -1);
}

START_TEST(capture_goes_on_beside_a_damaged_day)
{
	struct store *store;

	make_store();
	damage(_i, DAY1_NAME);
	store = open_noticing();
	fill(store, DAY1, EVENTS, 300);
	ck_assert_ptr_nonnull(strstr(told->str, DAY1_NAME ".damaged-1"));
	ck_assert_uint_eq(asides(store), 1);
	ck_assert_uint_eq(count_all(store), 500);
	expect_gap(store);
	/* Told once. */
	g_string_truncate(told, 0);
	fill(store, DAY1, EVENTS + 300, 100);
	ck_assert_uint_eq(told->len, 0);
	store_close(&store);
	expect_found(DAY1_NAME ".damaged-1", "set aside");
	struct store_repaired result = repair();
	ck_assert_uint_eq(result.salvaged, 1);
	expect_good();
	store = open_store(dir, STORE_READ);
	ck_assert_uint_eq(count_all(store), 600 + result.saved);
	ck_assert_uint_eq(asides(store), 1);
	store_close(&store);
}
END_TEST

START_TEST(a_day_damaged_while_it_is_written_is_set_aside)
{
	struct store *store = open_noticing();

	fill(store, DAY1, 0, 1000);
	/* So that nothing of it is in the log only. */
	run(DAY1_NAME, "PRAGMA wal_checkpoint(TRUNCATE)");
	fill(store, DAY1, 1000, 10);
	damage(_i, DAY1_NAME);
	/* Seen by the next commit. */
	fill(store, DAY1, 1010, 100);
	ck_assert_ptr_nonnull(strstr(told->str, DAY1_NAME ".damaged-1"));
	ck_assert_ptr_nonnull(strstr(told->str, "check --repair"));
	for (unsigned i = 1; i < 5; i++)
		fill(store, DAY1, 1010 + i * 100, 100);
	ck_assert_uint_eq(asides(store), 1);
	ck_assert_uint_eq(count_all(store), 500);
	expect_gap(store);
	store_close(&store);
	store = open_store(dir, STORE_READ);
	ck_assert_uint_eq(count_all(store), 500);
	store_close(&store);
	repair();
	expect_good();
}
END_TEST

START_TEST(damage_that_a_search_meets_is_seen_by_the_next_commit)
{
	struct search search = SEARCH_ALL;
	struct store *store = open_noticing();
	struct error err = {0};
	uint64_t total;

	fill(store, DAY1, 0, 1000);
	run(DAY1_NAME, "PRAGMA wal_checkpoint(TRUNCATE)");
	overwrite(DAY1_NAME, leaf_of(DAY1_NAME, "event", 0), 8192, -1);
	/* A commit does not come there. */
	fill(store, DAY1, 1000, 10);
	ck_assert_uint_eq(asides(store), 0);
	ck_assert_int_eq(store_search(store, &search, NULL, NULL, &total, &err), -1);
	ck_assert_uint_eq(asides(store), 0);
	fill(store, DAY1, 1010, 100);
	ck_assert_ptr_nonnull(strstr(told->str, DAY1_NAME ".damaged-1"));
	ck_assert_uint_eq(asides(store), 1);
	ck_assert_uint_eq(count_all(store), 100);
	store_close(&store);
	/* All but what stood on the page. */
	ck_assert_uint_gt(repair().saved, 700);
	expect_good();
}
END_TEST

START_TEST(a_suspicion_that_does_not_hold_changes_nothing)
{
	struct store *store = open_noticing();
	struct day *day;

	fill(store, DAY1, 0, 100);
	ck_assert_int_eq(day_acquire(store, DAY1 / CLOCK_DAY, &day, NULL), 1);
	day->wal.suspect = true;
	day->wal.bytes = INT32_MAX;
	fill(store, DAY1, 100, 100);
	ck_assert(!day->wal.suspect);
	day_release(day);
	ck_assert_uint_eq(asides(store), 0);
	ck_assert_uint_eq(count_all(store), 200);
	store_close(&store);
	expect_good();
}
END_TEST

START_TEST(the_log_of_a_day_that_was_cut_off_is_kept)
{
	g_autofree char *path = file(DAY1_NAME), *wal = file(DAY1_NAME "-wal");
	g_autofree char *log = NULL;
	gsize n;
	struct store *store = open_store(dir, STORE_WRITE);

	fill(store, DAY1, 0, 400);
	ck_assert(g_file_get_contents(wal, &log, &n, NULL));
	store_close(&store);
	/* As kill -9 leaves it. */
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert(g_file_set_contents(wal, log, (gssize)n, NULL));
	expect_found(DAY1_NAME, "cut off to 0 bytes");
	store = open_noticing();
	fill(store, DAY1, 400, 100);
	ck_assert_ptr_nonnull(strstr(told->str, DAY1_NAME ".damaged-1"));
	store_close(&store);
	ck_assert_uint_eq(repair().saved, 400);
	expect_good();
	store = open_store(dir, STORE_READ);
	ck_assert_uint_eq(count_all(store), 500);
	store_close(&store);
}
END_TEST

START_TEST(a_search_that_needs_a_damaged_day_fails_and_names_it)
{
	struct search search = SEARCH_ALL;
	struct error err = {0};
	uint64_t total;

	make_store();
	damage(_i, DAY1_NAME);
	struct store *store = open_store(dir, STORE_READ);
	ck_assert_int_eq(store_search(store, &search, NULL, NULL, &total, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, DAY1_NAME));
	search.from = DAY2;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_eq(total, 200);
	g_autoptr(GArray) days = store_days(store, NULL, NULL);
	ck_assert_uint_eq(days->len, 2);
	ck_assert(g_array_index(days, struct store_day, 0).damaged);
	ck_assert(!g_array_index(days, struct store_day, 1).damaged);
	store_close(&store);
}
END_TEST

START_TEST(a_damaged_control_file_is_set_aside_and_no_event_is_lost)
{
	struct store *store;

	make_store();
	damage(_i, "control.sqlite");
	ck_assert_uint_gt(findings(), 0);
	g_string_truncate(told, 0);
	store = open_noticing();
	ck_assert_ptr_nonnull(strstr(told->str, "control.sqlite.damaged-1"));
	fill(store, DAY2, 0, 400); /* the first half of it is known */
	ck_assert_uint_eq(count_all(store), EVENTS + 400);
	expect_gap(store);
	store_close(&store);
	expect_good();
	expect_events(EVENTS + 400);
}
END_TEST

/* What no check of pages sees. */
static const struct {
	const char *damage, *part;
} control_rot[] = {
        {"DELETE FROM erasure_key", "key of erasures"},
        {"UPDATE erasure_key SET key = x'00'", "key of erasures"},
        {"DROP TABLE erasure_key", "column erasure_key.key"},
        {"DROP TABLE api_key", "column api_key."},
        {"DROP TABLE ingest", "column ingest."},
        {"DROP TABLE erasure", "column erasure."},
        {"ALTER TABLE api_key RENAME COLUMN salt TO samt", "column api_key.salt"},
        {"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET "
         "sql = replace(sql, 'hash BLOB', 'hash BLOC') WHERE name = 'api_key'",
                "column api_key.hash"},
        {"PRAGMA user_version = 0; PRAGMA application_id = 0", "no version"},
        {"PRAGMA user_version = -2147483646; PRAGMA application_id = 0", "has version -2147483646"},
        {"PRAGMA user_version = 6; DROP TABLE api_key", "version 6 in one place and 2"},
};

START_TEST(a_control_file_that_lost_a_part_is_set_aside_and_no_event_is_lost)
{
	struct store *store;

	make_store();
	run("control.sqlite", control_rot[_i].damage);
	expect_found("control.sqlite", control_rot[_i].part);
	g_string_truncate(told, 0);
	store = open_noticing();
	ck_assert_ptr_nonnull(strstr(told->str, "control.sqlite.damaged-1"));
	ck_assert_ptr_nonnull(strstr(told->str, control_rot[_i].part));
	fill(store, DAY2, 0, 400);
	expect_gap(store);
	store_close(&store);
	expect_good();
	expect_events(EVENTS + 400);
}
END_TEST

START_TEST(a_day_that_lost_a_table_is_set_aside_by_the_next_commit)
{
	static const char *const drops[] = {"DROP TABLE meta", "DROP TABLE rollup"};
	struct store *store;

	make_store();
	run(DAY1_NAME, drops[_i]);
	store = open_noticing();
	fill(store, DAY1, EVENTS, 100);
	ck_assert_ptr_nonnull(strstr(told->str, DAY1_NAME ".damaged-1"));
	ck_assert_uint_eq(count_all(store), 300);
	expect_gap(store);
	store_close(&store);
	repair();
	expect_good();
}
END_TEST

START_TEST(a_control_file_damaged_while_it_is_written_is_set_aside)
{
	struct store *store = open_noticing();

	fill(store, DAY1, 0, 1000);
	run("control.sqlite", "PRAGMA wal_checkpoint(TRUNCATE)");
	fill(store, DAY1, 1000, 10);
	damage(_i, "control.sqlite");
	fill(store, DAY1, 1010, 100);
	ck_assert_ptr_nonnull(strstr(told->str, "control.sqlite.damaged-1"));
	ck_assert_ptr_null(strstr(told->str, "was deleted"));
	g_string_truncate(told, 0);
	fill(store, DAY1, 1110, 100);
	ck_assert_str_eq(told->str, "");
	ck_assert_uint_eq(asides(store), 1);
	ck_assert_uint_eq(count_all(store), 1210);
	expect_gap(store);
	store_close(&store);
	expect_good();
}
END_TEST

START_TEST(errors_of_the_disk_are_no_damage)
{
	struct error err = {0};

	make_store();
	struct store *store = open_noticing();
	g_autofree char *path = file(DAY1_NAME), *away = file("away");
	/* A file that cannot be opened: a directory has its name. */
	ck_assert_int_eq(rename(path, away), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	struct words words;
	struct event event = an_event(1, DAY1, &words);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	store_batch_event(batch, &event);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, &err), -1);
	ck_assert_uint_eq(asides(store), 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rename(away, path), 0);
	error_clear(&err);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, &err), 0);
	ck_assert_uint_eq(result.known, 1);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

START_TEST(what_was_set_aside_goes_with_its_day)
{
	struct store *store;

	make_store();
	damage(0, DAY1_NAME);
	store = open_noticing();
	fill(store, DAY1, 0, 100);
	ck_assert_uint_eq(asides(store), 1);
	ck_assert_int_eq(store_prune(store, 0, DAY2, NULL), 1);
	ck_assert_uint_eq(asides(store), 0);
	store_close(&store);
	expect_good();
}
END_TEST

static void make_old(const char *name, int64_t time)
{
	const struct timespec old = {.tv_sec = time / 1000};
	g_autofree char *path = file(name);

	ck_assert_int_eq(utimensat(AT_FDCWD, path, (const struct timespec[2]){old, old}, 0), 0);
}

START_TEST(a_control_file_that_was_set_aside_goes_by_its_age)
{
	g_autofree char *log = file("control.sqlite.damaged-1-wal");
	struct store *store;

	make_store();
	damage(0, "control.sqlite");
	store = open_noticing();
	ck_assert_uint_eq(asides(store), 1);
	ck_assert(g_file_set_contents(log, "late", -1, NULL));
	make_old("control.sqlite.damaged-1", DAY1 + 5);
	make_old("control.sqlite.damaged-1-wal", DAY2 + 5);
	ck_assert_int_eq(store_prune(store, 2, DAY2 + 2 * CLOCK_DAY, NULL), 1);
	ck_assert_uint_eq(asides(store), 1);
	ck_assert_int_eq(store_prune(store, 2, DAY2 + 3 * CLOCK_DAY, NULL), 1);
	ck_assert_uint_eq(asides(store), 0);
	ck_assert(!g_file_test(log, G_FILE_TEST_EXISTS));
	store_close(&store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store check");
	TCase *cases = tcase_create("store check");

	tcase_set_timeout(cases, 120);
	tcase_add_checked_fixture(cases, damage_setup, damage_teardown);
	tcase_add_test(cases, a_good_store_has_no_findings);
	tcase_add_test(cases, a_store_is_checked_while_it_is_written);
	tcase_add_loop_test(
	        cases, an_index_that_differs_is_found_and_made_anew, 0, (int)G_N_ELEMENTS(derived));
	tcase_add_test(cases, a_changed_bit_of_a_posting_is_found);
	tcase_add_loop_test(
	        cases, damaged_rows_are_found_and_the_others_saved, 0, (int)G_N_ELEMENTS(rows));
	tcase_add_test(cases, an_event_that_stands_twice_in_a_day_is_found_and_stays_once);
	tcase_add_test(cases,
	        an_event_of_a_damaged_file_that_the_new_one_has_at_another_time_is_not_added);
	tcase_add_loop_test(cases, damaged_pages_cost_no_more_than_what_stood_on_them, 0,
	        (int)G_N_ELEMENTS(pages));
	tcase_add_test(cases, a_page_that_lost_its_order_is_read_once);
	tcase_add_loop_test(cases, a_file_without_its_first_page_is_read_nevertheless, 0, 2);
	tcase_add_test(cases, a_file_that_was_cut_off_is_read_to_its_end);
	tcase_add_test(cases, a_file_of_noise_is_kept_and_holds_nothing_up);
	tcase_add_test(cases, a_version_that_became_0_is_damage_and_no_empty_file);
	tcase_add_test(cases, a_day_that_is_gone_is_missed);
	tcase_add_test(cases, days_that_retention_dropped_are_not_missed);
	tcase_add_loop_test(cases, capture_goes_on_beside_a_damaged_day, 0, 3);
	tcase_add_loop_test(cases, a_day_damaged_while_it_is_written_is_set_aside, 0, 4);
	tcase_add_test(cases, damage_that_a_search_meets_is_seen_by_the_next_commit);
	tcase_add_test(cases, a_suspicion_that_does_not_hold_changes_nothing);
	tcase_add_test(cases, the_log_of_a_day_that_was_cut_off_is_kept);
	tcase_add_loop_test(cases, a_control_file_damaged_while_it_is_written_is_set_aside, 0, 4);
	tcase_add_loop_test(cases, a_search_that_needs_a_damaged_day_fails_and_names_it, 0, 3);
	tcase_add_loop_test(cases, a_damaged_control_file_is_set_aside_and_no_event_is_lost, 0, 3);
	tcase_add_loop_test(cases,
	        a_control_file_that_lost_a_part_is_set_aside_and_no_event_is_lost, 0,
	        (int)G_N_ELEMENTS(control_rot));
	tcase_add_loop_test(cases, a_day_that_lost_a_table_is_set_aside_by_the_next_commit, 0, 2);
	tcase_add_test(cases, errors_of_the_disk_are_no_damage);
	tcase_add_test(cases, who_reads_a_file_without_an_end_is_told_once);
	tcase_add_test(cases, what_was_set_aside_goes_with_its_day);
	tcase_add_test(cases, a_control_file_that_was_set_aside_goes_by_its_age);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
