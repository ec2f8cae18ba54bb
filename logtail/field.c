#include "logtail/field.h"

#include <glib.h>

static bool at_end(struct slice s, size_t n, const char *ends)
{
	return n >= s.n || memchr(ends, s.p[n], strlen(ends)) != NULL;
}

/* The '>' that ends an address whose quoted local part is skipped; -1 when there is none. */
static ptrdiff_t find_end(struct slice s, const char *ends)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (c == '>' && !quoted && at_end(s, i + 1, ends))
			return (ptrdiff_t)i;
	}
	return -1;
}

bool field_address(struct slice *s, const char *ends, struct slice *address_r)
{
	if (s->n > 0 && s->p[0] == '<') {
		struct slice inside = slice_from(*s, 1);
		ptrdiff_t end = find_end(inside, ends);
		if (end < 0)
			return false;
		*address_r = slice_head(inside, (size_t)end);
		*s = slice_from(inside, (size_t)end + 1);
		return true;
	}
	/* Some anonymisers and very old versions leave the brackets out. */
	size_t n = 0;
	while (!at_end(*s, n, ends) && s->p[n] != ' ')
		n++;
	*address_r = slice_head(*s, n);
	*s = slice_from(*s, n);
	return true;
}

static bool is_ip(struct slice s)
{
	bool separated = false;

	if (s.n < 2 || s.n > 45)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' || s.p[i] == ':')
			separated = true;
		else if (!g_ascii_isxdigit(s.p[i]))
			return false;
	}
	return separated;
}

bool field_ip(struct slice text, struct slice *ip_r)
{
	slice_skip(&text, SLICE("IPv6:"));
	if (!is_ip(text))
		return false;
	*ip_r = text;
	return true;
}

bool field_peer(struct slice *s, struct slice *host_r, struct slice *ip_r, struct slice *port_r)
{
	ptrdiff_t open = slice_chr(*s, '[');
	ptrdiff_t close = slice_chr(*s, ']');

	if (open < 0 || close < open)
		return false;
	struct slice host = slice_head(*s, (size_t)open);
	if (slice_chr(host, ' ') >= 0)
		return false;
	struct slice ip = slice_make(s->p + open + 1, (size_t)(close - open - 1));
	struct slice rest = slice_from(*s, (size_t)close + 1);
	if (host.n > 0)
		*host_r = host;
	field_ip(ip, ip_r);
	size_t n = 1;
	while (n < rest.n && g_ascii_isdigit(rest.p[n]))
		n++;
	if (n > 1 && n < 7 && rest.p[0] == ':') {
		*port_r = slice_make(rest.p + 1, n - 1);
		rest = slice_from(rest, n);
	}
	*s = rest;
	return true;
}

/* Length of "name=" at the start, 0 when there is none. */
static size_t name_length(struct slice s)
{
	size_t n = 0;

	while (n < s.n && n < 24 && (g_ascii_islower(s.p[n]) || s.p[n] == '_'))
		n++;
	return n > 0 && n < s.n && s.p[n] == '=' ? n : 0;
}

bool field_next(struct slice *s, struct slice *name_r, struct slice *value_r)
{
	struct slice rest = *s;

	if (!slice_skip(&rest, SLICE(", ")))
		return false;
	size_t n = name_length(rest);
	if (n == 0)
		return false;
	*name_r = slice_head(rest, n);
	rest = slice_from(rest, n + 1);
	*value_r = rest;
	for (size_t at = 0; at + 2 < rest.n; at++) {
		const char *comma = memchr(rest.p + at, ',', rest.n - at);
		if (comma == NULL)
			break;
		at = (size_t)(comma - rest.p);
		if (at + 2 < rest.n && comma[1] == ' ' &&
		        name_length(slice_from(rest, at + 2)) > 0) {
			*value_r = slice_head(rest, at);
			break;
		}
	}
	*s = slice_from(rest, value_r->n);
	return true;
}

/* Index behind up to `most` digits at `at`. */
static size_t skip_digits(struct slice s, size_t at, size_t most)
{
	size_t n = at;

	while (n < s.n && n - at < most && g_ascii_isdigit(s.p[n]))
		n++;
	return n;
}

bool field_dsn(struct slice *s, struct slice *dsn_r)
{
	if (s->n < 5 || s->p[1] != '.' || (s->p[0] != '2' && s->p[0] != '4' && s->p[0] != '5'))
		return false;
	size_t subject = skip_digits(*s, 2, 3);
	if (subject == 2 || subject >= s->n || s->p[subject] != '.')
		return false;
	size_t detail = skip_digits(*s, subject + 1, 3);
	if (detail == subject + 1 || (detail < s->n && s->p[detail] != ' '))
		return false;
	*dsn_r = slice_head(*s, detail);
	*s = slice_from(*s, detail);
	return true;
}

bool field_code(struct slice *s, struct slice *code_r)
{
	if (s->n < 3 || s->p[0] < '2' || s->p[0] > '5' || skip_digits(*s, 0, 4) != 3)
		return false;
	if (s->n > 3 && s->p[3] != ' ' && s->p[3] != '-')
		return false;
	*code_r = slice_head(*s, 3);
	*s = slice_from(*s, 3);
	return true;
}

bool field_seconds(struct slice text, int64_t *ms_r)
{
	size_t whole = skip_digits(text, 0, 12);
	int64_t seconds;
	int64_t ms = 0;

	if (!slice_int(slice_head(text, whole), &seconds))
		return false;
	if (whole < text.n) {
		size_t end = skip_digits(text, whole + 1, 9);
		if (text.p[whole] != '.' || end != text.n)
			return false;
		int unit = 100;
		for (size_t i = whole + 1; i < end; i++, unit /= 10)
			ms += unit * (text.p[i] - '0');
	}
	*ms_r = seconds * 1000 + ms;
	return true;
}
