/* Copies of a store that is written meanwhile. */
#include <errno.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backup.h"
#include "store/check.h"
#include "store/private.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define BATCH 50
#define BACKUPS 8

static char *dir, *to;

static void setup(void)
{
	dir = scratch_make();
	to = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
	scratch_remove(&to);
}

/* The n-th batch: of two days, so that two files and the control file are committed one by one. */
static void add(struct store *store, unsigned n)
{
	static char words[BATCH][2][32];
	static struct event events[BATCH];
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	struct error err = {0};
	char position[16];

	for (unsigned i = 0; i < BATCH; i++) {
		unsigned k = n * BATCH + i;
		g_snprintf(words[i][0], 32, "%020x", k);
		g_snprintf(words[i][1], 32, "user%u@example.org", k % 100);
		events[i] = make_event(EVENT_DELIVERY, (k % 2 == 0 ? DAY1 : DAY2) + k, k + 1,
		        words[i][0], words[i][1]);
		store_batch_event(batch, &events[i]);
	}
	g_snprintf(position, sizeof(position), "%08u", n + 1);
	store_batch_position(batch, SLICE("log"), slice_str(position));
	if (store_commit(store, batch, 0, &result, &err) < 0)
		ck_abort_msg("store_commit: %s", err.text);
	store_batch_free(&batch);
}

/* Writes until it is told to stop. */
struct load {
	struct store *store;
	gint batches; /* that are committed */
	gint stop;
};

static gpointer load_main(gpointer p)
{
	struct load *load = p;

	while (!g_atomic_int_get(&load->stop)) {
		add(load->store, (unsigned)load->batches);
		g_atomic_int_inc(&load->batches);
	}
	return NULL;
}

static void note(void *ctx, const struct store_finding *finding)
{
	ck_abort_msg("%s: %s: %s", (const char *)ctx, finding->file, finding->what);
}

static void expect_good(const char *store)
{
	struct error err = {0};
	uint64_t n;

	ck_assert_int_eq(store_check(store, note, (void *)store, &n, &err), 0);
}

/* All that the copy's position says was read is there once; what comes later is added. */
static void expect_copy(const char *copy, unsigned at_least, unsigned all)
{
	struct search search = SEARCH_ALL;
	g_autoptr(GString) position = g_string_new(NULL);
	uint64_t total;

	expect_good(copy);
	struct store *store = open_store(copy, STORE_WRITE);
	ck_assert(store_position(store, SLICE("log"), position));
	unsigned read = (unsigned)atoi(position->str);
	ck_assert_uint_ge(read, at_least);
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_ge(total, (uint64_t)read * BATCH);
	for (unsigned n = read; n < all; n++)
		add(store, n);
	search = SEARCH_ALL; /* of now, not of the first answer */
	g_array_unref(search_ids(store, &search, &total));
	ck_assert_uint_eq(total, (uint64_t)all * BATCH);
	store_close(&store);
	expect_good(copy);
}

START_TEST(copies_made_under_load_are_stores)
{
	struct load load = {.store = open_store(dir, STORE_WRITE)};
	struct store_backup done;
	struct error err = {0};
	unsigned before[BACKUPS];

	add(load.store, 0);
	load.batches = 1;
	GThread *thread = g_thread_new("load", load_main, &load);
	for (unsigned i = 0; i < BACKUPS; i++) {
		g_autofree char *copy = g_strdup_printf("%s/%u", to, i);
		before[i] = (unsigned)g_atomic_int_get(&load.batches);
		if (store_backup(dir, copy, DAY1, &done, &err) < 0)
			ck_abort_msg("store_backup: %s", err.text);
		ck_assert_uint_eq(done.days, 2);
		ck_assert_uint_gt(done.bytes, 0);
		g_usleep(20000);
	}
	g_atomic_int_set(&load.stop, 1);
	g_thread_join(thread);
	store_close(&load.store);
	for (unsigned i = 0; i < BACKUPS; i++) {
		g_autofree char *copy = g_strdup_printf("%s/%u", to, i);
		expect_copy(copy, before[i], (unsigned)load.batches);
		scratch_remove(&copy);
	}
}
END_TEST

START_TEST(a_directory_that_holds_something_is_left_alone)
{
	g_autofree char *mine = g_build_filename(to, "mine", NULL);
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_backup done;
	struct error err = {0};

	ck_assert(g_file_set_contents(mine, "x", 1, NULL));
	ck_assert_int_eq(store_backup(dir, to, DAY1, &done, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "not empty"));
	ck_assert_int_eq(access(mine, F_OK), 0);
	store_close(&store);
}
END_TEST

START_TEST(batches_that_wait_are_copied)
{
	g_autofree char *outbox = g_build_filename(dir, "outbox", NULL);
	g_autofree char *from = g_build_filename(outbox, "some.gz", NULL);
	g_autofree char *copies = g_build_filename(to, "outbox", NULL);
	g_autofree char *copy = g_build_filename(copies, "some.gz", NULL);
	g_autofree char *bytes = g_malloc0(100000), *got = NULL;
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_backup done;
	struct error err = {0};
	gsize n;

	ck_assert_int_eq(g_mkdir(outbox, 0750), 0);
	ck_assert(g_file_set_contents(from, bytes, 100000, NULL));
	if (store_backup(dir, to, DAY1, &done, &err) < 0)
		ck_abort_msg("store_backup: %s", err.text);
	ck_assert(g_file_get_contents(copy, &got, &n, NULL));
	ck_assert_uint_eq(n, 100000);
	store_close(&store);
	g_unlink(from);
	g_rmdir(outbox);
	g_unlink(copy);
	g_rmdir(copies);
}
END_TEST

static void expect_mode(const char *in, const char *name, mode_t mode)
{
	g_autofree char *path = g_build_filename(in, name, NULL);
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_msg((st.st_mode & 0777) == mode, "%s: %o", path, st.st_mode & 0777);
}

START_TEST(a_copy_is_readable_for_those_who_may_read_the_store)
{
	g_autofree char *copy = g_build_filename(to, "copy", NULL);
	g_autofree char *day = g_build_filename(dir, "2024-03-01.db", NULL);
	g_autofree char *control = g_build_filename(dir, "control.sqlite", NULL);
	struct store *store = open_store(dir, STORE_WRITE);
	mode_t mask = umask(022);
	struct store_backup done;

	add(store, 0);
	store_close(&store);
	ck_assert_int_eq(chmod(dir, 0700) | chmod(day, 0600) | chmod(control, 0640), 0);
	ck_assert_int_eq(store_backup(dir, copy, DAY1, &done, NULL), 0);
	umask(mask);
	expect_mode(copy, "", 0700);
	expect_mode(copy, "2024-03-01.db", 0600);
	expect_mode(copy, "control.sqlite", 0640);
	expect_mode(copy, "backups", 0600);
	expect_mode(dir, "backups", 0600);
	scratch_remove(&copy);
}
END_TEST

START_TEST(what_is_no_store_cannot_be_copied)
{
	struct store_backup done;
	struct error err = {0};

	ck_assert_int_eq(store_backup(dir, to, DAY1, &done, &err), -1);
	error_clear(&err);
	ck_assert_int_eq(store_backup("/nowhere", to, DAY1, &done, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "/nowhere"));
}
END_TEST

START_TEST(what_cannot_be_copied_whole_is_no_store)
{
	g_autofree char *day = g_build_filename(dir, "2024-03-01.db", NULL);
	struct store *store = open_store(dir, STORE_WRITE);
	struct store_backup done;
	struct error err = {0};

	add(store, 0);
	store_close(&store);
	ck_assert(g_file_set_contents(day, "no database at all, only text", 29, NULL));
	ck_assert_int_eq(store_backup(dir, to, DAY1, &done, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "2024-03-01.db"));
	error_clear(&err);
	ck_assert_int_eq(store_open(&store, to, STORE_READ, NULL, &err), -1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {copies_made_under_load_are_stores,
	        a_directory_that_holds_something_is_left_alone, batches_that_wait_are_copied,
	        a_copy_is_readable_for_those_who_may_read_the_store,
	        what_is_no_store_cannot_be_copied, what_cannot_be_copied_whole_is_no_store, NULL};

	return run_store_tests("store backup", setup, teardown, tests);
}
