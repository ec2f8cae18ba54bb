/* libFuzzer target: saved state of the correlator, which then is put to use.
 *
 * The input: one byte for the length of the key, the key, the value. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum observation_kind kinds[] = {OBSERVATION_MESSAGE_ID, OBSERVATION_ACTIVE,
	        OBSERVATION_ATTEMPT, OBSERVATION_EXPIRED, OBSERVATION_REMOVED};
	const struct trace_config config = {.log_followed = true};
	const struct trace_hooks hooks = {0};

	if (size < 1 || (size_t)data[0] + 1 > size)
		return 0;
	struct slice key = slice_make((const char *)data + 1, data[0]);
	struct slice value = slice_make((const char *)data + 1 + data[0], size - 1 - data[0]);
	struct trace *trace = trace_new(&config, &hooks, NULL);
	struct trace *again = trace_new(&config, &hooks, NULL);
	if (trace_restore(trace, key, value, NULL) == 0) {
		for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
			feed(trace, kinds[i], INT64_C(1795305600000) + (int64_t)i * 1000);
		trace_save(trace, put, again);
		trace_tick(trace, INT64_C(1900000000000));
	}
	trace_free(&trace);
	trace_free(&again);
	return 0;
}
