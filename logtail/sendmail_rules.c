/* The rules as tables. Sendmail's source file is named by its name in sendmail/ of the Sendmail
 * tree (8.17). */

#include "logtail/sendmail.h"

#include <glib.h>

#define WORD(text) \
	{ \
		"" text, sizeof(text) - 1 \
	}
#define MSGID_CUT 100 /* envelope.c prints no more bytes of a Message-ID */
#define FROM_CUT 200  /* nor of a sender */

static void keep_field(struct slice name, struct slice value, struct observation *seen)
{
	if (slice_eq(name, SLICE("size")))
		slice_int(value, &seen->size);
	else if (slice_eq(name, SLICE("nrcpts")))
		slice_int(value, &seen->nrcpt);
	else if (slice_eq(name, SLICE("proto")))
		seen->proto = value;
	else if (slice_eq(name, SLICE("auth")))
		seen->sasl_method = value;
}

/* The fields behind a Message-ID, which may hold copies of them: from the right. *s is left as the
 * Message-ID. */
static void strip_fields(struct slice *s, struct observation *seen)
{
	static const struct slice names[] = {WORD("bodytype="), WORD("proto="), WORD("daemon="),
	        WORD("tls_verify="), WORD("auth=")};

	for (;;) {
		ptrdiff_t at = sendmail_find_last(*s, SLICE(", "));
		size_t i = 0;
		if (at < 0)
			return;
		struct slice field = slice_from(*s, (size_t)at + 2);
		while (i < G_N_ELEMENTS(names) && !slice_starts(field, names[i]))
			i++;
		if (i == G_N_ELEMENTS(names))
			return;
		*s = slice_head(*s, (size_t)at);
		struct slice name = slice_cut(&field, '=');
		keep_field(name, field, seen);
	}
}

/* "<id>, bodytype=8BITMIME, proto=ESMTP, daemon=MTA, relay=host [ip]". An id that was cut off is
 * not told: nobody would find it. */
static void read_message_id(struct slice rest, struct observation *seen, struct slice *relay_r)
{
	static const struct slice relay = WORD(", relay=");
	ptrdiff_t at = sendmail_find_last(rest, relay);

	if (at >= 0) {
		*relay_r = slice_from(rest, (size_t)at + relay.n);
		rest = slice_head(rest, (size_t)at);
	}
	strip_fields(&rest, seen);
	if (rest.n > 0 && (rest.n < MSGID_CUT || rest.p[rest.n - 1] == '>'))
		seen->message_id = rest;
}

/* "<a>", which is cut at 200 bytes: what stands there is Sendmail's own, whatever quotes are open.
 */
static bool read_sender(struct slice *s, struct observation *seen)
{
	struct slice rest = *s;

	if (slice_starts(slice_from(*s, MIN(s->n, FROM_CUT)), SLICE(", size="))) {
		seen->from = slice_head(*s, FROM_CUT);
		slice_skip(&seen->from, SLICE("<"));
		seen->from.n -= slice_ends(seen->from, SLICE(">")) ? 1 : 0;
		*s = slice_from(*s, FROM_CUT);
		return true;
	}
	if (!field_address(&rest, ",", &seen->from) || !slice_starts(rest, SLICE(", size="))) {
		ptrdiff_t at = slice_find(*s, SLICE(", size="));
		if (at < 0)
			return false;
		seen->from = slice_head(*s, (size_t)at);
		slice_skip(&seen->from, SLICE("<"));
		rest = slice_from(*s, (size_t)at);
	}
	*s = rest;
	return true;
}

/* envelope.c's logsender(): "<a>, size=1, class=0, nrcpts=1, msgid=<id>, …, relay=host [ip]" */
static bool read_from(struct slice rest, struct observation *seen, struct slice *relay_r)
{
	struct slice name, value;

	if (!read_sender(&rest, seen))
		return false;
	while (!slice_skip(&rest, SLICE(", msgid="))) {
		if (!field_next(&rest, &name, &value))
			return rest.n == 0;
		if (slice_eq(name, SLICE("relay")))
			*relay_r = value;
		else
			keep_field(name, value, seen);
	}
	read_message_id(rest, seen, relay_r);
	return true;
}

/* "root@localhost": who called sendmail on this host. */
static bool is_local(struct slice relay)
{
	return slice_chr(relay, '@') >= 0 && slice_chr(relay, '[') < 0;
}

static bool read_client(struct slice rest, struct observation *seen)
{
	struct slice relay = SLICE_NONE;

	if (!read_from(rest, seen, &relay) || is_local(relay))
		return false;
	sendmail_peer(relay, &seen->client_host, &seen->client_ip);
	return true;
}

static bool read_pickup(struct slice rest, struct observation *seen)
{
	struct slice relay = SLICE_NONE;

	return read_from(rest, seen, &relay) && is_local(relay);
}

/* deliver.c, savemail.c: what Sendmail itself sends has the null sender. */
static bool read_notice(struct observation *seen, enum child_link link)
{
	seen->link = link;
	seen->from = SLICE("");
	return true;
}

static bool read_bounce(struct slice rest, struct observation *seen)
{
	(void)rest;
	return read_notice(seen, CHILD_BOUNCE);
}

static bool read_delay(struct slice rest, struct observation *seen)
{
	(void)rest;
	return read_notice(seen, CHILD_DELAY);
}

static bool read_success(struct slice rest, struct observation *seen)
{
	(void)rest;
	return read_notice(seen, CHILD_SUCCESS);
}

static bool read_postmaster(struct slice rest, struct observation *seen)
{
	(void)rest;
	return read_notice(seen, CHILD_POSTMASTER);
}

/* "owner=games" */
static bool read_clone(struct slice rest, struct observation *seen)
{
	(void)rest;
	seen->link = CHILD_FORWARDED;
	return true;
}

/* clang-format off */
#define ROW LOG_RULE
#define END {.name = NULL}

const struct log_rule sendmail_child_rules[] = {
	ROW("expired", "queue.c, savemail.c", "sender notify: Cannot send message", "",
		EXPIRED, read_bounce),
	ROW("expired", "queue.c, savemail.c", "DSN: Cannot send message", "", EXPIRED, read_bounce),
	ROW("expired", "queue.c, savemail.c", "return to sender: Cannot send message", "",
		EXPIRED, read_bounce),
	ROW("expired", "queue.c, savemail.c", "postmaster notify: Cannot send message", "",
		EXPIRED, read_postmaster),
	ROW("delay notice", "queue.c", "sender notify: Warning: ", "", CHILD, read_delay),
	ROW("success notice", "envelope.c", "DSN: Return receipt", "", CHILD, read_success),
	ROW("success notice", "envelope.c", "return receipt", "", CHILD, read_success),
	ROW("bounce", "savemail.c", "DSN: ", "", CHILD, read_bounce),
	ROW("bounce", "savemail.c", "sender notify: ", "", CHILD, read_bounce),
	ROW("bounce of a bounce", "savemail.c", "return to sender: ", "", CHILD, read_bounce),
	ROW("postmaster bounce", "savemail.c", "postmaster notify: ", "", CHILD, read_postmaster),
	ROW("clone", "deliver.c", "clone: owner=", "", CHILD, read_clone),
	END
};

const struct log_rule sendmail_message_rules[] = {
	ROW("attempt", "deliver.c", "to=", ", stat=", ATTEMPT, sendmail_read_attempt),
	ROW("client", "envelope.c", "from=", ", size=", CLIENT, read_client),
	ROW("pickup", "envelope.c", "from=", ", size=", PICKUP, read_pickup),
	ROW("done", "envelope.c", "done; ", "", REMOVED, NULL),
	ROW("queued", "deliver.c, envelope.c", "to=", ", stat=", ACTIVE, sendmail_read_queued),
	ROW("refused recipient of a message", "deliver.c, envelope.c", "to=", ", stat=",
		CANCEL, sendmail_read_refused_tail),
	ROW("ruleset reject", "conf.c, srvrsmtp.c", "ruleset=", ", reject=",
		REJECT, sendmail_read_ruleset),
	ROW("ruleset action", "conf.c, srvrsmtp.c", "ruleset=", "", NOTE, NULL),
	ROW("milter reject", "srvrsmtp.c", "Milter: from=", ", reject=",
		REJECT, sendmail_read_milter_from),
	ROW("milter reject", "srvrsmtp.c", "Milter: to=", ", reject=",
		REJECT, sendmail_read_milter_to),
	ROW("milter reject", "srvrsmtp.c", "Milter: helo=", ", reject=",
		REJECT, sendmail_read_milter_helo),
	ROW("milter reject", "srvrsmtp.c", "Milter: cmd=", ", reject=",
		REJECT, sendmail_read_milter_command),
	ROW("milter reject", "srvrsmtp.c", "Milter: data", ", reject=",
		REJECT, sendmail_read_milter_data),
	ROW("milter action", "milter.c, srvrsmtp.c", "Milter", "", NOTE, NULL),
	ROW("milter action", "milter.c, srvrsmtp.c", "milter=", "", NOTE, NULL),
	ROW("refused address", "err.c", "<", ">... ", REFUSED, sendmail_read_refused),
	ROW("discarded", "srvrsmtp.c, envelope.c", "discarded", "", CANCEL, NULL),
	ROW("premature end", "collect.c", "collect: premature EOM", "", CANCEL, NULL),
	ROW("message too large", "collect.c", "message size (", "", CANCEL, NULL),
	ROW("collect", "collect.c", "collect: ", "", NOTE, NULL),
	ROW("connection lost", "readio.c, util.c", "lost input channel from ", "", NOTE, NULL),
	ROW("timeout", "util.c", "timeout waiting for input from ", "", NOTE, NULL),
	ROW("outgoing connection", "deliver.c", "SMTP outgoing connect on ", "", NOTE, NULL),
	ROW("connection failed", "daemon.c", "makeconnection (", "", NOTE, NULL),
	ROW("alias", "alias.c", "alias ", " => ", NOTE, NULL),
	ROW("forward", "recipient.c", "forward ", "", NOTE, NULL),
	ROW("system error", "err.c", "SYSERR", "", NOTE, NULL),
	ROW("losing", "savemail.c, queue.c", "Losing ", "", NOTE, NULL),
	ROW("authentication warning", "envelope.c, util.c", "Authentication-Warning: ", "", NOTE, NULL),
	ROW("AUTH failed", "srvrsmtp.c", "AUTH failure ", "", NONE, NULL),
	ROW("pre-greeting traffic", "srvrsmtp.c", "rejecting commands from ", "", NONE, NULL),
	END
};

const struct log_rule sendmail_plain_rules[] = {
	ROW("ruleset reject", "conf.c, srvrsmtp.c", "ruleset=", ", reject=",
		REJECT, sendmail_read_ruleset),
	ROW("ruleset action", "conf.c, srvrsmtp.c", "ruleset=", "", NONE, NULL),
	ROW("connect", "srvrsmtp.c", "connect from ", "", NONE, NULL),
	ROW("TLS connection", "tls.c, deliver.c", "STARTTLS", "", NONE, NULL),
	ROW("TLS features", "tls.c", "tls_", "", NONE, NULL),
	ROW("AUTH", "srvrsmtp.c, usersmtp.c", "AUTH", "", NONE, NULL),
	ROW("Milter", "milter.c", "Milter", "", NONE, NULL),
	ROW("daemon started", "main.c", "starting daemon ", "", NONE, NULL),
	ROW("daemon started", "main.c", "started as: ", "", NONE, NULL),
	ROW("daemon restarted", "main.c", "restarting ", "", NONE, NULL),
	ROW("daemon stopped", "daemon.c", "stopping daemon", "", NONE, NULL),
	ROW("alias database", "alias.c", "alias database ", "", NONE, NULL),
	ROW("alias database", "alias.c", "/", " aliases, longest ", NONE, NULL),
	ROW("load", "conf.c", "rejecting connections on daemon ", "", NONE, NULL),
	ROW("load", "conf.c", "accepting connections again ", "", NONE, NULL),
	ROW("runqueue", "queue.c", "runqueue: ", "", NONE, NULL),
	ROW("grew", "queue.c", "grew WorkList ", "", NONE, NULL),
	ROW("system error", "err.c", "SYSERR", "", NONE, NULL),
	ROW("error", "err.c", "error: ", "", NONE, NULL),
	END
};
/* clang-format on */
