/* Following a log file through rename, copytruncate, truncation, delete and create. No threads: the
 * caller polls the descriptor and calls follow_run. */
#ifndef PW_LOGTAIL_FOLLOW_H
#define PW_LOGTAIL_FOLLOW_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

struct follow;

/* A line as it lies in the file. */
struct follow_line {
	struct slice text; /* without its newline; NUL bytes and what is over 64 KiB cut out */
	gint64 offset;     /* of its first byte */
	gboolean again;    /* was counted before: read again after a restart to rebuild ordinals */
};

struct follow_hooks {
	void *ctx;
	/* 0 to go on, -1 to stop here: the line will be given again. */
	int (*line)(void *ctx, const struct follow_line *line);
	/* Bytes vanished unread: from ms, to ms (0 = unknown), bytes (-1 = unknown), what happened. */
	void (*gap)(void *ctx, gint64 from, gint64 to, gint64 bytes, const char *what);
};

/* Starts at `position` (text of an earlier follow_position; absent = the beginning of the file when
 * `from_start`, else its end). A rotated file that holds the rest (PATH.1, PATH-DATE, PATH.1.gz, …) is
 * found by inode or by the hash of its beginning and read to its end first. A missing file is
 * no error: it is waited for. */
struct follow *follow_new(const char *path, struct slice position, gboolean from_start,
	const struct follow_hooks *hooks, struct error *err);
void follow_free(struct follow **follow);

/* Descriptor to poll for reading (inotify). */
int follow_fd(const struct follow *follow);

/* Reads what there is, at most about `max_lines`. 1: there is more; 0: at the end, poll; -1 with *err:
 * a read error, try again later. */
int follow_run(struct follow *follow, unsigned max_lines, struct error *err);

/* Tells the follower the time (ms) of the line that the hook was just given, for the position. */
void follow_stamp(struct follow *follow, gint64 time);

/* The position behind the last line given: device, inode, offset, hash of the bytes before the
 * offset, stamp, and the offset of the first line of the last second. Opaque text. */
void follow_position(const struct follow *follow, GString *out);

#endif
