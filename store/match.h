/* The filters of a search as a question to a single event: the truth that the index only
 * approaches (its values are hashes), and the way of all paths that read rows. */
#ifndef PW_STORE_MATCH_H
#define PW_STORE_MATCH_H

#include "event/pseudonym.h"
#include "store/like.h"
#include "store/search.h"
#include "store/words.h"

struct match;

/* Addresses, ids and texts with an address in them (but tags) are also looked for by what stands
 * for them; `pseudonyms` may be NULL. */
struct match *match_new(const struct search *search, const struct pseudonyms *pseudonyms);
void match_free(struct match **match);

/* Whether no event at all can match: a list is empty, or holds nothing that can be. */
bool match_nothing(const struct match *match);

/* Whether the event passes all filters but time and arrival. */
bool match_event(struct match *match, const struct event *event);

/* The same without the filters that look into texts: patterns and words. */
bool match_values(struct match *match, const struct event *event);

/* The values of a key as they are compared; NULL: no filter. The keys of the table are the values.
 */
GHashTable *match_list(const struct match *match, enum search_key key);

/* Whether there is a filter that the keys do not tell of: patterns, words, tags, a scope. */
bool match_more(const struct match *match);

/* The scope: values as they are compared; NULL: it does not narrow. */
GHashTable *match_subaccounts(const struct match *match);
GHashTable *match_domains(const struct match *match);

/* The tags that must all be set, or NULL. */
GHashTable *match_tags(const struct match *match);

/* The word filters; NULL: none. */
const struct words *match_words(const struct match *match, enum search_words which);

/* The substring filters; NULL: none. */
const struct like *match_reasons(const struct match *match);
const struct like *match_subjects(const struct match *match);

#endif
