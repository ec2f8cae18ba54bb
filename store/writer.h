/* The writer thread: group commit. Capturing threads add to the current batch under its lock; the
 * thread commits what comes after a pause at once; in a stream it waits 20 to 50 ms from one commit
 * to the next, four times as long as that took, or until 1000 events are there. */
#ifndef PW_STORE_WRITER_H
#define PW_STORE_WRITER_H

#include "store/batch.h"

struct store_writer;

struct store_writer_config {
	int keep_days; /* what is older than today and so many days is left out; negative = nothing
	                */
	size_t max_events; /* a fuller batch makes store_writer_begin wait; 0 = 1000. While there is
	                      a backlog it grows to 8000, so that events share the disk's syncs */
	bool give_up;      /* do not try a commit again that failed: see store_writer_wait */
	/* Before each commit, in the writer thread with the batch locked: lets the owner add what
	 * must be committed with it (trace_save). May be NULL. */
	void (*before_commit)(void *ctx, struct store_batch *batch);
	/* After each commit, in the writer thread, unlocked; err->set tells that it failed (it is
	 * tried again until it works, so that nothing is lost). May be NULL. */
	void (*after_commit)(
	        void *ctx, const struct store_commit_result *result, const struct error *err);
	void *ctx;
};

/* The store must be open for writing and outlive the writer. */
struct store_writer *store_writer_new(
        struct store *store, const struct store_writer_config *config, struct error *err);

/* Commits what is there, ends the thread. -1 with *err when the last commit failed, or the one that
 * it gave up at. */
int store_writer_stop(struct store_writer **writer, struct error *err);

/* Locks and returns the current batch; waits while it is full (backpressure). Never NULL: of a
 * writer that gave up, a batch that nobody commits. */
struct store_batch *store_writer_begin(struct store_writer *writer);

/* The same; NULL, and nothing is locked, when it stays full for timeout_ms. */
struct store_batch *store_writer_try_begin(struct store_writer *writer, int timeout_ms);

/* Unlocks; returns the ticket of the commit that will hold what was added. `urgent`: somebody
 * waits, commit at once. */
uint64_t store_writer_end(struct store_writer *writer, bool urgent);

/* The ticket of what was added already, between begin and end. */
uint64_t store_writer_ticket(const struct store_writer *writer);

/* Waits until the ticket is durable: 1 committed, 0 not within timeout_ms, -1 the writer gave up
 * (store_writer_stop says why). */
int store_writer_wait(struct store_writer *writer, uint64_t ticket, int timeout_ms);

/* Runs job(ctx) in the writer's thread between two commits and waits for it: its result, or -1 with
 * *err when the writer has ended. Not in that thread itself. */
typedef int store_job(void *ctx, struct error *err);
int store_writer_run(struct store_writer *writer, store_job *job, void *ctx, struct error *err);

/* How long the last commits took that worked, in us; at most WRITER_PACE of them are remembered. */
#define WRITER_PACE 1024
struct store_pace {
	unsigned commits; /* remembered; 0 = there was none, and the rest is 0 */
	unsigned p50, p99, longest;
	unsigned done;    /* since the writer began */
	unsigned running; /* for how long the one under way has been, us; 0 = there is none */
};
void store_writer_pace(struct store_writer *writer, struct store_pace *pace_r);

/* The longest of the commits that came behind the first `done` ones, us; 0 where there was none. */
unsigned store_writer_longest(struct store_writer *writer, unsigned done);

/* True while commits fail, with the last failure in *err (which must be clear). */
bool store_writer_trouble(struct store_writer *writer, struct error *err);

#endif
