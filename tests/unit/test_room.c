#include "query/room.h"

#include "tests/support/unit.h"

START_TEST(peers_take_turns_each_in_its_own_order)
{
	struct room *room = room_new(100);
	static const int wanted[] = {1, 4, 5, 2, 6, 3};
	uint64_t peer = 0;

	for (int fd = 1; fd <= 3; fd++)
		ck_assert(room_put(room, 10, fd));
	ck_assert(room_put(room, 20, 4));
	ck_assert(room_put(room, 30, 5));
	ck_assert(room_put(room, 30, 6));
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(room_take(room, &peer), wanted[i]);
		ck_assert_uint_eq(peer, wanted[i] <= 3 ? 10 : wanted[i] == 4 ? 20 : 30);
	}
	ck_assert_int_eq(room_take(room, &peer), -1);
	room_free(&room);
}
END_TEST

/* How many of so many get a place. */
static int put(struct room *room, uint64_t peer, int n)
{
	int taken = 0;

	for (int fd = 0; fd < n; fd++)
		taken += room_put(room, peer, fd);
	return taken;
}

START_TEST(one_has_half_of_the_places_and_there_is_one_for_somebody_else)
{
	struct room *room = room_new(16);
	uint64_t peer;

	ck_assert_int_eq(put(room, 1, 100), 8);
	ck_assert_int_eq(put(room, 2, 100), 4);
	ck_assert_int_eq(put(room, 3, 100), 2);
	ck_assert_int_eq(put(room, 4, 100), 1);
	ck_assert_int_eq(put(room, 1, 1), 0);
	ck_assert_int_eq(put(room, 5, 100), 1);
	ck_assert_int_eq(put(room, 6, 1), 0); /* none is left */
	room_take(room, &peer);
	ck_assert_uint_eq(peer, 1);
	ck_assert_int_eq(put(room, 1, 1), 0);
	ck_assert_int_eq(put(room, 6, 2), 1);
	room_free(&room);
}
END_TEST

UNIT_MAIN("room", peers_take_turns_each_in_its_own_order,
        one_has_half_of_the_places_and_there_is_one_for_somebody_else)
