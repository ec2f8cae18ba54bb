#include <check.h>
#include <glib.h>

#include "store/ids.h"
#include "tests/support/unit.h"

#define MANY 100000

START_TEST(an_id_is_new_once)
{
	struct ids ids;

	ids_init(&ids);
	for (int round = 0; round < 2; round++) {
		ck_assert(ids_add(&ids, 1) == (round == 0));
		ck_assert(ids_add(&ids, INT64_MAX) == (round == 0));
		ck_assert(ids_add(&ids, UINT64_MAX) == (round == 0));
	}
	ids_clear(&ids);
}
END_TEST

START_TEST(an_id_that_no_event_has_is_never_known)
{
	struct ids ids;

	ids_init(&ids);
	ck_assert(ids_add(&ids, 0));
	ck_assert(ids_add(&ids, 0));
	ids_clear(&ids);
}
END_TEST

static void expect_many(unsigned shift)
{
	struct ids ids;

	ids_init(&ids);
	for (int round = 0; round < 2; round++)
		for (uint64_t i = 1; i <= MANY; i++)
			ck_assert(ids_add(&ids, i << shift) == (round == 0));
	ck_assert(ids_add(&ids, (MANY + UINT64_C(1)) << shift));
	ck_assert_uint_eq(ids.n, MANY + 1);
	ids_clear(&ids);
}

/* Those that are near each other, or differ in high bits only, as well as others. */
START_TEST(many_ids_are_known_through_all_growing)
{
	expect_many(0);
	expect_many(20);
	expect_many(46);
}
END_TEST

UNIT_MAIN("ids", an_id_is_new_once, an_id_that_no_event_has_is_never_known,
        many_ids_are_known_through_all_growing)
