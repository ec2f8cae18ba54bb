/* The dictionaries of a day file: strings that stand in rows as a number. They stand in blocks
 * (store/dict_block.h), and the last block of each grows in the writer's memory between commits.
 *
 * A raw reason is kept once for each reason that goes with it, and knows its id: a search that
 * found a reason need not look for its raw ones. */
#ifndef PW_STORE_DICT_H
#define PW_STORE_DICT_H

#include "base/error.h"
#include "base/slice.h"
#include "store/cache.h"
#include "store/dict_block.h"
#include "store/sql.h"

enum dict_kind { DICT_WORD, DICT_REASON, DICT_SUBJECT, DICT_SHAPE, DICT_KINDS };

#define DICT_READER_SLOTS 1024

/* Strings that a reading connection fetched lately. A dictionary only grows, so they stay true. */
struct dict_reader {
	struct dict_slot {
		int64_t tag; /* kind and id; 0: empty */
		int64_t of;
		char *p;
		size_t n;
	} slot[2][DICT_READER_SLOTS]; /* of strings; of shapes */
};
void dict_reader_clear(struct dict_reader *reader);

/* The string of an id; valid until the next call, of a shape until the next one for a shape. */
struct day_reader;
int dict_text(struct day_reader *reader, enum dict_kind kind, int64_t id,
        struct dict_string *string_r, struct error *err);

/* All strings of a dictionary, block by block: dict_all_next gives 1, 0 at the end, -1 with *err,
 * and the caller reads the block. The statement is free again after dict_all_end. */
struct dict_all {
	struct day_reader *reader;
	enum dict_kind kind;
	struct dict_block block;
	int64_t row; /* id of the block */
	struct error *err;
};
struct dict_all dict_all_start(struct day_reader *reader, enum dict_kind kind, struct error *err);
int dict_all_next(struct dict_all *all);
/* Says that the block is damaged. Returns -1. */
int dict_all_damaged(const struct dict_all *all);
void dict_all_end(struct dict_all *all);

/* The keyed hash of a string, of which the upper 31 bits are in the file. */
uint64_t dict_hash(const uint8_t *hash_key, struct slice text, int64_t of);
#define DICT_HASH_SHIFT 33

/* A dictionary as the writer has it. */
struct dict_writer {
	struct cache ids; /* dict_hash -> id */
	struct dict_growing last;
};
void dict_writer_init(struct dict_writer *dict);
void dict_writer_clear(struct dict_writer *dict);

/* The id of a string, which is added where it is new; -1 on failure. `of` is that of its reason. */
struct day_writer;
int64_t dict_id(struct day_writer *writer, enum dict_kind kind, struct slice text, int64_t of,
        struct error *err);
/* The same, but 0 for a string that was not seen lately: it is added when it comes again. */
int64_t dict_again(
        struct day_writer *writer, enum dict_kind kind, struct slice text, struct error *err);
/* Writes what was added, before each commit. */
int dict_flush(struct day_writer *writer, struct error *err);

#endif
