/* What a mail that came in says about mails that went out: bounces (RFC 3464, RFC 6533 and the free
 * text of many servers), complaints (RFC 5965 and its forerunners), requests to be taken off a list
 * (RFC 2369, RFC 8058), answers of machines. */
#ifndef PW_MIME_REPORT_H
#define PW_MIME_REPORT_H

#include <glib.h>

#include "base/slice.h"

/* Bytes of a mail that are looked at; what follows is a returned message that went on for long. */
#define REPORT_BYTES_MAX (4 * 1024 * 1024)
/* Recipients of one report. */
#define REPORT_RECIPIENTS_MAX 1000

enum report_kind {
	REPORT_NONE,        /* an ordinary mail, a delay notice, a receipt: no event */
	REPORT_BOUNCE,      /* was not delivered, finally */
	REPORT_AUTO_REPLY,  /* away from the office */
	REPORT_CHALLENGE,   /* asks the sender to prove himself */
	REPORT_COMPLAINT,   /* called spam by its reader */
	REPORT_UNSUBSCRIBE, /* its reader wants no more */
};

/* Texts of a report, absent = NULL; in UTF-8 where they come from headers. */
enum report_text {
	REPORT_ID,              /* its own Message-ID, without <> */
	REPORT_DATE,            /* its Date, as written */
	REPORT_FROM,            /* address in its From */
	REPORT_RETURN_PATH,     /* its envelope sender, "" = the null sender */
	REPORT_MTA,             /* who reports: Reporting-MTA without its type */
	REPORT_ENVELOPE_ID,     /* Original-Envelope-Id (RFC 3461 ENVID) */
	REPORT_QUEUE_ID,        /* at the reporting MTA */
	REPORT_ORIGINAL_ID,     /* Message-ID of the original, without <> */
	REPORT_ORIGINAL_FROM,   /* address in its From */
	REPORT_ORIGINAL_SENDER, /* its envelope sender */
	REPORT_ORIGINAL_SUBJECT,
	REPORT_ORIGINAL_HEADERS, /* its header block, as returned */
	REPORT_FBTYPE,           /* abuse, fraud, … (RFC 5965, 3.1) */
	REPORT_BY,               /* who made the complaint's report: host or domain */
	REPORT_TO,               /* domain that it was sent to */
	REPORT_USER_STR,         /* User-Agent of the complaint's report */
	REPORT_TEXTS
};

struct report_recipient {
	char *address;    /* as written; NULL where the report names nobody */
	char *original;   /* Original-Recipient, which the sender wrote; NULL */
	char *action;     /* failed, delayed, …; NULL */
	char *status;     /* 5.1.1; NULL */
	char *code;       /* SMTP reply code; NULL */
	char *diagnostic; /* in one line; NULL */
	char *mta;        /* host that refused it; NULL */
};

struct report {
	enum report_kind kind;
	const char *form;      /* name of the recogniser, for people; never NULL */
	int64_t time;          /* ms, when our server took it, else its Date; 0 = not told */
	GPtrArray *recipients; /* of struct report_recipient */
	GPtrArray *sent_to;    /* of char *: addresses that the report itself was sent to */
	GPtrArray *original_queue_ids; /* of char *: from the Received lines of the original */
	char *text[REPORT_TEXTS];
};

/* What addresses are for: NULL-ended patterns of the whole address in lower case where '*' is any
 * text. */
struct report_config {
	/* Take requests to be taken off a list; NULL = go by the usual names and subjects. */
	const char *const *unsubscribe;
	/* Feedback loops write to these: a returned message is a complaint there, however it came.
	 * NULL = none. */
	const char *const *feedback;
};

/* Reads a mail as it stands in a file: line ends of any kind, a "From " line in front, cut off
 * anywhere. Never fails: what is no report is REPORT_NONE. mime_init must have been called;
 * thread-safe. */
struct report *report_parse(struct slice mail, const struct report_config *config);
void report_free(struct report **report);

#endif
