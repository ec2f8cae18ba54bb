/* Parameters of a search, as a table, to the search that the store runs. */
#ifndef PW_QUERY_PARAMS_H
#define PW_QUERY_PARAMS_H

#include "event/catalogue.h"
#include "query/fault.h"
#include "query/uri.h"
#include "query/window.h"

struct message_query {
	struct search search; /* its lists point into `lists` */
	uint64_t page;        /* from 1 */
	unsigned per_page;
	bool as_of_given;
	bool since_given; /* events that arrived after `since` are asked for, instead of pages */
	uint64_t since;
	bool cursor_given;       /* of the Events API: search.as_of and search.before are its */
	struct window window;    /* texts are empty with since_given and no from or to */
	const char *zone;        /* as tzdata.zi spells it */
	GString *filters;        /* the filters as links carry them: "&name=value…", encoded */
	const char *scan;        /* name of the first parameter that may need a scan, or NULL … */
	struct slice scan_value; /* … and its value; points into the uri */
	GPtrArray *lists;
};

/* Which API's parameters are read, and what they mean when they are absent. */
struct params_defaults {
	enum api_generation api; /* API_V1 or API_EVENTS */
	bool stream;             /* no pages, and an absent end of the window is open */
	int64_t now;             /* ms */
	int64_t window;          /* ms */
	bool escape_colons;      /* in `filters` */
};

/* 0, or -1 with at least one fault. *query_r is to be cleared in both cases, before the uri. */
int params_read(const struct uri *uri, const struct params_defaults *defaults,
        struct message_query *query_r, struct faults *faults);
/* Whether `since` is not above the store's mark, or not given; else a fault tells. */
bool params_since_fits(const struct message_query *query, uint64_t mark, struct faults *faults);
void message_query_clear(struct message_query *query);

/* Which API a stream speaks: `api=v1` or `api=events`, which is the default. */
enum api_generation params_read_api(const struct uri *uri, struct faults *faults);

/* Appends the cursor of the page that follows a row in a snapshot. */
void params_cursor(GString *out, uint64_t as_of, uint64_t row);

/* The event types that events= names: sets bits of types[EVENT_TYPES] and *any_r. */
int params_read_events(const struct uri *uri, bool *types, bool *any_r, struct faults *faults);

/* The value of a parameter that is no list; absent unless given. Points into the uri. */
struct slice params_text(const struct uri *uri, const char *name, struct faults *faults);

/* POST /api/v1/import. */
int params_read_import(
        const struct uri *uri, struct query_import_target *target_r, struct faults *faults);

#endif
