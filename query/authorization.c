#include "query/authorization.h"

#include <sodium.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice trimmed(struct slice value)
{
	while (value.n > 0 && is_blank(value.p[0]))
		value = slice_from(value, 1);
	while (value.n > 0 && is_blank(value.p[value.n - 1]))
		value.n--;
	return value;
}

static bool basic_key(struct slice text, char room[AUTHORIZATION_MAX + 1], struct slice *key_r)
{
	const char *end = text.p;
	size_t n = 0;

	if (sodium_base642bin((unsigned char *)room, AUTHORIZATION_MAX, text.p, text.n, NULL, &n,
	            &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	        end != text.p + text.n)
		return false;
	ptrdiff_t colon = slice_chr(slice_make(room, n), ':');
	if (colon <= 0)
		return false;
	*key_r = slice_make(room, (size_t)colon);
	return true;
}

bool authorization_key(struct slice value, char room[AUTHORIZATION_MAX + 1], struct slice *key_r)
{
	value = trimmed(value);
	if (value.n > 5 && slice_eq_case(slice_head(value, 5), SLICE("Basic")) &&
	        is_blank(value.p[5]))
		return basic_key(trimmed(slice_from(value, 5)), room, key_r);
	*key_r = value;
	return value.n > 0 && value.n <= AUTHORIZATION_MAX && slice_chr(value, ' ') < 0 &&
	       slice_chr(value, '\t') < 0;
}
