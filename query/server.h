/* The HTTP server on the UNIX socket (libmicrohttpd). */
#ifndef PW_QUERY_SERVER_H
#define PW_QUERY_SERVER_H

#include "query/query.h"

/* Takes log lines that `postwake import` sends because the daemon holds the store: POST
 * /api/v1/import?source=NAME&not_after=MS. Called in a server thread; all NULL = not offered. */
struct query_import {
	void *ctx;
	void *(*begin)(void *ctx, const char *source, int64_t not_after, struct error *err);
	int (*feed)(void *import, const char *bytes, size_t n, struct error *err);
	/* Ends it (aborted: the client went away); appends a JSON object with the counts. */
	int (*end)(void *import, bool aborted, GString *out, struct error *err);
};

struct query_server_config {
	const char *socket;   /* path */
	const char *group;    /* of the socket; NULL = leave */
	unsigned mode;        /* 0 = 0660 */
	unsigned threads;     /* 0 = 4 */
	unsigned connections; /* 0 = 256 */
	int deadline_ms;      /* of one request; 0 = 30 s */
	size_t answer_budget; /* bytes of all answers in flight, then 503; 0 = 256 MiB */
	struct query_config query;
	struct query_import import;
};

struct query_server;
struct query_server *query_server_new(
        struct store *store, const struct query_server_config *config, struct error *err);
void query_server_free(struct query_server **server);

#endif
