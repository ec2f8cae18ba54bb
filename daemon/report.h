/* Reports that `postwake report` hands over: POST /api/v1/report. */
#ifndef PW_DAEMON_REPORT_H
#define PW_DAEMON_REPORT_H

#include "capture/report.h"
#include "daemon/config.h"
#include "query/server.h"

struct report_context {
	struct reports *reports;
	struct capture *capture;
	struct store *store;
	GArray *users; /* of uid_t; NULL = whoever may open the socket */
};

/* The patterns of [report], compiled; NULL with *err. */
struct reports *report_settings(const struct config *config, struct error *err);

/* *context must stay until the server has ended. */
int report_open(struct report_context *context, const struct config *config,
        struct capture *capture, struct store *store, struct query_report *hooks_r,
        struct error *err);
void report_close(struct report_context *context);

#endif
