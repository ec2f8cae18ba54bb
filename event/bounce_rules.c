#include "event/bounce_rules.h"

#include "base/glob.h"
#include "event/rulefile.h"

/* Conditions on codes and places: lists of globs, any of which must fit. */
enum about { ABOUT_DSN, ABOUT_CODE, ABOUT_PHASE, ABOUT_MX, ABOUTS };
static const char *const about_names[ABOUTS] = {"dsn", "code", "phase", "mx"};

/* Conditions on the words: a pattern any of which, each of which, none of which must fit. */
enum when { WHEN_ANY, WHEN_ALL, WHEN_NONE, WHENS };
static const char when_signs[WHENS] = {'/', '+', '-'};

struct rule {
	struct bounce_rule pub;
	GPtrArray *glob[ABOUTS]; /* of GPatternSpec; NULL: no condition */
	bool absent[ABOUTS];     /* "none" is one of the globs */
	GRegex *any, *none;
	GPtrArray *all; /* of GRegex */
};

/* A `word` statement. */
struct naming {
	char *name;
	GRegex *pattern;
};

struct bounce_rules {
	GPtrArray *rules;   /* struct rule */
	GPtrArray *namings; /* struct naming */
	GPtrArray *names;   /* of files */
	GString *named;     /* the patterns of all namings as one */
	GRegex *any_naming; /* of it: most hosts have no name, which is then known at once */
	bool ask_where;
};

static void free_rule(gpointer p)
{
	struct rule *rule = p;

	for (unsigned i = 0; i < ABOUTS; i++)
		g_clear_pointer(&rule->glob[i], g_ptr_array_unref);
	g_clear_pointer(&rule->any, g_regex_unref);
	g_clear_pointer(&rule->none, g_regex_unref);
	g_clear_pointer(&rule->all, g_ptr_array_unref);
	g_free((char *)rule->pub.name);
	g_free(rule);
}

static void free_naming(gpointer p)
{
	struct naming *naming = p;

	g_clear_pointer(&naming->pattern, g_regex_unref);
	g_free(naming->name);
	g_free(naming);
}

struct bounce_rules *bounce_rules_new(void)
{
	struct bounce_rules *rules = g_new0(struct bounce_rules, 1);

	rules->rules = g_ptr_array_new_with_free_func(free_rule);
	rules->namings = g_ptr_array_new_with_free_func(free_naming);
	rules->names = g_ptr_array_new_with_free_func(g_free);
	rules->named = g_string_new(NULL);
	return rules;
}

void bounce_rules_free(struct bounce_rules **rules)
{
	if (*rules == NULL)
		return;
	g_ptr_array_unref((*rules)->rules);
	g_ptr_array_unref((*rules)->namings);
	g_ptr_array_unref((*rules)->names);
	g_string_free((*rules)->named, TRUE);
	g_clear_pointer(&(*rules)->any_naming, g_regex_unref);
	g_clear_pointer(rules, g_free);
}

/* ---- reading ---- */

struct reading {
	struct bounce_rules *rules;
	struct rulefile file;
	struct rule *rule;
	GString *text[WHENS]; /* alternatives so far */
	GString *scratch;
	struct error *err;
};

static int fail(struct reading *r, const char *what, struct slice word)
{
	return rulefile_error(&r->file, r->err, "%s: %.*s", what, SLICE_ARG(word));
}

/* dsn=5.7.*,4.7.* */
static int read_about(struct reading *r, struct slice word)
{
	struct slice values = word, name = slice_cut(&values, '=');

	for (unsigned i = 0; i < ABOUTS; i++) {
		if (!slice_eq(name, slice_str(about_names[i])))
			continue;
		if (values.n == 0 || r->rule->glob[i] != NULL)
			return fail(r, "empty, or given twice", word);
		r->rule->glob[i] =
		        g_ptr_array_new_with_free_func((GDestroyNotify)g_pattern_spec_free);
		while (values.n > 0) {
			struct slice value = slice_cut(&values, ',');
			r->rule->absent[i] |= slice_eq(value, SLICE("none"));
			g_ptr_array_add(r->rule->glob[i], glob_new(value));
		}
		r->rules->ask_where |= i == ABOUT_PHASE || i == ABOUT_MX;
		return 0;
	}
	return fail(r, "neither dsn=, code=, phase=, mx= nor a /pattern/", word);
}

/* /alternative/, +/needed/, -/unwanted/ */
static int read_pattern(struct reading *r, struct slice *rest, enum when when)
{
	GString *text = r->text[when];

	*rest = slice_from(*rest, when == WHEN_ANY ? 1 : 2);
	if (!rulefile_delimited(rest, '/', r->scratch) || r->scratch->len == 0)
		return rulefile_error(&r->file, r->err, "a pattern is empty or does not end: /%s",
		        r->scratch->str);
	if (when == WHEN_ALL) {
		GRegex *regex = rule_pattern(&r->file, r->scratch->str, true, r->err);
		if (regex != NULL)
			g_ptr_array_add(r->rule->all, regex);
		return regex != NULL ? 0 : -1;
	}
	/* By itself, so that a mistake in it is told of it. */
	if (rule_pattern_check(&r->file, r->scratch->str, true, r->err) < 0)
		return -1;
	g_string_append_printf(text, "%s(?:%s)", text->len > 0 ? "|" : "", r->scratch->str);
	return 0;
}

static bool starts_pattern(struct slice rest, enum when *when)
{
	for (unsigned i = 0; i < WHENS; i++) {
		*when = (enum when)i;
		if (i == WHEN_ANY ? rest.n > 0 && rest.p[0] == '/'
		                  : rest.n > 1 && rest.p[0] == when_signs[i] && rest.p[1] == '/')
			return true;
	}
	return false;
}

static int read_conditions(struct reading *r, struct slice rest)
{
	struct slice word;
	enum when when;

	while ((rest = slice_trim(rest)).n > 0) {
		if (starts_pattern(rest, &when)) {
			if (read_pattern(r, &rest, when) < 0)
				return -1;
			continue;
		}
		rulefile_word(&rest, &word);
		if (read_about(r, word) < 0)
			return -1;
	}
	return 0;
}

static int compile(struct reading *r, enum when when, GRegex **regex_r)
{
	if (r->text[when]->len == 0)
		return 0;
	*regex_r = rule_pattern(&r->file, r->text[when]->str, true, r->err);
	return *regex_r != NULL ? 0 : -1;
}

static int read_class(struct reading *r, struct slice word)
{
	int64_t code;

	if (!slice_int(word, &code) || code > 1000 || bounce_class_by_code((int)code) == NULL)
		return fail(r, "no bounce class (1, 10, 20 …)", word);
	r->rule->pub.bounce_class = (int)code;
	return 0;
}

/* NAME CLASS CONDITION… */
static int read_rule(struct reading *r, struct slice name, struct slice rest)
{
	struct slice class = SLICE_NONE;

	r->rule = g_new0(struct rule, 1);
	g_ptr_array_add(r->rules->rules, r->rule);
	r->rule->pub.name = slice_dup(name);
	r->rule->pub.file = r->file.name;
	r->rule->pub.line = r->file.line;
	r->rule->all = g_ptr_array_new_with_free_func((GDestroyNotify)g_regex_unref);
	for (unsigned i = 0; i < WHENS; i++)
		g_string_truncate(r->text[i], 0);
	rulefile_word(&rest, &class);
	if (read_class(r, class) < 0 || read_conditions(r, rest) < 0 ||
	        compile(r, WHEN_ANY, &r->rule->any) < 0 ||
	        compile(r, WHEN_NONE, &r->rule->none) < 0)
		return -1;
	return 0;
}

/* word NAME /pattern/… */
static int read_naming(struct reading *r, struct slice rest)
{
	struct naming *naming = g_new0(struct naming, 1);
	struct slice name = SLICE_NONE;

	g_ptr_array_add(r->rules->namings, naming);
	if (!rulefile_word(&rest, &name) || slice_trim(rest).n == 0)
		return rulefile_error(&r->file, r->err, "needs: word NAME /pattern/");
	naming->name = slice_dup(name);
	g_string_truncate(r->text[WHEN_ANY], 0);
	while ((rest = slice_trim(rest)).n > 0) {
		if (rest.p[0] != '/')
			return fail(r, "no /pattern/", rest);
		if (read_pattern(r, &rest, WHEN_ANY) < 0)
			return -1;
	}
	g_string_append_printf(r->rules->named, "%s(?:%s)", r->rules->named->len > 0 ? "|" : "",
	        r->text[WHEN_ANY]->str);
	return compile(r, WHEN_ANY, &naming->pattern);
}

static int combine_namings(struct reading *r)
{
	g_clear_pointer(&r->rules->any_naming, g_regex_unref);
	if (r->rules->named->len == 0)
		return 0;
	r->rules->any_naming = rule_pattern(&r->file, r->rules->named->str, true, r->err);
	return r->rules->any_naming != NULL ? 0 : -1;
}

static int read_all(struct reading *r)
{
	struct slice statement, name;

	while (rulefile_next(&r->file, &statement)) {
		rulefile_word(&statement, &name);
		if ((slice_eq(name, SLICE("word")) ? read_naming(r, statement)
		                                   : read_rule(r, name, statement)) < 0)
			return -1;
	}
	return combine_namings(r);
}

int bounce_rules_add(
        struct bounce_rules *rules, const char *name, struct slice text, struct error *err)
{
	struct reading r = {.rules = rules, .scratch = g_string_new(NULL), .err = err};

	for (unsigned i = 0; i < WHENS; i++)
		r.text[i] = g_string_new(NULL);
	g_ptr_array_add(rules->names, g_strdup(name));
	rulefile_init(&r.file, rules->names->pdata[rules->names->len - 1], text);
	int result = read_all(&r);
	rulefile_clear(&r.file);
	for (unsigned i = 0; i < WHENS; i++)
		g_string_free(r.text[i], TRUE);
	g_string_free(r.scratch, TRUE);
	return result;
}

/* ---- matching ---- */

static bool one_fits(const GPtrArray *globs, struct slice value)
{
	for (guint i = 0; value.p != NULL && i < globs->len; i++)
		if (glob_fits(globs->pdata[i], value))
			return true;
	return false;
}

static bool words_fit(const struct rule *rule, struct slice words)
{
	if (rule->any != NULL && !rule_pattern_fits(rule->any, words))
		return false;
	for (guint i = 0; i < rule->all->len; i++)
		if (!rule_pattern_fits(rule->all->pdata[i], words))
			return false;
	return rule->none == NULL || !rule_pattern_fits(rule->none, words);
}

static bool fits(const struct rule *rule, const struct bounce_reply *reply)
{
	const struct slice values[ABOUTS] = {
	        [ABOUT_DSN] = reply->dsn,
	        [ABOUT_CODE] = reply->code,
	        [ABOUT_PHASE] = reply->phase,
	        [ABOUT_MX] = reply->mx,
	};

	for (unsigned i = 0; i < ABOUTS; i++)
		if (rule->glob[i] != NULL && !(values[i].n == 0 && rule->absent[i]) &&
		        !one_fits(rule->glob[i], values[i]))
			return false;
	return words_fit(rule, reply->words);
}

const struct bounce_rule *bounce_rules_match(
        const struct bounce_rules *rules, const struct bounce_reply *reply)
{
	for (guint i = 0; i < rules->rules->len; i++) {
		const struct rule *rule = rules->rules->pdata[i];
		if (fits(rule, reply))
			return &rule->pub;
	}
	return NULL;
}

const char *bounce_rules_namer(const void *ctx, struct slice what)
{
	const struct bounce_rules *rules = ctx;

	if (rules->any_naming == NULL || !rule_pattern_fits(rules->any_naming, what))
		return NULL;
	for (guint i = 0; i < rules->namings->len; i++) {
		const struct naming *naming = rules->namings->pdata[i];
		if (rule_pattern_fits(naming->pattern, what))
			return naming->name;
	}
	return NULL;
}

bool bounce_rules_ask_where(const struct bounce_rules *rules)
{
	return rules->ask_where;
}
