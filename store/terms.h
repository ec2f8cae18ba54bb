/* Index terms: what an event is found by. A pure function of the event, its message and the ids of
 * its strings, so that they can be derived again from the rows. */
#ifndef PW_STORE_TERMS_H
#define PW_STORE_TERMS_H

#include <glib.h>

#include "event/event.h"
#include "store/row.h"
#include "store/search.h"

/* Forms of the values in schema/search.def. */
enum value_form { VALUE_TYPE, VALUE_NUMBER, VALUE_TEXT, VALUE_CASELESS, VALUE_ID, VALUE_TAGS };

struct search_def {
	char letter;
	const char *name; /* NULL: none */
	enum value_form form;
	enum field field[2];
	unsigned fields;
};
extern const struct search_def search_defs[SEARCH_KEYS];

/* The value in the form in which it is compared; false: nothing can be equal to it. The result may
 * live in scratch. */
bool terms_value(enum value_form form, struct slice value, GString *scratch, struct slice *value_r);

/* How many values an event may have under a key. */
unsigned terms_values(const struct event *event, enum search_key key);

/* The i-th value of an event under a key, in the form in which it is compared; false: it has none.
 * The result may live in scratch. */
bool terms_event_value(const struct event *event, enum search_key key, unsigned i, GString *scratch,
        struct slice *value_r);

/* The index term of a value (as terms_value gave it); of a reason, of a subject: the letter and 48
 * bits, so that a term tells its key. */
uint64_t terms_term(enum search_key key, struct slice value, const uint8_t *hash_key);
uint64_t terms_reason(int64_t id);
uint64_t terms_subject(int64_t id);
/* The index term of all events that have a value under a key: MAILBOX_PROVIDER and MAILBOX_REGION
 * only. */
uint64_t terms_present(enum search_key key);

/* All terms of an event, appended to an array of guint64; one may come twice. */
void terms_of(GArray *out, const struct event *event, const struct row_texts *texts,
        const uint8_t *hash_key);

/* Text with upper and lower case made equal; the result may live in scratch. */
struct slice terms_fold(struct slice text, GString *scratch);

#endif
