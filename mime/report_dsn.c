/* Delivery status notifications: RFC 3464, RFC 6533. */
#include "mime/report-private.h"

#define DIAGNOSTIC_MAX 2000

/* ---- per-recipient groups ---- */

static char *group_diagnostic(const char *group)
{
	g_autofree char *text = fields_get(group, "Diagnostic-Code");
	static struct pattern typed = {.text = "^\\s*(?:smtp|x-[\\w.-]+|unix|local|x400|dns|rfc822)"
	                                       "\\s*;\\s*([\\s\\S]*)$"};
	char *plain = NULL;

	if (text == NULL || *text == '\0')
		return NULL;
	if (pattern_take(&typed, text, &plain, NULL) && plain == NULL)
		return NULL; /* "smtp;" and nothing */
	char *line = text_one_line(plain != NULL ? plain : text, DIAGNOSTIC_MAX);
	g_free(plain);
	return line;
}

static bool status_is_vague(const char *status)
{
	return status == NULL || g_str_has_suffix(status, ".0.0");
}

static bool status_is_expiry(const char *status)
{
	return status != NULL && g_str_has_suffix(status, ".4.7");
}

/* The status field, unless it is vague (some servers write 5.0.0 always) or says that time ran
 * out, and the reply says more. */
static void better_status(struct report_recipient *recipient, const char *text)
{
	bool expired = status_is_expiry(recipient->status);
	char *replied = expired ? text_status_behind_expiry(text) : text_status(text);
	bool better = replied != NULL &&
	              (recipient->status == NULL ||
	                      (!status_is_vague(replied) &&
	                              (expired || (status_is_vague(recipient->status) &&
	                                                  replied[0] >= recipient->status[0]))));

	if (!better) {
		g_free(replied);
		return;
	}
	g_free(recipient->status);
	recipient->status = replied;
}

static void group_codes(struct report_recipient *recipient, const char *field)
{
	recipient->status = text_status(field);
	recipient->code = text_reply_code(recipient->diagnostic);
	better_status(recipient, recipient->diagnostic);
}

static char *group_address(const char *group, const char *name)
{
	g_autofree char *text = fields_get(group, name);

	return typed_address(text);
}

/* Final-Recipient may be where an alias led to; senders know the address that they wrote. */
static void status_group(const char *group, GPtrArray *recipients)
{
	struct report_recipient *recipient = g_new0(struct report_recipient, 1);
	g_autofree char *status = fields_get(group, "Status");
	g_autofree char *mta = fields_get(group, "Remote-MTA");

	recipient->address = group_address(group, "Final-Recipient");
	recipient->original = group_address(group, "Original-Recipient");
	/* X.400 names and the like lead nowhere; the address that was written to does. */
	if (recipient->address == NULL ||
	        (strchr(recipient->address, '@') == NULL && recipient->original != NULL &&
	                strchr(recipient->original, '@') != NULL)) {
		g_free(recipient->address);
		recipient->address = g_steal_pointer(&recipient->original);
	}
	if (recipient->address == NULL)
		recipient->address = group_address(group, "X-Actual-Recipient");
	recipient->action = fields_get(group, "Action");
	recipient->mta = typed_name(mta);
	recipient->diagnostic = group_diagnostic(group);
	group_codes(recipient, status);
	g_ptr_array_add(recipients, recipient);
}

/* A group names a recipient, whatever else it holds. */
void status_groups(const char *text, GPtrArray *recipients)
{
	static struct pattern names = {.text = "^[ \\t]*(?:Final|Original)-Recipient[ \\t]*:"};
	g_auto(GStrv) groups =
	        g_regex_split_simple("\\n[ \\t]*\\n", text, G_REGEX_RAW, G_REGEX_MATCH_DEFAULT);

	for (char **group = groups; *group != NULL; group++)
		if (recipients->len < REPORT_RECIPIENTS_MAX && pattern_matches(&names, *group))
			status_group(*group, recipients);
}

/* ---- which recipients failed ---- */

static bool recipient_failed(const struct report_recipient *recipient)
{
	const char *action = recipient->action;

	if (action != NULL && *action != '\0')
		return g_ascii_strncasecmp(action, "fail", 4) == 0 ||
		       g_ascii_strncasecmp(action, "hard", 4) == 0;
	return recipient->status == NULL || recipient->status[0] == '5';
}

static bool any_failed(const GPtrArray *recipients)
{
	for (guint i = 0; i < recipients->len; i++)
		if (recipient_failed(recipients->pdata[i]))
			return true;
	return false;
}

static void drop_others(GPtrArray *recipients)
{
	for (guint i = recipients->len; i-- > 0;)
		if (!recipient_failed(recipients->pdata[i]))
			g_ptr_array_remove_index(recipients, i);
}

/* One group for each of two names of one failure (RFC 3464 has one for a recipient). */
static void drop_twins(GPtrArray *recipients)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < recipients->len;) {
		const struct report_recipient *recipient = recipients->pdata[i];
		g_autofree char *key = recipient->address != NULL
		                               ? g_ascii_strdown(recipient->address, -1)
		                               : g_strdup("");
		if (g_hash_table_contains(seen, key)) {
			g_ptr_array_remove_index(recipients, i);
			continue;
		}
		g_hash_table_add(seen, g_steal_pointer(&key));
		i++;
	}
}

/* ---- the per-message group ---- */

static void read_message_group(struct report *report, const char *text)
{
	static const char *const ids[] = {"X-Postfix-Queue-ID", "X-Queue-ID", "X-Spool-ID"};
	g_autofree char *mta = fields_get(text, "Reporting-MTA");
	g_autofree char *sender = fields_get(text, "X-Postfix-Sender");

	report_set(report, REPORT_MTA, typed_name(mta));
	report_set(report, REPORT_ENVELOPE_ID, fields_get(text, "Original-Envelope-Id"));
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		report_set(report, REPORT_QUEUE_ID, fields_get(text, ids[i]));
	if (sender != NULL)
		report_set(report, REPORT_ORIGINAL_SENDER, typed_address(sender));
}

/* ---- what the text for people adds ---- */

/* A vague status, or one that only says that time ran out: the words tell why. */
static bool wants_words(const struct report_recipient *recipient)
{
	return recipient->diagnostic == NULL || status_is_vague(recipient->status) ||
	       status_is_expiry(recipient->status);
}

static void add_said(const struct words *words, guint me, struct report_recipient *recipient)
{
	g_autofree char *said = NULL;

	if (recipient->address == NULL || !wants_words(recipient))
		return;
	said = words_about(words, me, recipient->address);
	if (said == NULL)
		return;
	better_status(recipient, said);
	if (recipient->code == NULL)
		recipient->code = text_reply_code(said);
	if (recipient->diagnostic == NULL)
		recipient->diagnostic = g_steal_pointer(&said);
}

static void add_words(const struct parts *parts, const GPtrArray *recipients)
{
	struct words *words = words_open(parts, recipients);

	for (guint i = 0; i < recipients->len; i++)
		add_said(words, i, recipients->pdata[i]);
	words_close(&words);
}

/* A path, a program, a route: the text names the address that it stands for. */
static void name_recipient(const struct parts *parts, struct report_recipient *recipient)
{
	g_autofree char *address = NULL;

	if (recipient->address != NULL && recipient->address[0] != '@' &&
	        strchr(recipient->address, '@') != NULL)
		return;
	address = text_only_recipient(parts);
	if (address == NULL)
		return;
	g_free(recipient->address);
	recipient->address = g_steal_pointer(&address);
}

static bool status_part(const struct parts *parts, struct report *report)
{
	bool found = false;

	for (guint i = 0; i < parts->list->len; i++) {
		const struct part *part = parts->list->pdata[i];
		if (part->kind != PART_STATUS)
			continue;
		read_message_group(report, part->text);
		status_groups(part->text, report->recipients);
		found = true;
	}
	return found && report->recipients->len > 0;
}

bool report_read_status(const struct parts *parts, struct report *report)
{
	if (!status_part(parts, report))
		return false;
	report->form = "dsn";
	if (report->recipients->len == 1)
		name_recipient(parts, report->recipients->pdata[0]);
	add_words(parts, report->recipients);
	if (any_failed(report->recipients)) {
		report->kind = REPORT_BOUNCE;
		drop_others(report->recipients);
	}
	drop_twins(report->recipients);
	return true;
}

/* ---- a rejection that poses as a receipt (RFC 5429, 2.1.2: Sieve's reject) ---- */

bool report_read_rejection(const struct parts *parts, struct report *report)
{
	static struct pattern automatic = {
	        .text = "automatic-action.*;\\s*(?:deleted|failed|error)"};
	const char *text = parts_find(parts, PART_DISPOSITION);
	const char *words = parts_find(parts, PART_TEXT);
	g_autofree char *disposition = fields_get(text, "Disposition");

	report->form = "receipt";
	if (disposition == NULL || words == NULL || !pattern_matches(&automatic, disposition) ||
	        !signs_of_bounce(parts, words))
		return false;
	status_groups(text, report->recipients);
	if (report->recipients->len == 0)
		return false;
	report->kind = REPORT_BOUNCE;
	report->form = "rejection";
	add_words(parts, report->recipients);
	return true;
}
