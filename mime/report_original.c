/* The original message, as far as a report returns it. */
#include "mime/headers.h"
#include "mime/report-private.h"

/* The "ids" of Received lines of one message that are looked at. */
#define QUEUE_IDS_MAX 16
#define HEADERS_MAX 65536

static void add_queue_id(void *ctx, const char *received)
{
	static struct pattern id = {.text = "\\bwith\\s+[A-Z0-9]+\\s+id\\s+([A-Za-z0-9]{6,32})\\b"};
	static struct pattern local = {
	        .text = "\\([^()]*\\bfrom userid [0-9]+\\)\\s+id\\s+([A-Za-z0-9]{6,32})\\b"};
	GPtrArray *ids = ctx;
	char *text = NULL;

	if (ids->len < QUEUE_IDS_MAX &&
	        (pattern_take(&id, received, &text, NULL) ||
	                pattern_take(&local, received, &text, NULL)) &&
	        text != NULL)
		g_ptr_array_add(ids, text);
}

static char *message_id(const char *header)
{
	static struct pattern angled = {.text = "<\\s*([^<>\\s]+)\\s*>"};
	g_autofree char *text = fields_get(header, "Message-ID");
	char *id = NULL;

	if (text == NULL || *text == '\0')
		return NULL;
	if (pattern_take(&angled, text, &id, NULL))
		return id;
	return g_steal_pointer(&text);
}

void original_read(struct report *report, const char *header)
{
	g_autofree char *from = fields_get(header, "From");
	g_autofree char *path = fields_get(header, "Return-Path");
	g_autofree char *subject = fields_get(header, "Subject");

	report_set(report, REPORT_ORIGINAL_ID, message_id(header));
	if (from != NULL)
		report_set(report, REPORT_ORIGINAL_FROM, mime_first_address(slice_str(from)));
	if (path != NULL)
		report_set(report, REPORT_ORIGINAL_SENDER, text_address(path));
	if (subject != NULL)
		report_set(report, REPORT_ORIGINAL_SUBJECT, mime_decode_text(slice_str(subject)));
	report_set(report, REPORT_ORIGINAL_HEADERS, g_strndup(header, HEADERS_MAX));
	fields_each(header, "Received", add_queue_id, report->original_queue_ids);
}

/* ---- in a text ---- */

static bool begins_copy(const char *line)
{
	static struct pattern marks[] = {
	        {.text = "^\\W*(?:below this line is a copy|this is a copy of|a copy of "
	                 "(?:the|your) "
	                 "(?:original )?message|(?:here is )?(?:a )?copy of (?:the |your "
	                 ")?(?:original )?"
	                 "(?:message|mail)|original (?:message|mail) "
	                 "(?:follows|headers?|attached|text|body)|unsent message|returned message|"
	                 "message (?:text|headers?) follows?|message contents? follows?|"
	                 "the header of the original|original headers?|undelivered message|"
	                 "start of returned|mensaje original|header of (?:the )?original|"
	                 "attachment is a copy|body of message|received: |"
	                 "(?:the )?first \\d+ (?:lines|bytes) of|the following is a copy|"
	                 "your (?:original )?message (?:follows|reads|is "
	                 "(?:attached|below|included))|"
	                 "headers? (?:of the message )?follows?|begin(?:ning)? of (?:the )?"
	                 "(?:original|returned))"},
	        {.text = "^\\W{3,}\\s*original (?:message|mail)\\b"},
	        {.text = "^\\W*below is a copy of"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(marks); i++)
		if (pattern_matches(&marks[i], line))
			return true;
	return false;
}

/* A header block that stands in the text as it is. */
static bool begins_header(char **lines, guint at, guint n)
{
	static struct pattern strong = {
	        .text = "^(?:Received|Return-Path|Message-ID|DKIM-Signature|MIME-Version|"
	                "Delivered-To): ?\\S"};
	static struct pattern any = {.text = "^[A-Z][A-Za-z0-9-]{1,40}: ?\\S"};
	unsigned strong_seen = 0, seen = 0;

	if (!pattern_matches(&any, lines[at]))
		return false;
	for (guint i = at; i < n && i < at + 12 && lines[i][0] != '\0'; i++) {
		strong_seen += pattern_matches(&strong, lines[i]);
		seen += pattern_matches(&any, lines[i]);
	}
	return strong_seen >= 1 && seen >= 3;
}

guint original_begin(char **lines)
{
	guint n = g_strv_length(lines);

	for (guint i = 0; i < n; i++)
		if (begins_copy(lines[i]) ||
		        ((i == 0 || lines[i - 1][strspn(lines[i - 1], " \t>")] == '\0') &&
		                begins_header(lines, i, n)))
			return i;
	return n;
}
