#include "store/dict.h"

#include <errno.h>
#include <sodium.h>

#include "store/day.h"

#define SEEN_ONCE (-1) /* in the cache instead of an id */

void dict_reader_clear(struct dict_reader *reader)
{
	for (unsigned i = 0; i < DICT_READER_SLOTS; i++)
		for (unsigned k = 0; k < 2; k++)
			g_free(reader->slot[k][i].p);
	memset(reader, 0, sizeof(*reader));
}

static int fetch(struct day_reader *reader, enum dict_kind kind, int64_t id, struct dict_slot *slot,
        struct error *err)
{
	sqlite3_stmt *stmt = reader->sql.stmt[DAY_WORD_TEXT + kind];

	sqlite3_bind_int64(stmt, 1, id);
	int result = sql_step(&reader->sql, stmt, err);
	if (result == 1) {
		struct slice text = sql_column(stmt, 0);
		g_free(slot->p);
		slot->p = g_memdup2(text.n > 0 ? text.p : "", MAX(text.n, 1));
		slot->n = text.n;
	} else if (result == 0) {
		sql_damaged(err,
		        "store file %s is damaged: string %lld of dictionary %d is missing",
		        reader->sql.path, (long long)id, (int)kind);
	}
	sqlite3_reset(stmt);
	return result == 1 ? 0 : -1;
}

int dict_text(struct day_reader *reader, enum dict_kind kind, int64_t id, struct slice *text,
        struct error *err)
{
	int64_t tag = id * DICT_KINDS + kind;
	struct dict_slot *slot =
	        &reader->dict.slot[kind == DICT_SHAPE][(uint64_t)tag % DICT_READER_SLOTS];

	if (slot->p == NULL || slot->id != tag) {
		slot->id = 0;
		if (fetch(reader, kind, id, slot, err) < 0)
			return -1;
		slot->id = tag;
	}
	*text = slice_make(slot->p, slot->n);
	return 0;
}

/* The id of a string among those with its hash, 0 when it is not there. */
static int64_t find(struct day_writer *writer, enum dict_kind kind, int64_t hash, struct slice text,
        struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_WORD_FIND + kind];
	int64_t id = 0;
	int result;

	sqlite3_bind_int64(stmt, 1, hash);
	while ((result = sql_step(&writer->sql, stmt, err)) == 1) {
		if (!slice_eq(sql_column(stmt, 1), text))
			continue;
		id = sqlite3_column_int64(stmt, 0);
		break;
	}
	sqlite3_reset(stmt);
	return result < 0 ? -1 : id;
}

static int64_t add(struct day_writer *writer, enum dict_kind kind, int64_t hash, struct slice text,
        struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_WORD_ADD + kind];

	sqlite3_bind_int64(stmt, 1, hash);
	sql_bind_slice(stmt, 2, text);
	if (sql_run(&writer->sql, stmt, err) < 0)
		return -1;
	return sqlite3_last_insert_rowid(writer->sql.db);
}

static int64_t look_up(struct day_writer *writer, enum dict_kind kind, struct slice text, bool once,
        struct error *err)
{
	struct cache *cache = &writer->dict[kind];
	uint64_t key = 0;

	crypto_shorthash((uint8_t *)&key, (const uint8_t *)text.p, text.n, writer->day->key);
	int64_t id = cache_get(cache, key);
	if (id > 0)
		return id;
	bool seen = !once || id == SEEN_ONCE;
	id = find(writer, kind, (int64_t)(key >> 33), text, err);
	if (id == 0 && seen)
		id = add(writer, kind, (int64_t)(key >> 33), text, err);
	if (id >= 0)
		cache_put(cache, key, id > 0 ? id : SEEN_ONCE);
	return id;
}

int64_t dict_id(
        struct day_writer *writer, enum dict_kind kind, struct slice text, struct error *err)
{
	return look_up(writer, kind, text, false, err);
}

int64_t dict_again(
        struct day_writer *writer, enum dict_kind kind, struct slice text, struct error *err)
{
	return look_up(writer, kind, text, true, err);
}
