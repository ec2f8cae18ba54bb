/* Whatever a mail holds, its report is sound: bounded in number, an event only with its kind, and
 * read in no time.
 * Seeds: tests/golden/reports */
#include <stdlib.h>

#include "mime/headers.h"
#include "mime/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mime_init();
	struct report *report = report_parse(slice_make((const char *)data, size), NULL);

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
	report_free(&report);
	return 0;
}
