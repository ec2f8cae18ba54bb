/* Two threads for a log: one reads the lines, the other makes of them what it wants, in the same
 * order. */
#ifndef PW_CLI_AHEAD_H
#define PW_CLI_AHEAD_H

#include "event/observation.h"

struct ahead;

/* Starts the thread in which `observed` is called. What can be done before is done by `prepare`, in
 * the thread that reads. */
struct ahead *ahead_start(void (*prepare)(void *ctx, struct observation *seen),
        void (*observed)(void *ctx, const struct observation *seen), void *ctx);

/* A hook for line_reader_read, whose ctx is the struct ahead: hands a copy to the thread. */
void ahead_give(void *ahead, const struct observation *seen);

/* Returns when the thread is through with all that it was given. */
void ahead_end(struct ahead **ahead);

#endif
