/* An Authorization header and lists of scopes of any bytes: they are read without harm; what is
 * taken for a key stands in the header, what is taken for a scope can be read again.
 * Words: query/access.c query/authorization.c
 * Reaches: basic_key access_new access_narrow access_grant_names */
#include <stdlib.h>

#include "query/access.h"
#include "query/authorization.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void need(bool condition)
{
	if (!condition)
		abort();
}

static void try_header(struct slice header)
{
	char room[AUTHORIZATION_MAX + 1];
	struct slice key;

	if (!authorization_key(header, room, &key))
		return;
	need(key.n > 0 && key.n <= AUTHORIZATION_MAX);
	if (key.p < room || key.p > room + AUTHORIZATION_MAX)
		need(key.p >= header.p && key.p + key.n <= header.p + header.n);
	else
		need(slice_chr(key, ':') < 0);
}

static char *again(const char *const *list)
{
	return list != NULL ? g_strjoinv(" ", (char **)list) : NULL;
}

static void try_words(const struct access_words *words)
{
	struct access *first = access_new(words, "x", NULL);

	if (first == NULL)
		return;
	g_autoptr(GString) grants = g_string_new(NULL);
	g_autofree char *subaccounts = again(first->scope.subaccounts);
	g_autofree char *domains = again(first->scope.domains);
	access_grant_names(grants, first->grants, " ");
	const struct access_words same = {grants->str, subaccounts, domains};
	struct access *second = access_new(&same, "x", NULL);
	need(second != NULL && second->grants == first->grants);
	g_autofree char *once_more = again(second->scope.domains);
	need(g_strcmp0(once_more, domains) == 0);
	struct access *both = access_narrow(first, second);
	g_autofree char *common = again(both->scope.domains);
	need(g_strcmp0(common, domains) == 0);
	access_free(first);
	access_free(second);
	access_free(both);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const struct slice all = slice_make((const char *)bytes, n);
	g_autofree char *text = g_strndup((const char *)bytes, n);

	try_header(all);
	try_words(&(struct access_words){.grants = text});
	try_words(&(struct access_words){"read", text, NULL});
	try_words(&(struct access_words){"read", NULL, text});
	return 0;
}
