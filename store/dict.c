#include "store/dict.h"

#include <errno.h>
#include <sodium.h>

#include "store/day.h"

#define SEEN_ONCE (-1)   /* in the cache instead of an id */
#define DICT_CACHE 16384 /* strings of a dictionary */

/* ---- reading ---- */

void dict_reader_clear(struct dict_reader *reader)
{
	for (unsigned i = 0; i < DICT_READER_SLOTS; i++)
		for (unsigned k = 0; k < 2; k++)
			g_free(reader->slot[k][i].p);
	memset(reader, 0, sizeof(*reader));
}

static int damaged(
        const struct sql *sql, enum dict_kind kind, int64_t id, const char *what, struct error *err)
{
	return sql_damaged(err, "store file %s is damaged: string %lld of dictionary %d %s",
	        sql->path, (long long)id, (int)kind, what);
}

/* Steps to the block in which an id must be: 1, 0 there is none, -1. The caller resets. */
static int find_block(struct sql *sql, enum dict_kind kind, int64_t id, struct dict_block *block,
        struct error *err)
{
	sqlite3_stmt *stmt = sql->stmt[DAY_WORD_BLOCK + kind];

	sqlite3_bind_int64(stmt, 1, id);
	int result = sql_step(sql, stmt, err);
	if (result == 1 &&
	        !dict_block_open(block, sqlite3_column_int64(stmt, 0), sql_column(stmt, 1)))
		return damaged(sql, kind, id, "cannot be read", err);
	return result;
}

static int fetch(struct day_reader *reader, enum dict_kind kind, int64_t id, struct dict_slot *slot,
        struct error *err)
{
	struct dict_block block;
	struct dict_string string;
	int result = find_block(&reader->sql, kind, id, &block, err);

	if (result == 1)
		result = dict_block_seek(&block, id, &string);
	if (result == 1) {
		g_free(slot->p);
		slot->p = g_memdup2(string.text.n > 0 ? string.text.p : "", MAX(string.text.n, 1));
		slot->n = string.text.n;
		slot->of = string.of;
	} else {
		damaged(&reader->sql, kind, id, result == 0 ? "is missing" : "cannot be read", err);
	}
	sqlite3_reset(reader->sql.stmt[DAY_WORD_BLOCK + kind]);
	return result == 1 ? 0 : -1;
}

int dict_text(struct day_reader *reader, enum dict_kind kind, int64_t id,
        struct dict_string *string, struct error *err)
{
	int64_t tag = id * DICT_KINDS + kind;
	struct dict_slot *slot =
	        &reader->dict.slot[kind == DICT_SHAPE][(uint64_t)tag % DICT_READER_SLOTS];

	if (slot->p == NULL || slot->tag != tag) {
		slot->tag = 0;
		if (fetch(reader, kind, id, slot, err) < 0)
			return -1;
		slot->tag = tag;
	}
	*string = (struct dict_string){id, slot->of, slice_make(slot->p, slot->n)};
	return 0;
}

struct dict_all dict_all_start(struct day_reader *reader, enum dict_kind kind, struct error *err)
{
	return (struct dict_all){.reader = reader, .kind = kind, .err = err};
}

int dict_all_next(struct dict_all *all)
{
	struct sql *sql = &all->reader->sql;
	sqlite3_stmt *stmt = sql->stmt[DAY_WORD_ALL + all->kind];
	int result = sql_step(sql, stmt, all->err);

	if (result != 1)
		return result;
	all->row = sqlite3_column_int64(stmt, 0);
	return dict_block_open(&all->block, all->row, sql_column(stmt, 1)) ? 1
	                                                                   : dict_all_damaged(all);
}

int dict_all_damaged(const struct dict_all *all)
{
	return damaged(&all->reader->sql, all->kind, all->row, "or one behind it cannot be read",
	        all->err);
}

void dict_all_end(struct dict_all *all)
{
	sqlite3_reset(all->reader->sql.stmt[DAY_WORD_ALL + all->kind]);
}

/* ---- writing ---- */

void dict_writer_init(struct dict_writer *dict)
{
	cache_init(&dict->ids, DICT_CACHE);
	dict_growing_init(&dict->last);
}

void dict_writer_clear(struct dict_writer *dict)
{
	cache_free(&dict->ids);
	dict_growing_clear(&dict->last);
}

uint64_t dict_hash(const uint8_t *hash_key, struct slice text, int64_t of)
{
	uint64_t hash = 0;

	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)text.p, text.n, hash_key);
	/* Odd: no two of one text are the same. */
	return GUINT64_FROM_LE(hash) + (uint64_t)of * UINT64_C(0x9e3779b97f4a7c15);
}

/* The last block as it is in the file. */
static int load_last(struct day_writer *writer, enum dict_kind kind, struct error *err)
{
	struct dict_growing *last = &writer->dict[kind].last;
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_WORD_BLOCK + kind];

	if (last->next != 0)
		return 0;
	sqlite3_bind_int64(stmt, 1, INT64_MAX);
	int result = sql_step(&writer->sql, stmt, err);
	if (result == 0)
		last->first = last->next = 1;
	else if (result == 1 &&
	         !dict_growing_load(last, sqlite3_column_int64(stmt, 0), sql_column(stmt, 1)))
		result = damaged(&writer->sql, kind, last->next, "cannot be read", err);
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

/* Whether an id is that of a string: 1, 0, -1. */
static int is_it(struct day_writer *writer, enum dict_kind kind, int64_t id, struct slice text,
        int64_t of, struct error *err)
{
	const struct dict_growing *last = &writer->dict[kind].last;
	struct dict_block block = dict_growing_read(last);
	struct dict_string string;
	int result = id >= last->first ? 1 : find_block(&writer->sql, kind, id, &block, err);

	if (result == 1)
		result = dict_block_seek(&block, id, &string);
	if (result != 1)
		result = damaged(
		        &writer->sql, kind, id, result == 0 ? "is missing" : "cannot be read", err);
	else
		result = string.of == of && slice_eq(string.text, text);
	sqlite3_reset(writer->sql.stmt[DAY_WORD_BLOCK + kind]);
	return result;
}

/* The id of a string among those with its hash, 0 when it is not there. */
static int64_t find(struct day_writer *writer, enum dict_kind kind, int64_t hash, struct slice text,
        int64_t of, struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_WORD_FIND + kind];
	int64_t found = 0;
	int result;

	sqlite3_bind_int64(stmt, 1, hash);
	while (found == 0 && (result = sql_step(&writer->sql, stmt, err)) == 1) {
		int64_t id = sqlite3_column_int64(stmt, 0);
		result = is_it(writer, kind, id, text, of, err);
		if (result != 0)
			found = result < 0 ? -1 : id;
	}
	sqlite3_reset(stmt);
	return result < 0 ? -1 : found;
}

static int write_last(struct day_writer *writer, enum dict_kind kind, struct error *err)
{
	struct dict_growing *last = &writer->dict[kind].last;
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_WORD_PUT + kind];
	g_autoptr(GByteArray) body = g_byte_array_new();

	if (!last->changed)
		return 0;
	dict_growing_body(last, body);
	sqlite3_bind_int64(stmt, 1, last->first);
	sql_bind_slice(stmt, 2, slice_make((const char *)body->data, body->len));
	last->changed = false;
	return sql_run(&writer->sql, stmt, err);
}

static int64_t add(struct day_writer *writer, enum dict_kind kind, int64_t hash, struct slice text,
        int64_t of, struct error *err)
{
	struct dict_growing *last = &writer->dict[kind].last;
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_WORD_ADD + kind];

	if (!dict_growing_has_room(last, text.n)) {
		if (write_last(writer, kind, err) < 0)
			return -1;
		dict_growing_turn(last);
	}
	int64_t id = dict_growing_add(last, text, of);
	sqlite3_bind_int64(stmt, 1, hash);
	sqlite3_bind_int64(stmt, 2, id);
	return sql_run(&writer->sql, stmt, err) < 0 ? -1 : id;
}

static int64_t look_up(struct day_writer *writer, enum dict_kind kind, struct slice text,
        int64_t of, bool once, struct error *err)
{
	struct cache *cache = &writer->dict[kind].ids;
	uint64_t key = dict_hash(writer->day->key, text, of);
	int64_t hash = (int64_t)(key >> DICT_HASH_SHIFT);
	int64_t id = cache_get(cache, key);

	if (id > 0)
		return id;
	bool seen = !once || id == SEEN_ONCE;
	if (load_last(writer, kind, err) < 0)
		return -1;
	id = find(writer, kind, hash, text, of, err);
	if (id == 0 && seen)
		id = add(writer, kind, hash, text, of, err);
	if (id >= 0)
		cache_put(cache, key, id > 0 ? id : SEEN_ONCE);
	return id;
}

int64_t dict_id(struct day_writer *writer, enum dict_kind kind, struct slice text, int64_t of,
        struct error *err)
{
	return look_up(writer, kind, text, of, false, err);
}

int64_t dict_again(
        struct day_writer *writer, enum dict_kind kind, struct slice text, struct error *err)
{
	return look_up(writer, kind, text, 0, true, err);
}

int dict_flush(struct day_writer *writer, struct error *err)
{
	for (int kind = 0; kind < DICT_KINDS; kind++)
		if (write_last(writer, (enum dict_kind)kind, err) < 0)
			return -1;
	return 0;
}
