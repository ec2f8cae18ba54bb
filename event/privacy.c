#include "event/privacy.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/digest.h"
#include "event/catalogue.h"
#include "event/coding.h"

#define SECRETS_MAX 12
#define WORD_MIN 3    /* shorter secrets count only as a whole word */
#define CODED_MIN 4   /* shorter ones are not looked for in other codings */
#define FORMS_MAX 320 /* longest secret that is looked for: no address is longer */
#define HIDDEN "..."
#define NUMBER_MAX 12 /* digits of sizes and times */
#define ID_LENGTH 20  /* of a message_id, hexadecimal digits */

enum privacy {
	PRIVACY_SEARCH,
	PRIVACY_DROP,
	PRIVACY_KEEP,
	PRIVACY_WORDS,
	PRIVACY_TERM,
	PRIVACY_NAME,
	PRIVACY_ID,
	PRIVACY_URL,
	PRIVACY_HOST
};

static const enum privacy privacy_of[FIELDS] = {
#define PRIVACY(FIELD, WHAT) [FIELD_##FIELD] = PRIVACY_##WHAT,
#include "schema/privacy.def"
#undef PRIVACY
};

/* What must not be told, in lower case, longest kinds first; and the same as it was written, for
 * codings that keep the case. */
struct secrets {
	struct slice text[SECRETS_MAX];
	struct slice raw[SECRETS_MAX];
	unsigned n;
	size_t part_min;    /* from how many bytes on one counts inside a word */
	GString *lower;     /* holds `text` */
	GStringChunk *bare; /* holds local parts without their backslashes */
};

/* Texts that have become others: where they stand in the arena, which moves while it grows. */
struct moved {
	size_t at, n;
	bool is;
};

struct hiding {
	struct secrets *secrets;
	GString *arena;
	GString *work; /* the text in other forms */
	struct moved moved[FIELDS];
};

/* ---- the secrets ---- */

static void add_secret(struct secrets *secrets, struct slice raw)
{
	if (raw.n == 0 || raw.n > FORMS_MAX || secrets->n == SECRETS_MAX)
		return;
	for (unsigned i = 0; i < secrets->n; i++)
		if (slice_eq(secrets->raw[i], raw))
			return;
	secrets->raw[secrets->n++] = raw;
}

static struct slice local_part(struct slice address)
{
	ptrdiff_t at = slice_rchr(address, '@');

	return at < 0 ? address : slice_head(address, (size_t)at);
}

static struct slice without_quotes(struct slice text, char open, char close)
{
	if (text.n >= 2 && text.p[0] == open && text.p[text.n - 1] == close)
		return slice_make(text.p + 1, text.n - 2);
	return text;
}

/* The part before a "+detail", which other servers may tell alone. */
static struct slice without_detail(struct slice local)
{
	ptrdiff_t plus = slice_chr(local, '+');

	return plus > 0 ? slice_head(local, (size_t)plus) : local;
}

/* What a quoted local part says: "john\ doe" is john doe (RFC 5321, 4.1.2). */
static struct slice without_escapes(struct secrets *secrets, struct slice local)
{
	char *out = g_string_chunk_insert_len(secrets->bare, local.p, (gssize)local.n);
	size_t n = 0;

	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '\\' && i + 1 < local.n)
			i++;
		out[n++] = local.p[i];
	}
	return slice_make(out, n);
}

static void find_secrets(struct secrets *secrets, const struct event *event)
{
	static const enum field fields[] = {FIELD_RCPT_TO, FIELD_RAW_RCPT_TO, FIELD_ORIG_RCPT_TO};
	struct slice address[G_N_ELEMENTS(fields)];
	size_t n = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		if (event_has(event, fields[i]))
			address[n++] = without_quotes(event->field[fields[i]], '<', '>');
	for (size_t i = 0; i < n; i++)
		add_secret(secrets, address[i]);
	for (size_t i = 0; i < n; i++)
		address[i] = without_quotes(local_part(address[i]), '"', '"');
	for (size_t i = 0; i < n; i++)
		add_secret(secrets, address[i]);
	for (size_t i = 0; i < n; i++)
		add_secret(secrets, without_escapes(secrets, address[i]));
	for (size_t i = 0; i < n; i++)
		add_secret(secrets, without_detail(address[i]));
	for (unsigned i = 0; i < secrets->n; i++)
		g_string_append_len(secrets->lower, secrets->raw[i].p, (gssize)secrets->raw[i].n);
	g_string_ascii_down(secrets->lower);
	const char *p = secrets->lower->str;
	for (unsigned i = 0; i < secrets->n; p += secrets->raw[i++].n)
		secrets->text[i] = slice_make(p, secrets->raw[i].n);
}

/* ---- looking for them ---- */

static bool is_word_char(char c)
{
	return g_ascii_isalnum(c) || (c & 0x80) != 0;
}

static bool counts_here(
        const struct secrets *secrets, struct slice text, size_t at, struct slice secret)
{
	if (secret.n >= secrets->part_min)
		return true;
	return (at == 0 || !is_word_char(text.p[at - 1])) &&
	       (at + secret.n == text.n || !is_word_char(text.p[at + secret.n]));
}

/* Index of the first secret that stands in a text of lower case from `from` on, or -1; which one
 * in *which_r. */
static ptrdiff_t find_any(
        const struct secrets *secrets, struct slice text, size_t from, unsigned *which_r)
{
	ptrdiff_t best = -1;

	for (unsigned i = 0; i < secrets->n; i++) {
		size_t at = from;
		ptrdiff_t hit;
		while ((hit = slice_find(slice_from(text, at), secrets->text[i])) >= 0) {
			at += (size_t)hit;
			if (counts_here(secrets, text, at, secrets->text[i]))
				break;
			at++;
		}
		if (hit < 0 || (best >= 0 && (ptrdiff_t)at >= best))
			continue;
		best = (ptrdiff_t)at;
		*which_r = i;
	}
	return best;
}

static bool holds_plain(const struct secrets *secrets, struct slice lower)
{
	unsigned which;

	return find_any(secrets, lower, 0, &which) >= 0;
}

/* In what was decoded from digits a few letters are no chance. */
static bool holds_inside(const struct secrets *secrets, struct slice lower)
{
	for (unsigned i = 0; i < secrets->n; i++)
		if (secrets->text[i].n >= CODED_MIN && slice_find(lower, secrets->text[i]) >= 0)
			return true;
	return false;
}

static bool holds_form(void *ctx, const struct coded_form *form)
{
	const struct secrets *secrets = ctx;

	return form->from != NULL ? holds_plain(secrets, form->text)
	                          : holds_inside(secrets, form->text);
}

static bool holds_coded(const struct hiding *h, struct slice text)
{
	return coding_each(text, CODED_MIN, holds_form, h->secrets);
}

/* ---- hiding them ---- */

/* Appends the text with "..." for each secret, "...@..." for an address if `words`. */
static void append_hidden(struct hiding *h, struct slice text, bool words)
{
	size_t done = 0;
	unsigned which = 0;
	ptrdiff_t at;

	g_string_truncate(h->work, 0);
	g_string_append_len(h->work, text.p, (gssize)text.n);
	g_string_ascii_down(h->work);
	struct slice lower = slice_make(h->work->str, h->work->len);
	while ((at = find_any(h->secrets, lower, done, &which)) >= 0) {
		g_string_append_len(h->arena, text.p + done, at - (ptrdiff_t)done);
		bool address = words && slice_chr(h->secrets->text[which], '@') >= 0;
		g_string_append(h->arena, address ? HIDDEN "@" HIDDEN : HIDDEN);
		done = (size_t)at + h->secrets->text[which].n;
	}
	g_string_append_len(h->arena, text.p + done, (gssize)(text.n - done));
}

/* Appends the text with "...@..." for each word that holds an '@'. */
static void append_words(GString *out, struct slice text)
{
	while (text.n > 0) {
		size_t n = 0;
		while (n < text.n && g_ascii_isspace(text.p[n]))
			n++;
		g_string_append_len(out, text.p, (gssize)n);
		text = slice_from(text, n);
		for (n = 0; n < text.n && !g_ascii_isspace(text.p[n]);)
			n++;
		struct slice word = slice_head(text, n);
		if (slice_chr(word, '@') >= 0)
			g_string_append(out, HIDDEN "@" HIDDEN);
		else
			g_string_append_len(out, word.p, (gssize)word.n);
		text = slice_from(text, n);
	}
}

/* Text of JSON in which nothing can be replaced: it might be JSON no more. */
static bool is_json(enum field field)
{
	enum field_json json = field_catalogue[field].json;

	return json == FIELD_JSON_OBJECT || json == FIELD_JSON_STRINGS;
}

/* An id that may not be told: another one in its place, the same for each event of the message. */
static void hide_id(struct hiding *h, struct slice id)
{
	uint8_t digest[DIGEST_SIZE];

	digest_of(id, digest);
	for (unsigned i = 0; i < ID_LENGTH / 2; i++)
		g_string_append_printf(h->arena, "%02x", digest[i]);
}

/* Of a link that may not be told: its server, if that may. */
static void hide_url(struct hiding *h, struct slice url)
{
	ptrdiff_t start = slice_find(url, SLICE("://"));
	size_t n = start < 0 ? url.n : (size_t)start + 3;

	while (n < url.n && strchr("/?#", url.p[n]) == NULL)
		n++;
	struct slice server = slice_head(url, n);
	g_string_truncate(h->work, 0);
	g_string_append_len(h->work, server.p, (gssize)server.n);
	g_string_ascii_down(h->work);
	if (start >= 0 && !holds_plain(h->secrets, slice_make(h->work->str, h->work->len)) &&
	        !holds_coded(h, server))
		g_string_append_printf(h->arena, "%.*s/", SLICE_ARG(server));
	g_string_append(h->arena, HIDDEN);
}

/* What stands where a field cannot be told: some must not be missing. False: nothing. */
static bool put_substitute(struct hiding *h, struct slice text, enum privacy what)
{
	if (what == PRIVACY_ID)
		hide_id(h, text);
	else if (what == PRIVACY_URL)
		hide_url(h, text);
	else if (what == PRIVACY_TERM)
		g_string_append(h->arena, HIDDEN);
	else
		return false;
	return true;
}

/* A field that may hold a secret: as it is, changed, or gone. */
static void hide_field(struct hiding *h, struct event *event, enum field field)
{
	struct slice text = event->field[field];
	size_t at = h->arena->len;
	enum privacy what = privacy_of[field];
	bool words = what == PRIVACY_WORDS;

	/* The person first: a quoted local part may hold spaces, which part words. */
	append_hidden(h, text, words);
	if (words) {
		g_autofree char *known = g_strndup(h->arena->str + at, h->arena->len - at);
		text = slice_make(known, h->arena->len - at);
		g_string_truncate(h->arena, at);
		append_words(h->arena, text);
	}
	struct slice hidden = slice_make(h->arena->str + at, h->arena->len - at);
	bool same = slice_eq(hidden, event->field[field]);
	if (holds_coded(h, hidden) || (!same && (is_json(field) || what == PRIVACY_ID))) {
		g_string_truncate(h->arena, at);
		same = !put_substitute(h, event->field[field], what);
		event->field[field] = SLICE_NONE;
	}
	if (same)
		g_string_truncate(h->arena, at);
	else
		h->moved[field] = (struct moved){at, h->arena->len - at, true};
}

/* An address of IP, with or without brackets and port. */
static bool is_ip(struct slice text)
{
	char room[INET6_ADDRSTRLEN];
	guint8 address[16];
	ptrdiff_t colon = slice_rchr(text, ':');
	struct slice port = SLICE_NONE;

	if (colon > 0 && (text.p[colon - 1] == ']' || slice_chr(text, ':') == colon)) {
		port = slice_from(text, (size_t)colon + 1);
		text = slice_head(text, (size_t)colon);
	}
	for (size_t i = 0; i < port.n; i++)
		if (!g_ascii_isdigit(port.p[i]))
			return false;
	text = without_quotes(text, '[', ']');
	if (text.n == 0 || text.n >= sizeof(room) || memchr(text.p, 0, text.n) != NULL)
		return false;
	memcpy(room, text.p, text.n);
	room[text.n] = '\0';
	return inet_pton(AF_INET, room, address) == 1 || inet_pton(AF_INET6, room, address) == 1;
}

/* Whether the text is no more than the domain of the recipient, which is told. */
static bool is_told(const struct secrets *secrets, struct slice text)
{
	ptrdiff_t at = secrets->n > 0 ? slice_rchr(secrets->raw[0], '@') : -1;

	return at >= 0 && slice_eq_case(slice_from(secrets->raw[0], (size_t)at + 1), text);
}

/* What says nothing of anybody, even where a local part is spelt the same. */
static bool is_term(struct slice text)
{
	static const char *const terms[] = {"abuse", "archive", "auth-failure", "bcc", "cc",
	        "discard", "dmarc", "esmtp", "false", "fraud", "lmtp", "local", "not-spam",
	        "opt-out", "other", "pipe", "rest", "smtp", "true", "virtual", "virus"};
	size_t digits = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(terms); i++)
		if (slice_eq(text, slice_str(terms[i])))
			return true;
	while (digits < text.n && strchr("0123456789.-", text.p[digits]) != NULL)
		digits++;
	return digits == text.n && digits <= NUMBER_MAX;
}

static void hide(struct hiding *h, struct event *event, enum field field)
{
	enum privacy what = privacy_of[field];
	struct slice text = event->field[field];

	if (what == PRIVACY_KEEP || (what == PRIVACY_NAME && is_told(h->secrets, text)) ||
	        (what == PRIVACY_TERM && is_term(text)))
		return;
	if (what == PRIVACY_DROP || (what == PRIVACY_HOST && !is_ip(text))) {
		event->field[field] = SLICE_NONE;
		return;
	}
	/* Identifiers of chance hold any few letters somewhere. */
	bool name = what == PRIVACY_NAME || what == PRIVACY_ID || what == PRIVACY_TERM;
	h->secrets->part_min = name ? SIZE_MAX : WORD_MIN;
	if (what != PRIVACY_HOST)
		hide_field(h, event, field);
}

/* rcpt_hash and rcpt_domain of the address. */
static void put_hash(struct hiding *h, struct event *event, struct slice address)
{
	g_autofree char *lower = g_ascii_strdown(address.p, (gssize)address.n);
	g_autoptr(GChecksum) sha1 = g_checksum_new(G_CHECKSUM_SHA1);
	guint8 digest[20];
	gsize n = sizeof(digest);
	ptrdiff_t at = slice_rchr(address, '@');

	g_checksum_update(sha1, (const guchar *)lower, (gssize)address.n);
	g_checksum_get_digest(sha1, digest, &n);
	g_autofree char *hash = g_base64_encode(digest, n);
	h->moved[FIELD_RCPT_HASH] = (struct moved){h->arena->len, strlen(hash), true};
	g_string_append(h->arena, hash);
	if (at < 0 && event_has(event, FIELD_RECIPIENT_DOMAIN)) {
		event->field[FIELD_RCPT_DOMAIN] = event->field[FIELD_RECIPIENT_DOMAIN];
		return;
	}
	h->moved[FIELD_RCPT_DOMAIN] =
	        (struct moved){h->arena->len, at < 0 ? 0 : address.n - (size_t)at - 1, true};
	if (at >= 0)
		g_string_append(h->arena, lower + at + 1);
}

void privacy_hide(const struct event *event, struct event *event_r, GString *arena)
{
	g_autoptr(GString) lower = g_string_new(NULL), work = g_string_new(NULL);
	struct secrets secrets = {.lower = lower, .bare = g_string_chunk_new(FORMS_MAX)};
	struct hiding h = {.secrets = &secrets, .arena = arena, .work = work};

	g_string_truncate(arena, 0);
	*event_r = *event;
	find_secrets(&secrets, event);
	for (int i = 0; i < FIELDS; i++)
		if (event_has(event, (enum field)i))
			hide(&h, event_r, (enum field)i);
	if (secrets.n > 0)
		put_hash(&h, event_r, secrets.raw[0]);
	for (int i = 0; i < FIELDS; i++)
		if (h.moved[i].is)
			event_r->field[i] = slice_make(arena->str + h.moved[i].at, h.moved[i].n);
	g_string_chunk_free(secrets.bare);
}
