#include "event/pseudonym.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "event/catalogue.h"
#include "event/json_texts.h"
#include "event/pseudonym_text.h"

#define HASH_BYTES 10 /* of the hash, in 16 characters: 2^40 addresses are all different */

struct pseudonyms {
	uint8_t key[PSEUDONYM_KEY_BYTES];
};

enum what { WHAT_TEXT, WHAT_REPLY, WHAT_ADDRESS, WHAT_ID, WHAT_HEADER_ID, WHAT_KEEP, WHAT_DROP };

static const enum what what_of[FIELDS] = {
#define PSEUDONYM(FIELD, WHAT) [FIELD_##FIELD] = WHAT_##WHAT,
#include "schema/pseudonym.def"
#undef PSEUDONYM
};

struct pseudonyms *pseudonyms_new(const uint8_t key[PSEUDONYM_KEY_BYTES])
{
	struct pseudonyms *pseudonyms = g_new0(struct pseudonyms, 1);

	memcpy(pseudonyms->key, key, sizeof(pseudonyms->key));
	return pseudonyms;
}

void pseudonyms_free(struct pseudonyms **pseudonyms)
{
	if (*pseudonyms == NULL)
		return;
	sodium_memzero((*pseudonyms)->key, sizeof((*pseudonyms)->key));
	g_clear_pointer(pseudonyms, g_free);
}

const uint8_t *pseudonyms_key(const struct pseudonyms *pseudonyms)
{
	return pseudonyms->key;
}

/* ---- one address ---- */

/* RFC 4648, 6, in lower case and without padding. */
static void put_base32(const uint8_t hash[HASH_BYTES], char *out)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned bits = 0, n = 0;

	for (unsigned i = 0; i < HASH_BYTES; i++) {
		bits = bits << 8 | hash[i];
		for (n += 8; n >= 5; n -= 5)
			*out++ = digits[bits >> (n - 5) & 31];
	}
	*out = '\0';
}

bool pseudonym_is(struct slice local)
{
	size_t n = strlen(PSEUDONYM_PREFIX);

	if (local.n != PSEUDONYM_CHARS || !slice_starts(local, SLICE(PSEUDONYM_PREFIX)))
		return false;
	for (size_t i = n; i < local.n; i++)
		if (!g_ascii_islower(local.p[i]) && (local.p[i] < '2' || local.p[i] > '7'))
			return false;
	return true;
}

static void update_lower(crypto_generichash_state *state, struct slice text)
{
	unsigned char bytes[64];

	while (text.n > 0) {
		size_t n = MIN(text.n, sizeof(bytes));
		for (size_t i = 0; i < n; i++)
			bytes[i] = (unsigned char)ascii_lower(text.p[i]);
		crypto_generichash_update(state, bytes, n);
		text = slice_from(text, n);
	}
}

void pseudonym_put(const struct pseudonyms *p, struct slice local, struct slice domain,
        char stands[PSEUDONYM_CHARS + 1])
{
	crypto_generichash_state state;
	uint8_t hash[crypto_generichash_BYTES_MIN];

	_Static_assert(HASH_BYTES <= crypto_generichash_BYTES_MIN, "a part of the hash is taken");
	if (pseudonym_is(local)) {
		memcpy(stands, local.p, PSEUDONYM_CHARS);
		stands[PSEUDONYM_CHARS] = '\0';
		return;
	}
	crypto_generichash_init(&state, p->key, sizeof(p->key), sizeof(hash));
	update_lower(&state, local);
	if (domain.n > 0) {
		update_lower(&state, SLICE("@"));
		update_lower(&state, domain);
	}
	crypto_generichash_final(&state, hash, sizeof(hash));
	memcpy(stands, PSEUDONYM_PREFIX, strlen(PSEUDONYM_PREFIX));
	put_base32(hash, stands + strlen(PSEUDONYM_PREFIX));
}

static void put_local(
        const struct pseudonyms *p, struct slice local, struct slice domain, GString *out)
{
	char stands[PSEUDONYM_CHARS + 1];

	pseudonym_put(p, local, domain, stands);
	g_string_append_len(out, stands, PSEUDONYM_CHARS);
}

/* Without quotes and backslashes (RFC 5321, 4.1.2), in `room`, where it is quoted. */
static struct slice bare_local(struct slice local, GString *room)
{
	if (local.n < 2 || local.p[0] != '"' || local.p[local.n - 1] != '"')
		return local;
	g_string_truncate(room, 0);
	for (size_t i = 1; i + 1 < local.n; i++)
		if (local.p[i] != '\\')
			g_string_append_c(room, local.p[i]);
	return slice_make(room->str, room->len);
}

static struct slice without_brackets(struct slice address)
{
	if (address.n >= 2 && address.p[0] == '<' && address.p[address.n - 1] == '>')
		return slice_make(address.p + 1, address.n - 2);
	return address;
}

/* A name of hosts or the number of one; else it may hold the address of somebody else. */
static bool is_domain(struct slice domain)
{
	for (size_t i = 0; i < domain.n; i++) {
		char c = domain.p[i];
		if (!g_ascii_isalnum(c) && (unsigned char)c < 0x80 &&
		        (c == '\0' || strchr(".-_[]:", c) == NULL))
			return false;
	}
	return true;
}

void pseudonyms_address(const struct pseudonyms *p, struct slice address, GString *out)
{
	g_autoptr(GString) room = g_string_new(NULL);

	address = without_brackets(address);
	ptrdiff_t at = slice_rchr(address, '@');
	if (address.n == 0)
		return;
	if (at < 0) {
		put_local(p, bare_local(address, room), SLICE_NONE, out);
		return;
	}
	struct slice domain = slice_from(address, (size_t)at + 1);
	if (at > 0)
		put_local(p, bare_local(slice_head(address, (size_t)at), room), domain, out);
	else if (!is_domain(domain))
		put_local(p, domain, SLICE_NONE, out);
	if (is_domain(domain))
		g_string_append_len(out, address.p + at, (gssize)(address.n - (size_t)at));
}

void pseudonyms_id(const struct pseudonyms *p, struct slice id, GString *out)
{
	id = without_brackets(id);
	if (id.n > 0)
		put_local(p, id, SLICE_NONE, out);
}

bool pseudonyms_text(const struct pseudonyms *p, struct slice text, GString *out)
{
	gsize before = out->len;

	if (pseudonym_text(p, NULL, false, text, out))
		return true;
	g_string_truncate(out, before);
	g_string_append_len(out, text.p, (gssize)text.n);
	return false;
}

/* ---- events ---- */

struct hiding {
	const struct pseudonyms *p;
	struct pseudonym_persons persons;
	bool reply; /* the text is one */
	GStringChunk *bare;
};

static void add_person(struct hiding *h, struct slice address, bool in_replies)
{
	g_autoptr(GString) room = g_string_new(NULL);
	ptrdiff_t at;

	address = without_brackets(address);
	at = slice_rchr(address, '@');
	struct slice local = bare_local(slice_head(address, at < 0 ? address.n : (size_t)at), room);
	if (local.n == 0 || local.n > PSEUDONYM_NAME_MAX || pseudonym_is(local) ||
	        h->persons.n == PSEUDONYM_PERSONS)
		return;
	struct pseudonym_person *person = &h->persons.person[h->persons.n++];
	*person = (struct pseudonym_person){
	        .local = slice_make(
	                g_string_chunk_insert_len(h->bare, local.p, (gssize)local.n), local.n),
	        .domain = at < 0 ? SLICE_NONE : slice_from(address, (size_t)at + 1),
	        .in_replies = in_replies};
	for (size_t i = 0; i < local.n; i++)
		person->telling |= !g_ascii_isalpha(local.p[i]);
	pseudonym_put(h->p, person->local, person->domain, person->stands);
}

/* What stands before the "+detail" of an address. */
static void add_base(struct hiding *h, struct slice address)
{
	ptrdiff_t plus = slice_chr(address, '+'), at = slice_rchr(address, '@');

	if (plus <= 0 || at <= plus)
		return;
	g_autoptr(GString) base = g_string_new_len(address.p, plus);
	g_string_append_len(base, address.p + at, (gssize)address.n - at);
	const char *kept = g_string_chunk_insert_len(h->bare, base->str, (gssize)base->len);
	add_person(h, slice_make(kept, base->len), false);
}

static void find_persons(struct hiding *h, const struct event *event)
{
	static const enum field recipients[] = {FIELD_RCPT_TO, FIELD_RAW_RCPT_TO,
	        FIELD_ORIG_RCPT_TO},
	                        senders[] = {FIELD_FRIENDLY_FROM, FIELD_MSG_FROM, FIELD_MAILFROM,
	                                FIELD_AUTH_USER};

	for (size_t i = 0; i < G_N_ELEMENTS(recipients); i++) {
		struct slice address = event->field[recipients[i]];
		if (address.n == 0 ||
		        (i > 0 && slice_eq_case(address, event->field[recipients[i - 1]])))
			continue;
		add_person(h, address, false);
		add_base(h, address);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(senders); i++)
		add_person(h, event->field[senders[i]], true);
	pseudonym_named(h->p, event->field[FIELD_RAW_REASON], &h->persons);
}

/* Appends what is left of a text; false, and nothing, where it stays. */
static bool put_text(void *ctx, struct slice text, GString *out)
{
	struct hiding *h = ctx;

	return pseudonym_text(h->p, &h->persons, h->reply, text, out);
}

/* JSON whose strings may hide an address behind escapes. */
static bool put_json(struct hiding *h, struct slice text, GString *out)
{
	json_t *json = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	if (json == NULL)
		return put_text(h, text, out);
	bool any = json_change_texts(json, put_text, h, out);
	json_decref(json);
	return any;
}

static bool put_structured(struct hiding *h, struct slice text, GString *out)
{
	gsize before = out->len;

	if (slice_chr(text, '\\') < 0 && !put_text(h, text, out))
		return false;
	g_string_truncate(out, before); /* of JSON only its strings: it must stay JSON */
	return put_json(h, text, out);
}

/* Of ids as mail systems make them. All others are hidden, whoever an event knows: the events of a
 * mail keep one id. */
static bool is_made(struct slice id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!g_ascii_isalnum(id.p[i]) && id.p[i] != '-' && id.p[i] != '_')
			return false;
	return true;
}

static bool put_id(struct hiding *h, struct slice id, GString *out)
{
	gsize before = out->len;

	if (is_made(id) && !put_text(h, id, out))
		return false;
	g_string_truncate(out, before);
	pseudonyms_id(h->p, id, out);
	return true;
}

/* Appends what becomes of a field; false where it stays. */
static bool put_field(struct hiding *h, enum field field, struct slice text, GString *out)
{
	enum field_json json = field_catalogue[field].json;

	h->reply = what_of[field] == WHAT_REPLY;
	switch (what_of[field]) {
	case WHAT_ADDRESS:
		pseudonyms_address(h->p, text, out);
		return true;
	case WHAT_HEADER_ID:
		pseudonyms_id(h->p, text, out);
		return true;
	case WHAT_ID:
		return put_id(h, text, out);
	case WHAT_KEEP:
		return pseudonym_text(h->p, NULL, false, text, out);
	default:
		return json == FIELD_JSON_OBJECT || json == FIELD_JSON_STRINGS
		               ? put_structured(h, text, out)
		               : put_text(h, text, out);
	}
}

void pseudonyms_event(const struct pseudonyms *p, struct event *event, GString *arena)
{
	struct hiding h = {.p = p, .bare = g_string_chunk_new(PSEUDONYM_NAME_MAX)};
	size_t from[FIELDS], n[FIELDS] = {0};
	bool moved[FIELDS] = {false};

	g_string_truncate(arena, 0);
	find_persons(&h, event);
	for (unsigned i = 0; i < FIELDS; i++) {
		struct slice value = event->field[i];
		if (value.n == 0)
			continue;
		if (what_of[i] == WHAT_DROP) {
			event->field[i] = SLICE_NONE;
			continue;
		}
		from[i] = arena->len;
		moved[i] = put_field(&h, (enum field)i, value, arena);
		n[i] = arena->len - from[i];
	}
	/* Only now does the buffer stay where it is. */
	for (unsigned i = 0; i < FIELDS; i++)
		if (moved[i])
			event->field[i] = slice_make(arena->str + from[i], n[i]);
	g_string_chunk_free(h.bare);
}
