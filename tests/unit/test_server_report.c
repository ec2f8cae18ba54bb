/* POST /api/v1/report. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "cli/http.h"
#include "query/server.h"
#include "tests/support/unit.h"

#define MOST 100000

static char *dir;
static char *socket_path;
static struct store *store;
static struct query_server *server;
static GString *taken;
static bool refuse, fail;

static bool allowed(void *ctx, unsigned uid)
{
	(void)ctx;
	(void)uid;
	return !refuse;
}

static int take(void *ctx, struct slice mail, GString *out, struct error *err)
{
	(void)ctx;
	if (fail)
		return error_set(err, "no room");
	g_string_append_len(taken, mail.p, (gssize)mail.n);
	g_string_append(out, "{\"events\":1,\"new\":1}");
	return 0;
}

static void start(void)
{
	struct error err = {0};

	dir = g_dir_make_tmp("postwake-server-XXXXXX", NULL);
	socket_path = g_build_filename(dir, "q", NULL);
	taken = g_string_new(NULL);
	ck_assert_msg(store_open(&store, dir, STORE_WRITE, NULL, &err) == 0, "%s", err.text);
	const struct query_server_config config = {
	        .socket = socket_path, .report = {.most = MOST, .allowed = allowed, .take = take}};
	server = query_server_new(store, &config, &err);
	ck_assert_msg(server != NULL, "%s", err.text);
}

static void stop(void)
{
	const char *name;

	query_server_free(&server);
	store_close(&store);
	GDir *list = g_dir_open(dir, 0, NULL);
	while ((name = g_dir_read_name(list)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		g_unlink(path);
	}
	g_dir_close(list);
	g_rmdir(dir);
	g_string_free(taken, TRUE);
	g_free(socket_path);
	g_free(dir);
}

static ssize_t give(void *ctx, char *buffer, size_t size)
{
	struct slice *rest = ctx;
	size_t n = MIN(size, rest->n);

	memcpy(buffer, rest->p, n);
	*rest = slice_from(*rest, n);
	return (ssize_t)n;
}

/* The status of a POST of this mail; the answer's body in *answer. */
static long post(const char *mail, size_t n, GString *answer)
{
	struct http *http = http_new(socket_path);
	struct slice rest = slice_make(mail, n);
	struct error err = {0};
	long status = 0;

	ck_assert_msg(http_post(http, "/api/v1/report", give, &rest, &status, answer, &err) == 0,
	        "%s", err.text);
	http_free(&http);
	return status;
}

START_TEST(a_mail_arrives_whole_and_its_counts_come_back)
{
	g_autoptr(GString) answer = g_string_new(NULL);
	g_autofree char *mail = g_strnfill(MOST, 'x');

	start();
	ck_assert_int_eq(post(mail, MOST, answer), 200);
	ck_assert_str_eq(answer->str, "{\"results\":{\"events\":1,\"new\":1}}");
	ck_assert_str_eq(taken->str, mail);
	stop();
}
END_TEST

START_TEST(a_mail_of_nothing_is_taken)
{
	g_autoptr(GString) answer = g_string_new(NULL);

	start();
	ck_assert_int_eq(post("", 0, answer), 200);
	ck_assert_str_eq(taken->str, "");
	stop();
}
END_TEST

START_TEST(a_mail_that_is_too_large_gets_a_413)
{
	g_autoptr(GString) answer = g_string_new(NULL);
	g_autofree char *mail = g_strnfill(MOST + 1, 'x');

	start();
	ck_assert_int_eq(post(mail, MOST + 1, answer), 413);
	ck_assert_str_eq(taken->str, "");
	stop();
}
END_TEST

START_TEST(who_may_not_gets_a_403_and_a_store_that_fails_gives_a_503)
{
	g_autoptr(GString) answer = g_string_new(NULL);

	start();
	refuse = true;
	ck_assert_int_eq(post("x", 1, answer), 403);
	refuse = false;
	fail = true;
	g_string_truncate(answer, 0);
	ck_assert_int_eq(post("x", 1, answer), 503);
	ck_assert_ptr_nonnull(strstr(answer->str, "no room"));
	ck_assert_str_eq(taken->str, "");
	stop();
}
END_TEST

START_TEST(a_report_is_only_posted)
{
	g_autoptr(GString) answer = g_string_new(NULL);
	struct error err = {0};
	long status = 0;

	start();
	struct http *http = http_new(socket_path);
	ck_assert_int_eq(http_get(http, "/api/v1/report", &status, answer, &err), 0);
	ck_assert_int_eq(status, 405);
	http_free(&http);
	stop();
}
END_TEST

UNIT_MAIN("server_report", a_mail_arrives_whole_and_its_counts_come_back,
        a_mail_of_nothing_is_taken, a_mail_that_is_too_large_gets_a_413,
        who_may_not_gets_a_403_and_a_store_that_fails_gives_a_503, a_report_is_only_posted)
