/* A bounded cache from bytes to bytes, which forgets what was not asked for longest. Thread-safe.
 */
#ifndef PW_EVENT_LRU_H
#define PW_EVENT_LRU_H

#include <glib.h>

#include "base/slice.h"

struct lru;

/* At most `entries` entries of at most `bytes` bytes together. */
struct lru *lru_new(unsigned entries, size_t bytes);
void lru_free(struct lru **lru);

/* Appends the value; false where there is none. */
bool lru_get(struct lru *lru, struct slice key, GString *value);

/* Keeps a copy of both, unless they are larger than a share of the cache. */
void lru_put(struct lru *lru, struct slice key, struct slice value);

#endif
