/* From a syslog line to an observation: the dialects of the MTAs and their rule tables. */
#ifndef PW_LOGTAIL_LINES_H
#define PW_LOGTAIL_LINES_H

#include <glib.h>

#include "event/observation.h"
#include "logtail/syslog.h"

/* A source's reader: dialect state (last line of each host for "last message repeated"), node and
 * instance names, and the buffers that unescaped text needs. */
struct line_reader;

struct line_reader_config {
	const char *node;     /* NULL: host name of the line without domain, in lower case */
	const char *instance; /* NULL: the syslog_name before the first '/', when it is not
	                 "postfix" or "sendmail"; else "" */
	const char *zone;     /* IANA name; NULL = system */
	int64_t not_after;    /* see syslog_clock_new */
};

struct line_reader *line_reader_new(const struct line_reader_config *config, struct error *err);
void line_reader_free(struct line_reader **reader);
struct syslog_clock *line_reader_clock(struct line_reader *reader);

/* Reads one line (without its newline) and calls `observed` once, or where the line tells several
 * facts (Sendmail names many recipients in one) once for each, with what it tells: where it tells
 * nothing, kind NONE and the name of the rule that says so, or UNPARSED. Its slices live during the
 * call. */
void line_reader_read(struct line_reader *reader, struct slice line,
        void (*observed)(void *ctx, const struct observation *seen), void *ctx);

/* The same for an entry that has no syslog header, such as one of the journal. */
void line_reader_entry(struct line_reader *reader, const struct syslog_line *entry,
        void (*observed)(void *ctx, const struct observation *seen), void *ctx);

/* A line as a dialect reads it. */
struct dialect_line {
	const struct syslog_line *line;
	struct slice daemon;
	unsigned given;    /* observations of this line so far */
	struct slice rest; /* what the next ones are made of; the dialect's own */
	GString *text;     /* for texts that are not as logged; has room for line->text.n bytes, so
	                    that slices of it stay where they are */
};

/* What a dialect is: a table of them is in lines.c. */
struct dialect {
	const char *name;
	/* Whether lines of this program are the MTA's: its daemon name ("smtpd") is put in
	 * *daemon_r. */
	bool (*speaks)(struct slice program, struct slice *daemon_r);
	/* Fills *seen; true: the line tells more, to be read by another call with the same *seen.
	 */
	bool (*read)(struct dialect_line *line, struct observation *seen);
};
extern const struct dialect postfix_dialect;
extern const struct dialect sendmail_dialect;

#endif
