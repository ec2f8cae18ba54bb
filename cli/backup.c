/* postwake backup: a copy of the store while it is in use. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "store/backup.h"

int cli_backup(struct cli *cli, int argc, char **argv)
{
	struct store_backup done;
	struct error err = {0};
	const GOptionEntry entries[] = {{NULL}};

	if (!cli_options(entries, "DIR - copy the store to a new directory", NULL, &argc, &argv))
		return CLI_FAILED;
	if (argc != 2)
		return cli_fail("backup takes one directory (see --help)");
	const char *dir = cli_store(cli, &err);
	if (dir == NULL || store_backup(dir, argv[1], clock_now(), &done, &err) < 0)
		return cli_fail("%s", err.text);
	printf("%llu day(s), %.1f MB\n", (unsigned long long)done.days, (double)done.bytes / 1e6);
	return CLI_FOUND;
}
