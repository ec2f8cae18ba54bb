/* Bounce rules: what a reply means (schema/bounce-rules, postwake-rules(5)). */
#ifndef PW_EVENT_BOUNCE_RULES_H
#define PW_EVENT_BOUNCE_RULES_H

#include "base/error.h"
#include "base/slice.h"
#include "event/bounce_class.h"

struct bounce_rules;

/* A reply as a rule sees it. All of it is in lower case; what is not known is absent. */
struct bounce_reply {
	struct slice words; /* plain_reply() of the text, with bounce_rules_namer */
	struct slice dsn;
	struct slice code;
	struct slice phase; /* connect, helo, mail, rcpt, data, eom */
	struct slice mx;    /* host name of the server that replied */
};

struct bounce_rule {
	const char *name;
	int bounce_class;
	const char *file; /* where the rule stands */
	unsigned line;
};

/* No rules yet. */
struct bounce_rules *bounce_rules_new(void);
void bounce_rules_free(struct bounce_rules **rules);

/* Adds the rules of a text behind those that are there. `name` (of the file) is for messages. */
int bounce_rules_add(
        struct bounce_rules *rules, const char *name, struct slice text, struct error *err);

/* The first rule that fits, or NULL. Thread-safe. */
const struct bounce_rule *bounce_rules_match(
        const struct bounce_rules *rules, const struct bounce_reply *reply);

/* For plain_reply(): names of hosts and URLs by the `word` statements; ctx is the rules. */
const char *bounce_rules_namer(const void *ctx, struct slice what);

/* Whether any rule looks at the phase or the host: they then tell replies apart. */
bool bounce_rules_ask_where(const struct bounce_rules *rules);

#endif
