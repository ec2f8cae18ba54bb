/* Rules: how the lines of an MTA look, as tables. */
#ifndef PW_LOGTAIL_RULE_H
#define PW_LOGTAIL_RULE_H

#include "event/observation.h"

/* One rule: how a line looks that one place in an MTA prints, and what it tells. */
struct log_rule {
	const char *name;    /* of the rule, for the ledger */
	const char *source;  /* file of the MTA's source tree that prints it */
	struct slice starts; /* the text begins so … */
	struct slice holds;  /* … and holds this behind it; empty: anything */
	enum observation_kind kind;
	/* Reads what is behind `starts` into *seen; false: not such a line after all, try the next
	 * rule. NULL: nothing to read. */
	bool (*read)(struct slice rest, struct observation *seen);
};

/* A row of a table; the last one has no name. */
#define LOG_RULE(name, source, starts, holds, kind, read) \
	{ \
		name, source, {"" starts, sizeof(starts) - 1}, {"" holds, sizeof(holds) - 1}, \
		        OBSERVATION_##kind, read \
	}

/* The first rule that fits, having read the line; NULL when none does. */
const struct log_rule *log_rule_apply(
        const struct log_rule *rules, struct slice text, struct observation *seen);

#endif
