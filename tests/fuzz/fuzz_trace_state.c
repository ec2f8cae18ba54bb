/* libFuzzer target: saved state of the correlator, which then is put to use.
 *
 * The input: entries. An entry is a byte of the length of its key, the key, two bytes of the length
 * of its value, the value.
 * Reaches: restore_message restore_orphan restore_stream get_letter get_recipient get_story
 * Reaches: put_message put_orphan story_merge hop_index */
#include <glib.h>

#include "trace/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(void *ctx, struct slice key, struct slice value)
{
	struct trace *again = ctx;

	/* What we write ourselves is never refused. */
	if (value.p != NULL && trace_restore(again, key, value, NULL) < 0)
		g_error("own state refused");
}

static void feed(struct trace *trace, enum observation_kind kind, int64_t time)
{
	struct observation seen = OBSERVATION_INIT;

	seen.kind = kind;
	seen.line = (struct identity_line){.node = SLICE("n"),
	        .instance = SLICE(""),
	        .time = time,
	        .program = SLICE("postfix/smtp"),
	        .text = SLICE("text")};
	seen.queue_id = SLICE("Q");
	seen.to = SLICE("a@b");
	seen.status = ATTEMPT_DEFERRED;
	trace_feed(trace, &seen);
}

static bool holds(void *ctx, struct slice text)
{
	(void)ctx;
	return slice_eq(text, SLICE("gone"));
}

/* Cuts off what a length of `n` bytes stands before, as much of it as there is. */
static struct slice take(struct slice *input, size_t n)
{
	size_t length = 0;

	for (size_t i = 0; i < n && i < input->n; i++)
		length |= (size_t)(uint8_t)input->p[i] << 8 * i;
	*input = slice_from(*input, MIN(n, input->n));
	struct slice text = slice_head(*input, MIN(length, input->n));
	*input = slice_from(*input, text.n);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum observation_kind kinds[] = {OBSERVATION_MESSAGE_ID, OBSERVATION_ACTIVE,
	        OBSERVATION_ATTEMPT, OBSERVATION_EXPIRED, OBSERVATION_REMOVED};
	const struct trace_config config = {.log_followed = true};
	const struct trace_hooks hooks = {0};

	struct slice input = slice_make((const char *)data, size);
	bool restored = false;
	struct trace *trace = trace_new(&config, &hooks, NULL);
	struct trace *again = trace_new(&config, &hooks, NULL);
	while (input.n > 0) {
		struct slice key = take(&input, 1), value = take(&input, 2);
		trace_saved_since(key, value);
		trace_saved_holds(key, value, holds, NULL);
		restored |= trace_restore(trace, key, value, NULL) == 0;
	}
	if (restored) {
		trace_forget(trace, holds, NULL);
		for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
			feed(trace, kinds[i], INT64_C(1795305600000) + (int64_t)i * 1000);
		trace_save(trace, put, again);
		trace_tick(trace, INT64_C(1900000000000));
	}
	trace_free(&trace);
	trace_free(&again);
	return 0;
}
