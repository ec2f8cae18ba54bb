#include "query/door.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "query/flood.h"
#include "query/socket.h"
#include "tests/support/unit.h"

#define REFUSAL "too many"
#define MANY 16
/* Descriptors of the process, and what of them may wait of one peer (door.c). */
#define DESCRIPTORS 512
#define WAITING (DESCRIPTORS / 8 / 2)

static char *dir, *path;
static struct unix_socket listening;
static struct door *door;
static atomic_int entered, shut_out;
static atomic_int inside[MANY]; /* descriptors */

static bool enter(void *ctx, int fd, const struct sockaddr_storage *address, socklen_t length)
{
	(void)ctx;
	(void)length;
	ck_assert_int_eq(address->ss_family, AF_UNIX);
	int n = atomic_load(&entered);
	ck_assert_int_lt(n, MANY);
	atomic_store(&inside[n], fd);
	atomic_store(&entered, n + 1);
	return true;
}

static void keep_out(void *ctx, const GArray *peers, uint64_t newest)
{
	(void)ctx;
	ck_assert_uint_eq(g_array_index(peers, uint64_t, 0), (uint64_t)geteuid() + 1);
	ck_assert_uint_eq(newest, (uint64_t)geteuid() + 1);
	atomic_fetch_add(&shut_out, 1);
}

static void start(unsigned most)
{
	struct error err = {0};
	struct rlimit limit;

	atomic_store(&entered, 0);
	atomic_store(&shut_out, 0);
	dir = g_dir_make_tmp("postwake-door-XXXXXX", NULL);
	path = g_build_filename(dir, "sock", NULL);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
	ck_assert_int_eq(unix_socket_listen(&listening, path, NULL, 0600, &err), 0);
	const struct door_config config = {.fd = listening.fd,
	        .most = most,
	        .enter = enter,
	        .shut = keep_out,
	        .refusal = REFUSAL};
	door = door_new(&config);
	ck_assert_int_eq(door_open(door, &err), 0);
}

static void stop(void)
{
	door_free(&door);
	for (int i = 0; i < entered; i++)
		close(inside[i]);
	unix_socket_unlink(&listening);
	close(listening.fd);
	g_rmdir(dir);
	g_free(path);
	g_free(dir);
}

static int client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void wait_for(atomic_int *number, int wanted)
{
	for (int i = 0; i < 20000 && atomic_load(number) != wanted; i++)
		g_usleep(1000);
	ck_assert_int_eq(atomic_load(number), wanted);
}

/* What the server says within a while; "" when it hung up, NULL when nothing came. */
static const char *hear(int fd, int ms)
{
	static char bytes[100];
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	if (poll(&poller, 1, ms) == 0)
		return NULL;
	ssize_t n = recv(fd, bytes, sizeof(bytes) - 1, 0);
	bytes[MAX(n, 0)] = '\0';
	return bytes;
}

START_TEST(who_waits_comes_in_when_another_leaves)
{
	int fds[5];

	start(3);
	for (int i = 0; i < 5; i++)
		fds[i] = client();
	wait_for(&entered, 3);
	ck_assert_ptr_null(hear(fds[4], 100));
	ck_assert_int_eq(atomic_load(&entered), 3);
	door_left(door);
	wait_for(&entered, 4);
	door_left(door);
	wait_for(&entered, 5);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	stop();
}
END_TEST

START_TEST(who_has_too_many_waiting_is_told_so)
{
	int fds[WAITING + 3];

	start(1);
	fds[0] = client();
	wait_for(&entered, 1);
	for (int i = 1; i < WAITING + 3; i++)
		fds[i] = client();
	for (int i = 0; i < 2; i++) {
		const char *said = hear(fds[WAITING + 1 + i], 10000);

		ck_assert_ptr_nonnull(said);
		ck_assert_str_eq(said, REFUSAL);
	}
	ck_assert_ptr_null(hear(fds[WAITING], 50));
	ck_assert_int_eq(atomic_load(&entered), 1);
	door_close(door); /* hangs up on who waits */
	ck_assert_str_eq(hear(fds[WAITING], 10000), "");
	for (int i = 0; i < WAITING + 3; i++)
		close(fds[i]);
	stop();
}
END_TEST

START_TEST(who_has_gone_is_not_let_in_while_many_are_inside)
{
	int fds[3];

	start(2);
	for (int i = 0; i < 2; i++)
		fds[i] = client();
	wait_for(&entered, 2);
	for (int i = 0; i < 5; i++)
		close(client());
	fds[2] = client();
	door_left(door);
	wait_for(&entered, 3);
	ck_assert_int_eq(send(inside[2], "in", 2, 0), 2);
	ck_assert_str_eq(hear(fds[2], 10000), "in");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	stop();
}
END_TEST

START_TEST(who_comes_in_a_flood_is_to_be_shut_out_once)
{
	start(1);
	int first = client();
	wait_for(&entered, 1);
	for (int i = 0; i < 2 * FLOOD_MOST; i++)
		close(client());
	wait_for(&shut_out, 1);
	g_usleep(100000);
	ck_assert_int_eq(atomic_load(&shut_out), 1);
	ck_assert_int_eq(atomic_load(&entered), 1);
	close(first);
	stop();
}
END_TEST

UNIT_MAIN("door", who_waits_comes_in_when_another_leaves, who_has_too_many_waiting_is_told_so,
        who_has_gone_is_not_let_in_while_many_are_inside,
        who_comes_in_a_flood_is_to_be_shut_out_once)
