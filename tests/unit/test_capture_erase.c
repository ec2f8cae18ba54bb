/* Erasing beside a capture: open messages, and a log that is read again. */
#include "capture/erase.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include "base/clock.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

static const char *const lines[] = {
        "Nov 20 10:00:00 mx postfix/smtpd[10]: 4A1B2C3D4E: client=c.example[192.0.2.1]",
        "Nov 20 10:00:00 mx postfix/cleanup[11]: 4A1B2C3D4E: message-id=<one@c.example>",
        "Nov 20 10:00:00 mx postfix/qmgr[12]: 4A1B2C3D4E: from=<s@c.example>, size=400, nrcpt=2 "
        "(queue active)",
        "Nov 20 10:00:01 mx postfix/smtp[13]: 4A1B2C3D4E: to=<Gone.By-9@d.example>, "
        "relay=mx.d.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=4.2.0, status=deferred "
        "(host mx.d.example[192.0.2.9] said: 450 4.2.0 <gone.by-9@d.example>: busy)",
        "Nov 20 10:00:02 mx postfix/smtp[13]: 4A1B2C3D4E: to=<other@d.example>, "
        "relay=mx.d.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent "
        "(250 2.0.0 Ok, also for gone.by-9)",
        "Nov 20 10:00:03 mx postfix/smtpd[10]: 5A1B2C3D4E: client=c.example[192.0.2.1]",
        "Nov 20 10:00:03 mx postfix/qmgr[12]: 5A1B2C3D4E: from=<s@c.example>, size=400, nrcpt=1 "
        "(queue active)",
        "Nov 20 10:00:04 mx postfix/smtp[13]: 5A1B2C3D4E: to=<third@d.example>, "
        "relay=mx.d.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=4.2.0, status=deferred "
        "(host mx.d.example[192.0.2.9] said: 450 4.2.0 busy)",
};

static char *dir;
static struct store *store;
static struct capture *capture;

static void begin_as(enum store_pseudonymise wish)
{
	const struct capture_config config = {.trace = {.log_followed = true}, .keep_days = -1};
	const struct store_options options = {.pseudonymise = wish};

	ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
	ck_assert_int_eq(capture_open(&capture, store, &config, NULL), 0);
}

static void begin(void)
{
	begin_as(STORE_AS_IT_IS);
}

static void end(void)
{
	ck_assert_int_eq(capture_close(&capture, NULL), 0);
	store_close(&store);
}

static void setup(void)
{
	dir = scratch_make();
	begin();
}

static void teardown(void)
{
	end();
	scratch_remove(&dir);
}

static void feed_lines(const char *name, const char *const *text, size_t n)
{
	const struct line_reader_config reader = {
	        .zone = "UTC", .not_after = clock_days(2024, 11, 22) * CLOCK_DAY};
	struct capture_source *source =
	        capture_source_new(capture_live(capture), name, &reader, NULL);

	ck_assert_ptr_nonnull(source);
	capture_begin(source);
	for (size_t i = 0; i < n; i++)
		capture_line(source, slice_str(text[i]), (int64_t)i, false);
	uint64_t ticket = capture_end(source, SLICE("here"));
	ck_assert_int_eq(capture_wait(capture, ticket, 10000), 1);
	capture_source_free(&source);
}

static void feed(const char *name)
{
	feed_lines(name, lines, G_N_ELEMENTS(lines));
}

static int count_state(void *ctx, struct slice key, struct slice value, struct error *err)
{
	(void)value;
	(void)err;
	*(int *)ctx += key.n > 0 && key.p[0] == 'M';
	return 0;
}

static int open_messages(void)
{
	int n = 0;

	ck_assert_int_eq(store_each_state(store, count_state, &n, NULL), 0);
	return n;
}

/* Whether any file of the store holds the local part. */
static bool grep(void)
{
	GDir *list = g_dir_open(dir, 0, NULL);
	const char *name;
	bool found = false;

	while ((name = g_dir_read_name(list)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		g_autofree char *bytes = NULL;
		gsize n;
		/* What an ended day leaves goes meanwhile. */
		if (!g_file_get_contents(path, &bytes, &n, NULL)) {
			ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
			continue;
		}
		for (gsize i = 0; i < n; i++)
			bytes[i] = g_ascii_tolower(bytes[i]);
		found |= memmem(bytes, n, "gone.by-9", strlen("gone.by-9")) != NULL;
	}
	g_dir_close(list);
	return found;
}

static void erase(const char *address)
{
	struct error err = {0};
	int64_t id;

	ck_assert_int_eq(capture_erase_begin(capture, store, TOMBSTONE_RECIPIENT,
	                         slice_str(address), &id, &err),
	        0);
	ck_assert_msg(capture_erase_pending(capture, store, NULL, NULL, &err) == 0, "%s", err.text);
}

START_TEST(mails_on_their_way_are_forgotten_and_others_go_on)
{
	feed("mail.log");
	ck_assert_int_eq(open_messages(), 2);
	ck_assert(grep());
	erase("gone.by-9@d.example");
	g_autoptr(GArray) receipts = store_erasures(store, NULL);
	const struct erasure *receipt = &g_array_index(receipts, struct erasure, 0);
	ck_assert_uint_eq(receipt->open, 1);
	ck_assert_uint_eq(receipt->events, 2);
	ck_assert_uint_eq(receipt->changed, 1);
	ck_assert_int_gt(receipt->ended, 0);
	ck_assert_int_eq(open_messages(), 1);
	ck_assert(!grep());
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "other@d.example"), 2);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "third@d.example"), 2);
	/* Nothing of it comes back with the next commit, or at the next start. */
	capture_tick(capture, DAY1);
	capture_count(capture, "x", 1);
	end();
	ck_assert(!grep());
	begin();
	ck_assert_int_eq(open_messages(), 1);
}
END_TEST

START_TEST(the_log_read_again_adds_nothing)
{
	feed("mail.log");
	erase("gone.by-9@d.example");
	feed("copy.log");
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "gone.by-9@d.example"), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "other@d.example"), 2);
	g_autoptr(GArray) ledger = store_ledger(store, NULL);
	for (guint i = 0; i < ledger->len; i++) {
		const struct store_source *source = &g_array_index(ledger, struct store_source, i);
		uint64_t sum = 0;
		for (int class = 0; class < 5; class ++)
			sum += source->count[class];
		ck_assert_uint_eq(sum, source->lines);
		if (g_strcmp0(source->name, "copy.log") == 0)
			ck_assert_uint_eq(source->events, 0);
	}
}
END_TEST

START_TEST(the_log_read_again_brings_back_no_mail_on_its_way)
{
	feed("mail.log");
	erase("gone.by-9@d.example");
	for (int run = 0; run < 2; run++) { /* also by another process, such as an import */
		feed("copy.log");
		ck_assert_int_eq(open_messages(), 1);
		ck_assert(!grep());
		end();
		ck_assert(!grep());
		begin();
		ck_assert_int_eq(open_messages(), 1);
	}
}
END_TEST

START_TEST(a_mail_to_them_after_the_erasure_is_on_its_way_again)
{
	char time[CLOCK_TEXT_MAX];
	g_autofree char *now = NULL;
	g_autofree char *after = NULL;

	erase("gone.by-9@d.example");
	clock_format(clock_now() + CLOCK_MINUTE, CLOCK_ZULU, time);
	now = g_strdup_printf("%s mx postfix/qmgr[12]: 6A1B2C3D4E: from=<s@c.example>, size=400, "
	                      "nrcpt=1 (queue active)",
	        time);
	after = g_strdup_printf("%s mx postfix/smtp[13]: 6A1B2C3D4E: to=<gone.by-9@d.example>, "
	                        "relay=mx.d.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, "
	                        "dsn=4.2.0, status=deferred (450 busy)",
	        time);
	feed_lines("mail.log", (const char *const[]){now, after}, 2);
	ck_assert_int_eq(open_messages(), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "gone.by-9@d.example"), 2);
}
END_TEST

START_TEST(who_was_erased_by_a_pseudonym_is_known_in_mails_on_their_way)
{
	g_autoptr(GString) stands = g_string_new(NULL);

	end();
	begin_as(STORE_PSEUDONYMISE);
	ck_assert(store_pseudonym(store, SLICE("gone.by-9@d.example"), stands));
	feed("mail.log");
	ck_assert_int_eq(open_messages(), 2);
	erase(stands->str);
	ck_assert_int_eq(open_messages(), 1);
	feed("copy.log");
	ck_assert_int_eq(open_messages(), 1);
}
END_TEST

START_TEST(what_an_earlier_run_began_is_carried_out)
{
	struct error err = {0};
	int64_t id;

	feed("mail.log");
	ck_assert_int_eq(capture_erase_begin(capture, store, TOMBSTONE_RECIPIENT,
	                         SLICE("gone.by-9@d.example"), &id, &err),
	        0);
	end();
	ck_assert(grep());
	begin();
	ck_assert_int_eq(capture_erase_pending(capture, store, NULL, NULL, &err), 0);
	ck_assert(!grep());
	ck_assert_int_eq(capture_erase_pending(capture, store, NULL, NULL, &err), 0);
}
END_TEST

START_TEST(a_name_that_is_none_is_refused)
{
	struct error err = {0};
	int64_t id;

	ck_assert_int_eq(
	        capture_erase_begin(capture, store, TOMBSTONE_RECIPIENT, SLICE("gone"), &id, &err),
	        -1);
	ck_assert_int_eq(err.number, EINVAL);
	g_autoptr(GArray) receipts = store_erasures(store, NULL);
	ck_assert_uint_eq(receipts->len, 0);
}
END_TEST

/* ---- beside others ---- */

static const char *const later[] = {
        "Nov 20 10:00:05 mx postfix/smtpd[10]: 6A1B2C3D4E: client=c.example[192.0.2.1]",
        "Nov 20 10:00:05 mx postfix/qmgr[12]: 6A1B2C3D4E: from=<s@c.example>, size=400, nrcpt=1 "
        "(queue active)",
        "Nov 20 10:00:06 mx postfix/smtp[13]: 6A1B2C3D4E: to=<fourth@d.example>, "
        "relay=mx.d.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent "
        "(250 2.0.0 Ok)",
};

static gpointer erase_in_thread(gpointer p)
{
	(void)p;
	erase("gone.by-9@d.example");
	return NULL;
}

/* A reader that begins now, as a backup is; it stands on what is there now. */
static sqlite3 *read_on(const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN; SELECT * FROM sqlite_schema", NULL, NULL, NULL),
	        SQLITE_OK);
	return db;
}

START_TEST(an_erasure_waits_for_who_reads_a_file_and_commits_wait_for_neither)
{
	static const char *const names[] = {"control.sqlite", "2024-11-20.db"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		feed("mail.log");
		sqlite3 *reader = read_on(names[i]);
		feed_lines("second.log", later, 2);
		feed_lines("third.log", later, 3);
		GThread *thread = g_thread_new("erase", erase_in_thread, NULL);
		g_usleep(G_USEC_PER_SEC / 2);
		for (int k = 0; k < 4; k++) {
			gint64 began = g_get_monotonic_time();
			feed_lines("fourth.log", later, 1);
			ck_assert_int_lt(g_get_monotonic_time() - began, 2 * G_USEC_PER_SEC);
		}
		g_autoptr(GArray) receipts = store_erasures(store, NULL);
		ck_assert_int_eq(g_array_index(receipts, struct erasure, 0).ended, 0);
		sqlite3_close(reader);
		g_thread_join(thread);
		ck_assert(!grep());
		ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "fourth@d.example"), 2);
		teardown();
		setup();
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {mails_on_their_way_are_forgotten_and_others_go_on,
	        the_log_read_again_adds_nothing, the_log_read_again_brings_back_no_mail_on_its_way,
	        a_mail_to_them_after_the_erasure_is_on_its_way_again,
	        who_was_erased_by_a_pseudonym_is_known_in_mails_on_their_way,
	        what_an_earlier_run_began_is_carried_out, a_name_that_is_none_is_refused,
	        an_erasure_waits_for_who_reads_a_file_and_commits_wait_for_neither, NULL};

	return run_store_tests("capture_erase", setup, teardown, tests);
}
