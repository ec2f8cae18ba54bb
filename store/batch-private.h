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

/* One statement of the control file's table with what it binds. */
enum batch_op_kind {
	OP_PUT_OUTBOX,
	OP_PUT_DESTINATION,
	OP_ADD_FAILURE,
	OP_TRIM_OUTBOX,
	OP_TRIM_FAILURES,
	OP_DROP_FAILURE,
	BATCH_OPS
};

struct batch_param {
	bool is_text, is_blob;
	struct batch_text text;
	int64_t number;
};

struct batch_op {
	enum batch_op_kind kind;
	guint first, n; /* in `params` */
};

struct store_batch {
	GByteArray *bytes;
	size_t largest;     /* length of `bytes` in a batch since it was made */
	GArray *events;     /* struct batch_event */
	size_t events_done; /* those before it have their line */
	GArray *lines;      /* struct batch_line */
	GArray *sources;    /* struct batch_source */
	GArray *positions;  /* struct batch_pair */
	GArray *state;      /* struct batch_pair */
	GArray *counters;   /* struct batch_counter */
	GArray *gaps;       /* struct batch_gap */
	GArray *unparsed;   /* struct batch_unparsed */
	GArray *ingests;    /* struct batch_ingest */
	GArray *ops;        /* struct batch_op, in their order */
	GArray *params;     /* struct batch_param */
	size_t line_count;
	bool pending; /* store_batch_pending was called */
};

/* Begins an operation; the calls below then give what it binds, in order. */
void batch_op(struct store_batch *batch, enum batch_op_kind kind);
void batch_op_number(struct store_batch *batch, int64_t number);
void batch_op_text(struct store_batch *batch, struct slice text);
void batch_op_blob(struct store_batch *batch, struct slice bytes);

struct slice batch_slice(const struct store_batch *batch, struct batch_text text);

/* Copies a text into the batch. */
struct batch_text batch_put(struct store_batch *batch, struct slice text);

#endif
