#include "query/window.h"

#include "base/clock.h"
#include "query/zone.h"

/* Times outside of these are cut to them: row ids of the store have room for 47 bits of
 * milliseconds, which is the year 6429. */
#define WINDOW_MIN INT64_C(0)
#define WINDOW_MAX (INT64_C(1) << 47)

/* A moment as the request names it. */
struct moment {
	int64_t local;   /* ms, as if it were UTC */
	int64_t instant; /* ms UTC */
	int64_t end;     /* ms UTC, end of the minute or second that the text names */
};

/* Digits where the pattern has '0', the same byte elsewhere. */
static bool window_fits(struct slice text, const char *pattern)
{
	if (text.n != strlen(pattern))
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (pattern[i] == '0' ? !g_ascii_isdigit(text.p[i]) : text.p[i] != pattern[i])
			return false;
	return true;
}

static int window_number(struct slice text, size_t at, size_t n)
{
	int value = 0;

	for (size_t i = at; i < at + n; i++)
		value = value * 10 + g_ascii_digit_value(text.p[i]);
	return value;
}

bool window_parse_local(struct slice text, int64_t *local_r, int64_t *unit_r)
{
	bool seconds = window_fits(text, "0000-00-00T00:00:00");

	if (!seconds && !window_fits(text, "0000-00-00T00:00"))
		return false;
	int year = window_number(text, 0, 4), month = window_number(text, 5, 2);
	int day = window_number(text, 8, 2), hour = window_number(text, 11, 2);
	int minute = window_number(text, 14, 2), second = seconds ? window_number(text, 17, 2) : 0;
	if (year < 1 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
		return false;
	int64_t days = clock_days(year, month, day);
	int y, m, d;
	clock_civil(days, &y, &m, &d);
	if (d != day || m != month)
		return false;
	*local_r = days * CLOCK_DAY + hour * CLOCK_HOUR + minute * CLOCK_MINUTE +
	           second * CLOCK_SECOND;
	*unit_r = seconds ? CLOCK_SECOND : CLOCK_MINUTE;
	return true;
}

static bool window_parse(const struct window_request *request, struct slice text,
        enum zone_side side, struct moment *moment_r)
{
	int64_t unit;
	bool gap;

	if (request->events && slice_ends(text, SLICE("Z")))
		text = slice_head(text, text.n - 1);
	if (!window_parse_local(text, &moment_r->local, &unit))
		return false;
	moment_r->instant = zone_instant(request->zone, moment_r->local, side, &gap);
	/* A minute that the clocks skip has no length. */
	moment_r->end = moment_r->instant + (gap || request->events ? 0 : unit);
	return true;
}

/* One end of a window: where its text comes from, and what it means. */
struct bound {
	struct slice sent;
	int64_t fallback; /* ms UTC; the minute or second that it lies in is the default … */
	int64_t limit;    /* … or this, for an open end */
	enum zone_side side;
};

static bool window_bound(const struct window_request *request, const struct bound *bound,
        char text[WINDOW_TEXT_MAX], struct moment *moment_r)
{
	char moment[CLOCK_TEXT_MAX];
	enum clock_form form = request->events ? CLOCK_SECONDS : CLOCK_MINUTES;
	struct slice sent = bound->sent;

	if (sent.p == NULL && request->open) {
		*moment_r = (struct moment){bound->limit, bound->limit, bound->limit};
		text[0] = '\0';
		return true;
	}
	if (sent.p == NULL)
		sent = slice_make(moment,
		        clock_format(zone_local(request->zone, bound->fallback), form, moment));
	if (!window_parse(request, sent, bound->side, moment_r))
		return false;
	memcpy(text, sent.p, sent.n);
	text[sent.n] = '\0';
	return true;
}

/* Whether the window runs forward. Both ends in one gap are one instant: empty, but no fault. */
static bool window_ordered(const struct moment *from, const struct moment *to)
{
	if (from->instant == to->instant)
		return from->local < to->local;
	return from->instant < to->instant;
}

/* As recorded: message-events began its messages with a capital, what came later with the name of
 * the parameter (contract, 0.1). */
static const struct texts {
	const char *from, *to, *form;
} texts[] = {{"From", "To", "YYYY-MM-DDTHH:mm"}, {"from", "to", "YYYY-MM-DDTHH:MM:SSZ"}};

void window_read(
        const struct window_request *request, struct window *window_r, struct faults *faults)
{
	const struct texts *text = &texts[request->events];
	/* What happens within this second belongs to the default window of the Events API too. */
	int64_t now = request->now + (request->events ? CLOCK_SECOND : 0);
	struct moment from = {0}, to = {0};
	struct bound last = {request->to, now, WINDOW_MAX, ZONE_SECOND};
	bool to_good = window_bound(request, &last, window_r->to_text, &to);
	struct bound first = {request->from, to.instant - request->length, WINDOW_MIN, ZONE_FIRST};
	bool from_good = (to_good || request->from.p != NULL) &&
	                 window_bound(request, &first, window_r->from_text, &from);

	if (!from_good && request->from.p != NULL)
		faults_add(faults, SLICE("from"), request->from, "%s must be in the format %s",
		        text->from, text->form);
	/* As recorded, a `to` that cannot be read is not after any `from` (contract, 0.1). */
	if (from_good && request->from.p != NULL && !(to_good && window_ordered(&from, &to)))
		faults_add(
		        faults, SLICE("from"), request->from, "%s must be before to", text->from);
	if (!to_good)
		faults_add(faults, SLICE("to"), request->to, "%s must be in the format %s",
		        text->to, text->form);
	window_r->from = CLAMP(from.instant, WINDOW_MIN, WINDOW_MAX);
	window_r->to = CLAMP(to.end, WINDOW_MIN, WINDOW_MAX);
}
