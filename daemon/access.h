/* Who may ask the query server: the configuration's table of peers, the keys, the TCP listener. */
#ifndef PW_DAEMON_ACCESS_H
#define PW_DAEMON_ACCESS_H

#include "daemon/config.h"
#include "query/keys.h"
#include "query/server.h"

struct access_context {
	struct access_table *table;
	struct keyring *keyring;
};

/* Fills in what of *config_r says who may do what; it points into the context. */
int access_open(struct access_context *context, const struct config *config, struct store *store,
        struct query_server_config *config_r, struct error *err);
void access_close(struct access_context *context);

#endif
