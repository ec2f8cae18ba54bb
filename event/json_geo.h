/* geo_ip as each generation of the API has it (contract, 2.3). */
#ifndef PW_EVENT_JSON_GEO_H
#define PW_EVENT_JSON_GEO_H

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"

/* Appends a JSON object with latitude, longitude and zip as numbers or as strings; all else, and a
 * text that is no number of JSON, stays as it is, but for the escapes of json_append. */
void json_geo(GString *out, struct slice object, bool numbers);

#endif
