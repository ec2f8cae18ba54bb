/* What others read of the control file. Rows are copied under the lock and handed out without it.
 */
#include "store/private.h"
#include "store/pseudonym.h"
#include "store/record.h"

/* A statement for one reading; finished by end(). */
struct reading {
	struct control *control;
	sqlite3_stmt *stmt;
};

static int start(struct reading *reading, struct store *store, const char *text, struct error *err)
{
	reading->control = &store->control;
	pthread_mutex_lock(&reading->control->lock);
	if (sqlite3_prepare_v2(reading->control->reader.db, text, -1, &reading->stmt, NULL) ==
	        SQLITE_OK)
		return 0;
	sql_error(&reading->control->reader, err);
	pthread_mutex_unlock(&reading->control->lock);
	return -1;
}

static int next(struct reading *reading, struct error *err)
{
	return sql_step(&reading->control->reader, reading->stmt, err);
}

static void end(struct reading *reading)
{
	sqlite3_finalize(reading->stmt);
	pthread_mutex_unlock(&reading->control->lock);
}

/* Looks one value up: 1 found, 0 not, -1 failed. */
static int look_up(
        struct store *store, const char *text, struct slice key, GString *value, struct error *err)
{
	struct reading reading;

	if (start(&reading, store, text, err) < 0)
		return -1;
	sql_bind_slice(reading.stmt, 1, key);
	int result = next(&reading, err);
	if (result == 1) {
		struct slice found = sql_column(reading.stmt, 0);
		g_string_truncate(value, 0);
		g_string_append_len(value, found.p, (gssize)found.n);
	}
	end(&reading);
	return result;
}

bool store_position(struct store *store, struct slice source, GString *value)
{
	return look_up(store, "SELECT value FROM position WHERE source = ?1", source, value,
	               NULL) == 1;
}

int store_state(struct store *store, struct slice key, GString *value, struct error *err)
{
	int found = look_up(store, "SELECT value FROM state WHERE key = ?1", key, value, err);

	return found == 1 ? pseudonym_unseal(store, value) : found;
}

/* A copied column: where it stands in the bytes. */
static void copy(GByteArray *bytes, GArray *ends, struct slice value)
{
	guint end;

	if (value.n > 0)
		g_byte_array_append(bytes, (const guint8 *)value.p, (guint)value.n);
	end = bytes->len;
	g_array_append_val(ends, end);
}

static struct slice copied(const GByteArray *bytes, const GArray *ends, guint i)
{
	guint from = i > 0 ? g_array_index(ends, guint, i - 1) : 0;

	return slice_make(bytes->len > 0 ? (const char *)bytes->data + from : "",
	        g_array_index(ends, guint, i) - from);
}

int store_each_state(struct store *store,
        int (*entry)(void *ctx, struct slice key, struct slice value, struct error *err), void *ctx,
        struct error *err)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(guint));
	g_autoptr(GString) value = g_string_new(NULL);
	struct reading reading;
	int result;

	if (start(&reading, store, "SELECT key, value FROM state", err) < 0)
		return -1;
	while ((result = next(&reading, err)) == 1) {
		copy(bytes, ends, sql_column(reading.stmt, 0));
		copy(bytes, ends, sql_column(reading.stmt, 1));
	}
	end(&reading);
	for (guint i = 0; result == 0 && i < ends->len; i += 2) {
		struct slice sealed = copied(bytes, ends, i + 1);
		g_string_truncate(value, 0);
		g_string_append_len(value, sealed.p, (gssize)sealed.n);
		struct slice open = pseudonym_unseal(store, value)
		                            ? slice_make(value->str, value->len)
		                            : SLICE_NONE;
		if (entry(ctx, copied(bytes, ends, i), open, err) < 0)
			return -1;
	}
	return result;
}

static void clear_source(gpointer p)
{
	g_free(((struct store_source *)p)->name);
}

GArray *store_ledger(struct store *store, struct error *err)
{
	struct reading reading;
	int result;

	if (start(&reading, store,
	            "SELECT source, event, linked, ignored, known, unparsed, events FROM ledger "
	            "ORDER BY source",
	            err) < 0)
		return NULL;
	GArray *sources = g_array_new(FALSE, TRUE, sizeof(struct store_source));
	g_array_set_clear_func(sources, clear_source);
	while ((result = next(&reading, err)) == 1) {
		struct store_source source = {.name = slice_dup(sql_column(reading.stmt, 0))};
		for (int class = 0; class < LEDGER_CLASSES; class ++) {
			source.count[class] =
			        (uint64_t)sqlite3_column_int64(reading.stmt, 1 + class);
			source.lines += source.count[class];
		}
		source.events = (uint64_t)sqlite3_column_int64(reading.stmt, 1 + LEDGER_CLASSES);
		g_array_append_val(sources, source);
	}
	end(&reading);
	if (result < 0)
		g_clear_pointer(&sources, g_array_unref);
	return sources;
}

GHashTable *store_counters(struct store *store, struct error *err)
{
	struct reading reading;
	int result;

	if (start(&reading, store, "SELECT name, value FROM counter", err) < 0)
		return NULL;
	GHashTable *counters = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	while ((result = next(&reading, err)) == 1) {
		gint64 value = sqlite3_column_int64(reading.stmt, 1);
		g_hash_table_insert(counters, slice_dup(sql_column(reading.stmt, 0)),
		        g_memdup2(&value, sizeof(value)));
	}
	end(&reading);
	if (result < 0)
		g_clear_pointer(&counters, g_hash_table_unref);
	return counters;
}

int store_each_gap(struct store *store, unsigned limit,
        void (*gap)(void *ctx, const struct store_gap *gap), void *ctx, struct error *err)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(guint));
	g_autoptr(GArray) gaps = g_array_new(FALSE, TRUE, sizeof(struct store_gap));
	struct reading reading;
	int result;

	if (start(&reading, store,
	            "SELECT source, text, since, until, bytes FROM gap ORDER BY id DESC LIMIT ?1",
	            err) < 0)
		return -1;
	sqlite3_bind_int64(reading.stmt, 1, limit);
	while ((result = next(&reading, err)) == 1) {
		struct store_gap row = {
		        .from = sqlite3_column_int64(reading.stmt, 2),
		        .to = sqlite3_column_int64(reading.stmt, 3),
		        .bytes = sqlite3_column_int64(reading.stmt, 4),
		};
		copy(bytes, ends, sql_column(reading.stmt, 0));
		copy(bytes, ends, sql_column(reading.stmt, 1));
		g_array_append_val(gaps, row);
	}
	end(&reading);
	for (guint i = 0; i < gaps->len; i++) {
		struct store_gap *row = &g_array_index(gaps, struct store_gap, i);
		row->source = copied(bytes, ends, 2 * i);
		row->text = copied(bytes, ends, 2 * i + 1);
		gap(ctx, row);
	}
	return result;
}

int store_each_unparsed(struct store *store, unsigned limit,
        void (*line)(void *ctx, const struct store_unparsed *line), void *ctx, struct error *err)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(guint));
	g_autoptr(GArray) lines = g_array_new(FALSE, TRUE, sizeof(struct store_unparsed));
	struct reading reading;
	int result;

	if (start(&reading, store,
	            "SELECT source, text, offset, time FROM unparsed ORDER BY id DESC LIMIT ?1",
	            err) < 0)
		return -1;
	sqlite3_bind_int64(reading.stmt, 1, limit);
	while ((result = next(&reading, err)) == 1) {
		struct store_unparsed row = {
		        .offset = sqlite3_column_int64(reading.stmt, 2),
		        .time = sqlite3_column_int64(reading.stmt, 3),
		};
		copy(bytes, ends, sql_column(reading.stmt, 0));
		copy(bytes, ends, sql_column(reading.stmt, 1));
		g_array_append_val(lines, row);
	}
	end(&reading);
	for (guint i = 0; i < lines->len; i++) {
		struct store_unparsed *row = &g_array_index(lines, struct store_unparsed, i);
		row->source = copied(bytes, ends, 2 * i);
		row->text = copied(bytes, ends, 2 * i + 1);
		line(ctx, row);
	}
	return result;
}
