/* Erasures beside the running capture: begun by POST /api/v1/erasures, carried out by a thread of
 * their own, and gone on with after a restart. */
#ifndef PW_DAEMON_ERASE_H
#define PW_DAEMON_ERASE_H

#include <pthread.h>

#include "capture/erase.h"
#include "query/query.h"

struct erase_context {
	struct capture *capture;
	struct store *store;
	struct erase_service service; /* for query_config */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started, due;
	_Atomic bool stopping;
};

/* *context must stay until the server has ended. */
int erase_open(struct erase_context *context, struct capture *capture, struct store *store,
        struct error *err);
/* Leaves what has not ended for the next run. For one that was never opened, too. */
void erase_close(struct erase_context *context);

#endif
