#include "upload/uploader.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "upload/key.h"
#include "upload/uploader-private.h"

#define TICK_MS 250 /* between looks at the store's mark */
#define KEY_AGAIN (30 * CLOCK_SECOND)
#define EXPIRE_EVERY CLOCK_HOUR
/* Of the events of a batch that were not taken so many, or so many bytes, are kept. */
#define FAILURES_MAX 1000
#define FAILURES_BYTES (1024 * 1024)
#define COMMIT_LOOK_MS 500

bool uploader_stopping(struct uploader *u)
{
	return g_atomic_int_get(&u->stopping) != 0;
}

double uploader_jitter(void)
{
	return g_random_double();
}

void uploader_say(char **text, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	char *new = g_strdup_vprintf(format, ap);
	va_end(ap);
	g_free(*text);
	*text = new;
}

void uploader_trouble(struct uploader *u, const char *text)
{
	bool trouble = text != NULL;

	u->dirty |= strcmp(u->row->trouble, trouble ? text : "") != 0;
	uploader_say(&u->row->trouble, "%s", trouble ? text : "");
	if (trouble == u->troubled)
		return;
	u->troubled = trouble;
	if (u->config.tell != NULL)
		u->config.tell(u->config.ctx, u->config.name, trouble,
		        trouble ? text : "uploads work again");
}

/* ---- commits ---- */

static void fill(struct uploader *u, struct store_batch *to, const struct uploader_changes *changes)
{
	store_batch_destination(to, u->row);
	if (changes->batch != NULL)
		store_batch_outbox(to, changes->batch);
	for (guint i = 0; changes->batches != NULL && i < changes->batches->len; i++)
		store_batch_outbox(to, changes->batches->pdata[i]);
	for (guint i = 0; changes->failures != NULL && i < changes->failures->len; i++)
		store_batch_failure(
		        to, &g_array_index(changes->failures, struct outbox_failure, i));
	if (changes->trim != 0)
		store_batch_outbox_trim(to, changes->trim);
}

static void clear_failure(gpointer p)
{
	const struct outbox_failure *failure = p;

	g_free((char *)failure->cause.p);
	g_free((char *)failure->line.p);
}

GArray *uploader_failures(void)
{
	GArray *failures = g_array_new(FALSE, FALSE, sizeof(struct outbox_failure));

	g_array_set_clear_func(failures, clear_failure);
	return failures;
}

static bool is_full(const GArray *failures)
{
	size_t bytes = 0;

	for (guint i = 0; i < failures->len; i++)
		bytes += g_array_index(failures, struct outbox_failure, i).line.n;
	return failures->len >= FAILURES_MAX || bytes >= FAILURES_BYTES;
}

void uploader_failed(GArray *failures, const struct uploader *u, const struct outbox_batch *batch,
        int64_t now, struct slice line, char *cause)
{
	if (is_full(failures)) {
		g_free(cause);
		return;
	}
	const struct outbox_failure failure = {
	        .destination = slice_str(u->config.name),
	        .batch = slice_str(batch->id),
	        .time = now,
	        .cause = slice_str(cause),
	        .line = slice_make(slice_dup(line), line.n),
	};

	g_array_append_val(failures, failure);
}

int uploader_commit(struct uploader *u, const struct uploader_changes *changes)
{
	struct store_batch *batch;
	int done;

	while ((batch = store_writer_try_begin(u->writer, COMMIT_LOOK_MS)) == NULL)
		if (uploader_stopping(u))
			return -1;
	fill(u, batch, changes);
	u->dirty = false;
	uint64_t ticket = store_writer_end(u->writer, true);
	while ((done = store_writer_wait(u->writer, ticket, COMMIT_LOOK_MS)) == 0)
		if (uploader_stopping(u))
			return -1;
	return done == 1 ? 0 : -1;
}

int uploader_end(struct uploader *u, struct outbox_batch *batch, enum outbox_state state,
        const GArray *failures)
{
	const struct uploader_changes changes = {.batch = batch, .failures = failures};

	batch->state = state;
	if (uploader_commit(u, &changes) < 0)
		return -1;
	store_outbox_unlink(u->store, batch);
	g_ptr_array_remove(u->open, batch);
	return 0;
}

/* ---- the thread ---- */

/* The key; false where there is none and must be one. */
static bool have_key(struct uploader *u)
{
	struct error err = {0};

	if (u->key == NULL && u->config.key_file != NULL) {
		u->key = upload_key_read(u->config.key_file, &err);
		if (u->key == NULL)
			uploader_trouble(u, err.text);
	}
	return u->key != NULL || u->config.key_file == NULL;
}

/* Batches that retention has overtaken, and what ended long ago. */
static void expire(struct uploader *u, int64_t now)
{
	struct uploader_changes changes = {0};

	if (u->config.keep_days < 0 || now < u->expired + EXPIRE_EVERY)
		return;
	u->expired = now;
	changes.trim = now - MAX(u->config.keep_days, 1) * CLOCK_DAY;
	for (guint i = u->open->len; i-- > 0;) {
		struct outbox_batch *batch = u->open->pdata[i];
		if (batch->created >= changes.trim)
			continue;
		u->row->lost += batch->events;
		uploader_end(u, batch, batch->doubt ? OUTBOX_UNKNOWN : OUTBOX_DROPPED, NULL);
	}
	uploader_commit(u, &changes);
}

static void retry(struct uploader *u, const char *id, int64_t now)
{
	struct uploader_changes changes = {.batches = u->open};

	upload_key_free(&u->key);
	u->failures = u->parks = u->misses = 0;
	u->hold = 0;
	for (guint i = 0; i < u->open->len; i++) {
		struct outbox_batch *batch = u->open->pdata[i];
		if (!g_str_has_prefix(batch->id, id) && !g_str_has_prefix(batch->remote, id))
			continue;
		if (batch->state == OUTBOX_PARKED)
			batch->state = OUTBOX_READY;
		batch->next = now;
	}
	uploader_commit(u, &changes);
}

static void take_retries(struct uploader *u, int64_t now)
{
	pthread_mutex_lock(&u->lock);
	g_autoptr(GPtrArray) ids = u->retries;
	u->retries = g_ptr_array_new_with_free_func(g_free);
	pthread_mutex_unlock(&u->lock);
	for (guint i = 0; i < ids->len; i++)
		retry(u, ids->pdata[i], now);
}

/* One thing at a time: verdicts, then batches that wait for their turn, then a new one. 1 when
 * something was done. */
static int step(struct uploader *u)
{
	int64_t now = clock_now();
	bool blocked = false;

	take_retries(u, now);
	expire(u, store_now(u->store));
	if (!have_key(u)) {
		u->hold = now + KEY_AGAIN;
		return 0;
	}
	if (uploader_poll(u, now) > 0)
		return 1;
	for (guint i = 0; i < u->open->len; i++) {
		struct outbox_batch *batch = u->open->pdata[i];
		if (batch->state != OUTBOX_READY)
			continue;
		if (uploader_due(batch, now)) {
			uploader_send(u, batch, now);
			return 1;
		}
		blocked = true;
	}
	return blocked || now < u->hold ? 0 : uploader_cut(u, now);
}

static void pause_for(struct uploader *u, int ms)
{
	gint64 until = g_get_monotonic_time() + ms * G_TIME_SPAN_MILLISECOND;

	pthread_mutex_lock(&u->lock);
	if (!uploader_stopping(u) && u->retries->len == 0)
		clock_cond_wait_until(&u->changed, &u->lock, until);
	pthread_mutex_unlock(&u->lock);
}

static gpointer run(gpointer data)
{
	struct uploader *u = data;

	while (!uploader_stopping(u)) {
		int done = step(u);
		if (u->dirty)
			uploader_commit(u, &(struct uploader_changes){0});
		if (done <= 0)
			pause_for(u, TICK_MS);
	}
	return NULL;
}

/* ---- start and stop ---- */

static void free_batch(gpointer batch)
{
	outbox_batch_free(batch);
}

static struct outbox_destination *new_row(const struct uploader *u)
{
	struct outbox_destination *row = g_new0(struct outbox_destination, 1);

	row->name = g_strdup(u->config.name);
	row->trouble = g_strdup("");
	row->arrival = u->config.from_start ? 0 : store_mark(u->store);
	return row;
}

/* Where the last run left off. */
static int load(struct uploader *u, struct error *err)
{
	g_autoptr(GPtrArray) batches = store_outbox(u->store, u->config.name, err);
	g_autoptr(GPtrArray) rows = batches != NULL ? store_destinations(u->store, err) : NULL;

	if (rows == NULL)
		return -1;
	for (guint i = 0; i < rows->len && u->row == NULL; i++) {
		const struct outbox_destination *row = rows->pdata[i];
		if (strcmp(row->name, u->config.name) == 0)
			u->row = g_ptr_array_steal_index(rows, i);
	}
	if (u->row == NULL)
		u->row = new_row(u);
	u->row->max_age = cut_max_age(u->config.rules.kind);
	u->troubled = *u->row->trouble != '\0';
	for (guint i = 0; i < batches->len;)
		if (outbox_has_bytes(batches->pdata[i]))
			g_ptr_array_add(u->open, g_ptr_array_steal_index(batches, i));
		else
			i++;
	return 0;
}

struct uploader *uploader_start(struct store *store, struct store_writer *writer,
        const struct uploader_config *config, struct error *err)
{
	struct uploader *u = g_new0(struct uploader, 1);
	const struct upload_http_config http = {
	        .ca_file = config->ca_file,
	        .proxy = config->proxy,
	        .bandwidth = config->bandwidth,
	        .timeout = config->timeout,
	        .stopping = &u->stopping,
	};

	u->store = store;
	u->writer = writer;
	u->config = *config;
	u->post_url = g_strconcat(config->base, "/api/v1/ingest/events", NULL);
	u->status_url = g_strconcat(config->base, "/api/v1/events/ingest", NULL);
	pthread_mutex_init(&u->lock, NULL);
	clock_cond_init(&u->changed);
	u->retries = g_ptr_array_new_with_free_func(g_free);
	u->open = g_ptr_array_new_with_free_func(free_batch);
	u->http = upload_http_new(&http);
	if (load(u, err) == 0)
		u->thread = g_thread_new("upload", run, u);
	else
		uploader_stop(&u);
	return u;
}

void uploader_stop(struct uploader **uploader)
{
	struct uploader *u = *uploader;

	if (u == NULL)
		return;
	pthread_mutex_lock(&u->lock);
	g_atomic_int_set(&u->stopping, 1);
	pthread_cond_signal(&u->changed);
	pthread_mutex_unlock(&u->lock);
	if (u->thread != NULL)
		g_thread_join(u->thread);
	upload_key_free(&u->key);
	upload_http_free(&u->http);
	outbox_destination_free(u->row);
	g_ptr_array_unref(u->open);
	g_ptr_array_unref(u->retries);
	pthread_cond_destroy(&u->changed);
	pthread_mutex_destroy(&u->lock);
	g_free(u->post_url);
	g_free(u->status_url);
	g_clear_pointer(uploader, g_free);
}

void uploader_retry(struct uploader *u, const char *id)
{
	pthread_mutex_lock(&u->lock);
	g_ptr_array_add(u->retries, g_strdup(id != NULL ? id : ""));
	pthread_cond_signal(&u->changed);
	pthread_mutex_unlock(&u->lock);
}

int uploader_unpark(struct store *store, const char *id, struct error *err)
{
	g_autoptr(GPtrArray) batches = store_outbox(store, NULL, err);
	struct store_batch *changes = batches != NULL ? store_batch_new() : NULL;
	struct store_commit_result result;
	int n = 0;

	if (batches == NULL)
		return -1;
	for (guint i = 0; i < batches->len; i++) {
		struct outbox_batch *batch = batches->pdata[i];
		if (batch->state != OUTBOX_PARKED && batch->state != OUTBOX_READY)
			continue;
		if (id != NULL && !g_str_has_prefix(batch->id, id) &&
		        !g_str_has_prefix(batch->remote, id))
			continue;
		batch->state = OUTBOX_READY;
		batch->next = 0;
		store_batch_outbox(changes, batch);
		n++;
	}
	if (n > 0 && store_commit(store, changes, 0, &result, err) < 0)
		n = -1;
	store_batch_free(&changes);
	return n;
}
