#include "store/cache.h"

#include <glib.h>
#include <string.h>

#define WAYS 4 /* entries that one key may stand in, the latest used first */

void cache_init(struct cache *cache, size_t entries)
{
	cache->sets = 1;
	while (cache->sets * WAYS < entries)
		cache->sets *= 2;
	cache->entry = g_new0(struct cache_entry, cache->sets * WAYS);
}

void cache_free(struct cache *cache)
{
	g_free(cache->entry);
	*cache = (struct cache){0};
}

void cache_clear(struct cache *cache)
{
	memset(cache->entry, 0, cache->sets * WAYS * sizeof(*cache->entry));
}

static struct cache_entry *set_of(struct cache *cache, uint64_t key)
{
	return cache->entry + (key & (cache->sets - 1)) * WAYS;
}

static void to_front(struct cache_entry *set, unsigned last, struct cache_entry entry)
{
	memmove(set + 1, set, last * sizeof(*set));
	set[0] = entry;
}

int64_t cache_get(struct cache *cache, uint64_t key)
{
	struct cache_entry *set = set_of(cache, key);

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].value == 0 || set[i].key != key)
			continue;
		if (i > 0)
			to_front(set, i, set[i]);
		return set[0].value;
	}
	return 0;
}

void cache_put(struct cache *cache, uint64_t key, int64_t value)
{
	to_front(set_of(cache, key), WAYS - 1, (struct cache_entry){key, value});
}
