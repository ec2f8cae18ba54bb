/* What is replaced in a text stands in spans of it, so that what is found in a coding of the text
 * (event/coding.h), or twice, is put together at the end. */
#include "event/pseudonym_text.h"

#include <string.h>

#include "base/word.h"
#include "event/coding.h"

#define SHORTEST_CODED 8 /* bytes that are looked for in hexadecimal digits or base64 */
#define BLANKS 2         /* at most, on each side of an '@' */
#define LITERAL_MAX 64   /* characters of [IPv6:…] */

struct span {
	size_t from, to;
	guint order; /* of being found: what stands as it is comes first */
	char stands[PSEUDONYM_CHARS + 1];
};

struct finding {
	const struct pseudonyms *p;
	const struct pseudonym_persons *persons; /* NULL: none */
	bool reply;
	struct slice whole; /* the text as it is */
	struct slice text;  /* that is looked at: the same, or a coding of it */
	const size_t *from; /* where its bytes stand in the text (coding.h); NULL: there */
	const struct coded_form *run; /* it was a run of digits, which goes as a whole */
	GArray *spans;
};

static bool is_local(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".!#$%&'*+/=?^_`{|}~-", c) != NULL);
}

/* The parts of a link end at its signs. */
static bool is_simple_local(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".+_-", c) != NULL);
}

static bool is_domain(char c)
{
	return g_ascii_isalnum(c) || (unsigned char)c >= 0x80 || c == '.' || c == '-' || c == '_';
}

static struct slice part(struct slice text, size_t from, size_t to)
{
	return slice_make(text.p + from, to - from);
}

static void found(struct finding *f, size_t from, size_t to, const char *stands)
{
	struct span span = {.from = from, .to = to, .order = f->spans->len};

	if (f->run != NULL) {
		span.from = f->run->begin;
		span.to = f->run->end;
	} else if (f->from != NULL) {
		span.from = f->from[from];
		span.to = f->from[to];
	}
	memcpy(span.stands, stands, sizeof(span.stands));
	g_array_append_val(f->spans, span);
}

static void found_local(
        struct finding *f, size_t from, size_t to, struct slice local, struct slice domain)
{
	char stands[PSEUDONYM_CHARS + 1];

	pseudonym_put(f->p, local, domain, stands);
	found(f, from, to, stands);
}

/* ---- addresses ---- */

/* What no word of the language and no name of a setting has. */
static bool is_personal(struct slice local)
{
	bool letter = false, sign = false;

	for (size_t i = 0; i < local.n; i++) {
		letter |= g_ascii_isalpha(local.p[i]);
		sign |= g_ascii_isdigit(local.p[i]) || local.p[i] == '.' || local.p[i] == '+';
	}
	return letter && sign;
}

/* The domain, or the number of a host in brackets, that begins at `from`. */
static struct slice domain_at(struct slice text, size_t from)
{
	ptrdiff_t bracket = slice_chr(slice_head(slice_from(text, from), LITERAL_MAX), ']');
	size_t end = from;

	if (bracket > 1 && text.p[from] == '[')
		return part(text, from, from + (size_t)bracket + 1);
	while (end < text.n && is_domain(text.p[end]))
		end++;
	while (end > from && (text.p[end - 1] == '.' || text.p[end - 1] == '-'))
		end--;
	return part(text, from, end);
}

/* Whether a domain ends as those of mail do: what else stands between signs is seldom one. */
static bool is_public(const struct finding *f, struct slice domain)
{
	ptrdiff_t dot = slice_rchr(domain, '.');
	struct slice top = slice_from(domain, (size_t)(dot + 1));

	if (slice_starts(top, SLICE("xn--")))
		return dot > 0;
	for (size_t i = 0; i < top.n; i++)
		if (!g_ascii_isalpha(top.p[i]) &&
		        (f->run != NULL || (unsigned char)top.p[i] < 0x80))
			return false;
	return dot > 0 && top.n > 1;
}

/* Where the local part of somebody known begins that ends at `end`, or the pseudonym; -1: no such.
 */
static ptrdiff_t known_begin(const struct finding *f, size_t run, size_t end, struct slice domain)
{
	if (end - run >= PSEUDONYM_CHARS &&
	        pseudonym_is(part(f->text, end - PSEUDONYM_CHARS, end)) &&
	        (end - run == PSEUDONYM_CHARS ||
	                !g_ascii_isalnum(f->text.p[end - PSEUDONYM_CHARS - 1])))
		return (ptrdiff_t)(end - PSEUDONYM_CHARS);
	for (unsigned i = 0; f->persons != NULL && i < f->persons->n; i++) {
		const struct pseudonym_person *person = &f->persons->person[i];
		size_t n = person->local.n;
		if (n > end - run || !slice_eq_case(person->domain, domain) ||
		        !slice_eq_case(part(f->text, end - n, end), person->local))
			continue;
		if (end - n == run || !g_ascii_isalnum(f->text.p[end - n - 1]))
			return (ptrdiff_t)(end - n);
	}
	return -1;
}

/* Where the quoted local part begins whose last quote is at `end` - 1; -1: nowhere. In strings of
 * JSON each quote has a backslash before it. */
static ptrdiff_t quoted_begin(const struct finding *f, size_t end, size_t escapes)
{
	for (size_t i = end - 1 - escapes; i-- > 0 && end - i <= PSEUDONYM_NAME_MAX;) {
		size_t n = 0;
		while (f->text.p[i] == '"' && n < i && f->text.p[i - 1 - n] == '\\')
			n++;
		if (f->text.p[i] == '"' && n == escapes)
			return (ptrdiff_t)(i - escapes);
	}
	return -1;
}

static bool take_quoted(struct finding *f, size_t at, struct slice domain)
{
	if (at < 2 || f->text.p[at - 1] != '"')
		return false;
	size_t escapes = f->text.p[at - 2] == '\\';
	ptrdiff_t begin = quoted_begin(f, at, escapes);
	if (begin < 0)
		return false;
	g_autoptr(GString) bare = g_string_new(NULL);
	struct slice quoted = part(f->text, (size_t)begin + escapes + 1, at - escapes - 1);
	for (size_t i = 0; i < quoted.n; i++)
		if (quoted.p[i] != '\\')
			g_string_append_c(bare, quoted.p[i]);
	found_local(f, (size_t)begin, at, slice_make(bare->str, bare->len), domain);
	return true;
}

/* Whether the text says the byte in a coding. */
static bool is_coded(const struct finding *f, size_t at)
{
	return f->from != NULL && f->from[at + 1] - f->from[at] > 1;
}

/* Any word gives a sign as digits, and "size=40" is a setting more often than a coding. */
static bool is_doubtful(const struct finding *f, size_t at)
{
	return f->run != NULL || (is_coded(f, at) && f->whole.p[f->from[at]] == '=');
}

static bool is_blank(struct slice text, size_t at)
{
	return at < text.n && (text.p[at] == ' ' || text.p[at] == '\t');
}

/* Of a name beside blanks, as "jane.roe @ example.com", or whose domain is cut off or hidden. */
static void take_apart(struct finding *f, size_t at)
{
	size_t end = at, right = at + 1, run;

	while (end > 0 && at - end < BLANKS && is_blank(f->text, end - 1))
		end--;
	while (right - at <= BLANKS && is_blank(f->text, right))
		right++;
	for (run = end; run > 0 && is_simple_local(f->text.p[run - 1]);)
		run--;
	struct slice local = part(f->text, run, end), domain = domain_at(f->text, right);
	if (is_personal(local) && (is_public(f, domain) || (end == at && domain.n == 0)))
		found_local(f, run, end, local, domain);
}

static void take_address(struct finding *f, size_t at)
{
	struct slice domain = domain_at(f->text, at + 1);
	bool simple = f->run != NULL || is_coded(f, at);
	size_t run = at;

	if (is_doubtful(f, at) && !is_public(f, domain))
		return;
	if (domain.n > 0 && take_quoted(f, at, domain))
		return;
	while (run > 0 && (simple && !is_coded(f, run - 1) ? is_simple_local(f->text.p[run - 1])
	                                                   : is_local(f->text.p[run - 1])))
		run--;
	if (run == at || domain.n == 0) {
		take_apart(f, at);
		return;
	}
	ptrdiff_t known = known_begin(f, run, at, domain);
	size_t begin = known >= 0 ? (size_t)known : run;
	found_local(f, begin, at, part(f->text, begin, at), domain);
}

/* ---- john.doe=example.com, john.doe%example.com ---- */

/* Names of properties (RFC 8601, 2.3) and parameters of links, which have a domain for a value. */
static bool is_property(struct slice text, size_t from, size_t to)
{
	static const char *const types[] = {"smtp.", "header.", "body.", "policy.", "dns."};
	struct slice name = part(text, from, to);

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		if (slice_starts(name, slice_str(types[i])))
			return true;
	return from > 0 && (text.p[from - 1] == '?' || text.p[from - 1] == '&');
}

/* Whether the sign begins a coding: "%2e"; of quoted-printable no more than '@' is sure, since
 * domains begin with such digits. */
static bool is_code(struct slice text, size_t at)
{
	if (at + 2 >= text.n)
		return false;
	if (text.p[at] == '=')
		return text.p[at + 1] == '4' && text.p[at + 2] == '0';
	return g_ascii_isxdigit(text.p[at + 1]) && g_ascii_isxdigit(text.p[at + 2]);
}

static void take_pair(struct finding *f, size_t at)
{
	struct slice domain = domain_at(f->text, at + 1);
	size_t run = at;

	while (run > 0 && is_simple_local(f->text.p[run - 1]))
		run--;
	struct slice local = part(f->text, run, at);
	if (local.n == 0 || is_code(f->text, at) || !is_public(f, domain))
		return;
	ptrdiff_t known = known_begin(f, run, at, domain);
	size_t begin = known >= 0 ? (size_t)known : run;
	if (known >= 0 || (is_personal(local) && !is_property(f->text, run, at)))
		found_local(f, begin, at, part(f->text, begin, at), domain);
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

static bool stands_alone(struct slice text, size_t at, const struct pseudonym_person *person)
{
	bool telling = person->telling;
	size_t end = at + person->local.n;

	return end <= text.n && slice_eq_case(part(text, at, end), person->local) &&
	       (at == 0 || is_bound(text.p[at - 1], telling) || word_begins(text, at)) &&
	       (end == text.n || is_bound(text.p[end], telling) || word_ends(text, end) ||
	               (text.p[end] == '.' && (end + 1 == text.n || text.p[end + 1] == ' ')));
}

/* In digits a word of few letters is there by chance. */
static bool is_looked_for(const struct finding *f, const struct pseudonym_person *person)
{
	if (person->in_replies && (!f->reply || !person->telling))
		return false;
	return f->run == NULL || (person->telling && person->local.n >= SHORTEST_CODED);
}

static void take_words(struct finding *f, const struct pseudonym_persons *persons)
{
	for (unsigned k = 0; k < persons->n; k++) {
		const struct pseudonym_person *person = &persons->person[k];
		if (!is_looked_for(f, person) || is_role(person->local))
			continue;
		for (size_t i = 0; i + person->local.n <= f->text.n; i++)
			if ((i == 0 || !g_ascii_isalnum(f->text.p[i - 1])) &&
			        stands_alone(f->text, i, person))
				found(f, i, i + person->local.n, person->stands);
	}
}

/* ---- a text ---- */

static void take_all(struct finding *f)
{
	for (size_t i = 0; i < f->text.n; i++) {
		if (f->text.p[i] == '@')
			take_address(f, i);
		else if ((f->text.p[i] == '=' || f->text.p[i] == '%') && f->run == NULL)
			take_pair(f, i);
	}
	if (f->persons != NULL)
		take_words(f, f->persons);
}

static bool take_form(void *ctx, const struct coded_form *form)
{
	struct finding *f = ctx;

	f->text = form->text;
	f->from = form->from;
	f->run = form->from == NULL ? form : NULL;
	take_all(f);
	return false;
}

/* Who is named with an address in a text is also meant by the local part alone. */
static void add_named(struct finding *f, struct pseudonym_persons *persons, bool in_replies)
{
	for (guint i = 0; i < f->spans->len && persons->n < PSEUDONYM_PERSONS; i++) {
		const struct span *span = &g_array_index(f->spans, struct span, i);
		struct pseudonym_person *person = &persons->person[persons->n];
		*person = (struct pseudonym_person){
		        .local = part(f->text, span->from, span->to), .in_replies = in_replies};
		for (size_t k = 0; k < person->local.n; k++)
			person->telling |= !g_ascii_isalpha(person->local.p[k]);
		memcpy(person->stands, span->stands, sizeof(person->stands));
		persons->n += person->telling && !pseudonym_is(person->local);
	}
}

void pseudonym_named(
        const struct pseudonyms *p, struct slice text, struct pseudonym_persons *persons)
{
	struct finding f = {.p = p, .whole = text, .text = text};

	if (slice_chr(text, '@') < 0)
		return;
	f.spans = g_array_new(FALSE, FALSE, sizeof(struct span));
	take_all(&f);
	add_named(&f, persons, true);
	g_array_unref(f.spans);
}

static gint by_begin(gconstpointer a, gconstpointer b)
{
	const struct span *x = a, *y = b;

	if (x->from != y->from)
		return (x->from > y->from) - (x->from < y->from);
	if (x->to != y->to)
		return (x->to < y->to) - (x->to > y->to);
	return (x->order > y->order) - (x->order < y->order);
}

/* What reaches into the next span goes with it. */
static void put_text(const struct finding *f, struct slice text, GString *out)
{
	size_t done = 0;

	g_array_sort(f->spans, by_begin);
	for (guint i = 0; i < f->spans->len; i++) {
		const struct span *span = &g_array_index(f->spans, struct span, i);
		if (i == 0 || span->from >= done) {
			g_string_append_len(out, text.p + done, (gssize)(span->from - done));
			g_string_append(out, span->stands);
		}
		done = MAX(done, span->to);
	}
	g_string_append_len(out, text.p + done, (gssize)(text.n - done));
}

bool pseudonym_text(const struct pseudonyms *p, const struct pseudonym_persons *persons, bool reply,
        struct slice text, GString *out)
{
	struct pseudonym_persons named = {.n = 0};
	struct finding f = {
	        .p = p, .persons = persons, .reply = reply, .whole = text, .text = text};

	f.spans = g_array_new(FALSE, FALSE, sizeof(struct span));
	take_all(&f);
	add_named(&f, &named, false);
	take_words(&f, &named);
	coding_each(text, SHORTEST_CODED, take_form, &f);
	bool any = f.spans->len > 0;
	if (any)
		put_text(&f, text, out);
	g_array_unref(f.spans);
	return any;
}
