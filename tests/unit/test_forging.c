/* Foreign text in a log: whatever a client, a sender or another host writes, in every place where
 * an MTA prints it, the events are those of a harmless text, and nothing changes for anybody else.
 */
#include "logtail/lines.h"
#include "tests/unit/trace_script.h"

#define NOT_AFTER INT64_C(1795392000000) /* 2026-11-23T00:00:00Z */
#define HARMLESS "hello"
#define STAMP "2026-11-22T00:00:10.000000+00:00 mx "
#define SMTP STAMP "postfix/smtp[7]: "
#define SMTPD STAMP "postfix/smtpd[8]: "
#define CLEANUP STAMP "postfix/cleanup[9]: "
#define QMGR STAMP "postfix/qmgr[5]: "
#define MTA STAMP "sm-mta[6]: "
#define EVIL "3C0000EE01"
#define VICTIM "3C00000A02"
#define SM_EVIL "6AM1SV7P010303"
#define SM_VICTIM "6AM1SV7P010304"

/* What somebody may write in the hope that it is read as more than his text. */
static const char *const hostile[] = {
        "x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
        "x@ok.example>, relay=none, delay=0, delays=0/0/0/0, dsn=5.0.0, status=bounced (",
        "ok), status=bounced (no) status=deferred (later)",
        "to=<v@victim.example>, relay=m[192.0.2.6]:25, delay=1, dsn=5.1.1, status=bounced (550)",
        "postfix/smtp[1]: " VICTIM ": to=<v@victim.example>, relay=none, delay=1, dsn=5.1.1, "
        "status=bounced (550 no)",
        "#012Nov 22 00:00:11 mx postfix/smtp[1]: " VICTIM ": to=<v@victim.example>, relay=none, "
        "delay=1, dsn=5.1.1, status=bounced (550 no)",
        "\\n\\012\\r\rNov 22 00:00:11 mx postfix/qmgr[1]: " VICTIM ": removed",
        STAMP "sm-mta[6]: " SM_VICTIM ": to=<v@victim.example>, delay=00:00:01, mailer=esmtp, "
              "dsn=5.1.1, stat=User unknown",
        ", orig_queue_id=" VICTIM,
        "x, sasl_username=v, orig_queue_id=" VICTIM ", orig_client=c[192.0.2.8]",
        VICTIM ": removed",
        VICTIM ": sender non-delivery notification: " EVIL,
        SM_VICTIM ": done; delay=00:00:00, ntries=1",
        "queued as " VICTIM,
        "from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as " VICTIM,
        "forwarded as " VICTIM,
        SM_VICTIM " Message accepted for delivery",
        "; from=<f@victim.example> to=<v@victim.example> proto=ESMTP helo=<h>",
        "; from=<f@victim.example> to=<v@victim.example> proto=ESMTP helo=<h>: 5.7.1 no",
        "x from h[192.0.2.6]; from=<f@victim.example> to=<v@victim.example>: 5.7.1 no",
        "; from=<\"",
        "\"; from=<\"",
        "> to=<v@victim.example> proto=ESMTP helo=<x",
        "; from=<f@victim.example> to=<\"v@victim.example> proto=ESMTP helo=<\\\"",
        ", stat=Sent (ok)",
        ", stat=Sent (ok), stat=Sent (ok)",
        ", reply=250 ok, stat=Sent (ok)",
        ">, delay=00:00:01, mailer=esmtp, pri=1, relay=m. [192.0.2.6], dsn=2.0.0, stat=Sent (ok",
        ">,<v@victim.example>, delay=00:00:01, mailer=esmtp, dsn=2.0.0, stat=Sent (x), <",
        ", relay=m [192.0.2.6], reject=550 5.7.1 <v@victim.example>... no",
        ">, relay=m [192.0.2.6], reject=550 5.7.1 <v@victim.example>... no",
        ">... User unknown",
        "v@victim.example>... User unknown",
        ", size=9, class=0, nrcpts=9, msgid=<m2@lab.example>, relay=m [192.0.2.6]",
        "message repeated 9 times: [ x]",
        "last message repeated 9 times",
        "[more]",
        "...",
        "a\\",
        "\\\"",
        "\"",
        "\\\\\"",
        "\"\"\"",
        "'; DROP TABLE event; --",
        "%s%n%d",
        "{}[]()<>",
        "\033[2J\033]0;x\007",
        "\xe2\x80\xae\xe2\x80\x8bRLO",
        "\xc2\x9b\x32J",
        "\x7f\x01\x02",
        "\xc0\xaf\xe0\x80\xaf\xf8\x88\x80\x80\x80\xff\xfe\xed\xa0\x80",
        "\\000\\012\\033\\377\\351",
};

/* How the MTA prints a foreign text. */
static void as_is(GString *out, const char *text)
{
	g_string_append(out, text);
}

/* RFC 5321 Quoted-string, as a local part: " and \ with a \ before them. */
static void quoted(GString *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			g_string_append_c(out, '\\');
		g_string_append_c(out, *p);
	}
}

/* A HELO name: smtpd/smtpd.c NEUTER_CHARACTERS. */
static void neutered(GString *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		g_string_append_c(out, strchr(" <>()\\\";@", *p) != NULL ? '?' : *p);
}

/* A place for foreign text: the line, with '~' where the text stands, and what truly happens to the
 * mail (type and domain of the recipient). */
struct place {
	const char *line;
	void (*print)(GString *out, const char *text);
	const char *want[3];
	bool not_cut; /* by no syslog, for the MTA prints some 200 bytes of the text; or where the
	                 text of another host stands before all fields, an end cannot be told from a
	                 cut
	               */
	const char *then; /* what the MTA says next about the mail; NULL: nothing */
};

/* Tells that the mail was joined with no other: it has an injection of its own. */
#define EVIL_SENT \
	SMTP EVIL ": to=<e@evil.example>, relay=m[192.0.2.9]:25, delay=1, delays=0/0/0/1, " \
	          "dsn=2.0.0, status=sent (250 ok)"

static const struct place postfix_places[] = {
        {SMTP EVIL ": to=<e@evil.example>, relay=m[192.0.2.9]:25, delay=1, delays=0/0/0/1, "
                   "dsn=2.0.0, status=sent (250 2.0.0 ~)",
                as_is, {"injection evil.example", "delivery evil.example"}},
        {SMTP EVIL ": to=<e@evil.example>, relay=m[192.0.2.9]:25, delay=1, delays=0/0/0/1, "
                   "dsn=5.1.1, status=bounced (host m[192.0.2.9] said: 550 5.1.1 ~ (in reply to "
                   "RCPT TO command))",
                as_is, {"injection evil.example", "bounce evil.example"}},
        {SMTP EVIL ": to=<e@evil.example>, relay=m[192.0.2.9]:25, delay=1, delays=0/0/0/1, "
                   "dsn=4.2.1, status=deferred (host m[192.0.2.9] said: 450 4.2.1 ~ (in reply to "
                   "RCPT TO command))",
                as_is, {"injection evil.example", "delay evil.example"}},
        {STAMP "postfix/pipe[7]: " EVIL ": to=<e@evil.example>, relay=prog, delay=1, "
               "delays=0/0/0/1, dsn=5.3.0, status=bounced (Command output: ~ )",
                as_is, {"injection evil.example", "bounce evil.example"}},
        {SMTP EVIL ": to=<\"~\"@evil.example>, relay=m[192.0.2.9]:25, delay=1, delays=0/0/0/1, "
                   "dsn=5.1.1, status=bounced (host m[192.0.2.9] said: 550 5.1.1 no)",
                quoted, {"injection evil.example", "bounce evil.example"}},
        {SMTP EVIL ": to=<e@evil.example>, orig_to=<\"~\"@evil.example>, relay=m[192.0.2.9]:25, "
                   "delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)",
                quoted, {"injection evil.example", "delivery evil.example"}},
        {SMTP EVIL ": host m[192.0.2.9] said: 450 4.2.1 ~ (in reply to RCPT TO command)", as_is,
                {NULL}},
        {CLEANUP EVIL ": message-id=<~>", as_is, {NULL}},
        {CLEANUP EVIL ": message-id=~", as_is, {NULL}},
        {CLEANUP EVIL ": warning: header Subject: ~ from c[192.0.2.7]; from=<s@evil.example> "
                      "to=<e@evil.example> proto=ESMTP helo=<h>",
                as_is, {NULL}},
        {CLEANUP EVIL ": reject: header Subject: ~ from c[192.0.2.7]; from=<s@evil.example> "
                      "to=<e@evil.example> proto=ESMTP helo=<h>: 5.7.1 no",
                as_is, {"policy_rejection evil.example"}, true},
        {CLEANUP EVIL ": reject: header X: y from c[192.0.2.7]; from=<\"~\"@evil.example> "
                      "to=<e@evil.example> proto=ESMTP helo=<h>: 5.7.1 no",
                quoted, {"policy_rejection evil.example"}},
        {CLEANUP EVIL ": reject: header X: ~ from c[192.0.2.7]; from=<\"~\"@evil.example> "
                      "to=<\"~\"@evil.example> proto=ESMTP helo=<h>: 5.7.1 no",
                quoted, {"policy_rejection evil.example"}, true},
        {CLEANUP EVIL ": milter-reject: END-OF-MESSAGE from c[192.0.2.7]: 5.7.1 ~; "
                      "from=<s@evil.example> to=<e@evil.example> proto=ESMTP helo=<h>",
                as_is, {"policy_rejection evil.example"}, true},
        {QMGR EVIL ": from=<\"~\"@evil.example>, size=9, nrcpt=1 (queue active)", quoted, {NULL}},
        {SMTPD "NOQUEUE: reject: RCPT from c[192.0.2.7]: 550 5.1.1 <\"~\"@evil.example>: no; "
               "from=<\"~\"@evil.example> to=<\"~\"@evil.example> proto=ESMTP helo=<h>",
                quoted, {"policy_rejection evil.example"}},
        {SMTPD "NOQUEUE: reject: RCPT from c[192.0.2.7]: 450 4.1.1 <e@evil.example>: Recipient "
               "address rejected: unverified address: host m[192.0.2.9] said: 450 ~ (in reply to "
               "RCPT TO command); from=<s@evil.example> to=<e@evil.example> proto=ESMTP helo=<h>",
                as_is, {"policy_rejection evil.example"}, true},
        {SMTPD "NOQUEUE: reject: RCPT from c[192.0.2.7]: 504 5.5.2 <~>: Helo command rejected; "
               "from=<s@evil.example> to=<e@evil.example> proto=ESMTP helo=<~>",
                neutered, {"policy_rejection evil.example"}},
        {SMTPD "warning: Illegal address syntax from c[192.0.2.7] in RCPT command: ~", as_is,
                {NULL}},
        {SMTPD "warning: non-SMTP command from c[192.0.2.7]: ~", as_is, {NULL}},
        {SMTPD EVIL ": client=~[192.0.2.7]", neutered, {NULL}},
        {SMTPD EVIL ": client=c[192.0.2.7], sasl_method=PLAIN, sasl_username=u, sasl_sender=\"~\"",
                as_is, {"injection evil.example", "delivery evil.example"}, false, EVIL_SENT},
        {SMTPD EVIL ": client=c[192.0.2.7], sasl_sender=~", as_is,
                {"injection evil.example", "delivery evil.example"}, false, EVIL_SENT},
        {SMTPD EVIL ": client=c[192.0.2.7], sasl_method=PLAIN, sasl_username=~", as_is,
                {"injection evil.example", "delivery evil.example"}, false, EVIL_SENT},
        {SMTPD "NOQUEUE: milter-reject: RCPT from c[192.0.2.7]: 554 5.7.1 no; "
               "from=<s@evil.example> to=<e@evil.example> proto=ESMTP helo=<h> sasl_username=<~>",
                as_is, {"policy_rejection evil.example"}},
        {SMTPD "warning: c[192.0.2.7]: SASL PLAIN authentication failed: ~, sasl_username=~", as_is,
                {NULL}},
};

static const struct place sendmail_places[] = {
        {MTA SM_EVIL ": to=<e@evil.example>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=1, "
                     "relay=m. [192.0.2.9], dsn=2.0.0, stat=Sent (~)",
                as_is, {"injection evil.example", "delivery evil.example"}},
        {MTA SM_EVIL ": to=<e@evil.example>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=1, "
                     "relay=m. [192.0.2.9], dsn=5.1.1, reply=550 5.1.1 ~, stat=User unknown",
                as_is, {"injection evil.example", "bounce evil.example"}, true},
        {MTA SM_EVIL
                ": to=<e@evil.example>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=1, "
                "relay=m. [192.0.2.9], dsn=4.2.0, reply=450 4.2.0 ~, stat=Deferred: 450 4.2.0 ~",
                as_is, {"injection evil.example", "delay evil.example"}},
        {MTA SM_EVIL ": to=<\"~\"@evil.example>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, "
                     "pri=1, relay=m. [192.0.2.9], dsn=5.1.1, stat=User unknown",
                quoted, {"injection evil.example", "bounce evil.example"}},
        {MTA SM_EVIL
                ": from=<\"~\"@evil.example>, size=9, class=0, nrcpts=1, msgid=<m@evil.example>, "
                "proto=ESMTP, daemon=MTA, relay=c [192.0.2.7]",
                quoted, {NULL}},
        {MTA SM_EVIL ": from=<s@evil.example>, size=9, class=0, nrcpts=1, msgid=<~>, proto=ESMTP, "
                     "daemon=MTA, relay=c [192.0.2.7]",
                as_is, {NULL}},
        {MTA SM_EVIL ": ruleset=check_rcpt, arg1=<\"~\"@evil.example>, relay=c [192.0.2.7], "
                     "reject=550 5.7.1 <\"~\"@evil.example>... Relaying denied",
                quoted, {"policy_rejection evil.example"}},
        {MTA SM_EVIL ": ruleset=check_subject, arg1=~, relay=c [192.0.2.7], reject=554 5.7.0 spam",
                as_is, {"policy_rejection -"}},
        {MTA SM_EVIL ": Milter: to=<\"~\"@evil.example>, reject=554 5.7.1 no", quoted,
                {"policy_rejection evil.example"}},
        {MTA SM_EVIL ": Milter: helo=~, reject=554 5.7.1 no", neutered, {"policy_rejection -"}},
        {MTA SM_EVIL ": <\"~\"@evil.example>... User unknown", quoted,
                {"policy_rejection evil.example"}, true},
        {MTA SM_EVIL ": SYSERR(root): ~", as_is, {NULL}},
        {MTA SM_EVIL ": collect: ~", as_is, {NULL}},
};

/* What happens before and behind: a mail of somebody else, which is deferred and then sent. */
static const char *const postfix_before[] = {SMTPD VICTIM ": client=c[192.0.2.8]",
        CLEANUP VICTIM ": message-id=<m2@lab.example>",
        QMGR VICTIM ": from=<s@lab.example>, size=9, nrcpt=1 (queue active)",
        SMTP VICTIM ": to=<v@victim.example>, relay=m[192.0.2.9]:25, delay=1, dsn=4.2.1, "
                    "status=deferred (450 busy)",
        SMTPD EVIL ": client=c[192.0.2.7]", NULL};
static const char *const postfix_behind[] = {SMTP VICTIM
        ": to=<v@victim.example>, relay=m[192.0.2.9]:25, delay=2, dsn=2.0.0, "
        "status=sent (250 ok)",
        QMGR VICTIM ": removed", NULL};
static const char *const sendmail_before[] = {MTA SM_VICTIM
        ": from=<s@lab.example>, size=9, class=0, nrcpts=1, msgid=<m2@lab.example>, "
        "proto=ESMTP, daemon=MTA, relay=c [192.0.2.8]",
        MTA SM_VICTIM ": to=<v@victim.example>, delay=00:00:01, mailer=esmtp, pri=1, relay=m. "
                      "[192.0.2.9], dsn=4.2.0, stat=Deferred: 450 busy",
        NULL};
static const char *const sendmail_behind[] = {MTA SM_VICTIM
        ": to=<v@victim.example>, delay=00:00:02, mailer=esmtp, pri=1, relay=m. "
        "[192.0.2.9], dsn=2.0.0, stat=Sent (ok)",
        MTA SM_VICTIM ": done; delay=00:00:02, ntries=2", NULL};

struct feeding {
	struct trace *trace;
	unsigned lines;
};

static void feed(void *ctx, const struct observation *seen)
{
	struct feeding *feeding = ctx;

	feeding->lines++;
	trace_feed(feeding->trace, seen);
}

static void read_lines(
        struct line_reader *reader, struct feeding *feeding, const char *const *lines)
{
	for (; *lines != NULL; lines++)
		line_reader_read(reader, slice_str(*lines), feed, feeding);
}

/* What comes of the lines before, `line` (NULL: none), `then` (NULL: none) and those behind. */
static struct outcome *run(
        const char *const *before, const char *line, const char *then, const char *const *behind)
{
	const char *const next[] = {then, NULL};
	const struct line_reader_config reading = {.zone = "UTC", .not_after = NOT_AFTER};
	struct line_reader *reader = line_reader_new(&reading, NULL);
	struct outcome *outcome = outcome_new();
	struct trace_hooks hooks = outcome_hooks(outcome);
	struct feeding feeding = {.trace = trace_new(script_config(NULL), &hooks, NULL)};

	read_lines(reader, &feeding, before);
	if (line != NULL) {
		unsigned lines = feeding.lines;
		line_reader_read(reader, slice_str(line), feed, &feeding);
		ck_assert_msg(feeding.lines == lines + 1, "%s: is read as %u", line,
		        feeding.lines - lines);
	}
	read_lines(reader, &feeding, next);
	read_lines(reader, &feeding, behind);
	trace_free(&feeding.trace);
	line_reader_free(&reader);
	return outcome;
}

/* The recipient of an event "type recipient at …". */
static struct slice recipient_of(const char *event)
{
	struct slice head = slice_str(event);

	slice_cut(&head, ' ');
	return slice_head(head, (size_t)slice_find(head, SLICE(" at 2026-")));
}

static bool is_victims(const char *event)
{
	return slice_eq(recipient_of(event), SLICE("v@victim.example"));
}

/* "type domain" */
static char *kind_of(const char *event)
{
	struct slice recipient = recipient_of(event);
	ptrdiff_t at = slice_rchr(recipient, '@');

	return g_strdup_printf("%.*s %.*s", (int)(strchr(event, ' ') - event), event,
	        SLICE_ARG(slice_from(recipient, (size_t)(at + 1))));
}

/* The events of somebody else are those of `clean`, byte by byte. */
static void check_victim(const struct outcome *clean, const struct outcome *got, const char *line)
{
	unsigned next = 0, same = 0;

	for (unsigned i = 0; i < got->events->len; i++) {
		const char *event = got->events->pdata[i];
		if (!is_victims(event))
			continue;
		while (next < clean->events->len && !is_victims(clean->events->pdata[next]))
			next++;
		ck_assert_msg(
		        next < clean->events->len && strcmp(event, clean->events->pdata[next]) == 0,
		        "%s:\n%s", line, event);
		next++;
		same++;
	}
	ck_assert_msg(same == 3, "%s: %u of the other mail's events", line, same);
}

enum reading {
	PLAIN,   /* all is told */
	HOSTILE, /* a recipient that cannot be told from the foreign text may be missing */
	CUT,     /* an event, too */
};

/* All others are the wanted ones in turn. */
static void check_own(
        const struct outcome *got, const struct place *place, const char *line, enum reading how)
{
	unsigned next = 0;

	for (unsigned i = 0; i < got->events->len; i++) {
		if (is_victims(got->events->pdata[i]))
			continue;
		g_autofree char *kind = kind_of(got->events->pdata[i]);
		const char *want = next < 3 ? place->want[next++] : NULL;
		bool fits = want != NULL && strcmp(kind, want) == 0;
		if (how != PLAIN && !fits && want != NULL)
			fits = g_str_has_suffix(kind, " -") &&
			       strncmp(want, kind, strlen(kind) - 1) == 0;
		ck_assert_msg(fits, "%s:\n\"%s\", not \"%s\"", line, kind, want);
	}
	if (how != CUT)
		ck_assert_msg(next == 3 || place->want[next] == NULL, "%s: no \"%s\"", line,
		        place->want[next]);
}

static char *print_line(const struct place *place, const char *text)
{
	GString *line = g_string_new(NULL);

	for (const char *p = place->line; *p != '\0'; p++) {
		if (*p == '~')
			place->print(line, text);
		else
			g_string_append_c(line, *p);
	}
	return g_string_free(line, FALSE);
}

struct dialect_case {
	const char *const *before, *const *behind;
	const struct place *places;
	size_t n;
};

static const struct dialect_case cases[] = {
        {postfix_before, postfix_behind, postfix_places, G_N_ELEMENTS(postfix_places)},
        {sendmail_before, sendmail_behind, sendmail_places, G_N_ELEMENTS(sendmail_places)},
};

static void check_line(const struct dialect_case *the, const struct place *place, const char *line,
        enum reading how)
{
	struct outcome *clean = run(the->before, NULL, NULL, the->behind);
	struct outcome *got = run(the->before, line, place->then, the->behind);

	check_victim(clean, got, line);
	check_own(got, place, line, how);
	outcome_free(got);
	outcome_free(clean);
}

START_TEST(foreign_text_makes_no_event_and_changes_none_of_another)
{
	const struct dialect_case *the = &cases[_i];

	for (size_t p = 0; p < the->n; p++) {
		g_autofree char *plain = print_line(&the->places[p], HARMLESS);
		check_line(the, &the->places[p], plain, PLAIN);
		for (size_t h = 0; h < G_N_ELEMENTS(hostile); h++) {
			g_autofree char *line = print_line(&the->places[p], hostile[h]);
			check_line(the, &the->places[p], line, HOSTILE);
		}
	}
}
END_TEST

START_TEST(two_foreign_texts_together_make_none_either)
{
	const struct dialect_case *the = &cases[_i];

	for (size_t p = 0; p < the->n; p++)
		for (size_t h = 0; h < G_N_ELEMENTS(hostile); h++) {
			size_t other = (h * 7 + p) % G_N_ELEMENTS(hostile);
			g_autofree char *text = g_strconcat(hostile[h], hostile[other], NULL);
			g_autofree char *line = print_line(&the->places[p], text);
			check_line(the, &the->places[p], line, HOSTILE);
		}
}
END_TEST

START_TEST(a_line_cut_off_in_the_middle_of_foreign_text_tells_nothing_else)
{
	const struct dialect_case *the = &cases[_i];

	for (size_t p = 0; p < the->n; p++)
		for (size_t h = 0; h < G_N_ELEMENTS(hostile); h++) {
			g_autofree char *line = print_line(&the->places[p], hostile[h]);
			if (the->places[p].not_cut)
				continue;
			size_t n = strlen(line), first = strlen(STAMP "postfix/smtp[7]: ");
			for (size_t cut = first + (h * 5 + p) % 9; cut < n; cut += 9) {
				g_autofree char *head = g_strndup(line, cut);
				check_line(the, &the->places[p], head, CUT);
			}
		}
}
END_TEST

START_TEST(very_long_foreign_text_is_read_like_any_other)
{
	const struct dialect_case *the = &cases[_i];
	g_autofree char *filler = g_strnfill(60000, ';');
	g_autofree char *text = g_strconcat("; from=<\"", filler, hostile[0], hostile[15], NULL);

	for (size_t p = 0; p < the->n; p++) {
		g_autofree char *line = print_line(&the->places[p], text);
		check_line(the, &the->places[p], line, CUT);
	}
}
END_TEST

static int run_all(void)
{
	Suite *suite = suite_create("forging");
	TCase *all = tcase_create("forging");
	const TTest *const tests[] = {foreign_text_makes_no_event_and_changes_none_of_another,
	        two_foreign_texts_together_make_none_either,
	        a_line_cut_off_in_the_middle_of_foreign_text_tells_nothing_else,
	        very_long_foreign_text_is_read_like_any_other};

	tcase_set_timeout(all, 300);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		tcase_add_loop_test(all, tests[i], 0, G_N_ELEMENTS(cases));
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}

int main(void)
{
	return run_all() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
