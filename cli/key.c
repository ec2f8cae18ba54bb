/* postwake key: keys of the API. The daemon's socket is asked; where no daemon runs, the same
 * routes are answered here on the store itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/http.h"
#include "cli/print.h"
#include "query/keys.h"
#include "query/query.h"

#define KEYS "/api/v1/keys"

struct key_options {
	char *name;
	char *grants;
	char **subaccounts;
	char **domains;
	gboolean json;
};

/* Who answers: one of the two. */
struct keeper {
	struct http *http;
	struct store *store;
	struct keyring *keyring;
};

/* --- asking --- */

static int keeper_open_store(struct keeper *keeper, const char *dir, struct error *err)
{
	struct error cause = {0};

	if (store_open(&keeper->store, dir, STORE_WRITE, NULL, &cause) == 0) {
		const struct keyring_config config = {.store = keeper->store};

		return keyring_open(&keeper->keyring, &config, err);
	}
	if (cause.number == EWOULDBLOCK)
		return error_set(
		        err, "%s: postwaked holds this store: leave out -S, and it is asked", dir);
	return error_set(err, "%s", cause.text);
}

/* Without a daemon on the usual socket, the usual store. */
static int keeper_open(struct keeper *keeper, struct cli *cli, struct error *err)
{
	struct error cause = {0};
	long status;

	if (cli->store != NULL)
		return keeper_open_store(keeper, cli->store, err);
	const char *socket = cli_socket(cli, err);
	if (socket == NULL)
		return -1;
	g_autoptr(GString) body = g_string_new(NULL);
	keeper->http = http_new(socket);
	if (cli->socket != NULL || http_get(keeper->http, KEYS, &status, body, &cause) == 0 ||
	        (cause.number != ENOENT && cause.number != ECONNREFUSED))
		return 0;
	http_free(&keeper->http);
	const struct config *config = cli_config(cli, err);
	return config != NULL ? keeper_open_store(keeper, config->store, err) : -1;
}

static void keeper_close(struct keeper *keeper)
{
	http_free(&keeper->http);
	keyring_free(&keeper->keyring);
	store_close(&keeper->store);
}

static void keeper_answer(struct keeper *keeper, const char *method, const char *uri,
        const char *text, long *status_r, GString *body)
{
	const struct query_config config = {.keyring = keeper->keyring};
	const struct query_input input = {
	        .method = method, .uri = slice_str(uri), .body = slice_str(text)};
	struct query_answer answer;

	query_answer_input(keeper->store, &config, &input, &answer);
	*status_r = answer.status;
	g_string_assign(body, answer.body->str);
	query_answer_clear(&answer);
}

/* The results of a 200, the caller's to json_decref; NULL with *err (number ENOENT for a 404). */
static json_t *keeper_ask(struct keeper *keeper, const char *method, const char *uri,
        const char *text, struct error *err)
{
	g_autoptr(GString) body = g_string_new(NULL);
	long status = 0;

	if (keeper->http == NULL)
		keeper_answer(keeper, method, uri, text, &status, body);
	else if (http_send(keeper->http, method, uri, text, &status, body, err) < 0)
		return NULL;
	json_t *answer = json_loadb(body->str, body->len, 0, NULL);
	json_t *results = json_incref(json_object_get(answer, "results"));
	const json_t *first = json_array_get(json_object_get(answer, "errors"), 0);
	if (status == 401 || status == 403)
		error_set(err, "only root and the user of postwaked may handle keys");
	else if (status != 200 || results == NULL)
		error_set(err, "%s", client_text(first, "message"));
	if (err->set && status == 404)
		err->number = ENOENT;
	json_decref(answer);
	if (!err->set)
		return results;
	json_decref(results);
	return NULL;
}

/* --- what is asked --- */

static json_t *key_words(const char *list)
{
	g_auto(GStrv) words = g_strsplit_set(list, ", ", -1);
	json_t *array = json_array();

	for (char **word = words; *word != NULL; word++)
		if (**word != '\0')
			json_array_append_new(array, json_string(*word));
	return array;
}

static void key_put_list(json_t *wish, const char *name, char **values)
{
	json_t *array = json_array();

	for (char **value = values; value != NULL && *value != NULL; value++)
		json_array_append_new(array, json_string(*value));
	if (values != NULL)
		json_object_set_new(wish, name, array);
	else
		json_decref(array);
}

static int key_add(struct keeper *keeper, const struct key_options *options, struct error *err)
{
	json_t *wish = json_object();

	json_object_set_new(wish, "name", json_string(options->name != NULL ? options->name : ""));
	json_object_set_new(
	        wish, "grants", key_words(options->grants != NULL ? options->grants : "read"));
	key_put_list(wish, "subaccounts", options->subaccounts);
	key_put_list(wish, "domains", options->domains);
	char *text = json_dumps(wish, JSON_COMPACT);
	json_t *results = keeper_ask(keeper, "POST", KEYS, text != NULL ? text : "", err);
	free(text);
	json_decref(wish);
	if (results == NULL)
		return CLI_FAILED;
	if (options->json)
		print_json(results, JSON_INDENT(2));
	else
		puts(client_text(results, "key"));
	json_decref(results);
	return CLI_FOUND;
}

/* "a, b", or "all" where nothing narrows it. */
static char *key_list_text(const json_t *list)
{
	GString *text = g_string_new(NULL);
	const json_t *one;
	size_t i;

	if (list == NULL)
		return g_string_free(g_string_assign(text, "all"), FALSE);
	json_array_foreach(list, i, one)
	{
		g_autofree char *safe = print_safe(json_string_value(one));

		g_string_append_printf(text, "%s%s", i > 0 ? "," : "", safe);
	}
	return g_string_free(text, FALSE);
}

static void key_print(const json_t *key)
{
	g_autofree char *grants = key_list_text(json_object_get(key, "grants"));
	g_autofree char *subaccounts = key_list_text(json_object_get(key, "subaccounts"));
	g_autofree char *domains = key_list_text(json_object_get(key, "domains"));
	g_autofree char *name = print_safe(client_text(key, "name"));

	printf("%-12s  %.19sZ  %-18s  subaccounts %s, domains %s  %s\n", client_text(key, "id"),
	        client_text(key, "created"), grants, subaccounts, domains, name);
}

static int key_list(struct keeper *keeper, const struct key_options *options, struct error *err)
{
	json_t *results = keeper_ask(keeper, "GET", KEYS, NULL, err);
	const json_t *key;
	size_t i;

	if (results == NULL)
		return CLI_FAILED;
	if (options->json)
		print_json(results, JSON_INDENT(2));
	else
		json_array_foreach(results, i, key) key_print(key);
	int status = json_array_size(results) > 0 ? CLI_FOUND : CLI_NOTHING;
	json_decref(results);
	return status;
}

/* By the id or by the key itself. */
static int key_revoke(struct keeper *keeper, const char *name, struct error *err)
{
	g_autofree char *id = keyring_id(name);
	g_autofree char *part = g_uri_escape_string(id, NULL, FALSE);
	g_autofree char *uri = g_strconcat(KEYS "/", part, NULL);
	json_t *results = keeper_ask(keeper, "DELETE", uri, NULL, err);

	if (results != NULL) {
		json_decref(results);
		return CLI_FOUND;
	}
	if (err->number != ENOENT)
		return CLI_FAILED;
	error_clear(err);
	cli_fail("%s: no such key (postwake key list shows their ids)", id);
	return CLI_NOTHING;
}

static int key_revoke_all(struct keeper *keeper, char **names, struct error *err)
{
	int status = CLI_FOUND;

	for (; *names != NULL && status != CLI_FAILED; names++) {
		int revoked = key_revoke(keeper, *names, err);

		status = MAX(status, revoked);
	}
	return status;
}

static int key_run(
        struct cli *cli, const struct key_options *options, char **words, struct error *err)
{
	struct keeper keeper = {0};
	int status = CLI_FAILED;

	if (keeper_open(&keeper, cli, err) == 0) {
		if (strcmp(words[0], "add") == 0)
			status = key_add(&keeper, options, err);
		else if (strcmp(words[0], "list") == 0)
			status = key_list(&keeper, options, err);
		else
			status = key_revoke_all(&keeper, words + 1, err);
	}
	keeper_close(&keeper);
	return status;
}

static bool key_words_are_right(int n, char **words)
{
	if (n >= 1 && (strcmp(words[0], "add") == 0 || strcmp(words[0], "list") == 0))
		return n == 1;
	return n >= 2 && strcmp(words[0], "revoke") == 0;
}

int cli_key(struct cli *cli, int argc, char **argv)
{
	struct key_options options = {0};
	struct error err = {0};
	int status = CLI_FAILED;
	const GOptionEntry entries[] = {{"name", 0, 0, G_OPTION_ARG_STRING, &options.name,
	                                        "add: what the key is for", "TEXT"},
	        {"grant", 0, 0, G_OPTION_ARG_STRING, &options.grants,
	                "add: what it may do (default: read)", "read,ingest,upload"},
	        {"subaccount", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.subaccounts,
	                "add: only events of this subaccount", "N"},
	        {"domain", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.domains,
	                "add: only events from or to this domain", "DOMAIN"},
	        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "add, list: as JSON", NULL},
	        {NULL}};

	if (!cli_options(entries, "add | list | revoke ID… - keys of the API", NULL, &argc, &argv))
		return CLI_FAILED;
	if (!key_words_are_right(argc - 1, argv + 1))
		cli_fail("key needs one of: add, list, revoke ID… (see --help)");
	else
		status = key_run(cli, &options, argv + 1, &err);
	g_free(options.name);
	g_free(options.grants);
	g_strfreev(options.subaccounts);
	g_strfreev(options.domains);
	return err.set ? cli_fail("%s", err.text) : status;
}
