/* How the filters of a search are answered in one day file. */
#ifndef PW_STORE_PLAN_H
#define PW_STORE_PLAN_H

#include <glib.h>

#include "store/day.h"
#include "store/match.h"

enum plan_kind {
	PLAN_NOTHING, /* no event of this day can match */
	PLAN_ALL,     /* no filters */
	PLAN_MATCH,   /* the index answers an expression */
	PLAN_ROWS,    /* a list of rows; `verify`: they passed only some of the filters */
	PLAN_SCAN,    /* rows are read and looked at: those of an expression where there is one */
};

struct plan {
	enum plan_kind kind;
	GString *expression; /* of the index, may be empty */
	GArray *rows;        /* of gint64, newest first */
	bool verify;
};

/* Rows from `low` to `high` of the file. The plan is cleared by plan_clear, also after -1. */
int plan_make(struct plan *plan, struct day *day, struct day_reader *reader,
        const struct match *match, int64_t low, int64_t high, struct error *err);
void plan_clear(struct plan *plan);

#endif
