#include "store/match.h"

#include "event/mailbox.h"
#include "store/terms.h"

struct match {
	GHashTable *values[SEARCH_KEYS]; /* of GString: what is compared, any bytes */
	struct like *reasons, *subjects;
	struct words *words[SEARCH_WORDS];
	GHashTable *tags;                  /* of GString, as values */
	GHashTable *subaccounts, *domains; /* the scope */
	GString *scratch, *lookup;
};

static guint string_hash(gconstpointer p)
{
	return g_string_hash(p);
}

static gboolean string_equal(gconstpointer a, gconstpointer b)
{
	return g_string_equal(a, b);
}

static void free_string(gpointer p)
{
	g_string_free(p, TRUE);
}

static GHashTable *value_set(enum value_form form, const char *const *list, GString *scratch)
{
	GHashTable *set = g_hash_table_new_full(string_hash, string_equal, free_string, NULL);
	struct slice value;

	for (; *list != NULL; list++)
		if (terms_value(form, slice_str(*list), scratch, &value))
			g_hash_table_add(set, g_string_new_len(value.p, (gssize)value.n));
	return set;
}

static void read_scope(struct match *match, const struct search_scope *scope)
{
	if (scope->subaccounts != NULL)
		match->subaccounts = value_set(VALUE_NUMBER, scope->subaccounts, match->scratch);
	if (scope->domains != NULL)
		match->domains = value_set(VALUE_CASELESS, scope->domains, match->scratch);
}

/* ---- what stands for addresses, where only that is kept ---- */

/* Appends what stands for a value of a filter; false where it is itself. */
static bool put_stands(
        const struct pseudonyms *pseudonyms, enum search_key key, struct slice value, GString *out)
{
	switch (key) {
	case SEARCH_RECIPIENT:
	case SEARCH_FRIENDLY_FROM:
	case SEARCH_FROM_ADDRESS:
		pseudonyms_address(pseudonyms, value, out);
		return true;
	case SEARCH_MESSAGE:
	case SEARCH_TRANSMISSION:
		pseudonyms_id(pseudonyms, value, out);
		return true;
	default:
		return pseudonyms_text(pseudonyms, value, out);
	}
}

static void add_pseudonyms(GHashTable *set, enum search_key key, const char *const *list,
        const struct pseudonyms *pseudonyms, GString *scratch)
{
	g_autoptr(GString) stands = g_string_new(NULL);
	struct slice value;

	for (; *list != NULL; list++) {
		g_string_truncate(stands, 0);
		if (put_stands(pseudonyms, key, slice_str(*list), stands) &&
		        terms_value(search_defs[key].form, slice_make(stands->str, stands->len),
		                scratch, &value))
			g_hash_table_add(set, g_string_new_len(value.p, (gssize)value.n));
	}
}

static void add_stands(
        struct match *match, const struct search *search, const struct pseudonyms *pseudonyms)
{
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		if (match->values[key] != NULL)
			add_pseudonyms(match->values[key], (enum search_key)key,
			        search->values[key], pseudonyms, match->scratch);
}

/* What stands for a text between '%' each, which are part of no address here. */
static char *pattern_stands(const struct pseudonyms *pseudonyms, struct slice pattern)
{
	GString *out = g_string_new(NULL);
	bool any = false;

	for (;;) {
		struct slice piece = slice_head(pattern, strcspn(pattern.p, "%"));
		any |= pseudonyms_text(pseudonyms, piece, out);
		if (piece.n == pattern.n)
			return g_string_free(out, !any);
		g_string_append_c(out, '%');
		pattern = slice_from(pattern, piece.n + 1);
	}
}

/* The texts of a filter, and what stands for them. */
static GPtrArray *texts_of(const char *const *list, const struct pseudonyms *pseudonyms)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

	for (; *list != NULL; list++) {
		char *stands =
		        pseudonyms != NULL ? pattern_stands(pseudonyms, slice_str(*list)) : NULL;
		g_ptr_array_add(texts, g_strdup(*list));
		if (stands != NULL)
			g_ptr_array_add(texts, stands);
	}
	g_ptr_array_add(texts, NULL);
	return texts;
}

static struct like *make_like(const char *const *list, const struct pseudonyms *pseudonyms)
{
	g_autoptr(GPtrArray) texts = texts_of(list, pseudonyms);

	return like_new((const char *const *)texts->pdata);
}

static struct words *make_words(
        const char *const *list, bool dots, const struct pseudonyms *pseudonyms)
{
	g_autoptr(GPtrArray) texts = texts_of(list, pseudonyms);

	return words_new((const char *const *)texts->pdata, dots);
}

/* ---- all filters ---- */

struct match *match_new(const struct search *search, const struct pseudonyms *pseudonyms)
{
	struct match *match = g_new0(struct match, 1);

	match->scratch = g_string_new(NULL);
	match->lookup = g_string_new(NULL);
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		if (search->values[key] != NULL)
			match->values[key] = value_set(
			        search_defs[key].form, search->values[key], match->scratch);
	if (pseudonyms != NULL)
		add_stands(match, search, pseudonyms);
	if (search->reasons != NULL)
		match->reasons = make_like(search->reasons, pseudonyms);
	if (search->subjects != NULL)
		match->subjects = make_like(search->subjects, pseudonyms);
	for (unsigned i = 0; i < SEARCH_WORDS; i++)
		if (search->words[i] != NULL)
			match->words[i] =
			        make_words(search->words[i], words_defs[i].dots, pseudonyms);
	if (search->tags != NULL)
		match->tags = value_set(VALUE_TAGS, search->tags, match->scratch);
	if (search->scope != NULL)
		read_scope(match, search->scope);
	return match;
}

void match_free(struct match **match)
{
	if (*match == NULL)
		return;
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		g_clear_pointer(&(*match)->values[key], g_hash_table_unref);
	for (unsigned i = 0; i < SEARCH_WORDS; i++)
		words_free(&(*match)->words[i]);
	g_clear_pointer(&(*match)->tags, g_hash_table_unref);
	g_clear_pointer(&(*match)->subaccounts, g_hash_table_unref);
	g_clear_pointer(&(*match)->domains, g_hash_table_unref);
	like_free(&(*match)->reasons);
	like_free(&(*match)->subjects);
	g_string_free((*match)->scratch, TRUE);
	g_string_free((*match)->lookup, TRUE);
	g_clear_pointer(match, g_free);
}

static bool is_empty(GHashTable *list)
{
	return list != NULL && g_hash_table_size(list) == 0;
}

bool match_nothing(const struct match *match)
{
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		if (is_empty(match->values[key]))
			return true;
	return is_empty(match->subaccounts) || is_empty(match->domains);
}

/* How many values of the event under a key are in a list. */
static unsigned in_list(
        struct match *match, GHashTable *list, enum search_key key, const struct event *event)
{
	unsigned found = 0;
	struct slice value;

	for (unsigned i = 0, n = terms_values(event, key); i < n; i++) {
		if (!terms_event_value(event, key, i, match->scratch, &value))
			continue;
		g_string_truncate(match->lookup, 0);
		g_string_append_len(match->lookup, value.p, (gssize)value.n);
		found += g_hash_table_contains(list, match->lookup);
	}
	return found;
}

static bool match_scope(struct match *match, const struct event *event)
{
	if (match->subaccounts != NULL &&
	        in_list(match, match->subaccounts, SEARCH_SUBACCOUNT, event) == 0)
		return false;
	return match->domains == NULL ||
	       in_list(match, match->domains, SEARCH_SENDING_DOMAIN, event) > 0 ||
	       in_list(match, match->domains, SEARCH_RECIPIENT_DOMAIN, event) > 0;
}

/* An event may name a tag twice. */
static bool match_all_tags(struct match *match, const struct event *event)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
	gpointer tag;
	struct slice value;

	for (unsigned i = 0, n = terms_values(event, SEARCH_TAG); i < n; i++) {
		if (!terms_event_value(event, SEARCH_TAG, i, match->scratch, &value))
			continue;
		g_string_truncate(match->lookup, 0);
		g_string_append_len(match->lookup, value.p, (gssize)value.n);
		if (g_hash_table_lookup_extended(match->tags, match->lookup, &tag, NULL))
			g_hash_table_add(seen, tag);
	}
	return g_hash_table_size(seen) == g_hash_table_size(match->tags);
}

bool match_values(struct match *match, const struct event *event)
{
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		if (match->values[key] != NULL &&
		        in_list(match, match->values[key], (enum search_key)key, event) == 0)
			return false;
	if (match->tags != NULL && !match_all_tags(match, event))
		return false;
	return match_scope(match, event);
}

static bool match_field(
        struct match *match, const struct like *like, const struct event *event, enum field field)
{
	return event_has(event, field) && like_match(like, event->field[field], match->scratch);
}

/* The i-th text that a word filter looks at. */
static struct slice words_text(const struct event *event, const struct words_def *def, unsigned i)
{
	if (def->place == WORDS_MAILBOX)
		return def->key == SEARCH_MAILBOX_PROVIDER ? mailbox_provider(event)
		                                           : mailbox_region(event);
	if (def->place == WORDS_REASON && !row_is_failure(event->type))
		return SLICE_NONE;
	return event->field[def->field[i]];
}

static bool match_one_words(struct match *match, enum search_words which, const struct event *event)
{
	for (unsigned i = 0; i < words_defs[which].fields; i++) {
		struct slice text = words_text(event, &words_defs[which], i);
		if (text.p != NULL && words_match(match->words[which], text, match->scratch))
			return true;
	}
	return false;
}

bool match_event(struct match *match, const struct event *event)
{
	if (!match_values(match, event))
		return false;
	for (unsigned i = 0; i < SEARCH_WORDS; i++)
		if (match->words[i] != NULL && !match_one_words(match, (enum search_words)i, event))
			return false;
	if (match->reasons != NULL &&
	        (!row_is_failure(event->type) ||
	                (!match_field(match, match->reasons, event, FIELD_REASON) &&
	                        !match_field(match, match->reasons, event, FIELD_RAW_REASON))))
		return false;
	return match->subjects == NULL || match_field(match, match->subjects, event, FIELD_SUBJECT);
}

GHashTable *match_list(const struct match *match, enum search_key key)
{
	return match->values[key];
}

const struct like *match_reasons(const struct match *match)
{
	return match->reasons;
}

const struct like *match_subjects(const struct match *match)
{
	return match->subjects;
}

bool match_more(const struct match *match)
{
	for (unsigned i = 0; i < SEARCH_WORDS; i++)
		if (match->words[i] != NULL)
			return true;
	return match->reasons != NULL || match->subjects != NULL || match->tags != NULL ||
	       match->subaccounts != NULL || match->domains != NULL;
}

GHashTable *match_subaccounts(const struct match *match)
{
	return match->subaccounts;
}

GHashTable *match_domains(const struct match *match)
{
	return match->domains;
}

GHashTable *match_tags(const struct match *match)
{
	return match->tags;
}

const struct words *match_words(const struct match *match, enum search_words which)
{
	return match->words[which];
}
