/* The index against FTS5, which is given the same documents and asked the same questions. */
#include <string.h>

#include "store/index.h"
#include "store/private.h"
#include "store/segment.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define DAY 60000 /* far off: a day that ended would be finished by the helper as well */

enum { ADD, DELETE, FIND, STATEMENTS };
static const char *const statements[STATEMENTS] = {
        [ADD] = "INSERT INTO ix (rowid, t) VALUES (?1, ?2)",
        [DELETE] = "INSERT INTO ix (ix, rowid, t) VALUES ('delete', ?1, ?2)",
        [FIND] = "SELECT rowid FROM ix WHERE ix MATCH ?1 AND rowid BETWEEN ?2 AND ?3 "
                 "ORDER BY rowid DESC",
};

struct world {
	char *dir;
	struct store *store;
	struct day_writer *writer;
	struct sql oracle;
	GHashTable *docs; /* row -> GArray of terms */
	GArray *rows;     /* gint64, in the order of arrival */
	GRand *rand;
	int64_t last; /* row */
};

static int pick(struct world *world, int n)
{
	return g_rand_int_range(world->rand, 0, n);
}

static void open_world(struct world *world)
{
	world->store = open_store(world->dir, STORE_WRITE);
	world->writer = day_writer_get(world->store, DAY, NULL);
	ck_assert_ptr_nonnull(world->writer);
}

static struct world *world_new(guint32 seed)
{
	struct world *world = g_new0(struct world, 1);

	world->dir = scratch_make();
	world->rand = g_rand_new_with_seed(seed);
	world->docs = g_hash_table_new_full(
	        g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_array_unref);
	world->rows = g_array_new(FALSE, FALSE, sizeof(gint64));
	ck_assert_int_eq(sql_open(&world->oracle,
	                         ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
	        0);
	ck_assert_int_eq(sql_exec(&world->oracle,
	                         "CREATE VIRTUAL TABLE ix USING fts5(t, content='', detail=none, "
	                         "columnsize=0, tokenize=ascii)",
	                         NULL),
	        0);
	ck_assert_int_eq(sql_prepare(&world->oracle, statements, STATEMENTS, NULL), 0);
	open_world(world);
	return world;
}

static void world_free(struct world *world)
{
	sql_close(&world->oracle);
	store_close(&world->store);
	scratch_remove(&world->dir);
	g_hash_table_unref(world->docs);
	g_array_unref(world->rows);
	g_rand_free(world->rand);
	g_free(world);
}

/* Terms spread over their 48 bits as hashes do, of five letters with ever more values. */
static guint64 make_term(unsigned letter, uint64_t value)
{
	return (guint64)('a' + letter) << TERM_VALUE_BITS |
	       ((value + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 16);
}

static guint64 random_term(struct world *world, unsigned letter)
{
	static const int values[] = {1, 3, 40, 2000, 1 << 30};

	return make_term(letter, (uint64_t)pick(world, values[letter]));
}

static char *text_of(const GArray *terms)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < terms->len; i++)
		g_string_append_printf(
		        text, "t%" G_GINT64_MODIFIER "x ", g_array_index(terms, guint64, i));
	return g_string_free(text, FALSE);
}

static void tell_oracle(struct world *world, int statement, int64_t row, const GArray *terms)
{
	g_autofree char *text = text_of(terms);
	sqlite3_stmt *stmt = world->oracle.stmt[statement];

	sqlite3_bind_int64(stmt, 1, row);
	sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
	ck_assert_int_eq(sql_run(&world->oracle, stmt, NULL), 0);
}

static void add(struct world *world, int64_t row, GArray *terms)
{
	struct day_writer *writer = world->writer;

	ck_assert_int_eq(index_add(writer->tail, &writer->sql, row, terms, NULL), 0);
	tell_oracle(world, ADD, row, terms);
	g_hash_table_insert(world->docs, g_memdup2(&row, sizeof(row)), terms);
}

/* Mostly behind the last one, sometimes anywhere. */
static int64_t new_row(struct world *world)
{
	int64_t row;

	do
		row = pick(world, 20) > 0 ? world->last + 1 + pick(world, 100000)
		                          : (int64_t)pick(world, 1 << 30) * 64;
	while (g_hash_table_contains(world->docs, &row) || row >= DAY_ROWS);
	world->last = MAX(world->last, row);
	g_array_append_val(world->rows, row);
	return row;
}

static GArray *random_terms(struct world *world)
{
	GArray *terms = g_array_new(FALSE, FALSE, sizeof(guint64));

	for (int i = pick(world, 8); i >= 0; i--) {
		guint64 term = random_term(world, (unsigned)pick(world, 5));
		g_array_append_val(terms, term);
	}
	return terms;
}

static void begin(struct world *world)
{
	ck_assert_int_eq(sql_begin(&world->writer->sql, NULL), 0);
	ck_assert_int_eq(index_tail_load(world->writer->tail, &world->writer->sql, NULL), 0);
}

static void commit(struct world *world)
{
	ck_assert_int_eq(index_flush(world->writer->tail, &world->writer->sql, NULL), 0);
	ck_assert_int_eq(sql_commit(&world->writer->sql, NULL), 0);
}

static void add_some(struct world *world, int n)
{
	begin(world);
	while (n-- > 0)
		add(world, new_row(world), random_terms(world));
	commit(world);
}

/* Some documents get other terms, some go. */
static void change_some(struct world *world, int n)
{
	struct error err = {0};

	begin(world);
	while (n-- > 0 && world->rows->len > 0) {
		guint at = (guint)pick(world, (int)world->rows->len);
		gint64 row = g_array_index(world->rows, gint64, at);
		GArray *terms = g_hash_table_lookup(world->docs, &row);
		if (index_drop(world->writer->tail, &world->writer->sql, row, &err) < 0)
			ck_abort_msg("%s", err.text);
		tell_oracle(world, DELETE, row, terms);
		g_hash_table_remove(world->docs, &row);
		if (pick(world, 2) == 0)
			add(world, row, random_terms(world));
		else
			g_array_remove_index_fast(world->rows, at);
	}
	commit(world);
}

static void merge(struct world *world, bool all)
{
	struct error err = {0};
	struct sql sql;

	ck_assert_int_eq(sql_open(&sql, world->writer->day->path, SQLITE_OPEN_READWRITE, NULL), 0);
	ck_assert_int_eq(day_prepare(&sql, NULL), 0);
	if (index_merge(&sql, all, NULL, NULL, &err) < 0)
		ck_abort_msg("%s", err.text);
	sql_close(&sql);
}

/* As finishing a day does it, behind the writer's back. */
static void seal_elsewhere(struct world *world)
{
	struct index_tail tail;
	struct sql sql;

	ck_assert_int_eq(sql_open(&sql, world->writer->day->path, SQLITE_OPEN_READWRITE, NULL), 0);
	ck_assert_int_eq(day_prepare(&sql, NULL), 0);
	index_tail_init(&tail);
	ck_assert_int_eq(sql_begin(&sql, NULL), 0);
	ck_assert_int_eq(index_tail_load(&tail, &sql, NULL), 0);
	ck_assert_int_eq(index_seal(&tail, &sql, NULL), 0);
	ck_assert_int_eq(sql_commit(&sql, NULL), 0);
	index_tail_free(&tail);
	sql_close(&sql);
}

static void restart(struct world *world)
{
	store_close(&world->store);
	open_world(world);
}

/* A question in both languages. */
static GString *random_question(struct world *world, struct index_query *query)
{
	GString *text = g_string_new(NULL);

	for (int groups = 1 + pick(world, 3); groups > 0; groups--) {
		GArray *group = index_query_group(query);
		unsigned letter = (unsigned)pick(world, 5);
		g_string_append(text, text->len > 0 ? " AND (" : "(");
		for (int n = pick(world, 4) == 0 ? pick(world, 60) : 0; n >= 0; n--) {
			guint64 term = random_term(world, letter);
			g_array_append_val(group, term);
			g_string_append_printf(
			        text, "t%" G_GINT64_MODIFIER "x%s", term, n > 0 ? " OR " : ")");
		}
	}
	return text;
}

static GArray *ask_oracle(struct world *world, const GString *text, int64_t low, int64_t high)
{
	GArray *rows = g_array_new(FALSE, FALSE, sizeof(gint64));
	sqlite3_stmt *stmt = world->oracle.stmt[FIND];

	sqlite3_bind_text(stmt, 1, text->str, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, low);
	sqlite3_bind_int64(stmt, 3, high);
	while (sql_step(&world->oracle, stmt, NULL) == 1) {
		gint64 row = sqlite3_column_int64(stmt, 0);
		g_array_append_val(rows, row);
	}
	sqlite3_reset(stmt);
	return rows;
}

/* Without groups: all rows. */
static void ask_for_all(struct world *world)
{
	struct index_query *query = index_query_new();
	struct day_reader *reader = day_reader_get(world->writer->day, NULL);
	int64_t low = (int64_t)pick(world, 1 << 30) * 64;
	int64_t high = low + (int64_t)pick(world, 1 << 30) * 64;
	uint64_t count, want = 0;
	int64_t row;

	for (guint i = 0; i < world->rows->len; i++)
		want += g_array_index(world->rows, gint64, i) >= low &&
		        g_array_index(world->rows, gint64, i) <= high;
	ck_assert_int_eq(sql_exec(&reader->sql, "BEGIN", NULL), 0);
	struct index_hits *hits = index_find(&reader->sql, query, low, high, NULL);
	ck_assert_ptr_nonnull(hits);
	ck_assert_int_eq(index_count(hits, &count), 0);
	ck_assert_uint_eq(count, want);
	ck_assert_int_eq(index_start(hits, high), 0);
	for (count = 0; index_next(hits, &row) == 1; count++)
		ck_assert(g_hash_table_contains(world->docs, &row));
	ck_assert_uint_eq(count, want);
	index_hits_free(&hits);
	sql_rollback(&reader->sql);
	day_reader_put(world->writer->day, reader);
	index_query_free(&query);
}

/* All rows up to `start`, and the number of all. */
static void compare(struct index_hits *hits, const GArray *want, int64_t start, const char *text)
{
	uint64_t count;
	int64_t row;
	guint i = 0;

	ck_assert_int_eq(index_count(hits, &count), 0);
	ck_assert_msg(count == want->len, "%s: %d, not %d", text, (int)count, (int)want->len);
	ck_assert_int_eq(index_start(hits, start), 0);
	while (i < want->len && g_array_index(want, gint64, i) > start)
		i++;
	for (; index_next(hits, &row) == 1; i++) {
		ck_assert_msg(i < want->len && row == g_array_index(want, gint64, i),
		        "%s: row %d is %lld", text, (int)i, (long long)row);
	}
	ck_assert_uint_eq(i, want->len);
}

static void ask(struct world *world)
{
	struct index_query *query = index_query_new();
	GString *text = random_question(world, query);
	struct day_reader *reader = day_reader_get(world->writer->day, NULL);
	int64_t low = pick(world, 2) ? 0 : (int64_t)pick(world, 1 << 30) * 64;
	int64_t high = pick(world, 2) ? DAY_ROWS : low + (int64_t)pick(world, 1 << 30) * 64;
	g_autoptr(GArray) want = ask_oracle(world, text, low, high);
	int64_t start = high;
	struct error err = {0};

	if (want->len > 0 && pick(world, 2))
		start = g_array_index(want, gint64, pick(world, (int)want->len)) - pick(world, 2);
	ck_assert_int_eq(sql_exec(&reader->sql, "BEGIN", NULL), 0);
	struct index_hits *hits = index_find(&reader->sql, query, low, high, &err);
	if (hits == NULL)
		ck_abort_msg("%s", err.text);
	compare(hits, want, start, text->str);
	index_hits_free(&hits);
	sql_rollback(&reader->sql);
	day_reader_put(world->writer->day, reader);
	index_query_free(&query);
	g_string_free(text, TRUE);
}

static void ask_many(struct world *world, int n)
{
	ask_for_all(world);
	while (n-- > 0)
		ask(world);
}

START_TEST(it_answers_as_fts5_does_whatever_happens_to_its_parts)
{
	static const int sizes[] = {1, 3, 20, 300, 5000};

	for (guint32 seed = 1; seed <= 2; seed++) {
		struct world *world = world_new(seed);
		for (int i = 0; i < 120; i++) {
			add_some(world, 1 + pick(world, sizes[pick(world, i % 30 == 0 ? 5 : 4)]));
			if (pick(world, 3) == 0)
				change_some(world, pick(world, 10));
			if (pick(world, 3) == 0)
				seal_elsewhere(world);
			if (pick(world, 15) == 0)
				merge(world, pick(world, 3) == 0);
			if (pick(world, 15) == 0)
				restart(world);
			ask_many(world, 5);
		}
		merge(world, true);
		ask_many(world, 200);
		world_free(world);
	}
}
END_TEST

START_TEST(lists_of_many_chunks_and_pieces_stay_whole)
{
	struct world *world = world_new(7);

	for (int i = 0; i < 9; i++) {
		add_some(world, INDEX_SEAL + 50 + pick(world, 500));
		ask_many(world, 10);
	}
	merge(world, true);
	g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
	struct day_reader *reader = day_reader_get(world->writer->day, NULL);
	ck_assert_int_eq(segment_list(&reader->sql, segments, NULL), 0);
	day_reader_put(world->writer->day, reader);
	ck_assert_uint_eq(segments->len, 1);
	ck_assert_uint_gt(g_array_index(segments, struct segment, 0).docs, 2 * PIECE_CHUNK);
	ask_many(world, 200);
	change_some(world, 200);
	ask_many(world, 100);
	merge(world, true);
	ask_many(world, 100);
	world_free(world);
}
END_TEST

static int64_t number_of(struct world *world, const char *text)
{
	int64_t number;

	ck_assert_int_eq(sql_number(&world->writer->sql, text, -1, &number, NULL), 0);
	return number;
}

START_TEST(rows_of_the_tail_are_made_one_before_that_takes_long)
{
	struct world *world = world_new(11);

	/* Small ones by their number, */
	for (int i = 0; i < 200; i++)
		add_some(world, 1);
	ck_assert_int_lt(number_of(world, "SELECT count(*) FROM tail"), 3 + 64);
	/* larger ones by their bytes, */
	for (int i = 0; i < 20; i++)
		add_some(world, 150);
	ck_assert_int_lt(number_of(world, "SELECT count(*) FROM tail"), 20);
	ck_assert_int_gt(number_of(world, "SELECT max(length(body)) FROM tail"), 65536);
	ck_assert_int_lt(number_of(world, "SELECT max(length(body)) FROM tail"), 65536 + 16384);
	/* and what is large by itself stays as it is. */
	add_some(world, 1750);
	int64_t largest = number_of(world, "SELECT max(length(body)) FROM tail");
	add_some(world, 1750);
	ck_assert_int_eq(
	        number_of(world, "SELECT count(*) FROM tail WHERE length(body) > 65536"), 3);
	ck_assert_int_eq(number_of(world, "SELECT max(length(body)) FROM tail"), largest);
	ask_many(world, 100);
	world_free(world);
}
END_TEST

START_TEST(segments_of_a_size_are_merged_when_there_are_many)
{
	struct world *world = world_new(9);
	struct day_reader *reader;

	for (int i = 0; i < INDEX_FAN; i++) {
		add_some(world, 30);
		begin(world);
		ck_assert_int_eq(index_seal(world->writer->tail, &world->writer->sql, NULL), 0);
		ck_assert_int_eq(sql_commit(&world->writer->sql, NULL), 0);
		ck_assert_int_eq(world->writer->tail->merge_due, i == INDEX_FAN - 1);
	}
	merge(world, false);
	g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
	reader = day_reader_get(world->writer->day, NULL);
	ck_assert_int_eq(segment_list(&reader->sql, segments, NULL), 0);
	day_reader_put(world->writer->day, reader);
	ck_assert_uint_eq(segments->len, 1);
	ask_many(world, 50);
	world_free(world);
}
END_TEST

static int stops_left;

static bool stop_soon(void *ctx)
{
	(void)ctx;
	return stops_left-- <= 0;
}

START_TEST(a_merge_that_is_cut_off_anywhere_loses_nothing_and_leaves_nothing)
{
	struct world *world = world_new(11);
	struct sql sql;
	int64_t left = -1;
	int result = -1;

	for (int i = 0; i < 3; i++)
		add_some(world, INDEX_SEAL + 10);
	ck_assert_int_eq(sql_open(&sql, world->writer->day->path, SQLITE_OPEN_READWRITE, NULL), 0);
	ck_assert_int_eq(day_prepare(&sql, NULL), 0);
	for (int stops = 1; result < 0; stops += 3) {
		ck_assert_int_lt(stops, 1000);
		stops_left = stops;
		result = index_merge(&sql, true, stop_soon, NULL, NULL);
		ask_many(world, 3);
		if (stops == 4)
			change_some(world, 5);
	}
	ck_assert_int_eq(index_merge(&sql, true, NULL, NULL, NULL), 0);
	sql_number(&sql, "SELECT count(*) FROM segment", -1, &left, NULL);
	ck_assert_int_eq(left, 1);
	sql_number(&sql,
	        "SELECT count(*) FROM piece WHERE id >> 24 NOT IN (SELECT id FROM segment)", -1,
	        &left, NULL);
	ck_assert_int_eq(left, 0);
	sql_close(&sql);
	ask_many(world, 100);
	world_free(world);
}
END_TEST

/* What is in a file may be anything: an error, an answer, but nothing worse. */
START_TEST(damaged_pieces_are_an_error_at_most)
{
	struct world *world = world_new(13);
	int64_t pieces;
	guint failed = 0;

	add_some(world, INDEX_SEAL + 10);
	struct sql *sql = &world->writer->sql;
	sql_number(sql, "SELECT count(*) FROM piece", 0, &pieces, NULL);
	ck_assert_int_gt(pieces, 10);
	for (int i = 0; i < 300; i++) {
		g_autofree char *text = g_strdup_printf(
		        "UPDATE piece SET body = CAST(substr(body, 1, %d) || randomblob(%d) || "
		        "substr(body, %d) AS BLOB) WHERE id %% 7 = %d",
		        pick(world, 300), pick(world, 30), pick(world, 4000), i % 7);
		struct index_query *query = index_query_new();
		GString *question = random_question(world, query);
		struct error err = {0};
		uint64_t count;
		int64_t row;
		ck_assert_int_eq(sql_begin(sql, NULL), 0);
		ck_assert_int_eq(sql_exec(sql, text, NULL), 0);
		struct index_hits *hits = index_find(sql, query, 5, DAY_ROWS, &err);
		failed += hits == NULL;
		if (hits != NULL && index_count(hits, &count) == 0 &&
		        index_start(hits, DAY_ROWS / 2) == 0)
			while (index_next(hits, &row) == 1)
				;
		index_hits_free(&hits);
		sql_rollback(sql);
		index_query_free(&query);
		g_string_free(question, TRUE);
	}
	ck_assert_uint_gt(failed, 0);
	world_free(world);
}
END_TEST

static void expect_damaged_tail(struct world *world, const char *change)
{
	struct sql *sql = &world->writer->sql;
	struct index_query *query = index_query_new();
	struct error err = {0};
	struct index_tail tail;

	ck_assert_int_eq(sql_begin(sql, NULL), 0);
	ck_assert_int_eq(sql_exec(sql, change, NULL), 0);
	ck_assert_ptr_null(index_find(sql, query, 0, DAY_ROWS, &err));
	ck_assert_int_eq(err.number, SQL_DAMAGED);
	index_tail_init(&tail);
	error_clear(&err);
	ck_assert_int_lt(index_tail_load(&tail, sql, &err), 0);
	ck_assert_int_eq(err.number, SQL_DAMAGED);
	index_tail_free(&tail);
	sql_rollback(sql);
	index_query_free(&query);
}

START_TEST(a_damaged_tail_is_an_error_and_no_shorter_one)
{
	struct world *world = world_new(12);

	for (int i = 0; i < 3; i++)
		add_some(world, 20);
	expect_damaged_tail(world, "UPDATE tail SET body = substr(body, 1, length(body) - 1)");
	expect_damaged_tail(world, "UPDATE tail SET body = substr(body, 1, 7) WHERE id = 2");
	expect_damaged_tail(world,
	        "UPDATE tail SET body = CAST(substr(body, 1, 6) || x'ffff' || substr(body, 9) AS "
	        "BLOB) WHERE id = 1");
	/* The number of terms at the very end. */
	expect_damaged_tail(
	        world, "UPDATE tail SET body = CAST(body || x'0500000000000100' AS BLOB)");
	ask_many(world, 20);
	world_free(world);
}
END_TEST

UNIT_MAIN("index", it_answers_as_fts5_does_whatever_happens_to_its_parts,
        lists_of_many_chunks_and_pieces_stay_whole,
        rows_of_the_tail_are_made_one_before_that_takes_long,
        segments_of_a_size_are_merged_when_there_are_many,
        a_merge_that_is_cut_off_anywhere_loses_nothing_and_leaves_nothing,
        a_damaged_tail_is_an_error_and_no_shorter_one, damaged_pieces_are_an_error_at_most)
