#include "tests/support/milter_driver.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Commands and the steps that turn them off or make the milter silent (libmilter/mfdef.h). */
static const struct step {
	char command;
	unsigned off, silent;
} steps[] = {
        {'C', 0x1, 0x1000},
        {'H', 0x2, 0x2000},
        {'M', 0x4, 0x4000},
        {'R', 0x8, 0x8000},
        {'T', 0x200, 0x10000},
        {'L', 0x20, 0x80},
        {'N', 0x40, 0x40000},
        {'B', 0x10, 0x80000},
};

static struct milter_driver *open_address(const struct sockaddr *address, socklen_t n)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, address, n) < 0) {
		close(fd);
		return NULL;
	}
	struct milter_driver *driver = g_new0(struct milter_driver, 1);
	driver->fd = fd;
	driver->symbols = g_string_new("");
	driver->data = g_string_new("");
	driver->changes = g_string_new("");
	return driver;
}

struct milter_driver *driver_open(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	return open_address((struct sockaddr *)&address, sizeof(address));
}

struct milter_driver *driver_open_port(unsigned port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
	        .sin_port = htons((guint16)port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return open_address((const struct sockaddr *)&address, sizeof(address));
}

void driver_close(struct milter_driver **driver)
{
	close((*driver)->fd);
	g_string_free((*driver)->symbols, TRUE);
	g_string_free((*driver)->data, TRUE);
	g_string_free((*driver)->changes, TRUE);
	g_clear_pointer(driver, g_free);
}

void driver_send(struct milter_driver *driver, char command, const void *data, size_t n)
{
	g_autoptr(GString) packet = g_string_new("");
	guint32 length = htonl((guint32)n + 1);

	g_string_append_len(packet, (const char *)&length, 4);
	g_string_append_c(packet, command);
	g_string_append_len(packet, data, (gssize)n);
	for (size_t sent = 0; sent < packet->len;) {
		ssize_t more =
		        send(driver->fd, packet->str + sent, packet->len - sent, MSG_NOSIGNAL);

		g_assert_cmpint(more, >, 0);
		sent += (size_t)more;
	}
}

static void read_exactly(int fd, void *data, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t more = read(fd, (char *)data + got, n - got);

		g_assert_cmpint(more, >, 0);
		got += (size_t)more;
	}
}

/* One packet into reply and data. */
static void read_packet(struct milter_driver *driver)
{
	guint32 length;

	read_exactly(driver->fd, &length, 4);
	length = ntohl(length);
	g_assert_cmpuint(length, >, 0);
	g_assert_cmpuint(length, <, 1000000);
	read_exactly(driver->fd, &driver->reply, 1);
	g_string_set_size(driver->data, length - 1);
	read_exactly(driver->fd, driver->data->str, length - 1);
}

static void note_change(struct milter_driver *driver)
{
	guint32 index;

	memcpy(&index, driver->data->str, 4);
	const char *name = driver->data->str + 4;
	g_string_append_printf(
	        driver->changes, "%s/%u=%s;", name, ntohl(index), name + strlen(name) + 1);
}

bool driver_wait(struct milter_driver *driver, int ms)
{
	struct pollfd wait = {.fd = driver->fd, .events = POLLIN};

	for (;;) {
		if (poll(&wait, 1, ms) <= 0)
			return false;
		read_packet(driver);
		driver->replies++;
		if (driver->reply != 'm')
			return true;
		note_change(driver);
	}
}

void driver_negotiate(struct milter_driver *driver, unsigned actions, unsigned offered)
{
	guint32 offer[3] = {htonl(6), htonl(actions), htonl(offered)};
	guint32 answer[3];

	driver_send(driver, 'O', offer, sizeof(offer));
	read_packet(driver);
	g_assert_cmpint(driver->reply, ==, 'O');
	g_assert_cmpuint(driver->data->len, >=, sizeof(answer));
	memcpy(answer, driver->data->str, sizeof(answer));
	driver->actions = ntohl(answer[1]);
	driver->steps = ntohl(answer[2]);
	for (size_t at = sizeof(answer); at + 4 < driver->data->len;) {
		guint32 stage;

		memcpy(&stage, driver->data->str + at, 4);
		g_string_append_printf(
		        driver->symbols, "%u:%s;", ntohl(stage), driver->data->str + at + 4);
		at += 4 + strlen(driver->data->str + at + 4) + 1;
	}
}

void driver_macros(struct milter_driver *driver, char stage, ...)
{
	g_autoptr(GString) data = g_string_new("");
	const char *text;
	va_list list;

	g_string_append_c(data, stage);
	va_start(list, stage);
	while ((text = va_arg(list, const char *)) != NULL)
		g_string_append_len(data, text, (gssize)strlen(text) + 1);
	va_end(list);
	driver_send(driver, 'D', data->str, data->len);
}

static void command(struct milter_driver *driver, char command_, const GString *data)
{
	const struct step *step = steps;

	while (step->command != command_)
		step++;
	if ((driver->steps & step->off) != 0)
		return;
	driver_send(driver, command_, data->str, data->len);
	if ((driver->steps & step->silent) == 0)
		g_assert_true(driver_wait(driver, 5000));
}

/* A command whose data are texts, each ended by NUL. */
static void command_texts(
        struct milter_driver *driver, char command_, const char *one, const char *two)
{
	g_autoptr(GString) data = g_string_new("");

	if (one != NULL)
		g_string_append_len(data, one, (gssize)strlen(one) + 1);
	if (two != NULL)
		g_string_append_len(data, two, (gssize)strlen(two) + 1);
	command(driver, command_, data);
}

void driver_connect(struct milter_driver *driver, const char *host, const char *ip, unsigned port)
{
	g_autoptr(GString) data = g_string_new("");
	guint16 number = htons((guint16)port);

	g_string_append_len(data, host, (gssize)strlen(host) + 1);
	g_string_append_c(data, ip == NULL ? 'U' : strchr(ip, ':') != NULL ? '6' : '4');
	if (ip != NULL) {
		g_string_append_len(data, (const char *)&number, 2);
		g_string_append_len(data, ip, (gssize)strlen(ip) + 1);
	}
	command(driver, 'C', data);
}

void driver_helo(struct milter_driver *driver, const char *name)
{
	command_texts(driver, 'H', name, NULL);
}

void driver_mail(struct milter_driver *driver, const char *from)
{
	command_texts(driver, 'M', from, "SIZE=1234");
}

void driver_rcpt(struct milter_driver *driver, const char *to)
{
	command_texts(driver, 'R', to, NULL);
}

void driver_header(struct milter_driver *driver, const char *name, const char *value)
{
	command_texts(driver, 'L', name, value);
}

void driver_body(struct milter_driver *driver, const char *text)
{
	g_autoptr(GString) data = g_string_new(text);
	g_autoptr(GString) none = g_string_new("");

	command(driver, 'N', none);
	command(driver, 'B', data);
}

void driver_end(struct milter_driver *driver)
{
	g_string_truncate(driver->changes, 0);
	driver_send(driver, 'E', "", 0);
	g_assert_true(driver_wait(driver, 5000));
}

void driver_abort(struct milter_driver *driver)
{
	driver_send(driver, 'A', "", 0);
}
