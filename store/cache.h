/* A small cache from 64-bit keys to numbers that forgets what was not used for long. Keys are keyed
 * hashes, so that nobody outside can make two collide. */
#ifndef PW_STORE_CACHE_H
#define PW_STORE_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct cache {
	struct cache_entry {
		uint64_t key;
		int64_t value; /* 0: empty */
	} * entry;
	size_t sets; /* a power of two */
};

/* `entries` is rounded up to a power of two. */
void cache_init(struct cache *cache, size_t entries);
void cache_free(struct cache *cache);
void cache_clear(struct cache *cache);

/* The value, or 0. */
int64_t cache_get(struct cache *cache, uint64_t key);
void cache_put(struct cache *cache, uint64_t key, int64_t value);

#endif
