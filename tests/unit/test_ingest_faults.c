/* Events Ingest where it is cut off, and where what it needs fails. */
#include "tests/support/ingest_box.h"

/* ---- cut off ---- */

struct cut {
	const char *place;
	int after;
};

static int kill_there(void *ctx, const char *place)
{
	struct cut *cut = ctx;

	if (strcmp(place, cut->place) == 0 && cut->after-- == 0)
		raise(SIGKILL);
	return 0;
}

/* Events of the batches of a run that is cut off: more than one step. */
#define CUT_EVENTS 1750

/* Takes a batch in a process that is killed while it validates it. False: it came to an end. */
static bool run_and_kill(const char *place, int after, const char *lines, char *id)
{
	int channel[2], status;

	ck_assert_int_eq(pipe(channel), 0);
	pid_t child = fork();
	if (child == 0) {
		struct cut cut = {place, after};
		start();
		b.store->fault_ctx = &cut;
		b.store->fault = kill_there;
		g_autofree char *sent = send_text(lines);
		ck_assert_int_eq(write(channel[1], sent, INGEST_ID_SIZE), INGEST_ID_SIZE);
		json_decref(verdict(sent));
		_exit(0);
	}
	close(channel[1]);
	ck_assert_int_eq(read(channel[0], id, INGEST_ID_SIZE), INGEST_ID_SIZE);
	close(channel[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status);
}

START_TEST(a_batch_that_was_cut_off_anywhere_is_counted_right)
{
	static const char *const places[] = {"day", "day committed", "control"};
	g_autoptr(GString) lines = good_lines(1, CUT_EVENTS);
	char id[INGEST_ID_SIZE];
	int kills = 0;

	g_string_append(lines, "{}\n");
	g_string_append(lines, lines->str); /* each event once more, within the batch */
	g_autofree char *want = g_strdup_printf("validation %d 2 %d", CUT_EVENTS, CUT_EVENTS);
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
		for (int after = 0; after < 4; after++) {
			prepare();
			bool killed = run_and_kill(places[i], after, lines->str, id);
			kills += killed;
			start();
			assert_verdict(id, want);
			ck_assert_uint_eq(stored(-1, NULL), CUT_EVENTS);
			assert_count("", 1);
			g_autofree char *refused = refused_lines(id);
			ck_assert_ptr_nonnull(refused);
			stop();
			remove_tree(b.dir);
			g_free(b.dir);
		}
	ck_assert_int_ge(kills, 6);
	setup();
}
END_TEST

START_TEST(a_directory_that_was_deleted_is_made_again)
{
	g_autofree char *spool = g_build_filename(b.dir, SPOOL_DIRECTORY, NULL);

	remove_tree(spool);
	assert_sent("{}\n{}\n", "validation 0 2 0");
	/* What waited there is gone, and its sender can know. */
	spool_hold(b.store);
	g_autofree char *id = send_text("{}\n");
	remove_tree(spool);
	spool_release(b.store);
	assert_verdict(id, "system 0 0 0");
}
END_TEST

/* What was handed over before the line that cannot be kept. */
#define WHOLE_STEPS (CUT_EVENTS / 500 * 500)

/* Puts a batch of these lines that came at `received` into the spool of a store that is closed; its
 * refused lines cannot be written, for a directory stands in their way, whose path is returned. */
static char *put_blocked(const char *lines, int64_t received, char id[INGEST_ID_SIZE])
{
	g_autoptr(GByteArray) packed = pack(slice_str(lines));
	struct error err = {0};

	ck_assert_int_eq(store_open(&b.store, b.dir, STORE_WRITE, NULL, &err), 0);
	struct spool *spool = spool_open(b.store, 10 * MEGABYTE, &err);
	ck_assert_int_eq(spool_put(spool, NULL, &access_all.scope, received,
	                         slice_make((const char *)packed->data, packed->len), id, &err),
	        0);
	spool_free(&spool);
	store_close(&b.store);
	char *path = g_strdup_printf("%s/ingest/%s.failures.new", b.dir, id);
	ck_assert_int_eq(g_mkdir(path, 0700), 0);
	return path;
}

/* What the log was told, and how often it was of a trouble. */
static struct {
	GMutex lock;
	GString *text;
	int troubles;
} log_book;

static void note(void *ctx, bool trouble, const char *batch, const char *text)
{
	(void)ctx;
	(void)batch;
	g_mutex_lock(&log_book.lock);
	log_book.troubles += trouble;
	g_string_append_printf(log_book.text, "%s\n", text);
	g_mutex_unlock(&log_book.lock);
}

/* Behind the thread that writes in it. */
static void end_log_book(void)
{
	stop();
	g_string_free(log_book.text, TRUE);
	b.config.tell = NULL;
	start();
}

static void assert_told(int troubles, const char *text)
{
	g_mutex_lock(&log_book.lock);
	ck_assert_msg(log_book.troubles == troubles && strstr(log_book.text->str, text) != NULL,
	        "%d: %s", log_book.troubles, log_book.text->str);
	g_mutex_unlock(&log_book.lock);
}

static void start_log_book(void)
{
	log_book.text = g_string_new(NULL);
	log_book.troubles = 0;
	b.config.tell = note;
}

/* The texts of what is wrong now, one a line. */
static char *troubles_now(void)
{
	g_autoptr(GPtrArray) texts = ingest_troubles(b.ingest);

	g_ptr_array_add(texts, NULL);
	return g_strjoinv("\n", (char **)texts->pdata);
}

/* Until there is a trouble, or none, as the daemon sees it, which holds nothing each second. */
static void wait_troubles(const char *part)
{
	g_autofree char *text = troubles_now();

	for (int i = 0; i < 200 && (part == NULL ? *text != 0 : strstr(text, part) == NULL); i++) {
		ingest_hold(b.ingest, false);
		g_usleep(100000);
		g_free(text);
		text = troubles_now();
	}
	ck_assert_msg(part == NULL ? *text == 0 : strstr(text, part) != NULL, "%s", text);
}

START_TEST(what_fails_is_tried_again_until_it_works_and_keeps_no_other_batch_waiting)
{
	g_autoptr(GString) lines = good_lines(1, CUT_EVENTS);
	char id[INGEST_ID_SIZE];

	g_string_append(lines, "{}\n");
	stop();
	g_autofree char *blocked = put_blocked(lines->str, clock_now(), id);
	start_log_book();
	start();
	wait_troubles("Is a directory; move away what is in its place");
	assert_sent("{}\n", "validation 0 1 0");
	ck_assert_uint_eq(stored(-1, NULL), WHOLE_STEPS);
	assert_count("", 1);
	assert_told(1, "Is a directory");
	ck_assert_int_eq(g_rmdir(blocked), 0);
	wait_troubles(NULL);
	g_autofree char *want = g_strdup_printf("validation %d 1 0", CUT_EVENTS);
	assert_verdict(id, want);
	ck_assert_uint_eq(stored(-1, NULL), CUT_EVENTS);
	assert_told(1, "no batch waits for another try any more");
	end_log_book();
}
END_TEST

START_TEST(what_fails_for_as_long_as_a_batch_is_kept_ends_as_system_with_its_events_counted_once)
{
	g_autoptr(GString) lines = g_string_new(NULL);
	char id[INGEST_ID_SIZE];

	for (unsigned i = 0; i < CUT_EVENTS; i++)
		add_line(lines, "message_event", "delivery", 1 + i, seconds_ago(12 * 86400), "");
	g_string_append(lines, "{}\n");
	stop();
	b.config.max_age = 0;
	b.config.keep_days = 100;
	g_autofree char *young = put_blocked(lines->str, clock_now() - 8 * CLOCK_DAY, id);
	start();
	wait_troubles("Is a directory");
	assert_count("", 0);
	stop();
	ck_assert_int_eq(g_rmdir(young), 0);
	g_autofree char *path = g_strdup_printf("%s/ingest/%s.batch", b.dir, id);
	ck_assert_int_eq(g_unlink(path), 0);
	g_autofree char *old = put_blocked(lines->str, clock_now() - 12 * CLOCK_DAY, id);
	start();
	g_autofree char *want = g_strdup_printf("system 0 0 %d", WHOLE_STEPS);
	assert_verdict(id, want);
	assert_count("?retryable=true", 1);
}
END_TEST

/* Leaves only the first pages of a file as they were. */
static void overwrite(const char *path)
{
	g_autofree char *bytes = NULL;
	gsize n;

	ck_assert(g_file_get_contents(path, &bytes, &n, NULL));
	for (gsize i = 3 * 4096; i < n; i++)
		bytes[i] = (char)g_random_int();
	ck_assert(g_file_set_contents(path, bytes, (gssize)n, NULL));
}

START_TEST(a_damaged_day_keeps_no_event_of_another_day_out)
{
	g_autoptr(GString) old = g_string_new(NULL), lines = good_lines(1000, 12);
	char day[CLOCK_TEXT_MAX];

	stop();
	b.config.max_age = 0;
	start();
	for (unsigned i = 0; i < 500; i++)
		add_line(old, "message_event", "delivery", 1 + i, seconds_ago(3 * 86400), "");
	assert_sent(old->str, "success 500 0 0");
	stop();
	clock_format(clock_now() - 3 * CLOCK_DAY, CLOCK_DATE, day);
	g_autofree char *path = g_strdup_printf("%s/%.10s.db", b.dir, day);
	overwrite(path);
	start_log_book();
	start();
	assert_sent(lines->str, "success 12 0 0");
	g_string_append(lines, "{}\n");
	assert_sent(lines->str, "duplicate_batch 0 1 12");
	assert_told(1, "is damaged");
	g_autoptr(GHashTable) counters = store_counters(b.store, NULL);
	const gint64 *unchecked = g_hash_table_lookup(counters, "ingest_unchecked");
	ck_assert_ptr_nonnull(unchecked);
	ck_assert_int_eq(*unchecked, 24);
	end_log_book();
}
END_TEST

START_TEST(that_no_batch_can_be_taken_is_told_once_until_one_can)
{
	g_autoptr(GByteArray) packed = pack(SLICE("{}\n"));
	g_autofree char *spool = g_build_filename(b.dir, SPOOL_DIRECTORY, NULL);

	stop();
	start_log_book();
	start();
	remove_tree(spool);
	ck_assert(g_file_set_contents(spool, "in the way", -1, NULL));
	for (int i = 0; i < 3; i++) {
		struct query_answer answer = post(packed, "application/x-ndjson", "gzip");
		ck_assert_uint_eq(answer.status, 503);
		query_answer_clear(&answer);
	}
	assert_told(1, "Not a directory; move away");
	wait_troubles("Events Ingest refuses batches");
	/* Whoever was refused does not come again. */
	ck_assert_int_eq(g_unlink(spool), 0);
	wait_troubles(NULL);
	assert_told(1, "batches are taken again");
	assert_sent("{}\n", "validation 0 1 0");
	end_log_book();
}
END_TEST

START_TEST(what_has_expired_goes_although_nothing_else_happens)
{
	const struct ingest_step step = {.id = SLICE("b2013586-c13f-4da4-baf4-11b9d8e40c50"),
	        .event_id = SLICE("b2013586-c13f-4da4-baf4-11b9d8e40c51"),
	        .scope = SLICE("-;-"),
	        .last = true,
	        .time = clock_now(),
	        .expires = clock_now()};
	g_autofree char *path = g_strdup_printf("%s/ingest/%s.batch", b.dir, step.id.p);

	g_usleep(G_USEC_PER_SEC); /* the first look is over */
	ck_assert(g_file_set_contents(path, "bytes", -1, NULL));
	uint64_t ticket = capture_try_ingest(b.capture, NULL, 0, &step, 10000);
	ck_assert_int_eq(capture_wait(b.capture, ticket, 10000), 1);
	for (int i = 0; i < 300 && g_file_test(path, G_FILE_TEST_EXISTS); i++) {
		ingest_hold(b.ingest, false); /* as the daemon does */
		g_usleep(100000);
	}
	ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(half_a_file_is_no_batch)
{
	struct error err = {0};
	g_autofree char *half = g_build_filename(
	        b.dir, "ingest", "b2013586-c13f-4da4-baf4-11b9d8e40c50.batch.new", NULL);
	g_autofree char *odd = g_build_filename(
	        b.dir, "ingest", "b2013586-c13f-4da4-baf4-11b9d8e40c51.batch", NULL);

	stop();
	ck_assert(g_file_set_contents(half, "postwake-batch 15490", -1, NULL));
	ck_assert(g_file_set_contents(odd, "what is this", -1, NULL));
	start();
	ck_assert(!g_file_test(half, G_FILE_TEST_EXISTS));
	struct spool_batch batch;
	ck_assert_int_eq(
	        spool_read(b.store, "b2013586-c13f-4da4-baf4-11b9d8e40c51", &batch, &err), -1);
	spool_batch_clear(&batch);
	assert_sent("{}\n", "validation 0 1 0");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_directory_that_was_deleted_is_made_again,
	        what_fails_is_tried_again_until_it_works_and_keeps_no_other_batch_waiting,
	        what_fails_for_as_long_as_a_batch_is_kept_ends_as_system_with_its_events_counted_once,
	        a_damaged_day_keeps_no_event_of_another_day_out,
	        that_no_batch_can_be_taken_is_told_once_until_one_can,
	        what_has_expired_goes_although_nothing_else_happens, half_a_file_is_no_batch};
	Suite *suite = suite_create("ingest faults");
	TCase *cases = tcase_create("ingest faults"), *cut = tcase_create("cut off");

	tcase_set_timeout(cases, 120);
	tcase_set_timeout(cut, 120);
	tcase_add_checked_fixture(cases, setup, teardown);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		tcase_add_test(cases, tests[i]);
	tcase_add_checked_fixture(cut, NULL, teardown);
	tcase_add_test(cut, a_batch_that_was_cut_off_anywhere_is_counted_right);
	suite_add_tcase(suite, cases);
	suite_add_tcase(suite, cut);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
