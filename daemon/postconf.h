/* What Postfix says of its configuration: postconf(1). */
#ifndef PW_DAEMON_POSTCONF_H
#define PW_DAEMON_POSTCONF_H

#include <glib.h>

#include "base/error.h"

/* Values by parameter name, with $names in them expanded; a parameter that Postfix does not know is
 * absent. `dir`: of main.cf, NULL = Postfix's own. `names`: ends with NULL. NULL with *err where
 * there is no postconf, it fails, or takes longer than ten seconds. To be freed by
 * g_hash_table_unref. */
GHashTable *postconf_read(const char *dir, const char *const *names, struct error *err);

#endif
