/* The Postfix dialect: whose line it is, whether it is about a message, which rule fits. The rules
 * are in postfix_rules.c. */

#include "logtail/postfix.h"

#include <glib.h>

#include "event/base52.h"

/* global/mail_queue.h, long form: six characters or more of seconds and four of microseconds, base
 * 52 (digits and consonants, 'z' too), then 'z' and the inode, base 51 (without 'z'). */
#define LONG_TIME 10

static bool is_long_id(struct slice id)
{
	ptrdiff_t z = slice_rchr(id, 'z');

	if (z < LONG_TIME || z > LONG_TIME + 2 || (size_t)z + 1 >= id.n)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (base52_digit[(unsigned char)id.p[i]] == 0)
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

/* Cuts "WORD: " off, WORD being letters and digits; false when the text does not begin so. */
static bool read_word(struct slice *text, struct slice *word_r)
{
	size_t n = 0;

	while (n < text->n && n < 32 && g_ascii_isalnum(text->p[n]))
		n++;
	if (n < 5 || n + 1 >= text->n || text->p[n] != ':' || text->p[n + 1] != ' ')
		return false;
	*word_r = slice_head(*text, n);
	*text = slice_from(*text, n + 2);
	return true;
}

/* Anonymisers write queue ids such as XXXXXXXX: taken for one where what follows is a fact. */
static bool maybe_queue_id(struct slice id)
{
	for (size_t i = 0; i < id.n; i++)
		if (g_ascii_isupper(id.p[i]) || g_ascii_isdigit(id.p[i]))
			return true;
	return false;
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

/* `fact`: what a line is that no rule knows. */
static void set_rule(struct observation *seen, const struct log_rule *rule, bool fact)
{
	if (rule != NULL) {
		seen->kind = rule->kind;
		seen->rule = rule->name;
	} else {
		seen->kind = fact ? OBSERVATION_UNPARSED : OBSERVATION_NONE;
		seen->rule = fact ? "" : "without queue id and fields";
	}
}

/* "ID: text"; false when it is no such line. */
static bool read_message_line(struct slice text, struct observation *seen)
{
	struct slice id;

	if (!read_word(&text, &id) || slice_eq(id, SLICE("NOQUEUE")))
		return false;
	bool certain = postfix_queue_id(id);
	if (!certain && !maybe_queue_id(id))
		return false;
	seen->queue_id = id;
	const struct log_rule *rule = log_rule_apply(postfix_message_rules, text, seen);
	if (!certain && (rule == NULL || rule->kind == OBSERVATION_NOTE)) {
		seen->queue_id = SLICE_NONE;
		return false;
	}
	set_rule(seen, rule, true);
	return true;
}

static bool postfix_read(struct dialect_line *in, struct observation *seen)
{
	struct slice text = slice_trim(in->line->text);

	seen->service = in->daemon;
	if (read_message_line(text, seen))
		return false;
	bool noqueue = slice_skip(&text, SLICE("NOQUEUE: "));
	const struct log_rule *rule = log_rule_apply(postfix_plain_rules, text, seen);
	set_rule(seen, rule, rule == NULL && (noqueue || looks_like_fact(text)));
	return false;
}

/* syslog_name/daemon, syslog_name/service/daemon, with a daemon that we know: postfixadmin and its
 * like are none. "postfix" alone, or "postfix-out" of an instance, where the daemon was cut off
 * (rsyslog's RFC 5424 form), and "postfix-script" of old versions. Of postfix-policyd and other
 * helpers the rules know no line. */
static bool postfix_speaks(struct slice program, struct slice *daemon_r)
{
	ptrdiff_t slash = slice_rchr(program, '/');

	*daemon_r = SLICE_NONE;
	if (slash < 0 && !slice_eq(program, SLICE("postfix-script")))
		return slice_eq(program, SLICE("postfix")) ||
		       slice_starts(program, SLICE("postfix-"));
	*daemon_r = slice_from(program, (size_t)(slash + 1));
	return postfix_daemon_known(*daemon_r);
}

const struct dialect postfix_dialect = {"postfix", postfix_speaks, postfix_read};
