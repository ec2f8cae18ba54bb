#include "capture/ingest.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/gunzip.h"
#include "capture/ingest_line.h"
#include "capture/ingest_queue.h"
#include "capture/ingest_trouble.h"
#include "store/erase.h"
#include "store/erase_line.h"
#include "store/spool.h"

#define STEP 500                     /* events */
#define STEP_LINES 20000             /* … or lines of which none is one … */
#define STEP_BYTES (4 * 1024 * 1024) /* … or bytes of lines */
#define WAIT_MS 500                  /* for the store, between looks at whether to stop */
#define LOOK_MS 60000                /* for a look at the index */
#define PATIENT_TRIES 6 /* of a batch, more than two minutes: then bad days do not count */
#define TRY_TAKING_S 5  /* between looks at whether batches can be taken again */
#define EXPIRE_S 20
#define DAYS_KEPT 10 /* whole days of a batch */

struct ingest {
	struct ingest_config config;
	struct ingest_service service;
	struct capture *capture;
	struct store *store;
	struct spool *spool;
	GThread *thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t ticket;  /* of the thread: the last one of a step */
	GHashTable *days; /* of the thread: those that could not be read, as the log was told */
	struct ingest_troubles troubles;
	struct ingest_queue waiting; /* under the lock */
	size_t refused;              /* under the lock: bytes of the largest one for which there is
	                                no room; 0: none */
	bool stop, held;             /* under the lock */
};

/* The validation of one batch. */
struct validation {
	struct ingest *ingest;
	const char *id;
	struct spool_batch batch;
	struct ingest_rules rules;
	struct spool_failures *refused; /* NULL until there is one */
	GHashTable *ids;                /* event ids of the batch */
	GArray *step;                   /* struct ingest_line, not yet handed over */
	size_t step_bytes;              /* of their lines */
	GString *rest;                  /* a line whose end has not come yet */
	GString *scratch;
	struct sha256_ctx hash;
	uint64_t lines;       /* so far */
	uint64_t events;      /* lines that are not blank */
	uint64_t resumed;     /* lines that an earlier run has dealt with */
	uint64_t handed_over; /* the line that the last step ended with */
	uint64_t failed, repeated, unknown;
	struct tombstones *stones; /* NULL: nobody was erased */
	bool named;                /* a line names somebody who was */
	unsigned tries;            /* that failed */
};

static bool stopping(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->lock);
	bool stop = ingest->stop;
	pthread_mutex_unlock(&ingest->lock);
	return stop;
}

static void tell(struct ingest *ingest, bool trouble, const char *id, const char *text)
{
	if (ingest->config.tell != NULL)
		ingest->config.tell(ingest->config.ctx, trouble, id, text);
}

static void begin_trouble(
        struct ingest *ingest, enum ingest_trouble kind, const char *id, const struct error *cause)
{
	g_autofree char *text = NULL;

	if (ingest_trouble_begin(&ingest->troubles, kind, cause, &text))
		tell(ingest, true, id, text);
}

static void end_trouble(struct ingest *ingest, enum ingest_trouble kind)
{
	const char *text = ingest_trouble_end(&ingest->troubles, kind);

	if (text != NULL)
		tell(ingest, false, NULL, text);
}

/* The end of a run that is not over: not a failure of the batch. */
static int stopped(struct error *err)
{
	return error_errno(err, ECANCELED, "stopped");
}

/* ---- lines out of pieces ---- */

typedef int line_taker(struct validation *v, struct slice line, struct error *err);

static void add_rest(struct validation *v, struct slice piece)
{
	gsize room = INGEST_LINE_MAX + 1 - MIN(v->rest->len, INGEST_LINE_MAX + 1);

	g_string_append_len(v->rest, piece.p, (gssize)MIN(piece.n, room));
}

static int end_line(struct validation *v, struct slice line, line_taker *taker, struct error *err)
{
	v->lines++;
	if (slice_trim(line).n == 0)
		return 0;
	v->events++;
	return taker(v, line, err);
}

static int take_lines(
        struct validation *v, struct slice bytes, line_taker *taker, struct error *err)
{
	ptrdiff_t end;

	while ((end = slice_chr(bytes, '\n')) >= 0) {
		struct slice line = slice_head(bytes, (size_t)end);
		bytes = slice_from(bytes, (size_t)end + 1);
		if (v->rest->len > 0) {
			add_rest(v, line);
			line = slice_make(v->rest->str, v->rest->len);
		}
		int result = end_line(v, line, taker, err);
		g_string_truncate(v->rest, 0);
		if (result < 0)
			return -1;
	}
	add_rest(v, bytes);
	return 0;
}

static int last_line(struct validation *v, line_taker *taker, struct error *err)
{
	if (v->rest->len == 0)
		return 0;
	int result = end_line(v, slice_make(v->rest->str, v->rest->len), taker, err);
	g_string_truncate(v->rest, 0);
	return result;
}

/* ---- first pass: is it gzip to its end, how many lines, which ---- */

static int count_line(struct validation *v, struct slice line, struct error *err)
{
	(void)line;
	if (v->events <= INGEST_LINES_MAX)
		return 0;
	return error_errno(err, EFBIG, "more than %d events", INGEST_LINES_MAX);
}

static int measure_piece(void *ctx, struct slice bytes, struct error *err)
{
	struct validation *v = ctx;

	sha256_update(&v->hash, bytes.n, (const uint8_t *)bytes.p);
	return take_lines(v, bytes, count_line, err);
}

static int measure(struct validation *v, struct error *err)
{
	const struct slice packed = slice_make(v->batch.bytes->str, v->batch.bytes->len);

	sha256_init(&v->hash);
	if (gunzip(packed, INGEST_INFLATED_MAX, measure_piece, v, err) < 0)
		return -1;
	return last_line(v, count_line, err);
}

/* ---- steps ---- */

static void clear_line(gpointer line)
{
	ingest_line_clear(line);
}

/* The events of a step that the store has at another second: the commit looks at their own only. */
struct looking {
	const struct validation *v;
	GHashTable *elsewhere;
	bool passed; /* over a day that cannot be read */
};

static void found_one(void *ctx, const struct event *event)
{
	struct looking *looking = ctx;
	const GArray *step = looking->v->step;

	for (guint i = 0; i < step->len; i++) {
		const struct event *mine = &g_array_index(step, struct ingest_line, i).event;
		if (mine->id == event->id &&
		        mine->time / CLOCK_SECOND != event->time / CLOCK_SECOND)
			g_hash_table_add(looking->elsewhere, GSIZE_TO_POINTER(i + 1));
	}
}

/* What is damaged keeps nothing else from coming in; what the disk does not give may do so only for
 * a while. */
static bool pass_day(void *ctx, int64_t day, const struct error *cause)
{
	struct looking *looking = ctx;
	struct ingest *ingest = looking->v->ingest;
	bool bad = cause->number == EIO || cause->number == EACCES;

	if (cause->number != EBADMSG && !(bad && looking->v->tries >= PATIENT_TRIES))
		return false;
	looking->passed = true;
	if (g_hash_table_add(ingest->days, g_memdup2(&day, sizeof(day)))) {
		g_autofree char *text = g_strdup_printf(
		        "%s; events come in without a look at whether they are in that file "
		        "already: see postwake check",
		        cause->text);
		tell(ingest, true, looking->v->id, text);
	}
	return true;
}

/* *passed_r: not all days could be read. */
static int look_elsewhere(
        struct validation *v, GHashTable *elsewhere, bool *passed_r, struct error *err)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	struct search search = {.to = INT64_MAX,
	        .limit = 16 * STEP,
	        .no_total = true,
	        .deadline_ms = LOOK_MS,
	        .pass = pass_day};
	struct looking looking = {v, elsewhere, false};
	int result = 0;

	for (guint i = 0; i < v->step->len; i++)
		g_ptr_array_add(
		        ids, g_strdup_printf("%" G_GUINT64_FORMAT,
		                     g_array_index(v->step, struct ingest_line, i).event.id));
	g_ptr_array_add(ids, NULL);
	search.values[SEARCH_EVENT_ID] = (const char *const *)ids->pdata;
	if (v->step->len > 0)
		result = store_search(v->ingest->store, &search, found_one, &looking, NULL, err);
	*passed_r = looking.passed;
	return result;
}

/* Hands a step over, however long the store takes. The ticket, or 0 when the end has come. */
static uint64_t hand_over(struct validation *v, const struct event *const *events, size_t n,
        const struct ingest_step *step)
{
	uint64_t ticket;

	do
		ticket = capture_try_ingest(v->ingest->capture, events, n, step, WAIT_MS);
	while (ticket == 0 && !stopping(v->ingest));
	if (ticket != 0)
		v->ingest->ticket = ticket;
	return ticket;
}

/* Until all steps are on the disk; false when the end has come before. */
static bool wait_for_steps(struct ingest *ingest)
{
	while (ingest->ticket != 0 && capture_wait(ingest->capture, ingest->ticket, WAIT_MS) != 1)
		if (stopping(ingest))
			return false;
	return true;
}

static struct ingest_step make_step(const struct validation *v)
{
	return (struct ingest_step){
	        .id = slice_str(v->id),
	        .received = v->batch.received,
	        .scope = slice_str(v->batch.scope),
	        .done = v->lines,
	        .unknown = v->unknown,
	};
}

static int end_step(struct validation *v, struct error *err)
{
	g_autoptr(GHashTable) elsewhere = g_hash_table_new(NULL, NULL);
	g_autoptr(GPtrArray) events = g_ptr_array_new();
	struct ingest_step step = make_step(v);
	bool passed;

	if (v->lines <= v->resumed)
		return 0;
	if (look_elsewhere(v, elsewhere, &passed, err) < 0)
		return -1;
	for (guint i = 0; i < v->step->len; i++)
		if (!g_hash_table_contains(elsewhere, GSIZE_TO_POINTER(i + 1)))
			g_ptr_array_add(
			        events, &g_array_index(v->step, struct ingest_line, i).event);
	step.duplicates = g_hash_table_size(elsewhere);
	step.unchecked = passed ? events->len : 0;
	if (hand_over(v, (const struct event *const *)events->pdata, events->len, &step) == 0)
		return stopped(err);
	v->handed_over = v->lines;
	v->unknown = 0;
	v->step_bytes = 0;
	g_array_set_size(v->step, 0);
	return 0;
}

/* ---- second pass: the events ---- */

/* Lines that are kept as they came must not bring back who was erased. */
static bool names_erased(struct validation *v, struct slice text)
{
	if (v->stones == NULL || erase_line(v->stones, text, v->scratch) == LINE_KEPT)
		return false;
	v->named = true;
	return true;
}

/* What of a refused line may be kept, and why it was refused, which may quote it. */
static struct slice keep_of_refused(
        struct validation *v, struct slice text, bool *is_json, struct error *why)
{
	bool plain = store_pseudonymised(v->ingest->store) == 0;
	g_autoptr(GString) scratch = g_string_new(NULL);

	if (names_erased(v, text)) {
		error_clear(why);
		error_set(why, "The line names somebody who was erased");
		text = SLICE(TOMBSTONE_MARK);
		*is_json = false;
	} else if (!plain) {
		struct slice said =
		        store_plainless(v->ingest->store, slice_str(why->text), scratch);
		g_autofree char *copy = slice_dup(said);
		error_clear(why);
		error_set(why, "%s", copy);
		text = SLICE("not kept: pseudonymise = yes");
		*is_json = false;
	}
	return text;
}

static int refuse_line(
        struct validation *v, struct slice text, bool is_json, struct error *why, struct error *err)
{
	v->failed++;
	if (v->refused == NULL)
		v->refused = spool_failures_begin(v->ingest->spool, v->id, err);
	if (v->refused == NULL)
		return -1;
	text = keep_of_refused(v, text, &is_json, why);
	g_string_truncate(v->scratch, 0);
	ingest_line_refused(v->scratch, text, v->lines, is_json, why);
	return spool_failures_add(v->refused, slice_make(v->scratch->str, v->scratch->len), err);
}

static int take_line(struct validation *v, struct slice text, struct error *err)
{
	struct ingest_line line;
	struct error why = {0};
	int result = 0;

	v->named = v->named || names_erased(v, text);
	if (ingest_line_take(&v->rules, text, &line, &why) < 0) {
		result = refuse_line(v, text, line.json != NULL, &why, err);
		ingest_line_clear(&line);
	} else if (!g_hash_table_add(v->ids, g_memdup2(&line.event.id, sizeof(line.event.id)))) {
		v->repeated++;
		ingest_line_clear(&line);
	} else if (v->lines <= v->resumed) {
		ingest_line_clear(&line);
	} else {
		v->unknown += line.unknown;
		v->step_bytes += text.n;
		g_array_append_val(v->step, line);
	}
	if (result == 0 && (v->step->len >= STEP || v->step_bytes >= STEP_BYTES ||
	                           v->lines >= v->handed_over + STEP_LINES))
		result = end_step(v, err);
	return result;
}

static int take_piece(void *ctx, struct slice bytes, struct error *err)
{
	struct validation *v = ctx;

	if (stopping(v->ingest))
		return stopped(err);
	return take_lines(v, bytes, take_line, err);
}

static int take_all(struct validation *v, struct error *err)
{
	const struct slice packed = slice_make(v->batch.bytes->str, v->batch.bytes->len);

	v->lines = v->events = 0;
	v->handed_over = v->resumed;
	if (gunzip(packed, INGEST_INFLATED_MAX, take_piece, v, err) < 0 ||
	        last_line(v, take_line, err) < 0 || end_step(v, err) < 0)
		return -1;
	return spool_failures_end(&v->refused, true, err);
}

/* ---- the end ---- */

/* Where no addresses are kept, the bytes of a batch go when they are not needed any more. */
static void end_bytes(struct validation *v)
{
	if (store_pseudonymised(v->ingest->store) != 0)
		spool_drop_bytes(v->ingest->spool, v->id);
}

static void tell_end(struct validation *v, const char *error)
{
	g_autofree char *text =
	        g_strdup_printf("%s: %" G_GUINT64_FORMAT " line(s), %" G_GUINT64_FORMAT " refused",
	                error != NULL ? error : "validated", v->events, v->failed);

	tell(v->ingest, false, v->id, text);
}

/* The midnight after so many whole days, as recorded of the service. */
static int64_t expiry_of(int64_t time)
{
	return (clock_day_of(time) + DAYS_KEPT + 1) * CLOCK_DAY;
}

/* Writes the status record and waits until it is on the disk: the next batch must see it. `error`:
 * NULL = what the counts say. */
static int finish(struct validation *v, const char *error, uint64_t duplicates, struct slice digest,
        struct error *err)
{
	g_autofree char *event_id = g_uuid_string_random();
	int64_t now = clock_now() / CLOCK_SECOND * CLOCK_SECOND;
	struct ingest_step step = make_step(v);

	step.last = true;
	step.duplicates = duplicates;
	step.failed = v->failed;
	step.error = slice_str(error);
	step.event_id = slice_str(event_id);
	step.digest = digest;
	step.time = now;
	step.expires = expiry_of(now);
	if (hand_over(v, NULL, 0, &step) == 0 || !wait_for_steps(v->ingest))
		return stopped(err);
	end_bytes(v);
	tell_end(v, error);
	return 0;
}

/* What an earlier run has done of the batch. */
static int resume(struct validation *v, struct error *err)
{
	g_autoptr(GString) bytes = g_string_new(NULL);
	struct ingest_record record;
	int found = store_ingest(v->ingest->store, slice_str(v->id), &record, bytes, err);

	if (found == 1)
		v->resumed = record.done;
	return found;
}

/* The files of a batch that names somebody erased, before it is said to be done: the commits keep
 * their events out themselves. Where no addresses are kept its bytes go anyway. */
static int clean_files(struct validation *v, struct error *err)
{
	return v->stones == NULL || store_pseudonymised(v->ingest->store) != 0
	               ? 0
	               : MIN(spool_clean(v->ingest->store, v->id, v->stones, true, err), 0);
}

static int validate_lines(struct validation *v, struct error *err)
{
	unsigned char digest[INGEST_DIGEST_SIZE];
	struct slice digested = slice_make((const char *)digest, sizeof(digest));
	uint64_t duplicates = 0;
	struct error why = {0};

	_Static_assert(INGEST_DIGEST_SIZE == SHA256_DIGEST_SIZE, "SHA-256");
	if (measure(v, &why) < 0) {
		tell(v->ingest, false, v->id, why.text);
		return finish(v, "decompress", 0, SLICE_NONE, err) < 0 ? -1 : clean_files(v, err);
	}
	if (v->events == 0)
		return finish(v, "empty_batch", 0, SLICE_NONE, err);
	sha256_digest(&v->hash, sizeof(digest), digest);
	int resumed = resume(v, err);
	int seen = resumed == 0 ? store_ingest_seen(v->ingest->store, digested,
	                                  slice_str(v->batch.scope), &duplicates, err)
	                        : resumed;
	if (seen < 0)
		return -1;
	if (resumed == 0 && seen == 1)
		return clean_files(v, err) < 0
		               ? -1
		               : finish(v, "duplicate_batch", duplicates, digested, err);
	if (take_all(v, err) < 0 || (v->named && clean_files(v, err) < 0))
		return -1;
	return finish(v, NULL, v->repeated, digested, err);
}

/* Ids are the sender's choice: with g_int64_hash they could all be made to collide. */
static guint id_hash(gconstpointer id)
{
	static gsize key;

	if (g_once_init_enter(&key)) {
		guint64 odd;
		randombytes_buf(&odd, sizeof(odd));
		g_once_init_leave(&key, (gsize)(odd | 1));
	}
	return (guint)((*(const guint64 *)id * key) >> 32);
}

static void validation_init(
        struct validation *v, struct ingest *ingest, const struct ingest_waiting *batch)
{
	*v = (struct validation){.ingest = ingest, .id = batch->id, .tries = batch->tries};
	v->ids = g_hash_table_new_full(id_hash, g_int64_equal, g_free, NULL);
	v->step = g_array_new(FALSE, FALSE, sizeof(struct ingest_line));
	g_array_set_clear_func(v->step, clear_line);
	v->rest = g_string_new(NULL);
	v->scratch = g_string_new(NULL);
}

static void validation_clear(struct validation *v)
{
	spool_failures_end(&v->refused, false, NULL);
	ingest_scope_clear(&v->rules.scope);
	spool_batch_clear(&v->batch);
	tombstones_free(&v->stones);
	g_array_unref(v->step);
	g_hash_table_unref(v->ids);
	g_string_free(v->rest, TRUE);
	g_string_free(v->scratch, TRUE);
}

static int load_stones(struct validation *v, struct error *err)
{
	v->stones = store_erase_all_stones(v->ingest->store, err);
	return err->set ? -1 : 0;
}

/* Number EBADMSG: its bytes are gone or of no use, and no further try makes them better. */
static int read_batch(struct validation *v, struct error *err)
{
	int found = spool_read(v->ingest->store, v->id, &v->batch, err);

	if (found == 0)
		return error_errno(err, EBADMSG, "its bytes were deleted before it was validated");
	if (found < 0)
		return -1;
	v->rules = (struct ingest_rules){.config = &v->ingest->config,
	        .received = v->batch.received,
	        .now = store_now(v->ingest->store)};
	if (ingest_scope_read(slice_str(v->batch.scope), &v->rules.scope) < 0)
		return error_errno(err, EBADMSG, "its scope cannot be read");
	return 0;
}

/* Whether a batch has been tried for as long as one is kept. */
static bool has_expired(const struct validation *v, const struct ingest_waiting *batch)
{
	int64_t since = v->batch.received != 0 ? v->batch.received : batch->since;

	return store_now(v->ingest->store) >= expiry_of(since);
}

static int give_up(struct validation *v, struct error *err)
{
	tell(v->ingest, true, v->id, err->text);
	v->failed = 0;
	error_clear(err);
	return finish(v, "system", 0, SLICE_NONE, err);
}

/* One try. What was answered by 200 is dropped only where there is nothing to try again. */
static int validate(struct ingest *ingest, const struct ingest_waiting *batch, struct error *err)
{
	struct validation v;
	bool lost = false;

	validation_init(&v, ingest, batch);
	int result = load_stones(&v, err);
	if (result == 0) {
		result = read_batch(&v, err);
		lost = result < 0 && err->number == EBADMSG;
	}
	if (result == 0)
		result = validate_lines(&v, err);
	if (result < 0 && err->number != ECANCELED && (lost || has_expired(&v, batch)))
		result = give_up(&v, err);
	validation_clear(&v);
	return result;
}

/* ---- the thread ---- */

/* The trouble is over when the last one has come to its end, whose time comes again. */
static void validated(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->lock);
	bool failed = ingest->waiting.failed > 0;
	pthread_mutex_unlock(&ingest->lock);
	if (!failed)
		end_trouble(ingest, INGEST_VALIDATES);
}

static void try_later(
        struct ingest *ingest, struct ingest_waiting *batch, const struct error *cause)
{
	begin_trouble(ingest, INGEST_VALIDATES, batch->id, cause);
	pthread_mutex_lock(&ingest->lock);
	ingest_queue_again(&ingest->waiting, batch);
	pthread_mutex_unlock(&ingest->lock);
}

/* Takes the batch over. */
static void try_batch(struct ingest *ingest, struct ingest_waiting *batch)
{
	struct error err = {0};
	int result = wait_for_steps(ingest) ? 0 : stopped(&err);

	if (result == 0) {
		spool_hold(ingest->store);
		result = validate(ingest, batch, &err);
		spool_release(ingest->store);
	}
	if (result < 0 && err.number != ECANCELED) {
		try_later(ingest, batch, &err);
		return;
	}
	ingest_waiting_free(batch);
	if (result >= 0)
		validated(ingest);
}

static void expire(struct ingest *ingest)
{
	struct error err = {0};

	spool_hold(ingest->store);
	g_autoptr(GPtrArray) ids = spool_expire(ingest->spool, store_now(ingest->store), &err);
	spool_release(ingest->store);
	if (ids == NULL)
		begin_trouble(ingest, INGEST_EXPIRES, NULL, &err);
	else
		end_trouble(ingest, INGEST_EXPIRES);
	if (ids != NULL && ids->len > 0)
		capture_try_ingest_drop(ingest->capture, ids, WAIT_MS);
}

/* What became of taking so many bytes. A small batch finds room where a large one does not: that is
 * one trouble, until as much as was refused is taken. */
static void note_taking(struct ingest *ingest, size_t size, const struct error *failure)
{
	g_autofree char *text = NULL;
	const char *over = NULL;
	bool news = false;

	pthread_mutex_lock(&ingest->lock);
	if (failure != NULL) {
		ingest->refused = MAX(ingest->refused, size);
		news = ingest_trouble_begin(&ingest->troubles, INGEST_TAKES, failure, &text);
	} else if (ingest->refused != 0 && size >= ingest->refused) {
		ingest->refused = 0;
		over = ingest_trouble_end(&ingest->troubles, INGEST_TAKES);
	}
	pthread_mutex_unlock(&ingest->lock);
	if (news)
		tell(ingest, true, NULL, text);
	if (over != NULL)
		tell(ingest, false, NULL, over);
}

/* Whoever was refused may never come again. */
static void try_taking(struct ingest *ingest)
{
	struct error err = {0};

	pthread_mutex_lock(&ingest->lock);
	size_t size = ingest->refused;
	pthread_mutex_unlock(&ingest->lock);
	if (size > 0 && spool_try(ingest->spool, size, &err) == 0)
		note_taking(ingest, size, NULL);
}

/* The next batch whose time has come; NULL when it is `until` (us, monotonic). */
static struct ingest_waiting *next(struct ingest *ingest, gint64 until)
{
	struct ingest_waiting *batch = NULL;

	pthread_mutex_lock(&ingest->lock);
	for (;;) {
		gint64 now = g_get_monotonic_time();
		gint64 due = ingest->held ? INT64_MAX : ingest_queue_due(&ingest->waiting);
		if (ingest->stop || now >= until)
			break;
		if (now >= due) {
			batch = ingest_queue_take(&ingest->waiting);
			break;
		}
		clock_cond_wait_until(&ingest->changed, &ingest->lock, MIN(due, until));
	}
	pthread_mutex_unlock(&ingest->lock);
	return batch;
}

static gpointer ingest_main(gpointer p)
{
	struct ingest *ingest = p;
	gint64 expire_at = 0, take_at = 0;

	while (!stopping(ingest)) {
		gint64 now = g_get_monotonic_time();
		if (now >= expire_at) {
			expire(ingest);
			expire_at = now + EXPIRE_S * G_TIME_SPAN_SECOND;
		}
		if (now >= take_at) {
			try_taking(ingest);
			take_at = now + TRY_TAKING_S * G_TIME_SPAN_SECOND;
		}
		struct ingest_waiting *batch = next(ingest, MIN(expire_at, take_at));
		if (batch != NULL)
			try_batch(ingest, batch);
	}
	return NULL;
}

/* ---- its life ---- */

static int ingest_take(void *ctx, const struct access *access, struct slice batch,
        char id[INGEST_ID_SIZE], struct error *err)
{
	struct ingest *ingest = ctx;

	pthread_mutex_lock(&ingest->lock);
	bool held = ingest->held;
	pthread_mutex_unlock(&ingest->lock);
	if (held)
		return error_errno(err, ENOSPC, "the store has reached its max_size");
	int result =
	        spool_put(ingest->spool, access->who, &access->scope, clock_now(), batch, id, err);
	note_taking(ingest, batch.n, result < 0 ? err : NULL);
	if (result < 0)
		return -1;
	pthread_mutex_lock(&ingest->lock);
	ingest_queue_add(&ingest->waiting, id);
	pthread_cond_signal(&ingest->changed);
	pthread_mutex_unlock(&ingest->lock);
	return 0;
}

static void init_lock(struct ingest *ingest)
{
	pthread_mutex_init(&ingest->lock, NULL);
	clock_cond_init(&ingest->changed);
}

/* Bytes of batches that are validated: from before addresses were no longer kept, or of a run that
 * was cut off. */
static int drop_plain(struct ingest *ingest, GPtrArray *pending, struct error *err)
{
	g_autoptr(GPtrArray) ids = spool_ids(ingest->store, err);

	for (guint i = 0; ids != NULL && i < ids->len; i++)
		if (!g_ptr_array_find_with_equal_func(pending, ids->pdata[i], g_str_equal, NULL))
			spool_drop_bytes(ingest->spool, ids->pdata[i]);
	return ids != NULL ? 0 : -1;
}

/* What an earlier run left goes first. */
static int queue_pending(struct ingest *ingest, struct error *err)
{
	g_autoptr(GPtrArray) ids = spool_pending(ingest->spool, err);

	if (ids == NULL)
		return -1;
	for (guint i = 0; i < ids->len; i++)
		ingest_queue_add(&ingest->waiting, ids->pdata[i]);
	return store_pseudonymised(ingest->store) != 0 ? drop_plain(ingest, ids, err) : 0;
}

int ingest_open(struct ingest **ingest_r, struct capture *capture, struct store *store,
        const struct ingest_config *config, struct error *err)
{
	struct ingest *ingest = g_new0(struct ingest, 1);
	g_autoptr(GError) failure = NULL;

	ingest->config = *config;
	ingest->capture = capture;
	ingest->store = store;
	ingest->service = (struct ingest_service){
	        .ctx = ingest, .customer_id = config->customer_id, .take = ingest_take};
	ingest->days = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	ingest_queue_init(&ingest->waiting);
	ingest_troubles_init(&ingest->troubles);
	init_lock(ingest);
	ingest->spool = spool_open(store, config->most, err);
	if (ingest->spool != NULL && queue_pending(ingest, err) == 0) {
		ingest->thread = g_thread_try_new("ingest", ingest_main, ingest, &failure);
		if (ingest->thread == NULL)
			error_set(err, "cannot start the ingest thread: %s", failure->message);
	}
	*ingest_r = ingest;
	if (ingest->thread != NULL)
		return 0;
	ingest_close(ingest_r);
	return -1;
}

void ingest_close(struct ingest **ingest)
{
	struct ingest *i = *ingest;

	if (i == NULL)
		return;
	pthread_mutex_lock(&i->lock);
	i->stop = true;
	pthread_cond_broadcast(&i->changed);
	pthread_mutex_unlock(&i->lock);
	if (i->thread != NULL)
		g_thread_join(i->thread);
	spool_free(&i->spool);
	ingest_queue_clear(&i->waiting);
	ingest_troubles_clear(&i->troubles);
	g_hash_table_unref(i->days);
	pthread_cond_destroy(&i->changed);
	pthread_mutex_destroy(&i->lock);
	g_clear_pointer(ingest, g_free);
}

void ingest_hold(struct ingest *ingest, bool held)
{
	pthread_mutex_lock(&ingest->lock);
	if (held != ingest->held)
		pthread_cond_signal(&ingest->changed);
	ingest->held = held;
	pthread_mutex_unlock(&ingest->lock);
}

GPtrArray *ingest_troubles(struct ingest *ingest)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

	for (int i = 0; i < INGEST_TROUBLES; i++) {
		char *text = ingest_trouble_text(&ingest->troubles, i);
		if (text != NULL)
			g_ptr_array_add(texts, text);
	}
	return texts;
}

const struct ingest_service *ingest_service(struct ingest *ingest)
{
	return &ingest->service;
}
