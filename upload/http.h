/* HTTP as uploads need it. The only file of this folder that knows libcurl.
 *
 * TLS is always verified (name and chain), redirects are never followed, the proxy is the one of
 * the configuration and no other, and the key goes to the server only. */
#ifndef PW_UPLOAD_HTTP_H
#define PW_UPLOAD_HTTP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct upload_http;

struct upload_http_config {
	const char *ca_file;  /* NULL: those of the system */
	const char *proxy;    /* NULL: none */
	int64_t bandwidth;    /* bytes a second, for sending; 0 = no limit */
	int timeout;          /* s without a byte in either direction */
	const gint *stopping; /* a request ends soon after it is not 0 */
};

struct upload_reply {
	bool sent;           /* something of the batch may have reached the server */
	long status;         /* 0: no answer */
	int64_t retry_after; /* ms to wait, as the answer says in seconds or as a date; 0 = it does
	                        not */
	GString *body;
};
void upload_reply_init(struct upload_reply *reply);
void upload_reply_clear(struct upload_reply *reply);

/* Strings of the configuration must outlive it. */
struct upload_http *upload_http_new(const struct upload_http_config *config);
void upload_http_free(struct upload_http **http);

/* POSTs a batch; the key is the header line of upload/key.h. 0 with the answer, whatever its
 * status; -1 with *err where there is none: reply->sent tells whether the batch may have got there.
 */
int upload_http_post(struct upload_http *http, const char *url, char *key, struct slice gzip,
        struct upload_reply *reply, struct error *err);

/* GET, of answers up to `limit` bytes. */
int upload_http_get(struct upload_http *http, const char *url, char *key, size_t limit,
        struct upload_reply *reply, struct error *err);

#endif
