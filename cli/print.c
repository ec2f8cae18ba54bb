#include "cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/visible.h"
#include "cli/client.h"
#include "cli/when.h"
#include "event/catalogue.h"
#include "event/json.h"

#define COLUMNS_OF_TABLE 4
/* Width of a streamed recipient column, where the longest is not known. */
#define STREAM_RECIPIENT 30

static const char *const csv_fields[] = {"timestamp", "type", "rcpt_to", "msg_from",
        "friendly_from", "subject", "campaign_id", "queue_id", "message_id", "header_message_id",
        "dsn", "error_code", "bounce_class", "mx_host", "ip_address", "num_retries", "queue_time",
        "reason", "raw_reason", "event_id"};

struct printer {
	enum print_form form;
	GTimeZone *zone;
	bool stream;
	int width;       /* of the terminal; 0 = no limit */
	GPtrArray *rows; /* of a table: GStrv of COLUMNS_OF_TABLE */
	json_t *results; /* of --json */
	gint64 events;
};

enum print_form print_form(const struct print_options *options)
{
	if (options->json)
		return PRINT_JSON;
	if (options->ndjson)
		return PRINT_NDJSON;
	return options->csv ? PRINT_CSV : PRINT_TABLE;
}

/* ---- foreign text ---- */

char *print_safe(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *out = g_string_new(NULL);

	for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		if (c == '\n' || c == '\r' || c == '\t')
			g_string_append_c(out, ' ');
		else if (visible_never(c))
			g_string_append_printf(out, "\\u%04x", c);
		else
			g_string_append_unichar(out, c);
	}
	return g_string_free(out, FALSE);
}

/* Characters that show nothing, although Unicode calls them letters or signs. */
static bool print_is_empty(gunichar c)
{
	static const gunichar fillers[] = {0x115f, 0x2800, 0x3164, 0xffa0};

	for (size_t i = 0; i < G_N_ELEMENTS(fillers); i++)
		if (c == fillers[i])
			return true;
	return !g_unichar_isgraph(c) || g_unichar_iszerowidth(c);
}

/* What a spreadsheet takes for a formula: what shows nothing before it, quotes that open and end
 * there, and wide forms make no difference to some (OWASP, CSV Injection). */
static bool print_is_formula(const char *text)
{
	static const gunichar starts[] = {'=', '+', '-', '@', 0xff1d, 0xff0b, 0xff0d, 0xff20};
	gunichar c;

	while ((c = g_utf8_get_char(text)) != '\0' && (c == '"' || print_is_empty(c)))
		text = g_utf8_next_char(text);
	for (size_t i = 0; i < G_N_ELEMENTS(starts); i++)
		if (c == starts[i])
			return true;
	return false;
}

char *print_csv_field(const char *text)
{
	g_autofree char *safe = print_safe(text);
	GString *out = g_string_new("\"");
	bool begins = true; /* a cell: also behind ';', by which some countries part lists */

	for (const char *p = safe; *p != '\0'; p++) {
		if (begins && print_is_formula(p))
			g_string_append_c(out, '\'');
		if (*p == '"')
			g_string_append_c(out, '"');
		g_string_append_c(out, *p);
		begins = *p == ';';
	}
	g_string_append_c(out, '"');
	return g_string_free(out, FALSE);
}

/* ---- the table ---- */

const char *print_fact(const json_t *event)
{
	const char *name = client_text(event, "type");
	enum event_type type = event_type_by_name(slice_str(name));

	return type < EVENT_TYPES ? event_catalogue[event_outbound(type)].name : name;
}

char *print_detail(const json_t *event)
{
	const char *type = print_fact(event), *mx = client_text(event, "mx_host");
	const char *reason = client_text(event, "raw_reason");

	if (strcmp(type, "injection") == 0)
		return g_strdup_printf("from <%s> %s", client_text(event, "msg_from"),
		        client_text(event, "subject"));
	if (strcmp(type, "policy_rejection") == 0)
		return g_strdup_printf("%s from <%s> at %s", reason, client_text(event, "msg_from"),
		        client_text(event, "remote_addr"));
	return g_strdup_printf("%s%s%s", reason, *mx != '\0' ? " by " : "", mx);
}

static int print_width(void)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (columns != NULL && atoi(columns) > 20)
		return atoi(columns);
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 80;
}

/* At most `most` characters; a cut text ends in "…". 0 = as it is. */
static char *print_cut(const char *text, glong most)
{
	glong length = g_utf8_strlen(text, -1);

	if (most <= 0 || length <= most)
		return g_strdup(text);
	g_autofree char *head = g_utf8_substring(text, 0, most - 1);
	return g_strconcat(head, "…", NULL);
}

/* One line, cut to the width of the terminal where there is one. */
static void print_row(char **cells, const glong *widths, int width)
{
	g_autoptr(GString) line = g_string_new(NULL);

	for (int i = 0; i < COLUMNS_OF_TABLE - 1; i++) {
		g_autofree char *cell = print_cut(cells[i], widths[i]);
		glong pad = widths[i] - g_utf8_strlen(cell, -1);
		g_string_append_printf(line, "%s%*s  ", cell, (int)(pad > 0 ? pad : 0), "");
	}
	g_string_append(line, cells[COLUMNS_OF_TABLE - 1]);
	g_autofree char *text = print_cut(line->str, width);
	puts(text);
}

static char **print_cells(struct printer *printer, const json_t *event)
{
	char **cells = g_new0(char *, COLUMNS_OF_TABLE + 1);
	g_autofree char *detail = print_detail(event);
	const char *rcpt = client_text(event, "rcpt_to");

	cells[0] = when_format(when_of(client_text(event, "timestamp")), printer->zone);
	cells[1] = print_safe(client_text(event, "type"));
	cells[2] = print_safe(*rcpt != '\0' ? rcpt : "-");
	cells[3] = print_safe(detail);
	return cells;
}

static const char *const print_heading[] = {"TIME", "EVENT", "RECIPIENT", "DETAIL", NULL};

static void print_table(struct printer *printer)
{
	glong widths[COLUMNS_OF_TABLE] = {0};

	if (printer->rows->len == 0)
		return;
	g_ptr_array_insert(printer->rows, 0, g_strdupv((char **)print_heading));
	for (guint r = 0; r < printer->rows->len; r++)
		for (int i = 0; i < COLUMNS_OF_TABLE; i++)
			widths[i] = MAX(widths[i],
			        g_utf8_strlen(((char **)printer->rows->pdata[r])[i], -1));
	/* A long recipient leaves half of the line to the rest. */
	if (printer->width > 0)
		widths[2] =
		        MIN(widths[2], MAX(12, (printer->width - widths[0] - widths[1] - 6) / 2));
	for (guint r = 0; r < printer->rows->len; r++)
		print_row(printer->rows->pdata[r], widths, printer->width);
}

static void print_stream_row(struct printer *printer, json_t *event)
{
	const glong widths[] = {19, 16, STREAM_RECIPIENT, 0};
	g_auto(GStrv) cells = print_cells(printer, event);

	if (printer->events == 0)
		print_row((char **)print_heading, widths, printer->width);
	print_row(cells, widths, printer->width);
}

/* ---- the other forms ---- */

void print_json(const json_t *value, size_t flags)
{
	/* A terminal may know no UTF-8, and obey a byte of it; programs get it. */
	if (isatty(STDOUT_FILENO))
		flags |= JSON_ENSURE_ASCII;
	g_autoptr(GString) out = g_string_new(NULL);
	char *text = json_dumps(value, flags);
	json_append(out, slice_str(text != NULL ? text : ""));
	free(text);
	puts(out->str);
}

static void print_csv_heading(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(csv_fields); i++)
		printf("%s%s", i > 0 ? "," : "", csv_fields[i]);
	fputs("\r\n", stdout);
}

static void print_csv(const json_t *event)
{
	for (size_t i = 0; i < G_N_ELEMENTS(csv_fields); i++) {
		g_autofree char *field = print_csv_field(client_text(event, csv_fields[i]));
		printf("%s%s", i > 0 ? "," : "", field);
	}
	fputs("\r\n", stdout);
}

/* ---- the printer ---- */

struct printer *printer_new(enum print_form form, GTimeZone *zone, bool stream)
{
	struct printer *printer = g_new0(struct printer, 1);

	printer->form = form;
	printer->zone = g_time_zone_ref(zone);
	printer->stream = stream;
	printer->width = print_width();
	printer->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
	printer->results = json_array();
	if (form == PRINT_CSV)
		print_csv_heading();
	return printer;
}

void printer_event(struct printer *printer, json_t *event)
{
	switch (printer->form) {
	case PRINT_TABLE:
		if (printer->stream)
			print_stream_row(printer, event);
		else
			g_ptr_array_add(printer->rows, print_cells(printer, event));
		break;
	case PRINT_JSON:
		json_array_append(printer->results, event);
		break;
	case PRINT_NDJSON:
		print_json(event, JSON_COMPACT);
		break;
	case PRINT_CSV:
		print_csv(event);
		break;
	}
	printer->events++;
	if (printer->stream)
		fflush(stdout);
}

void printer_end(struct printer **printer, gint64 total)
{
	struct printer *p = *printer;

	if (p->form == PRINT_TABLE && !p->stream)
		print_table(p);
	if (p->form == PRINT_TABLE && total > p->events)
		printf("%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " events; --limit N shows more, "
		       "0 all\n",
		        p->events, total);
	if (p->form == PRINT_JSON) {
		json_t *answer = json_pack("{s:O}", "results", p->results);
		if (total >= 0)
			json_object_set_new(answer, "total_count", json_integer(total));
		print_json(answer, JSON_INDENT(2));
		json_decref(answer);
	}
	json_decref(p->results);
	g_ptr_array_free(p->rows, TRUE);
	g_time_zone_unref(p->zone);
	g_clear_pointer(printer, g_free);
}
