/* How events and messages stand in a day file. What many rows have in common is their shape: which
 * fields there are, in which form, and the values of those that have few. It stands once, in a
 * dictionary; a row is the number of its shape and its own values.
 *
 * Event:    8 bytes event_id, little-endian; varint shape; values
 * Message:  varint shape; varint time of injection (pack_time); values
 * Shape:    varint number of the type (0 of a message); then for each field
 *
 *	varint  number of the field (schema/fields.def) * 2 + (1: a form byte follows)
 *	byte    form, where it is not the natural form of the field
 *	…       its value, where the field is a fixed one
 *
 * Values stand in the order of their fields in the shape. For varints and strings see store/pack.h.
 */
#include "store/row.h"

#include <errno.h>
#include <sodium.h>

#include "event/catalogue.h"
#include "event/identity.h"
#include "store/pack.h"

/* Numbers are in the files: never give one a new meaning. */
enum form {
	FORM_TEXT,    /* string */
	FORM_WORD,    /* varint: id in the dictionary * 2, or length * 2 + 1 and the bytes */
	FORM_REASON,  /* varint id in the dictionary of reasons */
	FORM_SUBJECT, /* varint id in the dictionary of subjects */
	FORM_NUMBER,  /* varint: a decimal number without leading zeros */
	FORM_ADDRESS, /* word: domain; string: local part */
	FORM_SAME,    /* nothing: what the field of form_of.of says */
	FORM_DOMAIN,  /* nothing: what stands behind the last @ there */
	FORM_BIRTH, /* 4 bytes: the hash of an identity_message_id of the second of the injection */
	FORM_HASHED, /* nothing: the decimal of identity_parts of the message_id */
	FORM_SMTP,   /* nothing: "smtp_" and the transmission_id */
	FORM_REPLY,  /* word: frame, strings: tokens, of pack_split */
	FORMS
};

/* What a field's value usually is. Part of the file format: a change needs a new DAY_VERSION. The
 * second form is tried next; FORM_TEXT takes anything. */
struct field_form {
	enum form form;
	enum form next;
	enum field of;
	bool fixed;  /* one of few values: it stands in the shape */
	bool listed; /* its words (of an address: its domain) always enter the dictionary, where
	                filters look for them */
};
static const struct field_form field_form[FIELDS] = {
        [FIELD_MESSAGE_ID] = {FORM_BIRTH, FORM_TEXT},
        [FIELD_TRANSMISSION_ID] = {FORM_HASHED, FORM_NUMBER, FIELD_MESSAGE_ID},
        [FIELD_CUSTOMER_ID] = {FORM_NUMBER, .fixed = true},
        [FIELD_SUBACCOUNT_ID] = {FORM_NUMBER, .fixed = true},
        [FIELD_RCPT_TO] = {FORM_ADDRESS, .listed = true},
        [FIELD_RAW_RCPT_TO] = {FORM_SAME, FORM_ADDRESS, FIELD_RCPT_TO},
        [FIELD_ORIG_RCPT_TO] = {FORM_ADDRESS},
        [FIELD_RCPT_TYPE] = {FORM_WORD, .fixed = true},
        [FIELD_RCPT_DOMAIN] = {FORM_WORD},
        [FIELD_RECIPIENT_DOMAIN] = {FORM_DOMAIN, FORM_WORD, FIELD_RCPT_TO, .listed = true},
        [FIELD_ROUTING_DOMAIN] = {FORM_DOMAIN, FORM_WORD, FIELD_RCPT_TO},
        [FIELD_MAILBOX_PROVIDER] = {FORM_WORD, .fixed = true},
        [FIELD_MAILBOX_PROVIDER_REGION] = {FORM_WORD, .fixed = true},
        [FIELD_FRIENDLY_FROM] = {FORM_ADDRESS, .listed = true},
        [FIELD_FRIENDLY_NAME] = {FORM_WORD},
        [FIELD_MSG_FROM] = {FORM_ADDRESS},
        [FIELD_SENDING_DOMAIN] = {FORM_DOMAIN, FORM_WORD, FIELD_FRIENDLY_FROM, .listed = true},
        [FIELD_SUBJECT] = {FORM_SUBJECT},
        [FIELD_MSG_SIZE] = {FORM_NUMBER},
        [FIELD_CAMPAIGN_ID] = {FORM_WORD, .listed = true},
        [FIELD_TEMPLATE_ID] = {FORM_SMTP, FORM_WORD, FIELD_TRANSMISSION_ID, .listed = true},
        [FIELD_TEMPLATE_VERSION] = {FORM_WORD, .fixed = true},
        [FIELD_AB_TEST_ID] = {FORM_WORD, .listed = true},
        [FIELD_AB_TEST_VERSION] = {FORM_WORD, .fixed = true},
        [FIELD_TRANSACTIONAL] = {FORM_WORD, .fixed = true},
        [FIELD_CLICK_TRACKING] = {FORM_WORD, .fixed = true},
        [FIELD_OPEN_TRACKING] = {FORM_WORD, .fixed = true},
        [FIELD_INITIAL_PIXEL] = {FORM_WORD, .fixed = true},
        [FIELD_AMP_ENABLED] = {FORM_WORD, .fixed = true},
        [FIELD_RECV_METHOD] = {FORM_WORD, .fixed = true},
        [FIELD_DELV_METHOD] = {FORM_WORD, .fixed = true},
        [FIELD_REMOTE_ADDR] = {FORM_WORD},
        [FIELD_IP_ADDRESS] = {FORM_WORD},
        [FIELD_SENDING_IP] = {FORM_WORD, .fixed = true},
        [FIELD_IP_POOL] = {FORM_WORD, .fixed = true},
        [FIELD_NUM_RETRIES] = {FORM_NUMBER, .fixed = true},
        [FIELD_QUEUE_TIME] = {FORM_NUMBER},
        [FIELD_OUTBOUND_TLS] = {FORM_WORD, .fixed = true},
        [FIELD_BOUNCE_CLASS] = {FORM_NUMBER, .fixed = true},
        [FIELD_ERROR_CODE] = {FORM_NUMBER, .fixed = true},
        [FIELD_RAW_REASON] = {FORM_REASON, FORM_REPLY},
        [FIELD_REASON] = {FORM_REASON},
        [FIELD_FBTYPE] = {FORM_WORD, .fixed = true},
        [FIELD_REPORT_BY] = {FORM_WORD},
        [FIELD_REPORT_TO] = {FORM_WORD, .fixed = true},
        [FIELD_MAILFROM] = {FORM_ADDRESS},
        [FIELD_USER_AGENT] = {FORM_WORD},
        [FIELD_ACCEPT_LANGUAGE] = {FORM_WORD},
        [FIELD_GEO_IP] = {FORM_WORD},
        [FIELD_TARGET_LINK_NAME] = {FORM_WORD},
        [FIELD_NODE_NAME] = {FORM_WORD, .fixed = true},
        [FIELD_INSTANCE] = {FORM_WORD, .fixed = true},
        [FIELD_HEADER_MESSAGE_ID] = {FORM_ADDRESS},
        [FIELD_DSN] = {FORM_WORD, .fixed = true},
        [FIELD_MX_HOST] = {FORM_WORD},
        [FIELD_SERVICE] = {FORM_WORD, .fixed = true},
        [FIELD_SMTP_STAGE] = {FORM_WORD, .fixed = true},
        [FIELD_CLIENT_HOST] = {FORM_WORD},
        [FIELD_HELO] = {FORM_WORD},
        [FIELD_AUTH_USER] = {FORM_WORD},
        [FIELD_TLS_VERSION] = {FORM_WORD, .fixed = true},
        [FIELD_TLS_CIPHER] = {FORM_WORD, .fixed = true},
};

bool row_is_failure(enum event_type type)
{
	return event_outbound(type) != EVENT_DELIVERY;
}

static bool is_message_field(unsigned field)
{
	return field_catalogue[field].scope == FIELD_OF_MESSAGE;
}

bool row_has_message(const struct event *event)
{
	for (unsigned i = 0; i < FIELDS; i++)
		if (event->field[i].p != NULL && is_message_field(i))
			return true;
	return event->injected != 0;
}

uint64_t row_message_hash(const struct event *event, struct day_writer *writer)
{
	GByteArray *all = writer->scratch;
	uint64_t hash = 0;

	g_byte_array_set_size(all, 0);
	pack_number(all, (uint64_t)event->injected);
	for (unsigned i = 0; i < FIELDS; i++) {
		if (event->field[i].p == NULL || !is_message_field(i))
			continue;
		pack_number(all, i);
		pack_bytes(all, event->field[i]);
	}
	crypto_shorthash((uint8_t *)&hash, all->data, all->len, writer->day->key);
	return hash;
}

/* 0: unknown; otherwise 1 more than the distance to the day, its sign and whether it is one of
 * whole seconds, as in logs, in the lowest bits. */
static uint64_t pack_time(int64_t time, const struct day *day)
{
	int64_t apart = time - day->start;
	bool whole = apart % CLOCK_SECOND == 0, before = apart < 0;

	if (time == 0)
		return 0;
	uint64_t n = (uint64_t)(before ? -apart : apart) / (whole ? CLOCK_SECOND : 1);
	return (n << 2 | (uint64_t)before << 1 | whole) + 1;
}

static int64_t unpack_time(uint64_t number, const struct day *day)
{
	if (number-- == 0)
		return 0;
	uint64_t apart = (number >> 2) * (number & 1 ? CLOCK_SECOND : 1);
	return (int64_t)((uint64_t)day->start + (number & 2 ? -apart : apart));
}

/* Packing. */
struct packing {
	struct day_writer *writer;
	const struct event *event;
	GByteArray *out, *shape;
	unsigned field; /* at work */
	const struct row_texts *texts;
	struct error *err;
};

/* A decimal number as we would write it again: no leading zeros, below 10^18. */
static bool plain_number(struct slice text, int64_t *value)
{
	return slice_int(text, value) && *value >= 0 && text.p[0] != '-' &&
	       (text.p[0] != '0' || text.n == 1);
}

/* What stands behind the last @; absent where there is none. */
static struct slice domain_of(struct slice address)
{
	ptrdiff_t at = slice_rchr(address, '@');

	return at < 0 ? SLICE_NONE : slice_from(address, (size_t)at + 1);
}

#define SECONDS_HEX 12 /* digits of a message_id before its hash */
#define HASH_HEX 8
#define NUMBER_DIGITS 20 /* of 64 bits */

/* The digits that the injection gives a message_id. */
static void birth_digits(int64_t injected, char digits[SECONDS_HEX + 1])
{
	g_snprintf(digits, SECONDS_HEX + 1, "0000%08x",
	        GUINT32_SWAP_LE_BE((uint32_t)(injected / CLOCK_SECOND)));
}

static bool hex_number(struct slice text, uint32_t *number)
{
	*number = 0;
	for (size_t i = 0; i < text.n; i++) {
		int digit = g_ascii_isupper(text.p[i]) ? -1 : g_ascii_xdigit_value(text.p[i]);
		if (digit < 0)
			return false;
		*number = *number << 4 | (uint32_t)digit;
	}
	return true;
}

static bool is_birth(const struct event *event, struct slice value)
{
	char digits[SECONDS_HEX + 1];
	uint32_t hash;

	birth_digits(event->injected, digits);
	return event->injected > 0 && value.n == SECONDS_HEX + HASH_HEX &&
	       slice_starts(value, slice_make(digits, SECONDS_HEX)) &&
	       hex_number(slice_from(value, SECONDS_HEX), &hash);
}

static struct slice hashed(struct slice message_id, char number[24])
{
	g_snprintf(number, 24, "%" G_GUINT64_FORMAT, identity_parts(&message_id, 1));
	return slice_str(number);
}

/* Of numbers only: filters that look for words know that such ids stand in no dictionary. */
static bool is_smtp(struct slice value, struct slice transmission)
{
	if (!slice_skip(&value, SLICE("smtp_")) || value.n == 0 || value.n > NUMBER_DIGITS)
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (!g_ascii_isdigit(value.p[i]))
			return false;
	return slice_eq(value, transmission);
}

/* Whether a value can be written in a form. */
static bool form_takes(enum form form, const struct event *event, unsigned field)
{
	struct slice value = event->field[field], other = event->field[field_form[field].of];
	char text[24];
	int64_t number;

	switch (form) {
	case FORM_NUMBER:
		return plain_number(value, &number);
	case FORM_ADDRESS:
		return domain_of(value).p != NULL;
	case FORM_SAME:
		return other.p != NULL && slice_eq(value, other);
	case FORM_DOMAIN:
		other = other.p != NULL ? domain_of(other) : SLICE_NONE;
		return other.p != NULL && slice_eq(value, other);
	case FORM_BIRTH:
		return is_birth(event, value);
	case FORM_HASHED:
		return other.p != NULL && slice_eq(value, hashed(other, text));
	case FORM_SMTP:
		return other.p != NULL && is_smtp(value, other);
	case FORM_REASON:
		return row_is_failure(event->type);
	case FORM_REPLY:
		return pack_splits(value);
	default:
		return true;
	}
}

static enum form choose(const struct event *event, unsigned field)
{
	const struct field_form *natural = &field_form[field];

	if (form_takes(natural->form, event, field))
		return natural->form;
	if (natural->next != FORM_TEXT && form_takes(natural->next, event, field))
		return natural->next;
	return FORM_TEXT;
}

static int put_id(struct packing *to, GByteArray *out, enum dict_kind kind, struct slice text)
{
	int64_t id = dict_id(to->writer, kind, text, 0, to->err);

	if (id < 0)
		return -1;
	pack_number(out, (uint64_t)id);
	return 0;
}

/* A string that may come again. What comes once would cost more in the dictionary than here; what
 * stands in a shape comes again. */
static int put_word(struct packing *to, GByteArray *out, struct slice text)
{
	int64_t id = out == to->shape || field_form[to->field].listed
	                     ? dict_id(to->writer, DICT_WORD, text, 0, to->err)
	                     : dict_again(to->writer, DICT_WORD, text, to->err);

	if (id < 0)
		return -1;
	pack_number(out, id > 0 ? (uint64_t)id << 1 : (uint64_t)text.n << 1 | 1);
	if (id == 0 && text.n > 0)
		g_byte_array_append(out, (const guint8 *)text.p, (guint)text.n);
	return 0;
}

static int put_address(struct packing *to, GByteArray *out, struct slice value)
{
	struct slice domain = domain_of(value);

	if (put_word(to, out, domain) < 0)
		return -1;
	pack_string(out, slice_head(value, value.n - domain.n - 1));
	return 0;
}

static int put_reply(struct packing *to, GByteArray *out, struct slice value)
{
	GString *frame = to->writer->frame;
	struct slice tokens[PACK_TOKENS];

	g_string_truncate(frame, 0);
	unsigned n = pack_split(value, frame, tokens);
	if (put_word(to, out, slice_make(frame->str, frame->len)) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++)
		pack_string(out, tokens[i]);
	return 0;
}

static int put_value(struct packing *to, GByteArray *out, enum form form, struct slice value)
{
	int64_t number = 0;
	uint32_t hash = 0;

	switch (form) {
	case FORM_WORD:
		return put_word(to, out, value);
	case FORM_REASON:
		pack_number(out, (uint64_t)(to->field == FIELD_REASON ? to->texts->reason
		                                                      : to->texts->raw_reason));
		return 0;
	case FORM_SUBJECT:
		return put_id(to, out, DICT_SUBJECT, value);
	case FORM_NUMBER:
		plain_number(value, &number);
		pack_number(out, (uint64_t)number);
		return 0;
	case FORM_ADDRESS:
		return put_address(to, out, value);
	case FORM_REPLY:
		return put_reply(to, out, value);
	case FORM_BIRTH:
		hex_number(slice_from(value, SECONDS_HEX), &hash);
		hash = GUINT32_TO_LE(hash);
		g_byte_array_append(out, (const guint8 *)&hash, sizeof(hash));
		return 0;
	case FORM_TEXT:
		pack_string(out, value);
		return 0;
	default:
		return 0;
	}
}

/* Whether the natural form of a field needs another one, which then comes before. */
static bool refers(unsigned field)
{
	return field_form[field].of != 0;
}

static int put_field(struct packing *to, unsigned field)
{
	enum form form = choose(to->event, field);
	bool natural = form == field_form[field].form;

	to->field = field;
	pack_number(to->shape, (uint64_t)field_catalogue[field].number * 2 + !natural);
	if (!natural)
		pack_byte(to->shape, (uint8_t)form);
	return put_value(
	        to, field_form[field].fixed ? to->shape : to->out, form, to->event->field[field]);
}

/* The shape is known when all fields are looked at: the values wait for it in a buffer. */
static int put_fields(struct packing *to, unsigned type, enum field_scope scope)
{
	g_byte_array_set_size(to->shape, 0);
	pack_number(to->shape, type);
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < FIELDS; i++)
			if (to->event->field[i].p != NULL && field_catalogue[i].scope == scope &&
			        refers(i) == (pass == 1) && put_field(to, i) < 0)
				return -1;
	return 0;
}

static int put_row(struct packing *to, GByteArray *out, unsigned type, enum field_scope scope)
{
	to->out = to->writer->scratch;
	to->shape = to->writer->shape;
	g_byte_array_set_size(to->out, 0);
	if (scope == FIELD_OF_MESSAGE)
		pack_number(to->out, pack_time(to->event->injected, to->writer->day));
	if (put_fields(to, type, scope) < 0 ||
	        put_id(to, out, DICT_SHAPE,
	                slice_make((const char *)to->shape->data, to->shape->len)) < 0)
		return -1;
	g_byte_array_append(out, to->out->data, to->out->len);
	return 0;
}

int row_pack_message(
        GByteArray *out, struct day_writer *writer, const struct event *event, struct error *err)
{
	struct packing to = {.writer = writer, .event = event, .err = err};

	return put_row(&to, out, 0, FIELD_OF_MESSAGE);
}

/* All events with the id of a raw reason have the same reason (store/dict.h). */
static int put_reasons(struct day_writer *writer, const struct event *event,
        struct row_texts *texts, struct error *err)
{
	struct slice reason = event->field[FIELD_REASON], raw = event->field[FIELD_RAW_REASON];

	texts->reason = texts->raw_reason = 0;
	if (!row_is_failure(event->type))
		return 0;
	if (reason.p != NULL)
		texts->reason = dict_id(writer, DICT_REASON, reason, 0, err);
	if (raw.p != NULL && reason.p != NULL && slice_eq(raw, reason))
		texts->raw_reason = texts->reason;
	else if (raw.p != NULL && texts->reason >= 0)
		texts->raw_reason = dict_id(writer, DICT_REASON, raw, texts->reason, err);
	return texts->reason < 0 || texts->raw_reason < 0 ? -1 : 0;
}

int row_pack_event(GByteArray *out, struct day_writer *writer, const struct event *event,
        struct row_texts *texts, struct error *err)
{
	struct packing to = {.writer = writer, .event = event, .texts = texts, .err = err};
	uint64_t id = GUINT64_TO_LE(event->id);

	if (put_reasons(writer, event, texts, err) < 0)
		return -1;
	g_byte_array_append(out, (const guint8 *)&id, sizeof(id));
	return put_row(&to, out, event_catalogue[event->type].number, FIELD_OF_EVENT);
}

/* Unpacking. */
struct unpacking {
	struct record record;
	struct day_reader *reader;
	const struct day *day;
	struct row_texts *texts;
	int64_t injected;
	int64_t reason_of_raw; /* as the dictionary says; 0: nothing */
	struct error *err;
};

/* Valid until the next word. */
static int get_word(struct unpacking *to, struct unpack *in, struct slice *text)
{
	uint64_t head = unpack_number(in);
	struct dict_string string;

	if (in->bad)
		return -1;
	if (head & 1)
		*text = unpack_bytes(in, head >> 1);
	else if (dict_text(to->reader, DICT_WORD, (int64_t)(head >> 1), &string, to->err) == 0)
		*text = string.text;
	else
		return -1;
	return in->bad ? -1 : 0;
}

static int get_id(struct unpacking *to, struct unpack *in, enum field field, enum dict_kind kind)
{
	int64_t id = (int64_t)unpack_number(in);
	struct dict_string string;

	if (in->bad || dict_text(to->reader, kind, id, &string, to->err) < 0)
		return -1;
	record_field(&to->record, field, string.text);
	if (field == FIELD_REASON) {
		to->texts->reason = id;
	} else if (field == FIELD_RAW_REASON) {
		to->texts->raw_reason = id;
		to->reason_of_raw = string.of;
	} else if (field == FIELD_SUBJECT) {
		to->texts->subject = id;
	}
	return 0;
}

static int get_address(struct unpacking *to, struct unpack *in, enum field field)
{
	struct slice domain;

	if (get_word(to, in, &domain) < 0)
		return -1;
	struct packed local = unpack_string(in);
	char *room = record_room(&to->record, field, local.n + 1 + domain.n);
	packed_text(&local, room);
	room[local.n] = '@';
	memcpy(room + local.n + 1, domain.p, domain.n);
	return in->bad ? -1 : 0;
}

static int get_reply(struct unpacking *to, struct unpack *in, enum field field)
{
	struct packed tokens[PACK_TOKENS];
	struct slice frame, piece;
	unsigned n = 0, k = 0;

	if (get_word(to, in, &frame) < 0)
		return -1;
	size_t size = frame.n;
	for (size_t i = 0; i < frame.n; i++) {
		if (frame.p[i] != PACK_TOKEN)
			continue;
		if (n == PACK_TOKENS)
			return -1;
		tokens[n] = unpack_string(in);
		size += tokens[n++].n - 1;
	}
	char *room = record_room(&to->record, field, size);
	for (struct slice rest = frame; rest.n > 0;) {
		piece = slice_cut(&rest, PACK_TOKEN);
		memcpy(room, piece.p, piece.n);
		room += piece.n;
		if (k == n)
			break;
		packed_text(&tokens[k], room);
		room += tokens[k++].n;
	}
	return in->bad ? -1 : 0;
}

static void get_string(struct unpacking *to, struct unpack *in, enum field field)
{
	struct packed packed = unpack_string(in);

	packed_text(&packed, record_room(&to->record, field, packed.n));
}

static void get_birth(struct unpacking *to, struct unpack *in, enum field field)
{
	char digits[SECONDS_HEX + 1], text[SECONDS_HEX + HASH_HEX + 1];
	struct slice bytes = unpack_bytes(in, sizeof(uint32_t));
	uint32_t hash = 0;

	memcpy(&hash, bytes.p, bytes.n);
	birth_digits(to->injected, digits);
	g_snprintf(text, sizeof(text), "%s%08x", digits, GUINT32_FROM_LE(hash));
	record_field(&to->record, field, slice_str(text));
}

/* What another field tells. */
static int get_other(struct unpacking *to, enum field field, enum form form)
{
	struct slice other = record_find(&to->record, field_form[field].of);
	char number[24];

	if (form == FORM_DOMAIN && other.p != NULL)
		other = domain_of(other);
	if (other.p == NULL)
		return -1;
	if (form == FORM_HASHED) {
		record_field(&to->record, field, hashed(other, number));
		return 0;
	}
	/* Growing the record may move what `other` points to. */
	struct slice before = form == FORM_SMTP ? SLICE("smtp_") : SLICE("");
	size_t from = (size_t)(other.p - (const char *)to->record.out->data);
	char *room = record_room(&to->record, field, before.n + other.n);
	memcpy(room, before.p, before.n);
	memcpy(room + before.n, to->record.out->data + from, other.n);
	return 0;
}

static int get_value(struct unpacking *to, struct unpack *in, enum form form, enum field field)
{
	char number[24];
	struct slice text;

	switch (form) {
	case FORM_TEXT:
		get_string(to, in, field);
		return 0;
	case FORM_WORD:
		if (get_word(to, in, &text) < 0)
			return -1;
		record_field(&to->record, field, text);
		return 0;
	case FORM_REASON:
		return get_id(to, in, field, DICT_REASON);
	case FORM_SUBJECT:
		return get_id(to, in, field, DICT_SUBJECT);
	case FORM_NUMBER:
		g_snprintf(number, sizeof(number), "%" G_GUINT64_FORMAT, unpack_number(in));
		record_field(&to->record, field, slice_str(number));
		return 0;
	case FORM_ADDRESS:
		return get_address(to, in, field);
	case FORM_REPLY:
		return get_reply(to, in, field);
	case FORM_BIRTH:
		get_birth(to, in, field);
		return 0;
	case FORM_SAME:
	case FORM_DOMAIN:
	case FORM_HASHED:
	case FORM_SMTP:
		return get_other(to, field, form);
	case FORMS:
		break;
	}
	return -1;
}

static int get_fields(struct unpacking *to, struct unpack *shape, struct unpack *in)
{
	while (shape->p < shape->end && !shape->bad && !in->bad) {
		uint64_t tag = unpack_number(shape);
		enum field field = field_by_number((unsigned)(tag / 2));
		if (shape->bad || field == FIELDS)
			return -1;
		enum form form = field_form[field].form;
		if (tag & 1)
			form = (enum form)(uint8_t)unpack_bytes(shape, 1).p[0];
		if (shape->bad ||
		        get_value(to, field_form[field].fixed ? shape : in, form, field) < 0)
			return -1;
	}
	return shape->bad || in->bad || in->p != in->end ? -1 : 0;
}

/* The shape of what comes; it stays where it is until the next shape. */
static int get_shape(struct unpacking *to, struct unpack *in, struct unpack *shape)
{
	int64_t id = (int64_t)unpack_number(in);
	struct dict_string string;

	if (in->bad || dict_text(to->reader, DICT_SHAPE, id, &string, to->err) < 0)
		return -1;
	*shape = unpack_start(string.text);
	return 0;
}

static int unpack_event(struct unpacking *to, struct slice body, struct event *head)
{
	struct unpack in = unpack_start(body), shape;
	struct slice id = unpack_bytes(&in, sizeof(head->id));

	memcpy(&head->id, id.p, id.n);
	head->id = GUINT64_FROM_LE(head->id);
	if (in.bad || get_shape(to, &in, &shape) < 0)
		return -1;
	head->type = event_type_by_number((unsigned)unpack_number(&shape));
	return head->type == EVENT_TYPES ? -1 : get_fields(to, &shape, &in);
}

static int unpack_message(struct unpacking *to, struct slice body, struct event *head)
{
	struct unpack in = unpack_start(body), shape;

	if (get_shape(to, &in, &shape) < 0 || unpack_number(&shape) != 0)
		return -1;
	to->injected = head->injected = unpack_time(unpack_number(&in), to->day);
	return get_fields(to, &shape, &in);
}

uint64_t row_event_id(struct slice body)
{
	uint64_t id = 0;

	if (body.n >= sizeof(id))
		memcpy(&id, body.p, sizeof(id));
	return GUINT64_FROM_LE(id);
}

int row_unpack(GByteArray *out, struct day_reader *reader, const struct day *day,
        const struct row *row, struct row_texts *texts, struct error *err)
{
	struct unpacking to = {.record = record_begin(out),
	        .reader = reader,
	        .day = day,
	        .texts = texts,
	        .err = err};
	int64_t time = day->start + day_row_ms(row->id);
	struct event head = {
	        .row = (uint64_t)time << 16 | (uint64_t)(row->id & (DAY_ORDERS - 1)),
	        .time = time,
	        .arrival = row->arrival,
	};

	*texts = (struct row_texts){0};
	/* A search goes by what the dictionary says of a raw reason: it must be true. */
	if (unpack_event(&to, row->body, &head) < 0 ||
	        (to.reason_of_raw != 0 && to.reason_of_raw != texts->reason) ||
	        (row->message.p != NULL && unpack_message(&to, row->message, &head) < 0)) {
		g_byte_array_set_size(out, (guint)to.record.at);
		return sql_damaged(
		        err, "store file %s: row %lld is damaged", day->path, (long long)row->id);
	}
	record_end(&to.record, &head);
	return 0;
}
