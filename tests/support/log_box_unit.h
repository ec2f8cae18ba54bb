/* What the tests of the follower do with their one box. */
#ifndef PW_TESTS_LOG_BOX_UNIT_H
#define PW_TESTS_LOG_BOX_UNIT_H

#include "tests/support/log_box.h"
#include "tests/support/unit.h"

static struct log_box box;

#define ASSERT_LINES(WANT) \
	do { \
		g_autofree char *got_ = log_box_lines(&box); \
		ck_assert_str_eq(got_, WANT); \
	} while (0)

static inline void run(void)
{
	log_box_run(&box, 1000);
}

/* From the last committed position, where there is one, else from the start of the log. */
static inline void start_and_run(void)
{
	log_box_start(&box, TRUE);
	run();
}

/* And waits until what is written then has another time. */
static inline void commit_and_kill(void)
{
	log_box_commit(&box);
	log_box_kill(&box);
	g_usleep(10000);
}

#endif
