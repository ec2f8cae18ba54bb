/* What requests and answers in flight may hold, all together and those of one client, such as
 * bytes: nobody spends what the others need, and the memory of the process is bounded. */
#ifndef PW_QUERY_BUDGET_H
#define PW_QUERY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query_budget {
	size_t limit;
	atomic_size_t used;
	struct query_budget *whole; /* that this is a share of; NULL = of none */
};

/* Takes n of it (NULL = no limit), or not: false when it is spent. And gives back. */
bool query_budget_take(struct query_budget *budget, size_t n);
void query_budget_give(struct query_budget *budget, size_t n);

/* The shares of a budget that clients have, who are just numbers: half of it is the most that one
 * may take. */
struct shares;

struct shares *shares_new(size_t limit);
void shares_free(struct shares **shares);

/* The share of a client, for as long as something of it is in flight: shares_leave. Any thread. */
struct query_budget *shares_enter(struct shares *shares, uint64_t client);
void shares_leave(struct shares *shares, struct query_budget *share);

#endif
