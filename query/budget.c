#include "query/budget.h"

#include <glib.h>
#include <pthread.h>

struct share {
	struct query_budget budget;
	uint64_t client;
	unsigned entered;
};

struct shares {
	struct query_budget whole;
	pthread_mutex_t lock;
	GHashTable *clients; /* uint64_t in struct share -> it */
};

static bool budget_take_own(struct query_budget *budget, size_t n)
{
	if (atomic_fetch_add(&budget->used, n) + n <= budget->limit)
		return true;
	atomic_fetch_sub(&budget->used, n);
	return false;
}

bool query_budget_take(struct query_budget *budget, size_t n)
{
	if (budget == NULL)
		return true;
	if (!budget_take_own(budget, n))
		return false;
	if (budget->whole == NULL || budget_take_own(budget->whole, n))
		return true;
	atomic_fetch_sub(&budget->used, n);
	return false;
}

void query_budget_give(struct query_budget *budget, size_t n)
{
	for (; budget != NULL; budget = budget->whole)
		atomic_fetch_sub(&budget->used, n);
}

struct shares *shares_new(size_t limit)
{
	struct shares *shares = g_new0(struct shares, 1);

	shares->whole.limit = limit;
	pthread_mutex_init(&shares->lock, NULL);
	shares->clients = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	return shares;
}

void shares_free(struct shares **shares)
{
	if (*shares == NULL)
		return;
	g_hash_table_unref((*shares)->clients);
	pthread_mutex_destroy(&(*shares)->lock);
	g_clear_pointer(shares, g_free);
}

struct query_budget *shares_enter(struct shares *shares, uint64_t client)
{
	pthread_mutex_lock(&shares->lock);
	struct share *share = g_hash_table_lookup(shares->clients, &client);
	if (share == NULL) {
		share = g_new0(struct share, 1);
		share->client = client;
		share->budget.limit = shares->whole.limit / 2;
		share->budget.whole = &shares->whole;
		g_hash_table_insert(shares->clients, &share->client, share);
	}
	share->entered++;
	pthread_mutex_unlock(&shares->lock);
	return &share->budget;
}

void shares_leave(struct shares *shares, struct query_budget *budget)
{
	struct share *share = (struct share *)budget; /* its first member */

	pthread_mutex_lock(&shares->lock);
	if (--share->entered == 0)
		g_hash_table_remove(shares->clients, &share->client);
	pthread_mutex_unlock(&shares->lock);
}
