/* SparkPost's bounce classes (contract, 5). */
#ifndef PW_EVENT_BOUNCE_CLASS_H
#define PW_EVENT_BOUNCE_CLASS_H

#include "base/slice.h"

struct bounce_class {
	int code; /* 1, 10, 20 … 100 */
	const char *name;
	const char *category; /* Hard, Soft, Block, Admin, Undetermined */
};

/* NULL when there is no such class. */
const struct bounce_class *bounce_class_by_code(int code);

/* The class that an enhanced status code (RFC 3463) and a reply code mean; either may be absent. */
int bounce_class_of(struct slice dsn, struct slice code);

#endif
