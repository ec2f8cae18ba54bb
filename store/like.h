/* Patterns of the substring filters: '%' is any text, all else itself, case does not count. */
#ifndef PW_STORE_LIKE_H
#define PW_STORE_LIKE_H

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"
#include "store/dict_block.h"

struct like;

/* A pattern list of which one must match; NULL-ended. */
struct like *like_new(const char *const *patterns);
void like_free(struct like **like);

/* Whether a text matches one of the patterns. `scratch` is overwritten. */
bool like_match(const struct like *like, struct slice text, GString *scratch);

/* The next string of a block that matches: 1, 0 there is none, -1 the block is damaged. */
int like_block(const struct like *like, struct dict_block *block, GString *scratch,
        struct dict_string *string_r);

#endif
