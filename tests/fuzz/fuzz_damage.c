/* A store with changed bytes that is checked, repaired, erased from, or asked for all that its
 * control file holds: what is wrong is told, a repair leaves nothing to repair, nothing breaks.
 *
 * The input: a byte that says which file is changed and what is done, then changes (box.h).
 * Reaches: check_day check_index check_control look_rollup look_dictionary check_spans aside_day
 * Reaches: rebuild_day salvage_day read_rows lend_page copy_row take_place clean_row clean_outbox
 * Reaches: store_erase_set_aside drop_aside store_each_failure store_each_ingest store_erasures */
#include <errno.h>

#include "store/check.h"
#include "store/erase.h"
#include "store/ingest.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "tests/fuzz/box.h"

#define SOURCE SLICE("mail")
#define PERSON "recipient@example.com"
#define BATCH_LINE \
	"{\"msys\":{\"message_event\":{\"type\":\"bounce\",\"rcpt_to\":\"" PERSON "\"}}}\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct store_options quick = {.fast_import = true};

/* ---- what there is ---- */

static void put_outbox(struct store *store, struct store_batch *batch)
{
	/* BATCH_LINE as gzip -n makes it of a stored block. */
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	const guint16 n = sizeof(BATCH_LINE) - 1, not_n = (guint16)~n;
	struct outbox_batch *row = outbox_batch_new("sparkpost");

	g_byte_array_append(bytes, (const guint8 *)"\x1f\x8b\x08\0\0\0\0\0\0\3\1", 11);
	g_byte_array_append(bytes, (const guint8 *)&n, 2);
	g_byte_array_append(bytes, (const guint8 *)&not_n, 2);
	g_byte_array_append(bytes, (const guint8 *)BATCH_LINE, n);
	g_byte_array_append(bytes, (const guint8 *)"\0\0\0\0\0\0\0\0", 8);
	g_free(row->id);
	row->id = g_strdup("6f1b8a34-0d1c-4d1c-8a34-000000000002");
	row->until = 30;
	row->events = 1;
	row->created = row->oldest = BOX_TIME;
	if (store_outbox_write(
	            store, row, slice_make((const char *)bytes->data, bytes->len), NULL) < 0)
		abort();
	store_batch_outbox(batch, row);
	store_batch_failure(batch, &(struct outbox_failure){SLICE("sparkpost"), slice_str(row->id),
	                                   BOX_TIME, SLICE("no " PERSON), SLICE(BATCH_LINE)});
	store_batch_destination(batch,
	        &(struct outbox_destination){
	                .name = (char *)"sparkpost", .arrival = 30, .trouble = (char *)"none"});
	outbox_batch_free(row);
}

static void fill(struct store *store, struct store_batch *batch)
{
	store_batch_line(batch, SOURCE, LEDGER_EVENT);
	store_batch_unparsed(batch, SOURCE, 7, BOX_TIME, SLICE("what of " PERSON));
	store_batch_position(batch, SOURCE, SLICE("v=1 offset=7"));
	store_batch_state(batch, SLICE("Mn"), SLICE("value"));
	store_batch_count(batch, "too_old", 3);
	store_batch_gap(batch,
	        &(struct store_gap){SOURCE, BOX_TIME, BOX_TIME + 1, 5, SLICE("a gap: " PERSON)});
	store_batch_ingest(
	        batch, &(struct ingest_step){.id = SLICE("6f1b8a34-0d1c-4d1c-8a34-000000000000"),
	                       .scope = SLICE("subaccounts=1;domains="),
	                       .received = BOX_TIME,
	                       .last = true,
	                       .time = BOX_TIME,
	                       .event_id = SLICE("6f1b8a34-0d1c-4d1c-8a34-000000000001"),
	                       .digest = SLICE("0123456789abcdef0123456789abcdef"),
	                       .expires = BOX_TIME + CLOCK_DAY});
	put_outbox(store, batch);
	const struct store_key key = {.id = "0a1b2c3d4e5f", .name = "key", .created = BOX_TIME};
	int64_t id;
	if (store_key_add(store, &key, NULL) < 0 ||
	        store_erase_begin(store, TOMBSTONE_MESSAGE, SLICE("000443ee14578172be23"), BOX_TIME,
	                &id, NULL) < 0)
		abort();
}

/* ---- what is done ---- */

static void must_tell(int result, const struct error *err)
{
	if (result < 0 && !err->set)
		abort();
}

static void told(void *ctx, const char *text)
{
	*(size_t *)ctx += strlen(text);
}

static void found(void *ctx, const struct store_finding *finding)
{
	*(size_t *)ctx += strlen(finding->file) + strlen(finding->what) + strlen(finding->mend);
}

static void check(void)
{
	struct error err = {0};
	uint64_t findings;
	size_t sum = 0;

	must_tell(store_check(box_dir, found, &sum, &findings, &err), &err);
}

static void repair(void)
{
	struct store_repaired first, second;
	struct error err = {0};
	size_t sum = 0;

	if (store_repair(box_dir, told, &sum, &first, &err) < 0) {
		must_tell(-1, &err);
		return;
	}
	if (store_repair(box_dir, told, &sum, &second, &err) < 0 || second.rebuilt > 0 ||
	        second.salvaged > 0)
		abort();
}

static int run_here(void *ctx, store_job *job, void *job_ctx, struct error *err)
{
	(void)ctx;
	return job(job_ctx, err);
}

/* As a capture does it. */
static int erase_day(struct store *store, struct erasure *erasure, int64_t day, struct error *err)
{
	struct erased_day *made;
	struct error cause = {0};
	int result = store_erase_day(store, erasure, day, NULL, NULL, &made, &cause);

	if (result == 1)
		return store_erase_switch(store, erasure, &made, err);
	must_tell(result, &cause);
	if (result < 0 && cause.number == EBADMSG)
		return store_erase_set_aside(store, day, &cause, err);
	if (result < 0)
		*err = cause;
	return result;
}

static int erase_one(struct store *store, struct erasure *erasure, struct error *err)
{
	const struct erase_how how = {.run = run_here};
	g_autoptr(GArray) days = store_erase_days(store, err);

	for (guint i = 0; days != NULL && i < days->len; i++)
		if (erase_day(store, erasure, g_array_index(days, gint64, i), err) < 0)
			return -1;
	if (days == NULL || store_erase_files(store, erasure, &how, err) < 0)
		return -1;
	return store_erase_end(store, erasure, BOX_TIME + CLOCK_DAY, err);
}

static void erase(void)
{
	struct store *store = NULL;
	struct error err = {0};
	int64_t id;

	if (store_open(&store, box_dir, STORE_WRITE, &quick, &err) < 0 ||
	        store_erase_begin(store, TOMBSTONE_RECIPIENT, SLICE(PERSON), BOX_TIME + CLOCK_DAY,
	                &id, &err) < 0) {
		must_tell(-1, &err);
		store_close(&store);
		return;
	}
	g_autoptr(GArray) erasures = store_erasures(store, &err);
	for (guint i = 0; erasures != NULL && i < erasures->len; i++) {
		struct erasure *erasure = &g_array_index(erasures, struct erasure, i);
		if (erasure->ended == 0)
			must_tell(erase_one(store, erasure, &err), &err);
	}
	store_close(&store);
}

/* ---- what the control file tells ---- */

static void look_at(void *ctx, struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		*(size_t *)ctx += (unsigned char)text.p[i];
}

static void look_at_gap(void *ctx, const struct store_gap *gap)
{
	look_at(ctx, gap->source);
	look_at(ctx, gap->text);
}

static void look_at_unparsed(void *ctx, const struct store_unparsed *line)
{
	look_at(ctx, line->source);
	look_at(ctx, line->text);
}

static int look_at_state(void *ctx, struct slice key, struct slice value, struct error *err)
{
	(void)err;
	look_at(ctx, key);
	look_at(ctx, value);
	return 0;
}

static void look_at_failure(void *ctx, const struct outbox_failure *failure)
{
	look_at(ctx, failure->cause);
	look_at(ctx, failure->line);
}

static bool look_at_ingest(void *ctx, const struct ingest_record *record)
{
	struct search_scope scope;

	look_at(ctx, record->id);
	look_at(ctx, record->error);
	if (ingest_scope_read(record->scope, &scope) == 0)
		ingest_scope_clear(&scope);
	return true;
}

static void look_at_key(void *ctx, const struct store_key *key)
{
	look_at(ctx, slice_str(key->id));
	look_at(ctx, slice_str(key->subaccounts));
}

static void look_at_outbox(struct store *store)
{
	g_autoptr(GPtrArray) batches = store_outbox(store, NULL, NULL);
	g_autoptr(GPtrArray) destinations = store_destinations(store, NULL);
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	uint64_t events;
	int64_t expiring;

	for (guint i = 0; batches != NULL && i < batches->len; i++)
		store_outbox_read(store, batches->pdata[i], bytes, NULL);
	for (guint i = 0; batches != NULL && destinations != NULL && i < destinations->len; i++)
		store_outbox_waiting(
		        store, destinations->pdata[i], batches, BOX_TIME, &events, &expiring);
}

static void look_at_tables(void)
{
	g_autoptr(GString) value = g_string_new(NULL);
	struct store *store = NULL;
	struct error err = {0};
	size_t sum = 0;

	if (store_open(&store, box_dir, STORE_READ, NULL, &err) < 0) {
		must_tell(-1, &err);
		return;
	}
	GArray *lists[] = {store_ledger(store, NULL), store_days(store, NULL, NULL),
	        store_asides(store, NULL), store_erasures(store, NULL)};
	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
		g_clear_pointer(&lists[i], g_array_unref);
	GHashTable *counters = store_counters(store, NULL);
	g_clear_pointer(&counters, g_hash_table_unref);
	store_position(store, SOURCE, value);
	store_state(store, SLICE("Mn"), value, NULL);
	store_each_state(store, look_at_state, &sum, NULL);
	store_each_gap(store, 10, look_at_gap, &sum, NULL);
	store_each_unparsed(store, 10, look_at_unparsed, &sum, NULL);
	store_each_failure(store, NULL, 10, look_at_failure, &sum, NULL);
	store_each_ingest(store, 0, INT64_MAX, look_at_ingest, &sum, NULL);
	store_each_key(store, look_at_key, &sum, NULL);
	look_at_outbox(store);
	store_close(&store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = {BOX_DAY, BOX_CONTROL, ".gz"};
	static void (*const uses[])(void) = {check, repair, erase, look_at_tables};

	if (size < 1)
		return 0;
	if (box_dir == NULL)
		box_make(fill);
	box_restore(files[data[0] % 3], data + 1, size - 1);
	uses[data[0] / 3 % 4]();
	return 0;
}
