/* What the subcommands share. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/glob.h"
#include "cli/print.h"
#include "daemon/inbound.h"
#include "store/control.h"

int cli_fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_autofree char *text = g_strdup_vprintf(format, ap);
	va_end(ap);
	g_autofree char *safe = print_safe(text); /* it may quote an answer, a log, a mail */
	fprintf(stderr, "postwake: %s\n", safe);
	return CLI_FAILED;
}

void cli_notice(void *ctx, const char *text)
{
	(void)ctx;
	cli_fail("%s", text);
}

bool cli_options(const GOptionEntry *entries, const char *usage, const char *description, int *argc,
        char ***argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(usage);
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_description(context, description);
	if (g_option_context_parse(context, argc, argv, &error))
		return true;
	cli_fail("%s (see --help)", error->message);
	return false;
}

const struct config *cli_config(struct cli *cli, struct error *err)
{
	if (cli->config == NULL && config_load(&cli->config, cli->config_path, err) < 0)
		return NULL;
	return cli->config;
}

const char *cli_socket(struct cli *cli, struct error *err)
{
	if (cli->socket != NULL)
		return cli->socket;
	const struct config *config = cli_config(cli, err);
	return config != NULL ? config->query_socket : NULL;
}

int cli_inbound(const char *text, struct domains **domains_r, struct error *err)
{
	g_autoptr(GPtrArray) unread = g_ptr_array_new_with_free_func(g_free);
	int result = inbound_read(text, domains_r, unread, err);

	for (guint i = 0; i < unread->len; i++)
		cli_fail("relay_domains: %s: cannot be read as a list of domains; mail for them "
		         "counts as outbound",
		        (const char *)unread->pdata[i]);
	return result;
}

/* Also one that lost its control file, or whose days were set aside. */
static bool store_is_there(GDir *names)
{
	g_autoptr(GPatternSpec) day = glob_new(SLICE("*-*-*.db*"));
	const char *name;

	while ((name = g_dir_read_name(names)) != NULL)
		if (g_str_has_prefix(name, CONTROL_NAME) || glob_fits(day, slice_str(name)))
			return true;
	return false;
}

const char *cli_store(struct cli *cli, struct error *err)
{
	const struct config *config = NULL;
	const char *dir = cli->store;

	if (dir == NULL && cli->socket != NULL)
		error_set(err, "-s names a daemon, and this works on the files of a store: name it "
		               "with -S, or leave out -s for the one of the configuration");
	else if (dir == NULL && (config = cli_config(cli, err)) != NULL)
		dir = config->store;
	if (dir == NULL)
		return NULL;
	g_autoptr(GError) cause = NULL;
	g_autoptr(GDir) names = g_dir_open(dir, 0, &cause);
	if (names == NULL)
		error_set(err, "there is no store in %s: %s", dir, cause->message);
	else if (!store_is_there(names))
		error_set(err, "there is no store in %s", dir);
	else
		return dir;
	return NULL;
}
