/* Times as people type and read them. */
#ifndef PW_CLI_WHEN_H
#define PW_CLI_WHEN_H

#include <glib.h>

#include "base/error.h"

/* The zone called `name`; NULL name = the system's. NULL with *err for an unknown one. */
GTimeZone *when_zone(const char *name, struct error *err);

/* "90s", "30m", "2h", "3d", "1w" (that long before `now`), "now", "today", "yesterday", "HH:MM",
 * "YYYY-MM-DD" with an optional " HH:MM[:SS]" or "THH:MM[:SS]", with "Z" for UTC. ms. */
int when_parse(const char *text, GTimeZone *zone, gint64 now, gint64 *ms_r, struct error *err);

/* The time stamp of an answer (…+00:00 or …Z) in ms; 0 when it is none. */
gint64 when_of(const char *timestamp);

/* "2026-11-22 14:03:07" in the zone. To be freed by g_free. */
char *when_format(gint64 ms, GTimeZone *zone);

#endif
