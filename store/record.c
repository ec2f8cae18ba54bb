#include "store/record.h"

struct head {
	guint32 size; /* of the whole record */
	guint32 type;
	guint64 id;
	gint64 time, injected;
	guint64 row, arrival;
};

struct field_head {
	guint32 field;
	guint32 size;
};

/* Appends without looking at what the bytes are; a buffer may grow beyond 4 GiB only by mistake. */
static guint8 *grow(GByteArray *out, size_t n)
{
	size_t at = out->len;

	g_byte_array_set_size(out, (guint)(at + n));
	return out->data + at;
}

struct record record_begin(GByteArray *out)
{
	struct record record = {out, out->len};

	grow(out, sizeof(struct head));
	return record;
}

char *record_room(struct record *record, enum field field, size_t n)
{
	struct field_head head = {(guint32)field, (guint32)n};
	guint8 *p = grow(record->out, sizeof(head) + n);

	memcpy(p, &head, sizeof(head));
	return (char *)p + sizeof(head);
}

void record_field(struct record *record, enum field field, struct slice value)
{
	char *room = record_room(record, field, value.n);

	if (value.n > 0)
		memcpy(room, value.p, value.n);
}

struct slice record_find(const struct record *record, enum field field)
{
	const guint8 *p = record->out->data + record->at + sizeof(struct head);
	const guint8 *end = record->out->data + record->out->len;
	struct field_head head;

	for (; p < end; p += sizeof(head) + head.size) {
		memcpy(&head, p, sizeof(head));
		if (head.field == (guint32)field)
			return slice_make((const char *)p + sizeof(head), head.size);
	}
	return SLICE_NONE;
}

void record_end(struct record *record, const struct event *event)
{
	struct head head = {
	        .size = (guint32)(record->out->len - record->at),
	        .type = (guint32)event->type,
	        .id = event->id,
	        .time = event->time,
	        .injected = event->injected,
	        .row = event->row,
	        .arrival = event->arrival,
	};

	memcpy(record->out->data + record->at, &head, sizeof(head));
}

size_t record_put(GByteArray *out, const struct event *event)
{
	struct record record = record_begin(out);

	for (unsigned i = 0; i < FIELDS; i++)
		if (event->field[i].p != NULL)
			record_field(&record, (enum field)i, event->field[i]);
	record_end(&record, event);
	return record.at;
}

size_t record_get(const GByteArray *in, size_t at, struct event *event)
{
	const guint8 *p = in->data + at, *end;
	struct head head;
	struct field_head field;

	memcpy(&head, p, sizeof(head));
	*event = (struct event){
	        .type = (enum event_type)head.type,
	        .id = head.id,
	        .time = head.time,
	        .injected = head.injected,
	        .row = head.row,
	        .arrival = head.arrival,
	};
	end = p + head.size;
	for (p += sizeof(head); p < end; p += sizeof(field) + field.size) {
		memcpy(&field, p, sizeof(field));
		event->field[field.field] = slice_make((const char *)p + sizeof(field), field.size);
	}
	return at + head.size;
}
