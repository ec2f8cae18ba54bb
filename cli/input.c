#include "cli/input.h"

#include "base/clock.h"
#include "logtail/journal.h"

struct input {
	struct history *history; /* one of the two */
	struct journal *journal;
	GString *line;
	bool given; /* `line` holds an entry that was not asked for yet */
};

void input_options_clear(struct input_options *options)
{
	g_free(options->zone);
	g_free(options->node);
	g_free(options->instance);
}

/* Takes one entry at a time: the second is refused and comes again. */
static int input_entry(void *ctx, const struct syslog_line *entry, gboolean again)
{
	struct input *input = ctx;
	char stamp[CLOCK_TEXT_MAX];

	(void)again;
	if (input->given)
		return -1;
	clock_format(entry->time, CLOCK_ZULU, stamp);
	g_string_printf(input->line, "%s %.*s %.*s", stamp, SLICE_ARG(entry->host),
	        SLICE_ARG(entry->program));
	if (entry->pid.n > 0)
		g_string_append_printf(input->line, "[%.*s]", SLICE_ARG(entry->pid));
	g_string_append_printf(input->line, ": %.*s", SLICE_ARG(entry->text));
	input->given = true;
	return 0;
}

struct input *input_open(const char *path, struct error *err)
{
	struct input *input = g_new0(struct input, 1);
	const struct journal_config config = {.path = path, .from_start = TRUE, .unchecked = TRUE};
	const struct journal_hooks hooks = {.ctx = input, .entry = input_entry};

	input->line = g_string_new(NULL);
	if (g_str_has_suffix(path, ".journal") || g_file_test(path, G_FILE_TEST_IS_DIR))
		input->journal = journal_new(&config, SLICE_NONE, &hooks, err);
	else
		input->history = history_open(path, err);
	if (input->journal == NULL && input->history == NULL)
		input_close(&input);
	return input;
}

void input_close(struct input **input)
{
	if (*input == NULL)
		return;
	journal_free(&(*input)->journal);
	history_close(&(*input)->history);
	g_string_free((*input)->line, TRUE);
	g_clear_pointer(input, g_free);
}

int input_line(struct input *input, struct slice *line_r, gint64 *offset_r, struct error *err)
{
	int more = 1;

	if (input->history != NULL)
		return history_line(input->history, line_r, offset_r, err);
	input->given = false;
	while (!input->given && more == 1)
		more = journal_run(input->journal, 1, err);
	*line_r = slice_make(input->line->str, input->line->len);
	*offset_r = -1;
	if (more < 0)
		return -1;
	return input->given ? 1 : 0;
}

void input_progress(const struct input *input, guint64 *read_r, guint64 *size_r)
{
	*read_r = *size_r = 0;
	if (input->history != NULL)
		history_progress(input->history, read_r, size_r);
}
