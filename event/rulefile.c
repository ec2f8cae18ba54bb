#include "event/rulefile.h"

#include <stdarg.h>

/* Steps that a pattern may take from one place of a text. */
#define STEPS "(*LIMIT_MATCH=5000)"

void rulefile_init(struct rulefile *file, const char *name, struct slice text)
{
	*file = (struct rulefile){.name = name, .rest = text, .text = g_string_new(NULL)};
}

void rulefile_clear(struct rulefile *file)
{
	if (file->text != NULL)
		g_string_free(file->text, TRUE);
	file->text = NULL;
}

static struct slice next_line(struct rulefile *file)
{
	file->lines++;
	return slice_cut(&file->rest, '\n');
}

/* Whether the next line continues a statement; an empty one ends it. */
static bool goes_on(struct slice rest)
{
	struct slice line = slice_cut(&rest, '\n');

	return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t') && slice_trim(line).n > 0;
}

bool rulefile_next(struct rulefile *file, struct slice *statement)
{
	g_string_truncate(file->text, 0);
	while (file->rest.n > 0 && file->text->len == 0) {
		struct slice line = slice_trim(next_line(file));
		file->line = file->lines;
		if (line.n > 0 && line.p[0] != '#')
			g_string_append_len(file->text, line.p, (gssize)line.n);
	}
	while (file->text->len > 0 && goes_on(file->rest)) {
		struct slice line = slice_trim(next_line(file));
		if (line.p[0] == '#')
			continue;
		g_string_append_c(file->text, ' ');
		g_string_append_len(file->text, line.p, (gssize)line.n);
	}
	*statement = slice_make(file->text->str, file->text->len);
	return file->text->len > 0;
}

int rulefile_error(const struct rulefile *file, struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return error_config(err, "%s:%u: %s", file->name, file->line, text);
}

static size_t blanks(struct slice text)
{
	size_t n = 0;

	while (n < text.n && (text.p[n] == ' ' || text.p[n] == '\t'))
		n++;
	return n;
}

bool rulefile_word(struct slice *statement, struct slice *word)
{
	size_t n = 0;

	*statement = slice_from(*statement, blanks(*statement));
	while (n < statement->n && statement->p[n] != ' ' && statement->p[n] != '\t')
		n++;
	*word = slice_head(*statement, n);
	*statement = slice_from(*statement, n);
	return n > 0;
}

bool rulefile_delimited(struct slice *statement, char delimiter, GString *text)
{
	g_string_truncate(text, 0);
	for (size_t i = 0; i < statement->n; i++) {
		char c = statement->p[i];
		if (c == delimiter) {
			*statement = slice_from(*statement, i + 1);
			return true;
		}
		if (c == '\\' && i + 1 < statement->n) {
			if (statement->p[i + 1] != delimiter)
				g_string_append_c(text, c);
			c = statement->p[++i];
		}
		g_string_append_c(text, c);
	}
	return false;
}

char *rulefile_load(const char *path, size_t *n_r, struct error *err)
{
	g_autoptr(GError) error = NULL;
	char *text = NULL;
	gsize n = 0;

	if (!g_file_get_contents(path, &text, &n, &error)) {
		error_config_file(err, "cannot read the rules", error);
		return NULL;
	}
	*n_r = n;
	return text;
}

static GRegex *compile(const struct rulefile *file, const char *pattern, GRegexCompileFlags flags,
        struct error *err)
{
	g_autofree char *limited = g_strconcat(STEPS, pattern, NULL);
	g_autoptr(GError) error = NULL;
	GRegex *regex = g_regex_new(limited, G_REGEX_RAW | G_REGEX_DOTALL | flags, 0, &error);

	if (regex == NULL)
		rulefile_error(file, err, "%s", error->message);
	return regex;
}

GRegex *rule_pattern(
        const struct rulefile *file, const char *pattern, bool caseless, struct error *err)
{
	return compile(file, pattern, G_REGEX_OPTIMIZE | (caseless ? G_REGEX_CASELESS : 0), err);
}

/* Making machine code takes several times as long as reading the pattern. */
int rule_pattern_check(
        const struct rulefile *file, const char *pattern, bool caseless, struct error *err)
{
	g_autoptr(GRegex) regex = compile(file, pattern, caseless ? G_REGEX_CASELESS : 0, err);

	return regex != NULL ? 0 : -1;
}

bool rule_pattern_fits(const GRegex *pattern, struct slice text)
{
	return text.n > 0 && g_regex_match_full(pattern, text.p, (gssize)MIN(text.n, RULE_TEXT_MAX),
	                             0, 0, NULL, NULL);
}
