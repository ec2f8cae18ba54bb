/* postwake follow */
#include <errno.h>
#include <string.h>

#include "cli/client.h"
#include "cli/filter.h"
#include "cli/print.h"
#include "cli/sse.h"
#include "cli/when.h"

/* How often the store is looked at, or a daemon that has gone is tried, in microseconds. */
#define ASK_EVERY (200 * 1000)
/* Failures in a row after which the failure is reported rather than tried again. */
#define MISSES_MAX 50

static void follow_uri(GString *uri, const struct filter *filter, gint64 since)
{
	g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, since);

	g_string_assign(uri, "/api/v1/message-events");
	client_parameter(uri, "since", number);
	filter_parameters(filter, uri);
}

/* The arrival mark of now: what comes later is followed. */
static int follow_start(struct client *client, gint64 *since_r, struct error *err)
{
	json_t *answer;

	if (client_get(client, "/api/v1/message-events?per_page=1", &answer, err) < 0)
		return -1;
	*since_r = json_integer_value(json_object_get(answer, "as_of"));
	json_decref(answer);
	return 0;
}

static int follow_once(struct client *client, const struct filter *filter, gint64 *since,
        struct printer *printer, struct error *err)
{
	g_autoptr(GString) uri = g_string_new(NULL);
	json_t *answer, *event;
	size_t i;

	follow_uri(uri, filter, *since);
	if (client_get(client, uri->str, &answer, err) < 0)
		return -1;
	json_array_foreach(json_object_get(answer, "results"), i, event)
	        printer_event(printer, event);
	gint64 next = json_integer_value(json_object_get(answer, "as_of"));
	int moved = next > *since;
	*since = MAX(next, *since);
	json_decref(answer);
	return moved;
}

/* With -S: the store is looked at again and again. */
static int follow_store(struct client *client, const struct filter *filter, struct printer *printer,
        struct error *err)
{
	gint64 since = 0;
	int misses = 0;

	if (follow_start(client, &since, err) < 0)
		return -1;
	while (misses < MISSES_MAX) {
		error_clear(err);
		int moved = follow_once(client, filter, &since, printer, err);
		if (moved < 0 && err->number == EINVAL)
			return -1;
		misses = moved < 0 ? misses + 1 : 0;
		if (moved <= 0)
			g_usleep(ASK_EVERY);
	}
	return -1;
}

struct following {
	struct printer *printer;
	bool got; /* something came by this connection */
};

static void follow_event(void *ctx, struct slice data)
{
	struct following *following = ctx;
	json_t *event = json_loadb(data.p, data.n, 0, NULL);

	following->got = true;
	if (event != NULL)
		printer_event(following->printer, event);
	json_decref(event);
}

/* Until the daemon has been away for MISSES_MAX tries: a restart of it goes unnoticed, since the
 * stream goes on where it was. */
static int follow_daemon(struct client *client, const struct filter *filter,
        struct printer *printer, struct error *err)
{
	g_autoptr(GString) uri = g_string_new("/api/v1/events/stream?api=v1");
	struct following following = {.printer = printer};
	int misses = 0, result = 0;
	struct sse sse;

	filter_parameters(filter, uri);
	sse_init(&sse, follow_event, &following);
	while (misses < MISSES_MAX) {
		error_clear(err);
		following.got = false;
		result = client_stream(client, uri->str, &sse, err);
		if (result < 0 && (err->number == EINVAL || sse.id->len == 0))
			break;
		misses = result == 0 || following.got ? 0 : misses + 1;
		g_usleep(ASK_EVERY);
	}
	sse_clear(&sse);
	return result;
}

int cli_follow(struct cli *cli, int argc, char **argv)
{
	struct filter filter = {0};
	struct print_options print = {0};
	g_autofree char *zone_name = NULL;
	GOptionEntry entries[FILTERS + 5] = {{0}};
	const GOptionEntry more[] = {
	        {"tz", 0, 0, G_OPTION_ARG_STRING, &zone_name, "time zone of the table", "NAME"},
	        PRINT_LINE_ENTRIES(print)};
	struct error err = {0};
	struct client *client = NULL;

	filter_entries(&filter, entries);
	memcpy(&entries[FILTERS], more, sizeof(more));
	if (!cli_options(entries, "- print events as they arrive, until interrupted", NULL, &argc,
	            &argv))
		return CLI_FAILED;
	if (argc > 1)
		return cli_fail("follow takes options only (see --help): %s", argv[1]);
	g_autoptr(GTimeZone) zone = when_zone(zone_name, &err);
	if (zone != NULL && filter_check(&filter, &err) == 0 &&
	        client_open(&client, cli, &err) == 0) {
		struct printer *printer = printer_new(print_form(&print), zone, true);
		if (client_has_streams(client))
			follow_daemon(client, &filter, printer, &err);
		else
			follow_store(client, &filter, printer, &err);
		printer_end(&printer, -1);
	}
	client_close(&client);
	filter_clear(&filter);
	return cli_fail("%s", err.text);
}
