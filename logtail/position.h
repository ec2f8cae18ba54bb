/* Where a follower stands, as text: found again by content, whatever name or inode a file has got.
 */
#ifndef PW_LOGTAIL_POSITION_H
#define PW_LOGTAIL_POSITION_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

#define PRINT_MAX 1024

/* Fingerprint of n bytes (n <= PRINT_MAX). */
struct print {
	gint64 n;
	guint64 hash;
};

struct print print_make(struct slice bytes);

/* A place in a generation of a log: all that was written to PATH between two rotations. The prints
 * tell a generation: device and inode are reused, and change when a file is compressed. */
struct place {
	guint64 dev, ino; /* 0: no file yet */
	gint64 born;      /* microseconds; 0 = not told by the file system, or not kept */
	gint64 offset;
	struct print head; /* of the first bytes of the file, as far as they were read */
	struct print tail; /* of the bytes just before `offset`; n = 0: not known */
};

struct position {
	struct place at; /* behind the last line given; before the first one the end of the newest
	                    rotated file, else (nothing is known of the log's content, head.n = 0)
	                    the beginning of the log */
	struct place again; /* from where lines are read again to rebuild ordinals */
	gint64 mtime;       /* of the file of `at`, microseconds */
	gint64 stamp;       /* of the last line given, ms; 0 = unknown */
	guint64 copied;     /* the file of `at` is a copy of this inode, which was truncated then;
	                       0: it is none */
};

/* "v=1 key=value …"; appended to `out`. */
void position_format(const struct position *position, GString *out);

/* 0, or -1 with *err for text that position_format cannot have made. Unknown keys are ignored. */
int position_parse(struct slice text, struct position *position_r, struct error *err);

#endif
