#include "base/slice.h"

#include <glib.h>

ptrdiff_t slice_find(struct slice s, struct slice text)
{
	if (text.n == 0)
		return 0;
	const char *hit = s.n > 0 ? memmem(s.p, s.n, text.p, text.n) : NULL;
	return hit != NULL ? hit - s.p : -1;
}

ptrdiff_t slice_rchr(struct slice s, char c)
{
	const char *hit = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;
	return hit != NULL ? hit - s.p : -1;
}

bool slice_eq_case(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	/* g_ascii_strncasecmp ends at a NUL. */
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool slice_skip(struct slice *s, struct slice prefix)
{
	if (!slice_starts(*s, prefix))
		return false;
	*s = slice_from(*s, prefix.n);
	return true;
}

struct slice slice_cut(struct slice *s, char c)
{
	struct slice head = *s;
	ptrdiff_t at = slice_chr(*s, c);

	if (at < 0) {
		*s = slice_from(*s, s->n);
		return head;
	}
	head.n = (size_t)at;
	*s = slice_from(*s, (size_t)at + 1);
	return head;
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && g_ascii_isspace(s.p[0]))
		s = slice_from(s, 1);
	while (s.n > 0 && g_ascii_isspace(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_int(struct slice s, int64_t *value_r)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	int64_t value = 0;

	if (negative)
		s = slice_from(s, 1);
	if (s.n == 0 || s.n > 18)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!g_ascii_isdigit(s.p[i]))
			return false;
		value = value * 10 + (s.p[i] - '0');
	}
	*value_r = negative ? -value : value;
	return true;
}

/* FNV-1a. */
unsigned slice_hash(const void *slice)
{
	const struct slice *s = slice;
	unsigned hash = 2166136261u;

	for (size_t i = 0; i < s->n; i++)
		hash = (hash ^ (unsigned char)s->p[i]) * 16777619u;
	return hash;
}

int slice_equal(const void *a, const void *b)
{
	return slice_eq(*(const struct slice *)a, *(const struct slice *)b);
}

char *slice_dup(struct slice s)
{
	return s.p != NULL ? g_strndup(s.p, s.n) : NULL;
}
