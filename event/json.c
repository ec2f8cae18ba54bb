#include "event/json.h"

#include "base/clock.h"
#include "base/visible.h"
#include "event/json_geo.h"
#include "event/json_maps.h"

/* Room for n more bytes and the final NUL; the caller writes at the returned place and then sets
 * out->len by json_end. g_string_append for each piece would cost more than the piece. */
static inline char *json_room(GString *out, size_t n)
{
	if (G_UNLIKELY(out->allocated_len - out->len <= n)) {
		size_t len = out->len;
		g_string_set_size(out, len + n);
		out->len = len;
	}
	return out->str + out->len;
}

static inline void json_end(GString *out, char *end)
{
	*end = '\0';
	out->len = (size_t)(end - out->str);
}

static inline char *json_copy(char *to, const char *text, size_t n)
{
	memcpy(to, text, n);
	return to + n;
}

/* The 8 bytes at p as a word. */
static inline uint64_t json_word(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

#define BYTES(value) (UINT64_C(0x0101010101010101) * (value))

/* Whether no byte of a word needs a look: all are ASCII, none is a control, DEL, '"' or '\\'. May
 * say no to a word that is plain (a borrow), never yes to one that is not. */
static inline bool json_word_plain(uint64_t word)
{
	uint64_t quote = (word ^ BYTES('"')) - BYTES(1);
	uint64_t backslash = (word ^ BYTES('\\')) - BYTES(1);
	uint64_t control = word - BYTES(0x20);

	uint64_t delete = (word ^ BYTES(0x7f)) - BYTES(1);

	return ((word | quote | backslash | control | delete) & BYTES(0x80)) == 0;
}

/* Length of the well-formed UTF-8 sequence (Unicode, table 3-7) that starts with a byte from 0x80
 * up; 0 if it is none. */
static size_t json_utf8(const char *text, size_t n)
{
	const guint8 *p = (const guint8 *)text;
	guint8 least = 0x80, most = 0xbf; /* of the second byte */

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	size_t length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		least = 0xa0; /* below: too long a form */
	else if (p[0] == 0xed)
		most = 0x9f; /* above: surrogates */
	else if (p[0] == 0xf0)
		least = 0x90; /* below: too long a form */
	else if (p[0] == 0xf4)
		most = 0x8f; /* above: past U+10FFFF */
	if (n < length || p[1] < least || p[1] > most)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* Length of the character at p if it is one that no reader is to get bare (DEL, C1, directions …);
 * else 0. Few lead bytes begin any. */
static size_t json_hidden(const char *p, const char *end)
{
	static const guint8 leads[] = {0x7f, 0xc2, 0xd8, 0xe1, 0xe2, 0xef, 0xf3};
	size_t n = 0;

	if ((guint8)*p < leads[0])
		return 0;
	for (size_t i = 0; i < sizeof(leads) && n == 0; i++)
		if ((guint8)*p == leads[i])
			n = *p == 0x7f ? 1 : json_utf8(p, (size_t)(end - p));
	return n > 0 && visible_never(g_utf8_get_char(p)) ? n : 0;
}

/* Number of bytes from p on that stand in a JSON string as they are. */
static size_t json_run(const char *p, const char *end)
{
	const char *at = p;

	while (at < end) {
		if (end - at >= 8 && json_word_plain(json_word(at))) {
			at += 8;
			continue;
		}
		guint8 c = (guint8)*at;
		size_t n = c >= 0x80 ? json_utf8(at, (size_t)(end - at))
		                     : c >= 0x20 && c != '"' && c != '\\';
		if (n == 0 || (c >= 0x7f && json_hidden(at, end) > 0))
			break;
		at += n;
	}
	return (size_t)(at - p);
}

#define JSON_ESCAPE_MAX 12

static char *json_unicode(char *to, gunichar c)
{
	return to + g_snprintf(to, 7, "\\u%04x", c);
}

/* A hidden character, as JSON writes it in ASCII (RFC 8259, 7). */
static char *json_show(char *to, const char *p)
{
	gunichar c = g_utf8_get_char(p);

	if (c < 0x10000)
		return json_unicode(to, c);
	to = json_unicode(to, 0xd7c0 + (c >> 10));
	return json_unicode(to, 0xdc00 + (c & 0x3ff));
}

/* The replacement of one byte that cannot stand as it is. */
static char *json_escape(char *to, guint8 c)
{
	static const char hex[] = "0123456789abcdef";
	/* By the control's number; 0 = has no short form. */
	static const char shorts[0x20] = {
	        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

	if (c >= 0x80)
		return json_copy(to, "\xef\xbf\xbd", 3); /* U+FFFD */
	*to++ = '\\';
	if (c >= 0x20) {
		*to++ = (char)c;
	} else if (shorts[c] != 0) {
		*to++ = shorts[c];
	} else {
		to = json_copy(to, "u00", 3);
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	return to;
}

void json_quote(GString *out, struct slice text)
{
	const char *p = text.n > 0 ? text.p : "", *end = p + text.n;
	char *to = json_room(out, text.n + 2);

	*to++ = '"';
	while (p < end) {
		size_t run = json_run(p, end);
		to = json_copy(to, p, run);
		p += run;
		if (p == end)
			break;
		json_end(out, to);
		to = json_room(out, JSON_ESCAPE_MAX + (size_t)(end - p) + 1);
		size_t hidden = json_hidden(p, end);
		to = hidden > 0 ? json_show(to, p) : json_escape(to, (guint8)*p);
		p += MAX(hidden, 1);
	}
	*to++ = '"';
	json_end(out, to);
}

void json_key(GString *out, const char *name)
{
	size_t n = strlen(name);
	char *to = json_room(out, n + 4);

	if (out->len > 0 && to[-1] != '{')
		*to++ = ',';
	*to++ = '"';
	to = json_copy(to, name, n);
	*to++ = '"';
	*to++ = ':';
	json_end(out, to);
}

void json_member(GString *out, const char *name, struct slice text)
{
	json_key(out, name);
	json_quote(out, text);
}

static void json_int(GString *out, gint64 value)
{
	char digits[24], *p = digits + sizeof(digits);
	guint64 rest = value < 0 ? 0 - (guint64)value : (guint64)value;

	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (value < 0)
		*--p = '-';
	g_string_append_len(out, p, digits + sizeof(digits) - p);
}

void json_member_int(GString *out, const char *name, gint64 value)
{
	json_key(out, name);
	json_int(out, value);
}

/* A number where the text is one, else the text as it is: nothing is made up. */
static void json_number(GString *out, struct slice text)
{
	int64_t value;

	if (slice_int(text, &value))
		json_int(out, value);
	else
		json_quote(out, text);
}

static void json_boolean(GString *out, struct slice text)
{
	if (slice_eq(text, SLICE("true")) || slice_eq(text, SLICE("1")))
		g_string_append(out, "true");
	else if (slice_eq(text, SLICE("false")) || slice_eq(text, SLICE("0")))
		g_string_append(out, "false");
	else
		json_quote(out, text);
}

static bool json_is(struct slice text, char open, char close)
{
	return text.n >= 2 && text.p[0] == open && text.p[text.n - 1] == close;
}

void json_append(GString *out, struct slice text)
{
	const char *p = text.p, *end = text.p + text.n;

	while (p < end) {
		const char *from = p;
		size_t hidden = 0;
		while (p < end && (hidden = json_hidden(p, end)) == 0)
			p++;
		g_string_append_len(out, from, p - from);
		if (p < end)
			json_end(out, json_show(json_room(out, JSON_ESCAPE_MAX), p));
		p += hidden;
	}
}

/* JSON text that the maker of the event checked. What cannot be such a value at first sight becomes
 * a string, so that one bad row does not spoil a whole answer. */
static void json_text(GString *out, struct slice text, char open, char close)
{
	if (json_is(text, open, close))
		json_append(out, text);
	else
		json_quote(out, text);
}

static void json_time(GString *out, int64_t ms, enum clock_form form)
{
	char *to = json_room(out, CLOCK_TEXT_MAX + 2);

	*to++ = '"';
	to += clock_format(ms, form, to);
	*to++ = '"';
	json_end(out, to);
}

/* The fields that live in members of struct event. */
static bool json_member_value(
        GString *out, const struct event *event, enum field field, enum api_generation generation)
{
	switch (field) {
	case FIELD_TYPE:
		json_quote(out, slice_str(event_catalogue[event->type].name));
		return true;
	case FIELD_EVENT_ID:
		if (event->id == EVENT_NO_ID)
			return false;
		g_string_append_c(out, '"');
		json_int(out, (gint64)event->id);
		g_string_append_c(out, '"');
		return true;
	case FIELD_TIMESTAMP:
		json_time(out, event->time, generation == API_V1 ? CLOCK_OFFSET : CLOCK_ZULU);
		return true;
	case FIELD_INJECTION_TIME:
		if (event->injected == 0)
			return false;
		json_time(out, event->injected, CLOCK_ZULU);
		return true;
	default:
		return false;
	}
}

static void json_field_text(
        GString *out, enum field field, struct slice text, enum api_generation generation)
{
	switch (field_catalogue[field].json) {
	case FIELD_JSON_STRING:
	case FIELD_JSON_TIME:
		json_quote(out, text);
		break;
	case FIELD_JSON_ACCOUNT:
		if (generation == API_V1)
			json_quote(out, text);
		else
			json_number(out, text);
		break;
	case FIELD_JSON_INTEGER:
		json_number(out, text);
		break;
	case FIELD_JSON_BOOLEAN:
		json_boolean(out, text);
		break;
	case FIELD_JSON_OBJECT:
		if (field == FIELD_GEO_IP && generation != API_WEBHOOK && json_is(text, '{', '}'))
			json_geo(out, text, generation == API_EVENTS);
		else if (field == FIELD_RCPT_META && generation == API_V1 &&
		         json_is(text, '{', '}'))
			json_maps(out, text);
		else
			json_text(out, text, '{', '}');
		break;
	case FIELD_JSON_STRINGS:
		json_text(out, text, '[', ']');
		break;
	}
}

bool json_event_value(
        GString *out, const struct event *event, enum field field, enum api_generation generation)
{
	if (json_member_value(out, event, field, generation))
		return true;
	if (!event_has(event, field))
		return false;
	json_field_text(out, field, event->field[field], generation);
	return true;
}

/* Keys with the comma before them and the colon behind, ready to copy. */
static const struct slice json_keys[FIELDS] = {
#define FIELD(ID, NUMBER, NAME, ...) \
	[FIELD_##ID] = {",\"" NAME "\":", sizeof(",\"" NAME "\":") - 1},
#include "schema/fields.def"
#undef FIELD
};

static inline void json_ready_key(GString *out, enum field field)
{
	struct slice key = json_keys[field];
	char *to = json_room(out, key.n);

	json_end(out, json_copy(to, key.p, key.n));
}

static void json_event_member(
        GString *out, const struct event *event, enum field field, enum api_generation generation)
{
	json_ready_key(out, field);
	json_member_value(out, event, field, generation);
}

/* Live results of API v1 had tdate, those of the Events API not (contract, 2.3). */
static inline bool json_removed(enum field field, enum api_generation generation)
{
	return (field == FIELD_TDATE && generation == API_EVENTS) || field_catalogue[field].kept;
}

/* rcpt_meta and rcpt_tags are there for all events of a mail (contract, 1.2). */
static inline bool json_always(enum event_type type, enum field field)
{
	return (field == FIELD_RCPT_META || field == FIELD_RCPT_TAGS) &&
	       (event_catalogue[type].fields[field / 64] >> (field % 64) & 1) != 0;
}

void json_event(GString *out, const struct event *event, enum api_generation generation)
{
	g_string_append(out, "{\"type\":");
	json_member_value(out, event, FIELD_TYPE, generation);
	if (event->id != EVENT_NO_ID)
		json_event_member(out, event, FIELD_EVENT_ID, generation);
	json_event_member(out, event, FIELD_TIMESTAMP, generation);
	if (event->injected != 0)
		json_event_member(out, event, FIELD_INJECTION_TIME, generation);
	for (int i = FIELD_INJECTION_TIME + 1; i < FIELDS; i++) {
		enum field field = (enum field)i;
		if (event_has(event, field) && !json_removed(field, generation)) {
			json_ready_key(out, field);
			json_field_text(out, field, event->field[field], generation);
		} else if (json_always(event->type, field)) {
			json_ready_key(out, field);
			g_string_append(out, field == FIELD_RCPT_META ? "{}" : "[]");
		}
	}
	g_string_append_c(out, '}');
}
