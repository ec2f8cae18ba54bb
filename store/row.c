/* A packed row is a head and then fields, each as
 *
 *	varint  number of the field (schema/fields.def) * 2 + (1: a form byte follows)
 *	byte    form, where it is not the natural form of the field
 *	…       the value in its form
 *
 * Head of an event: 8 bytes event_id, little-endian; varint number of the type.
 * Head of a message: varint injection time, ms.
 * varint: 7 bits a byte, lowest first, the top bit says that more follow. */
#include "store/row.h"

#include <errno.h>
#include <sodium.h>

#include "event/catalogue.h"

/* Numbers are in the files: never give one a new meaning. */
enum form {
	FORM_TEXT,    /* varint length, bytes */
	FORM_WORD,    /* varint id in the dictionary */
	FORM_REASON,  /* the same, dictionary of reasons */
	FORM_SUBJECT, /* the same, dictionary of subjects */
	FORM_NUMBER,  /* varint: a decimal number without leading zeros */
	FORM_ADDRESS, /* varint id of the domain, varint length and bytes of the local part */
	FORM_HEX,     /* varint length, bytes: of twice as many lower-case hex digits */
	FORM_SAME,    /* nothing: what the field of form_of.of says */
	FORM_DOMAIN,  /* nothing: what stands behind the last @ there */
	FORMS
};

/* What a field's value usually is. Part of the file format: a change needs a new DAY_VERSION. Of
 * SAME and DOMAIN the second form is tried next; FORM_TEXT takes anything. */
struct field_form {
	enum form form;
	enum form next;
	enum field of;
};
static const struct field_form field_form[FIELDS] = {
        [FIELD_MESSAGE_ID] = {FORM_HEX},
        [FIELD_PARENT_MESSAGE_ID] = {FORM_HEX},
        [FIELD_TRANSMISSION_ID] = {FORM_NUMBER},
        [FIELD_CUSTOMER_ID] = {FORM_NUMBER},
        [FIELD_SUBACCOUNT_ID] = {FORM_NUMBER},
        [FIELD_RCPT_TO] = {FORM_ADDRESS},
        [FIELD_RAW_RCPT_TO] = {FORM_SAME, FORM_ADDRESS, FIELD_RCPT_TO},
        [FIELD_ORIG_RCPT_TO] = {FORM_ADDRESS},
        [FIELD_RCPT_TYPE] = {FORM_WORD},
        [FIELD_RCPT_DOMAIN] = {FORM_WORD},
        [FIELD_RECIPIENT_DOMAIN] = {FORM_DOMAIN, FORM_WORD, FIELD_RCPT_TO},
        [FIELD_ROUTING_DOMAIN] = {FORM_DOMAIN, FORM_WORD, FIELD_RCPT_TO},
        [FIELD_MAILBOX_PROVIDER] = {FORM_WORD},
        [FIELD_MAILBOX_PROVIDER_REGION] = {FORM_WORD},
        [FIELD_FRIENDLY_FROM] = {FORM_ADDRESS},
        [FIELD_FRIENDLY_NAME] = {FORM_WORD},
        [FIELD_MSG_FROM] = {FORM_ADDRESS},
        [FIELD_SENDING_DOMAIN] = {FORM_DOMAIN, FORM_WORD, FIELD_FRIENDLY_FROM},
        [FIELD_SUBJECT] = {FORM_SUBJECT},
        [FIELD_MSG_SIZE] = {FORM_NUMBER},
        [FIELD_CAMPAIGN_ID] = {FORM_WORD},
        [FIELD_TEMPLATE_ID] = {FORM_WORD},
        [FIELD_TEMPLATE_VERSION] = {FORM_WORD},
        [FIELD_AB_TEST_ID] = {FORM_WORD},
        [FIELD_AB_TEST_VERSION] = {FORM_WORD},
        [FIELD_TRANSACTIONAL] = {FORM_WORD},
        [FIELD_CLICK_TRACKING] = {FORM_WORD},
        [FIELD_OPEN_TRACKING] = {FORM_WORD},
        [FIELD_INITIAL_PIXEL] = {FORM_WORD},
        [FIELD_AMP_ENABLED] = {FORM_WORD},
        [FIELD_RECV_METHOD] = {FORM_WORD},
        [FIELD_DELV_METHOD] = {FORM_WORD},
        [FIELD_IP_ADDRESS] = {FORM_WORD},
        [FIELD_SENDING_IP] = {FORM_WORD},
        [FIELD_IP_POOL] = {FORM_WORD},
        [FIELD_NUM_RETRIES] = {FORM_NUMBER},
        [FIELD_QUEUE_TIME] = {FORM_NUMBER},
        [FIELD_OUTBOUND_TLS] = {FORM_WORD},
        [FIELD_BOUNCE_CLASS] = {FORM_NUMBER},
        [FIELD_ERROR_CODE] = {FORM_NUMBER},
        [FIELD_RAW_REASON] = {FORM_REASON},
        [FIELD_REASON] = {FORM_REASON},
        [FIELD_FBTYPE] = {FORM_WORD},
        [FIELD_REPORT_BY] = {FORM_WORD},
        [FIELD_REPORT_TO] = {FORM_WORD},
        [FIELD_MAILFROM] = {FORM_ADDRESS},
        [FIELD_USER_AGENT] = {FORM_WORD},
        [FIELD_ACCEPT_LANGUAGE] = {FORM_WORD},
        [FIELD_GEO_IP] = {FORM_WORD},
        [FIELD_TARGET_LINK_NAME] = {FORM_WORD},
        [FIELD_NODE_NAME] = {FORM_WORD},
        [FIELD_INSTANCE] = {FORM_WORD},
        [FIELD_DSN] = {FORM_WORD},
        [FIELD_MX_HOST] = {FORM_WORD},
        [FIELD_SERVICE] = {FORM_WORD},
        [FIELD_SMTP_STAGE] = {FORM_WORD},
        [FIELD_CLIENT_HOST] = {FORM_WORD},
        [FIELD_HELO] = {FORM_WORD},
        [FIELD_AUTH_USER] = {FORM_WORD},
        [FIELD_TLS_VERSION] = {FORM_WORD},
        [FIELD_TLS_CIPHER] = {FORM_WORD},
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

uint64_t row_message_hash(const struct event *event, const uint8_t *key)
{
	/* A chain of hashes: each link covers the one before, the field, and where it ends. */
	struct {
		uint64_t before, value;
		int64_t field;
	} link = {.value = (uint64_t)event->injected, .field = -1};
	uint64_t hash = 0;

	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)&link, sizeof(link), key);
	for (unsigned i = 0; i < FIELDS; i++) {
		struct slice value = event->field[i];
		if (value.p == NULL || !is_message_field(i))
			continue;
		link.before = hash;
		link.field = i;
		crypto_shorthash((uint8_t *)&link.value, (const uint8_t *)value.p, value.n, key);
		crypto_shorthash((uint8_t *)&hash, (const uint8_t *)&link, sizeof(link), key);
	}
	return hash;
}

static void put_byte(GByteArray *out, uint8_t byte)
{
	g_byte_array_append(out, &byte, 1);
}

static void put_varint(GByteArray *out, uint64_t value)
{
	uint8_t bytes[10];
	unsigned n = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[n++] = (uint8_t)(value | 0x80);
	bytes[n++] = (uint8_t)value;
	g_byte_array_append(out, bytes, n);
}

static void put_bytes(GByteArray *out, struct slice bytes)
{
	put_varint(out, bytes.n);
	if (bytes.n > 0)
		g_byte_array_append(out, (const guint8 *)bytes.p, (guint)bytes.n);
}

/* A decimal number as we would write it again: no leading zeros, below 10^18. */
static bool plain_number(struct slice text, int64_t *value)
{
	return slice_int(text, value) && *value >= 0 && text.p[0] != '-' &&
	       (text.p[0] != '0' || text.n == 1);
}

static bool is_hex(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!g_ascii_isdigit(text.p[i]) && (text.p[i] < 'a' || text.p[i] > 'f'))
			return false;
	return text.n % 2 == 0;
}

/* What stands behind the last @; absent where there is none. */
static struct slice domain_of(struct slice address)
{
	ptrdiff_t at = slice_rchr(address, '@');

	return at < 0 ? SLICE_NONE : slice_from(address, (size_t)at + 1);
}

/* Whether a value can be written in a form. */
static bool form_takes(enum form form, const struct event *event, unsigned field)
{
	struct slice value = event->field[field], other = event->field[field_form[field].of];
	int64_t number;

	switch (form) {
	case FORM_NUMBER:
		return plain_number(value, &number);
	case FORM_ADDRESS:
		return domain_of(value).p != NULL;
	case FORM_HEX:
		return is_hex(value);
	case FORM_SAME:
		return other.p != NULL && slice_eq(value, other);
	case FORM_DOMAIN:
		other = other.p != NULL ? domain_of(other) : SLICE_NONE;
		return other.p != NULL && slice_eq(value, other);
	case FORM_REASON:
		return row_is_failure(event->type);
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

static int put_id(GByteArray *out, struct day_writer *writer, enum dict_kind kind,
        struct slice text, struct error *err)
{
	int64_t id = dict_id(writer, kind, text, err);

	if (id < 0)
		return -1;
	put_varint(out, (uint64_t)id);
	return 0;
}

static void put_hex(GByteArray *out, struct slice text)
{
	put_varint(out, text.n / 2);
	for (size_t i = 0; i < text.n; i += 2)
		put_byte(out, (uint8_t)(g_ascii_xdigit_value(text.p[i]) << 4 |
		                        g_ascii_xdigit_value(text.p[i + 1])));
}

static int put_value(GByteArray *out, struct day_writer *writer, enum form form, struct slice value,
        struct error *err)
{
	struct slice domain;
	int64_t number = 0;

	switch (form) {
	case FORM_WORD:
	case FORM_REASON:
	case FORM_SUBJECT:
		return put_id(out, writer, (enum dict_kind)(form - FORM_WORD), value, err);
	case FORM_NUMBER:
		plain_number(value, &number);
		put_varint(out, (uint64_t)number);
		return 0;
	case FORM_ADDRESS:
		domain = domain_of(value);
		if (put_id(out, writer, DICT_WORD, domain, err) < 0)
			return -1;
		put_bytes(out, slice_head(value, value.n - domain.n - 1));
		return 0;
	case FORM_HEX:
		put_hex(out, value);
		return 0;
	case FORM_SAME:
	case FORM_DOMAIN:
		return 0;
	default:
		put_bytes(out, value);
		return 0;
	}
}

static bool refers(unsigned field)
{
	return field_form[field].form == FORM_SAME || field_form[field].form == FORM_DOMAIN;
}

/* Fields that refer to others come behind them. */
static int put_fields(GByteArray *out, struct day_writer *writer, const struct event *event,
        enum field_scope scope, struct error *err)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < FIELDS; i++) {
			if (event->field[i].p == NULL || field_catalogue[i].scope != scope ||
			        refers(i) != (pass == 1))
				continue;
			enum form form = choose(event, i);
			bool natural = form == field_form[i].form;
			put_varint(out, (uint64_t)field_catalogue[i].number * 2 + !natural);
			if (!natural)
				put_byte(out, (uint8_t)form);
			if (put_value(out, writer, form, event->field[i], err) < 0)
				return -1;
		}
	}
	return 0;
}

int row_pack_message(
        GByteArray *out, struct day_writer *writer, const struct event *event, struct error *err)
{
	put_varint(out, (uint64_t)event->injected);
	return put_fields(out, writer, event, FIELD_OF_MESSAGE, err);
}

int row_pack_event(
        GByteArray *out, struct day_writer *writer, const struct event *event, struct error *err)
{
	uint64_t id = GUINT64_TO_LE(event->id);

	g_byte_array_append(out, (const guint8 *)&id, sizeof(id));
	put_varint(out, event_catalogue[event->type].number);
	return put_fields(out, writer, event, FIELD_OF_EVENT, err);
}

/* Reading: a cursor over the bytes; what runs over the end makes it bad. */
struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static uint64_t get_varint(struct cursor *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; in->p < in->end && shift < 64; shift += 7) {
		uint8_t byte = *in->p++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	in->bad = true;
	return 0;
}

static struct slice get_bytes(struct cursor *in, size_t n)
{
	struct slice bytes = SLICE("");

	if (n > (size_t)(in->end - in->p)) {
		in->bad = true;
		return bytes;
	}
	bytes = slice_make((const char *)in->p, n);
	in->p += n;
	return bytes;
}

struct unpacking {
	struct record record;
	struct day_reader *reader;
	struct row_texts *texts;
	struct error *err;
};

static int get_word(struct unpacking *to, struct cursor *in, enum field field, enum dict_kind kind)
{
	int64_t id = (int64_t)get_varint(in);
	struct slice text;

	if (in->bad || dict_text(to->reader, kind, id, &text, to->err) < 0)
		return -1;
	record_field(&to->record, field, text);
	if (field == FIELD_REASON)
		to->texts->reason = kind == DICT_REASON ? id : 0;
	else if (field == FIELD_RAW_REASON)
		to->texts->raw_reason = kind == DICT_REASON ? id : 0;
	else if (field == FIELD_SUBJECT)
		to->texts->subject = kind == DICT_SUBJECT ? id : 0;
	return 0;
}

static int get_address(struct unpacking *to, struct cursor *in, enum field field)
{
	int64_t id = (int64_t)get_varint(in);
	struct slice local = get_bytes(in, get_varint(in)), domain;

	if (in->bad || dict_text(to->reader, DICT_WORD, id, &domain, to->err) < 0)
		return -1;
	char *room = record_room(&to->record, field, local.n + 1 + domain.n);
	memcpy(room, local.p, local.n);
	room[local.n] = '@';
	memcpy(room + local.n + 1, domain.p, domain.n);
	return 0;
}

static void get_hex(struct unpacking *to, struct cursor *in, enum field field)
{
	static const char digits[] = "0123456789abcdef";
	struct slice bytes = get_bytes(in, get_varint(in));
	char *room = record_room(&to->record, field, bytes.n * 2);

	for (size_t i = 0; i < bytes.n; i++) {
		room[2 * i] = digits[(uint8_t)bytes.p[i] >> 4];
		room[2 * i + 1] = digits[bytes.p[i] & 15];
	}
}

static int get_other(struct unpacking *to, enum field field, bool domain)
{
	struct slice other = record_find(&to->record, field_form[field].of);

	if (domain && other.p != NULL)
		other = domain_of(other);
	if (other.p == NULL)
		return -1;
	/* Growing the record may move what `other` points to. */
	size_t from = (size_t)(other.p - (const char *)to->record.out->data);
	char *room = record_room(&to->record, field, other.n);
	memcpy(room, to->record.out->data + from, other.n);
	return 0;
}

static int get_value(struct unpacking *to, struct cursor *in, enum form form, enum field field)
{
	char number[24];

	switch (form) {
	case FORM_TEXT:
		record_field(&to->record, field, get_bytes(in, get_varint(in)));
		return 0;
	case FORM_WORD:
	case FORM_REASON:
	case FORM_SUBJECT:
		return get_word(to, in, field, (enum dict_kind)(form - FORM_WORD));
	case FORM_NUMBER:
		g_snprintf(number, sizeof(number), "%" G_GUINT64_FORMAT, get_varint(in));
		record_field(&to->record, field, slice_str(number));
		return 0;
	case FORM_ADDRESS:
		return get_address(to, in, field);
	case FORM_HEX:
		get_hex(to, in, field);
		return 0;
	case FORM_SAME:
	case FORM_DOMAIN:
		return get_other(to, field, form == FORM_DOMAIN);
	case FORMS:
		break;
	}
	return -1;
}

static int get_fields(struct unpacking *to, struct cursor *in)
{
	while (in->p < in->end && !in->bad) {
		uint64_t tag = get_varint(in);
		enum field field = field_by_number((unsigned)(tag / 2));
		if (in->bad || field == FIELDS)
			return -1;
		enum form form = field_form[field].form;
		if (tag & 1)
			form = (enum form)get_bytes(in, 1).p[0];
		if (in->bad || get_value(to, in, form, field) < 0)
			return -1;
	}
	return in->bad ? -1 : 0;
}

static struct cursor cursor_of(struct slice bytes)
{
	return (struct cursor){(const uint8_t *)bytes.p, (const uint8_t *)bytes.p + bytes.n, false};
}

static int unpack(struct unpacking *to, const struct row *row, struct event *head)
{
	struct cursor in = cursor_of(row->body);
	struct slice id = get_bytes(&in, sizeof(head->id));

	memcpy(&head->id, id.p, id.n);
	head->id = GUINT64_FROM_LE(head->id);
	head->type = event_type_by_number((unsigned)get_varint(&in));
	if (in.bad || head->type == EVENT_TYPES || get_fields(to, &in) < 0)
		return -1;
	if (row->message.p == NULL)
		return 0;
	in = cursor_of(row->message);
	head->injected = (int64_t)get_varint(&in);
	return get_fields(to, &in);
}

int row_unpack(GByteArray *out, struct day_reader *reader, const struct day *day,
        const struct row *row, struct row_texts *texts, struct error *err)
{
	struct unpacking to = {record_begin(out), reader, texts, err};
	int64_t time = day->start + day_row_ms(row->id);
	struct event head = {
	        .row = (uint64_t)time << 16 | (uint64_t)(row->id & (DAY_ORDERS - 1)),
	        .time = time,
	        .arrival = row->arrival,
	};

	*texts = (struct row_texts){0};
	if (unpack(&to, row, &head) < 0) {
		g_byte_array_set_size(out, (guint)to.record.at);
		return error_errno(err, EIO, "store file %s: row %lld is damaged", day->path,
		        (long long)row->id);
	}
	record_end(&to.record, &head);
	return 0;
}
