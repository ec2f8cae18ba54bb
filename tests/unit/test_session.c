#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "milter/session.h"
#include "mime/headers.h"
#include "tests/support/unit.h"
#include "tests/unit/session_steps.h"

/* What came out, as text: one line an observation, one line a field, one line a recipient. */
struct record {
	GString *text;
	GString *counters;
	int waits;  /* observations that somebody waited for */
	int answer; /* of the hook */
	size_t last_recipients;
};

static struct record record;
static struct milter_shared *shared;

static void add(const char *name, struct slice value)
{
	if (value.p != NULL)
		g_string_append_printf(record.text, "%s=%.*s\n", name, SLICE_ARG(value));
}

static void add_envelope(const struct envelope *envelope)
{
	static const struct {
		const char *name;
		enum field field;
	} fields[] = {
	        {"subject", FIELD_SUBJECT},
	        {"friendly_from", FIELD_FRIENDLY_FROM},
	        {"friendly_name", FIELD_FRIENDLY_NAME},
	        {"msg_from", FIELD_MSG_FROM},
	        {"header_message_id", FIELD_HEADER_MESSAGE_ID},
	        {"remote_addr", FIELD_REMOTE_ADDR},
	        {"client", FIELD_CLIENT_HOST},
	        {"field_helo", FIELD_HELO},
	        {"auth_user", FIELD_AUTH_USER},
	        {"tls", FIELD_TLS_VERSION},
	        {"cipher", FIELD_TLS_CIPHER},
	        {"recv_method", FIELD_RECV_METHOD},
	        {"campaign_id", FIELD_CAMPAIGN_ID},
	        {"transmission_id", FIELD_TRANSMISSION_ID},
	        {"template_id", FIELD_TEMPLATE_ID},
	        {"ip_pool", FIELD_IP_POOL},
	        {"open_tracking", FIELD_OPEN_TRACKING},
	        {"click_tracking", FIELD_CLICK_TRACKING},
	        {"transactional", FIELD_TRANSACTIONAL},
	        {"rcpt_meta", FIELD_RCPT_META},
	        {"rcpt_tags", FIELD_RCPT_TAGS},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		add(fields[i].name, envelope->field[fields[i].field]);
	record.last_recipients = envelope->recipients;
	for (size_t i = 0; i < envelope->recipients && i < 20; i++) {
		const struct envelope_recipient *recipient = &envelope->recipient[i];

		g_string_append_printf(record.text, "to %.*s", SLICE_ARG(recipient->address));
		if (recipient->type.p != NULL)
			g_string_append_printf(record.text, " %.*s", SLICE_ARG(recipient->type));
		if (recipient->meta.p != NULL)
			g_string_append_printf(record.text, " %.*s", SLICE_ARG(recipient->meta));
		if (recipient->tags.p != NULL)
			g_string_append_printf(record.text, " %.*s", SLICE_ARG(recipient->tags));
		if (recipient->subs.p != NULL)
			g_string_append_printf(record.text, " %.*s", SLICE_ARG(recipient->subs));
		g_string_append_c(record.text, '\n');
	}
}

static int observed(void *ctx, const struct observation *seen, bool wait)
{
	(void)ctx;
	record.waits += wait;
	g_string_append_printf(record.text, "%s %.*s/%.*s %" G_GINT64_FORMAT "\n",
	        seen->kind == OBSERVATION_ENVELOPE ? "ENVELOPE" : "REJECT",
	        SLICE_ARG(seen->line.node), SLICE_ARG(seen->line.instance), seen->line.time);
	add("id", seen->queue_id);
	add("from", seen->from);
	add("rcpt", seen->to);
	add("dsn", seen->dsn);
	add("code", seen->code);
	add("reason", seen->reason);
	add("stage", seen->stage);
	add("host", seen->client_host);
	add("ip", seen->client_ip);
	add("port", seen->client_port);
	add("helo", seen->helo);
	if (seen->size >= 0)
		g_string_append_printf(record.text, "size=%" G_GINT64_FORMAT "\n", seen->size);
	if (seen->envelope != NULL)
		add_envelope(seen->envelope);
	return record.answer;
}

static int64_t now(void *ctx)
{
	(void)ctx;
	return 1460989507000;
}

static void counted(void *ctx, const char *counter)
{
	(void)ctx;
	g_string_append_printf(record.counters, "%s ", counter);
}

static const struct milter_hooks hooks = {
        .observed = observed,
        .now = now,
        .count = counted,
        .decode_text = mime_decode_text,
        .first_address = mime_first_address,
        .first_name = mime_first_name,
        .each_address = mime_each_address,
};

static void begin(struct milter_config config)
{
	struct error err = {0};

	mime_init();
	record = (struct record){.text = g_string_new(""), .counters = g_string_new("")};
	if (config.node == NULL)
		config.node = "mx1";
	shared = milter_shared_new(&config, &hooks, &err);
	ck_assert_msg(shared != NULL, "%s", err.text);
	session = milter_session_new(shared);
}

static void end(void)
{
	milter_session_free(&session);
	milter_shared_free(&shared);
	g_string_free(record.text, TRUE);
	g_string_free(record.counters, TRUE);
}

static void said(const char *text)
{
	if (strstr(record.text->str, text) == NULL)
		ck_abort_msg("no \"%s\" in:\n%s", text, record.text->str);
}

static void not_said(const char *text)
{
	if (strstr(record.text->str, text) != NULL)
		ck_abort_msg("\"%s\" in:\n%s", text, record.text->str);
}

static void fresh(void)
{
	g_string_truncate(record.text, 0);
	g_string_truncate(record.counters, 0);
}

/* A mail with one X-MSYS-API header (or another). */
static void send_with(const char *name, const char *value)
{
	fresh();
	mail_from("<s@example.com>");
	rcpt_to("<r@example.net>");
	header("To", "r@example.net");
	header(name, value);
	ck_assert_int_eq(finish("4NtLMR"), 0);
}

START_TEST(a_mail_becomes_one_envelope_with_all_that_only_the_milter_knows)
{
	const char *mail[] = {"<Sender@Example.com>", "SIZE=2000", "BODY=8BITMIME", NULL};
	const char *rcpt[] = {"<Some.Body@Example.net>", "NOTIFY=FAILURE", NULL};

	begin((struct milter_config){.instance = "postfix"});
	milter_session_connect(session, "client.example", "192.0.2.7", 40000);
	milter_session_helo(session, "helo.example");
	milter_session_mail(session, mail, NULL, "alice", "PLAIN", "TLSv1.3", "AES");
	milter_session_rcpt(session, rcpt, NULL, "smtp", "example.net", "Some.Body@Example.net");
	header("From", "=?utf-8?q?J=C3=B6rg?= <joerg@example.com>");
	header("To", "some.body@example.NET");
	header("Subject", "=?utf-8?B?R3LDvMOfZQ==?=");
	header("Message-ID", "\n <1@example.com>");
	ck_assert_int_eq(finish("4NtLMR5Ylxz1Dy"), 0);
	ck_assert_str_eq(record.text->str,
	        "ENVELOPE mx1/postfix 1460989507000\nid=4NtLMR5Ylxz1Dy\nfrom=Sender@Example.com\n"
	        "host=client.example\nip=192.0.2.7\nport=40000\nhelo=helo.example\nsize=2000\n"
	        "subject=Grüße\nfriendly_from=joerg@example.com\nfriendly_name=Jörg\n"
	        "msg_from=Sender@Example.com\nheader_message_id=<1@example.com>\n"
	        "remote_addr=192.0.2.7\nclient=client.example\nfield_helo=helo.example\n"
	        "auth_user=alice\ntls=TLSv1.3\ncipher=AES\nrecv_method=esmtp\n"
	        "to Some.Body@Example.net\n");
	ck_assert_str_eq(record.counters->str, "");
	ck_assert_int_eq(record.waits, 0);
	end();
}
END_TEST

START_TEST(two_mails_in_a_session_share_the_client_and_nothing_else)
{
	begin((struct milter_config){0});
	milter_session_connect(session, "[192.0.2.7]", "192.0.2.7", 1);
	const char *mail[] = {"<a@example.com>", "size=5", NULL};
	milter_session_mail(session, mail, NULL, "alice", NULL, NULL, NULL);
	rcpt_to("<one@example.net>");
	header("Subject", "first");
	header("X-MSYS-API", "{\"campaign_id\":\"c1\",\"tags\":[\"t\"]}");
	finish("id1");
	said("campaign_id=c1\n");
	said("auth_user=alice\n");
	/* [address] is no name. */
	not_said("client=");
	fresh();
	mail_from("<>");
	rcpt_to("<two@example.net>");
	finish("id2");
	ck_assert_str_eq(record.text->str,
	        "ENVELOPE mx1/ 1460989507000\nid=id2\nfrom=\nip=192.0.2.7\nport=1\nmsg_from=\n"
	        "remote_addr=192.0.2.7\nrecv_method=esmtp\nto two@example.net bcc\n");
	end();
}
END_TEST

START_TEST(rset_and_a_second_abort_forget_the_mail)
{
	begin((struct milter_config){0});
	milter_session_connect(session, NULL, NULL, 0);
	milter_session_abort(session);
	mail_from("<a@example.com>");
	rcpt_to("<one@example.net>");
	header("Subject", "first");
	milter_session_abort(session);
	milter_session_abort(session);
	ck_assert_int_eq(finish("id0"), 0);
	ck_assert_str_eq(record.text->str, "");
	mail_from("<b@example.com>");
	rcpt_to("<two@example.net>");
	finish("id1");
	said("from=b@example.com\n");
	not_said("first");
	not_said("one@");
	ck_assert_uint_eq(record.last_recipients, 1);
	end();
}
END_TEST

START_TEST(mail_without_rset_before_it_begins_anew)
{
	begin((struct milter_config){0});
	mail_from("<a@example.com>");
	rcpt_to("<one@example.net>");
	mail_from("<b@example.com>");
	rcpt_to("<two@example.net>");
	finish("id1");
	not_said("one@");
	said("from=b@example.com\n");
	end();
}
END_TEST

START_TEST(steps_out_of_order_are_ignored)
{
	const char *none[] = {NULL};

	begin((struct milter_config){0});
	rcpt_to("<one@example.net>");
	header("Subject", "x");
	header("Subject", NULL);
	ck_assert_int_eq(finish("id1"), 0);
	milter_session_mail(session, none, NULL, NULL, NULL, NULL, NULL);
	ck_assert_int_eq(finish("id1"), 0);
	mail_from("<a@example.com>");
	milter_session_rcpt(session, none, NULL, NULL, NULL, NULL);
	header("Subject", NULL);
	ck_assert_int_eq(finish("id1"), 0);
	said("from=a@example.com\n");
	ck_assert_uint_eq(record.last_recipients, 0);
	end();
}
END_TEST

START_TEST(a_new_connection_forgets_the_last_client)
{
	begin((struct milter_config){0});
	milter_session_connect(session, "a.example", "192.0.2.1", 1);
	milter_session_helo(session, "helo.a");
	mail_from("<a@example.com>");
	/* XCLIENT */
	milter_session_connect(session, "b.example", "2001:db8::1", 65535);
	mail_from("<b@example.com>");
	rcpt_to("<two@example.net>");
	finish("id1");
	said("client=b.example\n");
	said("ip=2001:db8::1\nport=65535\n");
	not_said("helo");
	end();
}
END_TEST

START_TEST(mail_of_pickup_has_bare_addresses_and_is_local)
{
	begin((struct milter_config){0});
	milter_session_connect(session, "localhost", "127.0.0.1", 0);
	milter_session_helo(session, "localhost");
	mail_from("root@lab.example");
	rcpt_to("games@lab.example");
	header("To", "games");
	finish("id1");
	said("recv_method=local\n");
	said("from=root@lab.example\n");
	/* "games" in To is the local mailbox. */
	said("to games@lab.example\n");
	milter_session_connect(session, "localhost", "127.0.0.1", 39210);
	fresh();
	mail_from("<>");
	finish("id2");
	said("recv_method=esmtp\n");
	end();
}
END_TEST

START_TEST(rcpt_type_comes_from_to_and_cc)
{
	begin((struct milter_config){0});
	mail_from("<a@example.com>");
	rcpt_to("<to@example.net>");
	rcpt_to("<cc@example.net>");
	rcpt_to("<bcc@example.net>");
	rcpt_to("<both@example.net>");
	rcpt_to("<group@example.net>");
	rcpt_to("<\"quo ted\"@example.net>");
	header("Cc", "Copy <CC@example.net>, both@example.net");
	header("To", "\"A, B\" <to@Example.Net>, both@example.net,\n\tfriends: group@example.net;");
	header("cc", "\"quo ted\"@example.net");
	finish("id1");
	said("to to@example.net\nto cc@example.net cc\nto bcc@example.net bcc\n"
	     "to both@example.net\nto group@example.net\nto \"quo ted\"@example.net cc\n");
	end();
}
END_TEST

START_TEST(a_cut_to_header_makes_nobody_a_bcc)
{
	g_autoptr(GString) to = g_string_new("first@example.net");

	begin((struct milter_config){0});
	for (int i = 0; to->len < 59990; i++)
		g_string_append_printf(to, ", filler%d@example.net", i);
	g_string_truncate(to, 60000);
	mail_from("<a@example.com>");
	rcpt_to("<first@example.net>");
	rcpt_to("<unseen@example.net>");
	rcpt_to("<copy@example.net>");
	header("To", to->str);
	header("Cc", "copy@example.net");
	finish("id1");
	said("to first@example.net\nto unseen@example.net\nto copy@example.net cc\n");
	end();
}
END_TEST

START_TEST(a_refused_recipient_is_told_at_once_and_not_part_of_the_mail)
{
	const char *bad[] = {"<rej@lab.example>", NULL};

	begin((struct milter_config){.see_rejects = true, .on_failure = MILTER_TEMPFAIL});
	milter_session_connect(session, "c.example", "192.0.2.7", 25);
	mail_from("<s@lab.example>");
	milter_session_rcpt(
	        session, bad, NULL, "error", "5.7.1", "Recipient address rejected: policy");
	ck_assert_str_eq(record.text->str,
	        "REJECT mx1/ 1460989507000\nfrom=s@lab.example\nrcpt=rej@lab.example\ndsn=5.7.1\n"
	        "reason=Recipient address rejected: policy\nstage=RCPT\nhost=c.example\n"
	        "ip=192.0.2.7\nport=25\n");
	ck_assert_int_eq(record.waits, 0);
	fresh();
	rcpt_to("<ok@lab.example>");
	milter_session_rcpt(session, bad, "4jX9", "error", "5.1.1", "550 5.1.1 User unknown");
	said("id=4jX9\n");
	said("dsn=5.1.1\ncode=550\nreason=User unknown\n");
	fresh();
	finish("4jX9");
	ck_assert_uint_eq(record.last_recipients, 1);
	said("to ok@lab.example bcc\n");
	end();
}
END_TEST

START_TEST(an_error_transport_is_no_refusal)
{
	const char *to[] = {"<x@lab.example>", NULL};

	begin((struct milter_config){.see_rejects = true});
	mail_from("<s@lab.example>");
	milter_session_rcpt(session, to, NULL, "error", "5.1.1 closed for ever", "x@lab.example");
	milter_session_rcpt(session, to, NULL, "error", NULL, NULL);
	milter_session_rcpt(session, to, NULL, "error", "2.0.0", NULL);
	milter_session_rcpt(session, to, NULL, "error", "5.1", NULL);
	milter_session_rcpt(session, to, NULL, "error", "5.1.1111", NULL);
	milter_session_rcpt(session, to, NULL, "error", "5..1", NULL);
	milter_session_rcpt(session, to, NULL, "smtp", "5.1.1", NULL);
	finish("id1");
	not_said("REJECT");
	ck_assert_uint_eq(record.last_recipients, 7);
	end();
}
END_TEST

START_TEST(refusals_are_left_to_the_log_where_one_is_followed)
{
	const char *to[] = {"<x@lab.example>", NULL};

	begin((struct milter_config){.see_rejects = false});
	mail_from("<s@lab.example>");
	milter_session_rcpt(session, to, NULL, "error", "5.1.1", "User unknown");
	not_said("REJECT");
	end();
}
END_TEST

START_TEST(the_queue_id_of_an_earlier_stage_helps_when_the_last_has_none)
{
	const char *from[] = {"<s@lab.example>", NULL};
	const char *to[] = {"<x@lab.example>", NULL};

	begin((struct milter_config){0});
	milter_session_mail(session, from, "AB12", NULL, NULL, NULL, NULL);
	finish(NULL);
	said("id=AB12\n");
	fresh();
	mail_from("<s@lab.example>");
	milter_session_rcpt(session, to, "CD34", NULL, NULL, NULL);
	finish("");
	said("id=CD34\n");
	fresh();
	mail_from("<s@lab.example>");
	rcpt_to("<x@lab.example>");
	ck_assert_int_eq(finish(NULL), 0);
	ck_assert_str_eq(record.text->str, "");
	ck_assert_str_eq(record.counters->str, "milter_no_queue_id ");
	end();
}
END_TEST

START_TEST(msg_id_stands_in_for_a_missing_header)
{
	unsigned remove;

	begin((struct milter_config){0});
	mail_from("<s@lab.example>");
	milter_session_end(session, "id1", "<generated@mx>", &remove);
	said("header_message_id=<generated@mx>\n");
	fresh();
	mail_from("<s@lab.example>");
	header("message-id", "\r\n\t<own@x>\n (a\x1b comment)\n");
	header("Message-ID", "<second@x>");
	milter_session_end(session, "id1", "<generated@mx>", &remove);
	said("header_message_id=<own@x>  (a  comment)\n");
	end();
}
END_TEST

START_TEST(tempfail_waits_and_answers_451_when_the_commit_failed)
{
	begin((struct milter_config){.on_failure = MILTER_TEMPFAIL});
	mail_from("<s@lab.example>");
	ck_assert_int_eq(finish("id1"), 0);
	ck_assert_int_eq(record.waits, 1);
	record.answer = -1;
	mail_from("<s@lab.example>");
	ck_assert_int_eq(finish("id2"), -1);
	/* The message is done with: no second envelope. */
	fresh();
	ck_assert_int_eq(finish("id2"), 0);
	ck_assert_str_eq(record.text->str, "");
	end();
}
END_TEST

START_TEST(accept_lets_the_mail_go_when_the_envelope_was_lost)
{
	begin((struct milter_config){.on_failure = MILTER_ACCEPT});
	record.answer = -1;
	mail_from("<s@lab.example>");
	ck_assert_int_eq(finish("id1"), 0);
	ck_assert_int_eq(record.waits, 0);
	end();
}
END_TEST

START_TEST(x_msys_api_tells_campaign_metadata_tags_and_options)
{
	begin((struct milter_config){0});
	send_with("X-MSYS-API", "{ \"campaign_id\": \"my_campaign\",\n\t\"metadata\": "
	                        "{\"has_pets\": true, \"pet_name\":"
	                        " \"Sp\n ot\"},\n \"tags\": [\"cat\", \"dog\", \"cat\"], "
	                        "\"options\": {\"open_tracking\":"
	                        " false, \"click_tracking\": true, \"transactional\": true, "
	                        "\"ip_pool\": \"shared\"},"
	                        " \"transmission_id\": 123 }");
	said("campaign_id=my_campaign\ntransmission_id=123\nip_pool=shared\nopen_tracking=false\n"
	     "click_tracking=true\ntransactional=1\n"
	     "rcpt_meta={\"has_pets\":true,\"pet_name\":\"Sp ot\"}\nrcpt_tags=[\"cat\",\"dog\"]\n");
	ck_assert_str_eq(record.counters->str, "");
	end();
}
END_TEST

START_TEST(x_msys_api_tells_of_single_recipients)
{
	begin((struct milter_config){0});
	mail_from("<s@example.com>");
	rcpt_to("<One@example.net>");
	rcpt_to("<two@example.net>");
	rcpt_to("<keeper@example.net>");
	rcpt_to("<three@example.net>");
	header("To", "one@example.net, two@example.net, three@example.net");
	header("x-msys-api", "{\"metadata\":{\"a\":1,\"b\":2},\"tags\":[\"all\"],"
	                     "\"cc\":[{\"email\":\"TWO@example.net\",\"name\":\"Two\"}],"
	                     "\"archive\":[\"keeper@example.net\"],"
	                     "\"recipients\":[{\"address\":{\"email\":\"one@example.net\"},"
	                     "\"metadata\":{\"a\":9},"
	                     "\"tags\":[\"own\",\"all\"],\"substitution_data\":{\"n\":\"One\"}},"
	                     "{\"address\":\"three@example.net\",\"tags\":[7]}]}");
	finish("id1");
	said("to One@example.net {\"a\":9,\"b\":2} [\"own\",\"all\"] {\"n\":\"One\"}\n"
	     "to two@example.net cc\nto keeper@example.net archive\n"
	     "to three@example.net [\"all\"]\n");
	said("rcpt_meta={\"a\":1,\"b\":2}\nrcpt_tags=[\"all\"]\n");
	end();
}
END_TEST

START_TEST(bad_x_msys_api_is_counted_and_loses_nothing_else)
{
	static const char *const bad[] = {"", "{", "{\"campaign_id\":\"x\"", "nonsense", "[1,2]",
	        "\"text\"", "{\"campaign_id\":[1]}", "{\"tags\":\"x\"}", "{\"tags\":[1]}",
	        "{\"metadata\":[]}", "{\"options\":[]}",
	        "{\"options\":{\"open_tracking\":\"maybe\"}}", "{\"cc\":{}}",
	        "{\"cc\":[{\"name\":\"x\"}]}", "{\"recipients\":[5]}",
	        "{\"recipients\":[{\"address\":\"r@example.net\",\"metadata\":7}]}",
	        "{\"a\":\"\xff\xfe\"}", "{\"a\":\"\\u0000\"}", "{\"a\":1} trailing"};

	begin((struct milter_config){0});
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		send_with("X-MSYS-API", bad[i]);
		ck_assert_msg(strstr(record.counters->str, "milter_bad_attributes") != NULL, "%s",
		        bad[i]);
		said("to r@example.net\n");
		said("from=s@example.com\n");
	}
	/* What is right in it counts. */
	send_with("X-MSYS-API", "{\"tags\":5,\"campaign_id\":\"good\"}");
	said("campaign_id=good\n");
	end();
}
END_TEST

START_TEST(escapes_that_are_no_characters_lose_nothing_else)
{
	static const char *const values[] = {
	        "\\u0000", "\\ud83d", "\\uDE00x", "\\ud83d\\ud83d", "\\ud83dx", "\\ud83d\\n"};

	begin((struct milter_config){0});
	for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
		g_autofree char *json = g_strdup_printf(
		        "{\"campaign_id\":\"good\",\"metadata\":{\"k\":\"%s\"}}", values[i]);
		send_with("X-MSYS-API", json);
		said("campaign_id=good\n");
		said("\xef\xbf\xbd");
		ck_assert_ptr_nonnull(strstr(record.counters->str, "milter_bad_attributes"));
	}
	send_with("X-MSYS-API", "{\"campaign_id\":\"\\ud83d\\ude00 \\\\u0000\"}");
	said("campaign_id=\xf0\x9f\x98\x80 \\u0000\n");
	end();
}
END_TEST

START_TEST(a_broken_x_msys_api_does_not_hide_a_good_one)
{
	unsigned remove;

	begin((struct milter_config){0});
	mail_from("<s@lab.example>");
	header("X-MSYS-API", "{\"campaign_id\":\"cut");
	header("X-MSYS-API", "{\"campaign_id\":\"second\"}");
	header("X-MSYS-API", "{\"campaign_id\":\"third\"}");
	milter_session_end(session, "id1", NULL, &remove);
	said("campaign_id=second\n");
	end();
}
END_TEST

START_TEST(huge_x_msys_api_is_bounded)
{
	g_autoptr(GString) json = g_string_new("{\"campaign_id\":\"c\",\"metadata\":{\"k\":\"");

	begin((struct milter_config){0});
	for (int i = 0; i < 11000; i++)
		g_string_append_c(json, 'x');
	g_string_append(json, "\"},\"tags\":[\"0\"");
	for (int i = 1; i < 500; i++)
		g_string_append_printf(json, ",\"%d\"", i);
	g_string_append(json, "]}");
	send_with("X-MSYS-API", json->str);
	said("campaign_id=c\n");
	not_said("rcpt_meta");
	said("\"99\"]");
	ck_assert_str_eq(record.counters->str, "milter_long_attributes ");
	/* Postfix cuts at 60,000 bytes: no JSON any more. */
	g_string_assign(json, "{\"metadata\":{\"k\":\"");
	while (json->len < 60000)
		g_string_append(json, "xxxxxxxxxxxxxxxxxxx ");
	send_with("X-MSYS-API", json->str);
	ck_assert_str_eq(record.counters->str, "milter_bad_attributes ");
	g_string_assign(json, "");
	while (json->len < 50000)
		g_string_append(json, "{\"metadata\":[");
	send_with("X-MSYS-API", json->str);
	ck_assert_str_eq(record.counters->str, "milter_bad_attributes ");
	/* A campaign of 3,000 bytes is cut between characters. */
	g_string_assign(json, "{\"campaign_id\":\"x");
	while (json->len < 3000)
		g_string_append(json, "ü");
	g_string_append(json, "\"}");
	send_with("X-MSYS-API", json->str);
	const char *campaign = strstr(record.text->str, "campaign_id=");
	ck_assert_ptr_nonnull(campaign);
	ck_assert_uint_eq(strcspn(campaign, "\n"), strlen("campaign_id=") + 1999);
	ck_assert(g_utf8_validate(record.text->str, -1, NULL));
	end();
}
END_TEST

START_TEST(x_msys_api_headers_are_counted_for_removal_only_when_asked)
{
	unsigned remove = 7;

	begin((struct milter_config){.remove_header = true});
	mail_from("<s@lab.example>");
	header("X-MSYS-API", "{\"campaign_id\":\"first\"}");
	header("x-msys-api", "{\"campaign_id\":\"second\",\"tags\":[\"no\"]}");
	header("X-MSYS-API", "bad");
	milter_session_end(session, "id1", NULL, &remove);
	ck_assert_uint_eq(remove, 3);
	said("campaign_id=first\n");
	not_said("rcpt_tags");
	mail_from("<s@lab.example>");
	milter_session_end(session, "id2", NULL, &remove);
	ck_assert_uint_eq(remove, 0);
	end();
	begin((struct milter_config){.remove_header = false});
	mail_from("<s@lab.example>");
	header("X-MSYS-API", "{}");
	milter_session_end(session, "id1", NULL, &remove);
	ck_assert_uint_eq(remove, 0);
	end();
}
END_TEST

START_TEST(x_msys_api_wins_over_other_headers_and_adds_to_them)
{
	begin((struct milter_config){.header_map = "default X-Camp=campaign_id"});
	mail_from("<s@lab.example>");
	header("X-Camp", "other");
	header("X-MC-Tags", "b, c");
	header("X-MC-Metadata", "{\"k\":\"other\",\"l\":1}");
	header("X-MSYS-API",
	        "{\"campaign_id\":\"own\",\"tags\":[\"a\",\"b\"],\"metadata\":{\"k\":\"own\"}}");
	finish("id1");
	said("campaign_id=own\n");
	said("rcpt_meta={\"k\":\"own\",\"l\":1}\nrcpt_tags=[\"a\",\"b\",\"c\"]\n");
	end();
}
END_TEST

START_TEST(recipients_past_the_limit_are_counted)
{
	begin((struct milter_config){0});
	mail_from("<s@lab.example>");
	for (int i = 0; i < MILTER_RECIPIENTS_MAX + 2; i++) {
		char to[32];

		g_snprintf(to, sizeof(to), "<r%d@example.net>", i);
		rcpt_to(to);
	}
	finish("id1");
	ck_assert_uint_eq(record.last_recipients, MILTER_RECIPIENTS_MAX);
	ck_assert_str_eq(record.counters->str, "milter_recipients_limit milter_recipients_limit ");
	end();
}
END_TEST

START_TEST(headers_past_the_limit_are_counted_and_x_msys_api_still_removed)
{
	g_autofree char *big = g_strnfill(59000, 'a');
	unsigned remove;

	begin((struct milter_config){.remove_header = true});
	mail_from("<s@lab.example>");
	rcpt_to("<r@example.net>");
	/* What nobody reads does not count. */
	for (int i = 0; i < 40; i++)
		header("X-Unknown", big);
	for (int i = 0; i < 20; i++)
		header("Subject", big);
	header("X-MSYS-API", "{\"campaign_id\":\"late\"}");
	header("Message-ID", "<late@x>");
	milter_session_end(session, "id1", NULL, &remove);
	ck_assert_uint_eq(remove, 1);
	not_said("late");
	said("to r@example.net\n");
	ck_assert_str_eq(record.counters->str, "milter_header_limit ");
	/* The next mail is whole again. */
	fresh();
	mail_from("<s@lab.example>");
	header("Message-ID", "<next@x>");
	milter_session_end(session, "id1", NULL, &remove);
	said("<next@x>");
	end();
}
END_TEST

START_TEST(the_first_from_subject_and_a_hostile_one_count)
{
	begin((struct milter_config){0});
	mail_from("<s@lab.example>");
	header("From", "undisclosed:;");
	header("From", "\"Evil\x01\nName\" <a@b.example>, c@d.example");
	header("From", "third@x.example");
	header("Subject", " caf\xe9 =?utf-8?q?=00=1B[31m?= ");
	header("Subject", "second");
	finish("id1");
	said("friendly_from=a@b.example\n");
	said("subject=café ");
	ck_assert_ptr_null(strchr(record.text->str, '\x1b'));
	ck_assert_ptr_null(strchr(record.text->str, '\x01'));
	end();
}
END_TEST

START_TEST(a_wrong_header_map_is_refused_with_its_row)
{
	const struct milter_config config = {.header_map = "X-A=nothing"};
	struct error err = {0};

	ck_assert_ptr_null(milter_shared_new(&config, &hooks, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "X-A=nothing"));
}
END_TEST

START_TEST(the_node_is_the_host_without_domain_in_lower_case)
{
	char host[256] = "";
	g_autofree char *lower = NULL;
	g_autofree char *want = NULL;
	const struct milter_config config = {0};

	mime_init();
	record = (struct record){.text = g_string_new(""), .counters = g_string_new("")};
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	lower = g_ascii_strdown(host, -1);
	want = g_strdup_printf("ENVELOPE %s/ ", lower);
	shared = milter_shared_new(&config, &hooks, NULL);
	session = milter_session_new(shared);
	mail_from("<s@lab.example>");
	finish("id1");
	said(want);
	end();
}
END_TEST

UNIT_MAIN("session", a_mail_becomes_one_envelope_with_all_that_only_the_milter_knows,
        two_mails_in_a_session_share_the_client_and_nothing_else,
        rset_and_a_second_abort_forget_the_mail, mail_without_rset_before_it_begins_anew,
        steps_out_of_order_are_ignored, a_new_connection_forgets_the_last_client,
        mail_of_pickup_has_bare_addresses_and_is_local, rcpt_type_comes_from_to_and_cc,
        a_cut_to_header_makes_nobody_a_bcc,
        a_refused_recipient_is_told_at_once_and_not_part_of_the_mail,
        an_error_transport_is_no_refusal, refusals_are_left_to_the_log_where_one_is_followed,
        the_queue_id_of_an_earlier_stage_helps_when_the_last_has_none,
        msg_id_stands_in_for_a_missing_header,
        tempfail_waits_and_answers_451_when_the_commit_failed,
        accept_lets_the_mail_go_when_the_envelope_was_lost,
        x_msys_api_tells_campaign_metadata_tags_and_options, x_msys_api_tells_of_single_recipients,
        bad_x_msys_api_is_counted_and_loses_nothing_else,
        escapes_that_are_no_characters_lose_nothing_else,
        a_broken_x_msys_api_does_not_hide_a_good_one, huge_x_msys_api_is_bounded,
        x_msys_api_headers_are_counted_for_removal_only_when_asked,
        x_msys_api_wins_over_other_headers_and_adds_to_them, recipients_past_the_limit_are_counted,
        headers_past_the_limit_are_counted_and_x_msys_api_still_removed,
        the_first_from_subject_and_a_hostile_one_count, a_wrong_header_map_is_refused_with_its_row,
        the_node_is_the_host_without_domain_in_lower_case)
