#include "store/plan.h"

#include "event/mailbox.h"
#include "store/index.h"
#include "store/terms.h"

#define MAX_TEXT_IDS 100000 /* strings that match a pattern; more are looked for in the rows */

struct planning {
	struct plan *plan;
	struct day *day;
	struct day_reader *reader;
	const struct match *match;
	struct error *err;
};

static GArray *add_group(struct planning *p)
{
	return index_query_group(p->plan->query);
}

static void add_term(struct planning *p, GArray *group, enum search_key key, struct slice value)
{
	guint64 term = terms_term(key, value, p->day->key);

	g_array_append_val(group, term);
}

/* The values of a set of GString under a key. */
static void add_set(struct planning *p, GArray *group, enum search_key key, GHashTable *set)
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
	add_set(p, add_group(p), key, list);
}

static void add_scope(struct planning *p)
{
	if (match_subaccounts(p->match) != NULL)
		add_set(p, add_group(p), SEARCH_SUBACCOUNT, match_subaccounts(p->match));
	if (match_domains(p->match) == NULL)
		return;
	GArray *group = add_group(p);
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
		add_term(p, add_group(p), SEARCH_TAG, slice_make(tag->str, tag->len));
}

/* A filter that looks into the strings of a dictionary, and the group that it becomes. */
struct texts {
	enum dict_kind kind;
	const struct like *like; /* one of the two */
	const struct words *words;
	uint64_t (*term_of)(int64_t id); /* NULL: a term of `key` */
	enum search_key key;
	struct slice (*worked_out)(const struct event *event); /* of a mailbox, or NULL */
	GArray *group;
	GHashTable *matched; /* ids (gint64) of reasons that stand for raw ones */
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

/* A string that the patterns match; of words that is still to be seen. */
static void look_at(struct planning *p, struct texts *texts, const struct dict_string *string)
{
	/* All events of a raw reason have the reason that was found before: its term is enough. */
	if (string->of != 0 && g_hash_table_contains(texts->matched, &string->of))
		return;
	bool match =
	        texts->words == NULL || words_match(texts->words, string->text, texts->scratch);
	if (match && texts->term_of == NULL) {
		add_value_term(p, texts, texts->key, string->text);
	} else if (match) {
		guint64 term = texts->term_of(string->id);
		g_array_append_val(texts->group, term);
		if (texts->kind == DICT_REASON && string->of == 0)
			g_hash_table_add(
			        texts->matched, g_memdup2(&string->id, sizeof(string->id)));
	}
	if (texts->worked_out != NULL && mailbox_matches(texts, string->text))
		add_value_term(p, texts, SEARCH_RECIPIENT_DOMAIN, string->text);
}

/* -1: the block is damaged. */
static int look_at_block(struct planning *p, struct texts *texts, struct dict_block *block)
{
	struct dict_string string;
	int result;

	do {
		result = texts->like != NULL
		                 ? like_block(texts->like, block, texts->scratch, &string)
		                 : dict_block_next(block, &string);
		if (result == 1)
			look_at(p, texts, &string);
	} while (result == 1);
	return result;
}

/* What a look into a dictionary came to. */
enum outcome { OUTCOME_FAILED = -1, OUTCOME_NONE, OUTCOME_SOME, OUTCOME_TOO_MANY };

/* The strings of a dictionary that a filter matches, as terms of its groups. */
static enum outcome read_texts(struct planning *p, struct texts *texts)
{
	struct dict_all all = dict_all_start(p->reader, texts->kind, p->err);
	g_autoptr(GString) scratch = g_string_sized_new(256);
	g_autoptr(GHashTable) matched =
	        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	int result;

	texts->scratch = scratch;
	texts->matched = matched;
	while ((result = dict_all_next(&all)) == 1) {
		if (look_at_block(p, texts, &all.block) < 0)
			result = dict_all_damaged(&all);
		if (result < 0 || texts->group->len > MAX_TEXT_IDS)
			break;
	}
	dict_all_end(&all);
	if (result == 1)
		return OUTCOME_TOO_MANY;
	if (result < 0)
		return OUTCOME_FAILED;
	return texts->group->len > 0 ? OUTCOME_SOME : OUTCOME_NONE;
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
	texts->group = add_group(p);
	enum outcome outcome = OUTCOME_SOME;

	if (texts->words != NULL && texts->key == SEARCH_TEMPLATE)
		outcome = add_made_templates(p, texts);
	if (outcome == OUTCOME_SOME)
		outcome = read_texts(p, texts);
	if (outcome == OUTCOME_TOO_MANY)
		g_ptr_array_remove(p->plan->query->groups, texts->group);
	return outcome;
}

/* Rows that say themselves whose mailbox it is count by that only. Where there are such, what the
 * domain says is a guess, and each row is looked at. */
static enum outcome check_mailbox(struct planning *p, enum search_key key)
{
	struct index_query *query = index_query_new();
	guint64 term = terms_present(key);
	int64_t row;
	int some = -1;

	g_array_append_val(index_query_group(query), term);
	struct index_hits *hits = index_find(&p->reader->sql, query, 0, DAY_ROWS - 1, p->err);
	if (hits != NULL && index_start(hits, DAY_ROWS - 1) == 0)
		some = index_next(hits, &row);
	index_hits_free(&hits);
	index_query_free(&query);
	if (some < 0)
		return OUTCOME_FAILED;
	if (some > 0)
		p->plan->kind = PLAN_SCAN;
	return OUTCOME_SOME;
}

static enum outcome add_words(struct planning *p, enum search_words which)
{
	static const struct {
		enum dict_kind kind;
		uint64_t (*term_of)(int64_t id);
	} places[] = {
	        [WORDS_REASON] = {DICT_REASON, terms_reason},
	        [WORDS_SUBJECT] = {DICT_SUBJECT, terms_subject},
	        [WORDS_VALUE] = {DICT_WORD, NULL},
	        [WORDS_MAILBOX] = {DICT_WORD, NULL},
	};
	const struct words_def *def = &words_defs[which];
	struct texts texts = {
	        .kind = places[def->place].kind,
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

static enum outcome add_pattern(struct planning *p, const struct like *like, enum dict_kind kind,
        uint64_t (*term_of)(int64_t id))
{
	struct texts texts = {.kind = kind, .like = like, .term_of = term_of};

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
			outcome =
			        add_pattern(p, match_reasons(p->match), DICT_REASON, terms_reason);
		else
			outcome = add_pattern(
			        p, match_subjects(p->match), DICT_SUBJECT, terms_subject);
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

int plan_make(struct plan *plan, struct day *day, struct day_reader *reader,
        const struct match *match, struct error *err)
{
	struct planning p = {plan, day, reader, match, err};

	*plan = (struct plan){.kind = PLAN_MATCH, .query = index_query_new()};
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		add_values(&p, (enum search_key)key);
	add_scope(&p);
	add_tags(&p);
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
