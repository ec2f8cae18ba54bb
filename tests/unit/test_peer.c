/* The milter's side of a connection, without a socket: bytes that an MTA writes, and what it gets.
 */
#include "milter/peer.h"

#include "milter/packet.h"
#include "mime/headers.h"
#include "tests/support/unit.h"

static GString *record; /* "id from client-ip;" … */
static int answer;      /* of the hook */

static int observed(void *ctx, const struct observation *seen, bool wait)
{
	(void)ctx;
	(void)wait;
	g_string_append_printf(record, "%.*s %.*s %.*s;", SLICE_ARG(seen->queue_id),
	        SLICE_ARG(seen->from), SLICE_ARG(seen->client_ip));
	return answer;
}

static int64_t now(void *ctx)
{
	(void)ctx;
	return 1;
}

static const struct milter_hooks hooks = {.observed = observed,
        .now = now,
        .decode_text = mime_decode_text,
        .first_address = mime_first_address,
        .first_name = mime_first_name,
        .each_address = mime_each_address};

static struct peer_plan plan;
static struct peer *peer;
static GString *in, *out;

static void begin(struct milter_config config)
{
	config.node = "mx";
	mime_init();
	plan = (struct peer_plan){.shared = milter_shared_new(&config, &hooks, NULL),
	        .remove_header = config.remove_header,
	        .see_rejects = config.see_rejects,
	        .reports = config.reports,
	        .tempfail = config.on_failure == MILTER_TEMPFAIL};
	peer = peer_new(&plan);
	in = g_string_new(NULL);
	out = g_string_new(NULL);
	record = g_string_new(NULL);
}

static void end(void)
{
	peer_free(&peer);
	milter_shared_free(&plan.shared);
	g_string_free(in, TRUE);
	g_string_free(out, TRUE);
	g_string_free(record, TRUE);
}

/* Adds a packet to `in`; data as a literal. */
#define PUT(command, data) packet_put(in, command, SLICE(data))

static void put_negotiation(uint32_t version, uint32_t actions, uint32_t steps)
{
	g_autoptr(GString) data = g_string_new(NULL);

	packet_put_number(data, version);
	packet_put_number(data, actions);
	packet_put_number(data, steps);
	packet_put(in, 'O', slice_make(data->str, data->len));
}

static void put_mail(void)
{
	PUT('D', "Cj\0mx\0");
	PUT('C', "c.example\0"
	         "4\x1f\x90"
	         "192.0.2.7\0");
	PUT('H', "helo.example\0");
	PUT('M', "<s@example.com>\0SIZE=1\0");
	PUT('R', "<r@example.net>\0");
	PUT('L', "From\0s@example.com\0");
	PUT('L', "X-MSYS-API\0{}\0");
	PUT('D', "Ei\0Q1\0");
	PUT('E', "");
}

/* Hands over what is in `in`, at most n bytes at a time, and handles ends of messages. */
static enum peer_need feed(size_t n)
{
	enum peer_need need = PEER_READ;

	for (size_t i = 0; i < in->len && need == PEER_READ; i += n) {
		g_autofree char *piece = g_memdup2(in->str + i, MIN(n, in->len - i));

		need = peer_feed(peer, slice_make(piece, MIN(n, in->len - i)), out);
		while (need == PEER_END) {
			peer_end(peer);
			peer_ended(peer, out);
			need = peer_feed(peer, SLICE_NONE, out);
		}
	}
	g_string_truncate(in, 0);
	return need;
}

/* The codes of the replies that came, and `out` empty again. */
static char *replies(void)
{
	GString *codes = g_string_new(NULL);
	struct slice rest = slice_make(out->str, out->len);
	struct packet packet;

	while (packet_cut(&rest, &packet) > 0)
		g_string_append_c(codes, packet.command);
	ck_assert_uint_eq(rest.n, 0);
	g_string_truncate(out, 0);
	return g_string_free(codes, FALSE);
}

static void expect_replies(const char *wanted)
{
	g_autofree char *codes = replies();

	ck_assert_str_eq(codes, wanted);
}

/* The bytes of `in` are refused, for this reason. */
static void expect_refusal(const char *why)
{
	ck_assert_int_eq(feed(SIZE_MAX / 2), PEER_CLOSE);
	ck_assert_ptr_nonnull(peer_refusal(peer));
	ck_assert_msg(strstr(peer_refusal(peer), why) != NULL, "%s", peer_refusal(peer));
}

START_TEST(a_mail_comes_out_however_its_bytes_are_parted)
{
	begin((struct milter_config){.remove_header = true});
	for (size_t n = 1; n < 300; n++) {
		put_negotiation(6, 0x1ff, 0x1fffff);
		put_mail();
		PUT('Q', "");
		ck_assert_int_eq(feed(n), PEER_CLOSE);
		ck_assert_ptr_null(peer_refusal(peer));
		expect_replies("Omc");
		ck_assert_str_eq(record->str, "Q1 s@example.com 192.0.2.7;");
		g_string_truncate(record, 0);
		peer_free(&peer);
		peer = peer_new(&plan);
	}
	end();
}
END_TEST

START_TEST(an_mta_of_version_2_gets_a_reply_to_each_command)
{
	begin((struct milter_config){.remove_header = true});
	put_negotiation(2, 0, 0);
	PUT('C', "c.example\0U");
	PUT('H', "helo\0");
	PUT('M', "<s@example.com>\0");
	PUT('R', "<r@example.net>\0");
	PUT('T', "");
	PUT('U', "NONSENSE\0");
	PUT('L', "X-MSYS-API\0{}\0");
	PUT('N', "");
	PUT('B', "text");
	PUT('D', "Ei\0Q1\0");
	PUT('E', "");
	ck_assert_int_eq(feed(1000), PEER_READ);
	/* The version that it has, no actions (it cannot change headers), no body. */
	ck_assert_mem_eq(out->str, "\0\0\0\15O\0\0\0\2\0\0\0\0\0\0\0\20", 17);
	expect_replies("Occcccccccc");
	ck_assert_str_eq(record->str, "Q1 s@example.com ;");
	end();
}
END_TEST

START_TEST(a_newer_version_is_answered_with_ours)
{
	begin((struct milter_config){0});
	put_negotiation(99, 0xffffffff, 0xffffffff);
	feed(1000);
	ck_assert_mem_eq(out->str + 5, "\0\0\0\6", 4);
	end();
}
END_TEST

START_TEST(the_macros_of_a_command_are_its_own_or_those_before_it)
{
	begin((struct milter_config){0});
	put_negotiation(6, 0x1ff, 0x1fffff);
	PUT('C', "c.example\0U");
	PUT('D', "Ei\0old\0");
	PUT('D', "Mi\0Q7\0");
	PUT('M', "<s@example.com>\0");
	PUT('R', "<r@example.net>\0");
	PUT('E', "");
	/* The next message is not the last one's. */
	PUT('D', "M");
	PUT('M', "<t@example.com>\0");
	PUT('R', "<r@example.net>\0");
	PUT('D', "Zi\0none\0");
	PUT('D', "");
	PUT('E', "");
	feed(1000);
	ck_assert_str_eq(record->str, "Q7 s@example.com ;");
	end();
}
END_TEST

START_TEST(clients_have_addresses_of_three_kinds)
{
	begin((struct milter_config){0});
	put_negotiation(6, 0x1ff, 0x1fffff);
	put_mail();
	PUT('C', "c.example\0"
	         "6\0\0"
	         "IPv6:2001:DB8::7\0");
	PUT('M', "<6@example.com>\0");
	PUT('E', "");
	PUT('C', "c.example\0L\0\0/run/x\0");
	PUT('M', "<L@example.com>\0");
	PUT('D', "Ei\0Q2\0");
	PUT('E', "");
	ck_assert_int_eq(feed(1000), PEER_READ);
	ck_assert_str_eq(record->str, "Q1 s@example.com 192.0.2.7;Q2 L@example.com ;");
	end();
}
END_TEST

START_TEST(commands_in_no_order_are_answered_and_lead_to_nothing)
{
	begin((struct milter_config){.see_rejects = true});
	put_negotiation(6, 0x1ff, 0x1fffff);
	PUT('E', "");
	PUT('R', "<r@example.net>\0");
	PUT('A', "");
	PUT('L', "a\0b\0");
	PUT('K', "");
	PUT('E', "last piece");
	ck_assert_int_eq(feed(1000), PEER_READ);
	expect_replies("Occc");
	ck_assert_str_eq(record->str, "");
	end();
}
END_TEST

START_TEST(a_message_that_was_not_recorded_gets_451_under_tempfail_alone)
{
	for (int tempfail = 0; tempfail < 2; tempfail++) {
		answer = -1;
		begin((struct milter_config){
		        .on_failure = tempfail ? MILTER_TEMPFAIL : MILTER_ACCEPT});
		put_negotiation(6, 0x1ff, 0x1fffff);
		put_mail();
		feed(1000);
		expect_replies(tempfail ? "Oy" : "Oc");
		/* Nor is it when nobody came to handing it over. */
		put_mail();
		ck_assert_int_eq(peer_feed(peer, slice_make(in->str, in->len), out), PEER_END);
		peer_ended(peer, out);
		expect_replies(tempfail ? "y" : "c");
		end();
	}
}
END_TEST

START_TEST(who_does_not_begin_with_the_negotiation_is_refused)
{
	begin((struct milter_config){0});
	put_mail();
	expect_refusal("negotiation");
	end();
	begin((struct milter_config){0});
	g_string_assign(in, "GET / HTTP/1.1\r\n\r\n");
	expect_refusal("too long");
	end();
	begin((struct milter_config){0});
	put_negotiation(1, 0x1ff, 0x1fffff);
	expect_refusal("version 2");
	end();
	begin((struct milter_config){0});
	PUT('O', "\0\0\0\6");
	expect_refusal("version 2");
	end();
}
END_TEST

START_TEST(nonsense_is_refused)
{
	static const struct {
		char command;
		struct slice data;
	} rows[] = {
	        {'C', SLICE("")},
	        {'C', SLICE("host without an end")},
	        {'C', SLICE("host\0")},
	        {'C', SLICE("host\0"
	                    "4")},
	        {'C', SLICE("host\0"
	                    "4\0\0"
	                    "192.0.2.7")},
	        {'C', SLICE("host\0"
	                    "4\0\0"
	                    "192.0.2.700\0")},
	        {'C', SLICE("host\0"
	                    "6\0\0"
	                    "192.0.2.7\0")},
	        {'C', SLICE("host\0"
	                    "X\0\0"
	                    "192.0.2.7\0")},
	        {'C', SLICE("host\0"
	                    "\0\0\0"
	                    "192.0.2.7\0")},
	        {'C', SLICE("host\0"
	                    "\0\0\0"
	                    "::1\0")},
	        {'H', SLICE("")},
	        {'H', SLICE("name without an end")},
	        {'M', SLICE("")},
	        {'M', SLICE("<s@example.com>")},
	        {'R', SLICE("")},
	        {'L', SLICE("name alone\0")},
	        {'L', SLICE("name\0value without an end")},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		begin((struct milter_config){0});
		put_negotiation(6, 0x1ff, 0x1fffff);
		packet_put(in, rows[i].command, rows[i].data);
		expect_refusal("data");
		end();
	}
	begin((struct milter_config){0});
	put_negotiation(6, 0x1ff, 0x1fffff);
	PUT('z', "");
	expect_refusal("unknown command");
	end();
}
END_TEST

START_TEST(a_command_may_have_as_many_words_as_fit)
{
	g_autoptr(GString) words = g_string_new(NULL);

	begin((struct milter_config){0});
	put_negotiation(6, 0x1ff, 0x1fffff);
	g_string_append_len(words, "<s@example.com>", 16);
	while (words->len < PACKET_DATA_MAX)
		g_string_append_c(words, '\0');
	packet_put(in, 'M', slice_make(words->str, words->len));
	PUT('D', "Ei\0Q1\0");
	PUT('E', "");
	ck_assert_int_eq(feed(4096), PEER_READ);
	ck_assert_str_eq(record->str, "Q1 s@example.com ;");
	end();
}
END_TEST

UNIT_MAIN("peer", a_mail_comes_out_however_its_bytes_are_parted,
        an_mta_of_version_2_gets_a_reply_to_each_command, a_newer_version_is_answered_with_ours,
        the_macros_of_a_command_are_its_own_or_those_before_it,
        clients_have_addresses_of_three_kinds,
        commands_in_no_order_are_answered_and_lead_to_nothing,
        a_message_that_was_not_recorded_gets_451_under_tempfail_alone,
        who_does_not_begin_with_the_negotiation_is_refused, nonsense_is_refused,
        a_command_may_have_as_many_words_as_fit)
