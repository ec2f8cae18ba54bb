/* Lets as many of the workers search at a time as there are cores for them (query/workers.h), in
 * the order in which they ask; one that searches for long lets those that wait go first now and
 * then. The kernel would share the cores among all: each search would take as long as all together.
 */
#ifndef PW_QUERY_TURNS_H
#define PW_QUERY_TURNS_H

#include "store/search.h"

struct turns;

/* `running` threads search at a time. One that does for `slice_ms` or longer gives way. */
struct turns *turns_new(unsigned running, int slice_ms);
void turns_free(struct turns **turns);

/* From now on nobody waits. */
void turns_open(struct turns *turns);

/* For search.turns; the turns' own. */
const struct search_turns *turns_for_search(const struct turns *turns);

#endif
