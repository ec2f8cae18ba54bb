#include "store/tombstone.h"

#include <sodium.h>
#include <string.h>

#include "base/error.h"

#define NAME_MAX_BYTES 512 /* what is longer is no address */
#define SHORTEST_TELLING 4 /* characters of a local part */

#define HASH_LOCAL TOMBSTONE_KINDS /* a kind of hash besides those of enum tombstone_kind */

struct tombstones {
	uint8_t key[TOMBSTONE_KEY_BYTES];
	GHashTable *times; /* hash -> gint64 time of the last one */
	unsigned kinds;    /* that there are, a bit each */
	int64_t newest;
};

struct span {
	size_t from, to;
};

struct finding {
	const struct tombstones *stones;
	int64_t time;
	bool close;
	struct slice text;
	GArray *spans; /* struct span */
};

/* Lower case; the kind is hashed too, so that one table holds all. */
static uint64_t hash_of(
        const uint8_t key[TOMBSTONE_KEY_BYTES], unsigned kind, struct slice a, struct slice b)
{
	uint8_t bytes[NAME_MAX_BYTES + 2];
	uint64_t hash;
	size_t n = 0;

	if (a.n + b.n > NAME_MAX_BYTES)
		return 0;
	bytes[n++] = (uint8_t)kind;
	for (size_t i = 0; i < a.n; i++)
		bytes[n++] = (uint8_t)g_ascii_tolower(a.p[i]);
	if (b.n > 0)
		bytes[n++] = '@';
	for (size_t i = 0; i < b.n; i++)
		bytes[n++] = (uint8_t)g_ascii_tolower(b.p[i]);
	crypto_shorthash((unsigned char *)&hash, bytes, n, key);
	/* Kept as a signed number; 0 says that there is none. */
	hash &= INT64_MAX;
	return hash != 0 ? hash : 1;
}

/* A local part without the quotes and backslashes that it may be written with (RFC 5321, 4.1.2);
 * what is not quoted stays as it is. */
static struct slice bare_local(struct slice local, char room[NAME_MAX_BYTES])
{
	size_t n = 0;

	if (local.n < 2 || local.n > NAME_MAX_BYTES || local.p[0] != '"' ||
	        local.p[local.n - 1] != '"')
		return local;
	for (size_t i = 1; i + 1 < local.n; i++)
		if (local.p[i] != '\\')
			room[n++] = local.p[i];
	return slice_make(room, n);
}

/* ---- making ---- */

static bool is_telling(struct slice local)
{
	bool mark = false;

	for (size_t i = 0; i < local.n; i++)
		mark |= !g_ascii_isalpha(local.p[i]);
	return mark && local.n >= SHORTEST_TELLING;
}

static bool has_blank(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (g_ascii_isspace(name.p[i]) || g_ascii_iscntrl(name.p[i]))
			return true;
	return name.n == 0 || name.n > NAME_MAX_BYTES;
}

static int make_recipient(const uint8_t key[TOMBSTONE_KEY_BYTES], struct slice name,
        struct tombstone *stone, struct error *err)
{
	ptrdiff_t at = slice_rchr(name, '@');

	char room[NAME_MAX_BYTES];

	if (at <= 0 || (size_t)at + 1 == name.n || name.n > NAME_MAX_BYTES)
		return error_set(err, "\"%.*s\" is no mail address", SLICE_ARG(name));
	struct slice local = bare_local(slice_head(name, (size_t)at), room);
	/* Quotes may hold blanks. */
	if (local.n == 0 || has_blank(local.p == room ? slice_from(name, (size_t)at + 1) : name))
		return error_set(err, "\"%.*s\" is no mail address", SLICE_ARG(name));
	stone->hash = hash_of(key, TOMBSTONE_RECIPIENT, local, slice_from(name, (size_t)at + 1));
	stone->local = hash_of(key, HASH_LOCAL, local, SLICE_NONE);
	stone->telling = is_telling(local);
	return 0;
}

int tombstone_make(const uint8_t key[TOMBSTONE_KEY_BYTES], enum tombstone_kind kind,
        struct slice name, int64_t time, struct tombstone *stone, struct error *err)
{
	*stone = (struct tombstone){.kind = kind, .time = time};
	switch (kind) {
	case TOMBSTONE_RECIPIENT:
		return make_recipient(key, name, stone, err);
	case TOMBSTONE_DOMAIN:
		if (slice_chr(name, '@') >= 0 || slice_chr(name, '.') < 0 || has_blank(name))
			return error_set(err, "\"%.*s\" is no domain", SLICE_ARG(name));
		break;
	default:
		if (name.n > 2 && name.p[0] == '<' && name.p[name.n - 1] == '>')
			name = slice_make(name.p + 1, name.n - 2);
		if (has_blank(name))
			return error_set(err, "\"%.*s\" is no message_id", SLICE_ARG(name));
		break;
	}
	stone->hash = hash_of(key, kind, name, SLICE_NONE);
	return 0;
}

struct tombstones *tombstones_new(const uint8_t key[TOMBSTONE_KEY_BYTES])
{
	struct tombstones *stones = g_new0(struct tombstones, 1);

	memcpy(stones->key, key, sizeof(stones->key));
	stones->newest = INT64_MIN;
	stones->times = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	return stones;
}

void tombstones_free(struct tombstones **stones)
{
	if (*stones == NULL)
		return;
	g_hash_table_unref((*stones)->times);
	g_clear_pointer(stones, g_free);
}

static void note(struct tombstones *stones, uint64_t hash, int64_t time)
{
	const gint64 *known = g_hash_table_lookup(stones->times, &hash);

	if (hash != 0 && (known == NULL || *known < time))
		g_hash_table_insert(stones->times, g_memdup2(&hash, sizeof(hash)),
		        g_memdup2(&time, sizeof(time)));
}

void tombstones_add(struct tombstones *stones, const struct tombstone *stone)
{
	note(stones, stone->hash, stone->time);
	note(stones, stone->local, stone->time);
	note(stones, stone->alias, stone->time);
	note(stones, stone->alias_local, stone->time);
	if (stone->alias_local != 0)
		note(stones, ~stone->alias_local, stone->time);
	/* Hashes are below 2^63: this is another one. */
	if (stone->telling && stone->local != 0)
		note(stones, ~stone->local, stone->time);
	stones->kinds |= 1U << stone->kind;
	stones->newest = MAX(stones->newest, stone->time);
}

bool tombstones_have(const struct tombstones *stones, enum tombstone_kind kind)
{
	return (stones->kinds & 1U << kind) != 0;
}

bool tombstones_after(const struct tombstones *stones, int64_t time)
{
	return stones->newest > time;
}

/* ---- finding ---- */

static bool is_set(const struct tombstones *stones, uint64_t hash, int64_t time)
{
	const gint64 *until = hash != 0 ? g_hash_table_lookup(stones->times, &hash) : NULL;

	return until != NULL && *until > time;
}

static bool knows(const struct tombstones *stones, int64_t time, unsigned kind, struct slice a,
        struct slice b)
{
	return (stones->kinds & 1U << kind) != 0 &&
	       is_set(stones, hash_of(stones->key, kind, a, b), time);
}

/* Characters of a local part; '=' is one too, but stands for '@' more often. */
static bool is_local(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".!#$%&'*+/?^_`{|}~-", c) != NULL);
}

static bool is_domain(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 || c == '.' || c == '-' || c == '_';
}

/* Characters of a word that may be a local part. */
static bool is_word(char c)
{
	return is_domain(c) || c == '+';
}

static size_t run_end(struct slice text, size_t from, bool (*is)(char c))
{
	while (from < text.n && is(text.p[from]))
		from++;
	return from;
}

static size_t run_begin(struct slice text, size_t to, bool (*is)(char c))
{
	while (to > 0 && is(text.p[to - 1]))
		to--;
	return to;
}

/* Without the dots and dashes of the sentence that it stands in. */
static size_t trim_end(struct slice text, size_t from, size_t to)
{
	while (to > from && (text.p[to - 1] == '.' || text.p[to - 1] == '-'))
		to--;
	return to;
}

static struct slice part(struct slice text, size_t from, size_t to)
{
	return slice_make(text.p + from, to - from);
}

static void found(struct finding *f, size_t from, size_t to)
{
	const struct span span = {from, to};

	g_array_append_val(f->spans, span);
}

static bool is_hex_escape(struct slice text, size_t end)
{
	return end >= 3 && text.p[end - 3] == '%' && g_ascii_isxdigit(text.p[end - 2]) &&
	       g_ascii_isxdigit(text.p[end - 1]);
}

/* Whether a local part may begin at `s` of a run that begins at `run`. Before an '@' only what no
 * address begins with may stand before it: me+john@… is somebody else. Encoded addresses stand
 * behind something: bounces-john=example.com. */
static bool may_begin(struct slice text, size_t run, size_t s, bool plain)
{
	if (s == run)
		return true;
	if (!plain)
		return strchr("+-/!#&'*?^`{|}~$", text.p[s - 1]) != NULL || is_hex_escape(text, s);
	for (size_t i = run; i < s; i++)
		if (g_ascii_isalnum(text.p[i]) || (unsigned char)text.p[i] >= 0x80 ||
		        strchr("+-._", text.p[i]) != NULL)
			return is_hex_escape(text, s) && s == run + 3;
	return true;
}

/* local SEPARATOR domain; the separator is from `i` to `right`. */
static void look_forward(struct finding *f, size_t i, size_t right, bool plain)
{
	size_t run = run_begin(f->text, i, is_local);
	size_t end = trim_end(f->text, right, run_end(f->text, right, is_domain));
	struct slice domain = part(f->text, right, end);

	if (run == i || domain.n == 0)
		return;
	if (knows(f->stones, f->time, TOMBSTONE_DOMAIN, domain, SLICE_NONE))
		found(f, run, end);
	for (size_t s = i - MIN(i - run, NAME_MAX_BYTES); s < i; s++) {
		struct slice local = part(f->text, s, i);
		if (may_begin(f->text, run, s, plain) &&
		        (knows(f->stones, f->time, TOMBSTONE_RECIPIENT, local, domain) ||
		                (plain && knows(f->stones, f->time, TOMBSTONE_MESSAGE, local,
		                                  domain)))) {
			found(f, s, end);
			return;
		}
	}
}

/* Where the quoted local part begins that ends before `end`, at its quote; -1: nowhere. `escapes`:
 * backslashes before each quote, as in strings of JSON. */
static ptrdiff_t quoted_begin(struct slice text, size_t end, size_t escapes)
{
	size_t first = end - MIN(end, NAME_MAX_BYTES);

	for (size_t i = end; i-- > first;) {
		size_t n = 0;
		while (text.p[i] == '"' && n < i && text.p[i - 1 - n] == '\\')
			n++;
		if (text.p[i] == '"' && n == escapes)
			return (ptrdiff_t)i;
	}
	return -1;
}

/* "local"@domain; the '@' is at `i`. */
static void look_quoted(struct finding *f, size_t i)
{
	struct slice text = f->text;
	char room[NAME_MAX_BYTES];

	if (i < 2 || text.p[i - 1] != '"')
		return;
	size_t escapes = text.p[i - 2] == '\\';
	ptrdiff_t begin = quoted_begin(text, i - 1 - escapes, escapes);
	size_t end = trim_end(text, i + 1, run_end(text, i + 1, is_domain));
	struct slice domain = part(text, i + 1, end);
	if (begin < 0 || domain.n == 0)
		return;
	struct slice local = bare_local(part(text, (size_t)begin, i), room);
	if (knows(f->stones, f->time, TOMBSTONE_RECIPIENT, local, domain) ||
	        knows(f->stones, f->time, TOMBSTONE_DOMAIN, domain, SLICE_NONE))
		found(f, (size_t)begin - escapes, end);
}

/* domain SEPARATOR local: SRS (domain=local), bang paths (domain!local). */
static void look_back(struct finding *f, size_t i)
{
	size_t run = run_begin(f->text, i, is_domain);
	size_t end = run_end(f->text, i + 1, is_local);
	struct slice domain = part(f->text, run, i);

	if (run == i || end == i + 1)
		return;
	if (knows(f->stones, f->time, TOMBSTONE_RECIPIENT, part(f->text, i + 1, end), domain) ||
	        knows(f->stones, f->time, TOMBSTONE_DOMAIN, domain, SLICE_NONE))
		found(f, run, end);
}

static bool is_escaped_at(struct slice text, size_t i)
{
	return i + 2 < text.n && text.p[i + 1] == '4' && text.p[i + 2] == '0';
}

static void look_at_separator(struct finding *f, size_t i)
{
	bool escaped = is_escaped_at(f->text, i);

	switch (f->text.p[i]) {
	case '@':
		look_forward(f, i, i + 1, true);
		look_quoted(f, i);
		break;
	case '=':
		look_forward(f, i, escaped ? i + 3 : i + 1, false);
		look_back(f, i);
		break;
	case '%':
		look_forward(f, i, escaped ? i + 3 : i + 1, false);
		break;
	case '!':
		look_back(f, i);
		break;
	default:
		break;
	}
}

/* False for the parts of an address. */
static bool is_alone(struct slice text, size_t from, size_t to)
{
	return (from == 0 || text.p[from - 1] != '@') &&
	       !(to + 1 < text.n && strchr("@=", text.p[to]) != NULL && is_domain(text.p[to + 1]));
}

static bool names_local(const struct finding *f, struct slice word)
{
	uint64_t hash = hash_of(f->stones->key, HASH_LOCAL, word, SLICE_NONE);

	return hash != 0 && is_set(f->stones, f->close ? hash : ~hash, f->time);
}

static bool names_word(const struct finding *f, struct slice word)
{
	return ((f->stones->kinds & 1U << TOMBSTONE_RECIPIENT) != 0 && names_local(f, word)) ||
	       knows(f->stones, f->time, TOMBSTONE_MESSAGE, word, SLICE_NONE) ||
	       (slice_chr(word, '.') >= 0 &&
	               knows(f->stones, f->time, TOMBSTONE_DOMAIN, word, SLICE_NONE));
}

/* Returns the end of the word that begins at i. */
static size_t look_at_word(struct finding *f, size_t i)
{
	size_t run = run_end(f->text, i, is_word), end = trim_end(f->text, i, run);

	if (end - i <= NAME_MAX_BYTES && end > i && is_alone(f->text, i, run) &&
	        names_word(f, part(f->text, i, end)))
		found(f, i, end);
	return run;
}

static gint by_begin(gconstpointer a, gconstpointer b)
{
	const struct span *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static void put_clean(struct finding *f, GString *out)
{
	size_t at = 0;

	g_array_sort(f->spans, by_begin);
	for (guint i = 0; i < f->spans->len; i++) {
		const struct span *span = &g_array_index(f->spans, struct span, i);
		if (span->from >= at) {
			g_string_append_len(out, f->text.p + at, (gssize)(span->from - at));
			g_string_append(out, TOMBSTONE_MARK);
		}
		at = MAX(at, span->to);
	}
	g_string_append_len(out, f->text.p + at, (gssize)(f->text.n - at));
}

bool tombstones_clean(
        const struct tombstones *stones, int64_t time, bool close, struct slice text, GString *out)
{
	struct finding f = {.stones = stones, .time = time, .close = close, .text = text};

	if (text.n == 0 || !tombstones_after(stones, time))
		return false;
	f.spans = g_array_new(FALSE, FALSE, sizeof(struct span));
	for (size_t i = 0; i < text.n;) {
		if (is_word(text.p[i]))
			i = look_at_word(&f, i);
		else
			look_at_separator(&f, i++);
	}
	bool any = f.spans->len > 0;
	if (any)
		put_clean(&f, out);
	g_array_unref(f.spans);
	return any;
}

/* ---- events ---- */

bool tombstones_take(const struct tombstones *stones, const struct event *event)
{
	static const enum field recipients[] = {
	        FIELD_RCPT_TO, FIELD_RAW_RCPT_TO, FIELD_ORIG_RCPT_TO};
	static const enum field messages[] = {FIELD_MESSAGE_ID, FIELD_HEADER_MESSAGE_ID};
	char room[NAME_MAX_BYTES];

	if (!tombstones_after(stones, event->time))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(recipients); i++) {
		struct slice address = event->field[recipients[i]];
		ptrdiff_t at = slice_rchr(address, '@');
		if (at < 0)
			continue;
		struct slice domain = slice_from(address, (size_t)at + 1);
		struct slice local = bare_local(slice_head(address, (size_t)at), room);
		if (knows(stones, event->time, TOMBSTONE_RECIPIENT, local, domain) ||
		        knows(stones, event->time, TOMBSTONE_DOMAIN, domain, SLICE_NONE))
			return true;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(messages); i++) {
		struct slice id = event->field[messages[i]];
		if (id.n > 2 && id.p[0] == '<' && id.p[id.n - 1] == '>')
			id = slice_make(id.p + 1, id.n - 2);
		if (id.n > 0 && knows(stones, event->time, TOMBSTONE_MESSAGE, id, SLICE_NONE))
			return true;
	}
	return false;
}

bool tombstones_clean_event(
        const struct tombstones *stones, bool close, struct event *event, GString *out)
{
	size_t from[FIELDS], n[FIELDS] = {0};
	bool any = false;

	if (!tombstones_after(stones, event->time))
		return false;
	g_string_truncate(out, 0);
	for (unsigned i = 0; i < FIELDS; i++) {
		from[i] = out->len;
		if (tombstones_clean(stones, event->time, close, event->field[i], out))
			n[i] = out->len - from[i];
	}
	/* Only now does the buffer stay where it is. */
	for (unsigned i = 0; i < FIELDS; i++) {
		if (n[i] == 0)
			continue;
		event->field[i] = slice_make(out->str + from[i], n[i]);
		any = true;
	}
	return any;
}
