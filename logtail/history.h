/* Reading old logs: plain, gz, bz2, xz, zst, several concatenated; or standard input. */
#ifndef PW_LOGTAIL_HISTORY_H
#define PW_LOGTAIL_HISTORY_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

struct history;

/* `path` "-" = standard input. */
struct history *history_open(const char *path, struct error *err);
void history_close(struct history **history);

/* Next line: 1, 0 at the end, -1 with *err (damaged archive: what was readable has been given). The
 * slice lives until the next call. Over 64 KiB it is cut; NUL bytes are removed. */
int history_line(struct history *history, struct slice *line_r, gint64 *offset_r,
	struct error *err);

/* Bytes read from the file so far and its size, for a progress bar; size 0 = unknown. */
void history_progress(const struct history *history, guint64 *read_r, guint64 *size_r);

/* The date that stamps without a year cannot be after (ms): from the file's name, gzip MTIME, the
 * file's mtime, now: the first that exists. */
gint64 history_not_after(const char *path);

/* Orders paths by the stamp of their first line, oldest first; "-" stays where it is. */
void history_sort(GPtrArray *paths);

#endif
