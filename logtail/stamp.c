#include "logtail/stamp.h"

#include "base/clock.h"

#include <glib.h>

#define SECONDS_OF_DAY 86400
#define NOWHERE INT64_MIN
/* A first stamp may be this much after `not_after`: the file was touched while the line was made.
 */
#define FIRST_SLACK (10 * CLOCK_MINUTE)
/* The others so much: zones are set wrong, and a file is read while it grows. */
#define NEXT_SLACK (INT64_C(24) * 60 * CLOCK_MINUTE)

struct syslog_clock {
	GTimeZone *zone;
	int64_t not_after;
	int64_t last; /* ms, 0 = none */

	/* The date part and its local day, from the line before: most lines share it. */
	bool date_known;
	char date[10];
	int64_t date_day;
	/* Local day on which the zone has one offset only, and this offset in seconds. */
	int64_t even_day;
	int64_t even_offset;
	/* Month, day and year of the last stamp that had no year. */
	int month, day, year;
	/* The last BSD stamp and what it meant. */
	bool text_known;
	char text[15];
	int64_t text_ms;
};

/* A stamp as written: local time, or UTC when it has an offset. */
struct written {
	int year; /* 0 = not told */
	int month, day;
	int64_t second; /* of the day */
	int64_t ms;
	bool zoned;
	int64_t offset; /* seconds east of UTC */
};

struct syslog_clock *syslog_clock_new(const char *zone, int64_t not_after, struct error *err)
{
	GTimeZone *tz = zone != NULL ? g_time_zone_new_identifier(zone) : g_time_zone_new_local();

	if (tz == NULL) {
		error_config(
		        err, "unknown time zone \"%s\": use a name of the IANA data base", zone);
		return NULL;
	}
	struct syslog_clock *clock = g_new0(struct syslog_clock, 1);
	clock->zone = tz;
	clock->not_after = not_after;
	clock->even_day = NOWHERE;
	return clock;
}

void syslog_clock_free(struct syslog_clock **clock)
{
	if (clock == NULL || *clock == NULL)
		return;
	g_time_zone_unref((*clock)->zone);
	g_clear_pointer(clock, g_free);
}

int64_t syslog_clock_last(const struct syslog_clock *clock)
{
	return clock->last;
}

void syslog_clock_set_last(struct syslog_clock *clock, int64_t ms)
{
	clock->last = ms;
	clock->year = 0;
	clock->text_known = false;
}

/* Seconds east of UTC at a UTC second. */
static int64_t offset_at(const struct syslog_clock *clock, int64_t utc)
{
	int interval = g_time_zone_find_interval(clock->zone, G_TIME_TYPE_UNIVERSAL, utc);
	return interval >= 0 ? g_time_zone_get_offset(clock->zone, interval) : 0;
}

static int64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

/* UTC second of a local second. Where a change of offset is near there may be two such seconds
 * (the overlap in autumn) or none (the gap in spring). */
static int64_t local_to_utc(struct syslog_clock *clock, int64_t local)
{
	int64_t day = local / SECONDS_OF_DAY - (local % SECONDS_OF_DAY < 0);

	if (day == clock->even_day)
		return local - clock->even_offset;

	int64_t before = offset_at(clock, local - SECONDS_OF_DAY);
	int64_t after = offset_at(clock, local + SECONDS_OF_DAY);
	int64_t early = local - before;
	int64_t late = local - after;

	if (before == after) {
		/* The whole day is even when its neighbours' far ends agree too. */
		int64_t midnight = day * SECONDS_OF_DAY;
		if (offset_at(clock, midnight - SECONDS_OF_DAY) == before &&
		        offset_at(clock, midnight + 2 * SECONDS_OF_DAY) == before) {
			clock->even_day = day;
			clock->even_offset = before;
		}
		return early;
	}
	bool early_exists = offset_at(clock, early) == before;
	bool late_exists = offset_at(clock, late) == after;
	if (early_exists != late_exists)
		return early_exists ? early : late;
	/* In the gap the writer had not noticed the change yet: the offset before it counts. */
	if (!early_exists || clock->last == 0)
		return early;
	int64_t last = clock->last / CLOCK_SECOND;
	return distance(early, last) < distance(late, last) ? early : late;
}

static bool leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool valid_date(int year, int month, int day)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && leap(year));
}

static int64_t utc_ms(struct syslog_clock *clock, const struct written *w, int year)
{
	int64_t local = clock_days(year, w->month, w->day) * SECONDS_OF_DAY + w->second;
	int64_t utc = w->zoned ? local - w->offset : local_to_utc(clock, local);

	return utc * CLOCK_SECOND + w->ms;
}

/* The year that a stamp without one means: of the first line the latest that is not after the
 * reference, of the others that which brings it nearest to the line before, but not into the future
 * of the reference (design, 5): a leap day would else be years ahead. 0 = there is no such date. */
static int find_year(struct syslog_clock *clock, const struct written *w)
{
	bool first = clock->last == 0;
	int64_t reference = clock->not_after != 0 ? clock->not_after : clock_now();
	int64_t near = first ? reference : clock->last;
	int64_t latest = first ? reference + FIRST_SLACK : MAX(reference, near) + NEXT_SLACK;
	int year, month, day, best = 0;
	int64_t best_distance = INT64_MAX;

	clock_civil(clock_day_of(near), &year, &month, &day);
	/* Two leap days are up to eight years apart. */
	int span = w->month == 2 && w->day == 29 ? 8 : 1;
	for (int y = year + span; y >= year - span; y--) {
		if (!valid_date(y, w->month, w->day))
			continue;
		int64_t ms = utc_ms(clock, w, y);
		if (ms > latest)
			continue;
		if (first)
			return y;
		if (distance(ms, near) < best_distance) {
			best_distance = distance(ms, near);
			best = y;
		}
	}
	return best;
}

/* The time of a stamp; false when there is no such date. */
static bool resolve(struct syslog_clock *clock, const struct written *w, int64_t *ms_r)
{
	int year = w->year;

	if (year == 0) {
		bool known = clock->year != 0 && w->month == clock->month && w->day == clock->day;
		year = known ? clock->year : find_year(clock, w);
	}
	if (year == 0 || !valid_date(year, w->month, w->day) || w->second > SECONDS_OF_DAY)
		return false;
	*ms_r = utc_ms(clock, w, year);
	clock->last = *ms_r;
	if (w->year == 0) {
		clock->year = year;
		clock->month = w->month;
		clock->day = w->day;
	}
	return true;
}

/* Number of exactly `n` digits, or -1. */
static int digits(const char *p, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (!g_ascii_isdigit(p[i]))
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

/* hh:mm:ss and a fraction: its length, 0 when it is none. */
static size_t read_time(struct slice s, struct written *w)
{
	if (s.n < 8 || s.p[2] != ':' || s.p[5] != ':')
		return 0;
	int hour = digits(s.p, 2), minute = digits(s.p + 3, 2), second = digits(s.p + 6, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return 0;
	w->second = hour * 3600 + minute * 60 + second;

	size_t n = 8;
	if (n + 1 < s.n && (s.p[n] == '.' || s.p[n] == ',') && g_ascii_isdigit(s.p[n + 1])) {
		int unit = 100;
		for (n++; n < s.n && g_ascii_isdigit(s.p[n]); n++, unit /= 10)
			w->ms += unit * (s.p[n] - '0');
	}
	return n;
}

/* "Z", "+01:00", "+0100", "+01": its length, 0 when there is none. */
static size_t read_offset(struct slice s, struct written *w)
{
	if (s.n >= 1 && (s.p[0] == 'Z' || s.p[0] == 'z')) {
		w->zoned = true;
		return 1;
	}
	if (s.n < 3 || (s.p[0] != '+' && s.p[0] != '-'))
		return 0;
	int hours = digits(s.p + 1, 2);
	size_t n = 3;
	if (n < s.n && s.p[n] == ':')
		n++;
	int minutes = n + 2 <= s.n ? digits(s.p + n, 2) : -1;
	if (minutes >= 0)
		n += 2;
	else
		minutes = 0;
	if (hours < 0 || hours > 23 || minutes > 59)
		return 0;
	w->zoned = true;
	w->offset = (hours * 60 + minutes) * (s.p[0] == '-' ? -60 : 60);
	return n;
}

/* RFC 3339, 5.6: date-time; a blank instead of T and no offset are seen too. */
static size_t read_rfc3339(struct slice s, struct written *w)
{
	if (s.n < 19 || s.p[4] != '-' || s.p[7] != '-')
		return 0;
	if (s.p[10] != 'T' && s.p[10] != 't' && s.p[10] != ' ')
		return 0;
	w->year = digits(s.p, 4);
	w->month = digits(s.p + 5, 2);
	w->day = digits(s.p + 8, 2);
	size_t time = read_time(slice_from(s, 11), w);
	if (time == 0 || w->year < 1)
		return 0;
	return 11 + time + read_offset(slice_from(s, 11 + time), w);
}

static int month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (memcmp(p, names + (size_t)3 * i, 3) == 0)
			return i + 1;
	return 0;
}

/* A year and its blank: 5, or 0. */
static size_t read_year(struct slice s, struct written *w)
{
	if (s.n < 6 || s.p[4] != ' ' || digits(s.p, 4) < 1)
		return 0;
	w->year = digits(s.p, 4);
	return 5;
}

/* RFC 3164, 4.1.2: "Mmm dd hh:mm:ss"; the year is an extension of network devices and FreeBSD. */
static size_t read_bsd(struct slice s, struct written *w)
{
	size_t n = read_year(s, w);

	if (s.n < n + 14 || s.p[n + 3] != ' ')
		return 0;
	w->month = month_of(s.p + n);
	n += 4;
	if (s.p[n] == ' ')
		n++;
	if (!g_ascii_isdigit(s.p[n]))
		return 0;
	w->day = s.p[n++] - '0';
	if (g_ascii_isdigit(s.p[n]))
		w->day = w->day * 10 + (s.p[n++] - '0');
	if (w->month == 0 || s.p[n++] != ' ')
		return 0;
	if (w->year == 0)
		n += read_year(slice_from(s, n), w);
	size_t time = read_time(slice_from(s, n), w);
	return time > 0 ? n + time : 0;
}

/* An RFC 3339 stamp with an offset and the date of the line before: the fast path of most lines. */
static size_t read_plain(struct syslog_clock *clock, struct slice line, int64_t *ms_r)
{
	struct written w = {0};

	if (!clock->date_known || memcmp(line.p, clock->date, sizeof(clock->date)) != 0)
		return 0;
	size_t n = read_time(slice_from(line, 11), &w);
	size_t offset = n > 0 ? read_offset(slice_from(line, 11 + n), &w) : 0;
	if (offset == 0)
		return 0;
	*ms_r = (clock->date_day * SECONDS_OF_DAY + w.second - w.offset) * CLOCK_SECOND + w.ms;
	clock->last = *ms_r;
	return 11 + n + offset;
}

size_t stamp_read(struct syslog_clock *clock, struct slice line, int64_t *ms_r)
{
	struct written w = {0};
	size_t n;

	/* Lines of one second are the same in their first 15 bytes. */
	if (clock->text_known && line.n > 15 && line.p[15] == ' ' &&
	        memcmp(line.p, clock->text, 15) == 0) {
		*ms_r = clock->last = clock->text_ms;
		return 15;
	}
	if (line.n > 19 && line.p[10] == 'T') {
		n = read_plain(clock, line, ms_r);
		if (n > 0)
			return n;
	}
	n = read_rfc3339(line, &w);
	bool bsd = n == 0;
	if (bsd) {
		w = (struct written){0};
		n = read_bsd(line, &w);
	}
	if (n == 0 || !resolve(clock, &w, ms_r))
		return 0;
	if (bsd && n == 15) {
		clock->text_known = true;
		memcpy(clock->text, line.p, 15);
		clock->text_ms = *ms_r;
	} else if (w.zoned) {
		clock->date_known = true;
		memcpy(clock->date, line.p, sizeof(clock->date));
		clock->date_day = clock_days(w.year, w.month, w.day);
	}
	return n;
}
