/* A day file of which bytes were changed: what is found in it is told or refused, and nothing
 * breaks.
 *
 * The input: changes of four bytes each, three of the offset and one of the value. */
#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "store/batch.h"
#include "store/search.h"

#define DAY "2024-03-01.db"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *dir, *day_path;
static char *whole; /* the file as it was made */
static gsize whole_n;

static void fill(struct store *store)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	for (unsigned i = 0; i < 60; i++) {
		struct event event = {.type = i % EVENT_TYPES,
		        .id = i + 1,
		        .time = clock_days(2024, 3, 1) * CLOCK_DAY + i * 1000};
		for (int f = 0; f < FIELDS; f++)
			if (f % 7 != (int)i % 7 && field_catalogue[f].json != FIELD_JSON_TIME &&
			        f != FIELD_TYPE && f != FIELD_EVENT_ID)
				event.field[f] = slice_str(field_catalogue[f].sample);
		store_batch_event(batch, &event);
	}
	if (store_commit(store, batch, 0, &result, NULL) < 0)
		abort();
	store_batch_free(&batch);
}

static void clean_up(void)
{
	GDir *names = g_dir_open(dir, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(names)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		g_unlink(path);
	}
	g_dir_close(names);
	g_rmdir(dir);
}

static void set_up(void)
{
	struct store *store;
	char template[] = "/dev/shm/postwake-rows-XXXXXX";

	dir = g_strdup(g_mkdtemp(template));
	day_path = g_build_filename(dir, DAY, NULL);
	atexit(clean_up);
	if (store_open(&store, dir, STORE_WRITE, NULL, NULL) < 0)
		abort();
	fill(store);
	store_close(&store);
	if (!g_file_get_contents(day_path, &whole, &whole_n, NULL))
		abort();
}

static void found(void *ctx, const struct event *event)
{
	volatile unsigned char sum = 0;

	(void)ctx;
	for (int f = 0; f < FIELDS; f++)
		for (size_t i = 0; i < event->field[f].n; i++)
			sum ^= (unsigned char)event->field[f].p[i];
}

static void look(struct store *store)
{
	static const char *const rcpt[] = {"recipient@example.com", NULL}, *const like[] = {
	                                                                           "%e%", NULL};
	struct search searches[] = {{.limit = 100}, {.limit = 10, .subjects = like},
	        {.limit = 100, .values[SEARCH_RECIPIENT] = rcpt}, {.limit = 10, .reasons = like}};
	uint64_t total, next;

	for (size_t i = 0; i < G_N_ELEMENTS(searches); i++) {
		struct error err = {0};
		searches[i].to = INT64_MAX;
		searches[i].deadline_ms = 1000;
		if (store_search(store, &searches[i], found, NULL, &total, &err) < 0 && !err.set)
			abort();
		error_clear(&err);
		store_arrivals(store, &searches[i], 0, found, NULL, &next, &err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store *store = NULL;
	struct error err = {0};

	if (dir == NULL)
		set_up();
	g_autofree char *bytes = g_memdup2(whole, whole_n);
	for (; size >= 4; data += 4, size -= 4)
		bytes[(data[0] | data[1] << 8 | data[2] << 16) % whole_n] = (char)data[3];
	GDir *names = g_dir_open(dir, 0, NULL);
	const char *name;
	while ((name = g_dir_read_name(names)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		if (g_str_has_prefix(name, "2024"))
			g_unlink(path);
	}
	g_dir_close(names);
	g_file_set_contents_full(
	        day_path, bytes, (gssize)whole_n, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
	if (store_open(&store, dir, STORE_READ, NULL, &err) == 0)
		look(store);
	else if (!err.set)
		abort();
	if (store != NULL)
		store_close(&store);
	return 0;
}
