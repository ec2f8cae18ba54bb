/* The parts of a check and of a repair. */
#ifndef PW_STORE_CHECK_PRIVATE_H
#define PW_STORE_CHECK_PRIVATE_H

#include <glib.h>

#include "store/batch.h"
#include "store/check.h"
#include "store/day.h"

/* What a file needs; the greatest counts. */
enum check_need { CHECK_GOOD, CHECK_TOLD, CHECK_RECOUNT, CHECK_REBUILD, CHECK_SALVAGE };

struct checking {
	struct store *store;
	store_found *found; /* may be NULL */
	void *ctx;
	uint64_t findings;
	enum check_need need; /* of the day at work */
	GArray *spans;        /* struct check_span, of all days */
};

/* Arrival numbers of a commit. */
struct check_span {
	int64_t day, first, last;
	int64_t low, high; /* rows */
};

/* Tells a finding of a file. */
void check_tell(struct checking *c, const char *path, enum check_need need, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* SQLite's own check of a file. 0, or -1 when something was found. */
int check_file(struct checking *c, struct sql *sql);

/* One day, in one snapshot. 0 whatever was found. */
void check_day(struct checking *c, int64_t number);

/* A number that is the same for the same rows and terms, in whatever order they come. */
struct check_sum {
	uint64_t docs, terms, sum;
};
/* The terms are sorted by it, and those that come twice go. */
void check_sum_add(struct check_sum *sum, int64_t row, GArray *terms);

/* Reads the whole index, as searches do and from beginning to end. 0, or -1 with *err: damaged. */
int check_index(struct day_reader *reader, struct check_sum *sum_r, struct error *err);

/* Makes index and roll-up of a day anew from its rows, in one transaction. */
int rebuild_day(struct store *store, int64_t number, struct error *err);

/* Reads what can be read of a day's file that was set aside, and has it committed. `lost` counts
 * those that the file says it had. */
typedef int salvage_commit(void *ctx, struct store_batch *batch,
        struct store_commit_result *result_r, struct error *err);
int salvage_day(struct store *store, const char *name, int64_t number, salvage_commit *commit,
        void *ctx, uint64_t *saved_r, uint64_t *lost_r, struct error *err);

/* A store of day files only, for reading: the control file may be damaged. */
int store_open_days(struct store **store_r, const char *dir, struct error *err);

#endif
