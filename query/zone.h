/* IANA time zones, and what local time means where clocks change. */
#ifndef PW_QUERY_ZONE_H
#define PW_QUERY_ZONE_H

#include <glib.h>

#include "base/slice.h"

/* Finds a zone or link by its name, ASCII case ignored, in the list of tzdata.zi. Only the spelling
 * of that list reaches GLib, which would open any path. *name_r is that spelling and lives as long
 * as the program; *zone_r is the caller's (g_time_zone_unref). False when there is none. */
bool zone_find(struct slice name, GTimeZone **zone_r, const char **name_r);

enum zone_side {
	ZONE_FIRST,  /* of a local time that occurs twice, the first */
	ZONE_SECOND, /* … the second */
};

/* The instant (ms since 1970 UTC) of a local time, given as if it were UTC. A local time that the
 * clocks skip means the instant of the change, and sets *gap_r. */
int64_t zone_instant(GTimeZone *zone, int64_t local, enum zone_side side, bool *gap_r);

/* The local time of an instant, as if it were UTC. */
int64_t zone_local(GTimeZone *zone, int64_t instant);

#endif
