/* A term is the letter of the key (schema/search.def) and then
 *
 *	TYPE, NUMBER            the number, mixed; of more than 48 bits its hash
 *	TEXT, CASELESS, ID, TAGS
 *	                        the keyed hash of the value
 *	'g', 'n' alone          0: the event says itself whose mailbox it is
 *	'x', 'u'                the id of a reason or subject, mixed
 *
 * in 48 bits each. Numbers are mixed since the index counts on terms that lie anywhere. */
#include "store/terms.h"

#include <sodium.h>

#include "event/catalogue.h"
#include "event/tags.h"

#define LETTER_REASON 'x'
#define LETTER_SUBJECT 'u'
#define VALUE_BITS 48
#define VALUE_MASK ((UINT64_C(1) << VALUE_BITS) - 1)
#define NUMBER_MAX 24 /* digits of a number, and more */

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

#define EACH_BYTE(N) (UINT64_C(0x0101010101010101) * (N))

/* Eight bytes in lower case: those from 'A' to 'Z' get the bit 0x20, found by carries into the top
 * bits of the bytes. */
static uint64_t lower_eight(uint64_t bytes)
{
	uint64_t low = bytes & EACH_BYTE(0x7f);
	uint64_t from_a = low + EACH_BYTE(0x80 - 'A'), behind_z = low + EACH_BYTE(0x7f - 'Z');

	return bytes | (~bytes & (from_a ^ behind_z) & EACH_BYTE(0x80)) >> 2;
}

/* Each string of a dictionary comes here when one is looked for. */
struct slice terms_fold(struct slice text, GString *scratch)
{
	uint64_t all = 0, bytes;
	size_t i = 0;

	g_string_set_size(scratch, text.n);
	for (; i + sizeof(bytes) <= text.n; i += sizeof(bytes)) {
		memcpy(&bytes, text.p + i, sizeof(bytes));
		all |= bytes;
		bytes = lower_eight(bytes);
		memcpy(scratch->str + i, &bytes, sizeof(bytes));
	}
	for (; i < text.n; i++) {
		all |= (unsigned char)text.p[i];
		scratch->str[i] = g_ascii_tolower(text.p[i]);
	}
	if ((all & EACH_BYTE(0x80)) != 0 && g_utf8_validate(text.p, (gssize)text.n, NULL)) {
		g_autofree char *folded = g_utf8_casefold(text.p, (gssize)text.n);
		g_string_assign(scratch, folded);
	}
	return slice_make(scratch->str, scratch->len);
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
	char digits[NUMBER_MAX], *p = digits + sizeof(digits);

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

/* One to one: two numbers never become the same. */
static uint64_t mix(uint64_t number)
{
	number = number * UINT64_C(0x9e3779b97f4b) & VALUE_MASK;
	number ^= number >> VALUE_BITS / 2;
	return number * UINT64_C(0xbf58476d1ce5) & VALUE_MASK;
}

static uint64_t make_term(char letter, uint64_t value)
{
	return (uint64_t)(uint8_t)letter << VALUE_BITS | (value & VALUE_MASK);
}

static uint64_t hash_of(const void *p, size_t n, const uint8_t *hash_key)
{
	uint64_t hash = 0;

	crypto_shorthash((uint8_t *)&hash, p, n, hash_key);
	return GUINT64_FROM_LE(hash);
}

static uint64_t number_term(char letter, uint64_t number, const uint8_t *hash_key)
{
	uint64_t bytes = GUINT64_TO_LE(number);

	return make_term(letter,
	        number <= VALUE_MASK ? mix(number) : hash_of(&bytes, sizeof(bytes), hash_key));
}

uint64_t terms_term(enum search_key key, struct slice value, const uint8_t *hash_key)
{
	const struct search_def *def = &search_defs[key];
	uint64_t number;

	if (def->form != VALUE_TYPE && def->form != VALUE_NUMBER)
		return make_term(def->letter, hash_of(value.p, value.n, hash_key));
	plain_digits(&value, &number);
	return number_term(def->letter, number, hash_key);
}

uint64_t terms_reason(int64_t id)
{
	return make_term(LETTER_REASON, mix((uint64_t)id));
}

uint64_t terms_subject(int64_t id)
{
	return make_term(LETTER_SUBJECT, mix((uint64_t)id));
}

static void append(GArray *out, guint64 term)
{
	g_array_append_val(out, term);
}

/* Numbers that the event has as numbers: no need to write and read them. */
static bool append_number(GArray *out, const struct event *event, const struct search_def *def,
        const uint8_t *hash_key)
{
	if (def->field[0] == FIELD_TYPE)
		append(out,
		        number_term(def->letter, event_catalogue[event->type].number, hash_key));
	else if (def->field[0] == FIELD_EVENT_ID)
		append(out, number_term(def->letter, event->id, hash_key));
	else
		return false;
	return true;
}

uint64_t terms_present(enum search_key key)
{
	return make_term(search_defs[key].letter, 0);
}

static void append_present(GArray *out, const struct event *event, enum search_key key)
{
	if (event_has(event, search_defs[key].field[0]))
		append(out, terms_present(key));
}

void terms_of(GArray *out, const struct event *event, const struct row_texts *texts,
        const uint8_t *hash_key)
{
	/* Reused for each value of each event of a commit: allocated once a thread would be a leak
	 * at its end, once a call is cheap enough beside the hashes. */
	g_autoptr(GString) scratch = g_string_sized_new(128);
	struct slice value;

	for (unsigned key = 0; key < SEARCH_KEYS; key++) {
		const struct search_def *def = &search_defs[key];
		if (append_number(out, event, def, hash_key))
			continue;
		for (unsigned i = 0, n = terms_values(event, (enum search_key)key); i < n; i++)
			if (terms_event_value(event, (enum search_key)key, i, scratch, &value))
				append(out, terms_term((enum search_key)key, value, hash_key));
	}
	append_present(out, event, SEARCH_MAILBOX_PROVIDER);
	append_present(out, event, SEARCH_MAILBOX_REGION);
	const int64_t reasons[] = {texts->reason, texts->raw_reason};
	for (unsigned i = 0; i < 2; i++)
		if (reasons[i] != 0)
			append(out, terms_reason(reasons[i]));
	if (texts->subject != 0)
		append(out, terms_subject(texts->subject));
}
