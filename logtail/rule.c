#include "logtail/rule.h"

const struct log_rule *log_rule_apply(
        const struct log_rule *rules, struct slice text, struct observation *seen)
{
	if (text.n == 0)
		return NULL;
	for (const struct log_rule *rule = rules; rule->name != NULL; rule++) {
		if (rule->starts.p[0] != text.p[0] || !slice_starts(text, rule->starts))
			continue;
		struct slice rest = slice_from(text, rule->starts.n);
		if (rule->holds.n > 0 && slice_find(rest, rule->holds) < 0)
			continue;
		if (rule->read == NULL)
			return rule;
		const struct observation before = *seen;
		if (rule->read(rest, seen))
			return rule;
		*seen = before;
	}
	return NULL;
}
