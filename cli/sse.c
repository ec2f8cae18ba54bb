#include "cli/sse.h"

void sse_init(struct sse *sse, sse_found *found, void *ctx)
{
	*sse = (struct sse){found, ctx, g_string_new(NULL), g_string_new(NULL), g_string_new(NULL),
	        g_string_new(NULL)};
}

void sse_clear(struct sse *sse)
{
	g_string_free(sse->line, TRUE);
	g_string_free(sse->data, TRUE);
	g_string_free(sse->next, TRUE);
	g_string_free(sse->id, TRUE);
}

void sse_restart(struct sse *sse)
{
	g_string_truncate(sse->line, 0);
	g_string_truncate(sse->data, 0);
	g_string_assign(sse->next, sse->id->str);
}

static void end_event(struct sse *sse)
{
	g_string_assign(sse->id, sse->next->str);
	if (sse->data->len > 0) /* without the line break of the last line */
		sse->found(sse->ctx, slice_make(sse->data->str, sse->data->len - 1));
	g_string_truncate(sse->data, 0);
}

/* The end of one line; \r\n is taken for \n. */
static void take_line(struct sse *sse, struct slice line)
{
	if (slice_ends(line, SLICE("\r")))
		line = slice_head(line, line.n - 1);
	if (line.n == 0) {
		end_event(sse);
		return;
	}
	struct slice name = slice_cut(&line, ':');
	slice_skip(&line, SLICE(" "));
	if (slice_eq(name, SLICE("data"))) {
		g_string_append_len(sse->data, line.p, (gssize)line.n);
		g_string_append_c(sse->data, '\n');
	} else if (slice_eq(name, SLICE("id")) && slice_chr(line, '\0') < 0) {
		g_string_truncate(sse->next, 0);
		g_string_append_len(sse->next, line.p, (gssize)line.n);
	}
}

void sse_feed(struct sse *sse, struct slice bytes)
{
	while (bytes.n > 0) {
		ptrdiff_t end = slice_chr(bytes, '\n');
		if (end < 0) {
			g_string_append_len(sse->line, bytes.p, (gssize)bytes.n);
			return;
		}
		g_string_append_len(sse->line, bytes.p, end);
		take_line(sse, slice_make(sse->line->str, sse->line->len));
		g_string_truncate(sse->line, 0);
		bytes = slice_from(bytes, (size_t)end + 1);
	}
}
