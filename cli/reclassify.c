#include "cli/cli.h"
int cli_reclassify(struct cli *cli, int argc, char **argv){(void)cli;(void)argc;(void)argv;return 2;}
