/* Sets the wall clock of a program under test (tests/flow/test_9_faults.py):
 *
 *	cc -shared -fPIC -o clock.so clock.c -ldl
 *	PW_CLOCK_ORDER=/file LD_PRELOAD=clock.so postwaked …
 *
 * The file says by how many seconds the clock is wrong at the moment; without it the clock is
 * right. A second number: for how many seconds the machine has slept. Otherwise clocks that nobody
 * sets stay as they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct order {
	long wrong, slept;
};

static struct order order(void)
{
	const char *path = getenv("PW_CLOCK_ORDER");
	int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
	char text[32];

	if (fd < 0)
		return (struct order){0};
	long n = syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	char *rest;
	long wrong = strtol(text, &rest, 10);
	return (struct order){wrong, strtol(rest, NULL, 10)};
}

static long ahead(void)
{
	struct order now = order();

	return now.wrong + now.slept;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int result = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		ts->tv_sec += ahead();
	if (id == CLOCK_BOOTTIME)
		ts->tv_sec += order().slept;
	return result;
}

int gettimeofday(struct timeval *tv, void *zone)
{
	int result = (int)syscall(SYS_gettimeofday, tv, zone);

	tv->tv_sec += ahead();
	return result;
}

time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t != NULL)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
