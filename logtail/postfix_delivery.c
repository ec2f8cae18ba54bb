/* One try to deliver to one recipient: global/log_adhoc.c prints
 *
 *	ID: to=<a>, orig_to=<b>, relay=host[ip]:port, conn_use=2, delay=1, delays=a/b/c/d, tls=x,
 *	dsn=2.0.0, status=sent (text)
 *
 * in this order; old versions leave out delays and dsn. The addresses and the text may hold
 * anything, fields of this very form too: addresses end where their quoting ends, nothing behind
 * status= is read as a field, and the text ends at the last parenthesis. */

#include "logtail/postfix.h"

struct status_word {
	struct slice word;
	enum attempt_status status;
	bool soft;
};

/* clang-format off */
#define WORD(text) {"" text, sizeof(text) - 1}
static const struct status_word status_words[] = {
	{WORD("sent"), ATTEMPT_SENT, false},
	{WORD("deferred"), ATTEMPT_DEFERRED, false},
	{WORD("bounced"), ATTEMPT_BOUNCED, false},
	/* global/bounce.c with soft_bounce=yes: a bounce that is tried again. */
	{WORD("SOFTBOUNCE"), ATTEMPT_DEFERRED, true},
	/* global/verify.c: probes and sendmail -bv; no mail. */
	{WORD("deliverable"), ATTEMPT_PROBE, false},
	{WORD("undeliverable"), ATTEMPT_PROBE, false},
	{WORD("deliverable-but-not-cached"), ATTEMPT_PROBE, false},
	{WORD("undeliverable-but-not-cached"), ATTEMPT_PROBE, false},
};
/* clang-format on */

/* "sent (text)": the text to the last parenthesis, or to the end where syslog cut the line. */
static bool read_status(struct slice s, struct observation *seen)
{
	struct slice word = slice_cut(&s, ' ');

	for (size_t i = 0; i < sizeof(status_words) / sizeof(status_words[0]); i++) {
		if (!slice_eq(word, status_words[i].word))
			continue;
		seen->status = status_words[i].status;
		seen->soft_bounce = status_words[i].soft;
		if (slice_skip(&s, SLICE("("))) {
			ptrdiff_t end = slice_rchr(s, ')');
			bool whole = end >= 0 && (size_t)end + 1 == s.n;
			seen->reason = whole ? slice_head(s, (size_t)end) : s;
		}
		return true;
	}
	return false;
}

static void read_relay(struct slice value, struct observation *seen)
{
	static const struct slice none[] = {WORD("none"), WORD("local"), WORD("virtual")};
	struct slice rest = value;

	if (field_peer(&rest, &seen->relay_host, &seen->relay_ip, &seen->relay_port))
		return;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (slice_eq(value, none[i]))
			return;
	/* Postfix before 2.3 may name the destination host only; pipe(8) names its service, which
	 * is no host. */
	bool smtp =
	        slice_eq(seen->service, SLICE("smtp")) || slice_eq(seen->service, SLICE("lmtp"));
	if (smtp || (seen->service.p == NULL && slice_chr(value, '.') > 0))
		seen->relay_host = value;
}

/* The reply code of the remote host: at the start of the text, or where smtp(8) quotes it
 * (smtp/smtp_trouble.c: "host x[y] said: 550 …", smtp/smtp_proto.c: "… refused to talk to me: 421
 * …"). */
static void read_reply_code(struct observation *seen)
{
	static const struct slice before[] = {WORD("said: "), WORD("refused to talk to me: ")};
	struct slice text = seen->reason;

	if (field_code(&text, &seen->code))
		return;
	if (slice_find(slice_head(text, 64), SLICE("host ")) < 0 &&
	        slice_find(slice_head(text, 64), SLICE("server ")) < 0)
		return;
	ptrdiff_t close = slice_chr(text, ']');
	if (close < 0)
		return;
	struct slice rest = slice_from(text, (size_t)close + 1);
	/* host[ip]:port said */
	if (rest.n > 0 && rest.p[0] == ':')
		slice_cut(&rest, ' ');
	else if (!slice_skip(&rest, SLICE(" ")))
		return;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (slice_skip(&rest, before[i]) && field_code(&rest, &seen->code))
			return;
}

/* The message that this delivery became: local(8) forwards under a new id, a content filter or
 * another Postfix says "queued as". */
static void read_link(struct observation *seen)
{
	static const struct slice queued = WORD("queued as ");
	struct slice rest = seen->reason;
	size_t n = 0;

	if (slice_skip(&rest, SLICE("forwarded as "))) {
		seen->link = CHILD_FORWARDED;
	} else if (seen->code.p != NULL) {
		/* The last one is that of the host we talked to; a proxy quotes others before it.
		 */
		for (ptrdiff_t at; (at = slice_find(rest, queued)) >= 0;
		        seen->link = CHILD_REQUEUED)
			rest = slice_from(rest, (size_t)at + queued.n);
	}
	if (seen->link == CHILD_NONE)
		return;
	while (n < rest.n &&
	        ((rest.p[n] >= '0' && rest.p[n] <= '9') || (rest.p[n] >= 'A' && rest.p[n] <= 'Z') ||
	                (rest.p[n] >= 'a' && rest.p[n] <= 'z')))
		n++;
	if (n >= 6 && n <= 64)
		seen->new_queue_id = slice_head(rest, n);
	else
		seen->link = CHILD_NONE;
}

/* One field before status=; fields that later versions add are passed over, and a value that is
 * none stays absent: the outcome counts all the same. */
static void read_field(struct slice name, struct slice value, struct observation *seen)
{
	if (slice_eq(name, SLICE("relay")))
		read_relay(value, seen);
	else if (slice_eq(name, SLICE("delay")))
		field_seconds(value, &seen->delay_ms);
	else if (slice_eq(name, SLICE("dsn")))
		field_dsn(&value, &seen->dsn);
}

bool postfix_read_attempt(struct slice rest, struct observation *seen)
{
	struct slice name, value;

	if (!field_address(&rest, ",", &seen->to))
		return false;
	if (slice_skip(&rest, SLICE(", orig_to=")) && !field_address(&rest, ",", &seen->orig_to))
		return false;
	while (!slice_skip(&rest, SLICE(", status="))) {
		if (!field_next(&rest, &name, &value))
			return false;
		read_field(name, value, seen);
	}
	if (!read_status(rest, seen))
		return false;
	if (seen->reason.p != NULL) {
		read_reply_code(seen);
		if (seen->status == ATTEMPT_SENT)
			read_link(seen);
	}
	return true;
}
