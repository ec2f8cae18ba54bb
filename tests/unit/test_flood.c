#include "query/flood.h"

#include "tests/support/unit.h"

#define BEGUN 1000000

/* How often a peer is to be shut out when so many of its connections come to nothing. */
static int lose(struct flood *flood, uint64_t peer, int n, int64_t now)
{
	int times = 0;

	while (n-- > 0)
		times += flood_count(flood, peer, now);
	return times;
}

START_TEST(who_loses_many_in_a_short_time_is_shut_out_once)
{
	struct flood *flood = flood_new();

	ck_assert_int_eq(lose(flood, 7, FLOOD_MOST - 1, BEGUN), 0);
	ck_assert_int_eq(lose(flood, 8, FLOOD_MOST - 1, BEGUN), 0);
	ck_assert_int_eq(flood_until(flood), -1);
	ck_assert_int_eq(lose(flood, 7, 1, BEGUN + FLOOD_SPAN_MS), 1);
	ck_assert_int_eq(lose(flood, 7, 5 * FLOOD_MOST, BEGUN + FLOOD_SPAN_MS), 0);
	ck_assert_uint_eq(flood_shut(flood)->len, 1);
	ck_assert_uint_eq(g_array_index(flood_shut(flood), uint64_t, 0), 7);
	flood_free(&flood);
}
END_TEST

START_TEST(who_loses_as_many_over_a_long_time_is_not)
{
	struct flood *flood = flood_new();
	int64_t now = BEGUN;

	for (int i = 0; i < 5; i++, now += FLOOD_SPAN_MS + 1)
		ck_assert_int_eq(lose(flood, 7, FLOOD_MOST - 1, now), 0);
	flood_free(&flood);
}
END_TEST

START_TEST(who_was_shut_out_may_come_back_and_be_shut_out_again)
{
	struct flood *flood = flood_new();
	int64_t until = BEGUN + FLOOD_SHUT_MS;

	lose(flood, 7, FLOOD_MOST, BEGUN);
	lose(flood, 8, FLOOD_MOST, BEGUN + 1);
	ck_assert_int_eq(flood_until(flood), until);
	ck_assert(!flood_pass(flood, until - 1));
	ck_assert(flood_pass(flood, until));
	ck_assert_int_eq(flood_until(flood), until + 1);
	ck_assert_uint_eq(g_array_index(flood_shut(flood), uint64_t, 0), 8);
	ck_assert_int_eq(lose(flood, 7, FLOOD_MOST, until), 1);
	ck_assert(flood_pass(flood, until + 1));
	ck_assert(flood_pass(flood, until + FLOOD_SHUT_MS));
	ck_assert_int_eq(flood_until(flood), -1);
	flood_free(&flood);
}
END_TEST

START_TEST(of_too_many_the_first_may_come_back)
{
	struct flood *flood = flood_new();

	for (uint64_t peer = 1; peer <= FLOOD_PEERS + 1; peer++)
		ck_assert_int_eq(lose(flood, peer, FLOOD_MOST, BEGUN), 1);
	ck_assert_uint_eq(flood_shut(flood)->len, FLOOD_PEERS);
	ck_assert_uint_eq(g_array_index(flood_shut(flood), uint64_t, 0), 2);
	flood_free(&flood);
}
END_TEST

UNIT_MAIN("flood", who_loses_many_in_a_short_time_is_shut_out_once,
        who_loses_as_many_over_a_long_time_is_not,
        who_was_shut_out_may_come_back_and_be_shut_out_again, of_too_many_the_first_may_come_back)
