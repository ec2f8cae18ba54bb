#include "query/access.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

const struct access access_all = {.grants = GRANT_ALL, .who = "this process"};
const struct access access_none = {0};

/* Who is not in the table, and who is where there is no table. */
static const struct access access_nothing = {.who = "a user"};
static const struct access access_reader = {.grants = GRANT_READ, .who = "a user"};

static const struct {
	const char *name;
	enum grant grant;
} grant_names[] = {
        {"read", GRANT_READ},
        {"ingest", GRANT_INGEST},
        {"upload", GRANT_UPLOAD},
};

/* --- words --- */

/* What makes one word of a list what we store, in place; NULL, or what would have been right. */
typedef const char *word_check(char *word);

static const char *word_domain(char *word)
{
	for (char *p = word; *p != '\0'; p++) {
		*p = g_ascii_tolower(*p);
		if (strchr("@*/:\"'\\;<>", *p) != NULL || (unsigned char)*p <= ' ')
			return "a domain such as example.com";
	}
	return g_utf8_validate(word, -1, NULL) ? NULL : "a domain such as example.com";
}

static const char *word_subaccount(char *word)
{
	char *end;
	guint64 number = g_ascii_strtoull(word, &end, 10);

	if (!g_ascii_isdigit(*word) || *end != '\0' || number > G_MAXINT32)
		return "a number from 0 to 2147483647";
	/* Without zeros in front, as events carry it; that is never longer. */
	g_snprintf(word, strlen(word) + 1, "%" G_GUINT64_FORMAT, number);
	return NULL;
}

/* The words of a list, each checked; NULL with *err. */
static char **words_read(const char *list, const char *what, word_check *check, struct error *err)
{
	g_auto(GStrv) words = g_strsplit_set(list, " \t,", -1);
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);

	for (char **word = words; *word != NULL; word++) {
		if (**word == '\0')
			continue;
		const char *wanted = check(*word);
		if (wanted != NULL) {
			error_config(err, "%s: %s: must be %s", what, *word, wanted);
			g_ptr_array_free(found, TRUE);
			return NULL;
		}
		g_ptr_array_add(found, g_strdup(*word));
	}
	if (found->len == 0) {
		error_config(err, "%s: names nothing", what);
		g_ptr_array_free(found, TRUE);
		return NULL;
	}
	g_ptr_array_add(found, NULL);
	return (char **)g_ptr_array_free(found, FALSE);
}

static const char *word_grant(char *word)
{
	for (size_t i = 0; i < G_N_ELEMENTS(grant_names); i++)
		if (strcmp(grant_names[i].name, word) == 0)
			return NULL;
	return "one of: read ingest upload";
}

static int grants_read(const char *list, unsigned *grants_r, struct error *err)
{
	g_auto(GStrv) words = words_read(list, "grants", word_grant, err);

	*grants_r = 0;
	for (char **word = words; word != NULL && *word != NULL; word++)
		for (size_t i = 0; i < G_N_ELEMENTS(grant_names); i++)
			if (strcmp(grant_names[i].name, *word) == 0)
				*grants_r |= grant_names[i].grant;
	return words != NULL ? 0 : -1;
}

void access_grant_names(GString *out, unsigned grants, const char *between)
{
	const char *before = "";

	for (size_t i = 0; i < G_N_ELEMENTS(grant_names); i++)
		if (grants & grant_names[i].grant) {
			g_string_append_printf(out, "%s%s", before, grant_names[i].name);
			before = between;
		}
}

/* --- making and narrowing --- */

static const char *const *scope_list(char **words)
{
	return (const char *const *)words;
}

struct access *access_new(const struct access_words *words, const char *who, struct error *err)
{
	struct access *access = g_new0(struct access, 1);
	int result = grants_read(words->grants, &access->grants, err);

	access->who = g_strdup(who);
	if (result == 0 && words->subaccounts != NULL) {
		access->scope.subaccounts = scope_list(
		        words_read(words->subaccounts, "subaccounts", word_subaccount, err));
		result = access->scope.subaccounts != NULL ? 0 : -1;
	}
	if (result == 0 && words->domains != NULL) {
		access->scope.domains =
		        scope_list(words_read(words->domains, "domains", word_domain, err));
		result = access->scope.domains != NULL ? 0 : -1;
	}
	if (result < 0)
		g_clear_pointer(&access, access_free);
	return access;
}

void access_free(struct access *access)
{
	if (access == NULL)
		return;
	g_strfreev((char **)access->scope.subaccounts);
	g_strfreev((char **)access->scope.domains);
	g_free((char *)access->who);
	g_free(access);
}

/* What is in both; an empty list where there is nothing. */
static const char *const *list_narrow(const char *const *a, const char *const *b)
{
	if (a == NULL || b == NULL)
		return scope_list(g_strdupv((char **)(a != NULL ? a : b)));
	GPtrArray *common = g_ptr_array_new();
	for (; *a != NULL; a++)
		if (g_strv_contains(b, *a))
			g_ptr_array_add(common, g_strdup(*a));
	g_ptr_array_add(common, NULL);
	return scope_list((char **)g_ptr_array_free(common, FALSE));
}

struct access *access_narrow(const struct access *a, const struct access *b)
{
	struct access *access = g_new0(struct access, 1);

	access->grants = a->grants & b->grants;
	access->scope.subaccounts = list_narrow(a->scope.subaccounts, b->scope.subaccounts);
	access->scope.domains = list_narrow(a->scope.domains, b->scope.domains);
	access->who = g_strdup(b->who);
	return access;
}

/* --- the table --- */

struct table_row {
	bool anybody;
	GArray *users;  /* uid_t */
	GArray *groups; /* gid_t */
	struct access *access;
};

struct access_table {
	size_t n;
	struct table_row row[];
};

static bool number_read(const char *word, int64_t *number_r)
{
	return slice_int(slice_str(word), number_r) && *number_r >= 0 &&
	       *number_r < (int64_t)(uid_t)-1;
}

static int users_read(struct table_row *row, const char *list, struct error *err)
{
	g_auto(GStrv) words = g_strsplit_set(list, " \t,", -1);

	for (char **word = words; *word != NULL; word++) {
		const struct passwd *user = getpwnam(*word);
		int64_t number = 0;

		if (strcmp(*word, "*") == 0)
			row->anybody = true;
		else if (**word != '\0' && user == NULL && !number_read(*word, &number))
			return error_config(err, "users: no such user: %s", *word);
		uid_t uid = user != NULL ? user->pw_uid : (uid_t)number;
		if (**word != '\0' && **word != '*')
			g_array_append_val(row->users, uid);
	}
	return 0;
}

static int groups_read(struct table_row *row, const char *list, struct error *err)
{
	g_auto(GStrv) words = g_strsplit_set(list, " \t,", -1);

	for (char **word = words; *word != NULL; word++) {
		const struct group *group = getgrnam(*word);
		int64_t number = 0;

		if (**word == '\0')
			continue;
		if (group == NULL && !number_read(*word, &number))
			return error_config(err, "groups: no such group: %s", *word);
		gid_t gid = group != NULL ? group->gr_gid : (gid_t)number;
		g_array_append_val(row->groups, gid);
	}
	return 0;
}

static int row_read(struct table_row *row, const struct access_row *from, struct error *err)
{
	g_autofree char *who = g_strdup_printf("access %s", from->name);

	row->users = g_array_new(FALSE, FALSE, sizeof(uid_t));
	row->groups = g_array_new(FALSE, FALSE, sizeof(gid_t));
	if ((from->users != NULL && users_read(row, from->users, err) < 0) ||
	        (from->groups != NULL && groups_read(row, from->groups, err) < 0))
		return -1;
	if (!row->anybody && row->users->len == 0 && row->groups->len == 0)
		return error_config(err, "needs users= or groups=");
	row->access = access_new(&from->words, who, err);
	return row->access != NULL ? 0 : -1;
}

struct access_table *access_table_new(const struct access_row *rows, size_t n, struct error *err)
{
	struct access_table *table = g_malloc0(sizeof(*table) + n * sizeof(table->row[0]));
	struct error cause = {0};

	for (size_t i = 0; i < n && table != NULL; i++) {
		table->n = i + 1;
		if (row_read(&table->row[i], &rows[i], &cause) == 0)
			continue;
		error_config(err, "[access %s] %s", rows[i].name, cause.text);
		access_table_free(&table);
	}
	return table;
}

void access_table_free(struct access_table **table)
{
	if (*table == NULL)
		return;
	for (size_t i = 0; i < (*table)->n; i++) {
		struct table_row *row = &(*table)->row[i];

		g_array_unref(row->users);
		g_array_unref(row->groups);
		access_free(row->access);
	}
	g_clear_pointer(table, g_free);
}

static bool row_names(const struct table_row *row, const struct access_peer *peer)
{
	for (guint i = 0; i < row->users->len; i++)
		if (g_array_index(row->users, uid_t, i) == peer->uid)
			return true;
	for (guint i = 0; i < row->groups->len; i++)
		for (size_t k = 0; k < peer->n; k++)
			if (g_array_index(row->groups, gid_t, i) == peer->groups[k])
				return true;
	return row->anybody;
}

const struct access *access_of_peer(
        const struct access_table *table, const struct access_peer *peer)
{
	if (peer->uid == 0 || peer->uid == geteuid())
		return &access_all;
	if (table == NULL)
		return &access_reader;
	for (size_t i = 0; i < table->n; i++)
		if (row_names(&table->row[i], peer))
			return table->row[i].access;
	return &access_nothing;
}
