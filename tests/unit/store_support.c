#include "tests/unit/store_support.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "tests/support/unit.h"

char *scratch_make(void)
{
	char *dir = g_dir_make_tmp("postwake-store-XXXXXX", NULL);

	ck_assert_ptr_nonnull(dir);
	return dir;
}

void scratch_remove(char **dir)
{
	GDir *list = g_dir_open(*dir, 0, NULL);
	const char *name;

	while (list != NULL && (name = g_dir_read_name(list)) != NULL) {
		g_autofree char *path = g_build_filename(*dir, name, NULL);
		g_unlink(path);
	}
	if (list != NULL)
		g_dir_close(list);
	g_rmdir(*dir);
	g_clear_pointer(dir, g_free);
}

struct store *open_store(const char *dir, enum store_mode mode)
{
	struct store *store = NULL;
	struct error err = {0};

	if (store_open(&store, dir, mode, NULL, &err) < 0)
		ck_abort_msg("store_open: %s", err.text);
	return store;
}

void set_field(struct event *event, enum field field, const char *value)
{
	event->field[field] = slice_str(value);
}

struct event make_event(enum event_type type, int64_t time, uint64_t id, const char *message_id,
        const char *rcpt_to)
{
	struct event event = {.type = type, .time = time, .id = id, .injected = DAY1};

	set_field(&event, FIELD_MESSAGE_ID, message_id);
	set_field(&event, FIELD_RCPT_TO, rcpt_to);
	return event;
}

uint64_t commit_events(struct store *store, const struct event *events, size_t n)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	struct error err = {0};

	for (size_t i = 0; i < n; i++)
		store_batch_event(batch, &events[i]);
	if (store_commit(store, batch, 0, &result, &err) < 0)
		ck_abort_msg("store_commit: %s", err.text);
	store_batch_free(&batch);
	return result.inserted;
}

static void add_id(void *ctx, const struct event *event)
{
	g_array_append_val((GArray *)ctx, event->id);
}

GArray *search_ids(struct store *store, struct search *search, uint64_t *total)
{
	GArray *ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	struct error err = {0};

	if (store_search(store, search, add_id, ids, total, &err) < 0)
		ck_abort_msg("store_search: %s", err.text);
	return ids;
}

uint64_t count_key(struct store *store, enum search_key key, const char *value)
{
	const char *const list[] = {value, NULL};
	struct search search = SEARCH_ALL;
	uint64_t total;

	search.values[key] = list;
	g_array_unref(search_ids(store, &search, &total));
	return total;
}

int run_store_tests(
        const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests)
{
	Suite *suite = suite_create(name);
	TCase *cases = tcase_create(name);

	tcase_set_timeout(cases, 120);
	tcase_add_checked_fixture(cases, setup, teardown);
	for (; *tests != NULL; tests++)
		tcase_add_test(cases, *tests);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
