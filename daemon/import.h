/* Imports that the daemon takes over its socket, since it holds the store. */
#ifndef PW_DAEMON_IMPORT_H
#define PW_DAEMON_IMPORT_H

#include "capture/capture.h"
#include "query/server.h"

/* What the hooks of `import` work on. */
struct import_context {
	struct capture *capture;
	struct store *store;
	const char *node; /* configured node name, or NULL */
};

/* Fills the hooks of the query server; the context must outlive the server. */
void import_hooks(struct import_context *context, struct query_import *hooks_r);

#endif
