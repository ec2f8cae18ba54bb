/* Cutting a stream of bytes into lines: no allocation a line, raw bytes stay as they were read. */
#ifndef PW_LOGTAIL_SPLIT_H
#define PW_LOGTAIL_SPLIT_H

#include <glib.h>

#include "base/slice.h"

#define SPLIT_LIMIT 65536        /* a line's text is cut behind so many bytes */
#define SPLIT_BLOCK (256 * 1024) /* room for one read */
#define SPLIT_KEEP 1024          /* bytes kept that lie before the next line */
#define SPLIT_HOLE 16            /* so many NULs in a row are a hole in the file, not text */

struct splitter;

struct split_line {
	struct slice
	        text;  /* without its newline and NUL bytes; lives until the next splitter_room */
	gint64 offset; /* of its first byte in the stream */
	gint64 end;    /* offset behind its newline */
	gboolean hole; /* not a line but end - offset NUL bytes where text should be */
};

struct splitter *splitter_new(void);
void splitter_free(struct splitter **split);

/* Forgets all; the next byte fed is at `offset`, and `before` are the bytes just before it. */
void splitter_reset(struct splitter *split, gint64 offset, struct slice before);

/* Where to read the next SPLIT_BLOCK bytes to, once splitter_peek had no line; and that n came. */
char *splitter_room(struct splitter *split);
void splitter_fed(struct splitter *split, size_t n);

/* The next line, again and again until splitter_take. FALSE: bytes are needed. */
gboolean splitter_peek(struct splitter *split, struct split_line *line_r);
/* The same for a last line that has no newline. */
gboolean splitter_peek_rest(struct splitter *split, struct split_line *line_r);
void splitter_take(struct splitter *split);

/* Offset of the next line, and of the next byte to be fed. */
gint64 splitter_offset(const struct splitter *split);
gint64 splitter_end(const struct splitter *split);

/* Up to SPLIT_KEEP raw bytes before splitter_offset, and before splitter_end. */
struct slice splitter_before(const struct splitter *split);
struct slice splitter_last(const struct splitter *split);

#endif
