/* `reason` from `raw_reason`: what varies is cut out, so that reasons can be counted (contract, 6).
 */
#ifndef PW_EVENT_REASON_H
#define PW_EVENT_REASON_H

#include <glib.h>

#include "base/slice.h"

/* Appends the canonical form. Thread-safe. */
void reason_canonical(GString *out, struct slice raw);

#endif
