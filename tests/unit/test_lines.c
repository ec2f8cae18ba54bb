#include "logtail/lines.h"

#include <glib.h>

#include "tests/support/unit.h"

#define NOT_AFTER INT64_C(1795348800000) /* 2026-11-22T12:00:00Z */

/* What the reader gave for one line; the texts are copies. */
struct got {
	unsigned calls;
	struct observation seen;
	char *node, *instance, *program, *pid, *text, *queue_id;
};

static void keep(void *ctx, const struct observation *seen)
{
	struct got *got = ctx;

	got->calls++;
	got->seen = *seen;
	got->node = slice_dup(seen->line.node);
	got->instance = slice_dup(seen->line.instance);
	got->program = slice_dup(seen->line.program);
	got->pid = slice_dup(seen->line.pid);
	got->text = slice_dup(seen->line.text);
	got->queue_id = slice_dup(seen->queue_id);
}

static void got_free(struct got *got)
{
	g_free(got->node);
	g_free(got->instance);
	g_free(got->program);
	g_free(got->pid);
	g_free(got->text);
	g_free(got->queue_id);
}

static struct line_reader *make_reader(const char *node, const char *instance)
{
	struct line_reader_config config = {
	        .node = node, .instance = instance, .zone = "UTC", .not_after = NOT_AFTER};
	struct line_reader *reader = line_reader_new(&config, NULL);

	ck_assert_ptr_nonnull(reader);
	return reader;
}

static struct got read_line(struct line_reader *reader, const char *line)
{
	struct got got = {0};

	line_reader_read(reader, slice_str(line), keep, &got);
	ck_assert_msg(got.calls == 1, "%s: %u observations", line, got.calls);
	ck_assert_msg(got.seen.rule != NULL, "%s: no rule", line);
	return got;
}

START_TEST(the_node_is_the_host_without_domain_and_the_instance_the_syslog_name)
{
	static const struct {
		const char *line, *node, *instance;
	} rows[] = {
	        {"Nov 22 00:00:00 MX1.Example.COM postfix/qmgr[1]: ABCDEF: removed", "mx1", ""},
	        {"Nov 22 00:00:00 mx postfix/submission/smtpd[1]: connect from x[::1]", "mx", ""},
	        {"Nov 22 00:00:00 mx postfix-out/smtp[1]: connect to x[::1]:25: no", "mx",
	                "postfix-out"},
	        {"Nov 22 00:00:00 mx out/smtp[1]: connect to x[::1]:25: no", "mx", "out"},
	        {"Nov 22 00:00:00 192.0.2.7 postfix/qmgr[1]: ABCDEF: removed", "192.0.2.7", ""},
	        {"Nov 22 00:00:00 2001:DB8::1 postfix/qmgr[1]: ABCDEF: removed", "2001:db8::1", ""},
	        {"<22>1 2026-11-22T00:00:00Z mx.a.b postfix 1 - -  ABCDEF: removed", "mx", ""},
	};
	struct line_reader *reader = make_reader(NULL, NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct got got = read_line(reader, rows[i].line);
		ck_assert_str_eq(got.node, rows[i].node);
		ck_assert_str_eq(got.instance, rows[i].instance);
		got_free(&got);
	}
	line_reader_free(&reader);
	ck_assert_ptr_null(reader);
	line_reader_free(&reader);
}
END_TEST

START_TEST(configured_names_win)
{
	struct line_reader *reader = make_reader("node7", "in");
	struct got got =
	        read_line(reader, "Nov 22 00:00:00 mx postfix-out/qmgr[12]: ABCDEF: removed  ");

	ck_assert_str_eq(got.node, "node7");
	ck_assert_str_eq(got.instance, "in");
	ck_assert_str_eq(got.program, "postfix-out/qmgr");
	ck_assert_str_eq(got.pid, "12");
	ck_assert_str_eq(got.text, "ABCDEF: removed");
	ck_assert_int_eq(got.seen.line.time, INT64_C(1795305600000));
	ck_assert_int_eq(got.seen.kind, OBSERVATION_REMOVED);
	got_free(&got);
	line_reader_free(&reader);
}
END_TEST

START_TEST(lines_of_other_programs_are_no_mta)
{
	static const struct {
		const char *line;
		enum observation_kind kind;
		const char *rule;
	} rows[] = {
	        {"Nov 22 00:00:00 mx CRON[1]: (root) CMD (x)", OBSERVATION_NONE, "not an MTA"},
	        {"Nov 22 00:00:00 mx dovecot: imap-login: Login", OBSERVATION_NONE, "not an MTA"},
	        {"Nov 22 00:00:00 mx lightmeter/headers[1]: ABCDEF: header x", OBSERVATION_NONE,
	                "not an MTA"},
	        {"Nov 22 00:00:00 mx smtpd[1]: ABCDEF: removed", OBSERVATION_NONE, "not an MTA"},
	        {"Nov 22 00:00:00 mx -- MARK --", OBSERVATION_NONE, "not an MTA"},
	        {"", OBSERVATION_NONE, "empty line"},
	        {"PHP Warning: something", OBSERVATION_NONE, "not a syslog line"},
	        {"22.11.2026 00:00 mx postfix/qmgr[1]: ABCDEF: removed", OBSERVATION_UNPARSED,
	                "not a syslog line"},
	};
	struct line_reader *reader = make_reader(NULL, NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct got got = read_line(reader, rows[i].line);
		ck_assert_msg(got.seen.kind == rows[i].kind, "%s: %d", rows[i].line, got.seen.kind);
		ck_assert_str_eq(got.seen.rule, rows[i].rule);
		got_free(&got);
	}
	line_reader_free(&reader);
}
END_TEST

START_TEST(a_notice_that_lines_were_lost_is_told_as_one)
{
	static const struct {
		const char *text;
		bool lost;
	} rows[] = {
	        {"rsyslogd: imuxsock[pid 4711]: begin to drop messages due to rate-limiting", true},
	        {"rsyslogd-2177: imuxsock lost 35 messages from pid 26711 due to rate-limiting",
	                true},
	        {"rsyslogd[815]: imjournal: 90 messages lost due to rate-limiting (20000 allowed "
	         "within 600 seconds)",
	                true},
	        {"systemd-journald[211]: Suppressed 17 messages from postfix@-.service", true},
	        {"journal: Suppressed 1244 messages from /system.slice/postfix.service", true},
	        {"systemd-journald[211]: Forwarding to syslog missed 12 messages.", true},
	        {"systemd-journald[211]: Suppressed 17 messages from ssh.service", false},
	        {"rsyslogd: [origin software=\"rsyslogd\"] rsyslogd was HUPed", false},
	        {"sshd[9]: imuxsock lost 35 messages from pid 7 due to rate-limiting", false},
	};
	struct line_reader *reader = make_reader(NULL, NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *line =
		        g_strconcat("Nov 22 10:00:00 Mx.example ", rows[i].text, NULL);
		struct got got = read_line(reader, line);
		ck_assert_msg(got.seen.kind == (rows[i].lost ? OBSERVATION_LOSS : OBSERVATION_NONE),
		        "%s", line);
		ck_assert_str_eq(got.node, "mx");
		ck_assert(rows[i].lost == (got.seen.reason.n > 0));
		got_free(&got);
	}
	line_reader_free(&reader);
}
END_TEST

START_TEST(a_repeated_message_is_itself_as_often_as_told)
{
	struct line_reader *reader = make_reader(NULL, NULL);
	struct got got = read_line(reader, "Nov 22 00:00:07 mx postfix/smtp[9]: message repeated 3 "
	                                   "times: [ ABCDEF: removed]");

	ck_assert_int_eq(got.seen.kind, OBSERVATION_REMOVED);
	ck_assert_uint_eq(got.seen.repeat, 3);
	ck_assert_str_eq(got.text, "ABCDEF: removed");
	got_free(&got);
	line_reader_free(&reader);
}
END_TEST

START_TEST(a_line_that_claims_to_be_repeated_beyond_belief_is_kept_as_unparsed)
{
	static const char *const counts[] = {"10001", "999999999"};

	for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
		struct line_reader *reader = make_reader(NULL, NULL);
		g_autofree char *line = g_strdup_printf(
		        "Nov 22 00:00:07 mx postfix/smtp[9]: message repeated %s times: [ ABCDEF: "
		        "removed]",
		        counts[i]);
		struct got got = read_line(reader, line);
		ck_assert_int_eq(got.seen.kind, OBSERVATION_UNPARSED);
		ck_assert_uint_le(got.seen.repeat, 1);
		ck_assert_str_eq(got.node, "mx");
		got_free(&got);
		line_reader_free(&reader);
	}
}
END_TEST

START_TEST(last_message_repeated_is_the_last_line_of_that_host)
{
	struct line_reader *reader = make_reader(NULL, NULL);
	struct got got = read_line(reader, "Nov 22 00:00:00 a last message repeated 2 times");

	ck_assert_int_eq(got.seen.kind, OBSERVATION_NONE);
	got_free(&got);
	got = read_line(reader, "Nov 22 00:00:00 a postfix/qmgr[1]: AAAAAA: removed");
	got_free(&got);
	got = read_line(reader, "Nov 22 00:00:01 b postfix/qmgr[2]: BBBBBB: removed");
	got_free(&got);
	got = read_line(reader, "Nov 22 00:00:05 a last message repeated 2 times");
	ck_assert_int_eq(got.seen.kind, OBSERVATION_REMOVED);
	ck_assert_uint_eq(got.seen.repeat, 2);
	ck_assert_int_eq(got.seen.line.time, INT64_C(1795305605000));
	ck_assert_str_eq(got.queue_id, "AAAAAA");
	ck_assert_str_eq(got.program, "postfix/qmgr");
	ck_assert_str_eq(got.pid, "1");
	ck_assert_str_eq(got.text, "AAAAAA: removed");
	got_free(&got);
	got = read_line(reader, "Nov 22 00:00:06 b cron[3]: BBBBBB: removed");
	got_free(&got);
	got = read_line(reader, "Nov 22 00:00:07 b last message repeated 9 times");
	ck_assert_int_eq(got.seen.kind, OBSERVATION_NONE);
	got_free(&got);
	line_reader_free(&reader);
}
END_TEST

START_TEST(an_entry_without_header_is_read_like_a_line)
{
	struct line_reader *reader = make_reader(NULL, NULL);
	struct syslog_line entry = {.time = 1234567,
	        .host = SLICE("mx.example.com"),
	        .program = SLICE("postfix/pickup"),
	        .pid = SLICE("77"),
	        .text = SLICE("ABCDEF: uid=0 from=<root>"),
	        .repeat = 1};
	struct got got = {0};

	line_reader_entry(reader, &entry, keep, &got);
	ck_assert_uint_eq(got.calls, 1);
	ck_assert_int_eq(got.seen.kind, OBSERVATION_PICKUP);
	ck_assert_int_eq(got.seen.line.time, 1234567);
	ck_assert_str_eq(got.node, "mx");
	got_free(&got);
	line_reader_free(&reader);
}
END_TEST

START_TEST(many_made_up_hosts_are_forgotten)
{
	struct line_reader *reader = make_reader(NULL, NULL);

	for (int i = 0; i < 20000; i++) {
		g_autofree char *line = g_strdup_printf(
		        "Nov 22 00:00:00 host%d postfix/qmgr[1]: ABCDEF: removed", i);
		struct got got = read_line(reader, line);
		got_free(&got);
	}
	line_reader_free(&reader);
}
END_TEST

START_TEST(an_unknown_zone_is_an_error)
{
	struct line_reader_config config = {.zone = "Mars/Olympus"};
	struct error err = {0};

	ck_assert_ptr_null(line_reader_new(&config, &err));
	ck_assert(err.set);
}
END_TEST

/* Seeds of the random lines: what a reader takes for the beginning of something. */
static const char *const pieces[] = {"Nov 22 00:57:52 ", "<22>1 2026-11-22T01:25:02Z ",
        "2026-11-22T01:25:02.381645+00:00 ", "mx ", "postfix/smtp[1]: ", "postfix/cleanup[2]: ",
        "ABCDEF: ", "4jX9fR2v28z1dLQC: ", "NOQUEUE: ", "to=<a@b>", ", orig_to=<",
        ", relay=x[1.2.3.4]:25", ", delay=", "1.25", ", dsn=5.1.1", ", status=sent (",
        ", status=bounced (host x[::1] said: 550 ", "reject: RCPT from x[1.2.3.4]: 550 5.1.1 <a",
        "; from=<a> to=<b> proto=SMTP helo=<c>", "reject: header Subject: x from y[1.2.3.4]",
        ": 5.7.1 no", "client=x[1.2.3.4]", ", sasl_username=", "message-id=<", "from=<",
        ", size=1, nrcpt=1 (queue active)", "uid=0 from=<", " orig_id=", ">", "\"", "\\", "[", "]",
        "(", ")", ": ", ", ", "; ", "message repeated 2 times: [ ", "last message repeated 3 times",
        "queued as ", "forwarded as ", "warning: ", "removed", "\xC3\xA4", "\xFF", " ", "=",
        "[ID 1 mail.info] ", "- - ", "sender non-delivery notification: "};

static void ignore(void *ctx, const struct observation *seen)
{
	unsigned *calls = ctx;

	(*calls)++;
	ck_assert_ptr_nonnull(seen->rule);
}

/* A random line in memory of just its length, so that ASan sees every step too far. */
static struct slice random_line(GRand *dice, GString *room)
{
	int parts = g_rand_int_range(dice, 0, 24);

	g_string_truncate(room, 0);
	for (int i = 0; i < parts; i++) {
		int n = g_rand_int_range(dice, 0, G_N_ELEMENTS(pieces) + 4);
		if (i < 3 && g_rand_boolean(dice))
			n = i == 0 ? g_rand_int_range(dice, 0, 3) : i + 2;
		if (n < (int)G_N_ELEMENTS(pieces))
			g_string_append(room, pieces[n]);
		else
			g_string_append_c(room, (char)g_rand_int_range(dice, 0, 256));
	}
	size_t cut = room->len > 0 ? (size_t)g_rand_int_range(dice, 0, (gint32)room->len + 1) : 0;
	if (g_rand_int_range(dice, 0, 4) == 0)
		g_string_truncate(room, cut);
	return slice_make(g_memdup2(room->str, room->len), room->len);
}

START_TEST(random_lines_never_crash_and_give_one_observation)
{
	struct line_reader *reader = make_reader(NULL, NULL);
	g_autoptr(GRand) dice = g_rand_new_with_seed(20261122);
	GString *room = g_string_new(NULL);

	for (int i = 0; i < 100000; i++) {
		unsigned calls = 0;
		struct slice line = random_line(dice, room);
		line_reader_read(reader, line, ignore, &calls);
		ck_assert_uint_eq(calls, 1);
		g_free((char *)line.p);
	}
	g_string_free(room, TRUE);
	line_reader_free(&reader);
}
END_TEST

/* Text that makes each field search start again, 64 KiB of it. */
START_TEST(a_hostile_line_of_64_kib_takes_no_time)
{
	static const char *const bodies[] = {"; from=<", ";", "\"", "<", ">, ", ", a=", " from x[",
	        "queued as ", "\\", "[", ": "};
	static const char *const heads[] = {"ABCDEF: reject: header x", "ABCDEF: to=<",
	        "NOQUEUE: reject: RCPT from x[1.2.3.4]: 550 ", "ABCDEF: client=x[1.2.3.4]",
	        "ABCDEF: from=<", "ABCDEF: to=<a>, relay=x, status=sent (250 "};
	struct line_reader *reader = make_reader(NULL, NULL);
	gint64 start = g_get_monotonic_time();

	for (size_t i = 0; i < G_N_ELEMENTS(heads); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(bodies); j++) {
			GString *line = g_string_new("Nov 22 00:57:52 mx postfix/smtp[1]: ");
			unsigned calls = 0;
			g_string_append(line, heads[i]);
			while (line->len < 65536)
				g_string_append(line, bodies[j]);
			line_reader_read(reader, slice_make(line->str, line->len), ignore, &calls);
			ck_assert_uint_eq(calls, 1);
			g_string_free(line, TRUE);
		}
	}
	/* 66 lines; a second is a thousand times what they need without sanitizers. */
	ck_assert_int_lt(g_get_monotonic_time() - start, 3 * G_USEC_PER_SEC);
	line_reader_free(&reader);
}
END_TEST

UNIT_MAIN("lines", the_node_is_the_host_without_domain_and_the_instance_the_syslog_name,
        configured_names_win, lines_of_other_programs_are_no_mta,
        a_notice_that_lines_were_lost_is_told_as_one, a_repeated_message_is_itself_as_often_as_told,
        a_line_that_claims_to_be_repeated_beyond_belief_is_kept_as_unparsed,
        last_message_repeated_is_the_last_line_of_that_host,
        an_entry_without_header_is_read_like_a_line, many_made_up_hosts_are_forgotten,
        an_unknown_zone_is_an_error, random_lines_never_crash_and_give_one_observation,
        a_hostile_line_of_64_kib_takes_no_time)
