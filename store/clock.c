/* The time as far as it is believed. What a wrong clock would drop nobody brings back, so one that
 * leaps must stay so for a while. */
#include "base/clock.h"
#include "store/private.h"

#define LEAP CLOCK_DAY /* more than a wrong time zone makes, or a night without power */
#define WAIT CLOCK_DAY
#define SAVE_EVERY (10 * CLOCK_MINUTE)

static void believe_or_doubt(struct store_clock *clock, int64_t now, int64_t boot)
{
	int64_t leap = now - boot - clock->apart;
	int64_t waited = clock->waited > 0 ? clock->waited + boot - clock->looked : 1;
	bool doubt = clock->apart != 0 && ABS(leap) > LEAP && waited < WAIT;

	clock->waited = doubt ? waited : 0;
	clock->ahead = doubt ? MAX(leap, 0) : 0;
	if (!doubt)
		clock->apart = now - boot;
	clock->looked = boot;
}

/* What an earlier run knew. How long ago that was nobody can tell. */
static int restore(struct store *store, int64_t boot, struct error *err)
{
	struct store_clock *clock = &store->clock;
	int64_t time;

	if (control_clock(&store->control, &time, &clock->waited, err) < 0)
		return -1;
	clock->apart = time != 0 ? time - boot : 0;
	clock->looked = boot;
	return 0;
}

int store_look_at_clock(
        struct store *store, int64_t now, int64_t boot, int64_t *believed, struct error *err)
{
	struct store_clock *clock = &store->clock;

	if (clock->looked == 0 && restore(store, boot, err) < 0)
		return -1;
	believe_or_doubt(clock, now, boot);
	int64_t time = boot + clock->apart;
	*believed = MIN(time, now);
	/* What cannot be written now can be later: commits tell of the disk. */
	if ((clock->saved == 0 || boot - clock->saved >= SAVE_EVERY) &&
	        control_set_clock(&store->control, time, clock->waited, NULL) == 0)
		clock->saved = boot;
	return 0;
}

int64_t store_now(struct store *store)
{
	int64_t now = clock_now(), apart = store->clock.apart;

	return apart != 0 ? MIN(clock_boot() + apart, now) : now;
}

int64_t store_clock_ahead(struct store *store)
{
	return store->clock.ahead;
}
