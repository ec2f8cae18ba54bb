#include "query/smtpeter_window.h"

#include "base/clock.h"
#include "query/params.h"

static int64_t days_in_month(int year, int month)
{
	return month == 12 ? 31 : clock_days(year, month + 1, 1) - clock_days(year, month, 1);
}

/* The same day of another month, or the last day of that. */
static int64_t add_months(int64_t day, int months)
{
	int year, month, of_month;

	clock_civil(day, &year, &month, &of_month);
	month += months;
	if (month > 12 || month < 1) {
		year += month > 12 ? 1 : -1;
		month += month > 12 ? -12 : 12;
	}
	return clock_days(year, month, (int)MIN(of_month, days_in_month(year, month)));
}

/* yyyy-mm-dd. */
static bool parse_day(struct slice text, int64_t *day)
{
	int64_t year, month, of_month;

	if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-' || text.p[0] == '-' ||
	        !slice_int(slice_head(text, 4), &year) ||
	        !slice_int(slice_make(text.p + 5, 2), &month) ||
	        !slice_int(slice_make(text.p + 8, 2), &of_month))
		return false;
	if (year < 1 || month < 1 || month > 12 || of_month < 1 ||
	        of_month > days_in_month((int)year, (int)month))
		return false;
	*day = clock_days((int)year, (int)month, (int)of_month);
	return true;
}

static bool read_day(const struct uri *uri, const char *name, int64_t *day, struct faults *faults)
{
	struct slice text = params_text(uri, name, faults);

	if (text.p == NULL)
		return false;
	if (parse_day(text, day))
		return true;
	faults_add(
	        faults, slice_str(name), text, "%s must be a day in the format yyyy-mm-dd", name);
	return false;
}

static void add_tags(GPtrArray *tags, struct slice list)
{
	while (list.n > 0) {
		struct slice tag = slice_trim(slice_cut(&list, ';'));
		if (tag.n > 0)
			g_ptr_array_add(tags, slice_dup(tag));
	}
}

int smtpeter_read(const struct uri *uri, const char *more_tags, bool take_tags,
        struct smtpeter_query *query, struct faults *faults)
{
	*query = (struct smtpeter_query){.tags = g_ptr_array_new_with_free_func(g_free)};
	query->start_given = read_day(uri, "start", &query->start, faults);
	query->end_given = read_day(uri, "end", &query->end, faults);
	if (query->start_given && query->end_given && query->start >= query->end)
		faults_add(faults, SLICE("start"), params_text(uri, "start", faults),
		        "start must be before end");
	add_tags(query->tags, slice_str(more_tags));
	if (more_tags != NULL && query->tags->len == 0)
		faults_add(faults, SLICE("tags"), slice_str(more_tags), "a tag must be named");
	if (take_tags)
		add_tags(query->tags, params_text(uri, "tags", faults));
	if (query->tags->len > 0) {
		g_ptr_array_add(query->tags, NULL);
		query->search.tags = (const char *const *)query->tags->pdata;
	}
	return faults_any(faults) ? -1 : 0;
}

void smtpeter_query_clear(struct smtpeter_query *query)
{
	g_clear_pointer(&query->tags, g_ptr_array_unref);
}

void smtpeter_window(struct smtpeter_query *query, int64_t time, bool begins)
{
	int64_t start = query->start, end = query->end;

	if (!query->start_given && !query->end_given) {
		start = clock_day_of(time);
		end = begins ? add_months(start, 1) : start + 1;
	}
	if (query->start_given)
		end = query->end_given ? MIN(end, add_months(start, 1)) : add_months(start, 1);
	else if (query->end_given || !begins)
		start = add_months(end, -1);
	query->search.from = MAX(start * CLOCK_DAY, 0);
	query->search.to = MAX(end * CLOCK_DAY, 0);
}
