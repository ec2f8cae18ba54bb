/* Where an IP address is, by a database in MaxMind's format. */
#ifndef PW_CAPTURE_GEO_H
#define PW_CAPTURE_GEO_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

struct geo;

/* NULL with *err: there is no such database, or this postwake was built without libmaxminddb. */
struct geo *geo_open(const char *path, struct error *err);
void geo_close(struct geo **geo);

/* Appends the JSON object of a geo_ip field; false, and nothing is appended, where the database
 * does not know the address. Thread-safe. */
bool geo_locate(const struct geo *geo, struct slice address, GString *out);

#endif
