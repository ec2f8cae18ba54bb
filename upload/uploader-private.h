/* An uploader as its own files see it. */
#ifndef PW_UPLOAD_UPLOADER_PRIVATE_H
#define PW_UPLOAD_UPLOADER_PRIVATE_H

#include <pthread.h>

#include "base/clock.h"
#include "store/outbox.h"
#include "upload/http.h"
#include "upload/policy.h"
#include "upload/uploader.h"

struct uploader {
	struct store *store;
	struct store_writer *writer;
	struct uploader_config config;
	char *post_url, *status_url;
	GThread *thread;
	gint stopping;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	GPtrArray *retries; /* ids that uploader_retry got, "" for all; under the lock */

	/* Of the thread. */
	char *key;
	struct upload_http *http;
	struct outbox_destination *row;
	GPtrArray *open;   /* batches whose bytes are kept, in arrival order */
	unsigned failures; /* in a row, of sending */
	unsigned parks;    /* batches in a row that were refused */
	unsigned misses;   /* in a row, of asking for verdicts or fetching failed events */
	int64_t hold;      /* ms: nothing is cut before */
	int64_t cut;       /* ms: when the last batch was cut */
	int64_t expired;   /* ms: when old batches were looked for */
	bool troubled;     /* has told so */
	bool dirty;        /* the trouble is another one than that in the store */
};

/* What goes into one commit beside the row of the destination. */
struct uploader_changes {
	const struct outbox_batch *batch; /* NULL: none */
	const GPtrArray *batches;         /* more of them; NULL: none */
	const GArray *failures;           /* of struct outbox_failure; NULL: none */
	int64_t trim;                     /* ms; 0: nothing */
};

/* Events of a batch that were not taken: an array of struct outbox_failure that owns its texts. */
GArray *uploader_failures(void);
/* Appends a copy, as long as the array is not too large: all are counted elsewhere. `cause` is
 * taken (g_free). */
void uploader_failed(GArray *failures, const struct uploader *u, const struct outbox_batch *batch,
        int64_t now, struct slice line, char *cause);

/* Commits and waits until it is durable. -1 where the uploader is to stop before. */
int uploader_commit(struct uploader *u, const struct uploader_changes *changes);

/* Commits the end of a batch, then forgets it and its bytes. */
int uploader_end(struct uploader *u, struct outbox_batch *batch, enum outbox_state state,
        const GArray *failures);

void uploader_say(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes why nothing is sent (NULL: nothing is wrong); committed with the next change. */
void uploader_trouble(struct uploader *u, const char *text);

/* Random part of a wait, 0 to 1. */
double uploader_jitter(void);

bool uploader_stopping(struct uploader *u);

/* Whether the time of a batch has come. No wait is longer than a day: what lies beyond was written
 * when the clock was ahead. */
static inline bool uploader_due(const struct outbox_batch *batch, int64_t now)
{
	return batch->next <= now || batch->next > now + CLOCK_DAY;
}

/* upload/send.c: cuts the next batch, if it is time: 1 something was done, 0 not. */
int uploader_cut(struct uploader *u, int64_t now);
/* Sends a batch again. */
void uploader_send(struct uploader *u, struct outbox_batch *batch, int64_t now);

/* upload/verdict.c: asks for the verdicts that are due: 1 something was done, 0 not. */
int uploader_poll(struct uploader *u, int64_t now);

#endif
