/* postwake search */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/client.h"
#include "cli/filter.h"
#include "cli/print.h"
#include "cli/when.h"

#define PER_PAGE_MAX 10000
#define DEFAULT_LIMIT 100

struct search_options {
	struct filter filter;
	struct print_options print;
	char *since, *until, *zone;
	int limit;
};

static void search_time(GString *uri, const char *name, gint64 ms)
{
	char text[CLOCK_TEXT_MAX];

	/* Our server takes seconds too: YYYY-MM-DDTHH:MM:SS. */
	clock_format(ms, CLOCK_ZULU, text);
	text[19] = '\0';
	client_parameter(uri, name, text);
}

/* The window, always in UTC on the wire: people's zone is for people. */
static int search_window(
        const struct search_options *options, GTimeZone *zone, GString *uri, struct error *err)
{
	gint64 now = clock_now(), from = 0, to = clock_days(9999, 12, 31) * CLOCK_DAY;

	if (options->since != NULL && when_parse(options->since, zone, now, &from, err) < 0)
		return -1;
	if (options->until != NULL && when_parse(options->until, zone, now, &to, err) < 0)
		return -1;
	search_time(uri, "from", from);
	search_time(uri, "to", to);
	return 0;
}

/* What has been found and printed. */
struct search_sum {
	struct printer *printer;
	gint64 limit; /* 0 = none */
	gint64 printed, total;
};

static bool search_page(void *ctx, const json_t *answer)
{
	struct search_sum *sum = ctx;
	json_t *event;
	size_t i;

	sum->total = json_integer_value(json_object_get(answer, "total_count"));
	json_array_foreach(json_object_get(answer, "results"), i, event)
	{
		if (sum->limit > 0 && sum->printed >= sum->limit)
			return false;
		printer_event(sum->printer, event);
		sum->printed++;
	}
	return sum->limit == 0 || sum->printed < sum->limit;
}

static int search_run(struct client *client, const struct search_options *options, const char *uri,
        GTimeZone *zone, struct error *err)
{
	struct search_sum sum = {
	        .printer = printer_new(print_form(&options->print), zone, false),
	        .limit = options->limit,
	};

	client_each_page(client, uri, search_page, &sum, err);
	printer_end(&sum.printer, sum.total);
	if (err->set)
		return CLI_FAILED;
	if (sum.total == 0 && print_form(&options->print) == PRINT_TABLE)
		fputs("postwake: nothing found\n", stderr);
	return sum.total > 0 ? CLI_FOUND : CLI_NOTHING;
}

static int search_with(struct cli *cli, const struct search_options *options)
{
	struct error err = {0};
	g_autoptr(GTimeZone) zone = when_zone(options->zone, &err);
	g_autoptr(GString) uri = g_string_new("/api/v1/message-events");
	struct client *client = NULL;
	int status = CLI_FAILED;

	if (zone != NULL && filter_check(&options->filter, &err) == 0 &&
	        search_window(options, zone, uri, &err) == 0 &&
	        client_open(&client, cli, &err) == 0) {
		filter_parameters(&options->filter, uri);
		int per_page =
		        options->limit > 0 ? MIN(options->limit, PER_PAGE_MAX) : PER_PAGE_MAX;
		g_autofree char *number = g_strdup_printf("%d", per_page);
		client_parameter(uri, "per_page", number);
		status = search_run(client, options, uri->str, zone, &err);
	}
	client_close(&client);
	return err.set ? cli_fail("%s", err.text) : status;
}

int cli_search(struct cli *cli, int argc, char **argv)
{
	struct search_options options = {.limit = DEFAULT_LIMIT};
	GOptionEntry entries[FILTERS + 8] = {{0}};
	const GOptionEntry more[] = {
	        {"since", 0, 0, G_OPTION_ARG_STRING, &options.since,
	                "begin: 2h, 3d, yesterday, 2026-11-22 14:30 (default: all)", "TIME"},
	        {"until", 0, 0, G_OPTION_ARG_STRING, &options.until, "end, that second included",
	                "TIME"},
	        {"tz", 0, 0, G_OPTION_ARG_STRING, &options.zone,
	                "time zone of the times given and of the table (default: the system's)",
	                "NAME"},
	        {"limit", 0, 0, G_OPTION_ARG_INT, &options.limit,
	                "events at most, 0 = all (default 100)", "N"},
	        PRINT_ENTRIES(options.print)};

	filter_entries(&options.filter, entries);
	memcpy(&entries[FILTERS], more, sizeof(more));
	if (!cli_options(entries, "- find events, newest first",
	            "Filters of one kind are alternatives, filters of different kinds must all "
	            "match.",
	            &argc, &argv))
		return CLI_FAILED;
	if (argc > 1 || options.limit < 0)
		return cli_fail(argc > 1 ? "search takes options only (see --help): %s"
		                         : "--limit must not be negative%s",
		        argc > 1 ? argv[1] : "");
	int status = search_with(cli, &options);
	filter_clear(&options.filter);
	g_free(options.since);
	g_free(options.until);
	g_free(options.zone);
	return status;
}
