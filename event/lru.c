#include "event/lru.h"

#include <sodium.h>

#define LARGEST_PART 64 /* an entry takes a 64th of the cache at most */

struct entry {
	struct slice key, value; /* both in `bytes` */
	GList node;
	char bytes[];
};

struct lru {
	GMutex lock;
	GHashTable *table; /* struct slice -> struct entry */
	GQueue used;       /* of entries, latest used first */
	unsigned entries;
	size_t bytes, size;
};

/* Keyed: replies come from strangers, who could else choose texts with equal hashes. */
static guint hash_of(gconstpointer p)
{
	static uint8_t key[crypto_shorthash_KEYBYTES];
	static gsize ready;
	const struct slice *text = p;
	uint64_t hash;

	if (g_once_init_enter(&ready)) {
		randombytes_buf(key, sizeof(key));
		g_once_init_leave(&ready, 1);
	}
	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)text->p, text->n, key);
	return (guint)hash;
}

static gboolean same(gconstpointer a, gconstpointer b)
{
	return slice_eq(*(const struct slice *)a, *(const struct slice *)b);
}

struct lru *lru_new(unsigned entries, size_t bytes)
{
	struct lru *lru = g_new0(struct lru, 1);

	g_mutex_init(&lru->lock);
	lru->table = g_hash_table_new_full(hash_of, same, NULL, g_free);
	lru->entries = entries;
	lru->bytes = bytes;
	return lru;
}

void lru_free(struct lru **pointer)
{
	struct lru *lru = *pointer;

	if (lru == NULL)
		return;
	g_hash_table_unref(lru->table);
	g_mutex_clear(&lru->lock);
	g_free(lru);
	*pointer = NULL;
}

bool lru_get(struct lru *lru, struct slice key, GString *value)
{
	g_mutex_lock(&lru->lock);
	struct entry *entry = g_hash_table_lookup(lru->table, &key);
	if (entry != NULL) {
		g_string_append_len(value, entry->value.p, (gssize)entry->value.n);
		g_queue_unlink(&lru->used, &entry->node);
		g_queue_push_head_link(&lru->used, &entry->node);
	}
	g_mutex_unlock(&lru->lock);
	return entry != NULL;
}

static size_t size_of(const struct entry *entry)
{
	return sizeof(*entry) + entry->key.n + entry->value.n;
}

static struct entry *make(struct slice key, struct slice value)
{
	struct entry *entry = g_malloc(sizeof(*entry) + key.n + value.n);

	if (key.n > 0)
		memcpy(entry->bytes, key.p, key.n);
	if (value.n > 0)
		memcpy(entry->bytes + key.n, value.p, value.n);
	entry->key = slice_make(entry->bytes, key.n);
	entry->value = slice_make(entry->bytes + key.n, value.n);
	entry->node = (GList){.data = entry};
	return entry;
}

static void drop(struct lru *lru, struct entry *entry)
{
	lru->size -= size_of(entry);
	g_queue_unlink(&lru->used, &entry->node);
	g_hash_table_remove(lru->table, &entry->key);
}

void lru_put(struct lru *lru, struct slice key, struct slice value)
{
	if (key.n + value.n > lru->bytes / LARGEST_PART)
		return;
	g_mutex_lock(&lru->lock);
	struct entry *old = g_hash_table_lookup(lru->table, &key);
	if (old != NULL)
		drop(lru, old);
	struct entry *entry = make(key, value);
	lru->size += size_of(entry);
	g_hash_table_insert(lru->table, &entry->key, entry);
	g_queue_push_head_link(&lru->used, &entry->node);
	while (lru->used.length > lru->entries || lru->size > lru->bytes)
		drop(lru, lru->used.tail->data);
	g_mutex_unlock(&lru->lock);
}
