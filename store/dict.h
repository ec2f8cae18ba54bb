/* The dictionaries of a day file: strings that stand in rows as a number. */
#ifndef PW_STORE_DICT_H
#define PW_STORE_DICT_H

#include "base/error.h"
#include "base/slice.h"
#include "store/sql.h"

enum dict_kind { DICT_WORD, DICT_REASON, DICT_SUBJECT, DICT_KINDS };

#define DICT_READER_SLOTS 1024

/* Strings that a reading connection fetched lately. A dictionary only grows, so they stay true. */
struct dict_reader {
	struct dict_slot {
		int64_t id; /* kind and id; 0: empty */
		char *p;
		size_t n;
	} slot[DICT_READER_SLOTS];
};
void dict_reader_clear(struct dict_reader *reader);

/* The string of an id; valid until the next call. */
struct day_reader;
int dict_text(struct day_reader *reader, enum dict_kind kind, int64_t id, struct slice *text_r,
        struct error *err);

/* The id of a string, which is added where it is new; -1 on failure. */
struct day_writer;
int64_t dict_id(
        struct day_writer *writer, enum dict_kind kind, struct slice text, struct error *err);

#endif
