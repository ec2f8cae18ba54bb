/* Hostile replies and rule files. The first byte chooses.
 * Seeds: tests/golden/replies
 * Words: event/bounce_rules.c event/reason_rules.c event/plain.c
 * Reaches: classifier_class classifier_reason bounce_rules_add bounce_rules_match reason_rules_add
 * Reaches: reason_rules_apply rule_pattern rulefile_delimited */
#include "event/classify.h"
#include "event/reason_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_reply(struct slice text)
{
	g_autoptr(GString) reason = g_string_new(NULL);
	const struct failure failure = {.text = text};
	const struct bounce_rule *rule = classifier_class(classifier_default(), &failure);

	if (bounce_class_by_code(rule->bounce_class) == NULL)
		__builtin_trap();
	classifier_reason(classifier_default(), reason, text);
	if (reason->len > 20 * (text.n + 1))
		__builtin_trap();
}

/* Patterns of a user may be anything that PCRE compiles: only what is tried on a text is bounded.
 */
static void fuzz_rules(struct slice text)
{
	struct bounce_rules *bounce = bounce_rules_new();
	struct reason_rules *reason = reason_rules_new();
	struct error err = {0};

	if (bounce_rules_add(bounce, "fuzz", text, &err) == 0)
		bounce_rules_match(bounce, &(struct bounce_reply){.words = SLICE("user unknown")});
	if (reason_rules_add(reason, "fuzz", text, &err) == 0) {
		g_autoptr(GString) out = g_string_new(NULL);
		reason_rules_apply(reason, out, SLICE("550 User unknown a@b.example"));
	}
	bounce_rules_free(&bounce);
	reason_rules_free(&reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make((const char *)data, size);

	if (size == 0)
		return 0;
	text = slice_from(text, 1);
	if (data[0] == '!')
		fuzz_rules(text);
	else
		fuzz_reply(text);
	return 0;
}
