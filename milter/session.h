/* A milter session without libmilter: what the callbacks of milter/listener.c hand on, and the
 * envelope that comes out at end of message. Tested without an MTA. */
#ifndef PW_MILTER_SESSION_H
#define PW_MILTER_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "event/observation.h"

struct milter_session;

enum milter_on_failure { MILTER_ACCEPT, MILTER_TEMPFAIL };

/* What the owner does with an envelope. Called in libmilter's threads. */
struct milter_hooks {
	void *ctx;
	/* Hands over an observation (ENVELOPE, or REJECT for a refused recipient). With `wait` it
	 * returns after the commit: 0 committed, -1 not (the mail gets 451). Without: 0 when
	 * handed over, -1 when it had to be dropped (counted by the owner). */
	int (*observed)(void *ctx, const struct observation *seen, bool wait);
	/* Wall clock, ms. */
	int64_t (*now)(void *ctx);
};

struct milter_config {
	const char *socket;   /* "unix:/path" or "inet:port@host" */
	const char *group;    /* of the socket file; NULL = leave */
	unsigned mode;        /* of the socket file; 0 = 0660 */
	const char *node;     /* NULL = host name without domain, lower case */
	const char *instance; /* NULL = "" */
	enum milter_on_failure on_failure;
	bool remove_header;   /* take X-MSYS-API out of the mail */
	bool see_rejects;     /* ask for refused recipients (SMFIP_RCPT_REJ): no log is followed */
	const char *header_map; /* "Header=field …", NULL = the default map; man postwake.conf */
};

struct milter_session *milter_session_new(const struct milter_config *config,
	const struct milter_hooks *hooks);
void milter_session_free(struct milter_session **session);

/* The steps, in the order of the protocol; strings may be NULL where the MTA did not tell. Macro
 * values are those readable at that stage. abort is idempotent. */
void milter_session_connect(struct milter_session *session, const char *host, const char *ip,
	unsigned port, const char *daemon_name);
void milter_session_mail(struct milter_session *session, const char *const *argv,
	const char *queue_id, const char *auth_user, const char *auth_type, const char *tls_version,
	const char *cipher);
/* `refused`: the MTA says no to it; mailer "error", host = dsn, address = text. */
void milter_session_rcpt(struct milter_session *session, const char *const *argv,
	const char *queue_id, bool refused, const char *host, const char *address);
void milter_session_header(struct milter_session *session, const char *name, const char *value);
/* End of message. `size`: bytes as the MTA told with SIZE=, or 0. 0 = continue, -1 = answer 451. *remove_r:
 * how many X-MSYS-API headers to remove. */
int milter_session_end(struct milter_session *session, const char *queue_id, const char *msg_id,
	unsigned *remove_r);
void milter_session_abort(struct milter_session *session);

#endif
