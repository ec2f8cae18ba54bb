/* Lines of a log, through syslog header, dialect and rules.
 * Seeds: tests/golden/postfix tests/golden/sendmail
 * Words: logtail/postfix_rules.c logtail/postfix_delivery.c logtail/postfix_reject.c
 * Words: logtail/sendmail_rules.c logtail/sendmail_delivery.c logtail/sendmail_reject.c
 * Reaches: syslog_parse read_5424_rest read_bsd read_rfc3339 read_last_repeated postfix_read
 * Reaches: sendmail_read begin_list line_reader_read give */

#include "logtail/lines.h"

#include <glib.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte of every slice must be readable. */
static void touch(struct slice s)
{
	static volatile unsigned char sum;

	for (size_t i = 0; i < s.n; i++)
		sum ^= (unsigned char)s.p[i];
}

static void observed(void *ctx, const struct observation *seen)
{
	unsigned *calls = ctx;

	(*calls)++;
	if (seen->rule == NULL)
		abort();
	const struct slice slices[] = {seen->queue_id, seen->new_queue_id, seen->orig_queue_id,
	        seen->from, seen->to, seen->orig_to, seen->service, seen->relay_host,
	        seen->relay_ip, seen->relay_port, seen->dsn, seen->code, seen->reason, seen->stage,
	        seen->client_host, seen->client_ip, seen->client_port, seen->sasl_method,
	        seen->sasl_username, seen->helo, seen->proto, seen->message_id, seen->uid,
	        seen->line.node, seen->line.instance, seen->line.program, seen->line.pid,
	        seen->line.text};
	for (size_t i = 0; i < G_N_ELEMENTS(slices); i++)
		touch(slices[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_reader_config config = {.zone = "Europe/Berlin", .not_after = 1795348800000};
	struct line_reader *reader = line_reader_new(&config, NULL);
	struct slice rest = slice_make((const char *)data, size);

	while (rest.n > 0) {
		unsigned calls = 0;
		struct slice line = slice_cut(&rest, '\n');
		line_reader_read(reader, line, observed, &calls);
		/* A recipient takes a byte and a comma at least. */
		if (calls == 0 || calls > line.n / 2 + 1)
			abort();
	}
	line_reader_free(&reader);
	return 0;
}
