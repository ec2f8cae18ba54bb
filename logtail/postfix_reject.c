/* Refusals, and the other things that access tables, header checks and milters do. Two forms:
 *
 *	ACTION: RCPT from host[ip]: 550 5.1.1 text; from=<a> to=<b> proto=ESMTP helo=<c>
 *	ACTION: header CONTENT from host[ip]; from=<a> to=<b> proto=ESMTP helo=<c>: 5.7.1 text
 *
 * smtpd/smtpd_check.c log_whatsup, smtpd/smtpd_milter.c, postscreen/postscreen_smtpd.c (commas
 *between the last fields, [ip]:port) print the first, cleanup/cleanup_message.c the second.
 *Content, addresses and the HELO name come from the client and may look like fields. */

#include "logtail/postfix.h"

#include <stddef.h>

/* Places at which the last fields are looked for: more is somebody's attempt to keep us busy. */
#define MOST_PLACES 32

#define WORD(text) \
	{ \
		"" text, sizeof(text) - 1 \
	}

/* " name=" or ", name=" between the last fields. */
static bool skip_name(struct slice *s, struct slice name, bool first)
{
	struct slice rest = *s;

	if (!first && !slice_skip(&rest, SLICE(", ")) && !slice_skip(&rest, SLICE(" ")))
		return false;
	if (!slice_skip(&rest, name))
		return false;
	*s = rest;
	return true;
}

/* A word up to a blank or comma; in the header form ':' ends it too. */
static struct slice read_word(struct slice *s)
{
	size_t n = 0;

	while (n < s->n && s->p[n] != ' ' && s->p[n] != ',' && s->p[n] != ':')
		n++;
	struct slice word = slice_head(*s, n);
	*s = slice_from(*s, n);
	return word;
}

/* An address of the last fields. One that swallowed another field is none: what is read here is the
 * copy of such fields in somebody's text. One that syslog cut off, in its quotes perhaps, stays
 * absent and ends the line: whatever looks like a field in there is none. */
static bool read_last_address(struct slice *s, const char *ends, struct slice *address_r)
{
	struct slice address = SLICE_NONE;

	if (!field_address(s, ends, &address)) {
		bool cut = slice_starts(*s, SLICE("<\"")) || slice_chr(*s, '>') < 0;
		*s = slice_from(*s, cut ? s->n : 0);
		return cut;
	}
	if (slice_chr(address, '"') < 0 && slice_find(address, SLICE("=<")) >= 0)
		return false;
	*address_r = address;
	return true;
}

/* "<name>" up to the end of the line (smtpd/smtpd_milter.c tells it): printed as it is,
 * so that nothing in it ends it. Absent where syslog cut it. */
static void read_login(struct slice *s, struct slice *name_r)
{
	if (slice_skip(s, SLICE("<")) && slice_ends(*s, SLICE(">")))
		*name_r = slice_head(*s, s->n - 1);
	*s = slice_from(*s, s->n);
}

struct last_field {
	struct slice name;
	size_t member; /* of struct observation */
};

static const struct last_field last_fields[] = {
        {WORD("from="), offsetof(struct observation, from)},
        {WORD("to="), offsetof(struct observation, to)},
        {WORD("proto="), offsetof(struct observation, proto)},
        {WORD("helo="), offsetof(struct observation, helo)},
        {WORD("sasl_username="), offsetof(struct observation, sasl_username)},
};

/* "from=<a> to=<b> proto=ESMTP helo=<c> sasl_username=<d>", each of them optional but one; in the
 * header form followed by ": text", else by nothing. *s is left where they end, or where the
 * reading ended that found them to be none. */
static bool read_last_fields(struct slice *s, struct observation *seen, bool header)
{
	const char *ends = header ? " ,:" : " ,";
	struct observation got = *seen;
	struct slice rest = *s;
	bool first = true, whole = true;

	for (size_t i = 0; whole && i < sizeof(last_fields) / sizeof(last_fields[0]); i++) {
		struct slice *value = (struct slice *)((char *)&got + last_fields[i].member);
		if (!skip_name(&rest, last_fields[i].name, first))
			continue;
		first = false;
		if (last_fields[i].member == offsetof(struct observation, proto))
			*value = read_word(&rest);
		else if (!header &&
		         last_fields[i].member == offsetof(struct observation, sasl_username))
			read_login(&rest, value);
		else
			whole = read_last_address(&rest, ends, value);
	}
	*s = rest;
	if (first || !whole || (rest.n > 0 && !(header && rest.p[0] == ':')))
		return false;
	*seen = got;
	return true;
}

/* The text of a refusal: "550 5.1.1 text", either number may be missing. */
static void set_reason(struct slice text, struct observation *seen)
{
	struct slice rest = text;

	seen->reason = text;
	if (field_code(&rest, &seen->code))
		rest = rest.n > 0 ? slice_from(rest, 1) : rest;
	field_dsn(&rest, &seen->dsn);
}

/* Where to look for the last fields: behind "550 5.1.1 <what the client said>: ". */
static size_t skip_quoted(struct slice text)
{
	struct slice rest = text;
	struct slice ignored;

	if (field_code(&rest, &ignored) && rest.n > 0)
		rest = slice_from(rest, 1);
	if (field_dsn(&rest, &ignored) && rest.n > 0)
		rest = slice_from(rest, 1);
	if (rest.n == 0 || rest.p[0] != '<')
		return 0;
	bool in_quotes = slice_starts(rest, SLICE("<\""));
	if (!field_address(&rest, ":", &ignored))
		return in_quotes ? text.n : 0; /* cut off in there */
	return (size_t)(rest.p - text.p);
}

/* Whether the last fields may begin here. */
static bool at_last_fields(struct slice s)
{
	for (size_t i = 0; i < sizeof(last_fields) / sizeof(last_fields[0]); i++)
		if (slice_starts(s, last_fields[i].name))
			return true;
	return false;
}

/* The next place at or behind *at where they may: *fields_r begins there, behind "; ", and *at is
 * moved to it. */
static bool next_place(struct slice text, size_t *at, struct slice *fields_r)
{
	while (*at <= text.n) {
		ptrdiff_t next = slice_find(slice_from(text, *at), SLICE("; "));
		if (next < 0)
			break;
		*at += (size_t)next + 2;
		*fields_r = slice_from(text, *at);
		if (at_last_fields(*fields_r))
			return true;
	}
	return false;
}

/* "text; from=<a> …". The place from which the rest of the line reads as fields: a reply of another
 * host quoted in the text may hold a copy of them, but not up to the end. Where two do read so, one
 * stands in quotes of the other: which is the true one cannot be told, and neither counts. Nor does
 * one with a login, which reads up to any end, where there are more places than we look at. */
static void read_text(struct slice text, struct observation *seen)
{
	const struct observation before = *seen;
	struct slice fields, reason = text;
	size_t at = skip_quoted(text);
	int found = 0;

	for (int tries = 0; tries < MOST_PLACES && found < 2 && next_place(text, &at, &fields);
	        tries++) {
		struct observation got = before;
		if (!read_last_fields(&fields, &got, false))
			continue;
		*seen = ++found == 1 ? got : before;
		reason = found == 1 ? slice_head(text, at - 2) : reason;
	}
	if (found == 1 && slice_find(text, SLICE(" sasl_username=<")) >= 0 &&
	        next_place(text, &at, &fields)) {
		*seen = before;
		reason = text;
	}
	set_reason(reason, seen);
}

/* "CONTENT from host[ip]": the last " from " before the fields. */
static void read_content_client(struct slice content, struct observation *seen)
{
	for (size_t from = content.n; from >= 6; from--) {
		struct slice peer = slice_make(content.p + from - 6, content.n - (from - 6));
		if (!slice_skip(&peer, SLICE(" from ")))
			continue;
		field_peer(&peer, &seen->client_host, &seen->client_ip, &seen->client_port);
		return;
	}
}

/* Behind "header " and the like. The last place counts, because the content comes first and is
 * foreign; but where it stands in quotes of an earlier one, or there are too many, nothing does. */
static void read_content(struct slice text, struct observation *seen)
{
	const struct observation before = *seen;
	struct slice fields;
	size_t at = 0, over = 0; /* over: how far the fields of earlier places go */
	int tries = 0;

	while (next_place(text, &at, &fields)) {
		struct observation got = before;
		size_t place = at;
		if (tries++ >= MOST_PLACES) {
			*seen = before;
			return;
		}
		bool quoted = place < over, whole = read_last_fields(&fields, &got, true);
		over = quoted && over > text.n - fields.n ? over : text.n - fields.n;
		if (!whole)
			continue;
		*seen = before;
		if (quoted)
			continue;
		*seen = got;
		read_content_client(slice_head(text, place - 2), seen);
		if (slice_skip(&fields, SLICE(": ")))
			set_reason(fields, seen);
	}
}

/* "header", "body", "content" … and not an SMTP command: cleanup/cleanup_message.c,
 * global/header_body_checks.c, smtp/smtp_proto.c. */
static bool is_content(struct slice stage)
{
	static const struct slice kinds[] = {WORD("header"), WORD("body"), WORD("content"),
	        WORD("mime-header"), WORD("nested-header"), WORD("mime-error")};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_eq(stage, kinds[i]))
			return true;
	return false;
}

bool postfix_read_refusal(struct slice rest, struct observation *seen)
{
	size_t n = 0;

	while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != ':')
		n++;
	if (n == 0 || n == rest.n)
		return false;
	seen->stage = slice_head(rest, n);
	rest = slice_from(rest, n);
	/* "proxy-reject: END-OF-MESSAGE: text": no client. */
	if (slice_skip(&rest, SLICE(": "))) {
		read_text(rest, seen);
		return true;
	}
	/* smtp_header_checks print no client and no fields either. */
	if (is_content(seen->stage)) {
		read_content(rest, seen);
		return true;
	}
	/* The command may be a client's nonsense of several words: all up to " from ". */
	ptrdiff_t from = slice_find(slice_head(rest, 64), SLICE(" from "));
	if (from < 0)
		return false;
	seen->stage.n += (size_t)from;
	rest = slice_from(rest, (size_t)from + 6);
	if (!field_peer(&rest, &seen->client_host, &seen->client_ip, &seen->client_port))
		return false;
	if (!slice_skip(&rest, SLICE(":")))
		return false;
	slice_skip(&rest, SLICE(" "));
	read_text(rest, seen);
	return true;
}
