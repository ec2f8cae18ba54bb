#include "capture/handover.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "store/search.h"
#include "tests/support/unit.h"

static const char *const lines[] = {
        "Nov 20 10:00:00 mx postfix/smtpd[10]: 4A1B2C3D4E: client=c.example[192.0.2.1]",
        "Nov 20 10:00:00 mx postfix/cleanup[11]: 4A1B2C3D4E: message-id=<one@c.example>",
        "Nov 20 10:00:00 mx postfix/qmgr[12]: 4A1B2C3D4E: from=<s@c.example>, size=400, nrcpt=1 "
        "(queue active)",
        "Nov 20 10:00:01 mx postfix/smtp[13]: 4A1B2C3D4E: to=<r@d.example>, "
        "relay=mx.d.example[192.0.2.9]:25, "
        "delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
        "Nov 20 10:00:01 mx postfix/qmgr[12]: 4A1B2C3D4E: removed",
        "Nov 20 10:00:02 mx postfix/smtpd[10]: disconnect from c.example[192.0.2.1] quit=1 "
        "commands=1",
        "Nov 20 10:00:03 mx CRON[99]: (root) CMD (true)",
        "Nov 20 10:00:05 mx rsyslogd: imuxsock lost 35 messages from pid 7 due to rate-limiting",
};

struct bench {
	char *dir;
	struct store *store;
	struct capture *capture;
	enum store_pseudonymise pseudonymise;
};

static void bench_open(struct bench *bench)
{
	const struct capture_config config = {.trace = {.log_followed = true}, .keep_days = -1};
	const struct store_options options = {.pseudonymise = bench->pseudonymise};
	struct error err = {0};

	if (bench->dir == NULL)
		bench->dir = g_dir_make_tmp("postwake-capture-XXXXXX", NULL);
	ck_assert_msg(store_open(&bench->store, bench->dir, STORE_WRITE, &options, &err) == 0, "%s",
	        err.text);
	ck_assert_msg(
	        capture_open(&bench->capture, bench->store, &config, &err) == 0, "%s", err.text);
}

static void bench_close(struct bench *bench)
{
	struct error err = {0};

	ck_assert_msg(capture_close(&bench->capture, &err) == 0, "%s", err.text);
	store_close(&bench->store);
}

static void bench_remove(struct bench *bench)
{
	GDir *dir = g_dir_open(bench->dir, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(bench->dir, name, NULL);
		g_unlink(path);
	}
	g_dir_close(dir);
	g_rmdir(bench->dir);
	g_free(bench->dir);
}

/* Feeds texts[from..to) as a source of this name and waits for the commit. */
static void bench_feed_texts(struct bench *bench, const char *name, const char *const *texts,
        size_t from, size_t to, bool again)
{
	const struct line_reader_config reader = {
	        .zone = "UTC", .not_after = clock_days(2026, 11, 22) * CLOCK_DAY};
	struct error err = {0};
	struct capture_source *source =
	        capture_source_new(capture_live(bench->capture), name, &reader, &err);

	ck_assert_msg(source != NULL, "%s", err.text);
	capture_begin(source);
	for (size_t i = from; i < to; i++)
		capture_line(source, slice_str(texts[i]), (int64_t)i, again);
	uint64_t ticket = capture_end(source, SLICE("here"));
	ck_assert_int_eq(capture_wait(bench->capture, ticket, 10000), 1);
	capture_source_free(&source);
}

static void bench_feed(struct bench *bench, const char *name, size_t from, size_t to, bool again)
{
	bench_feed_texts(bench, name, lines, from, to, again);
}

static struct store_source bench_ledger(struct bench *bench, const char *name)
{
	g_autoptr(GArray) ledger = store_ledger(bench->store, NULL);
	struct store_source found = {0};

	for (guint i = 0; i < ledger->len; i++)
		if (g_strcmp0(g_array_index(ledger, struct store_source, i).name, name) == 0)
			found = g_array_index(ledger, struct store_source, i);
	found.name = NULL;
	return found;
}

static void count_event(void *ctx, const struct event *event)
{
	unsigned *counts = ctx;

	counts[event->type]++;
}

static uint64_t bench_count(struct bench *bench, unsigned counts[EVENT_TYPES])
{
	struct search search = {.to = INT64_MAX, .limit = 1000};
	uint64_t total = 0;

	memset(counts, 0, EVENT_TYPES * sizeof(*counts));
	ck_assert_int_eq(store_search(bench->store, &search, count_event, counts, &total, NULL), 0);
	return total;
}

START_TEST(every_line_is_counted_once_and_its_events_are_stored)
{
	struct bench bench = {0};
	unsigned counts[EVENT_TYPES];

	bench_open(&bench);
	bench_feed(&bench, "a.log", 0, G_N_ELEMENTS(lines), false);
	struct store_source row = bench_ledger(&bench, "a.log");
	ck_assert_uint_eq(row.lines, G_N_ELEMENTS(lines));
	ck_assert_uint_eq(row.count[LEDGER_EVENT], 1);
	ck_assert_uint_eq(row.count[LEDGER_LINKED], 4);
	ck_assert_uint_eq(row.count[LEDGER_IGNORED], 3);
	ck_assert_uint_eq(bench_count(&bench, counts), 2);
	ck_assert_uint_eq(counts[EVENT_INJECTION], 1);
	ck_assert_uint_eq(counts[EVENT_DELIVERY], 1);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

static void keep_gap(void *ctx, const struct store_gap *gap)
{
	g_string_append_printf(ctx, "%.*s %d+%d %d %.*s;", SLICE_ARG(gap->source),
	        (int)(gap->from % CLOCK_MINUTE), (int)(gap->to - gap->from), (int)gap->bytes,
	        SLICE_ARG(gap->text));
}

START_TEST(lines_that_were_lost_before_the_log_was_written_are_a_gap)
{
	static const char *const want =
	        "mail.log 3000+2000 -1 rsyslogd on mx: imuxsock lost 35 messages from pid 7 due to "
	        "rate-limiting;";
	g_autoptr(GString) gaps = g_string_new(NULL);
	struct bench bench = {0};

	bench_open(&bench);
	bench_feed(&bench, "mail.log", 5, 8, false);
	bench_feed(&bench, "mail.log", 6, 8, true);
	bench_feed(&bench, "mail.log.1", 5, 8, false); /* a copy tells nothing new */
	ck_assert_int_eq(store_each_gap(bench.store, 10, keep_gap, gaps, NULL), 0);
	ck_assert_str_eq(gaps->str, want);
	struct store_source ledger = bench_ledger(&bench, "mail.log");
	ck_assert_uint_eq(ledger.lines, 3);
	ck_assert_uint_eq(ledger.count[LEDGER_IGNORED], 3);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

static void keep_time(void *ctx, const struct store_unparsed *line)
{
	GArray *times = ctx;

	g_array_append_val(times, line->time);
}

START_TEST(a_kept_line_has_a_time_by_which_it_goes)
{
	static const char *const odd[] = {
	        "no stamp at all: postfix/smtp[13]: 4A1B2C3D4E: to=<r@d.example>",
	        "Nov 20 10:00:01 mx postfix/smtp[13]: 4A1B2C3D4E: to=<r@d.example>, status=eaten",
	        "2999-01-01T00:00:00Z mx postfix/smtp[13]: 4A1B2C3D4E: to=<r@d.example>, "
	        "status=eaten"};
	const struct line_reader_config reader = {
	        .zone = "UTC", .not_after = clock_days(2024, 11, 22) * CLOCK_DAY};
	g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(int64_t));
	int64_t before = clock_now();
	struct bench bench = {0};

	bench_open(&bench);
	struct capture_source *source =
	        capture_source_new(capture_live(bench.capture), "a.log", &reader, NULL);
	capture_begin(source);
	for (size_t i = 0; i < G_N_ELEMENTS(odd); i++)
		capture_line(source, slice_str(odd[i]), (int64_t)i, false);
	ck_assert_int_eq(capture_wait(bench.capture, capture_end(source, SLICE_NONE), 10000), 1);
	capture_source_free(&source);
	ck_assert_int_eq(store_each_unparsed(bench.store, 10, keep_time, times, NULL), 0);
	ck_assert_uint_eq(times->len, G_N_ELEMENTS(odd));
	for (guint newest = 0; newest < 3; newest += 2) {
		ck_assert_int_ge(g_array_index(times, int64_t, newest), before);
		ck_assert_int_le(g_array_index(times, int64_t, newest), clock_now());
	}
	ck_assert_int_eq(g_array_index(times, int64_t, 1),
	        clock_days(2024, 11, 20) * CLOCK_DAY + 10 * CLOCK_HOUR + CLOCK_SECOND);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

START_TEST(a_copy_of_the_log_adds_nothing_and_is_known)
{
	struct bench bench = {0};
	unsigned counts[EVENT_TYPES];

	bench_open(&bench);
	bench_feed(&bench, "a.log", 0, G_N_ELEMENTS(lines), false);
	bench_close(&bench);
	bench_open(&bench);
	bench_feed(&bench, "copy.log", 0, G_N_ELEMENTS(lines), false);
	struct store_source row = bench_ledger(&bench, "copy.log");
	ck_assert_uint_eq(row.count[LEDGER_KNOWN], 1);
	ck_assert_uint_eq(row.count[LEDGER_EVENT], 0);
	ck_assert_uint_eq(row.events, 0);
	ck_assert_uint_eq(bench_count(&bench, counts), 2);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

START_TEST(an_open_message_goes_on_after_a_restart_at_any_line)
{
	for (size_t cut = 1; cut < G_N_ELEMENTS(lines); cut++) {
		struct bench bench = {0};
		unsigned counts[EVENT_TYPES];
		g_autoptr(GString) position = g_string_new(NULL);

		bench_open(&bench);
		bench_feed(&bench, "a.log", 0, cut, false);
		bench_close(&bench);
		bench_open(&bench);
		ck_assert(store_position(bench.store, SLICE("a.log"), position));
		ck_assert_str_eq(position->str, "here");
		bench_feed(&bench, "a.log", cut - 1, cut, true);
		bench_feed(&bench, "a.log", cut, G_N_ELEMENTS(lines), false);
		ck_assert_uint_eq(bench_count(&bench, counts), 2);
		ck_assert_uint_eq(counts[EVENT_INJECTION], 1);
		ck_assert_uint_eq(bench_ledger(&bench, "a.log").lines, G_N_ELEMENTS(lines));
		bench_close(&bench);
		bench_remove(&bench);
	}
}
END_TEST

static void envelope_give(struct handover *handover, int wait_ms, int wanted)
{
	struct observation seen = OBSERVATION_INIT;
	const struct envelope_recipient recipient = {.address = SLICE("r@d.example")};
	struct envelope envelope = {.recipient = &recipient, .recipients = 1};

	envelope.field[FIELD_SUBJECT] = SLICE("hello");
	envelope.field[FIELD_MSG_FROM] = SLICE("s@c.example");
	seen.kind = OBSERVATION_ENVELOPE;
	seen.queue_id = SLICE("4A1B2C3D4E");
	seen.line.node = SLICE("mx");
	seen.line.instance = SLICE("");
	seen.line.time = clock_days(2026, 11, 20) * CLOCK_DAY + 10 * CLOCK_HOUR;
	seen.envelope = &envelope;
	ck_assert_int_eq(handover_give(handover, &seen, wait_ms), wanted);
}

static void find_subject(void *ctx, const struct event *event)
{
	bool *found = ctx;

	*found |= slice_eq(event->field[FIELD_SUBJECT], SLICE("hello"));
}

START_TEST(what_the_milter_hands_over_joins_the_log)
{
	struct bench bench = {0};
	struct search search = {.to = INT64_MAX, .limit = 10};
	unsigned counts[EVENT_TYPES];
	bool found = false;

	bench_open(&bench);
	struct handover *handover = handover_new(bench.capture, 0);
	envelope_give(handover, 5000, 0);
	bench_feed(&bench, "a.log", 0, G_N_ELEMENTS(lines), false);
	ck_assert_int_eq(store_search(bench.store, &search, find_subject, &found, NULL, NULL), 0);
	ck_assert(found);
	ck_assert_uint_eq(bench_count(&bench, counts), 2);
	handover_free(&handover);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

/* Whoever reads the log may hold the lock already when a mail comes, and read the lines of that
 * very mail with it. */
START_TEST(what_was_handed_over_before_a_line_joins_it_although_the_lock_is_older)
{
	struct bench bench = {0};
	const struct line_reader_config reader = {
	        .zone = "UTC", .not_after = clock_days(2026, 11, 22) * CLOCK_DAY};
	struct search search = {.to = INT64_MAX, .limit = 10};
	bool found = false;

	bench_open(&bench);
	struct handover *handover = handover_new(bench.capture, 0);
	struct capture_source *source =
	        capture_source_new(capture_live(bench.capture), "a.log", &reader, NULL);
	capture_begin(source);
	envelope_give(handover, 0, 0);
	for (size_t i = 0; i < 5; i++)
		capture_line(source, slice_str(lines[i]), (int64_t)i, false);
	uint64_t ticket = capture_end(source, SLICE_NONE);
	ck_assert_int_eq(capture_wait(bench.capture, ticket, 10000), 1);
	ck_assert_int_eq(store_search(bench.store, &search, find_subject, &found, NULL, NULL), 0);
	ck_assert(found);
	handover_free(&handover);
	capture_source_free(&source);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

static int count_entry(void *ctx, struct slice key, struct slice value, struct error *err)
{
	(void)key;
	(void)value;
	(void)err;
	++*(unsigned *)ctx;
	return 0;
}

/* A bit that flipped in what is saved of the mail. */
static int damage_entry(void *ctx, struct slice key, struct slice value, struct error *err)
{
	g_autofree char *copy = g_memdup2(value.p, value.n);

	(void)err;
	if (memmem(key.p, key.n, "4A1B2C3D4E", 10) == NULL)
		return 0;
	copy[0] ^= 0x40;
	store_batch_state(ctx, key, slice_make(copy, value.n));
	return 0;
}

static void damage_state(struct bench *bench)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	ck_assert_int_eq(store_open(&bench->store, bench->dir, STORE_WRITE, NULL, NULL), 0);
	ck_assert_int_eq(store_each_state(bench->store, damage_entry, batch, NULL), 0);
	ck_assert_int_eq(store_commit(bench->store, batch, 0, &result, NULL), 0);
	store_batch_free(&batch);
	store_close(&bench->store);
}

/* The seal of its entry does not fit any more. */
static void damage_seal(struct bench *bench)
{
	g_autofree char *path = g_build_filename(bench->dir, "control.sqlite", NULL);
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
	                         "UPDATE state SET value = CAST(substr(value, 1, 4) || "
	                         "randomblob(24) || substr(value, 29) AS BLOB) "
	                         "WHERE instr(key, CAST('4A1B2C3D4E' AS BLOB)) AND "
	                         "substr(value, 1, 4) = x'ff505753'",
	                         NULL, NULL, NULL),
	        SQLITE_OK);
	ck_assert_int_eq(sqlite3_changes(db), 1);
	sqlite3_close(db);
}

static unsigned count_saved(struct bench *bench)
{
	unsigned entries = 0;

	ck_assert_int_eq(store_each_state(bench->store, count_entry, &entries, NULL), 0);
	return entries;
}

static void expect_left_out(enum store_pseudonymise pseudonymise, void (*damage)(struct bench *))
{
	static const char *const other[] = {
	        "Nov 20 10:00:00 mx postfix/smtpd[10]: 5A1B2C3D4E: client=c.example[192.0.2.1]",
	        "Nov 20 10:00:01 mx postfix/smtpd[10]: 6A1B2C3D4E: client=c.example[192.0.2.1]"};
	struct bench bench = {.pseudonymise = pseudonymise};
	unsigned counts[EVENT_TYPES];

	bench_open(&bench);
	bench_feed(&bench, "a.log", 0, 2, false);
	bench_feed_texts(&bench, "a.log", other, 0, G_N_ELEMENTS(other), false);
	bench_close(&bench);
	damage(&bench);
	for (int i = 0; i < 2; i++) {
		bench_open(&bench);
		bench_feed(&bench, "a.log", 6, 7, false); /* behind the commit that drops it */
		g_autoptr(GString) gaps = g_string_new(NULL);
		g_autoptr(GHashTable) counters = store_counters(bench.store, NULL);
		const gint64 *count = g_hash_table_lookup(counters, "state_damaged");
		ck_assert_int_eq(store_each_gap(bench.store, 10, keep_gap, gaps, NULL), 0);
		ck_assert_ptr_nonnull(strstr(gaps->str, "saved of 1 open mail(s) is damaged"));
		ck_assert_ptr_null(strchr(strchr(gaps->str, ';') + 1, ';'));
		ck_assert_ptr_nonnull(count);
		ck_assert_int_eq(*count, 1);
		ck_assert_uint_eq(count_saved(&bench), 2);
		bench_close(&bench);
	}
	bench_open(&bench);
	bench_feed(&bench, "a.log", 2, 5, false);
	bench_count(&bench, counts);
	ck_assert_uint_eq(counts[EVENT_DELIVERY], 1);
	bench_close(&bench);
	bench_remove(&bench);
}

START_TEST(a_saved_mail_that_is_damaged_is_left_out_alone_and_told_once)
{
	expect_left_out(STORE_AS_IT_IS, damage_state);
}
END_TEST

START_TEST(a_sealed_mail_that_is_damaged_is_left_out_alone_and_told_once)
{
	expect_left_out(STORE_PSEUDONYMISE, damage_seal);
}
END_TEST

/* No line of a log comes meanwhile: the state of the mail is all that there is to commit. */
START_TEST(a_mail_is_on_the_disk_before_the_milter_is_told_so)
{
	struct bench bench = {0};
	struct store *reader = NULL;
	unsigned entries = 0;

	bench_open(&bench);
	struct handover *handover = handover_new(bench.capture, 0);
	envelope_give(handover, 5000, 0);
	ck_assert_int_eq(store_open(&reader, bench.dir, STORE_READ, NULL, NULL), 0);
	ck_assert_int_eq(store_each_state(reader, count_entry, &entries, NULL), 0);
	ck_assert_uint_ge(entries, 1);
	store_close(&reader);
	handover_free(&handover);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

START_TEST(a_full_hand_over_drops_and_counts_and_never_blocks_mail)
{
	struct bench bench = {0};
	const struct line_reader_config reader = {.zone = "UTC"};

	bench_open(&bench);
	struct handover *handover = handover_new(bench.capture, 2);
	struct capture_source *source =
	        capture_source_new(capture_live(bench.capture), "x", &reader, NULL);
	capture_begin(source); /* the store is busy: nothing is fed */
	envelope_give(handover, 0, 0);
	envelope_give(handover, 50, -1); /* and taken back */
	envelope_give(handover, 0, 0);
	envelope_give(handover, 0, -1);
	ck_assert_uint_eq(handover_dropped(handover), 1);
	capture_end(source, SLICE_NONE);
	handover_free(&handover);
	capture_source_free(&source);
	bench_close(&bench);
	bench_remove(&bench);
}
END_TEST

UNIT_MAIN("capture", every_line_is_counted_once_and_its_events_are_stored,
        lines_that_were_lost_before_the_log_was_written_are_a_gap,
        a_kept_line_has_a_time_by_which_it_goes, a_copy_of_the_log_adds_nothing_and_is_known,
        an_open_message_goes_on_after_a_restart_at_any_line,
        what_the_milter_hands_over_joins_the_log,
        what_was_handed_over_before_a_line_joins_it_although_the_lock_is_older,
        a_saved_mail_that_is_damaged_is_left_out_alone_and_told_once,
        a_sealed_mail_that_is_damaged_is_left_out_alone_and_told_once,
        a_mail_is_on_the_disk_before_the_milter_is_told_so,
        a_full_hand_over_drops_and_counts_and_never_blocks_mail)
