#include "mime/report-private.h"

#include <gmime/gmime.h>

#include "base/clock.h"
#include "mime/headers.h"

static void recipient_free(gpointer data)
{
	struct report_recipient *recipient = data;

	g_free(recipient->address);
	g_free(recipient->original);
	g_free(recipient->action);
	g_free(recipient->status);
	g_free(recipient->code);
	g_free(recipient->diagnostic);
	g_free(recipient->mta);
	g_free(recipient);
}

void report_init(struct report *report)
{
	report->form = "none";
	report->recipients = g_ptr_array_new_with_free_func(recipient_free);
	report->sent_to = g_ptr_array_new_with_free_func(g_free);
	report->original_queue_ids = g_ptr_array_new_with_free_func(g_free);
}

struct report_recipient *report_add(struct report *report, char *address)
{
	struct report_recipient *recipient = g_new0(struct report_recipient, 1);

	recipient->address = address;
	g_ptr_array_add(report->recipients, recipient);
	return recipient;
}

void report_set(struct report *report, enum report_text text, char *value)
{
	if (report->text[text] == NULL && value != NULL)
		report->text[text] = value;
	else
		g_free(value);
}

/* ---- the outside of the mail ---- */

static void add_address(void *ctx, const char *address)
{
	GPtrArray *list = ctx;

	if (list->len < REPORT_RECIPIENTS_MAX)
		g_ptr_array_add(list, g_strdup(address));
}

static void add_addresses(void *ctx, const char *text)
{
	mime_each_address(slice_str(text), add_address, ctx);
}

/* Addresses that our server wrote come first: To is what the sender of the report wished. */
static void read_sent_to(const char *header, GPtrArray *sent_to)
{
	static const char *const names[] = {
	        "X-Original-To", "Delivered-To", "Envelope-To", "Original-Recipient", "To"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		fields_each(header, names[i], add_addresses, sent_to);
}

static int64_t parse_date(const char *text)
{
	GDateTime *date = text != NULL ? g_mime_utils_header_decode_date(text) : NULL;

	if (date == NULL)
		return 0;
	int64_t time = g_date_time_to_unix(date) * CLOCK_SECOND;
	g_date_time_unref(date);
	return time > 0 ? time : 0;
}

/* The stamp of the topmost Received is of our own server; Date is what the sender claims. */
static int64_t read_time(const char *header)
{
	g_autofree char *received = fields_get(header, "Received");
	g_autofree char *date = fields_get(header, "Date");
	const char *semicolon = received != NULL ? strrchr(received, ';') : NULL;
	int64_t time = semicolon != NULL ? parse_date(semicolon + 1) : 0;

	return time > 0 ? time : parse_date(date);
}

static char *without_angles(char *id)
{
	size_t n = id != NULL ? strlen(id) : 0;

	if (n >= 2 && id[0] == '<' && id[n - 1] == '>') {
		id[n - 1] = '\0';
		memmove(id, id + 1, n - 1);
	}
	return id;
}

static void read_outside(struct report *report, const char *header)
{
	g_autofree char *path = fields_get(header, "Return-Path");
	g_autofree char *from = fields_get(header, "From");

	report_set(report, REPORT_ID, without_angles(fields_get(header, "Message-ID")));
	report_set(report, REPORT_DATE, fields_get(header, "Date"));
	if (from != NULL)
		report_set(report, REPORT_FROM, text_address(from));
	if (path != NULL)
		report_set(report, REPORT_RETURN_PATH,
		        strcmp(path, "<>") == 0 || *path == '\0' ? g_strdup("")
		                                                 : text_address(path));
	read_sent_to(header, report->sent_to);
	report->time = read_time(header);
}

bool report_sent_to(const struct report *report, const char *const *patterns)
{
	for (guint i = 0; patterns != NULL && i < report->sent_to->len; i++) {
		g_autofree char *lower = g_ascii_strdown(report->sent_to->pdata[i], -1);
		for (const char *const *pattern = patterns; *pattern != NULL; pattern++)
			if (g_pattern_match_simple(*pattern, lower))
				return true;
	}
	return false;
}

/* ---- what it is ---- */

static void read_report(
        struct report *report, const struct parts *parts, const struct report_config *config)
{
	const char *original = parts_find(parts, PART_ORIGINAL);

	if (report_read_feedback(parts, config, report))
		goto found;
	if (parts_find(parts, PART_DISPOSITION) != NULL) {
		if (report_read_rejection(parts, report))
			goto found;
		return;
	}
	if (report_read_status(parts, report) || report_read_unsubscribe(parts, config, report) ||
	        report_read_answer(parts, report) || report_read_text(parts, report))
		goto found;
	return;
found:
	if (original != NULL && report->kind != REPORT_NONE)
		original_read(report, original);
}

struct report *report_parse(struct slice mail, const struct report_config *config)
{
	struct report *report = g_new0(struct report, 1);
	struct parts *parts = parts_read(mail);

	report_init(report);
	read_outside(report, parts->header);
	read_report(report, parts, config);
	parts_free(&parts);
	return report;
}

void report_free(struct report **report)
{
	struct report *r = *report;

	if (r == NULL)
		return;
	for (int i = 0; i < REPORT_TEXTS; i++)
		g_free(r->text[i]);
	g_ptr_array_free(r->recipients, TRUE);
	g_ptr_array_free(r->sent_to, TRUE);
	g_ptr_array_free(r->original_queue_ids, TRUE);
	g_clear_pointer(report, g_free);
}
