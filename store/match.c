#include "store/match.h"

#include "store/terms.h"

struct match {
	GHashTable *values[SEARCH_KEYS]; /* of GString: what is compared, any bytes */
	struct like *reasons, *subjects;
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

struct match *match_new(const struct search *search)
{
	struct match *match = g_new0(struct match, 1);

	match->scratch = g_string_new(NULL);
	match->lookup = g_string_new(NULL);
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		if (search->values[key] != NULL)
			match->values[key] = value_set(
			        search_defs[key].form, search->values[key], match->scratch);
	if (search->reasons != NULL)
		match->reasons = like_new(search->reasons);
	if (search->subjects != NULL)
		match->subjects = like_new(search->subjects);
	return match;
}

void match_free(struct match **match)
{
	if (*match == NULL)
		return;
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		g_clear_pointer(&(*match)->values[key], g_hash_table_unref);
	like_free(&(*match)->reasons);
	like_free(&(*match)->subjects);
	g_string_free((*match)->scratch, TRUE);
	g_string_free((*match)->lookup, TRUE);
	g_clear_pointer(match, g_free);
}

bool match_nothing(const struct match *match)
{
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		if (match->values[key] != NULL && g_hash_table_size(match->values[key]) == 0)
			return true;
	return false;
}

static bool match_key(struct match *match, enum search_key key, const struct event *event)
{
	struct slice value;

	for (unsigned i = 0; i < search_defs[key].fields; i++) {
		if (!terms_event_value(event, key, i, match->scratch, &value))
			continue;
		g_string_truncate(match->lookup, 0);
		g_string_append_len(match->lookup, value.p, (gssize)value.n);
		if (g_hash_table_contains(match->values[key], match->lookup))
			return true;
	}
	return false;
}

bool match_values(struct match *match, const struct event *event)
{
	for (unsigned key = 0; key < SEARCH_KEYS; key++)
		if (match->values[key] != NULL && !match_key(match, (enum search_key)key, event))
			return false;
	return true;
}

static bool match_field(
        struct match *match, const struct like *like, const struct event *event, enum field field)
{
	return event_has(event, field) && like_match(like, event->field[field], match->scratch);
}

bool match_event(struct match *match, const struct event *event)
{
	if (!match_values(match, event))
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
