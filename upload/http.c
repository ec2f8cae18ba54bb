#include "upload/http.h"

#include <curl/curl.h>

#define ANSWER_MAX (1024 * 1024) /* of a POST */
#define HEAD_MAX (256 * 1024)    /* heads, also those of a proxy and of interim answers, trailers */
#define CONNECT_SECONDS 15L
#define UPLOAD_BUFFER 16384L /* the least that libcurl takes */
#define TIMES_TIMEOUT 10     /* a whole request may take this many timeouts, besides its bytes */

struct upload_http {
	struct upload_http_config config;
	CURL *curl;
};

/* What the answer is written to. */
struct sink {
	GString *body;
	size_t limit;
	size_t head; /* bytes of heads and trailers */
	bool too_long;
};

static gpointer start_curl(gpointer data)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	return data;
}

struct upload_http *upload_http_new(const struct upload_http_config *config)
{
	static GOnce once = G_ONCE_INIT;
	struct upload_http *http = g_new0(struct upload_http, 1);

	g_once(&once, start_curl, NULL);
	http->config = *config;
	http->curl = curl_easy_init();
	return http;
}

void upload_http_free(struct upload_http **http)
{
	if (*http == NULL)
		return;
	curl_easy_cleanup((*http)->curl);
	g_clear_pointer(http, g_free);
}

void upload_reply_init(struct upload_reply *reply)
{
	*reply = (struct upload_reply){.body = g_string_new(NULL)};
}

void upload_reply_clear(struct upload_reply *reply)
{
	if (reply->body != NULL)
		g_string_free(reply->body, TRUE);
	*reply = (struct upload_reply){0};
}

static size_t take(char *bytes, size_t size, size_t n, void *data)
{
	struct sink *sink = data;

	if (sink->body->len + size * n > sink->limit) {
		sink->too_long = true;
		return 0;
	}
	g_string_append_len(sink->body, bytes, (gssize)(size * n));
	return size * n;
}

/* libcurl keeps all headers of an answer, and itself limits them only in heads. */
static size_t count_head(char *bytes, size_t size, size_t n, void *data)
{
	struct sink *sink = data;

	(void)bytes;
	sink->head += size * n;
	return sink->head <= HEAD_MAX ? size * n : 0;
}

static int look(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct upload_http *http = data;

	(void)a, (void)b, (void)c, (void)d;
	return http->config.stopping != NULL && g_atomic_int_get(http->config.stopping) != 0;
}

/* What all requests have. */
static void set_up(struct upload_http *http, const char *url, struct sink *sink)
{
	const struct upload_http_config *config = &http->config;
	CURL *curl = http->curl;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (config->ca_file != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	/* An empty name: none, whatever the environment says. */
	curl_easy_setopt(curl, CURLOPT_PROXY, config->proxy != NULL ? config->proxy : "");
	curl_easy_setopt(curl, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "postwake");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)config->timeout);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, count_head);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, sink);
}

/* Seconds that a whole request may take. */
static long whole_time(const struct upload_http *http, size_t bytes)
{
	const struct upload_http_config *config = &http->config;
	int64_t seconds = (int64_t)config->timeout * TIMES_TIMEOUT;

	if (config->bandwidth > 0)
		seconds += 2 * (int64_t)bytes / config->bandwidth;
	return (long)seconds;
}

static int perform(struct upload_http *http, const char *url, const struct sink *sink,
        struct upload_reply *reply, struct error *err)
{
	char words[CURL_ERROR_SIZE] = "";
	curl_off_t wait = 0, sent = 0;

	curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, words);
	CURLcode code = curl_easy_perform(http->curl);
	curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
	/* Of the body: the whole request counts what a proxy was asked before, too. */
	curl_easy_getinfo(http->curl, CURLINFO_SIZE_UPLOAD_T, &sent);
	reply->sent = sent > 0;
	reply->status = 0;
	reply->retry_after = 0;
	if (code != CURLE_OK)
		return error_set(err, "%s: %s", url,
		        sink->too_long ? "the answer is too long"
		        : sink->head > HEAD_MAX
		                ? "the head or the trailers of the answer are too long"
		        : words[0] != '\0' ? words
		                           : curl_easy_strerror(code));
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &reply->status);
	curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &wait);
	reply->retry_after = wait > 0 ? (int64_t)wait * 1000 : 0;
	return 0;
}

int upload_http_post(struct upload_http *http, const char *url, char *key, struct slice gzip,
        struct upload_reply *reply, struct error *err)
{
	struct sink sink = {.body = reply->body, .limit = ANSWER_MAX};
	/* The list is made by hand: libcurl's own functions would copy the key. No "Expect:
	 * 100-continue", which would wait a second where it is not answered. */
	struct curl_slist headers[] = {
	        {(char[]){"Content-Type: application/x-ndjson"}, &headers[1]},
	        {(char[]){"Content-Encoding: gzip"}, &headers[2]},
	        {(char[]){"Expect:"}, &headers[3]}, {key, NULL}};

	if (key == NULL)
		headers[2].next = NULL;
	g_string_truncate(reply->body, 0);
	set_up(http, url, &sink);
	curl_easy_setopt(http->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, gzip.p);
	curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)gzip.n);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(http->curl, CURLOPT_TIMEOUT, whole_time(http, gzip.n));
	/* As much goes out at once, whatever the limit: no more than need be. */
	if (http->config.bandwidth > 0)
		curl_easy_setopt(http->curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	curl_easy_setopt(
	        http->curl, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)http->config.bandwidth);
	return perform(http, url, &sink, reply, err);
}

int upload_http_get(struct upload_http *http, const char *url, char *key, size_t limit,
        struct upload_reply *reply, struct error *err)
{
	struct sink sink = {.body = reply->body, .limit = limit};
	struct curl_slist header = {key, NULL};

	g_string_truncate(reply->body, 0);
	set_up(http, url, &sink);
	curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, key != NULL ? &header : NULL);
	curl_easy_setopt(http->curl, CURLOPT_TIMEOUT, whole_time(http, 0));
	return perform(http, url, &sink, reply, err);
}
