/* One syslog line: header fields and the message. No allocation: slices into the line. */
#ifndef PW_LOGTAIL_SYSLOG_H
#define PW_LOGTAIL_SYSLOG_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Turns time stamps into ms: knows the time zone of the source and remembers the line before, which
 * decides the year of BSD stamps and the side of a DST overlap (design, 5). One per source. */
struct syslog_clock;

/* `zone`: IANA name, NULL = the system's. `not_after` (ms): the first stamp without a year is the
 * latest valid date not after this (a few minutes of grace), and no later one lies more than a day
 * behind it; 0 = the present at that moment, which is right for a log that is followed live. Lines
 * before a leap day are not corrected by it: "Feb 28" and "Feb 29" of a file of 2024 that was last
 * touched in 2026 are of 2026 and 2024. NULL with *err for an unknown zone. */
struct syslog_clock *syslog_clock_new(const char *zone, int64_t not_after, struct error *err);
void syslog_clock_free(struct syslog_clock **clock);

/* The last stamp given, ms, 0 = none yet; and setting it (after a restart, from the position). */
int64_t syslog_clock_last(const struct syslog_clock *clock);
void syslog_clock_set_last(struct syslog_clock *clock, int64_t ms);

struct syslog_line {
	int64_t time;         /* ms UTC */
	struct slice host;    /* as logged */
	struct slice program; /* the tag without pid: postfix/smtpd, postfix-out/submission/smtpd */
	struct slice pid;
	struct slice text; /* behind the tag, one leading blank removed; "[ID 123 mail.info]" too */
	unsigned repeat; /* of "message repeated N times: [ text ]": N, with text inside; else 1 */
	bool repeats_last; /* "last message repeated N times": the last line of this host, N times
	                    */
};

/* 1 and *out filled; 0 when the line has no syslog header that we know (BSD RFC 3164, RFC 3339
 * stamp, RFC 5424, with or without <PRI>). */
int syslog_parse(struct syslog_clock *clock, struct slice line, struct syslog_line *out);

#endif
