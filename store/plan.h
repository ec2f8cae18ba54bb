/* How the filters of a search are answered in one day file. */
#ifndef PW_STORE_PLAN_H
#define PW_STORE_PLAN_H

#include <glib.h>

#include "store/day.h"
#include "store/index.h"
#include "store/match.h"

enum plan_kind {
	PLAN_NOTHING, /* no event of this day can match */
	PLAN_ALL,     /* no filters */
	PLAN_MATCH,   /* the index answers a question */
	PLAN_SCAN, /* rows are read and looked at: those that the index gives where it can be asked
	            */
};

struct plan {
	enum plan_kind kind;
	struct index_query *query; /* may be without groups */
};

/* The plan is cleared by plan_clear, also after -1. */
int plan_make(struct plan *plan, struct day *day, struct day_reader *reader,
        const struct match *match, struct error *err);
void plan_clear(struct plan *plan);

#endif
