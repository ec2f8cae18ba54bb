/* A store of one day, made once and put back before each input with some of its bytes changed. Its
 * files are the same in each run. */
#ifndef PW_TESTS_FUZZ_BOX_H
#define PW_TESTS_FUZZ_BOX_H

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "store/batch.h"

#define BOX_DAY "2024-03-01.db"
#define BOX_CONTROL "control.sqlite"
#define BOX_TIME (clock_days(2024, 3, 1) * CLOCK_DAY)

/* A file as it was made. */
struct box_file {
	char *name; /* within the directory */
	char *bytes;
	gsize n;
};

static char *box_dir;
static GArray *box_files;

typedef void box_seen(const char *name);

/* Every file of the box, also in the directories of it. */
static void box_each(const char *below, box_seen *seen)
{
	g_autofree char *path = g_build_filename(box_dir, below, NULL);
	GDir *names = g_dir_open(path, 0, NULL);
	const char *name;

	while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
		g_autofree char *file = g_build_filename(below, name, NULL);
		g_autofree char *whole = g_build_filename(box_dir, file, NULL);
		if (g_file_test(whole, G_FILE_TEST_IS_DIR))
			box_each(file, seen);
		seen(file);
	}
	if (names != NULL)
		g_dir_close(names);
}

static void box_remove(const char *name)
{
	g_autofree char *path = g_build_filename(box_dir, name, NULL);

	g_remove(path); /* a directory of the box stays where something is in it */
}

static void box_keep(const char *name)
{
	struct box_file file = {.name = g_strdup(name)};
	g_autofree char *path = g_build_filename(box_dir, name, NULL);

	if (g_file_test(path, G_FILE_TEST_IS_REGULAR) &&
	        g_file_get_contents(path, &file.bytes, &file.n, NULL) && file.n > 0) {
		g_array_append_val(box_files, file);
	} else {
		g_free(file.bytes);
		g_free(file.name);
	}
}

static void box_clean_up(void)
{
	box_each(".", box_remove);
	g_rmdir(box_dir);
}

/* Events of all types with samples in their fields. */
static void box_events(struct store_batch *batch)
{
	static const char *const to[] = {
	        "recipient@example.com", "other@example.net", "third@example.org"};

	for (unsigned i = 0; i < 60; i++) {
		struct event event = {
		        .type = i % EVENT_TYPES, .id = i + 1, .time = BOX_TIME + i * 1000};
		for (int f = 0; f < FIELDS; f++)
			if (f % 7 != (int)i % 7 && field_catalogue[f].json != FIELD_JSON_TIME &&
			        f != FIELD_TYPE && f != FIELD_EVENT_ID)
				event.field[f] = slice_str(field_catalogue[f].sample);
		event.field[FIELD_RCPT_TO] = slice_str(to[i % G_N_ELEMENTS(to)]);
		store_batch_event(batch, &event);
	}
}

/* Makes the box; `fill` puts more into the store. */
static void box_make(void (*fill)(struct store *store, struct store_batch *batch))
{
	struct store_batch *batch = store_batch_new();
	char template[] = "/dev/shm/postwake-fuzz-XXXXXX";
	struct store_commit_result result;
	struct store *store;

	box_dir = g_strdup(g_mkdtemp(template));
	atexit(box_clean_up);
	sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 41, NULL);
	if (store_open(&store, box_dir, STORE_WRITE, NULL, NULL) < 0)
		abort();
	box_events(batch);
	if (fill != NULL)
		fill(store, batch);
	if (store_commit(store, batch, 0, &result, NULL) < 0)
		abort();
	store_batch_free(&batch);
	store_close(&store);
	box_files = g_array_new(FALSE, FALSE, sizeof(struct box_file));
	box_each(".", box_keep);
}

/* Puts the box back, with changes of the file whose name ends in `changed`: of four bytes each,
 * three of the offset and one of the value. */
static void box_restore(const char *changed, const uint8_t *data, size_t size)
{
	box_each(".", box_remove);
	for (guint i = 0; i < box_files->len; i++) {
		const struct box_file *file = &g_array_index(box_files, struct box_file, i);
		g_autofree char *path = g_build_filename(box_dir, file->name, NULL);
		g_autofree char *in = g_path_get_dirname(path);
		g_autofree char *bytes = g_memdup2(file->bytes, file->n);

		for (; g_str_has_suffix(file->name, changed) && size >= 4; data += 4, size -= 4)
			bytes[(data[0] | data[1] << 8 | data[2] << 16) % file->n] = (char)data[3];
		g_mkdir(in, 0700);
		if (!g_file_set_contents_full(
		            path, bytes, (gssize)file->n, G_FILE_SET_CONTENTS_NONE, 0600, NULL))
			abort();
	}
}

#endif
