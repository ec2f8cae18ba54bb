/* One line of an ingested batch: what is asked of it beyond its form. */
#ifndef PW_CAPTURE_INGEST_LINE_H
#define PW_CAPTURE_INGEST_LINE_H

#include "capture/ingest.h"
#include "event/ingest_read.h"

/* What holds for all lines of a batch. */
struct ingest_rules {
	const struct ingest_config *config;
	struct search_scope scope; /* what its sender may write */
	int64_t received;          /* ms, by the wall clock */
	int64_t now;               /* ms, as far as that is believed (store_now) */
};

/* Reads a line and fills in what it leaves to us: the accounts, and the place of who opened or
 * clicked. 0, or -1 with *err. *line_r is to be cleared in both cases. */
int ingest_line_take(const struct ingest_rules *rules, struct slice text,
        struct ingest_line *line_r, struct error *err);

/* Appends the line that tells why one was refused: the object itself with a member "error" in
 * front, or an object of that and the text where it is none. */
void ingest_line_refused(
        GString *out, struct slice text, uint64_t number, bool is_json, const struct error *err);

#endif
