#include "daemon/inbound.h"

#include <string.h>

#include "daemon/postconf.h"

#define SENDMAIL_CF "/etc/mail/sendmail.cf"
#define NESTING_MAX 4 /* files that name files */

struct reading {
	struct domains *domains;
	GPtrArray *unread;
	const char *what; /* whose words these are, such as "mydestination" */
	unsigned depth;
	struct error *err;
};

static void note_unread(struct reading *reading, struct slice word)
{
	g_ptr_array_add(
	        reading->unread, g_strdup_printf("%s = %.*s", reading->what, SLICE_ARG(word)));
}

/* ---- lists as Postfix has them (util/match_list.c) ---- */

/* The next word; what stands in braces is one, blanks and all. */
static bool next_word(struct slice *text, struct slice *word_r)
{
	size_t n = 0;
	int braces = 0;

	while (text->n > 0 && strchr(" \t\r\n,", *text->p) != NULL)
		*text = slice_from(*text, 1);
	for (; n < text->n; n++) {
		char c = text->p[n];
		braces += c == '{' ? 1 : c == '}' && braces > 0 ? -1 : 0;
		if (braces == 0 && strchr(" \t\r\n,", c) != NULL)
			break;
	}
	*word_r = slice_head(*text, n);
	*text = slice_from(*text, n);
	return n > 0;
}

static int read_words(
        struct reading *reading, struct slice text, enum domains_mode mode, bool deny);

/* Comments end with their line. */
static void strip_comments(char *text)
{
	for (char *p = strchr(text, '#'); p != NULL; p = strchr(p, '#'))
		while (*p != '\0' && *p != '\n')
			*p++ = ' ';
}

static int read_file(struct reading *reading, const char *path, enum domains_mode mode, bool deny)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	struct reading inner = *reading;

	if (++inner.depth > NESTING_MAX)
		return error_config(reading->err, "%s: files of domains name each other", path);
	if (!g_file_get_contents(path, &text, NULL, &error))
		return error_config_file(reading->err, NULL, error);
	strip_comments(text);
	inner.what = path;
	return read_words(&inner, slice_str(text), mode, deny);
}

static int read_word(struct reading *reading, struct slice word, enum domains_mode mode, bool deny)
{
	struct error why = {0};

	while (slice_skip(&word, SLICE("!")))
		deny = !deny;
	if (word.n > 0 && word.p[0] == '/') {
		g_autofree char *path = slice_dup(word);
		return read_file(reading, path, mode, deny);
	}
	/* Tables (hash:/etc/postfix/relay), macros of Sendmail and the like: not guessed. */
	if (domains_add(reading->domains, word, mode, deny, &why) < 0)
		note_unread(reading, word);
	return 0;
}

static int read_words(struct reading *reading, struct slice text, enum domains_mode mode, bool deny)
{
	struct slice word;

	while (next_word(&text, &word))
		if (read_word(reading, word, mode, deny) < 0)
			return -1;
	return 0;
}

/* ---- Postfix ---- */

/* Parameters that name the domains that Postfix takes mail for, and how it compares them
 * (global/resolve_local.c, trivial-rewrite/resolve.c, smtpd/smtpd_check.c). */
static const struct {
	const char *name;
	enum domains_mode mode;
} parameters[] = {{"mydestination", DOMAINS_EXACT}, {"virtual_alias_domains", DOMAINS_EXACT},
        {"virtual_mailbox_domains", DOMAINS_EXACT}, {"relay_domains", DOMAINS_DOTTED}};

#define PARENTS "parent_domain_matches_subdomains"

/* Whether "example.com" in relay_domains holds for a.example.com, too. */
static bool has_parents(const char *list)
{
	struct slice rest = slice_str(list != NULL ? list : ""), word;

	while (next_word(&rest, &word))
		if (slice_eq(word, SLICE("relay_domains")))
			return true;
	return false;
}

static int read_postfix(struct reading *reading, const char *dir)
{
	const char *names[G_N_ELEMENTS(parameters) + 2] = {PARENTS};

	for (size_t i = 0; i < G_N_ELEMENTS(parameters); i++)
		names[i + 1] = parameters[i].name;
	g_autoptr(GHashTable) values = postconf_read(dir, names, reading->err);
	if (values == NULL)
		return -1;
	bool parents = has_parents(g_hash_table_lookup(values, PARENTS));
	for (size_t i = 0; i < G_N_ELEMENTS(parameters); i++) {
		const char *value = g_hash_table_lookup(values, parameters[i].name);
		enum domains_mode mode = parameters[i].mode;
		if (value == NULL)
			continue;
		reading->what = parameters[i].name;
		domains_list(reading->domains);
		if (read_words(reading, slice_str(value),
		            mode == DOMAINS_DOTTED && parents ? DOMAINS_PARENTS : mode, false) < 0)
			return -1;
	}
	return 0;
}

/* ---- Sendmail ---- */

/* Classes of sendmail.cf: own names, hosts to relay for, domains of virtusertable. */
static const struct {
	const char *name, *what;
	enum domains_mode mode;
} classes[] = {{"w", "class w", DOMAINS_EXACT}, {"R", "class R", DOMAINS_PARENTS},
        {"VirtHost", "class VirtHost", DOMAINS_EXACT}};

/* The class that "w…" or "{VirtHost}…" names: its row, with the rest in *rest; -1 = another. */
static int find_class(struct slice *rest)
{
	struct slice name = slice_head(*rest, MIN(rest->n, 1));

	if (slice_skip(rest, SLICE("{")))
		name = slice_cut(rest, '}');
	else
		*rest = slice_from(*rest, name.n);
	for (int i = 0; i < (int)G_N_ELEMENTS(classes); i++)
		if (slice_eq(name, slice_str(classes[i].name)))
			return i;
	return -1;
}

/* "Fw-o /etc/mail/local-host-names %[^\#]": with -o the file may be absent. What comes from a
 * program ("|") or a map ("@", ":") is no list. */
static int read_class_file(struct reading *reading, struct slice rest, enum domains_mode mode)
{
	bool optional = slice_skip(&rest, SLICE("-o"));
	struct slice word;

	if (!next_word(&rest, &word))
		return 0;
	if (word.p[0] != '/') {
		note_unread(reading, word);
		return 0;
	}
	g_autofree char *path = slice_dup(word);
	if (optional && !g_file_test(path, G_FILE_TEST_EXISTS))
		return 0;
	return read_file(reading, path, mode, false);
}

static int read_class(struct reading *reading, struct slice line)
{
	struct slice rest = slice_from(line, 1);
	int class = find_class(&rest);

	if (class < 0)
		return 0;
	reading->what = classes[class].what;
	domains_list(reading->domains);
	if (line.p[0] == 'C')
		return read_words(reading, rest, classes[class].mode, false);
	return read_class_file(reading, rest, classes[class].mode);
}

/* Sendmail adds the names that it finds the host to have to class w. */
static void read_host(struct reading *reading)
{
	const char *host = g_get_host_name();

	domains_list(reading->domains);
	domains_add(reading->domains, slice_str(host), DOMAINS_EXACT, false, NULL);
	domains_add(reading->domains, SLICE("localhost"), DOMAINS_EXACT, false, NULL);
}

static int read_sendmail(struct reading *reading, const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	gsize n = 0;

	if (!g_file_get_contents(path, &text, &n, &error))
		return error_config_file(reading->err, NULL, error);
	read_host(reading);
	for (struct slice rest = slice_make(text, n); rest.n > 0;) {
		struct slice line = slice_cut(&rest, '\n');
		if (line.n > 1 && (line.p[0] == 'C' || line.p[0] == 'F') &&
		        read_class(reading, line) < 0)
			return -1;
	}
	return 0;
}

/* ---- the key ---- */

/* "postfix" or "postfix:DIR"; *where_r: DIR or NULL, to be freed. */
static bool is_source(struct slice word, struct slice name, char **where_r)
{
	*where_r = NULL;
	if (!slice_skip(&word, name) || (word.n > 0 && word.p[0] != ':'))
		return false;
	if (word.n > 1)
		*where_r = slice_dup(slice_from(word, 1));
	return true;
}

static int read_key_word(struct reading *reading, struct slice word, bool sources)
{
	g_autofree char *dir = NULL, *file = NULL;

	if (is_source(word, SLICE("postfix"), &dir))
		return sources ? read_postfix(reading, dir) : 0;
	if (is_source(word, SLICE("sendmail"), &file))
		return sources ? read_sendmail(reading, file != NULL ? file : SENDMAIL_CF) : 0;
	reading->what = "relay_domains";
	return sources ? 0 : read_word(reading, word, DOMAINS_DOTTED, false);
}

/* The user's own words make the first list, which goes before what an MTA says. */
static int read_key(struct reading *reading, const char *text)
{
	struct slice word;

	domains_list(reading->domains);
	for (int sources = 0; sources <= 1; sources++)
		for (struct slice rest = slice_str(text); next_word(&rest, &word);)
			if (read_key_word(reading, word, sources) < 0)
				return -1;
	return 0;
}

int inbound_read(const char *text, struct domains **domains_r, GPtrArray *unread, struct error *err)
{
	struct error why = {0};
	struct reading reading = {.unread = unread, .err = &why};

	*domains_r = NULL;
	if (text == NULL)
		return 0;
	reading.domains = domains_new();
	if (read_key(&reading, text) < 0) {
		domains_free(&reading.domains);
		return why.config ? error_config(err, "relay_domains: %s", why.text)
		                  : error_set(err, "relay_domains: %s", why.text);
	}
	*domains_r = reading.domains;
	return 0;
}
