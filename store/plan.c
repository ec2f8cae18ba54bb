#include "store/plan.h"

#include "store/terms.h"

#define MAX_TEXT_IDS 100000 /* strings that match a pattern; more are looked for in the rows */

struct planning {
	struct plan *plan;
	struct day *day;
	struct day_reader *reader;
	const struct match *match;
	struct error *err;
};

static void add_values(struct planning *p, enum search_key key)
{
	GHashTable *list = match_list(p->match, key);
	GHashTableIter iter;
	const GString *value;

	if (list == NULL)
		return;
	GArray *group = index_query_group(p->plan->query);
	g_hash_table_iter_init(&iter, list);
	while (g_hash_table_iter_next(&iter, (gpointer *)&value, NULL)) {
		guint64 term = terms_term(key, slice_make(value->str, value->len), p->day->key);
		g_array_append_val(group, term);
	}
}

/* The strings of a dictionary that a pattern matches, as a group: 1; 0 there are none, 2 there are
 * too many (and no group), -1 failed. */
static int add_texts(struct planning *p, const struct like *like, enum day_statement all,
        uint64_t (*term_of)(int64_t id))
{
	sqlite3_stmt *stmt = p->reader->sql.stmt[all];
	g_autoptr(GString) scratch = g_string_sized_new(256);
	GArray *group = index_query_group(p->plan->query);
	int result;

	while ((result = sql_step(&p->reader->sql, stmt, p->err)) == 1) {
		if (!like_match(like, sql_column(stmt, 1), scratch))
			continue;
		guint64 term = term_of(sqlite3_column_int64(stmt, 0));
		g_array_append_val(group, term);
		if (group->len > MAX_TEXT_IDS)
			break;
	}
	sqlite3_reset(stmt);
	if (result == 1) {
		g_ptr_array_remove(p->plan->query->groups, group);
		return 2;
	}
	return result < 0 ? -1 : group->len > 0;
}

/* Sets PLAN_NOTHING or PLAN_SCAN where a pattern leads there. */
static int add_patterns(struct planning *p)
{
	const struct like *reasons = match_reasons(p->match), *subjects = match_subjects(p->match);
	int reason = 1, subject = 1;

	if (reasons != NULL)
		reason = add_texts(p, reasons, DAY_REASON_ALL, terms_reason);
	if (reason > 0 && subjects != NULL)
		subject = add_texts(p, subjects, DAY_SUBJECT_ALL, terms_subject);
	if (reason < 0 || subject < 0)
		return -1;
	if (reason == 0 || subject == 0)
		p->plan->kind = PLAN_NOTHING;
	else if (reason == 2 || subject == 2)
		p->plan->kind = PLAN_SCAN;
	return 0;
}

int plan_make(struct plan *plan, struct day *day, struct day_reader *reader,
        const struct match *match, struct error *err)
{
	struct planning p = {plan, day, reader, match, err};

	*plan = (struct plan){.kind = PLAN_MATCH, .query = index_query_new()};
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		add_values(&p, (enum search_key)key);
	if (add_patterns(&p) < 0)
		return -1;
	if (plan->kind == PLAN_MATCH && plan->query->groups->len == 0)
		plan->kind = PLAN_ALL;
	return 0;
}

void plan_clear(struct plan *plan)
{
	index_query_free(&plan->query);
}
