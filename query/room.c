#include "query/room.h"

#include <glib.h>

struct guest {
	uint64_t peer;
	GQueue fds;
	GList turn;
};

struct room {
	unsigned free;
	GHashTable *guests; /* uint64_t in struct guest -> it; of who has any waiting */
	GQueue turns;
};

struct room *room_new(unsigned places)
{
	struct room *room = g_new0(struct room, 1);

	room->free = places;
	room->guests = g_hash_table_new(g_int64_hash, g_int64_equal);
	g_queue_init(&room->turns);
	return room;
}

static void guest_leave(struct room *room, struct guest *guest)
{
	g_queue_unlink(&room->turns, &guest->turn);
	g_hash_table_remove(room->guests, &guest->peer);
	g_queue_clear(&guest->fds);
	g_free(guest);
}

void room_free(struct room **room)
{
	struct room *r = *room;

	if (r == NULL)
		return;
	while (r->turns.head != NULL)
		guest_leave(r, r->turns.head->data);
	g_hash_table_unref(r->guests);
	g_clear_pointer(room, g_free);
}

static struct guest *guest_enter(struct room *room, uint64_t peer)
{
	struct guest *guest = g_new0(struct guest, 1);

	guest->peer = peer;
	guest->turn.data = guest;
	g_queue_init(&guest->fds);
	g_hash_table_insert(room->guests, &guest->peer, guest);
	g_queue_push_tail_link(&room->turns, &guest->turn);
	return guest;
}

bool room_put(struct room *room, uint64_t peer, int fd)
{
	struct guest *guest = g_hash_table_lookup(room->guests, &peer);

	if (room->free <= (guest != NULL ? guest->fds.length : 0))
		return false;
	if (guest == NULL)
		guest = guest_enter(room, peer);
	g_queue_push_tail(&guest->fds, GINT_TO_POINTER(fd));
	room->free--;
	return true;
}

int room_take(struct room *room, uint64_t *peer_r)
{
	GList *turn = room->turns.head;

	if (turn == NULL)
		return -1;
	struct guest *guest = turn->data;
	int fd = GPOINTER_TO_INT(g_queue_pop_head(&guest->fds));
	*peer_r = guest->peer;
	room->free++;
	g_queue_unlink(&room->turns, turn);
	g_queue_push_tail_link(&room->turns, turn); /* behind all others */
	if (guest->fds.length == 0)
		guest_leave(room, guest);
	return fd;
}
