/* Lines of Events Ingest without who was erased: those of batches that came in or go out. */
#ifndef PW_STORE_ERASE_LINE_H
#define PW_STORE_ERASE_LINE_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"
#include "store/tombstone.h"

enum erased_line {
	LINE_KEPT,    /* it names nobody erased */
	LINE_CLEANED, /* it does: what is left of it is in the buffer */
	LINE_GONE     /* it is the event of somebody erased, or nothing of it can be kept */
};

/* Looks at a line (without its newline). What came after an erasure is not of it, as far as the
 * line tells its time. The buffer is overwritten. */
enum erased_line erase_line(const struct tombstones *stones, struct slice line, GString *out);

/* Unpacks gzip and hands out its lines, the last one also without a newline. -1 with *err where it
 * is no gzip or `taker` failed. Of a line that is longer than any may be, the beginning comes. */
typedef int erase_line_taker(void *ctx, struct slice line, struct error *err);
int erase_each_line(struct slice packed, erase_line_taker *taker, void *ctx, struct error *err);

#endif
