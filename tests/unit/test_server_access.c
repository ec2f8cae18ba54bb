/* Who may do what, over a real UNIX socket, TCP and TLS. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <glib/gstdio.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "query/keys.h"
#include "query/server.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

#define SEARCH "/api/v1/message-events"
#define DOCUMENTATION SEARCH "/events/documentation"
#define OTHER_UID 65534

static char *dir, *path, *certificate, *private_key;
static struct store *store;
static struct keyring *keyring;
static struct query_server *server;
static unsigned port;

/* A port that nobody listens on. */
static unsigned free_port(void)
{
	struct sockaddr_in address = {
	        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, n), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void setup(void)
{
	dir = scratch_make();
	g_chmod(dir, 0755);
	path = g_build_filename(dir, "q", NULL);
	certificate = g_build_filename(dir, "cert.pem", NULL);
	private_key = g_build_filename(dir, "key.pem", NULL);
	store = open_store(dir, STORE_WRITE);
	port = free_port();
}

static void teardown(void)
{
	query_server_free(&server);
	keyring_free(&keyring);
	store_close(&store);
	g_free(path);
	g_free(certificate);
	g_free(private_key);
	scratch_remove(&dir);
}

static struct query_server *try_start(
        struct query_server_config config, int rate, struct error *err)
{
	const struct keyring_config keys = {.store = store, .rate = rate, .burst = 2};

	if (keyring == NULL)
		ck_assert_int_eq(keyring_open(&keyring, &keys, err), 0);
	config.socket = path;
	config.mode = 0666;
	config.query.keyring = keyring;
	return query_server_new(store, &config, err);
}

static void start(struct query_server_config config, int rate)
{
	struct error err = {0};

	server = try_start(config, rate, &err);
	ck_assert_msg(server != NULL, "%s", err.text);
}

static struct query_listen plain(void)
{
	return (struct query_listen){.port = port, .address = "127.0.0.1"};
}

static char *make_key(const char *grants, const char *subaccounts, const char *domains)
{
	const struct access_words words = {grants, subaccounts, domains};
	g_autofree char *id = NULL;
	char *text = keyring_add(keyring, "test", &words, &id, NULL);

	ck_assert_ptr_nonnull(text);
	return text;
}

/* --- a client --- */

struct asking {
	const char *base;      /* "http://127.0.0.1:1"; NULL = the UNIX socket */
	const char *key;       /* NULL = none */
	const char *header;    /* one more; NULL = none */
	const char *authority; /* file that the certificate is checked with */
	bool basic;
	const char *post; /* a body; NULL = GET */
};

static size_t take(char *bytes, size_t size, size_t n, void *out)
{
	g_string_append_len(out, bytes, (gssize)(size * n));
	return size * n;
}

static struct curl_slist *headers_of(const struct asking *asking)
{
	struct curl_slist *headers = NULL;

	if (asking->header != NULL)
		headers = curl_slist_append(headers, asking->header);
	if (asking->key != NULL && !asking->basic) {
		g_autofree char *text = g_strconcat("Authorization: ", asking->key, NULL);
		headers = curl_slist_append(headers, text);
	}
	return headers;
}

/* The status, 0 where there was no answer; what came in *out: headers and body. */
static long ask_with(CURL *curl, const struct asking *asking, const char *target, GString *out)
{
	g_autofree char *url =
	        g_strconcat(asking->base != NULL ? asking->base : "http://localhost", target, NULL);
	g_autofree char *user = g_strconcat(asking->key != NULL ? asking->key : "", ":", NULL);
	struct curl_slist *headers = headers_of(asking);
	long status = 0;

	g_string_truncate(out, 0);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, asking->base == NULL ? path : NULL);
	curl_easy_setopt(curl, CURLOPT_CAINFO, asking->authority);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERPWD, asking->basic ? user : NULL);
	if (asking->post != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, asking->post);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, out);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	return status;
}

static long ask(const struct asking *asking, const char *target, GString *out)
{
	CURL *curl = curl_easy_init();
	long status = ask_with(curl, asking, target, out);

	curl_easy_cleanup(curl);
	return status;
}

static void check(const struct asking *asking, const char *target, long want)
{
	g_autoptr(GString) out = g_string_new(NULL);
	long status = ask(asking, target, out);

	ck_assert_msg(status == want, "%s: %ld, want %ld\n%s", target, status, want, out->str);
}

/* The same as another user; -1 where that takes root and we are none. */
static int ask_as_other(const struct asking *asking, const char *target)
{
	int result;

	if (geteuid() != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		if (setresgid(OTHER_UID, OTHER_UID, OTHER_UID) < 0 ||
		        setresuid(OTHER_UID, OTHER_UID, OTHER_UID) < 0)
			_exit(1);
		GString *out = g_string_new(NULL);
		long status = ask(asking, target, out);
		g_string_free(out, TRUE);
		_exit((int)(status / 2)); /* fits in a byte so */
	}
	ck_assert_int_eq(waitpid(child, &result, 0), child);
	return 2 * WEXITSTATUS(result);
}

/* Of each answer only its half gets through. */
static void check_other(const struct asking *asking, const char *target, int want)
{
	int status = ask_as_other(asking, target);

	ck_assert_msg(status == -1 || status / 2 == want / 2, "%s: %d", target, status);
}

/* --- keys over TCP --- */

START_TEST(without_a_key_tcp_gives_only_what_needs_none)
{
	start((struct query_server_config){.listen = plain()}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	const struct asking nobody = {.base = base};
	const struct asking wrong = {.base = base, .key = "pw_000000000000_x"};
	const struct asking odd = {.base = base, .header = "Authorization: Basic %%%%"};
	const struct asking control = {.base = base, .header = "Authorization: \x01"};
	g_autoptr(GString) out = g_string_new(NULL);

	check(&nobody, DOCUMENTATION, 200);
	check(&nobody, SEARCH "/events/samples", 200);
	check(&wrong, DOCUMENTATION, 200);
	check(&wrong, SEARCH, 401);
	check(&odd, SEARCH, 401);
	check(&control, SEARCH, 400);
	check(&nobody, "/api/v1/keys", 401);
	check(&nobody, "/nowhere", 404);
	ck_assert_int_eq(ask(&nobody, SEARCH, out), 401);
	ck_assert_ptr_nonnull(strstr(out->str, "{\"errors\":[{\"message\":\"Unauthorized.\"}]}"));
	ck_assert_ptr_nonnull(strstr(out->str, "WWW-Authenticate: Basic"));
}
END_TEST

START_TEST(a_key_opens_what_it_grants_in_both_forms)
{
	start((struct query_server_config){.listen = plain()}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *reader = make_key("read", NULL, NULL);
	g_autofree char *uploader = make_key("upload", NULL, NULL);
	const struct asking bare = {.base = base, .key = reader};
	const struct asking basic = {.base = base, .key = reader, .basic = true};
	const struct asking other = {.base = base, .key = uploader};
	g_autoptr(GString) out = g_string_new(NULL);

	check(&bare, SEARCH, 200);
	check(&basic, SEARCH, 200);
	check(&bare, "/api/v1/keys", 403);
	ck_assert_int_eq(ask(&other, SEARCH, out), 403);
	ck_assert_ptr_nonnull(strstr(out->str, "{\"errors\":[{\"message\":\"Forbidden.\"}]}"));
}
END_TEST

/* Imports and reports are for this machine. */
static void *never_begin(void *ctx, const struct query_import_target *target, struct error *err)
{
	(void)ctx;
	(void)target;
	error_set(err, "must not be called");
	return NULL;
}

static int never_take(void *ctx, struct slice mail, GString *out, struct error *err)
{
	(void)ctx;
	(void)mail;
	(void)out;
	return error_set(err, "must not be called");
}

START_TEST(no_key_lets_import_or_report_over_tcp)
{
	start((struct query_server_config){.listen = plain(),
	              .import = {.begin = never_begin},
	              .report = {.most = 100, .take = never_take}},
	        0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read ingest upload", NULL, NULL);
	const struct asking with = {.base = base, .key = key, .post = "x"};
	const struct asking without = {.base = base, .post = "x"};

	check(&with, "/api/v1/import?source=x", 403);
	check(&without, "/api/v1/import?source=x", 401);
	check(&with, "/api/v1/report", 403);
	check(&without, "/api/v1/report", 401);
}
END_TEST

START_TEST(a_revoked_key_opens_nothing_on_the_same_connection)
{
	start((struct query_server_config){.listen = plain()}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read", NULL, NULL);
	g_autofree char *id = keyring_id(key);
	const struct asking asking = {.base = base, .key = key};
	g_autoptr(GString) out = g_string_new(NULL);
	CURL *curl = curl_easy_init();

	ck_assert_int_eq(ask_with(curl, &asking, SEARCH, out), 200);
	ck_assert_int_eq(keyring_revoke(keyring, id, NULL), 1);
	ck_assert_int_eq(ask_with(curl, &asking, SEARCH, out), 401);
	curl_easy_cleanup(curl);
}
END_TEST

START_TEST(a_key_that_asks_too_often_gets_a_429)
{
	start((struct query_server_config){.listen = plain()}, 1);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read", NULL, NULL);
	g_autofree char *other = make_key("read", NULL, NULL);
	const struct asking asking = {.base = base, .key = key};
	const struct asking another = {.base = base, .key = other};
	g_autoptr(GString) out = g_string_new(NULL);

	check(&asking, SEARCH, 200);
	check(&asking, SEARCH, 200);
	ck_assert_int_eq(ask(&asking, SEARCH, out), 429);
	ck_assert_ptr_nonnull(strstr(out->str, "\"message\":\"Too many requests\""));
	const char *wait = strstr(out->str, "Retry-After: ");
	ck_assert_ptr_nonnull(wait);
	ck_assert_int_ge(atoi(wait + strlen("Retry-After: ")), 55);
	check(&another, SEARCH, 200);
}
END_TEST

START_TEST(documentation_and_samples_look_at_no_key)
{
	static const char *const targets[] = {"/api/v1/message-events/events/documentation",
	        "/api/v1/message-events/events/samples", "/api/v1/ingest/events/documentation",
	        "/api/v1/ingest/events/samples", "/api/v1/events/message/documentation",
	        "/api/v1/events/message/samples"};

	start((struct query_server_config){.listen = plain()}, 1);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read", NULL, NULL);
	const struct asking asking = {.base = base, .key = key};
	const struct asking unknown = {.base = base, .key = "pw_000000000000_x"};

	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
		check(&asking, targets[i], 200);
		check(&unknown, targets[i], 200);
	}
	check(&asking, SEARCH, 200);
	check(&asking, SEARCH, 200);
	check(&asking, SEARCH, 429);
	check(&asking, targets[0], 200);
}
END_TEST

START_TEST(access_token_is_a_key_for_smtpeter_alone)
{
	start((struct query_server_config){.listen = plain()}, 1);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read", NULL, NULL);
	const struct asking nobody = {.base = base};
	g_autofree char *search = g_strconcat(SEARCH "?access_token=", key, NULL);
	g_autofree char *smtpeter = g_strconcat("/v1/nowhere?access_token=", key, NULL);

	check(&nobody, search, 401);
	check(&nobody, "/v1/nowhere?access_token=pw_000000000000_x", 404);
	check(&nobody, smtpeter, 404); /* known: its rate of two at once counts */
	check(&nobody, smtpeter, 404);
	check(&nobody, smtpeter, 429);
}
END_TEST

/* --- what is seen --- */

/* Deliveries of subaccounts 1, 2 and 3 to domains a, b and c. */
static void fill(void)
{
	struct event events[3];
	char recipients[3][24], numbers[3][2], messages[3][24];

	for (int i = 0; i < 3; i++) {
		g_snprintf(recipients[i], 24, "joe@%c.example", 'a' + i);
		g_snprintf(numbers[i], 2, "%d", i + 1);
		g_snprintf(messages[i], 24, "000000000000000000%02d", i);
		events[i] = make_event(EVENT_DELIVERY, clock_now() - 1000, (uint64_t)i + 1,
		        messages[i], recipients[i]);
		set_field(&events[i], FIELD_SUBACCOUNT_ID, numbers[i]);
		set_field(&events[i], FIELD_RECIPIENT_DOMAIN, strchr(recipients[i], '@') + 1);
		set_field(&events[i], FIELD_SENDING_DOMAIN, "shop.example");
	}
	ck_assert_uint_eq(commit_events(store, events, 3), 3);
}

/* Which of the three domains an answer shows, and that its total is as many. */
static void check_seen(const struct asking *asking, const char *target, const char *want)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(GString) seen = g_string_new(NULL);

	ck_assert_int_eq(ask(asking, target, out), 200);
	for (char c = 'a'; c <= 'c'; c++) {
		g_autofree char *text = g_strdup_printf("\"joe@%c.example\"", c);

		if (strstr(out->str, text) != NULL)
			g_string_append_c(seen, c);
	}
	ck_assert_msg(strcmp(seen->str, want) == 0, "%s: %s, want %s", target, seen->str, want);
	g_autofree char *total = g_strdup_printf("\"total_count\":%zu,", strlen(want));
	ck_assert_msg(strstr(target, "since=") != NULL || strstr(out->str, total) != NULL, "%s",
	        out->str);
}

START_TEST(a_key_sees_its_subaccounts_and_domains_in_results_and_totals)
{
	static const struct {
		const char *subaccounts, *domains, *seen;
	} rows[] = {
	        {NULL, NULL, "abc"},
	        {"1", NULL, "a"},
	        {"1 3 9", NULL, "ac"},
	        {NULL, "b.example", "b"},
	        {NULL, "shop.example", "abc"}, /* from it */
	        {"1 2", "b.example c.example", "b"},
	        {"9", NULL, ""},
	        {NULL, "example", ""},
	};

	fill();
	start((struct query_server_config){.listen = plain()}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *key = make_key("read", rows[i].subaccounts, rows[i].domains);
		const struct asking asking = {.base = base, .key = key};

		check_seen(&asking, SEARCH, rows[i].seen);
		check_seen(&asking, SEARCH "?events=delivery&per_page=10", rows[i].seen);
		check_seen(&asking, SEARCH "?since=0", rows[i].seen);
	}
}
END_TEST

START_TEST(a_key_of_another_subaccount_finds_nothing_of_a_known_mail)
{
	fill();
	start((struct query_server_config){.listen = plain()}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read", "2", NULL);
	const struct asking asking = {.base = base, .key = key};

	check_seen(&asking, SEARCH "?recipients=joe@a.example", "");
	check_seen(&asking, SEARCH "?subaccounts=1", "");
	check_seen(&asking, SEARCH "?subaccounts=1,2,3", "b");
}
END_TEST

START_TEST(who_sees_a_part_gets_no_status_of_the_whole)
{
	g_autoptr(GString) out = g_string_new(NULL);

	fill();
	start((struct query_server_config){.listen = plain()}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read", NULL, "a.example");
	const struct asking asking = {.base = base, .key = key};

	ck_assert_int_eq(ask(&asking, "/api/v1/status", out), 200);
	ck_assert_ptr_nonnull(strstr(out->str, "\r\n\r\n{\"results\":{\"mark\":3}}"));
}
END_TEST

START_TEST(the_header_of_a_subaccount_narrows_whom_it_is_not_narrowed_for)
{
	fill();
	start((struct query_server_config){.listen = plain()}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *whole = make_key("read", NULL, NULL);
	g_autofree char *part = make_key("read", "1", NULL);
	const struct asking narrowed = {
	        .base = base, .key = whole, .header = "X-MSYS-SUBACCOUNT: 2"};
	const struct asking ignored = {.base = base, .key = part, .header = "X-MSYS-SUBACCOUNT: 2"};
	const struct asking bad = {.base = base, .key = whole, .header = "X-MSYS-SUBACCOUNT: 1 2"};
	const struct asking socket = {.header = "X-MSYS-SUBACCOUNT: 3"};

	check_seen(&narrowed, SEARCH, "b");
	check_seen(&ignored, SEARCH, "a");
	check_seen(&socket, SEARCH, "c");
	check(&bad, SEARCH, 400);
}
END_TEST

/* --- the UNIX socket --- */

START_TEST(another_user_may_do_what_the_table_says)
{
	const struct access_row rows[] = {{"x", "65534", NULL, {"read", NULL, "a.example"}}};
	const struct access_row none[] = {{"x", "12345", NULL, {"read", NULL, NULL}}};
	const struct asking asking = {0};
	struct access_table *table = access_table_new(rows, 1, NULL);

	start((struct query_server_config){.table = table}, 0);
	check(&asking, "/api/v1/keys", 200);
	check_other(&asking, SEARCH, 200);
	check_other(&asking, "/api/v1/keys", 403);
	query_server_free(&server);
	access_table_free(&table);
	table = access_table_new(none, 1, NULL);
	start((struct query_server_config){.table = table}, 0);
	check_other(&asking, SEARCH, 403);
	check_other(&asking, DOCUMENTATION, 200);
	query_server_free(&server);
	start((struct query_server_config){0}, 0);
	check_other(&asking, SEARCH, 200);
	check_other(&asking, "/api/v1/keys", 403);
	query_server_free(&server);
	access_table_free(&table);
}
END_TEST

START_TEST(keys_on_the_socket_mean_nothing_unless_they_are_required)
{
	start((struct query_server_config){0}, 0);
	g_autofree char *key = make_key("upload", NULL, NULL);
	const struct asking with = {.key = key}, without = {0}, wrong = {.key = "x"};

	check(&with, SEARCH, 200);
	check(&wrong, SEARCH, 200);
	check_other(&wrong, SEARCH, 200);
	query_server_free(&server);
	start((struct query_server_config){.socket_keys = true}, 0);
	check(&without, SEARCH, 200); /* who may do everything needs none … */
	check(&wrong, SEARCH, 401);
	check(&with, SEARCH, 403); /* … but one that is given counts */
	check_other(&without, SEARCH, 401);
	check_other(&without, DOCUMENTATION, 200);
	check_other(&with, SEARCH, 403);
	g_autofree char *reader = make_key("read", NULL, NULL);
	const struct asking reading = {.key = reader};
	check_other(&reading, SEARCH, 200);
}
END_TEST

START_TEST(a_key_on_the_socket_only_narrows_what_the_user_may)
{
	const struct access_row rows[] = {{"x", "65534", NULL, {"ingest", NULL, NULL}}};
	struct access_table *table = access_table_new(rows, 1, NULL);

	start((struct query_server_config){.table = table, .socket_keys = true}, 0);
	g_autofree char *reader = make_key("read", NULL, NULL);
	const struct asking reading = {.key = reader};
	check_other(&reading, SEARCH, 403);
	query_server_free(&server);
	access_table_free(&table);
}
END_TEST

/* --- TLS --- */

/* A certificate for 127.0.0.1 by itself, and its key. */
static void write_pair(const char *name)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t text;
	const unsigned char loopback[] = {127, 0, 0, 1};

	gnutls_x509_privkey_init(&key);
	gnutls_x509_privkey_generate(
	        key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, name, strlen(name));
	gnutls_x509_crt_set_dn(crt, name, NULL);
	gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
	gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, loopback, 4, 0);
	gnutls_x509_crt_set_key(crt, key);
	ck_assert_int_eq(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
	gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &text);
	ck_assert(g_file_set_contents(certificate, (char *)text.data, text.size, NULL));
	gnutls_free(text.data);
	gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text);
	ck_assert(g_file_set_contents(private_key, (char *)text.data, text.size, NULL));
	gnutls_free(text.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static struct query_listen encrypted(void)
{
	return (struct query_listen){.port = port,
	        .address = "127.0.0.1",
	        .certificate = certificate,
	        .key = private_key};
}

static void copy(const char *from, const char *to)
{
	g_autofree char *text = NULL;
	gsize n;

	ck_assert(g_file_get_contents(from, &text, &n, NULL));
	ck_assert(g_file_set_contents(to, text, (gssize)n, NULL));
}

START_TEST(over_tls_all_is_as_without)
{
	write_pair("CN=one");
	fill();
	start((struct query_server_config){.listen = encrypted()}, 0);
	g_autofree char *base = g_strdup_printf("https://127.0.0.1:%u", port);
	g_autofree char *clear = g_strdup_printf("http://127.0.0.1:%u", port);
	g_autofree char *key = make_key("read", NULL, NULL);
	const struct asking asking = {.base = base, .key = key, .authority = certificate};
	const struct asking nobody = {.base = base, .authority = certificate};
	const struct asking unencrypted = {.base = clear, .key = key};
	g_autoptr(GString) out = g_string_new(NULL);
	CURL *curl = curl_easy_init();

	check_seen(&asking, SEARCH, "abc");
	check(&nobody, SEARCH, 401);
	check(&unencrypted, SEARCH, 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(ask_with(curl, &asking, DOCUMENTATION, out), 200);
	ck_assert_uint_gt(out->len, 10000);
	curl_easy_cleanup(curl);
}
END_TEST

START_TEST(old_versions_of_tls_are_not_spoken)
{
	write_pair("CN=one");
	start((struct query_server_config){.listen = encrypted()}, 0);
	g_autofree char *base = g_strdup_printf("https://127.0.0.1:%u", port);
	const struct asking asking = {.base = base, .authority = certificate};
	g_autoptr(GString) out = g_string_new(NULL);
	CURL *curl = curl_easy_init();

	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
	        (long)(CURL_SSLVERSION_TLSv1_0 | CURL_SSLVERSION_MAX_TLSv1_1));
	curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "ALL:@SECLEVEL=0");
	ck_assert_int_eq(ask_with(curl, &asking, DOCUMENTATION, out), 0);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
	        (long)(CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2));
	ck_assert_int_eq(ask_with(curl, &asking, DOCUMENTATION, out), 200);
	curl_easy_cleanup(curl);
}
END_TEST

START_TEST(a_new_certificate_is_taken_up_and_no_connection_is_lost)
{
	g_autofree char *old = g_build_filename(dir, "old.pem", NULL);
	struct error err = {0};

	write_pair("CN=one");
	copy(certificate, old);
	start((struct query_server_config){.listen = encrypted()}, 0);
	g_autofree char *base = g_strdup_printf("https://127.0.0.1:%u", port);
	const struct asking before = {.base = base, .authority = old};
	const struct asking after = {.base = base, .authority = certificate};
	g_autoptr(GString) out = g_string_new(NULL);
	CURL *curl = curl_easy_init();
	long connects = 0;

	ck_assert_int_eq(query_server_renew(server, false, &err), 0);
	ck_assert_int_eq(ask_with(curl, &before, DOCUMENTATION, out), 200);
	write_pair("CN=two");
	ck_assert_int_eq(query_server_renew(server, false, &err), 1);
	ck_assert_int_eq(query_server_renew(server, false, &err), 0);
	ck_assert_int_eq(ask_with(curl, &before, DOCUMENTATION, out), 200);
	curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
	ck_assert_int_eq(connects, 0); /* on the connection that was there */
	curl_easy_cleanup(curl);
	check(&after, DOCUMENTATION, 200);
	check(&before, DOCUMENTATION, 0);
	ck_assert_int_eq(query_server_renew(server, true, &err), 1);
	check(&after, DOCUMENTATION, 200);
}
END_TEST

START_TEST(a_certificate_that_is_of_no_use_leaves_the_old_one)
{
	g_autofree char *old = g_build_filename(dir, "old.pem", NULL);
	g_autofree char *old_key = g_build_filename(dir, "old-key.pem", NULL);
	struct error err = {0};

	write_pair("CN=one");
	copy(certificate, old);
	copy(private_key, old_key);
	start((struct query_server_config){.listen = encrypted()}, 0);
	g_autofree char *base = g_strdup_printf("https://127.0.0.1:%u", port);
	const struct asking before = {.base = base, .authority = old};
	write_pair("CN=two");
	copy(old_key, private_key); /* only half of it is new */
	ck_assert_int_eq(query_server_renew(server, false, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "is not that of the certificate"));
	ck_assert_int_eq(query_server_renew(server, false, NULL), 0);
	check(&before, DOCUMENTATION, 200);
	error_clear(&err);
	ck_assert(g_file_set_contents(certificate, "rubbish", 7, NULL));
	ck_assert_int_eq(query_server_renew(server, false, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "is no certificate"));
	error_clear(&err);
	g_unlink(certificate);
	ck_assert_int_eq(query_server_renew(server, false, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, certificate));
	check(&before, DOCUMENTATION, 200);
	copy(old, certificate);
	ck_assert_int_eq(query_server_renew(server, false, NULL), 1);
	check(&before, DOCUMENTATION, 200);
}
END_TEST

/* --- starts that are refused --- */

static void check_refused(struct query_listen listen, const char *because)
{
	struct error err = {0};

	ck_assert_ptr_null(try_start((struct query_server_config){.listen = listen}, 0, &err));
	ck_assert_msg(strstr(err.text, because) != NULL, "%s", err.text);
	ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
}

START_TEST(keys_go_over_no_open_network_without_tls_unless_it_is_said)
{
	struct query_listen listen = {.port = port, .address = "0.0.0.0"};

	check_refused(listen, "[listen] address = 0.0.0.0 can be reached from elsewhere");
	listen.insecure = true;
	start((struct query_server_config){.listen = listen}, 0);
	g_autofree char *base = g_strdup_printf("http://127.0.0.1:%u", port);
	const struct asking nobody = {.base = base};
	check(&nobody, DOCUMENTATION, 200);
}
END_TEST

START_TEST(a_listener_that_cannot_work_is_refused_with_its_reason)
{
	write_pair("CN=one");
	check_refused((struct query_listen){.port = port, .address = "203.0.113.1"},
	        "cannot listen on 203.0.113.1 port");
	check_refused((struct query_listen){.port = port, .address = "no.such.host.invalid"},
	        "cannot listen on no.such.host.invalid");
	check_refused(
	        (struct query_listen){
	                .port = port, .address = "127.0.0.1", .certificate = certificate},
	        "belong together");
	check_refused((struct query_listen){.port = port,
	                      .address = "127.0.0.1",
	                      .certificate = private_key,
	                      .key = private_key},
	        "is no certificate");
	check_refused((struct query_listen){.port = port,
	                      .address = "127.0.0.1",
	                      .certificate = certificate,
	                      .key = certificate},
	        "is no key");
	check_refused((struct query_listen){.port = port,
	                      .address = "127.0.0.1",
	                      .certificate = "/nonexistent",
	                      .key = private_key},
	        "/nonexistent");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {without_a_key_tcp_gives_only_what_needs_none,
	        a_key_opens_what_it_grants_in_both_forms, no_key_lets_import_or_report_over_tcp,
	        a_revoked_key_opens_nothing_on_the_same_connection,
	        a_key_that_asks_too_often_gets_a_429, documentation_and_samples_look_at_no_key,
	        access_token_is_a_key_for_smtpeter_alone,
	        a_key_sees_its_subaccounts_and_domains_in_results_and_totals,
	        a_key_of_another_subaccount_finds_nothing_of_a_known_mail,
	        who_sees_a_part_gets_no_status_of_the_whole,
	        the_header_of_a_subaccount_narrows_whom_it_is_not_narrowed_for,
	        another_user_may_do_what_the_table_says,
	        keys_on_the_socket_mean_nothing_unless_they_are_required,
	        a_key_on_the_socket_only_narrows_what_the_user_may, over_tls_all_is_as_without,
	        old_versions_of_tls_are_not_spoken,
	        a_new_certificate_is_taken_up_and_no_connection_is_lost,
	        a_certificate_that_is_of_no_use_leaves_the_old_one,
	        keys_go_over_no_open_network_without_tls_unless_it_is_said,
	        a_listener_that_cannot_work_is_refused_with_its_reason, NULL};

	curl_global_init(CURL_GLOBAL_DEFAULT);
	return run_store_tests("server_access", setup, teardown, tests);
}
