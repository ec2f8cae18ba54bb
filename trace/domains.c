#include "trace/domains.h"

#include <glib.h>

#define DOMAIN_MAX 255 /* RFC 1035, 2.3.4 */

/* A list maps words ("example.com", ".example.com") to their place in it. */
struct domains {
	GPtrArray *lists; /* of GHashTable: char * -> place << 1 | deny */
	guint places;
};

struct domains *domains_new(void)
{
	struct domains *domains = g_new0(struct domains, 1);

	domains->lists = g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
	return domains;
}

void domains_free(struct domains **domains)
{
	if (*domains == NULL)
		return;
	g_ptr_array_unref((*domains)->lists);
	g_clear_pointer(domains, g_free);
}

void domains_list(struct domains *domains)
{
	g_ptr_array_add(
	        domains->lists, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL));
}

/* Letters, digits, '-', '_', '.', what is beyond ASCII, and "[192.0.2.1]". */
static bool is_domain(struct slice word)
{
	if (word.n == 0 || word.n > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		guint8 c = (guint8)word.p[i];
		if (c == 0 ||
		        (c < 0x80 && !g_ascii_isalnum(word.p[i]) && strchr("-_.[]:", c) == NULL))
			return false;
	}
	return word.p[0] == '[' || slice_chr(word, ':') < 0;
}

/* The first word that fits decides: what is there already stays. */
static void put(struct domains *domains, GHashTable *list, char *word, bool deny)
{
	if (g_hash_table_contains(list, word))
		g_free(word);
	else
		g_hash_table_insert(list, word, GUINT_TO_POINTER(domains->places << 1 | deny));
}

int domains_add(struct domains *domains, struct slice word, enum domains_mode mode, bool deny,
        struct error *err)
{
	if (word.n > 1 && word.p[word.n - 1] == '.')
		word.n--; /* as domains_hold does */
	if (!is_domain(word))
		return error_set(err, "\"%.*s\" is no domain", SLICE_ARG(word));
	if (domains->lists->len == 0)
		domains_list(domains);
	GHashTable *list = domains->lists->pdata[domains->lists->len - 1];
	g_autofree char *lower = g_ascii_strdown(word.p, (gssize)word.n);
	bool dotted = lower[0] == '.';
	domains->places++;
	if (mode == DOMAINS_PARENTS && !dotted)
		put(domains, list, g_strconcat(".", lower, NULL), deny);
	if (!dotted || mode == DOMAINS_DOTTED)
		put(domains, list, g_steal_pointer(&lower), deny);
	return 0;
}

static guint find(GHashTable *list, const char *word)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(list, word));
}

/* Place and verdict of the first word of the list that fits; 0 = none does. */
static guint list_find(GHashTable *list, const char *domain)
{
	guint best = find(list, domain);

	for (const char *dot = strchr(domain, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
		guint found = dot > domain ? find(list, dot) : 0;
		if (found != 0 && (best == 0 || found < best))
			best = found;
	}
	return best;
}

bool domains_hold(const struct domains *domains, struct slice address)
{
	char lower[DOMAIN_MAX + 1];
	ptrdiff_t at = slice_rchr(address, '@');
	struct slice domain = at < 0 ? SLICE("localhost") : slice_from(address, (size_t)at + 1);

	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n == 0 || domain.n > DOMAIN_MAX || address.n == 0)
		return false;
	for (size_t i = 0; i < domain.n; i++)
		lower[i] = g_ascii_tolower(domain.p[i]);
	lower[domain.n] = '\0';
	for (guint i = 0; i < domains->lists->len; i++) {
		guint found = list_find(domains->lists->pdata[i], lower);
		bool denied = (found & 1) != 0;
		if (found != 0 && (!denied || i == 0))
			return !denied;
	}
	return false;
}
