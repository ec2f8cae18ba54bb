/* A SQLite VFS below which the power can go: what was written and not synced is then lost, or there
 * in part, sector by sector and in any order. For one store at a time. */
#ifndef PW_TESTS_POWER_VFS_H
#define PW_TESTS_POWER_VFS_H

#include <stdbool.h>
#include <stdint.h>

/* Makes it the default VFS of the process. */
void power_install(void);

/* Starts anew: the power goes at the n-th write, truncation, sync or deletion from now on (0:
 * never), and what is in the files is then copied to the directory `after`. Before the next start
 * all files must be closed. `liar`: syncs do nothing. */
void power_start(uint64_t n, uint32_t seed, const char *after, bool liar);

/* Operations since then; whether it is dark. */
uint64_t power_operations(void);
bool power_is_off(void);

#endif
