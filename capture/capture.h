/* Capture: joins what the sources see (lines, envelopes) with the correlator and the store's
 * writer.
 *
 * A stream is one correlator with what feeds it. The daemon has one live stream, whose open
 * messages survive a restart; each import has a stream of its own. The lock of the writer's batch
 * is also the lock of the streams, so that events, line counts, positions and open messages are
 * committed together or not at all. */
#ifndef PW_CAPTURE_CAPTURE_H
#define PW_CAPTURE_CAPTURE_H

#include "event/observation.h"
#include "logtail/lines.h"
#include "store/ingest.h"
#include "store/writer.h"
#include "trace/trace.h"

struct capture;
struct capture_stream;
struct capture_source;

struct capture_config {
	struct trace_config trace; /* of the live stream, and the base of the others */
	int keep_days;             /* retention; negative = nothing is too old */
	bool bulk; /* an import without daemon: large batches, and an end at the first failure */
	/* Called in the writer's thread when commits begin to fail (err->set) and when they work
	 * again. May be NULL. */
	void (*trouble)(void *ctx, const struct error *err);
	void *ctx;
};

/* Restores the open messages and starts the writer. The store must be open for writing. */
int capture_open(struct capture **capture_r, struct store *store,
        const struct capture_config *config, struct error *err);
/* Commits what is there. -1 with *err when that failed. */
int capture_close(struct capture **capture, struct error *err);

struct capture_stream *capture_live(struct capture *capture);

/* A stream for an import that the running daemon takes; its open messages are not kept. */
struct capture_stream *capture_stream_new(struct capture *capture, struct error *err);
void capture_stream_free(struct capture_stream **stream);

/* A log of a stream. `name` is its name in the line ledger. */
struct capture_source *capture_source_new(struct capture_stream *stream, const char *name,
        const struct line_reader_config *reader, struct error *err);
void capture_source_free(struct capture_source **source);

/* The time that the clock of a restored source goes on from (ms). */
void capture_source_resume(struct capture_source *source, int64_t last);

/* Lines are fed between begin and end, which hold the lock: read first, then begin. */
void capture_begin(struct capture_source *source);
/* The same; false, without the lock, when the store takes nothing for timeout_ms. */
bool capture_try_begin(struct capture_source *source, int timeout_ms);

/* `again`: the line was counted in an earlier run. Returns the time of the line, ms. */
int64_t capture_line(struct capture_source *source, struct slice line, int64_t offset, bool again);
int64_t capture_entry(struct capture_source *source, const struct syslog_line *entry, bool again);
void capture_gap(
        struct capture_source *source, int64_t from, int64_t to, int64_t bytes, const char *what);

/* `position` (or SLICE_NONE) is committed with the lines. Returns the ticket for capture_wait. */
uint64_t capture_end(struct capture_source *source, struct slice position);

/* 1 when the ticket is durable, 0 when it was not within timeout_ms, -1 when a bulk import has
 * failed (capture_close says why). */
int capture_wait(struct capture *capture, uint64_t ticket, int timeout_ms);

/* True while commits fail, with the last failure in *err (which must be clear). */
bool capture_trouble(struct capture *capture, struct error *err);

/* How long commits take: store_writer_pace. */
void capture_pace(struct capture *capture, struct store_pace *pace_r);
/* store_writer_longest. */
unsigned capture_longest(struct capture *capture, unsigned done);

/* What is no line (the milter's) is kept by its owner until capture pulls it: whenever the lock is
 * taken, and before each line of the live stream, so that what was there before a line was written
 * is also fed before it. `pull` is called with the lock held and calls capture_feed; NULL = none.
 */
void capture_pull_from(struct capture *capture, void (*pull)(void *ctx), void *ctx);

/* Feeds one observation to the live stream; `urgent`: somebody waits for it. Only within `pull`.
 * Returns its ticket. */
uint64_t capture_feed(struct capture *capture, const struct observation *seen, bool urgent);

/* Pulls now. */
void capture_pull(struct capture *capture);

/* Adds an event that is finished (a report's) and commits at once. Returns a ticket. */
uint64_t capture_add(struct capture *capture, const struct event *event);

/* Adds a step of the validation of an ingested batch and its events, committed together. Returns a
 * ticket; 0 when the store takes nothing for timeout_ms. */
uint64_t capture_try_ingest(struct capture *capture, const struct event *const *events, size_t n,
        const struct ingest_step *step, int timeout_ms);

/* Drops what the store keeps of ingested batches; as above. */
uint64_t capture_try_ingest_drop(struct capture *capture, const GPtrArray *ids, int timeout_ms);

/* The writer, for what is committed with the rest and needs no stream (uploads). */
struct store_writer *capture_writer(struct capture *capture);

/* Tells of something that is no loss of a log. */
void capture_tell_gap(struct capture *capture, const struct store_gap *gap);

/* Adds to a named counter of the store. */
void capture_count(struct capture *capture, const char *name, int64_t n);

/* Moves the clock of the live stream on and gives the trace's counters to the store. */
void capture_tick(struct capture *capture, int64_t now);

/* Forgets the open messages of the live stream that hold a text which is not to be kept, in memory
 * and in the store, and waits until that is committed. Returns through *n_r how many; -1 with *err
 * when the writer ended before. */
int capture_forget(
        struct capture *capture, trace_holds *holds, void *ctx, uint64_t *n_r, struct error *err);

/* Runs a job in the writer's thread (store_writer_run). */
int capture_run(struct capture *capture, store_job *job, void *ctx, struct error *err);

#endif
