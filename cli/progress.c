#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/print.h"
#include "event/ledger.h"

#define BAR 30

struct progress {
	gboolean quiet, bar;
	char *path; /* as it may be shown */
	guint number, of;
	guint64 lines;
	gint64 started, drawn; /* monotonic us */
};

struct progress *progress_new(gboolean quiet)
{
	struct progress *progress = g_new0(struct progress, 1);

	progress->quiet = quiet;
	progress->bar = !quiet && isatty(STDERR_FILENO);
	progress->started = g_get_monotonic_time();
	return progress;
}

void progress_free(struct progress **progress)
{
	if (*progress != NULL)
		g_free((*progress)->path);
	g_clear_pointer(progress, g_free);
}

void progress_file(struct progress *progress, const char *path, guint number, guint of)
{
	g_free(progress->path);
	progress->path = print_safe(path);
	progress->number = number;
	progress->of = of;
}

void progress_line(struct progress *progress)
{
	progress->lines++;
}

void progress_show(struct progress *progress, const struct input *input)
{
	static const char full[] = "##############################";
	gint64 now = g_get_monotonic_time();
	guint64 read, size;

	if (!progress->bar || now - progress->drawn < G_USEC_PER_SEC / 10)
		return;
	progress->drawn = now;
	input_progress(input, &read, &size);
	int done = size > 0 ? (int)(MIN(read, size) * BAR / size) : 0;
	double rate =
	        (double)progress->lines * G_USEC_PER_SEC / (double)(now - progress->started + 1);
	fprintf(stderr, "\r[%u/%u] %-30.30s [%-*.*s] %" G_GUINT64_FORMAT " lines, %.0f/s ",
	        progress->number, progress->of, progress->path, BAR, done, full, progress->lines,
	        rate);
}

void progress_add(json_t *sums, const char *name, gint64 n)
{
	json_object_set_new(
	        sums, name, json_integer(json_integer_value(json_object_get(sums, name)) + n));
}

void progress_end(struct progress *progress, const json_t *sums)
{
	double seconds = (double)(g_get_monotonic_time() - progress->started) / G_USEC_PER_SEC;
	json_int_t lines = json_integer_value(json_object_get(sums, "lines"));

	if (progress->bar)
		fputs("\r\033[K", stderr);
	if (progress->quiet)
		return;
	printf("%" JSON_INTEGER_FORMAT " lines in %.2f s (%.0f lines/s), %" JSON_INTEGER_FORMAT
	       " new events\n",
	        lines, seconds, seconds > 0 ? (double)lines / seconds : 0,
	        json_integer_value(json_object_get(sums, "events")));
	for (int i = 0; i < LEDGER_CLASSES; i++)
		printf("  %-9s %" JSON_INTEGER_FORMAT "\n", ledger_names[i],
		        json_integer_value(json_object_get(sums, ledger_names[i])));
}
