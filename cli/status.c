/* postwake status */
#include <stdio.h>

#include "cli/client.h"
#include "cli/print.h"
#include "event/ledger.h"

static gint64 status_int(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void status_text(const char *label, const char *text)
{
	g_autofree char *safe = print_safe(text);

	if (*text != '\0')
		printf("%-10s %s\n", label, safe);
}

static void status_days(const json_t *results)
{
	const json_t *days = json_object_get(results, "days");
	size_t n = json_array_size(days);

	if (days == NULL)
		return; /* they could not be read: a trouble below */
	printf("%-10s %zu", "days", n);
	if (n > 0)
		printf(" (%s to %s), %" G_GINT64_FORMAT " events, %.1f MB",
		        client_text(json_array_get(days, 0), "day"),
		        client_text(json_array_get(days, n - 1), "day"),
		        status_int(results, "events"), (double)status_int(results, "bytes") / 1e6);
	putchar('\n');
}

static double status_ms(const json_t *object, const char *name)
{
	return (double)status_int(object, name) / 1e3;
}

static void status_commits(const json_t *results)
{
	const json_t *commits = json_object_get(results, "commits");

	if (status_int(commits, "measured") > 0)
		printf("%-10s %.1f ms, 99 of 100 within %.1f, longest %.1f, of the last "
		       "%" G_GINT64_FORMAT "\n",
		        "commits", status_ms(commits, "p50_us"), status_ms(commits, "p99_us"),
		        status_ms(commits, "longest_us"), status_int(commits, "measured"));
}

static void status_ledger(const json_t *results)
{
	const json_t *source;
	size_t i;

	printf("\n%-40s %12s", "SOURCE", "lines");
	for (int c = 0; c < LEDGER_CLASSES; c++)
		printf(" %10s", ledger_names[c]);
	puts("");
	json_array_foreach(json_object_get(results, "ledger"), i, source)
	{
		g_autofree char *name = print_safe(client_text(source, "source"));
		printf("%-40s %12" G_GINT64_FORMAT, name, status_int(source, "lines"));
		for (int c = 0; c < LEDGER_CLASSES; c++)
			printf(" %10" G_GINT64_FORMAT, status_int(source, ledger_names[c]));
		puts(status_int(source, "sum") == status_int(source, "lines") ? ""
		                                                              : "  SUM IS WRONG");
	}
}

static void status_counters(const json_t *results)
{
	const json_t *value;
	const char *name;

	json_object_foreach(json_object_get(results, "counters"), name, value)
	        printf("%-24s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
}

/* Capture gaps, lines that no rule knew: what an administrator must hear of. */
static void status_list(const json_t *results, const char *member, const char *heading)
{
	const json_t *list = json_object_get(results, member), *one;
	size_t i;

	if (json_array_size(list) > 0)
		printf("\n%s\n", heading);
	json_array_foreach(list, i, one)
	{
		g_autofree char *source = print_safe(client_text(one, "source"));
		g_autofree char *text = print_safe(client_text(one, "text"));
		printf("  %s %s: %s\n", client_text(one, "from"), source, text);
	}
}

static void status_troubles(const json_t *results)
{
	const json_t *source;

	size_t i;

	status_text("TROUBLE", client_text(results, "store_trouble"));
	status_text("TROUBLE", client_text(results, "store_slow"));
	status_text("TROUBLE", client_text(results, "store_full"));
	json_array_foreach(json_object_get(results, "missing"), i, source)
	        status_text("TROUBLE", json_string_value(source));
	json_array_foreach(json_object_get(results, "ingest_troubles"), i, source)
	        status_text("TROUBLE", json_string_value(source));
	status_text("TROUBLE", client_text(results, "clock_trouble"));
	status_text("TROUBLE", client_text(results, "read_trouble"));
	json_array_foreach(json_object_get(results, "following"), i, source)
	{
		g_autofree char *text = g_strdup_printf(
		        "%s: %s", client_text(source, "source"), client_text(source, "trouble"));
		if (*client_text(source, "trouble") == '\0')
			continue;
		status_text("TROUBLE", text);
	}
}

static void status_damage(const json_t *results)
{
	const json_t *day;
	size_t i;

	json_array_foreach(json_object_get(results, "days"), i, day)
	{
		g_autofree char *text =
		        g_strdup_printf("the day file of %s is damaged: its events cannot be "
		                        "read, see postwake check",
		                client_text(day, "day"));
		if (json_is_true(json_object_get(day, "damaged")))
			status_text("TROUBLE", text);
	}
	json_array_foreach(json_object_get(results, "set_aside"), i, day)
	{
		g_autofree char *text = g_strdup_printf("%s was damaged and is set aside: see "
		                                        "postwake check",
		        client_text(day, "file"));
		status_text("TROUBLE", text);
	}
}

/* What was recorded before stays as it was. */
static void status_pseudonyms(const char *since)
{
	g_autofree char *text = g_strdup_printf(
	        "only keyed hashes since %s; what was recorded before holds them as they are",
	        since);

	if (*since != '\0')
		status_text("addresses", text);
}

static void status_print(const json_t *results)
{
	status_text("version", client_text(results, "version"));
	status_text("store", client_text(results, "store"));
	status_text("started", client_text(results, "started"));
	status_pseudonyms(client_text(results, "pseudonymised_since"));
	status_days(results);
	status_commits(results);
	status_troubles(results);
	status_damage(results);
	status_ledger(results);
	putchar('\n');
	status_counters(results);
	status_list(results, "gaps", "Capture gaps (newest first):");
	status_list(results, "unparsed_lines", "Lines that no rule knew (newest first):");
}

int cli_status(struct cli *cli, int argc, char **argv)
{
	gboolean json = FALSE;
	struct error err = {0};
	struct client *client = NULL;
	json_t *answer = NULL;
	const GOptionEntry entries[] = {
	        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "as JSON", NULL}, {NULL}};

	if (!cli_options(entries, "- sources, line ledger, days and troubles", NULL, &argc, &argv))
		return CLI_FAILED;
	if (argc > 1)
		return cli_fail("status takes options only (see --help): %s", argv[1]);
	if (client_open(&client, cli, &err) == 0 &&
	        client_get(client, "/api/v1/status", &answer, &err) == 0) {
		const json_t *results = json_object_get(answer, "results");
		if (json) {
			print_json(results, JSON_INDENT(2));
		} else if (json_object_get(results, "version") == NULL) {
			error_set(&err, "the status is shown only to who may read all events");
		} else {
			status_print(results);
		}
	}
	json_decref(answer);
	client_close(&client);
	return err.set ? cli_fail("%s", err.text) : CLI_FOUND;
}
