/* bench_client SOCKET THREADS SECONDS < TARGETS: asks postwaked and prints the times as JSON.
 *
 * TARGETS has lines CLASS TAB TARGET. Each thread keeps one connection and takes every THREADS-th
 * target; with SECONDS they go round until the time is over, with 0 each is asked once. */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct target {
	char *text;
	guint class;
};

struct sample {
	guint class;
	double ms;
	gsize bytes;
};

static const char *socket_path;
static guint threads;
static gint64 end; /* monotonic us; 0 = each target once */
static GArray *targets;
static GPtrArray *classes;

struct client {
	int fd;
	guint first;
	GString *in;
	GArray *samples;
};

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "bench_client: %s: %s\n", what, detail);
	exit(1);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	g_strlcpy(address.sun_path, socket_path, sizeof(address.sun_path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(socket_path, g_strerror(errno));
	return fd;
}

static void receive(struct client *client)
{
	char buffer[65536];
	ssize_t n = read(client->fd, buffer, sizeof(buffer));

	if (n <= 0)
		die("the connection ended", g_strerror(errno));
	g_string_append_len(client->in, buffer, n);
}

/* Bytes of the body. */
static gsize ask(struct client *client, const char *target)
{
	g_autofree char *request =
	        g_strdup_printf("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
	size_t n = strlen(request);
	const char *body, *length;

	if (write(client->fd, request, n) != (ssize_t)n)
		die("cannot ask", g_strerror(errno));
	g_string_truncate(client->in, 0);
	while ((body = strstr(client->in->str, "\r\n\r\n")) == NULL)
		receive(client);
	if (strncmp(client->in->str, "HTTP/1.1 200", 12) != 0)
		die(target, client->in->str);
	length = strcasestr(client->in->str, "\r\nContent-Length: ");
	if (length == NULL || length > body)
		die(target, "no Content-Length");
	gsize size = strtoul(length + 18, NULL, 10);
	gsize whole = (gsize)(body + 4 - client->in->str) + size;
	while (client->in->len < whole)
		receive(client);
	return size;
}

static gpointer run(gpointer data)
{
	struct client *client = data;
	guint i = client->first;

	for (;;) {
		const struct target *target = &g_array_index(targets, struct target, i);
		gint64 start = g_get_monotonic_time();
		gsize bytes = ask(client, target->text);
		gint64 now = g_get_monotonic_time();
		const struct sample sample = {target->class, (double)(now - start) / 1000, bytes};
		g_array_append_val(client->samples, sample);
		i += threads;
		if (end == 0 && i >= targets->len)
			return NULL;
		i %= targets->len;
		if (end != 0 && now >= end)
			return NULL;
	}
}

static void read_targets(void)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *tab = strchr(g_strchomp(line), '\t');
		guint class;
		if (tab == NULL)
			die("no CLASS TAB TARGET", line);
		*tab = '\0';
		if (!g_ptr_array_find_with_equal_func(classes, line, g_str_equal, &class)) {
			class = classes->len;
			g_ptr_array_add(classes, g_strdup(line));
		}
		const struct target target = {g_strdup(tab + 1), class};
		g_array_append_val(targets, target);
	}
	if (targets->len < threads)
		die("too few targets", "at least one a thread");
}

static int by_ms(gconstpointer a, gconstpointer b)
{
	const struct sample *x = a, *y = b;

	return (x->ms > y->ms) - (x->ms < y->ms);
}

static double percentile(const GArray *samples, double share)
{
	return g_array_index(samples, struct sample, (guint)((samples->len - 1) * share)).ms;
}

/* class = classes->len: of all. */
static void report(const GArray *samples, guint class)
{
	g_autoptr(GArray) some = g_array_new(FALSE, FALSE, sizeof(struct sample));
	double bytes = 0, ms = 0;

	for (guint i = 0; i < samples->len; i++) {
		const struct sample *sample = &g_array_index(samples, struct sample, i);
		if (class < classes->len && sample->class != class)
			continue;
		g_array_append_val(some, *sample);
		bytes += (double)sample->bytes;
		ms += sample->ms;
	}
	g_array_sort(some, by_ms);
	if (some->len > 0)
		printf("%s\"%s\": {\"n\": %u, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f, "
		       "\"bytes\": %.0f, \"ms\": %.1f}",
		        class == 0 ? "" : ", ",
		        class < classes->len ? (char *)classes->pdata[class] : "all", some->len,
		        percentile(some, 0.5), percentile(some, 0.99), percentile(some, 1), bytes,
		        ms);
}

int main(int argc, char **argv)
{
	g_autoptr(GPtrArray) running = g_ptr_array_new();
	g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(struct sample));

	if (argc != 4) {
		fprintf(stderr, "usage: bench_client SOCKET THREADS SECONDS < TARGETS\n");
		return 2;
	}
	socket_path = argv[1];
	threads = (guint)strtoul(argv[2], NULL, 10);
	targets = g_array_new(FALSE, FALSE, sizeof(struct target));
	classes = g_ptr_array_new();
	read_targets();
	struct client *clients = g_new0(struct client, threads);
	gint64 start = g_get_monotonic_time(), span = (gint64)(strtod(argv[3], NULL) * 1e6);
	end = span > 0 ? start + span : 0;
	for (guint i = 0; i < threads; i++) {
		clients[i] = (struct client){dial(), i, g_string_new(NULL),
		        g_array_new(FALSE, FALSE, sizeof(struct sample))};
		g_ptr_array_add(running, g_thread_new("client", run, &clients[i]));
	}
	for (guint i = 0; i < threads; i++) {
		g_thread_join(running->pdata[i]);
		g_array_append_vals(all, clients[i].samples->data, clients[i].samples->len);
	}
	printf("{");
	for (guint class = 0; class <= classes->len; class ++)
		report(all, class);
	printf(", \"seconds\": %.3f}\n", (double)(g_get_monotonic_time() - start) / 1e6);
	return 0;
}
