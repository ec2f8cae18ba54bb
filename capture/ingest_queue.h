/* The batches of Events Ingest that wait for their validation, each until its time has come: at
 * once, or when one that failed is tried again. Its owner has the lock. */
#ifndef PW_CAPTURE_INGEST_QUEUE_H
#define PW_CAPTURE_INGEST_QUEUE_H

#include <glib.h>
#include <stdint.h>

struct ingest_waiting {
	char *id;
	int64_t since;  /* ms: when it came into the queue */
	unsigned tries; /* that failed */
	gint64 due;     /* us, monotonic */
};
void ingest_waiting_free(struct ingest_waiting *waiting);

struct ingest_queue {
	GSequence *batches; /* of struct ingest_waiting, by the time when they are due */
	unsigned failed;    /* of them: batches that are tried again */
};

void ingest_queue_init(struct ingest_queue *queue);
void ingest_queue_clear(struct ingest_queue *queue);

/* Behind those that are due now. */
void ingest_queue_add(struct ingest_queue *queue, const char *id);

/* One that failed once more waits longer than the time before, at most a minute. Takes it over. */
void ingest_queue_again(struct ingest_queue *queue, struct ingest_waiting *waiting);

/* When the next one is due; INT64_MAX: there is none. */
gint64 ingest_queue_due(const struct ingest_queue *queue);

/* Takes that one out; it must be there. */
struct ingest_waiting *ingest_queue_take(struct ingest_queue *queue);

#endif
