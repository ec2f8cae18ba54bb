#include "tests/unit/store_damage.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "tests/support/unit.h"

#define BATCH 500

char *dir;
GString *told;

void damage_setup(void)
{
	dir = scratch_make();
	told = g_string_new(NULL);
}

void damage_teardown(void)
{
	g_string_free(told, TRUE);
	scratch_remove(&dir);
}

char *file(const char *name)
{
	return g_build_filename(dir, name, NULL);
}

/* ---- stores ---- */

struct event an_event(unsigned i, int64_t start, struct words *w)
{
	enum event_type type = i % 3 == 0 ? EVENT_BOUNCE : EVENT_DELIVERY;

	g_snprintf(w->message_id, sizeof(w->message_id), "0000000000000%07x", i);
	g_snprintf(w->rcpt_to, sizeof(w->rcpt_to), "user%u@example%u.org", i, i % 7);
	g_snprintf(w->subject, sizeof(w->subject), "Subject number %u", i % 50);
	g_snprintf(w->raw_reason, sizeof(w->raw_reason), "550 5.1.1 no such user %u", i);
	struct event event = make_event(
	        type, start + i * 10, (uint64_t)start + i + 1, w->message_id, w->rcpt_to);
	set_field(&event, FIELD_SUBJECT, w->subject);
	if (type == EVENT_BOUNCE) {
		set_field(&event, FIELD_RAW_REASON, w->raw_reason);
		set_field(&event, FIELD_REASON, "550 5.1.1 no such user");
		set_field(&event, FIELD_BOUNCE_CLASS, "10");
	}
	return event;
}

void fill(struct store *store, int64_t start, unsigned from, unsigned n)
{
	static struct words words[BATCH];
	static struct event events[BATCH];

	for (unsigned i = 0; i < n; i += BATCH) {
		unsigned m = MIN(n - i, BATCH);
		for (unsigned k = 0; k < m; k++)
			events[k] = an_event(from + i + k, start, &words[k]);
		commit_events(store, events, m);
	}
}

void make_store(void)
{
	const struct store_options options = {.fast_import = true};
	struct store *store;
	struct error err = {0};

	ck_assert_int_eq(store_open(&store, dir, STORE_WRITE, &options, &err), 0);
	fill(store, DAY1, 0, EVENTS);
	fill(store, DAY2, 0, 200);
	store_close(&store);
}

uint64_t count_all(struct store *store)
{
	struct search search = SEARCH_ALL;
	uint64_t total;

	g_array_unref(search_ids(store, &search, &total));
	return total;
}

/* ---- checking ---- */

static void note(void *ctx, const struct store_finding *finding)
{
	(void)ctx;
	g_string_append_printf(told, "%s: %s: %s\n", finding->file, finding->what, finding->mend);
}

uint64_t findings(void)
{
	struct error err = {0};
	uint64_t n = 0;

	g_string_truncate(told, 0);
	if (store_check(dir, note, NULL, &n, &err) < 0)
		ck_abort_msg("store_check: %s", err.text);
	return n;
}

void expect_good(void)
{
	if (findings() != 0)
		ck_abort_msg("found: %s", told->str);
}

void expect_found(const char *file_name, const char *part)
{
	ck_assert_uint_gt(findings(), 0);
	if (strstr(told->str, file_name) == NULL || strstr(told->str, part) == NULL)
		ck_abort_msg("'%s' of %s is not among: %s", part, file_name, told->str);
}

static void note_text(void *ctx, const char *text)
{
	(void)ctx;
	g_string_append_printf(told, "%s\n", text);
}

struct store_repaired repair(void)
{
	struct store_repaired result;
	struct error err = {0};

	g_string_truncate(told, 0);
	if (store_repair(dir, note_text, NULL, &result, &err) < 0)
		ck_abort_msg("store_repair: %s", err.text);
	return result;
}

void expect_events(uint64_t n)
{
	struct store *store = open_store(dir, STORE_READ);

	ck_assert_uint_eq(count_all(store), n);
	ck_assert_uint_eq(count_key(store, SEARCH_RECIPIENT, "user5@example5.org"), 2);
	store_close(&store);
}

/* ---- damage ---- */

void run(const char *name, const char *text)
{
	g_autofree char *path = file(name);
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		ck_abort_msg("%s: %s", text, message);
	sqlite3_close(db);
}

int64_t ask(const char *name, const char *text)
{
	g_autofree char *path = file(name);
	sqlite3_stmt *stmt;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

void overwrite(const char *name, off_t at, size_t n, int byte)
{
	g_autofree char *path = file(name);
	g_autofree char *bytes = g_malloc(n);
	int fd = open(path, O_WRONLY);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(byte >= 0 ? byte : (int)(i * 2654435761U >> 13));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, n, at), (ssize_t)n);
	close(fd);
}

off_t leaf_of(const char *name, const char *table, unsigned n)
{
	g_autofree char *path = file(name);
	g_autofree char *bytes = NULL;
	gsize size;

	ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
	g_autofree char *text =
	        g_strdup_printf("SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
	off_t at = (off_t)(ask(name, text) - 1) * 8192;
	while (bytes[at] == 5) { /* interior page of a table: the n-th of its children */
		const uint8_t *cell = (const uint8_t *)bytes + at + 12 + 2 * (ptrdiff_t)n;
		const uint8_t *child = (const uint8_t *)bytes + at + (cell[0] << 8 | cell[1]);
		at = (off_t)((uint32_t)child[0] << 24 | (uint32_t)child[1] << 16 |
		             (uint32_t)child[2] << 8 | child[3]) -
		     1;
		at *= 8192;
	}
	ck_assert_int_eq(bytes[at], 13);
	return at;
}

/* ---- a writer ---- */

static void note_notice(void *ctx, const char *text)
{
	note_text(ctx, text);
}

struct store *open_noticing(void)
{
	const struct store_options options = {.notice = note_notice};
	struct store *store;
	struct error err = {0};

	if (store_open(&store, dir, STORE_WRITE, &options, &err) < 0)
		ck_abort_msg("store_open: %s", err.text);
	return store;
}
