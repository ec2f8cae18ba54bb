/* Everything that an ingest server may answer: no crash, no leak, no text that is not UTF-8.
 * Words: upload/answer.c
 * Reaches: answer_batch_id append_errors read_verdict unpack find_cause append_cause port_of */
#include "upload/answer.h"

static void use_verdict(void *ctx, const struct answer_verdict *verdict)
{
	*(size_t *)ctx += strlen(verdict->batch_id) + strlen(verdict->error_type);
}

static void use_line(void *ctx, struct slice line, const char *cause)
{
	*(size_t *)ctx += line.n + strlen(cause);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice body = slice_make((const char *)data, n);
	g_autofree char *id = answer_batch_id(body);
	g_autofree char *text = answer_text(500, body);
	g_autofree char *href = g_strndup((const char *)data, n);
	g_autofree char *url = answer_same_origin("https://api.example.com/x", href);
	size_t sum = 0;

	if (!g_utf8_validate(text, -1, NULL) || strchr(text, '\n') != NULL)
		__builtin_trap();
	if (url != NULL && !g_str_has_prefix(url, "https://") && !g_str_has_prefix(url, "HTTPS://"))
		__builtin_trap();
	answer_verdicts(body, use_verdict, &sum, NULL);
	answer_failures(body, 100000, use_line, &sum, NULL);
	return 0;
}
