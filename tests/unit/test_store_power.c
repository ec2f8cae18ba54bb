/* The power goes: what was acknowledged is there afterwards. */
#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/check.h"
#include "store/private.h"
#include "tests/support/power_vfs.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define SEEDS 300  /* POWER_SEEDS in the environment: others */
#define LIES 60    /* seeds of the disk that lies */
#define COMMITS 12 /* of a session */
#define SESSIONS 2 /* of the writer, until the power goes */
#define EVENTS 8   /* of a commit */

static char *dir, *after;

static void setup(void)
{
	static bool installed;

	if (!installed)
		power_install();
	installed = true;
	dir = scratch_make();
	after = scratch_make();
}

static void teardown(void)
{
	scratch_remove(&dir);
	scratch_remove(&after);
}

/* The n-th commit: of two days, one of which has ended. */
static void add(struct store_batch *batch, unsigned n)
{
	char id[32], address[32], subject[32], position[16];

	for (unsigned i = 0; i < EVENTS; i++) {
		unsigned k = n * EVENTS + i;
		g_snprintf(id, sizeof(id), "%020x", k);
		g_snprintf(address, sizeof(address), "user%u@example.org", k);
		g_snprintf(subject, sizeof(subject), "Subject %u", k);
		struct event event = make_event(
		        EVENT_DELIVERY, (k % 2 == 0 ? DAY1 : DAY2) + k * 1000, k + 1, id, address);
		set_field(&event, FIELD_SUBJECT, subject);
		store_batch_event(batch, &event);
	}
	g_snprintf(position, sizeof(position), "%08u", n + 1);
	store_batch_position(batch, SLICE("log"), slice_str(position));
}

/* Writes until all is written or the power is off. Returns how many commits were acknowledged. */
static unsigned write_session(unsigned from)
{
	const struct store_writer_config config = {.keep_days = -1, .give_up = true};
	struct store *store = NULL;
	unsigned n = from;

	if (store_open(&store, dir, STORE_WRITE, NULL, NULL) < 0) {
		ck_assert(power_is_off());
		return from;
	}
	struct store_writer *writer = store_writer_new(store, &config, NULL);
	for (; n < from + COMMITS; n++) {
		add(store_writer_begin(writer), n);
		uint64_t ticket = store_writer_end(writer, true);
		if (store_writer_wait(writer, ticket, 60000) != 1)
			break;
	}
	store_writer_stop(&writer, NULL);
	store_close(&store);
	return n;
}

static unsigned write_all(void)
{
	unsigned acknowledged = 0;

	for (unsigned i = 0; i < SESSIONS && acknowledged == i * COMMITS; i++)
		acknowledged = write_session(acknowledged);
	return acknowledged;
}

static void note(void *ctx, const struct store_finding *finding)
{
	g_string_append_printf(ctx, "%s: %s\n", finding->file, finding->what);
}

static void add_id(void *ctx, const struct event *event)
{
	g_array_append_val((GArray *)ctx, event->id);
}

/* How many of the first events are missing, and whether any is there twice. */
static unsigned missing(struct store *store, unsigned commits, GString *trouble)
{
	struct search search = SEARCH_ALL;
	g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);
	struct error err = {0};
	g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	unsigned n = 0;

	if (store_search(store, &search, add_id, ids, NULL, &err) < 0)
		g_string_append_printf(trouble, "%s\n", err.text);
	for (guint i = 0; i < ids->len; i++)
		if (!g_hash_table_add(
		            seen, GSIZE_TO_POINTER((gsize)g_array_index(ids, uint64_t, i))))
			g_string_append(trouble, "an event is there twice\n");
	for (unsigned k = 0; k < commits * EVENTS; k++)
		n += !g_hash_table_contains(seen, GSIZE_TO_POINTER((gsize)k + 1));
	return n;
}

/* What is wrong with the store that the power left; empty: nothing. */
static void look_after(unsigned acknowledged, GString *trouble)
{
	g_autoptr(GString) position = g_string_new("0");
	struct error err = {0};
	struct store *store = NULL;
	uint64_t findings = 0;

	power_start(0, 0, after, false);
	if (store_open(&store, after, STORE_WRITE, NULL, &err) < 0) {
		g_string_append_printf(trouble, "does not open: %s\n", err.text);
		return;
	}
	unsigned lost = missing(store, acknowledged, trouble);
	if (lost > 0)
		g_string_append_printf(trouble, "%u acknowledged event(s) are lost\n", lost);
	store_position(store, SLICE("log"), position);
	unsigned read = (unsigned)atoi(position->str);
	if (missing(store, read, trouble) > 0)
		g_string_append(trouble, "the position leads\n");
	g_autoptr(GArray) asides = store_asides(store, NULL);
	if (asides->len > 0)
		g_string_append(trouble, "a file was set aside\n");
	store_close(&store);
	if (acknowledged > 0 && store_check(after, note, trouble, &findings, &err) < 0)
		g_string_append(trouble, err.text);
}

static void empty_directories(void)
{
	scratch_remove(&dir);
	scratch_remove(&after);
	dir = scratch_make();
	after = scratch_make();
}

/* One seed; appends what is wrong. *in_time_r: the power went before all was written. */
static void try_seed(uint32_t seed, uint64_t all, bool liar, GString *trouble, bool *in_time)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed * 7919 + 1);
	uint64_t at = (uint64_t)g_rand_int_range(rand, 1, (gint32)all + 1);

	empty_directories();
	power_start(at, seed, after, liar);
	unsigned acknowledged = write_all();
	*in_time = power_is_off();
	if (!*in_time)
		return;
	gsize before = trouble->len;
	look_after(acknowledged, trouble);
	if (trouble->len > before)
		g_string_append_printf(trouble, "— seed %u, %llu of %llu operations, %u commits\n",
		        seed, (unsigned long long)at, (unsigned long long)all, acknowledged);
}

static uint64_t all_operations(void)
{
	power_start(0, 0, after, false);
	ck_assert_uint_eq(write_all(), SESSIONS * COMMITS);
	return power_operations();
}

START_TEST(what_was_acknowledged_survives_the_loss_of_power)
{
	const char *text = g_getenv("POWER_SEEDS");
	unsigned seeds = text != NULL ? (unsigned)atoi(text) : SEEDS, in_time = 0;
	g_autoptr(GString) trouble = g_string_new(NULL);
	uint64_t all = all_operations();

	for (uint32_t seed = 1; seed <= seeds && trouble->len == 0; seed++) {
		bool was = false;
		try_seed(seed, all, false, trouble, &was);
		in_time += was;
	}
	if (trouble->len > 0)
		ck_abort_msg("%s", trouble->str);
	ck_assert_uint_ge(in_time, seeds / 2);
}
END_TEST

/* The test of the test: without syncs events are lost, and it is seen. */
START_TEST(a_disk_that_lies_loses_events)
{
	g_autoptr(GString) trouble = g_string_new(NULL);
	uint64_t all = all_operations();

	for (uint32_t seed = 1; seed <= LIES && strstr(trouble->str, "are lost") == NULL; seed++) {
		bool was;
		try_seed(seed, all, true, trouble, &was);
	}
	ck_assert_ptr_nonnull(strstr(trouble->str, "are lost"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {what_was_acknowledged_survives_the_loss_of_power,
	        a_disk_that_lies_loses_events, NULL};

	return run_store_tests("store power", setup, teardown, tests);
}
