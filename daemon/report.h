/* Reports: those that `postwake report` hands over (POST /api/v1/report), and those that the milter
 * finds among the mails that pass. */
#ifndef PW_DAEMON_REPORT_H
#define PW_DAEMON_REPORT_H

#include "capture/report.h"
#include "daemon/config.h"
#include "query/server.h"

struct report_context {
	struct reports *reports;
	struct capture *capture;
	struct store *store;
	GArray *users;       /* of uid_t; NULL = whoever may open the socket */
	GAsyncQueue *passed; /* of GString: mails of the milter */
	gint waiting;        /* bytes of them */
	GThread *thread;     /* reads them */
};

/* The patterns of [report], compiled; NULL with *err. `classifier` (NULL = ours) must outlive
 * them. */
struct reports *report_settings(
        const struct config *config, struct classifier *classifier, struct error *err);

/* *context must stay until milter and server have ended. */
int report_open(struct report_context *context, const struct config *config,
        struct classifier *classifier, struct capture *capture, struct store *store,
        struct error *err);
/* Reads what waits. For one that was never opened, too. */
void report_close(struct report_context *context);

void report_hooks(struct report_context *context, struct query_report *hooks_r);

/* Hands over a mail that passed (freed here); returns at once. False when too much waits: the mail
 * is dropped. */
bool report_pass(struct report_context *context, GString *mail);

#endif
