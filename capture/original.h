/* The mail that a report is about, among those in the store. */
#ifndef PW_CAPTURE_ORIGINAL_H
#define PW_CAPTURE_ORIGINAL_H

#include "mime/report.h"
#include "store/search.h"

/* What leads to the original; absent = NULL. */
struct original_key {
	const char *recipient;  /* as the report or the VERP address has it */
	const char *written;    /* as the sender wrote it: Original-Recipient */
	const char *message_id; /* ours, from a VERP address */
	const struct report *report;
};

struct original {
	bool found;
	bool bounced;       /* the log told that this recipient bounced */
	GByteArray *bytes;  /* what the event points into */
	struct event event; /* of this recipient where there is one, a delivery at best */
};

/* 0 with found or not, -1 with *err. */
int original_find(struct store *store, const struct original_key *key, struct original *original_r,
        struct error *err);
void original_clear(struct original *original);

#endif
