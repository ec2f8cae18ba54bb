/* The Sendmail dialect: whose line it is, whether it is about a message, which rule fits, and how
 * often. The rules are in sendmail_rules.c. */

#include "logtail/sendmail.h"

#include <glib.h>

/* A queue id: sendmail/queue.c of 8.10 and later makes eight characters of time and counter and at
 * least five digits of the process id, earlier versions three letters and the process id. */
static bool is_queue_id(struct slice id)
{
	size_t digits = 0;

	if (id.n < 8 || id.n > 24)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!g_ascii_isalnum(id.p[i]))
			return false;
	while (digits < id.n && g_ascii_isdigit(id.p[id.n - 1 - digits]))
		digits++;
	return digits >= 5 && (id.n >= 13 || (id.n - digits == 3 && digits < 8));
}

/* Cuts "ID: " off. */
static bool read_queue_id(struct slice *text, struct slice *id_r)
{
	ptrdiff_t colon = slice_chr(slice_head(*text, 26), ':');

	if (colon < 0 || (size_t)colon + 1 >= text->n || text->p[colon + 1] != ' ')
		return false;
	struct slice id = slice_head(*text, (size_t)colon);
	if (!is_queue_id(id))
		return false;
	*id_r = id;
	*text = slice_from(*text, (size_t)colon + 2);
	return true;
}

/* A line that no rule knows may tell something about a message all the same. */
static bool looks_like_fact(struct slice text)
{
	return slice_starts(text, SLICE("to=")) || slice_starts(text, SLICE("from=")) ||
	       slice_find(text, SLICE(", stat=")) >= 0 || slice_find(text, SLICE(", reject=")) >= 0;
}

static void set_rule(
        struct observation *seen, const struct log_rule *rule, struct slice text, const char *other)
{
	bool fact = rule == NULL && looks_like_fact(text);

	if (rule != NULL) {
		seen->kind = rule->kind;
		seen->rule = rule->name;
	} else {
		seen->kind = fact ? OBSERVATION_UNPARSED : OBSERVATION_NONE;
		seen->rule = fact ? "" : other;
	}
}

static void read_line(struct slice text, struct observation *seen)
{
	slice_skip(&text, SLICE("NOQUEUE: "));
	if (!read_queue_id(&text, &seen->queue_id)) {
		set_rule(seen, log_rule_apply(sendmail_plain_rules, text, seen), text,
		        "without queue id and fields");
		return;
	}
	struct slice child = text;
	const struct log_rule *rule = NULL;
	if (read_queue_id(&child, &seen->new_queue_id)) {
		rule = log_rule_apply(sendmail_child_rules, child, seen);
		if (rule == NULL)
			seen->new_queue_id = SLICE_NONE;
	}
	if (rule == NULL)
		rule = log_rule_apply(sendmail_message_rules, text, seen);
	set_rule(seen, rule, text, "said of a message");
}

/* Value of "\351" at the start, or -1. Only 8-bit bytes: control characters stay readable. */
static int octal(struct slice s)
{
	if (s.n < 4 || s.p[0] != '\\' || s.p[1] < '2' || s.p[1] > '3' || s.p[2] < '0' ||
	        s.p[2] > '7' || s.p[3] < '0' || s.p[3] > '7')
		return -1;
	return (s.p[1] - '0') * 64 + (s.p[2] - '0') * 8 + (s.p[3] - '0');
}

/* util.c xputs and syslog write 8-bit bytes as \ooo. They become UTF-8 again where they are it;
 * other text stays as logged, which tells more than a replacement character. Nothing grows, and
 * each byte of a line is read once, so that the line's length is room enough. */
static void decode(struct slice *s, GString *room)
{
	if (s->n < 4 || slice_chr(*s, '\\') < 0)
		return;
	size_t start = room->len;
	for (size_t i = 0; i < s->n; i++) {
		int byte = octal(slice_from(*s, i));
		if (byte >= 0)
			i += 3;
		if (room->len + 1 >= room->allocated_len)
			return;
		g_string_append_c(room, byte >= 0 ? (gchar)byte : s->p[i]);
	}
	size_t n = room->len - start;
	if (n < s->n && g_utf8_validate(room->str + start, (gssize)n, NULL))
		*s = slice_make(room->str + start, n);
	else
		g_string_truncate(room, start);
}

/* The list of a `to=` line: the first recipient now, the rest by further calls. */
static bool begin_list(struct dialect_line *in, struct observation *seen)
{
	bool list = seen->kind == OBSERVATION_ATTEMPT || seen->kind == OBSERVATION_ACTIVE;

	if (!list || seen->to.p == NULL)
		return false;
	in->rest = seen->to;
	sendmail_next_recipient(&in->rest, &seen->to);
	return in->rest.n > 0;
}

static bool sendmail_read(struct dialect_line *in, struct observation *seen)
{
	struct slice text = slice_trim(in->line->text);
	bool more = false;

	if (in->given == 0) {
		seen->service = in->daemon;
		read_line(text, seen);
		more = begin_list(in, seen);
		decode(&seen->from, in->text);
		decode(&seen->ctladdr, in->text);
		decode(&seen->reason, in->text);
		decode(&seen->message_id, in->text);
		/* A message that is given up was told to its sender by another one. */
		more |= seen->kind == OBSERVATION_EXPIRED && seen->new_queue_id.n > 0;
	} else if (seen->kind == OBSERVATION_EXPIRED) {
		seen->kind = OBSERVATION_CHILD;
	} else {
		sendmail_next_recipient(&in->rest, &seen->to);
		more = in->rest.n > 0;
	}
	decode(&seen->to, in->text);
	return more;
}

/* The names under which Sendmail is started, as sendmail -L and the distributions give them:
 * sm-mta, sm-msp-queue, sm-acceptingconnections, sendmail-in. */
static bool sendmail_speaks(struct slice program, struct slice *daemon_r)
{
	*daemon_r = program;
	return slice_eq(program, SLICE("sendmail")) || slice_starts(program, SLICE("sm-")) ||
	       slice_starts(program, SLICE("sendmail-"));
}

const struct dialect sendmail_dialect = {"sendmail", sendmail_speaks, sendmail_read};
