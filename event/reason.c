#include "event/reason.h"

#include <arpa/inet.h>

/* A reply is read once, token by token (what stands between white space); white space stays as it
 * is, line ends too. The substitutions, in the order of their right to a token:
 *
 *	address   a token with '@'                       -> ...@...
 *	user      "User" at its end, and the next token  -> ...
 *	session   Google's id before " - gsmtp"          -> ...
 *	ip        IPv4 and IPv6 addresses in any other   -> a.b.c.d, a:b:c:d:e:f:g:h
 *
 * address, user and IPv4 are fitted to replies whose canonical form is known. */

#define IP4_PLACE "a.b.c.d"
#define IP6_PLACE "a:b:c:d:e:f:g:h"

static void put(GString *out, struct slice text)
{
	g_string_append_len(out, text.p, (gssize)text.n);
}

/* The next token of *rest, and the white space before it. False at the end of the text. */
static bool next_token(struct slice *rest, struct slice *blank_r, struct slice *token_r)
{
	size_t blank = 0, token;

	while (blank < rest->n && g_ascii_isspace(rest->p[blank]))
		blank++;
	for (token = blank; token < rest->n && !g_ascii_isspace(rest->p[token]); token++)
		;
	*blank_r = slice_make(rest->p, blank);
	*token_r = slice_make(rest->p + blank, token - blank);
	*rest = slice_from(*rest, token);
	return token > blank;
}

/* Length of the IPv4 address that `text` starts with, or 0: four numbers up to 255 which are not
 * the start of a longer row of numbers. */
static size_t ip4_length(struct slice text)
{
	size_t at = 0;

	for (int part = 0; part < 4; part++) {
		unsigned value = 0;
		size_t start;
		if (part > 0 && (at >= text.n || text.p[at++] != '.'))
			return 0;
		for (start = at; at < text.n && g_ascii_isdigit(text.p[at]) && value <= 255; at++)
			value = value * 10 + (unsigned)(text.p[at] - '0');
		if (at == start || value > 255)
			return 0;
	}
	if (at + 1 < text.n && text.p[at] == '.' && g_ascii_isdigit(text.p[at + 1]))
		return 0;
	return at < text.n && g_ascii_isdigit(text.p[at]) ? 0 : at;
}

/* Length of the IPv6 address that `text` starts with, or 0. */
static size_t ip6_length(struct slice text)
{
	char name[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t n = 0, colons = 0;

	for (; n < text.n && (g_ascii_isxdigit(text.p[n]) || text.p[n] == ':' || text.p[n] == '.');
	        n++)
		colons += text.p[n] == ':';
	if (colons < 2)
		return 0;
	/* "2001:db8::1: refused." */
	if (text.p[n - 1] == '.')
		n--;
	if (n >= 2 && text.p[n - 1] == ':' && text.p[n - 2] != ':')
		n--;
	if (n >= sizeof(name))
		return 0;
	memcpy(name, text.p, n);
	name[n] = '\0';
	return inet_pton(AF_INET6, name, &address) == 1 ? n : 0;
}

/* Whether an address may start behind this byte: not within a word or a longer number. */
static bool ip_may_follow(struct slice token, size_t at)
{
	if (at == 0)
		return true;
	if (at >= 5 && g_ascii_strncasecmp(token.p + at - 5, "IPv6:", 5) == 0)
		return true;
	char before = token.p[at - 1];
	return !g_ascii_isalnum(before) && before != '.' && before != ':';
}

/* A token with its IP addresses replaced. */
static void put_without_ips(GString *out, struct slice token)
{
	size_t done = 0;

	if (slice_chr(token, '.') < 0 && slice_chr(token, ':') < 0) {
		put(out, token); /* nearly all tokens */
		return;
	}
	for (size_t at = 0; at < token.n; at++) {
		const char *place = IP4_PLACE;
		if ((!g_ascii_isxdigit(token.p[at]) && token.p[at] != ':') ||
		        !ip_may_follow(token, at))
			continue;
		size_t n = ip4_length(slice_from(token, at));
		if (n == 0) {
			place = IP6_PLACE;
			n = ip6_length(slice_from(token, at));
		}
		if (n == 0)
			continue;
		put(out, slice_make(token.p + done, at - done));
		g_string_append(out, place);
		done = at + n;
		at = done - 1;
	}
	put(out, slice_from(token, done));
}

static bool all(struct slice text, gboolean (*is)(char))
{
	for (size_t i = 0; i < text.n; i++)
		if (!is(text.p[i]))
			return false;
	return text.n > 0;
}

static gboolean is_digit(char c)
{
	return g_ascii_isdigit(c);
}

static gboolean is_alnum_or_dash(char c)
{
	return g_ascii_isalnum(c) || c == '-';
}

/* Google ends its replies with an id of the session, such as h7si13242232pgc.400, and its name. */
static bool is_gsmtp_session(struct slice token, struct slice rest)
{
	ptrdiff_t dot = slice_rchr(token, '.');

	return dot > 0 && slice_starts(rest, SLICE(" - gsmtp")) &&
	       all(slice_head(token, (size_t)dot), is_alnum_or_dash) &&
	       all(slice_from(token, (size_t)dot + 1), is_digit);
}

/* "User unknown" and "...NoSuchUser h7si13242232pgc.400" lose the word and the one behind it. */
static bool put_user(GString *out, struct slice token, struct slice *rest)
{
	struct slice blank, next, after = *rest;

	if (!slice_ends(token, SLICE("User")) || !next_token(&after, &blank, &next))
		return false;
	put_without_ips(out, slice_head(token, token.n - strlen("User")));
	g_string_append(out, "...");
	*rest = after;
	return true;
}

void reason_canonical(GString *out, struct slice raw)
{
	struct slice rest = raw, blank, token;

	if (raw.n == 0)
		return;
	while (next_token(&rest, &blank, &token)) {
		put(out, blank);
		if (slice_chr(token, '@') >= 0)
			g_string_append(out, "...@...");
		else if (put_user(out, token, &rest))
			continue;
		else if (is_gsmtp_session(token, rest))
			g_string_append(out, "...");
		else
			put_without_ips(out, token);
	}
	put(out, blank);
}
