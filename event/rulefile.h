/* Rule files: their lines, words and patterns (postwake-rules(5)). */
#ifndef PW_EVENT_RULEFILE_H
#define PW_EVENT_RULEFILE_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

/* A text that is read statement by statement. A statement is a line and the lines behind it that
 * begin with white space; empty lines and lines that begin with '#' are none. */
struct rulefile {
	const char *name; /* for messages and verdicts */
	struct slice rest;
	unsigned line;  /* of the statement, from 1 */
	unsigned lines; /* read so far */
	GString *text;  /* the statement */
};

void rulefile_init(struct rulefile *file, const char *name, struct slice text);
void rulefile_clear(struct rulefile *file);

/* The next statement; false at the end. Valid until the next call. */
bool rulefile_next(struct rulefile *file, struct slice *statement_r);

/* error_set with "NAME:LINE: " before the text. Returns -1. */
int rulefile_error(const struct rulefile *file, struct error *err, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Cuts the next word of a statement; false at its end. */
bool rulefile_word(struct slice *statement, struct slice *word_r);

/* Cuts what stands up to the next `delimiter` ("\/" is a "/" within); false where there is none. */
bool rulefile_delimited(struct slice *statement, char delimiter, GString *text_r);

/* Reads a whole file. NULL with *err. */
char *rulefile_load(const char *path, size_t *n_r, struct error *err);

/* How much of a text patterns look at: what lies behind is no reply that a person wrote, and a
 * pattern's time grows with the text. */
#define RULE_TEXT_MAX 4096

/* Compiles a PCRE pattern for raw bytes which gives up (and does not match) where it would have to
 * try too much. NULL with *err. */
GRegex *rule_pattern(
        const struct rulefile *file, const char *pattern, bool caseless, struct error *err);

/* Whether a pattern can be compiled: 0, or -1 with *err. */
int rule_pattern_check(
        const struct rulefile *file, const char *pattern, bool caseless, struct error *err);

/* Whether a pattern fits somewhere in a text of which the first RULE_TEXT_MAX bytes count. */
bool rule_pattern_fits(const GRegex *pattern, struct slice text);

#endif
