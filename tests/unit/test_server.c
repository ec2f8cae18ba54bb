#include "query/server.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/batch.h"
#include "tests/support/unit.h"

#define DOCUMENTATION "/api/v1/message-events/events/documentation"

/* --- a server in a directory of its own --- */

static char *dir, *path;
static struct query_server *server;
static struct store *stored; /* NULL = none: most tests ask for documentation only */
static atomic_int delay_ms;  /* that each request takes in its worker */
static atomic_int running;

/* The hook that query_answer calls first: makes a request as slow as a test wants. */
static int64_t slow_now(void)
{
	atomic_fetch_add(&running, 1);
	g_usleep((gulong)atomic_load(&delay_ms) * 1000);
	atomic_fetch_sub(&running, 1);
	return 0;
}

static void prepare(void)
{
	dir = g_dir_make_tmp("postwake-server-XXXXXX", NULL);
	path = g_build_filename(dir, "query.sock", NULL);
}

static void start(struct query_server_config config)
{
	struct error err = {0};

	if (dir == NULL)
		prepare();
	config.socket = path;
	config.query.now = slow_now;
	server = query_server_new(stored, &config, &err);
	ck_assert_msg(server != NULL, "%s", err.text);
}

static void stop(void)
{
	query_server_free(&server);
	ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
	g_rmdir(dir);
	g_clear_pointer(&path, g_free);
	g_clear_pointer(&dir, g_free);
}

/* --- a client --- */

static int client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void put_n(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		ck_assert_int_gt(sent, 0);
		bytes += sent;
		n -= (size_t)sent;
	}
}

static void put(int fd, const char *text)
{
	put_n(fd, text, strlen(text));
}

static void ask(int fd, const char *method, const char *target)
{
	g_autofree char *request =
	        g_strdup_printf("%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, target, path);

	put(fd, request);
}

struct answer {
	int status;
	GString *head, *body;
};

static void answer_clear(struct answer *answer)
{
	g_string_free(answer->head, true);
	g_string_free(answer->body, true);
}

/* Takes up to n bytes within 10 s; 0 at the end. */
static size_t take(int fd, char *bytes, size_t n, int flags)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	ck_assert_msg(poll(&poller, 1, 10000) == 1, "no answer within 10 s");
	ssize_t got = recv(fd, bytes, n, flags);
	return got > 0 ? (size_t)got : 0;
}

/* Takes exactly n bytes. */
static bool take_all(int fd, GString *out, size_t n)
{
	char bytes[65536];
	size_t got;

	for (; n > 0; n -= got) {
		got = take(fd, bytes, MIN(n, sizeof(bytes)), 0);
		if (got == 0)
			return false;
		g_string_append_len(out, bytes, (gssize)got);
	}
	return true;
}

/* Reads one answer; `bodiless` as to HEAD. False when the connection ended before it. */
static bool get(int fd, bool bodiless, struct answer *answer_r)
{
	char seen[4096];
	const char *end = NULL;

	*answer_r = (struct answer){0, g_string_new(NULL), g_string_new(NULL)};
	while (end == NULL) {
		size_t n = take(fd, seen, sizeof(seen), MSG_PEEK);

		if (n == 0)
			return false;
		end = memmem(seen, n, "\r\n\r\n", 4);
	}
	if (!take_all(fd, answer_r->head, (size_t)(end - seen) + 4))
		return false;
	sscanf(answer_r->head->str, "HTTP/1.1 %d", &answer_r->status);
	const char *length = strstr(answer_r->head->str, "Content-Length: ");
	return bodiless || length == NULL ||
	       take_all(fd, answer_r->body, strtoul(length + 16, NULL, 10));
}

/* Asks and compares the status; returns the answer. */
static struct answer asked(int fd, const char *method, const char *target, int status)
{
	struct answer answer;

	ask(fd, method, target);
	ck_assert(get(fd, strcmp(method, "HEAD") == 0, &answer));
	ck_assert_msg(answer.status == status, "%s %.80s: %s", method, target, answer.head->str);
	ck_assert_ptr_nonnull(strstr(answer.head->str, "Content-Type: application/json\r\n"));
	return answer;
}

static void check(int fd, const char *method, const char *target, int status, const char *body)
{
	struct answer answer = asked(fd, method, target, status);

	if (body != NULL)
		ck_assert_str_eq(answer.body->str, body);
	answer_clear(&answer);
}

static bool closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Waits up to 10 s. */
#define WAIT_FOR(CONDITION) \
	do { \
		int tries = 2000; \
		while (!(CONDITION) && tries-- > 0) \
			g_usleep(5000); \
		ck_assert_msg(tries > 0, "waited in vain for " #CONDITION); \
	} while (0)

static double seconds_since(gint64 start_us)
{
	return (double)(g_get_monotonic_time() - start_us) / 1e6;
}

/* --- the socket --- */

START_TEST(the_socket_has_its_mode_from_the_first_moment)
{
	struct stat st;

	start((struct query_server_config){.mode = 0606});
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0606);
	stop();
	start((struct query_server_config){0});
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	stop();
}
END_TEST

START_TEST(a_live_socket_is_refused_and_stays)
{
	struct query_server_config config = {0};
	struct error err = {0};

	start(config);
	config.socket = path;
	ck_assert_ptr_null(query_server_new(NULL, &config, &err));
	ck_assert_int_eq(err.number, EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "another process serves it"));
	int fd = client();
	check(fd, "GET", DOCUMENTATION, 200, NULL);
	close(fd);
	stop();
}
END_TEST

START_TEST(a_dead_socket_is_replaced)
{
	prepare();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	start((struct query_server_config){0});
	fd = client();
	check(fd, "GET", DOCUMENTATION, 200, NULL);
	close(fd);
	stop();
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
	struct query_server_config config = {0};
	struct error err = {0};

	prepare();
	ck_assert(g_file_set_contents(path, "mine", 4, NULL));
	config.socket = path;
	ck_assert_ptr_null(query_server_new(NULL, &config, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "no socket"));
	ck_assert(g_file_test(path, G_FILE_TEST_IS_REGULAR));
	g_unlink(path);
	error_clear(&err);
	config.group = "no-such-group-here";
	ck_assert_ptr_null(query_server_new(NULL, &config, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "no-such-group-here"));
	ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
	g_autofree char *longest = g_strnfill(200, 'x');
	config = (struct query_server_config){.socket = longest};
	error_clear(&err);
	ck_assert_ptr_null(query_server_new(NULL, &config, &err));
	ck_assert(err.config && strstr(err.text, "1 to 107 bytes") != NULL);
	g_rmdir(dir);
	g_clear_pointer(&path, g_free);
	g_clear_pointer(&dir, g_free);
}
END_TEST

/* --- HTTP --- */

START_TEST(one_connection_serves_many_requests)
{
	start((struct query_server_config){0});
	int fd = client();
	for (int i = 0; i < 50; i++)
		check(fd, "GET", DOCUMENTATION, 200, NULL);
	close(fd);
	stop();
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	start((struct query_server_config){0});
	int fd = client();
	for (int i = 0; i < 20; i++) {
		ask(fd, "GET", i % 2 == 0 ? DOCUMENTATION : "/nowhere");
		ask(fd, "HEAD", DOCUMENTATION);
	}
	for (int i = 0; i < 20; i++) {
		struct answer answer;

		ck_assert(get(fd, false, &answer));
		ck_assert_int_eq(answer.status, i % 2 == 0 ? 200 : 404);
		answer_clear(&answer);
		ck_assert(get(fd, true, &answer));
		ck_assert_int_eq(answer.status, 200);
		answer_clear(&answer);
	}
	close(fd);
	stop();
}
END_TEST

START_TEST(head_is_get_without_the_body)
{
	start((struct query_server_config){0});
	int fd = client();
	struct answer whole = asked(fd, "GET", DOCUMENTATION, 200);
	struct answer head = asked(fd, "HEAD", DOCUMENTATION, 200);
	g_autofree char *length = g_strdup_printf("Content-Length: %zu\r\n", whole.body->len);
	ck_assert_ptr_nonnull(strstr(head.head->str, length));
	answer_clear(&whole);
	answer_clear(&head);
	check(fd, "GET", DOCUMENTATION "/", 200, NULL);
	close(fd);
	stop();
}
END_TEST

START_TEST(errors_are_json_with_their_status)
{
	start((struct query_server_config){0});
	int fd = client();
	check(fd, "GET", "/", 404, "{\"errors\":[{\"message\":\"Resource could not be found\"}]}");
	check(fd, "GET", "/api/v1/message-events%2Fevents%2Fdocumentation", 404, NULL);
	check(fd, "GET", "/api/v1/message-event%zz", 404, NULL);
	struct answer answer = asked(fd, "PUT", DOCUMENTATION, 405);
	ck_assert_ptr_nonnull(strstr(answer.head->str, "Allow: GET, HEAD\r\n"));
	ck_assert_str_eq(answer.body->str, "{\"errors\":[{\"message\":\"Method not allowed\"}]}");
	answer_clear(&answer);
	check(fd, "DELETE", DOCUMENTATION, 405, NULL);
	check(fd, "POST", "/nowhere", 404, NULL);
	check(fd, "POST", "/api/v1/import?source=x", 404, NULL); /* not offered */
	close(fd);
	stop();
}
END_TEST

START_TEST(a_target_of_4096_characters_is_the_longest)
{
	g_autofree char *filler = g_strnfill(20000, 'x');

	start((struct query_server_config){0});
	int fd = client();
	for (int n = 4095; n <= 4098; n++) {
		g_autofree char *target = g_strdup_printf(
		        DOCUMENTATION "?%.*s", n - (int)strlen(DOCUMENTATION "?"), filler);

		check(fd, "GET", target, n <= 4096 ? 200 : 414, NULL);
	}
	g_autofree char *longest = g_strconcat("/", filler, NULL);
	check(fd, "GET", longest, 414,
	        "{\"errors\":[{\"message\":\"URI must be at most 4096 characters long\"}]}");
	check(fd, "GET", DOCUMENTATION, 200, NULL);
	close(fd);
	stop();
}
END_TEST

START_TEST(a_longer_target_with_a_mark_is_a_link)
{
	g_autofree char *filler = g_strnfill(QUERY_LINK_MAX, 'x');

	start((struct query_server_config){0});
	int fd = client();
	for (int n = QUERY_LINK_MAX - 1; n <= QUERY_LINK_MAX + 1; n++) {
		g_autofree char *target = g_strdup_printf(DOCUMENTATION "?as_of=1&%.*s",
		        n - (int)strlen(DOCUMENTATION "?as_of=1&"), filler);

		check(fd, "GET", target, n <= QUERY_LINK_MAX ? 200 : 414, NULL);
	}
	close(fd);
	stop();
}
END_TEST

/* One at its end cuts nothing off. */
START_TEST(a_nul_byte_in_the_target_is_refused)
{
#define HOSTED " HTTP/1.1\r\nHost: x\r\n\r\n"
	static const struct slice requests[] = {
	        SLICE("GET " DOCUMENTATION "?events=\0bogus&page=zzz" HOSTED),
	        SLICE("GET " DOCUMENTATION "\0/elsewhere" HOSTED),
	        SLICE("POST " DOCUMENTATION "\0x HTTP/1.1\r\nContent-Length: 5\r\n\r\n"),
	};

	start((struct query_server_config){0});
	for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
		struct answer answer;
		int fd = client();

		put_n(fd, requests[i].p, requests[i].n);
		ck_assert(get(fd, false, &answer));
		ck_assert_int_eq(answer.status, 400);
		ck_assert_str_eq(answer.body->str,
		        "{\"errors\":[{\"message\":\"URI must not contain a NUL byte\"}]}");
		answer_clear(&answer);
		close(fd);
	}
	stop();
}
END_TEST

START_TEST(what_is_refused_is_refused_before_its_body)
{
	static const struct {
		const char *target, *body;
		int status;
	} rows[] = {
	        {"/api/v1/message-events", "Content-Length: 99\r\nExpect: 100-continue\r\n", 405},
	        {"/api/v1/message-events", "Content-Length: 99\r\n", 405},
	        {"/api/v1/status", "Transfer-Encoding: chunked\r\n", 405},
	        {"/nope", "Content-Length: 99\r\n", 404},
	        {"/nope", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", 404},
	        {"/api/v1/import", "Content-Length: 99\r\nExpect: 100-continue\r\n", 404},
	};

	start((struct query_server_config){0});
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *request = g_strdup_printf(
		        "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n", rows[i].target, rows[i].body);
		struct answer answer;
		int fd = client();

		put(fd, request);
		ck_assert(get(fd, false, &answer));
		ck_assert_msg(answer.status == rows[i].status, "%s: %s", request, answer.head->str);
		answer_clear(&answer);
		WAIT_FOR(closed(fd)); /* nobody waits for the body */
		close(fd);
	}
	stop();
}
END_TEST

START_TEST(headers_of_real_clients_are_accepted)
{
	start((struct query_server_config){0});
	int fd = client();
	struct answer answer;
	put(fd, "GET " DOCUMENTATION " HTTP/1.1\r\nUser-Agent: node-sparkpost/2.1.4\r\n"
	        "Content-Type: application/json\r\nAuthorization: KEY123\r\nhost: /path/me.sock\r\n"
	        "accept-encoding: gzip, deflate\r\naccept: application/json\r\n"
	        "Connection: keep-alive\r\n\r\n");
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 200);
	answer_clear(&answer);
	put(fd, "GET " DOCUMENTATION
	        " HTTP/1.1\r\nHost: [bad host]\r\nContent-Length: 5\r\n\r\n{}\n\n\n");
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 200);
	answer_clear(&answer);
	put(fd, "GET http://localhost" DOCUMENTATION " HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 200);
	answer_clear(&answer);
	put(fd, "GET " DOCUMENTATION " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 200);
	answer_clear(&answer);
	WAIT_FOR(closed(fd));
	close(fd);
	stop();
}
END_TEST

/* The first link of a search that is asked for with this Host. */
static char *link_for(const char *host)
{
	g_autofree char *request =
	        g_strdup_printf("GET /api/v1/message-events?per_page=1&to=1970-01-01T00:01 "
	                        "HTTP/1.1\r\nHost: %s\r\n\r\n",
	                host);
	struct answer answer;
	int fd = client();

	put(fd, request);
	ck_assert(get(fd, false, &answer));
	close(fd);
	const char *href = strstr(answer.body->str, "/api/v1/message-events?page=2");
	ck_assert_msg(href != NULL, "%s", answer.body->str);
	char *link = g_strndup(href, strcspn(href, "\""));
	answer_clear(&answer);
	return link;
}

START_TEST(clients_whose_host_is_the_socket_get_links_without_colons)
{
	struct query_server_config config = {0};
	struct store_commit_result result;
	struct error err = {0};

	prepare();
	g_autofree char *directory = g_build_filename(dir, "store", NULL);
	g_mkdir(directory, 0700);
	ck_assert_int_eq(store_open(&stored, directory, STORE_WRITE, NULL, &err), 0);
	struct store_batch *batch = store_batch_new();
	for (uint64_t id = 1; id <= 2; id++) {
		struct event event = {.type = EVENT_DELIVERY, .id = id, .time = 1000};

		event.field[FIELD_MESSAGE_ID] = SLICE("00000000000000000001");
		store_batch_event(batch, &event);
	}
	ck_assert_int_eq(store_commit(stored, batch, 0, &result, &err), 0);
	store_batch_free(&batch);
	start(config);
	g_autofree char *plain = link_for("localhost"), *escaped = link_for(path);
	ck_assert_ptr_nonnull(strstr(plain, "&from=1969-12-31T00:01&to=1970-01-01T00:01&"));
	ck_assert_ptr_nonnull(strstr(escaped, "&from=1969-12-31T00%3A01&to=1970-01-01T00%3A01&"));
	query_server_free(&server);
	store_close(&stored);
	g_autofree char *command = g_strdup_printf("rm -r '%s'", directory);
	ck_assert_int_eq(system(command), 0);
	start(config);
	stop();
}
END_TEST

/* --- others' slowness --- */

START_TEST(a_slow_request_holds_nobody_up)
{
	start((struct query_server_config){.threads = 2});
	int slow = client(), fast = client();
	atomic_store(&delay_ms, 700);
	gint64 begun = g_get_monotonic_time();
	ask(slow, "GET", DOCUMENTATION);
	WAIT_FOR(atomic_load(&running) == 1);
	atomic_store(&delay_ms, 0);
	check(fast, "GET", DOCUMENTATION, 200, NULL);
	ck_assert_double_lt(seconds_since(begun), 0.6);
	struct answer answer;
	ck_assert(get(slow, false, &answer));
	ck_assert_int_eq(answer.status, 200);
	answer_clear(&answer);
	close(slow);
	close(fast);
	stop();
}
END_TEST

START_TEST(a_client_that_sends_or_reads_slowly_holds_nobody_up)
{
	int slow[40];

	start((struct query_server_config){.threads = 1});
	for (int i = 0; i < 40; i++) {
		slow[i] = client();
		put(slow[i], i % 2 == 0 ? "GET " DOCUMENTATION " HT" : "");
		for (int n = 0; n < 10 && i % 2 == 1; n++)
			ask(slow[i], "GET", DOCUMENTATION); /* and never reads */
	}
	int fd = client();
	gint64 begun = g_get_monotonic_time();
	for (int i = 0; i < 20; i++)
		check(fd, "GET", DOCUMENTATION, 200, NULL);
	ck_assert_double_lt(seconds_since(begun), 5);
	close(fd);
	for (int i = 0; i < 40; i++)
		close(slow[i]);
	stop();
}
END_TEST

START_TEST(a_request_that_drips_in_ends_at_its_deadline)
{
	start((struct query_server_config){.deadline_ms = 300, .idle_ms = 300});
	int line = client(), header = client();
	gint64 begun = g_get_monotonic_time();
	put(header, "GET " DOCUMENTATION " HTTP/1.1\r\nX: ");
	while (!(closed(line) && closed(header)) && seconds_since(begun) < 5) {
		(void)!send(line, "G", 1, MSG_NOSIGNAL);
		(void)!send(header, "x", 1, MSG_NOSIGNAL);
		g_usleep(20000);
	}
	ck_assert_double_lt(seconds_since(begun), 4);
	close(line);
	close(header);
	stop();
}
END_TEST

START_TEST(idle_connections_make_room_for_new_ones)
{
	int idle[60];

	start((struct query_server_config){.connections = 10});
	for (int i = 0; i < 60; i++) {
		idle[i] = client();
		check(idle[i], "GET", DOCUMENTATION, 200, NULL);
	}
	WAIT_FOR(closed(idle[0]));
	check(idle[59], "GET", DOCUMENTATION, 200, NULL);
	for (int i = 0; i < 60; i++)
		close(idle[i]);
	stop();
}
END_TEST

START_TEST(requests_that_waited_too_long_get_a_503)
{
	int fd[6], busy = 0;

	start((struct query_server_config){.threads = 1, .deadline_ms = 1000});
	atomic_store(&delay_ms, 300);
	for (int i = 0; i < 6; i++) {
		fd[i] = client();
		ask(fd[i], "GET", DOCUMENTATION);
	}
	for (int i = 0; i < 6; i++) {
		struct answer answer;

		if (get(fd[i], false, &answer) && answer.status == 503)
			busy++;
		else
			ck_assert_int_eq(answer.status, 200);
		answer_clear(&answer);
		close(fd[i]);
	}
	atomic_store(&delay_ms, 0);
	ck_assert_int_gt(busy, 0);
	stop();
}
END_TEST

static void *hammer(void *arg)
{
	int *count = arg;

	for (int i = 0; i < 25; i++) {
		int fd = client();

		for (int n = 0; n < 4; n++, (*count)++)
			check(fd, n % 2 == 0 ? "GET" : "HEAD", n == 3 ? "/nowhere" : DOCUMENTATION,
			        n == 3 ? 404 : 200, NULL);
		close(fd);
	}
	return NULL;
}

START_TEST(many_clients_at_once_are_all_answered)
{
	pthread_t threads[8];
	int counts[8] = {0};

	start((struct query_server_config){.threads = 3});
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, hammer, &counts[i]);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(counts[i], 100);
	}
	stop();
}
END_TEST

START_TEST(stopping_finishes_what_runs)
{
	start((struct query_server_config){.threads = 2});
	int fd[4], idle = client(), half = client();
	put(half, "GET /");
	atomic_store(&delay_ms, 200);
	for (int i = 0; i < 4; i++) {
		fd[i] = client();
		ask(fd[i], "GET", DOCUMENTATION);
	}
	WAIT_FOR(atomic_load(&running) == 2);
	g_usleep(50000);
	gint64 begun = g_get_monotonic_time();
	stop();
	ck_assert_double_lt(seconds_since(begun), 3);
	atomic_store(&delay_ms, 0);
	for (int i = 0; i < 4; i++) {
		struct answer answer;

		ck_assert(get(fd[i], false, &answer));
		ck_assert_int_eq(answer.status, 200);
		answer_clear(&answer);
		close(fd[i]);
	}
	close(idle);
	close(half);
}
END_TEST

/* --- import --- */

static struct {
	GString *fed;
	char *source;
	int64_t not_after;
	int begun, ended, aborted;
	int begin_error;   /* errno with which begin fails */
	size_t fail_after; /* bytes after which feed fails; 0 = never */
	int feed_ms;
} import;
static pthread_mutex_t import_lock = PTHREAD_MUTEX_INITIALIZER;

static void *import_begin(void *ctx, const struct query_import_target *target, struct error *err)
{
	pthread_mutex_lock(&import_lock);
	import.begun++;
	import.fed = g_string_new(NULL);
	import.source = g_strdup(target->source);
	import.not_after = target->not_after;
	pthread_mutex_unlock(&import_lock);
	if (import.begin_error == 0)
		return ctx;
	error_errno(err, import.begin_error, "cannot import");
	return NULL;
}

static int import_feed(void *ctx, const char *bytes, size_t n, struct error *err)
{
	(void)ctx;
	g_usleep((gulong)import.feed_ms * 1000);
	pthread_mutex_lock(&import_lock);
	g_string_append_len(import.fed, bytes, (gssize)n);
	bool fail = import.fail_after > 0 && import.fed->len > import.fail_after;
	pthread_mutex_unlock(&import_lock);
	return fail ? error_set(err, "the disk is full") : 0;
}

static int import_end(void *ctx, bool aborted, GString *out, struct error *err)
{
	(void)ctx;
	(void)err;
	pthread_mutex_lock(&import_lock);
	import.ended++;
	import.aborted += aborted;
	g_string_append_printf(out, "{\"bytes\":%zu}", import.fed->len);
	pthread_mutex_unlock(&import_lock);
	return 0;
}

static void start_import(struct query_server_config config)
{
	static int context;

	if (import.fed != NULL)
		g_string_free(import.fed, true);
	g_free(import.source);
	memset(&import, 0, sizeof(import));
	config.import = (struct query_import){&context, import_begin, import_feed, import_end};
	start(config);
}

static int imports(const int *counter)
{
	pthread_mutex_lock(&import_lock);
	int n = *counter;
	pthread_mutex_unlock(&import_lock);
	return n;
}

/* Text of n bytes that tells its place. */
static GString *lines(size_t n)
{
	GString *text = g_string_new(NULL);

	for (int i = 0; text->len < n; i++)
		g_string_append_printf(text, "line %d\n", i);
	g_string_truncate(text, n);
	return text;
}

static void upload(int fd, const GString *text)
{
	g_autofree char *head = g_strdup_printf(
	        "POST /api/v1/import?source=mail.log&not_after=17 HTTP/1.1\r\nHost: x\r\n"
	        "Content-Length: %zu\r\n\r\n",
	        text->len);

	put(fd, head);
	put_n(fd, text->str, text->len);
}

START_TEST(an_import_arrives_whole_and_in_order)
{
	static const size_t sizes[] = {0, 1, 70000, 3000000};

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GString) text = lines(sizes[i]);
		struct answer answer;

		start_import((struct query_server_config){0});
		int fd = client();
		upload(fd, text);
		ck_assert(get(fd, false, &answer));
		g_autofree char *want = g_strdup_printf("{\"results\":{\"bytes\":%zu}}", sizes[i]);
		ck_assert_int_eq(answer.status, 200);
		ck_assert_str_eq(answer.body->str, want);
		answer_clear(&answer);
		ck_assert_str_eq(import.fed->str, text->str);
		ck_assert_str_eq(import.source, "mail.log");
		ck_assert_int_eq(import.not_after, 17);
		ck_assert_int_eq(import.ended, 1);
		ck_assert_int_eq(import.aborted, 0);
		check(fd, "GET", DOCUMENTATION, 200, NULL);
		close(fd);
		stop();
	}
}
END_TEST

START_TEST(a_chunked_import_arrives_whole)
{
	g_autoptr(GString) text = lines(20000);
	struct answer answer;

	start_import((struct query_server_config){0});
	int fd = client();
	g_autoptr(GString) out = g_string_new("POST /api/v1/import?source=- HTTP/1.1\r\nHost: "
	                                      "x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0; at < text->len; at += 100)
		g_string_append_printf(out, "64\r\n%.100s\r\n", text->str + at);
	g_string_append(out, "0\r\n\r\n");
	put_n(fd, out->str, out->len); /* many chunks in one read of the server */
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 200);
	answer_clear(&answer);
	ck_assert_str_eq(import.fed->str, text->str);
	close(fd);
	stop();
}
END_TEST

START_TEST(a_slow_import_holds_no_query_up)
{
	g_autoptr(GString) text = lines(400000);
	struct answer answer;

	start_import((struct query_server_config){.threads = 1, .deadline_ms = 300});
	import.feed_ms = 100;
	int fd = client(), other = client();
	gint64 begun = g_get_monotonic_time();
	upload(fd, text);
	for (int i = 0; i < 10; i++)
		check(other, "GET", DOCUMENTATION, 200, NULL);
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 200); /* though it took longer than a request may */
	ck_assert_double_gt(seconds_since(begun), 0.3);
	answer_clear(&answer);
	close(fd);
	close(other);
	stop();
}
END_TEST

START_TEST(an_import_whose_client_goes_away_is_aborted)
{
	g_autoptr(GString) text = lines(100000);

	start_import((struct query_server_config){0});
	int fd = client();
	put(fd, "POST /api/v1/import?source=x HTTP/1.1\r\nHost: x\r\nContent-Length: "
	        "999999\r\n\r\n");
	put_n(fd, text->str, text->len);
	WAIT_FOR(imports(&import.begun) == 1);
	close(fd);
	WAIT_FOR(imports(&import.ended) == 1);
	ck_assert_int_eq(import.aborted, 1);
	stop();
}
END_TEST

START_TEST(an_import_that_fails_says_why)
{
	g_autoptr(GString) text = lines(500000);
	struct answer answer;

	start_import((struct query_server_config){0});
	import.fail_after = 100000;
	int fd = client();
	upload(fd, text);
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 500);
	ck_assert_str_eq(answer.body->str, "{\"errors\":[{\"message\":\"the disk is full\"}]}");
	answer_clear(&answer);
	ck_assert_int_eq(import.ended, 1);
	ck_assert_int_eq(import.aborted, 1);
	close(fd);
	stop();
}
END_TEST

START_TEST(an_import_is_refused_before_its_body)
{
	struct answer answer;

	start_import((struct query_server_config){0});
	import.begin_error = EBUSY;
	int fd = client();
	put(fd, "POST /api/v1/import?source=x HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n"
	        "Expect: 100-continue\r\n\r\n");
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 409);
	answer_clear(&answer);
	close(fd);
	fd = client();
	put(fd, "POST /api/v1/import HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
	ck_assert(get(fd, false, &answer));
	ck_assert_int_eq(answer.status, 400);
	answer_clear(&answer);
	close(fd);
	fd = client();
	answer = asked(fd, "GET", "/api/v1/import", 405);
	ck_assert_ptr_nonnull(strstr(answer.head->str, "Allow: POST\r\n"));
	answer_clear(&answer);
	check(fd, "POST", "/api/v1/import", 400,
	        "{\"errors\":[{\"param\":\"source\",\"message\":\"source must be "
	        "given\",\"value\":\"\"}]}");
	close(fd);
	ck_assert_int_eq(import.ended, 0);
	stop();
}
END_TEST

START_TEST(stopping_aborts_imports)
{
	g_autoptr(GString) text = lines(100000);

	start_import((struct query_server_config){0});
	import.feed_ms = 50;
	int fd = client(), waiting = client();
	put(fd, "POST /api/v1/import?source=x HTTP/1.1\r\nHost: x\r\nContent-Length: "
	        "9999999\r\n\r\n");
	put_n(fd, text->str, text->len);
	WAIT_FOR(imports(&import.begun) == 1);
	stop();
	ck_assert_int_eq(import.ended, 1);
	ck_assert_int_eq(import.aborted, 1);
	close(fd);
	close(waiting);
}
END_TEST

UNIT_MAIN("server", the_socket_has_its_mode_from_the_first_moment,
        a_live_socket_is_refused_and_stays, a_dead_socket_is_replaced,
        what_is_no_socket_is_left_alone, one_connection_serves_many_requests,
        pipelined_requests_are_answered_in_order, head_is_get_without_the_body,
        errors_are_json_with_their_status, a_target_of_4096_characters_is_the_longest,
        a_longer_target_with_a_mark_is_a_link, a_nul_byte_in_the_target_is_refused,
        what_is_refused_is_refused_before_its_body, headers_of_real_clients_are_accepted,
        clients_whose_host_is_the_socket_get_links_without_colons, a_slow_request_holds_nobody_up,
        a_client_that_sends_or_reads_slowly_holds_nobody_up,
        a_request_that_drips_in_ends_at_its_deadline, idle_connections_make_room_for_new_ones,
        requests_that_waited_too_long_get_a_503, many_clients_at_once_are_all_answered,
        stopping_finishes_what_runs, an_import_arrives_whole_and_in_order,
        a_chunked_import_arrives_whole, a_slow_import_holds_no_query_up,
        an_import_whose_client_goes_away_is_aborted, an_import_that_fails_says_why,
        an_import_is_refused_before_its_body, stopping_aborts_imports)
