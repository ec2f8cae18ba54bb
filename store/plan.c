#include "store/plan.h"

#include "event/mailbox.h"
#include "store/index.h"
#include "store/terms.h"

#define SMALL_GROUP 10    /* terms that the index is asked for at once; longer lists are merged */
#define MAX_TEXT_IDS 2000 /* strings that match a pattern; more are looked for in the rows */
#define RARE 1000         /* rows that are cheaper to verify than to intersect with a long list */

struct term {
	char text[TERM_MAX];
};

struct group {
	GArray *terms; /* struct term */
	bool broad;    /* not worth a look whether it is rare */
};

struct planning {
	struct plan *plan;
	struct day *day;
	struct day_reader *reader;
	const struct match *match;
	int64_t low, high;
	GArray *groups; /* struct group */
	struct error *err;
};

static void clear_group(gpointer p)
{
	g_array_unref(((struct group *)p)->terms);
}

static struct group *add_group(struct planning *p, bool broad)
{
	struct group group = {g_array_new(FALSE, FALSE, sizeof(struct term)), broad};

	g_array_append_val(p->groups, group);
	return &g_array_index(p->groups, struct group, p->groups->len - 1);
}

static void add_term(
        struct planning *p, struct group *group, enum search_key key, struct slice value)
{
	struct term term;

	terms_term(key, value, p->day->key, term.text);
	g_array_append_val(group->terms, term);
}

/* The values of a set of GString under a key. */
static void add_set(struct planning *p, struct group *group, enum search_key key, GHashTable *set)
{
	GHashTableIter iter;
	const GString *value;

	g_hash_table_iter_init(&iter, set);
	while (g_hash_table_iter_next(&iter, (gpointer *)&value, NULL))
		add_term(p, group, key, slice_make(value->str, value->len));
}

static void add_values(struct planning *p, enum search_key key)
{
	GHashTable *list = match_list(p->match, key);

	if (list == NULL)
		return;
	struct group *group = add_group(
	        p, key == SEARCH_EVENT || key == SEARCH_BOUNCE_CLASS || key == SEARCH_SUBACCOUNT);
	add_set(p, group, key, list);
}

static void add_scope(struct planning *p)
{
	if (match_subaccounts(p->match) != NULL)
		add_set(p, add_group(p, true), SEARCH_SUBACCOUNT, match_subaccounts(p->match));
	if (match_domains(p->match) == NULL)
		return;
	struct group *group = add_group(p, true);
	add_set(p, group, SEARCH_SENDING_DOMAIN, match_domains(p->match));
	add_set(p, group, SEARCH_RECIPIENT_DOMAIN, match_domains(p->match));
}

/* Each must be set: a group for each. */
static void add_tags(struct planning *p)
{
	GHashTableIter iter;
	const GString *tag;

	if (match_tags(p->match) == NULL)
		return;
	g_hash_table_iter_init(&iter, match_tags(p->match));
	while (g_hash_table_iter_next(&iter, (gpointer *)&tag, NULL))
		add_term(p, add_group(p, false), SEARCH_TAG, slice_make(tag->str, tag->len));
}

/* A filter that looks into the strings of a dictionary, and the group that it becomes. */
struct texts {
	enum day_statement all;
	const struct like *like; /* one of the two */
	const struct words *words;
	void (*term_of)(int64_t id, char term[TERM_MAX]); /* NULL: a term of `key` */
	enum search_key key;
	struct slice (*worked_out)(const struct event *event); /* of a mailbox, or NULL */
	struct group *group;
	GString *scratch;
};

static void add_value_term(
        struct planning *p, struct texts *texts, enum search_key key, struct slice text)
{
	struct slice value;

	if (terms_value(search_defs[key].form, text, texts->scratch, &value))
		add_term(p, texts->group, key, value);
}

/* A string as a recipient's domain: whether the filter asks for its provider or region. */
static bool mailbox_matches(const struct texts *texts, struct slice domain)
{
	struct event event = {.type = EVENT_DELIVERY};

	event.field[FIELD_RECIPIENT_DOMAIN] = domain;
	struct slice text = texts->worked_out(&event);
	return text.p != NULL && words_match(texts->words, text, texts->scratch);
}

static void look_at(struct planning *p, struct texts *texts, int64_t id, struct slice text)
{
	struct term term;
	bool match = texts->like != NULL ? like_match(texts->like, text, texts->scratch)
	                                 : words_match(texts->words, text, texts->scratch);

	if (match && texts->term_of == NULL) {
		add_value_term(p, texts, texts->key, text);
	} else if (match) {
		texts->term_of(id, term.text);
		g_array_append_val(texts->group->terms, term);
	}
	if (texts->worked_out != NULL && mailbox_matches(texts, text))
		add_value_term(p, texts, SEARCH_RECIPIENT_DOMAIN, text);
}

/* What a look into a dictionary came to. */
enum outcome { OUTCOME_FAILED = -1, OUTCOME_NONE, OUTCOME_SOME, OUTCOME_TOO_MANY };

/* The strings of a dictionary that a filter matches, as terms of its groups. */
static enum outcome read_texts(struct planning *p, struct texts *texts)
{
	sqlite3_stmt *stmt = p->reader->sql.stmt[texts->all];
	g_autoptr(GString) scratch = g_string_sized_new(256);
	int result;

	texts->scratch = scratch;
	while ((result = sql_step(&p->reader->sql, stmt, p->err)) == 1) {
		look_at(p, texts, sqlite3_column_int64(stmt, 0), sql_column(stmt, 1));
		if (texts->group->terms->len > MAX_TEXT_IDS)
			break;
	}
	sqlite3_reset(stmt);
	if (result == 1)
		return OUTCOME_TOO_MANY;
	if (result < 0)
		return OUTCOME_FAILED;
	return texts->group->terms->len > 0 ? OUTCOME_SOME : OUTCOME_NONE;
}

/* Ids of mails without template are made of the transmission's (design, 8) and need stand in no
 * dictionary: "smtp_", and a number. */
static enum outcome add_made_templates(struct planning *p, struct texts *texts)
{
	for (unsigned i = 0; i < words_count(texts->words); i++) {
		struct slice phrase = slice_trim(words_phrase(texts->words, i));
		char id[64];
		if (slice_eq(phrase, SLICE("smtp")))
			return OUTCOME_TOO_MANY;
		slice_skip(&phrase, SLICE("smtp "));
		if (strspn(phrase.p, "0123456789") != phrase.n || phrase.n > sizeof(id) / 2)
			continue;
		int n = g_snprintf(id, sizeof(id), "smtp_%.*s", SLICE_ARG(phrase));
		add_term(p, texts->group, SEARCH_TEMPLATE, slice_make(id, (size_t)n));
	}
	return OUTCOME_SOME;
}

static enum outcome add_texts(struct planning *p, struct texts *texts)
{
	texts->group = add_group(p, true);
	enum outcome outcome = OUTCOME_SOME;

	if (texts->words != NULL && texts->key == SEARCH_TEMPLATE)
		outcome = add_made_templates(p, texts);
	if (outcome == OUTCOME_SOME)
		outcome = read_texts(p, texts);
	if (outcome == OUTCOME_TOO_MANY)
		g_array_set_size(p->groups, p->groups->len - 1);
	return outcome;
}

/* Rows that say themselves whose mailbox it is count by that only. Where there are such, what the
 * domain says is a guess, and each row is looked at. */
static enum outcome check_mailbox(struct planning *p, enum search_key key)
{
	g_autoptr(GString) expression = g_string_new(NULL);
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(gint64));
	struct term term;
	const char *text = term.text;

	terms_present(key, term.text);
	index_group(expression, &text, 1);
	if (index_rows(p->reader, expression->str, p->low, p->high, 1, rows, p->err) < 0)
		return OUTCOME_FAILED;
	if (rows->len > 0)
		p->plan->kind = PLAN_SCAN;
	return OUTCOME_SOME;
}

static enum outcome add_words(struct planning *p, enum search_words which)
{
	static const struct {
		enum day_statement all;
		void (*term_of)(int64_t id, char term[TERM_MAX]);
	} places[] = {
	        [WORDS_REASON] = {DAY_REASON_ALL, terms_reason},
	        [WORDS_SUBJECT] = {DAY_SUBJECT_ALL, terms_subject},
	        [WORDS_VALUE] = {DAY_WORD_ALL, NULL},
	        [WORDS_MAILBOX] = {DAY_WORD_ALL, NULL},
	};
	const struct words_def *def = &words_defs[which];
	struct texts texts = {
	        .all = places[def->place].all,
	        .words = match_words(p->match, which),
	        .term_of = places[def->place].term_of,
	        .key = def->key,
	};

	if (texts.words == NULL)
		return OUTCOME_SOME;
	if (def->place == WORDS_MAILBOX)
		texts.worked_out =
		        def->key == SEARCH_MAILBOX_PROVIDER ? mailbox_provider : mailbox_region;
	enum outcome outcome = add_texts(p, &texts);
	if (outcome == OUTCOME_SOME && def->place == WORDS_MAILBOX)
		outcome = check_mailbox(p, def->key);
	return outcome;
}

static enum outcome add_pattern(struct planning *p, const struct like *like, enum day_statement all,
        void (*term_of)(int64_t id, char term[TERM_MAX]))
{
	struct texts texts = {.all = all, .like = like, .term_of = term_of};

	return like != NULL ? add_texts(p, &texts) : OUTCOME_SOME;
}

/* Sets PLAN_NOTHING or PLAN_SCAN where a filter leads there. */
static int add_patterns(struct planning *p)
{
	for (int i = 0; i < SEARCH_WORDS + 2; i++) {
		enum outcome outcome;
		if (i < SEARCH_WORDS)
			outcome = add_words(p, (enum search_words)i);
		else if (i == SEARCH_WORDS)
			outcome = add_pattern(
			        p, match_reasons(p->match), DAY_REASON_ALL, terms_reason);
		else
			outcome = add_pattern(
			        p, match_subjects(p->match), DAY_SUBJECT_ALL, terms_subject);
		if (outcome == OUTCOME_FAILED)
			return -1;
		if (outcome == OUTCOME_NONE) {
			p->plan->kind = PLAN_NOTHING;
			return 0;
		}
		if (outcome == OUTCOME_TOO_MANY)
			p->plan->kind = PLAN_SCAN;
	}
	return 0;
}

static void append_group(GString *expression, const struct group *group)
{
	g_autoptr(GPtrArray) terms = g_ptr_array_sized_new(group->terms->len);

	for (guint i = 0; i < group->terms->len; i++)
		g_ptr_array_add(terms, g_array_index(group->terms, struct term, i).text);
	index_group(expression, (const char *const *)terms->pdata, terms->len);
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
	gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

	return (x < y) - (x > y);
}

/* All rows of a long list of terms, one statement a term. */
static int group_rows(struct planning *p, const struct group *group, GArray *rows)
{
	g_autoptr(GString) expression = g_string_new(NULL);
	guint kept = 0;

	for (guint i = 0; i < group->terms->len; i++) {
		const char *term = g_array_index(group->terms, struct term, i).text;
		g_string_truncate(expression, 0);
		index_group(expression, &term, 1);
		if (index_rows(p->reader, expression->str, p->low, p->high, -1, rows, p->err) < 0)
			return -1;
	}
	g_array_sort(rows, newest_first);
	for (guint i = 0; i < rows->len; i++) {
		gint64 row = g_array_index(rows, gint64, i);
		if (kept == 0 || g_array_index(rows, gint64, kept - 1) != row)
			g_array_index(rows, gint64, kept++) = row;
	}
	g_array_set_size(rows, kept);
	return 0;
}

/* Leaves in `rows` what is in both; both newest first. */
static void intersect(GArray *rows, const GArray *others)
{
	guint kept = 0, k = 0;

	for (guint i = 0; i < rows->len; i++) {
		gint64 row = g_array_index(rows, gint64, i);
		while (k < others->len && g_array_index(others, gint64, k) > row)
			k++;
		if (k < others->len && g_array_index(others, gint64, k) == row)
			g_array_index(rows, gint64, kept++) = row;
	}
	g_array_set_size(rows, kept);
}

static GArray *new_rows(void)
{
	return g_array_new(FALSE, FALSE, sizeof(gint64));
}

/* Long lists: each one's rows are put together, then all of them are intersected. */
static int merge_long(struct planning *p)
{
	struct plan *plan = p->plan;

	for (guint i = 0; i < p->groups->len; i++) {
		const struct group *group = &g_array_index(p->groups, struct group, i);
		if (group->terms->len <= SMALL_GROUP)
			continue;
		g_autoptr(GArray) rows = new_rows();
		if (group_rows(p, group, rows) < 0)
			return -1;
		if (plan->rows == NULL)
			plan->rows = g_steal_pointer(&rows);
		else
			intersect(plan->rows, rows);
	}
	if (plan->rows == NULL || plan->expression->len == 0)
		return 0;
	plan->verify = plan->rows->len <= RARE;
	if (plan->verify)
		return 0;
	g_autoptr(GArray) others = new_rows();
	if (index_rows(p->reader, plan->expression->str, p->low, p->high, -1, others, p->err) < 0)
		return -1;
	intersect(plan->rows, others);
	return 0;
}

/* Of several short lists one may be so rare that its rows are better looked at themselves. */
static int find_rare(struct planning *p)
{
	if (p->groups->len < 2)
		return 0;
	for (guint i = 0; i < p->groups->len; i++) {
		const struct group *group = &g_array_index(p->groups, struct group, i);
		g_autoptr(GString) expression = g_string_new(NULL);
		g_autoptr(GArray) rows = new_rows();
		if (group->broad)
			continue;
		append_group(expression, group);
		if (index_rows(p->reader, expression->str, p->low, p->high, RARE + 1, rows,
		            p->err) < 0)
			return -1;
		if (rows->len > RARE)
			continue;
		p->plan->rows = g_steal_pointer(&rows);
		p->plan->verify = true;
		return 0;
	}
	return 0;
}

static int decide(struct planning *p)
{
	struct plan *plan = p->plan;

	for (guint i = 0; i < p->groups->len; i++) {
		const struct group *group = &g_array_index(p->groups, struct group, i);
		if (group->terms->len <= SMALL_GROUP)
			append_group(plan->expression, group);
	}
	if (plan->kind == PLAN_SCAN)
		return 0;
	if (p->groups->len == 0) {
		plan->kind = PLAN_ALL;
		return 0;
	}
	if (merge_long(p) < 0 || (plan->rows == NULL && find_rare(p) < 0))
		return -1;
	plan->kind = plan->rows != NULL ? PLAN_ROWS : PLAN_MATCH;
	return 0;
}

int plan_make(struct plan *plan, struct day *day, struct day_reader *reader,
        const struct match *match, int64_t low, int64_t high, struct error *err)
{
	struct planning p = {plan, day, reader, match, low, high, NULL, err};

	*plan = (struct plan){.kind = PLAN_MATCH, .expression = g_string_new(NULL)};
	p.groups = g_array_new(FALSE, FALSE, sizeof(struct group));
	g_array_set_clear_func(p.groups, clear_group);
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		add_values(&p, (enum search_key)key);
	add_scope(&p);
	add_tags(&p);
	int result = add_patterns(&p);
	if (result == 0 && plan->kind != PLAN_NOTHING)
		result = decide(&p);
	g_array_unref(p.groups);
	return result;
}

void plan_clear(struct plan *plan)
{
	if (plan->expression != NULL)
		g_string_free(plan->expression, TRUE);
	g_clear_pointer(&plan->rows, g_array_unref);
	*plan = (struct plan){0};
}
