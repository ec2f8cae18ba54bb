/* Patterns of the substring filters: '%' is any text, all else itself, case does not count. */
#ifndef PW_STORE_LIKE_H
#define PW_STORE_LIKE_H

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"

struct like;

/* A pattern list of which one must match; NULL-ended. */
struct like *like_new(const char *const *patterns);
void like_free(struct like **like);

/* Whether a text matches one of the patterns. `scratch` is overwritten. */
bool like_match(const struct like *like, struct slice text, GString *scratch);

#endif
