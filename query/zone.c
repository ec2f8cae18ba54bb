#include "query/zone.h"

#include <pthread.h>

#include "base/clock.h"

#define ZONE_LIST "/usr/share/zoneinfo/tzdata.zi"

/* Lower-case name -> spelling of the list; made once, never changed. */
static GHashTable *zone_names;
static pthread_once_t zone_once = PTHREAD_ONCE_INIT;

static void zone_add(struct slice name)
{
	char *spelling = slice_dup(name);

	g_hash_table_replace(zone_names, g_ascii_strdown(spelling, -1), spelling);
}

/* Lines of tzdata.zi (zic(8)): "Z NAME offset …" is a zone, "L TARGET NAME" a link. */
static void zone_load(void)
{
	g_autofree char *text = NULL;
	gsize n = 0;

	zone_names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	zone_add(SLICE("UTC"));
	if (!g_file_get_contents(ZONE_LIST, &text, &n, NULL))
		return;
	struct slice rest = slice_make(text, n);
	while (rest.n > 0) {
		struct slice line = slice_cut(&rest, '\n');
		struct slice word = slice_cut(&line, ' ');
		bool link = slice_eq(word, SLICE("L"));

		if (!link && !slice_eq(word, SLICE("Z")))
			continue;
		if (link)
			slice_cut(&line, ' ');
		struct slice name = slice_cut(&line, ' ');
		if (name.n > 0)
			zone_add(name);
	}
}

bool zone_find(struct slice name, GTimeZone **zone_r, const char **name_r)
{
	pthread_once(&zone_once, zone_load);
	if (name.n == 0 || name.n > 100 || slice_chr(name, '\0') >= 0)
		return false;
	g_autofree char *lower = g_ascii_strdown(name.p, (gssize)name.n);
	const char *spelling = g_hash_table_lookup(zone_names, lower);
	if (spelling == NULL)
		return false;
	*zone_r = g_time_zone_new_identifier(spelling);
	*name_r = spelling;
	return *zone_r != NULL;
}

/* Offset from UTC in ms at an instant. */
static int64_t zone_offset(GTimeZone *zone, int64_t instant)
{
	int64_t second = (instant - (instant < 0 ? CLOCK_SECOND - 1 : 0)) / CLOCK_SECOND;
	gint interval = g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, second);

	return g_time_zone_get_offset(zone, interval) * CLOCK_SECOND;
}

/* The first instant, in whole seconds, after `low` at which the offset is no longer `before`. */
static int64_t zone_change(GTimeZone *zone, int64_t low, int64_t high, int64_t before)
{
	while (high - low > CLOCK_SECOND) {
		int64_t middle = low + (high - low) / (2 * CLOCK_SECOND) * CLOCK_SECOND;

		if (zone_offset(zone, middle) == before)
			low = middle;
		else
			high = middle;
	}
	return high;
}

int64_t zone_instant(GTimeZone *zone, int64_t local, enum zone_side side, bool *gap_r)
{
	/* No offset exceeds 16 hours (Manila and Alaska before 1867), and no zone changed twice
	 * within this span: the offsets at its ends are the only ones possible. */
	int64_t before = zone_offset(zone, local - 16 * CLOCK_HOUR);
	int64_t after = zone_offset(zone, local + 16 * CLOCK_HOUR);
	int64_t early = local - MAX(before, after), late = local - MIN(before, after);
	bool early_holds = local - zone_offset(zone, early) == early;
	bool late_holds = local - zone_offset(zone, late) == late;

	*gap_r = false;
	if (early_holds && late_holds)
		return side == ZONE_FIRST ? early : late;
	if (early_holds || late_holds)
		return early_holds ? early : late;
	*gap_r = true;
	return zone_change(zone, early - early % CLOCK_SECOND, late, before);
}

int64_t zone_local(GTimeZone *zone, int64_t instant)
{
	return instant + zone_offset(zone, instant);
}
