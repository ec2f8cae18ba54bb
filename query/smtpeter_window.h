/* The parameters of SMTPeter's calls: which days, and which tags (contract, 7). */
#ifndef PW_QUERY_SMTPETER_WINDOW_H
#define PW_QUERY_SMTPETER_WINDOW_H

#include "query/fault.h"
#include "query/uri.h"

struct smtpeter_query {
	struct search search; /* from, to and tags; its lists point into `tags` */
	bool start_given, end_given;
	int64_t start, end; /* days since 1970-01-01 UTC */
	GPtrArray *tags;
};

/* Reads start, end and, with take_tags, tags; more_tags: further tags, joined by ';', or NULL. 0,
 * or -1 with at least one fault. To be cleared in both cases. */
int smtpeter_read(const struct uri *uri, const char *more_tags, bool take_tags,
        struct smtpeter_query *query_r, struct faults *faults);
void smtpeter_query_clear(struct smtpeter_query *query);

/* Works the window out: at most a month, by the calendar, a day that the other month has not being
 * its last. Without start and end it is the month that begins with the day of `time` (ms), or the
 * one that ends with it. */
void smtpeter_window(struct smtpeter_query *query, int64_t time, bool begins);

#endif
