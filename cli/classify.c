/* postwake classify: what a reply of a server means, and which rule says so. */
#include <stdio.h>

#include <stdlib.h>
#include "cli/cli.h"
#include "cli/print.h"
#include "event/classify.h"
#include "event/json.h"

struct classify {
	struct classifier *classifier;
	struct failure given; /* without its text */
	gboolean json;
	GString *out, *reason;
};

static void explain_json(struct classify *c, const struct bounce_rule *rule)
{
	const struct bounce_class *class = bounce_class_by_code(rule->bounce_class);
	char code[12];

	g_snprintf(code, sizeof(code), "%d", class->code);
	g_string_assign(c->out, "{");
	json_member(c->out, "bounce_class", slice_str(code));
	json_member(c->out, "name", slice_str(class->name));
	json_member(c->out, "category", slice_str(class->category));
	json_member(c->out, "rule", slice_str(rule->name));
	json_member(c->out, "file", slice_str(rule->file));
	json_member_int(c->out, "line", rule->line);
	json_member(c->out, "reason", slice_make(c->reason->str, c->reason->len));
	g_string_append(c->out, "}\n");
}

static void explain_text(struct classify *c, const struct bounce_rule *rule)
{
	const struct bounce_class *class = bounce_class_by_code(rule->bounce_class);

	g_string_printf(c->out, "%d %s (%s), rule %s (%s line %u): ", class->code, class->name,
	        class->category, rule->name, rule->file, rule->line);
	g_autofree char *safe = print_safe(c->reason->str);
	g_string_append_printf(c->out, "%s\n", safe);
}

static const struct bounce_rule *explain(struct classify *c, struct slice text)
{
	struct failure failure = c->given;

	failure.text = text;
	const struct bounce_rule *rule = classifier_class(c->classifier, &failure);
	g_string_truncate(c->reason, 0);
	classifier_reason(c->classifier, c->reason, text);
	if (c->json)
		explain_json(c, rule);
	else
		explain_text(c, rule);
	fwrite(c->out->str, 1, c->out->len, stdout);
	return rule;
}

/* One reply a line; an empty line is an empty reply, so that answers stay beside their questions.
 */
static int explain_lines(struct classify *c)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool known = false;

	while ((n = getline(&line, &room, stdin)) >= 0) {
		struct slice text = slice_make(line, (size_t)n);
		if (slice_ends(text, SLICE("\n")))
			text.n--;
		known |= explain(c, text)->bounce_class != 1;
	}
	free(line);
	if (ferror(stdin))
		return cli_fail("cannot read the standard input");
	return known ? CLI_FOUND : CLI_NOTHING;
}

static int run(struct classify *c, char **words)
{
	int status;

	c->out = g_string_new(NULL);
	c->reason = g_string_new(NULL);
	if (words[0] != NULL) {
		g_autofree char *text = g_strjoinv(" ", words);
		status = explain(c, slice_str(text))->bounce_class != 1 ? CLI_FOUND : CLI_NOTHING;
	} else {
		status = explain_lines(c);
	}
	g_string_free(c->out, TRUE);
	g_string_free(c->reason, TRUE);
	return fflush(stdout) == 0 ? status : cli_fail("cannot write to the standard output");
}

int cli_classify(struct cli *cli, int argc, char **argv)
{
	g_autofree char *dsn = NULL, *code = NULL, *phase = NULL, *mx = NULL;
	struct classify classify = {0};
	struct error err = {0};
	const GOptionEntry entries[] = {
	        {"json", 'j', 0, G_OPTION_ARG_NONE, &classify.json, "an object a reply", NULL},
	        {"dsn", 0, 0, G_OPTION_ARG_STRING, &dsn,
	                "enhanced status code (default: that in the text)", "D.D.D"},
	        {"code", 0, 0, G_OPTION_ARG_STRING, &code, "reply code (default: that in the text)",
	                "DDD"},
	        {"phase", 0, 0, G_OPTION_ARG_STRING, &phase,
	                "connect, helo, mail, rcpt, data or eom", "PHASE"},
	        {"mx", 0, 0, G_OPTION_ARG_STRING, &mx, "name of the server that replied", "HOST"},
	        {NULL}};

	if (!cli_options(entries, "[TEXT] - what a reply means",
	            "Without TEXT: one reply a line from the standard input.", &argc, &argv))
		return CLI_FAILED;
	const struct config *config = cli_config(cli, &err);
	if (config != NULL)
		classify.classifier =
		        classifier_new(config->bounce_rules, config->reason_rules, &err);
	if (classify.classifier == NULL)
		return cli_fail("%s", err.text);
	classify.given = (struct failure){.dsn = slice_str(dsn),
	        .code = slice_str(code),
	        .phase = slice_str(phase),
	        .mx = slice_str(mx)};
	int status = run(&classify, argv + 1);
	classifier_free(&classify.classifier);
	return status;
}
