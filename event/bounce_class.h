/* SparkPost's bounce classes (contract, 5). */
#ifndef PW_EVENT_BOUNCE_CLASS_H
#define PW_EVENT_BOUNCE_CLASS_H

struct bounce_class {
	int code; /* 1, 10, 20 … 100 */
	const char *name;
	const char *category; /* Hard, Soft, Block, Admin, Undetermined */
};

/* NULL when there is no such class. */
const struct bounce_class *bounce_class_by_code(int code);

#endif
