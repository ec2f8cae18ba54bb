/* The streaming JSON writer (jansson reads, this writes: results are megabytes). Appends to a
 * GString and keeps no state but the separators. */
#ifndef PW_EVENT_JSON_H
#define PW_EVENT_JSON_H

#include <glib.h>

#include "event/catalogue.h"

/* A JSON string with its quotes (jansson has the name json_string). Control characters, quotes and
 * backslashes are escaped, and so is what a terminal would obey or what hides or reorders text
 * (base/visible.h); bytes that are no UTF-8 become U+FFFD each; '<', '>' and '&' stay as they are,
 * since no answer is a page. */
void json_quote(GString *out, struct slice text);

/* Text that is JSON, with what json_quote would have escaped in its strings. */
void json_append(GString *out, struct slice text);

/* `"name":` with a comma before it unless it follows an opening brace. */
void json_key(GString *out, const char *name);

/* "name":"text" and the like, with the comma where needed. */
void json_member(GString *out, const char *name, struct slice text);
void json_member_int(GString *out, const char *name, gint64 value);

/* The value of one field, as it stands behind its key in a search result, with timestamps and
 * account numbers as the generation wants them. False, and nothing appended, where the event has no
 * such field. Text of OBJECT and STRINGS fields is trusted to be JSON: who makes an event checks
 * it. */
bool json_event_value(
        GString *out, const struct event *event, enum field field, enum api_generation generation);

/* One event as an object of a search result: `type` first, then each field that it has in the order
 * of schema/fields.def. Absent data = absent key; rcpt_meta and rcpt_tags always there for mail
 * events. */
void json_event(GString *out, const struct event *event, enum api_generation generation);

#endif
