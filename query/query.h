/* Answers the query API (contract, 0 and 1; design, 10). This part knows no HTTP server: a request
 * is a method and a raw target, and the answer a status and a body, so that the command with -S
 * gives the same answers as the daemon. Decisions beyond the recorded facts: postwake-query(7). */
#ifndef PW_QUERY_QUERY_H
#define PW_QUERY_QUERY_H

#include <glib.h>

#include "base/slice.h"
#include "query/access.h"
#include "query/budget.h"
#include "store/store.h"
#include "store/tombstone.h"

#define QUERY_URI_MAX 4096
/* Longest target of a link, which is one that carries our as_of. Encoding makes three bytes of one
 * at most: the links of any target up to QUERY_URI_MAX are shorter. */
#define QUERY_LINK_MAX (4 * QUERY_URI_MAX)

struct ingest_service;
struct keyring;

/* Begins erasures (store/erase.h); what was begun is carried out by itself. */
struct erase_service {
	/* The number of the receipt; -1 with *err: number EINVAL when the name is none. */
	int (*begin)(void *ctx, enum tombstone_kind kind, struct slice name, int64_t *id_r,
	        struct error *err);
	void *ctx;
};

/* What the daemon does for POST /api/v1/uploads/retry. */
struct query_uploads {
	void *ctx;
	/* Sends batches at once: of a destination (NULL: of all), those whose id begins with `id`
	 * (NULL: all). False where no such destination is configured. */
	bool (*retry)(void *ctx, const char *destination, const char *id);
};

struct query_config {
	int64_t default_window;           /* ms before `to` when `from` is absent; 0 = 24 h */
	int64_t scan_ms;                  /* time that a search without index may take; 0 = 10 s */
	int64_t (*now)(void);             /* wall clock, ms; NULL = clock_now */
	const struct search_turns *turns; /* of each search; NULL = none */
	/* Appends members to the object of GET /api/v1/status with json_key and the like (no
	 * braces); may be NULL. */
	void (*status)(void *ctx, GString *out);
	void *ctx;
	/* Links carry %3A in place of the colons that SparkPost writes: for clients whose URL form
	 * ends at a colon. */
	bool escape_colons;
	/* SMTPeter's calls show the reports that are kept, and headers of opens and clicks. */
	bool keep_reports;
	struct query_budget *budget;         /* NULL = no limit */
	const struct ingest_service *ingest; /* NULL = not served here */
	const struct erase_service *erase;   /* NULL = not served here */
	struct keyring *keyring;             /* NULL = no keys are known */
	const struct query_uploads *uploads; /* NULL = nothing is uploaded from here */
};

/* One request, as far as an answer depends on it. */
struct query_input {
	const char *method;
	struct slice uri; /* raw target ("/api/v1/message-events?…"), still percent-encoded */
	const struct access *access; /* who asks; NULL = who may do everything */
	struct slice body;
	/* Headers; NULL = absent. */
	const char *content_type, *content_encoding, *last_event_id, *host;
	bool tls; /* it came over TLS */
};

/* An answer without end (Server-Sent Events). `more` appends what there is to tell by now, also
 * nothing; -1 ends the answer. Called by one thread at a time: at once when the bytes before have
 * been sent, and else when the store's mark has grown or nothing was sent for a while. */
struct query_stream {
	int (*more)(void *ctx, GString *out);
	void (*free)(void *ctx);
	void *ctx;
};

struct query_answer {
	unsigned status;             /* HTTP */
	GString *body;               /* with a stream: what comes first, or NULL */
	const char *type;            /* NULL = application/json */
	const char *allow;           /* of a 405: the Allow header */
	char *disposition;           /* the Content-Disposition header, or NULL; g_free */
	int retry_after;             /* s; 0 = none */
	struct query_stream *stream; /* NULL = none; g_free, after its `free` */
	struct query_budget *budget;
	size_t charged; /* bytes taken from the budget */
};

/* Answers one request. HEAD is answered like GET, body included. Thread-safe. The answer is the
 * caller's: query_answer_clear. */
void query_answer_input(struct store *store, const struct query_config *config,
        const struct query_input *input, struct query_answer *answer_r);

/* The same of a request without body by who may do everything. */
void query_answer(struct store *store, const struct query_config *config, const char *method,
        struct slice uri, struct query_answer *answer_r);

/* Whether a request is refused for its method, target and asker alone, so that its body need not be
 * waited for: 401, 403, 404, 405 or 414, which *answer_r then is, as query_answer_input would make
 * it. Else *body_most_r is how many bytes its body may have; 0 = a body is dropped. */
bool query_refuses(
        const struct query_input *input, size_t *body_most_r, struct query_answer *answer_r);

/* Whether the target is one that is for everybody, such as documentation: no key is looked at. */
bool query_is_for_all(const char *method, struct slice target);

/* Frees what the answer holds and gives its bytes back to the budget. */
void query_answer_clear(struct query_answer *answer);

/* Makes an answer of one error: {"errors":[{"message":TEXT}]}. */
void query_answer_error(struct query_answer *answer_r, unsigned status, const char *message);

/* POST /api/v1/import?source=NAME&not_after=MS&damage=TEXT. */
struct query_import_target {
	char *source;      /* g_free */
	int64_t not_after; /* ms; 0 = absent */
	char *damage;      /* why the rest of the source cannot be read; g_free; NULL = it can */
};
void query_import_target_clear(struct query_import_target *target);
/* 1: `uri` is the import target and *target_r is filled; 0: another path; -1: it is, but *answer_r
 * (405 or 400) says what is wrong with the request. */
int query_import_target(const char *method, struct slice uri, struct query_import_target *target_r,
        struct query_answer *answer_r);

/* POST /api/v1/report, whose body is a mail: as query_import_target. */
int query_report_target(const char *method, struct slice uri, struct query_answer *answer_r);

#endif
