/* Reading old logs: plain, gz, bz2, xz, zst, several concatenated; or standard input. */
#ifndef PW_LOGTAIL_HISTORY_H
#define PW_LOGTAIL_HISTORY_H

#include <sys/types.h>

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

struct history;

/* `path` "-" = standard input. What the file is, its first bytes tell, not its name. A gzip file is
 * checked, member by member, before text of it is given; from a pipe it cannot be. */
struct history *history_open(const char *path, struct error *err);
void history_close(struct history **history);

/* Next line: 1, 0 at the end, -1 with *err (damaged archive: what was readable has been given). The
 * slice lives until the next call. Over 64 KiB it is cut; NUL bytes are removed. `offset_r`: of its
 * first byte in the unpacked text. A last line without a newline is given, but not one that damage
 * cut off. */
int history_line(
        struct history *history, struct slice *line_r, gint64 *offset_r, struct error *err);

/* The same stream as blocks of up to `size` unpacked bytes: their number, 0 at the end, -1 with
 * *err. A history is read by lines or by blocks, not both. */
ssize_t history_block(struct history *history, char *block, size_t size, struct error *err);

/* The descriptor of the file, for fstat. */
int history_fd(const struct history *history);

/* Bytes read from the file so far and its size, for a progress bar; size 0 = unknown. */
void history_progress(const struct history *history, guint64 *read_r, guint64 *size_r);

/* The date that stamps without a year cannot be after (ms): from the file's name (the end of that
 * day, anywhere on earth), gzip MTIME, the file's mtime, now: the first that exists. */
gint64 history_not_after(const char *path);

/* Orders paths by the stamp of their first line, oldest first, those without any stamp last; "-"
 * stays where it is. */
void history_sort(GPtrArray *paths);

#endif
