/* What an erasure does in the files beside the days: batches that go out and come in, damaged
 * files, the record of backups. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "store/backup.h"
#include "store/erase.h"
#include "store/erase_line.h"
#include "store/outbox.h"
#include "store/private.h"
#include "store/spool.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define PERSON "erase.me-77@gone.example"
#define ASKED (DAY1 + 10 * CLOCK_DAY)
#define HEAD "postwake-batch 1709251200000 \n"

/* 2024-03-01, and a time after the erasure. */
#define LINE(to, subject, time) \
	"{\"msys\":{\"message_event\":{\"type\":\"delivery\",\"event_id\":\"92356927693813856\"," \
	"\"message_id\":\"000443ee14578172be22\",\"timestamp\":\"" time "\",\"rcpt_to\":\"" to \
	"\",\"subject\":\"" subject "\",\"recv_method\":\"esmtp\",\"delv_method\":\"esmtp\"}}}"
#define OLD "1709251201"
#define NEW "1799251201"

static char *dir;
static struct store *store;

static void setup(void)
{
	dir = scratch_make();
	store = open_store(dir, STORE_WRITE);
}

static void remove_in(const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	GDir *list = g_dir_open(path, 0, NULL);
	const char *file;

	while (list != NULL && (file = g_dir_read_name(list)) != NULL) {
		g_autofree char *one = g_build_filename(path, file, NULL);
		g_unlink(one);
	}
	if (list != NULL)
		g_dir_close(list);
	g_rmdir(path);
}

static void teardown(void)
{
	store_close(&store);
	remove_in(OUTBOX_DIR);
	remove_in(SPOOL_DIRECTORY);
	scratch_remove(&dir);
}

/* ---- gzip ---- */

static GString *pack(const char *text)
{
	uLong room = compressBound((uLong)strlen(text)) + 64;
	GString *packed = g_string_sized_new(room);
	z_stream z = {0};

	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)text;
	z.avail_in = (uInt)strlen(text);
	z.next_out = (Bytef *)packed->str;
	z.avail_out = (uInt)room;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	g_string_set_size(packed, z.total_out);
	deflateEnd(&z);
	return packed;
}

static int add_line(void *ctx, struct slice line, struct error *err)
{
	(void)err;
	g_string_append_len(ctx, line.p, (gssize)line.n);
	g_string_append_c(ctx, '\n');
	return 0;
}

static char *unpack(struct slice packed)
{
	GString *text = g_string_new(NULL);

	ck_assert_int_eq(erase_each_line(packed, add_line, text, NULL), 0);
	return g_string_free(text, FALSE);
}

/* ---- erasing ---- */

static int run_here(void *ctx, store_job *job, void *job_ctx, struct error *err)
{
	(void)ctx;
	return job(job_ctx, err);
}

static void carry_out(struct erasure *erasure)
{
	const struct erase_how how = {.run = run_here};
	g_autoptr(GArray) days = store_erase_days(store, NULL);
	struct error err = {0};

	for (guint i = 0; i < days->len; i++) {
		struct erased_day *made;
		int found = store_erase_day(
		        store, erasure, g_array_index(days, gint64, i), NULL, NULL, &made, &err);
		if (found < 0 ||
		        (found == 1 && store_erase_switch(store, erasure, &made, &err) < 0))
			ck_abort_msg("%s", err.text);
	}
	if (store_erase_files(store, erasure, &how, &err) < 0 ||
	        store_erase_end(store, erasure, ASKED, &err) < 0)
		ck_abort_msg("%s", err.text);
}

/* What is left to the operator; of the last erasure. */
static char *erase(const char *name)
{
	struct error err = {0};
	int64_t id;

	if (store_erase_begin(store, TOMBSTONE_RECIPIENT, slice_str(name), ASKED, &id, &err) < 0)
		ck_abort_msg("%s", err.text);
	g_autoptr(GArray) erasures = store_erasures(store, &err);
	struct erasure *erasure = &g_array_index(erasures, struct erasure, erasures->len - 1);
	carry_out(erasure);
	return g_strdup(erasure->rest->str);
}

/* ---- lines ---- */

START_TEST(lines_are_kept_cleaned_or_gone)
{
	static const struct {
		const char *line;
		enum erased_line fate;
		const char *left; /* of one that is cleaned: stands in it */
	} cases[] = {
	        {LINE("a@example.com", "x", OLD), LINE_KEPT, NULL},
	        {LINE(PERSON, "x", OLD), LINE_GONE, NULL},
	        {LINE("Erase.Me-77@GONE.example", "x", OLD), LINE_GONE, NULL},
	        {LINE("erase.me-77\\u0040gone.example", "x", OLD), LINE_GONE, NULL},
	        {LINE("\\\"erase.me-77\\\"@gone.example", "x", OLD), LINE_GONE, NULL},
	        {LINE(PERSON, "x", NEW), LINE_KEPT, NULL},
	        {LINE("a@example.com", "to erase.me-77 too", OLD), LINE_CLEANED,
	                "\"subject\":\"to [erased] too\""},
	        {LINE("a@example.com", "b=erase.me-77%40gone.example", OLD), LINE_CLEANED,
	                "\"subject\":\"b=[erased]\""},
	        {LINE("a@example.com", "erase.me\\u002d77@gone.example", OLD), LINE_CLEANED,
	                "\"subject\":\"[erased]\""},
	        {"{\"msys\":{\"x\":{\"" PERSON "\":1}}}", LINE_CLEANED, "{\"[erased]\":1}"},
	        {"no JSON: " PERSON, LINE_CLEANED, "no JSON: [erased]"},
	        {"", LINE_KEPT, NULL},
	};
	static const uint8_t key[TOMBSTONE_KEY_BYTES] = "0123456789abcdef";
	g_autoptr(GString) out = g_string_new(NULL);
	struct tombstones *stones = tombstones_new(key);
	struct tombstone stone;

	ck_assert_int_eq(
	        tombstone_make(key, TOMBSTONE_RECIPIENT, SLICE(PERSON), ASKED, &stone, NULL), 0);
	tombstones_add(stones, &stone);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		enum erased_line fate = erase_line(stones, slice_str(cases[i].line), out);
		ck_assert_msg(fate == cases[i].fate, "%s: %d", cases[i].line, (int)fate);
		if (fate == LINE_CLEANED)
			ck_assert_msg(strstr(out->str, cases[i].left) != NULL, "%s", out->str);
	}
	/* No batch holds such lines: nothing of them is read, or kept. */
	g_autofree char *longest = g_strnfill(300000, 'x');
	ck_assert_int_eq(erase_line(stones, slice_str(longest), out), LINE_GONE);
	tombstones_free(&stones);
}
END_TEST

/* ---- batches that go out ---- */

static struct outbox_batch *add_batch(
        enum outbox_state state, unsigned tries, const char *remote, const char *text)
{
	struct outbox_batch *batch = outbox_batch_new("far");
	struct store_batch *to = store_batch_new();
	struct store_commit_result result;
	GString *packed = pack(text);

	batch->state = state;
	batch->tries = tries;
	batch->doubt = tries > 0;
	g_free(batch->remote);
	batch->remote = g_strdup(remote);
	/* Far from all arrival numbers: only its bytes tell. */
	batch->since = batch->until = 1000000;
	ck_assert_int_eq(
	        store_outbox_write(store, batch, slice_make(packed->str, packed->len), NULL), 0);
	store_batch_outbox(to, batch);
	ck_assert_int_eq(store_commit(store, to, 0, &result, NULL), 0);
	store_batch_free(&to);
	g_string_free(packed, TRUE);
	return batch;
}

static int has_bytes(const struct outbox_batch *batch)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	return store_outbox_read(store, batch, bytes, NULL);
}

START_TEST(batches_that_go_out_lose_their_bytes_and_are_named_if_they_were_sent)
{
	struct outbox_batch *other =
	        add_batch(OUTBOX_READY, 1, "", LINE("a@example.com", "x", OLD) "\n");
	struct outbox_batch *waiting = add_batch(OUTBOX_READY, 0, "", LINE(PERSON, "x", OLD) "\n");
	struct outbox_batch *unsure = add_batch(OUTBOX_READY, 2, "",
	        LINE("a@example.com", "x", OLD) "\n" LINE("b@example.com", PERSON, OLD));
	struct outbox_batch *sent =
	        add_batch(OUTBOX_SENT, 1, "their-id-5", LINE(PERSON, "x", OLD) "\n");
	struct outbox_batch *parked = add_batch(OUTBOX_PARKED, 1, "", LINE(PERSON, "x", OLD));
	struct outbox_batch *late = add_batch(OUTBOX_READY, 1, "", LINE(PERSON, "x", NEW) "\n");

	g_autofree char *left = erase(PERSON);
	ck_assert_int_eq(has_bytes(other), 1);
	ck_assert_int_eq(has_bytes(late), 1);
	ck_assert_int_eq(has_bytes(waiting), 0);
	ck_assert_int_eq(has_bytes(unsure), 0);
	ck_assert_int_eq(has_bytes(sent), 0);
	ck_assert_int_eq(has_bytes(parked), 0);
	ck_assert_ptr_nonnull(strstr(left, unsure->id));
	ck_assert_ptr_nonnull(strstr(left, "was sent to far as their-id-5"));
	ck_assert_ptr_nonnull(strstr(left, parked->id));
	ck_assert_ptr_null(strstr(left, waiting->id));
	ck_assert_ptr_null(strstr(left, other->id));
	ck_assert_ptr_null(strstr(left, "not looked into"));
	struct outbox_batch *all[] = {other, waiting, unsure, sent, parked, late};
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		outbox_batch_free(all[i]);
}
END_TEST

START_TEST(a_batch_whose_bytes_have_ended_is_named_by_what_was_in_it)
{
	struct event events[] = {
	        make_event(EVENT_DELIVERY, DAY1 + 1, 1, "m1", "a@example.com"),
	        make_event(EVENT_DELIVERY, DAY1 + 2, 2, "m2", PERSON),
	        make_event(EVENT_BOUNCE, DAY1 + 3, 3, "m3", "b@example.com"),
	};
	struct store_batch *to = store_batch_new();
	struct store_commit_result result;
	struct outbox_batch *batch[4];

	set_field(&events[2], FIELD_RAW_REASON, "see " PERSON);
	commit_events(store, events, 3);
	for (unsigned i = 0; i < G_N_ELEMENTS(batch); i++) {
		batch[i] = outbox_batch_new("far");
		batch[i]->state = OUTBOX_ACCEPTED;
		batch[i]->since = i;
		batch[i]->until = i + 1;
		store_batch_outbox(to, batch[i]);
	}
	ck_assert_int_eq(store_commit(store, to, 0, &result, NULL), 0);
	store_batch_free(&to);
	g_autofree char *left = erase(PERSON);
	for (unsigned i = 0; i < G_N_ELEMENTS(batch); i++) {
		ck_assert_int_eq(strstr(left, batch[i]->id) != NULL, i == 1 || i == 2);
		outbox_batch_free(batch[i]);
	}
}
END_TEST

static void count_failure(void *ctx, const struct outbox_failure *failure)
{
	(void)failure;
	(*(unsigned *)ctx)++;
}

/* What the other side says of somebody, before and after. */
START_TEST(what_a_destination_says_is_cleaned_before_and_after)
{
	for (int round = 0; round < 2; round++) {
		struct outbox_batch *batch = outbox_batch_new("far");
		char name[] = "far", trouble[] = "refused: " PERSON;
		struct outbox_destination row = {.name = name, .trouble = trouble};
		struct outbox_failure failure = {.destination = SLICE("far"),
		        .batch = slice_str(batch->id),
		        .time = ASKED,
		        .cause = SLICE("bad"),
		        .line = SLICE(LINE(PERSON, "x", OLD))};
		struct store_batch *to = store_batch_new();
		struct store_commit_result result;
		unsigned failures = 0;

		g_free(batch->answer);
		batch->answer = g_strdup("400 " PERSON);
		batch->state = OUTBOX_PARTLY;
		store_batch_outbox(to, batch);
		store_batch_destination(to, &row);
		store_batch_failure(to, &failure);
		failure.line = SLICE(LINE("a@example.com", "x", OLD));
		store_batch_failure(to, &failure);
		ck_assert_int_eq(store_commit(store, to, 0, &result, NULL), 0);
		store_batch_free(&to);
		if (round == 0)
			g_free(erase(PERSON));
		g_autoptr(GPtrArray) rows = store_outbox(store, NULL, NULL);
		for (guint i = 0; i < rows->len; i++)
			ck_assert_str_eq(
			        ((struct outbox_batch *)rows->pdata[i])->answer, "400 [erased]");
		g_autoptr(GPtrArray) destinations = store_destinations(store, NULL);
		ck_assert_str_eq(((struct outbox_destination *)destinations->pdata[0])->trouble,
		        "refused: [erased]");
		ck_assert_int_eq(
		        store_each_failure(store, batch->id, 10, count_failure, &failures, NULL),
		        0);
		ck_assert_uint_eq(failures, 1);
		outbox_batch_free(batch);
	}
}
END_TEST

/* ---- batches that came in ---- */

#define BATCH_ID "b2013586-c13f-4da4-baf4-11b9d8e40c51"

static void put_file(const char *end, const char *head, const char *text)
{
	g_autofree char *folder = g_build_filename(dir, SPOOL_DIRECTORY, NULL);
	g_autofree char *path = g_strconcat(folder, "/" BATCH_ID, end, NULL);
	GString *packed = pack(text);

	g_mkdir(folder, 0750);
	g_string_prepend(packed, head);
	ck_assert(g_file_set_contents(path, packed->str, (gssize)packed->len, NULL));
	g_string_free(packed, TRUE);
}

START_TEST(batches_that_came_in_lose_the_events_and_their_lines_keep_their_numbers)
{
	GString *bytes = g_string_new(NULL);
	struct spool_batch batch;

	put_file(".batch", HEAD,
	        LINE("a@example.com", "1", OLD) "\n" LINE(PERSON, "2", OLD) "\n" LINE(
	                "b@example.com", "of " PERSON, OLD) "\n" LINE(PERSON, "4", NEW));
	put_file(".failures", "",
	        "{\"error\":{\"line\":7,\"message\":\"x " PERSON "\"},\"text\":\"y\"}\n"
	        "{\"error\":{\"line\":8,\"message\":\"x\"},\"text\":\"z\"}\n");
	g_free(erase(PERSON));
	ck_assert_int_eq(spool_read(store, BATCH_ID, &batch, NULL), 1);
	ck_assert_int_eq(batch.received, DAY1);
	g_autofree char *lines = unpack(slice_make(batch.bytes->str, batch.bytes->len));
	g_auto(GStrv) line = g_strsplit(lines, "\n", -1);
	ck_assert_str_eq(line[0], LINE("a@example.com", "1", OLD));
	ck_assert_str_eq(line[1], "");
	ck_assert_ptr_nonnull(strstr(line[2], "of [erased]"));
	ck_assert_str_eq(line[3], LINE(PERSON, "4", NEW));
	ck_assert_int_eq(spool_read_failures(store, BATCH_ID, bytes, NULL), 1);
	g_autofree char *failures = unpack(slice_make(bytes->str, bytes->len));
	ck_assert_str_eq(failures, "{\"error\":{\"line\":8,\"message\":\"x\"},\"text\":\"z\"}\n");
	spool_batch_clear(&batch);
	g_string_free(bytes, TRUE);
}
END_TEST

struct validator {
	gint stop, held;
};

/* Always has a next batch. */
static gpointer validate(gpointer p)
{
	struct validator *validator = p;

	while (!g_atomic_int_get(&validator->stop)) {
		spool_hold(store);
		g_atomic_int_inc(&validator->held);
		g_usleep(20000);
		spool_release(store);
	}
	return NULL;
}

START_TEST(an_erasure_gets_its_turn_beside_a_validator_that_has_always_a_next_batch)
{
	struct validator validator = {0};
	g_autofree char *folder = g_build_filename(dir, SPOOL_DIRECTORY, NULL);

	g_mkdir(folder, 0750);
	for (int i = 0; i < 1000; i++) {
		g_autofree char *id = g_uuid_string_random();
		g_autofree char *path = g_strconcat(folder, "/", id, ".batch", NULL);
		GString *packed = pack(LINE(PERSON, "x", OLD));
		g_string_prepend(packed, HEAD);
		ck_assert(g_file_set_contents(path, packed->str, (gssize)packed->len, NULL));
		g_string_free(packed, TRUE);
	}
	GThread *thread = g_thread_new("validator", validate, &validator);
	gint64 began = g_get_monotonic_time();
	g_free(erase(PERSON));
	ck_assert_int_lt(g_get_monotonic_time() - began, 30 * G_USEC_PER_SEC);
	/* And the other way round. */
	ck_assert_int_gt(g_atomic_int_get(&validator.held), 3);
	g_atomic_int_set(&validator.stop, 1);
	g_thread_join(thread);
}
END_TEST

START_TEST(a_batch_that_names_nobody_stays_byte_for_byte)
{
	g_autofree char *path = g_build_filename(dir, SPOOL_DIRECTORY, BATCH_ID ".batch", NULL);
	g_autofree char *before = NULL, *after = NULL;
	gsize n, m;

	put_file(".batch", HEAD, LINE("a@example.com", "1", OLD) "\n\n");
	ck_assert(g_file_get_contents(path, &before, &n, NULL));
	g_free(erase(PERSON));
	ck_assert(g_file_get_contents(path, &after, &m, NULL));
	ck_assert_uint_eq(n, m);
	ck_assert_mem_eq(before, after, n);
}
END_TEST

/* ---- damaged files ---- */

static bool there(const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);

	return access(path, F_OK) == 0;
}

static void rename_in(const char *from, const char *to)
{
	g_autofree char *old = g_build_filename(dir, from, NULL);
	g_autofree char *new = g_build_filename(dir, to, NULL);

	ck_assert_int_eq(rename(old, new), 0);
}

START_TEST(damaged_files_are_saved_as_far_as_they_can_be_and_go)
{
	struct event events[] = {
	        make_event(EVENT_DELIVERY, DAY1 + 1, 1, "m1", PERSON),
	        make_event(EVENT_DELIVERY, DAY1 + 2, 2, "m2", "a@example.com"),
	        make_event(EVENT_DELIVERY, DAY2 + 3, 3, "m3", "b@example.com"),
	};

	commit_events(store, events, 3);
	store_close(&store);
	rename_in("2024-03-01.db", "2024-03-01.db.damaged-1");
	rename_in("2024-03-02.db", "2024-03-02.db.damaged-1.salvaged");
	g_autofree char *control = g_build_filename(dir, "control.sqlite.damaged-2", NULL);
	ck_assert(g_file_set_contents(control, "of " PERSON, -1, NULL));
	store = open_store(dir, STORE_WRITE);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "a@example.com"), 0);
	g_autofree char *left = erase(PERSON);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "a@example.com"), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, PERSON), 0);
	/* That one was saved before. */
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "b@example.com"), 0);
	ck_assert(!there("2024-03-01.db.damaged-1"));
	ck_assert(!there("2024-03-02.db.damaged-1.salvaged"));
	ck_assert(!there("control.sqlite.damaged-2"));
	ck_assert_ptr_nonnull(strstr(left, "2024-03-01.db.damaged-1 was removed"));
}
END_TEST

/* ---- backups ---- */

START_TEST(backups_are_named_where_they_are)
{
	g_autofree char *to = scratch_make(), *gone = scratch_make();
	struct event event = make_event(EVENT_DELIVERY, DAY1 + 1, 1, "m1", PERSON);
	struct store_backup done;
	struct error err = {0};

	commit_events(store, &event, 1);
	ck_assert_int_eq(store_backup(dir, gone, DAY1, &done, &err), 0);
	ck_assert_int_eq(store_backup(dir, to, DAY2, &done, &err), 0);
	scratch_remove(&gone);
	g_autofree char *left = erase(PERSON);
	g_autofree char *line =
	        g_strdup_printf("the backup of 2024-03-02T00:00:00.000Z in %s is", to);
	g_autofree char *copy = g_build_filename(to, BACKUPS_NAME, NULL), *listed = NULL;
	ck_assert_msg(strstr(left, line) != NULL, "%s", left);
	ck_assert_ptr_nonnull(strstr(left, "1 backup(s) are not where they were made"));
	ck_assert_ptr_null(strstr(left, "not looked into"));
	/* A copy that takes the place of the store knows of both. */
	ck_assert(g_file_get_contents(copy, &listed, NULL, NULL));
	ck_assert_ptr_nonnull(strstr(listed, "2024-03-01T00:00:00.000Z "));
	ck_assert_ptr_nonnull(strstr(listed, to));
	scratch_remove(&to);
}
END_TEST

START_TEST(quotes_of_a_local_part_do_not_hide_it)
{
	struct event events[] = {
	        make_event(EVENT_DELIVERY, DAY1 + 1, 1, "m1", "\"john \\\"x\\\" doe\"@d.example"),
	        make_event(EVENT_DELIVERY, DAY1 + 2, 2, "m2", "\"john.doe\"@d.example"),
	        make_event(EVENT_BOUNCE, DAY1 + 3, 3, "m3", "a@d.example"),
	};

	set_field(&events[2], FIELD_RAW_REASON,
	        "no <\"john \\\"x\\\" doe\"@d.example> nor <\"john.doe\"@D.example>");
	commit_events(store, events, 3);
	g_free(erase("\"john \\\"x\\\" doe\"@d.example"));
	ck_assert_uint_eq(store_mark(store), 3);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m1"), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m2"), 1);
	g_free(erase("john.doe@d.example"));
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m2"), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m3"), 1);
	g_autofree char *path = g_build_filename(dir, "2024-03-01.db", NULL), *bytes = NULL;
	gsize n;
	ck_assert(g_file_get_contents(path, &bytes, &n, NULL));
	ck_assert_ptr_null(memmem(bytes, n, "john", 4));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {lines_are_kept_cleaned_or_gone,
	        batches_that_go_out_lose_their_bytes_and_are_named_if_they_were_sent,
	        a_batch_whose_bytes_have_ended_is_named_by_what_was_in_it,
	        what_a_destination_says_is_cleaned_before_and_after,
	        batches_that_came_in_lose_the_events_and_their_lines_keep_their_numbers,
	        an_erasure_gets_its_turn_beside_a_validator_that_has_always_a_next_batch,
	        a_batch_that_names_nobody_stays_byte_for_byte,
	        damaged_files_are_saved_as_far_as_they_can_be_and_go,
	        backups_are_named_where_they_are, quotes_of_a_local_part_do_not_hide_it, NULL};

	return run_store_tests("erase_files", setup, teardown, tests);
}
