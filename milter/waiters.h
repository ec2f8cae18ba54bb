/* Threads for what waits: each item is worked on in one of them and comes back. A thread is started
 * when none is free, and is then kept. */
#ifndef PW_MILTER_WAITERS_H
#define PW_MILTER_WAITERS_H

#include <stddef.h>

struct waiters;

/* At most `most` threads, which are started when they are needed. `work` is called in them, and
 * `done` after each item, to wake whoever takes it back; `done` must not wait. */
struct waiters *waiters_new(
        size_t most, void (*work)(void *item), void (*done)(void *ctx), void *ctx);

void waiters_give(struct waiters *waiters, void *item);
/* An item that was worked on; NULL when there is none now. */
void *waiters_take(struct waiters *waiters);

/* Waits for the items that are worked on; no other one is begun. */
void waiters_stop(struct waiters *waiters);
void waiters_free(struct waiters **waiters);

#endif
