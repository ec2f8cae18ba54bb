/* Whatever a mail holds, its report is sound: bounded in number, an event only with its kind, and
 * read in no time; so is what its returned header tells.
 * Seeds: tests/golden/reports
 * Words: mime/report_arf.c mime/report_dsn.c mime/report_answer.c mime/report_signs.c
 * Reaches: report_read_status report_read_rejection report_read_feedback report_read_answer
 * Reaches: report_read_text report_read_unsubscribe html_text original_read letterhead_read */
#include <stdlib.h>

#include "capture/letterhead.h"
#include "mime/headers.h"
#include "mime/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_letterhead(const char *block, const char *recipient)
{
	static struct header_map *map;
	struct error err = {0};
	struct letterhead head;

	if (map == NULL)
		map = header_map_new(NULL, &err);
	letterhead_read(&head, map, block, recipient);
	if (head.field[FIELD_RCPT_META].n > ATTRIBUTES_JSON_MAX)
		abort();
	letterhead_clear(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const anybody[] = {"*", NULL};
	const struct report_config config = {.feedback = anybody};
	mime_init();
	struct report *report =
	        report_parse(slice_make((const char *)data, size), size % 2 == 0 ? NULL : &config);

	if (report->recipients->len > REPORT_RECIPIENTS_MAX || report->form == NULL)
		abort();
	if (report->kind != REPORT_NONE && report->recipients->len == 0)
		abort();
	for (guint i = 0; i < report->recipients->len; i++) {
		const struct report_recipient *recipient = report->recipients->pdata[i];
		if (recipient->address != NULL && *recipient->address == '\0')
			abort();
		if (recipient->diagnostic != NULL && strchr(recipient->diagnostic, '\n') != NULL)
			abort();
	}
	check_letterhead(report->text[REPORT_ORIGINAL_HEADERS],
	        report->recipients->len > 0
	                ? ((struct report_recipient *)report->recipients->pdata[0])->address
	                : NULL);
	report_free(&report);
	return 0;
}
