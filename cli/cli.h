/* The command `postwake`: one file a subcommand, each with a cli_SUBCOMMAND function. */
#ifndef PW_CLI_CLI_H
#define PW_CLI_CLI_H

#include <glib.h>

#include "base/error.h"
#include "daemon/config.h"

/* Exit statuses of all subcommands. */
enum cli_status { CLI_FOUND = 0, CLI_NOTHING = 1, CLI_FAILED = 2 };

/* Options before the subcommand. */
struct cli {
	char *store;       /* -S: open this store directly */
	char *socket;      /* -s */
	char *config_path; /* -c */
	struct config *config;
};

/* The configuration, read on first use. NULL with *err. */
const struct config *cli_config(struct cli *cli, struct error *err);

/* The query socket: -s or the configured one. NULL with *err. */
const char *cli_socket(struct cli *cli, struct error *err);

/* The directory of a store that is there: of -S or the configured one, for what works on its files
 * and asks no daemon: -s alone is refused. NULL with *err. */
const char *cli_store(struct cli *cli, struct error *err);

/* Reads relay_domains (daemon/inbound.h); what is no list is told on standard error. */
struct domains;
int cli_inbound(const char *text, struct domains **domains_r, struct error *err);

/* Parses the options of a subcommand (`usage` as for g_option_context_new). False: a message was
 * printed, end with CLI_FAILED. */
bool cli_options(const GOptionEntry *entries, const char *usage, const char *description, int *argc,
        char ***argv);

/* "postwake: text" on standard error; returns CLI_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For struct store_options: tells on standard error that a damaged file was set aside. */
void cli_notice(void *ctx, const char *text);

typedef int cli_run(struct cli *cli, int argc, char **argv);
cli_run cli_backup, cli_check, cli_search, cli_show, cli_follow, cli_import, cli_parse, cli_report,
        cli_status, cli_prune, cli_events, cli_classify, cli_reclassify, cli_key, cli_erase,
        cli_upload;

#endif
