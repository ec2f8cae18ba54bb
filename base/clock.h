/* Time: milliseconds since 1970-01-01 UTC in an int64_t, everywhere in postwake. */
#ifndef PW_BASE_CLOCK_H
#define PW_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define CLOCK_SECOND INT64_C(1000)
#define CLOCK_MINUTE (60 * CLOCK_SECOND)
#define CLOCK_HOUR (60 * CLOCK_MINUTE)
#define CLOCK_DAY (24 * CLOCK_HOUR)

enum clock_form {
	CLOCK_OFFSET,  /* 2016-04-18T14:25:07.000+00:00, `timestamp` of API v1 */
	CLOCK_ZULU,    /* 2016-04-18T14:25:07.000Z */
	CLOCK_SECONDS, /* 2016-04-18T14:25:07Z, `from` and `to` of the Events API */
	CLOCK_MINUTES, /* 2016-04-18T14:25 */
	CLOCK_DATE,    /* 2016-04-18 */
};
#define CLOCK_TEXT_MAX 32

/* Wall clock now, ms. */
int64_t clock_now(void);

/* The clock that nobody sets, ms: the time since the machine was started, also that of its sleep.
 */
int64_t clock_boot(void);

/* Both at one moment, so that their difference means something: reads again where the thread was
 * held between them. */
void clock_both(int64_t *now_r, int64_t *boot_r);

/* Makes a condition whose waits end by the clock that is never set (CLOCK_MONOTONIC, that of
 * g_get_monotonic_time). POSIX's, for thread sanitizers do not understand GLib's. */
void clock_cond_init(pthread_cond_t *cond);
/* Waits for such a condition until that clock says `until`, in us. False when it does. */
bool clock_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until);

/* Writes `ms` as UTC text ended by NUL; returns its length. */
size_t clock_format(int64_t ms, enum clock_form form, char text[CLOCK_TEXT_MAX]);

/* Days since 1970-01-01 of a civil date of the proleptic Gregorian calendar; month 1 to 12. */
int64_t clock_days(int year, int month, int day);

/* The civil date of a number of days since 1970-01-01. */
void clock_civil(int64_t days, int *year_r, int *month_r, int *day_r);

/* The UTC day (days since 1970-01-01) that holds `ms`; right for negative times too. */
int64_t clock_day_of(int64_t ms);

#endif
