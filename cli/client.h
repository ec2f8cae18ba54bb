/* Asks the query API: over the daemon's socket, or, with -S, in this process on the store itself.
 * Both give the same answers. */
#ifndef PW_CLI_CLIENT_H
#define PW_CLI_CLIENT_H

#include <jansson.h>

#include "cli/cli.h"

struct client;

int client_open(struct client **client_r, struct cli *cli, struct error *err);
void client_close(struct client **client);

/* GET. *answer_r is the parsed body of a 200, the caller's to json_decref. -1 with *err where there
 * is none; the messages of an `errors` answer are in it, with number EINVAL where the
 * question itself was refused (400): asking again does not help. */
int client_get(struct client *client, const char *uri, json_t **answer_r, struct error *err);

/* The same for each page of a search, from `uri` on along the links: `page` gets its answer and
 * returns false when that is enough. */
typedef bool client_page(void *ctx, const json_t *answer);
int client_each_page(
        struct client *client, const char *uri, client_page *page, void *ctx, struct error *err);

/* Follows a stream of the daemon (Server-Sent Events) until its connection ends: 0; or -1 with *err
 * as client_get. The stream's last id says from where on; it keeps it for the next time. */
struct sse;
int client_stream(struct client *client, const char *uri, struct sse *sse, struct error *err);

/* Whether the daemon is asked, which has streams. */
bool client_has_streams(const struct client *client);

/* Appends "&name=value", percent-encoded ("?" before the first). */
void client_parameter(GString *uri, const char *name, const char *value);

/* The text of a member, or "". */
const char *client_text(const json_t *object, const char *name);

#endif
