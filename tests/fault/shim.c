/* Makes the disk below a directory fail. Preloaded into a program under test
 *(tests/flow/test_9_faults.py):
 *
 *	cc -shared -fPIC -o shim.so shim.c -ldl
 *	PW_SHIM_DIR=/where/the/store/is PW_SHIM_ORDER=/file LD_PRELOAD=shim.so postwaked …
 *
 * What the file PW_SHIM_ORDER says at the moment happens to writes and syncs below PW_SHIM_DIR: a
 *number is the errno that they fail with, "slow N" makes each sync take N ms, "bad INODE AT" fails
 *what reads the byte AT of that file, and without the file all is well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int order(int *slow_r)
{
	const char *path = getenv("PW_SHIM_ORDER");
	FILE *file = path != NULL ? fopen(path, "re") : NULL;
	int number = 0;

	*slow_r = 0;
	if (file == NULL)
		return 0;
	if (fscanf(file, "slow %d", slow_r) != 1 && fscanf(file, "%d", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

static int is_below(const char *path)
{
	const char *dir = getenv("PW_SHIM_DIR");

	return dir != NULL && strncmp(path, dir, strlen(dir)) == 0;
}

static int is_ours(int fd)
{
	char link[64], path[4096];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	return is_below(path);
}

/* The errno that this call is to fail with; 0: none. */
static int verdict(int fd, int sync)
{
	int slow, saved = errno, number = order(&slow);

	if ((number != 0 || slow != 0) && !is_ours(fd))
		number = slow = 0;
	if (sync && slow > 0)
		nanosleep(&(struct timespec){slow / 1000, slow % 1000 * 1000000L}, NULL);
	errno = saved;
	return number;
}

/* Whether a read meets the bad sector. */
static int is_bad(int fd, size_t n, off_t at)
{
	const char *path = getenv("PW_SHIM_ORDER");
	unsigned long inode = 0;
	long bad = 0;
	struct stat st;
	int saved = errno;
	FILE *file = path != NULL ? fopen(path, "re") : NULL;

	if (file != NULL && fscanf(file, "bad %lu %ld", &inode, &bad) != 2)
		inode = 0;
	if (file != NULL)
		fclose(file);
	errno = saved;
	return inode != 0 && fstat(fd, &st) == 0 && st.st_ino == inode && at <= bad &&
	       bad < at + (off_t)n;
}

#define REAL(NAME) ((__typeof__(&NAME))dlsym(RTLD_NEXT, #NAME))

#define WRAP(TYPE, NAME, SYNC, PARAMETERS, ...) \
	TYPE NAME PARAMETERS \
	{ \
		int number = verdict(fd, SYNC); \
		if (number == 0) \
			return REAL(NAME)(__VA_ARGS__); \
		errno = number; \
		return -1; \
	}

WRAP(ssize_t, pwrite, 0, (int fd, const void *p, size_t n, off_t at), fd, p, n, at)
WRAP(ssize_t, pwrite64, 0, (int fd, const void *p, size_t n, off64_t at), fd, p, n, at)
#define WRAP_READ(NAME, OFFSET) \
	ssize_t NAME(int fd, void *p, size_t n, OFFSET at) \
	{ \
		if (!is_bad(fd, n, at)) \
			return REAL(NAME)(fd, p, n, at); \
		errno = EIO; \
		return -1; \
	}

WRAP_READ(pread, off_t)
WRAP_READ(pread64, off64_t)
WRAP(ssize_t, write, 0, (int fd, const void *p, size_t n), fd, p, n)
WRAP(int, ftruncate, 0, (int fd, off_t n), fd, n)
WRAP(int, ftruncate64, 0, (int fd, off64_t n), fd, n)
WRAP(int, fsync, 1, (int fd), fd)
WRAP(int, fdatasync, 1, (int fd), fd)
