#include "daemon/config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_url.h"

#define CONFIG_PATH PW_SYSCONFDIR "/postwake/postwake.conf"

enum config_type {
	CONFIG_TEXT,
	CONFIG_CHOICE, /* one of the words of `range` */
	CONFIG_NUMBER, /* decimal, low to high */
	CONFIG_MODE,   /* octal file mode */
	CONFIG_SWITCH, /* yes or no */
};

struct config_key {
	const char *group; /* also of a kind: a group that may stand there many times */
	const char *key;
	enum config_type type;
	size_t offset;
	const char *fallback; /* NULL = stays NULL */
	const char *range;    /* CHOICE: words; NUMBER: "LOW HIGH" */
};

#define IN(member) offsetof(struct config, member)
#define OF(member) offsetof(struct config_source, member)
#define ACCESS(member) offsetof(struct config_access, member)
#define UP(member) offsetof(struct config_upload, member)

/* Groups [GROUP NAME]: each makes a struct whose first member is its name. */
static const struct config_kind {
	const char *group;
	size_t size;
	size_t list; /* of the GPtrArray in struct config */
} config_kinds[] = {
        {"source", sizeof(struct config_source), IN(sources)},
        {"access", sizeof(struct config_access), IN(accesses)},
        {"upload", sizeof(struct config_upload), IN(uploads)},
};

static const struct config_key config_keys[] = {
        {"postwake", "store", CONFIG_TEXT, IN(store), PW_LOCALSTATEDIR "/lib/postwake", NULL},
        {"postwake", "user", CONFIG_TEXT, IN(user), NULL, NULL},
        {"postwake", "keep_days", CONFIG_NUMBER, IN(keep_days), "10", "0 36500"},
        {"postwake", "max_size", CONFIG_NUMBER, IN(max_size), "0", "0 1000000000"},
        {"postwake", "pseudonymise", CONFIG_SWITCH, IN(pseudonymise), "no", NULL},
        {"postwake", "node", CONFIG_TEXT, IN(node), NULL, NULL},
        {"postwake", "customer_id", CONFIG_TEXT, IN(customer_id), "1", NULL},
        {"postwake", "subaccount_id", CONFIG_TEXT, IN(subaccount_id), "0", NULL},
        {"postwake", "internal_relays", CONFIG_TEXT, IN(internal_relays), NULL, NULL},
        {"postwake", "sending_ips", CONFIG_TEXT, IN(sending_ips), NULL, NULL},
        {"postwake", "relay_domains", CONFIG_TEXT, IN(relay_domains), NULL, NULL},
        {"postwake", "follow", CONFIG_CHOICE, IN(follow), "auto", "auto none"},
        {"postwake", "log", CONFIG_CHOICE, IN(log), "stderr", "stderr syslog"},
        {"postwake", "debug", CONFIG_SWITCH, IN(debug), "no", NULL},

        {"milter", "enabled", CONFIG_SWITCH, IN(milter), "yes", NULL},
        {"milter", "socket", CONFIG_TEXT, IN(milter_socket),
                "unix:/var/spool/postfix/postwake/milter.sock", NULL},
        {"milter", "group", CONFIG_TEXT, IN(milter_group), "postfix", NULL},
        {"milter", "mode", CONFIG_MODE, IN(milter_mode), "0660", NULL},
        {"milter", "on_failure", CONFIG_CHOICE, IN(milter_on_failure), "accept", "accept tempfail"},
        {"milter", "commit_timeout", CONFIG_NUMBER, IN(milter_commit_timeout), "2000", "10 60000"},
        {"milter", "instance", CONFIG_TEXT, IN(milter_instance), NULL, NULL},
        {"milter", "remove_header", CONFIG_SWITCH, IN(milter_remove_header), "no", NULL},
        {"milter", "header_map", CONFIG_TEXT, IN(milter_header_map), NULL, NULL},
        {"milter", "reports", CONFIG_SWITCH, IN(milter_reports), "no", NULL},
        {"milter", "postfix_config", CONFIG_TEXT, IN(milter_postfix_config), NULL, NULL},
        {"milter", "check_postfix", CONFIG_SWITCH, IN(milter_check_postfix), "yes", NULL},

        {"query", "socket", CONFIG_TEXT, IN(query_socket), PW_RUNSTATEDIR "/postwake/query.sock",
                NULL},
        {"query", "group", CONFIG_TEXT, IN(query_group), NULL, NULL},
        {"query", "mode", CONFIG_MODE, IN(query_mode), "0660", NULL},
        {"query", "threads", CONFIG_NUMBER, IN(query_threads), "4", "1 64"},
        {"query", "default_window", CONFIG_NUMBER, IN(query_window), "1440", "1 5256000"},

        {"query", "ingest_max_age", CONFIG_NUMBER, IN(ingest_max_age), "1440", "0 5256000"},
        {"query", "ingest_max_size", CONFIG_NUMBER, IN(ingest_max_size), "1024", "8 1048576"},

        {"query", "report_users", CONFIG_TEXT, IN(report_users), NULL, NULL},

        {"query", "socket_keys", CONFIG_CHOICE, IN(query_socket_keys), "ignored",
                "ignored required"},
        {"query", "key_rate", CONFIG_NUMBER, IN(query_key_rate), "600", "0 1000000"},
        {"query", "key_burst", CONFIG_NUMBER, IN(query_key_burst), "100", "1 1000000"},

        {"listen", "port", CONFIG_NUMBER, IN(listen_port), "0", "0 65535"},
        {"listen", "address", CONFIG_TEXT, IN(listen_address), "127.0.0.1", NULL},
        {"listen", "certificate", CONFIG_TEXT, IN(listen_certificate), NULL, NULL},
        {"listen", "key", CONFIG_TEXT, IN(listen_key), NULL, NULL},
        {"listen", "insecure", CONFIG_SWITCH, IN(listen_insecure), "no", NULL},

        {"geoip", "database", CONFIG_TEXT, IN(geoip), NULL, NULL},

        {"report", "verp", CONFIG_TEXT, IN(report_verp), NULL, NULL},
        {"report", "unsubscribe", CONFIG_TEXT, IN(report_unsubscribe), NULL, NULL},
        {"report", "feedback", CONFIG_TEXT, IN(report_feedback), NULL, NULL},
        {"report", "keep_reports", CONFIG_SWITCH, IN(report_keep), "no", NULL},

        {"classify", "bounce_rules", CONFIG_TEXT, IN(bounce_rules), NULL, NULL},
        {"classify", "reason_rules", CONFIG_TEXT, IN(reason_rules), NULL, NULL},

        {"source", "file", CONFIG_TEXT, OF(file), NULL, NULL},
        {"source", "rotated", CONFIG_TEXT, OF(rotated), NULL, NULL},
        {"source", "journal", CONFIG_TEXT, OF(journal), NULL, NULL},
        {"source", "users", CONFIG_TEXT, OF(users), NULL, NULL},
        {"source", "unchecked", CONFIG_SWITCH, OF(unchecked), "no", NULL},
        {"source", "zone", CONFIG_TEXT, OF(zone), NULL, NULL},
        {"source", "node", CONFIG_TEXT, OF(node), NULL, NULL},
        {"source", "instance", CONFIG_TEXT, OF(instance), NULL, NULL},
        {"source", "from_start", CONFIG_SWITCH, OF(from_start), "yes", NULL},

        {"access", "users", CONFIG_TEXT, ACCESS(users), NULL, NULL},
        {"access", "groups", CONFIG_TEXT, ACCESS(groups), NULL, NULL},
        {"access", "grants", CONFIG_TEXT, ACCESS(grants), "read", NULL},
        {"access", "domains", CONFIG_TEXT, ACCESS(domains), NULL, NULL},
        {"access", "subaccounts", CONFIG_TEXT, ACCESS(subaccounts), NULL, NULL},

        {"upload", "url", CONFIG_TEXT, UP(url), "https://api.sparkpost.com", NULL},
        {"upload", "kind", CONFIG_CHOICE, UP(kind), "sparkpost", "sparkpost postwake"},
        {"upload", "key_file", CONFIG_TEXT, UP(key_file), NULL, NULL},
        {"upload", "ca_file", CONFIG_TEXT, UP(ca_file), NULL, NULL},
        {"upload", "proxy", CONFIG_TEXT, UP(proxy), NULL, NULL},
        {"upload", "events", CONFIG_TEXT, UP(events), NULL, NULL},
        {"upload", "domains", CONFIG_TEXT, UP(domains), NULL, NULL},
        {"upload", "subaccounts", CONFIG_TEXT, UP(subaccounts), NULL, NULL},
        {"upload", "privacy", CONFIG_SWITCH, UP(privacy), "no", NULL},
        {"upload", "from_start", CONFIG_SWITCH, UP(from_start), "yes", NULL},
        {"upload", "outbox_max", CONFIG_NUMBER, UP(outbox_max), "100", "10 1000000"},
        {"upload", "bandwidth", CONFIG_NUMBER, UP(bandwidth), "0", "0 10000000"},
        {"upload", "timeout", CONFIG_NUMBER, UP(timeout), "60", "1 3600"},
        {"upload", "interval", CONFIG_NUMBER, UP(interval), "10", "0 3600"},
        {"upload", "poll", CONFIG_NUMBER, UP(poll), "15", "1 3600"},
};

static bool config_word_in(const char *words, const char *word)
{
	g_auto(GStrv) each = g_strsplit(words, " ", -1);

	return g_strv_contains((const gchar *const *)each, word);
}

static bool config_number(const char *text, int base, gint64 low, gint64 high, int *value_r)
{
	char *end;
	gint64 value = g_ascii_strtoll(text, &end, (guint)base);

	if (end == text || *end != '\0' || value < low || value > high)
		return false;
	*value_r = (int)value;
	return true;
}

static bool config_switch(const char *text, bool *value_r)
{
	*value_r = strcmp(text, "yes") == 0;
	return *value_r || strcmp(text, "no") == 0;
}

/* Puts the text of one key to its place. NULL, or what would have been right. */
static char *config_put(const struct config_key *key, void *target, const char *text)
{
	void *place = (char *)target + key->offset;
	int low = 0, high = 07777;

	switch (key->type) {
	case CONFIG_CHOICE:
		if (!config_word_in(key->range, text))
			return g_strdup_printf("one of: %s", key->range);
		/* fall through */
	case CONFIG_TEXT:
		g_free(*(char **)place);
		*(char **)place = *text != '\0' ? g_strdup(text) : NULL;
		return NULL;
	case CONFIG_NUMBER:
		sscanf(key->range, "%d %d", &low, &high);
		if (!config_number(text, 10, low, high, place))
			return g_strdup_printf("a number from %d to %d", low, high);
		return NULL;
	case CONFIG_MODE:
		if (!config_number(text, 8, 0, 07777, place))
			return g_strdup("a file mode in octal, such as 0660");
		return NULL;
	case CONFIG_SWITCH:
		return config_switch(text, place) ? NULL : g_strdup("yes or no");
	}
	return NULL;
}

static const struct config_key *config_find(const char *group, const char *key)
{
	for (size_t i = 0; i < G_N_ELEMENTS(config_keys); i++)
		if (g_strcmp0(config_keys[i].group, group) == 0 &&
		        strcmp(config_keys[i].key, key) == 0)
			return &config_keys[i];
	return NULL;
}

/* The kind of a group's first word; NULL for a group that stands there once. */
static const struct config_kind *config_kind_of(const char *group, size_t n)
{
	for (size_t i = 0; i < G_N_ELEMENTS(config_kinds); i++)
		if (strlen(config_kinds[i].group) == n &&
		        strncmp(config_kinds[i].group, group, n) == 0)
			return &config_kinds[i];
	return NULL;
}

static const struct config_kind *config_kind_of_key(const struct config_key *key)
{
	return config_kind_of(key->group, strlen(key->group));
}

/* kind: NULL = of the groups that stand there once. */
static void config_defaults(const struct config_kind *kind, void *target)
{
	for (size_t i = 0; i < G_N_ELEMENTS(config_keys); i++)
		if (config_keys[i].fallback != NULL && config_kind_of_key(&config_keys[i]) == kind)
			g_free(config_put(&config_keys[i], target, config_keys[i].fallback));
}

static void config_free_texts(const struct config_kind *kind, void *target)
{
	for (size_t i = 0; i < G_N_ELEMENTS(config_keys); i++)
		if (config_keys[i].type <= CONFIG_CHOICE &&
		        config_kind_of_key(&config_keys[i]) == kind)
			g_free(*(char **)((char *)target + config_keys[i].offset));
}

static GPtrArray **config_list(struct config *config, const struct config_kind *kind)
{
	return (GPtrArray **)(void *)((char *)config + kind->list);
}

static bool config_group_is_known(const char *group)
{
	if (config_kind_of(group, strlen(group)) != NULL)
		return false; /* without a name */
	for (size_t i = 0; i < G_N_ELEMENTS(config_keys); i++)
		if (strcmp(config_keys[i].group, group) == 0)
			return true;
	return false;
}

static void *config_add(struct config *config, const struct config_kind *kind, const char *name)
{
	void *one = g_malloc0(kind->size);

	*(char **)one = g_strdup(name);
	config_defaults(kind, one);
	g_ptr_array_add(*config_list(config, kind), one);
	return one;
}

static int config_keys_of(struct config *config, GKeyFile *file, const char *group,
        const char *table, void *target, struct error *err)
{
	g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);

	for (char **key = keys; key != NULL && *key != NULL; key++) {
		const struct config_key *row = config_find(table, *key);
		if (row == NULL)
			return error_config(err, "%s: [%s] %s: no such key (see postwake.conf(5))",
			        config->path, group, *key);
		g_autofree char *text = g_key_file_get_string(file, group, *key, NULL);
		g_autofree char *wanted = config_put(row, target, text != NULL ? text : "");
		if (wanted != NULL)
			return error_config(err, "%s: [%s] %s = %s: must be %s", config->path,
			        group, *key, text, wanted);
	}
	return 0;
}

static int config_group(struct config *config, GKeyFile *file, const char *group, struct error *err)
{
	const char *blank = strchr(group, ' ');
	const struct config_kind *kind =
	        blank != NULL ? config_kind_of(group, (size_t)(blank - group)) : NULL;

	if (kind != NULL)
		return config_keys_of(
		        config, file, group, kind->group, config_add(config, kind, blank + 1), err);
	if (config_group_is_known(group))
		return config_keys_of(config, file, group, group, config, err);
	return error_config(
	        err, "%s: [%s]: no such group (see postwake.conf(5))", config->path, group);
}

/* Two sources would tell the same facts twice when one instance is read from a file and from the
 * journal: they carry different time stamps, so that not all of it would be known as the same. */
static int config_check_sources(const struct config *config, struct error *err)
{
	for (guint i = 0; i < config->sources->len; i++) {
		const struct config_source *a = config->sources->pdata[i];
		if ((a->file == NULL) == (a->journal == NULL))
			return error_config(err,
			        "%s: [source %s]: needs either file= or journal=", config->path,
			        a->name);
		for (guint k = 0; k < i; k++) {
			const struct config_source *b = config->sources->pdata[k];
			if ((a->file == NULL) != (b->file == NULL) &&
			        g_strcmp0(a->instance, b->instance) == 0)
				return error_config(err,
				        "%s: [source %s] and [source %s]: a file and the journal "
				        "of one "
				        "instance would be read twice; drop one, or give both an "
				        "instance=",
				        config->path, b->name, a->name);
		}
	}
	return 0;
}

static int config_check_uploads(const struct config *config, struct error *err)
{
	for (guint i = 0; i < config->uploads->len; i++) {
		struct config_upload *upload = config->uploads->pdata[i];
		const char *wrong = config_check_url(&upload->url);
		if (wrong != NULL)
			return error_config(err, "%s: [upload %s] url = %s: %s", config->path,
			        upload->name, upload->url != NULL ? upload->url : "", wrong);
		if (upload->privacy && config->pseudonymise)
			return error_config(err,
			        "%s: [upload %s] privacy = yes: rcpt_hash is made of the address, "
			        "which pseudonymise = yes does not keep; leave privacy out, what "
			        "is "
			        "sent holds pseudonyms anyway",
			        config->path, upload->name);
		if (upload->key_file == NULL && strcmp(upload->kind, "sparkpost") == 0)
			return error_config(err, "%s: [upload %s]: needs key_file=", config->path,
			        upload->name);
	}
	return 0;
}

/* Where no source is named: the log file of Debian up to 11 or of rsyslog, else the journal. */
static void config_follow_usual(struct config *config)
{
	static const char *const usual[] = {"/var/log/mail.log", "/var/log/maillog"};
	const struct config_kind *kind = &config_kinds[0];
	struct config_source *source;

	for (size_t i = 0; i < G_N_ELEMENTS(usual); i++)
		if (g_file_test(usual[i], G_FILE_TEST_EXISTS)) {
			source = config_add(config, kind, "maillog");
			source->file = g_strdup(usual[i]);
			return;
		}
	source = config_add(config, kind, "journal");
	source->journal = g_strdup("system");
}

static int config_read(struct config *config, GKeyFile *file, struct error *err)
{
	g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);

	for (char **group = groups; *group != NULL; group++)
		if (config_group(config, file, *group, err) < 0)
			return -1;
	return config_check_sources(config, err) < 0 ? -1 : config_check_uploads(config, err);
}

int config_load(struct config **config_r, const char *path, struct error *err)
{
	struct config *config = g_new0(struct config, 1);
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) error = NULL;
	int result = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(config_kinds); i++)
		*config_list(config, &config_kinds[i]) = g_ptr_array_new();
	config_defaults(NULL, config);
	config->path = g_strdup(path != NULL ? path : CONFIG_PATH);
	if (g_key_file_load_from_file(file, config->path, G_KEY_FILE_NONE, &error))
		result = config_read(config, file, err);
	else if (path != NULL || !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
		result = error_config_file(err, config->path, error);
	if (result == 0 && config->sources->len == 0 && strcmp(config->follow, "auto") == 0)
		config_follow_usual(config);
	if (result < 0)
		config_free(&config);
	*config_r = config;
	return result;
}

static void config_free_kind(struct config *config, const struct config_kind *kind)
{
	GPtrArray *list = *config_list(config, kind);

	for (guint i = 0; i < list->len; i++) {
		config_free_texts(kind, list->pdata[i]);
		g_free(*(char **)list->pdata[i]);
		g_free(list->pdata[i]);
	}
	g_ptr_array_free(list, TRUE);
}

void config_free(struct config **config)
{
	struct config *c = *config;

	if (c == NULL)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(config_kinds); i++)
		config_free_kind(c, &config_kinds[i]);
	config_free_texts(NULL, c);
	g_free(c->path);
	g_clear_pointer(config, g_free);
}
