#include "query/budget.h"

#include "tests/support/unit.h"

START_TEST(what_is_given_back_can_be_taken_again)
{
	struct query_budget budget = {.limit = 100};

	ck_assert(query_budget_take(&budget, 60));
	ck_assert(!query_budget_take(&budget, 41));
	ck_assert(query_budget_take(&budget, 40));
	query_budget_give(&budget, 60);
	ck_assert(query_budget_take(&budget, 60));
	ck_assert(query_budget_take(NULL, SIZE_MAX));
	query_budget_give(NULL, SIZE_MAX);
}
END_TEST

START_TEST(a_client_may_take_half_and_all_together_no_more_than_there_is)
{
	struct shares *shares = shares_new(100);
	struct query_budget *one = shares_enter(shares, 1), *two = shares_enter(shares, 2),
	                    *three = shares_enter(shares, 3);

	ck_assert(one == shares_enter(shares, 1));
	ck_assert(!query_budget_take(one, 51));
	ck_assert(query_budget_take(one, 50));
	ck_assert(!query_budget_take(one, 1));
	ck_assert(query_budget_take(two, 45));
	ck_assert(!query_budget_take(three, 6));
	ck_assert(query_budget_take(three, 5));
	query_budget_give(three, 5);
	query_budget_give(one, 50);
	ck_assert(query_budget_take(three, 50));
	query_budget_give(three, 50);
	query_budget_give(two, 45);
	shares_leave(shares, one);
	shares_leave(shares, one);
	shares_leave(shares, two);
	shares_leave(shares, three);
	shares_free(&shares);
}
END_TEST

START_TEST(who_comes_again_has_its_whole_share)
{
	struct shares *shares = shares_new(100);

	for (int i = 0; i < 3; i++) {
		struct query_budget *one = shares_enter(shares, 1);

		ck_assert(query_budget_take(one, 50));
		query_budget_give(one, 50);
		shares_leave(shares, one);
	}
	shares_free(&shares);
}
END_TEST

UNIT_MAIN("budget", what_is_given_back_can_be_taken_again,
        a_client_may_take_half_and_all_together_no_more_than_there_is,
        who_comes_again_has_its_whole_share)
