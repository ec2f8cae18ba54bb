#include "query/connections.h"

#include <glib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"

#define MOST 4

/* A connection and the client's end of it. */
struct end {
	int ours, theirs;
	struct connection *connection;
};

static struct connections *start(int deadline_ms, int idle_ms, int rest_ms)
{
	const struct connections_config config = {
	        .most = MOST, .deadline_ms = deadline_ms, .idle_ms = idle_ms, .rest_ms = rest_ms};
	struct error err = {0};
	struct connections *connections = connections_new(&config, &err);

	ck_assert_msg(connections != NULL, "%s", err.text);
	return connections;
}

static struct end begin(struct connections *connections, uint64_t peer, enum connection_phase phase)
{
	struct end end;
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	end = (struct end){.ours = fd[0], .theirs = fd[1]};
	end.connection = connection_begin(connections, end.ours, peer);
	ck_assert_uint_eq(connection_peer(end.connection), peer);
	if (phase != CONNECTION_IDLE)
		connection_enter(connections, end.connection, phase);
	return end;
}

static bool cut(const struct end *end)
{
	char byte;

	return recv(end->theirs, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Which of them are cut, as bits. */
static unsigned cuts(const struct end *ends, int n)
{
	unsigned bits = 0;

	for (int i = 0; i < n; i++)
		bits |= (unsigned)cut(&ends[i]) << i;
	return bits;
}

static void end_all(struct connections *connections, struct end *ends, int n)
{
	for (int i = 0; i < n; i++) {
		connection_end(connections, ends[i].connection);
		close(ends[i].ours);
		close(ends[i].theirs);
	}
	connections_free(&connections);
}

START_TEST(who_rests_between_requests_gives_way_first_then_who_waits_longest)
{
	struct connections *connections = start(60000, 60000, 0);
	struct end ends[MOST + 4];

	ends[0] = begin(connections, 1, CONNECTION_WORKING);
	ends[1] = begin(connections, 1, CONNECTION_ARRIVING);
	ends[2] = begin(connections, 1, CONNECTION_SENDING);
	ends[3] = begin(connections, 1, CONNECTION_ARRIVING);
	connection_enter(connections, ends[3].connection, CONNECTION_IDLE);
	static const unsigned wanted[] = {0x8, 0xa, 0xe, 0xe};
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(cuts(ends, 4), i > 0 ? wanted[i - 1] : 0);
		ends[MOST + i] = begin(connections, 1, CONNECTION_WORKING);
		ck_assert_uint_eq(cuts(ends, 4), wanted[i]);
	}
	end_all(connections, ends, MOST + 4);
}
END_TEST

START_TEST(a_new_one_that_sent_nothing_yet_stays_among_slow_ones)
{
	struct connections *connections = start(60000, 60000, 0);
	struct end ends[MOST + 4];

	for (int i = 0; i < MOST - 1; i++)
		ends[i] = begin(
		        connections, 1, i % 2 == 0 ? CONNECTION_ARRIVING : CONNECTION_SENDING);
	ends[MOST - 1] = begin(connections, 1, CONNECTION_IDLE);
	for (int i = MOST; i < MOST + 3; i++)
		ends[i] = begin(connections, 1, CONNECTION_ARRIVING);
	ck_assert_uint_eq(cuts(ends, MOST + 3), (1U << (MOST - 1)) - 1);
	ends[MOST + 3] = begin(connections, 1, CONNECTION_ARRIVING); /* now it is the oldest */
	ck_assert_uint_eq(cuts(ends, MOST + 4), (1U << MOST) - 1);
	end_all(connections, ends, MOST + 4);
}
END_TEST

START_TEST(who_just_had_an_answer_may_ask_on)
{
	struct connections *connections = start(60000, 60000, 60000);
	struct end ends[MOST + 2];

	for (int i = 0; i < MOST; i++)
		ends[i] = begin(connections, 1, i == 1 ? CONNECTION_ARRIVING : CONNECTION_WORKING);
	ends[MOST] = begin(connections, 1, CONNECTION_WORKING);
	connection_enter(connections, ends[0].connection, CONNECTION_IDLE);
	ck_assert_uint_eq(cuts(ends, MOST + 1), 0x2);
	ends[MOST + 1] = begin(connections, 1, CONNECTION_WORKING);
	ck_assert_uint_eq(cuts(ends, MOST + 2), 0x3);
	end_all(connections, ends, MOST + 2);
}
END_TEST

START_TEST(of_equals_the_oldest_of_who_has_most_gives_way)
{
	struct connections *connections = start(60000, 60000, 0);
	struct end ends[MOST + 2];

	ends[0] = begin(connections, 1, CONNECTION_ARRIVING);
	ends[1] = begin(connections, 2, CONNECTION_ARRIVING);
	ends[2] = begin(connections, 2, CONNECTION_ARRIVING);
	ends[3] = begin(connections, 1, CONNECTION_WORKING);
	ends[4] = begin(connections, 2, CONNECTION_ARRIVING);
	ck_assert_uint_eq(cuts(ends, 5), 0x1); /* two of each: the oldest */
	ends[5] = begin(connections, 3, CONNECTION_ARRIVING);
	ck_assert_uint_eq(cuts(ends, 6), 0x3);
	end_all(connections, ends, MOST + 2);
}
END_TEST

START_TEST(who_waits_for_us_is_not_cut)
{
	static const enum connection_phase phases[] = {
	        CONNECTION_WORKING, CONNECTION_UPLOAD, CONNECTION_WAITING, CONNECTION_WORKING};
	struct connections *connections = start(40, 40, 0);
	struct end ends[MOST + 1];

	for (int i = 0; i <= MOST; i++)
		ends[i] = begin(connections, 1, phases[i % 4]);
	g_usleep(300000);
	ck_assert_uint_eq(cuts(ends, MOST + 1), 0);
	end_all(connections, ends, MOST + 1);
}
END_TEST

START_TEST(each_step_has_a_deadline)
{
	struct connections *connections = start(300, 600, 0);
	struct end ends[3];
	gint64 begun = g_get_monotonic_time();

	ends[0] = begin(connections, 1, CONNECTION_ARRIVING);
	ends[1] = begin(connections, 1, CONNECTION_SENDING);
	ends[2] = begin(connections, 1, CONNECTION_IDLE);
	while (cuts(ends, 3) != 7 && g_get_monotonic_time() - begun < 10 * G_USEC_PER_SEC) {
		gint64 ms = (g_get_monotonic_time() - begun) / 1000;
		unsigned bits = cuts(ends, 3);

		ck_assert_msg(bits == 0 || ms >= 290, "%x after %d ms", bits, (int)ms);
		ck_assert_msg((bits & 4) == 0 || ms >= 590, "%x after %d ms", bits, (int)ms);
		g_usleep(2000);
	}
	ck_assert_uint_eq(cuts(ends, 3), 7);
	end_all(connections, ends, 3);
}
END_TEST

START_TEST(settling_waits_for_requests_and_answers_and_for_nothing_else)
{
	struct connections *connections = start(60000, 60000, 0);
	struct end ends[3];

	ends[0] = begin(connections, 1, CONNECTION_IDLE);
	ends[1] = begin(connections, 1, CONNECTION_WAITING);
	ck_assert(connections_settle(connections, connections_clock()));
	ends[2] = begin(connections, 1, CONNECTION_WORKING);
	ck_assert(!connections_settle(connections, connections_clock() + 50));
	connection_enter(connections, ends[2].connection, CONNECTION_SENDING);
	ck_assert(!connections_settle(connections, connections_clock() + 50));
	connection_enter(connections, ends[2].connection, CONNECTION_IDLE);
	ck_assert(connections_settle(connections, connections_clock()));
	end_all(connections, ends, 3);
}
END_TEST

UNIT_MAIN("connections", who_rests_between_requests_gives_way_first_then_who_waits_longest,
        a_new_one_that_sent_nothing_yet_stays_among_slow_ones, who_just_had_an_answer_may_ask_on,
        of_equals_the_oldest_of_who_has_most_gives_way, who_waits_for_us_is_not_cut,
        each_step_has_a_deadline, settling_waits_for_requests_and_answers_and_for_nothing_else)
