/* postwake erase: takes somebody out of the store, by the daemon or, with -S, in this process. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "capture/erase.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/http.h"
#include "cli/print.h"

#define LOOK_EVERY (G_USEC_PER_SEC / 5)

struct erase {
	char *name[TOMBSTONE_KINDS]; /* by enum tombstone_kind */
	gboolean list, json;
	enum tombstone_kind kind; /* of the one that was given */
};

static const char *const kind_names[TOMBSTONE_KINDS] = {
        [TOMBSTONE_RECIPIENT] = "recipient",
        [TOMBSTONE_DOMAIN] = "domain",
        [TOMBSTONE_MESSAGE] = "message",
};

/* ---- receipts ---- */

static void print_words(const json_t *list, const char *title, const char *between)
{
	const json_t *text;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	printf("%s", title);
	json_array_foreach(list, i, text)
	{
		g_autofree char *safe = print_safe(json_string_value(text));
		printf("%s%s", i > 0 ? between : "", safe);
	}
	putchar('\n');
}

static long long count_of(const json_t *receipt, const char *name)
{
	return (long long)json_integer_value(json_object_get(receipt, name));
}

static void print_receipt(const json_t *receipt)
{
	const char *ended = client_text(receipt, "ended");

	printf("erasure %lld of a %s (hash %s), asked for %s, %s%s\n", count_of(receipt, "id"),
	        client_text(receipt, "kind"), client_text(receipt, "hash"),
	        client_text(receipt, "time"), ended[0] != '\0' ? "ended " : "not ended yet", ended);
	printf("  removed %lld event(s), cleaned %lld other(s), %lld kept line(s); forgot %lld "
	       "mail(s) on their way\n",
	        count_of(receipt, "events"), count_of(receipt, "changed"),
	        count_of(receipt, "lines"), count_of(receipt, "open_mails"));
	print_words(json_object_get(receipt, "days"), "  written anew: ", " ");
	print_words(json_object_get(receipt, "left"), "  left to you: ", "\n               ");
}

static void print_result(const struct erase *erase, const json_t *results)
{
	const json_t *receipt;
	size_t i;

	if (erase->json) {
		print_json(results, JSON_INDENT(2));
		return;
	}
	if (json_is_object(results))
		print_receipt(results);
	json_array_foreach(results, i, receipt) print_receipt(receipt);
}

/* The receipts; with an id, that one. The caller's to json_decref. */
static json_t *get_receipts(struct client *client, json_int_t id, struct error *err)
{
	json_t *answer = NULL, *found = NULL;
	const json_t *results, *receipt;
	size_t i;

	if (client_get(client, "/api/v1/erasures", &answer, err) < 0)
		return NULL;
	results = json_object_get(answer, "results");
	if (id == 0)
		found = json_incref(json_object_get(answer, "results"));
	json_array_foreach(results, i, receipt)
	{
		if (id != 0 && json_integer_value(json_object_get(receipt, "id")) == id)
			found = json_deep_copy(receipt);
	}
	json_decref(answer);
	if (found == NULL)
		error_set(err, "the receipt is not there");
	return found;
}

/* ---- by the daemon ---- */

struct wish {
	char *text;
	size_t sent;
};

static ssize_t wish_piece(void *ctx, char *buffer, size_t size)
{
	struct wish *wish = ctx;
	size_t n = MIN(size, strlen(wish->text + wish->sent));

	memcpy(buffer, wish->text + wish->sent, n);
	wish->sent += n;
	return (ssize_t)n;
}

/* The number of the receipt; 0 with *err. */
static json_int_t read_answer(long status, const GString *body, struct error *err)
{
	json_t *answer = json_loadb(body->str, body->len, 0, NULL);
	json_int_t id =
	        json_integer_value(json_object_get(json_object_get(answer, "results"), "id"));
	const json_t *first = json_array_get(json_object_get(answer, "errors"), 0);

	if (status != 200 || id == 0)
		error_set(err, "postwaked did not take it (status %ld): %s", status,
		        client_text(first, "message"));
	json_decref(answer);
	return status == 200 ? id : 0;
}

static json_int_t ask_daemon(struct cli *cli, const struct erase *erase, struct error *err)
{
	const char *socket = cli_socket(cli, err);
	g_autoptr(GString) body = g_string_new(NULL);
	json_t *wish = json_pack("{s:s}", kind_names[erase->kind], erase->name[erase->kind]);
	struct wish upload = {.text = json_dumps(wish, 0)};
	long status = 0;
	json_int_t id = 0;

	json_decref(wish);
	if (socket != NULL && upload.text != NULL) {
		struct http *http = http_new(socket);
		if (http_post(http, "/api/v1/erasures", wish_piece, &upload, &status, body, err) ==
		        0)
			id = read_answer(status, body, err);
		http_free(&http);
	} else if (socket != NULL) {
		error_set(err, "the name is not UTF-8");
	}
	free(upload.text);
	return id;
}

/* Until the receipt says that it has ended. */
static json_t *erase_by_daemon(struct cli *cli, const struct erase *erase, struct error *err)
{
	json_int_t id = ask_daemon(cli, erase, err);
	struct client *client = NULL;
	json_t *receipt = NULL;

	if (id == 0 || client_open(&client, cli, err) < 0)
		return NULL;
	for (;;) {
		receipt = get_receipts(client, id, err);
		if (receipt == NULL || client_text(receipt, "ended")[0] != '\0')
			break;
		json_decref(receipt);
		g_usleep(LOOK_EVERY);
	}
	client_close(&client);
	return receipt;
}

/* ---- in this process ---- */

static int erase_store(const char *dir, const struct erase *erase, int64_t *id, struct error *err)
{
	const struct capture_config settings = {.trace = {.log_followed = true}, .keep_days = -1};
	struct capture *capture = NULL;
	struct store *store = NULL;
	int result = -1;

	if (store_open(&store, dir, STORE_WRITE, NULL, err) == 0 &&
	        capture_open(&capture, store, &settings, err) == 0 &&
	        capture_erase_begin(capture, store, erase->kind,
	                slice_str(erase->name[erase->kind]), id, err) == 0)
		result = capture_erase_pending(capture, store, NULL, NULL, err);
	if (capture_close(&capture, err) < 0)
		result = -1;
	store_close(&store);
	return result;
}

static json_t *erase_directly(struct cli *cli, const struct erase *erase, struct error *err)
{
	struct client *client = NULL;
	json_t *receipt = NULL;
	int64_t id;

	if (erase_store(cli->store, erase, &id, err) < 0) {
		if (err->number == EWOULDBLOCK)
			error_clear(err),
			        error_set(err, "%s: postwaked holds this store; leave out -S",
			                cli->store);
		return NULL;
	}
	if (client_open(&client, cli, err) == 0)
		receipt = get_receipts(client, id, err);
	client_close(&client);
	return receipt;
}

static json_t *list_receipts(struct cli *cli, struct error *err)
{
	struct client *client = NULL;
	json_t *receipts = NULL;

	if (client_open(&client, cli, err) == 0)
		receipts = get_receipts(client, 0, err);
	client_close(&client);
	return receipts;
}

static bool erase_chosen(struct erase *erase)
{
	unsigned n = erase->list;

	for (unsigned i = 1; i < TOMBSTONE_KINDS; i++)
		if (erase->name[i] != NULL) {
			erase->kind = (enum tombstone_kind)i;
			n++;
		}
	return n == 1;
}

static int erase_main(struct cli *cli, struct erase *erase)
{
	struct error err = {0};
	json_t *results;

	if (!erase_chosen(erase))
		return cli_fail("erase takes one of --recipient, --domain, --message and --list "
		                "(see --help)");
	if (erase->list)
		results = list_receipts(cli, &err);
	else if (cli->store != NULL)
		results = erase_directly(cli, erase, &err);
	else
		results = erase_by_daemon(cli, erase, &err);
	if (results == NULL)
		return cli_fail("%s", err.text);
	print_result(erase, results);
	bool any = erase->list ? json_array_size(results) > 0
	                       : count_of(results, "events") + count_of(results, "changed") > 0;
	json_decref(results);
	return any ? CLI_FOUND : CLI_NOTHING;
}

int cli_erase(struct cli *cli, int argc, char **argv)
{
	struct erase erase = {0};
	const GOptionEntry entries[] = {
	        {"recipient", 0, 0, G_OPTION_ARG_STRING, &erase.name[TOMBSTONE_RECIPIENT],
	                "erase what was recorded of mail to this address", "ADDRESS"},
	        {"domain", 0, 0, G_OPTION_ARG_STRING, &erase.name[TOMBSTONE_DOMAIN],
	                "of mail to all addresses of this domain", "DOMAIN"},
	        {"message", 0, 0, G_OPTION_ARG_STRING, &erase.name[TOMBSTONE_MESSAGE],
	                "of this mail, by message_id or Message-ID", "ID"},
	        {"list", 0, 0, G_OPTION_ARG_NONE, &erase.list, "list the receipts", NULL},
	        {"json", 0, 0, G_OPTION_ARG_NONE, &erase.json, "as JSON", NULL}, {NULL}};
	int status = CLI_FAILED;

	if (cli_options(
	            &entries[0], "- take somebody out of the store, for good", NULL, &argc, &argv))
		status = argc > 1 ? cli_fail("erase takes options only (see --help): %s", argv[1])
		                  : erase_main(cli, &erase);
	for (unsigned i = 0; i < TOMBSTONE_KINDS; i++)
		g_free(erase.name[i]);
	return status;
}
