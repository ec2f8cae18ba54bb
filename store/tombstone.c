#include "store/tombstone.h"

#include <sodium.h>
#include <string.h>

#include "base/error.h"
#include "base/word.h"
#include "event/catalogue.h"
#include "event/coding.h"
#include "event/json_texts.h"

#define NAME_MAX_BYTES 512 /* what is longer is no address */
#define SHORTEST_TELLING 4 /* characters of a local part */
#define SHORTEST_CODED 6   /* bytes that are looked for in hexadecimal digits or base64: a@b.cd */
#define LONG_TEXT 900      /* bytes: its end may be cut off, by syslog, by a milter's bound */

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

#define ROUNDS 8   /* of cleaning what was cleaned */
#define ACE "xn--" /* begins a label in Punycode (RFC 5890, 2.3.1) */
#define BLANKS 2   /* at most, on each side of an '@' */

#define EDGES 12 /* that are tried of one name: hostile texts have more */

/* Where a name may begin, or end; the whole run of its characters is the last one. */
struct edges {
	size_t at[EDGES];
	unsigned n;
};

struct finding {
	const struct tombstones *stones;
	int64_t time;
	bool close;
	struct slice text;
	GArray *spans; /* struct span */
};

/* What is hashed. */
struct folded {
	uint8_t bytes[4 * NAME_MAX_BYTES + 2]; /* two names; no letter becomes twice as long */
	size_t n;
};

/* Lower case of all scripts, letter by letter: what is written with other letters (ss for a sharp
 * s) may be somebody else. Bytes that are no UTF-8 stay. */
static void fold(struct folded *to, struct slice name)
{
	for (size_t i = 0, n = 1; i < name.n; i += n) {
		n = 1;
		if ((unsigned char)name.p[i] < 0x80) {
			to->bytes[to->n++] = (uint8_t)ascii_lower(name.p[i]);
			continue;
		}
		gunichar c = g_utf8_get_char_validated(name.p + i, (gssize)(name.n - i));
		if (c == (gunichar)-1 || c == (gunichar)-2) {
			to->bytes[to->n++] = (uint8_t)name.p[i];
			continue;
		}
		n = (size_t)g_unichar_to_utf8(c, NULL);
		to->n += (size_t)g_unichar_to_utf8(g_unichar_tolower(c), (char *)to->bytes + to->n);
	}
}

static bool has_ace(struct slice domain)
{
	for (size_t i = 0; i + strlen(ACE) <= domain.n; i++)
		if ((i == 0 || domain.p[i - 1] == '.') &&
		        g_ascii_strncasecmp(domain.p + i, ACE, strlen(ACE)) == 0)
			return true;
	return false;
}

/* A domain in letters and in Punycode is one. */
static void fold_domain(struct folded *to, struct slice domain)
{
	g_autofree char *letters = NULL;

	if (has_ace(domain) && g_utf8_validate_len(domain.p, domain.n, NULL)) {
		g_autofree char *text = g_strndup(domain.p, domain.n);
		letters = g_hostname_to_unicode(text);
	}
	bool fits = letters != NULL && strlen(letters) <= NAME_MAX_BYTES;
	fold(to, fits ? slice_str(letters) : domain);
}

/* The kind is hashed too, so that one table holds all. */
static uint64_t hash_of(
        const uint8_t key[TOMBSTONE_KEY_BYTES], unsigned kind, struct slice a, struct slice b)
{
	struct folded folded;
	uint64_t hash;

	if (a.n + b.n > NAME_MAX_BYTES)
		return 0;
	folded.n = 0;
	folded.bytes[folded.n++] = (uint8_t)kind;
	if (kind == TOMBSTONE_DOMAIN)
		fold_domain(&folded, a);
	else
		fold(&folded, a);
	if (b.n > 0) {
		folded.bytes[folded.n++] = '@';
		if (kind == TOMBSTONE_RECIPIENT)
			fold_domain(&folded, b);
		else
			fold(&folded, b);
	}
	crypto_shorthash((unsigned char *)&hash, folded.bytes, folded.n, key);
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

/* A name has it within only, mostly. */
static bool is_edge(char c)
{
	return c == '.' || c == '-' || c == '_';
}

/* Without the signs of the sentence that it stands in. */
static size_t trim_end(struct slice text, size_t from, size_t to)
{
	while (to > from && is_edge(text.p[to - 1]))
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

/* \n, \u003c, …: of JSON that is looked at as it is. */
static bool is_json_escape(struct slice text, size_t end)
{
	return (end >= 2 && text.p[end - 2] == '\\' && strchr("nrtbf", text.p[end - 1]) != NULL) ||
	       (end >= 6 && text.p[end - 6] == '\\' && text.p[end - 5] == 'u');
}

/* Whether no more than an address stands there: all of it counts. */
static bool is_enclosed(struct slice text, size_t from, size_t to)
{
	char before = from > 0 ? text.p[from - 1] : '\0', after = to < text.n ? text.p[to] : '\0';

	return (before == '<' && after == '>') || (before == '"' && after == '"') ||
	       (from == 0 && to == text.n);
}

/* Whether an ASCII character other than letters and digits ends what stands before a local part.
 * me+john@… and not-john@… are somebody else; d'john@… is so where it is `enclosed`. */
static bool is_parting(struct slice text, size_t run, size_t s, bool enclosed)
{
	const char *never = enclosed ? "+_" : "";
	size_t i = s;

	if (text.p[s - 1] == '/' || (s >= 2 && text.p[s - 1] == '.' && text.p[s - 2] == '.'))
		return true;
	if (!enclosed && strchr("!#$%&'*?^`{|}~", text.p[s - 1]) != NULL)
		return true;
	while (i > run && !g_ascii_isalnum(text.p[i - 1]) && (unsigned char)text.p[i - 1] < 0x80 &&
	        strchr(never, text.p[i - 1]) == NULL)
		i--;
	return i == run;
}

/* Whether a local part may begin at `s` of a run that begins at `run`. Encoded addresses stand
 * behind something: bounces-john=example.com. */
static bool may_begin(struct slice text, size_t run, size_t s, bool plain, bool enclosed)
{
	if (is_hex_escape(text, s) || is_json_escape(text, s) || word_begins(text, s))
		return true;
	return plain ? is_parting(text, run, s, enclosed)
	             : strchr("+-/!#&'*?^`{|}~$", text.p[s - 1]) != NULL;
}

static size_t run_begin(struct slice text, size_t to, bool (*is)(char c))
{
	size_t floor = to - MIN(to, NAME_MAX_BYTES);

	while (to > floor && is(text.p[to - 1]))
		to--;
	return to;
}

/* Of the local part that ends at `to`, before a domain that ends at `end`. */
static struct edges local_begins(struct slice text, size_t to, size_t end, bool plain)
{
	struct edges edges = {.n = 0};
	size_t run = run_begin(text, to, is_local);
	bool enclosed = is_enclosed(text, run, end);

	for (size_t s = to; --s > run && edges.n + 1 < EDGES;)
		if (may_begin(text, run, s, plain, enclosed))
			edges.at[edges.n++] = s;
	edges.at[edges.n++] = run;
	return edges;
}

/* Of a name that begins at `from`. */
static struct edges name_ends(struct slice text, size_t from, bool (*is)(char c))
{
	struct edges edges = {.n = 0};
	const struct slice near = slice_head(text, from + NAME_MAX_BYTES);
	size_t run = run_end(near, from, is), trimmed = trim_end(text, from, run);

	for (size_t e = from + 1; e < run && edges.n + 2 < EDGES; e++)
		if (word_ends(text, e))
			edges.at[edges.n++] = trim_end(text, from, e);
	if (trimmed < run)
		edges.at[edges.n++] = trimmed;
	edges.at[edges.n++] = run;
	return edges;
}

static bool names_address(
        const struct finding *f, struct slice local, struct slice domain, bool plain)
{
	return knows(f->stones, f->time, TOMBSTONE_RECIPIENT, local, domain) ||
	       (plain && knows(f->stones, f->time, TOMBSTONE_MESSAGE, local, domain));
}

/* The longest local part that ends at `i`. */
static bool look_before(
        struct finding *f, const struct edges *begins, size_t i, struct slice domain, bool plain)
{
	size_t end = (size_t)(domain.p - f->text.p) + domain.n;

	for (unsigned k = begins->n; k-- > 0;) {
		if (!names_address(f, part(f->text, begins->at[k], i), domain, plain))
			continue;
		found(f, begins->at[k], end);
		return true;
	}
	return false;
}

/* local SEPARATOR domain; the separator is from `i` to `right`. */
static void look_forward(struct finding *f, size_t i, size_t right, bool plain)
{
	if (i == 0 || !is_local(f->text.p[i - 1]) || right >= f->text.n ||
	        !is_domain(f->text.p[right]))
		return;
	struct edges ends = name_ends(f->text, right, is_domain);
	struct edges begins = local_begins(f->text, i, ends.at[ends.n - 1], plain);
	for (unsigned k = ends.n; k-- > 0;) {
		struct slice domain = part(f->text, right, ends.at[k]);
		if (domain.n == 0)
			continue;
		if (knows(f->stones, f->time, TOMBSTONE_DOMAIN, domain, SLICE_NONE)) {
			found(f, begins.at[begins.n - 1], ends.at[k]);
			return;
		}
		if (look_before(f, &begins, i, domain, plain))
			return;
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
	if (begin < 0)
		return;
	struct slice local = bare_local(part(text, (size_t)begin, i), room);
	struct edges ends = name_ends(text, i + 1, is_domain);
	for (unsigned k = ends.n; k-- > 0;) {
		struct slice domain = part(text, i + 1, ends.at[k]);
		if (domain.n > 0 &&
		        (knows(f->stones, f->time, TOMBSTONE_RECIPIENT, local, domain) ||
		                knows(f->stones, f->time, TOMBSTONE_DOMAIN, domain, SLICE_NONE)))
			found(f, (size_t)begin - escapes, ends.at[k]);
	}
}

/* Of the domain that ends at `to`. */
static struct edges domain_begins(struct slice text, size_t to)
{
	struct edges edges = {.n = 0};
	size_t run = run_begin(text, to, is_domain);

	for (size_t s = to; --s > run && edges.n + 1 < EDGES;)
		if (word_begins(text, s))
			edges.at[edges.n++] = s;
	edges.at[edges.n++] = run;
	return edges;
}

/* domain SEPARATOR local: SRS (domain=local), bang paths (domain!local). */
static void look_back(struct finding *f, size_t i)
{
	if (i == 0 || !is_domain(f->text.p[i - 1]) || i + 1 >= f->text.n ||
	        !is_local(f->text.p[i + 1]))
		return;
	struct edges ends = name_ends(f->text, i + 1, is_local);
	struct edges begins = domain_begins(f->text, i);
	for (unsigned b = begins.n; b-- > 0;) {
		struct slice domain = part(f->text, begins.at[b], i);
		if (knows(f->stones, f->time, TOMBSTONE_DOMAIN, domain, SLICE_NONE))
			found(f, begins.at[b], ends.at[ends.n - 1]);
		for (unsigned k = ends.n; k-- > 0;)
			if (knows(f->stones, f->time, TOMBSTONE_RECIPIENT,
			            part(f->text, i + 1, ends.at[k]), domain))
				found(f, begins.at[b], ends.at[k]);
	}
}

static bool is_escaped_at(struct slice text, size_t i)
{
	return i + 2 < text.n && text.p[i + 1] == '4' && text.p[i + 2] == '0';
}

/* local @ domain, as people write it who fear machines. */
static void look_apart(struct finding *f, size_t i)
{
	size_t left = i, right = i + 1;

	while (left > 0 && i - left < BLANKS && f->text.p[left - 1] == ' ')
		left--;
	while (right < f->text.n && right - i <= BLANKS && f->text.p[right] == ' ')
		right++;
	if (left < i || right > i + 1)
		look_forward(f, left, right, true);
}

static void look_at_separator(struct finding *f, size_t i)
{
	bool escaped = is_escaped_at(f->text, i);

	switch (f->text.p[i]) {
	case '@':
		look_forward(f, i, i + 1, true);
		look_apart(f, i);
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
	while (to < text.n && is_edge(text.p[to]))
		to++;
	return (from == 0 || text.p[from - 1] != '@') &&
	       !(to + 1 < text.n && (text.p[to] == '@' || text.p[to] == '=') &&
	               is_domain(text.p[to + 1]));
}

/* Whether the domain behind the '@' at `to` is the end of a text, or of a string of JSON, that is
 * so long that it may have been cut there. */
static bool is_cut(struct slice text, size_t to)
{
	size_t end = run_end(text, to + 1, is_domain);

	if (end == text.n)
		return text.n >= LONG_TEXT;
	return text.p[end] == '"' && to >= LONG_TEXT &&
	       slice_chr(part(text, to - LONG_TEXT, to), '"') < 0;
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

static bool take_word(struct finding *f, size_t from, size_t to)
{
	struct slice word = part(f->text, from, to);
	bool is_address = to < f->text.n && f->text.p[to] == '@';

	if (word.n > 0 && is_alone(f->text, from, to) && names_word(f, word))
		found(f, from, to);
	else if (is_address && names_local(f, word) && is_cut(f->text, to))
		found(f, from, run_end(f->text, to + 1, is_domain));
	else
		return false;
	return true;
}

/* Where the next part of a word begins: behind the signs that it begins with, or where another
 * script or a sign of none parts it. */
static size_t next_part(struct slice text, size_t from, size_t run)
{
	size_t at = from;

	while (at < run && is_edge(text.p[at]))
		at++;
	if (at > from)
		return at;
	while (++at < run && !word_begins(text, at) && !word_ends(text, at))
		;
	return at;
}

/* Returns the end of the word that begins at i. */
static size_t look_at_word(struct finding *f, size_t i)
{
	size_t run = run_end(f->text, i, is_word);

	for (; i < run; i = next_part(f->text, i, run)) {
		struct edges ends = name_ends(f->text, i, is_word);
		for (unsigned k = ends.n; k-- > 0;)
			if (take_word(f, i, ends.at[k]))
				break;
	}
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

static void look_at_text(struct finding *f)
{
	for (size_t i = 0; i < f->text.n;) {
		if (is_word(f->text.p[i]))
			i = look_at_word(f, i);
		else
			look_at_separator(f, i++);
	}
}

/* Any word gives bytes as a run of digits; those of a text are few. */
static bool may_be_text(struct slice bytes)
{
	if (slice_chr(bytes, '@') >= 0)
		return true;
	for (size_t i = 0; i < bytes.n; i++)
		if (g_ascii_iscntrl(bytes.p[i]))
			return false;
	return g_utf8_validate_len(bytes.p, bytes.n, NULL);
}

struct coded {
	struct finding *of;
	struct finding inner; /* what is found in a form of the text */
};

/* What codes a name goes; a run of digits as a whole. */
static bool look_at_form(void *ctx, const struct coded_form *form)
{
	struct coded *coded = ctx;
	GArray *spans = coded->inner.spans;

	if (form->from == NULL && !may_be_text(form->text))
		return false;
	g_array_set_size(spans, 0);
	coded->inner.text = form->text;
	look_at_text(&coded->inner);
	for (guint i = 0; i < spans->len; i++) {
		const struct span *span = &g_array_index(spans, struct span, i);
		if (form->from != NULL)
			found(coded->of, form->from[span->from], form->from[span->to]);
		else
			found(coded->of, form->begin, form->end);
	}
	return false;
}

static bool clean_once(
        const struct tombstones *stones, int64_t time, bool close, struct slice text, GString *out)
{
	struct finding f = {.stones = stones, .time = time, .close = close, .text = text};

	struct coded coded = {.of = &f, .inner = f};
	f.spans = g_array_new(FALSE, FALSE, sizeof(struct span));
	coded.inner.spans = g_array_new(FALSE, FALSE, sizeof(struct span));
	look_at_text(&f);
	coding_each(text, SHORTEST_CODED, look_at_form, &coded);
	bool any = f.spans->len > 0;
	if (any)
		put_clean(&f, out);
	g_array_unref(f.spans);
	g_array_unref(coded.inner.spans);
	return any;
}

bool tombstones_clean(
        const struct tombstones *stones, int64_t time, bool close, struct slice text, GString *out)
{
	gsize at = out->len;

	if (text.n == 0 || !tombstones_after(stones, time) ||
	        !clean_once(stones, time, close, text, out))
		return false;
	/* The mark in a name's place parts other words and codings than the name did. */
	for (int i = 0; i < ROUNDS; i++) {
		gsize n = out->len - at;
		g_autofree char *left = g_memdup2(out->str + at, n);
		g_string_truncate(out, at);
		if (clean_once(stones, time, close, slice_make(left, n), out))
			continue;
		g_string_append_len(out, left, (gssize)n);
		break;
	}
	return true;
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

struct cleaning {
	const struct tombstones *stones;
	int64_t time;
	bool close;
};

static bool clean_text(void *ctx, struct slice text, GString *out)
{
	const struct cleaning *c = ctx;

	return tombstones_clean(c->stones, c->time, c->close, text, out);
}

bool tombstones_clean_json(
        const struct tombstones *stones, int64_t time, bool close, json_t *json, GString *out)
{
	struct cleaning cleaning = {stones, time, close};

	return json_change_texts(json, clean_text, &cleaning, out);
}

/* Strings of JSON may hide an address behind escapes. */
static bool clean_field(const struct tombstones *stones, int64_t time, bool close, enum field field,
        struct slice text, GString *out)
{
	enum field_json kind = field_catalogue[field].json;
	json_t *json = NULL;

	if ((kind == FIELD_JSON_OBJECT || kind == FIELD_JSON_STRINGS) && slice_chr(text, '\\') >= 0)
		json = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (json == NULL)
		return tombstones_clean(stones, time, close, text, out);
	bool any = tombstones_clean_json(stones, time, close, json, out);
	json_decref(json);
	return any;
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
		if (clean_field(stones, event->time, close, (enum field)i, event->field[i], out))
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
