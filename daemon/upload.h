/* Uploads: what [upload NAME] says, and a thread for each. */
#ifndef PW_DAEMON_UPLOAD_H
#define PW_DAEMON_UPLOAD_H

#include "daemon/config.h"
#include "query/query.h"
#include "store/writer.h"
#include "upload/cut.h"

struct uploads;

/* Starts a thread for each destination; fills the hooks of the query server. NULL with *err. Where
 * there is any destination the process leaves no core dumps from here on. */
struct uploads *uploads_start(const struct config *config, struct store *store,
        struct store_writer *writer, struct query_uploads *hooks_r, struct error *err);
void uploads_stop(struct uploads **uploads);

/* What a destination gets. -1 with *err where a name of an event type is none. */
int upload_rules(const struct config_upload *config, struct cut_rules *rules_r, struct error *err);
void upload_rules_clear(struct cut_rules *rules);

#endif
