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
	/* Bytes vanished unread: from ms (0 = unknown), to ms (of the line that comes after; where
	 * that tells none, or an older one, now), bytes (-1 = unknown, 0 = perhaps none: what was
	 * written between copy and truncation of a copytruncate cannot be seen), what happened.
	 * Called behind the first line that comes after the gap, so that the gap and a position
	 * behind it are committed together. */
	void (*gap)(void *ctx, gint64 from, gint64 to, gint64 bytes, const char *what);
};

/* Starts at `position` (text of an earlier follow_position; absent or empty = the beginning of the
 * file when `from_start`, else its end; what was rotated before is not read). A rotated file that
 * holds the rest (PATH.1, PATH-DATE, PATH.1.gz, …) is found by the content before the position and
 * read to its end, and those that came after it in their order, before PATH. A missing file is no
 * error: it is waited for. NULL with *err for a position that is not understood. */
struct follow *follow_new(const char *path, struct slice position, gboolean from_start,
        const struct follow_hooks *hooks, struct error *err);
void follow_free(struct follow **follow);

/* Where else rotated files may lie (logrotate's olddir): see rotation_scan. To be called before the
 * first follow_run. */
void follow_rotated(struct follow *follow, const char *folder);

/* How long (ms, default 1000) a renamed file must not have grown before the new one is read: its
 * writer has it open until it is told to reopen. */
void follow_grace(struct follow *follow, guint ms);

/* Descriptor to poll for reading; it also wakes where inotify does not work (then each second), and
 * at the end of a grace. */
int follow_fd(const struct follow *follow);

/* Reads what there is, at most about `max_lines`. 1: there is more, or the line hook said stop; 0:
 * at the end, poll; -1 with *err: a read error, try again later. */
int follow_run(struct follow *follow, unsigned max_lines, struct error *err);

/* Tells the follower the time (ms) of the line that the hook is just being given: to be called
 * within the hook, for lines given again too. */
void follow_stamp(struct follow *follow, gint64 time);

/* Appends the position behind the last line given; nothing before the first follow_run, after which
 * it is worth keeping even if no line came (behind one given again: as it was at the start), as
 * "key=value" text: see position.h. Lines are read again from the first line of the last second, or
 * of the second before where that one is next to it. */
void follow_position(const struct follow *follow, GString *out);

#endif
