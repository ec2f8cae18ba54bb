/* What the daemon may do on the machine: it takes away from itself what it does not need. A service
 * manager does more (contrib/systemd); this holds wherever it is started. */
#ifndef PW_DAEMON_PRIVILEGES_H
#define PW_DAEMON_PRIVILEGES_H

#include <stdbool.h>

#include "base/error.h"

/* The first thing of the process: closes descriptors that it inherited besides 0, 1 and 2, and lets
 * what it will create be its own. */
void privileges_begin(void);

/* Becomes `user` (NULL = stays who it is) with the groups that the user has, for good: no program
 * that it runs can gain anything either. Must be called before threads are started. -1 with *err:
 * there is no such user, or it may not become it. */
int privileges_drop(const char *user, struct error *err);

/* Keeps keys in the memory out of core dumps, and away from others of our user. False where that
 * failed. */
bool privileges_hide_memory(void);

#endif
