/* Refusals: by rulesets (srvrsmtp.c and conf.c rscheck()), milters (srvrsmtp.c), and of addresses
 * that name nobody (err.c). */

#include "logtail/sendmail.h"

#include <glib.h>

#define WORD(text) \
	{ \
		"" text, sizeof(text) - 1 \
	}

ptrdiff_t sendmail_find_last(struct slice s, struct slice text)
{
	ptrdiff_t at = -1;

	for (ptrdiff_t next; (next = slice_find(slice_from(s, (size_t)(at + 1)), text)) >= 0;)
		at += next + 1;
	return at;
}

void sendmail_peer(struct slice text, struct slice *host_r, struct slice *ip_r)
{
	struct slice host = text, rest = text;
	ptrdiff_t open = -1;

	/* "[127.0.0.1] [127.0.0.1]": a host that is named by its address. */
	slice_cut(&rest, ' ');
	if (rest.n > 0 && rest.p[0] == '[')
		open = rest.p - text.p;
	else if (text.n > 0 && text.p[0] == '[')
		open = 0;
	if (open >= 0) {
		struct slice ip = slice_from(text, (size_t)open + 1);
		host = slice_trim(slice_head(text, (size_t)open));
		ip = slice_cut(&ip, ']');
		field_ip(ip, ip_r);
	}
	ptrdiff_t at = slice_rchr(host, '@'); /* told by ident */
	if (at >= 0)
		host = slice_from(host, (size_t)at + 1);
	if (host.n > 1 && host.p[host.n - 1] == '.')
		host.n--;
	if (host.n > 0 && host.p[0] != '[')
		*host_r = host;
}

void sendmail_reply(struct slice text, struct observation *seen)
{
	struct slice rest = text;

	if (text.n == 0)
		return;
	seen->reason = text;
	if (field_code(&rest, &seen->code))
		rest = rest.n > 0 ? slice_from(rest, 1) : rest;
	field_dsn(&rest, &seen->dsn);
}

/* Rulesets and the SMTP command at which each is asked. Others are asked about headers. */
static const struct ruleset {
	struct slice name, stage;
} rulesets[] = {
        {WORD("check_relay"), WORD("CONNECT")},
        {WORD("check_mail"), WORD("MAIL")},
        {WORD("check_rcpt"), WORD("RCPT")},
        {WORD("check_data"), WORD("DATA")},
        {WORD("check_vrfy"), WORD("VRFY")},
        {WORD("check_expn"), WORD("EXPN")},
        {WORD("check_etrn"), WORD("ETRN")},
        {WORD("trust_auth"), WORD("AUTH")},
        {WORD("tls_client"), WORD("STARTTLS")},
        /* Asked while mail goes out: a `to=` line tells what comes of it. */
        {WORD("tls_server"), WORD("")},
        {WORD("tls_rcpt"), WORD("")},
        {WORD("try_tls"), WORD("")},
        {WORD("check_compat"), WORD("")},
};

static struct slice stage_of(struct slice ruleset)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rulesets); i++)
		if (slice_eq(ruleset, rulesets[i].name))
			return rulesets[i].stage;
	return SLICE("END-OF-MESSAGE");
}

/* "check_rcpt, arg1=<a>, relay=host [ip], reject=550 5.7.1 text". What stands in <> is an address
 * that a client gave; what a header check was asked about is any text, but the admin's text behind
 * it holds no ", relay=". */
bool sendmail_read_ruleset(struct slice rest, struct observation *seen)
{
	static const struct slice relay = WORD(", relay="), reject = WORD(", reject=");
	struct slice arg = SLICE_NONE;
	struct slice stage = stage_of(slice_cut(&rest, ','));

	if (stage.n == 0 || !slice_skip(&rest, SLICE(" arg1=")))
		return false;
	if (rest.n == 0 || rest.p[0] != '<' || !field_address(&rest, ",", &arg)) {
		ptrdiff_t at = sendmail_find_last(rest, relay);
		rest = at >= 0 ? slice_from(rest, (size_t)at) : rest;
	}
	ptrdiff_t at = slice_find(rest, reject);
	if (at < 0)
		return false;
	seen->stage = stage;
	sendmail_reply(slice_from(rest, (size_t)at + reject.n), seen);
	struct slice peer = slice_head(rest, (size_t)at);
	at = slice_find(peer, relay);
	if (at >= 0)
		sendmail_peer(slice_from(peer, (size_t)at + relay.n), &seen->client_host,
		        &seen->client_ip);
	if (slice_eq(stage, SLICE("MAIL")))
		seen->from = arg;
	else if (slice_eq(stage, SLICE("RCPT")))
		seen->to = arg;
	return true;
}

/* "VALUE, reject=550 5.7.1 text" */
static bool read_milter(
        struct slice rest, struct slice stage, struct slice *value_r, struct observation *seen)
{
	static const struct slice reject = WORD(", reject=");
	struct slice value;

	if (rest.n > 0 && rest.p[0] == '<') {
		if (!field_address(&rest, ",", &value))
			return false;
	} else {
		ptrdiff_t at = slice_find(rest, reject);
		if (at < 0)
			return false;
		value = slice_head(rest, (size_t)at);
		rest = slice_from(rest, (size_t)at);
	}
	if (!slice_skip(&rest, reject))
		return false;
	if (value_r != NULL)
		*value_r = value;
	seen->stage = stage;
	sendmail_reply(rest, seen);
	return true;
}

bool sendmail_read_milter_from(struct slice rest, struct observation *seen)
{
	return read_milter(rest, SLICE("MAIL"), &seen->from, seen);
}

bool sendmail_read_milter_to(struct slice rest, struct observation *seen)
{
	return read_milter(rest, SLICE("RCPT"), &seen->to, seen);
}

bool sendmail_read_milter_helo(struct slice rest, struct observation *seen)
{
	return read_milter(rest, SLICE("HELO"), &seen->helo, seen);
}

bool sendmail_read_milter_command(struct slice rest, struct observation *seen)
{
	struct slice stage = slice_head(rest, (size_t)MAX(slice_chr(rest, ','), 0));

	if (slice_eq_case(stage, SLICE("data")))
		stage = SLICE("DATA");
	return read_milter(rest, stage, NULL, seen);
}

bool sendmail_read_milter_data(struct slice rest, struct observation *seen)
{
	return read_milter(rest, SLICE("END-OF-MESSAGE"), NULL, seen);
}

/* "<a>... User unknown": err.c logs what the client was told but for the codes, when an address is
 * not accepted. */
bool sendmail_read_refused(struct slice rest, struct observation *seen)
{
	struct slice s = slice_make(rest.p - 1, rest.n + 1); /* with the '<' that chose the rule */
	ptrdiff_t end = slice_find(rest, SLICE(">... "));

	if (end < 0)
		return false;
	/* Otherwise the quotes are what it was refused for. */
	if (!field_address(&s, ".", &seen->to) || !slice_skip(&s, SLICE("... "))) {
		seen->to = slice_head(rest, (size_t)end);
		s = slice_from(rest, (size_t)end + 5);
	}
	seen->stage = SLICE("RCPT");
	seen->reason = s;
	return true;
}
