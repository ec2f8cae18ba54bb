/* What import and parse read: a log, plain or compressed, the standard input, or a journal file. */
#ifndef PW_CLI_INPUT_H
#define PW_CLI_INPUT_H

#include "logtail/history.h"

/* How the lines of a log are read: options of both. */
struct input_options {
	char *zone, *node, *instance; /* g_free; NULL = not given */
};
#define INPUT_OPTIONS(options) \
	{"zone", 0, 0, G_OPTION_ARG_STRING, &(options).zone, "time zone of the stamps", "NAME"}, \
	        {"node", 0, 0, G_OPTION_ARG_STRING, &(options).node, \
	                "node name (default: host of the line)", "NAME"}, \
	{ \
		"instance", 0, 0, G_OPTION_ARG_STRING, &(options).instance, \
		        "name of the MTA instance", "NAME" \
	}
void input_options_clear(struct input_options *options);

struct input;

/* "-" is the standard input; a name that ends in ".journal" or is a directory is a journal, whose
 * entries are read as lines with an RFC 3339 stamp. */
struct input *input_open(const char *path, struct error *err);
void input_close(struct input **input);

/* As history_line; the offset is -1 for a journal. */
int input_line(struct input *input, struct slice *line_r, gint64 *offset_r, struct error *err);

/* As history_progress. */
void input_progress(const struct input *input, guint64 *read_r, guint64 *size_r);

#endif
