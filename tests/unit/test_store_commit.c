/* Commits: again, late, over midnight, cut off, without room; and what the ledger says. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
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

#define SOURCE SLICE("mail.log")

/* The ledger of the one source as "event linked ignored known unparsed / events". */
static void check_ledger(struct store *store, const char *want)
{
	g_autoptr(GArray) ledger = store_ledger(store, NULL);
	char text[200] = "";

	ck_assert_ptr_nonnull(ledger);
	if (ledger->len == 1) {
		struct store_source *s = &g_array_index(ledger, struct store_source, 0);
		ck_assert_str_eq(s->name, "mail.log");
		snprintf(text, sizeof(text), "%d %d %d %d %d / %d", (int)s->count[LEDGER_EVENT],
		        (int)s->count[LEDGER_LINKED], (int)s->count[LEDGER_IGNORED],
		        (int)s->count[LEDGER_KNOWN], (int)s->count[LEDGER_UNPARSED],
		        (int)s->events);
		ck_assert_uint_eq(s->lines,
		        s->count[0] + s->count[1] + s->count[2] + s->count[3] + s->count[4]);
	}
	ck_assert_str_eq(text, want);
}

static struct store_commit_result commit(struct store *store, const struct store_batch *batch)
{
	struct store_commit_result result;
	struct error err = {0};

	if (store_commit(store, batch, 0, &result, &err) < 0)
		ck_abort_msg("store_commit: %s", err.text);
	return result;
}

static void add(struct store_batch *batch, int64_t time, uint64_t id)
{
	struct event event = make_event(EVENT_DELIVERY, time, id, "m", "a@b");

	event.missed = id % 4 == 3;
	store_batch_event(batch, &event);
}

static void check_missed(struct store *store, int64_t want)
{
	g_autoptr(GHashTable) counters = store_counters(store, NULL);
	const gint64 *n = g_hash_table_lookup(counters, "milter_missed");

	ck_assert_int_eq(n != NULL ? *n : 0, want);
}

START_TEST(the_ledger_tells_new_from_known_lines)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();

	add(batch, DAY1, 1);
	add(batch, DAY1, 2);
	store_batch_line(batch, SOURCE, LEDGER_EVENT);
	store_batch_line(batch, SOURCE, LEDGER_IGNORED);
	add(batch, DAY1, 1);
	store_batch_line(batch, SOURCE, LEDGER_EVENT); /* again, within the batch */
	add(batch, DAY1, 3);
	store_batch_no_line(batch);
	store_batch_line(batch, SOURCE, LEDGER_LINKED);
	add(batch, DAY1, 4);
	store_batch_line(batch, SOURCE, LEDGER_LINKED); /* an event, and the word of the trace */
	store_batch_line(batch, SOURCE, LEDGER_EVENT);  /* without any: as it was said */
	store_batch_line(batch, SOURCE, LEDGER_UNPARSED);
	ck_assert_uint_eq(store_batch_events(batch), 5);
	ck_assert_uint_eq(store_batch_lines(batch), 7);
	struct store_commit_result result = commit(store, batch);
	ck_assert_uint_eq(result.inserted, 4);
	ck_assert_uint_eq(result.known, 1);
	check_ledger(store, "2 2 1 1 1 / 3");
	result = commit(store, batch);
	ck_assert_uint_eq(result.inserted, 0);
	ck_assert_uint_eq(result.known, 5);
	check_ledger(store, "3 4 2 3 2 / 3");
	store_batch_reset(batch);
	add(batch, DAY1, 1);
	add(batch, DAY1, 5);
	store_batch_line(batch, SOURCE, LEDGER_EVENT); /* one of its events is new */
	commit(store, batch);
	check_ledger(store, "4 4 2 3 2 / 4");
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

START_TEST(what_is_there_is_found_again_after_a_reopen)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[100];

	for (int i = 0; i < 100; i++)
		events[i] = make_event(EVENT_DELIVERY, DAY1 + i * 100, (uint64_t)i + 1, "m", "a@b");
	ck_assert_uint_eq(commit_events(store, events, 60), 60);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	/* The same facts from a log with other milliseconds, in another order. */
	for (int i = 0; i < 100; i++)
		events[i].time = events[i].time / 1000 * 1000;
	for (int i = 99; i >= 0; i--)
		ck_assert_uint_eq(commit_events(store, &events[i], 1), i >= 60 ? 1 : 0);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 100);
	/* The same id in another second is another event. */
	events[0].time += 500 * 1000;
	ck_assert_uint_eq(commit_events(store, events, 1), 1);
	ck_assert_uint_eq(commit_events(store, events, 1), 0);
	store_close(&store);
}
END_TEST

START_TEST(late_events_and_those_out_of_order_find_their_place)
{
	struct store *store = open_store(dir, STORE_WRITE);
	static const int seconds[] = {50, 10, 86399, 3, 50, 10, 0, 86399};
	struct search search = SEARCH_ALL;
	uint64_t total;

	for (size_t i = 0; i < G_N_ELEMENTS(seconds); i++) {
		struct event event =
		        make_event(EVENT_DELIVERY, DAY1 + seconds[i] * 1000, i + 1, "m", "a@b");
		ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	}
	/* Newest first; of one second the one that came later is newer. */
	static const uint64_t want[] = {8, 3, 5, 1, 6, 2, 4, 7};
	g_autoptr(GArray) ids = search_ids(store, &search, &total);
	ck_assert_uint_eq(ids->len, G_N_ELEMENTS(want));
	ck_assert_int_eq(memcmp(ids->data, want, sizeof(want)), 0);
	store_close(&store);
}
END_TEST

START_TEST(a_line_of_37_recipients_is_one_line_and_37_events_of_one_message)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct search search = SEARCH_ALL;
	uint64_t total;
	int64_t messages;

	for (uint64_t i = 0; i < 37; i++) {
		g_autofree char *rcpt = g_strdup_printf("user%d@example.com", (int)i);
		struct event event = make_event(EVENT_BOUNCE, DAY1, i + 1, "m37", rcpt);
		set_field(&event, FIELD_SUBJECT, "Expired");
		store_batch_event(batch, &event);
	}
	store_batch_line(batch, SOURCE, LEDGER_EVENT);
	commit(store, batch);
	check_ledger(store, "1 0 0 0 0 / 37");
	g_autoptr(GArray) ids = search_ids(store, &search, &total);
	ck_assert_uint_eq(total, 37);
	for (guint i = 0; i < 37; i++)
		ck_assert_uint_eq(g_array_index(ids, uint64_t, i), 37 - i);
	struct day_writer *writer = day_writer_get(store, 19783, NULL);
	ck_assert_int_eq(
	        sql_number(&writer->sql, "SELECT count(*) FROM message", 0, &messages, NULL), 0);
	ck_assert_int_eq(messages, 1);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

static void check_subject(void *ctx, const struct event *event)
{
	static const char *const want[] = {"Later", "Hello", "Hello"};
	int *n = ctx;

	ck_assert(slice_eq(event->field[FIELD_SUBJECT], slice_str(want[*n])));
	++*n;
}

START_TEST(a_message_over_midnight_is_whole_in_each_day_file)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct event events[3];
	struct search search = SEARCH_ALL;
	uint64_t total;
	int n = 0;

	for (int i = 0; i < 3; i++) {
		events[i] = make_event(i == 0 ? EVENT_INJECTION : EVENT_DELAY,
		        DAY2 - 1000 + i * 1000, (uint64_t)i + 1, "m", "a@b");
		set_field(&events[i], FIELD_SUBJECT, i < 2 ? "Hello" : "Later");
	}
	commit_events(store, events, 3);
	ck_assert_int_eq(store_prune(store, 0, DAY2, NULL), 1);
	/* Only the second day is left, and it needs nothing of the first. */
	events[0].time = DAY2 + 1;
	events[0].id = 9;
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 2);
	search.limit = 3;
	ck_assert_int_eq(store_search(store, &search, check_subject, &n, &total, NULL), 0);
	ck_assert_int_eq(n, 2);
	store_close(&store);
}
END_TEST

/* A child commits until a place where it is killed, as by power. */
static int die(void *ctx, const char *place)
{
	int *left = ((int **)ctx)[1];

	if (strcmp(((const char **)ctx)[0], place) == 0 && --*left == 0)
		kill(getpid(), SIGKILL);
	return 0;
}

static void fill_midnight(struct store_batch *batch)
{
	for (int i = 0; i < 10; i++) {
		add(batch, DAY2 - 5000 + i * 1000, (uint64_t)i + 1);
		store_batch_line(batch, SOURCE, LEDGER_EVENT);
	}
	store_batch_position(batch, SOURCE, SLICE("10 lines"));
}

static void commit_and_die(const char *place, int times)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct store *store = open_store(dir, STORE_WRITE);
		struct store_batch *batch = store_batch_new();
		const void *ctx[] = {place, &times};
		fill_midnight(batch);
		store->fault = die;
		store->fault_ctx = (void *)ctx;
		commit(store, batch);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static const struct {
	const char *place;
	int times;
	uint64_t left; /* events that the killed process left */
} deaths[] = {
        {"day", 1, 0},
        {"day committed", 1, 5},
        {"day", 2, 5},
        {"day committed", 2, 10},
        {"control", 1, 10},
};

START_TEST(a_batch_over_midnight_survives_death_at_any_place)
{
	commit_and_die(deaths[_i].place, deaths[_i].times);
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	g_autoptr(GString) position = g_string_new(NULL);

	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), deaths[_i].left);
	ck_assert_uint_eq(store_mark(store), deaths[_i].left);
	ck_assert(!store_position(store, SOURCE, position));
	check_ledger(store, "");
	/* A follower reads on from where the position is, in batches of other sizes. */
	add(batch, DAY2 - 5000, 1);
	store_batch_line(batch, SOURCE, LEDGER_EVENT);
	commit(store, batch);
	check_ledger(store, "1 0 0 0 0 / 1");
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	store_batch_reset(batch);
	fill_midnight(batch);
	commit(store, batch);
	check_ledger(store, "10 0 0 1 0 / 10");
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 10);
	ck_assert_uint_eq(store_mark(store), 10);
	commit(store, batch);
	check_ledger(store, "10 0 0 11 0 / 10");
	check_missed(store, 2);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

/* The envelope of the first one was lost with the process; what is stored had it. */
START_TEST(what_was_stored_decides_whether_the_milter_missed_it)
{
	commit_and_die("control", 1);
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct event event = make_event(EVENT_DELIVERY, DAY2 - 5000, 1, "m", "a@b");

	event.missed = true;
	store_batch_event(batch, &event);
	store_batch_line(batch, SOURCE, LEDGER_EVENT);
	commit(store, batch);
	check_missed(store, 2);
	commit(store, batch);
	check_missed(store, 2);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

static int fail_once(void *ctx, const char *place)
{
	const char **at = ctx;

	if (*at == NULL || strcmp(*at, place) != 0)
		return 0;
	*at = NULL;
	return -1;
}

START_TEST(a_commit_that_failed_may_be_tried_again)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	const char *place = deaths[_i].place;
	struct error err = {0};

	fill_midnight(batch);
	store->fault = fail_once;
	store->fault_ctx = &place;
	ck_assert_int_eq(store_commit(store, batch, 0, &result, &err), -1);
	ck_assert(err.set);
	check_ledger(store, "");
	result = commit(store, batch);
	ck_assert_uint_eq(result.inserted, 10);
	check_ledger(store, "10 0 0 0 0 / 10");
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 10);
	ck_assert_uint_eq(store_mark(store), 10);
	commit(store, batch);
	check_ledger(store, "10 0 0 10 0 / 10");
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	commit(store, batch);
	check_ledger(store, "10 0 0 20 0 / 10");
	check_missed(store, 2);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

/* The same line twice within a second, of what the ledger had no time to count. */
START_TEST(what_a_failed_commit_left_is_counted_once)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	const char *place = "day committed";

	for (int i = 0; i < 2; i++) {
		add(batch, DAY1, 1);
		store_batch_line(batch, SOURCE, LEDGER_EVENT);
	}
	store->fault = fail_once;
	store->fault_ctx = &place;
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), -1);
	ck_assert_uint_eq(commit(store, batch).inserted, 1);
	check_ledger(store, "1 0 0 1 0 / 1");
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

START_TEST(a_full_disk_fails_the_commit_and_room_heals_it)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	struct rlimit limit, old;
	struct error err = {0};

	for (uint64_t i = 1; i <= 3000; i++) {
		g_autofree char *rcpt = g_strdup_printf("somebody.%d@example.com", (int)i);
		struct event event = make_event(EVENT_BOUNCE, DAY1 + (int64_t)i * 50, i, "m", rcpt);
		store_batch_event(batch, &event);
	}
	add(batch, DAY2, 5000);
	store_batch_line(batch, SOURCE, LEDGER_EVENT);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 256 * 1024;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(store_commit(store, batch, 0, &result, &err), -1);
		ck_assert_ptr_nonnull(strstr(err.text, "2024-03-01.db"));
	}
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_uint_eq(commit(store, batch).inserted, 3001);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 3001);
	check_ledger(store, "1 0 0 0 0 / 3001");
	struct search search = SEARCH_ALL;
	uint64_t total;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_eq(total, 3001);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

/* What the machine does to the calls of SQLite, and what is told then. */
static const struct {
	int number;
	const char *cause, *mend;
} troubles[] = {
        {ENOSPC, "No space left on device", "make room"},
        {EDQUOT, "quota exceeded", "raise the quota"},
        {EROFS, "Read-only file system", "mount its file system"},
        {EIO, "Input/output error", "smartctl"},
        {EACCES, "Permission denied", "must belong to"},
        {EPERM, "Operation not permitted", "lsattr"},
};
static int trouble;

static ssize_t bad_transfer(void)
{
	errno = trouble;
	return -1;
}

/* Lets the calls of these names fail, ended by NULL; 0: lets them be again. */
static void set_trouble(const char *const *calls, int number)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

	trouble = number;
	for (; *calls != NULL; calls++)
		vfs->xSetSystemCall(
		        vfs, *calls, number != 0 ? (sqlite3_syscall_ptr)bad_transfer : NULL);
}

static const char *const writes[] = {"write", "pwrite", "pwrite64", NULL};
static const char *const reads[] = {"read", "pread", "pread64", NULL};

/* Where the text stands once; NULL: nowhere, or more than once. */
static const char *once(const char *text, const char *part)
{
	const char *at = strstr(text, part);

	return at != NULL && strstr(at + 1, part) == NULL ? at : NULL;
}

START_TEST(a_commit_that_the_machine_refuses_tells_the_cause_and_how_to_mend_it)
{
	struct event event = make_event(EVENT_DELIVERY, DAY1, 1, "m", "a@b");
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_commit_result result;
	struct error err = {0};

	commit_events(store, &event, 1);
	struct store_batch *batch = store_batch_new();
	add(batch, DAY1 + 1, 2);
	set_trouble(writes, troubles[_i].number);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, &err), -1);
	ck_assert_int_eq(err.number, troubles[_i].number);
	const char *cause = once(err.text, troubles[_i].cause);
	ck_assert_msg(cause != NULL && once(cause, troubles[_i].mend) != NULL, "%s", err.text);
	set_trouble(writes, 0);
	ck_assert_uint_eq(commit(store, batch).inserted, 1);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

START_TEST(a_day_that_the_machine_does_not_give_is_unread_and_not_damaged)
{
	struct event event = make_event(EVENT_DELIVERY, DAY1, 1, "m", "a@b");
	struct store *store = open_store(dir, STORE_WRITE);
	struct error unread = {0};

	commit_events(store, &event, 1);
	store_close(&store);
	store = open_store(dir, STORE_READ);
	set_trouble(reads, troubles[_i].number);
	g_autoptr(GArray) days = store_days(store, &unread, NULL);
	set_trouble(reads, 0);
	ck_assert_ptr_nonnull(days);
	ck_assert_uint_eq(days->len, 1);
	ck_assert(g_array_index(days, struct store_day, 0).unread);
	ck_assert(!g_array_index(days, struct store_day, 0).damaged);
	ck_assert_uint_gt(g_array_index(days, struct store_day, 0).bytes, 8192);
	ck_assert_int_eq(unread.number, troubles[_i].number);
	ck_assert_ptr_null(strstr(unread.text, "damaged"));
	g_autoptr(GArray) again = store_days(store, NULL, NULL);
	ck_assert_uint_eq(g_array_index(again, struct store_day, 0).events, 1);
	store_close(&store);
}
END_TEST

/* A block of a file that the disk does not give. */
static ino_t bad_file;
static off_t bad_at;

static ssize_t bad_pread(int fd, void *bytes, size_t n, off_t at)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_ino == bad_file && at <= bad_at &&
	        bad_at < at + (off_t)n) {
		errno = EIO;
		return -1;
	}
	return pread(fd, bytes, n, at);
}

/* The page that a table begins with. */
static off_t place_of(const char *path, const char *table)
{
	g_autofree char *text = g_strdup_printf(
	        "SELECT (rootpage - 1) * 8192 FROM sqlite_schema WHERE name = '%s'", table);
	struct sql sql;
	int64_t place = 0;

	ck_assert_int_eq(sql_open(&sql, path, SQLITE_OPEN_READONLY, NULL), 0);
	ck_assert_int_eq(sql_number(&sql, text, 0, &place, NULL), 0);
	sql_close(&sql);
	return place;
}

static void break_sector(const char *path, const char *table)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	bad_file = st.st_ino;
	bad_at = place_of(path, table);
	vfs->xSetSystemCall(vfs, "pread", (sqlite3_syscall_ptr)bad_pread);
	vfs->xSetSystemCall(vfs, "pread64", (sqlite3_syscall_ptr)bad_pread);
}

static int no_file_can_be_written(void *ctx, const char *place)
{
	return *(bool *)ctx && strcmp(place, "probe") == 0;
}

static void add_gap(void *ctx, const struct store_gap *gap)
{
	g_string_append_len(ctx, gap->text.p, (gssize)gap->text.n);
}

static void commit_fails(struct store *store, const struct store_batch *batch, unsigned times)
{
	struct store_commit_result result;

	while (times-- > 0) {
		struct error err = {0};
		ck_assert_int_eq(store_commit(store, batch, 0, &result, &err), -1);
		ck_assert_int_eq(err.number, EIO);
		ck_assert_ptr_null(strstr(err.text, "damaged"));
	}
}

START_TEST(a_file_with_a_bad_sector_is_set_aside_when_only_it_fails_and_for_long)
{
	struct event event = make_event(EVENT_DELIVERY, DAY1, 1, "m", "a@b");
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	g_autofree char *path = store_day_path(store, clock_day_of(DAY1));
	g_autofree char *aside = g_strconcat(path, ".damaged-1", NULL);
	bool all_bad = false;

	commit_events(store, &event, 1);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	store->fault = no_file_can_be_written;
	store->fault_ctx = &all_bad;
	add(batch, DAY1 + 1, 2);
	break_sector(path, "commits");
	commit_fails(store, batch, 3);
	ck_assert_int_gt(store->bad.ms, 60 * 1000); /* not for so long */
	store->bad.ms = 0;
	all_bad = true; /* the disk, and not this file */
	commit_fails(store, batch, 3);
	all_bad = false;
	commit_fails(store, batch, 1);
	bad_file = 0; /* it passes */
	ck_assert_uint_eq(commit(store, batch).inserted, 1);
	ck_assert_int_lt(access(aside, F_OK), 0);
	store_close(&store);

	store = open_store(dir, STORE_WRITE);
	store->bad.ms = 0;
	break_sector(path, "commits");
	store_batch_reset(batch);
	add(batch, DAY1 + 2, 3);
	commit_fails(store, batch, 1);
	ck_assert_uint_eq(commit(store, batch).inserted, 1);
	ck_assert_int_eq(access(aside, F_OK), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 1);
	g_autoptr(GString) told = g_string_new(NULL);
	ck_assert_int_eq(store_each_gap(store, 10, add_gap, told, NULL), 0);
	ck_assert_ptr_nonnull(once(told->str, "bad sector"));
	ck_assert_ptr_nonnull(once(told->str, "--repair"));
	bad_file = 0;
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

START_TEST(events_before_the_oldest_day_and_of_no_time_are_counted_not_stored)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	add(batch, DAY1 - 1, 1);
	add(batch, DAY1, 2);
	add(batch, 0, 3);
	add(batch, -5, 4);
	add(batch, INT64_MAX, 5);
	store_batch_line(batch, SOURCE, LEDGER_EVENT);
	ck_assert_int_eq(store_commit(store, batch, DAY1, &result, NULL), 0);
	ck_assert_uint_eq(result.inserted, 1);
	ck_assert_uint_eq(result.too_old, 1);
	ck_assert_uint_eq(result.known, 0);
	g_autoptr(GHashTable) counters = store_counters(store, NULL);
	ck_assert_int_eq(*(gint64 *)g_hash_table_lookup(counters, "too_old"), 1);
	ck_assert_int_eq(*(gint64 *)g_hash_table_lookup(counters, "bad_time"), 3);
	check_ledger(store, "1 0 0 0 0 / 1");
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

START_TEST(more_events_in_one_second_than_orders_go_on_behind_it)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_batch *batch = store_batch_new();
	struct search search = SEARCH_ALL;
	uint64_t total;

	for (uint64_t i = 1; i <= 66000; i++)
		add(batch, DAY1 + 998, i);
	ck_assert_uint_eq(commit(store, batch).inserted, 66000);
	ck_assert_uint_eq(commit(store, batch).inserted, 0);
	search.from = DAY1;
	search.to = DAY1 + 1000;
	search.limit = 1;
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_eq(total, 66000);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	ck_assert_uint_eq(commit(store, batch).inserted, 0);
	store_batch_free(&batch);
	store_close(&store);
}
END_TEST

static void next_arrival(void *ctx, const struct event *event)
{
	ck_assert_uint_gt(event->arrival, *(uint64_t *)ctx);
	*(uint64_t *)ctx = event->arrival;
}

START_TEST(arrivals_come_in_order_whatever_day_they_belong_to)
{
	struct store *store = open_store(dir, STORE_WRITE);
	struct search search = SEARCH_ALL;
	const char *const list[] = {"delivery", NULL};
	uint64_t next = 0, last = 0;
	int pages = 0;

	for (uint64_t i = 0; i < 40; i++) {
		struct event events[3];
		for (uint64_t k = 0; k < 3; k++)
			events[k] = make_event(k == 2 ? EVENT_DELAY : EVENT_DELIVERY,
			        DAY1 + (int64_t)((i * 17 + k * 11) % 50) * CLOCK_HOUR,
			        i * 3 + k + 1, "m", "a@b");
		commit_events(store, events, 3);
	}
	search.limit = 7;
	search.values[SEARCH_EVENT] = list;
	for (;;) {
		uint64_t since = next, seen = last;
		ck_assert_int_eq(
		        store_arrivals(store, &search, since, next_arrival, &last, &next, NULL), 0);
		if (seen == last)
			break;
		pages++;
	}
	ck_assert_int_eq(pages, (80 + 6) / 7);
	/* However small the room is, each call gets on by an event. */
	search.bytes = 1;
	uint64_t before = next = last = 0;
	for (pages = 0; next < 120; pages++, before = next) {
		ck_assert_int_eq(
		        store_arrivals(store, &search, before, next_arrival, &last, &next, NULL),
		        0);
		ck_assert_uint_gt(next, before);
	}
	ck_assert_int_eq(pages, 81); /* the last one finds no match any more */
	search.bytes = 0;
	ck_assert_uint_eq(next, 120);
	ck_assert_int_eq(store_arrivals(store, &search, 120, next_arrival, &last, &next, NULL), 0);
	ck_assert_uint_eq(next, 120);
	search.from = DAY1;
	search.to = DAY1 + CLOCK_HOUR;
	search.limit = 1000;
	last = 0;
	ck_assert_int_eq(store_arrivals(store, &search, 0, next_arrival, &last, &next, NULL), 0);
	ck_assert_uint_eq(next, 120);
	store_close(&store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store commit");
	TCase *cases = tcase_create("store commit");

	tcase_set_timeout(cases, 120);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, the_ledger_tells_new_from_known_lines);
	tcase_add_test(cases, what_is_there_is_found_again_after_a_reopen);
	tcase_add_test(cases, late_events_and_those_out_of_order_find_their_place);
	tcase_add_test(cases, a_line_of_37_recipients_is_one_line_and_37_events_of_one_message);
	tcase_add_test(cases, a_message_over_midnight_is_whole_in_each_day_file);
	tcase_add_loop_test(
	        cases, a_batch_over_midnight_survives_death_at_any_place, 0, G_N_ELEMENTS(deaths));
	tcase_add_loop_test(
	        cases, a_commit_that_failed_may_be_tried_again, 0, G_N_ELEMENTS(deaths));
	tcase_add_test(cases, what_a_failed_commit_left_is_counted_once);
	tcase_add_test(cases, what_was_stored_decides_whether_the_milter_missed_it);
	tcase_add_test(cases, a_full_disk_fails_the_commit_and_room_heals_it);
	tcase_add_loop_test(cases,
	        a_commit_that_the_machine_refuses_tells_the_cause_and_how_to_mend_it, 0,
	        G_N_ELEMENTS(troubles));
	tcase_add_loop_test(cases, a_day_that_the_machine_does_not_give_is_unread_and_not_damaged,
	        0, G_N_ELEMENTS(troubles));
	tcase_add_test(
	        cases, a_file_with_a_bad_sector_is_set_aside_when_only_it_fails_and_for_long);
	tcase_add_test(cases, events_before_the_oldest_day_and_of_no_time_are_counted_not_stored);
	tcase_add_test(cases, more_events_in_one_second_than_orders_go_on_behind_it);
	tcase_add_test(cases, arrivals_come_in_order_whatever_day_they_belong_to);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
