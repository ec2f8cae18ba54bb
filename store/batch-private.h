/* What is in a batch, for the files that commit it. All bytes are in one buffer; offsets into it
 * stay true when it grows. */
#ifndef PW_STORE_BATCH_PRIVATE_H
#define PW_STORE_BATCH_PRIVATE_H

#include <glib.h>

#include "store/batch.h"

struct batch_text {
	size_t at, n;
	bool none; /* p == NULL */
};

#define BATCH_NO_LINE UINT32_MAX

struct batch_event {
	size_t at; /* of its record (store/record.h) */
	int64_t time;
	uint64_t id;
	uint32_t line; /* index in `lines`, BATCH_NO_LINE */
	bool missed;
};

/* A line that made events. Others are only counted. */
struct batch_line {
	uint32_t source;
	enum ledger_class class;
};

struct batch_source {
	struct batch_text name;
	uint64_t count[LEDGER_CLASSES]; /* of lines without events */
};

struct batch_pair {
	struct batch_text key, value;
};

struct batch_unparsed {
	struct batch_text source, text;
	int64_t offset, time;
};

struct batch_gap {
	struct batch_text source, text;
	int64_t from, to, bytes;
};

struct batch_counter {
	struct batch_text name;
	int64_t n;
};

struct store_batch {
	GByteArray *bytes;
	GArray *events;     /* struct batch_event */
	size_t events_done; /* those before it have their line */
	GArray *lines;      /* struct batch_line */
	GArray *sources;    /* struct batch_source */
	GArray *positions;  /* struct batch_pair */
	GArray *state;      /* struct batch_pair */
	GArray *counters;   /* struct batch_counter */
	GArray *gaps;       /* struct batch_gap */
	GArray *unparsed;   /* struct batch_unparsed */
	size_t line_count;
	bool pending; /* store_batch_pending was called */
};

struct slice batch_slice(const struct store_batch *batch, struct batch_text text);

#endif
