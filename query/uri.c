#include "query/uri.h"

/* Decodes into `to`, which has room for s.n bytes. Returns the length, or -1 on a broken escape. */
static ptrdiff_t uri_decode(char *to, struct slice s, bool plus)
{
	char *p = to;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '+' && plus) {
			*p++ = ' ';
		} else if (s.p[i] != '%') {
			*p++ = s.p[i];
		} else {
			if (s.n - i < 3 || !g_ascii_isxdigit(s.p[i + 1]) ||
			        !g_ascii_isxdigit(s.p[i + 2]))
				return -1;
			*p++ = (char)(g_ascii_xdigit_value(s.p[i + 1]) << 4 |
			              g_ascii_xdigit_value(s.p[i + 2]));
			i += 2;
		}
	}
	return p - to;
}

/* The decoded form, kept in the free bytes at *room; `raw` itself and *bad where that fails. */
static struct slice uri_decoded(char **room, struct slice raw, bool plus, bool *bad)
{
	ptrdiff_t n = uri_decode(*room, raw, plus);
	bool broken = n < 0;

	if (broken) {
		*bad = true;
		memcpy(*room, raw.p, raw.n);
		n = (ptrdiff_t)raw.n;
	}
	struct slice text = slice_make(*room, (size_t)n);
	*room += n;
	return text;
}

/* RFC 9112, 3.2.2: a server must accept the absolute form too. */
static struct slice uri_origin_form(struct slice target)
{
	if (!slice_skip(&target, SLICE("http://")) && !slice_skip(&target, SLICE("https://")))
		return target;
	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] == '/' || target.p[i] == '?')
			return slice_from(target, i);
	return slice_from(target, target.n);
}

static void uri_parse_path(struct uri *uri, struct slice path, char **room)
{
	if (!slice_skip(&path, SLICE("/"))) {
		uri->bad_path = true;
		return;
	}
	if (slice_ends(path, SLICE("/")))
		path.n--;
	while (path.n > 0) {
		bool last = slice_chr(path, '/') < 0;
		struct slice raw = slice_cut(&path, '/');
		struct slice segment = uri_decoded(room, raw, false, &uri->bad_path);

		g_array_append_val(uri->segments, segment);
		if (!last && path.n == 0) /* "a//": what is left is one empty segment */
			g_array_append_val(uri->segments, path);
	}
}

static void uri_parse_query(struct uri *uri, struct slice query, char **room)
{
	while (query.n > 0) {
		struct slice piece = slice_cut(&query, '&');
		struct uri_param param = {0};

		if (piece.n == 0)
			continue;
		struct slice name = slice_cut(&piece, '=');
		param.name = uri_decoded(room, name, true, &param.bad_name);
		param.value = uri_decoded(room, piece, true, &param.bad_value);
		g_array_append_val(uri->params, param);
	}
}

void uri_parse(struct uri *uri_r, struct slice target)
{
	*uri_r = (struct uri){
	        .segments = g_array_new(false, false, sizeof(struct slice)),
	        .params = g_array_new(false, false, sizeof(struct uri_param)),
	        .bytes = g_malloc(target.n + 1),
	};
	char *room = uri_r->bytes;
	struct slice query = uri_origin_form(target);
	struct slice path = slice_cut(&query, '?');

	uri_parse_path(uri_r, path, &room);
	uri_parse_query(uri_r, query, &room);
}

void uri_clear(struct uri *uri)
{
	g_clear_pointer(&uri->segments, g_array_unref);
	g_clear_pointer(&uri->params, g_array_unref);
	g_clear_pointer(&uri->bytes, g_free);
}

bool uri_path_fits(const struct uri *uri, const char *path, struct slice *tail_r)
{
	struct slice rest = slice_str(path);

	*tail_r = (struct slice){0};
	if (uri->bad_path)
		return false;
	for (guint i = 0; i < uri->segments->len; i++) {
		struct slice segment = g_array_index(uri->segments, struct slice, i);

		if (rest.n == 0)
			return false;
		struct slice wanted = slice_cut(&rest, '/');
		if (rest.n == 0 && slice_eq(wanted, SLICE("*"))) {
			*tail_r = segment;
			return i + 1 == uri->segments->len && segment.n > 0 &&
			       slice_chr(segment, '\0') < 0;
		}
		if (!slice_eq(wanted, segment))
			return false;
	}
	return rest.n == 0;
}

bool uri_path_is(const struct uri *uri, const char *path)
{
	struct slice tail;

	return uri_path_fits(uri, path, &tail) && tail.n == 0;
}

bool uri_has(const struct uri *uri, const char *name)
{
	for (guint i = 0; i < uri->params->len; i++) {
		const struct uri_param *param = &g_array_index(uri->params, struct uri_param, i);

		if (!param->bad_name && slice_eq(param->name, slice_str(name)))
			return true;
	}
	return false;
}

void uri_encode(GString *out, struct slice text, bool escape_colons)
{
	static const char digits[] = "0123456789ABCDEF";
	/* Not in it though allowed: '&' and '+', which mean something; ';', which Go takes for '&';
	 * the apostrophe, which ends a shell's or a page's quotation. */
	const struct slice plain = SLICE(":-._~!$()*,=@/?");
	const struct slice kept = slice_from(plain, escape_colons ? 1 : 0);

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (g_ascii_isalnum(c) || slice_chr(kept, (char)c) >= 0) {
			g_string_append_c(out, (char)c);
		} else {
			g_string_append_c(out, '%');
			g_string_append_c(out, digits[c >> 4]);
			g_string_append_c(out, digits[c & 15]);
		}
	}
}
