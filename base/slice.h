/* A slice: bytes that somebody else owns. Not ended by NUL; may hold any byte. p == NULL means
 * "absent", which is not the same as empty. */
#ifndef PW_BASE_SLICE_H
#define PW_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
/* For printf: "%.*s" takes SLICE_ARG(s). */
#define SLICE_ARG(s) (int)(s).n, (s).p

static inline struct slice slice_make(const char *p, size_t n)
{
	return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){s, s != NULL ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* What is left without the first n bytes (n <= s.n). */
static inline struct slice slice_from(struct slice s, size_t n)
{
	return (struct slice){n > 0 ? s.p + n : s.p, s.n - n}; /* NULL + 0 is undefined */
}

/* The first n bytes; the whole where it is shorter. */
static inline struct slice slice_head(struct slice s, size_t n)
{
	return (struct slice){s.p, n < s.n ? n : s.n};
}

/* Index of a byte or of a text, or -1. */
static inline ptrdiff_t slice_chr(struct slice s, char c)
{
	const char *hit = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
	return hit != NULL ? hit - s.p : -1;
}
ptrdiff_t slice_find(struct slice s, struct slice text);

/* Index of the last occurrence of a byte, or -1. */
ptrdiff_t slice_rchr(struct slice s, char c);

/* ASCII case is ignored; other bytes compare as they are, NUL too. */
bool slice_eq_case(struct slice a, struct slice b);

/* g_ascii_tolower is a call for each byte. */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Moves past `prefix` and returns true, or leaves *s alone. */
bool slice_skip(struct slice *s, struct slice prefix);

/* Cuts *s at the first `c`: returns what was before it and leaves what comes after it in *s.
 * Without `c` returns the whole and leaves *s empty. */
struct slice slice_cut(struct slice *s, char c);

/* Without white space at both ends. */
struct slice slice_trim(struct slice s);

/* Decimal number of 1 to 18 digits with an optional '-' and nothing else; false otherwise. */
bool slice_int(struct slice s, int64_t *value_r);

/* For hash tables of GLib whose keys are slices. */
unsigned slice_hash(const void *slice);
int slice_equal(const void *a, const void *b);

/* Copy ended by NUL, to be freed by g_free; NULL for an absent slice. */
char *slice_dup(struct slice s);

#endif
