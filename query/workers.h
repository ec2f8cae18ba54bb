/* A fixed number of threads that run jobs in the order in which they came. */
#ifndef PW_QUERY_WORKERS_H
#define PW_QUERY_WORKERS_H

#include <stdbool.h>

#include "base/error.h"

struct workers;

struct workers *workers_new(unsigned threads, void (*run)(void *job), struct error *err);

/* False once workers_stop has begun: the job is not taken. */
bool workers_push(struct workers *workers, void *job);

/* Runs what is queued, then ends the threads; no job is taken any more. The workers stay valid for
 * workers_push until workers_free. */
void workers_stop(struct workers *workers);
void workers_free(struct workers **workers);

#endif
