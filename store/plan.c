#include "store/plan.h"

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

static void add_values(struct planning *p, enum search_key key)
{
	GHashTable *list = match_list(p->match, key);
	GHashTableIter iter;
	const GString *value;
	struct term term;

	if (list == NULL)
		return;
	struct group *group = add_group(
	        p, key == SEARCH_EVENT || key == SEARCH_BOUNCE_CLASS || key == SEARCH_SUBACCOUNT);
	g_hash_table_iter_init(&iter, list);
	while (g_hash_table_iter_next(&iter, (gpointer *)&value, NULL)) {
		terms_term(key, slice_make(value->str, value->len), p->day->key, term.text);
		g_array_append_val(group->terms, term);
	}
}

/* The strings of a dictionary that a pattern matches, as a group: 1; 0 there are none, 2 there are
 * too many, -1 failed. */
static int add_texts(struct planning *p, const struct like *like, enum day_statement all,
        void (*term_of)(int64_t id, char term[TERM_MAX]))
{
	sqlite3_stmt *stmt = p->reader->sql.stmt[all];
	g_autoptr(GString) scratch = g_string_sized_new(256);
	struct group *group = add_group(p, true);
	struct term term;
	int result;

	while ((result = sql_step(&p->reader->sql, stmt, p->err)) == 1) {
		if (!like_match(like, sql_column(stmt, 1), scratch))
			continue;
		term_of(sqlite3_column_int64(stmt, 0), term.text);
		g_array_append_val(group->terms, term);
		if (group->terms->len > MAX_TEXT_IDS)
			break;
	}
	sqlite3_reset(stmt);
	if (result == 1)
		return 2;
	return result < 0 ? -1 : group->terms->len > 0;
}

/* Sets PLAN_NOTHING or PLAN_SCAN where a pattern leads there. */
static int add_patterns(struct planning *p)
{
	const struct like *reasons = match_reasons(p->match), *subjects = match_subjects(p->match);
	int reason = 1, subject = 1;

	if (reasons != NULL)
		reason = add_texts(p, reasons, DAY_REASON_ALL, terms_reason);
	if (reason == 2)
		g_array_set_size(p->groups, p->groups->len - 1);
	if (reason > 0 && subjects != NULL)
		subject = add_texts(p, subjects, DAY_SUBJECT_ALL, terms_subject);
	if (subject == 2)
		g_array_set_size(p->groups, p->groups->len - 1);
	if (reason < 0 || subject < 0)
		return -1;
	if (reason == 0 || subject == 0)
		p->plan->kind = PLAN_NOTHING;
	else if (reason == 2 || subject == 2)
		p->plan->kind = PLAN_SCAN;
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
