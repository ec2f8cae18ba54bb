#include "upload/key.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX 1024
#define HEADER "Authorization: "

static int check_file(const char *path, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "key file %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, "key file %s: is no file", path);
	if ((st.st_mode & 0037) != 0)
		return error_set(err,
		        "key file %s: mode %04o lets others at the key: chmod 0640 or 0600", path,
		        (unsigned)(st.st_mode & 07777));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_set(
		        err, "key file %s: must belong to root or to postwaked's user", path);
	return 0;
}

/* One line of printable ASCII: nothing that could end the header. */
static int check_text(const char *path, char *key, size_t n, struct error *err)
{
	while (n > 0 && (key[n - 1] == '\n' || key[n - 1] == '\r' || key[n - 1] == ' '))
		key[--n] = '\0';
	if (n == 0)
		return error_set(err, "key file %s: is empty", path);
	for (size_t i = 0; i < n; i++)
		if (key[i] < 0x20 || key[i] > 0x7e)
			return error_set(
			        err, "key file %s: must hold one line of printable ASCII", path);
	return 0;
}

static int read_text(const char *path, int fd, char *key, struct error *err)
{
	size_t n = 0;
	ssize_t got;

	while (n < KEY_MAX && (got = read(fd, key + n, KEY_MAX - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "key file %s", path);
		n += (size_t)got;
	}
	if (n == KEY_MAX)
		return error_set(err, "key file %s: is too long for a key", path);
	key[n] = '\0';
	return check_text(path, key, n, err);
}

char *upload_key_read(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		error_errno(err, errno, "key file %s", path);
		return NULL;
	}
	char *key = NULL;
	if (sodium_init() < 0 || (key = sodium_malloc(sizeof(HEADER) + KEY_MAX)) == NULL) {
		error_set(err, "key file %s: no memory that can be locked", path);
	} else {
		memcpy(key, HEADER, sizeof(HEADER));
		if (check_file(path, fd, err) < 0 ||
		        read_text(path, fd, key + strlen(HEADER), err) < 0)
			upload_key_free(&key);
	}
	close(fd);
	return key;
}

void upload_key_free(char **key)
{
	sodium_free(*key);
	*key = NULL;
}
