/* Understands failures: the bounce class of a reply, by rules, and its canonical reason. */
#ifndef PW_EVENT_CLASSIFY_H
#define PW_EVENT_CLASSIFY_H

#include <glib.h>

#include "base/error.h"
#include "event/bounce_rules.h"
#include "event/event.h"

struct classifier;

/* Files of the user's own rules, each of which may be NULL; they are asked before ours. NULL with
 * *err (which names file and line) where one cannot be read. All functions are thread-safe. */
struct classifier *classifier_new(
        const char *bounce_rules, const char *reason_rules, struct error *err);
void classifier_free(struct classifier **classifier);

/* The one without rules of the user; lives as long as the process. */
struct classifier *classifier_default(void);

/* A failure as it was recorded. What is not known is absent: codes and phase are then taken from
 * the text. */
struct failure {
	struct slice text; /* the reply, or what the MTA says in place of one */
	struct slice dsn;  /* enhanced status code */
	struct slice code; /* reply code */
	struct slice phase;
	struct slice mx;
};

/* The rule that decides; never NULL. The class of a message that expired is that of its last
 * temporary reply, which its text quotes ("… (last transfail: …)"). */
const struct bounce_rule *classifier_class(
        struct classifier *classifier, const struct failure *failure);

/* Appends the canonical reason (reason-rules). */
void classifier_reason(struct classifier *classifier, GString *out, struct slice raw);

/* Gives a failure (of a type that has a class by its reply: bounce, delay, …) its class and reason
 * anew; the values live in scratch. True where one of them changed. */
bool classifier_renew(struct classifier *classifier, struct event *event, GString *scratch);

#endif
