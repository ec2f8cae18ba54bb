/* Word filters: a phrase is found where its words stand one after the other in a text, whole and in
 * any case. Words are parted by white space, '-' and '_', and by '.' where that is asked for;
 * punctuation of ASCII at the ends of a word is no part of it ("Hello, world!" is hello and world),
 * and what is nothing else is no word. */
#ifndef PW_STORE_WORDS_H
#define PW_STORE_WORDS_H

#include <glib.h>
#include <stdbool.h>

#include "store/search.h"

/* Where the strings of a word filter stand. */
enum words_place { WORDS_REASON, WORDS_SUBJECT, WORDS_VALUE, WORDS_MAILBOX };

struct words_def {
	const char *name;
	bool dots; /* '.' parts words too */
	enum words_place place;
	enum search_key key; /* of VALUE and MAILBOX */
	enum field field[2];
	unsigned fields;
};
extern const struct words_def words_defs[SEARCH_WORDS];

struct words;

/* Phrases of which one must be found; NULL-ended. One without words is never found. */
struct words *words_new(const char *const *phrases, bool dots);
void words_free(struct words **words);

/* Whether one of the phrases is in the text. `scratch` is overwritten. */
bool words_match(const struct words *words, struct slice text, GString *scratch);

/* The phrases in lower case, with one blank before each word and one at the end. */
unsigned words_count(const struct words *words);
struct slice words_phrase(const struct words *words, unsigned i);

/* Whether a byte parts words. */
static inline bool words_part(char c, bool dots)
{
	return g_ascii_isspace(c) || c == '-' || c == '_' || (dots && c == '.');
}

/* Whether there is a word in the text at all. */
static inline bool words_any(struct slice text, bool dots)
{
	for (size_t i = 0; i < text.n; i++)
		if (!words_part(text.p[i], dots) && !g_ascii_ispunct(text.p[i]))
			return true;
	return false;
}

#endif
