#include "capture/capture.h"

#include <glib.h>

#include "base/clock.h"
#include "store/erase.h"
#include "store/search.h"

/* A commit of an import may hold this many events, one of the daemon the writer's default. */
#define BULK_EVENTS 10000
/* Bytes kept of a notice about lost lines. */
#define LOSS_TEXT_MAX 300

struct capture {
	struct capture_config config;
	struct store *store;
	struct store_writer *writer;
	struct capture_stream *live;
	struct store_batch *batch; /* the current one, while somebody holds the lock */
	bool urgent;               /* somebody waits for what was fed since then */
	void (*pull)(void *ctx);
	void *pull_ctx;
	struct trace_counts told; /* counters that the store has been given */
	int64_t newest;           /* time of the newest event, stored or on its way */
	bool failing;             /* touched by the writer's thread only */
};

struct capture_stream {
	struct capture *capture;
	struct trace *trace;
	GString *state; /* value of the last trace load */
};

struct capture_source {
	struct capture_stream *stream;
	char *name;
	struct line_reader *reader;
	/* Of the line that is being read. */
	enum ledger_class class;
	bool again;
	int64_t time;
};

/* ---- hooks of the correlator: called with the lock held ---- */

static void capture_event(void *ctx, const struct event *event)
{
	struct capture_stream *stream = ctx;

	stream->capture->newest = MAX(stream->capture->newest, event->time);
	store_batch_event(stream->capture->batch, event);
}

static int64_t capture_find_birth(void *ctx, struct slice node, struct slice instance,
        struct slice queue_id, int64_t time, bool begins, char id_r[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct capture_stream *stream = ctx;

	/* Asked at the first line of each message: what is news needs no look-up. */
	if (begins && time >= stream->capture->newest)
		return 0;
	return (begins ? store_find_born : store_find_birth)(
	        stream->capture->store, node, instance, queue_id, time, id_r);
}

static bool capture_load(void *ctx, struct slice key, struct slice *value_r)
{
	struct capture_stream *stream = ctx;

	if (store_state(stream->capture->store, key, stream->state, NULL) != 1)
		return false;
	*value_r = slice_make(stream->state->str, stream->state->len);
	return true;
}

/* ---- hooks of the writer ---- */

struct saving {
	struct store *store;
	struct store_batch *batch;
	const struct tombstones *stones; /* of whom was erased */
	int64_t since;                   /* when the mail at work was first seen, ms */
	GString *room;
};

static bool capture_is_erased(void *ctx, struct slice text)
{
	struct saving *saving = ctx;

	return store_erase_finds(saving->store, saving->stones, saving->since, text, saving->room);
}

/* A log that is read again brings back mails of somebody who was erased since, on their way still.
 */
static void capture_put(void *ctx, struct slice key, struct slice value)
{
	struct saving *saving = ctx;

	if (value.p != NULL) {
		saving->since = trace_saved_since(key, value);
		if (tombstones_after(saving->stones, saving->since) &&
		        trace_saved_holds(key, value, capture_is_erased, saving))
			value = SLICE_NONE;
	}
	store_batch_state(saving->batch, key, value);
}

static void capture_before_commit(void *ctx, struct store_batch *batch)
{
	struct capture *capture = ctx;
	g_autoptr(GString) room = g_string_new(NULL);
	struct saving saving = {.store = capture->store,
	        .batch = batch,
	        .stones = store_erase_known(capture->store),
	        .room = room};

	trace_save(capture->live->trace, capture_put, &saving);
}

static void capture_after_commit(
        void *ctx, const struct store_commit_result *result, const struct error *err)
{
	struct capture *capture = ctx;

	(void)result;
	if (err->set == capture->failing)
		return;
	capture->failing = err->set;
	if (capture->config.trouble != NULL)
		capture->config.trouble(capture->config.ctx, err);
}

/* ---- opening and closing ---- */

struct capture_stream *capture_stream_new(struct capture *capture, struct error *err)
{
	struct capture_stream *stream = g_new0(struct capture_stream, 1);
	const struct trace_hooks hooks = {.ctx = stream,
	        .event = capture_event,
	        .find_birth = capture_find_birth,
	        .load = capture_load};

	stream->capture = capture;
	stream->state = g_string_new(NULL);
	stream->trace = trace_new(&capture->config.trace, &hooks, err);
	if (stream->trace == NULL)
		capture_stream_free(&stream);
	return stream;
}

void capture_stream_free(struct capture_stream **stream)
{
	if (*stream == NULL)
		return;
	trace_free(&(*stream)->trace);
	g_string_free((*stream)->state, TRUE);
	g_clear_pointer(stream, g_free);
}

struct restoring {
	struct trace *trace;
	GPtrArray *damaged; /* GBytes: keys of what cannot be read */
};

/* One that is damaged must not stop the capture of all others. */
static int capture_restore(void *ctx, struct slice key, struct slice value, struct error *err)
{
	struct restoring *restoring = ctx;

	(void)err;
	if (trace_restore(restoring->trace, key, value, NULL) < 0)
		g_ptr_array_add(restoring->damaged, g_bytes_new(key.p, key.n));
	return 0;
}

static void capture_tell_damaged(struct capture *capture, const GPtrArray *damaged)
{
	g_autofree char *text = g_strdup_printf(
	        "what was saved of %u open mail(s) is damaged and left out: later lines do not "
	        "know what was told of them before. `postwake import` of their logs brings that "
	        "back",
	        damaged->len);

	if (damaged->len > 0)
		store_tell_loss(capture->store, text);
}

/* In the commit that tells of it: it is told once. */
static void capture_drop_damaged(struct capture *capture, const GPtrArray *damaged)
{
	if (damaged->len == 0)
		return;
	struct store_batch *batch = store_writer_begin(capture->writer);
	for (guint i = 0; i < damaged->len; i++) {
		gsize n;
		const char *key = g_bytes_get_data(damaged->pdata[i], &n);
		store_batch_state(batch, slice_make(key != NULL ? key : "", n), SLICE_NONE);
	}
	store_batch_count(batch, "state_damaged", damaged->len);
	store_batch_pending(batch);
	store_writer_end(capture->writer, true);
}

static void capture_newest(void *ctx, const struct event *event)
{
	struct capture *capture = ctx;

	capture->newest = event->time;
}

/* What the store holds already. Where it cannot be asked, messages are looked for in it. */
static void capture_look(struct capture *capture)
{
	struct search search = {.to = INT64_MAX, .limit = 1, .no_total = true};

	if (store_search(capture->store, &search, capture_newest, capture, NULL, NULL) < 0)
		capture->newest = INT64_MAX;
}

int capture_open(struct capture **capture_r, struct store *store,
        const struct capture_config *config, struct error *err)
{
	g_autoptr(GPtrArray) damaged =
	        g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	struct capture *capture = g_new0(struct capture, 1);
	struct restoring restoring = {.damaged = damaged};
	const struct store_writer_config writer = {.keep_days = config->keep_days,
	        .max_events = config->bulk ? BULK_EVENTS : 0,
	        .give_up = config->bulk,
	        .before_commit = capture_before_commit,
	        .after_commit = capture_after_commit,
	        .ctx = capture};

	capture->config = *config;
	capture->store = store;
	capture->live = capture_stream_new(capture, err);
	if (capture->live == NULL)
		goto fail;
	restoring.trace = capture->live->trace;
	if (store_each_state(store, capture_restore, &restoring, err) < 0)
		goto fail;
	capture_tell_damaged(capture, damaged);
	capture->writer = store_writer_new(store, &writer, err);
	if (capture->writer == NULL)
		goto fail;
	capture_look(capture);
	capture_drop_damaged(capture, damaged);
	*capture_r = capture;
	return 0;
fail:
	capture_stream_free(&capture->live);
	g_free(capture);
	return -1;
}

int capture_close(struct capture **capture, struct error *err)
{
	if (*capture == NULL)
		return 0;
	int result = store_writer_stop(&(*capture)->writer, err);
	capture_stream_free(&(*capture)->live);
	g_clear_pointer(capture, g_free);
	return result;
}

struct capture_stream *capture_live(struct capture *capture)
{
	return capture->live;
}

/* ---- sources ---- */

struct capture_source *capture_source_new(struct capture_stream *stream, const char *name,
        const struct line_reader_config *reader, struct error *err)
{
	struct line_reader *lines = line_reader_new(reader, err);

	if (lines == NULL)
		return NULL;
	struct capture_source *source = g_new0(struct capture_source, 1);
	source->stream = stream;
	source->name = g_strdup(name);
	source->reader = lines;
	return source;
}

void capture_source_free(struct capture_source **source)
{
	if (*source == NULL)
		return;
	line_reader_free(&(*source)->reader);
	g_free((*source)->name);
	g_clear_pointer(source, g_free);
}

void capture_source_resume(struct capture_source *source, int64_t last)
{
	syslog_clock_set_last(line_reader_clock(source->reader), last);
}

static void capture_pull_locked(struct capture *capture)
{
	if (capture->pull != NULL)
		capture->pull(capture->pull_ctx);
}

static void capture_locked(struct capture *capture, struct store_batch *batch)
{
	capture->batch = batch;
	capture->urgent = false;
	capture_pull_locked(capture);
}

static void capture_lock(struct capture *capture)
{
	capture_locked(capture, store_writer_begin(capture->writer));
}

static uint64_t capture_unlock(struct capture *capture, bool urgent)
{
	return store_writer_end(capture->writer, urgent || capture->urgent);
}

void capture_begin(struct capture_source *source)
{
	capture_lock(source->stream->capture);
}

bool capture_try_begin(struct capture_source *source, int timeout_ms)
{
	struct capture *capture = source->stream->capture;
	struct store_batch *batch = store_writer_try_begin(capture->writer, timeout_ms);

	if (batch != NULL)
		capture_locked(capture, batch);
	return batch != NULL;
}

uint64_t capture_end(struct capture_source *source, struct slice position)
{
	struct capture *capture = source->stream->capture;

	if (position.p != NULL)
		store_batch_position(capture->batch, slice_str(source->name), position);
	return capture_unlock(capture, false);
}

int capture_wait(struct capture *capture, uint64_t ticket, int timeout_ms)
{
	return store_writer_wait(capture->writer, ticket, timeout_ms);
}

bool capture_trouble(struct capture *capture, struct error *err)
{
	return store_writer_trouble(capture->writer, err);
}

void capture_pace(struct capture *capture, struct store_pace *pace_r)
{
	store_writer_pace(capture->writer, pace_r);
}

unsigned capture_longest(struct capture *capture, unsigned done)
{
	return store_writer_longest(capture->writer, done);
}

/* Of the observations of one line the one that says most gives the line its class. */
static const int class_weight[LEDGER_CLASSES] = {
        [LEDGER_IGNORED] = 0, [LEDGER_UNPARSED] = 1, [LEDGER_LINKED] = 2, [LEDGER_EVENT] = 3};

/* Whoever writes the log says that lines were lost since the last one. */
static void capture_loss(struct capture_source *source, const struct observation *seen)
{
	g_autofree char *what = g_strdup_printf("%.*s on %.*s: %.*s", SLICE_ARG(seen->line.program),
	        SLICE_ARG(seen->line.node), SLICE_ARG(slice_head(seen->reason, LOSS_TEXT_MAX)));

	capture_gap(source, source->time, seen->line.time, -1, what);
}

static void capture_observed(void *ctx, const struct observation *seen)
{
	struct capture_source *source = ctx;
	enum ledger_class class = trace_feed(source->stream->trace, seen);

	if (seen->kind == OBSERVATION_LOSS && !source->again)
		capture_loss(source, seen);
	source->time = seen->line.time;
	if (class_weight[class] > class_weight[source->class])
		source->class = class;
}

/* Where a line tells none that can be, that of its reading: by it retention goes. */
static int64_t capture_line_time(const struct capture_source *source)
{
	int64_t now = clock_now();

	return source->time > 0 ? MIN(source->time, now) : now;
}

static int64_t capture_classify(
        struct capture_source *source, struct slice text, int64_t offset, bool again)
{
	struct store_batch *batch = source->stream->capture->batch;

	if (again) {
		store_batch_no_line(batch);
		return source->time;
	}
	if (source->class == LEDGER_UNPARSED)
		store_batch_unparsed(
		        batch, slice_str(source->name), offset, capture_line_time(source), text);
	store_batch_line(batch, slice_str(source->name), source->class);
	return source->time;
}

/* Before each line: the lock may be older than the line. */
static void capture_begin_line(struct capture_source *source, bool again)
{
	struct capture_stream *stream = source->stream;

	if (stream == stream->capture->live)
		capture_pull_locked(stream->capture);
	source->class = LEDGER_IGNORED;
	source->again = again;
}

int64_t capture_line(struct capture_source *source, struct slice line, int64_t offset, bool again)
{
	capture_begin_line(source, again);
	line_reader_read(source->reader, line, capture_observed, source);
	return capture_classify(source, line, offset, again);
}

int64_t capture_entry(struct capture_source *source, const struct syslog_line *entry, bool again)
{
	capture_begin_line(source, again);
	line_reader_entry(source->reader, entry, capture_observed, source);
	return capture_classify(source, entry->text, -1, again);
}

void capture_gap(
        struct capture_source *source, int64_t from, int64_t to, int64_t bytes, const char *what)
{
	const struct store_gap gap = {.source = slice_str(source->name),
	        .from = from,
	        .to = to,
	        .bytes = bytes,
	        .text = slice_str(what)};

	store_batch_gap(source->stream->capture->batch, &gap);
}

/* ---- what is no line ---- */

void capture_pull_from(struct capture *capture, void (*pull)(void *ctx), void *ctx)
{
	capture_lock(capture);
	capture->pull = pull;
	capture->pull_ctx = ctx;
	capture_unlock(capture, false);
}

uint64_t capture_feed(struct capture *capture, const struct observation *seen, bool urgent)
{
	trace_feed(capture->live->trace, seen);
	store_batch_no_line(capture->batch);
	/* Mostly there is no event yet, only state, which comes in by capture_before_commit. */
	store_batch_pending(capture->batch);
	capture->urgent |= urgent;
	return store_writer_ticket(capture->writer);
}

void capture_pull(struct capture *capture)
{
	capture_lock(capture);
	capture_unlock(capture, false);
}

uint64_t capture_add(struct capture *capture, const struct event *event)
{
	capture_lock(capture);
	store_batch_event(capture->batch, event);
	store_batch_no_line(capture->batch);
	return capture_unlock(capture, true);
}

uint64_t capture_try_ingest(struct capture *capture, const struct event *const *events, size_t n,
        const struct ingest_step *step, int timeout_ms)
{
	struct store_batch *batch = store_writer_try_begin(capture->writer, timeout_ms);

	if (batch == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		store_batch_event(batch, events[i]);
	store_batch_ingest(batch, step);
	return store_writer_end(capture->writer, step->last);
}

uint64_t capture_try_ingest_drop(struct capture *capture, const GPtrArray *ids, int timeout_ms)
{
	struct store_batch *batch = store_writer_try_begin(capture->writer, timeout_ms);

	if (batch == NULL)
		return 0;
	for (guint i = 0; i < ids->len; i++)
		store_batch_ingest_drop(batch, slice_str(ids->pdata[i]));
	return store_writer_end(capture->writer, false);
}

struct store_writer *capture_writer(struct capture *capture)
{
	return capture->writer;
}

void capture_tell_gap(struct capture *capture, const struct store_gap *gap)
{
	capture_lock(capture);
	store_batch_gap(capture->batch, gap);
	capture_unlock(capture, false);
}

void capture_count(struct capture *capture, const char *name, int64_t n)
{
	capture_lock(capture);
	store_batch_count(capture->batch, name, n);
	capture_unlock(capture, false);
}

static void capture_tell(struct store_batch *batch, const char *name, uint64_t now, uint64_t told)
{
	if (now > told)
		store_batch_count(batch, name, (int64_t)(now - told));
}

void capture_tick(struct capture *capture, int64_t now)
{
	capture_lock(capture);
	trace_tick(capture->live->trace, now);
	store_batch_no_line(capture->batch);
	struct trace_counts counts = trace_counts(capture->live->trace);
	capture_tell(
	        capture->batch, "envelope_ambiguous", counts.ambiguous, capture->told.ambiguous);
	capture_tell(
	        capture->batch, "envelope_cancelled", counts.cancelled, capture->told.cancelled);
	capture->told = counts;
	capture_unlock(capture, false);
}

struct forgetting {
	struct capture *capture;
	trace_holds *holds;
	void *ctx;
	uint64_t n;
};

/* What the memory has no room for is in the store only. */
static int capture_forget_saved(void *ctx, struct slice key, struct slice value, struct error *err)
{
	struct forgetting *forgetting = ctx;

	(void)err;
	if (trace_saved_holds(key, value, forgetting->holds, forgetting->ctx)) {
		store_batch_state(forgetting->capture->batch, key, SLICE_NONE);
		forgetting->n++;
	}
	return 0;
}

static int capture_done(void *ctx, struct error *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

int capture_forget(
        struct capture *capture, trace_holds *holds, void *ctx, uint64_t *n, struct error *err)
{
	struct forgetting forgetting = {capture, holds, ctx, 0};

	capture_lock(capture);
	unsigned known = trace_forget(capture->live->trace, holds, ctx);
	int result = store_each_state(capture->store, capture_forget_saved, &forgetting, err);
	store_batch_pending(capture->batch);
	uint64_t ticket = capture_unlock(capture, true);
	*n = MAX(known, forgetting.n);
	/* What the writer runs after it comes behind that commit. */
	while (result == 0 && store_writer_wait(capture->writer, ticket, 1000) != 1)
		result = store_writer_run(capture->writer, capture_done, NULL, err);
	return result;
}

int capture_run(struct capture *capture, store_job *job, void *ctx, struct error *err)
{
	return store_writer_run(capture->writer, job, ctx, err);
}
