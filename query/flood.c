#include "query/flood.h"

struct flood {
	GHashTable *counts; /* uint64_t -> since `begun` */
	int64_t begun;
	GArray *shut;  /* uint64_t, longest shut out first */
	GArray *until; /* int64_t, of each */
};

struct flood *flood_new(void)
{
	struct flood *flood = g_new0(struct flood, 1);

	flood->counts = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	flood->shut = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	flood->until = g_array_new(FALSE, FALSE, sizeof(int64_t));
	return flood;
}

void flood_free(struct flood **flood)
{
	if (*flood == NULL)
		return;
	g_hash_table_unref((*flood)->counts);
	g_array_unref((*flood)->shut);
	g_array_unref((*flood)->until);
	g_clear_pointer(flood, g_free);
}

static void flood_drop_first(struct flood *flood)
{
	g_array_remove_index(flood->shut, 0);
	g_array_remove_index(flood->until, 0);
}

static bool is_shut(const struct flood *flood, uint64_t peer)
{
	for (guint i = 0; i < flood->shut->len; i++)
		if (g_array_index(flood->shut, uint64_t, i) == peer)
			return true;
	return false;
}

bool flood_count(struct flood *flood, uint64_t peer, int64_t now)
{
	int64_t until = now + FLOOD_SHUT_MS;

	if (now - flood->begun > FLOOD_SPAN_MS) {
		g_hash_table_remove_all(flood->counts);
		flood->begun = now;
	}
	guint n = GPOINTER_TO_UINT(g_hash_table_lookup(flood->counts, &peer)) + 1;
	g_hash_table_replace(flood->counts, g_memdup2(&peer, sizeof(peer)), GUINT_TO_POINTER(n));
	if (n < FLOOD_MOST || is_shut(flood, peer)) /* those that were in the queue are no news */
		return false;
	g_hash_table_remove(flood->counts, &peer);
	if (flood->shut->len == FLOOD_PEERS)
		flood_drop_first(flood);
	g_array_append_val(flood->shut, peer);
	g_array_append_val(flood->until, until);
	return true;
}

bool flood_pass(struct flood *flood, int64_t now)
{
	guint before = flood->shut->len;

	while (flood_until(flood) >= 0 && flood_until(flood) <= now)
		flood_drop_first(flood);
	return flood->shut->len != before;
}

const GArray *flood_shut(const struct flood *flood)
{
	return flood->shut;
}

int64_t flood_until(const struct flood *flood)
{
	return flood->until->len > 0 ? g_array_index(flood->until, int64_t, 0) : -1;
}
