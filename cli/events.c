/* postwake events: the vocabulary. */
#include <stdio.h>

#include "cli/cli.h"
#include "event/catalogue.h"

static void events_list(void)
{
	for (int type = 0; type < EVENT_TYPES; type++)
		printf("%-20s %s\n", event_catalogue[type].name, event_catalogue[type].description);
}

static void events_fields(enum event_type type)
{
	printf("%s: %s\n\n", event_catalogue[type].name, event_catalogue[type].description);
	for (int field = 0; field < FIELDS; field++)
		if (event_documents(type, (enum field)field, API_EVENTS))
			printf("%-24s %s\n", field_catalogue[field].name,
			        field_catalogue[field].description);
}

int cli_events(struct cli *cli, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
	        {"json", 0, 0, G_OPTION_ARG_NONE, &json,
	                "the documentation that the API serves, as JSON", NULL},
	        {NULL}};

	(void)cli;
	if (!cli_options(entries, "[TYPE…] - list event types, or the fields of a type", NULL,
	            &argc, &argv))
		return CLI_FAILED;
	if (json) {
		g_autoptr(GString) out = g_string_new(NULL);
		catalogue_documentation(out, API_EVENTS);
		puts(out->str);
		return CLI_FOUND;
	}
	if (argc < 2)
		events_list();
	for (int i = 1; i < argc; i++) {
		enum event_type type = event_type_by_name(slice_str(argv[i]));
		if (type == EVENT_TYPES)
			return cli_fail(
			        "%s: no such event type (postwake events lists them)", argv[i]);
		events_fields(type);
	}
	return CLI_FOUND;
}
