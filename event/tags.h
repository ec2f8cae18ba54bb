/* The strings of a JSON array of strings (rcpt_tags), one by one. */
#ifndef PW_EVENT_TAGS_H
#define PW_EVENT_TAGS_H

#include <glib.h>

#include "base/slice.h"

/* The next string of the array, of which *rest is what has not been read; p NULL at its end or
 * where it is broken. The result may live in scratch. */
struct slice tags_next(struct slice *rest, GString *scratch);

#endif
