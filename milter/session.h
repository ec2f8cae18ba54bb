/* A milter session without its protocol: the steps that milter/peer.h hands on, and the envelope
 * that comes out at end of message. Tested without an MTA.
 *
 * The envelope's observation holds from, size (SIZE= of MAIL; the log knows better), client_*,
 * helo, sasl_* and message_id; envelope->field holds MSG_FROM, SUBJECT, FRIENDLY_FROM,
 * FRIENDLY_NAME, HEADER_MESSAGE_ID, REMOTE_ADDR, CLIENT_HOST, HELO, AUTH_USER, TLS_VERSION,
 * TLS_CIPHER, RECV_METHOD ("esmtp", or "local" for mail that came by pickup) and what X-MSYS-API
 * and the header map told (milter/attributes.h). */
#ifndef PW_MILTER_SESSION_H
#define PW_MILTER_SESSION_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "event/observation.h"

/* What is read of one message at most; what is beyond is left out, and the rest of the message is
 * kept. Counters: milter_recipients_limit, milter_header_limit, milter_long_attributes (metadata,
 * tags and such: milter/attributes.h), milter_bad_attributes (no JSON and the like; the rest
 * counts), milter_no_queue_id (the message is not recorded), milter_report_limit (a mail that may
 * be a report was cut: milter/passing.h). */
#define MILTER_RECIPIENTS_MAX 50000
#define MILTER_ADDRESSES_MAX 50000        /* in To and Cc; past it rcpt_type is unknown */
#define MILTER_HEADER_BYTES_MAX (1 << 20) /* of the header values that we look at, together */
#define MILTER_FIELD_BYTES_MAX 2000       /* of one field's text; longer text is cut */

struct milter_shared;
struct milter_session;

enum milter_on_failure { MILTER_ACCEPT, MILTER_TEMPFAIL };

/* What the owner does with an envelope, and the readers of headers (mime/headers.h has functions
 * that fit). With MILTER_TEMPFAIL `observed` is called in several threads at a time. */
struct milter_hooks {
	void *ctx;
	/* Hands over an observation (ENVELOPE, or REJECT for a refused recipient). With `wait` it
	 * returns after the commit: 0 committed, -1 not (the mail gets 451). Without: 0 when
	 * handed over, -1 when it had to be dropped (counted by the owner). */
	int (*observed)(void *ctx, const struct observation *seen, bool wait);
	/* Wall clock, ms. */
	int64_t (*now)(void *ctx);
	/* Where reports are taken: whether they come to this address, and a mail that may be one,
	 * as it would lie in a mailbox; `mail` is the hook's. */
	bool (*report_address)(void *ctx, const char *address);
	void (*report)(void *ctx, GString *mail);
	/* One more of `counter`, a static text such as "milter_bad_json". May be NULL. */
	void (*count)(void *ctx, const char *counter);
	/* The same for a connection that was refused (milter_refused) or could not be taken
	 * (milter_full), and why; static texts. May be NULL. */
	void (*trouble)(void *ctx, const char *counter, const char *why);

	/* mime_decode_text, mime_first_address, mime_first_name, mime_each_address. */
	char *(*decode_text)(struct slice value);
	char *(*first_address)(struct slice value);
	char *(*first_name)(struct slice value);
	void (*each_address)(
	        struct slice value, void (*address)(void *ctx, const char *addr_spec), void *ctx);
};

struct milter_config {
	const char *socket;   /* "unix:/path" or "inet:port@host" */
	const char *group;    /* of the socket file; NULL = leave */
	unsigned mode;        /* of the socket file; 0 = 0660 */
	const char *node;     /* NULL = host name without domain, lower case */
	const char *instance; /* NULL = "" */
	enum milter_on_failure on_failure;
	bool remove_header; /* take X-MSYS-API out of the mail */
	bool see_rejects;   /* ask for refused recipients (SMFIP_RCPT_REJ): no log is followed */
	bool reports;       /* ask for bodies, to find reports among the mails */
	const char *header_map; /* milter/header_map.h; NULL = the default map */
};

/* What all sessions share; keeps copies of both arguments. NULL with *err when the header map is
 * wrong. Must outlive its sessions. */
struct milter_shared *milter_shared_new(
        const struct milter_config *config, const struct milter_hooks *hooks, struct error *err);
void milter_shared_free(struct milter_shared **shared);

struct milter_session *milter_session_new(struct milter_shared *shared);
void milter_session_free(struct milter_session **session);

/* The steps, in the order of the protocol; strings may be NULL where the MTA did not tell. Macro
 * values are those readable at that stage. abort is idempotent; connect begins a new session. */
void milter_session_connect(
        struct milter_session *session, const char *host, const char *ip, unsigned port);
void milter_session_helo(struct milter_session *session, const char *name);
/* argv: the address, then ESMTP arguments, then NULL. */
void milter_session_mail(struct milter_session *session, const char *const *argv,
        const char *queue_id, const char *auth_user, const char *auth_type, const char *tls_version,
        const char *cipher);
/* `mailer`, `host`, `address`: {rcpt_mailer}, {rcpt_host}, {rcpt_addr}. A refused recipient has
 * "error", the enhanced status code and the text of the reply there. */
void milter_session_rcpt(struct milter_session *session, const char *const *argv,
        const char *queue_id, const char *mailer, const char *host, const char *address);
void milter_session_header(struct milter_session *session, const char *name, const char *value);
/* A piece of the body; false when no more of it is wanted. */
bool milter_session_body(struct milter_session *session, struct slice chunk);
/* End of message; the message is done with, whatever comes back. `msg_id`: {msg_id}, where the MTA
 * has it. 0 = continue, -1 = answer 451. *remove_r: how many X-MSYS-API headers to remove. */
int milter_session_end(struct milter_session *session, const char *queue_id, const char *msg_id,
        unsigned *remove_r);
void milter_session_abort(struct milter_session *session);

#endif
