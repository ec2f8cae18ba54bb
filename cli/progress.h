/* Progress and summary of an import, on standard error and standard output. */
#ifndef PW_CLI_PROGRESS_H
#define PW_CLI_PROGRESS_H

#include <glib.h>
#include <jansson.h>

#include "cli/input.h"

struct progress;

/* A bar is drawn only on a terminal; `quiet`: nothing at all. */
struct progress *progress_new(gboolean quiet);
void progress_free(struct progress **progress);

void progress_file(struct progress *progress, const char *path, guint number, guint of);
void progress_line(struct progress *progress);

/* Draws the bar, at most ten times a second. */
void progress_show(struct progress *progress, const struct input *input);

/* Adds to a number of a JSON object of counts. */
void progress_add(json_t *sums, const char *name, gint64 n);

/* The summary: "lines", "event", "linked", "ignored", "known", "unparsed", "events" of `sums`, and
 * lines per second. */
void progress_end(struct progress *progress, const json_t *sums);

#endif
