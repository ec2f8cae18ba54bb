/* The MIME structure of a mail as a flat list of the parts that reports are made of. */
#include <gmime/gmime.h>

#include "mime/headers.h"
#include "mime/report-private.h"

/* Nesting of parts, their number, and bytes of one part: reports need a handful. */
#define DEPTH_MAX 8
#define PARTS_MAX 64
#define PART_BYTES_MAX (256 * 1024)
/* A longer tag is none. */
#define TAG_MAX 1000

static void part_free(gpointer data)
{
	struct part *part = data;

	g_free(part->text);
	g_free(part);
}

static void part_add(struct parts *parts, enum part_kind kind, char *text)
{
	struct part *part = g_new0(struct part, 1);

	part->kind = kind;
	part->text = text;
	g_ptr_array_add(parts->list, part);
}

/* Lines that end in \n, NUL as blank. */
static GString *normalise(struct slice bytes)
{
	GString *out = g_string_sized_new(bytes.n + 1);

	for (size_t i = 0; i < bytes.n; i++) {
		char c = bytes.p[i];

		if (c == '\r') {
			if (i + 1 < bytes.n && bytes.p[i + 1] == '\n')
				continue;
			c = '\n';
		}
		g_string_append_c(out, c != '\0' ? c : ' ');
	}
	return out;
}

static char *to_utf8(const char *bytes, size_t n, const char *charset)
{
	if (charset != NULL && g_ascii_strcasecmp(charset, "utf-8") != 0) {
		char *text = g_convert(bytes, (gssize)n, "UTF-8",
		        g_mime_charset_iconv_name(charset), NULL, NULL, NULL);
		if (text != NULL)
			return text;
	}
	return g_strndup(bytes, n);
}

/* ---- HTML ---- */

static const struct {
	const char *name;
	char text;
} entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&nbsp;", ' '},
        {"&#39;", '\''}, {"&#64;", '@'}, {"&apos;", '\''}};

static const char *html_entity(const char *p, GString *out)
{
	for (size_t i = 0; i < G_N_ELEMENTS(entities); i++)
		if (g_str_has_prefix(p, entities[i].name)) {
			g_string_append_c(out, entities[i].text);
			return p + strlen(entities[i].name);
		}
	g_string_append_c(out, '&');
	return p + 1;
}

/* Whether a tag begins a line of text. */
static bool html_breaks(const char *tag)
{
	static const char *const names[] = {
	        "br", "p", "/p", "div", "/div", "tr", "/tr", "/td", "li", "h", "/h", "hr", "table"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		size_t n = strlen(names[i]);
		if (g_ascii_strncasecmp(tag, names[i], n) == 0 &&
		        (!g_ascii_isalpha(tag[n]) || tag[n - 1] == 'h'))
			return true;
	}
	return false;
}

/* Behind the tag at p. Style sheets and scripts go with all that is in them. */
static const char *html_tag(const char *p, GString *out)
{
	const char *end = memchr(p, '>', strnlen(p, TAG_MAX));

	if (g_ascii_strncasecmp(p, "<style", 6) == 0 || g_ascii_strncasecmp(p, "<script", 7) == 0) {
		const char *close = strstr(p + 1, "</");
		return close != NULL ? close : p + strlen(p);
	}
	if (end == NULL)
		return p + 1;
	/* <user@example.com>, unescaped */
	if (end - p < 300 && memchr(p, '@', (size_t)(end - p)) != NULL &&
	        memchr(p, ' ', (size_t)(end - p)) == NULL && strncmp(p, "<mailto:", 8) != 0) {
		g_string_append_len(out, p, end - p + 1);
		return end + 1;
	}
	if (html_breaks(p + 1))
		g_string_append_c(out, '\n');
	return end + 1;
}

static char *html_text(const char *html)
{
	GString *out = g_string_new(NULL);
	const char *p = html;

	while (*p != '\0') {
		if (*p == '<') {
			p = html_tag(p, out);
		} else if (*p == '&') {
			p = html_entity(p, out);
		} else {
			g_string_append_c(out, *p);
			p++;
		}
	}
	return g_string_free(out, FALSE);
}

/* ---- walking ---- */

static const struct {
	const char *type, *subtype; /* NULL = any */
	enum part_kind kind;
} part_types[] = {
        {"message", "delivery-status", PART_STATUS},
        {"message", "global-delivery-status", PART_STATUS}, /* RFC 6533 */
        {"message", "feedback-report", PART_FEEDBACK},
        {"message", "disposition-notification", PART_DISPOSITION},
        {"message", "global-disposition-notification", PART_DISPOSITION},
        {"text", "rfc822-headers", PART_ORIGINAL},
        {"text", "rfc822-header", PART_ORIGINAL},
        {"message", "rfc822-headers", PART_ORIGINAL},
        {"message", "global-headers", PART_ORIGINAL},
        {"message", "global", PART_ORIGINAL},
        {"message", "rfc822", PART_ORIGINAL}, /* that GMime could not read as one */
        {"text", "html", PART_HTML},
        {"text", NULL, PART_TEXT},
};

static bool part_kind(GMimeObject *object, enum part_kind *kind_r)
{
	GMimeContentType *type = g_mime_object_get_content_type(object);

	for (size_t i = 0; type != NULL && i < G_N_ELEMENTS(part_types); i++)
		if (g_mime_content_type_is_type(type, part_types[i].type,
		            part_types[i].subtype != NULL ? part_types[i].subtype : "*")) {
			*kind_r = part_types[i].kind;
			return true;
		}
	return false;
}

/* The decoded content of a part, cut off at PART_BYTES_MAX. */
static char *part_text(GMimePart *part)
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	const char *charset =
	        g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), "charset");

	if (content == NULL)
		return g_strdup("");
	GMimeStream *stream = g_mime_stream_mem_new();
	g_mime_data_wrapper_write_to_stream(content, stream);
	GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
	g_autoptr(GString) text = normalise(
	        slice_head(slice_make((const char *)bytes->data, bytes->len), PART_BYTES_MAX));
	g_object_unref(stream);
	return to_utf8(text->str, text->len, charset);
}

static void walk(struct parts *parts, GMimeObject *object, unsigned depth);

/* A returned message: its header. A report in a report (a gateway wrapped it) is opened. */
static void walk_message(struct parts *parts, GMimeMessage *message, unsigned depth)
{
	GMimeObject *body = g_mime_message_get_mime_part(message);

	if (parts_find(parts, PART_STATUS) == NULL && body != NULL &&
	        g_mime_content_type_is_type(
	                g_mime_object_get_content_type(body), "multipart", "report")) {
		walk(parts, body, depth);
		return;
	}
	if (parts_find(parts, PART_ORIGINAL) != NULL)
		return;
	g_autofree char *headers = g_mime_object_get_headers(GMIME_OBJECT(message), NULL);
	g_autoptr(GString) text = normalise(slice_head(slice_str(headers), PART_BYTES_MAX));
	part_add(parts, PART_ORIGINAL, g_strdup(text->str));
}

static void walk(struct parts *parts, GMimeObject *object, unsigned depth)
{
	enum part_kind kind;

	if (object == NULL || depth > DEPTH_MAX || parts->list->len >= PARTS_MAX)
		return;
	if (GMIME_IS_MULTIPART(object)) {
		GMimeMultipart *multipart = GMIME_MULTIPART(object);
		int n = MIN(g_mime_multipart_get_count(multipart), PARTS_MAX);

		for (int i = 0; i < n; i++)
			walk(parts, g_mime_multipart_get_part(multipart, i), depth + 1);
	} else if (GMIME_IS_MESSAGE_PART(object)) {
		GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));

		if (message != NULL)
			walk_message(parts, message, depth + 1);
	} else if (GMIME_IS_PART(object) && part_kind(object, &kind)) {
		char *text = part_text(GMIME_PART(object));

		if (kind == PART_HTML) {
			char *plain = html_text(text);
			g_free(text);
			text = plain;
		}
		part_add(parts, kind, text);
	}
}

const char *parts_find(const struct parts *parts, enum part_kind kind)
{
	for (guint i = 0; i < parts->list->len; i++) {
		const struct part *part = parts->list->pdata[i];
		if (part->kind == kind)
			return part->text;
	}
	return NULL;
}

/* ---- the mail ---- */

/* Without lines that mbox files and programs put in front. */
static struct slice mail_begin(const GString *text)
{
	struct slice mail = slice_make(text->str, text->len);

	while (mail.n > 0 && (mail.p[0] == '\n' || slice_starts(mail, SLICE("From ")) ||
	                             slice_starts(mail, SLICE(">From ")))) {
		ptrdiff_t end = slice_chr(mail, '\n');
		mail = slice_from(mail, end < 0 ? mail.n : (size_t)end + 1);
	}
	return mail;
}

static void parts_parse(struct parts *parts, struct slice mail)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(mail.p, mail.n);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);

	if (message != NULL) {
		walk(parts, g_mime_message_get_mime_part(message), 0);
		g_object_unref(message);
	}
	g_object_unref(parser);
	g_object_unref(stream);
}

/* Broken structure: all of the body is one text. */
static void parts_whole(struct parts *parts, struct slice body)
{
	if (parts_find(parts, PART_TEXT) == NULL && parts_find(parts, PART_HTML) == NULL &&
	        parts_find(parts, PART_STATUS) == NULL)
		part_add(parts, PART_TEXT, slice_dup(slice_head(body, PART_BYTES_MAX)));
}

struct parts *parts_read(struct slice mail)
{
	struct parts *parts = g_new0(struct parts, 1);
	g_autoptr(GString) text = normalise(slice_head(mail, REPORT_BYTES_MAX));

	parts->list = g_ptr_array_new_with_free_func(part_free);
	mail = mail_begin(text);
	ptrdiff_t end = slice_find(mail, SLICE("\n\n"));
	struct slice header = end < 0 ? mail : slice_head(mail, (size_t)end + 1);
	parts->header = slice_dup(slice_head(header, PART_BYTES_MAX));
	if (parts->header == NULL)
		parts->header = g_strdup("");
	g_autofree char *subject = fields_get(parts->header, "Subject");
	parts->subject = subject != NULL ? mime_decode_text(slice_str(subject)) : g_strdup("");
	if (mail.n > 0)
		parts_parse(parts, mail);
	parts_whole(parts, slice_from(mail, header.n));
	return parts;
}

void parts_free(struct parts **parts)
{
	if (*parts == NULL)
		return;
	g_free((*parts)->header);
	g_free((*parts)->subject);
	g_ptr_array_free((*parts)->list, TRUE);
	g_clear_pointer(parts, g_free);
}
