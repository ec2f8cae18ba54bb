/* Changing the texts of JSON, whatever was escaped in them. */
#ifndef PW_EVENT_JSON_TEXTS_H
#define PW_EVENT_JSON_TEXTS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/slice.h"

/* Appends what becomes of a text; false, and nothing, where it stays. */
typedef bool json_text_change(void *ctx, struct slice text, GString *out);

/* Changes each string and key in place; appends what the JSON then is. False, and nothing, where
 * none changed. */
bool json_change_texts(json_t *json, json_text_change *change, void *ctx, GString *out);

#endif
