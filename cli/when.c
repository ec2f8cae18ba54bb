#include "cli/when.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

GTimeZone *when_zone(const char *name, struct error *err)
{
	if (name == NULL)
		return g_time_zone_new_local();
	GTimeZone *zone = g_time_zone_new_identifier(name);
	if (zone == NULL)
		error_set(err, "--tz %s: no such time zone (names such as Europe/Berlin)", name);
	return zone;
}

/* "2h": 2 hours before now. */
static gboolean when_ago(const char *text, gint64 now, gint64 *ms_r)
{
	static const struct {
		char unit;
		gint64 ms;
	} units[] = {{'s', CLOCK_SECOND}, {'m', CLOCK_MINUTE}, {'h', CLOCK_HOUR}, {'d', CLOCK_DAY},
	        {'w', 7 * CLOCK_DAY}};
	char *end;
	guint64 n = g_ascii_strtoull(text, &end, 10);

	if (end == text || !g_ascii_isdigit(text[0]) || end[0] == '\0' || end[1] != '\0' ||
	        n > 100000)
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (units[i].unit == end[0]) {
			*ms_r = now - (gint64)n * units[i].ms;
			return TRUE;
		}
	return FALSE;
}

static gint64 when_ms(GDateTime *time)
{
	return g_date_time_to_unix(time) * CLOCK_SECOND;
}

/* "now", "today", "yesterday", "14:30" (today). */
static gboolean when_word(const char *text, GTimeZone *zone, gint64 now, gint64 *ms_r)
{
	g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(now / CLOCK_SECOND);
	g_autoptr(GDateTime) local = g_date_time_to_timezone(utc, zone);
	int hour = 0, minute = 0, used = 0, back = 0;

	if (strcmp(text, "now") == 0) {
		*ms_r = now;
		return TRUE;
	}
	if (strcmp(text, "yesterday") == 0)
		back = 1;
	else if (strcmp(text, "today") != 0 &&
	         (sscanf(text, "%2d:%2d%n", &hour, &minute, &used) != 2 || text[used] != '\0'))
		return FALSE;
	g_autoptr(GDateTime) day = g_date_time_add_days(local, -back);
	g_autoptr(GDateTime) time = g_date_time_new(zone, g_date_time_get_year(day),
	        g_date_time_get_month(day), g_date_time_get_day_of_month(day), hour, minute, 0);
	if (time == NULL)
		return FALSE;
	*ms_r = when_ms(time);
	return TRUE;
}

static gboolean when_date(const char *text, GTimeZone *zone, gint64 *ms_r)
{
	int year, month, day, hour = 0, minute = 0, second = 0, used = 0;

	if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3)
		return FALSE;
	text += used;
	if (*text == ' ' || *text == 'T') {
		if (sscanf(text + 1, "%2d:%2d%n", &hour, &minute, &used) != 2)
			return FALSE;
		text += 1 + used;
		if (*text == ':' && sscanf(text, ":%2d%n", &second, &used) == 1)
			text += used;
	}
	g_autoptr(GTimeZone) utc = strcmp(text, "Z") == 0 ? g_time_zone_new_utc() : NULL;
	if (*text != '\0' && utc == NULL)
		return FALSE;
	g_autoptr(GDateTime) time =
	        g_date_time_new(utc != NULL ? utc : zone, year, month, day, hour, minute, second);
	if (time == NULL)
		return FALSE;
	*ms_r = when_ms(time);
	return TRUE;
}

int when_parse(const char *text, GTimeZone *zone, gint64 now, gint64 *ms_r, struct error *err)
{
	if (when_ago(text, now, ms_r) || when_word(text, zone, now, ms_r) ||
	        when_date(text, zone, ms_r))
		return 0;
	return error_set(err,
	        "%s: no time that I know; write 2h, 3d, yesterday, 14:30, 2026-11-22 or "
	        "\"2026-11-22 14:30\"",
	        text);
}

gint64 when_of(const char *timestamp)
{
	g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
	g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(timestamp, utc);

	return time != NULL ? when_ms(time) + g_date_time_get_microsecond(time) / 1000 : 0;
}

char *when_format(gint64 ms, GTimeZone *zone)
{
	g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(ms / CLOCK_SECOND);
	g_autoptr(GDateTime) local = utc != NULL ? g_date_time_to_timezone(utc, zone) : NULL;

	return local != NULL ? g_date_time_format(local, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}
