#include "daemon/postconf.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define TIMEOUT (10 * CLOCK_SECOND)
#define OUTPUT_MAX (4 << 20) /* bytes; a list of a hundred thousand domains fits */

/* Reads up to the end of the pipe. -1 when `deadline` passes or it is too much. */
static int read_all(int fd, int64_t deadline, GString *out)
{
	char block[4096];
	ssize_t n = 1;

	while (n > 0) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - g_get_monotonic_time() / 1000;
		if (left <= 0 || out->len > OUTPUT_MAX)
			return -1;
		if (poll(&polled, 1, (int)left) <= 0)
			continue;
		n = read(fd, block, sizeof(block));
		if (n > 0)
			g_string_append_len(out, block, n);
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	return n == 0 ? 0 : -1;
}

static int run(char **argv, GString *out, struct error *err)
{
	int64_t deadline = g_get_monotonic_time() / 1000 + TIMEOUT;
	g_autoptr(GError) error = NULL;
	GPid pid;
	int fd, status = 0;

	if (!g_spawn_async_with_pipes(NULL, argv, NULL,
	            G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL,
	            NULL, NULL, &pid, NULL, &fd, NULL, &error))
		return error_set(err, "postconf: %s", error->message);
	int result = read_all(fd, deadline, out);
	close(fd);
	if (result < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (result < 0)
		return error_set(err, "postconf gave no whole answer within %d s",
		        (int)(TIMEOUT / CLOCK_SECOND));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, "postconf failed (status %d)", status);
	return 0;
}

/* Lines "name = value". */
static GHashTable *parse(const char *text)
{
	GHashTable *values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line != NULL; line++) {
		char *equals = strchr(*line, '=');
		if (equals != NULL)
			g_hash_table_replace(values,
			        g_strstrip(g_strndup(*line, (gsize)(equals - *line))),
			        g_strstrip(g_strdup(equals + 1)));
	}
	return values;
}

GHashTable *postconf_read(const char *dir, const char *const *names, struct error *err)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autoptr(GString) out = g_string_new(NULL);

	g_ptr_array_add(argv, (char *)"postconf");
	if (dir != NULL) {
		g_ptr_array_add(argv, (char *)"-c");
		g_ptr_array_add(argv, (char *)dir);
	}
	g_ptr_array_add(argv, (char *)"-x");
	for (const char *const *name = names; *name != NULL; name++)
		g_ptr_array_add(argv, (char *)*name);
	g_ptr_array_add(argv, NULL);
	return run((char **)argv->pdata, out, err) == 0 ? parse(out->str) : NULL;
}
