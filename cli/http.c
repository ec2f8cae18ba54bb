#include "cli/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* While the socket's queue is full: every so many us, so many times. */
#define DIAL_PAUSE 20000
#define DIAL_TRIES 500

struct http {
	CURL *curl;
	char *socket;
};

struct http_upload {
	ssize_t (*read)(void *ctx, char *buffer, size_t size);
	void *ctx;
};

/* A server says something every 15 s at least. */
#define STREAM_SILENCE_S 60L

struct http_stream {
	struct http *http;
	void (*take)(void *ctx, struct slice bytes);
	void *ctx;
	GString *body;
};

struct http *http_new(const char *socket)
{
	struct http *http = g_new0(struct http, 1);

	http->socket = g_strdup(socket);
	http->curl = curl_easy_init();
	return http;
}

void http_free(struct http **http)
{
	if (*http == NULL)
		return;
	curl_easy_cleanup((*http)->curl);
	g_free((*http)->socket);
	g_clear_pointer(http, g_free);
}

static size_t http_write(char *bytes, size_t size, size_t n, void *body)
{
	g_string_append_len(body, bytes, (gssize)(size * n));
	return size * n;
}

static size_t http_take(char *bytes, size_t size, size_t n, void *data)
{
	struct http_stream *stream = data;
	long status = 0;

	curl_easy_getinfo(stream->http->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		stream->take(stream->ctx, slice_make(bytes, size * n));
	else
		http_write(bytes, size, n, stream->body);
	return size * n;
}

static size_t http_read(char *buffer, size_t size, size_t n, void *data)
{
	struct http_upload *upload = data;
	ssize_t got = upload->read(upload->ctx, buffer, size * n);

	return got >= 0 ? (size_t)got : CURL_READFUNC_ABORT;
}

/* Why there is no connection, which libcurl does not tell of a queue that is full: EAGAIN, also
 * where there is room by now. */
static int http_dial(const struct http *http)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return errno;
	g_strlcpy(address.sun_path, http->socket, sizeof(address.sun_path));
	int number = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : EAGAIN;
	close(fd);
	return number;
}

static CURLcode http_try(struct http *http, int *number_r)
{
	CURLcode code;
	int tries = 0;

	while ((code = curl_easy_perform(http->curl)) == CURLE_COULDNT_CONNECT &&
	        (*number_r = http_dial(http)) == EAGAIN && ++tries < DIAL_TRIES)
		g_usleep(DIAL_PAUSE);
	return code;
}

/* Who takes the answer is set by the caller. */
static int http_run(struct http *http, const char *uri, long *status_r, struct error *err)
{
	g_autofree char *url = g_strconcat("http://localhost", uri, NULL);
	int number = 0;

	curl_easy_setopt(http->curl, CURLOPT_UNIX_SOCKET_PATH, http->socket);
	curl_easy_setopt(http->curl, CURLOPT_URL, url);
	curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(http->curl, CURLOPT_NOPROXY, "*");
	CURLcode code = http_try(http, &number);
	if (code == CURLE_OK) {
		curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, status_r);
		return 0;
	}
	if (code != CURLE_COULDNT_CONNECT)
		return error_set(err, "%s: %s", http->socket, curl_easy_strerror(code));
	return error_errno(err, number, "cannot reach postwaked at %s", http->socket);
}

static int http_perform(
        struct http *http, const char *uri, long *status_r, GString *body, struct error *err)
{
	g_string_truncate(body, 0);
	curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, http_write);
	curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, body);
	return http_run(http, uri, status_r, err);
}

int http_stream(struct http *http, const char *uri, const char *last_id,
        void (*take)(void *ctx, struct slice bytes), void *ctx, long *status_r, GString *body,
        struct error *err)
{
	struct http_stream stream = {http, take, ctx, body};
	g_autofree char *header =
	        g_strdup_printf("Last-Event-ID: %s", last_id != NULL ? last_id : "");
	struct curl_slist *headers = last_id != NULL ? curl_slist_append(NULL, header) : NULL;

	g_string_truncate(body, 0);
	*status_r = 0;
	curl_easy_reset(http->curl);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_TIME, STREAM_SILENCE_S);
	curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, http_take);
	curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &stream);
	int result = http_run(http, uri, status_r, err);
	curl_slist_free_all(headers);
	return result;
}

int http_get(struct http *http, const char *uri, long *status_r, GString *body, struct error *err)
{
	curl_easy_reset(http->curl);
	return http_perform(http, uri, status_r, body, err);
}

int http_post(struct http *http, const char *uri,
        ssize_t (*read)(void *ctx, char *buffer, size_t size), void *ctx, long *status_r,
        GString *body, struct error *err)
{
	struct http_upload upload = {.read = read, .ctx = ctx};
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: text/plain");

	/* No "Expect: 100-continue": it would wait a second where it is not answered. */
	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
	curl_easy_reset(http->curl);
	curl_easy_setopt(http->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(http->curl, CURLOPT_READFUNCTION, http_read);
	curl_easy_setopt(http->curl, CURLOPT_READDATA, &upload);
	int result = http_perform(http, uri, status_r, body, err);
	curl_slist_free_all(headers);
	return result;
}

int http_send(struct http *http, const char *method, const char *uri, const char *body,
        long *status_r, GString *answer, struct error *err)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

	curl_easy_reset(http->curl);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
	if (body != NULL)
		curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(http->curl, CURLOPT_CUSTOMREQUEST, method);
	int result = http_perform(http, uri, status_r, answer, err);
	curl_slist_free_all(headers);
	return result;
}
