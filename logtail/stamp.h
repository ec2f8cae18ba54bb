/* Time stamps at the beginning of a syslog line; used by syslog.c only. */
#ifndef PW_LOGTAIL_STAMP_H
#define PW_LOGTAIL_STAMP_H

#include "logtail/syslog.h"

/* Reads a stamp that begins `line`: BSD "Nov  2 03:04:05" (RFC 3164; also a day without its blank,
 * a fraction, a year before or behind the date) or RFC 3339 "2026-11-02T03:04:05.678+01:00" (any
 * fraction; without an offset in the clock's zone). Returns its length, 0 when there is none or
 * when it is no date, and the time in *ms_r; the clock remembers it as the last one. */
size_t stamp_read(struct syslog_clock *clock, struct slice line, int64_t *ms_r);

#endif
