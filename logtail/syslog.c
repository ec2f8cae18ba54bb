#include "logtail/syslog.h"

#include "logtail/stamp.h"

#include <glib.h>

static struct slice take_blanks(struct slice s)
{
	while (s.n > 0 && s.p[0] == ' ')
		s = slice_from(s, 1);
	return s;
}

/* "<22>" of RFC 3164, 4.1.1; "<mail.info>" as FreeBSD's syslogd -v writes it. */
static struct slice skip_priority(struct slice s)
{
	size_t n = 1;

	if (s.n < 3 || s.p[0] != '<')
		return s;
	while (n < s.n && n < 24 && (g_ascii_isalnum(s.p[n]) || s.p[n] == '.'))
		n++;
	return n > 1 && n < s.n && s.p[n] == '>' ? slice_from(s, n + 1) : s;
}

/* busybox's syslogd writes "mail.info" before the tag. */
static struct slice skip_facility(struct slice s)
{
	static const char *const levels[] = {"emerg", "alert", "crit", "err", "error", "warn",
	        "warning", "notice", "info", "debug"};
	struct slice rest = s;
	struct slice word = slice_cut(&rest, ' ');
	ptrdiff_t dot = slice_chr(word, '.');

	if (rest.n == 0 || dot <= 0)
		return s;
	struct slice level = slice_from(word, (size_t)dot + 1);
	for (size_t i = 0; i < G_N_ELEMENTS(levels); i++)
		if (slice_eq(level, slice_str(levels[i])))
			return rest;
	return s;
}

/* Solaris puts "[ID 197553 mail.info] " before the text. */
static struct slice skip_message_id(struct slice s)
{
	if (!slice_starts(s, SLICE("[ID ")))
		return s;
	ptrdiff_t end = slice_find(s, SLICE("] "));
	return end > 0 ? slice_from(s, (size_t)end + 2) : s;
}

/* "program[pid]:" or "program:"; false when the line has no tag. */
static bool read_tag(struct slice *s, struct syslog_line *out)
{
	size_t n = 0;

	while (n < s->n && s->p[n] != ' ' && s->p[n] != '[' && s->p[n] != ':')
		n++;
	if (n == 0 || n == s->n || s->p[n] == ' ')
		return false;
	struct slice program = slice_head(*s, n);
	struct slice rest = slice_from(*s, n);
	if (rest.p[0] == '[') {
		ptrdiff_t end = slice_chr(rest, ']');
		if (end < 0)
			return false;
		out->pid = slice_make(rest.p + 1, (size_t)end - 1);
		rest = slice_from(rest, (size_t)end + 1);
	}
	if (rest.n > 0 && rest.p[0] == ':')
		rest = slice_from(rest, 1);
	else if (out->pid.p == NULL)
		return false;
	out->program = program;
	*s = rest;
	return true;
}

/* "message repeated 3 times: [ text]", as rsyslog writes it. */
static void read_repeated(struct syslog_line *out)
{
	struct slice rest = out->text;
	int64_t times;

	if (!slice_skip(&rest, SLICE("message repeated ")))
		return;
	struct slice number = slice_cut(&rest, ' ');
	if (!slice_int(number, &times) || times < 1 || times > 1000000000)
		return;
	if (!slice_skip(&rest, SLICE("times: [")) && !slice_skip(&rest, SLICE("time: [")))
		return;
	if (rest.n > 0 && rest.p[0] == ' ')
		rest = slice_from(rest, 1);
	if (rest.n > 0 && rest.p[rest.n - 1] == ']')
		rest.n--;
	out->repeat = (unsigned)times;
	out->text = rest;
}

/* "last message repeated 3 times", with or without dashes around it; it has no tag. */
static bool read_last_repeated(struct slice s, struct syslog_line *out)
{
	int64_t times;

	slice_skip(&s, SLICE("--- "));
	if (!slice_skip(&s, SLICE("last message repeated ")))
		return false;
	struct slice number = slice_cut(&s, ' ');
	if (!slice_starts(s, SLICE("time")) || !slice_int(number, &times))
		return false;
	if (times < 1 || times > 1000000000)
		return false;
	out->repeats_last = true;
	out->repeat = (unsigned)times;
	return true;
}

static void set_text(struct slice s, struct syslog_line *out)
{
	if (s.n > 0 && s.p[0] == ' ')
		s = slice_from(s, 1);
	out->text = skip_message_id(s);
	if (out->text.n > 0 && out->text.p[0] == 'm')
		read_repeated(out);
}

/* RFC 3164, 4.1.2 and 4.1.3, behind the stamp: HOST TAG: TEXT. */
static void read_bsd_rest(struct slice s, struct syslog_line *out)
{
	struct slice rest = take_blanks(skip_priority(s));
	struct slice host = slice_cut(&rest, ' ');

	/* Without a host name the tag stands first. */
	if (host.n > 1 && (host.p[host.n - 1] == ':' || slice_chr(host, '[') > 0) &&
	        read_tag(&s, out)) {
		set_text(s, out);
		return;
	}
	out->host = host;
	rest = take_blanks(rest);
	if (rest.n > 0 && rest.p[0] == '<')
		rest = take_blanks(skip_priority(rest));
	if (read_last_repeated(rest, out))
		return;
	if (!read_tag(&rest, out)) {
		struct slice behind = skip_facility(rest);
		if (behind.p != rest.p && read_tag(&behind, out))
			rest = behind;
	}
	set_text(rest, out);
}

/* RFC 5424, 6.3: STRUCTURED-DATA. False when it does not end. */
static bool skip_structured(struct slice *s)
{
	if (s->n > 0 && s->p[0] == '-') {
		*s = slice_from(*s, 1);
		return true;
	}
	while (s->n > 0 && s->p[0] == '[') {
		bool quoted = false;
		size_t n = 1;
		for (; n < s->n && (quoted || s->p[n] != ']'); n++) {
			if (s->p[n] == '\\' && n + 1 < s->n)
				n++;
			else if (s->p[n] == '"')
				quoted = !quoted;
		}
		if (n >= s->n)
			return false;
		*s = slice_from(*s, n + 1);
	}
	return true;
}

/* RFC 5424, 6: HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG, behind the stamp. rsyslog cuts
 * the program at its first '/' and leaves the blank before the text. */
static bool read_5424_rest(struct slice s, struct syslog_line *out)
{
	out->host = slice_cut(&s, ' ');
	out->program = slice_cut(&s, ' ');
	out->pid = slice_cut(&s, ' ');
	slice_cut(&s, ' ');
	if (s.n == 0 || !skip_structured(&s))
		return false;
	if (slice_eq(out->host, SLICE("-")))
		out->host = slice_head(out->host, 0);
	if (slice_eq(out->pid, SLICE("-")))
		out->pid = SLICE_NONE;
	if (s.n > 0)
		s = slice_from(s, 1);
	slice_skip(&s, SLICE("\xEF\xBB\xBF"));
	set_text(take_blanks(s), out);
	return true;
}

int syslog_parse(struct syslog_clock *clock, struct slice line, struct syslog_line *out)
{
	struct slice s = line.n > 0 && line.p[0] == '<' ? skip_priority(line) : line;

	*out = (struct syslog_line){.repeat = 1};
	bool rfc5424 = slice_skip(&s, SLICE("1 "));
	size_t n = stamp_read(clock, s, &out->time);
	if (n == 0 || n >= s.n || s.p[n] != ' ')
		return 0;
	s = take_blanks(slice_from(s, n));
	if (rfc5424)
		return read_5424_rest(s, out) ? 1 : 0;
	read_bsd_rest(s, out);
	return 1;
}
