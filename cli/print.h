/* How events are printed: table, JSON, NDJSON, CSV. Foreign text never reaches a terminal or a
 * spreadsheet alive: control characters are shown as escapes, formulas are quoted. */
#ifndef PW_CLI_PRINT_H
#define PW_CLI_PRINT_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

enum print_form { PRINT_TABLE, PRINT_JSON, PRINT_NDJSON, PRINT_CSV };

/* The options --json, --ndjson and --csv, for the table of a subcommand; the latter two alone for
 * output that does not end. */
struct print_options {
	gboolean json, ndjson, csv;
};
#define PRINT_LINE_ENTRIES(options) \
	{"ndjson", 0, 0, G_OPTION_ARG_NONE, &(options).ndjson, \
	        "one JSON object a line for each event", NULL}, \
	{ \
		"csv", 0, 0, G_OPTION_ARG_NONE, &(options).csv, "comma-separated values", NULL \
	}
#define PRINT_ENTRIES(options) \
	{"json", 0, 0, G_OPTION_ARG_NONE, &(options).json, "one JSON object with all results", \
	        NULL}, \
	        PRINT_LINE_ENTRIES(options)
enum print_form print_form(const struct print_options *options);

/* Text that a terminal shows and does not obey. To be freed by g_free. */
char *print_safe(const char *text);

/* Text as one CSV field, quoted; a spreadsheet takes neither it nor what follows a semicolon in it
 * for a formula. To be freed by g_free. */
char *print_csv_field(const char *text);

/* A JSON value and a newline. A terminal gets no character bare that it would obey. */
void print_json(const json_t *value, size_t flags);

struct printer;

/* `zone` is for the table's times; it is referenced. `stream`: rows are printed as they come,
 * widths are not known beforehand. */
struct printer *printer_new(enum print_form form, GTimeZone *zone, bool stream);

/* Prints an event (or keeps it, for a table). Takes no reference. */
void printer_event(struct printer *printer, json_t *event);

/* Ends the output. `total`: all matches, for --json and a last line "N of TOTAL"; negative =
 * unknown. */
void printer_end(struct printer **printer, gint64 total);

/* What an event says in one line: reply, reason or subject. To be freed by g_free. */
char *print_detail(const json_t *event);

/* The type's name without regard to direction: "delivery" of a relay_delivery, too. */
const char *print_fact(const json_t *event);

#endif
