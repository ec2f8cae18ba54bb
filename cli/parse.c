/* postwake parse: the events of logs or of reports as NDJSON, without a store. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "capture/report.h"
#include "cli/ahead.h"
#include "cli/cli.h"
#include "cli/mail.h"
#include "daemon/report.h"
#include "event/classify.h"
#include "event/json.h"
#include "cli/input.h"
#include "logtail/lines.h"
#include "trace/domains.h"
#include "trace/trace.h"

struct parse {
	struct trace *trace; /* fed by the thread of `ahead` */
	struct ahead *ahead;
	GString *out;
	guint64 events;
};

static void parse_event(void *ctx, const struct event *event)
{
	struct parse *parse = ctx;

	g_string_truncate(parse->out, 0);
	json_event(parse->out, event, API_V1);
	g_string_append_c(parse->out, '\n');
	fwrite_unlocked(parse->out->str, 1, parse->out->len, stdout);
	parse->events++;
}

static void parse_prepare(void *ctx, struct observation *seen)
{
	const struct parse *parse = ctx;

	trace_prepare(parse->trace, seen);
}

static void parse_observed(void *ctx, const struct observation *seen)
{
	struct parse *parse = ctx;

	trace_feed(parse->trace, seen);
}

static int parse_file(
        struct parse *parse, struct line_reader_config config, const char *path, struct error *err)
{
	struct slice line;
	gint64 offset;
	int more = -1;

	config.not_after = history_not_after(path);
	struct input *input = input_open(path, err);
	struct line_reader *reader = line_reader_new(&config, err);
	if (input != NULL && reader != NULL)
		while ((more = input_line(input, &line, &offset, err)) == 1)
			line_reader_read(reader, line, ahead_give, parse->ahead);
	line_reader_free(&reader);
	input_close(&input);
	return more;
}

static int parse_files(const struct trace_config *trace, const struct line_reader_config *reader,
        char **paths, struct error *err)
{
	struct parse parse = {0};
	const struct trace_hooks hooks = {.ctx = &parse, .event = parse_event};
	int result = 0;

	parse.trace = trace_new(trace, &hooks, err);
	if (parse.trace == NULL)
		return CLI_FAILED;
	parse.out = g_string_new(NULL);
	parse.ahead = ahead_start(parse_prepare, parse_observed, &parse);
	for (char **path = paths; *path != NULL && result == 0; path++)
		result = parse_file(&parse, *reader, *path, err);
	ahead_end(&parse.ahead);
	g_string_free(parse.out, TRUE);
	trace_free(&parse.trace);
	if (fflush(stdout) != 0)
		result = error_set(err, "cannot write to standard output");
	if (result < 0)
		return CLI_FAILED;
	return parse.events > 0 ? CLI_FOUND : CLI_NOTHING;
}

/* ---- mails ---- */

struct parse_mail {
	const char *file; /* NULL where there is only one */
	guint64 events;
};

static void parse_mail_event(void *ctx, const struct event *event)
{
	struct parse_mail *parse = ctx;
	g_autoptr(GString) out = g_string_new(NULL);

	json_event(out, event, API_V1);
	if (parse->file != NULL) {
		g_string_truncate(out, out->len - 1);
		json_member(out, "file", slice_str(parse->file));
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, '\n');
	fwrite(out->str, 1, out->len, stdout);
	parse->events++;
}

static void parse_explain(struct parse_mail *parse, struct slice mail)
{
	g_autoptr(GString) out = g_string_new(NULL);

	reports_explain(mail, out);
	fwrite(out->str, 1, out->len, stdout);
	parse->events++;
}

/* `config` and `classifier` may be NULL. */
static int parse_mails(const struct config *config, struct classifier *classifier, char **paths,
        bool explain, struct error *err)
{
	static const struct config none;
	struct reports *reports = report_settings(config != NULL ? config : &none, classifier, err);
	struct parse_mail parse = {0};

	for (char **path = paths; reports != NULL && *path != NULL && !err->set; path++) {
		g_autoptr(GString) mail = mail_read(*path, err);
		if (mail == NULL)
			break;
		parse.file = paths[1] != NULL ? *path : NULL;
		if (explain)
			parse_explain(&parse, slice_make(mail->str, mail->len));
		else
			reports_read(reports, slice_make(mail->str, mail->len), REPORTS_BROUGHT,
			        NULL, clock_now(), parse_mail_event, &parse, err);
	}
	reports_free(&reports);
	if (fflush(stdout) != 0)
		error_set(err, "cannot write to standard output");
	if (err->set)
		return CLI_FAILED;
	return parse.events > 0 ? CLI_FOUND : CLI_NOTHING;
}

/* ---- the subcommand ---- */

int cli_parse(struct cli *cli, int argc, char **argv)
{
	struct trace_config trace = {.log_followed = true};
	gboolean attempts = FALSE, mail = FALSE, explain = FALSE;
	g_autofree char *relays = NULL, *domains = NULL;
	struct input_options input = {0};
	struct domains *inbound = NULL;
	struct classifier *classifier = NULL;
	struct error err = {0};
	const GOptionEntry entries[] = {
	        {"attempts", 0, 0, G_OPTION_ARG_NONE, &attempts,
	                "every attempt and refusal as logged: hops included, no injections", NULL},
	        {"internal-relays", 0, 0, G_OPTION_ARG_STRING, &relays,
	                "content filters whose hops join one message (IP:PORT…)", "LIST"},
	        {"relay-domains", 0, 0, G_OPTION_ARG_STRING, &domains,
	                "mail for these domains is inbound (as in postwake.conf)", "LIST"},
	        INPUT_OPTIONS(input),
	        {"mail", 0, 0, G_OPTION_ARG_NONE, &mail,
	                "each FILE is one mail: what a bounce, complaint or unsubscribe mail means",
	                NULL},
	        {"explain", 0, 0, G_OPTION_ARG_NONE, &explain,
	                "with --mail: what was read, delay notices and receipts too", NULL},
	        {NULL}};

	if (!cli_options(entries, "FILE… - the events of logs or mails as NDJSON",
	            "FILE may be compressed (gz, bz2, xz, zst); - is the standard input.", &argc,
	            &argv))
		return CLI_FAILED;
	if (argc < 2) {
		input_options_clear(&input);
		return cli_fail("parse needs a FILE (see --help)");
	}
	const struct config *config = cli->config_path != NULL ? cli_config(cli, &err) : NULL;
	trace.attempts = attempts;
	if (config != NULL)
		classifier = classifier_new(config->bounce_rules, config->reason_rules, &err);
	trace.classifier = classifier;
	trace.internal_relays = relays == NULL && config != NULL ? config->internal_relays : relays;
	if (domains == NULL && config != NULL)
		domains = g_strdup(config->relay_domains);
	if (!err.set && cli_inbound(domains, &inbound, &err) == 0)
		trace.inbound = inbound;
	const struct line_reader_config reader = {
	        .zone = input.zone, .node = input.node, .instance = input.instance};
	int status = CLI_FAILED;
	if (!err.set)
		status = mail ? parse_mails(config, classifier, argv + 1, explain, &err)
		              : parse_files(&trace, &reader, argv + 1, &err);
	classifier_free(&classifier);
	domains_free(&inbound);
	input_options_clear(&input);
	return err.set ? cli_fail("%s", err.text) : status;
}
