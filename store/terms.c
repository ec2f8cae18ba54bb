/* A term is the letter of the key (schema/search.def) and then
 *
 *	TYPE, NUMBER            the number in base 36
 *	TEXT, CASELESS, ID, TAGS
 *	                        the keyed 64-bit hash of the value in base 36
 *	'g', 'n' alone          0: the event says itself whose mailbox it is
 *	'x', 'u'                the id of a reason or subject in base 36
 *
 * so that any term is one token of letters and digits, for the tokenizer as for a query. */
#include "store/terms.h"

#include <sodium.h>

#include "event/catalogue.h"
#include "event/tags.h"

#define LETTER_REASON 'x'
#define LETTER_SUBJECT 'u'

const struct search_def search_defs[SEARCH_KEYS] = {
#define SEARCH(ID, LETTER, NAME, FORM, ...) \
	[SEARCH_##ID] = {LETTER, NAME, VALUE_##FORM, {__VA_ARGS__}, \
	        sizeof((enum field[]){__VA_ARGS__}) / sizeof(enum field)},
#include "schema/search.def"
#undef SEARCH
};

int search_key_by_name(struct slice name)
{
	for (unsigned i = 0; i < SEARCH_KEYS; i++)
		if (search_defs[i].name != NULL && slice_eq(slice_str(search_defs[i].name), name))
			return (int)i;
	return -1;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] >= 0x80)
			return false;
	return true;
}

struct slice terms_fold(struct slice text, GString *scratch)
{
	if (!is_ascii(text) && g_utf8_validate(text.p, (gssize)text.n, NULL)) {
		g_autofree char *folded = g_utf8_casefold(text.p, (gssize)text.n);
		g_string_assign(scratch, folded);
		return slice_make(scratch->str, scratch->len);
	}
	g_string_set_size(scratch, text.n);
	for (size_t i = 0; i < text.n; i++)
		scratch->str[i] = g_ascii_tolower(text.p[i]);
	return slice_make(scratch->str, text.n);
}

/* Digits only, of a number that 64 bits hold, without leading zeros. */
static bool plain_digits(struct slice *value, uint64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < value->n; i++)
		if (!g_ascii_isdigit(value->p[i]) || __builtin_mul_overflow(*number, 10, number) ||
		        __builtin_add_overflow(*number, (uint64_t)(value->p[i] - '0'), number))
			return false;
	while (value->n > 1 && value->p[0] == '0')
		*value = slice_from(*value, 1);
	return value->n > 0;
}

/* Decimal digits; not by printf, since every event comes here twice. */
static struct slice number_text(uint64_t number, GString *scratch)
{
	char digits[TERM_MAX], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	g_string_truncate(scratch, 0);
	g_string_append_len(scratch, p, digits + sizeof(digits) - p);
	return slice_make(scratch->str, scratch->len);
}

bool terms_value(enum value_form form, struct slice value, GString *scratch, struct slice *value_r)
{
	uint64_t number;

	*value_r = value;
	switch (form) {
	case VALUE_TYPE: {
		enum event_type type = event_type_by_name(value);
		if (type == EVENT_TYPES)
			return false;
		*value_r = number_text(event_catalogue[type].number, scratch);
		return true;
	}
	case VALUE_NUMBER:
		return plain_digits(value_r, &number);
	case VALUE_CASELESS:
		*value_r = terms_fold(value, scratch);
		return true;
	case VALUE_ID:
		if (value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
			*value_r = slice_make(value.p + 1, value.n - 2);
		return true;
	case VALUE_TEXT:
	case VALUE_TAGS:
		return true;
	}
	return false;
}

/* The i-th string of an array. */
static bool tag_value(struct slice array, unsigned i, GString *scratch, struct slice *value)
{
	if (array.p == NULL)
		return false;
	do
		*value = tags_next(&array, scratch);
	while (value->p != NULL && i-- > 0);
	return value->p != NULL;
}

unsigned terms_values(const struct event *event, enum search_key key)
{
	const struct search_def *def = &search_defs[key];
	struct slice array = event->field[def->field[0]];
	unsigned n = 0;

	if (def->form != VALUE_TAGS)
		return def->fields;
	if (array.n <= sizeof("[]") - 1)
		return 0;
	g_autoptr(GString) scratch = g_string_new(NULL);
	while (tags_next(&array, scratch).p != NULL)
		n++;
	return n;
}

bool terms_event_value(const struct event *event, enum search_key key, unsigned i, GString *scratch,
        struct slice *value)
{
	const struct search_def *def = &search_defs[key];

	if (def->form == VALUE_TAGS)
		return tag_value(event->field[def->field[0]], i, scratch, value);
	if (i >= def->fields)
		return false;
	switch (def->field[i]) {
	case FIELD_TYPE:
		*value = number_text(event_catalogue[event->type].number, scratch);
		return true;
	case FIELD_EVENT_ID:
		*value = number_text(event->id, scratch);
		return true;
	default:
		return event->field[def->field[i]].p != NULL &&
		       terms_value(def->form, event->field[def->field[i]], scratch, value);
	}
}

static void base36(char letter, uint64_t value, char term[TERM_MAX])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char *p = term;

	*p++ = letter;
	do
		*p++ = digits[value % 36];
	while ((value /= 36) != 0);
	*p = '\0';
}

void terms_term(
        enum search_key key, struct slice value, const uint8_t *hash_key, char term[TERM_MAX])
{
	const struct search_def *def = &search_defs[key];
	uint64_t hash = 0;

	if (def->form == VALUE_TYPE || def->form == VALUE_NUMBER)
		plain_digits(&value, &hash);
	else
		crypto_shorthash((uint8_t *)&hash, (const uint8_t *)value.p, value.n, hash_key);
	base36(def->letter, hash, term);
}

void terms_present(enum search_key key, char term[TERM_MAX])
{
	base36(search_defs[key].letter, 0, term);
}

void terms_reason(int64_t id, char term[TERM_MAX])
{
	base36(LETTER_REASON, (uint64_t)id, term);
}

void terms_subject(int64_t id, char term[TERM_MAX])
{
	base36(LETTER_SUBJECT, (uint64_t)id, term);
}

static void append(GString *out, const char *term)
{
	if (out->len > 0)
		g_string_append_c(out, ' ');
	g_string_append(out, term);
}

static void append_present(GString *out, const struct event *event, enum search_key key)
{
	char term[TERM_MAX];

	if (!event_has(event, search_defs[key].field[0]))
		return;
	terms_present(key, term);
	append(out, term);
}

void terms_of(GString *out, const struct event *event, const struct row_texts *texts,
        const uint8_t *hash_key)
{
	/* Reused for each value of each event of a commit: allocated once a thread would be a leak
	 * at its end, once a call is cheap enough beside the hashes. */
	g_autoptr(GString) scratch = g_string_sized_new(128);
	char term[TERM_MAX];
	struct slice value;

	for (unsigned key = 0; key < SEARCH_KEYS; key++) {
		for (unsigned i = 0, n = terms_values(event, (enum search_key)key); i < n; i++) {
			if (!terms_event_value(event, (enum search_key)key, i, scratch, &value))
				continue;
			terms_term((enum search_key)key, value, hash_key, term);
			append(out, term);
		}
	}
	append_present(out, event, SEARCH_MAILBOX_PROVIDER);
	append_present(out, event, SEARCH_MAILBOX_REGION);
	const int64_t reasons[] = {texts->reason, texts->raw_reason};
	for (unsigned i = 0; i < 2; i++) {
		if (reasons[i] == 0)
			continue;
		terms_reason(reasons[i], term);
		append(out, term);
	}
	if (texts->subject != 0) {
		terms_subject(texts->subject, term);
		append(out, term);
	}
}
