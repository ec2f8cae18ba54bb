#include "mime/headers.h"

#include <gmime/gmime.h>

/* Longer values are cut: GMime's tokenizers are not made for more, and no MTA hands on more. */
#define VALUE_MAX 65536

static GMimeParserOptions *mime_options;

/* Windows-1252 differs from ISO 8859-1 in 0x80 to 0x9F; 0xFFFD where it defines nothing. */
static const guint16 windows_1252[32] = {
        0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, /* 80 */
        0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, /* 88 */
        0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, /* 90 */
        0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178, /* 98 */
};

void mime_init(void)
{
	static gsize once;
	/* What GMime tries on encoded words whose charset is unknown or a lie. */
	const char *charsets[] = {"utf-8", "windows-1252", NULL};

	if (!g_once_init_enter(&once))
		return;
	g_mime_init();
	mime_options = g_mime_parser_options_new();
	g_mime_parser_options_set_fallback_charsets(mime_options, charsets);
	/* GObject makes classes at their first use: here, while there is one thread. */
	g_object_unref(internet_address_list_parse(mime_options, "group: mail@box.example;"));
	g_once_init_leave(&once, 1);
}

/* One line (RFC 5322, 2.2.3): line ends go, the blank that they stand before stays; NUL, tabs and
 * line ends without a blank behind them become blanks. */
static GString *unfold(struct slice value)
{
	GString *line = g_string_sized_new(value.n + 1);

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if ((c == '\r' || c == '\n') && i + 1 < value.n && g_ascii_isspace(value.p[i + 1]))
			continue;
		g_string_append_c(line, c == '\0' || g_ascii_isspace(c) ? ' ' : c);
	}
	return line;
}

static char *from_windows_1252(const char *text, size_t n)
{
	GString *out = g_string_sized_new(n * 2);

	for (size_t i = 0; i < n; i++) {
		guchar c = (guchar)text[i];

		g_string_append_unichar(out, c >= 0x80 && c < 0xA0 ? windows_1252[c - 0x80] : c);
	}
	return g_string_free(out, FALSE);
}

/* Raw bytes as UTF-8, in one line. */
static char *to_utf8(struct slice value)
{
	g_autoptr(GString) line = unfold(slice_head(value, VALUE_MAX));
	const char *end;

	if (g_utf8_validate(line->str, (gssize)line->len, &end))
		return g_strndup(line->str, line->len);
	/* A value that somebody cut in the middle of a character is still UTF-8. */
	size_t rest = line->len - (size_t)(end - line->str);
	if (g_utf8_get_char_validated(end, (gssize)rest) == (gunichar)-2)
		return g_strndup(line->str, line->len - rest);
	return from_windows_1252(line->str, line->len);
}

/* Without control characters (encoded words can hold any), blanks at the ends and broken UTF-8. */
static char *clean(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *out = g_string_sized_new(strlen(valid));

	for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		if (c == '\t' || c == '\r' || c == '\n')
			g_string_append_c(out, ' ');
		else if (!g_unichar_iscntrl(c))
			g_string_append_unichar(out, c);
	}
	return g_strstrip(g_string_free(out, FALSE));
}

char *mime_decode_text(struct slice value)
{
	g_autofree char *line = to_utf8(value);
	g_autofree char *text = g_mime_utils_header_decode_text(mime_options, line);

	char *result = clean(text != NULL ? text : line);
	/* GMime makes nothing of words that hold no whole character: =?utf-8?b?R3L?= has three
	 * digits of four. An empty text says less than they do. */
	if (*result == '\0') {
		g_free(result);
		result = clean(line);
	}
	return result;
}

/* Local part and domain of the plainest kind. */
static bool is_plain_address(struct slice text)
{
	bool domain = false;
	char before = '.';

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if ((c == '.' || c == '@') && (before == '.' || before == '@'))
			return false;
		if (c == '@' && domain)
			return false;
		domain = domain || c == '@';
		if (!g_ascii_isalnum(c) &&
		        slice_chr(domain ? SLICE(".-@") : SLICE("._-+=@"), c) < 0)
			return false;
		before = c;
	}
	return domain && before != '.' && before != '@';
}

/* Words of letters and digits with one blank between them; or nothing. */
static bool is_plain_name(struct slice text)
{
	char before = 'x';

	for (size_t i = 0; i < text.n; before = text.p[i++])
		if (!g_ascii_isalnum(text.p[i]) && (text.p[i] != ' ' || before == ' '))
			return false;
	return true;
}

/* Most headers of addresses hold one mailbox, as a@b, <a@b> or Some Words <a@b>. To make objects of
 * that takes GMime half the time that a mail takes the milter. False: it is not so plain. */
static bool plain_mailbox(struct slice value, struct slice *name_r, struct slice *address_r)
{
	*address_r = slice_trim(slice_head(value, VALUE_MAX));
	*name_r = SLICE_NONE;
	if (slice_ends(*address_r, SLICE(">"))) {
		*name_r = slice_trim(slice_cut(address_r, '<'));
		if (address_r->n > 0)
			address_r->n--;
	}
	return is_plain_address(*address_r) && is_plain_name(*name_r);
}

struct walk {
	void (*address)(void *ctx, const char *addr_spec);
	void *ctx;
};

/* The first mailbox for which `visit` returns true, in the order of the header, groups opened. */
static bool walk_mailboxes(InternetAddressList *list,
        bool (*visit)(void *ctx, InternetAddressMailbox *mailbox), void *ctx)
{
	int n = internet_address_list_length(list);

	for (int i = 0; i < n; i++) {
		InternetAddress *entry = internet_address_list_get_address(list, i);

		if (INTERNET_ADDRESS_IS_GROUP(entry)) {
			InternetAddressGroup *group = INTERNET_ADDRESS_GROUP(entry);

			/* Groups do not nest in RFC 5322, and GMime builds none that do deeply. */
			if (walk_mailboxes(internet_address_group_get_members(group), visit, ctx))
				return true;
		} else if (visit(ctx, INTERNET_ADDRESS_MAILBOX(entry))) {
			return true;
		}
	}
	return false;
}

static void walk_header(
        struct slice value, bool (*visit)(void *ctx, InternetAddressMailbox *mailbox), void *ctx)
{
	g_autofree char *line = to_utf8(value);
	InternetAddressList *list = internet_address_list_parse(mime_options, line);

	if (list == NULL)
		return;
	walk_mailboxes(list, visit, ctx);
	g_object_unref(list);
}

/* The addr-spec of a mailbox without control characters, or NULL. */
static char *mailbox_address(InternetAddressMailbox *mailbox)
{
	const char *address = internet_address_mailbox_get_addr(mailbox);

	if (address == NULL)
		return NULL;
	char *text = clean(address);
	if (*text == '\0')
		g_clear_pointer(&text, g_free);
	return text;
}

static bool visit_first_address(void *ctx, InternetAddressMailbox *mailbox)
{
	char **address = ctx;

	*address = mailbox_address(mailbox);
	return *address != NULL;
}

char *mime_first_address(struct slice value)
{
	struct slice name, plain;
	char *address = NULL;

	if (plain_mailbox(value, &name, &plain))
		return slice_dup(plain);
	walk_header(value, visit_first_address, &address);
	return address;
}

static bool visit_first_name(void *ctx, InternetAddressMailbox *mailbox)
{
	char **name = ctx;
	const char *text = internet_address_get_name(INTERNET_ADDRESS(mailbox));

	if (text != NULL && *text != '\0')
		*name = clean(text);
	return true;
}

char *mime_first_name(struct slice value)
{
	struct slice plain, address;
	char *name = NULL;

	if (plain_mailbox(value, &plain, &address))
		return plain.n > 0 ? slice_dup(plain) : NULL;
	walk_header(value, visit_first_name, &name);
	if (name != NULL && *name == '\0')
		g_clear_pointer(&name, g_free);
	return name;
}

static bool visit_each(void *ctx, InternetAddressMailbox *mailbox)
{
	const struct walk *walk = ctx;
	g_autofree char *address = mailbox_address(mailbox);

	if (address != NULL)
		walk->address(walk->ctx, address);
	return false;
}

void mime_each_address(
        struct slice value, void (*address)(void *ctx, const char *addr_spec), void *ctx)
{
	struct walk walk = {.address = address, .ctx = ctx};
	struct slice name, plain;

	if (plain_mailbox(value, &name, &plain)) {
		g_autofree char *copy = slice_dup(plain);

		address(ctx, copy);
		return;
	}
	walk_header(value, visit_each, &walk);
}

/* The value at `line`, with the lines that continue it; where the next field begins. */
static const char *join_lines(const char *line, GString *value)
{
	for (;;) {
		size_t n = strcspn(line, "\n");
		g_string_append_len(value, line, (gssize)n);
		line += n;
		if (*line == '\0' || (line[1] != ' ' && line[1] != '\t'))
			return *line == '\0' ? line : line + 1;
		line += 1 + strspn(line + 1, " \t");
		g_string_append_c(value, ' ');
	}
}

void mime_each_field(const char *block,
        void (*field)(void *ctx, const char *name, struct slice value), void *ctx)
{
	g_autoptr(GString) value = g_string_new(NULL);

	while (*block != '\0' && *block != '\n') {
		size_t n = strcspn(block, ": \t\n");
		const char *colon = block + n + strspn(block + n, " \t");
		g_autofree char *name = g_strndup(block, n);

		g_string_truncate(value, 0);
		if (*colon == ':' && n > 0) {
			block = join_lines(colon + 1, value);
			field(ctx, name, slice_trim(slice_make(value->str, value->len)));
		} else {
			block = join_lines(block, value);
		}
	}
}
