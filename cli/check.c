/* postwake check: is the store whole, and mending it. */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "store/check.h"

static void check_found(void *ctx, const struct store_finding *finding)
{
	g_autofree char *what = print_safe(finding->what);
	g_autofree char *mend = print_safe(finding->mend);
	g_autofree char *file = print_safe(finding->file);

	(void)ctx;
	printf("%s: %s; %s\n", file, what, mend);
}

static void check_told(void *ctx, const char *text)
{
	g_autofree char *safe = print_safe(text);

	(void)ctx;
	printf("%s\n", safe);
}

static int check_repair(const char *dir)
{
	struct store_repaired result;
	struct error err = {0};

	if (store_repair(dir, check_told, NULL, &result, &err) < 0)
		return err.number == EWOULDBLOCK
		               ? cli_fail("%s: postwaked holds this store; stop it first", dir)
		               : cli_fail("%s", err.text);
	if (result.salvaged > 0)
		printf("%llu event(s) saved, %llu lost\n", (unsigned long long)result.saved,
		        (unsigned long long)result.lost);
	return CLI_FOUND;
}

int cli_check(struct cli *cli, int argc, char **argv)
{
	gboolean repair = FALSE;
	uint64_t findings;
	struct error err = {0};
	const GOptionEntry entries[] = {{"repair", 0, 0, G_OPTION_ARG_NONE, &repair,
	                                        "mend what is found (no daemon may run)", NULL},
	        {NULL}};

	if (!cli_options(entries, "- verify the store", NULL, &argc, &argv))
		return CLI_FAILED;
	if (argc > 1)
		return cli_fail("check takes options only (see --help): %s", argv[1]);
	const char *dir = cli_store(cli, &err);
	if (dir == NULL)
		return cli_fail("%s", err.text);
	if (repair && check_repair(dir) != CLI_FOUND)
		return CLI_FAILED;
	if (store_check(dir, check_found, NULL, &findings, &err) < 0)
		return cli_fail("%s", err.text);
	if (findings == 0)
		puts("nothing is wrong");
	return findings == 0 ? CLI_FOUND : CLI_NOTHING;
}
