#include "daemon/retention.h"

#include "base/clock.h"
#include "base/log.h"

static uint64_t most_bytes(const struct config *config)
{
	return (uint64_t)config->max_size * 1024 * 1024;
}

/* Bytes of all days. */
static uint64_t retention_bytes(const GArray *days)
{
	uint64_t sum = 0;

	for (guint i = 0; i < days->len; i++)
		sum += g_array_index(days, struct store_day, i).bytes;
	return sum;
}

struct prune {
	struct store *store;
	int keep_days;
	int64_t now;
	int dropped;
};

static int prune_job(void *ctx, struct error *err)
{
	struct prune *prune = ctx;

	prune->dropped = store_prune(prune->store, prune->keep_days, prune->now, err);
	return prune->dropped < 0 ? -1 : 0;
}

/* In the writer's thread, which has files open. The days dropped, or -1. */
static int prune_run(
        struct store *store, struct capture *capture, int keep_days, int64_t now, struct error *err)
{
	struct prune prune = {store, keep_days, now, 0};

	return capture_run(capture, prune_job, &prune, err) < 0 ? -1 : prune.dropped;
}

struct look {
	struct store *store;
	int64_t now, boot, believed;
};

static int look_job(void *ctx, struct error *err)
{
	struct look *look = ctx;

	return store_look_at_clock(look->store, look->now, look->boot, &look->believed, err);
}

static void retention_prune(const struct config *config, struct store *store,
        struct capture *capture, int64_t now, int64_t boot)
{
	struct look look = {store, now, boot, 0};
	struct error err = {0};
	int dropped = -1;

	if (capture_run(capture, look_job, &look, &err) == 0)
		dropped = prune_run(store, capture, config->keep_days, look.believed, &err);
	if (dropped < 0)
		log_error(NULL, "retention: %s", err.text);
	else if (dropped > 0)
		log_info(NULL, "retention: dropped %d day(s) older than %d days", dropped,
		        config->keep_days);
}

/* Drops oldest days until the rest fits. True when today alone is too large. */
static bool retention_shrink(const struct config *config, struct store *store,
        struct capture *capture, GArray *days, int64_t now)
{
	uint64_t most = most_bytes(config), sum = retention_bytes(days);
	int64_t today = clock_day_of(now), keep = -1;

	for (guint i = 0; i < days->len && sum > most; i++) {
		const struct store_day *day = &g_array_index(days, struct store_day, i);
		if (day->day >= today)
			return true;
		sum -= day->bytes;
		keep = today - day->day - 1;
	}
	if (keep < 0)
		return false;
	struct error err = {0};
	if (prune_run(store, capture, (int)keep, now, &err) < 0)
		log_error(NULL, "max_size: %s", err.text);
	else
		log_warning(NULL,
		        "max_size = %d MB is reached: dropped the oldest days, %d are kept",
		        config->max_size, (int)keep + 1);
	return false;
}

char *retention_trouble(struct retention *retention, const struct config *config)
{
	return retention->full
	               ? g_strdup_printf(
	                         "max_size = %d MB: today alone is larger; the logs wait at "
	                         "their positions, mail goes on. Raise max_size or remove "
	                         "data",
	                         config->max_size)
	               : NULL;
}

static void retention_hold(struct retention *retention, const struct config *config,
        struct sources *sources, bool full)
{
	if (full == retention->full)
		return;
	retention->full = full;
	if (sources != NULL)
		sources_pause(sources, full);
	g_autofree char *trouble = retention_trouble(retention, config);
	if (trouble != NULL)
		log_error(NULL, "%s", trouble);
	else
		log_info(NULL, "max_size: there is room again, the logs are followed on");
}

char *retention_doubt(struct store *store)
{
	int64_t ahead = store_clock_ahead(store);

	return ahead == 0 ? NULL
	                  : g_strdup_printf(
	                            "the clock is ahead by %.1f days: until it has been so for 24 "
	                            "hours no day is dropped for its age. Set it right, unless the "
	                            "machine was off for so long",
	                            (double)ahead / CLOCK_DAY);
}

static void retention_tell_doubt(struct retention *retention, struct store *store)
{
	g_autofree char *text = retention_doubt(store);

	if ((text != NULL) == retention->doubt)
		return;
	retention->doubt = text != NULL;
	if (text != NULL)
		log_warning(NULL, "%s", text);
	else
		log_info(NULL, "the clock is believed again: days are dropped for their age");
}

static void retention_keep_size(struct retention *retention, const struct config *config,
        struct store *store, struct capture *capture, struct sources *sources, int64_t now)
{
	struct error err = {0};
	g_autoptr(GArray) days = store_days(store, NULL, &err);

	if (days == NULL) {
		log_error(NULL, "max_size: %s", err.text);
		return;
	}
	retention_hold(
	        retention, config, sources, retention_shrink(config, store, capture, days, now));
}

static bool is_over(const struct config *config, struct store *store)
{
	uint64_t bytes;

	return store_bytes(store, &bytes, NULL) == 0 && bytes > most_bytes(config);
}

/* What fills a disk within a minute must not wait for the next one. What cannot be looked at is
 * told then. */
static bool retention_is_passed(
        struct retention *retention, const struct config *config, struct store *store)
{
	uint64_t mark = store_mark(store);

	if (retention->full || retention->stuck || mark == retention->mark)
		return false;
	retention->mark = mark;
	return is_over(config, store);
}

static bool is_due(struct retention *retention, int64_t now)
{
	if (now < retention->next && now > retention->next - 2 * CLOCK_MINUTE)
		return false;
	retention->next = now + CLOCK_MINUTE;
	return true;
}

void retention_run(struct retention *retention, const struct config *config, struct store *store,
        struct capture *capture, struct sources *sources, int64_t now, int64_t boot)
{
	bool due = is_due(retention, now);

	if (due) {
		retention_prune(config, store, capture, now, boot);
		retention_tell_doubt(retention, store);
	}
	/* By the clock as it is: where room is wanted, a wrong one must not keep it. */
	if (config->max_size > 0 && (due || retention_is_passed(retention, config, store))) {
		retention_keep_size(retention, config, store, capture, sources, now);
		retention->stuck = !retention->full && is_over(config, store);
	}
}
