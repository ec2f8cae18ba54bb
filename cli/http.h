/* HTTP over the daemon's UNIX socket. The only file that knows libcurl. */
#ifndef PW_CLI_HTTP_H
#define PW_CLI_HTTP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct http;

struct http *http_new(const char *socket);
void http_free(struct http **http);

/* GET of a path with query. The answer's status and body; -1 with *err when there was none (number
 * ECONNREFUSED or ENOENT: nobody listens). */
int http_get(struct http *http, const char *uri, long *status_r, GString *body, struct error *err);

/* GET of an answer without end, as `last_id` (NULL: none) says from where on. Each piece of a 200
 * goes to `take`, other answers to the body. Returns when the connection has ended: 0, or -1 with
 * *err. */
int http_stream(struct http *http, const char *uri, const char *last_id,
        void (*take)(void *ctx, struct slice bytes), void *ctx, long *status_r, GString *body,
        struct error *err);

/* POST of a body that `read` gives piece by piece: the number of bytes put in the buffer, 0 at the
 * end, -1 to break off. */
int http_post(struct http *http, const char *uri,
        ssize_t (*read)(void *ctx, char *buffer, size_t size), void *ctx, long *status_r,
        GString *body, struct error *err);

/* Another method; `body` is JSON or NULL. */
int http_send(struct http *http, const char *method, const char *uri, const char *body,
        long *status_r, GString *answer, struct error *err);

#endif
