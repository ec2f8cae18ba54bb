/* One destination of uploads: a thread that cuts batches, sends them and asks for their verdicts.
 *
 * What it does next stands in the outbox (store/outbox.h) before it is done, so that it goes on
 * where a crash cut it off: a batch is on the disk before it is sent, a batch that may have got
 * there is sent again with the same bytes or not at all. The next batch is cut when the one before
 * was taken: while nobody answers, the cursor stays behind and the events stay in the store. */
#ifndef PW_UPLOAD_UPLOADER_H
#define PW_UPLOAD_UPLOADER_H

#include "store/writer.h"
#include "upload/cut.h"

struct uploader;

/* Strings must outlive the uploader. */
struct uploader_config {
	const char *name;
	const char *base;     /* https://host[:port][/path], without "/" at its end */
	const char *key_file; /* NULL: no key */
	const char *ca_file, *proxy;
	struct cut_rules rules;
	int64_t outbox_max; /* bytes of batches that are kept for sending, or for sending again */
	int64_t bandwidth;  /* bytes a second; 0 = no limit */
	int timeout;        /* s without a byte */
	int64_t interval;   /* ms: a batch that is not full is sent so often */
	int64_t poll;       /* ms: the first question for a verdict */
	int keep_days;      /* batches and failures go after so many days; negative: never */
	bool from_start;    /* a new destination gets what is in the store already */
	/* Told when something goes wrong that had not, and when all is well again; in the thread.
	 */
	void (*tell)(void *ctx, const char *name, bool trouble, const char *text);
	void *ctx;
};

/* The store must be open for writing; both must outlive the uploader. NULL with *err. */
struct uploader *uploader_start(struct store *store, struct store_writer *writer,
        const struct uploader_config *config, struct error *err);

/* Ends the thread within a second or so; a request that is under way is broken off. */
void uploader_stop(struct uploader **uploader);

/* Sends parked and waiting batches at once: those whose id begins with `id`, or all (NULL). The key
 * is read again. */
void uploader_retry(struct uploader *uploader, const char *id);

/* The same where no daemon runs: parked batches become ready in the store. Their number, or -1. */
int uploader_unpark(struct store *store, const char *id, struct error *err);

#endif
