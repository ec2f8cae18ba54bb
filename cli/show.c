/* postwake show: one mail's story in order. */
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/print.h"
#include "cli/proof.h"
#include "cli/when.h"

/* What must come first where the time stamps of a message's events tie. */
static const char *const show_order[] = {
        "policy_rejection", "injection", "delay", "delivery", "bounce"};

struct show {
	struct client *client;
	GPtrArray *events; /* of json_t */
	GTimeZone *zone;
	bool proof;
	bool json;
};

static int show_rank(const json_t *event)
{
	const char *fact = print_fact(event);

	for (int i = 0; i < (int)G_N_ELEMENTS(show_order); i++)
		if (strcmp(fact, show_order[i]) == 0)
			return i;
	return G_N_ELEMENTS(show_order);
}

/* Messages one after the other, each in the order of time. */
static gint show_compare(gconstpointer a, gconstpointer b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(client_text(x, "message_id"), client_text(y, "message_id"));

	if (order == 0)
		order = strcmp(client_text(x, "timestamp"), client_text(y, "timestamp"));
	return order != 0 ? order : show_rank(x) - show_rank(y);
}

static bool show_add(void *ctx, const json_t *answer)
{
	struct show *show = ctx;
	json_t *event;
	size_t i;

	json_array_foreach(json_object_get(answer, "results"), i, event)
	        g_ptr_array_add(show->events, json_incref(event));
	return true;
}

/* Adds all events that a parameter finds. */
static int show_find(struct show *show, const char *parameter, const char *value, struct error *err)
{
	g_autoptr(GString) uri = g_string_new(
	        "/api/v1/"
	        "message-events?from=1970-01-01T00%3A00&to=9999-12-31T00%3A00&per_page=10000");

	client_parameter(uri, parameter, value);
	client_parameter(uri, "delimiter", "\x1f");
	return client_each_page(show->client, uri->str, show_add, show, err);
}

/* The messages that an id of any kind means: their message_ids. */
static int show_messages(struct show *show, const char *id, GHashTable *ids, struct error *err)
{
	static const char *const kinds[] = {"message_ids", "queue_ids", "event_ids"};

	for (size_t k = 0; k < G_N_ELEMENTS(kinds) && g_hash_table_size(ids) == 0; k++) {
		if (strcmp(kinds[k], "event_ids") == 0 && strspn(id, "0123456789") != strlen(id))
			continue;
		if (show_find(show, kinds[k], id, err) < 0)
			return -1;
		for (guint i = 0; i < show->events->len; i++)
			g_hash_table_add(
			        ids, g_strdup(client_text(show->events->pdata[i], "message_id")));
		g_ptr_array_set_size(show->events, 0);
	}
	return 0;
}

static void show_line(const char *label, const char *text)
{
	g_autofree char *safe = print_safe(text);

	if (*text != '\0')
		printf("%-12s %s\n", label, safe);
}

/* The first event of the message that has the field. */
static const char *show_first(struct show *show, guint from, guint to, const char *field)
{
	for (guint i = from; i < to; i++)
		if (*client_text(show->events->pdata[i], field) != '\0')
			return client_text(show->events->pdata[i], field);
	return "";
}

static void show_heading(struct show *show, guint from, guint to)
{
	static const char *const lines[][2] = {{"Message", "message_id"}, {"Queue id", "queue_id"},
	        {"Message-ID", "header_message_id"}, {"From", "friendly_from"},
	        {"Sender", "msg_from"}, {"Subject", "subject"}, {"Campaign", "campaign_id"},
	        {"Size", "msg_size"}, {"Client", "remote_addr"}, {"User", "auth_user"},
	        {"Notice of", "parent_message_id"}};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		show_line(lines[i][0], show_first(show, from, to, lines[i][1]));
}

static void show_story(struct show *show, guint from, guint to)
{
	if (from > 0)
		putchar('\n');
	show_heading(show, from, to);
	for (guint i = from; i < to; i++) {
		const json_t *event = show->events->pdata[i];
		g_autofree char *time =
		        when_format(when_of(client_text(event, "timestamp")), show->zone);
		g_autofree char *detail = print_detail(event);
		g_autofree char *rcpt = print_safe(client_text(event, "rcpt_to"));
		g_autofree char *safe = print_safe(detail);
		printf("%s  %-16s  %s  %s\n", time, client_text(event, "type"),
		        *rcpt != '\0' ? rcpt : "-", safe);
	}
}

static void show_print(struct show *show)
{
	guint from = 0;

	if (show->json) {
		struct printer *printer = printer_new(PRINT_JSON, show->zone, false);
		for (guint i = 0; i < show->events->len; i++)
			printer_event(printer, show->events->pdata[i]);
		printer_end(&printer, show->events->len);
		return;
	}
	for (guint i = 1; i <= show->events->len; i++) {
		if (i < show->events->len &&
		        strcmp(client_text(show->events->pdata[i], "message_id"),
		                client_text(show->events->pdata[from], "message_id")) == 0)
			continue;
		show_story(show, from, i);
		from = i;
	}
}

static int show_run(struct show *show, struct cli *cli, const char *id, struct error *err)
{
	g_autoptr(GHashTable) ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GHashTableIter iter;
	gpointer key;

	if (show_messages(show, id, ids, err) < 0)
		return CLI_FAILED;
	g_hash_table_iter_init(&iter, ids);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (show_find(show, "message_ids", key, err) < 0)
			return CLI_FAILED;
	g_ptr_array_sort(show->events, show_compare);
	show_print(show);
	if (show->proof && show->events->len > 0 &&
	        proof_print(cli, show->client, show->events, err) < 0)
		return CLI_FAILED;
	if (show->events->len == 0 && !show->json)
		fputs("postwake: nothing found\n", stderr);
	return show->events->len > 0 ? CLI_FOUND : CLI_NOTHING;
}

int cli_show(struct cli *cli, int argc, char **argv)
{
	struct show show = {0};
	gboolean proof = FALSE, json = FALSE;
	g_autofree char *zone = NULL;
	struct error err = {0};
	int status = CLI_FAILED;
	const GOptionEntry entries[] = {
	        {"proof", 0, 0, G_OPTION_ARG_NONE, &proof,
	                "add the raw log lines, while the logs still have them", NULL},
	        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "the events as one JSON object", NULL},
	        {"tz", 0, 0, G_OPTION_ARG_STRING, &zone, "time zone of the times", "NAME"}, {NULL}};

	if (!cli_options(entries, "MESSAGE-ID|QUEUE-ID|EVENT-ID - one mail's story in order", NULL,
	            &argc, &argv))
		return CLI_FAILED;
	if (argc != 2)
		return cli_fail("show takes one id (see --help)");
	if (proof && json)
		return cli_fail("--proof prints text: use it without --json");
	show.proof = proof;
	show.json = json;
	show.events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
	show.zone = when_zone(zone, &err);
	if (show.zone != NULL && client_open(&show.client, cli, &err) == 0)
		status = show_run(&show, cli, argv[1], &err);
	client_close(&show.client);
	g_ptr_array_free(show.events, TRUE);
	g_clear_pointer(&show.zone, g_time_zone_unref);
	return err.set ? cli_fail("%s", err.text) : status;
}
