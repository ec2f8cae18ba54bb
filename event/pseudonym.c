#include "event/pseudonym.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "base/word.h"
#include "event/catalogue.h"
#include "event/json_texts.h"

#define HASH_BYTES 10 /* of the hash, in 16 characters: 2^40 addresses are all different */
#define HASH_CHARS 16
#define NAME_MAX_BYTES 512 /* what is longer is no address */
#define PERSONS 6          /* forms of the recipients of an event */

struct pseudonyms {
	uint8_t key[PSEUDONYM_KEY_BYTES];
};

enum what { WHAT_TEXT, WHAT_ADDRESS, WHAT_NAME, WHAT_KEEP, WHAT_DROP };

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
static void put_base32(const uint8_t hash[HASH_BYTES], GString *out)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned bits = 0, n = 0;

	for (unsigned i = 0; i < HASH_BYTES; i++) {
		bits = bits << 8 | hash[i];
		for (n += 8; n >= 5; n -= 5)
			g_string_append_c(out, digits[bits >> (n - 5) & 31]);
	}
}

static bool is_pseudonym(struct slice local)
{
	size_t n = strlen(PSEUDONYM_PREFIX);

	if (local.n != n + HASH_CHARS || !slice_starts(local, SLICE(PSEUDONYM_PREFIX)))
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
			bytes[i] = (unsigned char)g_ascii_tolower(text.p[i]);
		crypto_generichash_update(state, bytes, n);
		text = slice_from(text, n);
	}
}

/* The hash that stands for a local part at a domain. */
static void put_local(
        const struct pseudonyms *p, struct slice local, struct slice domain, GString *out)
{
	crypto_generichash_state state;
	uint8_t hash[crypto_generichash_BYTES_MIN];

	_Static_assert(HASH_BYTES <= crypto_generichash_BYTES_MIN, "a part of the hash is taken");
	if (is_pseudonym(local)) {
		g_string_append_len(out, local.p, (gssize)local.n);
		return;
	}
	crypto_generichash_init(&state, p->key, sizeof(p->key), sizeof(hash));
	update_lower(&state, local);
	if (domain.n > 0) {
		update_lower(&state, SLICE("@"));
		update_lower(&state, domain);
	}
	crypto_generichash_final(&state, hash, sizeof(hash));
	g_string_append(out, PSEUDONYM_PREFIX);
	put_base32(hash, out);
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

void pseudonyms_address(const struct pseudonyms *p, struct slice address, GString *out)
{
	g_autoptr(GString) room = g_string_new(NULL);

	address = without_brackets(address);
	ptrdiff_t at = slice_rchr(address, '@');
	if (at < 0 && address.n > 0) {
		put_local(p, bare_local(address, room), SLICE_NONE, out);
	} else if (at > 0) {
		struct slice domain = slice_from(address, (size_t)at + 1);
		put_local(p, bare_local(slice_head(address, (size_t)at), room), domain, out);
		g_string_append_len(out, address.p + at, (gssize)(address.n - (size_t)at));
	} else {
		g_string_append_len(out, address.p, (gssize)address.n);
	}
}

/* ---- texts ---- */

/* A local part that is looked for where it stands alone. */
struct person {
	struct slice local, domain;
	bool telling; /* it has a character that is no letter */
	char stands[sizeof(PSEUDONYM_PREFIX) + HASH_CHARS];
};

struct persons {
	struct person person[PERSONS];
	unsigned n;
};

struct text {
	const struct pseudonyms *p;
	const struct persons *persons;
	struct slice text;
	size_t done; /* what stands before it is in `out` */
	GString *out;
	bool any;
};

static bool is_local(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".!#$%&'*+/=?^_`{|}~-", c) != NULL);
}

/* The parts of a link end at its signs. */
static bool is_coded_local(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".+_-%", c) != NULL);
}

static bool is_domain(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 || c == '.' || c == '-' || c == '_';
}

static struct slice part(struct slice text, size_t from, size_t to)
{
	return slice_make(text.p + from, to - from);
}

static void put_until(struct text *t, size_t to)
{
	if (to > t->done)
		g_string_append_len(t->out, t->text.p + t->done, (gssize)(to - t->done));
	t->done = MAX(t->done, to);
}

/* The text from `from` to `to` becomes what stands for it. */
static void replace(struct text *t, size_t from, size_t to, struct slice local, struct slice domain)
{
	put_until(t, from);
	put_local(t->p, local, domain, t->out);
	t->done = to;
	t->any = true;
}

/* Where the local part of a known recipient begins that ends at `end`; -1: no such. */
static ptrdiff_t known_begin(const struct text *t, size_t run, size_t end, struct slice domain)
{
	for (unsigned i = 0; t->persons != NULL && i < t->persons->n; i++) {
		const struct person *person = &t->persons->person[i];
		size_t n = person->local.n;
		if (n == 0 || n > end - run || !slice_eq_case(person->domain, domain) ||
		        !slice_eq_case(part(t->text, end - n, end), person->local))
			continue;
		if (end - n == run || !g_ascii_isalnum(t->text.p[end - n - 1]))
			return (ptrdiff_t)(end - n);
	}
	return -1;
}

/* Where the quoted local part begins whose last quote is at `end` - 1; -1: nowhere. In strings of
 * JSON each quote has a backslash before it. */
static ptrdiff_t quoted_begin(const struct text *t, size_t end, size_t escapes)
{
	for (size_t i = end - 1 - escapes; i-- > t->done && end - i <= NAME_MAX_BYTES;) {
		size_t n = 0;
		while (t->text.p[i] == '"' && n < i && t->text.p[i - 1 - n] == '\\')
			n++;
		if (t->text.p[i] == '"' && n == escapes)
			return (ptrdiff_t)(i - escapes);
	}
	return -1;
}

static bool take_quoted(struct text *t, size_t at, struct slice domain)
{
	if (at < t->done + 2 || t->text.p[at - 1] != '"')
		return false;
	size_t escapes = t->text.p[at - 2] == '\\';
	ptrdiff_t begin = quoted_begin(t, at, escapes);
	if (begin < 0)
		return false;
	g_autoptr(GString) room = g_string_new(NULL);
	struct slice quoted = part(t->text, (size_t)begin + escapes, at);
	replace(t, (size_t)begin, at, bare_local(quoted, room), domain);
	return true;
}

/* The separator is from `at` to `right`. */
static void take_address(struct text *t, size_t at, size_t right, bool (*is)(char c))
{
	size_t run = at, end = right;

	while (end < t->text.n && is_domain(t->text.p[end]))
		end++;
	while (end > right && (t->text.p[end - 1] == '.' || t->text.p[end - 1] == '-'))
		end--;
	struct slice domain = part(t->text, right, end);
	if (domain.n == 0 || take_quoted(t, at, domain))
		return;
	while (run > t->done && is(t->text.p[run - 1]))
		run--;
	if (run == at)
		return;
	ptrdiff_t known = known_begin(t, run, at, domain);
	size_t begin = known >= 0 ? (size_t)known : run;
	replace(t, begin, at, part(t->text, begin, at), domain);
}

static void take_addresses(struct text *t)
{
	for (size_t i = 0; i < t->text.n; i++) {
		if (t->text.p[i] == '@')
			take_address(t, i, i + 1, is_local);
		else if (t->text.p[i] == '%' && i + 2 < t->text.n && t->text.p[i + 1] == '4' &&
		         t->text.p[i + 2] == '0')
			take_address(t, i, i + 3, is_coded_local);
	}
	put_until(t, t->text.n);
}

bool pseudonyms_text(const struct pseudonyms *p, struct slice text, GString *out)
{
	struct text t = {.p = p, .text = text, .out = out};

	take_addresses(&t);
	return t.any;
}

/* ---- local parts alone ---- */

/* Names of roles, and words that replies and subjects use: they tell of nobody. */
static bool is_role(struct slice local)
{
	static const char *const roles[] = {"abuse", "account", "address", "admin", "all", "as",
	        "at", "be", "billing", "by", "contact", "do", "email", "go", "hello", "help",
	        "host", "hostmaster", "if", "in", "info", "is", "it", "jobs", "mail", "mailbox",
	        "me", "my", "news", "newsletter", "no", "no-reply", "noreply", "not", "of",
	        "office", "ok", "on", "or", "order", "orders", "policy", "postmaster", "recipient",
	        "root", "sales", "server", "service", "so", "spam", "support", "team", "test",
	        "the", "to", "unknown", "up", "us", "user", "users", "we", "webmaster"};

	if (local.n < 2)
		return true;
	for (size_t i = 0; i < G_N_ELEMENTS(roles); i++)
		if (slice_eq_case(local, slice_str(roles[i])))
			return true;
	return false;
}

static bool is_bound(char c, bool telling)
{
	return !g_ascii_isalnum(c) && (unsigned char)c < 0x80 &&
	       (telling || (c != '.' && c != '-' && c != '_'));
}

static bool stands_alone(struct slice text, size_t at, const struct person *person)
{
	bool telling = person->telling;
	size_t end = at + person->local.n;

	return end <= text.n && slice_eq_case(part(text, at, end), person->local) &&
	       (at == 0 || is_bound(text.p[at - 1], telling) || word_begins(text, at)) &&
	       (end == text.n || is_bound(text.p[end], telling) || word_ends(text, end) ||
	               (text.p[end] == '.' && (end + 1 == text.n || text.p[end + 1] == ' ')));
}

static const struct person *person_at(const struct persons *persons, struct slice text, size_t at)
{
	for (unsigned i = 0; i < persons->n; i++)
		if (!is_role(persons->person[i].local) &&
		        stands_alone(text, at, &persons->person[i]))
			return &persons->person[i];
	return NULL;
}

static bool put_words(const struct persons *persons, struct slice text, GString *out)
{
	const struct person *person;
	size_t done = 0;

	for (size_t i = 0; i < text.n; i++) {
		if ((i > 0 && g_ascii_isalnum(text.p[i - 1])) ||
		        (person = person_at(persons, text, i)) == NULL)
			continue;
		g_string_append_len(out, text.p + done, (gssize)(i - done));
		g_string_append(out, person->stands);
		done = i + person->local.n;
		i = done - 1;
	}
	bool any = done > 0;
	if (any)
		g_string_append_len(out, text.p + done, (gssize)(text.n - done));
	return any;
}

/* ---- events ---- */

struct hiding {
	const struct pseudonyms *p;
	struct persons persons;
	GString *text; /* between the two passes */
	GStringChunk *bare;
};

static void add_person(struct hiding *h, struct slice address)
{
	g_autoptr(GString) room = g_string_new(NULL), stands = g_string_new(NULL);
	ptrdiff_t at;

	address = without_brackets(address);
	at = slice_rchr(address, '@');
	struct slice local = bare_local(slice_head(address, at < 0 ? address.n : (size_t)at), room);
	if (local.n == 0 || local.n > NAME_MAX_BYTES || is_pseudonym(local) ||
	        h->persons.n == PERSONS)
		return;
	struct person *person = &h->persons.person[h->persons.n++];
	*person = (struct person){
	        .local = slice_make(
	                g_string_chunk_insert_len(h->bare, local.p, (gssize)local.n), local.n),
	        .domain = at < 0 ? SLICE_NONE : slice_from(address, (size_t)at + 1)};
	for (size_t i = 0; i < local.n; i++)
		person->telling |= !g_ascii_isalpha(local.p[i]);
	put_local(h->p, person->local, person->domain, stands);
	g_strlcpy(person->stands, stands->str, sizeof(person->stands));
}

/* Those of the recipients, and what stands before their "+detail". */
static void find_persons(struct hiding *h, const struct event *event)
{
	static const enum field fields[] = {FIELD_RCPT_TO, FIELD_RAW_RCPT_TO, FIELD_ORIG_RCPT_TO};

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		struct slice address = event->field[fields[i]];
		if (address.n == 0 ||
		        (i > 0 && slice_eq_case(address, event->field[fields[i - 1]])))
			continue;
		add_person(h, address);
		ptrdiff_t plus = slice_chr(address, '+'), at = slice_rchr(address, '@');
		if (plus > 0 && at > plus) {
			g_autoptr(GString) base = g_string_new_len(address.p, plus);
			g_string_append_len(base, address.p + at, (gssize)address.n - at);
			const char *kept =
			        g_string_chunk_insert_len(h->bare, base->str, (gssize)base->len);
			add_person(h, slice_make(kept, base->len));
		}
	}
}

/* Appends what is left of a text; false, and nothing, where it stays. */
static bool put_text(struct hiding *h, struct slice text, GString *out)
{
	struct text t = {.p = h->p, .persons = &h->persons, .text = text, .out = h->text};

	g_string_truncate(h->text, 0);
	take_addresses(&t);
	if (put_words(&h->persons, slice_make(h->text->str, h->text->len), out))
		return true;
	if (t.any)
		g_string_append_len(out, h->text->str, (gssize)h->text->len);
	return t.any;
}

static bool hide_text(void *ctx, struct slice text, GString *out)
{
	return put_text(ctx, text, out);
}

/* JSON whose strings may hide an address behind escapes. */
static bool put_json(struct hiding *h, struct slice text, GString *out)
{
	json_t *json = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);

	if (json == NULL)
		return put_text(h, text, out);
	bool any = json_change_texts(json, hide_text, h, out);
	json_decref(json);
	return any;
}

static bool put_field(struct hiding *h, enum field field, struct slice text, GString *out)
{
	enum field_json json = field_catalogue[field].json;
	gsize before = out->len;

	if (what_of[field] == WHAT_ADDRESS) {
		pseudonyms_address(h->p, text, out);
		return !slice_eq(slice_make(out->str + before, out->len - before), text);
	}
	if (what_of[field] == WHAT_NAME)
		return put_words(&h->persons, text, out);
	bool structured = json == FIELD_JSON_OBJECT || json == FIELD_JSON_STRINGS;
	if (structured && slice_chr(text, '\\') >= 0)
		return put_json(h, text, out);
	if (!put_text(h, text, out))
		return false;
	if (!structured)
		return true;
	g_string_truncate(out, before); /* of JSON only its strings: it must stay JSON */
	return put_json(h, text, out);
}

void pseudonyms_event(const struct pseudonyms *p, struct event *event, GString *arena)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct hiding h = {.p = p, .text = text, .bare = g_string_chunk_new(NAME_MAX_BYTES)};
	size_t from[FIELDS], n[FIELDS] = {0};
	bool moved[FIELDS] = {false};

	g_string_truncate(arena, 0);
	find_persons(&h, event);
	for (unsigned i = 0; i < FIELDS; i++) {
		struct slice value = event->field[i];
		if (value.n == 0 || what_of[i] == WHAT_KEEP)
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
