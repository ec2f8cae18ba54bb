/* postwake prune: retention by hand, where no daemon runs. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "store/store.h"

int cli_prune(struct cli *cli, int argc, char **argv)
{
	int keep_days = -1;
	struct error err = {0};
	struct store *store = NULL;
	const GOptionEntry entries[] = {
	        {"keep-days", 0, 0, G_OPTION_ARG_INT, &keep_days,
	                "days kept besides today (default: keep_days of the "
	                "configuration)",
	                "N"},
	        {NULL}};

	if (!cli_options(entries, "- drop the days that are too old", NULL, &argc, &argv))
		return CLI_FAILED;
	if (argc > 1)
		return cli_fail("prune takes options only (see --help): %s", argv[1]);
	const struct config *config = cli_config(cli, &err);
	if (config == NULL)
		return cli_fail("%s", err.text);
	if (keep_days < 0)
		keep_days = config->keep_days;
	const char *dir = cli_store(cli, &err);
	if (dir == NULL)
		return cli_fail("%s", err.text);
	if (store_open(&store, dir, STORE_WRITE, NULL, &err) < 0)
		return err.number == EWOULDBLOCK
		               ? cli_fail(
		                         "%s: postwaked holds this store and drops old days itself "
		                         "(keep_days)",
		                         dir)
		               : cli_fail("%s", err.text);
	int dropped = store_prune(store, keep_days, clock_now(), &err);
	store_close(&store);
	if (dropped < 0)
		return cli_fail("%s", err.text);
	printf("%d day(s) dropped\n", dropped);
	return dropped > 0 ? CLI_FOUND : CLI_NOTHING;
}
