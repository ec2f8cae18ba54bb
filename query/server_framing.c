/* Where a request begins and ends must mean the same here and in any proxy on the way (RFC
 * 9112, 11.2): what libmicrohttpd takes although others could read it differently is refused, and
 * the connection closed. */
#include "query/server-private.h"

/* Headers whose second occurrence somebody else may take for the first. */
static const char *const framing_once[] = {
        MHD_HTTP_HEADER_CONTENT_LENGTH,
        MHD_HTTP_HEADER_TRANSFER_ENCODING,
        MHD_HTTP_HEADER_HOST,
        MHD_HTTP_HEADER_AUTHORIZATION,
        MHD_HTTP_HEADER_CONTENT_TYPE,
        MHD_HTTP_HEADER_CONTENT_ENCODING,
        "X-MSYS-SUBACCOUNT",
};

struct framing {
	bool seen[G_N_ELEMENTS(framing_once)];
	const char *wrong;
};

/* Whether a NUL byte cuts the target off. libmicrohttpd hands it out as a C string and tells no
 * length, but the version that it hands out stands in the same line: behind the target's end come
 * only blanks that it has made NULs. (Further away than a line can be, it would stand elsewhere;
 * then nothing is known, and nothing refused.) */
static bool exchange_cut_off(const struct exchange *exchange, const char *version)
{
	uintptr_t at = (uintptr_t)version;

	if (at <= exchange->seen_to || at - exchange->seen_to >= SERVER_HEADERS)
		return false;
	for (const char *p = (const char *)exchange->seen_to; p < version; p++)
		if (*p != '\0' && *p != ' ' && *p != '\t')
			return true;
	return false;
}

/* Libraries give %20 and the like; a blank would part the line at another place for others. */
static bool target_is_clean(const char *target)
{
	for (; *target != '\0'; target++)
		if ((unsigned char)*target <= ' ' || *target == 0x7f)
			return false;
	return true;
}

/* A token (RFC 9110, 5.6.2). A name that ends in a blank would be another header for others. */
static bool name_is_token(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!g_ascii_isalnum(name[i]) && strchr("!#$%&'*+-.^_`|~", name[i]) == NULL)
			return false;
	return n > 0 && memchr(name, '\0', n) == NULL;
}

static bool value_is_clean(const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
			return false;
	return true;
}

static bool seen_before(struct framing *framing, const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(framing_once); i++) {
		if (g_ascii_strcasecmp(framing_once[i], name) != 0)
			continue;
		bool before = framing->seen[i];
		framing->seen[i] = true;
		return before;
	}
	return false;
}

static enum MHD_Result framing_header(void *cls, enum MHD_ValueKind kind, const char *name,
        size_t name_n, const char *value, size_t value_n)
{
	struct framing *framing = cls;

	(void)kind;
	if (!name_is_token(name, name_n))
		framing->wrong = "The name of a header is none";
	else if (value != NULL && !value_is_clean(value, value_n))
		framing->wrong = "A header must not contain control characters";
	else if (seen_before(framing, name))
		framing->wrong = "A header is given twice that may stand there once";
	return framing->wrong == NULL ? MHD_YES : MHD_NO;
}

/* RFC 9112, 6.1: with both, or in HTTP/1.0, somebody may go by the other length. */
static const char *coding_wrong(const struct exchange *exchange, const char *version)
{
	const char *coding = exchange_header(exchange, MHD_HTTP_HEADER_TRANSFER_ENCODING);

	if (coding == NULL)
		return NULL;
	if (g_ascii_strcasecmp(coding, "chunked") != 0)
		return "Transfer-Encoding must be chunked";
	if (exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH) != NULL)
		return "Content-Length and Transfer-Encoding exclude each other";
	if (strcmp(version, MHD_HTTP_VERSION_1_0) == 0)
		return "HTTP/1.0 has no Transfer-Encoding";
	return NULL;
}

const char *exchange_misframed(const struct exchange *exchange, const char *version)
{
	struct framing framing = {0};

	if (exchange_cut_off(exchange, version))
		return "URI must not contain a NUL byte";
	if (!target_is_clean(exchange->target))
		return "URI must not contain blanks or control characters: encode them";
	MHD_get_connection_values_n(exchange->http, MHD_HEADER_KIND, framing_header, &framing);
	return framing.wrong != NULL ? framing.wrong : coding_wrong(exchange, version);
}
