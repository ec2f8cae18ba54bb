/* A store that keeps only keyed hashes of addresses: nothing else is in its files, and searches by
 * address find all the same. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/erase.h"
#include "store/pack.h"
#include "store/pseudonym.h"
#include "store/spool.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define PERSON "hide.me-77@example.com"
#define SENDER "jane.roe-5@shop.example"
#define HEADER_ID "<7.hide.me-77=example.com@lists.example>"

static char *dir;

static void setup(void)
{
	dir = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
}

static int try_open(struct store **store, enum store_pseudonymise wish, struct error *err)
{
	const struct store_options options = {.pseudonymise = wish};

	return store_open(store, dir, STORE_WRITE, &options, err);
}

static struct store *open_as(enum store_pseudonymise wish)
{
	struct store *store = NULL;
	struct error err = {0};

	if (try_open(&store, wish, &err) < 0)
		ck_abort_msg("store_open: %s", err.text);
	return store;
}

static struct event event_of(uint64_t id, const char *to)
{
	struct event event = make_event(EVENT_BOUNCE, DAY1 + (int64_t)id, id, "m1", to);

	set_field(&event, FIELD_RAW_RCPT_TO, to);
	set_field(&event, FIELD_FRIENDLY_FROM, SENDER);
	set_field(&event, FIELD_MSG_FROM, "bounces-hide.me-77=example.com@shop.example");
	set_field(&event, FIELD_RAW_REASON, "550 hide.me-77: <" PERSON "> unknown");
	set_field(&event, FIELD_SUBJECT, "For " PERSON);
	set_field(&event, FIELD_RCPT_META, "{\"a\":\"hide.me-77\"}");
	set_field(&event, FIELD_HEADER_MESSAGE_ID, HEADER_ID);
	set_field(&event, FIELD_CAMPAIGN_ID, "of " SENDER);
	return event;
}

static bool file_holds(const char *name, const char *needle, size_t n)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *bytes = NULL;
	gsize size;

	if (!g_file_get_contents(path, &bytes, &size, NULL))
		return false;
	for (gsize i = 0; i < size && needle[0] >= ' '; i++)
		bytes[i] = g_ascii_tolower(bytes[i]);
	return memmem(bytes, size, needle, n) != NULL;
}

static unsigned grep_bytes(const char *needle, size_t n)
{
	GDir *list = g_dir_open(dir, 0, NULL);
	const char *name;
	unsigned files = 0;

	while ((name = g_dir_read_name(list)) != NULL)
		files += file_holds(name, needle, n);
	g_dir_close(list);
	return files;
}

/* Files that hold a text, as it is or packed. */
static unsigned grep(const char *text)
{
	g_autoptr(GByteArray) packed = g_byte_array_new();

	pack_string(packed, slice_str(text));
	return grep_bytes(text, strlen(text)) + grep_bytes((const char *)packed->data, packed->len);
}

static void expect_none(void)
{
	ck_assert_uint_eq(grep("hide.me-77"), 0);
	ck_assert_uint_eq(grep("jane.roe-5"), 0);
}

static uint64_t found(struct store *store, const char *address)
{
	return count_key(store, SEARCH_RECIPIENT, address);
}

static void keep_recipient(void *ctx, const struct event *event)
{
	g_string_assign(ctx, "");
	g_string_append_len(
	        ctx, event->field[FIELD_RCPT_TO].p, (gssize)event->field[FIELD_RCPT_TO].n);
}

START_TEST(no_address_is_in_the_files_and_searches_find_it)
{
	struct store *store = open_as(STORE_PSEUDONYMISE);
	g_autofree char *path = g_build_filename(dir, PSEUDONYM_KEY_NAME, NULL);
	g_autoptr(GString) shown = g_string_new(NULL);
	struct event event = event_of(1, PERSON);
	struct search search = SEARCH_ALL;
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_gt(store_pseudonymised(store), 0);
	ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	ck_assert_uint_eq(found(store, PERSON), 1);
	ck_assert_uint_eq(found(store, "Hide.Me-77@EXAMPLE.com"), 1);
	ck_assert_uint_eq(found(store, "hide.me-78@example.com"), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_FROM_ADDRESS, SENDER), 1);
	ck_assert_uint_eq(count_key(store, SEARCH_FROM_ADDRESS,
	                          "bounces-hide.me-77=example.com@shop.example"),
	        1);
	ck_assert_uint_eq(count_key(store, SEARCH_FRIENDLY_FROM, SENDER), 1);
	ck_assert_int_eq(store_search(store, &search, keep_recipient, shown, NULL, NULL), 0);
	ck_assert(g_str_has_prefix(shown->str, PSEUDONYM_PREFIX));
	ck_assert(g_str_has_suffix(shown->str, "@example.com"));
	ck_assert_uint_eq(found(store, shown->str), 1);
	ck_assert(store_is_address(store, slice_str(shown->str), SLICE(PERSON)));
	ck_assert(!store_is_address(store, slice_str(shown->str), SLICE("x@example.com")));
	expect_none();
	/* The same event once more is known. */
	ck_assert_uint_eq(commit_events(store, &event, 1), 0);
	store_close(&store);
	expect_none();
}
END_TEST

static uint64_t count_texts(struct store *store, const struct search *of)
{
	struct search search = *of;
	uint64_t total = 0;

	search.to = INT64_MAX;
	ck_assert_int_eq(store_search(store, &search, NULL, NULL, &total, NULL), 0);
	return total;
}

START_TEST(ids_and_texts_with_an_address_are_found_as_they_were_written)
{
	struct store *store = open_as(STORE_PSEUDONYMISE);
	struct event event = event_of(1, PERSON);
	const char *const campaign[] = {"of " SENDER, NULL};
	const char *const pattern[] = {"%FOR " PERSON "%", NULL}, *const phrase[] = {PERSON, NULL};
	const char *const other[] = {"%for other@example.com%", NULL};

	commit_events(store, &event, 1);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, HEADER_ID), 1);
	ck_assert_uint_eq(
	        count_key(store, SEARCH_MESSAGE, "7.hide.me-77=example.com@lists.example"), 1);
	ck_assert_uint_eq(
	        count_key(store, SEARCH_MESSAGE, "8.hide.me-77=example.com@lists.example"), 0);
	ck_assert_uint_eq(count_key(store, SEARCH_MESSAGE, "m1"), 1);
	ck_assert_uint_eq(
	        count_texts(store, &(struct search){.values[SEARCH_CAMPAIGN] = campaign}), 1);
	ck_assert_uint_eq(count_texts(store, &(struct search){.subjects = pattern}), 1);
	ck_assert_uint_eq(count_texts(store, &(struct search){.subjects = other}), 0);
	ck_assert_uint_eq(
	        count_texts(store, &(struct search){.words[SEARCH_WORDS_REASON] = phrase}), 1);
	store_close(&store);
	expect_none();
}
END_TEST

START_TEST(a_batch_that_waits_is_sealed)
{
	struct store *store = open_as(STORE_PSEUDONYMISE);
	struct spool *spool = spool_open(store, 1 << 20, NULL);
	const struct search_scope all = {NULL, NULL};
	char id[INGEST_ID_SIZE];
	struct spool_batch batch;

	ck_assert_int_eq(spool_put(spool, "", &all, DAY1, SLICE("of " PERSON), id, NULL), 0);
	g_autofree char *name = g_strdup_printf("ingest/%s.batch", id);
	ck_assert(file_holds(name, "postwake-sealed", 15));
	ck_assert(!file_holds(name, "hide.me-77", 10));
	ck_assert_int_eq(spool_read(store, id, &batch, NULL), 1);
	ck_assert_str_eq(batch.bytes->str, "of " PERSON);
	ck_assert_int_eq(batch.received, DAY1);
	spool_batch_clear(&batch);
	spool_free(&spool);
	store_close(&store);
	/* Under another key nobody can read it. */
	g_autofree char *key = g_build_filename(dir, PSEUDONYM_KEY_NAME, NULL);
	struct error err = {0};
	ck_assert(g_file_set_contents(key, "", 0, NULL));
	store = open_as(STORE_AS_IT_IS);
	ck_assert_int_eq(spool_read(store, id, &batch, &err), -1);
	ck_assert_int_eq(err.number, ENOKEY);
	spool_batch_clear(&batch);
	store_close(&store);
}
END_TEST

START_TEST(a_batch_that_only_looks_sealed_is_what_it_is)
{
	struct store *store = open_as(STORE_PLAIN);
	struct spool *spool = spool_open(store, 1 << 20, NULL);
	const struct search_scope all = {NULL, NULL};
	char id[INGEST_ID_SIZE];
	struct spool_batch batch;

	ck_assert_int_eq(
	        spool_put(spool, "", &all, DAY1, SLICE("\377PWS is foreign"), id, NULL), 0);
	ck_assert_int_eq(spool_read(store, id, &batch, NULL), 1);
	ck_assert_str_eq(batch.bytes->str, "\377PWS is foreign");
	spool_batch_clear(&batch);
	spool_free(&spool);
	store_close(&store);
}
END_TEST

START_TEST(days_from_before_stay_plain_and_are_found_too)
{
	struct store *store = open_as(STORE_PLAIN);
	struct event events[] = {event_of(1, PERSON), event_of(2, PERSON), event_of(3, PERSON)};

	commit_events(store, events, 1);
	ck_assert_int_eq(store_pseudonymised(store), 0);
	store_close(&store);
	ck_assert_uint_gt(grep("hide.me-77"), 0);
	store = open_as(STORE_PSEUDONYMISE);
	commit_events(store, events + 1, 1);
	ck_assert_uint_eq(found(store, PERSON), 2);
	store_close(&store);
	/* An import that knows of no configuration does as the daemon did. */
	store = open_as(STORE_AS_IT_IS);
	ck_assert_int_gt(store_pseudonymised(store), 0);
	store_close(&store);
	store = open_as(STORE_PLAIN);
	commit_events(store, events + 2, 1);
	ck_assert_int_eq(store_pseudonymised(store), 0);
	ck_assert_uint_eq(found(store, PERSON), 3);
	store_close(&store);
	store = open_as(STORE_AS_IT_IS);
	ck_assert_int_eq(store_pseudonymised(store), 0);
	store_close(&store);
}
END_TEST

START_TEST(a_lost_key_is_told_and_an_empty_file_gets_a_new_one)
{
	g_autofree char *path = g_build_filename(dir, PSEUDONYM_KEY_NAME, NULL);
	struct store *store = open_as(STORE_PSEUDONYMISE);
	struct event event = event_of(1, PERSON);
	struct error err = {0};

	commit_events(store, &event, 1);
	store_close(&store);
	ck_assert_int_eq(g_unlink(path), 0);
	ck_assert_int_eq(try_open(&store, STORE_PSEUDONYMISE, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "put it back"));
	ck_assert_ptr_null(store);
	error_clear(&err);
	ck_assert_int_eq(try_open(&store, STORE_AS_IT_IS, &err), -1);
	/* Who only reads finds nobody by address, and is told so. */
	store = open_store(dir, STORE_READ);
	g_autoptr(GString) shown = g_string_new(NULL);
	struct search search = SEARCH_ALL;
	const char *const values[] = {PERSON, NULL};
	ck_assert_int_eq(store_search(store, &search, keep_recipient, shown, NULL, NULL), 0);
	search.values[SEARCH_RECIPIENT] = values;
	error_clear(&err);
	ck_assert_int_eq(store_search(store, &search, keep_recipient, NULL, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, PSEUDONYM_KEY_NAME));
	search.values[SEARCH_RECIPIENT] = NULL;
	search.values[SEARCH_MESSAGE] = values; /* a Message-ID */
	error_clear(&err);
	ck_assert_int_eq(store_search(store, &search, keep_recipient, NULL, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "by its Message-ID"));
	store_close(&store);
	ck_assert(g_file_set_contents(path, "", 0, NULL));
	store = open_as(STORE_PSEUDONYMISE);
	ck_assert_uint_eq(found(store, PERSON), 0);
	event.id = 2;
	commit_events(store, &event, 1);
	ck_assert_uint_eq(found(store, PERSON), 1);
	store_close(&store);
	ck_assert(g_file_set_contents(path, "no key", -1, NULL));
	error_clear(&err);
	ck_assert_int_eq(try_open(&store, STORE_PSEUDONYMISE, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "holds no key"));
}
END_TEST

START_TEST(a_key_that_is_deleted_under_its_writer_is_put_back)
{
	g_autofree char *path = g_build_filename(dir, PSEUDONYM_KEY_NAME, NULL);
	g_autofree char *away = g_build_filename(dir, "away", NULL);
	g_autofree char *before = NULL, *after = NULL;
	struct store *store = open_as(STORE_PSEUDONYMISE);
	struct error err = {0};
	struct stat st;

	ck_assert(g_file_get_contents(path, &before, NULL, NULL));
	ck_assert_int_eq(store_keep_key(store, &err), 0);
	ck_assert_int_eq(g_unlink(path), 0);
	ck_assert_int_eq(store_keep_key(store, &err), 1);
	ck_assert(g_file_get_contents(path, &after, NULL, NULL));
	ck_assert_str_eq(after, before);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	/* Where it was a link nobody knows whether its place is away for good. */
	ck_assert_int_eq(g_rename(path, away), 0);
	ck_assert_int_eq(symlink(away, path), 0);
	ck_assert_int_eq(store_keep_key(store, &err), 0);
	ck_assert_int_eq(g_unlink(away), 0);
	ck_assert_int_eq(store_keep_key(store, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "leads nowhere"));
	ck_assert(!g_file_test(away, G_FILE_TEST_EXISTS));
	store_close(&store);
	/* Where it is not in use it may go. */
	error_clear(&err);
	ck_assert_int_eq(g_unlink(path), 0);
	store = open_as(STORE_PLAIN);
	ck_assert_int_eq(store_keep_key(store, &err), 0);
	ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
	store_close(&store);
}
END_TEST

static int take_state(void *ctx, struct slice key, struct slice value, struct error *err)
{
	(void)err;
	g_string_append_printf(ctx, "%.*s=%.*s;", SLICE_ARG(key), SLICE_ARG(value));
	return 0;
}

START_TEST(open_mails_lines_and_gaps_hold_no_address)
{
	const struct store_gap gap = {.source = SLICE("mail.log"),
	        .from = 1,
	        .to = 2,
	        .bytes = 3,
	        .text = SLICE("lost: to=<" PERSON ">")};
	struct store *store = open_as(STORE_PSEUDONYMISE);
	struct store_batch *batch = store_batch_new();
	g_autoptr(GString) state = g_string_new(NULL), one = g_string_new(NULL);
	struct store_commit_result result;

	store_batch_state(batch, SLICE("A"), SLICE("of " PERSON));
	store_batch_state(batch, SLICE("B"), SLICE(""));
	store_batch_unparsed(batch, SLICE("mail.log"), 5, DAY1, SLICE("odd <" PERSON ">"));
	store_batch_gap(batch, &gap);
	ck_assert_int_eq(store_commit(store, batch, 0, &result, NULL), 0);
	store_batch_free(&batch);
	expect_none();
	store_close(&store);
	expect_none();
	store = open_as(STORE_AS_IT_IS);
	ck_assert_int_eq(store_each_state(store, take_state, state, NULL), 0);
	ck_assert_str_eq(state->str, "A=of " PERSON ";B=;");
	ck_assert_int_eq(store_state(store, SLICE("A"), one, NULL), 1);
	ck_assert_str_eq(one->str, "of " PERSON);
	store_close(&store);
	/* Under another key nobody can read it: those mails are forgotten. */
	g_autofree char *path = g_build_filename(dir, PSEUDONYM_KEY_NAME, NULL);
	ck_assert(g_file_set_contents(path, "", 0, NULL));
	store = open_as(STORE_AS_IT_IS);
	g_string_truncate(state, 0);
	ck_assert_int_eq(store_each_state(store, take_state, state, NULL), 0);
	ck_assert_str_eq(state->str, "");
	store_close(&store);
}
END_TEST

static int run_here(void *ctx, store_job *job, void *job_ctx, struct error *err)
{
	(void)ctx;
	return job(job_ctx, err);
}

static uint64_t erase_kind(struct store *store, enum tombstone_kind kind, const char *name)
{
	const struct erase_how how = {.run = run_here};
	struct error err = {0};
	int64_t id;

	ck_assert_int_eq(
	        store_erase_begin(store, kind, slice_str(name), DAY1 + CLOCK_DAY, &id, &err), 0);
	g_autoptr(GArray) erasures = store_erasures(store, &err);
	struct erasure *erasure = &g_array_index(erasures, struct erasure, erasures->len - 1);
	g_autoptr(GArray) days = store_erase_days(store, NULL);
	for (guint i = 0; i < days->len; i++) {
		struct erased_day *made;
		if (store_erase_day(store, erasure, g_array_index(days, gint64, i), NULL, NULL,
		            &made, &err) == 1)
			ck_assert_int_eq(store_erase_switch(store, erasure, &made, &err), 0);
	}
	ck_assert_int_eq(store_erase_files(store, erasure, &how, &err), 0);
	ck_assert_int_eq(store_erase_end(store, erasure, DAY1, &err), 0);
	return erasure->events;
}

static uint64_t erase(struct store *store, const char *name)
{
	return erase_kind(store, TOMBSTONE_RECIPIENT, name);
}

START_TEST(a_mail_is_erased_by_its_message_id)
{
	struct store *store = open_as(STORE_PSEUDONYMISE);
	struct event events[] = {event_of(1, PERSON), event_of(2, "other.x-1@example.com")};

	set_field(&events[1], FIELD_MESSAGE_ID, "m2");
	set_field(&events[1], FIELD_HEADER_MESSAGE_ID, "<other@lists.example>");
	commit_events(store, events, 2);
	ck_assert_uint_eq(erase_kind(store, TOMBSTONE_MESSAGE, HEADER_ID), 1);
	ck_assert_uint_eq(commit_events(store, events, 2), 0);
	ck_assert_uint_eq(found(store, PERSON), 0);
	ck_assert_uint_eq(found(store, "other.x-1@example.com"), 1);
	store_close(&store);
}
END_TEST

START_TEST(an_address_is_erased_in_either_form)
{
	struct store *store = open_as(STORE_PLAIN);
	struct event events[] = {
	        event_of(1, PERSON), event_of(2, PERSON), event_of(3, "other.x-1@example.com")};
	g_autoptr(GString) stands = g_string_new(NULL);

	/* The third speaks of the person. */
	commit_events(store, events, 1);
	store_close(&store);
	store = open_as(STORE_PSEUDONYMISE);
	commit_events(store, events + 1, 2);
	ck_assert(store_pseudonym(store, SLICE(PERSON), stands));
	stands->str[19] = '\0';
	ck_assert_uint_eq(erase(store, PERSON), 2);
	ck_assert_uint_eq(found(store, PERSON), 0);
	ck_assert_uint_eq(found(store, "other.x-1@example.com"), 1);
	ck_assert_uint_eq(commit_events(store, events, 3), 0);
	store_close(&store);
	expect_none();
	ck_assert_uint_eq(grep(stands->str), 0);
}
END_TEST

START_TEST(a_pseudonym_is_erased_as_an_address_is)
{
	struct store *store = open_as(STORE_PSEUDONYMISE);
	struct event event = event_of(1, PERSON);
	g_autoptr(GString) stands = g_string_new(NULL);

	commit_events(store, &event, 1);
	ck_assert(store_pseudonym(store, SLICE(PERSON), stands));
	ck_assert_uint_eq(erase(store, stands->str), 1);
	ck_assert_uint_eq(commit_events(store, &event, 1), 0);
	ck_assert_uint_eq(found(store, PERSON), 0);
	store_close(&store);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {no_address_is_in_the_files_and_searches_find_it,
	        ids_and_texts_with_an_address_are_found_as_they_were_written,
	        a_batch_that_waits_is_sealed, a_batch_that_only_looks_sealed_is_what_it_is,
	        a_mail_is_erased_by_its_message_id, days_from_before_stay_plain_and_are_found_too,
	        a_lost_key_is_told_and_an_empty_file_gets_a_new_one,
	        a_key_that_is_deleted_under_its_writer_is_put_back,
	        open_mails_lines_and_gaps_hold_no_address, an_address_is_erased_in_either_form,
	        a_pseudonym_is_erased_as_an_address_is, NULL};

	return run_store_tests("store_pseudonym", setup, teardown, tests);
}
