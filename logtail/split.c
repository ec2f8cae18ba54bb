#include "logtail/split.h"

#include <string.h>

#define CAPACITY (SPLIT_KEEP + SPLIT_LIMIT + SPLIT_BLOCK)

/* buf: [back, start) bytes before the next line | [start, end) bytes of it and behind it. When a
 * line is too long, what is over SPLIT_LIMIT is dropped between start + SPLIT_LIMIT and the bytes
 * fed last; [fresh, end) is what lies without a break before the next byte. */
struct splitter {
	char *buf;
	size_t back, start, fresh, scan, end;
	gint64 offset;  /* of buf[start] */
	gint64 dropped; /* bytes of this line that are no longer in buf */
	GString *clean; /* a line without its NULs */
	gboolean ready; /* line is what splitter_peek gives */
	struct split_line line;
	size_t next; /* start after it was taken */
};

struct splitter *splitter_new(void)
{
	struct splitter *split = g_new0(struct splitter, 1);

	split->buf = g_malloc(CAPACITY);
	split->clean = g_string_new(NULL);
	return split;
}

void splitter_free(struct splitter **split)
{
	if (*split == NULL)
		return;
	g_free((*split)->buf);
	g_string_free((*split)->clean, TRUE);
	g_clear_pointer(split, g_free);
}

void splitter_reset(struct splitter *split, gint64 offset, struct slice before)
{
	if (before.n > SPLIT_KEEP)
		before = slice_from(before, before.n - SPLIT_KEEP);
	if (before.n > 0)
		memmove(split->buf, before.p, before.n);
	split->back = split->fresh = 0;
	split->start = split->scan = split->end = before.n;
	split->offset = offset;
	split->dropped = 0;
	split->ready = FALSE;
}

char *splitter_room(struct splitter *split)
{
	if (split->end - split->start > SPLIT_LIMIT) {
		split->dropped += (gint64)(split->end - split->start - SPLIT_LIMIT);
		split->end = split->scan = split->fresh = split->start + SPLIT_LIMIT;
	}
	size_t first = split->back;
	if (split->start - first > SPLIT_KEEP)
		first = split->start - SPLIT_KEEP;
	if (first > 0) {
		memmove(split->buf, split->buf + first, split->end - first);
		split->back = 0;
		split->start -= first;
		split->scan -= first;
		split->end -= first;
		split->fresh = split->fresh > first ? split->fresh - first : 0;
	}
	return split->buf + split->end;
}

void splitter_fed(struct splitter *split, size_t n)
{
	split->end += n;
}

/* Index of the first run of SPLIT_HOLE NULs in [from, to), or `to`. */
static size_t splitter_find_hole(const struct splitter *split, size_t from, size_t to)
{
	while (from < to) {
		const char *nul = memchr(split->buf + from, '\0', to - from);
		if (nul == NULL)
			break;
		size_t at = (size_t)(nul - split->buf), run = at;
		while (run < to && split->buf[run] == '\0')
			run++;
		if (run - at >= SPLIT_HOLE)
			return at;
		from = run;
	}
	return to;
}

/* Makes [start, stop) the line at hand; `next` is the index behind it. */
static void splitter_set(struct splitter *split, size_t stop, size_t next)
{
	const char *text = split->buf + split->start;
	size_t n = MIN(stop - split->start, SPLIT_LIMIT);

	if (memchr(text, '\0', n) != NULL) {
		g_string_truncate(split->clean, 0);
		for (size_t i = 0; i < n; i++)
			if (text[i] != '\0')
				g_string_append_c(split->clean, text[i]);
		text = split->clean->str;
		n = split->clean->len;
	}
	split->next = next;
	split->ready = TRUE;
	split->line = (struct split_line){.text = slice_make(text, n), .offset = split->offset};
	split->line.end = split->offset + (gint64)(next - split->start) + split->dropped;
}

/* NULs from the first byte on: what a crash or a writer without O_APPEND leaves of a truncated
 * file. Given at once, so that a hole of any size neither fills the buffer nor swallows the next
 * line. */
static gboolean splitter_set_hole(struct splitter *split)
{
	size_t stop = split->start;

	while (stop < split->end && split->buf[stop] == '\0')
		stop++;
	if (stop - split->start < SPLIT_HOLE)
		return FALSE;
	splitter_set(split, split->start, stop);
	split->line.hole = TRUE;
	return TRUE;
}

static gboolean splitter_look(struct splitter *split)
{
	if (split->start == split->end)
		return FALSE;
	if (split->dropped == 0 && split->buf[split->start] == '\0' && splitter_set_hole(split))
		return TRUE;
	const char *newline = memchr(split->buf + split->scan, '\n', split->end - split->scan);
	size_t stop = newline != NULL ? (size_t)(newline - split->buf) : split->end;
	/* A hole ends a line too: what comes behind it was written after a crash. */
	size_t hole = split->dropped == 0 ? splitter_find_hole(split, split->start, stop) : stop;
	if (hole < stop) {
		splitter_set(split, hole, hole);
		return TRUE;
	}
	split->scan = stop;
	if (newline == NULL)
		return FALSE;
	splitter_set(split, stop, stop + 1);
	return TRUE;
}

gboolean splitter_peek(struct splitter *split, struct split_line *line_r)
{
	if (!split->ready && !splitter_look(split))
		return FALSE;
	*line_r = split->line;
	return TRUE;
}

gboolean splitter_peek_rest(struct splitter *split, struct split_line *line_r)
{
	if (!split->ready && !splitter_look(split)) {
		if (split->start == split->end)
			return FALSE;
		splitter_set(split, split->end, split->end);
	}
	*line_r = split->line;
	return TRUE;
}

void splitter_take(struct splitter *split)
{
	if (!split->ready)
		return;
	if (split->dropped > 0)
		split->back = split->fresh;
	split->start = split->scan = split->next;
	split->offset = split->line.end;
	split->dropped = 0;
	split->ready = FALSE;
}

gint64 splitter_offset(const struct splitter *split)
{
	return split->offset;
}

gint64 splitter_end(const struct splitter *split)
{
	return split->offset + (gint64)(split->end - split->start) + split->dropped;
}

static struct slice splitter_tail(const struct splitter *split, size_t from, size_t to)
{
	if (to - from > SPLIT_KEEP)
		from = to - SPLIT_KEEP;
	return slice_make(split->buf + from, to - from);
}

struct slice splitter_before(const struct splitter *split)
{
	return splitter_tail(split, split->back, split->start);
}

struct slice splitter_last(const struct splitter *split)
{
	return splitter_tail(split, split->fresh, split->end);
}
