#include "cli/client.h"

#include <errno.h>
#include <string.h>

#include "cli/http.h"
#include "cli/sse.h"
#include "query/query.h"

struct client {
	struct http *http; /* one of the two */
	struct store *store;
	GString *body;
};

int client_open(struct client **client_r, struct cli *cli, struct error *err)
{
	struct client *client = g_new0(struct client, 1);

	client->body = g_string_new(NULL);
	*client_r = client;
	if (cli->store != NULL)
		return store_open(&client->store, cli->store, STORE_READ, NULL, err);
	const char *socket = cli_socket(cli, err);
	if (socket == NULL)
		return -1;
	client->http = http_new(socket);
	return 0;
}

void client_close(struct client **client)
{
	if (*client == NULL)
		return;
	http_free(&(*client)->http);
	store_close(&(*client)->store);
	g_string_free((*client)->body, TRUE);
	g_clear_pointer(client, g_free);
}

static int client_ask(struct client *client, const char *uri, long *status_r, struct error *err)
{
	static const struct query_config config;
	struct query_answer answer = {0};

	if (client->http != NULL)
		return http_get(client->http, uri, status_r, client->body, err);
	query_answer(client->store, &config, "GET", slice_str(uri), &answer);
	*status_r = answer.status;
	g_string_free(client->body, TRUE);
	client->body = answer.body;
	return 0;
}

/* "message (param = value); …" of an errors answer. */
static int client_errors(long status, const json_t *answer, struct error *err)
{
	g_autoptr(GString) text = g_string_new(NULL);
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(answer, "errors"), i, one)
	{
		g_string_append_printf(
		        text, "%s%s", i > 0 ? "; " : "", client_text(one, "message"));
		if (json_object_get(one, "param") != NULL)
			g_string_append_printf(text, " (%s = %s)", client_text(one, "param"),
			        client_text(one, "value"));
	}
	if (text->len == 0)
		g_string_printf(text, "status %ld", status);
	error_set(err, "%s", text->str);
	if (err != NULL && (status == 400 || status == 404))
		err->number = status == 400 ? EINVAL : ENODATA;
	return -1;
}

static void client_feed(void *ctx, struct slice bytes)
{
	sse_feed(ctx, bytes);
}

int client_stream(struct client *client, const char *uri, struct sse *sse, struct error *err)
{
	const char *last_id = sse->id->len > 0 ? sse->id->str : NULL;
	long status = 0;

	sse_restart(sse);
	if (http_stream(client->http, uri, last_id, client_feed, sse, &status, client->body, err) <
	        0)
		return -1;
	if (status == 200)
		return 0;
	json_t *answer = json_loadb(client->body->str, client->body->len, 0, NULL);
	client_errors(status, answer, err);
	json_decref(answer);
	return -1;
}

bool client_has_streams(const struct client *client)
{
	return client->http != NULL;
}

int client_get(struct client *client, const char *uri, json_t **answer_r, struct error *err)
{
	json_error_t error;
	long status = 0;

	*answer_r = NULL;
	if (client_ask(client, uri, &status, err) < 0)
		return -1;
	json_t *answer = json_loadb(client->body->str, client->body->len, 0, &error);
	if (answer == NULL)
		return error_set(err, "the answer (status %ld) is no JSON: %s", status, error.text);
	if (status == 200) {
		*answer_r = answer;
		return 0;
	}
	client_errors(status, answer, err);
	json_decref(answer);
	return -1;
}

/* The target of the link to the next page, the caller's to free; NULL where there is none. */
static char *client_next(const json_t *answer)
{
	const json_t *link;
	size_t i;

	json_array_foreach(json_object_get(answer, "links"), i, link)
	{
		if (strcmp(client_text(link, "rel"), "next") == 0)
			return g_strdup(client_text(link, "href"));
	}
	return NULL;
}

int client_each_page(
        struct client *client, const char *uri, client_page *page, void *ctx, struct error *err)
{
	g_autofree char *at = g_strdup(uri);

	while (at != NULL) {
		json_t *answer;
		if (client_get(client, at, &answer, err) < 0)
			return -1;
		g_free(at);
		at = page(ctx, answer) ? client_next(answer) : NULL;
		json_decref(answer);
	}
	return 0;
}

void client_parameter(GString *uri, const char *name, const char *value)
{
	g_string_append_c(uri, strchr(uri->str, '?') != NULL ? '&' : '?');
	g_string_append(uri, name);
	g_string_append_c(uri, '=');
	g_string_append_uri_escaped(uri, value, NULL, FALSE);
}

const char *client_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}
