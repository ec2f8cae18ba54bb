/* Asking what became of the batches that were taken. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "upload/uploader-private.h"

#define ASK_MAX 20                    /* batches in one question */
#define ASK_BYTES (1024 * 1024)       /* of the answer */
#define WAIT_LAST (10 * CLOCK_MINUTE) /* between questions */
#define NO_VERDICT CLOCK_DAY          /* after which nobody asks any more */
#define FAILURES_BYTES (8 * 1024 * 1024)
#define FAILURES_INFLATED (64 * 1024 * 1024)
#define FETCH_TRIES 8 /* over some minutes, or as long as Retry-After says */

struct asking {
	struct uploader *u;
	GPtrArray *asked;    /* batches; not owned */
	GPtrArray *verdicts; /* for each of them: a copy, or NULL */
};

static void free_verdict(gpointer p)
{
	struct answer_verdict *verdict = p;

	if (verdict == NULL)
		return;
	g_free((char *)verdict->batch_id);
	g_free((char *)verdict->error_type);
	g_free((char *)verdict->href);
	g_free(verdict);
}

/* The records that speak of our batches. Where a batch has several, a fault counts. */
static void keep_verdict(void *ctx, const struct answer_verdict *verdict)
{
	struct asking *a = ctx;

	for (guint i = 0; i < a->asked->len; i++) {
		const struct outbox_batch *batch = a->asked->pdata[i];
		const struct answer_verdict *known = a->verdicts->pdata[i];
		if (strcmp(batch->remote, verdict->batch_id) != 0 ||
		        (known != NULL && verdict->success))
			continue;
		struct answer_verdict *copy = g_memdup2(verdict, sizeof(*verdict));
		copy->batch_id = g_strdup(verdict->batch_id);
		copy->error_type = g_strdup(verdict->error_type);
		copy->href = g_strdup(verdict->href);
		free_verdict(a->verdicts->pdata[i]);
		a->verdicts->pdata[i] = copy;
	}
}

static char *make_url(const struct asking *a)
{
	GString *url = g_string_new(a->u->status_url);
	int64_t first = INT64_MAX;
	char from[CLOCK_TEXT_MAX];

	g_string_append(url, "?batch_ids=");
	for (guint i = 0; i < a->asked->len; i++) {
		const struct outbox_batch *batch = a->asked->pdata[i];
		g_string_append_printf(url, "%s%s", i > 0 ? "," : "", batch->remote);
		first = MIN(first, batch->sent);
	}
	/* The clock of the other side may be behind. */
	clock_format(first - CLOCK_HOUR, CLOCK_MINUTES, from);
	g_string_append_printf(url, "&from=%s:00Z&per_page=1000", from);
	return g_string_free(url, FALSE);
}

/* ---- failed events ---- */

struct fetched {
	const struct uploader *u;
	const struct outbox_batch *batch;
	const char *fallback; /* cause of those that say none */
	GArray *failures;
	int64_t now;
	uint64_t count; /* also of those that are not kept */
};

static void keep_failure(void *ctx, struct slice line, const char *cause)
{
	struct fetched *f = ctx;

	uploader_failed(f->failures, f->u, f->batch, f->now, line,
	        g_strdup(*cause != '\0' ? cause : f->fallback));
	f->count++;
}

/* Where the failed events of a batch are; NULL: at another server, where the key must not go. A
 * server behind another may call itself by a name that we do not know it by: what it says in that
 * name of a path that it has under ours as well is got from there. To be freed by g_free. */
static char *failures_url(const struct fetched *f, const char *href)
{
	g_autofree char *path =
	        g_strconcat("/api/v1/ingest/events/failures/", f->batch->remote, NULL);
	g_autofree char *own = g_strconcat(f->u->config.base, path, NULL);
	char *url = answer_same_origin(own, href != NULL ? href : own);

	return url == NULL && g_str_has_suffix(href, path) ? g_steal_pointer(&own) : url;
}

/* 0, or -1 with *err; where it makes no sense to try again, err->number is 0. *retry_after_r as in
 * a reply. */
static int fetch(struct fetched *f, const char *href, int64_t *retry_after_r, struct error *err)
{
	struct uploader *u = (struct uploader *)f->u;
	g_autofree char *url = failures_url(f, href);
	struct upload_reply reply;
	int result;

	if (url == NULL)
		return error_set(
		        err, "its failed events are at another server (%.200s): not fetched", href);
	upload_reply_init(&reply);
	result = upload_http_get(u->http, url, u->key, FAILURES_BYTES, &reply, err);
	struct slice body = slice_make(reply.body->str, reply.body->len);
	*retry_after_r = reply.retry_after;
	if (result == 0 && reply.status != 200) {
		g_autofree char *text = answer_text(reply.status, body);
		result = error_set(err, "its failed events cannot be fetched: %s", text);
	}
	if (result < 0)
		err->number = EAGAIN;
	else
		result = answer_failures(body, FAILURES_INFLATED, keep_failure, f, err);
	upload_reply_clear(&reply);
	return result;
}

/* ---- the end of a batch ---- */

static void accepted(
        struct uploader *u, struct outbox_batch *batch, const struct answer_verdict *verdict)
{
	uint64_t told = verdict->succeeded + verdict->duplicates;
	bool all = !verdict->success || told == 0 || told >= batch->events;
	uint64_t missing = all ? 0 : batch->events - told;

	batch->succeeded = verdict->success ? verdict->succeeded : batch->events;
	batch->duplicates = verdict->duplicates;
	batch->failed = missing;
	u->row->accepted += batch->events - missing;
	u->row->failed += missing;
	if (!all)
		uploader_say(&batch->answer, "success, but of fewer events than were sent");
	else
		uploader_say(&batch->answer, "%s",
		        verdict->success ? "success" : "was there from an earlier try");
	uploader_end(u, batch, all ? OUTBOX_ACCEPTED : OUTBOX_PARTLY, NULL);
}

static void partly(
        struct uploader *u, struct outbox_batch *batch, const struct answer_verdict *verdict)
{
	g_autoptr(GArray) failures = uploader_failures();
	struct fetched f = {u, batch, verdict->error_type, failures, clock_now(), 0};
	struct error err = {0};
	int64_t retry_after = 0;

	if (fetch(&f, verdict->href, &retry_after, &err) < 0 && err.number == EAGAIN &&
	        ++batch->fetches < FETCH_TRIES) {
		int64_t wait = policy_wait(batch->fetches, uploader_jitter(), retry_after);
		batch->next = clock_now() + MAX(wait, u->config.poll);
		uploader_trouble(u, err.text);
		return;
	}
	if (batch->fetches > 0)
		uploader_trouble(u, NULL);
	batch->succeeded = verdict->succeeded;
	batch->duplicates = verdict->duplicates;
	batch->failed = verdict->failed > 0 ? verdict->failed : f.count;
	u->row->failed += MIN(batch->failed, batch->events);
	u->row->accepted += batch->events - MIN(batch->failed, batch->events);
	uploader_say(&batch->answer, "%s%s%s", verdict->error_type, err.set ? "; " : "", err.text);
	uploader_end(u, batch, OUTBOX_PARTLY, failures);
}

static void told(
        struct uploader *u, struct outbox_batch *batch, const struct answer_verdict *verdict)
{
	const struct uploader_changes changes = {.batch = batch};
	g_autofree char *text = NULL;

	switch (policy_of_verdict(verdict, batch->tries > 1)) {
	case POLICY_ACCEPTED:
		accepted(u, batch, verdict);
		return;
	case POLICY_PARTLY:
		partly(u, batch, verdict);
		return;
	case POLICY_AGAIN:
		batch->state = OUTBOX_READY;
		batch->next = clock_now() + policy_wait(++u->failures, uploader_jitter(), 0);
		break;
	case POLICY_PARKED:
		batch->state = OUTBOX_PARKED;
		text = g_strdup_printf("batch %s was refused: %s (postwake upload show)", batch->id,
		        verdict->error_type);
		uploader_trouble(u, text);
		break;
	}
	uploader_say(&batch->answer, "%s", verdict->error_type);
	uploader_say(&batch->remote, "%s", "");
	uploader_commit(u, &changes);
}

/* No verdict yet: asked again, the later the less often. */
static void wait_on(struct uploader *u, struct outbox_batch *batch, int64_t now)
{
	if (now > batch->sent + NO_VERDICT) {
		uploader_say(&batch->answer, "it was taken, but no verdict came");
		u->row->lost += batch->events;
		uploader_end(u, batch, OUTBOX_UNKNOWN, NULL);
		return;
	}
	batch->next = now + CLAMP((now - batch->sent) / 4, u->config.poll, WAIT_LAST);
}

static void find_due(struct asking *a, int64_t now)
{
	for (guint i = 0; i < a->u->open->len && a->asked->len < ASK_MAX; i++) {
		struct outbox_batch *batch = a->u->open->pdata[i];
		if (batch->state != OUTBOX_SENT || !uploader_due(batch, now))
			continue;
		g_ptr_array_add(a->asked, batch);
		g_ptr_array_add(a->verdicts, NULL);
	}
}

static int ask(struct asking *a, int64_t *retry_after, struct error *err)
{
	g_autofree char *url = make_url(a);
	struct upload_reply reply;
	int result;

	upload_reply_init(&reply);
	result = upload_http_get(a->u->http, url, a->u->key, ASK_BYTES, &reply, err);
	struct slice body = slice_make(reply.body->str, reply.body->len);
	*retry_after = reply.retry_after;
	if (result == 0 && reply.status != 200) {
		g_autofree char *text = answer_text(reply.status, body);
		result = error_set(err, "asked for verdicts: %s", text);
	} else if (result == 0) {
		result = answer_verdicts(body, keep_verdict, a, err);
	}
	upload_reply_clear(&reply);
	return result;
}

int uploader_poll(struct uploader *u, int64_t now)
{
	g_autoptr(GPtrArray) asked = g_ptr_array_new();
	g_autoptr(GPtrArray) verdicts = g_ptr_array_new_with_free_func(free_verdict);
	struct asking a = {u, asked, verdicts};
	int64_t retry_after = 0;
	struct error err = {0};

	find_due(&a, now);
	if (asked->len == 0)
		return 0;
	int64_t wait = u->config.poll;
	if (ask(&a, &retry_after, &err) < 0) {
		wait = MAX(wait, policy_wait(++u->misses, uploader_jitter(), retry_after));
		uploader_trouble(u, err.text);
	} else if (u->misses > 0) {
		u->misses = 0;
		uploader_trouble(u, NULL);
	}
	for (guint i = 0; i < asked->len && !uploader_stopping(u); i++) {
		if (verdicts->pdata[i] != NULL)
			told(u, asked->pdata[i], verdicts->pdata[i]);
		else
			wait_on(u, asked->pdata[i], now);
	}
	for (guint i = 0; err.set && i < u->open->len; i++) {
		struct outbox_batch *batch = u->open->pdata[i];
		if (batch->state == OUTBOX_SENT)
			batch->next = MAX(batch->next, now + wait);
	}
	return 1;
}
