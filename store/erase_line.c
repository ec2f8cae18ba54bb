#include "store/erase_line.h"

#include <jansson.h>

#include "base/gunzip.h"
#include "event/ingest_read.h"

#define UNPACKED_MAX (INT64_C(1) << 30) /* no batch holds so much */

/* ---- one line ---- */

/* In strings, whatever was escaped in them. */
static enum erased_line clean_json(
        const struct tombstones *stones, int64_t time, json_t *json, GString *out)
{
	if (!tombstones_clean_json(stones, time, false, json, out))
		return LINE_KEPT;
	return out->len > 0 ? LINE_CLEANED : LINE_GONE;
}

/* Nearly all lines name nobody: that is seen without reading them as JSON. */
static bool may_name(const struct tombstones *stones, struct slice line, GString *out)
{
	return tombstones_have(stones, TOMBSTONE_MESSAGE) || slice_chr(line, '\\') >= 0 ||
	       tombstones_clean(stones, INT64_MIN, false, line, out);
}

enum erased_line erase_line(const struct tombstones *stones, struct slice text, GString *out)
{
	struct ingest_line line;
	int64_t time = INT64_MIN;
	enum erased_line fate;

	g_string_truncate(out, 0);
	if (text.n > INGEST_LINE_MAX)
		return LINE_GONE;
	if (!may_name(stones, text, out))
		return LINE_KEPT;
	bool is_event = ingest_read(text, &line, NULL) == 0;
	if (is_event)
		time = line.event.time;
	g_string_truncate(out, 0);
	if (is_event && tombstones_take(stones, &line.event))
		fate = LINE_GONE;
	else if (line.json != NULL)
		fate = clean_json(stones, time, line.json, out);
	else
		fate = tombstones_clean(stones, INT64_MIN, false, text, out) ? LINE_CLEANED
		                                                             : LINE_KEPT;
	ingest_line_clear(&line);
	return fate;
}

/* ---- lines out of pieces ---- */

struct lines {
	erase_line_taker *taker;
	void *ctx;
	GString *rest; /* a line whose end has not come yet */
};

static void add_rest(struct lines *lines, struct slice piece)
{
	size_t room = INGEST_LINE_MAX + 1 - MIN(lines->rest->len, INGEST_LINE_MAX + 1);

	g_string_append_len(lines->rest, piece.p, (gssize)MIN(piece.n, room));
}

static int end_line(struct lines *lines, struct error *err)
{
	int result = lines->taker(lines->ctx, slice_make(lines->rest->str, lines->rest->len), err);

	g_string_truncate(lines->rest, 0);
	return result;
}

static int take_piece(void *ctx, struct slice bytes, struct error *err)
{
	struct lines *lines = ctx;
	ptrdiff_t end;

	while ((end = slice_chr(bytes, '\n')) >= 0) {
		add_rest(lines, slice_head(bytes, (size_t)end));
		bytes = slice_from(bytes, (size_t)end + 1);
		if (end_line(lines, err) < 0)
			return -1;
	}
	add_rest(lines, bytes);
	return 0;
}

int erase_each_line(struct slice packed, erase_line_taker *taker, void *ctx, struct error *err)
{
	g_autoptr(GString) rest = g_string_new(NULL);
	struct lines lines = {taker, ctx, rest};

	if (gunzip(packed, UNPACKED_MAX, take_piece, &lines, err) < 0)
		return -1;
	return rest->len > 0 ? end_line(&lines, err) : 0;
}
