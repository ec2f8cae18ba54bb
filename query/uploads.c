/* What is uploaded from here: GET /api/v1/uploads, GET /api/v1/uploads/BATCH, POST
 * /api/v1/uploads/retry. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "event/json.h"
#include "query/request.h"
#include "store/outbox.h"

#define ENDED_MAX 20 /* batches that have ended, told of a destination */
#define FAILURES_MAX 1000

static void time_member(GString *out, const char *name, int64_t time)
{
	char text[CLOCK_TEXT_MAX];

	if (time != 0)
		json_member(out, name, slice_make(text, clock_format(time, CLOCK_ZULU, text)));
}

static void text_member(GString *out, const char *name, const char *text)
{
	if (*text != '\0')
		json_member(out, name, slice_str(text));
}

/* The members of a batch; no braces. */
static void batch_members(GString *out, const struct outbox_batch *batch)
{
	json_member(out, "id", slice_str(batch->id));
	json_member(out, "destination", slice_str(batch->destination));
	json_member(out, "state", slice_str(outbox_state_names[batch->state]));
	text_member(out, "remote_id", batch->remote);
	text_member(out, "answer", batch->answer);
	json_member_int(out, "events", (gint64)batch->events);
	json_member_int(out, "bytes", (gint64)batch->bytes);
	json_member_int(out, "tries", batch->tries);
	json_member_int(out, "in_doubt", batch->doubt && batch->state == OUTBOX_READY);
	time_member(out, "created", batch->created);
	time_member(out, "sent", batch->sent);
	if (batch->state == OUTBOX_READY || batch->state == OUTBOX_SENT)
		time_member(out, "next", batch->next);
	time_member(out, "oldest_event", batch->oldest);
	json_member_int(out, "first_arrival", (gint64)batch->since + 1);
	json_member_int(out, "last_arrival", (gint64)batch->until);
	json_member_int(out, "succeeded", (gint64)batch->succeeded);
	json_member_int(out, "failed", (gint64)batch->failed);
	json_member_int(out, "duplicates", (gint64)batch->duplicates);
}

/* An uploader looks at all events of the store: who may see a part only is not told of it. */
static bool sees_all(const struct query_request *request, struct query_answer *answer_r)
{
	const struct search_scope *scope = &request->access->scope;

	if (scope->subaccounts == NULL && scope->domains == NULL)
		return true;
	query_answer_error(answer_r, 403, "Forbidden.");
	return false;
}

static void next_element(GString *out)
{
	if (out->str[out->len - 1] != '[')
		g_string_append_c(out, ',');
	g_string_append_c(out, '{');
}

/* Those that are under way, and the last that have ended; newest first. */
static void batches_member(GString *out, const char *destination, const GPtrArray *batches)
{
	unsigned ended = 0;

	json_key(out, "batches");
	g_string_append_c(out, '[');
	for (guint i = batches->len; i-- > 0;) {
		const struct outbox_batch *batch = batches->pdata[i];
		if (strcmp(batch->destination, destination) != 0 ||
		        (!outbox_has_bytes(batch) && ++ended > ENDED_MAX))
			continue;
		next_element(out);
		batch_members(out, batch);
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, ']');
}

static void destination_element(const struct query_request *request, GString *out,
        const struct outbox_destination *row, const GPtrArray *batches)
{
	uint64_t waiting;
	int64_t expiring;

	store_outbox_waiting(request->store, row, batches, request->now, &waiting, &expiring);
	next_element(out);
	json_member(out, "name", slice_str(row->name));
	text_member(out, "trouble", row->trouble);
	json_member_int(out, "waiting", (gint64)waiting);
	if (expiring != INT64_MAX)
		json_member_int(out, "expiring_in", MAX(expiring, 0) / CLOCK_SECOND);
	json_member_int(out, "accepted", (gint64)row->accepted);
	json_member_int(out, "failed", (gint64)row->failed);
	json_member_int(out, "invalid", (gint64)row->invalid);
	json_member_int(out, "too_old", (gint64)row->too_old);
	json_member_int(out, "lost", (gint64)row->lost);
	batches_member(out, row->name, batches);
	g_string_append_c(out, '}');
}

void uploads_status(const struct query_request *request, struct query_answer *answer_r)
{
	struct error err = {0};

	if (!sees_all(request, answer_r))
		return;
	g_autoptr(GPtrArray) rows = store_destinations(request->store, &err);
	g_autoptr(GPtrArray) batches =
	        rows != NULL ? store_outbox(request->store, NULL, &err) : NULL;
	if (batches == NULL) {
		query_answer_error(answer_r, 500, err.text);
		return;
	}
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":[");
	for (guint i = 0; i < rows->len; i++)
		destination_element(request, answer_r->body, rows->pdata[i], batches);
	g_string_append(answer_r->body, "]}");
}

static void failure_element(void *ctx, const struct outbox_failure *failure)
{
	GString *out = ctx;

	next_element(out);
	time_member(out, "time", failure->time);
	json_member(out, "cause", failure->cause);
	json_member(out, "line", failure->line);
	g_string_append_c(out, '}');
}

/* Finds the batch, or makes the answer. */
static struct outbox_batch *find_batch(
        const struct query_request *request, const char *id, struct query_answer *answer_r)
{
	struct outbox_batch *batch;
	struct error err = {0};
	int found = store_outbox_find(request->store, id, &batch, &err);

	if (found == 0)
		query_answer_error(answer_r, 404, "Resource could not be found");
	else if (found < 0)
		query_answer_error(answer_r, err.number == EINVAL ? 400 : 500, err.text);
	return batch;
}

void uploads_show(const struct query_request *request, struct query_answer *answer_r)
{
	struct error err = {0};
	struct outbox_batch *batch =
	        sees_all(request, answer_r) ? find_batch(request, request->tail, answer_r) : NULL;

	if (batch == NULL)
		return;
	GString *out = answer_r->body = g_string_new("{\"results\":{");
	answer_r->status = 200;
	batch_members(out, batch);
	json_key(out, "failures");
	g_string_append_c(out, '[');
	if (store_each_failure(
	            request->store, batch->id, FAILURES_MAX, failure_element, out, &err) < 0) {
		query_answer_clear(answer_r);
		query_answer_error(answer_r, 500, err.text);
	} else {
		g_string_append(out, "]}}");
	}
	outbox_batch_free(batch);
}

static char *parameter(const struct query_request *request, const char *name)
{
	for (guint i = 0; i < request->uri->params->len; i++) {
		const struct uri_param *param =
		        &g_array_index(request->uri->params, struct uri_param, i);
		if (slice_eq(param->name, slice_str(name)))
			return slice_dup(param->value);
	}
	return NULL;
}

/* Batches that wait for somebody, or for their next try: of one id, or all. */
static unsigned count_waiting(const GPtrArray *batches, const char *id)
{
	unsigned n = 0;

	for (guint i = 0; i < batches->len; i++) {
		const struct outbox_batch *batch = batches->pdata[i];
		n += (batch->state == OUTBOX_PARKED || batch->state == OUTBOX_READY) &&
		     (id == NULL || strcmp(batch->id, id) == 0);
	}
	return n;
}

void uploads_retry(const struct query_request *request, struct query_answer *answer_r)
{
	const struct query_uploads *uploads = request->config->uploads;
	g_autofree char *id = parameter(request, "batch");
	struct outbox_batch *batch = NULL;
	struct error err = {0};

	if (!sees_all(request, answer_r))
		return;
	if (uploads == NULL || uploads->retry == NULL) {
		query_answer_error(answer_r, 503, "Nothing is uploaded from here.");
		return;
	}
	if (id != NULL && (batch = find_batch(request, id, answer_r)) == NULL)
		return;
	const char *whole = batch != NULL ? batch->id : NULL;
	g_autoptr(GPtrArray) batches =
	        store_outbox(request->store, batch != NULL ? batch->destination : NULL, &err);
	if (batches == NULL) {
		query_answer_error(answer_r, 500, err.text);
	} else if (!uploads->retry(
	                   uploads->ctx, batch != NULL ? batch->destination : NULL, whole)) {
		query_answer_error(answer_r, 409, "No upload is configured for this.");
	} else {
		answer_r->status = 200;
		answer_r->body = g_string_new("{\"results\":{");
		json_member_int(answer_r->body, "batches", count_waiting(batches, whole));
		g_string_append(answer_r->body, "}}");
	}
	outbox_batch_free(batch);
}
