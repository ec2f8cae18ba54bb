/* Header blocks, and the small things that stand in them. */
#include "mime/report-private.h"

/* Longer values are cut: nothing that we look for is longer. */
#define VALUE_MAX 8192

bool pattern_matches(struct pattern *pattern, const char *text)
{
	return pattern_take(pattern, text, NULL, NULL);
}

static GRegex *pattern_compile(struct pattern *pattern)
{
	if (g_once_init_enter(&pattern->once)) {
		g_autofree char *limited = g_strconcat("(*LIMIT_MATCH=20000)", pattern->text, NULL);

		pattern->regex = g_regex_new(limited,
		        G_REGEX_CASELESS | G_REGEX_RAW | G_REGEX_MULTILINE | G_REGEX_OPTIMIZE, 0,
		        NULL);
		g_once_init_leave(&pattern->once, 1);
	}
	return pattern->regex;
}

static void pattern_group(GMatchInfo *match, int group, char **text_r)
{
	if (text_r == NULL)
		return;
	*text_r = g_match_info_fetch(match, group);
	if (*text_r != NULL && **text_r == '\0')
		g_clear_pointer(text_r, g_free);
}

bool pattern_take(struct pattern *pattern, const char *text, char **first_r, char **second_r)
{
	GRegex *regex = pattern_compile(pattern);
	g_autoptr(GMatchInfo) match = NULL;

	/* A match that hits the limit is no match: the text is nothing that a server wrote. */
	if (regex == NULL || !g_regex_match(regex, text, 0, &match))
		return false;
	pattern_group(match, 1, first_r);
	pattern_group(match, 2, second_r);
	return true;
}

/* ---- header blocks ---- */

static const char *line_end(const char *line)
{
	const char *end = strchr(line, '\n');

	return end != NULL ? end : line + strlen(line);
}

/* The value behind "name:" of the line, with its folded lines, and where the next field begins. */
static char *fields_value(const char *value, const char **next_r)
{
	g_autoptr(GString) text = g_string_new(NULL);
	const char *line = value, *end;

	for (;;) {
		end = line_end(line);
		if (text->len < VALUE_MAX)
			g_string_append_len(text, line, MIN(end - line, VALUE_MAX));
		if (end[0] == '\0' || (end[1] != ' ' && end[1] != '\t'))
			break;
		line = end + 1;
		/* An empty folded line ends the block in mails that somebody rewrote. */
		if (line_end(line) - line <= (ptrdiff_t)strspn(line, " \t"))
			break;
		g_string_append_c(text, ' ');
		line += strspn(line, " \t");
	}
	*next_r = end[0] != '\0' ? end + 1 : end;
	return g_strstrip(g_strdup(text->str));
}

void fields_each(
        const char *block, const char *name, void (*value)(void *ctx, const char *text), void *ctx)
{
	size_t n = strlen(name);
	const char *line = block;

	while (*line != '\0') {
		const char *colon = line + n;
		if (g_ascii_strncasecmp(line, name, n) == 0 && colon[strspn(colon, " \t")] == ':') {
			colon += strspn(colon, " \t") + 1;
			g_autofree char *text = fields_value(colon, &line);
			value(ctx, text);
			continue;
		}
		line = line_end(line);
		line += *line != '\0';
	}
}

static void fields_first(void *ctx, const char *text)
{
	char **first = ctx;

	if (*first == NULL)
		*first = g_strdup(text);
}

char *fields_get(const char *block, const char *name)
{
	char *text = NULL;

	if (block != NULL)
		fields_each(block, name, fields_first, &text);
	return text;
}

/* ---- addresses ---- */

char *text_address(const char *text)
{
	static struct pattern angled = {.text = "<\\s*" ANGLED_PATTERN "\\s*>"};
	static struct pattern bare = {.text = ADDRESS_PATTERN};
	char *address = NULL;

	if (text == NULL)
		return NULL;
	if (!pattern_take(&angled, text, &address, NULL))
		pattern_take(&bare, text, &address, NULL);
	return address;
}

/* "\x{5E9}" of RFC 6533, 3 and "+3D" of RFC 3461, 4 as characters. */
static char *address_decode(const char *text, bool utf8)
{
	g_autoptr(GString) out = g_string_new(NULL);

	for (const char *p = text; *p != '\0'; p++) {
		char *end = NULL;
		if (utf8 && g_str_has_prefix(p, "\\x{")) {
			guint64 c = g_ascii_strtoull(p + 3, &end, 16);
			if (*end == '}' && g_unichar_validate((gunichar)c) && c >= 0x20) {
				g_string_append_unichar(out, (gunichar)c);
				p = end;
				continue;
			}
		}
		g_string_append_c(out, *p);
	}
	return g_strdup(out->str);
}

char *typed_address(const char *text)
{
	static struct pattern x400 = {.text = "^[^;]*;\\s*(\\S+@\\S+)"};
	const char *semicolon, *value = text;

	if (text == NULL)
		return NULL;
	semicolon = strchr(text, ';');
	if (semicolon != NULL)
		value = semicolon + 1;
	bool utf8 = semicolon != NULL && g_ascii_strncasecmp(text, "utf-8", 5) == 0;
	g_autofree char *decoded = address_decode(value, utf8);
	char *address = text_address(decoded);
	/* An address with more in it than addresses hold, such as an encoded word. */
	if (address == NULL && semicolon != NULL)
		pattern_take(&x400, text, &address, NULL);
	if (address != NULL)
		return address;
	/* A local name; without its type it may be the begin of anything. */
	if (semicolon == NULL)
		return NULL;
	g_strstrip(decoded);
	size_t n = strlen(decoded);
	if (n > 1 && decoded[0] == '<' && decoded[n - 1] == '>')
		return n > 2 ? g_strndup(decoded + 1, n - 2) : NULL;
	return n > 0 && strchr(decoded, ' ') == NULL ? g_strdup(decoded) : NULL;
}

char *typed_name(const char *text)
{
	static struct pattern form = {.text = "^\\s*(?:(?:dns|dsn|smtp|x-[\\w-]+)\\s*;)?\\s*<?"
	                                      "([^\\s;<>]+)"};
	char *name = NULL;

	if (text != NULL)
		pattern_take(&form, text, &name, NULL);
	return name;
}

/* ---- codes ---- */

#define STATUS_PATTERN "(?<![\\d.])([245]\\.\\d{1,3}\\.\\d{1,3})(?![\\d]|\\.\\d)"

char *text_status(const char *text)
{
	/* Behind a reply code, behind #, anywhere. 5.0.0 and the like tell nothing: last. */
	static struct pattern telling[] = {
	        {.text = "(?<!\\d)[45]\\d\\d[ -]+[#(\\[]*" STATUS_PATTERN "(?<!\\.0\\.0)"},
	        {.text = "#" STATUS_PATTERN "(?<!\\.0\\.0)"},
	        {.text = STATUS_PATTERN "(?<!\\.0\\.0)"},
	        {.text = STATUS_PATTERN},
	};
	char *status = NULL;

	for (size_t i = 0; text != NULL && i < G_N_ELEMENTS(telling); i++)
		if (pattern_take(&telling[i], text, &status, NULL))
			break;
	return status;
}

char *text_status_behind_expiry(const char *text)
{
	static struct pattern other = {
	        .text = "(?<![\\d.])(?![245]\\.4\\.7(?!\\d))([245]\\.\\d{1,3}\\."
	                "\\d{1,3})(?!\\d|\\.\\d)"};
	char *status = NULL;

	if (text != NULL)
		pattern_take(&other, text, &status, NULL);
	return status;
}

char *text_reply_code(const char *text)
{
	static struct pattern places[] = {
	        {.text = "(?:^|said: ?|<<< ?|;|: |'|\"|\\(|\\[|responded with |response:? |code:? |"
	                 "error:? |host [^:\\n]{1,200}: ?)\\s*([45][0-5]\\d)(?=[ -]|$)"},
	        {.text = "(?<![\\d.])([45][0-5]\\d)[ -]+#?[45]\\.\\d{1,3}\\.\\d{1,3}"},
	        {.text = "(?<![\\d./:-])([45][0-5]\\d)(?= [A-Za-z<\\[#])"},
	};
	char *code = NULL;

	for (size_t i = 0; text != NULL && i < G_N_ELEMENTS(places); i++)
		if (pattern_take(&places[i], text, &code, NULL))
			break;
	return code;
}

char *text_one_line(const char *text, size_t most)
{
	GString *out = g_string_new(NULL);
	bool blank = false;

	for (const char *p = text; *p != '\0' && out->len < most; p++) {
		if (g_ascii_isspace(*p) || g_ascii_iscntrl(*p)) {
			blank = true;
			continue;
		}
		if (blank && out->len > 0)
			g_string_append_c(out, ' ');
		blank = false;
		g_string_append_c(out, *p);
	}
	return g_string_free(out, FALSE);
}
