#include "event/reason_rules.h"

#include "event/rulefile.h"

#define GROUPS 10 /* \0 to \9 */

/* A piece of a replacement: literal text, or what a group matched. */
struct piece {
	int group; /* -1: text */
	char *text;
	size_t n;
};

struct substitution {
	char *name;
	GPtrArray *has; /* of char *: one of them must be in the text; empty: no condition */
	GRegex *pattern;
	GArray *pieces;
};

struct reason_rules {
	GPtrArray *rules; /* struct substitution */
};

static void free_piece(gpointer p)
{
	g_free(((struct piece *)p)->text);
}

static void free_substitution(gpointer p)
{
	struct substitution *rule = p;

	g_free(rule->name);
	g_ptr_array_unref(rule->has);
	g_clear_pointer(&rule->pattern, g_regex_unref);
	g_array_unref(rule->pieces);
	g_free(rule);
}

struct reason_rules *reason_rules_new(void)
{
	struct reason_rules *rules = g_new0(struct reason_rules, 1);

	rules->rules = g_ptr_array_new_with_free_func(free_substitution);
	return rules;
}

void reason_rules_free(struct reason_rules **rules)
{
	if (*rules == NULL)
		return;
	g_ptr_array_unref((*rules)->rules);
	g_clear_pointer(rules, g_free);
}

/* ---- reading ---- */

static void add_text(GArray *pieces, GString *text)
{
	struct piece piece = {
	        .group = -1, .text = g_memdup2(text->str, text->len + 1), .n = text->len};

	if (text->len > 0)
		g_array_append_val(pieces, piece);
	else
		g_free(piece.text);
	g_string_truncate(text, 0);
}

static void read_replacement(struct substitution *rule, const GString *from)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (gsize i = 0; i < from->len; i++) {
		char c = from->str[i];
		if (c != '\\' || !g_ascii_isdigit(from->str[i + 1])) {
			g_string_append_c(text, c);
			continue;
		}
		struct piece piece = {.group = from->str[++i] - '0'};
		add_text(rule->pieces, text);
		g_array_append_val(rule->pieces, piece);
	}
	add_text(rule->pieces, text);
}

/* NAME [has=TEXT]… /PATTERN/REPLACEMENT/ */
static int read_rule(struct reason_rules *rules, struct rulefile *file, struct slice rest,
        GString *scratch, struct error *err)
{
	struct substitution *rule = g_new0(struct substitution, 1);
	struct slice word;

	g_ptr_array_add(rules->rules, rule);
	rule->has = g_ptr_array_new_with_free_func(g_free);
	rule->pieces = g_array_new(FALSE, FALSE, sizeof(struct piece));
	g_array_set_clear_func(rule->pieces, free_piece);
	rulefile_word(&rest, &word);
	rule->name = slice_dup(word);
	while ((rest = slice_trim(rest)).n > 0 && slice_starts(rest, SLICE("has="))) {
		rulefile_word(&rest, &word);
		g_ptr_array_add(rule->has, slice_dup(slice_from(word, strlen("has="))));
	}
	if (rest.n == 0 || rest.p[0] != '/')
		return rulefile_error(file, err, "needs: NAME [has=TEXT] /PATTERN/REPLACEMENT/");
	rest = slice_from(rest, 1);
	if (!rulefile_delimited(&rest, '/', scratch) || scratch->len == 0)
		return rulefile_error(file, err, "the pattern is empty or does not end");
	rule->pattern = rule_pattern(file, scratch->str, false, err);
	if (rule->pattern == NULL)
		return -1;
	if (!rulefile_delimited(&rest, '/', scratch) || slice_trim(rest).n > 0)
		return rulefile_error(
		        file, err, "the replacement does not end with / and the line");
	read_replacement(rule, scratch);
	return 0;
}

int reason_rules_add(
        struct reason_rules *rules, const char *name, struct slice text, struct error *err)
{
	g_autoptr(GString) scratch = g_string_new(NULL);
	struct rulefile file;
	struct slice statement;
	int result = 0;

	rulefile_init(&file, name, text);
	while (result == 0 && rulefile_next(&file, &statement))
		result = read_rule(rules, &file, statement, scratch, err);
	rulefile_clear(&file);
	return result;
}

/* ---- applying ---- */

static bool may_fit(const struct substitution *rule, struct slice text)
{
	for (guint i = 0; i < rule->has->len; i++)
		if (slice_find(text, slice_str(rule->has->pdata[i])) >= 0)
			return true;
	return rule->has->len == 0;
}

static void put_pieces(
        GString *out, const struct substitution *rule, GMatchInfo *match, struct slice text)
{
	for (guint i = 0; i < rule->pieces->len; i++) {
		const struct piece *piece = &g_array_index(rule->pieces, struct piece, i);
		gint from, to;
		if (piece->group < 0)
			g_string_append_len(out, piece->text, (gssize)piece->n);
		else if (g_match_info_fetch_pos(match, piece->group, &from, &to) && from >= 0 &&
		         to > from)
			g_string_append_len(out, text.p + from, to - from);
	}
}

/* False when nothing matched and nothing was put out. */
static bool substitute(GString *out, const struct substitution *rule, struct slice text)
{
	g_autoptr(GMatchInfo) match = NULL;
	gint from, to, done = 0;

	if (!g_regex_match_full(rule->pattern, text.p, (gssize)text.n, 0, 0, &match, NULL))
		return false;
	do {
		if (!g_match_info_fetch_pos(match, 0, &from, &to) || from < done)
			break;
		g_string_append_len(out, text.p + done, from - done);
		put_pieces(out, rule, match, text);
		done = to;
	} while (g_match_info_next(match, NULL));
	g_string_append_len(out, text.p + done, (gssize)text.n - done);
	return true;
}

void reason_rules_apply(const struct reason_rules *rules, GString *out, struct slice raw)
{
	/* What lies behind stays as it is. */
	struct slice text = slice_head(raw, RULE_TEXT_MAX), rest = slice_from(raw, text.n);
	g_autoptr(GString) a = g_string_sized_new(text.n + 64);
	g_autoptr(GString) b = g_string_sized_new(text.n + 64);

	for (guint i = 0; i < rules->rules->len && text.n > 0; i++) {
		const struct substitution *rule = rules->rules->pdata[i];
		GString *to = text.p == a->str ? b : a;
		if (!may_fit(rule, text))
			continue;
		g_string_truncate(to, 0);
		if (substitute(to, rule, text))
			text = slice_make(to->str, to->len);
	}
	if (text.n > 0)
		g_string_append_len(out, text.p, (gssize)text.n);
	if (rest.n > 0)
		g_string_append_len(out, rest.p, (gssize)rest.n);
}
