/* A set of event ids: whether an event stands somewhere twice. */
#ifndef PW_STORE_IDS_H
#define PW_STORE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 11 to 22 bytes of memory an id, and half as much again while it grows. */
struct ids {
	uint64_t *slot;  /* 0: free */
	uint64_t factor; /* of the hash, by chance: ids may be of somebody's choice */
	size_t n;
	unsigned bits; /* the table has two to the power of it */
};

void ids_init(struct ids *ids);
void ids_clear(struct ids *ids);

/* false: it is there already. 0, which no event has, never is. */
bool ids_add(struct ids *ids, uint64_t id);

#endif
