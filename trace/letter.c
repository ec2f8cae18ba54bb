#include "trace/trace-private.h"

/* Above this many recipients a letter gets an index. */
#define LETTER_SHORT 8

static struct slice keep(struct letter *letter, struct slice text)
{
	if (text.p == NULL)
		return SLICE_NONE;
	return slice_make(g_string_chunk_insert_len(letter->text, text.p, (gssize)text.n), text.n);
}

static void keep_fields(struct letter *letter, const struct envelope *envelope)
{
	unsigned n = 0;

	for (unsigned f = 0; f < FIELDS; f++)
		n += envelope->field[f].p != NULL;
	letter->field = g_new0(struct held_field, n);
	for (unsigned f = 0; f < FIELDS; f++)
		if (envelope->field[f].p != NULL)
			letter->field[letter->n_fields++] = (struct held_field){
			        (enum field)f, keep(letter, envelope->field[f])};
}

struct letter *letter_new(const struct envelope *envelope)
{
	struct letter *letter = g_new0(struct letter, 1);

	letter->text = g_string_chunk_new(1024);
	keep_fields(letter, envelope);
	letter->recipient = g_new0(struct envelope_recipient, envelope->recipients);
	letter->n_recipients = (unsigned)envelope->recipients;
	for (unsigned i = 0; i < letter->n_recipients; i++) {
		const struct envelope_recipient *from = &envelope->recipient[i];
		letter->recipient[i] = (struct envelope_recipient){
		        .address = keep(letter, from->address),
		        .type = keep(letter, from->type),
		        .meta = keep(letter, from->meta),
		        .tags = keep(letter, from->tags),
		        .subs = keep(letter, from->subs),
		};
	}
	return letter;
}

void letter_free(struct letter *letter)
{
	if (letter == NULL)
		return;
	g_clear_pointer(&letter->index, g_hash_table_unref);
	g_string_chunk_free(letter->text);
	g_free(letter->field);
	g_free(letter->recipient);
	g_free(letter);
}

static guint address_hash(gconstpointer p)
{
	const struct envelope_recipient *recipient = p;
	guint hash = 2166136261u;

	for (size_t i = 0; i < recipient->address.n; i++)
		hash = (hash ^ (unsigned char)ascii_lower(recipient->address.p[i])) * 16777619u;
	return hash;
}

static gboolean address_equal(gconstpointer a, gconstpointer b)
{
	const struct envelope_recipient *x = a, *y = b;

	return slice_eq_case(x->address, y->address);
}

const struct envelope_recipient *letter_find(struct letter *letter, struct slice address)
{
	const struct envelope_recipient wanted = {.address = address};

	if (letter == NULL || address.p == NULL)
		return NULL;
	if (letter->n_recipients > LETTER_SHORT && letter->index == NULL) {
		letter->index = g_hash_table_new(address_hash, address_equal);
		for (unsigned i = letter->n_recipients; i-- > 0;)
			g_hash_table_add(letter->index, &letter->recipient[i]);
	}
	if (letter->index != NULL)
		return g_hash_table_lookup(letter->index, &wanted);
	for (unsigned i = 0; i < letter->n_recipients; i++)
		if (slice_eq_case(letter->recipient[i].address, address))
			return &letter->recipient[i];
	return NULL;
}
