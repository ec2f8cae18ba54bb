/* rcpt_meta as API v1 has it (contract, 1.2). */
#ifndef PW_EVENT_JSON_MAPS_H
#define PW_EVENT_JSON_MAPS_H

#include <glib.h>

#include "base/slice.h"

/* Appends JSON text with each array, however deep, as an object whose names are the indices:
 * ["a","b"] is {"0":"a","1":"b"}; with the escapes of json_append. */
void json_maps(GString *out, struct slice text);

#endif
