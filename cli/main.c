/* postwake: global options and the table of subcommands. */
#include <config.h>

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct command {
	const char *name;
	cli_run *run;
	const char *summary;
} commands[] = {
        {"search", cli_search, "find events: where is my mail?"},
        {"show", cli_show, "one mail's story in order"},
        {"follow", cli_follow, "print events as they arrive"},
        {"import", cli_import, "read old logs into the store"},
        {"parse", cli_parse, "a log's events as NDJSON, without a store"},
        {"report", cli_report, "a bounce, complaint or unsubscribe mail into the store"},
        {"classify", cli_classify, "what a reply of a server means, and which rule says so"},
        {"reclassify", cli_reclassify, "renew stored classes after a rule changed"},
        {"status", cli_status, "sources, line ledger, days and troubles"},
        {"erase", cli_erase, "take somebody out of the store, for good"},
        {"check", cli_check, "verify the store, and mend it"},
        {"backup", cli_backup, "copy the store while it is in use"},
        {"key", cli_key, "make, list and revoke keys of the API"},
        {"prune", cli_prune, "drop old days"},
        {"upload", cli_upload, "what is uploaded, and what became of it"},
        {"events", cli_events, "list the event types and their fields"},
};

static char *cli_command_list(void)
{
	GString *text = g_string_new(
	        "Subcommands (postwake SUBCOMMAND --help, man postwake-SUBCOMMAND):\n");

	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		g_string_append_printf(text, "  %-10s %s\n", commands[i].name, commands[i].summary);
	g_string_append(text, "\nExit status: 0 found, 1 nothing found, 2 usage or failure.");
	return g_string_free(text, FALSE);
}

static int cli_dispatch(struct cli *cli, int argc, char **argv)
{
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		if (strcmp(commands[i].name, argv[1]) != 0)
			continue;
		g_autofree char *name = g_strdup_printf("postwake %s", argv[1]);
		g_set_prgname(name);
		return commands[i].run(cli, argc - 1, argv + 1);
	}
	return cli_fail("%s: no such subcommand (see postwake --help)", argv[1]);
}

int main(int argc, char **argv)
{
	struct cli cli = {0};
	gboolean version = FALSE;
	const GOptionEntry entries[] = {
	        {"store", 'S', 0, G_OPTION_ARG_FILENAME, &cli.store,
	                "open this store directly, without the daemon", "DIR"},
	        {"socket", 's', 0, G_OPTION_ARG_FILENAME, &cli.socket, "query socket of the daemon",
	                "SOCKET"},
	        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &cli.config_path, "configuration file",
	                "FILE"},
	        {"version", 'V', 0, G_OPTION_ARG_NONE, &version, "print the version", NULL},
	        {NULL}};
	g_autoptr(GOptionContext) context =
	        g_option_context_new("SUBCOMMAND … - where is my mail?");
	g_autoptr(GError) error = NULL;
	g_autofree char *list = cli_command_list();

	setlocale(LC_ALL, "");
	signal(SIGPIPE, SIG_DFL);
	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_description(context, list);
	/* Options behind the subcommand are the subcommand's. */
	g_option_context_set_strict_posix(context, TRUE);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return cli_fail("%s (see --help)", error->message);
	if (version) {
		g_print("postwake %s\n", PACKAGE_VERSION);
		return CLI_FOUND;
	}
	if (argc < 2) {
		g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);
		fputs(help, stderr);
		return CLI_FAILED;
	}
	int status = cli_dispatch(&cli, argc, argv);
	config_free(&cli.config);
	g_free(cli.store);
	g_free(cli.socket);
	g_free(cli.config_path);
	return status;
}
