/* The listener over a real socket, driven by tests/support/milter_driver.c. (For the thread
 * sanitizer run this with G_SLICE=always-malloc: GLib's slices go from thread to thread in ways
 * that it cannot see.) */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "milter/listener.h"
#include "mime/headers.h"
#include "tests/support/milter_driver.h"
#include "tests/support/unit.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GString *record; /* "id from n-recipients campaign;" … */
static unsigned envelopes, rejects;
static gint answer;  /* of the hook */
static gint hold_ms; /* how long it takes */
static char *folder, *path;
static struct milter *milter;
static GThread *server;

static int observed(void *ctx, const struct observation *seen, bool wait)
{
	(void)ctx;
	(void)wait;
	/* It may be let go while it waits. */
	gint64 began = g_get_monotonic_time();
	while (g_get_monotonic_time() - began < (gint64)g_atomic_int_get(&hold_ms) * 1000)
		g_usleep(1000);
	pthread_mutex_lock(&lock);
	if (seen->kind == OBSERVATION_ENVELOPE) {
		struct slice campaign = seen->envelope->field[FIELD_CAMPAIGN_ID];

		envelopes++;
		if (record->len < 10000)
			g_string_append_printf(record, "%.*s %.*s %zu %.*s %.*s;",
			        SLICE_ARG(seen->queue_id), SLICE_ARG(seen->from),
			        seen->envelope->recipients, SLICE_ARG(seen->client_ip),
			        campaign.p != NULL ? (int)campaign.n : 1,
			        campaign.p != NULL ? campaign.p : "-");
	} else {
		rejects++;
		g_string_append_printf(
		        record, "refused %.*s %.*s;", SLICE_ARG(seen->to), SLICE_ARG(seen->dsn));
	}
	pthread_mutex_unlock(&lock);
	return g_atomic_int_get(&answer);
}

static int64_t now(void *ctx)
{
	(void)ctx;
	return clock_now();
}

static GString *report; /* the last mail that may be one */

static bool report_address(void *ctx, const char *address)
{
	(void)ctx;
	return strcmp(address, "bounces@example.net") == 0;
}

static void reported(void *ctx, GString *mail)
{
	(void)ctx;
	g_assert_null(report);
	report = mail;
}

static gint refusals, fulls; /* that the listener told of */

static void trouble(void *ctx, const char *counter, const char *why)
{
	(void)ctx;
	g_assert_nonnull(why);
	g_atomic_int_inc(strcmp(counter, "milter_full") == 0 ? &fulls : &refusals);
}

static gint hours; /* that the clock is ahead */

/* In place of GLib's, in this program. */
gint64 g_get_monotonic_time(void)
{
	struct timespec now_;

	clock_gettime(CLOCK_MONOTONIC, &now_);
	return ((gint64)g_atomic_int_get(&hours) * 3600 + now_.tv_sec) * G_USEC_PER_SEC +
	       now_.tv_nsec / 1000;
}

static const struct milter_hooks hooks = {
        .trouble = trouble,
        .observed = observed,
        .now = now,
        .report_address = report_address,
        .report = reported,
        .decode_text = mime_decode_text,
        .first_address = mime_first_address,
        .first_name = mime_first_name,
        .each_address = mime_each_address,
};

static gpointer serve(gpointer data)
{
	milter_serve(data);
	return NULL;
}

static void make_folder(void)
{
	folder = g_dir_make_tmp("postwake-milter-XXXXXX", NULL);
	ck_assert_ptr_nonnull(folder);
	path = g_build_filename(folder, "milter.sock", NULL);
	record = g_string_new("");
	mime_init();
}

static void begin(struct milter_config config)
{
	struct error err = {0};
	g_autofree char *spec = NULL;

	make_folder();
	spec = g_strconcat("unix:", path, NULL);
	config.socket = spec;
	milter = milter_listen(&config, &hooks, &err);
	ck_assert_msg(milter != NULL, "%s", err.text);
	server = g_thread_new("serve", serve, milter);
}

static void stop(void)
{
	milter_stop(milter);
	g_thread_join(g_steal_pointer(&server));
}

static void end(void)
{
	if (server != NULL)
		stop();
	milter_free(&milter);
	ck_assert_int_ne(access(path, F_OK), 0);
	rmdir(folder);
	g_string_free(record, TRUE);
	g_free(path);
	g_free(folder);
}

static struct milter_driver *open_driver(unsigned steps)
{
	struct milter_driver *driver = driver_open(path);

	ck_assert_ptr_nonnull(driver);
	driver_negotiate(driver, DRIVER_ACTIONS, steps);
	return driver;
}

/* A mail of one recipient, up to the end of its header. */
static void send_mail(struct milter_driver *driver, const char *from, const char *queue_id)
{
	driver_mail(driver, from);
	driver_macros(driver, 'R', "{rcpt_mailer}", "smtp", NULL);
	driver_rcpt(driver, "<r@example.net>");
	driver_header(driver, "From", "s@example.com");
	driver_header(driver, "To", "r@example.net");
	driver_header(driver, "Subject", "test");
	driver_macros(driver, 'E', "i", queue_id, NULL);
}

START_TEST(only_what_is_needed_is_negotiated)
{
	begin((struct milter_config){0});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	/* SETSYMLIST alone. */
	ck_assert_uint_eq(driver->actions, 0x100);
	/* No body, end of header, DATA, unknown commands; no replies; no RCPT_REJ, SKIP, LEADSPC.
	 */
	ck_assert_uint_eq(driver->steps, 0xff000 | 0x80 | 0x10 | 0x40 | 0x100 | 0x200);
	ck_assert_str_eq(driver->symbols->str,
	        "0:j;1:j;2:i {auth_type} {auth_authen} {tls_version} {cipher};3:i;5:i {msg_id};");
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(refused_recipients_and_header_changes_are_negotiated_when_asked)
{
	begin((struct milter_config){.see_rejects = true, .remove_header = true});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	ck_assert_uint_eq(driver->actions, 0x100 | 0x10);
	/* RCPT_REJ, and no silence at RCPT. */
	ck_assert_uint_eq(driver->steps & (0x800 | 0x8000), 0x800);
	ck_assert_ptr_nonnull(
	        strstr(driver->symbols->str, "3:i {rcpt_mailer} {rcpt_host} {rcpt_addr};"));
	driver_connect(driver, "c.example", "192.0.2.7", 4000);
	driver_mail(driver, "<s@example.com>");
	driver_macros(driver, 'R', "{rcpt_mailer}", "error", "{rcpt_host}", "5.7.1", "{rcpt_addr}",
	        "policy", NULL);
	driver_rcpt(driver, "<rej@example.net>");
	/* Macros count until they come anew; the end must not take them for its own. */
	driver_macros(driver, 'R', "{rcpt_mailer}", "smtp", "i", "Q1", NULL);
	driver_rcpt(driver, "<ok@example.net>");
	driver_macros(driver, 'E', "i", "Q1", NULL);
	driver_end(driver);
	ck_assert_str_eq(
	        record->str, "refused rej@example.net 5.7.1;Q1 s@example.com 1 192.0.2.7 -;");
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(a_refusal_counts_although_the_mta_hangs_up_at_once)
{
	begin((struct milter_config){.see_rejects = true});
	for (int i = 0; i < 20; i++) {
		struct milter_driver *driver = open_driver(DRIVER_STEPS);

		driver_connect(driver, "c.example", "192.0.2.7", 4000);
		driver_mail(driver, "<s@example.com>");
		driver_macros(driver, 'R', "{rcpt_mailer}", "error", "{rcpt_host}", "5.7.1", NULL);
		driver_rcpt(driver, "<rej@example.net>");
		driver_close(&driver);
	}
	ck_assert_uint_eq(rejects, 20);
	end();
}
END_TEST

START_TEST(an_mta_that_offers_nothing_gets_its_replies)
{
	begin((struct milter_config){.see_rejects = true, .remove_header = true});
	struct milter_driver *driver = driver_open(path);
	driver_negotiate(driver, 0x0f, 0x7f);
	ck_assert_uint_eq(driver->actions, 0);
	ck_assert_uint_eq(driver->steps, 0x10 | 0x40);
	driver_connect(driver, "c.example", "192.0.2.7", 4000);
	ck_assert_int_eq(driver->reply, 'c');
	driver_helo(driver, "helo.example");
	send_mail(driver, "<s@example.com>", "Q1");
	/* connect, helo, mail, rcpt and three headers. */
	ck_assert_uint_eq(driver->replies, 7);
	driver_end(driver);
	ck_assert_int_eq(driver->reply, 'c');
	ck_assert_str_eq(record->str, "Q1 s@example.com 1 192.0.2.7 -;");
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(a_mail_costs_one_reply)
{
	begin((struct milter_config){0});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "c.example", "2001:db8::7", 4000);
	driver_helo(driver, "helo.example");
	send_mail(driver, "<s@example.com>", "Q1");
	driver_body(driver, "text\r\n");
	ck_assert(!driver_wait(driver, 50));
	driver_end(driver);
	ck_assert_int_eq(driver->reply, 'c');
	ck_assert_uint_eq(driver->replies, 1);
	/* The next one in the same session, after RSET. */
	driver_mail(driver, "<lost@example.com>");
	driver_abort(driver);
	driver_abort(driver);
	send_mail(driver, "<>", "Q2");
	driver_end(driver);
	ck_assert_uint_eq(driver->replies, 2);
	ck_assert_str_eq(record->str, "Q1 s@example.com 1 2001:db8::7 -;Q2  1 2001:db8::7 -;");
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(another_connection_after_quit_nc_is_a_new_session)
{
	begin((struct milter_config){0});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "a.example", "192.0.2.1", 1);
	send_mail(driver, "<s@example.com>", "Q1");
	driver_end(driver);
	driver_send(driver, 'K', "", 0);
	driver_connect(driver, "b.example", "192.0.2.2", 1);
	send_mail(driver, "<s@example.com>", "Q2");
	driver_end(driver);
	ck_assert_uint_eq(driver->replies, 2);
	ck_assert_str_eq(
	        record->str, "Q1 s@example.com 1 192.0.2.1 -;Q2 s@example.com 1 192.0.2.2 -;");
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(x_msys_api_is_removed_last_header_first)
{
	begin((struct milter_config){.remove_header = true});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "c.example", NULL, 0);
	send_mail(driver, "<s@example.com>", "Q1");
	driver_header(driver, "X-MSYS-API", "{\"campaign_id\":\n \"c1\"}");
	driver_header(driver, "X-MSYS-API", "{}");
	driver_end(driver);
	ck_assert_int_eq(driver->reply, 'c');
	ck_assert_str_eq(driver->changes->str, "X-MSYS-API/2=;X-MSYS-API/1=;");
	ck_assert_str_eq(record->str, "Q1 s@example.com 1  c1;");
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(a_failed_commit_is_answered_with_451_under_tempfail_only)
{
	g_atomic_int_set(&answer, -1);
	begin((struct milter_config){.on_failure = MILTER_TEMPFAIL, .remove_header = true});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "c.example", "192.0.2.7", 1);
	send_mail(driver, "<s@example.com>", "Q1");
	driver_header(driver, "X-MSYS-API", "{}");
	driver_end(driver);
	ck_assert_int_eq(driver->reply, 'y');
	ck_assert_ptr_nonnull(strstr(driver->data->str, "451 4.3.0 "));
	ck_assert_str_eq(driver->changes->str, "");
	/* The session goes on. */
	g_atomic_int_set(&answer, 0);
	send_mail(driver, "<s@example.com>", "Q2");
	driver_end(driver);
	ck_assert_int_eq(driver->reply, 'c');
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(a_lost_envelope_does_not_stop_mail_under_accept)
{
	g_atomic_int_set(&answer, -1);
	begin((struct milter_config){.on_failure = MILTER_ACCEPT});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "c.example", "192.0.2.7", 1);
	send_mail(driver, "<s@example.com>", "Q1");
	driver_end(driver);
	ck_assert_int_eq(driver->reply, 'c');
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(stop_returns_soon_although_sessions_are_idle)
{
	begin((struct milter_config){0});
	struct milter_driver *idle[5];
	for (size_t i = 0; i < G_N_ELEMENTS(idle); i++) {
		idle[i] = open_driver(DRIVER_STEPS);
		driver_connect(idle[i], "c.example", "192.0.2.7", 1);
	}
	driver_mail(idle[0], "<half@example.com>");
	g_usleep(200000);
	gint64 began = g_get_monotonic_time();
	stop();
	gint64 took = g_get_monotonic_time() - began;
	ck_assert_msg(took < 1500000, "%ld ms", (long)took / 1000);
	/* What comes now calls no hook. */
	envelopes = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(idle); i++)
		driver_close(&idle[i]);
	g_usleep(50000);
	ck_assert_uint_eq(envelopes, 0);
	end();
}
END_TEST

START_TEST(stop_waits_for_a_commit_under_way)
{
	begin((struct milter_config){.on_failure = MILTER_TEMPFAIL});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "c.example", "192.0.2.7", 1);
	send_mail(driver, "<s@example.com>", "Q1");
	g_atomic_int_set(&hold_ms, 600);
	driver_send(driver, 'E', "", 0);
	g_usleep(200000);
	stop();
	ck_assert_uint_eq(envelopes, 1);
	ck_assert(driver_wait(driver, 2000));
	ck_assert_int_eq(driver->reply, 'c');
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(stop_before_serve_serves_nothing)
{
	struct error err = {0};
	g_autofree char *spec = NULL;

	make_folder();
	spec = g_strconcat("unix:", path, NULL);
	const struct milter_config config = {.socket = spec};
	milter = milter_listen(&config, &hooks, &err);
	ck_assert_ptr_nonnull(milter);
	milter_stop(milter);
	milter_serve(milter);
	ck_assert_int_ne(access(path, F_OK), 0);
	end();
}
END_TEST

START_TEST(the_socket_has_its_mode_and_group_whatever_the_umask)
{
	gid_t groups[64];
	int n = getgroups(G_N_ELEMENTS(groups), groups);
	gid_t want = geteuid() == 0 ? 7 : n > 0 ? groups[n - 1] : getegid();
	g_autofree char *group = g_strdup_printf("%u", (unsigned)want);
	struct stat info;
	mode_t old = umask(0077);

	begin((struct milter_config){.group = group});
	ck_assert_int_eq(stat(path, &info), 0);
	ck_assert_uint_eq(info.st_mode & 07777, 0660);
	ck_assert_uint_eq(info.st_gid, want);
	ck_assert_uint_eq(umask(old), 0077);
	end();
}
END_TEST

START_TEST(the_mode_can_be_chosen)
{
	struct stat info;

	umask(0022);
	begin((struct milter_config){.mode = 0666});
	ck_assert_int_eq(stat(path, &info), 0);
	ck_assert_uint_eq(info.st_mode & 07777, 0666);
	end();
}
END_TEST

/* Binds a socket at `path`; it listens, or is dead at once. */
static int other_process(bool alive)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (alive)
		ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

static void refused(const char *spec, const char *group, const char *why)
{
	const struct milter_config config = {.socket = spec, .group = group};
	struct error err = {0};

	ck_assert_ptr_null(milter_listen(&config, &hooks, &err));
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
}

START_TEST(a_live_socket_is_refused_and_left_alone)
{
	make_folder();
	int fd = other_process(true);
	g_autofree char *spec = g_strconcat("unix:", path, NULL);
	refused(spec, NULL, "another process serves");
	ck_assert_int_eq(access(path, F_OK), 0);
	close(fd);
	unlink(path);
	end();
}
END_TEST

START_TEST(a_dead_socket_is_replaced)
{
	struct error err = {0};

	make_folder();
	close(other_process(false));
	g_autofree char *spec = g_strconcat("local:", path, NULL);
	const struct milter_config config = {.socket = spec};
	milter = milter_listen(&config, &hooks, &err);
	ck_assert_msg(milter != NULL, "%s", err.text);
	server = g_thread_new("serve", serve, milter);
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(what_cannot_be_a_socket_is_refused_with_a_reason)
{
	g_autofree char *file = NULL;
	g_autofree char *missing = NULL;
	g_autofree char *name = g_strnfill(200, 'x');
	g_autofree char *tall = NULL;

	make_folder();
	file = g_strconcat("unix:", path, NULL);
	missing = g_strconcat("unix:", folder, "/none/milter.sock", NULL);
	tall = g_strconcat("unix:/", name, NULL);
	ck_assert(g_file_set_contents(path, "x", 1, NULL));
	refused(file, NULL, "no socket");
	unlink(path);
	refused(missing, NULL, "cannot make a socket");
	refused(tall, NULL, "at most");
	refused("unix:relative", NULL, "unix:/path");
	refused("", NULL, "unix:/path");
	refused("inet:99999@localhost", NULL, "port");
	refused("inet:smtp@localhost", NULL, "port");
	/* And nothing is left behind. */
	refused(file, "no-such-group-here", "no group");
	end();
}
END_TEST

START_TEST(a_socket_file_of_somebody_else_is_not_removed_at_the_end)
{
	begin((struct milter_config){0});
	g_autofree char *aside = g_strconcat(path, ".old", NULL);
	ck_assert_int_eq(rename(path, aside), 0);
	ck_assert(g_file_set_contents(path, "x", 1, NULL));
	stop();
	ck_assert_int_eq(access(path, F_OK), 0);
	unlink(path);
	unlink(aside);
	end();
}
END_TEST

#define MAILS 300

static gpointer run_session(gpointer data)
{
	int number = GPOINTER_TO_INT(data);

	for (int i = 0; i < MAILS / 50; i++) {
		struct milter_driver *driver = driver_open(path);

		driver_negotiate(driver, DRIVER_ACTIONS, DRIVER_STEPS);
		driver_connect(driver, "c.example", "192.0.2.7", 4000);
		driver_helo(driver, "helo.example");
		for (int k = 0; k < 50; k++) {
			g_autofree char *id = g_strdup_printf("Q%dx%dx%d", number, i, k);

			send_mail(driver, "<s@example.com>", id);
			driver_header(
			        driver, "X-MSYS-API", "{\"campaign_id\":\"c\",\"tags\":[\"t\"]}");
			driver_header(driver, "X-PM-Tag", "=?utf-8?q?=C3=BC?=");
			driver_end(driver);
		}
		driver_close(&driver);
	}
	return NULL;
}

START_TEST(eight_sessions_at_once_lose_nothing)
{
	GThread *threads[8];

	begin((struct milter_config){.see_rejects = true, .remove_header = true});
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("session", run_session, GINT_TO_POINTER((int)i));
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	ck_assert_uint_eq(envelopes, MAILS * G_N_ELEMENTS(threads));
	end();
}
END_TEST

/* The replies to the body chunks of a mail from that sender, 's' = skip. */
static char body_reply(struct milter_driver *driver, const char *from)
{
	driver_connect(driver, "c.example", "192.0.2.7", 4000);
	send_mail(driver, from, "Q1");
	driver_body(driver, "one");
	return driver->reply;
}

START_TEST(where_reports_are_asked_for_bodies_are_negotiated_and_skipped_at_the_first_chunk)
{
	begin((struct milter_config){.reports = true});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	/* Body with replies, and SKIP, and nothing else more than without. */
	ck_assert_uint_eq(
	        driver->steps, (0xff000 & ~0x80000) | 0x80 | 0x40 | 0x100 | 0x200 | 0x400);
	ck_assert_int_eq(body_reply(driver, "<s@example.com>"), 's');
	driver_end(driver);
	ck_assert_ptr_null(report);
	ck_assert_int_eq(body_reply(driver, "<>"), 'c');
	driver_body(driver, " two");
	driver_end(driver);
	ck_assert_ptr_nonnull(report);
	ck_assert(g_str_has_suffix(report->str, "\n\none two"));
	g_string_free(report, TRUE);
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(an_mta_that_cannot_skip_is_not_told_to)
{
	begin((struct milter_config){.reports = true});
	struct milter_driver *driver = open_driver(DRIVER_STEPS & ~0x400u);
	ck_assert_int_eq(body_reply(driver, "<s@example.com>"), 'c');
	driver_end(driver);
	ck_assert_int_eq(driver->reply, 'c');
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(an_inet_socket_serves_as_well)
{
	struct error err = {0};
	unsigned port = 20000 + (unsigned)getpid() % 10000;
	g_autofree char *spec = g_strdup_printf("inet:%u@127.0.0.1", port);
	g_autofree char *second = g_strdup_printf("inet:%u@[127.0.0.1]", port);
	g_autofree char *nowhere = g_strdup_printf("inet:%u@no such host", port);

	make_folder();
	milter = milter_listen(&(struct milter_config){.socket = spec}, &hooks, &err);
	ck_assert_msg(milter != NULL, "%s", err.text);
	server = g_thread_new("serve", serve, milter);
	struct milter_driver *driver = driver_open_port(port);
	ck_assert_ptr_nonnull(driver);
	driver_negotiate(driver, DRIVER_ACTIONS, DRIVER_STEPS);
	driver_connect(driver, "c.example", "192.0.2.7", 4000);
	send_mail(driver, "<s@example.com>", "Q1");
	driver_end(driver);
	ck_assert_str_eq(record->str, "Q1 s@example.com 1 192.0.2.7 -;");
	refused(second, NULL, "in use");
	refused(nowhere, NULL, "cannot find the address");
	driver_close(&driver);
	end();
}
END_TEST

/* Whether the other side hung up; waits for it. */
static bool hung_up(struct milter_driver *driver)
{
	char c;

	return recv(driver->fd, &c, 1, 0) <= 0;
}

START_TEST(who_sends_garbage_is_hung_up_on_and_told_of_and_others_are_served)
{
	begin((struct milter_config){0});
	struct milter_driver *good = open_driver(DRIVER_STEPS);
	driver_connect(good, "c.example", "192.0.2.7", 4000);
	for (int i = 1; i <= 3; i++) {
		struct milter_driver *bad = driver_open(path);

		ck_assert_int_eq(send(bad->fd, "EHLO there\r\n", 12, 0), 12);
		ck_assert(hung_up(bad));
		ck_assert_int_eq(g_atomic_int_get(&refusals), i);
		driver_close(&bad);
	}
	struct milter_driver *late = open_driver(DRIVER_STEPS);
	driver_send(late, 'L', "no value", 8);
	ck_assert(hung_up(late));
	ck_assert_int_eq(g_atomic_int_get(&refusals), 4);
	driver_close(&late);
	send_mail(good, "<s@example.com>", "Q1");
	driver_end(good);
	ck_assert_uint_eq(envelopes, 1);
	driver_close(&good);
	end();
}
END_TEST

START_TEST(who_hangs_up_within_a_packet_leaves_nothing_and_is_no_trouble)
{
	begin((struct milter_config){0});
	struct milter_driver *driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "c.example", "192.0.2.7", 4000);
	driver_mail(driver, "<s@example.com>");
	ck_assert_int_eq(send(driver->fd, "\0\0\1\0Lxyz", 8, 0), 8);
	driver_close(&driver);
	driver = open_driver(DRIVER_STEPS);
	driver_connect(driver, "c.example", "192.0.2.7", 4000);
	send_mail(driver, "<s@example.com>", "Q1");
	driver_end(driver);
	ck_assert_uint_eq(envelopes, 1);
	ck_assert_int_eq(g_atomic_int_get(&refusals), 0);
	driver_close(&driver);
	end();
}
END_TEST

START_TEST(who_writes_slowly_keeps_nobody_waiting)
{
	static const char end_[] = "\0\0\0\1E";

	begin((struct milter_config){0});
	struct milter_driver *slow = open_driver(DRIVER_STEPS);
	struct milter_driver *good = open_driver(DRIVER_STEPS);
	driver_connect(slow, "c.example", "192.0.2.7", 4000);
	driver_connect(good, "c.example", "192.0.2.8", 4000);
	send_mail(slow, "<slow@example.com>", "SLOW");
	for (size_t i = 0; i < 5; i++) {
		g_autofree char *id = g_strdup_printf("Q%zu", i);

		ck_assert_int_eq(send(slow->fd, end_ + i, 1, 0), 1);
		send_mail(good, "<s@example.com>", id);
		driver_end(good);
	}
	ck_assert(driver_wait(slow, 5000));
	ck_assert_uint_eq(envelopes, 6);
	driver_close(&slow);
	driver_close(&good);
	end();
}
END_TEST

START_TEST(who_takes_no_replies_is_not_read_from_until_he_does)
{
	static const char helo[] = "\0\0\0\2H";
	unsigned sent = 0;

	begin((struct milter_config){0});
	struct milter_driver *deaf = driver_open(path);
	struct milter_driver *good = open_driver(DRIVER_STEPS);
	/* One that wants a reply to each command. */
	driver_negotiate(deaf, 0xf, 0x3f);
	for (int quiet = 0; quiet < 20;) {
		ssize_t n = send(deaf->fd, helo, sizeof(helo), MSG_DONTWAIT);

		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			quiet++;
			g_usleep(5000);
			continue;
		}
		/* A UNIX socket takes so few bytes as a whole. */
		ck_assert_int_eq(n, sizeof(helo));
		quiet = 0;
		sent++;
	}
	driver_connect(good, "c.example", "192.0.2.8", 4000);
	send_mail(good, "<s@example.com>", "Q1");
	driver_end(good);
	for (unsigned i = 0; i < sent; i++)
		ck_assert(driver_wait(deaf, 5000));
	driver_mail(deaf, "<s@example.com>");
	ck_assert_uint_eq(deaf->replies, sent + 1);
	driver_close(&deaf);
	driver_close(&good);
	end();
}
END_TEST

#define MANY 300

START_TEST(many_sessions_may_be_open)
{
	struct milter_driver *drivers[MANY];

	begin((struct milter_config){0});
	for (int i = 0; i < MANY; i++) {
		drivers[i] = open_driver(DRIVER_STEPS);
		driver_connect(drivers[i], "c.example", "192.0.2.7", 4000);
	}
	for (int i = MANY - 1; i >= 0; i--) {
		send_mail(drivers[i], "<s@example.com>", "Q1");
		driver_end(drivers[i]);
		driver_close(&drivers[i]);
	}
	ck_assert_uint_eq(envelopes, MANY);
	end();
}
END_TEST

START_TEST(who_comes_when_descriptors_are_short_is_served_when_others_went)
{
	struct rlimit old;
	struct milter_driver *drivers[65];

	getrlimit(RLIMIT_NOFILE, &old);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){128, old.rlim_max}), 0);
	begin((struct milter_config){0});
	setrlimit(RLIMIT_NOFILE, &old);
	for (int i = 0; i < 64; i++)
		drivers[i] = open_driver(DRIVER_STEPS);
	ck_assert_int_eq(g_atomic_int_get(&fulls), 0);
	drivers[64] = driver_open(path);
	driver_send(drivers[64], 'O', "\0\0\0\6\0\0\1\377\0\37\377\377", 12);
	ck_assert(!driver_wait(drivers[64], 500));
	/* Told once, though it was tried more often. */
	ck_assert_int_eq(g_atomic_int_get(&fulls), 1);
	driver_close(&drivers[0]);
	ck_assert(driver_wait(drivers[64], 5000));
	ck_assert_int_eq(drivers[64]->reply, 'O');
	for (int i = 1; i <= 64; i++)
		driver_close(&drivers[i]);
	end();
}
END_TEST

START_TEST(who_is_silent_for_more_than_two_hours_is_hung_up_on)
{
	begin((struct milter_config){0});
	struct milter_driver *silent = open_driver(DRIVER_STEPS);
	g_atomic_int_set(&hours, 1);
	struct milter_driver *other = open_driver(DRIVER_STEPS);
	ck_assert_int_eq(recv(silent->fd, &(char){0}, 1, MSG_DONTWAIT), -1);
	g_atomic_int_set(&hours, 3);
	driver_connect(other, "c.example", "192.0.2.7", 4000);
	ck_assert(hung_up(silent));
	send_mail(other, "<s@example.com>", "Q1");
	driver_end(other);
	ck_assert_uint_eq(envelopes, 1);
	driver_close(&silent);
	driver_close(&other);
	end();
}
END_TEST

/* So many mails whose end was sent, each in a connection of its own. */
static void send_ends(struct milter_driver **drivers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		drivers[i] = open_driver(DRIVER_STEPS);
		driver_connect(drivers[i], "c.example", "192.0.2.7", 4000);
		send_mail(drivers[i], "<s@example.com>", "Q1");
	}
	for (size_t i = 0; i < n; i++)
		driver_send(drivers[i], 'E', "", 0);
}

START_TEST(mails_wait_for_their_commits_side_by_side)
{
	struct milter_driver *drivers[10];

	begin((struct milter_config){.on_failure = MILTER_TEMPFAIL});
	for (int round = 0; round < 2; round++) {
		g_atomic_int_set(&hold_ms, 500);
		gint64 began = g_get_monotonic_time();
		send_ends(drivers, G_N_ELEMENTS(drivers));
		/* One that hangs up while its mail waits. */
		driver_close(&drivers[0]);
		for (size_t i = 1; i < G_N_ELEMENTS(drivers); i++) {
			ck_assert(driver_wait(drivers[i], 5000));
			ck_assert_int_eq(drivers[i]->reply, 'c');
			driver_close(&drivers[i]);
		}
		gint64 took = g_get_monotonic_time() - began;
		ck_assert_msg(took < 4 * G_USEC_PER_SEC, "%ld ms", (long)took / 1000);
	}
	end();
	ck_assert_uint_eq(envelopes, 20);
}
END_TEST

/* Until the listener has read all that was sent. */
static void await_read(struct milter_driver **drivers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int unread = 1;
		while (ioctl(drivers[i]->fd, SIOCOUTQ, &unread) == 0 && unread > 0)
			g_usleep(1000);
	}
}

START_TEST(stop_answers_those_who_wait_for_a_commit_and_begins_no_other)
{
	struct milter_driver *drivers[210];
	unsigned recorded = 0;

	begin((struct milter_config){.on_failure = MILTER_TEMPFAIL});
	g_atomic_int_set(&hold_ms, 100000);
	send_ends(drivers, G_N_ELEMENTS(drivers));
	await_read(drivers, G_N_ELEMENTS(drivers));
	milter_stop(milter);
	g_usleep(500000); /* it wakes up, and those who wait to begin hear of it */
	g_atomic_int_set(&hold_ms, 0);
	stop();
	for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
		ck_assert(driver_wait(drivers[i], 5000));
		recorded += drivers[i]->reply == 'c';
		if (drivers[i]->reply != 'c')
			ck_assert_ptr_nonnull(strstr(drivers[i]->data->str, "451 4.3.0 "));
		driver_close(&drivers[i]);
	}
	ck_assert_uint_eq(recorded, envelopes);
	ck_assert_uint_le(recorded, 200);
	end();
}
END_TEST

UNIT_MAIN("listener", only_what_is_needed_is_negotiated,
        refused_recipients_and_header_changes_are_negotiated_when_asked,
        a_refusal_counts_although_the_mta_hangs_up_at_once,
        an_mta_that_offers_nothing_gets_its_replies, a_mail_costs_one_reply,
        another_connection_after_quit_nc_is_a_new_session, x_msys_api_is_removed_last_header_first,
        a_failed_commit_is_answered_with_451_under_tempfail_only,
        a_lost_envelope_does_not_stop_mail_under_accept,
        stop_returns_soon_although_sessions_are_idle, stop_waits_for_a_commit_under_way,
        stop_before_serve_serves_nothing, the_socket_has_its_mode_and_group_whatever_the_umask,
        the_mode_can_be_chosen, a_live_socket_is_refused_and_left_alone, a_dead_socket_is_replaced,
        what_cannot_be_a_socket_is_refused_with_a_reason,
        a_socket_file_of_somebody_else_is_not_removed_at_the_end,
        eight_sessions_at_once_lose_nothing,
        where_reports_are_asked_for_bodies_are_negotiated_and_skipped_at_the_first_chunk,
        an_mta_that_cannot_skip_is_not_told_to, an_inet_socket_serves_as_well,
        who_sends_garbage_is_hung_up_on_and_told_of_and_others_are_served,
        who_hangs_up_within_a_packet_leaves_nothing_and_is_no_trouble,
        who_writes_slowly_keeps_nobody_waiting, who_takes_no_replies_is_not_read_from_until_he_does,
        many_sessions_may_be_open, who_comes_when_descriptors_are_short_is_served_when_others_went,
        who_is_silent_for_more_than_two_hours_is_hung_up_on,
        mails_wait_for_their_commits_side_by_side,
        stop_answers_those_who_wait_for_a_commit_and_begins_no_other)
