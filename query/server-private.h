/* The server as its own files (server*.c) see it. */
#ifndef PW_QUERY_SERVER_PRIVATE_H
#define PW_QUERY_SERVER_PRIVATE_H

#include <microhttpd.h>

#include "query/connections.h"
#include "query/door.h"
#include "query/gate.h"
#include "query/server.h"
#include "query/socket.h"
#include "query/keys.h"
#include "query/streams.h"
#include "query/tls.h"
#include "query/turns.h"
#include "query/workers.h"

/* Request line and headers of one connection; what exceeds it libmicrohttpd refuses by itself. */
#define SERVER_HEADERS (128 * 1024)
/* When to try again where the server is busy, in seconds. */
#define SERVER_RETRY_S 5

/* A socket, its connections, and the thread that moves their bytes. */
struct listener {
	struct query_server *server;
	int fd; /* -1 = none */
	struct door *door;
	struct MHD_Daemon *http;
	struct connections *connections;
};

enum { LISTENER_UNIX, LISTENER_TCP, SERVER_LISTENERS };

struct query_server {
	struct store *store;
	struct query_server_config config;
	char *path;
	struct shares *shares;        /* of bytes */
	struct shares *stream_shares; /* of streams */
	struct unix_socket socket;
	struct gate *gate; /* of its file */
	struct listener listeners[SERVER_LISTENERS];
	struct tls *tls; /* NULL = TCP without it */
	struct workers *queries;
	struct turns *turns; /* of the searches */
	struct workers *imports;
	struct streams *streams;
};

enum exchange_step {
	EXCHANGE_NEW,    /* its first line has been seen */
	EXCHANGE_BODY,   /* a request that a worker answers when its body is complete */
	EXCHANGE_IMPORT, /* an import is being begun */
	EXCHANGE_UPLOAD, /* its body is being fed */
	EXCHANGE_DONE,   /* answer is ready */
};

/* One request and its answer. Belongs to the HTTP thread, and to a worker while a job runs: the
 * connection is suspended meanwhile. */
struct exchange {
	struct query_server *server;
	struct listener *listener;
	struct MHD_Connection *http;
	struct connection *connection;
	char *target;      /* raw; cut off beyond QUERY_LINK_MAX + 1 */
	uintptr_t seen_to; /* address of the NUL that libmicrohttpd has behind the target */
	char *method;
	const struct access *access; /* who asks … */
	struct access *narrowed;     /* … where it is made for this request alone */
	struct key *key;             /* that it came with; NULL = none */
	bool escape_colons;
	const char *content_type, *content_encoding, *last_event_id, *host;
	enum exchange_step step;
	int64_t asked; /* connections_clock when it was queued */
	struct query_answer answer;

	struct query_budget *share; /* of its owner's bytes, once it may hold any; NULL before */
	size_t body_most;           /* 0 = the body is dropped */
	GString *body;              /* as far as it has come; NULL = none */
	size_t dropped;             /* bytes of a body that nobody wants */
	size_t body_charged;
	bool report; /* the body is a mail, for the report hooks */

	struct query_import_target import_target;
	void *import;
	bool last;        /* the upload is complete */
	bool abandoned;   /* the client has gone: end the import and free the exchange */
	bool failed;      /* the import failed: `answer` says why; the rest is dropped */
	char *chunk;      /* bytes that a worker feeds … */
	size_t chunk_len; /* … and that the HTTP thread still shows to us: not yet consumed */

	GString *stream;                   /* what of a stream is being sent … */
	size_t streamed;                   /* … and how much of it has been */
	int64_t stream_at;                 /* connections_clock when something was last sent */
	struct query_budget *stream_share; /* that it has one of; NULL = none */
	bool stream_over;
};

/* The door of a listener that listens; nobody may be let in before it has libmicrohttpd. */
struct door *server_door(struct listener *listener, unsigned most, bool tls);

void exchange_free(struct exchange *exchange);

/* What its connection does from now on. */
void exchange_enter(struct exchange *exchange, enum connection_phase phase);

/* Whether it came by TCP. */
bool exchange_is_tcp(const struct exchange *exchange);

/* Whose turn it takes at the workers: its key's, or its peer's. */
uint64_t exchange_owner(const struct exchange *exchange);

/* NULL, or why the bytes of the request may not mean to others what they mean here
 * (server_framing.c). */
const char *exchange_misframed(const struct exchange *exchange, const char *version);

/* A header of the request, or NULL. */
const char *exchange_header(const struct exchange *exchange, const char *name);

/* Finds out who asks (server_who.c). False where that alone decides the answer, which is there. */
bool exchange_identify(struct exchange *exchange);

/* Whether the peer is on the UNIX socket and may hand over reports. */
bool exchange_may_report(const struct exchange *exchange);

/* Hands the exchange to a worker; the next call of libmicrohttpd for it comes when the worker has
 * resumed the connection. When the server is stopping the answer is a 503 instead. */
void exchange_push(struct exchange *exchange, struct workers *workers);

/* Jobs of the workers: struct exchange. */
void server_run_query(void *job);
void server_run_import(void *job);

/* The end of an import, in a worker or when none runs any more. */
void import_end(struct exchange *exchange, bool aborted);

/* Hooks of the streams (query/streams.h); ctx is the server. */
uint64_t server_mark(void *ctx);
void server_wake_stream(void *ctx, void *job, bool stopping);

/* Callbacks of libmicrohttpd, whose cls is the listener: the first line of a request, its headers
 * and body, its end. */
void *server_target(void *cls, const char *uri, struct MHD_Connection *http);
enum MHD_Result server_access(void *cls, struct MHD_Connection *http, const char *url,
        const char *method, const char *version, const char *bytes, size_t *n, void **context);
void server_completed(void *cls, struct MHD_Connection *http, void **context,
        enum MHD_RequestTerminationCode code);

#endif
