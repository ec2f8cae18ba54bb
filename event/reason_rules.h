/* Reason rules: ordered substitutions that make reasons countable (schema/reason-rules,
 * postwake-rules(5)). */
#ifndef PW_EVENT_REASON_RULES_H
#define PW_EVENT_REASON_RULES_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

struct reason_rules;

struct reason_rules *reason_rules_new(void);
void reason_rules_free(struct reason_rules **rules);

/* Adds the rules of a text behind those that are there. */
int reason_rules_add(
        struct reason_rules *rules, const char *name, struct slice text, struct error *err);

/* Appends what the rules make of a reply. Thread-safe. */
void reason_rules_apply(const struct reason_rules *rules, GString *out, struct slice raw);

#endif
