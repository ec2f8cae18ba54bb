/* What Events Ingest cannot do now: each cause is news once, and there until it is over. */
#ifndef PW_CAPTURE_INGEST_TROUBLE_H
#define PW_CAPTURE_INGEST_TROUBLE_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

enum ingest_trouble { INGEST_TAKES, INGEST_VALIDATES, INGEST_EXPIRES, INGEST_TROUBLES };

/* Thread-safe. */
struct ingest_troubles {
	pthread_mutex_t lock;
	struct {
		char *text;       /* NULL: none */
		GHashTable *told; /* of errno: the causes that it has had so far */
	} of[INGEST_TROUBLES];
};

void ingest_troubles_init(struct ingest_troubles *troubles);
void ingest_troubles_clear(struct ingest_troubles *troubles);

/* Begins one, or goes on with it. True when its cause is news; *text_r (g_free) says what cannot be
 * done, why, and how to mend it. */
bool ingest_trouble_begin(struct ingest_troubles *troubles, enum ingest_trouble kind,
        const struct error *cause, char **text_r);

/* Ends one. What is to be told of that; NULL: there was none. */
const char *ingest_trouble_end(struct ingest_troubles *troubles, enum ingest_trouble kind);

/* The text of one as it is now; NULL where there is none. g_free. */
char *ingest_trouble_text(struct ingest_troubles *troubles, enum ingest_trouble kind);

#endif
