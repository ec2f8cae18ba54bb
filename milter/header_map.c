#include "milter/header_map.h"

#include <string.h>

struct row;

/* How a header's value is read. */
struct target {
	const char *name; /* in the map's text; "meta." is a prefix */
	enum field field; /* FIELDS where it is none */
	void (*read)(struct attributes *attributes, const struct row *row, const char *name,
	        struct slice value, char *(*decode)(struct slice value));
};

struct row {
	char *header; /* lower case; a prefix without its * in header_map.prefixes */
	char *key;    /* of meta.KEY; NULL otherwise */
	const struct target *target;
};

struct header_map {
	GHashTable *rows;    /* header in lower case -> GPtrArray of struct row */
	GPtrArray *prefixes; /* struct row */
};

#define READ(NAME) \
	static void NAME(struct attributes *attributes, const struct row *row, const char *name, \
	        struct slice value, char *(*decode)(struct slice value))

READ(read_text)
{
	g_autofree char *text = decode(value);

	(void)name;
	attributes_text(attributes, row->target->field, slice_str(text));
}

READ(read_switch)
{
	int on = attributes_bool(value);

	(void)name;
	(void)decode;
	if (on >= 0)
		attributes_switch(attributes, row->target->field, on);
	else
		attributes->bad++;
}

READ(read_tag)
{
	g_autofree char *text = decode(value);

	(void)row;
	(void)name;
	attributes_tag(attributes, slice_str(text));
}

static void read_json_tags(struct attributes *attributes, struct slice value)
{
	json_t *json = attributes_json(attributes, value);
	size_t i;
	json_t *tag;

	json_array_foreach(json, i, tag)
	{
		if (json_is_string(tag))
			attributes_tag(attributes, slice_str(json_string_value(tag)));
		else
			attributes->bad++;
	}
	json_decref(json);
}

READ(read_tags)
{
	value = slice_trim(value);
	if (value.n > 0 && value.p[0] == '[') {
		read_json_tags(attributes, value);
		return;
	}
	g_autofree char *text = decode(value);
	struct slice rest = slice_str(text);

	(void)row;
	(void)name;
	while (rest.n > 0)
		attributes_tag(attributes, slice_cut(&rest, ','));
}

READ(read_meta_key)
{
	g_autofree char *text = decode(value);

	(void)name;
	attributes_meta_text(attributes, row->key, slice_str(text));
}

READ(read_meta_prefix)
{
	g_autofree char *text = decode(value);
	g_autofree char *key = g_ascii_strdown(name + strlen(row->header), -1);

	if (*key != '\0' && g_utf8_validate(key, -1, NULL))
		attributes_meta_text(attributes, key, slice_str(text));
	else
		attributes->bad++;
}

READ(read_meta_json)
{
	json_t *json = attributes_json(attributes, value);

	(void)row;
	(void)name;
	(void)decode;
	if (json_is_object(json))
		attributes_meta_json(attributes, json);
	else if (json != NULL)
		attributes->bad++;
	json_decref(json);
}

/* X-SES-MESSAGE-TAGS: campaign=book, flavour=sweet */
READ(read_pairs)
{
	g_autofree char *text = decode(value);
	struct slice rest = slice_str(text);

	(void)row;
	(void)name;
	while (rest.n > 0) {
		struct slice pair = slice_cut(&rest, ',');
		g_autofree char *key = slice_dup(slice_trim(slice_cut(&pair, '=')));

		if (*key != '\0')
			attributes_meta_text(attributes, key, pair);
		else
			attributes->bad++;
	}
}

/* X-MC-Track: opens, clicks_all. What is not named is off. */
READ(read_track)
{
	struct slice rest = value;
	bool opens = false, clicks = false;

	(void)row;
	(void)name;
	(void)decode;
	while (rest.n > 0) {
		struct slice word = slice_trim(slice_cut(&rest, ','));

		opens = opens || slice_eq_case(word, SLICE("opens"));
		clicks = clicks || slice_eq_case(slice_head(word, 6), SLICE("clicks"));
	}
	attributes_switch(attributes, FIELD_OPEN_TRACKING, opens);
	attributes_switch(attributes, FIELD_CLICK_TRACKING, clicks);
}

/* "filters": {"opentrack": {"settings": {"enable": 1}}} */
static void read_filter(
        struct attributes *attributes, const json_t *filters, const char *name, enum field field)
{
	const json_t *settings = json_object_get(json_object_get(filters, name), "settings");
	const json_t *enable = json_object_get(settings, "enable");

	if (json_is_integer(enable))
		attributes_switch(attributes, field, json_integer_value(enable) != 0);
	else if (json_is_string(enable))
		attributes_switch(attributes, field,
		        attributes_bool(slice_str(json_string_value(enable))) > 0);
}

READ(read_smtpapi)
{
	json_t *json = attributes_json(attributes, value);
	json_t *category = json_object_get(json, "category");
	json_t *arguments = json_object_get(json, "unique_args");
	const json_t *filters = json_object_get(json, "filters");
	size_t i;
	json_t *tag;

	(void)row;
	(void)name;
	(void)decode;
	if (json != NULL && !json_is_object(json))
		attributes->bad++;
	if (json_is_string(category))
		attributes_tag(attributes, slice_str(json_string_value(category)));
	json_array_foreach(category, i, tag)
	{
		if (json_is_string(tag))
			attributes_tag(attributes, slice_str(json_string_value(tag)));
	}
	if (json_is_object(arguments))
		attributes_meta_json(attributes, arguments);
	read_filter(attributes, filters, "opentrack", FIELD_OPEN_TRACKING);
	read_filter(attributes, filters, "clicktrack", FIELD_CLICK_TRACKING);
	json_decref(json);
}

static const struct target targets[] = {
        {"campaign_id", FIELD_CAMPAIGN_ID, read_text},
        {"template_id", FIELD_TEMPLATE_ID, read_text},
        {"template_version", FIELD_TEMPLATE_VERSION, read_text},
        {"transmission_id", FIELD_TRANSMISSION_ID, read_text},
        {"subaccount_id", FIELD_SUBACCOUNT_ID, read_text},
        {"ip_pool", FIELD_IP_POOL, read_text},
        {"ab_test_id", FIELD_AB_TEST_ID, read_text},
        {"ab_test_version", FIELD_AB_TEST_VERSION, read_text},
        {"open_tracking", FIELD_OPEN_TRACKING, read_switch},
        {"click_tracking", FIELD_CLICK_TRACKING, read_switch},
        {"transactional", FIELD_TRANSACTIONAL, read_switch},
        {"tag", FIELDS, read_tag},
        {"tags", FIELDS, read_tags},
        {"meta", FIELDS, read_meta_json},
        {"meta.*", FIELDS, read_meta_prefix},
        {"meta.", FIELDS, read_meta_key},
        {"pairs", FIELDS, read_pairs},
        {"track", FIELDS, read_track},
        {"smtpapi", FIELDS, read_smtpapi},
};

static const struct target *find_target(struct slice name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
		struct slice known = slice_str(targets[i].name);

		if (slice_eq(name, known) ||
		        (slice_ends(known, SLICE(".")) && slice_starts(name, known)))
			return &targets[i];
	}
	return NULL;
}

static void row_free(gpointer data)
{
	struct row *row = data;

	g_free(row->header);
	g_free(row->key);
	g_free(row);
}

static void add_row(struct header_map *map, struct row *row)
{
	size_t n = strlen(row->header);

	if (row->header[n - 1] == '*') {
		row->header[n - 1] = '\0';
		g_ptr_array_add(map->prefixes, row);
		return;
	}
	GPtrArray *rows = g_hash_table_lookup(map->rows, row->header);
	if (rows == NULL) {
		rows = g_ptr_array_new_with_free_func(row_free);
		g_hash_table_insert(map->rows, row->header, rows);
	}
	g_ptr_array_add(rows, row);
}

static int parse_row(struct header_map *map, struct slice text, struct error *err)
{
	struct slice target_name = text;
	struct slice header = slice_cut(&target_name, '=');
	const struct target *target = find_target(target_name);
	bool prefix = slice_ends(header, SLICE("*"));

	if (header.n == 0 || target_name.n == 0 || slice_eq(header, SLICE("*")))
		return error_config(
		        err, "header map: \"%.*s\" is not Header=target", SLICE_ARG(text));
	if (target == NULL)
		return error_config(err, "header map: \"%.*s\": there is no target \"%.*s\"",
		        SLICE_ARG(text), SLICE_ARG(target_name));
	if (prefix != (target->read == read_meta_prefix) ||
	        slice_chr(slice_head(header, header.n - 1), '*') >= 0)
		return error_config(err,
		        "header map: \"%.*s\": a * stands at the end of the header's name, with "
		        "the "
		        "target meta.*",
		        SLICE_ARG(text));
	if (slice_eq(target_name, SLICE("meta.")))
		return error_config(
		        err, "header map: \"%.*s\": meta. needs a key", SLICE_ARG(text));

	struct row *row = g_new0(struct row, 1);
	row->header = g_ascii_strdown(header.p, (gssize)header.n);
	row->target = target;
	if (target->read == read_meta_key)
		row->key = slice_dup(slice_from(target_name, strlen("meta.")));
	add_row(map, row);
	return 0;
}

static int parse(struct header_map *map, const char *text, struct error *err)
{
	g_auto(GStrv) words = g_strsplit_set(text, " \t\r\n,;", -1);

	for (size_t i = 0; words[i] != NULL; i++) {
		int result = 0;

		if (strcmp(words[i], "default") == 0)
			result = parse(map, HEADER_MAP_DEFAULT, err);
		else if (*words[i] != '\0')
			result = parse_row(map, slice_str(words[i]), err);
		if (result < 0)
			return -1;
	}
	return 0;
}

struct header_map *header_map_new(const char *text, struct error *err)
{
	struct header_map *map = g_new0(struct header_map, 1);

	/* Keys belong to the rows. */
	map->rows = g_hash_table_new_full(
	        g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
	map->prefixes = g_ptr_array_new_with_free_func(row_free);
	if (text != NULL && !g_utf8_validate(text, -1, NULL)) {
		error_config(err, "header map: not UTF-8");
		header_map_free(&map);
	} else if (parse(map, text != NULL ? text : HEADER_MAP_DEFAULT, err) < 0) {
		header_map_free(&map);
	}
	return map;
}

void header_map_free(struct header_map **map)
{
	if (*map == NULL)
		return;
	g_hash_table_destroy((*map)->rows);
	g_ptr_array_unref((*map)->prefixes);
	g_clear_pointer(map, g_free);
}

/* The rows of a header whose name may be in any case. */
static const GPtrArray *find_rows(const struct header_map *map, const char *name)
{
	char lower[64];
	size_t n = 0;

	for (; name[n] != '\0' && n < sizeof(lower) - 1; n++)
		lower[n] = g_ascii_tolower(name[n]);
	lower[n] = '\0';
	if (name[n] == '\0')
		return g_hash_table_lookup(map->rows, lower);
	g_autofree char *longer = g_ascii_strdown(name, -1);
	return g_hash_table_lookup(map->rows, longer);
}

bool header_map_read(const struct header_map *map, struct attributes *attributes, const char *name,
        struct slice value, char *(*decode)(struct slice value))
{
	const GPtrArray *rows = find_rows(map, name);
	bool read = rows != NULL;

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct row *row = rows->pdata[i];

		row->target->read(attributes, row, name, value, decode);
	}
	for (guint i = 0; i < map->prefixes->len; i++) {
		const struct row *row = map->prefixes->pdata[i];

		if (g_ascii_strncasecmp(name, row->header, strlen(row->header)) != 0)
			continue;
		row->target->read(attributes, row, name, value, decode);
		read = true;
	}
	return read;
}
