/* The Postfix dialect: whose line it is, whether it is about a message, which rule fits. The rules
 * are in postfix_rules.c. */

#include "logtail/postfix.h"

#include <glib.h>

/* global/mail_queue.h, long form: six characters or more of seconds and four of microseconds, base
 * 52 (digits and consonants, 'z' too), then 'z' and the inode, base 51 (without 'z'). */
#define LONG_TIME 10

static bool is_base52(char c)
{
	return g_ascii_isalnum(c) && memchr("AEIOUaeiou", c, 10) == NULL;
}

static bool is_long_id(struct slice id)
{
	ptrdiff_t z = slice_rchr(id, 'z');

	if (z < LONG_TIME || z > LONG_TIME + 2 || (size_t)z + 1 >= id.n)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!is_base52(id.p[i]))
			return false;
	return true;
}

/* Short form: five hex digits of microseconds, then the inode in hex. */
static bool is_short_id(struct slice id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!g_ascii_isdigit(id.p[i]) && (id.p[i] < 'A' || id.p[i] > 'F'))
			return false;
	return true;
}

bool postfix_queue_id(struct slice id)
{
	return id.n >= 6 && id.n <= 30 && (is_short_id(id) || is_long_id(id));
}

/* Cuts "ID: " off; false when the text does not begin with a queue id. */
static bool read_queue_id(struct slice *text, struct slice *id_r)
{
	size_t n = 0;

	while (n < text->n && n < 32 && g_ascii_isalnum(text->p[n]))
		n++;
	if (n + 1 >= text->n || text->p[n] != ':' || text->p[n + 1] != ' ')
		return false;
	struct slice id = slice_head(*text, n);
	if (!postfix_queue_id(id))
		return false;
	*id_r = id;
	*text = slice_from(*text, n + 2);
	return true;
}

/* The first rule that fits, having read the line; NULL when none does. */
static const struct postfix_rule *apply(
        const struct postfix_rule *rules, struct slice text, struct observation *seen)
{
	if (text.n == 0)
		return NULL;
	const struct observation before = *seen;
	for (const struct postfix_rule *rule = rules; rule->name != NULL; rule++) {
		if (rule->starts.p[0] != text.p[0] || !slice_starts(text, rule->starts))
			continue;
		struct slice rest = slice_from(text, rule->starts.n);
		if (rule->holds.n > 0 && slice_find(rest, rule->holds) < 0)
			continue;
		if (rule->read == NULL || rule->read(rest, seen))
			return rule;
		*seen = before;
	}
	return NULL;
}

/* A line that no rule knows may tell something about a message all the same: it is kept as
 * unparsed. Others are the chatter of `-v` and of third parties. */
static bool looks_like_fact(struct slice text)
{
	static const char *const starts[] = {"to=", "from=", "uid=", "orig_to=", "status="};

	for (size_t i = 0; i < G_N_ELEMENTS(starts); i++)
		if (slice_starts(text, slice_str(starts[i])))
			return true;
	return slice_find(text, SLICE(", status=")) >= 0;
}

static void set_unknown(struct observation *seen, bool fact)
{
	seen->kind = fact ? OBSERVATION_UNPARSED : OBSERVATION_NONE;
	seen->rule = fact ? "" : "without queue id and fields";
}

static void postfix_read(
        const struct syslog_line *line, struct slice daemon, struct observation *seen)
{
	struct slice text = slice_trim(line->text);
	const struct postfix_rule *rule;
	bool fact = true;

	seen->service = daemon;
	if (read_queue_id(&text, &seen->queue_id)) {
		rule = apply(postfix_message_rules, text, seen);
	} else {
		fact = slice_skip(&text, SLICE("NOQUEUE: "));
		rule = apply(postfix_plain_rules, text, seen);
		fact = fact || looks_like_fact(text);
	}
	if (rule == NULL) {
		set_unknown(seen, fact);
		return;
	}
	seen->kind = rule->kind;
	seen->rule = rule->name;
}

/* syslog_name/daemon, syslog_name/service/daemon; "postfix" alone where the daemon was cut off, and
 * "postfix-script" of old versions. Another syslog_name needs a daemon that we know. */
static bool postfix_speaks(struct slice program, struct slice *daemon_r)
{
	ptrdiff_t slash = slice_rchr(program, '/');
	bool named = slice_starts(program, SLICE("postfix"));

	*daemon_r = SLICE_NONE;
	if (slash < 0) {
		if (slice_eq(program, SLICE("postfix-script")))
			*daemon_r = program;
		return named;
	}
	*daemon_r = slice_from(program, (size_t)slash + 1);
	return named || postfix_daemon_known(*daemon_r);
}

const struct dialect postfix_dialect = {"postfix", postfix_speaks, postfix_read};
