/* The HTTP server on the UNIX socket, and on TCP where asked for (libmicrohttpd). One thread moves
 * bytes, others work: a slow client or a slow search holds nobody up. */
#ifndef PW_QUERY_SERVER_H
#define PW_QUERY_SERVER_H

#include "query/query.h"

/* Takes log lines that `postwake import` sends because the daemon holds the store: POST
 * /api/v1/import?source=NAME&not_after=MS&damage=TEXT, from root and our own user only. Called in
 * threads of the server, for one import by one thread at a time; all NULL = not offered. feed may
 * block: the client then waits. */
struct query_import {
	void *ctx;
	/* NULL with *err: refused; number EBUSY makes it a 409. */
	void *(*begin)(void *ctx, const struct query_import_target *target, struct error *err);
	/* After -1 the rest of the upload is read and dropped, and `end` called with aborted. */
	int (*feed)(void *import, const char *bytes, size_t n, struct error *err);
	/* Ends and frees it, always called (aborted: the client went away, or feed failed); appends
	 * a JSON object with the counts. */
	int (*end)(void *import, bool aborted, GString *out, struct error *err);
};

/* Takes mails that `postwake report` sends: POST /api/v1/report. `take` is called in threads of the
 * server, appends a JSON object with the counts, and returns when all is committed; -1 with *err
 * becomes a 503. NULL = not offered. */
struct query_report {
	void *ctx;
	size_t most;                              /* bytes of a mail; beyond it a 413 */
	bool (*allowed)(void *ctx, unsigned uid); /* NULL = whoever may open the socket */
	int (*take)(void *ctx, struct slice mail, GString *out, struct error *err);
};

/* The TCP listener. Only keys (query/keys.h) open anything on it. */
struct query_listen {
	unsigned port; /* 0 = none */
	const char *address;
	const char *certificate, *key; /* files; NULL = no TLS … */
	bool insecure;                 /* … also where others can reach the address */
};

struct query_server_config {
	const char *socket;        /* path */
	const char *group;         /* of the socket; NULL = leave */
	unsigned mode;             /* 0 = 0660 */
	unsigned threads;          /* 0 = 4 */
	unsigned connections;      /* 0 = 256 */
	int deadline_ms;           /* of one request; 0 = 30 s */
	int idle_ms;               /* of a connection between requests; 0 = 60 s */
	unsigned streams;          /* at a time, then 503; 0 = 64. One client may have half */
	int beat_ms;               /* a stream is silent no longer than this; 0 = 15 s */
	size_t answer_budget;      /* bytes of all bodies in flight, then 503; 0 = 256 MiB. One
	                              client may have half of it */
	struct query_config query; /* its budget is the server's; its keyring opens TCP */
	struct query_listen listen;
	const struct access_table *table; /* of peers on the UNIX socket; may be NULL */
	bool socket_keys; /* they need a key besides, which narrows what they may do; not so who
	                     may do everything */
	/* A user connects to the socket in floods and cannot connect for so many seconds; 0:
	 * nothing keeps him from it, since the file system has no ACLs. Called in a thread of the
	 * server; may be NULL. */
	void (*shut_out)(unsigned uid, int seconds);
	struct query_import import;
	struct query_report report;
};

struct query_server;

/* Starts serving. The store and what the hooks use must outlive the server; strings are copied.
 * NULL with *err: number EADDRINUSE when another process serves the socket. */
struct query_server *query_server_new(
        struct store *store, const struct query_server_config *config, struct error *err);

/* Takes up a new certificate where its files have changed, or `force`: as tls_renew. */
int query_server_renew(struct query_server *server, bool force, struct error *err);

/* Takes no more connections, finishes what runs (answers have a second to reach their clients),
 * aborts imports, removes the socket. */
void query_server_free(struct query_server **server);

#endif
