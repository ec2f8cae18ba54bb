/* Sets the wall clock of a program under test (tests/flow/test_9_faults.py):
 *
 *	cc -shared -fPIC -o clock.so clock.c -ldl
 *	PW_CLOCK_ORDER=/file LD_PRELOAD=clock.so postwaked …
 *
 * The file says by how many seconds the clock is wrong at the moment; without it the clock is
 *right. Clocks that nobody sets stay as they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long wrong(void)
{
	const char *path = getenv("PW_CLOCK_ORDER");
	int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
	char text[32];

	if (fd < 0)
		return 0;
	long n = syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	return strtol(text, NULL, 10);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int result = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		ts->tv_sec += wrong();
	return result;
}

int gettimeofday(struct timeval *tv, void *zone)
{
	int result = (int)syscall(SYS_gettimeofday, tv, zone);

	tv->tv_sec += wrong();
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
