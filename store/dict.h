/* The dictionaries of a day file: strings that stand in rows as a number. */
#ifndef PW_STORE_DICT_H
#define PW_STORE_DICT_H

#include "base/error.h"
#include "base/slice.h"
#include "store/sql.h"

enum dict_kind { DICT_WORD, DICT_REASON, DICT_SUBJECT, DICT_SHAPE, DICT_KINDS };

#define DICT_READER_SLOTS 1024

/* Strings that a reading connection fetched lately. A dictionary only grows, so they stay true. */
struct dict_reader {
	struct dict_slot {
		int64_t id; /* kind and id; 0: empty */
		char *p;
		size_t n;
	} slot[2][DICT_READER_SLOTS]; /* of strings; of shapes */
};
void dict_reader_clear(struct dict_reader *reader);

/* The string of an id; valid until the next call, of a shape until the next one for a shape. */
struct day_reader;
int dict_text(struct day_reader *reader, enum dict_kind kind, int64_t id, struct slice *text_r,
        struct error *err);

/* The id of a string, which is added where it is new; -1 on failure. */
struct day_writer;
int64_t dict_id(
        struct day_writer *writer, enum dict_kind kind, struct slice text, struct error *err);
/* The same, but 0 for a string that was not seen lately: it is added when it comes again. */
int64_t dict_again(
        struct day_writer *writer, enum dict_kind kind, struct slice text, struct error *err);

#endif
