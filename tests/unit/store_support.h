/* What the tests of the store share: a directory of their own and events made of few words. */
#ifndef PW_TESTS_STORE_SUPPORT_H
#define PW_TESTS_STORE_SUPPORT_H

#include <check.h>
#include <glib.h>

#include "store/batch.h"
#include "store/search.h"
#include "store/store.h"
#include "store/writer.h"

/* 2024-03-01T00:00:00Z */
#define DAY1 (INT64_C(19783) * 86400000)
#define DAY2 (DAY1 + INT64_C(86400000))

/* A directory that is removed by scratch_remove. */
char *scratch_make(void);
void scratch_remove(char **dir);

/* Opens or fails the test. */
struct store *open_store(const char *dir, enum store_mode mode);

/* An event of a message; strings must outlive it. NULL: without the field. */
struct event make_event(enum event_type type, int64_t time, uint64_t id, const char *message_id,
        const char *rcpt_to);
void set_field(struct event *event, enum field field, const char *value);

/* Commits events without lines; fails the test when the commit fails. Returns how many were new. */
uint64_t commit_events(struct store *store, const struct event *events, size_t n);

/* Found events, copied as their ids in the order found. */
GArray *search_ids(struct store *store, struct search *search, uint64_t *total_r);
/* Number of matches of one value of a key in the whole store. */
uint64_t count_key(struct store *store, enum search_key key, const char *value);

/* A search of all times. */
#define SEARCH_ALL ((struct search){.from = 0, .to = INT64_MAX, .limit = 1000})

/* UNIT_MAIN with a fixture; `tests` is NULL-ended. */
int run_store_tests(
        const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests);

#endif
