/* Callbacks of a milter in any order with any texts: the session stays sound.
 *
 * The input: steps. A step is a byte that says which, and three texts that end with NUL.
 * Words: milter/session.c milter/header_map.h
 * Reaches: milter_session_connect milter_session_abort refuse hand_over attributes_msys
 * Reaches: milter_session_body is_report_type hand_over_report passing_take */
#include <stdlib.h>

#include "milter/session.h"
#include "mime/headers.h"
#include "tests/fuzz/milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int observed(void *ctx, const struct observation *seen, bool wait)
{
	volatile unsigned char sum = 0;

	(void)ctx;
	for (size_t i = 0; i < seen->queue_id.n; i++)
		sum ^= (unsigned char)seen->queue_id.p[i];
	if (seen->envelope != NULL && seen->envelope->recipients > MILTER_RECIPIENTS_MAX)
		abort();
	return wait ? -1 : 0;
}

/* The next text, the caller's; NULL for an empty one, as the MTA may tell nothing. */
static char *next(struct slice *input)
{
	struct slice text = slice_cut(input, '\0');

	return text.n > 0 ? slice_dup(text) : NULL;
}

static void step(struct milter_session *session, unsigned char which, struct slice *input)
{
	g_autofree char *a = next(input), *b = next(input), *c = next(input);
	const char *argv[] = {a != NULL ? a : "", b, NULL};
	unsigned remove;

	switch (which % 9) {
	case 0:
		milter_session_connect(session, a, b, which);
		break;
	case 1:
		milter_session_helo(session, a);
		break;
	case 2:
		milter_session_mail(session, argv, c, b, c, a, b);
		break;
	case 3:
		milter_session_rcpt(session, argv, c, NULL, NULL, NULL);
		break;
	case 4:
		milter_session_rcpt(session, argv, NULL, "error", b, c);
		break;
	case 5:
		milter_session_header(session, a != NULL ? a : "", b != NULL ? b : "");
		break;
	case 6:
		milter_session_end(session, a, b, &remove);
		break;
	case 8:
		milter_session_body(session, slice_str(a));
		break;
	default:
		milter_session_abort(session);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct milter_config config = {
	        .node = "mx", .see_rejects = true, .reports = true};
	static const struct milter_hooks hooks = {.observed = observed,
	        .now = now,
	        .report_address = report_address,
	        .report = report,
	        .decode_text = mime_decode_text,
	        .first_address = mime_first_address,
	        .first_name = mime_first_name,
	        .each_address = mime_each_address};
	static struct milter_shared *shared;
	struct slice input = slice_make((const char *)data, size);

	mime_init();
	if (shared == NULL)
		shared = milter_shared_new(&config, &hooks, NULL);
	struct milter_session *session = milter_session_new(shared);
	while (input.n > 0) {
		unsigned char which = (unsigned char)input.p[0];
		input = slice_from(input, 1);
		step(session, which, &input);
	}
	milter_session_free(&session);
	return 0;
}
