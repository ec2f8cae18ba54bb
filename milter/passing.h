/* A mail that may be a report (a bounce, a complaint), kept while it goes through the milter, in
 * the form in which it would lie in a mailbox. All others are let go at their first body chunk. */
#ifndef PW_MILTER_PASSING_H
#define PW_MILTER_PASSING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Bytes of one mail, header and body; and of all mails that are kept at one time. */
#define PASSING_BYTES_MAX (4 * 1024 * 1024)
#define PASSING_TOTAL_MAX (64 * 1024 * 1024)

struct passing {
	GString *text;  /* NULL = nothing is kept */
	gint *total;    /* bytes that all mails keep, shared */
	bool addressed; /* to an address that reports come to */
	bool report;    /* by its sender or its content type */
	bool own;       /* its client is one of ours: only what is addressed counts */
	bool body;      /* the header has ended */
	bool full;      /* no more room, for it or at all */
	unsigned recipients;
};

/* All that follows does nothing to one that has not begun. `total` outlives it. */
void passing_begin(struct passing *passing, gint *total);
void passing_clear(struct passing *passing);

/* The lines that our server would put in front of it. */
void passing_sender(struct passing *passing, const char *address, bool own);
void passing_recipient(struct passing *passing, const char *address, bool addressed);
void passing_received(
        struct passing *passing, const char *helo, const char *ip, const char *node, int64_t now);

void passing_header(struct passing *passing, const char *name, const char *value);

/* False when no more of the body is wanted: the mail is none, or there is no more room. */
bool passing_body(struct passing *passing, struct slice chunk);

/* Whether it may be a report, when its header is there. */
bool passing_may_be_report(const struct passing *passing);

/* Takes the text out. */
GString *passing_take(struct passing *passing);

#endif
