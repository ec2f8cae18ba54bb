/* A block of a dictionary: strings whose ids follow each other, as they stand in one row.
 *
 *	varint  bytes of the heads * 2 + (1: a string has a byte above 0x7f)
 *	heads   of each string: varint length * 2 + (1: it stands for another); varint id of that
 *	bytes   of all strings, one after the other, so that a search reads nothing but text */
#ifndef PW_STORE_DICT_BLOCK_H
#define PW_STORE_DICT_BLOCK_H

#include "store/pack.h"

/* A string of a dictionary. */
struct dict_string {
	int64_t id;
	int64_t of; /* of a raw reason: the id of the reason of all its events; 0: none */
	struct slice text;
};

/* Reading: a cursor over the strings. */
struct dict_block {
	int64_t id; /* of the next string */
	bool ascii; /* all of it is below 0x80 */
	struct unpack heads;
	struct slice rest; /* texts from the next string on */
};
/* `first` is the id of the row. False: it is damaged. */
bool dict_block_open(struct dict_block *block, int64_t first, struct slice body);
/* The next string: 1, 0 there is none, -1 the block is damaged. */
int dict_block_next(struct dict_block *block, struct dict_string *string_r);
/* The string of an id from the next one on, which is the next one then: 1, 0 it is not there, -1.
 */
int dict_block_seek(struct dict_block *block, int64_t id, struct dict_string *string_r);

/* Writing: the block that grows. */
struct dict_growing {
	int64_t first, next; /* ids: of the row, and of the string to come; 0: not read yet */
	GByteArray *heads, *texts;
	bool ascii, changed;
};
void dict_growing_init(struct dict_growing *block);
void dict_growing_clear(struct dict_growing *block);
/* Goes on with a block as it was stored. False: it is damaged. */
bool dict_growing_load(struct dict_growing *block, int64_t first, struct slice body);
/* Begins an empty one behind it. */
void dict_growing_turn(struct dict_growing *block);
/* Whether there is room for one more string; an empty block takes any. */
bool dict_growing_has_room(const struct dict_growing *block, size_t n);
/* The id of the string. */
int64_t dict_growing_add(struct dict_growing *block, struct slice text, int64_t of);
/* What it holds now, for reading; valid until it grows. */
struct dict_block dict_growing_read(const struct dict_growing *block);
/* Appends the body of its row. */
void dict_growing_body(const struct dict_growing *block, GByteArray *out);

#endif
