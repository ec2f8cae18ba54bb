#include "store/ids.h"

#include <glib.h>
#include <sodium.h>

#define FIRST_BITS 10

static size_t size_of(const struct ids *ids)
{
	return (size_t)1 << ids->bits;
}

/* Where an id is, or the free slot that waits for it. */
static uint64_t *find(const struct ids *ids, uint64_t id)
{
	size_t at = (size_t)(id * ids->factor >> (64 - ids->bits));

	while (ids->slot[at] != 0 && ids->slot[at] != id)
		at = (at + 1) & (size_of(ids) - 1);
	return &ids->slot[at];
}

static void grow(struct ids *ids)
{
	g_autofree uint64_t *old = ids->slot;
	size_t n = size_of(ids);

	ids->bits++;
	ids->slot = g_new0(uint64_t, size_of(ids));
	for (size_t i = 0; i < n; i++)
		if (old[i] != 0)
			*find(ids, old[i]) = old[i];
}

void ids_init(struct ids *ids)
{
	*ids = (struct ids){.bits = FIRST_BITS};
	ids->slot = g_new0(uint64_t, size_of(ids));
	randombytes_buf(&ids->factor, sizeof(ids->factor));
	ids->factor |= 1;
}

void ids_clear(struct ids *ids)
{
	g_clear_pointer(&ids->slot, g_free);
}

bool ids_add(struct ids *ids, uint64_t id)
{
	if (id == 0)
		return true;
	uint64_t *slot = find(ids, id);
	if (*slot == id)
		return false;
	*slot = id;
	if (++ids->n > size_of(ids) / 4 * 3)
		grow(ids);
	return true;
}
