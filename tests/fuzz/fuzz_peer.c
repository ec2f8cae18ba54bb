/* The bytes of an MTA on the milter's socket: whatever comes, the peer stays sound, and what it
 * replies are packets.
 *
 * The input: a byte of switches (1: bytes as they are, else packets are made of them; 2: without a
 * negotiation; 4, 8, 16, 32: configuration), a byte of how many bytes come at a time, the bytes.
 * Where packets are made each is a command, a length and its data.
 * Words: milter/session.c milter/header_map.h
 * Reaches: on_negotiate on_macros on_connect on_mail on_rcpt on_header on_body on_end on_abort
 * Reaches: on_quit_new packet_macro client_address put_removals hand_over attributes_msys refuse
 * Reaches: passing_body hand_over_report */
#include <stdlib.h>

#include "milter/packet.h"
#include "milter/peer.h"
#include "mime/headers.h"
#include "tests/fuzz/milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int observed(void *ctx, const struct observation *seen, bool wait)
{
	(void)ctx;
	return wait && seen->queue_id.n % 2 != 0 ? -1 : 0;
}

static const struct milter_hooks hooks = {.observed = observed,
        .now = now,
        .report_address = report_address,
        .report = report,
        .decode_text = mime_decode_text,
        .first_address = mime_first_address,
        .first_name = mime_first_name,
        .each_address = mime_each_address};

static void make_packets(struct slice input, GString *bytes)
{
	while (input.n >= 2) {
		char command = input.p[0];
		struct slice data = slice_head(slice_from(input, 2), (guchar)input.p[1]);

		packet_put(bytes, command, data);
		input = slice_from(input, 2 + data.n);
	}
}

static void check_replies(const GString *out)
{
	struct slice rest = slice_make(out->str, out->len);
	struct packet packet;

	while (packet_cut(&rest, &packet) > 0)
		if (strchr("Ocmsy", packet.command) == NULL)
			abort();
	if (rest.n > 0)
		abort();
}

static void run(const struct peer_plan *plan, const GString *bytes, size_t piece)
{
	struct peer *peer = peer_new(plan);
	g_autoptr(GString) out = g_string_new(NULL);
	enum peer_need need = PEER_READ;

	for (size_t i = 0; i < bytes->len && need == PEER_READ; i += piece) {
		/* Of its own, so that a byte read behind it is found. */
		size_t n = MIN(piece, bytes->len - i);
		g_autofree char *copy = g_memdup2(bytes->str + i, n);

		need = peer_feed(peer, slice_make(copy, n), out);
		while (need == PEER_END) {
			if (out->len % 2 == 0)
				peer_end(peer);
			peer_ended(peer, out);
			need = peer_feed(peer, SLICE_NONE, out);
		}
	}
	check_replies(out);
	peer_free(&peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GString) bytes = g_string_new(NULL);

	if (size < 2)
		return 0;
	mime_init();
	const struct milter_config config = {.node = "mx",
	        .remove_header = data[0] & 4,
	        .see_rejects = data[0] & 8,
	        .reports = data[0] & 16,
	        .on_failure = data[0] & 32 ? MILTER_TEMPFAIL : MILTER_ACCEPT};
	struct milter_shared *shared = milter_shared_new(&config, &hooks, NULL);
	const struct peer_plan plan = {.shared = shared,
	        .remove_header = config.remove_header,
	        .see_rejects = config.see_rejects,
	        .reports = config.reports,
	        .tempfail = config.on_failure == MILTER_TEMPFAIL};
	struct slice input = slice_make((const char *)data + 2, size - 2);

	if ((data[0] & 2) == 0)
		packet_put(bytes, PACKET_NEGOTIATE, SLICE("\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"));
	if ((data[0] & 1) != 0)
		g_string_append_len(bytes, input.p, (gssize)input.n);
	else
		make_packets(input, bytes);
	run(&plan, bytes, (size_t)data[1] + 1);
	milter_shared_free(&shared);
	return 0;
}
