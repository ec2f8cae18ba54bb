#include "milter/attributes.h"

#include <string.h>

#include "milter/session.h"

static void recipient_free(gpointer data)
{
	struct attributes_recipient *recipient = data;

	json_decref(recipient->meta);
	json_decref(recipient->tags);
	json_decref(recipient->subs);
	g_free(recipient);
}

void attributes_clear(struct attributes *attributes)
{
	for (size_t i = 0; i < FIELDS; i++)
		g_free(attributes->field[i]);
	json_decref(attributes->meta);
	json_decref(attributes->tags);
	g_clear_pointer(&attributes->recipients, g_hash_table_destroy);
	*attributes = (struct attributes){0};
}

/* Cut at a character's boundary. */
static struct slice shorten(struct attributes *attributes, struct slice text)
{
	if (text.n <= MILTER_FIELD_BYTES_MAX)
		return text;
	attributes->cut++;
	text.n = MILTER_FIELD_BYTES_MAX;
	while (text.n > 0 && ((guchar)text.p[text.n] & 0xC0) == 0x80)
		text.n--;
	return text;
}

void attributes_text(struct attributes *attributes, enum field field, struct slice text)
{
	text = slice_trim(text);
	if (text.n > 0 && attributes->field[field] == NULL)
		attributes->field[field] = slice_dup(shorten(attributes, text));
}

void attributes_switch(struct attributes *attributes, enum field field, bool on)
{
	/* `transactional` stands as 1 or 0 in events, the tracking switches as true or false. */
	if (field == FIELD_TRANSACTIONAL)
		attributes_text(attributes, field, on ? SLICE("1") : SLICE("0"));
	else
		attributes_text(attributes, field, on ? SLICE("true") : SLICE("false"));
}

static bool array_has(const json_t *array, const json_t *value)
{
	size_t i;
	json_t *element;

	json_array_foreach(array, i, element)
	{
		if (json_equal(element, value))
			return true;
	}
	return false;
}

/* Adds the strings of `more` to an array of tags that may not be there yet. */
static void add_tags(json_t **tags, const json_t *more)
{
	size_t i;
	json_t *tag;

	if (*tags == NULL && more != NULL)
		*tags = json_array();
	json_array_foreach(more, i, tag)
	{
		if (json_array_size(*tags) >= ATTRIBUTES_TAGS_MAX)
			break;
		if (json_is_string(tag) && !array_has(*tags, tag))
			json_array_append(*tags, tag);
	}
}

void attributes_tag(struct attributes *attributes, struct slice text)
{
	text = shorten(attributes, slice_trim(text));
	if (text.n == 0)
		return;
	if (json_array_size(attributes->tags) >= ATTRIBUTES_TAGS_MAX) {
		attributes->cut++;
		return;
	}
	json_t *tag = json_stringn(text.p, text.n);
	if (tag == NULL) {
		attributes->bad++;
		return;
	}
	if (attributes->tags == NULL)
		attributes->tags = json_array();
	if (!array_has(attributes->tags, tag))
		json_array_append(attributes->tags, tag);
	json_decref(tag);
}

void attributes_meta_text(struct attributes *attributes, const char *key, struct slice text)
{
	text = shorten(attributes, slice_trim(text));
	if (attributes->meta == NULL)
		attributes->meta = json_object();
	if (json_object_get(attributes->meta, key) != NULL)
		return;
	if (json_object_set_new(attributes->meta, key, json_stringn(text.p, text.n)) < 0)
		attributes->bad++;
}

void attributes_meta_json(struct attributes *attributes, json_t *object)
{
	if (attributes->meta == NULL)
		attributes->meta = json_object();
	json_object_update_missing(attributes->meta, object);
}

int attributes_bool(struct slice text)
{
	static const struct {
		struct slice word;
		int value;
	} words[] = {
	        {SLICE("true"), 1},
	        {SLICE("yes"), 1},
	        {SLICE("on"), 1},
	        {SLICE("1"), 1},
	        {SLICE("y"), 1},
	        {SLICE("htmlonly"), 1},
	        {SLICE("false"), 0},
	        {SLICE("no"), 0},
	        {SLICE("off"), 0},
	        {SLICE("0"), 0},
	        {SLICE("n"), 0},
	};

	text = slice_trim(text);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		if (slice_eq_case(text, words[i].word))
			return words[i].value;
	}
	return -1;
}

/* The number of an escape "\uXXXX" at the start of `text`, or -1. */
static int read_escape(struct slice text)
{
	int code = 0;

	if (text.n < 6 || text.p[0] != '\\' || text.p[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		int digit = g_ascii_xdigit_value(text.p[i]);
		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

/* Bytes of the escape at the start of `text` when it stands for a character, 0 when for none: NUL
 * and half a surrogate pair are none in JSON as we keep it. */
static size_t escape_length(struct slice text)
{
	int code = read_escape(text);

	if (code < 0)
		return MIN(text.n, 2);
	if (code >= 0xD800 && code <= 0xDBFF) {
		int low = read_escape(slice_from(text, 6));
		return low >= 0xDC00 && low <= 0xDFFF ? 12 : 0;
	}
	return code == 0 || (code >= 0xDC00 && code <= 0xDFFF) ? 0 : 6;
}

/* Puts U+FFFD for escapes that are no characters: one of them is no reason to lose the rest. */
static void mend_escapes(struct attributes *attributes, GString *text)
{
	for (gsize at = 0; at < text->len;) {
		struct slice rest = slice_make(text->str + at, text->len - at);
		size_t n = rest.p[0] == '\\' ? escape_length(rest) : 1;
		if (n == 0) {
			memcpy(text->str + at, "\\ufffd", 6);
			attributes->bad++;
			n = 6;
		}
		at += n;
	}
}

json_t *attributes_json(struct attributes *attributes, struct slice value)
{
	g_autoptr(GString) text = g_string_sized_new(value.n);

	/* Unfolded: a line end inside a string would not be JSON, nor would a tab. */
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\t')
			g_string_append_c(text, ' ');
		else if (value.p[i] != '\r' && value.p[i] != '\n')
			g_string_append_c(text, value.p[i]);
	}
	mend_escapes(attributes, text);
	json_t *json = json_loadb(text->str, text->len, 0, NULL);
	if (json == NULL)
		attributes->bad++;
	return json;
}

static struct slice string_of(const json_t *json)
{
	return json_is_string(json) ? slice_make(json_string_value(json), json_string_length(json))
	                            : SLICE_NONE;
}

/* A string, or a number as text. */
static void read_text(struct attributes *attributes, enum field field, const json_t *json)
{
	char number[32];

	if (json_is_integer(json)) {
		g_snprintf(
		        number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
		attributes_text(attributes, field, slice_str(number));
	} else if (json_is_string(json)) {
		attributes_text(attributes, field, string_of(json));
	} else if (json != NULL) {
		attributes->bad++;
	}
}

static void read_switch(struct attributes *attributes, enum field field, const json_t *json)
{
	int on = -1;

	if (json_is_boolean(json))
		on = json_is_true(json);
	else if (json_is_string(json))
		on = attributes_bool(string_of(json));
	if (on >= 0)
		attributes_switch(attributes, field, on);
	else if (json != NULL)
		attributes->bad++;
}

static void read_tags(struct attributes *attributes, const json_t *json)
{
	size_t i;
	json_t *tag;

	if (json != NULL && !json_is_array(json))
		attributes->bad++;
	json_array_foreach(json, i, tag)
	{
		if (json_is_string(tag))
			attributes_tag(attributes, string_of(tag));
		else
			attributes->bad++;
	}
}

/* The address of {"email": …}, {"address": …} (itself such an object or a string) or a string. */
static struct slice address_of(const json_t *json)
{
	if (json_is_object(json)) {
		const json_t *address = json_object_get(json, "address");

		if (json_is_object(address))
			address = json_object_get(address, "email");
		return string_of(address != NULL ? address : json_object_get(json, "email"));
	}
	return string_of(json);
}

/* The record of an address, made when it is not there; NULL for what is no address. */
static struct attributes_recipient *recipient_of(
        struct attributes *attributes, struct slice address)
{
	address = slice_trim(address);
	if (address.n == 0)
		return NULL;
	if (attributes->recipients == NULL)
		attributes->recipients =
		        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, recipient_free);
	g_autofree char *key = g_ascii_strdown(address.p, (gssize)address.n);
	struct attributes_recipient *recipient = g_hash_table_lookup(attributes->recipients, key);
	if (recipient == NULL) {
		recipient = g_new0(struct attributes_recipient, 1);
		g_hash_table_insert(attributes->recipients, g_steal_pointer(&key), recipient);
	}
	return recipient;
}

static void keep(struct attributes *attributes, json_t **slot, json_t *json, bool fits)
{
	if (json == NULL)
		return;
	if (!fits)
		attributes->bad++;
	else if (*slot == NULL)
		*slot = json_incref(json);
}

/* What a transmission says of one of its recipients alone. */
static void read_own(
        struct attributes *attributes, struct attributes_recipient *recipient, const json_t *entry)
{
	json_t *meta = json_object_get(entry, "metadata");
	json_t *tags = json_object_get(entry, "tags");
	json_t *subs = json_object_get(entry, "substitution_data");

	keep(attributes, &recipient->meta, meta, json_is_object(meta));
	keep(attributes, &recipient->tags, tags, json_is_array(tags));
	keep(attributes, &recipient->subs, subs, json_is_object(subs));
}

/* A list of recipients: of one type, or (NULL) of the transmission, each with its own data. */
static void read_list(struct attributes *attributes, const json_t *list, const char *type)
{
	size_t i;
	json_t *entry;

	if (list != NULL && !json_is_array(list))
		attributes->bad++;
	json_array_foreach(list, i, entry)
	{
		struct attributes_recipient *recipient =
		        recipient_of(attributes, address_of(entry));

		if (recipient == NULL)
			attributes->bad++;
		else if (type == NULL)
			read_own(attributes, recipient, entry);
		else if (recipient->type == NULL)
			recipient->type = type;
	}
}

static void read_options(struct attributes *attributes, const json_t *options)
{
	static const struct {
		const char *name;
		enum field field;
		void (*read)(struct attributes *attributes, enum field field, const json_t *json);
	} rows[] = {
	        {"open_tracking", FIELD_OPEN_TRACKING, read_switch},
	        {"click_tracking", FIELD_CLICK_TRACKING, read_switch},
	        {"initial_open", FIELD_INITIAL_PIXEL, read_switch},
	        {"transactional", FIELD_TRANSACTIONAL, read_switch},
	        {"ip_pool", FIELD_IP_POOL, read_text},
	};

	if (options != NULL && !json_is_object(options))
		attributes->bad++;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		rows[i].read(attributes, rows[i].field, json_object_get(options, rows[i].name));
}

bool attributes_msys(struct attributes *attributes, struct slice value)
{
	static const struct {
		const char *name;
		enum field field;
	} texts[] = {
	        {"campaign_id", FIELD_CAMPAIGN_ID},
	        {"transmission_id", FIELD_TRANSMISSION_ID},
	        {"template_id", FIELD_TEMPLATE_ID},
	        {"template_version", FIELD_TEMPLATE_VERSION},
	        {"subaccount_id", FIELD_SUBACCOUNT_ID},
	        {"ab_test_id", FIELD_AB_TEST_ID},
	        {"ab_test_version", FIELD_AB_TEST_VERSION},
	};
	json_t *json = attributes_json(attributes, value);
	json_t *meta = json_object_get(json, "metadata");
	bool good = json_is_object(json);

	if (json != NULL && !json_is_object(json))
		attributes->bad++;
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		read_text(attributes, texts[i].field, json_object_get(json, texts[i].name));
	if (json_is_object(meta))
		attributes_meta_json(attributes, meta);
	else if (meta != NULL)
		attributes->bad++;
	read_tags(attributes, json_object_get(json, "tags"));
	read_options(attributes, json_object_get(json, "options"));
	read_list(attributes, json_object_get(json, "cc"), "cc");
	read_list(attributes, json_object_get(json, "bcc"), "bcc");
	read_list(attributes, json_object_get(json, "archive"), "archive");
	read_list(attributes, json_object_get(json, "recipients"), NULL);
	json_decref(json);
	return good;
}

void attributes_merge(struct attributes *attributes, const struct attributes *other)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (attributes->field[i] == NULL)
			attributes->field[i] = g_strdup(other->field[i]);
	}
	if (other->meta != NULL)
		attributes_meta_json(attributes, other->meta);
	add_tags(&attributes->tags, other->tags);
	attributes->bad += other->bad;
	attributes->cut += other->cut;
}

const struct attributes_recipient *attributes_of(
        const struct attributes *attributes, const char *address)
{
	return attributes->recipients != NULL ? g_hash_table_lookup(attributes->recipients, address)
	                                      : NULL;
}

/* JSON text, NULL for NULL and for what is too long. */
static char *dump(struct attributes *attributes, const json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

	if (text != NULL && strlen(text) > ATTRIBUTES_JSON_MAX) {
		attributes->cut++;
		g_clear_pointer(&text, free);
	}
	return text;
}

char *attributes_dump_meta(struct attributes *attributes, const struct attributes_recipient *own)
{
	if (own == NULL || own->meta == NULL)
		return dump(attributes, attributes->meta);
	json_t *meta = json_copy(own->meta);
	if (attributes->meta != NULL)
		json_object_update_missing(meta, attributes->meta);
	char *text = dump(attributes, meta);
	json_decref(meta);
	return text;
}

char *attributes_dump_tags(struct attributes *attributes, const struct attributes_recipient *own)
{
	json_t *tags = NULL;

	if (own == NULL || own->tags == NULL)
		return dump(attributes, attributes->tags);
	add_tags(&tags, own->tags);
	add_tags(&tags, attributes->tags);
	char *text = dump(attributes, tags);
	json_decref(tags);
	return text;
}

char *attributes_dump_subs(struct attributes *attributes, const struct attributes_recipient *own)
{
	return own != NULL ? dump(attributes, own->subs) : NULL;
}
