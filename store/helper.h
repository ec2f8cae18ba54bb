/* The helper thread of a store open for writing: what takes long and nobody waits for. */
#ifndef PW_STORE_HELPER_H
#define PW_STORE_HELPER_H

#include <stdatomic.h>
#include <stdbool.h>

struct helper;

struct helper *helper_start(void);

/* Does what was asked for before and ends the thread. */
void helper_stop(struct helper **helper);

/* Runs job(arg) in the thread, in the order of the calls; at once where helper is NULL. */
void helper_do(struct helper *helper, void (*job)(void *arg), void *arg);

/* Waits until all that was asked for before is done. Not in the helper thread. */
void helper_drain(struct helper *helper);

/* Long jobs look at it between their steps and leave the rest for another time. */
void helper_hurry(struct helper *helper);
bool helper_in_hurry(const struct helper *helper);

#endif
