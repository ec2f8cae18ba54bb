/* One try to deliver, to one recipient or several: deliver.c's logdelivery() prints
 *
 *	ID: to=<a>,<b>, ctladdr=<c> (5/60), delay=1+17:52:54, xdelay=00:00:01, mailer=esmtp,
 *	pri=30082, relay=host. [ip], dsn=2.0.0, [quarantine=text,] [reply=text,] stat=text
 *
 * in this order. Addresses and the texts of the other host may hold anything, fields of this very
 * form too. A list too long for one line ends with "[more]" and goes on in another of the same
 *form. */

#include "logtail/sendmail.h"

#include <glib.h>

#define WORD(text) \
	{ \
		"" text, sizeof(text) - 1 \
	}

struct delivery {
	struct slice list, ctladdr, mailer, relay, dsn, delay;
	struct slice reply, stat; /* reply: absent where it is not told */
};

/* Behind a quoted word such as "|exec program": the index after its closing quote, 0 = none. */
static size_t quoted_length(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* One address of a list, up to the comma behind it. */
static bool take_address(struct slice *s, struct slice *address_r)
{
	if (s->n > 0 && s->p[0] == '<')
		return field_address(s, ",", address_r);
	size_t n = s->n > 0 && s->p[0] == '"' ? quoted_length(*s) : 0;
	while (n < s->n && s->p[n] != ',')
		n++;
	*address_r = slice_head(*s, n);
	*s = slice_from(*s, n);
	return true;
}

bool sendmail_next_recipient(struct slice *list, struct slice *address_r)
{
	if (list->n == 0 || !take_address(list, address_r)) {
		*list = SLICE_NONE;
		return false;
	}
	slice_skip(list, SLICE(","));
	slice_skip(list, SLICE(" "));
	slice_skip(list, SLICE("[more]"));
	return true;
}

/* ", name=" of a field that follows the list. */
static bool at_field(struct slice s)
{
	static const struct slice names[] = {WORD("delay="), WORD("ctladdr="), WORD("xdelay="),
	        WORD("mailer="), WORD("pri="), WORD("stat=")};

	if (!slice_skip(&s, SLICE(", ")))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (slice_starts(s, names[i]))
			return true;
	return false;
}

/* The whole list; *s is left at the first field behind it. */
static bool take_list(struct slice *s, struct slice *list_r)
{
	struct slice rest = *s, address;

	while (!at_field(rest)) {
		if (rest.n == 0 || !take_address(&rest, &address))
			return false;
		if (at_field(rest))
			break;
		if (!slice_skip(&rest, SLICE(",")))
			return false;
		slice_skip(&rest, SLICE(" "));
	}
	*list_r = slice_head(*s, s->n - rest.n);
	*s = rest;
	return list_r->n > 0;
}

/* "text, stat=text2": the other host's text may hold ", stat=" itself. Sendmail's own words for
 * failures hold none, so that the last one counts; but `Deferred: ` repeats the reply, so that both
 * halves are the same. Behind another reply, that of a later command, it cannot be told whose the
 * last one is: false. */
static bool split_reply(struct slice s, struct delivery *got)
{
	static const struct slice mark = WORD(", stat=");
	static const struct slice deferred = WORD("Deferred: ");
	ptrdiff_t at = sendmail_find_last(s, mark);

	if (at < 0)
		return false;
	got->reply = slice_head(s, (size_t)at);
	got->stat = slice_from(s, (size_t)at + mark.n);
	if (slice_starts(got->dsn, SLICE("5")))
		return slice_find(got->reply, SLICE(", stat=Deferred: ")) < 0;
	size_t over = mark.n + deferred.n;
	if (s.n > over && (s.n - over) % 2 == 0) {
		size_t half = (s.n - over) / 2;
		struct slice rest = slice_from(s, half);
		if (slice_skip(&rest, mark) && slice_skip(&rest, deferred) &&
		        slice_eq(rest, slice_head(s, half))) {
			got->reply = slice_head(s, half);
			got->stat = slice_from(s, half + mark.n);
		}
	}
	return true;
}

static void keep_field(struct slice name, struct slice value, struct delivery *got)
{
	const struct {
		struct slice name;
		struct slice *value;
	} fields[] = {{WORD("ctladdr"), &got->ctladdr}, {WORD("mailer"), &got->mailer},
	        {WORD("relay"), &got->relay}, {WORD("dsn"), &got->dsn},
	        {WORD("delay"), &got->delay}};

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		if (slice_eq(name, fields[i].name))
			*fields[i].value = value;
}

/* All of a line; false when it has no stat=. */
static bool read_delivery(struct slice rest, struct delivery *got)
{
	struct slice name, value;

	*got = (struct delivery){.list = SLICE_NONE};
	if (!take_list(&rest, &got->list))
		return false;
	for (;;) {
		if (slice_skip(&rest, SLICE(", stat="))) {
			got->stat = rest;
			return true;
		}
		if (slice_skip(&rest, SLICE(", reply=")))
			return split_reply(rest, got);
		if (!field_next(&rest, &name, &value))
			return false;
		keep_field(name, value, got);
	}
}

/* conf.c/util.c pintvl(): "00:00:15", "1+17:52:54". */
static bool read_interval(struct slice text, int64_t *ms_r)
{
	struct slice rest = text;
	int64_t days = 0, part[3];

	if (slice_chr(text, '+') > 0 && !slice_int(slice_cut(&rest, '+'), &days))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(part); i++)
		if (!slice_int(slice_cut(&rest, ':'), &part[i]) || part[i] < 0)
			return false;
	if (rest.n > 0 || days < 0 || days > 36500 || part[0] > 1000000)
		return false;
	*ms_r = (((days * 24 + part[0]) * 60 + part[1]) * 60 + part[2]) * 1000;
	return true;
}

/* What stat= says. The enhanced code stands before all that the other host said and tells a success
 * for sure (versions before 8.10 have none). A failure is final unless it is told to be none: the
 * code may be that of a later command (`dsn=5.5.1, reply=554 …, stat=Deferred: 450 …`). */
static enum attempt_status status_of(const struct delivery *got)
{
	struct slice dsn = got->dsn, none;

	if (field_dsn(&dsn, &none) ? slice_starts(got->dsn, SLICE("2."))
	                           : slice_starts(got->stat, SLICE("Sent")))
		return ATTEMPT_SENT;
	if (slice_starts(got->stat, SLICE("Deferred")) || slice_starts(got->dsn, SLICE("4.")))
		return ATTEMPT_DEFERRED;
	return ATTEMPT_BOUNCED;
}

/* "Sent (text)": the text of the other host. "Deferred: text": of the host, or Sendmail's own. */
static struct slice own_text(const struct delivery *got)
{
	struct slice text = got->stat;

	if (slice_skip(&text, SLICE("Sent"))) {
		if (!slice_skip(&text, SLICE(" (")))
			return SLICE_NONE;
		ptrdiff_t end = slice_rchr(text, ')');
		text = end >= 0 && (size_t)end + 1 == text.n ? slice_head(text, (size_t)end) : text;
		return slice_eq(text, SLICE("\\n")) ? SLICE_NONE : text; /* a bare "250" */
	}
	slice_skip(&text, SLICE("Deferred: "));
	return text;
}

static struct slice take_word(struct slice s)
{
	size_t n = 0;

	while (n < s.n && g_ascii_isalnum(s.p[n]))
		n++;
	return slice_head(s, n);
}

/* The message that this delivery became: another Sendmail says "ID Message accepted for delivery",
 * Postfix "queued as ID". */
static void read_link(struct observation *seen)
{
	static const struct slice accepted = WORD(" Message accepted for delivery");
	static const struct slice queued = WORD("queued as ");
	struct slice id = take_word(seen->reason);

	if (id.n == 0 || !slice_starts(slice_from(seen->reason, id.n), accepted)) {
		ptrdiff_t at = sendmail_find_last(seen->reason, queued);
		id = at >= 0 ? take_word(slice_from(seen->reason, (size_t)at + queued.n))
		             : SLICE_NONE;
	}
	if (id.n >= 6 && id.n <= 64) {
		seen->new_queue_id = id;
		seen->link = CHILD_REQUEUED;
	}
}

/* "<joe@mx.example> (5/60)": the local user in whose name this goes out (getctladdr()), which is
 * the one whose alias or .forward file named the recipient, or the sender. It is that of the first
 * of a list; what stands in <> was named by the client, not by an alias; util.c shortenstring()
 * puts
 * "..." into long ones. */
static struct slice read_ctladdr(const struct delivery *got)
{
	struct slice rest = got->list, text = got->ctladdr, address;

	if (slice_starts(rest, SLICE("<")) || !take_address(&rest, &address) || rest.n > 0)
		return SLICE_NONE;
	ptrdiff_t end = slice_rchr(text, ')'), open = slice_rchr(text, '(');
	if (end >= 0 && (size_t)end + 1 == text.n && open > 0)
		text = slice_trim(slice_head(text, (size_t)open));
	if (slice_skip(&text, SLICE("<"))) {
		if (text.n == 0 || text.p[text.n - 1] != '>')
			return SLICE_NONE;
		text.n--;
	}
	return slice_find(text, SLICE("...")) >= 0 ? SLICE_NONE : text;
}

static bool is_loopback(struct slice ip)
{
	return slice_starts(ip, SLICE("127.")) || slice_eq(ip, SLICE("::1"));
}

/* A message for which no mailer was chosen was not accepted. */
static bool is_try(const struct delivery *got)
{
	return got->mailer.n > 0 && !slice_eq(got->stat, SLICE("queued")) &&
	       !slice_eq(got->stat, SLICE("quarantined"));
}

bool sendmail_read_attempt(struct slice rest, struct observation *seen)
{
	struct delivery got;

	if (!read_delivery(rest, &got) || !is_try(&got))
		return false;
	seen->to = got.list;
	seen->ctladdr = read_ctladdr(&got);
	seen->status = status_of(&got);
	seen->service = got.mailer;
	/* The port is not told: only relays of any port are meant. */
	seen->relay_port = SLICE("0");
	sendmail_peer(got.relay, &seen->relay_host, &seen->relay_ip);
	read_interval(got.delay, &seen->delay_ms);
	sendmail_reply(got.reply.p != NULL ? got.reply : own_text(&got), seen);
	field_dsn(&got.dsn, &seen->dsn);
	if (seen->status == ATTEMPT_SENT && seen->reason.n > 0)
		read_link(seen);
	/* The submission client hands mail to the daemon of this host (feature msp). */
	seen->hop = seen->status == ATTEMPT_SENT && slice_eq(got.mailer, SLICE("relay")) &&
	            is_loopback(seen->relay_ip);
	return true;
}

bool sendmail_read_queued(struct slice rest, struct observation *seen)
{
	struct delivery got;

	if (!read_delivery(rest, &got) || got.mailer.n == 0 || is_try(&got))
		return false;
	seen->to = got.list;
	seen->ctladdr = read_ctladdr(&got);
	return true;
}

bool sendmail_read_refused_tail(struct slice rest, struct observation *seen)
{
	struct delivery got;

	if (!read_delivery(rest, &got) || got.mailer.n > 0)
		return false;
	seen->reason = got.stat;
	return true;
}
