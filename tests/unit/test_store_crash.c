/* Processes that are killed while they make or close files of the store. SQLite lets its system
 * calls be replaced: a child is killed before each of them in turn. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <signal.h>
#include <sqlite3.h>
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

static char *file(const char *name)
{
	return g_build_filename(dir, name, NULL);
}

/* --- a child that dies --- */

static _Atomic int steps; /* that are left; 0: never */

static void step(void)
{
	if (steps > 0 && --steps == 0) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
}

static int dying_open(const char *path, int flags, int mode)
{
	step();
	return open(path, flags, mode);
}

static ssize_t dying_write(int fd, const void *bytes, size_t n)
{
	step();
	return write(fd, bytes, n);
}

static ssize_t dying_pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	step();
	return pwrite(fd, bytes, n, offset);
}

static int dying_truncate(int fd, off_t size)
{
	step();
	return ftruncate(fd, size);
}

static int dying_unlink(const char *path)
{
	step();
	return unlink(path);
}

static const struct {
	const char *name;
	sqlite3_syscall_ptr call;
} calls[] = {
        {"open", (sqlite3_syscall_ptr)dying_open},
        {"write", (sqlite3_syscall_ptr)dying_write},
        {"pwrite", (sqlite3_syscall_ptr)dying_pwrite},
        {"pwrite64", (sqlite3_syscall_ptr)dying_pwrite},
        {"ftruncate", (sqlite3_syscall_ptr)dying_truncate},
        {"unlink", (sqlite3_syscall_ptr)dying_unlink},
};

/* Takes over the calls that SQLite has in this build; `only` of them, or all. */
static void take_calls(const char *only)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
		if ((only == NULL || strcmp(only, calls[i].name) == 0) &&
		        vfs->xGetSystemCall(vfs, calls[i].name) != NULL)
			vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call);
}

static int dying_fault(void *ctx, const char *place)
{
	(void)ctx;
	(void)place;
	step();
	return 0;
}

/* Runs it in a child that is killed at its step `at`. False when it came to its end before. */
static bool killed_in(void (*run)(void), const char *only, int at)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		sqlite3_initialize();
		take_calls(only);
		steps = at;
		run();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	return !WIFEXITED(status);
}

static struct event an_event(uint64_t id)
{
	return make_event(EVENT_DELIVERY, DAY1 + (int64_t)id * 1000, id, "m", "a@b");
}

static bool try_commit(uint64_t id)
{
	struct store_options options = {.fast_import = true};
	struct event event = an_event(id);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	struct store *store;
	bool done = false;

	store_batch_event(batch, &event);
	if (store_open(&store, dir, STORE_WRITE, &options, NULL) == 0) {
		store->fault = dying_fault;
		done = store_commit(store, batch, 0, &result, NULL) == 0;
		store_close(&store);
	}
	store_batch_free(&batch);
	return done;
}

static void make_and_close(void)
{
	if (!try_commit(1))
		_exit(1);
}

static void go_on(void)
{
	if (!try_commit(2))
		_exit(1);
}

/* --- what is left --- */

static void check_names(void)
{
	GDir *list = g_dir_open(dir, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(list)) != NULL)
		ck_assert_msg(strcmp(name, "lock") == 0 || g_str_has_suffix(name, ".db") ||
		                      g_str_has_prefix(name, "control.sqlite"),
		        "%s stays", name);
	g_dir_close(list);
}

static void check_reading(uint64_t low, uint64_t high)
{
	struct error err = {0};
	struct store *store;

	if (store_open(&store, dir, STORE_READ, NULL, &err) == 0) {
		uint64_t n = count_key(store, SEARCH_MESSAGE, "m");
		ck_assert_uint_ge(n, low);
		ck_assert_uint_le(n, high);
		store_close(&store);
	} else {
		ck_assert_msg(err.number == ENOENT && low == 0, "%s", err.text);
	}
}

/* The next writer takes the store as if nothing had been. */
static void check_writing(uint64_t id, uint64_t want)
{
	struct store_options options = {.fast_import = true};
	struct event event = an_event(id);
	struct error err = {0};
	struct store *store;

	if (store_open(&store, dir, STORE_WRITE, &options, &err) < 0)
		ck_abort_msg("store_open: %s", err.text);
	commit_events(store, &event, 1);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), want);
	store_close(&store);
	check_names();
}

static void empty_dir(void)
{
	teardown();
	setup();
}

START_TEST(a_kill_at_any_point_of_the_first_commit_leaves_a_store_that_works)
{
	int at = 1;

	for (; killed_in(make_and_close, NULL, at); at++) {
		check_reading(0, 1);
		check_writing(1, 1);
		empty_dir();
	}
	ck_assert_int_gt(at, 50);
	check_reading(1, 1);
}
END_TEST

START_TEST(a_kill_while_a_day_is_opened_again_and_closed_loses_nothing)
{
	int at = 1;

	make_and_close();
	for (; killed_in(go_on, NULL, at); at++) {
		check_reading(1, 2);
		check_writing(2, 2);
		empty_dir();
		make_and_close();
	}
	ck_assert_int_gt(at, 20);
	check_reading(2, 2);
}
END_TEST

/* --- hot journals, as older writers left them --- */

static const char *hot_file, *hot_text;

static void change_with_a_journal(void)
{
	g_autofree char *path = file(hot_file);
	sqlite3 *db;

	if (sqlite3_open(path, &db) == SQLITE_OK)
		sqlite3_exec(db, hot_text, NULL, NULL, NULL);
}

/* Killed when the change is written and its journal is about to be unlinked. */
static void make_hot(const char *name, const char *text)
{
	g_autofree char *journal = g_strdup_printf("%s/%s-journal", dir, name);

	hot_file = name;
	hot_text = text;
	for (int at = 1; !g_file_test(journal, G_FILE_TEST_EXISTS); at++)
		ck_assert(killed_in(change_with_a_journal, "unlink", at));
}

START_TEST(a_half_made_day_with_a_hot_journal_counts_as_not_there)
{
	make_and_close();
	make_hot("2024-03-02.db", "CREATE TABLE meta (name TEXT)");
	check_reading(1, 1);
	make_and_close();
	make_hot("2024-03-02.db", "CREATE TABLE meta (name TEXT)");
	check_writing(2, 2);
	g_autofree char *path = file("2024-03-02.db");
	ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
	check_writing(CLOCK_DAY / 1000 + 2, 3);
}
END_TEST

START_TEST(a_day_with_a_hot_journal_is_healed_by_who_comes_first)
{
	for (int reader = 0; reader <= 1; reader++) {
		make_and_close();
		make_hot("2024-03-01.db", "PRAGMA journal_mode = WAL");
		if (reader == 1)
			check_reading(1, 1);
		check_writing(2, 2);
		empty_dir();
	}
}
END_TEST

START_TEST(a_control_file_with_a_hot_journal_is_healed)
{
	make_and_close();
	make_hot("control.sqlite", "PRAGMA journal_mode = DELETE");
	check_reading(1, 1);
	make_hot("control.sqlite", "PRAGMA journal_mode = WAL; PRAGMA journal_mode = DELETE");
	check_writing(2, 2);
}
END_TEST

START_TEST(a_half_made_control_file_is_made_again)
{
	make_hot("control.sqlite", "CREATE TABLE meta (name TEXT)");
	check_reading(0, 0);
	check_writing(1, 1);
}
END_TEST

START_TEST(an_empty_day_file_counts_as_not_there)
{
	g_autofree char *path = file("2024-03-01.db");

	make_and_close();
	ck_assert(g_file_set_contents(path, "", 0, NULL));
	check_reading(0, 0);
	check_writing(1, 1);
}
END_TEST

/* As another user of the store's group, where even the control file can be read. */
static bool other_user_is_told(void)
{
	struct search search = SEARCH_ALL;
	struct error err = {0};
	struct store *store;

	return setgroups(0, NULL) == 0 && setuid(65534) == 0 &&
	       store_open(&store, dir, STORE_READ, NULL, NULL) == 0 &&
	       store_search(store, &search, NULL, NULL, NULL, &err) == -1 &&
	       strstr(err.text, "2024-03-01.db was left half-written") != NULL &&
	       strstr(err.text, "ermission") == NULL;
}

START_TEST(a_reader_who_may_not_heal_is_told_what_will)
{
	g_autofree char *control = file("control.sqlite");
	int status;

	if (geteuid() != 0)
		return; /* only root can become somebody else */
	make_and_close();
	make_hot("2024-03-01.db", "PRAGMA journal_mode = WAL");
	sqlite3 *db;
	ck_assert_int_eq(sqlite3_open(control, &db), SQLITE_OK);
	ck_assert_int_eq(
	        sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(other_user_is_told() ? 0 : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	check_writing(2, 2);
}
END_TEST

START_TEST(a_damaged_day_is_listed_with_its_size_and_without_events)
{
	g_autofree char *path = file("2024-03-01.db");

	make_and_close();
	check_writing(CLOCK_DAY / 1000 + 2, 2);
	int fd = open(path, O_WRONLY);
	/* Behind the schema and the page that tells which page belongs to which. */
	ck_assert_int_eq(pwrite(fd, dir, strlen(dir), 2 * 8192), (ssize_t)strlen(dir));
	close(fd);
	struct store *store = open_store(dir, STORE_READ);
	g_autoptr(GArray) days = store_days(store, NULL, NULL);
	ck_assert_ptr_nonnull(days);
	ck_assert_uint_eq(days->len, 2);
	ck_assert_uint_eq(g_array_index(days, struct store_day, 0).events, 0);
	ck_assert_uint_gt(g_array_index(days, struct store_day, 0).bytes, 8192);
	ck_assert_uint_eq(g_array_index(days, struct store_day, 1).events, 1);
	store_close(&store);
}
END_TEST

/* --- files that are taken away --- */

START_TEST(a_day_deleted_under_the_writer_is_made_again)
{
	struct store *store = open_store(dir, STORE_WRITE);
	g_autofree char *path = file("2024-03-01.db");

	for (uint64_t id = 1; id <= 3; id++) {
		struct event event = an_event(id);
		commit_events(store, &event, 1);
		ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), 1);
		if (id < 3)
			ck_assert_int_eq(g_unlink(path), 0);
		ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m"), id < 3 ? 0 : 1);
	}
	store_close(&store);
	check_reading(1, 1);
	check_writing(4, 2);
}
END_TEST

START_TEST(a_control_file_deleted_under_the_writer_is_made_again)
{
	struct store *store = open_store(dir, STORE_WRITE);
	g_autofree char *path = file("control.sqlite");
	g_autoptr(GString) position = g_string_new(NULL);
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	struct event event = an_event(1);

	commit_events(store, &event, 1);
	ck_assert_int_eq(g_unlink(path), 0);
	store_batch_position(batch, SLICE("log"), SLICE("here"));
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	store_batch_free(&batch);
	store_close(&store);
	store = open_store(dir, STORE_WRITE);
	ck_assert(store_position(store, SLICE("log"), position));
	ck_assert_uint_eq(store_mark(store), 1);
	ck_assert_uint_eq(g_hash_table_size(store->uncounted), 0);
	store_close(&store);
}
END_TEST

int main(void)
{
	const TTest *const list[] = {
	        a_kill_at_any_point_of_the_first_commit_leaves_a_store_that_works,
	        a_kill_while_a_day_is_opened_again_and_closed_loses_nothing,
	        a_half_made_day_with_a_hot_journal_counts_as_not_there,
	        a_day_with_a_hot_journal_is_healed_by_who_comes_first,
	        a_control_file_with_a_hot_journal_is_healed, a_half_made_control_file_is_made_again,
	        an_empty_day_file_counts_as_not_there, a_reader_who_may_not_heal_is_told_what_will,
	        a_damaged_day_is_listed_with_its_size_and_without_events,
	        a_day_deleted_under_the_writer_is_made_again,
	        a_control_file_deleted_under_the_writer_is_made_again, NULL};

	return run_store_tests("store crash", setup, teardown, list);
}
