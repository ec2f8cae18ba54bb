/* The rules as tables. Postfix's source file is named by its path below src/ in the Postfix tree
 * (3.7, and where marked so, other versions). */

#include "logtail/postfix.h"

/* "uid=0 from=<a> orig_id=OLD" */
static bool read_pickup(struct slice rest, struct observation *seen)
{
	seen->uid = slice_cut(&rest, ' ');
	if (!slice_skip(&rest, SLICE("from=")) || !field_address(&rest, " ", &seen->from))
		return false;
	if (slice_skip(&rest, SLICE(" orig_id=")))
		seen->orig_queue_id = slice_cut(&rest, ' ');
	return true;
}

/* Where the name of a login ends: no other fields may follow it. */
static struct slice login_name(struct slice text)
{
	static const struct slice behind[] = {
	        {", sasl_sender=", 14},
	        {", orig_queue_id=", 16},
	        {", orig_client=", 14},
	};

	for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		ptrdiff_t end = slice_find(text, behind[i]);
		if (end >= 0)
			text = slice_head(text, (size_t)end);
	}
	return text;
}

/* "host[ip], sasl_method=x, sasl_username=y, sasl_sender=z, orig_queue_id=ID, orig_client=…"
 * (smtpd/smtpd_sasl_proto.c), each but the first optional. A client chooses what sasl_sender is
 * (AUTH= of MAIL FROM), with many SASL back ends also a part of sasl_username (a realm); they are
 * printed as they are. So what looks like a field behind them may be his text and is none. */
static bool read_client(struct slice rest, struct observation *seen)
{
	struct slice name, value;

	if (!field_peer(&rest, &seen->client_host, &seen->client_ip, &seen->client_port))
		return false;
	while (field_next(&rest, &name, &value)) {
		if (slice_eq(name, SLICE("sasl_username"))) {
			seen->sasl_username = login_name(slice_make(value.p, value.n + rest.n));
			break;
		}
		if (slice_eq(name, SLICE("sasl_sender")))
			break;
		if (slice_eq(name, SLICE("sasl_method")))
			seen->sasl_method = value;
		else if (slice_eq(name, SLICE("orig_queue_id")))
			seen->orig_queue_id = value;
	}
	return true;
}

/* "<id>", also with a comment behind it; what is no msg-id stays as logged. None at all is "<>". */
static bool read_message_id(struct slice rest, struct observation *seen)
{
	struct slice id = rest;
	ptrdiff_t end = slice_chr(rest, '>');

	if (rest.n > 0 && rest.p[0] == '<' && end > 0) {
		struct slice behind = slice_trim(slice_from(rest, (size_t)end + 1));
		if (behind.n > 0 && behind.p[0] == '(')
			id = slice_head(rest, (size_t)end + 1);
	}
	if (id.n > 0 && !slice_eq(id, SLICE("<>")))
		seen->message_id = id;
	return true;
}

static bool read_resent_message_id(struct slice rest, struct observation *seen)
{
	seen->resent = true;
	return read_message_id(rest, seen);
}

/* "<a>, size=1, nrcpt=1 (queue active)" */
static bool read_active(struct slice rest, struct observation *seen)
{
	struct slice name, value;

	if (!field_address(&rest, ",", &seen->from))
		return false;
	while (field_next(&rest, &name, &value)) {
		struct slice number = slice_cut(&value, ' ');
		if (slice_eq(name, SLICE("size")))
			slice_int(number, &seen->size);
		else if (slice_eq(name, SLICE("nrcpt")))
			slice_int(number, &seen->nrcpt);
		else if (slice_eq(name, SLICE("status")))
			return false;
	}
	return seen->nrcpt >= 0;
}

/* "<a>, status=expired, returned to sender", also force-expired (postsuper -e, 3.5) */
static bool read_expired(struct slice rest, struct observation *seen)
{
	if (!field_address(&rest, ",", &seen->from) || !slice_skip(&rest, SLICE(", status=")))
		return false;
	seen->reason = rest;
	return slice_starts(rest, SLICE("expired")) || slice_starts(rest, SLICE("force-expired"));
}

static bool read_child(struct slice rest, struct observation *seen, enum child_link link)
{
	seen->new_queue_id = slice_cut(&rest, ' ');
	seen->link = link;
	return postfix_queue_id(seen->new_queue_id);
}

static bool read_bounce(struct slice rest, struct observation *seen)
{
	return read_child(rest, seen, CHILD_BOUNCE);
}

static bool read_delay(struct slice rest, struct observation *seen)
{
	return read_child(rest, seen, CHILD_DELAY);
}

static bool read_success(struct slice rest, struct observation *seen)
{
	return read_child(rest, seen, CHILD_SUCCESS);
}

static bool read_postmaster(struct slice rest, struct observation *seen)
{
	return read_child(rest, seen, CHILD_POSTMASTER);
}

/* "removed", "requeued" and the like are the whole text. */
static bool read_end(struct slice rest, struct observation *seen)
{
	(void)seen;
	return rest.n == 0;
}

/* "warning: ID: …": smtpd or cleanup gave the message up; no refusal is logged. */
static bool read_given_up(struct slice rest, struct observation *seen)
{
	static const struct slice endings[] = {
	        {"queue file size limit exceeded", 30},
	        {"message not accepted, try again later", 37},
	};
	struct slice id = slice_cut(&rest, ':');

	if (!postfix_queue_id(id))
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (slice_ends(rest, endings[i])) {
			seen->queue_id = id;
			seen->reason = slice_trim(rest);
			return true;
		}
	}
	return false;
}

/* clang-format off */
#define ROW LOG_RULE
#define END {.name = NULL}

/* What access tables, header and body checks and milters do. `ADMIT` is the kind of a line about a
 * message that goes on, `DISCARD` of one that is dropped although the client is told "Ok". */
#define ACTIONS(ADMIT, DISCARD) \
	ROW("reject", "smtpd/smtpd_check.c, cleanup/cleanup_message.c, postscreen/postscreen_smtpd.c", \
		"reject: ", "", REJECT, postfix_read_refusal), \
	ROW("milter-reject", "smtpd/smtpd_milter.c, cleanup/cleanup_milter.c", \
		"milter-reject: ", "", REJECT, postfix_read_refusal), \
	ROW("milter-header-reject", "cleanup/cleanup_milter.c", \
		"milter-header-reject: ", "", REJECT, postfix_read_refusal), \
	ROW("proxy-reject", "smtpd/smtpd_proxy.c", \
		"proxy-reject: ", "", REJECT, postfix_read_refusal), \
	ROW("proxy-accept", "smtpd/smtpd_proxy.c", "proxy-accept: ", "", ADMIT, NULL), \
	ROW("reject_warning", "smtpd/smtpd_check.c", "reject_warning: ", "", ADMIT, NULL), \
	ROW("access warn", "smtpd/smtpd_check.c", "warn: ", "", ADMIT, NULL), \
	ROW("access info", "smtpd/smtpd_check.c", "info: ", "", ADMIT, NULL), \
	ROW("filter", "smtpd/smtpd_check.c, cleanup/cleanup_message.c", "filter: ", "", ADMIT, NULL), \
	ROW("redirect", "smtpd/smtpd_check.c, cleanup/cleanup_message.c", \
		"redirect: ", "", ADMIT, NULL), \
	ROW("bcc", "smtpd/smtpd_check.c, cleanup/cleanup_message.c", "bcc: ", "", ADMIT, NULL), \
	ROW("hold", "smtpd/smtpd_check.c, cleanup/cleanup_message.c", "hold: ", "", ADMIT, NULL), \
	ROW("delay", "smtpd/smtpd_check.c, cleanup/cleanup_message.c", "delay: ", "", ADMIT, NULL), \
	ROW("prepend", "global/header_body_checks.c", "prepend: ", "", ADMIT, NULL), \
	ROW("replace", "global/header_body_checks.c", "replace: ", "", ADMIT, NULL), \
	ROW("strip", "global/header_body_checks.c", "strip: ", "", ADMIT, NULL), \
	ROW("pass", "global/header_body_checks.c", "pass: ", "", ADMIT, NULL), \
	ROW("milter-hold", "smtpd/smtpd_milter.c, cleanup/cleanup_milter.c", \
		"milter-hold: ", "", ADMIT, NULL), \
	ROW("milter-header-discard", "cleanup/cleanup_milter.c", \
		"milter-header-discard: ", "", DISCARD, NULL), \
	ROW("milter-header action", "cleanup/cleanup_milter.c", "milter-header-", "", ADMIT, NULL), \
	ROW("discard", "smtpd/smtpd_check.c, cleanup/cleanup_message.c", \
		"discard: ", "", DISCARD, NULL), \
	ROW("milter-discard", "smtpd/smtpd_milter.c, cleanup/cleanup_milter.c", \
		"milter-discard: ", "", DISCARD, NULL)

const struct log_rule postfix_message_rules[] = {
	ROW("attempt", "global/log_adhoc.c", "to=", "", ATTEMPT, postfix_read_attempt),
	ROW("queue active", "qmgr/qmgr_active.c", "from=", "", ACTIVE, read_active),
	ROW("expired", "qmgr/qmgr_active.c", "from=", ", status=", EXPIRED, read_expired),
	ROW("removed", "qmgr/qmgr_active.c, postsuper/postsuper.c", "removed", "", REMOVED, read_end),
	ROW("message-id", "cleanup/cleanup_message.c",
		"message-id=", "", MESSAGE_ID, read_message_id),
	ROW("client", "smtpd/smtpd.c, qmqpd/qmqpd.c", "client=", "", CLIENT, read_client),
	ROW("pickup", "pickup/pickup.c", "uid=", "", PICKUP, read_pickup),
	ROW("resent-message-id", "cleanup/cleanup_message.c",
		"resent-message-id=", "", MESSAGE_ID, read_resent_message_id),
	ROW("bounce", "bounce/bounce_notify_service.c, bounce/bounce_one_service.c",
		"sender non-delivery notification: ", "", CHILD, read_bounce),
	ROW("delay notice", "bounce/bounce_warn_service.c",
		"sender delay notification: ", "", CHILD, read_delay),
	ROW("success notice", "bounce/bounce_trace_service.c",
		"sender delivery status notification: ", "", CHILD, read_success),
	ROW("postmaster bounce", "bounce/bounce_notify_service.c",
		"postmaster non-delivery notification: ", "", CHILD, read_postmaster),
	ROW("postmaster delay notice", "bounce/bounce_warn_service.c",
		"postmaster delay notification: ", "", CHILD, read_postmaster),
	ACTIONS(NOTE, CANCEL),
	ROW("header warning", "cleanup/cleanup_message.c, global/header_body_checks.c",
		"warning: ", "", NOTE, NULL),
	ROW("host said", "smtp/smtp_trouble.c", "host ", "] said: ", NOTE, NULL),
	ROW("host said", "smtp/smtp_trouble.c", "host ", " said: ", NOTE, NULL),
	ROW("host refused", "smtp/smtp_proto.c", "host ", " refused to talk to me: ", NOTE, NULL),
	ROW("conversation timed out", "smtp/smtp_trouble.c",
		"conversation with ", " timed out", NOTE, NULL),
	ROW("lost connection", "smtp/smtp_trouble.c", "lost connection with ", "", NOTE, NULL),
	ROW("PIX workaround", "smtp/smtp_proto.c", "enabling PIX ", "", NOTE, NULL),
	ROW("SASL login failed", "smtp/smtp_sasl_glue.c", "SASL ", "", NOTE, NULL),
	ROW("STARTTLS failed", "smtp/smtp_proto.c", "Cannot start TLS: ", "", NOTE, NULL),
	ROW("TLS required", "smtp/smtp_proto.c", "TLS is required", "", NOTE, NULL),
	ROW("certificate", "smtp/smtp_proto.c", "Server certificate ", "", NOTE, NULL),
	ROW("EHLO keywords discarded", "smtp/smtp_proto.c", "discarding EHLO ", "", NOTE, NULL),
	ROW("line broken", "smtp/smtp_proto.c", "breaking line ", "", NOTE, NULL),
	ROW("connect failed", "smtp/smtp_connect.c", "connect to ", "", NOTE, NULL),
	ROW("still being delivered", "qmgr/qmgr_active.c", "skipped, still", "", NOTE, NULL),
	ROW("recipient limit", "qmgr/qmgr_message.c", "recipient limit ", "", NOTE, NULL),
	ROW("requeued", "postsuper/postsuper.c", "requeued", "", NOTE, read_end),
	ROW("put on hold", "postsuper/postsuper.c", "placed on hold", "", NOTE, read_end),
	ROW("released", "postsuper/postsuper.c", "released from hold", "", NOTE, read_end),
	ROW("expired by hand", "postsuper/postsuper.c", "expired", "", NOTE, read_end),
	ROW("queue file renamed", "postsuper/postsuper.c", "renamed to match ", "", NOTE, NULL),
	END
};

const struct log_rule postfix_plain_rules[] = {
	ROW("connect", "smtpd/smtpd.c", "connect from ", "", NONE, NULL),
	ROW("disconnect", "smtpd/smtpd.c", "disconnect from ", "", NONE, NULL),
	ROW("connect failed", "smtp/smtp_connect.c", "connect to ", "", NONE, NULL),
	ROW("message given up", "smtpd/smtpd.c, cleanup/cleanup_addr.c",
		"warning: ", "", CANCEL, read_given_up),
	ROW("warning", "util/msg.c", "warning: ", "", NONE, NULL),
	ROW("statistics", "anvil/anvil.c, scache/scache.c", "statistics: ", "", NONE, NULL),
	ROW("connection lost", "smtpd/smtpd.c", "lost connection after ", "", NONE, NULL),
	ROW("timeout", "smtpd/smtpd.c", "timeout after ", "", NONE, NULL),
	ROW("too many errors", "smtpd/smtpd.c", "too many errors after ", "", NONE, NULL),
	ROW("pipelining", "smtpd/smtpd_check.c",
		"improper command pipelining after ", "", NONE, NULL),
	ROW("bare newline", "smtpd/smtpd.c", "bare <LF> received after ", "", NONE, NULL),
	ROW("no SMTP", "smtpd/smtpd.c", "non-SMTP command from ", "", NONE, NULL),
	ROW("EHLO keywords discarded", "smtpd/smtpd.c", "discarding EHLO ", "", NONE, NULL),
	ROW("before-queue client", "smtpd/smtpd.c", "client=", "", NONE, NULL),
	ACTIONS(NONE, NONE),
	ROW("TLS connection", "tls/tls_server.c, tls/tls_client.c",
		"Anonymous TLS connection ", "", NONE, NULL),
	ROW("TLS connection", "tls/tls_server.c, tls/tls_client.c",
		"Untrusted TLS connection ", "", NONE, NULL),
	ROW("TLS connection", "tls/tls_server.c, tls/tls_client.c",
		"Trusted TLS connection ", "", NONE, NULL),
	ROW("TLS connection", "tls/tls_server.c, tls/tls_client.c",
		"Verified TLS connection ", "", NONE, NULL),
	ROW("TLS connection", "tls/tls_server.c (2.2)", "TLS connection established ", "", NONE, NULL),
	ROW("TLS setup", "tls/tls_server.c, tls/tls_client.c",
		"setting up TLS connection ", "", NONE, NULL),
	ROW("TLS setup", "tls/tls_server.c, tls/tls_client.c", "initializing the ", " TLS engine",
		NONE, NULL),
	ROW("TLS error", "tls/tls_server.c", "SSL_accept", "", NONE, NULL),
	ROW("TLS error", "tls/tls_client.c", "SSL_connect", "", NONE, NULL),
	ROW("TLS error", "tls/tls_misc.c", "SSL3 alert ", "", NONE, NULL),
	ROW("TLS files", "tls/tls_certkey.c", "cannot load ", "", NONE, NULL),
	ROW("TLS offered", "smtp/smtp_proto.c", "Host offered STARTTLS: ", "", NONE, NULL),
	ROW("certificate", "tls/tls_verify.c, tls/tls_client.c", "certificate ", "", NONE, NULL),
	ROW("certificate", "tls/tls_client.c", "server certificate ", "", NONE, NULL),
	ROW("certificate", "tls/tls_server.c (2.2)", "Peer certificate ", "", NONE, NULL),
	ROW("SASL plugins", "Cyrus SASL", "looking for plugins in ", "", NONE, NULL),
	ROW("SASL plugins", "Cyrus SASL", "auxpropfunc ", "", NONE, NULL),
	ROW("table changed", "global/dict_proxy.c, util/dict.c", "table ", " has changed -- restarting",
		NONE, NULL),
	ROW("cache clean-up", "util/dict_cache.c", "cache ", " cleanup: ", NONE, NULL),
	ROW("CONNECT", "postscreen/postscreen.c, tlsproxy/tlsproxy.c", "CONNECT ", "", NONE, NULL),
	ROW("DISCONNECT", "postscreen/postscreen_misc.c, tlsproxy/tlsproxy.c",
		"DISCONNECT ", "", NONE, NULL),
	ROW("PASS", "postscreen/postscreen.c", "PASS ", "", NONE, NULL),
	ROW("HANGUP", "postscreen/postscreen_misc.c", "HANGUP ", "", NONE, NULL),
	ROW("PREGREET", "postscreen/postscreen_early.c", "PREGREET ", "", NONE, NULL),
	ROW("DNSBL", "postscreen/postscreen_early.c", "DNSBL rank ", "", NONE, NULL),
	ROW("COMMAND limit", "postscreen/postscreen_smtpd.c", "COMMAND ", "", NONE, NULL),
	ROW("NON-SMTP COMMAND", "postscreen/postscreen_smtpd.c",
		"NON-SMTP COMMAND ", "", NONE, NULL),
	ROW("BARE NEWLINE", "postscreen/postscreen_smtpd.c", "BARE NEWLINE ", "", NONE, NULL),
	ROW("WHITELISTED", "postscreen/postscreen.c (before 3.6)", "WHITELIST", "", NONE, NULL),
	ROW("BLACKLISTED", "postscreen/postscreen.c (before 3.6)", "BLACKLISTED ", "", NONE, NULL),
	ROW("ALLOWLISTED", "postscreen/postscreen.c", "ALLOWLIST", "", NONE, NULL),
	ROW("DENYLISTED", "postscreen/postscreen.c", "DENYLISTED ", "", NONE, NULL),
	ROW("stress mode", "postscreen/postscreen_state.c", "entering STRESS mode", "", NONE, NULL),
	ROW("stress mode", "postscreen/postscreen_state.c", "leaving STRESS mode", "", NONE, NULL),
	ROW("blocklist answer", "dnsblog/dnsblog.c", "addr ", " listed by domain ", NONE, NULL),
	ROW("daemon started", "master/master.c", "daemon started -- ", "", NONE, NULL),
	ROW("reload", "master/master.c", "reload", "", NONE, NULL),
	ROW("terminating", "master/master_sig.c", "terminating on signal ", "", NONE, NULL),
	ROW("start and stop", "conf/postfix-script", "starting the Postfix ", "", NONE, NULL),
	ROW("start and stop", "conf/postfix-script", "stopping the Postfix ", "", NONE, NULL),
	ROW("start and stop", "conf/postfix-script", "refreshing the Postfix ", "", NONE, NULL),
	ROW("start and stop", "conf/postfix-script", "aborting the Postfix ", "", NONE, NULL),
	ROW("start and stop", "conf/postfix-script", "the Postfix mail system is ", "", NONE, NULL),
	ROW("start and stop", "conf/postfix-script", "waiting for the Postfix ", "", NONE, NULL),
	ROW("postsuper count", "postsuper/postsuper.c", "Deleted: ", "", NONE, NULL),
	ROW("postsuper count", "postsuper/postsuper.c", "Requeued: ", "", NONE, NULL),
	ROW("postsuper count", "postsuper/postsuper.c", "Placed on hold: ", "", NONE, NULL),
	ROW("postsuper count", "postsuper/postsuper.c", "Released from hold: ", "", NONE, NULL),
	ROW("postsuper count", "postsuper/postsuper.c", "Expired: ", "", NONE, NULL),
	ROW("fatal", "util/msg.c", "fatal: ", "", NONE, NULL),
	ROW("error", "util/msg.c", "error: ", "", NONE, NULL),
	ROW("panic", "util/msg.c", "panic: ", "", NONE, NULL),
	ROW("message-id of nothing", "cleanup/cleanup_message.c", "message-id=", "", NONE, NULL),
	END
};
/* clang-format on */

/* Names in src/ and conf/ of the Postfix tree: of its daemons and commands. */
bool postfix_daemon_known(struct slice name)
{
	static const char *const names[] = {"smtpd", "smtp", "qmgr", "cleanup", "bounce", "local",
	        "pickup", "lmtp", "virtual", "pipe", "error", "retry", "discard", "postscreen",
	        "anvil", "scache", "master", "trivial-rewrite", "verify", "tlsproxy", "tlsmgr",
	        "dnsblog", "proxymap", "oqmgr", "nqmgr", "qmqpd", "flush", "showq", "spawn",
	        "defer", "trace", "postlogd", "postsuper", "postdrop", "postqueue", "postmap",
	        "postalias", "postfix-script", "postmulti", "sendmail", "postcat", "postconf",
	        "postfix", "postkick", "postlock", "postlog", "posttls-finger", "proxywrite",
	        "postfix-wrapper", "post-install"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(name, slice_str(names[i])))
			return true;
	return false;
}
