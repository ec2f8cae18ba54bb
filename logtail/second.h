/* From where a log is read again after a restart, so that what is counted within a second is
 * counted as before: from the first line of the latest second, or of the one before where the two
 * belong together. */
#ifndef PW_LOGTAIL_SECOND_H
#define PW_LOGTAIL_SECOND_H

#include <glib.h>

/* Seconds: a stamp so far before the latest means a clock that was set. */
#define SECOND_BACK 5

/* What the second of a line is to the latest one that was begun. */
enum second_turn {
	SECOND_SAME,  /* no later, and not far before */
	SECOND_JOINS, /* it begins; the latest one is read again with it */
	SECOND_ALONE, /* it begins */
};

static inline enum second_turn second_turn(gint64 latest, gint64 second)
{
	if (second <= latest && second >= latest - SECOND_BACK)
		return SECOND_SAME;
	/* Lines of neighbouring seconds come mixed: each process writes its own stamps. And of a
	 * mail in which the clock is set back the first line stands before that. */
	return second == latest + 1 || second < latest ? SECOND_JOINS : SECOND_ALONE;
}

#endif
