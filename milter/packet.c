#include "milter/packet.h"

#include <arpa/inet.h>

#define LENGTH_BYTES 4

int packet_cut(struct slice *bytes, struct packet *packet_r)
{
	if (bytes->n < LENGTH_BYTES)
		return 0;
	uint32_t length = packet_number(*bytes, 0);
	if (length < 1 || length > PACKET_DATA_MAX + 1)
		return -1;
	if (bytes->n - LENGTH_BYTES < length)
		return 0;
	packet_r->command = bytes->p[LENGTH_BYTES];
	packet_r->data = slice_make(bytes->p + LENGTH_BYTES + 1, length - 1);
	*bytes = slice_from(*bytes, LENGTH_BYTES + length);
	return 1;
}

void packet_stream_add(struct packet_stream *stream, struct slice bytes)
{
	if (stream->held == NULL) {
		stream->rest = bytes;
		return;
	}
	if (bytes.n > 0)
		g_byte_array_append(stream->held, (const guint8 *)bytes.p, (guint)bytes.n);
	stream->rest = slice_make((const char *)stream->held->data, stream->held->len);
}

int packet_stream_next(struct packet_stream *stream, struct packet *packet_r)
{
	return packet_cut(&stream->rest, packet_r);
}

void packet_stream_keep(struct packet_stream *stream)
{
	size_t n = stream->rest.n;

	if (n == 0) {
		packet_stream_clear(stream);
		return;
	}
	if (stream->held == NULL) {
		stream->held = g_byte_array_sized_new((guint)n);
		g_byte_array_append(stream->held, (const guint8 *)stream->rest.p, (guint)n);
	} else if (n < stream->held->len) {
		g_byte_array_remove_range(stream->held, 0, (guint)(stream->held->len - n));
	}
	stream->rest = SLICE_NONE;
}

void packet_stream_clear(struct packet_stream *stream)
{
	g_clear_pointer(&stream->held, g_byte_array_unref);
	stream->rest = SLICE_NONE;
}

bool packet_texts(struct slice data, GPtrArray *texts)
{
	g_ptr_array_set_size(texts, 0);
	if (data.n == 0 || data.p[data.n - 1] != '\0')
		return false;
	while (data.n > 0)
		g_ptr_array_add(texts, (gpointer)slice_cut(&data, '\0').p);
	g_ptr_array_add(texts, NULL);
	return true;
}

static struct slice bare_name(struct slice name)
{
	if (name.n >= 2 && name.p[0] == '{' && name.p[name.n - 1] == '}')
		name = slice_make(name.p + 1, name.n - 2);
	return name;
}

const char *packet_macro(struct slice list, const char *name)
{
	struct slice wanted = bare_name(slice_str(name));

	/* What follows the last NUL has no end. */
	list.n = (size_t)(slice_rchr(list, '\0') + 1);
	while (list.n > 0) {
		struct slice key = slice_cut(&list, '\0');

		if (list.n > 0 && slice_eq(bare_name(key), wanted))
			return list.p;
		slice_cut(&list, '\0');
	}
	return NULL;
}

uint32_t packet_number(struct slice data, size_t offset)
{
	uint32_t number;

	memcpy(&number, data.p + offset, sizeof(number));
	return ntohl(number);
}

void packet_put_number(GString *data, uint32_t number)
{
	number = htonl(number);
	g_string_append_len(data, (const char *)&number, sizeof(number));
}

void packet_put(GString *out, char command, struct slice data)
{
	packet_put_number(out, (uint32_t)data.n + 1);
	g_string_append_c(out, command);
	if (data.n > 0)
		g_string_append_len(out, data.p, (gssize)data.n);
}
