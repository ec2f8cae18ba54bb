#include "logtail/lines.h"

#include <glib.h>

#include "logtail/loss.h"

/* Hosts whose last line is remembered: more means that host names are made up. */
#define MOST_HOSTS 4096

static const struct dialect *const dialects[] = {&postfix_dialect, &sendmail_dialect};

/* The last line of a host, for "last message repeated N times". */
struct last_line {
	char *host;
	char *node;     /* host name without domain, in lower case */
	bool known;     /* there was one, and it is an MTA's */
	GString *bytes; /* program, pid, text */
	size_t program, pid;
};

struct line_reader {
	struct syslog_clock *clock;
	char *node;
	char *instance;
	GHashTable *hosts;      /* host name as logged -> last_line */
	struct last_line *last; /* of the host of the line before */
	GString *text;          /* see dialect_line */
};

static void last_line_free(gpointer data)
{
	struct last_line *last = data;

	g_free(last->host);
	g_free(last->node);
	g_string_free(last->bytes, TRUE);
	g_free(last);
}

struct line_reader *line_reader_new(const struct line_reader_config *config, struct error *err)
{
	struct syslog_clock *clock = syslog_clock_new(config->zone, config->not_after, err);

	if (clock == NULL)
		return NULL;
	struct line_reader *reader = g_new0(struct line_reader, 1);
	reader->clock = clock;
	reader->node = g_strdup(config->node);
	reader->instance = g_strdup(config->instance);
	reader->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, last_line_free);
	reader->text = g_string_new(NULL);
	return reader;
}

void line_reader_free(struct line_reader **reader)
{
	if (reader == NULL || *reader == NULL)
		return;
	syslog_clock_free(&(*reader)->clock);
	g_hash_table_unref((*reader)->hosts);
	g_string_free((*reader)->text, TRUE);
	g_free((*reader)->node);
	g_free((*reader)->instance);
	g_clear_pointer(reader, g_free);
}

struct syslog_clock *line_reader_clock(struct line_reader *reader)
{
	return reader->clock;
}

/* The host name without its domain, in lower case; an address stays whole. */
static char *node_of_host(const char *host)
{
	bool address = strchr(host, ':') != NULL || strspn(host, "0123456789.") == strlen(host);
	const char *dot = address ? NULL : strchr(host, '.');

	return g_ascii_strdown(host, dot != NULL ? dot - host : -1);
}

static struct last_line *find_host(struct line_reader *reader, struct slice host)
{
	struct last_line *last = reader->last;

	if (last != NULL && slice_eq(slice_str(last->host), host))
		return last;
	g_autofree char *name = g_strndup(host.n > 0 ? host.p : "", host.n);
	last = g_hash_table_lookup(reader->hosts, name);
	if (last == NULL) {
		if (g_hash_table_size(reader->hosts) >= MOST_HOSTS)
			g_hash_table_remove_all(reader->hosts);
		last = g_new0(struct last_line, 1);
		last->node = node_of_host(name);
		last->host = g_steal_pointer(&name);
		last->bytes = g_string_new(NULL);
		g_hash_table_insert(reader->hosts, last->host, last);
	}
	reader->last = last;
	return last;
}

static void remember(struct last_line *last, const struct syslog_line *line)
{
	const struct slice parts[] = {line->program, line->pid, line->text};
	size_t n = line->program.n + line->pid.n + line->text.n;

	g_string_set_size(last->bytes, n);
	n = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (parts[i].n > 0)
			memcpy(last->bytes->str + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	last->program = line->program.n;
	last->pid = line->pid.n;
	last->known = true;
}

/* The host's last line again, at the time of `line` and as often as this says. */
static void recall(const struct last_line *last, struct syslog_line *line)
{
	struct slice bytes = slice_make(last->bytes->str, last->bytes->len);

	line->program = slice_head(bytes, last->program);
	bytes = slice_from(bytes, last->program);
	line->pid = slice_head(bytes, last->pid);
	line->text = slice_from(bytes, last->pid);
}

/* The syslog_name, where it tells instances apart. */
static struct slice instance_of(const struct line_reader *reader, struct slice program)
{
	static const char *const plain[] = {"postfix", "sendmail", "postfix-script"};

	if (reader->instance != NULL)
		return slice_str(reader->instance);
	struct slice name = slice_cut(&program, '/');
	for (size_t i = 0; i < G_N_ELEMENTS(plain); i++)
		if (slice_eq(name, slice_str(plain[i])))
			return SLICE("");
	bool cut = slice_starts(name, SLICE("postfix-")); /* see postfix_speaks */
	return program.n > 0 || cut ? name : SLICE("");
}

static const struct dialect *find_dialect(struct slice program, struct slice *daemon_r)
{
	for (size_t i = 0; i < G_N_ELEMENTS(dialects); i++)
		if (program.n > 0 && dialects[i]->speaks(program, daemon_r))
			return dialects[i];
	return NULL;
}

static void give(struct observation *seen, const struct syslog_line *line, const char *rule,
        void (*observed)(void *ctx, const struct observation *seen), void *ctx)
{
	seen->rule = rule;
	if (line != NULL) {
		seen->line.time = line->time;
		seen->line.program = line->program;
		seen->line.pid = line->pid;
		seen->line.text = slice_trim(line->text);
	}
	observed(ctx, seen);
}

/* Repeated more often than any syslog daemon would let it be: not counted, but kept. */
static struct observation unbelieved(const struct observation *seen)
{
	struct observation instead = OBSERVATION_INIT;

	instead.kind = OBSERVATION_UNPARSED;
	instead.line = seen->line;
	instead.rule = "repeated too often";
	return instead;
}

static void read_all(struct line_reader *reader, const struct dialect *dialect,
        const struct syslog_line *line, struct slice daemon, struct observation *seen,
        void (*observed)(void *ctx, const struct observation *seen), void *ctx)
{
	struct dialect_line in = {.line = line, .daemon = daemon, .text = reader->text};
	bool more;

	g_string_set_size(reader->text, line->text.n);
	g_string_truncate(reader->text, 0);
	do {
		more = dialect->read(&in, seen);
		if (line->repeat > OBSERVATION_REPEAT_MAX && seen->kind != OBSERVATION_NONE) {
			*seen = unbelieved(seen);
			more = false;
		}
		give(seen, line, seen->rule, observed, ctx);
		in.given++;
	} while (more);
}

void line_reader_entry(struct line_reader *reader, const struct syslog_line *entry,
        void (*observed)(void *ctx, const struct observation *seen), void *ctx)
{
	struct observation seen = OBSERVATION_INIT;
	struct syslog_line line = *entry;
	struct last_line *last = find_host(reader, line.host);
	struct slice daemon;

	seen.line.node = slice_str(reader->node != NULL ? reader->node : last->node);
	if (line.repeats_last) {
		if (!last->known) {
			give(&seen, &line, "repeats a line of no MTA", observed, ctx);
			return;
		}
		recall(last, &line);
	}
	const struct dialect *dialect = find_dialect(line.program, &daemon);
	if (dialect == NULL) {
		last->known = false;
		if (loss_is_notice(line.program, line.text)) {
			seen.kind = OBSERVATION_LOSS;
			seen.reason = line.text;
		}
		give(&seen, &line, seen.kind == OBSERVATION_LOSS ? "lines lost" : "not an MTA",
		        observed, ctx);
		return;
	}
	if (!line.repeats_last)
		remember(last, &line);
	seen.repeat = line.repeat;
	seen.line.instance = instance_of(reader, line.program);
	read_all(reader, dialect, &line, daemon, &seen, observed, ctx);
}

/* A line in a form of time stamp that we do not know must not vanish when it is an MTA's. */
static bool names_mta(struct slice line)
{
	return slice_find(line, SLICE("postfix/")) >= 0 ||
	       slice_find(line, SLICE("sendmail[")) >= 0 || slice_find(line, SLICE("sm-mta[")) >= 0;
}

void line_reader_read(struct line_reader *reader, struct slice line,
        void (*observed)(void *ctx, const struct observation *seen), void *ctx)
{
	struct syslog_line entry;

	if (syslog_parse(reader->clock, line, &entry) == 1) {
		line_reader_entry(reader, &entry, observed, ctx);
		return;
	}
	struct observation seen = OBSERVATION_INIT;
	if (names_mta(line))
		seen.kind = OBSERVATION_UNPARSED;
	seen.line.node = slice_str(reader->node != NULL ? reader->node : "");
	seen.line.instance = slice_str(reader->instance != NULL ? reader->instance : "");
	give(&seen, NULL, line.n > 0 ? "not a syslog line" : "empty line", observed, ctx);
}
