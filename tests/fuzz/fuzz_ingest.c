/* What anybody may send to /api/v1/ingest/events: gzip of lines. The input is unpacked as gzip, and
 * each of its lines (of the unpacked bytes, or of the input itself where it is no gzip) becomes an
 * event, which must come out as good JSON; of a refused one the line that tells so must be good
 * JSON.
 * Words: schema/fields.def schema/events.def event/ingest_read.c
 * Reaches: gunzip unpack_members ingest_read ingest_check fill_accounts ingest_line_refused
 * Reaches: json_event json_geo json_maps */
#include <jansson.h>
#include <stdlib.h>

#include "base/gunzip.h"
#include "capture/ingest_line.h"
#include "event/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1549054731000)

static void must_parse(const GString *text)
{
	json_t *root = json_loadb(text->str, text->len, JSON_ALLOW_NUL, NULL);

	if (root == NULL)
		abort();
	json_decref(root);
}

static void one_line(struct slice text)
{
	static const struct ingest_config config = {.keep_days = -1};
	const struct ingest_rules rules = {.config = &config, .received = NOW};
	g_autoptr(GString) out = g_string_new(NULL);
	struct ingest_line line;
	struct error err = {0};

	if (ingest_line_take(&rules, text, &line, &err) == 0) {
		json_event(out, &line.event, API_V1);
		must_parse(out);
		g_string_truncate(out, 0);
		json_event(out, &line.event, API_EVENTS);
	} else if (err.set) {
		ingest_line_refused(out, text, 1, line.json != NULL, &err);
	} else {
		abort();
	}
	must_parse(out);
	ingest_line_clear(&line);
}

static void all_lines(struct slice text)
{
	while (text.n > 0)
		one_line(slice_cut(&text, '\n'));
}

static int collect(void *ctx, struct slice bytes, struct error *err)
{
	(void)err;
	g_string_append_len(ctx, bytes.p, (gssize)bytes.n);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice input = slice_make((const char *)data, size);
	g_autoptr(GString) text = g_string_new(NULL);

	if (gunzip(input, 1024 * 1024, collect, text, NULL) == 0)
		all_lines(slice_make(text->str, text->len));
	else
		all_lines(input);
	return 0;
}
