#include <arpa/inet.h>
#include <glib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "upload/http.h"

#define ENDLESS ((size_t)64 * 1024 * 1024)

/* Answers one request: `start` once, then `piece` until the client has gone or `limit` is reached.
 */
struct server {
	int listener;
	char url[64];
	const char *start, *piece;
	size_t limit, sent;
	GThread *thread;
};

static bool put(struct server *server, int client, const char *text)
{
	ssize_t n = send(client, text, strlen(text), MSG_NOSIGNAL);

	server->sent += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static gpointer serve(gpointer data)
{
	struct server *server = data;
	char request[4096];
	int client = accept(server->listener, NULL, NULL);

	ck_assert_int_gt(recv(client, request, sizeof(request), 0), 0);
	bool there = put(server, client, server->start);
	while (there && server->sent < server->limit)
		there = put(server, client, server->piece);
	close(client);
	return NULL;
}

static void start(struct server *server)
{
	struct sockaddr_in address = {
	        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(listen(server->listener, 1), 0);
	getsockname(server->listener, (struct sockaddr *)&address, &size);
	g_snprintf(
	        server->url, sizeof(server->url), "http://127.0.0.1:%u/x", ntohs(address.sin_port));
	server->thread = g_thread_new("server", serve, server);
}

static int ask(struct server *server, bool post, struct upload_reply *reply, struct error *err)
{
	const struct upload_http_config config = {.timeout = 20};
	struct upload_http *http = upload_http_new(&config);

	start(server);
	int result = post ? upload_http_post(http, server->url, NULL, SLICE("gzip"), reply, err)
	                  : upload_http_get(http, server->url, NULL, 1000, reply, err);
	upload_http_free(&http);
	g_thread_join(server->thread);
	close(server->listener);
	return result;
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"

START_TEST(an_answer_whose_head_or_trailers_have_no_end_is_cut_off)
{
	g_autofree char *line = g_strnfill(1000, 'x');
	g_autofree char *header = g_strconcat("X-", line, ": y\r\n", NULL);
	g_autofree char *hint = g_strconcat("HTTP/1.1 103 Hints\r\n", header, "\r\n", NULL);
	const struct server servers[] = {{.start = CHUNKED, .piece = header},
	        {.start = "HTTP/1.1 200 OK\r\n", .piece = header}, {.start = hint, .piece = hint}};

	for (int i = 0; i < (int)G_N_ELEMENTS(servers) * 2; i++) {
		struct server server = servers[i / 2];
		struct upload_reply reply;
		struct error err = {0};
		server.limit = ENDLESS;
		upload_reply_init(&reply);
		ck_assert_int_eq(ask(&server, i % 2 == 1, &reply, &err), -1);
		ck_assert_msg(
		        server.sent < ENDLESS / 2, "%d: %zu bytes were taken", i, server.sent);
		ck_assert_msg(
		        g_str_has_suffix(err.text, "/x: the head or the trailers of the answer "
		                                   "are too long"),
		        "%d: %s", i, err.text);
		ck_assert_int_eq(reply.sent, i % 2 == 1);
		upload_reply_clear(&reply);
	}
}
END_TEST

START_TEST(some_trailers_are_no_fault_and_no_part_of_the_answer)
{
	struct server server = {.start = CHUNKED "X-Sum: 1\r\nY: 2\r\n\r\n", .piece = ""};
	struct upload_reply reply;
	struct error err = {0};

	upload_reply_init(&reply);
	ck_assert_int_eq(ask(&server, true, &reply, &err), 0);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_str_eq(reply.body->str, "{}");
	upload_reply_clear(&reply);
}
END_TEST

UNIT_MAIN("upload_http", an_answer_whose_head_or_trailers_have_no_end_is_cut_off,
        some_trailers_are_no_fault_and_no_part_of_the_answer)
