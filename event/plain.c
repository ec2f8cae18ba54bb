#include "event/plain.h"

#define LONG_NUMBER 4 /* digits: longer ones are sizes, times and ids */
#define LONG_ID 10    /* letters and digits mixed */

struct plain {
	GString *out;
	plain_namer *namer;
	const void *ctx;
	GString *scratch;
};

static void put(struct plain *plain, struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		g_string_append_c(plain->out, g_ascii_tolower(text.p[i]));
}

static void put_named(struct plain *plain, struct slice what, const char *usual)
{
	const char *name = NULL;

	if (plain->namer != NULL) {
		g_string_truncate(plain->scratch, 0);
		for (size_t i = 0; i < what.n; i++)
			g_string_append_c(plain->scratch, g_ascii_tolower(what.p[i]));
		name = plain->namer(
		        plain->ctx, slice_make(plain->scratch->str, plain->scratch->len));
	}
	g_string_append_printf(plain->out, "<%s>", name != NULL ? name : usual);
}

static size_t count(struct slice text, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == c;
	return n;
}

static size_t digits(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += g_ascii_isdigit(text.p[i]);
	return n;
}

static bool only(struct slice text, const char *others, gboolean (*is)(gchar))
{
	for (size_t i = 0; i < text.n; i++)
		if (!is(text.p[i]) && strchr(others, text.p[i]) == NULL)
			return false;
	return text.n > 0;
}

static gboolean is_digit(gchar c)
{
	return g_ascii_isdigit(c);
}

static gboolean is_hex(gchar c)
{
	return g_ascii_isxdigit(c);
}

static gboolean is_letter(gchar c)
{
	return g_ascii_isalpha(c);
}

static gboolean is_alnum(gchar c)
{
	return g_ascii_isalnum(c);
}

static bool is_ip4(struct slice word)
{
	return count(word, '.') == 3 && digits(word) >= 4 && only(word, ".", is_digit);
}

static bool is_ip6(struct slice word)
{
	return count(word, ':') >= 2 && only(word, ":.", is_hex) &&
	       (slice_find(word, SLICE("::")) >= 0 || count(word, ':') == 7);
}

/* One to three digits, cut off a row of numbers. */
static bool cut_number(struct slice *rest)
{
	struct slice part = slice_cut(rest, '.');

	return part.n >= 1 && part.n <= 3 && only(part, "", is_digit);
}

/* Enhanced status code. */
static bool is_status(struct slice word)
{
	if (word.n < 5 || word.p[0] < '2' || word.p[0] > '5' || word.p[1] != '.')
		return false;
	word = slice_from(word, 2);
	return slice_chr(word, '.') > 0 && cut_number(&word) && cut_number(&word) && word.n == 0;
}

static bool is_code(struct slice word)
{
	return word.n == 3 && (word.p[0] == '4' || word.p[0] == '5') && word.p[1] < '8' &&
	       only(word, "", is_digit);
}

/* Two labels at least, the last of letters: a host. "now.Please" is the end of a sentence. */
static bool is_host(struct slice word)
{
	ptrdiff_t dot = slice_rchr(word, '.');

	if (dot <= 0 || word.p[dot - 1] == '.')
		return false;
	struct slice top = slice_from(word, (size_t)dot + 1);
	if (top.n < 2 || top.n > 24 || !only(top, "", is_letter))
		return false;
	return !(g_ascii_isupper(top.p[0]) && g_ascii_islower(top.p[1]) && count(word, '.') == 1 &&
	         word.p[dot - 1] >= 'a');
}

/* What stands between characters that no host, number or id contains. */
static void put_word(struct plain *plain, struct slice word)
{
	size_t n = digits(word);

	if (is_code(word) || is_status(word))
		return;
	if (is_ip4(word))
		g_string_append(plain->out, "<ip>");
	else if (is_host(word))
		put_named(plain, word, "host");
	else if (n == word.n && n >= LONG_NUMBER)
		g_string_append(plain->out, "<n>");
	else if (n >= 3 && word.n >= LONG_ID && only(word, "-_.", is_alnum))
		g_string_append(plain->out, "<id>");
	else
		put(plain, word);
}

static bool in_word(char c)
{
	return g_ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
}

/* The dots and dashes at the end of a run end a sentence. */
static struct slice without_tail(struct slice run)
{
	while (run.n > 0 && (run.p[run.n - 1] == '.' || run.p[run.n - 1] == '-'))
		run.n--;
	return run;
}

/* "550-5.1.1", "550-Mail", "450-": marks of a reply of several lines. */
static bool skip_mark(struct slice *run)
{
	if (run->n < 4 || run->p[3] != '-' || !is_code(slice_head(*run, 3)))
		return false;
	*run = slice_from(*run, 4);
	return true;
}

static bool is_url_at(struct slice token, size_t host_end)
{
	return host_end + 1 < token.n && token.p[host_end] == '/' &&
	       g_ascii_isalnum(token.p[host_end + 1]);
}

static struct slice without_close(struct slice url)
{
	while (url.n > 0 && strchr(".,;:)>]\"'", url.p[url.n - 1]) != NULL)
		url.n--;
	return url;
}

/* An IPv6 address may hold what ends a word. */
static size_t ip6_at(struct slice token)
{
	size_t n = 0;

	while (n < token.n &&
	        (g_ascii_isxdigit(token.p[n]) || token.p[n] == ':' || token.p[n] == '.'))
		n++;
	while (n > 0 && (token.p[n - 1] == '.' ||
	                        (token.p[n - 1] == ':' && (n < 2 || token.p[n - 2] != ':'))))
		n--;
	return is_ip6(slice_head(token, n)) ? n : 0;
}

/* A run of word characters at the start of the rest of a token; returns what it consumed. */
static size_t put_run(struct plain *plain, struct slice rest, bool first)
{
	size_t n = first || rest.p[0] != '-' ? ip6_at(rest) : 0;

	if (n > 0) {
		g_string_append(plain->out, "<ip>");
		return n;
	}
	while (n < rest.n && in_word(rest.p[n]))
		n++;
	struct slice run = slice_head(rest, n), tail;
	if (first)
		skip_mark(&run);
	tail = run;
	run = without_tail(run);
	tail = slice_from(tail, run.n);
	if (is_host(run) && tail.n == 0 && is_url_at(rest, n)) {
		struct slice url = without_close(slice_from(rest, n - run.n));
		put_named(plain, url, "url");
		return n - run.n + url.n;
	}
	put_word(plain, run);
	put(plain, tail);
	return n;
}

static void put_runs(struct plain *plain, struct slice token)
{
	bool first = true;

	for (size_t at = 0; at < token.n; first = false) {
		if (in_word(token.p[at]) || token.p[at] == ':') {
			size_t n = put_run(plain, slice_from(token, at), first);
			if (n > 0) {
				at += n;
				continue;
			}
		}
		put(plain, slice_make(token.p + at, 1));
		at++;
	}
}

/* A token: what stands between white space. */
static void put_token(struct plain *plain, struct slice token)
{
	ptrdiff_t scheme = slice_find(token, SLICE("://"));

	if (scheme > 0) {
		size_t start = (size_t)scheme;
		while (start > 0 && g_ascii_isalpha(token.p[start - 1]))
			start--;
		struct slice url = without_close(slice_from(token, start));
		put_runs(plain, slice_head(token, start));
		put_named(plain, url, "url");
		put(plain, slice_from(token, start + url.n));
		return;
	}
	ptrdiff_t at = slice_chr(token, '@');
	if (at < 0) {
		put_runs(plain, token);
		return;
	}
	put_named(plain, token, "addr");
	if (slice_ends(token, SLICE(":")))
		g_string_append_c(plain->out, ':');
}

void plain_reply(GString *out, struct slice reply, plain_namer *namer, const void *ctx)
{
	g_autoptr(GString) scratch = g_string_new(NULL);
	struct plain plain = {out, namer, ctx, scratch};
	size_t begin = out->len;

	for (size_t at = 0; at < reply.n;) {
		size_t end = at;
		while (end < reply.n && !g_ascii_isspace(reply.p[end]))
			end++;
		if (end > at) {
			size_t before = out->len;
			put_token(&plain, slice_make(reply.p + at, end - at));
			if (out->len > before)
				g_string_append_c(out, ' ');
		}
		at = end + 1;
	}
	if (out->len > begin && out->str[out->len - 1] == ' ')
		g_string_truncate(out, out->len - 1);
}

void plain_codes(struct slice reply, struct slice *code, struct slice *dsn)
{
	*code = *dsn = SLICE_NONE;
	for (size_t at = 0; at < reply.n && (code->p == NULL || dsn->p == NULL);) {
		size_t end = at;
		while (end < reply.n && (g_ascii_isalnum(reply.p[end]) || reply.p[end] == '.'))
			end++;
		struct slice run = without_tail(slice_make(reply.p + at, end - at));
		if (code->p == NULL && is_code(run))
			*code = run;
		else if (dsn->p == NULL && is_status(run) && run.p[0] >= '4')
			*dsn = run;
		at = end + 1;
	}
}
