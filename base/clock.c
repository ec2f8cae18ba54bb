#include "base/clock.h"

#include <string.h>
#include <time.h>

#define TOGETHER 100 /* ms between readings that count as one; a busy machine makes some */

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

bool clock_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until)
{
	const struct timespec time = {
	        .tv_sec = (time_t)(until / 1000000),
	        .tv_nsec = (long)(until % 1000000) * 1000,
	};

	return pthread_cond_timedwait(cond, lock, &time) == 0;
}

static int64_t clock_read(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * CLOCK_SECOND + now.tv_nsec / 1000000;
}

int64_t clock_now(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t clock_boot(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

void clock_both(int64_t *now_r, int64_t *boot_r)
{
	int64_t after;

	do {
		*boot_r = clock_boot();
		*now_r = clock_now();
		after = clock_boot();
	} while (after - *boot_r > TOGETHER);
}

int64_t clock_days(int year, int month, int day)
{
	/* Years counted from 1 March, so that the leap day ends a year; 400 years are an era. */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void clock_civil(int64_t days, int *year_r, int *month_r, int *day_r)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day_r = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month_r = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year_r = (int)(yoe + era * 400 + (*month_r <= 2));
}

int64_t clock_day_of(int64_t ms)
{
	return (ms >= 0 ? ms : ms - (CLOCK_DAY - 1)) / CLOCK_DAY;
}

/* Two or three digits; the callers' numbers are in range by construction. */
static char *clock_put(char *p, int64_t value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + digits;
}

size_t clock_format(int64_t ms, enum clock_form form, char text[CLOCK_TEXT_MAX])
{
	int64_t day = clock_day_of(ms), of_day = ms - day * CLOCK_DAY;
	int year, month, mday;
	char *p = text;

	clock_civil(day, &year, &month, &mday);
	if (year < 0 || year > 9999)
		year = 9999;
	p = clock_put(p, year, 4);
	*p++ = '-';
	p = clock_put(p, month, 2);
	*p++ = '-';
	p = clock_put(p, mday, 2);
	if (form != CLOCK_DATE) {
		*p++ = 'T';
		p = clock_put(p, of_day / CLOCK_HOUR, 2);
		*p++ = ':';
		p = clock_put(p, of_day / CLOCK_MINUTE % 60, 2);
	}
	if (form == CLOCK_OFFSET || form == CLOCK_ZULU || form == CLOCK_SECONDS) {
		*p++ = ':';
		p = clock_put(p, of_day / CLOCK_SECOND % 60, 2);
	}
	if (form == CLOCK_SECONDS)
		*p++ = 'Z';
	if (form == CLOCK_OFFSET || form == CLOCK_ZULU) {
		*p++ = '.';
		p = clock_put(p, of_day % CLOCK_SECOND, 3);
		const char *zone = form == CLOCK_ZULU ? "Z" : "+00:00";
		size_t n = strlen(zone);
		memcpy(p, zone, n);
		p += n;
	}
	*p = '\0';
	return (size_t)(p - text);
}
