/* A fixed number of threads that run jobs. Owners of jobs, who are just numbers, take turns, each
 * with its jobs in the order in which they came, and no owner has all of the threads: one with many
 * jobs does not make the others wait for them. */
#ifndef PW_QUERY_WORKERS_H
#define PW_QUERY_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct workers;

/* `threads` is how many an owner may have; one more is there for the others. */
struct workers *workers_new(unsigned threads, void (*run)(void *job), struct error *err);

/* How many cores the threads have: all that the process may use but one, which is left to those
 * that take mails and logs in; the only one where there is one. */
unsigned workers_cores(void);

/* False once workers_stop has begun: the job is not taken. */
bool workers_push(struct workers *workers, uint64_t owner, void *job);

/* How many jobs of an owner wait. */
unsigned workers_waiting(struct workers *workers, uint64_t owner);

/* Runs what is queued, then ends the threads; no job is taken any more. The workers stay valid for
 * workers_push until workers_free. */
void workers_stop(struct workers *workers);
void workers_free(struct workers **workers);

#endif
