/* A day file of which bytes were changed: what is found in it is told or refused, and nothing
 * breaks.
 *
 * The input: changes of four bytes each, three of the offset and one of the value.
 * Reaches: row_unpack dict_block_next store_search store_arrivals like_block */
#include "store/search.h"
#include "tests/fuzz/box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

	if (box_dir == NULL)
		box_make(NULL);
	box_restore(BOX_DAY, data, size);
	if (store_open(&store, box_dir, STORE_READ, NULL, &err) == 0)
		look(store);
	else if (!err.set)
		abort();
	if (store != NULL)
		store_close(&store);
	return 0;
}
