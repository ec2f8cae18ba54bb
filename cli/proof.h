/* Proof: the log lines behind a mail's events. A line proves an event when reading it again makes
 * the same event_id, which is a hash of the line's content. */
#ifndef PW_CLI_PROOF_H
#define PW_CLI_PROOF_H

#include "cli/client.h"

/* Prints the lines of the logs that the ledger names (and of their rotated files) which tell of
 * these events (array of json_t), each with the event that it proves. Logs that cannot be read any
 * more are named. -1 with *err when the ledger cannot be read. */
int proof_print(struct cli *cli, struct client *client, const GPtrArray *events, struct error *err);

#endif
