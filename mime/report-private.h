/* Shared by the readers of reports: the parts of a mail, header blocks, recognisers. */
#ifndef PW_MIME_REPORT_PRIVATE_H
#define PW_MIME_REPORT_PRIVATE_H

#include "mime/report.h"

/* ---- report_parts.c: the MIME structure, flattened ---- */

enum part_kind {
	PART_TEXT,
	PART_HTML,        /* as text */
	PART_STATUS,      /* message/delivery-status */
	PART_FEEDBACK,    /* message/feedback-report */
	PART_DISPOSITION, /* message/disposition-notification */
	PART_ORIGINAL,    /* the header of the returned message */
};

struct part {
	enum part_kind kind;
	char *text; /* UTF-8 where its charset is known, else raw bytes; lines end in \n */
};

struct parts {
	char *header;  /* header block of the mail, lines end in \n */
	char *subject; /* decoded; never NULL */
	GPtrArray *list;
};

struct parts *parts_read(struct slice mail);
void parts_free(struct parts **parts);
/* The first part of a kind, or NULL. */
const char *parts_find(const struct parts *parts, enum part_kind kind);

/* ---- report_fields.c: header blocks and what stands in them ---- */

/* The value of a header field of a block, unfolded and trimmed; NULL where it has none. */
char *fields_get(const char *block, const char *name);
/* Calls `value` for each field of that name, in order. */
void fields_each(
        const char *block, const char *name, void (*value)(void *ctx, const char *text), void *ctx);
/* The first address in a text, without <>; NULL. */
char *text_address(const char *text);
/* "rfc822; <a@b>" (RFC 3464, 2.3.1), with xtext and UTF-8 forms undone (RFC 3461, 6533); NULL. */
char *typed_address(const char *text);
/* "dns; mail.example.com" without its type; NULL where it is empty. */
char *typed_name(const char *text);
/* The first, or the most telling, enhanced status code in a text; NULL. */
char *text_status(const char *text);
/* The same, but for codes that say only that time ran out (X.4.7); NULL. */
char *text_status_behind_expiry(const char *text);
/* The first SMTP reply code of class 4 or 5 that stands where one would; NULL. */
char *text_reply_code(const char *text);
/* One line of what may be many, blanks squeezed, at most `most` bytes. */
char *text_one_line(const char *text, size_t most);

/* Compiled on first use, with a limit on backtracking; patterns are literals. ASCII case ignored,
 * bytes raw. */
struct pattern {
	const char *text;
	GRegex *regex;
	gsize once;
};
bool pattern_matches(struct pattern *pattern, const char *text);
/* Group 1 (and 2) of the first match; false without match. Either may be NULL. */
bool pattern_take(struct pattern *pattern, const char *text, char **first_r, char **second_r);

#define ADDRESS_PATTERN \
	"((?:\"[^\"\\n<>]{1,64}\"|[^\\s<>()\\[\\]\",;:|'`\\\\]{1,128})@" \
	"[A-Za-z0-9\\x80-\\xff](?:[A-Za-z0-9\\x80-\\xff._-]{0,250}[A-Za-z0-9\\x80-\\xff])?)"

/* Between < and > more can be told to be an address: quoted parts, an address for the domain. */
#define ANGLED_PATTERN \
	"((?:\"[^\"\\n<>]{1,64}\"|[^\\s<>\",;:|`\\\\]){1,128}@" \
	"(?:\\[[0-9A-Za-z.:]{3,60}\\]|[A-Za-z0-9\\x80-\\xff]" \
	"(?:[A-Za-z0-9\\x80-\\xff._-]{0,250}[A-Za-z0-9\\x80-\\xff])?))"

/* ---- the readers: each true when the mail is of its kind, and *report is filled then ---- */

bool report_read_feedback(const struct parts *parts, const struct report_config *config,
        struct report *report);                                               /* report_arf.c */
bool report_read_status(const struct parts *parts, struct report *report);    /* report_dsn.c */
bool report_read_rejection(const struct parts *parts, struct report *report); /* report_dsn.c */
bool report_read_text(const struct parts *parts, struct report *report);      /* report_text.c */
bool report_read_answer(const struct parts *parts, struct report *report);    /* report_answer.c */
bool report_read_unsubscribe(const struct parts *parts, const struct report_config *config,
        struct report *report); /* report_answer.c */

/* report_text.c: the text for people, read once for all recipients of a status part, which stay
 * the caller's and are what an index counts. */
struct words;
struct words *words_open(const struct parts *parts, const GPtrArray *recipients);
/* What it says of one of them, of that one only; NULL where it says nothing. */
char *words_about(const struct words *words, guint me, const char *address);
void words_close(struct words **words);
/* The one recipient that it names; NULL where it names none, or several. */
char *text_only_recipient(const struct parts *parts);

/* report_dsn.c: the per-recipient groups of a status text (RFC 3464, 2.3), appended. */
void status_groups(const char *text, GPtrArray *recipients);

/* report_signs.c: what the outside and the words of a mail say. */
bool signs_of_bounce(const struct parts *parts, const char *text);
bool signs_of_delay(const struct parts *parts, const char *text);
/* Of mail that arrived, in the words of a server. */
bool signs_of_success(const struct parts *parts, const char *text);
/* Of a server or a null sender, which people's programs have too; of a server alone. */
bool signs_of_daemon(const struct parts *parts);
bool signs_of_server(const struct parts *parts);
bool signs_of_list(const struct parts *parts);

/* report_original.c */
void original_read(struct report *report, const char *header);
/* Where the copy of the original begins in the lines of a text; their number where it has none. */
guint original_begin(char **lines);

/* report.c */
void report_init(struct report *report);
struct report_recipient *report_add(struct report *report, char *address);
void report_set(struct report *report, enum report_text text, char *value);
/* Whether the report came to an address of the patterns (NULL = none). */
bool report_sent_to(const struct report *report, const char *const *patterns);

#endif
