/* An open file of a log's life: what was written between two rotations, plain or compressed. */
#ifndef PW_LOGTAIL_GENERATION_H
#define PW_LOGTAIL_GENERATION_H

#include <glib.h>
#include <sys/types.h>

#include "base/error.h"
#include "logtail/position.h"
#include "logtail/split.h"

struct generation {
	char *path; /* by which it was opened */
	gboolean packed;
	guint64 dev, ino;
	gint64 born;  /* microseconds, 0 = unknown */
	gint64 mtime; /* microseconds, of the last change that was surely read */
	/* private */
	int fd;
	struct history *history;
	char head[PRINT_MAX];
	size_t head_n;
};

/* 1 and *generation_r; 0 when there is no such file; -1 with *err. */
int generation_open(
        const char *path, gboolean packed, struct generation **generation_r, struct error *err);
void generation_free(struct generation **generation);

/* 0 for the mode (of stat) of a regular file, else -1 with what it is instead. */
int generation_is_file(const char *path, mode_t mode, struct error *err);

/* Makes `offset` the next byte to be read; what lies before it can be told by splitter_before. 1; 0
 * when the file is shorter (then at its end); -1 with *err. A packed one is read from its
 * beginning: only once. */
int generation_seek(
        struct generation *generation, gint64 offset, struct splitter *split, struct error *err);

enum fill {
	FILL_MORE,
	FILL_END,
	FILL_FAILED, /* with *err */
	FILL_CUT,    /* what was read before is no longer there: truncated, rewritten */
};
enum fill generation_fill(struct generation *generation, struct splitter *split, struct error *err);

enum holds {
	HOLDS_NOT,
	HOLDS_PART, /* its beginning is the same, but it ends before the place */
	HOLDS,
	HOLDS_FAILED, /* with *err: cannot be read now */
};
/* Whether the place lies in this generation, by its content; the beginning of a file of which
 * nothing was read is only in that file itself. A packed one is unpacked for it, and cannot be read
 * after. */
enum holds generation_has(
        struct generation *generation, const struct place *place, struct error *err);
/* The same for the file at `path`. */
enum holds generation_holds(
        const char *path, gboolean packed, const struct place *place, struct error *err);

/* Whether the plain file at `path` begins with what `copy` begins with, up to PRINT_MAX bytes: 1
 * (also where that is empty), 0; -1 when one of them cannot be read. */
int generation_begins_as(const char *path, const char *copy, gboolean packed);

/* Whether the plain file begins with random bytes, as shred leaves it. */
gboolean generation_is_noise(const char *path);

/* The place of the splitter's next line in this generation. */
struct place generation_place(const struct generation *generation, const struct splitter *split);

#endif
