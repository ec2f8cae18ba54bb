/* Complaints: RFC 5965, and feedback loops that send the message alone (Hotmail's JMRP). */
#include "mime/headers.h"
#include "mime/report-private.h"

/* Feedback types and what they mean; others are complaints. */
static const struct {
	const char *type;
	enum report_kind kind;
} feedback_types[] = {
        {"abuse", REPORT_COMPLAINT},
        {"auth-failure", REPORT_NONE}, /* RFC 6591 */
        {"dmarc", REPORT_NONE},
        {"dmarc-report", REPORT_NONE},
        {"not-spam", REPORT_NONE}, /* RFC 6430 */
        {"opt-out", REPORT_UNSUBSCRIBE},
        {"opt-out-list", REPORT_UNSUBSCRIBE},
};

static enum report_kind kind_of(const char *type)
{
	for (size_t i = 0; i < G_N_ELEMENTS(feedback_types); i++)
		if (g_ascii_strcasecmp(feedback_types[i].type, type) == 0)
			return feedback_types[i].kind;
	return REPORT_COMPLAINT;
}

static char *domain_of(const char *address)
{
	const char *at = address != NULL ? strrchr(address, '@') : NULL;

	return at != NULL ? g_ascii_strdown(at + 1, -1) : NULL;
}

/* ---- whose complaint ---- */

static bool report_names(const struct report *report, const char *address)
{
	for (guint i = 0; i < report->recipients->len; i++) {
		const struct report_recipient *recipient = report->recipients->pdata[i];
		if (g_ascii_strcasecmp(recipient->address, address) == 0)
			return true;
	}
	return false;
}

static void add_recipient(void *ctx, const char *text)
{
	struct report *report = ctx;
	char *address = typed_address(text);

	if (address == NULL || strchr(address, '@') == NULL || report_names(report, address) ||
	        report->recipients->len >= REPORT_RECIPIENTS_MAX)
		g_free(address);
	else
		report_add(report, address);
}

static void add_mailbox(void *ctx, const char *address)
{
	add_recipient(ctx, address);
}

static void add_mailboxes(void *ctx, const char *text)
{
	mime_each_address(slice_str(text), add_mailbox, ctx);
}

/* Feedback loops that hide the reader leave him in one of these at best. */
static void add_from_original(struct report *report, const char *original)
{
	static const char *const names[] = {
	        "X-Original-To", "X-HmXmrOriginalRecipient", "Delivered-To", "Envelope-To", "To"};

	for (size_t i = 0; i < G_N_ELEMENTS(names) && report->recipients->len == 0; i++)
		fields_each(original, names[i], add_mailboxes, report);
}

/* Many loops hide the reader: the complaint counts all the same. */
static void add_nobody(struct report *report)
{
	if (report->recipients->len == 0)
		report_add(report, NULL);
}

static void read_feedback_text(struct report *report, const char *text)
{
	static const char *const recipients[] = {
	        "Original-Rcpt-To", "Removal-Recipient", "Original-Recipient"};
	g_autofree char *sender = fields_get(text, "Original-Mail-From");
	g_autofree char *mta = fields_get(text, "Reporting-MTA");

	for (size_t i = 0; i < G_N_ELEMENTS(recipients) && report->recipients->len == 0; i++)
		fields_each(text, recipients[i], add_recipient, report);
	report_set(report, REPORT_ENVELOPE_ID, fields_get(text, "Original-Envelope-Id"));
	report_set(report, REPORT_USER_STR, fields_get(text, "User-Agent"));
	report_set(report, REPORT_BY, typed_name(mta));
	if (sender != NULL)
		report_set(report, REPORT_ORIGINAL_SENDER, text_address(sender));
}

static void read_parties(struct report *report)
{
	report_set(report, REPORT_BY, domain_of(report->text[REPORT_FROM]));
	if (report->sent_to->len > 0)
		report_set(report, REPORT_TO, domain_of(report->sent_to->pdata[0]));
}

static bool read_arf(const struct parts *parts, struct report *report, const char *text)
{
	const char *original = parts_find(parts, PART_ORIGINAL);
	g_autofree char *type = fields_get(text, "Feedback-Type");

	report->form = "arf";
	if (type == NULL || *type == '\0') {
		g_free(type);
		type = g_strdup("abuse");
	}
	report->kind = kind_of(type);
	report_set(report, REPORT_FBTYPE, g_ascii_strdown(type, -1));
	read_feedback_text(report, text);
	if (report->recipients->len == 0 && original != NULL)
		add_from_original(report, original);
	add_nobody(report);
	read_parties(report);
	return true;
}

/* Hotmail's Junk Mail Reporting Program: the returned message, and nothing for machines. */
static bool is_jmrp(const struct parts *parts, const struct report *report)
{
	static struct pattern sender = {.text = "^(?:staff|jmrp\\w*|junk)@(?:hotmail|outlook|live)"
	                                        "\\.com$"};
	static struct pattern subject = {.text = "^complaint about message from"};
	const char *original = parts_find(parts, PART_ORIGINAL);
	g_autofree char *mark =
	        original != NULL ? fields_get(original, "X-HmXmrOriginalRecipient") : NULL;
	const char *from = report->text[REPORT_FROM];

	return mark != NULL || pattern_matches(&subject, parts->subject) ||
	       (from != NULL && original != NULL && pattern_matches(&sender, from));
}

/* The message alone tells all. */
static void read_returned(const struct parts *parts, struct report *report, const char *form)
{
	const char *original = parts_find(parts, PART_ORIGINAL);

	report->form = form;
	report->kind = REPORT_COMPLAINT;
	report_set(report, REPORT_FBTYPE, g_strdup("abuse"));
	if (original != NULL)
		add_from_original(report, original);
	add_nobody(report);
	read_parties(report);
}

bool report_read_feedback(
        const struct parts *parts, const struct report_config *config, struct report *report)
{
	const char *text = parts_find(parts, PART_FEEDBACK);

	if (text != NULL)
		return read_arf(parts, report, text);
	if (parts_find(parts, PART_STATUS) != NULL)
		return false;
	if (is_jmrp(parts, report))
		read_returned(parts, report, "jmrp");
	else if (config != NULL && parts_find(parts, PART_ORIGINAL) != NULL &&
	         !signs_of_daemon(parts) && report_sent_to(report, config->feedback))
		read_returned(parts, report, "feedback address");
	else
		return false;
	return true;
}
