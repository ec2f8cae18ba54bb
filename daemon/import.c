#include "daemon/import.h"

#include "base/clock.h"
#include "event/json.h"
#include "logtail/split.h"

/* How long an import waits for the store: to take lines while its batch is full, and at the end for
 * the last commit, ms. */
#define FLUSH_TIMEOUT (60 * 1000)

struct import {
	struct import_context *context;
	struct capture_stream *stream;
	struct capture_source *source;
	char *name;
	char *damage;  /* why the source could not be read to its end; NULL = it could */
	GString *rest; /* a line whose end has not come yet */
	struct store_source before;
	uint64_t ticket;
	int64_t offset;
	int64_t last; /* time of the last line */
};

/* The ledger's counts of a source; zeros where it has none. */
static int import_counts(struct import *import, struct store_source *counts_r, struct error *err)
{
	g_autoptr(GArray) ledger = store_ledger(import->context->store, err);

	if (ledger == NULL)
		return -1;
	*counts_r = (struct store_source){0};
	for (guint i = 0; i < ledger->len; i++) {
		const struct store_source *row = &g_array_index(ledger, struct store_source, i);
		if (g_strcmp0(row->name, import->name) == 0)
			*counts_r = *row;
	}
	counts_r->name = NULL;
	return 0;
}

static void import_free(struct import *import)
{
	capture_source_free(&import->source);
	capture_stream_free(&import->stream);
	g_string_free(import->rest, TRUE);
	g_free(import->name);
	g_free(import->damage);
	g_free(import);
}

static void *import_begin(void *ctx, const struct query_import_target *target, struct error *err)
{
	struct import_context *context = ctx;
	struct import *import = g_new0(struct import, 1);
	const struct line_reader_config reader = {.node = context->node,
	        .not_after = target->not_after > 0 ? target->not_after : clock_now()};

	import->context = context;
	import->name = g_strdup(target->source);
	import->damage = g_strdup(target->damage);
	import->rest = g_string_new(NULL);
	import->stream = capture_stream_new(context->capture, err);
	if (import->stream != NULL)
		import->source = capture_source_new(import->stream, import->name, &reader, err);
	if (import->source == NULL || import_counts(import, &import->before, err) < 0) {
		import_free(import);
		return NULL;
	}
	return import;
}

static int import_late(struct import *import, struct error *err)
{
	struct error trouble = {0};

	if (!capture_trouble(import->context->capture, &trouble))
		error_set(&trouble, "see the log of postwaked");
	return error_set(err, "%s: not committed within %d s: %s", import->name,
	        FLUSH_TIMEOUT / 1000, trouble.text);
}

static void import_line(struct import *import, struct slice line)
{
	import->last =
	        capture_line(import->source, slice_head(line, SPLIT_LIMIT), import->offset, false);
	import->offset += (int64_t)line.n + 1;
}

static int import_feed(void *data, const char *bytes, size_t n, struct error *err)
{
	struct import *import = data;
	struct slice chunk = slice_make(bytes, n);
	ptrdiff_t end;

	if (!capture_try_begin(import->source, FLUSH_TIMEOUT))
		return import_late(import, err);
	while ((end = slice_chr(chunk, '\n')) >= 0) {
		struct slice line = slice_head(chunk, (size_t)end);
		if (import->rest->len > 0) {
			g_string_append_len(import->rest, line.p, (gssize)line.n);
			line = slice_make(import->rest->str, import->rest->len);
		}
		import_line(import, line);
		g_string_truncate(import->rest, 0);
		chunk = slice_from(chunk, (size_t)end + 1);
	}
	/* What is over the limit is cut, as the followers do. */
	if (import->rest->len < SPLIT_LIMIT)
		g_string_append_len(import->rest, chunk.p, (gssize)chunk.n);
	import->ticket = capture_end(import->source, SLICE_NONE);
	return 0;
}

static void import_report(
        const struct store_source *before, const struct store_source *after, GString *out)
{
	g_string_append_c(out, '{');
	json_member_int(out, "lines", (gint64)(after->lines - before->lines));
	for (int i = 0; i < LEDGER_CLASSES; i++)
		json_member_int(out, ledger_names[i], (gint64)(after->count[i] - before->count[i]));
	json_member_int(out, "events", (gint64)(after->events - before->events));
	g_string_append_c(out, '}');
}

/* A last line without newline counts when the file ended with it, not when the client broke off in
 * the middle of one. */
static int import_rest(struct import *import, struct error *err)
{
	if (import->rest->len == 0)
		return 0;
	if (!capture_try_begin(import->source, FLUSH_TIMEOUT))
		return import_late(import, err);
	import_line(import, slice_make(import->rest->str, import->rest->len));
	import->ticket = capture_end(import->source, SLICE_NONE);
	return 0;
}

static int import_gap(struct import *import, struct error *err)
{
	if (import->damage == NULL)
		return 0;
	if (!capture_try_begin(import->source, FLUSH_TIMEOUT))
		return import_late(import, err);
	capture_gap(import->source, import->last, 0, -1, import->damage);
	import->ticket = capture_end(import->source, SLICE_NONE);
	return 0;
}

static int import_finish(struct import *import, GString *out, struct error *err)
{
	struct store_source after;

	if (import_rest(import, err) < 0 || import_gap(import, err) < 0)
		return -1;
	if (import->ticket != 0 &&
	        capture_wait(import->context->capture, import->ticket, FLUSH_TIMEOUT) != 1)
		return import_late(import, err);
	if (import_counts(import, &after, err) < 0)
		return -1;
	import_report(&import->before, &after, out);
	return 0;
}

static int import_end(void *data, bool aborted, GString *out, struct error *err)
{
	struct import *import = data;
	int result = aborted ? 0 : import_finish(import, out, err);

	import_free(import);
	return result;
}

void import_hooks(struct import_context *context, struct query_import *hooks_r)
{
	*hooks_r = (struct query_import){
	        .ctx = context, .begin = import_begin, .feed = import_feed, .end = import_end};
}
