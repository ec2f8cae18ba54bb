/* What tests of damaged stores share: a store of two days, damage, and what a check and a repair
 * say.
 */
#ifndef PW_TESTS_STORE_DAMAGE_H
#define PW_TESTS_STORE_DAMAGE_H

#include <sys/types.h>

#include "store/check.h"
#include "tests/unit/store_support.h"

#define EVENTS 4000 /* of a day: many pages, and a tail */
#define DAY1_NAME "2024-03-01.db"
#define DAY2_NAME "2024-03-02.db"

extern char *dir;     /* of the store */
extern GString *told; /* findings, or what a repair or a writer said, a line each */

void damage_setup(void);
void damage_teardown(void);

/* Path of a file of the store. */
char *file(const char *name);

struct words {
	char message_id[24], rcpt_to[64], subject[64], raw_reason[128];
};
/* Each third is a bounce. */
struct event an_event(unsigned i, int64_t start, struct words *words);

/* Commits the events from .. from + n - 1 of a day, in batches. */
void fill(struct store *store, int64_t start, unsigned from, unsigned n);

/* EVENTS on the first day and 200 on the second, closed. */
void make_store(void);

uint64_t count_all(struct store *store);
void expect_events(uint64_t n);

/* What check and repair find and do, with it in `told`. */
uint64_t findings(void);
void expect_good(void);
void expect_found(const char *file_name, const char *part);
struct store_repaired repair(void);

/* A writer whose notices go to `told`. */
struct store *open_noticing(void);

/* SQL on a file of the store; the first number that it gives. */
void run(const char *name, const char *text);
int64_t ask(const char *name, const char *text);

/* `byte` < 0: noise. */
void overwrite(const char *name, off_t at, size_t n, int byte);

/* A page of a table: its n-th leaf from the left. */
off_t leaf_of(const char *name, const char *table, unsigned n);

#endif
